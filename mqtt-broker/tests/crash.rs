//! The real program under load, killed or cut off, and judged by mqtt-crash: what was acknowledged is there, and nothing that was given up.

use core::time::Duration;
use std::path::PathBuf;

use mqtt_crash::{Durability, Options, Program, Promise, Report, findings, run, table};

/// Kills or cuts our broker so many times; a seed is printed, and `MQTT_TEST_SEED` repeats it.
fn judged(durability: Durability, rounds: u32, change: impl FnOnce(&mut Options)) -> Report {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let seed = match std::env::var("MQTT_TEST_SEED") {
        Ok(seed) => seed.parse().expect("MQTT_TEST_SEED is a number"),
        Err(_) => mqtt_crash::seed_of_the_moment(),
    };
    let mut options = Options {
        rounds,
        seed,
        patience: Duration::from_secs(20),
        stop_at_first: false,
        spare: false,
        folder: folder.path().join("run"),
    };
    change(&mut options);
    let program = env!("CARGO_BIN_EXE_mqtt-broker");
    let program = Program::Ours(PathBuf::from(program), durability);
    let report = run(&program, &options, &mut |_| {}).expect("the broker's program is there");
    eprintln!(
        "MQTT_TEST_SEED={seed}\n{}{}",
        table(core::slice::from_ref(&report)),
        findings(&report, 5)
    );
    if report.tally.total() > 0 && !options.stop_at_first {
        // Somebody will want to look at it.
        eprintln!("kept: {}", folder.keep().display());
    }
    report
}

/// Every connection breaks at once, under load, and the broker goes on: sessions, queues and handshakes are as they must be. That holds
/// without a store, and shows that what judges the next tests finds nothing where nothing is wrong.
#[test]
fn connections_that_break_lose_nothing() {
    let report = judged(Durability::Memory, 12, |options| options.spare = true);
    assert_eq!(report.tally.total(), 0);
    assert_eq!((report.rounds, report.idle_kills()), (12, 0));
}

/// A broker that keeps nothing on disk loses what it acknowledged, and that is found: otherwise no other run would show anything.
#[test]
fn a_broker_without_a_store_is_found_out() {
    let report = judged(Durability::Memory, 2, |options| {
        options.stop_at_first = true;
        options.patience = Duration::from_secs(1);
    });
    for promise in [Promise::Delivered, Promise::Session, Promise::Retained] {
        assert!(report.tally.count(promise) > 0, "{promise:?}");
    }
    assert_eq!(report.rounds, 1);
}

/// What was acknowledged survives the end of the process, 20 times in a row on one store.
#[test]
fn what_was_acknowledged_survives_kill_9() {
    let report = judged(Durability::Fsync, 20, |_| {});
    assert_eq!(report.tally.total(), 0);
    assert_eq!((report.rounds, report.idle_kills()), (20, 0));
    assert!(
        report.kills_starting >= 5,
        "a quarter is killed again while it starts"
    );
}

/// Without a sync too: the system has what was acknowledged, and writes it when the broker is gone.
#[test]
fn durability_os_survives_kill_9() {
    let report = judged(Durability::Os, 6, |_| {});
    assert_eq!((report.tally.total(), report.rounds), (0, 6));
}

/// `durability = "none"` loses what was acknowledged in the last second, as its name says.
#[test]
fn durability_none_is_found_out() {
    let report = judged(Durability::None, 20, |options| {
        options.stop_at_first = true;
        options.patience = Duration::from_secs(1);
    });
    assert!(report.tally.count(Promise::Delivered) > 0);
}
