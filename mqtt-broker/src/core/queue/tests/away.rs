//! Messages that are only in the store: they come back as they went, in their order, and count the same meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use mqtt_codec::{QoS, SubscriptionId};
use mqtt_session::{Commit, Instant, Seq};

use super::super::slot::{SPAN, Slot};
use super::super::{Needed, Queue, Queued, Stored, Taken};
use crate::core::ids::GroupId;
use crate::core::message::{Ids, Message};
use crate::core::store::{Memory, Record, Store, Unreadable};

/// Keeps messages as bytes, by number, and gives them back until it is told that they are damaged.
#[derive(Debug, Default)]
struct Shelf {
    bytes: BTreeMap<u64, (Vec<u8>, Option<Instant>)>,
    fetched: usize,
}

impl Shelf {
    fn keep(&mut self, body: u64, message: &Message) {
        let payload = message.payload().to_vec();
        self.bytes.insert(body, (payload, message.expires));
    }
}

impl Store for Shelf {
    fn record(&mut self, _: &Record<'_>) -> Commit {
        unreachable!()
    }

    fn latest(&self) -> Commit {
        unreachable!()
    }

    fn commit(&mut self) {}

    fn committed(&self) -> Commit {
        unreachable!()
    }

    fn fetch(&mut self, body: Commit) -> Result<Arc<Message>, Unreadable> {
        let (payload, expires) = self.bytes.get(&body.0).ok_or_else(|| Unreadable {
            body,
            why: "damaged".into(),
        })?;
        self.fetched += 1;
        let mut message = Message::new("t", &[], payload, QoS::AtLeastOnce, false);
        message.expires = *expires;
        Ok(Arc::new(message))
    }
}

fn queued(copy: u64, body: u64, payload: &[u8]) -> Queued {
    Queued {
        message: Arc::new(Message::new("t", &[], payload, QoS::AtLeastOnce, false)),
        copy: Commit(copy),
        body: Commit(body),
        ids: Ids::None,
        qos: QoS::AtLeastOnce,
        retain: false,
        group: None,
    }
}

fn stored(copy: u64, body: u64) -> Stored {
    queued(copy, body, b"x").stored()
}

fn id(number: u32) -> SubscriptionId {
    SubscriptionId::new(number).unwrap()
}

const GROUP: GroupId = GroupId {
    slot: 3,
    generation: 9,
};

/// What can be told of a message, wherever it is.
type Seen = (
    u64,
    u64,
    QoS,
    bool,
    Vec<u32>,
    Option<GroupId>,
    Vec<u8>,
    Option<u64>,
);

fn seen(queued: &Queued) -> Seen {
    (
        queued.copy.0,
        queued.body.0,
        queued.qos,
        queued.retain,
        queued.ids.as_slice().iter().map(|id| id.get()).collect(),
        queued.group,
        queued.message.payload().to_vec(),
        queued.message.expires.map(Instant::as_millis),
    )
}

