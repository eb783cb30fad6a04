//! Files that a real Mosquitto has written: read as the items of a store, and imported with the program, whose broker goes on with them.

mod support;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mqtt_broker::store::mosquitto_db::{MosquittoDb, MosquittoError, Remarks, Unclean};
use mqtt_broker::store::portable::{Time, Writer};
use mqtt_codec::{
    Connect, Delivery, FromServer, Properties, Property, PubComp, PubRec, PubRel, Publish, QoS,
    RetainHandling, SubscriptionId, SubscriptionOptions, Version,
};
use support::frame::{at, keeping, packet_id, publish};
use support::{Broker, Client, PATIENCE, broker, foreign, need, not_for_mosquitto};
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

fn read(file: &Path, unclean: Unclean) -> Result<(Vec<String>, Remarks), MosquittoError> {
    let file = BufReader::new(File::open(file).expect("it is there"));
    let database = MosquittoDb::open(file, unclean)?;
    let remarks = database.remarks();
    let mut writer = Writer::new(Vec::new(), Time::now()).expect("memory takes it");
    for item in database.into_items() {
        writer.item(item?).expect("memory takes it");
    }
    let text = writer.finish().expect("memory takes it");
    let text = String::from_utf8(text).expect("JSON is UTF-8");
    let lines = text.lines().skip(1).map(without_times).collect();
    Ok((lines, remarks))
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
    let (lines, remarks) = read(&file, Unclean::Refuse).expect("it is whole");
    let expected: Vec<&str> = EXPECTED.lines().collect();
    assert_eq!(lines, expected, "{}", lines.join("\n"));
    let Remarks {
        at_most_once,
        sessions,
        not_acknowledged,
        ..
    } = remarks;
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
    let (lines, remarks) = read(&file, Unclean::Refuse).expect("it is whole");
    assert_eq!(lines, [r#"{"end":{"items":0}}"#]);
    assert_eq!(remarks, Remarks::default());
}

fn store(command: &str, arguments: &[&Path]) -> Output {
    let mut program = Command::new(broker::program());
    let output = program.args(["store", command]).args(arguments).output();
    output.expect("the program runs")
}

fn succeeded(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Our broker, with what it keeps in this directory.
fn ours(data: &Path) -> Broker {
    Broker::configured(
        &format!("data_dir = {:?}\n", data.display().to_string()),
        "",
    )
}

fn resumed(broker: &Broker, connect: &Connect<'_>) -> Client {
    let (client, answer) = Client::connect_with(broker, connect);
    assert!(answer.conn_ack().session_present, "{}", connect.client_id);
    client
}

/// Mosquitto's own client has a session at Mosquitto, which stops; after the import it goes on with ours as if nothing had been.
#[test]
fn mosquitto_sub_goes_on_with_our_broker() {
    not_for_mosquitto!("this is about the way from one to the other");
    let tools = need!(foreign::mosquitto_tools());
    need!(foreign::mosquitto_broker());
    let mosquitto = Mosquitto::start();
    let port = mosquitto.broker.port();
    let clients = [("mqttv311", "old"), ("mqttv5", "new")];
    let session = |version, id| {
        let expiry = ["-x", "3600"];
        let more: &[&str] = if version == "mqttv5" { &expiry } else { &[] };
        let all = ["-V", version, "-c", "-i", id, "-q", "2", "-t", "house/#"];
        [&all[..], more].concat()
    };
    for (version, id) in clients {
        let mut tool = tools.subscribe(port, &session(version, id));
        tool.signal("TERM");
        tool.wait(PATIENCE);
    }
    let mut expected = Vec::new();
    for number in 1..=50 {
        let qos = ["1", "2"][number % 2];
        let (topic, payload) = (format!("house/{number}"), format!("message {number}"));
        tools.publish(port, &["-q", qos, "-t", &topic, "-m", &payload]);
        expected.push(format!("{topic}|{qos}|0|{payload}"));
    }
    tools.publish(port, &["-r", "-q", "1", "-t", "state/door", "-m", "closed"]);
    let (file, folder) = mosquitto.stop();
    let data = folder.path().join("data");
    let said = succeeded(&store("import", &[&data, &file]));
    let counts = "2 sessions, 2 subscriptions, 1 retained message, 100 waiting messages, 0 handshakes, 0 wills";
    assert!(said.contains(counts), "{said}");
    let whole = succeeded(&store("check", &[&data]));
    assert_eq!(whole, "the store is whole: 2 sessions, 51 messages\n");

    let broker = ours(&data);
    for (version, id) in clients {
        let mut tool = tools.start_subscribe(broker.port(), &session(version, id));
        let got: Vec<String> = expected.iter().map(|_| tool.line_after("MSG ")).collect();
        // What came with QoS 2 is shown when its PUBREL comes.
        for qos in ["|1|", "|2|"] {
            let of = |all: &[String]| -> Vec<String> {
                all.iter()
                    .filter(|line| line.contains(qos))
                    .cloned()
                    .collect()
            };
            assert_eq!(of(&got), of(&expected), "{id}");
        }
    }
    let mut late = tools.start_subscribe(broker.port(), &["-q", "1", "-t", "state/#"]);
    assert_eq!(late.line_after("MSG "), "state/door|1|1|closed");
}

/// Everything that Mosquitto's file holds goes on: queues in their order, QoS 2 in both directions where it stood, and what had not been
/// given to anybody.
#[test]
fn handshakes_go_on_with_our_broker() {
    not_for_mosquitto!("this is about the way from one to the other");
    need!(foreign::mosquitto_broker());
    let mosquitto = Mosquitto::start();
    let clients = fill(&mosquitto);
    let (file, folder) = mosquitto.stop();
    drop(clients);
    let data = folder.path().join("data");
    succeeded(&store("import", &[&data, &file]));
    let broker = ours(&data);

    let mut meter = resumed(&broker, &keeping(Version::V311, "meter"));
    let waiting = [
        "b/all|1|0|all",
        "a/2|1|0|two",
        "a/kept|1|0|kept",
        "a/over|1|0|handed over",
    ];
    for message in waiting {
        assert_eq!(meter.take_text(), message);
    }
    meter.expect_silence();

    let mut stalled = resumed(&broker, &keeping(Version::V311, "stalled1"));
    for number in ["1", "2", "3", "4", "5"] {
        assert_eq!(stalled.take_text(), format!("s/1/x|1|0|{number}"));
    }
    let mut stalled = resumed(&broker, &keeping(Version::V311, "stalled2"));
    let release = stalled.receive_where("PUBREL", |packet| matches!(packet, FromServer::PubRel(_)));
    let first = release.pub_rel().packet_id;
    assert_eq!(first.get(), 1);
    stalled.send(&PubComp::new(first));
    for number in 2..=5 {
        let frame = stalled.take();
        let publish = frame.publish();
        assert_eq!((frame.publish_id().get(), publish.dup), (number, true));
        assert_eq!(publish.payload, number.to_string().as_bytes());
    }
    stalled.expect_silence();

    let week = [Property::SessionExpiryInterval(604_800)];
    let mut five = resumed(
        &broker,
        &Connect {
            properties: Properties::List(&week),
            ..keeping(Version::V5, "five")
        },
    );
    let frame = five.take();
    assert_eq!(
        (frame.text(), frame.publish_id().get()),
        ("a/2|2|0|two".into(), 1)
    );
    let frame = five.take();
    assert_eq!(frame.text(), "a/kept|1|1|kept");
    let ids = frame.publish().properties.subscription_identifiers();
    assert_eq!(ids.map(|id| id.get()).collect::<Vec<_>>(), [77]);
    // One is released; of another the client does not know whether it had arrived.
    five.send(&PubRel::new(packet_id(900)));
    let over = five.receive_where("PUBCOMP", |packet| matches!(packet, FromServer::PubComp(_)));
    assert_eq!(over.pub_comp().packet_id.get(), 900);
    five.send(&Publish {
        dup: true,
        retain: true,
        delivery: Delivery::ExactlyOnce(packet_id(901)),
        ..publish("kept/replaced", "new")
    });
    let again = five.receive_where("PUBREC", |packet| matches!(packet, FromServer::PubRec(_)));
    assert_eq!(again.pub_rec().packet_id.get(), 901);

    let mut late = Client::subscribed(
        &broker,
        Version::V311,
        "visitor",
        "kept/#",
        QoS::AtLeastOnce,
    );
    let mut kept = [late.take(), late.take()].map(|frame| {
        let publish = frame.publish();
        (
            publish.topic.to_owned(),
            publish.payload.to_vec(),
            publish.retain,
        )
    });
    kept.sort();
    let bytes = ("kept/bytes".to_owned(), vec![0, 1, 254, 255], true);
    let replaced = ("kept/replaced".to_owned(), b"new".to_vec(), true);
    assert_eq!(kept, [bytes, replaced]);
    late.expect_silence();
}

/// A file that is not read ends with status 2, the file's name, the place, and what to do; nothing is left behind.
#[test]
fn a_bad_file_is_refused_by_the_program() {
    not_for_mosquitto!("the program is ours");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let whole = include_bytes!("fixtures/mosquitto-2.0.11.db");
    let mut running = whole.to_vec();
    running[39] = 0;
    let cases: [(&str, &[u8], &str); 5] = [
        (
            "cut.db",
            &whole[..3_000],
            "the file is damaged or was cut off: a chunk should have",
        ),
        (
            "running.db",
            &running,
            "byte 23: Mosquitto wrote it while it was running, and what came later is not in it: stop Mosquitto",
        ),
        (
            "notes.txt",
            b"remember the milk",
            "byte 0: this is neither an export of a store nor a mosquitto.db",
        ),
        (
            "cut.jsonl",
            br#"{"format":"mqtt-store","version":1,"written":"2026-11-30T15:03:21Z"}"#,
            "line 1: it ends without a line {\"end\":…}",
        ),
        (
            "other.json",
            b"{\"a\":1}\n",
            "line 1: this is no export of a store",
        ),
    ];
    for (name, content, said) in cases {
        let file = folder.path().join(name);
        fs::write(&file, content).expect("the temporary folder is writable");
        let output = store("import", &[&data, &file]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        let place = format!("error: {}", file.display());
        assert!(error.starts_with(&place) && error.contains(said), "{error}");
        assert!(!data.exists(), "{name} left something");
    }
    let missing = store("import", &[&data, &folder.path().join("missing")]);
    assert_eq!(missing.status.code(), Some(2));
    let running = folder.path().join("running.db");
    succeeded(&store("import", &[Path::new("--unclean"), &data, &running]));
}
