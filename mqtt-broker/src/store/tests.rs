//! The store as a whole, in a directory: what was committed is there after it was opened again.

use std::sync::Arc;

use mqtt_codec::{QoS, SubscriptionOptions};
use mqtt_session::{Commit, Instant};

use super::job::Done;
use super::{Durability, Handle, Log, Options, Report};
use crate::core::{GroupId, Message, Record, Room, SessionKey, Store, Subscriber};

const WALL: u64 = 1_700_000_000_000;

const fn who(slot: u32) -> Subscriber {
    Subscriber::session(
        0,
        SessionKey {
            slot,
            generation: 0,
        },
    )
}

fn options() -> Options {
    Options {
        segment_bytes: 16 * 1024,
        ..Options::default()
    }
}

fn options_with(durability: Durability) -> Options {
    Options {
        durability,
        ..options()
    }
}

fn message(number: u64, len: usize) -> Arc<Message> {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(len.max(8), number as u8);
    Arc::new(Message::new("t/1", &[], &payload, QoS::AtLeastOnce, false))
}

fn number(message: &Message) -> u64 {
    u64::from_le_bytes(*message.payload().first_chunk().unwrap())
}

fn session(store: &mut impl Store, slot: u32, client_id: &str) {
    store.record(&Record::Session {
        session: who(slot),
        client_id,
        user_name: None,
        expiry: u32::MAX,
        bridge: false,
    });
    store.record(&Record::Subscribed {
        session: who(slot),
        filter: "t/#",
        options: SubscriptionOptions::new(QoS::AtLeastOnce),
        id: None,
        retained: false,
    });
}

fn queued(store: &mut impl Store, slot: u32, message: &Arc<Message>) -> Commit {
    store.record(&Record::Queued {
        receiver: who(slot),
        message,
        qos: QoS::AtLeastOnce,
        retain: false,
        ids: &[],
        group: None,
    })
}

struct Rig {
    place: tempfile::TempDir,
    now: u64,
}

impl Rig {
    fn new() -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
            now: 0,
        }
    }

    fn open(&self, options: &Options) -> (Log, Handle, Report) {
        let (log, report) =
            Log::open_directory(self.place.path(), options, WALL + self.now).unwrap();
        let handle = log.handle();
        (log, handle, report)
    }

    fn turn(&mut self, log: &mut Log) {
        self.now += 1;
        log.turn(Instant::from_millis(self.now), WALL + self.now);
        while log.aside() {
            log.turn(Instant::from_millis(self.now), WALL + self.now);
        }
    }
}

/// The messages that wait for a session, read from disk.
fn waiting(log: &Log, handle: &mut Handle, client_id: &str) -> Vec<u64> {
    let birth = log.image.by_client[client_id];
    let copies: Vec<_> = log.image.sessions[&birth].queue.iter().collect();
    copies
        .into_iter()
        .map(|(_, copy)| number(&handle.fetch(Commit(copy.body)).unwrap()))
        .collect()
}

#[test]
fn what_was_committed_is_there_again() {
    for durability in [Durability::Fsync, Durability::Os, Durability::None] {
        let mut rig = Rig::new();
        let options = options_with(durability);
        let (mut log, mut handle, _) = rig.open(&options);
        session(&mut handle, 1, "a");
        session(&mut handle, 2, "b");
        handle.commit();
        let mut done = Vec::new();
        for round in 0..300 {
            let message = message(round, 200);
            let copy = queued(&mut handle, 1, &message);
            queued(&mut handle, 2, &message);
            if round % 3 == 0 {
                done.push(copy);
            }
            if round % 5 == 4 {
                for copy in done.drain(..) {
                    handle.record(&Record::Done {
                        receiver: who(1),
                        copy,
                    });
                }
                handle.commit();
                rig.turn(&mut log);
                assert_eq!(log.committed(), handle.committed());
                assert!(
                    handle.committed() >= handle.latest(),
                    "{durability:?} {round}"
                );
                assert!(handle.kept() >= handle.latest());
            }
        }
        let expected_a: Vec<u64> = (0..300).filter(|round| round % 3 != 0).collect();
        let expected_b: Vec<u64> = (0..300).collect();
        for crash in [true, false, true] {
            assert_eq!(waiting(&log, &mut handle, "a"), expected_a);
            assert_eq!(waiting(&log, &mut handle, "b"), expected_b);
            if !crash {
                drop(handle);
                rig.turn(&mut log);
                assert!(log.is_closed());
            }
            drop(log);
            let report;
            (log, handle, report) = rig.open(&options);
            assert_eq!((report.sessions, report.messages), (2, 300));
            assert_eq!(report.notes, Vec::<String>::new());
        }
    }
}