/// A small generator: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Whatever is pushed, taken, put away and loaded in whatever order: the queue holds what a plain map does, and counts the same.
#[test]
fn what_is_put_away_comes_back_the_same() {
    for seed in 1..=200 {
        let mut random = Random(seed * 0x9E37_79B9);
        let (mut queue, mut shelf) = (Queue::default(), Shelf::default());
        let mut model: BTreeMap<Seq, Seen> = BTreeMap::new();
        let (mut copy, mut loads) = (0, 0);
        for _ in 0..400 {
            match random.below(8) {
                0..=3 => {
                    copy += 1 + random.below(3);
                    let payload = vec![copy as u8; random.below(300) as usize];
                    let mut next = queued(copy, copy - random.below(copy), &payload);
                    if random.below(5) == 0 {
                        // Not in the store.
                        next.body = Commit(0);
                        next.qos = QoS::AtMostOnce;
                    } else {
                        next.qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][random.below(2) as usize];
                    }
                    next.retain = random.below(2) == 0;
                    next.group = (random.below(3) == 0).then_some(GROUP);
                    let ids = 1..1 + random.below(4) as u32;
                    next.ids = ids.map(|number| id(number * 1_000)).collect();
                    if random.below(3) == 0 {
                        let mut message = Message::new("t", &[], &payload, QoS::AtLeastOnce, false);
                        message.expires = Some(Instant::from_millis(random.below(10_000)));
                        next.message = Arc::new(message);
                    }
                    // A body is kept once: what has the same number is the same.
                    if let Some((known, expires)) = shelf.bytes.get(&next.body.0) {
                        let mut message = Message::new("t", &[], known, QoS::AtLeastOnce, false);
                        message.expires = *expires;
                        next.message = Arc::new(message);
                    }
                    shelf.keep(next.body.0, &next.message);
                    shelf.bytes.remove(&0);
                    let told = seen(&next);
                    model.insert(queue.push(next), told);
                }
                4 => {
                    let needed = if random.below(2) == 0 {
                        Needed::Nothing
                    } else {
                        Needed::From(Seq(random.below(queue.end().0 + 1)))
                    };
                    let kept = Commit(random.below(copy + 2));
                    let waits = queue.put_away(needed, kept);
                    assert!(waits.is_none_or(|waits| waits > kept));
                }
                5 => {
                    let seq = Seq(random.below(queue.end().0 + 1));
                    let index = queue.load(seq, &mut shelf).unwrap();
                    let got = index.map(|index| seen(queue.at(index).unwrap()));
                    assert_eq!(got.as_ref(), model.get(&seq), "seed {seed}");
                    loads += usize::from(got.is_some());
                }
                6 => {
                    let seq = Seq(random.below(queue.end().0 + 1));
                    let taken = queue.take(seq).map(|taken| {
                        let (qos, group, copy) = (taken.qos(), taken.group(), taken.copy());
                        let loaded = taken.load(&mut shelf).unwrap();
                        assert_eq!((qos, group), (loaded.qos, loaded.group));
                        assert_eq!(copy, loaded.copy);
                        seen(&loaded)
                    });
                    assert_eq!(taken, model.remove(&seq), "seed {seed}");
                }
                _ => {
                    let from = Seq(random.below(queue.end().0 + 1));
                    let mut gone = 0;
                    queue.take_if(
                        from,
                        |view| view.group == Some(GROUP) && view.qos == QoS::ExactlyOnce,
                        |_| gone += 1,
                    );
                    let stays = |seq: &Seq, of: &mut Seen| {
                        !(*seq >= from && of.5 == Some(GROUP) && of.2 == QoS::ExactlyOnce)
                    };
                    let before = model.len();
                    model.retain(stays);
                    assert_eq!(gone, before - model.len(), "seed {seed}");
                }
            }
            assert_eq!(queue.len(), model.len(), "seed {seed}");
            let bytes: usize = (model.values())
                .map(|of| Message::new("t", &[], &of.6, of.2, of.3).size())
                .sum();
            assert_eq!(queue.bytes(), bytes as u64, "seed {seed}");
            let zero = model.values().any(|of| of.2 == QoS::AtMostOnce);
            assert_eq!(queue.holds_at_most_once(), zero, "seed {seed}");
        }
        // To the end, in order.
        let mut at = Seq::default();
        while let Some(seq) = queue.next(at) {
            at = seq.next();
            let copy = queue.copy(seq).unwrap();
            let index = queue.load(seq, &mut shelf).unwrap().unwrap();
            let got = seen(queue.at(index).unwrap());
            assert_eq!(copy.0, got.0);
            assert_eq!(Some(got), model.remove(&seq), "seed {seed}");
            queue.take(seq);
        }
        assert!(model.is_empty(), "seed {seed}");
        assert_eq!((queue.len(), queue.bytes(), queue.in_memory()), (0, 0, 0));
        assert!(loads > 10 && shelf.fetched > 10, "seed {seed}");
    }
}

/// A million that wait take 24 bytes each and at most an eighth more; messages themselves take nothing.
#[test]
fn what_waits_takes_24_bytes_a_message() {
    assert_eq!(size_of::<Slot>(), 24);
    for count in [10_000_u64, 1_000_000] {
        let mut queue = Queue::default();
        let mut most = 0;
        for copy in 1..=count {
            queue.push(queued(copy, copy, b"x"));
            if queue.wants_putting_away(Needed::Nothing) && copy % 100 == 0 {
                most = most.max(queue.in_memory());
                assert_eq!(queue.put_away(Needed::Nothing, Commit(copy)), None);
                assert_eq!(queue.in_memory(), 0);
            }
        }
        assert!(most <= 100, "{most}");
        let slots = queue.slots.capacity() as u64;
        assert!(slots <= count + count / 8, "{slots} places for {count}");
        let others = queue.loaded.capacity();
        assert!(others <= 256, "room for {others} in memory");
        let mut filled = Queue::default();
        for copy in 1..=count {
            filled.push_stored(stored(copy, copy)).unwrap();
        }
        assert_eq!((filled.len(), filled.in_memory()), (count as usize, 0));
        assert!(filled.slots.capacity() as u64 <= count + count / 8);
    }
}

