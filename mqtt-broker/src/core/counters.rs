//! What happened: counted by each worker for itself, and added up once a round.

use core::sync::atomic::{AtomicU64, Ordering};

use super::queue::{Queue, Taken};
use super::quota::Gone;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Sums over all workers; monotonic, except those that name a number of things that exist now.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Gauge,)+
        }

        /// What one worker has counted since it last [flushed](Tally::flush).
        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $(pub(super) $name: i64,)+
        }

        impl Tally {
            /// Adds everything to the shared sums.
            pub(super) fn flush(&mut self, counters: &Counters) {
                $(if self.$name != 0 {
                    counters.$name.add(self.$name);
                    self.$name = 0;
                })+
            }
        }
    };
}

counters! {
    /// Connections that are open.
    connections,
    /// Sessions that are connected.
    clients_connected,
    /// Sessions, connected or not.
    sessions,
    /// Sessions that ended because their time was over.
    sessions_expired,
    /// Packets of every kind from clients.
    packets_received,
    /// Packets of every kind to clients.
    packets_sent,
    /// PUBLISH packets from clients.
    publish_received,
    /// PUBLISH packets to clients.
    publish_sent,
    /// Payload bytes from clients.
    payload_received,
    /// Payload bytes to clients.
    payload_sent,
    /// Bytes from clients.
    bytes_received,
    /// Bytes to clients.
    bytes_sent,
    /// Messages that were dropped because a queue or an unread output was at its limit.
    dropped,
    /// Those of them that had waited longest, and went to make room for new ones.
    dropped_oldest,
    /// Messages that expired before they were delivered.
    expired,
    /// Copies of messages that were not delivered because the store could not read them back.
    unreadable,
    /// Messages, subscriptions and connections that were refused because the store had no room, or had failed.
    refused_full,
    /// Messages of the broker's own that were delivered to whoever was connected and could not be kept for the others.
    unstored,
    /// Messages larger than their receiver takes.
    too_large,
    /// Messages that clients refused.
    refused,
    /// Messages that wait for a session or are in flight.
    queued,
    /// Their bytes; a message counts in each queue in which it waits.
    queued_bytes,
    /// Retained messages.
    retained,
    /// Retained messages that were not stored because there are too many.
    retained_rejected,
    /// Subscriptions, members of shared groups included.
    subscriptions,
    /// Members of shared groups.
    shared_subscriptions,
    /// Connections refused at CONNECT.
    refused_connections,
    /// Passwords that were checked with Argon2; those that were remembered are not counted.
    passwords_checked,
    /// Passwords that were wrong, or came with an unknown user name.
    passwords_wrong,
    /// Passwords that were not checked because too many waited, or waited too long.
    passwords_unchecked,
    /// Connections that ended because the client broke a rule.
    violations,
    /// Connections turned away because there are too many connections or sessions.
    turned_away,
}

impl Tally {
    /// A message of this size waits.
    pub(super) const fn queue(&mut self, size: u64) {
        self.queued += 1;
        self.queued_bytes += size as i64;
    }

    /// A message was taken out of a queue.
    pub(super) fn unqueue(&mut self, taken: &Taken) {
        self.queued -= 1;
        self.queued_bytes -= taken.size() as i64;
    }

    /// A message went to make room for another.
    pub(super) fn gone(&mut self, taken: &Taken, why: Gone) {
        self.unqueue(taken);
        match why {
            Gone::Expired => self.expired += 1,
            Gone::Oldest => {
                self.dropped += 1;
                self.dropped_oldest += 1;
            }
        }
    }

    /// A restart has filled a queue.
    pub(super) const fn add_queue(&mut self, queue: &Queue) {
        self.queued += queue.len() as i64;
        self.queued_bytes += queue.bytes() as i64;
    }

    /// A queue is over with all that waits in it.
    pub(super) const fn drop_queue(&mut self, queue: &Queue) {
        self.queued -= queue.len() as i64;
        self.queued_bytes -= queue.bytes() as i64;
    }
}

/// A sum that several workers add to.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn add(&self, delta: i64) {
        self.0.fetch_add(delta as u64, Ordering::Relaxed);
    }

    /// The present value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The present value with what was not added yet.
    #[inline]
    pub(super) fn with(&self, more: i64) -> u64 {
        let sum = self.get().wrapping_add_signed(more);
        // Workers add up one after the other, so that for a moment less than nothing may be left.
        if sum > i64::MAX as u64 { 0 } else { sum }
    }
}