/// One session that stays away keeps its few messages, and not the segments in which they stood.
#[test]
fn a_session_that_stays_away_does_not_keep_the_disk() {
    let mut rig = Rig::new();
    let (mut log, mut handle, _) = rig.open(&options());
    session(&mut handle, 1, "away");
    session(&mut handle, 2, "here");
    let mut expected = Vec::new();
    for round in 0..20_000 {
        let message = message(round, 100);
        if round % 200 == 0 {
            queued(&mut handle, 1, &message);
            expected.push(round);
        }
        let copy = queued(&mut handle, 2, &message);
        handle.record(&Record::Done {
            receiver: who(2),
            copy,
        });
        if round % 10 == 0 {
            handle.commit();
            rig.turn(&mut log);
        }
    }
    handle.commit();
    rig.turn(&mut log);
    assert_eq!(log.failed(), None);
    assert_eq!(waiting(&log, &mut handle, "away"), expected);
    let files = std::fs::read_dir(rig.place.path()).unwrap();
    let bytes: u64 = files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(
        bytes < 12 * 16 * 1024,
        "{bytes} bytes for {} messages",
        expected.len()
    );
    drop(log);
    let (log, mut handle, _) = rig.open(&options());
    assert_eq!(waiting(&log, &mut handle, "away"), expected);
}

/// A message that one worker is about to queue loses its last other use by another worker, and both are durable before a crash: the writer
/// held it, and so must the next start.
#[test]
fn what_a_record_to_come_names_is_not_forgotten_by_a_restart() {
    for (last_use_ends_first, snapshot) in [(true, false), (true, true), (false, false)] {
        let mut rig = Rig::new();
        let (mut log, mut one, _) = rig.open(&options());
        let mut other = log.handle();
        session(&mut one, 1, "a");
        let kept = Arc::new(Message::new(
            "t/1",
            &[],
            b"\x07\0\0\0\0\0\0\0",
            QoS::AtLeastOnce,
            true,
        ));
        one.record(&Record::Retained(&kept));
        one.commit();
        rig.turn(&mut log);
        queued(&mut other, 1, &kept);
        assert_eq!(
            other.body(),
            kept.body().unwrap(),
            "it is not written twice"
        );
        one.record(&Record::Unretained("t/1"));
        if last_use_ends_first {
            one.commit();
            rig.turn(&mut log);
            if snapshot {
                log.settle_repair().unwrap();
            }
            other.commit();
        } else {
            other.commit();
            rig.turn(&mut log);
            one.commit();
        }
        rig.turn(&mut log);
        assert_eq!(waiting(&log, &mut one, "a"), [7]);
        drop(log);
        let (log, mut handle, report) = rig.open(&options());
        assert_eq!(report.messages, 1);
        assert_eq!(waiting(&log, &mut handle, "a"), [7]);
    }
}

