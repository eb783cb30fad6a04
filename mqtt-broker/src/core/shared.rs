//! What all workers share: settings, subscriptions, retained messages, groups, counters.

use core::hash::Hasher;
use std::collections::HashSet;
use std::hash::DefaultHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use mqtt_codec::SubscriptionOptions;
use mqtt_session::Instant;
use mqtt_topic::{RetainedIndex, SubscriptionIndex, TopicFilter};

use super::counters::Counters;
use super::fanout::Grant;
use super::groups::Groups;
use super::ids::{LocalId, Subscriber};
use super::message::Message;
use super::settings::Settings;
use super::store::Room;

/// The part of a broker's core that its workers share. Locks are held for one look-up or one bounded batch.
#[derive(Debug)]
pub struct Shared {
    settings: Settings,
    workers: u16,
    seed: u64,
    counters: Counters,
    subscriptions: RwLock<SubscriptionIndex<Subscriber, Grant>>,
    retained: RwLock<RetainedIndex<Arc<Message>>>,
    /// Topics of retained messages that could not be read at the start, and that the store still has.
    unread: Mutex<HashSet<Box<str>>>,
    groups: Mutex<Groups>,
    /// What was last said about the store's room.
    room: Mutex<Room>,
}

impl Shared {
    /// For `workers` workers (at least 1, at most [`WORKERS_MAX`](super::WORKERS_MAX)). `seed` keys every map that clients fill: take it
    /// from a random source.
    #[must_use]
    pub fn new(settings: Settings, workers: u16, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            settings,
            workers: workers.clamp(1, super::WORKERS_MAX),
            seed,
            counters: Counters::default(),
            subscriptions: RwLock::new(SubscriptionIndex::with_seed(seed)),
            retained: RwLock::new(RetainedIndex::with_seed(seed)),
            unread: Mutex::default(),
            groups: Mutex::new(Groups::default()),
            room: Mutex::new(Room::Enough),
        })
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many workers there are.
    #[must_use]
    pub const fn workers(&self) -> u16 {
        self.workers
    }

    /// The sums over all workers.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The worker at which the sessions of `client_id` live.
    #[must_use]
    pub fn home(&self, client_id: &str) -> u16 {
        (self.hash(client_id) % u64::from(self.workers)) as u16
    }

    /// A keyed hash of a client id.
    pub(super) fn hash(&self, client_id: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed);
        hasher.write(client_id.as_bytes());
        hasher.finish()
    }

    // A panic under a lock would be a defect; the data is whole after each single operation, so the others go on.
    pub(super) fn subscriptions(
        &self,
    ) -> RwLockReadGuard<'_, SubscriptionIndex<Subscriber, Grant>> {
        self.subscriptions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn subscriptions_mut(
        &self,
    ) -> RwLockWriteGuard<'_, SubscriptionIndex<Subscriber, Grant>> {
        self.subscriptions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn retained(&self) -> RwLockReadGuard<'_, RetainedIndex<Arc<Message>>> {
        self.retained.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn retained_mut(&self) -> RwLockWriteGuard<'_, RetainedIndex<Arc<Message>>> {
        self.retained
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unread(&self) -> MutexGuard<'_, HashSet<Box<str>>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is news to all workers.
    pub(super) fn room_changed(&self, room: Room) -> bool {
        let mut known = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        core::mem::replace(&mut *known, room) != room
    }

    /// Subscribes someone inside this process; messages come as [`Effect::Local`](super::Effect::Local) of any worker.
    pub fn subscribe_local(
        &self,
        id: LocalId,
        filter: &TopicFilter<'_>,
        options: SubscriptionOptions,
    ) {
        self.subscriptions_mut()
            .insert(filter, Subscriber::local(id), Grant { options, id: None });
    }

    /// Ends such a subscription.
    pub fn unsubscribe_local(&self, id: LocalId, filter: &TopicFilter<'_>) {
        self.subscriptions_mut()
            .remove(filter, &Subscriber::local(id));
    }

    /// The retained messages that match `filter` at `now`, for someone inside this process.
    #[must_use]
    pub fn retained_matches(&self, filter: &TopicFilter<'_>, now: Instant) -> Vec<Arc<Message>> {
        let mut found = Vec::new();
        self.retained().visit(filter, |_, message| {
            if !message.expired(now) {
                found.push(Arc::clone(message));
            }
        });
        found
    }
}
