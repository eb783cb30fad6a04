//! Properties of what a device publishes (5.0).

use core::num::NonZeroU32;

use mqtt_codec::{
    ConnAck, PayloadFormat, Properties, Property, QoS, TopicAlias, Version, WireProperties,
    publish_properties,
};
use mqtt_session::compact::{Device, Outgoing};
use mqtt_session::profile::{Full, V3, V3V5};
use mqtt_testkit::compact::{Habits, Listed, Rig};
use mqtt_testkit::packets::{connack, puback};
use mqtt_topic::TopicName;

const V5: Version = Version::V5;

const ALL: WireProperties<'static> = publish_properties![
    Property::MessageExpiryInterval(3_600),
    Property::PayloadFormatIndicator(PayloadFormat::Utf8),
    Property::ContentType("text/csv"),
    Property::ResponseTopic("r"),
    Property::CorrelationData(b"7"),
    Property::UserProperty("unit", "C"),
    Property::UserProperty("unit", "F"),
];
const ALL_SAID: &str = r#"MessageExpiryInterval(3600) PayloadFormatIndicator(Utf8) ContentType("text/csv") ResponseTopic("r") CorrelationData([55]) UserProperty("unit", "C") UserProperty("unit", "F")"#;

fn publish<D: Device>(
    rig: &mut Rig<D>,
    topic: &str,
    qos: QoS,
    alias: u16,
    properties: WireProperties<'_>,
) {
    let message = Outgoing {
        qos,
        alias: TopicAlias::new(alias),
        properties,
        ..Outgoing::new(TopicName::new(topic).expect("a topic"), b"x")
    };
    rig.machine.publish(&message).expect("there is room");
}