/// Of a client that reads slowly, what comes next stays in memory, and what is in flight; of one that reads large messages, the next one.
#[test]
fn what_comes_next_stays_in_memory() {
    let mut queue = Queue::default();
    for copy in 1..=1_000 {
        queue.push(queued(copy, copy, b"x"));
    }
    let cursor = Needed::From(Seq(100));
    assert!(queue.wants_putting_away(cursor));
    assert_eq!(queue.put_away(cursor, Commit(900)), Some(Commit(1_000)));
    assert_eq!(queue.in_memory(), 100 + 64 + 100);
    assert_eq!(queue.put_away(cursor, Commit(1_000)), None);
    assert_eq!(queue.in_memory(), 100 + 64);
    assert!(queue.get(Seq(163)).is_some() && queue.get(Seq(164)).is_none());
    // Not again before that has doubled: what is in flight is gone through each time.
    for copy in 1_001..=1_228 {
        assert!(!queue.wants_putting_away(cursor), "{copy}");
        queue.push(queued(copy, copy, b"x"));
    }
    queue.push(queued(1_229, 1_229, b"x"));
    assert!(queue.wants_putting_away(cursor));

    let mut queue = Queue::default();
    let large = vec![0; 100_000];
    for copy in 1..=5 {
        queue.push(queued(copy, copy, &large));
    }
    let cursor = Needed::From(Seq(1));
    assert!(queue.wants_putting_away(cursor));
    assert_eq!(queue.put_away(cursor, Commit(5)), None);
    assert_eq!(queue.in_memory(), 2);
    assert!(
        !queue.wants_putting_away(Needed::From(Seq(4))),
        "it keeps up"
    );
}

/// A store that keeps nothing has nothing put away, and is not even asked.
#[test]
fn without_a_store_everything_stays() {
    let mut queue = Queue::default();
    for _ in 0..10_000 {
        queue.push(queued(5, 0, b"x"));
    }
    assert!(!queue.wants_putting_away(Needed::Nothing));
    assert_eq!(queue.put_away(Needed::Nothing, Commit(9)), None);
    assert_eq!(queue.in_memory(), 10_000);
}

/// Numbers that a slot has no room for: the message stays in memory, and a restart is told so.
#[test]
fn what_does_not_fit_stays_in_memory() {
    let far = u64::from(u32::MAX);
    let mut queue = Queue::default();
    assert!(queue.push_stored(stored(far + 1, 1)).is_ok());
    assert!(queue.push_stored(stored(far + 2, 1)).is_err());
    assert!(queue.push_stored(stored((1 << 48) - 1, 1 << 47)).is_err());
    let last = (1 << 48) - 1;
    assert!(queue.push_stored(stored(last, last)).is_ok());
    assert!(queue.push_stored(stored(last + 1, last + 1)).is_err());
    assert!(queue.push_stored(stored(3, 4)).is_err(), "before its body");
    let mut late = stored(8, 8);
    late.expires = Some(Instant::from_millis(far * 1_000));
    assert!(queue.push_stored(late.clone()).is_ok());
    late.size = 1 << 28;
    assert!(queue.push_stored(late).is_err());
    assert_eq!(queue.len(), 3);
    let Some(Taken::Stored(first)) = queue.take(Seq(0)) else {
        panic!()
    };
    assert_eq!((first.copy, first.body), (Commit(far + 1), Commit(1)));
    let place = queue.push(queued(far + 2, 1, b"x"));
    assert_eq!(queue.put_away(Needed::Nothing, Commit(u64::MAX)), None);
    assert!(queue.get(place).is_some());
}

/// An expiry that is too far away for a slot, as the largest interval there is, keeps no message in memory: it is the message's own to say.
#[test]
fn what_expires_in_a_hundred_years_is_put_away() {
    let mut queue = Queue::default();
    for millis in [u64::from(u32::MAX) * 1_000 + 5_000, u64::MAX] {
        let mut late = queued(9, 9, b"x");
        let mut message = Message::new("t", &[], b"x", QoS::AtLeastOnce, false);
        message.expires = Some(Instant::from_millis(millis));
        late.message = Arc::new(message);
        let (mut shelf, stored) = (Shelf::default(), late.stored());
        shelf.keep(9, &late.message);
        let place = queue.push(late);
        assert!(queue.push_stored(stored).is_ok());
        queue.put_away(Needed::Nothing, Commit(9));
        assert_eq!(queue.in_memory(), 0);
        queue.take_expired(Seq(0), Instant::from_millis(1 << 40), |_| unreachable!());
        let index = queue.load(place, &mut shelf).unwrap().unwrap();
        let loaded = queue.at(index).unwrap();
        assert_eq!(loaded.message.expires, Some(Instant::from_millis(millis)));
        queue.take(place);
    }
}

