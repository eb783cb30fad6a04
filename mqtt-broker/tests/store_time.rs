//! What the clock of the day does to a store: the time that a broker was off counts when that clock can be trusted, and a clock that is
//! behind, or is set, makes nothing expire.
#![cfg(feature = "cli")]

mod stored;
mod support;

use core::time::Duration;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use mqtt_broker::store::{Durability, Options};
use mqtt_codec::{
    Connect, Delivery, Filters, Properties, Property, PubAck, Publish, QoS, Subscribe,
    SubscribeFilter, Version, Will,
};
use stored::{Stored, Talk};
use support::frame::{at, packet_id, publish};
use support::{Broker, Client, not_for_mosquitto};
use tempfile::TempDir;

/// The 15th of June 2020.
const WALL: u64 = 1_592_179_200_000;
const YEAR: u64 = 365 * 24 * 3_600 * 1_000;
const SECOND: Duration = Duration::from_secs(1);

/// When the sessions end, the will is published, and the messages expire, in seconds after [`fill`].
const BRIEF: u32 = 60;
const WILL: u32 = 80;
const MESSAGE: u32 = 100;
const LONG: u32 = 3_600;
/// What is over of that when the last change is stored.
const AGE: u32 = 10;

fn options() -> Options {
    let mut options = Options::default();
    options.segment_bytes = 16 * 1024;
    options
}

fn open(place: &TempDir, wall: u64) -> Stored {
    Stored::open(place.path(), &options(), 2, wall)
}

/// A client connects whose session outlives it by so many seconds.
fn connect(stored: &mut Stored, name: &str, seconds: u32, will: Option<Will<'_>>) -> Talk {
    let expiry = [Property::SessionExpiryInterval(seconds)];
    stored.connect(&Connect {
        clean_start: false,
        properties: Properties::List(&expiry),
        will,
        ..Connect::new(Version::V5, name)
    })
}

fn subscribe(stored: &mut Stored, talk: Talk, filters: &[&str]) {
    let filters: Vec<_> = filters
        .iter()
        .map(|filter| SubscribeFilter {
            filter,
            options: at(QoS::AtLeastOnce),
        })
        .collect();
    stored.send(
        talk,
        &Subscribe {
            packet_id: packet_id(1),
            properties: Properties::EMPTY,
            filters: Filters::List(&filters),
        },
    );
}

fn send(stored: &mut Stored, talk: Talk, id: u16, topic: &str, expiry: Option<u32>, retain: bool) {
    let list = expiry.map(Property::MessageExpiryInterval);
    stored.send(
        talk,
        &Publish {
            delivery: Delivery::AtLeastOnce(packet_id(id)),
            properties: Properties::List(list.as_slice()),
            retain,
            ..publish(topic, "x")
        },
    );
    let heard = stored.heard(talk);
    let answer = heard.last().expect("PUBACK comes when it is stored");
    assert!(!answer.pub_ack().reason.is_error(), "{answer:?}");
}

/// Sessions, messages and a will that are over at different times, and a last change [`AGE`] seconds after that.
fn fill(stored: &mut Stored) {
    let brief = connect(stored, "brief", BRIEF, None);
    subscribe(stored, brief, &["brief"]);
    stored.cut(brief);
    let long = connect(stored, "long", LONG, None);
    subscribe(stored, long, &["t/#", "will/#"]);
    stored.cut(long);
    let delay = [Property::WillDelayInterval(WILL)];
    let will = Will {
        topic: "will/1",
        payload: b"gone",
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: Properties::List(&delay),
    };
    let mortal = connect(stored, "mortal", LONG, Some(will));
    subscribe(stored, mortal, &["mortal"]);
    stored.cut(mortal);
    let publisher = connect(stored, "publisher", 0, None);
    send(stored, publisher, 1, "t/mortal", Some(MESSAGE), false);
    send(stored, publisher, 2, "kept/mortal", Some(MESSAGE), true);
    send(stored, publisher, 3, "t/lasting", None, false);
    stored.pass(AGE * SECOND);
    send(stored, publisher, 4, "t/last", None, false);
    stored.cut(publisher);
}

