//! A restart for stores that have all their messages in memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mqtt_session::{Commit, Instant};

use super::super::Core;
use super::super::message::Message;
use super::super::store::{Bodies, Kept, Record, Terms, Unreadable};
use super::image::Image;
use super::take::Malformed;

/// What a broker starts again with, messages included: made by [taking](Self::take) the records of its store in their order. See the
/// [module](super).
///
/// Instants stay as the records have them: let all be of one clock, and tell [`start`](Self::start) how that one stands.
#[derive(Debug, Default)]
pub struct Restore {
    image: Image,
    /// By the numbers of their records, with how often each is in use.
    messages: HashMap<u64, (Arc<Message>, usize)>,
}

impl Restore {
    /// Nothing yet: a broker that starts for the first time.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The largest number taken; the store goes on with larger ones.
    #[must_use]
    pub const fn latest(&self) -> Commit {
        self.image.latest()
    }

    /// Takes the next record, which had this number.
    ///
    /// # Errors
    /// [`Malformed`] when it does not fit those before it; nothing of it is taken then.
    pub fn take(&mut self, record: &Record<'_>, number: Commit) -> Result<(), Malformed> {
        let mut message = None;
        let kept = record.map(|whole| {
            message = Some(Arc::clone(whole));
            Kept {
                body: number,
                topic: Some(whole.topic()),
            }
        });
        let taken = self.image.take(&kept, number);
        if let Some(message) = message {
            self.messages.insert(number.0, (message, 0));
        }
        let uses = core::mem::take(&mut self.image.uses);
        for body in uses.begun {
            if let Some((_, uses)) = self.messages.get_mut(&body) {
                *uses += 1;
            }
        }
        for body in uses.ended {
            if let Some((_, uses)) = self.messages.get_mut(&body) {
                *uses -= 1;
            }
            self.forget_unused(body);
        }
        self.forget_unused(number.0);
        taken
    }

    fn forget_unused(&mut self, body: u64) {
        if self.messages.get(&body).is_some_and(|(_, uses)| *uses == 0) {
            self.messages.remove(&body);
        }
    }

    /// Puts everything back, as [`Image::start`] does.
    ///
    /// # Panics
    /// When there are not as many cores as workers.
    pub fn start(self, cores: &mut [Core], then: Instant, now: Instant) {
        let wills = self.image.sessions.values();
        let wills = wills
            .filter_map(|session| Some(session.will.as_ref()?.body))
            .collect();
        let mut whole = Whole {
            messages: self.messages,
            wills,
            then,
            now,
            translated: HashMap::new(),
        };
        let lost = self.image.start(cores, &mut whole, then, now);
        debug_assert!(lost.is_empty(), "{lost:?}");
    }
}

struct Whole {
    messages: HashMap<u64, (Arc<Message>, usize)>,
    /// Their expiry counts from their publication: no clock is in it.
    wills: HashSet<u64>,
    then: Instant,
    now: Instant,
    /// Messages that were translated to the new clock, by their old address: copies go on sharing them.
    translated: HashMap<*const Message, Arc<Message>>,
}

impl Whole {
    fn expires(&self, body: u64, message: &Message) -> Option<Instant> {
        let expires = message.expires?;
        if self.wills.contains(&body) {
            return Some(expires);
        }
        Some(self.now.plus_millis(expires.millis_since(self.then)))
    }
}

impl Bodies for Whole {
    fn terms(&self, _body: Commit) -> Option<Terms> {
        None
    }

    fn message(&mut self, body: Commit) -> Result<Arc<Message>, Unreadable> {
        let Some((message, _)) = self.messages.get(&body.0) else {
            return Err(Unreadable {
                body,
                why: "it is not there".into(),
            });
        };
        let expires = self.expires(body.0, message);
        if expires == message.expires {
            return Ok(Arc::clone(message));
        }
        let fresh = || {
            let mut fresh = message.duplicate();
            fresh.expires = expires;
            Arc::new(fresh)
        };
        let translated = self
            .translated
            .entry(Arc::as_ptr(message))
            .or_insert_with(fresh);
        Ok(Arc::clone(translated))
    }
}
