//! What handles, streams and the background task share.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mqtt_session::{DeliveryId, Instant};
use tokio::sync::{Notify, Semaphore, oneshot, watch};

use crate::delivery::Delivery;
use crate::error::{ConnectionError, PublishError};
use crate::event::{self, Event, Events, State};
use crate::message::Message;
use crate::options::{Options, WhenFull};
use crate::outbox::{Outbox, Room};
use crate::queue::{Queue, locked};

/// The state that is not the task's alone. No lock is held across an await.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) outbox: Mutex<Outbox>,
    /// Something is there for the task to look at.
    pub(crate) wake: Notify,
    pub(crate) state: watch::Sender<State>,
    /// Why the client ended, once it has.
    pub(crate) ended: Mutex<Option<ConnectionError>>,
    taken: Mutex<Vec<DeliveryId>>,
    events: Mutex<Vec<Arc<Queue<Event>>>>,
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    queue_bytes: u32,
    when_full: WhenFull,
    origin: tokio::time::Instant,
    next_stream: AtomicU64,
}

impl Shared {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            outbox: Mutex::default(),
            wake: Notify::new(),
            state: watch::Sender::new(State::Connecting),
            ended: Mutex::default(),
            taken: Mutex::default(),
            events: Mutex::default(),
            messages: Arc::new(Semaphore::new(options.queue_messages as usize)),
            bytes: Arc::new(Semaphore::new(options.queue_bytes as usize)),
            queue_bytes: options.queue_bytes,
            when_full: options.when_full,
            origin: tokio::time::Instant::now(),
            next_stream: AtomicU64::new(0),
        }
    }

    /// The time for the session.
    pub(crate) fn now(&self) -> Instant {
        let ms = self.origin.elapsed().as_millis();
        Instant::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    /// The session's time on the runtime's clock; `None` when it is out of reach.
    pub(crate) fn at(&self, instant: Instant) -> Option<tokio::time::Instant> {
        self.origin
            .checked_add(core::time::Duration::from_millis(instant.as_millis()))
    }

    pub(crate) fn next_stream(&self) -> u64 {
        self.next_stream.fetch_add(1, Ordering::Relaxed)
    }

    /// Queues a message; waits for room if that is the policy.
    pub(crate) async fn enqueue(&self, message: Message) -> Result<Delivery, PublishError> {
        message.check()?;
        if self.when_full == WhenFull::DropOldest {
            return self.push_dropping(message);
        }
        let weight = self.weight(&message);
        let closed = |_| PublishError::Closed;
        let place = Arc::clone(&self.messages).acquire_owned().await;
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(weight).await;
        let room = Room {
            _message: place.map_err(closed)?,
            _bytes: bytes.map_err(closed)?,
        };
        self.push(message, room)
    }

    /// Queues a message now, or not at all.
    pub(crate) fn try_enqueue(&self, message: Message) -> Result<Delivery, PublishError> {
        message.check()?;
        if self.when_full == WhenFull::DropOldest {
            return self.push_dropping(message);
        }
        let room = self.room(self.weight(&message))?;
        self.push(message, room)
    }

    fn push_dropping(&self, message: Message) -> Result<Delivery, PublishError> {
        let weight = self.weight(&message);
        let room = loop {
            match self.room(weight) {
                Err(PublishError::QueueFull) => {
                    if !locked(&self.outbox).drop_oldest() {
                        // Everything in the queue is on its way already.
                        return Err(PublishError::QueueFull);
                    }
                }
                other => break other?,
            }
        };
        self.push(message, room)
    }

    fn push(&self, message: Message, room: Room) -> Result<Delivery, PublishError> {
        let (waiter, answer) = oneshot::channel();
        locked(&self.outbox).push(message, self.now(), room, waiter)?;
        self.wake.notify_one();
        Ok(Delivery(answer))
    }

    fn room(&self, weight: u32) -> Result<Room, PublishError> {
        use tokio::sync::TryAcquireError;
        let full = |error| match error {
            TryAcquireError::NoPermits => PublishError::QueueFull,
            TryAcquireError::Closed => PublishError::Closed,
        };
        Ok(Room {
            _message: Arc::clone(&self.messages)
                .try_acquire_owned()
                .map_err(full)?,
            _bytes: Arc::clone(&self.bytes)
                .try_acquire_many_owned(weight)
                .map_err(full)?,
        })
    }

    fn weight(&self, message: &Message) -> u32 {
        u32::try_from(message.weight())
            .unwrap_or(u32::MAX)
            .min(self.queue_bytes)
    }

    /// A stream has taken a message that waits for its acknowledgement.
    pub(crate) fn taken(&self, delivery: DeliveryId) {
        locked(&self.taken).push(delivery);
        self.wake.notify_one();
    }

    /// The deliveries that were taken since the last call.
    pub(crate) fn take_taken(&self) -> Vec<DeliveryId> {
        core::mem::take(&mut *locked(&self.taken))
    }

    pub(crate) fn events(&self) -> Events {
        let queue = Arc::new(Queue::default());
        locked(&self.events).push(Arc::clone(&queue));
        if *self.state.borrow() == State::Ended {
            queue.close();
        }
        Events(queue)
    }

    pub(crate) fn emit(&self, event: &Event) {
        let mut events = locked(&self.events);
        // A queue that only this list knows has lost its reader.
        events.retain(|queue| Arc::strong_count(queue) > 1);
        for queue in &*events {
            queue.push(event.clone(), event::CAPACITY);
        }
    }

    /// The client has ended: nobody waits any longer.
    pub(crate) fn end(&self, error: Option<ConnectionError>) {
        *locked(&self.ended) = error;
        self.messages.close();
        self.bytes.close();
        locked(&self.outbox).end_all();
        self.emit(&Event::Ended);
        self.state.send_replace(State::Ended);
        for queue in locked(&self.events).drain(..) {
            queue.close();
        }
    }
}
