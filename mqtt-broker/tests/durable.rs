//! What `--data-dir` promises, through the real program.

mod support;

use std::fs;
use std::path::PathBuf;

use mqtt_codec::{Connect, Publish, QoS, Version};
use support::frame::{VERSIONS, at, keeping, publish};
use support::{Broker, Client, not_for_mosquitto};

fn retained<'a>(topic: &'a str, payload: &'a str) -> Publish<'a> {
    Publish {
        retain: true,
        ..publish(topic, payload)
    }
}

fn durable() -> Broker {
    Broker::configured("data_dir = \"data\"\n", "")
}

fn finds_session(broker: &Broker, connect: &Connect<'_>) -> (Client, bool) {
    let (client, answer) = Client::connect_with(broker, connect);
    let present = answer.conn_ack().session_present;
    (client, present)
}

/// Sessions, subscriptions, what waits and what is retained, after a process that was killed. [MQTT-4.1.0-1] [MQTT-3.2.2-3]
#[test]
fn what_was_acknowledged_survives_kill_9() {
    not_for_mosquitto!("it writes every half hour");
    for durability in ["fsync", "os"] {
        let mut broker = Broker::configured(
            &format!("data_dir = \"data\"\ndurability = \"{durability}\"\n"),
            "",
        );
        for version in VERSIONS {
            let name = format!("away-{version:?}");
            let (mut away, _) = finds_session(&broker, &keeping(version, &name));
            away.subscribe(&[("kept/#", at(QoS::ExactlyOnce))]);
            away.cut();
        }
        let mut publisher = Client::connect(&broker, Version::V5, "publisher");
        for number in 0..100 {
            let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
            publisher.publish("kept/queued", &number.to_string(), qos);
        }
        publisher.publish_packet(&retained("kept/state", "on"), QoS::AtLeastOnce);
        publisher.publish_packet(&retained("kept/gone", "x"), QoS::AtLeastOnce);
        publisher.publish_packet(&retained("kept/gone", ""), QoS::AtLeastOnce);
        broker.again(&[]);
        for version in VERSIONS {
            let name = format!("away-{version:?}");
            let (mut away, present) = finds_session(&broker, &keeping(version, &name));
            assert_eq!(present, version != Version::V31);
            for number in 0..100 {
                let qos = 1 + number % 2;
                assert_eq!(away.take_text(), format!("kept/queued|{qos}|0|{number}"));
            }
            assert_eq!(away.take_text(), "kept/state|1|0|on");
            assert_eq!(away.take_text(), "kept/gone|1|0|x");
            assert_eq!(away.take_text(), "kept/gone|1|0|");
            away.expect_silence();
            away.disconnect();
        }
        let mut late = Client::connect(&broker, Version::V311, "late");
        late.subscribe(&[("kept/#", at(QoS::AtLeastOnce))]);
        assert_eq!(late.take_text(), "kept/state|1|1|on");
        late.expect_silence();
    }
}

/// Its client has not connected since the restart, and gets what was published meanwhile.
#[test]
fn a_session_that_has_not_come_back_gets_what_is_published() {
    not_for_mosquitto!("it writes every half hour");
    let mut broker = durable();
    let (mut away, _) = finds_session(&broker, &keeping(Version::V5, "away"));
    away.subscribe(&[
        ("t", at(QoS::AtLeastOnce)),
        ("$share/g/s", at(QoS::AtLeastOnce)),
    ]);
    away.cut();
    for round in 0..3 {
        broker.again(&[]);
        let mut publisher = Client::connect(&broker, Version::V5, "publisher");
        publisher.publish("t", &format!("after {round}"), QoS::AtLeastOnce);
        publisher.publish("s", &format!("shared {round}"), QoS::AtLeastOnce);
    }
    let (mut away, present) = finds_session(&broker, &keeping(Version::V5, "away"));
    assert!(present);
    let mut texts: Vec<String> = (0..6).map(|_| away.take_text()).collect();
    texts.sort();
    let expected = ["s|1|0|shared 0", "s|1|0|shared 1", "s|1|0|shared 2"];
    assert_eq!(texts[..3], expected);
    assert_eq!(
        texts[3..],
        ["t|1|0|after 0", "t|1|0|after 1", "t|1|0|after 2"]
    );
}

/// A store that is damaged is refused with file and offset, and nothing in it changes; `--repair` sets the file aside, says what is gone and goes on.
#[test]
fn a_damaged_store_is_refused_and_repaired() {
    not_for_mosquitto!("its store is another one");
    let mut broker = durable();
    let (mut away, _) = finds_session(&broker, &keeping(Version::V5, "away"));
    away.subscribe(&[("t", at(QoS::AtLeastOnce))]);
    away.cut();
    let mut publisher = Client::connect(&broker, Version::V5, "publisher");
    for number in 0..20 {
        publisher.publish("t", &format!("message {number}"), QoS::AtLeastOnce);
    }
    broker.process().kill();
    let segment: PathBuf = broker.folder().join("data/0000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    let place = bytes
        .windows(10)
        .position(|window| window == b"message 10")
        .unwrap();
    bytes[place] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let (lines, status) = broker.again_in_vain(&[]);
    let text = lines.join("\n");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("0000000001.log, offset "), "{text}");
    assert!(text.contains("--repair"), "{text}");
    assert_eq!(fs::read(&segment).unwrap(), bytes, "nothing was changed");
    broker.again(&["--repair"]);
    assert!(broker.folder().join("data/0000000001.log.damaged").exists());
    let (mut away, present) = finds_session(&broker, &keeping(Version::V5, "away"));
    assert!(present);
    for number in (0..20).filter(|number| *number != 10) {
        assert_eq!(away.take_text(), format!("t|1|0|message {number}"));
    }
    away.disconnect();
    broker.again(&[]);
    assert!(finds_session(&broker, &keeping(Version::V5, "away")).1);
}

/// Two brokers never write to one store.
#[test]
fn a_store_is_used_by_one_broker() {
    not_for_mosquitto!("its store is another one");
    let broker = durable();
    let mut second = Broker::start();
    let place = broker.folder().join("data");
    let (lines, status) = second.again_in_vain(&["--data-dir", place.to_str().unwrap()]);
    let text = lines.join("\n");
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("is in use: another broker has it open"),
        "{text}"
    );
}
