//! The ring in RAM against a plain list, in memory of every small size and over the end of its slots.

use core::num::NonZeroU8;

use mqtt_device::Ring;
use mqtt_session::compact::{Full, Queue, Record, Slot, Stage};
use proptest::prelude::*;

/// Bytes that a packet takes beside its body, which is never empty: each packet that a client queues has a topic, a filter or an id.
const HEADER: usize = 6;
const FIRST: NonZeroU8 = NonZeroU8::new(0x32).expect("not 0");

/// A record as the list remembers it.
#[derive(Clone, Debug)]
struct Kept {
    slot: u16,
    id: u16,
    body: Vec<u8>,
    stage: Stage,
}

/// What the ring should hold: everything from the oldest record on that is not over.
#[derive(Debug, Default)]
struct Model {
    records: Vec<Kept>,
    next: u16,
}

impl Model {
    fn used(&self) -> usize {
        self.records
            .iter()
            .map(|kept| HEADER + kept.body.len())
            .sum()
    }

    fn give_back(&mut self) {
        while self
            .records
            .first()
            .is_some_and(|kept| kept.stage == Stage::DONE)
        {
            self.records.remove(0);
        }
    }
}

fn whole(ring: &Ring<'_>, record: Record) -> Vec<u8> {
    let mut body = vec![];
    while body.len() < usize::from(record.len) {
        let piece = ring.bytes(record, body.len() as u16);
        assert!(!piece.is_empty(), "a piece has bytes");
        body.extend(piece);
    }
    body
}

/// Everything that the ring says is what the list says.
fn compare(ring: &Ring<'_>, model: &Model) {
    assert_eq!(ring.used(), model.used());
    assert_eq!(ring.is_empty(), model.records.is_empty());
    let start = model.records.first().map_or(model.next, |kept| kept.slot);
    assert_eq!(ring.start(), Slot(start));
    for (at, kept) in model.records.iter().enumerate() {
        let found = ring.get(Slot(kept.slot));
        let expected = model.records[at..]
            .iter()
            .find(|kept| kept.stage != Stage::DONE);
        let Some(expected) = expected else {
            assert_eq!(found, None);
            continue;
        };
        let record = found.expect("it is not over");
        assert_eq!((record.slot, record.id), (Slot(expected.slot), expected.id));
        assert_eq!((record.stage, record.first), (expected.stage, FIRST));
        assert_eq!(whole(ring, record), expected.body);
        for from in 0..=record.len {
            let piece = ring.bytes(record, from);
            assert!(expected.body[usize::from(from)..].starts_with(piece));
        }
        let behind = model
            .records
            .iter()
            .find(|other| other.slot.wrapping_sub(start) > expected.slot.wrapping_sub(start));
        let behind = behind.map_or(model.next, |kept| kept.slot);
        assert_eq!(ring.after(record), Slot(behind));
    }
    assert_eq!(ring.get(Slot(model.next)), None);
}

fn push(ring: &mut Ring<'_>, model: &mut Model, size: usize, id: u16, body: &[u8], split: usize) {
    let (front, back) = body.split_at(split.min(body.len()));
    let pushed = ring.push(FIRST, id, &[front, &[], back]);
    if model.used() + HEADER + body.len() > size {
        assert_eq!(
            pushed,
            Err(Full),
            "{} of {size} and {}",
            model.used(),
            body.len()
        );
        return;
    }
    assert_eq!(pushed, Ok(()));
    model.records.push(Kept {
        slot: model.next,
        id,
        body: body.to_vec(),
        stage: Stage::NEW,
    });
    let len = (HEADER + body.len()) as u16;
    model.next = model.next.wrapping_add(len);
}

/// Moves the first slot of an empty ring on by about so many bytes.
fn turn(ring: &mut Ring<'_>, model: &mut Model, size: usize, bytes: usize) {
    if size <= HEADER {
        return;
    }
    for _ in 0..bytes / (HEADER + 1) {
        push(ring, model, size, 0, &[1], 0);
        ring.mark(Slot(model.records[0].slot), Stage::DONE);
        model.records.clear();
    }
}

fn run(size: usize, turned: usize, steps: &[(u8, usize, usize)]) {
    let mut memory = vec![0xAA; size];
    let mut ring = Ring::new(&mut memory);
    let mut model = Model::default();
    turn(&mut ring, &mut model, size, turned);
    for (number, &(kind, a, b)) in steps.iter().enumerate() {
        if kind < 3 {
            let body: Vec<u8> = (0..=a).map(|at| (at * 7 + number) as u8).collect();
            push(&mut ring, &mut model, size, number as u16, &body, b);
        } else if !model.records.is_empty() {
            let at = a % model.records.len();
            let stages = [Stage::SENT, Stage::RELEASED, Stage::DONE, Stage::DONE];
            let kept = &mut model.records[at];
            let stage = Stage(kept.stage.0 | stages[b % 4].0);
            kept.stage = stage;
            let slot = kept.slot;
            ring.mark(Slot(slot), stage);
            model.give_back();
        }
        compare(&ring, &model);
    }
}

