//! Stores that an older program has left: everything in them is found by this one.
//!
//! `fixtures/store-v1` holds a store of version 1 of the format twice, stopped in good order and killed in the middle of a write, with what
//! `mqtt-broker store export` says of it. `MQTT_TEST_FIXTURE=DIR cargo test -p mqtt-broker --test store_format` makes the same anew in a new
//! folder DIR, for a new version of the format.
#![cfg(feature = "cli")]

mod stored;
mod support;

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mqtt_broker::store::Options;
use mqtt_codec::{
    Connect, Delivery, Filters, FromServer, PayloadFormat, Properties, Property, PubAck, PubComp,
    PubRec, PubRel, Publish, QoS, RetainHandling, Subscribe, SubscribeFilter, SubscriptionId,
    SubscriptionOptions, Version, Will,
};
use stored::{Stored, Talk};
use support::frame::{at, packet_id, publish};
use support::{Broker, Client, broker, not_for_mosquitto};

/// The 15th of June 2020: long ago for every machine that runs this.
const WALL: u64 = 1_592_179_200_000;
const STATES: [&str; 2] = ["stopped", "killed"];

fn fixtures(version: u8) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    tests.join(format!("fixtures/store-v{version}"))
}

/// The files of a store, without the one that keeps others away.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("it can be listed");
        let name = entry.file_name().into_string();
        let bytes = fs::read(entry.path()).expect("it can be read");
        (name.expect("it is one of ours"), bytes)
    };
    let entries = entries.map(file);
    entries.filter(|(name, _)| name != "lock").collect()
}

/// Puts files into a new folder.
fn put(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    fs::create_dir_all(folder).expect("a folder can be made");
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).expect("the folder is writable");
    }
}

fn store(command: &str, data: &Path) -> Output {
    let mut program = Command::new(broker::program());
    let output = program.args(["store", command]).arg(data).output();
    output.expect("the program runs")
}

/// What is exported of a store, without the first line, which says when that was.
fn exported(data: &Path) -> String {
    let output = store("export", data);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", output.status);
    let text = String::from_utf8(output.stdout).expect("it is text");
    let (first, rest) = text.split_once('\n').expect("it has lines");
    assert!(first.contains("mqtt-store"), "{first}");
    rest.to_owned()
}

