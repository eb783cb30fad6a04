//! `mqtt-broker store`, through the real program: what a broker has kept goes out as text, and comes in again.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use mqtt_codec::{
    Connect, Delivery, FromServer, Properties, Property, PubRec, Publish, QoS, Version, Will,
};
use support::frame::{at, keeping, packet_id, publish};
use support::{Broker, Client, PATIENCE, broker, foreign, need, not_for_mosquitto};

fn store(command: &str, arguments: &[&Path]) -> Output {
    let mut program = Command::new(broker::program());
    let output = program.args(["store", command]).args(arguments).output();
    output.expect("the program runs")
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Sessions, queues, handshakes, groups, wills and retained messages. The clients that are given back have a connection still.
fn fill(broker: &Broker) -> Vec<Client> {
    let (mut away, _) = Client::connect_with(broker, &keeping(Version::V5, "away"));
    away.subscribe(&[
        ("q/#", at(QoS::ExactlyOnce)),
        ("$share/g/s", at(QoS::AtLeastOnce)),
    ]);
    away.disconnect();
    let (mut other, _) =
        Client::connect_with(broker, &keeping(Version::V311, "other \"quoted\" é"));
    other.subscribe(&[("q/+", at(QoS::AtLeastOnce))]);
    other.disconnect();
    let delay = [Property::WillDelayInterval(500)];
    let mortal = Connect {
        will: Some(Will {
            topic: "will/topic",
            payload: b"gone",
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Properties::List(&delay),
        }),
        ..keeping(Version::V5, "mortal")
    };
    Client::connect_with(broker, &mortal).0.cut();
    let (mut stalled, _) = Client::connect_with(broker, &keeping(Version::V311, "stalled"));
    stalled.subscribe(&[("t/#", at(QoS::ExactlyOnce))]);

    let mut publisher = Client::connect(broker, Version::V5, "publisher");
    for number in 0..30 {
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
        publisher.publish("q/x", &number.to_string(), qos);
        publisher.publish("s", &number.to_string(), QoS::AtLeastOnce);
    }
    let properties = [
        Property::MessageExpiryInterval(3_600),
        Property::UserProperty("k", "v"),
        Property::CorrelationData(&[0xff]),
    ];
    let whole = Publish {
        properties: Properties::List(&properties),
        retain: true,
        ..publish("q/kept", &[0, 159, 146, 150])
    };
    publisher.publish_packet(&whole, QoS::ExactlyOnce);
    for number in ["1", "2"] {
        publisher.publish("t/x", number, QoS::ExactlyOnce);
    }
    let first = stalled.receive().publish_id();
    stalled.send(&PubRec::new(first));
    stalled.receive_where("PUBREL", |packet| matches!(packet, FromServer::PubRel(_)));
    stalled.send(&Publish {
        delivery: Delivery::ExactlyOnce(packet_id(77)),
        ..publish("q/over", "handed over")
    });
    stalled.receive_where("PUBREC", |packet| matches!(packet, FromServer::PubRec(_)));
    vec![stalled]
}

/// The lines without the first, which says when it was written.
fn lines(text: &str) -> Vec<&str> {
    text.lines().skip(1).collect()
}

/// What a broker leaves, however it ended, makes a store that says the same, and a broker that goes on with it.
#[test]
fn what_a_broker_leaves_goes_out_and_in() {
    not_for_mosquitto!("the program is ours");
    for signal in ["TERM", "KILL"] {
        let mut broker = Broker::configured("data_dir = \"data\"\n", "");
        let clients = fill(&broker);
        let data = broker.folder().join("data");
        let running = store("export", &[&data]);
        assert_eq!(running.status.code(), Some(1));
        let said = String::from_utf8_lossy(&running.stderr).into_owned();
        assert!(said.contains("another broker has it open"), "{said}");
        broker.process().signal(signal);
        broker.process().wait(PATIENCE);
        drop(clients);

        let exported = succeeded(&store("export", &[&data]));
        let file = broker.folder().join("export.jsonl");
        fs::write(&file, &exported).expect("the temporary folder is writable");
        let copy = broker.folder().join("copy");
        succeeded(&store("import", &[&copy, &file]));
        let again = succeeded(&store("export", &[&copy]));
        assert_eq!(lines(&again), lines(&exported), "{signal}");
        for dir in [&data, &copy] {
            let said = succeeded(&store("check", &[dir]));
            assert!(said.contains("the store is whole: 4 sessions"), "{said}");
        }
        let stats = succeeded(&store("stats", &[&copy, Path::new("--json")]));
        for number in [
            r#""sessions":4"#,
            r#""groups":1"#,
            r#""retained":1"#,
            r#""wills":1"#,
        ] {
            assert!(stats.contains(number), "{stats}");
        }

        fs::remove_dir_all(&data).expect("the broker has ended");
        fs::rename(&copy, &data).expect("the copy takes its place");
        broker.again(&[]);
        goes_on(&broker);
    }
}

/// A session is left out of a store as the documentation says: what others share with it comes.
#[test]
fn a_session_is_left_out_with_jq() {
    not_for_mosquitto!("the program is ours");
    need!(foreign::jq());
    let mut broker = Broker::configured("data_dir = \"data\"\n", "");
    drop(fill(&broker));
    broker.process().signal("TERM");
    broker.process().wait(PATIENCE);
    let documented = include_str!("../docs/store-export.md");
    let (_, steps) = documented
        .split_once("## With `jq`\n```sh\n")
        .expect("it is there");
    let (steps, _) = steps.split_once("```").expect("it ends");
    let own = shown(&broker::program());
    let script = steps
        .replace("mqtt-broker ", &format!("{own} "))
        .replace("NEWDIR", "copy")
        .replace("DIR", "data")
        .replace("\"old\"", "\"away\"");
    let output = Command::new("sh")
        .args(["-ec", &script])
        .current_dir(broker.folder())
        .output();
    let said = succeeded(&output.expect("there is a shell"));
    assert!(
        said.starts_with("away\nmortal\nother \"quoted\" é\nstalled\n"),
        "{said}"
    );
    assert!(said.contains("imported into copy: 3 sessions"), "{said}");
    let left = "left out: 30 waiting messages: the group for which they wait has no member";
    assert!(said.contains(left), "{said}");
    fs::remove_dir_all(broker.folder().join("data")).expect("the broker has ended");
    fs::rename(broker.folder().join("copy"), broker.folder().join("data")).expect("it is ours");
    broker.again(&[]);
    others_go_on(&broker);
    let (_, answer) = Client::connect_with(&broker, &keeping(Version::V5, "away"));
    assert!(!answer.conn_ack().session_present);
}

/// Quoted for a shell.
fn shown(path: &Path) -> String {
    format!("'{}'", path.display())
}

/// An export comes from a pipe as well as from a file.
#[test]
fn an_export_comes_through_a_pipe() {
    not_for_mosquitto!("the program is ours");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let own = shown(&broker::program());
    let line = r##"{"format":"mqtt-store","version":1,"written":"2026-11-30T15:03:21Z"}\n{"session":{"client_id":"a"}}\n{"end":{}}\n"##;
    let run = |script: &str| {
        let shell = Command::new("sh")
            .args(["-ec", script])
            .current_dir(folder.path())
            .output();
        shell.expect("there is a shell")
    };
    for (name, from) in [("one", "-"), ("two", "/dev/stdin")] {
        let said = succeeded(&run(&format!(
            "printf '{line}' | {own} store import {name} {from}"
        )));
        assert!(
            said.contains(&format!("imported into {name}: 1 session,")),
            "{said}"
        );
    }
    let said = succeeded(&run(&format!(
        "{own} store export one | {own} store import three -"
    )));
    assert!(said.contains("imported into three: 1 session,"), "{said}");
    let database = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mosquitto-2.0.11.db");
    let refused = run(&format!(
        "cat {} | {own} store import four -",
        shown(&database)
    ));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot come from a pipe"), "{said}");
}

/// The sessions of [`fill`] find what was left for them.
fn goes_on(broker: &Broker) {
    let mut other = others_go_on(broker);
    let (mut away, answer) = Client::connect_with(broker, &keeping(Version::V5, "away"));
    assert!(answer.conn_ack().session_present);
    let mut group = Vec::new();
    let mut own = Vec::new();
    for _ in 0..62 {
        let text = away.take_text();
        let of_group = text.starts_with("s|");
        if of_group { &mut group } else { &mut own }.push(text);
    }
    let expected = (0..30).map(|number| format!("s|1|0|{number}"));
    assert_eq!(group, expected.collect::<Vec<_>>());
    let expected = (0..30).map(|number| format!("q/x|{}|0|{number}", 1 + number % 2));
    assert_eq!(own[..30], expected.collect::<Vec<_>>());
    away.expect_silence();
    other.expect_silence();
}

/// Those but the first.
fn others_go_on(broker: &Broker) -> Client {
    let (mut other, answer) =
        Client::connect_with(broker, &keeping(Version::V311, "other \"quoted\" é"));
    assert!(answer.conn_ack().session_present);
    for number in 0..30 {
        assert_eq!(other.take_text(), format!("q/x|1|0|{number}"));
    }
    let kept = other.take();
    assert_eq!(kept.publish().payload, [0, 159, 146, 150]);
    assert_eq!(other.take_text(), "q/over|1|0|handed over");
    other.expect_silence();
    let (mut stalled, answer) = Client::connect_with(broker, &keeping(Version::V311, "stalled"));
    assert!(answer.conn_ack().session_present);
    stalled.receive_where("PUBREL", |packet| matches!(packet, FromServer::PubRel(_)));
    let second = stalled.receive();
    assert_eq!(
        (second.text(), second.publish().dup),
        ("t/x|2|0|2".into(), true)
    );
    // It was taken: nobody gets it again.
    stalled.send(&Publish {
        dup: true,
        delivery: Delivery::ExactlyOnce(packet_id(77)),
        ..publish("q/over", "handed over")
    });
    stalled.receive_where("PUBREC", |packet| matches!(packet, FromServer::PubRec(_)));
    other.expect_silence();
    other
}

/// A damaged store: status 1, where the damage is, and what a repair would cost.
#[test]
fn damage_is_told() {
    not_for_mosquitto!("the program is ours");
    let mut broker = Broker::configured("data_dir = \"data\"\n", "");
    drop(fill(&broker));
    broker.process().signal("TERM");
    broker.process().wait(PATIENCE);
    let data = broker.folder().join("data");
    let log = data.join("0000000001.log");
    let mut bytes = fs::read(&log).expect("a store begins with its first segment");
    bytes[4_600] ^= 4;
    fs::write(&log, &bytes).expect("it is ours");
    let output = store("check", &[&data]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("damaged: 0000000001.log, offset "), "{said}");
    assert!(said.contains("a repair would lose: "), "{said}");
    let json = store("check", &[&data, Path::new("--json")]);
    assert_eq!(json.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&json.stdout).contains(r#""whole":false"#));
    let refused = store("export", &[&data]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.is_empty(), "half an export");
    assert_eq!(
        fs::read(&log).expect("it is there"),
        bytes,
        "looking changed it"
    );
}

#[test]
fn where_no_store_is_that_is_said() {
    not_for_mosquitto!("the program is ours");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for command in ["check", "stats", "export"] {
        let output = store(command, &[folder.path()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("holds no store"), "{said}");
    }
}