/// Workers take numbers in runs: one that was taken early must not make what is recorded late look older than it is.
#[test]
fn of_what_several_workers_set_the_last_counts_after_a_restart() {
    let retained = |number: u64| {
        let payload = number.to_le_bytes();
        Arc::new(Message::new("t", &[], &payload, QoS::AtLeastOnce, true))
    };
    let group = |slot| Record::Group {
        group: GroupId {
            slot,
            generation: 0,
        },
        filter: "$share/g/t",
    };
    for one_first in [true, false] {
        let mut rig = Rig::new();
        let (mut log, mut one, _) = rig.open(&options());
        let mut other = log.handle();
        session(&mut one, 1, "a");
        session(&mut other, 2, "b");
        let (set, again) = (retained(1), retained(2));
        other.record(&Record::Retained(&set));
        other.record(&group(1));
        one.record(&Record::Unretained("t"));
        other.record(&Record::Retained(&again));
        one.record(&Record::Unretained("t"));
        one.record(&group(2));
        if one_first {
            one.commit();
            other.commit();
        } else {
            other.commit();
            one.commit();
        }
        rig.turn(&mut log);
        assert!(log.committed() >= one.latest().max(other.latest()));
        assert!(log.image.retained.is_empty(), "nothing older can come");
        drop(log);
        let (log, ..) = rig.open(&options());
        let left = log.image.retained.get("t");
        assert!(
            left.is_none_or(|(_, message)| message.is_none()),
            "{left:?}"
        );
        let latest = log.image.by_filter["$share/g/t"];
        assert_eq!(
            log.image.names[&Subscriber::group(GroupId {
                slot: 2,
                generation: 0
            })],
            latest
        );
    }
}

/// A topic costs nothing once nothing is retained for it.
#[test]
fn topics_that_were_retained_once_are_forgotten() {
    let mut rig = Rig::new();
    let (mut log, mut handle, _) = rig.open(&options());
    for round in 0..1_000 {
        let topic = format!("t/{round}");
        let message = Message::new(&topic, &[], b"1", QoS::AtMostOnce, true);
        handle.record(&Record::Retained(&Arc::new(message)));
        handle.record(&Record::Unretained(&topic));
        handle.commit();
        rig.turn(&mut log);
    }
    assert!(log.image.retained.is_empty());
    assert!(log.image.removed.is_empty());
}

/// Half a round may say that a message was received, and lack the message.
#[test]
fn a_worker_that_panics_commits_nothing_of_its_round() {
    let mut rig = Rig::new();
    let (mut log, mut handle, _) = rig.open(&options());
    session(&mut handle, 1, "a");
    handle.commit();
    rig.turn(&mut log);
    let round = core::panic::AssertUnwindSafe(|| {
        let mut handle = handle;
        queued(&mut handle, 1, &message(1, 10));
        panic!("in the middle of a round");
    });
    assert!(std::panic::catch_unwind(round).is_err());
    rig.turn(&mut log);
    assert!(log.is_closed(), "it was the last handle");
    drop(log);
    let (.., report) = rig.open(&options());
    assert_eq!((report.sessions, report.messages), (1, 0));
}

/// What waits for a slow disk is bounded: workers read no more of their clients.
#[test]
fn a_queue_to_a_slow_disk_says_when_it_is_long() {
    let mut rig = Rig::new();
    let (mut log, mut handle, _) = rig.open(&options());
    session(&mut handle, 1, "a");
    let mut bytes = 0;
    while !handle.is_behind() {
        queued(&mut handle, 1, &message(1, 100_000));
        handle.commit();
        bytes += 100_000;
        assert!(bytes <= 17 * 1024 * 1024);
    }
    while handle.committed() < handle.latest() {
        rig.turn(&mut log);
    }
    assert!(!handle.is_behind());
}

/// A segment that was being made when a sync failed, and is ready now, is no reason to trust the disk again.
#[test]
fn what_goes_well_after_a_failure_does_not_end_it() {
    for durability in [Durability::Fsync, Durability::Os, Durability::None] {
        let mut rig = Rig::new();
        let options = options_with(durability);
        let (mut log, mut handle, _) = rig.open(&options);
        let job = log.job().expect("the next segment is not there yet");
        let done = job.run(&*log.files);
        assert!(matches!(done, Done::Prepared(Ok(_))));
        log.fail("a sync failed", &std::io::Error::other("in a test"));
        log.queue.finish(done);
        rig.turn(&mut log);
        assert_eq!(handle.room(), Room::Failed);
        let before = handle.committed();
        session(&mut handle, 1, "a");
        handle.commit();
        rig.turn(&mut log);
        assert_eq!((handle.room(), handle.committed()), (Room::Failed, before));
    }
}
