//! The messages of one session that wait or are in flight.

use std::collections::VecDeque;
use std::sync::Arc;

use mqtt_codec::QoS;
use mqtt_session::{Commit, Instant, Seq};

use super::ids::GroupId;
use super::message::{Ids, Message};

/// A message for one session.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) message: Arc<Message>,
    /// The number of its record in the store; 0 when it has none.
    pub(super) copy: Commit,
    pub(super) ids: Ids,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// The shared group that chose this session for it.
    pub(super) group: Option<GroupId>,
}

#[derive(Debug)]
struct Entry {
    seq: u64,
    queued: Option<Queued>,
}

/// One ordered sequence: a place is given once, and found by subtraction as long as nothing was taken from the middle.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Places ascend. The first is not empty; at most half of the others are, a few aside.
    entries: VecDeque<Entry>,
    /// The place of the next message.
    next: u64,
    /// Messages in it.
    live: usize,
    /// Those of QoS 0 among them.
    at_most_once: usize,
    bytes: u64,
    /// No message in it expires before.
    expires: Option<Instant>,
}

impl Queue {
    /// Empty places that are not worth closing up for.
    const GAPS: usize = 64;

    /// An empty queue that goes on where an earlier one ended.
    pub(super) fn starting_at(next: Seq) -> Self {
        Self {
            next: next.0,
            ..Self::default()
        }
    }

    /// The place of the next message.
    pub(super) const fn end(&self) -> Seq {
        Seq(self.next)
    }

    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// Whether a message of QoS 0 waits, which later ones must not overtake.
    pub(super) const fn holds_at_most_once(&self) -> bool {
        self.at_most_once > 0
    }

