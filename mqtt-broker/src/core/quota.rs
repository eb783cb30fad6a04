//! How much may wait: for one session, for one group, and for all of them together.

use mqtt_session::{Instant, Seq};

use super::Core;
use super::counters::{Counters, Tally};
use super::ids::SessionKey;
use super::queue::{Queue, Taken};
use super::settings::{QueuePolicy, Settings};

/// What one more message has to keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    /// Of one queue.
    messages: u64,
    bytes: u64,
    /// What is left for all queues together; less than nothing where connected sessions had more.
    messages_left: i64,
    bytes_left: i64,
    policy: QueuePolicy,
    /// Where the message comes from.
    origin: Origin,
    /// The queue is one of a session that is connected.
    pub(super) connected: bool,
}

/// Where a message comes from that is to wait: limits are for what is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was published.
    New,
    /// It waited already, for a group or for a member of it: it was taken and promised, and is turned away no more.
    Moved,
}

/// Which limit a message does not keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// That of its queue.
    Queue,
    /// That of all queues together.
    Total,
}

/// Why a message went to make room for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// It had expired.
    Expired,
    /// It was the oldest.
    Oldest,
}

impl Quota {
    /// So many messages have room in the queue of a connected session whatever waits for others: who reads what comes must not
    /// go without because others are away.
    const ASSURED: usize = 64;

    /// What other workers have queued in their present round is not in it: so much more than the limit may come to wait.
    pub(super) fn new(
        settings: &Settings,
        counters: &Counters,
        tally: &Tally,
        origin: Origin,
    ) -> Self {
        let left = |most: u64, waits: u64| match most {
            0 => i64::MAX,
            most => i64::try_from(most)
                .unwrap_or(i64::MAX)
                .saturating_sub_unsigned(waits),
        };
        Self {
            messages: settings.queue_messages.into(),
            bytes: settings.queue_bytes,
            messages_left: left(
                settings.queue_total_messages,
                counters.queued.with(tally.queued),
            ),
            bytes_left: left(
                settings.queue_total_bytes,
                counters.queued_bytes.with(tally.queued_bytes),
            ),
            policy: settings.queue_policy,
            origin,
            connected: false,
        }
    }

    /// Whether a message of this size has no room in this queue.
    #[inline]
    pub(super) fn full(&self, queue: &Queue, size: u64) -> Option<Full> {
        if !queue.has_place() {
            Some(Full::Queue)
        } else if self.origin == Origin::Moved {
            None
        } else if queue.len() as u64 >= self.messages || queue.bytes() + size > self.bytes {
            Some(Full::Queue)
        } else if (self.messages_left <= 0 || self.bytes_left < size as i64)
            && !(self.connected && queue.len() < Self::ASSURED)
        {
            Some(Full::Total)
        } else {
            None
        }
    }

    /// A queue at its limit would otherwise be reported for every message that comes and goes.
    pub(super) fn is_half_empty(&self, queue: &Queue) -> bool {
        queue.len() as u64 <= self.messages / 2 && queue.bytes() <= self.bytes / 2
    }

    /// Makes room in a queue, as far as the policy allows, for a message of this size: takes out what has expired, then the oldest. Delivery
    /// of what stands before `cursor` has begun; that stays. Where more waits than the limits allow, because it [moved](Origin::Moved) there,
    /// no more goes than the new one takes.
    ///
    /// # Errors
    /// Which limit the message still does not keep to.
    pub(super) fn make_room(
        &self,
        queue: &mut Queue,
        cursor: Seq,
        size: u64,
        now: Instant,
        mut gone: impl FnMut(Taken, Gone),
    ) -> Result<(), Full> {
        let mut quota = *self;
        queue.take_expired(cursor, now, |taken| {
            quota.give(taken.size());
            gone(taken, Gone::Expired);
        });
        let Some(full) = quota.full(queue, size) else {
            return Ok(());
        };
        if self.policy == QueuePolicy::RejectNew || size > quota.bytes || !queue.has_place() {
            return Err(full);
        }
        quota.messages = quota.messages.max(queue.len() as u64);
        quota.bytes = quota.bytes.max(queue.bytes());
        quota.messages_left = quota.messages_left.max(0);
        quota.bytes_left = quota.bytes_left.max(0);
        // Nothing goes in vain for one that has no room even so.
        if quota.bytes_left.saturating_add_unsigned(queue.bytes()) < size as i64 {
            return Err(full);
        }
        while let Some(full) = quota.full(queue, size) {
            let Some(taken) = queue.next(cursor).and_then(|seq| queue.take(seq)) else {
                return Err(full);
            };
            quota.give(taken.size());
            gone(taken, Gone::Oldest);
        }
        Ok(())
    }

    const fn give(&mut self, size: u64) {
        self.messages_left = self.messages_left.saturating_add(1);
        self.bytes_left = self.bytes_left.saturating_add_unsigned(size);
    }
}

impl Core {
    /// What one more message has to keep to.
    pub(super) fn quota(&self, origin: Origin) -> Quota {
        let shared = &self.shared;
        Quota::new(shared.settings(), shared.counters(), &self.tally, origin)
    }

    /// A session's queue is full, or all together are: said once, until it is half empty again.
    pub(super) fn overflowed(&mut self, key: SessionKey, full: Full) {
        if full == Full::Total {
            return self.total_overflow();
        }
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return;
        };
        if core::mem::replace(&mut session.overflowed, true) {
            return;
        }
        let queue = session.queue();
        let (messages, bytes) = (queue.len(), queue.bytes());
        tracing::warn!(
            client_id = &*session.client_id,
            messages,
            bytes,
            "queue is full: messages are dropped"
        );
    }

    /// All queues together are full: said once, until they are half empty again.
    pub(super) fn total_overflow(&mut self) {
        if core::mem::replace(&mut self.total_overflowed, true) {
            return;
        }
        let counters = self.shared.counters();
        tracing::warn!(
            messages = counters.queued.with(self.tally.queued),
            bytes = counters.queued_bytes.with(self.tally.queued_bytes),
            "all queues together are full: messages are dropped"
        );
    }

    /// Whether all queues together have room again.
    pub(super) fn note_total(&mut self) {
        if !self.total_overflowed {
            return;
        }
        let (settings, counters) = (self.shared.settings(), self.shared.counters());
        let half_empty = |most: u64, waits: u64| most == 0 || waits <= most / 2;
        self.total_overflowed = !(half_empty(settings.queue_total_messages, counters.queued.get())
            && half_empty(settings.queue_total_bytes, counters.queued_bytes.get()));
    }
}
