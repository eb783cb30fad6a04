//! The messages of one session that wait or are in flight.

use std::collections::VecDeque;
use std::sync::Arc;

use mqtt_codec::QoS;
use mqtt_session::Seq;

use super::ids::GroupId;
use super::message::{Ids, Message};

/// A message for one session.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) message: Arc<Message>,
    pub(super) ids: Ids,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// The shared group that chose this session for it.
    pub(super) group: Option<GroupId>,
}

/// One ordered sequence: a place is given once, and found by subtraction.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// The place of the first entry.
    first: u64,
    entries: VecDeque<Option<Queued>>,
    /// Entries that are not yet done.
    live: usize,
    bytes: u64,
}

impl Queue {
    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// Bytes of the messages in it; a message that several sessions share counts in each.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn push(&mut self, queued: Queued) -> Seq {
        self.bytes += queued.message.size() as u64;
        self.live += 1;
        self.entries.push_back(Some(queued));
        Seq(self.first + self.entries.len() as u64 - 1)
    }

    pub(super) fn get(&self, seq: Seq) -> Option<&Queued> {
        self.entries
            .get(usize::try_from(seq.0.checked_sub(self.first)?).ok()?)?
            .as_ref()
    }

    /// The first message at or after `from`.
    pub(super) fn next(&self, from: Seq) -> Option<Seq> {
        let skip = usize::try_from(from.0.saturating_sub(self.first)).ok()?;
        let (at, _) = self
            .entries
            .iter()
            .enumerate()
            .skip(skip)
            .find(|(_, entry)| entry.is_some())?;
        Some(Seq(self.first + at as u64))
    }

    /// Takes a message out.
    pub(super) fn take(&mut self, seq: Seq) -> Option<Queued> {
        let at = usize::try_from(seq.0.checked_sub(self.first)?).ok()?;
        let queued = self.entries.get_mut(at)?.take()?;
        self.live -= 1;
        self.bytes -= queued.message.size() as u64;
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.first += 1;
        }
        if self.entries.is_empty() && self.entries.capacity() > 64 {
            self.entries = VecDeque::new();
        }
        Some(queued)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(payload: &str) -> Queued {
        let message = Arc::new(Message::new(
            "t",
            &[],
            payload.as_bytes(),
            QoS::AtLeastOnce,
            false,
        ));
        Queued {
            message,
            ids: Ids::None,
            qos: QoS::AtLeastOnce,
            retain: false,
            group: None,
        }
    }

    #[test]
    fn places_grow_and_never_come_back() {
        let mut queue = Queue::default();
        let [a, b, c] = ["a", "b", "c"].map(|payload| queue.push(queued(payload)));
        assert_eq!((a, b, c), (Seq(0), Seq(1), Seq(2)));
        assert!(queue.take(b).is_some());
        assert!(queue.take(b).is_none(), "done once");
        assert_eq!(queue.next(Seq(1)), Some(c));
        assert!(queue.take(a).is_some());
        assert_eq!(queue.next(Seq(0)), Some(c));
        assert!(queue.get(a).is_none());
        queue.take(c);
        assert_eq!(
            (queue.len(), queue.bytes(), queue.next(Seq(0))),
            (0, 0, None)
        );
        assert_eq!(queue.push(queued("d")), Seq(3));
    }
}