#[track_caller]
fn assert_same(found: &str, expected: &str) {
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

/// Fills a store of small segments with everything that one can hold.
struct Maker {
    stored: Stored,
    publisher: Talk,
    ids: u16,
}

impl Maker {
    fn connect(&mut self, name: &str, version: Version, expiry: u32, change: Change<'_>) -> Talk {
        let list = [Property::SessionExpiryInterval(expiry)];
        let v5 = version.is_v5();
        let mut connect = Connect {
            clean_start: false,
            keep_alive: 0,
            properties: Properties::List(if v5 { &list } else { &[] }),
            ..Connect::new(version, name)
        };
        change(&mut connect);
        let talk = self.stored.connect(&connect);
        self.stored.heard(talk);
        talk
    }

    fn subscribe(
        &mut self,
        talk: Talk,
        filters: &[(&str, SubscriptionOptions)],
        properties: &[Property<'_>],
    ) {
        self.ids += 1;
        let filters: Vec<_> = filters
            .iter()
            .map(|&(filter, options)| SubscribeFilter { filter, options })
            .collect();
        self.stored.send(
            talk,
            &Subscribe {
                packet_id: packet_id(self.ids),
                properties: Properties::List(properties),
                filters: Filters::List(&filters),
            },
        );
        let heard = self.stored.heard(talk);
        assert_eq!(heard[0].sub_ack().packet_id, packet_id(self.ids));
        // Retained messages that came with it.
        self.acknowledge(talk, &heard[1..]);
    }

    fn acknowledge(&mut self, talk: Talk, frames: &[support::frame::Frame]) {
        for frame in frames {
            match frame.packet() {
                FromServer::Publish(publish) => match publish.delivery {
                    Delivery::AtMostOnce => {}
                    Delivery::AtLeastOnce(id) => self.stored.send(talk, &PubAck::new(id)),
                    Delivery::ExactlyOnce(id) => self.stored.send(talk, &PubRec::new(id)),
                },
                FromServer::PubRel(release) => {
                    let id = release.packet_id;
                    self.stored.send(talk, &PubComp::new(id));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The client takes and acknowledges everything that waits for it.
    fn take_all(&mut self, talk: Talk) {
        loop {
            let heard = self.stored.heard(talk);
            if heard.is_empty() {
                return;
            }
            self.acknowledge(talk, &heard);
        }
    }

    fn publish(&mut self, packet: &Publish<'_>, qos: QoS) {
        self.ids += 1;
        let id = packet_id(self.ids);
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce(id),
            QoS::ExactlyOnce => Delivery::ExactlyOnce(id),
        };
        let talk = self.publisher;
        self.stored.send(
            talk,
            &Publish {
                delivery,
                ..*packet
            },
        );
        if qos == QoS::ExactlyOnce {
            self.stored.send(talk, &PubRel::new(id));
        }
        self.stored.heard(talk);
    }

    fn text(&mut self, topic: &str, payload: &str, qos: QoS) {
        self.publish(&publish(topic, payload), qos);
    }
}

type Change<'a> = &'a dyn Fn(&mut Connect<'_>);
const PLAIN: Change<'static> = &|_| {};
const NEVER: u32 = u32::MAX;

fn open(data: &Path, wall: u64) -> Maker {
    let mut options = Options::default();
    options.segment_bytes = 4 * 1024;
    let mut maker = Maker {
        stored: Stored::open(data, &options, 2, wall),
        publisher: Talk::NOBODY,
        ids: 0,
    };
    maker.publisher = maker.connect("publisher", Version::V5, 0, PLAIN);
    maker
}

fn retained<'a>(topic: &'a str, payload: &'a [u8], properties: &'a [Property<'a>]) -> Publish<'a> {
    Publish {
        retain: true,
        properties: Properties::List(properties),
        ..publish(topic, payload)
    }
}

fn will<'a>(topic: &'a str, retain: bool, properties: &'a [Property<'a>]) -> Will<'a> {
    Will {
        topic,
        payload: b"lost",
        qos: QoS::ExactlyOnce,
        retain,
        properties: Properties::List(properties),
    }
}

/// Makes a store in `data`, with a restart in the middle, and hands it on while it is open.
fn make(data: &Path) -> Stored {
    let mut maker = open(data, WALL);
    let early = maker.connect("early", Version::V311, 0, PLAIN);
    maker.subscribe(early, &[("early/#", at(QoS::AtLeastOnce))], &[]);
    maker.stored.cut(early);
    maker.text("early/1", "waits through everything", QoS::AtLeastOnce);
    sessions(&mut maker);
    messages(&mut maker);
    let wall = maker.stored.wall;
    maker.stored.kill();

    let mut maker = open(data, wall + 60_000);
    // So much comes and goes that segments are left, snapshots made, and what still waits in old segments is copied forward.
    let reader = maker.connect("reader", Version::V311, 0, PLAIN);
    maker.subscribe(reader, &[("churn", at(QoS::ExactlyOnce))], &[]);
    let text = "0123456789".repeat(120);
    for round in 0..30 {
        maker.text(
            "churn",
            &text,
            [QoS::AtLeastOnce, QoS::ExactlyOnce][round % 2],
        );
        maker.take_all(reader);
        maker.stored.pass(Duration::from_millis(200));
    }
    maker.stored.cut(reader);
    maker.text("early/2", &"large ".repeat(1_000), QoS::ExactlyOnce);
    handshakes(&mut maker);
    maker.stored
}

/// Sessions that are away, with subscriptions of every kind.
fn sessions(maker: &mut Maker) {
    let bob: Change<'_> = &|connect| connect.user_name = Some("bob");
    let options = SubscriptionOptions {
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::SendIfNew,
        ..at(QoS::ExactlyOnce)
    };
    let meter = maker.connect("meter", Version::V5, NEVER, bob);
    let id = |id: u32| SubscriptionId::try_from(id).expect("it is in range");
    let numbered = Property::SubscriptionIdentifier(id(7));
    maker.subscribe(meter, &[("site/+/set", options)], &[numbered]);
    let largest = Property::SubscriptionIdentifier(id(268_435_455));
    let never = SubscriptionOptions {
        retain_handling: RetainHandling::DoNotSend,
        ..at(QoS::AtLeastOnce)
    };
    maker.subscribe(meter, &[("site/#", never)], &[largest]);
    maker.subscribe(meter, &[("given/up", at(QoS::AtLeastOnce))], &[]);
    maker.stored.send(
        meter,
        &mqtt_codec::Unsubscribe {
            packet_id: packet_id(99),
            properties: Properties::EMPTY,
            filters: mqtt_codec::UnsubscribeFilters::List(&["given/up"]),
        },
    );
    maker.stored.cut(meter);
    let screen = maker.connect("screen \"é\"", Version::V311, 0, PLAIN);
    let filters = [
        ("site/7/#", at(QoS::ExactlyOnce)),
        ("site/+/state", at(QoS::AtMostOnce)),
        ("will/#", at(QoS::AtLeastOnce)),
    ];
    maker.subscribe(screen, &filters, &[]);
    maker.stored.cut(screen);
    let bridge: Change<'_> = &|connect| connect.bridge = true;
    let bridge = maker.connect("bridge", Version::V311, 0, bridge);
    maker.subscribe(bridge, &[("site/8/#", at(QoS::AtLeastOnce))], &[]);
    maker.stored.cut(bridge);
    let brief = maker.connect("brief", Version::V5, 3_600, PLAIN);
    maker.subscribe(brief, &[("site/#", at(QoS::AtMostOnce))], &[]);
    maker.stored.cut(brief);
    let ended = maker.connect("ended", Version::V5, 1, PLAIN);
    maker.subscribe(ended, &[("site/#", at(QoS::AtLeastOnce))], &[]);
    maker.stored.cut(ended);
    for name in ["member 1", "member 2"] {
        let member = maker.connect(name, Version::V5, NEVER, PLAIN);
        let filters = [
            ("$share/g/job/#", at(QoS::ExactlyOnce)),
            ("$share/h/errand", at(QoS::AtLeastOnce)),
        ];
        maker.subscribe(
            member,
            &filters[..if name == "member 1" { 1 } else { 2 }],
            &[],
        );
        maker.stored.cut(member);
    }
    let properties = [
        Property::WillDelayInterval(7_200),
        Property::MessageExpiryInterval(100_000),
        Property::ContentType("text/plain"),
    ];
    let change: Change<'_> = &|connect| connect.will = None;
    let mortal = maker.connect("mortal", Version::V5, NEVER, change);
    maker.stored.cut(mortal);
    let list = [Property::SessionExpiryInterval(NEVER)];
    let mortal = maker.stored.connect(&Connect {
        clean_start: false,
        keep_alive: 0,
        will: Some(will("will/mortal", false, &properties)),
        properties: Properties::List(&list),
        ..Connect::new(Version::V5, "mortal")
    });
    maker.stored.cut(mortal);
}

/// Retained messages and messages that wait, and time passes.
fn messages(maker: &mut Maker) {
    let all = [
        Property::PayloadFormatIndicator(PayloadFormat::Utf8),
        Property::MessageExpiryInterval(86_400),
        Property::ContentType("text/plain"),
        Property::ResponseTopic("answer"),
        Property::CorrelationData(&[0, 255]),
        Property::UserProperty("k", "v"),
        Property::UserProperty("k", "w"),
    ];
    let states: [(&str, &[u8], &[Property<'_>]); 5] = [
        ("site/7/state", b"old", &[]),
        ("site/7/state", b"on", &all),
        ("site/8/state", &[0, 159, 146, 150], &[]),
        ("site/9/state", b"off", &[]),
        ("site/9/state", b"", &[]),
    ];
    for (topic, payload, properties) in states {
        maker.publish(&retained(topic, payload, properties), QoS::AtLeastOnce);
    }
    maker.stored.pass(Duration::from_millis(1_500));
    for number in 0..6 {
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
        let topic = ["site/7/set", "site/8/set", "job/1"][number % 3];
        maker.text(topic, &number.to_string(), qos);
    }
    maker.text("errand", "for anybody", QoS::AtLeastOnce);
    let expiry = [Property::MessageExpiryInterval(600)];
    let mortal = Publish {
        properties: Properties::List(&expiry),
        ..publish("site/7/set", "until later")
    };
    maker.publish(&mortal, QoS::ExactlyOnce);
}

/// Exchanges of QoS 2 in every state, both ways, QoS 1 in flight, and a message that a group has given to a member.
fn handshakes(maker: &mut Maker) {
    let change: Change<'_> = &|connect| connect.user_name = Some("bob");
    let meter = maker.connect("meter", Version::V5, NEVER, change);
    maker.take_all(meter);
    let talk = maker.connect("talk", Version::V311, 0, PLAIN);
    maker.subscribe(talk, &[("talk", at(QoS::ExactlyOnce))], &[]);
    for (payload, qos) in [
        ("released", QoS::ExactlyOnce),
        ("sent", QoS::ExactlyOnce),
        ("in flight", QoS::AtLeastOnce),
    ] {
        maker.text("talk", payload, qos);
    }
    let heard = maker.stored.heard(talk);
    assert_eq!(heard.len(), 3);
    maker.stored.send(talk, &PubRec::new(heard[0].publish_id()));
    let heard = maker.stored.heard(talk);
    assert_eq!(heard[0].pub_rel().packet_id, packet_id(1), "{heard:?}");
    maker.stored.send(
        talk,
        &Publish {
            delivery: Delivery::ExactlyOnce(packet_id(77)),
            ..publish("site/7/talk", "taken")
        },
    );
    assert_eq!(
        maker.stored.heard(talk)[0].pub_rec().packet_id,
        packet_id(77)
    );
    let member = maker.connect("member 1", Version::V5, NEVER, PLAIN);
    let given = maker.stored.heard(member);
    assert!(given.is_empty(), "its CONNACK came before: {given:?}");
    maker.text("job/2", "given to a member", QoS::AtLeastOnce);
    let last = [Property::WillDelayInterval(30)];
    let list = [Property::SessionExpiryInterval(60)];
    maker.stored.connect(&Connect {
        clean_start: false,
        keep_alive: 0,
        will: Some(will("will/armed", true, &last)),
        properties: Properties::List(&list),
        ..Connect::new(Version::V5, "armed")
    });
    maker.stored.cut(meter);
}

/// Makes a store of this state in a new folder, as files.
fn made(state: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut stored = make(folder.path());
    if state == "stopped" {
        stored.stop();
        return files(folder.path());
    }
    let before = files(folder.path());
    let late = stored.connect(&Connect {
        clean_start: false,
        ..Connect::new(Version::V311, "nobody was told of this one")
    });
    assert_eq!(stored.heard(late).len(), 1);
    let mut torn = before.clone();
    for (name, after) in files(folder.path()) {
        let Some(bytes) = torn.get_mut(&name) else {
            continue;
        };
        // Half of what the last write has changed.
        let changed = bytes.iter().zip(&after).position(|(old, new)| old != new);
        if let Some(from) = changed {
            bytes[from..from + 70].copy_from_slice(&after[from..from + 70]);
        }
    }
    assert_ne!(before, torn);
    torn
}

/// The store of version 1 holds what it held, and what this program makes of the same events says the same.
#[test]
fn version_1_is_read() {
    not_for_mosquitto!("its store is another one");
    let wanted = std::env::var_os("MQTT_TEST_FIXTURE").map(PathBuf::from);
    for state in STATES {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("new");
        let made = made(state);
        put(&new, &made);
        let text = exported(&new);
        if let Some(place) = &wanted {
            put(&place.join(state), &made);
            fs::write(place.join(format!("{state}.jsonl")), &text).unwrap();
            continue;
        }
        let fixture = fixtures(1);
        let expected = fs::read_to_string(fixture.join(format!("{state}.jsonl"))).unwrap();
        assert_same(&text, &expected);
        let old = folder.path().join("old");
        put(&old, &files(&fixture.join(state)));
        let checked = store("check", &old);
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(said.contains("the store is whole: "), "{said}");
        let cut = said.contains("the last write was cut short by the crash");
        assert_eq!(cut, state == "killed", "{said}");
        assert_same(&exported(&old), &expected);
    }
}

/// The broker goes on with the store of version 1: sessions of 5.0 and 3.1.1 are resumed, with what waits for them and both sides of the
/// handshakes; what has expired since 2020 is gone; what is stored now is there after a `kill -9`.
#[test]
fn version_1_goes_on() {
    not_for_mosquitto!("its store is another one");
    for state in STATES {
        let mut broker = Broker::start();
        put(
            &broker.folder().join("data"),
            &files(&fixtures(1).join(state)),
        );
        broker.again(&["--data-dir", "data"]);
        goes_on(&broker, state);
        let mut publisher = Client::connect(&broker, Version::V5, "publisher");
        publisher.publish("early/3", "new", QoS::ExactlyOnce);
        broker.again(&["--data-dir", "data"]);
        let mut early = resume(&broker, "early", Version::V311, true);
        assert_eq!(early.take_text(), "early/1|1|0|waits through everything");
        let large = early.take();
        assert_eq!(large.publish().payload, "large ".repeat(1_000).as_bytes());
        takes(&mut early, &["early/3|1|0|new"]);
    }
}

#[track_caller]
fn resume(broker: &Broker, name: &str, version: Version, present: bool) -> Client {
    let list = [Property::SessionExpiryInterval(NEVER)];
    let (client, answer) = Client::connect_with(
        broker,
        &Connect {
            clean_start: false,
            properties: Properties::List(if version.is_v5() { &list } else { &[] }),
            ..Connect::new(version, name)
        },
    );
    assert_eq!(answer.conn_ack().session_present, present, "{name}");
    client
}

/// A client takes this, in this order, and nothing else.
#[track_caller]
fn takes(client: &mut Client, expected: &[&str]) {
    for expected in expected {
        assert_eq!(client.take_text(), *expected);
    }
    client.expect_silence();
}

fn goes_on(broker: &Broker, state: &str) {
    for gone in ["brief", "ended"] {
        resume(broker, gone, Version::V5, false);
    }
    let mut talk = resume(broker, "talk", Version::V311, true);
    let release = talk.receive();
    assert_eq!(release.pub_rel().packet_id, packet_id(1));
    talk.send(&PubComp::new(packet_id(1)));
    let sent = talk.receive();
    assert!(sent.publish().dup);
    assert_eq!(sent.text(), "talk|2|0|sent");
    talk.send(&PubRec::new(sent.publish_id()));
    let flying = talk.receive();
    assert_eq!(flying.text(), "talk|1|0|in flight");
    talk.send(&PubAck::new(flying.publish_id()));
    talk.receive_where("PUBREL", |packet| matches!(packet, FromServer::PubRel(_)));
    talk.send(&PubComp::new(sent.publish_id()));
    talk.send(&Publish {
        dup: true,
        delivery: Delivery::ExactlyOnce(packet_id(77)),
        ..publish("site/7/talk", "taken")
    });
    talk.receive_where("PUBREC", |packet| matches!(packet, FromServer::PubRec(_)));
    talk.send(&PubRel::new(packet_id(77)));
    talk.receive_where("PUBCOMP", |packet| matches!(packet, FromServer::PubComp(_)));
    talk.expect_silence();

    let mut screen = resume(broker, "screen \"é\"", Version::V311, true);
    let expected = [
        "site/7/state|1|0|old",
        "site/7/set|1|0|0",
        "site/7/set|2|0|3",
        "site/7/talk|2|0|taken",
    ];
    for expected in expected {
        assert_eq!(screen.take_text(), expected);
    }
    // That of a connection which was there when the broker was killed waits for its client a little longer.
    let wills = ["will/armed|1|0|lost", "will/mortal|1|0|lost"];
    let wills = &wills[usize::from(state == "killed")..];
    let mut texts: Vec<String> = wills.iter().map(|_| screen.take_text()).collect();
    texts.sort();
    assert_eq!(texts, wills);
    screen.expect_silence();

    let mut meter = resume(broker, "meter", Version::V5, true);
    let expected = [
        "site/8/set|2|0|1",
        "site/7/set|2|0|3",
        // It was sent before it expired.
        "site/7/set|2|0|until later",
        "site/7/state|1|0|old",
        "site/8/state|1|0|\0\u{fffd}\u{fffd}\u{fffd}",
        "site/9/state|1|0|off",
        "site/9/state|1|0|",
        "site/7/set|1|0|0",
        "site/8/set|1|0|4",
        "site/7/talk|1|0|taken",
    ];
    takes(&mut meter, &expected);
    let mut publisher = Client::connect(broker, Version::V5, "publisher");
    publisher.publish("site/1/set", "both", QoS::ExactlyOnce);
    let both = meter.take();
    let ids = both.publish().properties.subscription_identifiers();
    let mut ids: Vec<u32> = ids.map(Into::into).collect();
    ids.sort_unstable();
    assert_eq!(ids, [7, 268_435_455]);

    let mut member = resume(broker, "member 1", Version::V5, true);
    let expected = ["job/1|2|0|5", "job/1|1|0|2", "job/2|1|0|given to a member"];
    takes(&mut member, &expected);
    let mut member = resume(broker, "member 2", Version::V5, true);
    takes(&mut member, &["errand|1|0|for anybody"]);

    let mut late = Client::connect(broker, Version::V311, "late");
    late.subscribe(&[("site/#", at(QoS::AtLeastOnce))]);
    let state = late.take();
    assert_eq!(state.publish().topic, "site/8/state");
    assert_eq!(state.publish().payload, [0, 159, 146, 150]);
    late.expect_silence();
}

/// A store of another version is refused with a sentence, `--repair` or not, and stays as it is, whichever of its files says so; a version
/// that was not written but damaged is damage.
#[test]
fn another_version_is_refused() {
    not_for_mosquitto!("its store is another one");
    let whole = files(&fixtures(1).join("stopped"));
    let mut broker = Broker::start();
    let data = broker.folder().join("data");
    let snapshot = whole.keys().find(|name| name.ends_with(".snap")).unwrap();
    let base: u64 = snapshot.trim_end_matches(".snap").parse().unwrap();
    // Where the version stands, and where the checksum of what has it.
    let places = [
        ("store", 7, Some(20)),
        (snapshot.as_str(), 7, Some(64)),
        (first_needed(&whole, base), 7, Some(36)),
        ("store", 7, None),
        (snapshot.as_str(), 7, None),
    ];
    for (name, at, sum) in places {
        let mut files = whole.clone();
        let bytes = files.get_mut(name).unwrap();
        bytes[at] += 1;
        if let Some(end) = sum {
            let sum = crc32c::crc32c(&bytes[..end]).to_le_bytes();
            bytes[end..end + 4].copy_from_slice(&sum);
        }
        for repair in [&[][..], &["--repair"]] {
            if sum.is_none() && !repair.is_empty() {
                continue;
            }
            let _ = fs::remove_dir_all(&data);
            put(&data, &files);
            let (lines, status) = broker.again_in_vain(&[&["--data-dir", "data"], repair].concat());
            let text = lines.join("\n");
            assert_eq!(status, Some(1), "{text}");
            let words = match sum {
                Some(_) => format!(
                    "{name} is of version 2 of the format, and this program knows version 1: use a newer mqtt-broker"
                ),
                None => format!("{name}, offset 0: "),
            };
            assert!(text.contains(&words), "{name} {repair:?}: {text}");
            assert!(self::files(&data) == files, "{name} {repair:?}");
        }
    }
}

/// The segment in which replay begins.
fn first_needed(files: &BTreeMap<String, Vec<u8>>, base: u64) -> &str {
    let snapshot = &files[&format!("{base:020}.snap")];
    // Behind magic and version: store, length, group, then segment and offset as one number.
    let place = u64::from_le_bytes(snapshot[32..40].try_into().expect("8 bytes"));
    let name = format!("{:010}.log", place >> 32);
    let found = files.keys().find(|it| **it == name);
    found
        .map(String::as_str)
        .unwrap_or_else(|| panic!("{name}"))
}