/// Everything in [`fill`] is over exactly when it would be if the clock had never moved: `age` seconds of each are gone.
fn everything_ends_in_time(stored: &mut Stored, age: u32) {
    let began = stored.counters().sessions_expired.get();
    assert_eq!(began, 0, "a session has expired with the start");
    assert_eq!(stored.counters().retained.get(), 1);
    let mut passed = age;
    let mut until = |stored: &mut Stored, second: u32| {
        stored.pass((second - passed) * SECOND);
        passed = second;
    };
    let expired = |stored: &Stored| stored.counters().sessions_expired.get();
    let queued = |stored: &Stored| stored.counters().queued.get();
    until(stored, BRIEF - 1);
    assert_eq!(expired(stored), 0, "it has a second left");
    until(stored, BRIEF + 1);
    assert_eq!(expired(stored), 1, "it has no time left");
    until(stored, WILL - 1);
    assert_eq!(queued(stored), 3, "the will has a second left");
    until(stored, WILL + 1);
    assert_eq!(queued(stored), 4, "the will is published");
    until(stored, MESSAGE - 2);
    assert_eq!(stored.counters().retained.get(), 1);
    let long = connect(stored, "long", LONG, None);
    let heard = stored.heard(long);
    assert!(heard[0].conn_ack().session_present);
    let texts: Vec<String> = heard[1..].iter().map(|frame| frame.text()).collect();
    let expected = ["t/mortal", "t/lasting", "t/last"].map(|topic| format!("{topic}|1|0|x"));
    assert_eq!(texts[..3], expected);
    assert_eq!(texts[3..], ["will/1|1|0|gone"]);
    let left = heard[1].publish().properties.message_expiry_interval();
    assert_eq!(left, Some(2), "of the message");
    for frame in &heard[1..] {
        stored.send(long, &PubAck::new(frame.publish_id()));
    }
    stored.cut(long);
    until(stored, MESSAGE + 1);
    assert_eq!(stored.counters().retained.get(), 0);
    until(stored, LONG - 1);
    assert_eq!(expired(stored), 1);
    until(stored, LONG + 1);
    assert_eq!(expired(stored), 2);
}

/// The clock of the day stands before the last change when the broker starts: nothing expires for it, and what was left is what is left.
#[test]
fn a_clock_that_is_behind_at_the_start_counts_for_nothing() {
    for durability in [Durability::Fsync, Durability::None] {
        for (stop, behind) in [(false, WALL), (true, 20 * YEAR), (false, 60_000)] {
            let place = tempfile::tempdir().unwrap();
            let mut options = options();
            options.durability = durability;
            let mut stored = Stored::open(place.path(), &options, 2, WALL);
            fill(&mut stored);
            if stop || durability == Durability::None {
                stored.stop();
            } else {
                stored.kill();
            }
            let wall = (WALL + 10_000).saturating_sub(behind);
            let mut stored = Stored::open(place.path(), &options, 2, wall);
            let [note] = &stored.report.notes[..] else {
                panic!("{:?}", stored.report.notes);
            };
            let words = format!(
                "stands {} s before the time of the last change",
                behind / 1_000
            );
            assert!(note.contains(&words), "{note}");
            everything_ends_in_time(&mut stored, AGE);
        }
    }
}

/// With a clock that has gone on, the time that the broker was off counts.
#[test]
fn the_time_that_a_broker_was_off_counts() {
    for off in [45, 75, 300] {
        let place = tempfile::tempdir().unwrap();
        let mut stored = open(&place, WALL);
        fill(&mut stored);
        stored.kill();
        let mut stored = open(&place, WALL + u64::from(AGE + off) * 1_000);
        assert_eq!(stored.report.notes, Vec::<String>::new());
        if off == 45 {
            everything_ends_in_time(&mut stored, AGE + off);
            continue;
        }
        let over = AGE + off;
        assert_eq!(stored.counters().sessions_expired.get(), 1);
        assert_eq!(
            stored.counters().retained.get(),
            u64::from(over < MESSAGE),
            "after {over} s"
        );
        let long = connect(&mut stored, "long", LONG, None);
        let heard = stored.heard(long);
        let texts: Vec<String> = heard[1..].iter().map(|frame| frame.text()).collect();
        let mut expected = vec!["t/mortal|1|0|x", "t/lasting|1|0|x", "t/last|1|0|x"];
        if over > MESSAGE {
            expected.remove(0);
        }
        expected.push("will/1|1|0|gone");
        assert_eq!(texts, expected, "after {over} s");
    }
}

/// Takes what is logged while `action` runs.
fn logged(action: impl FnOnce()) -> String {
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0
                .lock()
                .expect("nobody panics with it")
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Arc::<Mutex<Vec<u8>>>::default();
    let writer = Arc::clone(&lines);
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || Lines(Arc::clone(&writer)))
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, action);
    let lines = lines.lock().expect("nobody panics with it");
    String::from_utf8(lines.clone()).expect("it is text")
}