fn steps() -> impl Strategy<Value = Vec<(u8, usize, usize)>> {
    prop::collection::vec((0_u8..6, 0_usize..30, 0_usize..30), 1..60)
}

proptest! {
    /// Whatever is pushed and marked in whatever order, the ring holds what a list holds.
    #[test]
    fn the_ring_equals_a_list(size in 0_usize..200, steps in steps()) {
        run(size, 0, &steps);
    }

    /// In memory of next to nothing as well.
    #[test]
    fn a_tiny_ring_equals_a_list(size in 0_usize..=40, steps in steps()) {
        run(size, 0, &steps);
    }

    /// And where the slots come round.
    #[test]
    fn slots_come_round(size in 7_usize..120, before in 0_usize..200, steps in steps()) {
        run(size, 65_536 - before, &steps);
    }
}

/// The last byte is used, and one more is not there; nothing has changed then.
#[test]
fn room_ends_with_the_last_byte() {
    for size in 0..=40 {
        for len in 1..=40 {
            let mut memory = vec![0xAA; size];
            let mut ring = Ring::new(&mut memory);
            let body = vec![7; len];
            let pushed = ring.push(FIRST, 3, &[&body]);
            assert_eq!(pushed.is_ok(), HEADER + len <= size, "{len} in {size}");
            assert_eq!(ring.is_empty(), pushed.is_err());
            if pushed.is_ok() {
                let rest = size - HEADER - len;
                let again = ring.push(FIRST, 4, &[b"x"]);
                assert_eq!(again.is_ok(), rest > HEADER);
                let record = ring.get(ring.start()).expect("it waits");
                assert_eq!((record.id, whole(&ring, record)), (3, body));
            }
        }
    }
}

/// A body stays readable after its end until the next push.
#[test]
fn a_body_stays_until_the_next_push() {
    let mut memory = [0; 40];
    let mut ring = Ring::new(&mut memory);
    ring.push(FIRST, 1, &[b"hello"]).expect("there is room");
    ring.push(FIRST, 2, &[b"world"]).expect("there is room");
    let first = ring.get(ring.start()).expect("it waits");
    ring.mark(first.slot, Stage::DONE);
    let second = ring.get(ring.start()).expect("it waits");
    assert_eq!(ring.bytes(second, 1), b"orld");
    assert_eq!(ring.after(first), second.slot);
}

/// What is over in the middle is passed over, and its room comes back with what is before it.
#[test]
fn room_comes_back_from_the_front() {
    let mut memory = [0; 30];
    let mut ring = Ring::new(&mut memory);
    for id in 1..=3 {
        ring.push(FIRST, id, &[b"body"]).expect("there is room");
    }
    assert_eq!(ring.push(FIRST, 4, &[b"x"]), Err(Full));
    let first = ring.get(ring.start()).expect("it waits");
    let second = ring.get(ring.after(first)).expect("it waits");
    ring.mark(second.slot, Stage::DONE);
    assert_eq!(ring.used(), 30);
    assert_eq!(ring.push(FIRST, 4, &[b"x"]), Err(Full));
    let third = ring.get(ring.after(first)).expect("it waits");
    assert_eq!(third.id, 3);
    ring.mark(first.slot, Stage::DONE);
    assert_eq!(ring.used(), 10);
    ring.push(FIRST, 4, &[b"fourteen bytes"])
        .expect("20 bytes are free");
    assert_eq!(ring.start(), third.slot);
    assert_eq!(ring.bytes(third, 0), b"body");
    assert_eq!(ring.used(), 30);
}

/// Of more than 32,767 bytes the first are used; no arithmetic of slots overflows at the largest body.
#[test]
fn the_largest_memory() {
    let mut memory = vec![0; 70_000];
    let mut ring = Ring::new(&mut memory);
    let body = vec![1; 32_768 - HEADER];
    assert_eq!(ring.push(FIRST, 1, &[&body]), Err(Full));
    for round in 0..3 {
        ring.push(FIRST, 1, &[&body[1..]]).expect("it just fits");
        assert_eq!(ring.push(FIRST, 2, &[b"x"]), Err(Full), "{round}");
        let record = ring.get(ring.start()).expect("it waits");
        assert_eq!(usize::from(record.len), body.len() - 1);
        assert_eq!(ring.get(ring.after(record)), None);
        ring.mark(record.slot, Stage::DONE);
        assert!(ring.is_empty());
    }
    // Many small ones in the same memory.
    let mut count = 0;
    while ring.push(FIRST, 1, &[b"x"]).is_ok() {
        count += 1;
    }
    assert_eq!(count, 32_767 / 7);
    let mut found = 0;
    let mut next = ring.get(ring.start());
    while let Some(record) = next {
        found += 1;
        next = ring.get(ring.after(record));
    }
    assert_eq!(found, count);
}
