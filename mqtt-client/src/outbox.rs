//! Messages that wait to be sent or acknowledged, as the session sees them.

use std::collections::VecDeque;

use bytes::Bytes;
use mqtt_codec::ReasonCode;
use mqtt_session::{Change, Instant, Limits, Outcome, OutgoingMessage, Owner, Seq};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::delivery::Ack;
use crate::error::PublishError;
use crate::message::Message;

/// The end of a publisher's wait.
pub(crate) type Waiter = oneshot::Sender<Result<Ack, PublishError>>;

/// A place in the bounded queue, given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) _message: OwnedSemaphorePermit,
    pub(crate) _bytes: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Entry {
    message: Message,
    expires: Option<Instant>,
    waiter: Waiter,
    room: Room,
    /// The server owns the message; what is missing is the end of the handshake.
    received: Option<ReasonCode>,
}

/// The one ordered sequence of outgoing messages.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    entries: VecDeque<Option<Entry>>,
    /// The place of the first entry.
    first: u64,
    /// How many entries are there.
    len: usize,
    /// The session has not pulled anything at or behind this place.
    pub(crate) cursor: Seq,
    /// Nothing more is taken.
    pub(crate) closed: bool,
}

impl Outbox {
    /// Appends a message; refused when the client is ending.
    pub(crate) fn push(
        &mut self,
        message: Message,
        now: Instant,
        room: Room,
        waiter: Waiter,
    ) -> Result<(), PublishError> {
        if self.closed {
            return Err(PublishError::Closed);
        }
        let expires = message
            .expiry()
            .map(|time| now.plus_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
        self.entries.push_back(Some(Entry {
            message,
            expires,
            waiter,
            room,
            received: None,
        }));
        self.len += 1;
        Ok(())
    }

    /// Lets the oldest message go that the session has not pulled yet; says whether there was one.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let start = self.index(self.cursor).unwrap_or(0);
        let oldest = (start..self.entries.len())
            .find(|&at| self.entries.get(at).is_some_and(Option::is_some));
        let Some(at) = oldest else { return false };
        self.end(Seq(self.first + at as u64), Err(PublishError::Dropped));
        true
    }

    /// How many messages wait, or are on their way.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The payload of a message whose head was written, shared.
    pub(crate) fn payload(&self, seq: Seq) -> Bytes {
        self.entry(seq)
            .map(|entry| entry.message.payload().clone())
            .unwrap_or_default()
    }

    /// Takes a QoS 0 message out: its payload, and who waits for it to be written.
    pub(crate) fn take(&mut self, seq: Seq) -> Option<(Bytes, Written)> {
        let mut entry = self.remove(seq)?;
        let payload = entry.message.take_payload();
        let written = Written {
            waiter: entry.waiter,
            _room: entry.room,
        };
        Some((payload, written))
    }

    /// The client has ended: everybody who waits is told so.
    pub(crate) fn end_all(&mut self) {
        self.closed = true;
        for entry in core::mem::take(&mut self.entries).into_iter().flatten() {
            // Nobody may be waiting any more.
            let _ = entry.waiter.send(Err(PublishError::Closed));
        }
        self.len = 0;
    }

    fn index(&self, seq: Seq) -> Option<usize> {
        usize::try_from(seq.0.checked_sub(self.first)?).ok()
    }

    fn entry(&self, seq: Seq) -> Option<&Entry> {
        self.entries.get(self.index(seq)?)?.as_ref()
    }

    fn entry_mut(&mut self, seq: Seq) -> Option<&mut Entry> {
        let index = self.index(seq)?;
        self.entries.get_mut(index)?.as_mut()
    }

    fn remove(&mut self, seq: Seq) -> Option<Entry> {
        let index = self.index(seq)?;
        let entry = self.entries.get_mut(index)?.take()?;
        self.len -= 1;
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.first += 1;
        }
        Some(entry)
    }

    fn end(&mut self, seq: Seq, result: Result<Ack, PublishError>) {
        if let Some(entry) = self.remove(seq) {
            // A publisher that no longer waits does not take its message back.
            let _ = entry.waiter.send(result);
        }
    }
}

impl mqtt_session::Outbox for Outbox {
    fn next(&mut self, from: Seq) -> Option<Seq> {
        let start = self.index(from).unwrap_or(0);
        (start..self.entries.len())
            .find(|&at| {
                let entry = self.entries.get(at).and_then(Option::as_ref);
                entry.is_some_and(|entry| entry.received.is_none())
            })
            .map(|at| Seq(self.first + at as u64))
    }

    fn message(&mut self, seq: Seq) -> Option<OutgoingMessage<'_>> {
        let entry = self.entry(seq).filter(|entry| entry.received.is_none())?;
        let message = &entry.message;
        Some(OutgoingMessage {
            topic: message.topic(),
            qos: message.quality(),
            retain: message.is_retained(),
            expires: entry.expires,
            subscription_ids: &[],
            properties: message.properties(),
            payload_len: u32::try_from(message.payload().len()).unwrap_or(u32::MAX),
        })
    }

    fn done(&mut self, seq: Seq, outcome: Outcome) {
        let result = match outcome {
            Outcome::Acknowledged(reason) => Ok(Ack { reason }),
            Outcome::Received(reason) => {
                if let Some(entry) = self.entry_mut(seq) {
                    entry.received = Some(reason);
                    drop(entry.message.take_payload());
                }
                return;
            }
            Outcome::Refused(reason) => Err(PublishError::Refused(reason)),
            Outcome::Expired => Err(PublishError::Expired),
            Outcome::TooLarge => Err(PublishError::TooLarge),
            _ => Err(PublishError::Refused(ReasonCode::UNSPECIFIED_ERROR)),
        };
        self.end(seq, result);
    }

    fn complete(&mut self, seq: Seq, reason: ReasonCode) {
        // PUBREC has the more telling reason, for instance that nobody had subscribed.
        let reason = self
            .entry(seq)
            .and_then(|entry| entry.received)
            .unwrap_or(reason);
        self.end(seq, Ok(Ack { reason }));
    }
}

/// A QoS 0 message whose bytes wait in the output buffer.
#[derive(Debug)]
pub(crate) struct Written {
    waiter: Waiter,
    _room: Room,
}

impl Written {
    /// The transport has taken its last byte.
    pub(crate) fn done(self) {
        let _ = self.waiter.send(Ok(Ack {
            reason: ReasonCode::SUCCESS,
        }));
    }

    /// The connection broke before.
    pub(crate) fn lost(self) {
        let _ = self.waiter.send(Err(PublishError::ConnectionLost));
    }
}

/// The outbox with what else the session asks its owner for.
#[derive(Debug)]
pub(crate) struct SessionOwner<'a> {
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) limits: &'a Limits,
}

impl mqtt_session::Outbox for SessionOwner<'_> {
    fn next(&mut self, from: Seq) -> Option<Seq> {
        mqtt_session::Outbox::next(self.outbox, from)
    }
    fn message(&mut self, seq: Seq) -> Option<OutgoingMessage<'_>> {
        self.outbox.message(seq)
    }
    fn done(&mut self, seq: Seq, outcome: Outcome) {
        self.outbox.done(seq, outcome);
    }
    fn complete(&mut self, seq: Seq, reason: ReasonCode) {
        self.outbox.complete(seq, reason);
    }
}

impl Owner for SessionOwner<'_> {
    type Gate = ();

    fn record(&mut self, _change: Change) {}

    fn committed(&self) {}

    fn limits(&self) -> &Limits {
        self.limits
    }
}