    /// Bytes of the messages in it; a message that several sessions share counts in each.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn push(&mut self, queued: Queued) -> Seq {
        self.bytes += queued.message.size() as u64;
        self.live += 1;
        self.at_most_once += usize::from(queued.qos == QoS::AtMostOnce);
        if let Some(expires) = queued.message.expires {
            self.expires = Some(self.expires.map_or(expires, |known| known.min(expires)));
        }
        let seq = self.next;
        self.next += 1;
        self.entries.push_back(Entry {
            seq,
            queued: Some(queued),
        });
        Seq(seq)
    }

    /// Where `seq` is, or would be.
    fn find(&self, seq: Seq) -> Result<usize, usize> {
        let first = self.entries.front().map_or(self.next, |entry| entry.seq);
        let Some(distance) = seq.0.checked_sub(first) else {
            return Err(0);
        };
        if let Ok(at) = usize::try_from(distance)
            && self.entries.get(at).is_some_and(|entry| entry.seq == seq.0)
        {
            return Ok(at);
        }
        self.entries.binary_search_by_key(&seq.0, |entry| entry.seq)
    }

    pub(super) fn get(&self, seq: Seq) -> Option<&Queued> {
        self.entries.get(self.find(seq).ok()?)?.queued.as_ref()
    }

    pub(super) fn get_mut(&mut self, seq: Seq) -> Option<&mut Queued> {
        let at = self.find(seq).ok()?;
        self.entries.get_mut(at)?.queued.as_mut()
    }

    /// The first message at or after `from`.
    pub(super) fn next(&self, from: Seq) -> Option<Seq> {
        let (Ok(at) | Err(at)) = self.find(from);
        self.entries
            .iter()
            .skip(at)
            .find(|entry| entry.queued.is_some())
            .map(|entry| Seq(entry.seq))
    }

    /// Takes a message out.
    pub(super) fn take(&mut self, seq: Seq) -> Option<Queued> {
        let at = self.find(seq).ok()?;
        let queued = self.entries.get_mut(at)?.queued.take()?;
        self.forget(&queued);
        self.close_up();
        Some(queued)
    }

    /// Takes out, from `from` on, every message for which `test` says so.
    pub(super) fn take_if(
        &mut self,
        from: Seq,
        test: impl Fn(&Queued) -> bool,
        mut taken: impl FnMut(Queued),
    ) {
        let (Ok(at) | Err(at)) = self.find(from);
        for index in at..self.entries.len() {
            let found = self
                .entries
                .get_mut(index)
                .and_then(|entry| entry.queued.take_if(|queued| test(queued)));
            if let Some(queued) = found {
                self.forget(&queued);
                taken(queued);
            }
        }
        self.close_up();
    }

    /// Takes out what has expired, from `from` on: delivery of what stands before has begun.
    pub(super) fn take_expired(&mut self, from: Seq, now: Instant, taken: impl FnMut(Queued)) {
        if self.expires.is_none_or(|expires| expires > now) {
            return;
        }
        self.take_if(from, |queued| queued.message.expired(now), taken);
        // What has begun does not expire any more, so it must not bring us here again and again.
        let (Ok(at) | Err(at)) = self.find(from);
        self.expires = self
            .entries
            .iter()
            .skip(at)
            .filter_map(|entry| entry.queued.as_ref()?.message.expires)
            .min();
    }

    fn forget(&mut self, queued: &Queued) {
        self.live -= 1;
        self.at_most_once -= usize::from(queued.qos == QoS::AtMostOnce);
        self.bytes -= queued.message.size() as u64;
    }

    /// Closes gaps, so that neither the first message, if it is never acknowledged, nor an earlier flood keeps memory for long.
    fn close_up(&mut self) {
        while let Some(Entry { queued: None, .. }) = self.entries.front() {
            self.entries.pop_front();
        }
        if self.entries.len() > 2 * self.live + Self::GAPS {
            self.entries.retain(|entry| entry.queued.is_some());
        }
        if self.entries.capacity() > Self::GAPS && self.entries.len() < self.entries.capacity() / 8
        {
            self.entries.shrink_to(self.entries.len() * 2);
        }
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
            copy: Commit(0),
            ids: Ids::None,
            qos: QoS::AtLeastOnce,
            retain: false,
            group: None,
        }
    }

    fn expiring(payload: &str, at: u64) -> Queued {
        let mut queued = queued(payload);
        let mut message = Message::new("t", &[], payload.as_bytes(), QoS::AtLeastOnce, false);
        message.expires = Some(Instant::from_millis(at));
        queued.message = Arc::new(message);
        queued
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
        let mut later = Queue::starting_at(queue.end());
        assert_eq!(later.push(queued("e")), Seq(4));
    }

    /// A client that never acknowledges its first message, but all others, made the queue grow by a place for each of them.
    #[test]
    fn one_message_that_stays_keeps_no_memory_of_those_that_went() {
        let mut queue = Queue::default();
        let first = queue.push(queued("first"));
        for _ in 0..100_000 {
            let seq = queue.push(queued("x"));
            assert!(queue.take(seq).is_some());
        }
        assert!(
            queue.entries.capacity() <= 256,
            "{}",
            queue.entries.capacity()
        );
        let last = queue.push(queued("last"));
        assert_eq!(last, Seq(100_001));
        assert_eq!(queue.next(Seq(1)), Some(last));
        assert_eq!(queue.get(last).unwrap().message.payload(), b"last");
        assert_eq!(queue.get(first).unwrap().message.payload(), b"first");
        assert!(queue.get(Seq(77)).is_none());
        assert_eq!(queue.len(), 2);
    }

    /// Where much was taken from the middle, the others are still found by their places.
    #[test]
    fn what_stays_between_gaps_is_found() {
        let mut queue = Queue::default();
        let all: Vec<Seq> = (0..600)
            .map(|number| queue.push(queued(&number.to_string())))
            .collect();
        let stays = |seq: &Seq| seq.0.is_multiple_of(5);
        for &seq in all.iter().filter(|seq| !stays(seq)) {
            assert!(queue.take(seq).is_some());
        }
        assert!(queue.entries.len() < 400, "{}", queue.entries.len());
        for &seq in &all {
            let found = queue.get(seq).map(|queued| queued.message.payload());
            let expected = stays(&seq).then(|| seq.0.to_string());
            assert_eq!(found, expected.as_deref().map(str::as_bytes));
        }
    }

    /// What is taken is counted no more: neither its bytes nor its QoS 0.
    #[test]
    fn what_went_is_not_counted() {
        let mut queue = Queue::default();
        let size = queued("x").message.size() as u64;
        let places = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
            .map(|qos| queue.push(Queued { qos, ..queued("x") }));
        assert_eq!((queue.bytes(), queue.len()), (3 * size, 3));
        assert!(queue.holds_at_most_once());
        queue.take(places[0]);
        assert_eq!((queue.bytes(), queue.len()), (2 * size, 2));
        assert!(!queue.holds_at_most_once());
        queue.take(places[2]);
        assert_eq!((queue.bytes(), queue.len()), (size, 1));
    }

    #[test]
    fn what_has_begun_does_not_expire() {
        let mut queue = Queue::default();
        let begun = queue.push(expiring("begun", 10));
        queue.push(expiring("late", 10));
        let stays = queue.push(expiring("stays", 99));
        let mut gone = Vec::new();
        queue.take_expired(begun.next(), Instant::from_millis(9), |_| unreachable!());
        queue.take_expired(begun.next(), Instant::from_millis(10), |queued| {
            gone.push(queued.message.payload().to_vec());
        });
        assert_eq!(gone, [b"late"]);
        assert_eq!((queue.len(), queue.next(Seq(1))), (2, Some(stays)));
        assert_eq!(queue.expires, Some(Instant::from_millis(99)));
        queue.take_expired(begun.next(), Instant::from_millis(200), |_| {});
        assert_eq!(queue.len(), 1, "long after its end it goes as well");
    }
}
