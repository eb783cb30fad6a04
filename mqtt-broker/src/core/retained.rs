//! Retained messages: set, removed, expired.

use core::cmp::Reverse;
use std::sync::Arc;

use mqtt_session::Instant;
use mqtt_topic::TopicName;

use super::message::Incoming;
use super::routing::is_reserved;
use super::store::Record;
use super::{Core, WALK_STEP};

impl Core {
    /// RETAIN 1 replaces the retained message, an empty payload removes it [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-7].
    pub(super) fn store_retained(&mut self, name: &TopicName<'_>, incoming: &mut Incoming<'_>) {
        // What the broker says of itself is worth nothing after a restart, and takes nobody's place.
        let reserved = is_reserved(name.as_str());
        if incoming.payload.is_empty() {
            // Recorded under the lock: what another worker sets next must not be older to the store.
            let mut retained = self.shared.retained_mut();
            let known = retained.remove(name).is_some();
            self.tally.retained -= i64::from(known);
            // What only the store has must not rise again either.
            if !reserved && (known || self.shared.unread().remove(name.as_str())) {
                self.store.record(&Record::Unretained(name.as_str()));
            }
            return;
        }
        let message = Arc::clone(incoming.shared());
        let mut retained = self.shared.retained_mut();
        let most = self.shared.settings().retained_messages as usize;
        if !reserved && retained.len() >= most && retained.get(name).is_none() {
            self.tally.retained_rejected += 1;
            tracing::warn!(
                topic = name.as_str(),
                most,
                "retained message not stored: there are `retained_messages` already"
            );
            return;
        }
        if !reserved {
            self.store.record(&Record::Retained(&message));
        }
        let expires = message.expires;
        if retained.insert(name, message).is_none() {
            self.tally.retained += 1;
        }
        drop(retained);
        if let Some(at) = expires {
            self.note_expiry(at, name.as_str());
        }
    }

    /// Removes the retained messages that have expired, up to `most`.
    pub(super) fn expire_retained(&mut self, most: usize, now: Instant) {
        for _ in 0..most {
            if self
                .expiring
                .peek()
                .is_none_or(|Reverse((at, _))| *at > now)
            {
                return;
            }
            let Some(Reverse((at, topic))) = self.expiring.pop() else {
                return;
            };
            let Ok(name) = TopicName::new(&topic) else {
                continue;
            };
            let mut retained = self.shared.retained_mut();
            // It may have been replaced meanwhile.
            if retained.get(&name).and_then(|message| message.expires) == Some(at) {
                retained.remove(&name);
                self.tally.retained -= 1;
                self.store.record(&Record::Unretained(&topic));
            }
        }
    }

    /// Notes when a retained message expires. Notes of messages that were replaced are thrown out before they outnumber the others.
    pub(super) fn note_expiry(&mut self, at: Instant, topic: &str) {
        let shared = Arc::clone(&self.shared);
        if self.expiring.len() > 2 * shared.retained().len() + WALK_STEP {
            let retained = shared.retained();
            self.expiring.retain(|Reverse((at, topic))| {
                TopicName::new(topic)
                    .ok()
                    .and_then(|name| retained.get(&name))
                    .is_some_and(|message| message.expires == Some(*at))
            });
        }
        self.expiring.push(Reverse((at, topic.into())));
    }
}
