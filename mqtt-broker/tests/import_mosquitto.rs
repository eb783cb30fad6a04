//! Files that a real Mosquitto has written, read as the items of a store.

mod support;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use mqtt_broker::store::mosquitto_db::{LeftOut, MosquittoDb, MosquittoError, Unclean};
use mqtt_broker::store::portable::{Time, Writer};
use mqtt_codec::{
    Connect, Delivery, FromServer, Properties, Property, PubRec, Publish, QoS, RetainHandling,
    SubscriptionId, SubscriptionOptions, Version,
};
use support::frame::{at, keeping, packet_id, publish};
use support::{Broker, Client, PATIENCE, foreign, need};
use tempfile::TempDir;

/// A Mosquitto that writes its state into a folder when it stops, and when it is told to.
struct Mosquitto {
    broker: Broker,
    folder: TempDir,
}

impl Mosquitto {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let location = folder.path().display();
        let broker = Broker::mosquitto(&format!(
            "persistence true\npersistence_location {location}/\nautosave_interval 0\n\
             queue_qos0_messages true\nmax_inflight_messages 3\n"
        ));
        Self { broker, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("mosquitto.db")
    }

    /// Stops it as `systemctl stop` does; what it leaves is in the folder.
    fn stop(mut self) -> (PathBuf, TempDir) {
        // A signal that comes before its loop runs is lost.
        Client::connect(&self.broker, Version::V311, "last").disconnect();
        self.broker.process().signal("TERM");
        self.broker.process().wait(PATIENCE);
        (self.file(), self.folder)
    }

    /// Has it write its state while it runs.
    fn snapshot(&mut self) -> PathBuf {
        self.broker.process().signal("USR1");
        let file = self.file();
        support::eventually("mosquitto.db is written", || {
            // It is written beside, and renamed.
            file.is_file()
        });
        file
    }
}

fn read(file: &Path, unclean: Unclean) -> Result<(Vec<String>, LeftOut), MosquittoError> {
    let file = BufReader::new(File::open(file).expect("it is there"));
    let database = MosquittoDb::open(file, unclean)?;
    let left_out = database.left_out();
    let mut writer = Writer::new(Vec::new(), Time::now()).expect("memory takes it");
    for item in database.into_items() {
        writer.item(item?).expect("memory takes it");
    }
    let text = writer.finish().expect("memory takes it");
    let text = String::from_utf8(text).expect("JSON is UTF-8");
    let lines = text.lines().skip(1).map(without_times).collect();
    Ok((lines, left_out))
}

/// A line with `TIME` for every point in time.
fn without_times(line: &str) -> String {
    let mut parts = line.split('"').map(str::to_owned).collect::<Vec<_>>();
    for part in &mut parts {
        if part.parse::<Time>().is_ok() {
            *part = "TIME".to_owned();
        }
    }
    parts.join("\"")
}

/// Sends a message with this packet id at QoS 2, and no PUBREL behind its PUBREC.
fn hand_over(client: &mut Client, id: u16, packet: &Publish<'_>) {
    client.send(&Publish {
        delivery: Delivery::ExactlyOnce(packet_id(id)),
        ..*packet
    });
    client.receive_where(
        "PUBREC",
        |packet| matches!(packet, FromServer::PubRec(ack) if ack.packet_id.get() == id),
    );
}

