//! Topic aliases for what a device sends (5.0, profiles with aliases).

use mqtt_codec::{ConnAck, Properties, Property, QoS, TopicAlias, Version};
use mqtt_session::compact::{Device, Outgoing};
use mqtt_session::profile::{Full, V3V5};
use mqtt_testkit::compact::{Habits, Listed, Rig};
use mqtt_testkit::packets::{connack, puback, pubrec};
use mqtt_topic::TopicName;

const V5: Version = Version::V5;

/// A client whose broker takes so many aliases.
fn taking<D: Device>(aliases: u16, habits: Habits) -> Rig<D> {
    let rig = Rig::new(V5, 64, Listed::new(habits));
    greet(rig, aliases)
}

fn greet<D: Device>(rig: Rig<D>, aliases: u16) -> Rig<D> {
    let list = [Property::TopicAliasMaximum(aliases)];
    rig.greeted_with(&ConnAck {
        properties: Properties::List(&list),
        ..connack(false)
    })
}

fn publish<D: Device>(rig: &mut Rig<D>, topic: &str, qos: QoS, alias: u16) {
    let message = Outgoing {
        qos,
        alias: TopicAlias::new(alias),
        ..Outgoing::new(TopicName::new(topic).expect("a topic"), b"x")
    };
    rig.machine.publish(&message).expect("there is room");
}

/// The topic travels once on a connection [MQTT-3.3.2-8], [MQTT-3.3.2-10], and an alias that the broker does not take never
/// [MQTT-3.3.2-9]; in whatever pieces the queue gives a body and the transport takes it.
#[test]
fn a_topic_travels_once() {
    for piece in [1, 2, 3, 4, 5, 7, usize::MAX] {
        for write in [1, 2, 3, usize::MAX] {
            let habits = Habits {
                piece,
                ..Habits::default()
            };
            let mut rig = taking::<Full>(2, habits);
            rig.write = write;
            for _ in 0..2 {
                publish(&mut rig, "a/b", QoS::AtMostOnce, 1);
                publish(&mut rig, "c", QoS::AtLeastOnce, 2);
                publish(&mut rig, "d", QoS::AtMostOnce, 3);
                publish(&mut rig, "e", QoS::AtMostOnce, 0);
            }
            assert_eq!(
                rig.sent(),
                [
                    "PUBLISH a/b x {TopicAlias(TopicAlias(1))}",
                    "PUBLISH 1 q1 c x {TopicAlias(TopicAlias(2))}",
                    "PUBLISH d x",
                    "PUBLISH e x",
                    "PUBLISH x {TopicAlias(TopicAlias(1))}",
                    "PUBLISH 2 q1 x {TopicAlias(TopicAlias(2))}",
                    "PUBLISH d x",
                    "PUBLISH e x",
                ],
                "pieces of {piece}, {write} bytes a write"
            );
        }
    }
}

/// Aliases end with their connection [MQTT-3.3.2-7]: the topic travels again, also with what is repeated.
#[test]
fn an_alias_ends_with_its_connection() {
    let mut rig = taking::<Full>(9, Habits::default());
    for _ in 0..2 {
        publish(&mut rig, "a/b", QoS::AtLeastOnce, 9);
    }
    assert_eq!(
        rig.sent(),
        [
            "PUBLISH 1 q1 a/b x {TopicAlias(TopicAlias(9))}",
            "PUBLISH 2 q1 x {TopicAlias(TopicAlias(9))}"
        ]
    );
    rig.cut();
    let mut rig = greet(rig, 9);
    let sent = rig.sent();
    let sent: Vec<_> = sent.iter().map(|line| line.replace("dup ", "")).collect();
    assert_eq!(
        sent,
        [
            "PUBLISH 1 q1 a/b x {TopicAlias(TopicAlias(9))}",
            "PUBLISH 2 q1 x {TopicAlias(TopicAlias(9))}"
        ]
    );
    rig.cut();
    let mut rig = greet(rig, 0);
    let sent = rig.sent();
    let sent: Vec<_> = sent.iter().map(|line| line.replace("dup ", "")).collect();
    assert_eq!(sent, ["PUBLISH 1 q1 a/b x", "PUBLISH 2 q1 a/b x"]);
}

/// A message that did not leave whole has taught nothing.
#[test]
fn what_was_cut_taught_nothing() {
    for bytes in 0..16 {
        let mut rig = taking::<Full>(1, Habits::default());
        publish(&mut rig, "a/b", QoS::AtMostOnce, 1);
        for _ in 0..bytes {
            if !rig.machine.output(rig.now).is_empty() {
                rig.machine.written(1, rig.now);
            }
        }
        rig.cut();
        publish(&mut rig, "a/b", QoS::AtMostOnce, 1);
        let mut rig = greet(rig, 1);
        let sent = rig.sent();
        assert_eq!(
            sent[0], "PUBLISH a/b x {TopicAlias(TopicAlias(1))}",
            "{bytes}"
        );
    }
}

/// A profile without aliases ignores them, and so does an older version.
#[test]
fn without_aliases_they_are_ignored() {
    let mut rig = taking::<V3V5>(9, Habits::default());
    publish(&mut rig, "a/b", QoS::AtLeastOnce, 1);
    assert_eq!(rig.sent(), ["PUBLISH 1 q1 a/b x"]);
    for version in [Version::V31, Version::V311] {
        let mut rig = Rig::<Full>::connected(version);
        publish(&mut rig, "a/b", QoS::ExactlyOnce, 1);
        assert_eq!(rig.sent(), ["PUBLISH 1 q2 a/b x"]);
        rig.send(&pubrec(1));
        assert_eq!(rig.sent(), ["PUBREL 1"]);
    }
}

/// Before CONNACK nobody knows what the broker takes: what leaves early has its topic and no alias.
#[test]
fn what_is_early_has_no_alias() {
    #[derive(Debug)]
    struct Eager;
    impl Device for Eager {
        type Profile = Full;
        const EARLY: bool = true;
    }
    let mut rig = taking::<Eager>(9, Habits::default());
    rig.cut();
    publish(&mut rig, "a/b", QoS::AtLeastOnce, 1);
    let sent = rig.connect(&rig.hello(false));
    assert_eq!(sent[1..], ["PUBLISH 1 q1 a/b x"]);
    let list = [Property::TopicAliasMaximum(9)];
    rig.send(&ConnAck {
        properties: Properties::List(&list),
        ..connack(true)
    });
    rig.send(&puback(1));
    publish(&mut rig, "a/b", QoS::AtLeastOnce, 1);
    assert_eq!(
        rig.sent(),
        ["PUBLISH 2 q1 a/b x {TopicAlias(TopicAlias(1))}"]
    );
}

/// A payload may begin like the property Topic Alias: where there are no properties nothing is left out.
#[test]
fn a_payload_is_not_taken_for_one() {
    for aliases in [0, 5] {
        let mut rig = taking::<Full>(aliases, Habits::default());
        for _ in 0..2 {
            let message = Outgoing::new(TopicName::new("a/b").expect("a topic"), b"#\0\x05abc");
            rig.machine
                .publish(&Outgoing {
                    qos: QoS::AtMostOnce,
                    ..message
                })
                .expect("there is room");
            assert_eq!(rig.sent(), ["PUBLISH a/b #\0\u{5}abc"]);
        }
    }
}
