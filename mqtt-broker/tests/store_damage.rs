//! Files of a store are damaged while nobody looks: it opens with everything that was in it, or says what is wrong; it never delivers what
//! was not published, and a repair brings it to where it needs none.

use mqtt_testkit::broker::{SmallStore, Verdict};
use mqtt_testkit::disk::SECTOR;

/// The files are mostly zeroes behind this, or the payload of one large message.
const DENSE: u64 = 700;

fn check(stopped: bool, bits: impl Fn(u64, u8) -> bool) {
    let store = SmallStore::new(stopped);
    assert_eq!(store.judge("undamaged", &store.whole()), Verdict::Same);
    let (mut same, mut refused) = (0, 0);
    for (what, disk) in store.damages().chain(store.flips(bits)) {
        match store.judge(&what, &disk) {
            Verdict::Same => same += 1,
            // Everything in these stores was durable, and says so: nothing of it is a write that was cut short.
            Verdict::Told(words) => panic!("{what}: opened without all of it: {words:?}"),
            Verdict::Refused(_) => refused += 1,
        }
    }
    eprintln!("it holds everything {same} times, is refused {refused} times");
    assert!(refused > 300 && same > 300);
}

/// One bit of each byte, and of every 64th where there is little.
fn sample(offset: u64, bit: u8) -> bool {
    offset % 8 == u64::from(bit) && (offset < DENSE || offset.is_multiple_of(64))
}

#[test]
fn a_stopped_store() {
    check(true, sample);
}

#[test]
fn a_store_that_was_left_by_a_crash() {
    check(false, sample);
}

/// Every sector of every file that cannot be read, one after the other.
#[test]
fn sectors_that_cannot_be_read() {
    for stopped in [true, false] {
        let store = SmallStore::new(stopped);
        let (mut same, mut refused) = (0, 0);
        for (name, bytes) in store.whole().contents() {
            for offset in (0..bytes.len() as u64).step_by(SECTOR) {
                let disk = store.whole();
                disk.spoil(&name, offset);
                match store.judge(&format!("{name}: {offset} cannot be read"), &disk) {
                    Verdict::Same => same += 1,
                    Verdict::Told(words) => panic!("{name}, {offset}: {words:?}"),
                    Verdict::Refused(_) => refused += 1,
                }
            }
        }
        eprintln!("it holds everything {same} times, is refused {refused} times");
        assert!(same > 5 && refused > 5);
    }
}

#[test]
#[ignore = "minutes: `cargo xtask test --full`"]
fn every_bit_of_a_stopped_store() {
    check(true, |_, _| true);
}

#[test]
#[ignore = "minutes: `cargo xtask test --full`"]
fn every_bit_of_a_store_that_was_left_by_a_crash() {
    check(false, |_, _| true);
}
