//! What a client chooses to do.

use mqtt_codec::{
    Properties, Property, QoS, ReasonCode, RetainHandling, SubscribeFilter, SubscriptionId,
    SubscriptionOptions,
};
use mqtt_session::Instant;

use super::client::Client;
use super::event::Sub;
use super::kept::WILL;
use super::tables::{self, FILTERS, SHARED_FILTERS, SHARED_TOPICS, TOPICS, WILL_TOPICS};
use crate::owners::Message;
use crate::rng::Rng;

/// What a client says of itself in CONNECT.
#[derive(Debug)]
pub(super) struct Manner {
    pub(super) clean: bool,
    pub(super) expiry: u32,
    pub(super) keep_alive: u16,
    pub(super) receive_maximum: u16,
    pub(super) alias_maximum: u16,
    pub(super) will: Option<WillOf>,
}

#[derive(Debug)]
pub(super) struct WillOf {
    pub(super) topic: usize,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) delay: u32,
    pub(super) life: Option<u32>,
    pub(super) number: u32,
}

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

impl Client {
    /// What it may say in its next CONNECT. Times differ from client to client, so that no two things are due at once.
    pub(super) fn manner(&self, rng: &mut Rng, wills: &mut u32) -> Manner {
        let own = self.index as u32;
        let will = rng.one_in(2).then(|| {
            *wills += 1;
            WillOf {
                topic: WILL_TOPICS[rng.below(WILL_TOPICS.len())],
                qos: QOS[rng.below(3)],
                retain: rng.one_in(3),
                delay: [0, 10 + own, 20 + own][rng.below(3)],
                life: rng.one_in(4).then(|| 1 + rng.below(30) as u32),
                number: *wills | WILL,
            }
        });
        Manner {
            clean: rng.one_in(5),
            expiry: [0, 30 + own, 60 + own, 600 + own, u32::MAX, u32::MAX][rng.below(6)],
            keep_alive: [0, 5, 20][rng.below(3)],
            receive_maximum: 1 + rng.below(6) as u16,
            alias_maximum: rng.below(4) as u16,
            will,
        }
    }

    /// How it connects when all has to come to an end.
    pub(super) const fn calm() -> Manner {
        Manner {
            clean: false,
            expiry: u32::MAX,
            keep_alive: 0,
            receive_maximum: 20,
            alias_maximum: 2,
            will: None,
        }
    }

    /// Publishes something.
    pub(super) fn publish(&mut self, message: u32, now: Instant, clients: usize, rng: &mut Rng) {
        let topic = rng.below(TOPICS.len());
        let retain = rng.one_in(4);
        // What has no payload has no number: each topic has one client that removes its retained message, in an order that is known,
        // which a group has not.
        let removes = topic < SHARED_TOPICS && topic % clients == self.index;
        let empty = retain && removes && rng.one_in(2);
        let mut payload = vec![];
        if !empty {
            payload.extend(message.to_be_bytes());
            let len = if rng.one_in(15) {
                [tables::LARGE, tables::LARGE, tables::SHARED][rng.below(3)]
            } else {
                4 + rng.below(50)
            };
            // No two go on alike.
            payload.extend((4..len as u32).map(|at| (at + 7 * message) as u8));
        }
        let message = Message {
            topic: TOPICS[topic].to_owned(),
            payload,
            qos: QOS[rng.below(3)],
            retain,
            expires: (rng.one_in(6) && !empty).then(|| now.plus_millis(rng.below(20_000) as u64)),
        };
        self.send(message);
    }

    /// Subscribes to one or two filters.
    pub(super) fn subscribe(&mut self, now: Instant, rng: &mut Rng) {
        if !self.session.is_connected() {
            return;
        }
        let v5 = self.kind.version.is_v5();
        let mut filters = vec![];
        let first = self.filter(rng);
        let mut sub = Sub {
            qos: rng.below(3) as u8,
            no_local: v5 && rng.one_in(4),
            retain_as_published: v5 && rng.one_in(3),
            retain_handling: if v5 { rng.below(3) as u8 } else { 0 },
            id: if v5 && rng.one_in(2) {
                1 + first as u8 * 2
            } else {
                0
            },
        };
        if let Some(group) = first.checked_sub(SHARED_FILTERS) {
            sub = tables::group_subscription(self.index, group, v5);
        } else if sub.id == 0 && rng.one_in(3) {
            let second = rng.below(SHARED_FILTERS);
            if second != first {
                filters.push(filter(second, sub));
            }
        }
        filters.push(filter(first, sub));
        let ids = SubscriptionId::new(u32::from(sub.id)).map(Property::SubscriptionIdentifier);
        let list: Vec<Property<'_>> = ids.into_iter().collect();
        self.session
            .subscribe(&filters, Properties::List(&list), &mut self.tx, now)
            .expect("a SUBSCRIBE that can be sent");
    }

    /// Gives up a subscription, whether there is one or not.
    pub(super) fn unsubscribe(&mut self, now: Instant, rng: &mut Rng) {
        if self.session.is_connected() {
            let filter = FILTERS[self.filter(rng)];
            self.session
                .unsubscribe(&[filter], Properties::EMPTY, &mut self.tx, now)
                .expect("an UNSUBSCRIBE that can be sent");
        }
    }

    /// A filter; before 5.0 only of the first group, since what comes of a second could not be told from it.
    fn filter(&self, rng: &mut Rng) -> usize {
        let last = if self.kind.version.is_v5() {
            FILTERS.len()
        } else {
            SHARED_FILTERS + 1
        };
        if rng.one_in(3) {
            SHARED_FILTERS + rng.below(last - SHARED_FILTERS)
        } else {
            rng.below(SHARED_FILTERS)
        }
    }

    /// Says goodbye, with or without its will, and perhaps with another expiry.
    pub(super) fn disconnect(&mut self, rng: &mut Rng) {
        if !self.session.is_connected() {
            return;
        }
        let v5 = self.kind.version.is_v5();
        if !v5 || rng.one_in(2) {
            self.session.disconnect(ReasonCode::NORMAL_DISCONNECTION);
            return;
        }
        let kept = self.session.state().session_expiry() != 0;
        let list = [Property::SessionExpiryInterval(
            [0, 40 + self.index as u32, u32::MAX][rng.below(3)],
        )];
        let packet = mqtt_codec::Disconnect {
            reason: if rng.one_in(2) {
                ReasonCode::DISCONNECT_WITH_WILL_MESSAGE
            } else {
                ReasonCode::NORMAL_DISCONNECTION
            },
            properties: if kept {
                Properties::List(&list)
            } else {
                Properties::EMPTY
            },
        };
        self.session
            .disconnect_with(&packet, &mut self.tx)
            .expect("a DISCONNECT that can be sent");
    }
}

fn filter(filter: usize, sub: Sub) -> SubscribeFilter<'static> {
    SubscribeFilter {
        filter: FILTERS[filter],
        options: SubscriptionOptions {
            qos: QOS[usize::from(sub.qos)],
            no_local: sub.no_local,
            retain_as_published: sub.retain_as_published,
            retain_handling: match sub.retain_handling {
                0 => RetainHandling::SendAtSubscribe,
                1 => RetainHandling::SendIfNew,
                _ => RetainHandling::DoNotSend,
            },
        },
    }
}
