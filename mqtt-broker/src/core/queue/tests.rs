//! Tests of the queue alone.

mod away;

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
        body: Commit(0),
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
    assert!(queue.slots.capacity() <= 256, "{}", queue.slots.capacity());
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
    assert!(queue.slots.len() < 400, "{}", queue.slots.len());
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
        let Taken::Loaded(queued) = queued else {
            unreachable!()
        };
        gone.push(queued.message.payload().to_vec());
    });
    assert_eq!(gone, [b"late"]);
    assert_eq!((queue.len(), queue.next(Seq(1))), (2, Some(stays)));
    assert_eq!(queue.expires, Some(Instant::from_millis(99)));
    queue.take_expired(begun.next(), Instant::from_millis(200), |_| {});
    assert_eq!(queue.len(), 1, "long after its end it goes as well");
}