/// The clock of the day is set while the broker runs, forwards as by a time server after a start in 1970, or backwards: nothing expires,
/// the log says so once, and a later start with the new time of day knows how much is left. `busy`: something is stored after that;
/// otherwise the broker is killed when nothing has come for two minutes.
#[test]
fn a_clock_that_is_set_while_the_broker_runs_counts_for_nothing() {
    let jumps = [
        (60_000, WALL),
        (WALL, WALL + YEAR),
        (WALL + YEAR, WALL),
        (WALL, 60_000),
    ];
    for (before, after) in jumps {
        for busy in [true, false] {
            let place = tempfile::tempdir().unwrap();
            let mut jump = 0;
            let lines = logged(|| {
                let mut stored = open(&place, before);
                fill(&mut stored);
                if busy {
                    stored.pass(20 * SECOND);
                } else {
                    // Nothing is due for a long time.
                    stored.pass(140 * SECOND);
                }
                jump = (after as i64 - stored.wall as i64) / 1_000;
                stored.wall = after;
                if busy {
                    let publisher = connect(&mut stored, "publisher", 0, None);
                    send(&mut stored, publisher, 4, "else", None, false);
                } else {
                    stored.pass(120 * SECOND);
                }
                let wall = stored.wall;
                stored.kill();
                let mut stored = open(&place, wall);
                assert_eq!(stored.report.notes, Vec::<String>::new());
                if busy {
                    everything_ends_in_time(&mut stored, AGE + 20);
                } else {
                    let sessions = |stored: &Stored| stored.counters().sessions.get();
                    assert_eq!(sessions(&stored), 2);
                    stored.pass((LONG - AGE - 260 - 1) * SECOND);
                    assert_eq!(sessions(&stored), 2);
                    stored.pass(2 * SECOND);
                    assert_eq!(sessions(&stored), 0);
                }
            });
            let lines: Vec<&str> = lines
                .lines()
                .filter(|line| line.contains("the clock of this machine was set"))
                .collect();
            assert_eq!(lines.len(), 1, "{lines:?}");
            let words = format!("seconds={jump}");
            assert!(lines[0].contains(&words), "{jump}: {lines:?}");
        }
    }
}

/// A store for the real program, whose clock nobody sets: its last change was `wall`.
fn left_by(folder: &Path, wall: u64) {
    let data = folder.join("data");
    let mut stored = Stored::open(&data, &Options::default(), 2, wall);
    fill(&mut stored);
    stored.kill();
}

fn present(broker: &Broker, name: &str) -> bool {
    let expiry = [Property::SessionExpiryInterval(LONG)];
    let connect = Connect {
        clean_start: false,
        properties: Properties::List(&expiry),
        ..Connect::new(Version::V5, name)
    };
    let (_client, answer) = Client::connect_with(broker, &connect);
    answer.conn_ack().session_present
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("it is after 1970").as_millis() as u64
}

/// The real program on a machine whose clock stands a year before the last change, as that of a Raspberry Pi at its start: it says so, and
/// nothing has expired.
#[test]
fn the_program_says_that_the_clock_is_behind() {
    not_for_mosquitto!("its store is another one");
    let mut broker = Broker::start();
    left_by(broker.folder(), now() + YEAR);
    broker.again(&["--data-dir", "data"]);
    let process = broker.process();
    process.rewind();
    process.find("line about the clock", |line| {
        let says = line.contains("WARN") && line.contains("the clock of this machine stands 315");
        says.then_some(())
    });
    for name in ["brief", "long", "mortal"] {
        assert!(present(&broker, name), "{name}");
    }
}

/// The real program, five minutes after the last change: what lasts less long is over.
#[test]
fn the_program_counts_the_time_that_it_was_off() {
    not_for_mosquitto!("its store is another one");
    let mut broker = Broker::start();
    left_by(broker.folder(), now() - 300_000);
    broker.again(&["--data-dir", "data"]);
    assert!(!present(&broker, "brief"));
    assert!(present(&broker, "mortal"));
    let (mut long, _) = Client::connect_with(
        &broker,
        &Connect {
            clean_start: false,
            ..Connect::new(Version::V5, "long")
        },
    );
    for expected in ["t/lasting|1|0|x", "t/last|1|0|x", "will/1|1|0|gone"] {
        assert_eq!(long.take_text(), expected);
    }
    long.expect_silence();
}