/// A client whose broker says this.
fn told<D: Device>(habits: Habits, list: &[Property<'_>]) -> Rig<D> {
    Rig::new(V5, 64, Listed::new(habits)).greeted_with(&ConnAck {
        properties: Properties::List(list),
        ..connack(false)
    })
}

/// All properties that a client's message may have travel with it [MQTT-3.3.2-4], [MQTT-3.3.2-17], with every QoS, and again when it is
/// repeated.
#[test]
fn all_travel() {
    let mut rig = Rig::<V3V5>::kept(V5);
    publish(&mut rig, "a/b", QoS::AtMostOnce, 0, ALL);
    publish(&mut rig, "a/b", QoS::AtLeastOnce, 0, ALL);
    publish(&mut rig, "a/b", QoS::ExactlyOnce, 0, ALL);
    assert_eq!(
        rig.sent(),
        [
            format!("PUBLISH a/b x {{{ALL_SAID}}}"),
            format!("PUBLISH 1 q1 a/b x {{{ALL_SAID}}}"),
            format!("PUBLISH 2 q2 a/b x {{{ALL_SAID}}}"),
        ]
    );
    rig.cut();
    rig.reconnect(true);
    assert_eq!(
        rig.sent(),
        [
            format!("PUBLISH 1 q1 dup a/b x {{{ALL_SAID}}}"),
            format!("PUBLISH 2 q2 dup a/b x {{{ALL_SAID}}}"),
        ]
    );
}

/// Before 5.0 there are none: the message goes without.
#[test]
fn they_are_left_out_before() {
    for version in [Version::V31, Version::V311] {
        let mut rig = Rig::<Full>::connected(version);
        publish(&mut rig, "a/b", QoS::AtLeastOnce, 1, ALL);
        assert_eq!(rig.sent(), ["PUBLISH 1 q1 a/b x"]);
    }
    let mut rig = Rig::<V3>::connected(Version::V311);
    publish(&mut rig, "a/b", QoS::AtLeastOnce, 0, ALL);
    assert_eq!(rig.sent(), ["PUBLISH 1 q1 a/b x"]);
}

/// Beside an alias that is taught, known, and not taken [MQTT-3.3.2-9], in whatever pieces; the rest stays as it is.
#[test]
fn beside_an_alias() {
    for piece in [1, 4, 5, 6, 7, 11, usize::MAX] {
        for write in [1, 2, 3, usize::MAX] {
            let habits = Habits {
                piece,
                ..Habits::default()
            };
            let mut rig = told::<Full>(habits, &[Property::TopicAliasMaximum(1)]);
            rig.write = write;
            let none = WireProperties::EMPTY;
            publish(&mut rig, "a/b", QoS::AtLeastOnce, 1, ALL);
            publish(&mut rig, "a/b", QoS::AtMostOnce, 1, ALL);
            publish(&mut rig, "a/b", QoS::AtMostOnce, 1, none);
            publish(&mut rig, "c", QoS::AtLeastOnce, 2, ALL);
            publish(&mut rig, "c", QoS::AtMostOnce, 2, none);
            assert_eq!(
                rig.sent(),
                [
                    format!("PUBLISH 1 q1 a/b x {{TopicAlias(TopicAlias(1)) {ALL_SAID}}}"),
                    format!("PUBLISH x {{TopicAlias(TopicAlias(1)) {ALL_SAID}}}"),
                    "PUBLISH x {TopicAlias(TopicAlias(1))}".to_owned(),
                    format!("PUBLISH 2 q1 c x {{{ALL_SAID}}}"),
                    "PUBLISH c x".to_owned(),
                ],
                "pieces of {piece}, {write} bytes a write"
            );
        }
    }
}

/// Lengths of one byte and of two, and of three; an alias only beside the former.
#[test]
fn many_bytes() {
    let data = [b'.'; 17_000];
    for (len, with_alias) in [(121, true), (122, false), (300, false), (16_500, false)] {
        let list = [Property::CorrelationData(&data[..len])];
        let mut memory = [0; 17_003];
        let properties = Properties::List(&list)
            .write_publish(&mut memory)
            .expect("room");
        let habits = Habits {
            room: 40_000,
            ..Habits::default()
        };
        let mut rig = told::<Full>(habits, &[Property::TopicAliasMaximum(1)]);
        for alias in [1, 2] {
            publish(&mut rig, "a/b", QoS::AtMostOnce, alias, properties);
            let sent = rig.sent();
            let said = format!("CorrelationData({:?})", &data[..len]);
            let alias = if with_alias && alias == 1 {
                "TopicAlias(TopicAlias(1)) "
            } else {
                ""
            };
            assert_eq!(sent, [format!("PUBLISH a/b x {{{alias}{said}}}")], "{len}");
        }
    }
}

/// They count for the broker's Maximum Packet Size [MQTT-3.1.2-24]: what is too large because of them is not sent, and told.
#[test]
fn they_count_for_the_packet_size() {
    const EXPIRY: WireProperties<'static> = publish_properties![Property::MessageExpiryInterval(9)];
    // Header 2, topic 2 + 3, id 2, length 1, property 5, payload 1.
    let fits = 16;
    for maximum in [fits, fits - 1] {
        let limit = NonZeroU32::new(maximum).expect("more than none");
        let mut rig = told::<V3V5>(Habits::default(), &[Property::MaximumPacketSize(limit)]);
        publish(&mut rig, "a/b", QoS::AtLeastOnce, 0, EXPIRY);
        publish(&mut rig, "a/b", QoS::AtLeastOnce, 0, WireProperties::EMPTY);
        let sent = rig.sent();
        assert_eq!(sent.last().map(String::as_str), Some("PUBLISH 2 q1 a/b x"));
        if maximum == fits {
            assert_eq!(
                sent,
                [
                    "PUBLISH 1 q1 a/b x {MessageExpiryInterval(9)}",
                    "PUBLISH 2 q1 a/b x"
                ]
            );
            rig.send(&puback(1));
            assert_eq!(rig.happened(), ["acknowledged 1"]);
        } else {
            assert_eq!(sent.len(), 1);
            assert_eq!(rig.happened(), ["acknowledged 1 0x95"]);
        }
    }
}