/// A queue knows some thousands of different subscription identifiers and groups; with more, messages stay in memory.
#[test]
fn terms_have_an_end_and_are_forgotten() {
    let mut queue = Queue::default();
    for number in 1..=4_095 {
        let mut one = stored(u64::from(number), 1);
        one.ids = Ids::one(Some(id(number)));
        queue.push_stored(one).unwrap();
    }
    let mut one = stored(5_000, 1);
    one.ids = Ids::one(Some(id(5_000)));
    assert!(queue.push_stored(one.clone()).is_err());
    assert!(!queue.set_group(Seq(0), GROUP), "these are new terms, too");
    one.ids = Ids::one(Some(id(77)));
    let again = queue.push_stored(one).unwrap();
    let Some(Taken::Stored(again)) = queue.take(again) else {
        panic!()
    };
    assert_eq!(again.ids, Ids::one(Some(id(77))));
    for place in 0..4_095 {
        let Some(Taken::Stored(one)) = queue.take(Seq(place)) else {
            panic!()
        };
        assert_eq!(one.ids, Ids::one(Some(id(place as u32 + 1))));
    }
    assert!(queue.terms.is_none());
    let place = queue.push_stored(stored(6_000, 6_000)).unwrap();
    assert!(queue.set_group(place, GROUP));
    assert_eq!(queue.view(place).unwrap().group, Some(GROUP));
    let taken = queue.take(place).unwrap();
    assert_eq!(taken.group(), Some(GROUP));
    assert_eq!(taken.copy(), Commit(6_000));
}

/// What cannot be read stays where it is until somebody decides; the others are not touched.
#[test]
fn what_cannot_be_read_is_said_and_stays() {
    let (mut queue, mut shelf) = (Queue::default(), Shelf::default());
    for copy in 1..=3 {
        let next = queued(copy, copy, b"x");
        shelf.keep(copy, &next.message);
        queue.push(next);
    }
    queue.put_away(Needed::Nothing, Commit(3));
    shelf.bytes.remove(&2);
    assert!(queue.load(Seq(0), &mut shelf).unwrap().is_some());
    let error = queue.load(Seq(1), &mut shelf).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the message that record 2 brought cannot be read: damaged"
    );
    assert_eq!((queue.len(), queue.copy(Seq(1))), (3, Some(Commit(2))));
    assert!(queue.take(Seq(1)).unwrap().load(&mut shelf).is_err());
    assert!(queue.load(Seq(2), &mut shelf).unwrap().is_some());
    assert!(
        queue
            .load(Seq(1), &mut Memory::default())
            .unwrap()
            .is_none()
    );
}

/// What waits in the store expires as well, within a second; what has begun does not.
#[test]
fn what_is_stored_expires() {
    let (mut queue, mut shelf) = (Queue::default(), Shelf::default());
    for (copy, expires) in [(1, 10_000), (2, 10_001), (3, 0), (4, 12_000)] {
        let mut next = queued(copy, copy, b"x");
        let mut message = Message::new("t", &[], b"x", QoS::AtLeastOnce, false);
        message.expires = (expires > 0).then(|| Instant::from_millis(expires));
        next.message = Arc::new(message);
        shelf.keep(copy, &next.message);
        queue.push(next);
    }
    queue.put_away(Needed::Nothing, Commit(4));
    let expired = |queue: &mut Queue, from, now| {
        let mut gone = Vec::new();
        queue.take_expired(Seq(from), Instant::from_millis(now), |taken| {
            assert!(taken.expired(Instant::from_millis(now)));
            gone.push(taken.copy().0);
        });
        gone
    };
    assert_eq!(expired(&mut queue, 0, 9_999), [0_u64; 0]);
    assert_eq!(
        expired(&mut queue, 1, 10_500),
        [0_u64; 0],
        "the first has begun"
    );
    assert_eq!(expired(&mut queue, 1, 11_000), [2]);
    assert_eq!(expired(&mut queue, 0, 99_000), [1, 4]);
    assert_eq!(queue.next(Seq(0)), Some(Seq(2)));
    let index = queue.load(Seq(2), &mut shelf).unwrap().unwrap();
    assert_eq!(queue.at(index).unwrap().message.expires, None);
}

/// Places are kept modulo 2^36: further apart than that no two of a queue may be, and a queue says when it has come so far.
#[test]
fn a_queue_says_when_it_has_used_up_its_places() {
    let mut queue = Queue::starting_at(Seq(SPAN - 2));
    let first = queue.push(queued(1, 1, b"first"));
    for _ in 0..5 {
        let next = queue.push(queued(2, 2, b"x"));
        queue.take(next);
    }
    assert_eq!(
        queue.next(Seq(0)),
        Some(first),
        "beyond the end of the count"
    );
    assert!(queue.has_place());
    // A long time later.
    queue.next = first.0 + SPAN - 1;
    assert!(queue.has_place());
    let last = queue.push(queued(3, 3, b"last"));
    assert!(!queue.has_place());
    assert_eq!(queue.get(first).unwrap().message.payload(), b"first");
    assert_eq!(queue.get(last).unwrap().message.payload(), b"last");
    assert_eq!(queue.next(first.next()), Some(last));
    queue.take(first);
    assert!(queue.has_place());
    assert_eq!(queue.next(Seq(0)), Some(last));
}
