//! How much may be in flight.

use mqtt_codec::{ConnAck, Properties, Property, PubRec, ReasonCode, ReceiveMaximum, Version};
use mqtt_session::compact::Device;
use mqtt_session::profile::{V3QoS1, V3V5};
use mqtt_testkit::compact::{Rig, versions};
use mqtt_testkit::packets::{connack, puback, pubcomp, pubrec};

/// A device that has two messages in flight.
#[derive(Debug)]
struct Two;
impl Device for Two {
    type Profile = V3V5;
    const WINDOW: u16 = 2;
}

/// Its own window holds in every version, and each end of a message opens it by one.
#[test]
fn the_window_of_the_device_holds() {
    for version in versions::<Two>() {
        let mut rig = Rig::<Two>::connected(version);
        for (qos, payload) in [(1, "a"), (2, "b"), (2, "c"), (1, "d"), (1, "e")] {
            rig.publish(qos, payload);
        }
        assert_eq!(rig.sent(), ["PUBLISH 1 q1 t a", "PUBLISH 2 q2 t b"]);
        rig.send(&pubrec(2));
        assert_eq!(rig.sent(), ["PUBREL 2"], "PUBREC opens nothing");
        rig.send(&puback(1));
        assert_eq!(rig.sent(), ["PUBLISH 3 q2 t c"]);
        rig.send(&puback(1));
        assert!(rig.sent().is_empty(), "once");
        rig.send(&pubcomp(2));
        assert_eq!(rig.sent(), ["PUBLISH 4 q1 t d"]);
        rig.send(&pubrec(3));
        rig.send(&pubcomp(3));
        assert_eq!(rig.sent(), ["PUBREL 3", "PUBLISH 5 q1 t e"]);
    }
}

fn smallest() {
    let mut rig = Rig::<V3QoS1>::connected(Version::V311);
    for payload in ["a", "b", "c", "d", "e", "f"] {
        rig.publish(1, payload);
    }
    assert_eq!(rig.sent().len(), 4);
    rig.send(&puback(3));
    rig.send(&puback(3));
    assert_eq!(rig.sent(), ["PUBLISH 5 q1 t e"]);
}

/// The smallest profile has a window, too.
#[test]
fn the_smallest_profile_has_a_window() {
    smallest();
}

/// A broker that can take less gets less [MQTT-3.3.4-7], also on the next connection, and a refusal opens the window.
#[test]
fn receive_maximum_holds() {
    let most = |most| {
        [Property::ReceiveMaximum(
            ReceiveMaximum::new(most).expect("not 0"),
        )]
    };
    let (three, one) = (most(3), most(1));
    let mut rig = Rig::<V3V5>::offline(Version::V5).greeted_with(&ConnAck {
        properties: Properties::List(&three),
        ..connack(false)
    });
    for payload in ["a", "b", "c", "d"] {
        rig.publish(2, payload);
    }
    assert_eq!(rig.sent().len(), 3);
    rig.send(&PubRec {
        reason: ReasonCode::QUOTA_EXCEEDED,
        ..pubrec(2)
    });
    assert_eq!(rig.sent(), ["PUBLISH 4 q2 t d"]);
    rig.cut();
    rig.connect(&mqtt_codec::Connect {
        clean_start: false,
        ..mqtt_codec::Connect::new(Version::V5, "c")
    });
    rig.send(&ConnAck {
        properties: Properties::List(&one),
        ..connack(true)
    });
    assert_eq!(rig.sent(), ["PUBLISH 1 q2 dup t a"]);
    for (id, next) in [(1, "PUBLISH 3 q2 dup t c"), (3, "PUBLISH 4 q2 dup t d")] {
        rig.send(&pubrec(id));
        assert_eq!(rig.sent(), [format!("PUBREL {id}")]);
        rig.send(&pubcomp(id));

        assert_eq!(rig.sent(), [next]);
    }
    // A broker that says nothing takes as much as the device sends.
    rig.cut();
    rig.reconnect(true);
    for payload in ["e", "f", "g", "h"] {
        rig.publish(1, payload);
    }
    assert_eq!(rig.sent().len(), 4);
}

/// QoS 0 and requests need no window [MQTT-3.3.4-8], but wait in their place behind what does: the order is that of the queue.
#[test]
fn the_rest_keeps_its_place() {
    for version in versions::<Two>() {
        let mut rig = Rig::<Two>::connected(version);
        rig.publish(1, "a");
        rig.publish(1, "b");
        rig.publish(0, "free");
        rig.subscribe("s", 0);
        rig.publish(1, "c");
        rig.publish(0, "behind");
        assert_eq!(
            rig.sent(),
            [
                "PUBLISH 1 q1 t a",
                "PUBLISH 2 q1 t b",
                "PUBLISH t free",
                "SUBSCRIBE 3 s q0"
            ]
        );
        rig.send(&puback(2));
        assert_eq!(rig.sent(), ["PUBLISH 4 q1 t c", "PUBLISH t behind"]);
    }
}

/// PUBRELs that are sent again fill the window before messages do.
#[test]
fn replayed_pubrels_count() {
    for version in versions::<Two>() {
        let mut rig = Rig::<Two>::kept(version);
        for payload in ["a", "b", "c"] {
            rig.publish(2, payload);
        }
        rig.sent();
        rig.send(&pubrec(1));
        rig.send(&pubrec(2));
        rig.cut();
        rig.reconnect(true);
        assert_eq!(rig.sent(), ["PUBREL 1", "PUBREL 2"]);
        rig.send(&pubcomp(1));
        assert_eq!(rig.sent(), ["PUBLISH 3 q2 t c"]);
    }
}