/// Sessions and messages in every state that Mosquitto's file knows. The clients that are given back have a connection still.
fn fill(mosquitto: &Mosquitto) -> Vec<Client> {
    let broker = &mosquitto.broker;
    let mut meter = Connect {
        user_name: Some("bob"),
        ..keeping(Version::V311, "meter")
    };
    let (mut client, _) = Client::connect_with(broker, &meter);
    client.subscribe(&[("a/#", at(QoS::AtLeastOnce)), ("b/+", at(QoS::ExactlyOnce))]);
    client.disconnect();
    let week = [Property::SessionExpiryInterval(604_800)];
    let five = Connect {
        properties: Properties::List(&week),
        ..keeping(Version::V5, "five")
    };
    let (mut client, _) = Client::connect_with(broker, &five);
    let options = SubscriptionOptions {
        qos: QoS::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    let id = SubscriptionId::new(77).expect("in range");
    client.subscribe_with(&[("a/+", options)], &[Property::SubscriptionIdentifier(id)]);
    client.subscribe(&[("c", at(QoS::AtLeastOnce))]);
    client.disconnect();
    let (mut client, _) = Client::connect_with(broker, &keeping(Version::V5, "zero"));
    client.subscribe(&[("a/#", at(QoS::AtMostOnce))]);
    client.disconnect();

    // These have a connection when the file is written, and acknowledge nothing.
    let (mut stalled1, _) = Client::connect_with(broker, &keeping(Version::V311, "stalled1"));
    stalled1.subscribe(&[("s/1/#", at(QoS::AtLeastOnce))]);
    let (mut stalled2, _) = Client::connect_with(broker, &keeping(Version::V311, "stalled2"));
    stalled2.subscribe(&[("s/2/#", at(QoS::ExactlyOnce))]);
    let none = [Property::SessionExpiryInterval(0)];
    let brief = Connect {
        properties: Properties::List(&none),
        ..keeping(Version::V5, "brief")
    };
    let (mut brief, _) = Client::connect_with(broker, &brief);
    brief.subscribe(&[("a/#", at(QoS::AtLeastOnce))]);
    let (mut sender, _) = Client::connect_with(broker, &five);

    let mut publisher = Client::connect(broker, Version::V5, "publisher");
    let properties = [
        Property::PayloadFormatIndicator(mqtt_codec::PayloadFormat::Utf8),
        Property::MessageExpiryInterval(86_400),
        Property::ContentType("text/plain"),
        Property::ResponseTopic("re/to"),
        Property::CorrelationData(&[0, 255]),
        Property::UserProperty("k", "v"),
        Property::UserProperty("k", "w"),
    ];
    let all = Publish {
        properties: Properties::List(&properties),
        ..publish("b/all", "all")
    };
    publisher.publish_packet(&all, QoS::AtLeastOnce);
    publisher.publish("a/0", "zero", QoS::AtMostOnce);
    publisher.publish("a/2", "two", QoS::ExactlyOnce);
    let retained = |topic, payload: &'static [u8]| Publish {
        retain: true,
        ..publish(topic, payload)
    };
    publisher.publish_packet(&retained("a/kept", b"kept"), QoS::AtLeastOnce);
    publisher.publish_packet(&retained("kept/bytes", &[0, 1, 254, 255]), QoS::AtMostOnce);
    publisher.publish_packet(&retained("kept/replaced", b"old"), QoS::AtLeastOnce);
    for n in ["1", "2", "3", "4", "5"] {
        publisher.publish("s/1/x", n, QoS::AtLeastOnce);
        publisher.publish("s/2/x", n, QoS::ExactlyOnce);
    }
    let first = stalled2.receive().publish_id();
    stalled2.send(&PubRec::new(first));
    stalled2.receive_where("PUBREL", |packet| matches!(packet, FromServer::PubRel(_)));
    stalled1.ping();

    // `five` has handed these over and not released them: nobody has them yet.
    hand_over(&mut sender, 900, &publish("a/over", "handed over"));
    hand_over(&mut sender, 901, &retained("kept/replaced", b"new"));
    hand_over(&mut sender, 902, &publish("nobody/wants", "this"));
    meter.client_id = "late";
    let (late, _) = Client::connect_with(broker, &meter);
    late.disconnect();
    vec![stalled1, stalled2, brief, sender]
}

/// What the file of [`fill`] holds.
const EXPECTED: &str = include_str!("fixtures/mosquitto-2.0.11.jsonl");

/// Everything that Mosquitto keeps is found: retained messages, sessions, subscriptions, what waits and what is in flight.
#[test]
fn a_file_of_mosquitto_is_read() {
    need!(foreign::mosquitto_broker());
    let mosquitto = Mosquitto::start();
    let clients = fill(&mosquitto);
    let (file, _folder) = mosquitto.stop();
    drop(clients);
    if let Some(path) = std::env::var_os("MQTT_TEST_FIXTURE") {
        fs::copy(&file, path).expect("MQTT_TEST_FIXTURE names a file");
    }
    let (lines, left_out) = read(&file, Unclean::Refuse).expect("it is whole");
    let expected: Vec<&str> = EXPECTED.lines().collect();
    assert_eq!(lines, expected, "{}", lines.join("\n"));
    let LeftOut {
        at_most_once,
        sessions,
        not_acknowledged,
        ..
    } = left_out;
    assert_eq!((at_most_once, sessions, not_acknowledged), (4, 1, 0));
}

/// A file that Mosquitto wrote while it was running is refused, unless that is what is wanted.
#[test]
fn a_snapshot_of_a_running_mosquitto_is_not_taken_for_all() {
    need!(foreign::mosquitto_broker());
    let mut mosquitto = Mosquitto::start();
    let clients = fill(&mosquitto);
    let file = mosquitto.snapshot();
    let refused = read(&file, Unclean::Refuse).expect_err("it is no last word");
    assert!(
        matches!(refused, MosquittoError::Unclean { .. }),
        "{refused}"
    );
    let (lines, _) = read(&file, Unclean::Accept).expect("it is whole");
    let expected: Vec<&str> = EXPECTED.lines().collect();
    assert_eq!(lines, expected);
    drop(clients);
}

/// A Mosquitto without anything to keep leaves a file without anything in it.
#[test]
fn an_empty_file_holds_nothing() {
    need!(foreign::mosquitto_broker());
    let (file, _folder) = Mosquitto::start().stop();
    let (lines, left_out) = read(&file, Unclean::Refuse).expect("it is whole");
    assert_eq!(lines, [r#"{"end":{"items":0}}"#]);
    assert_eq!(left_out, LeftOut::default());
}
