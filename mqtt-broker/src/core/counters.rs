//! What happened: counted by each worker for itself, and added up once a round.

use core::sync::atomic::{AtomicU64, Ordering};

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
    /// Messages that expired before they were delivered.
    expired,
    /// Copies of messages that were not delivered because the store could not read them back.
    unreadable,
    /// Messages larger than their receiver takes.
    too_large,
    /// Messages that clients refused.
    refused,
    /// Messages that wait for a session or are in flight.
    queued,
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
}
