//! QoS 2, both ways.

use mqtt_codec::{PubComp, PubRec, Publish, ReasonCode, Version};
use mqtt_session::compact::{Device, Event};
use mqtt_session::profile::{Full, V3, V3V5};
use mqtt_testkit::compact::{Rig, versions};
use mqtt_testkit::packets::{Raw, puback, pubcomp, publish1, publish2, pubrec, pubrel};

fn goes_its_way<D: Device>() {
    for version in versions::<D>() {
        let mut rig = Rig::<D>::connected(version);
        assert_eq!(rig.publish(2, "a"), Some(1));
        assert_eq!(rig.sent(), ["PUBLISH 1 q2 t a"]);
        rig.send(&pubrec(1));
        assert!(rig.happened().is_empty());
        assert_eq!(rig.sent(), ["PUBREL 1"]);
        rig.send(&pubcomp(1));
        assert_eq!(rig.happened(), ["acknowledged 1"]);
        assert_eq!(rig.machine.queue().waiting().count(), 0);
    }
}

/// PUBLISH, PUBREC, PUBREL, PUBCOMP [MQTT-4.3.3-1], [MQTT-4.3.3-2], [MQTT-4.3.3-3], [MQTT-4.3.3-4], [3.1.1:MQTT-4.3.3-1].
#[test]
fn a_message_goes_its_way() {
    goes_its_way::<V3>();
    goes_its_way::<V3V5>();
    goes_its_way::<Full>();
}

/// PUBREC that comes again is answered again; after PUBREL the message is not [MQTT-4.3.3-4], [MQTT-4.3.3-5].
#[test]
fn a_repeated_pubrec_is_answered_again() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        rig.publish(2, "a");
        rig.sent();
        rig.send(&pubrec(1));
        rig.send(&pubrec(1));
        assert_eq!(rig.sent(), ["PUBREL 1", "PUBREL 1"]);
        rig.send(&pubcomp(1));
        assert_eq!(rig.happened(), ["acknowledged 1"]);
    }
}

/// PUBREC with a refusal ends the message [MQTT-4.3.3-4], [MQTT-4.4.0-2].
#[test]
fn a_refused_message_has_ended() {
    let mut rig = Rig::<V3V5>::connected(Version::V5);
    rig.publish(2, "a");
    rig.sent();
    rig.send(&PubRec {
        reason: ReasonCode::NOT_AUTHORIZED,
        ..pubrec(1)
    });
    assert_eq!(rig.happened(), ["acknowledged 1 0x87"]);
    assert!(rig.sent().is_empty());
    rig.cut();
    rig.reconnect(true);
    assert!(rig.sent().is_empty());
}

/// PUBREL is repeated after a cut, and the broker has ended the message meanwhile: that is no refusal [MQTT-4.3.3-4].
#[test]
fn a_pubcomp_that_knows_nothing_is_no_refusal() {
    let mut rig = Rig::<V3V5>::kept(Version::V5);
    rig.publish(2, "a");
    rig.sent();
    rig.send(&pubrec(1));
    assert_eq!(rig.sent(), ["PUBREL 1"]);
    rig.cut();
    rig.reconnect(true);
    assert_eq!(rig.sent(), ["PUBREL 1"]);
    rig.happened();
    rig.send(&PubComp {
        reason: ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
        ..pubcomp(1)
    });
    assert_eq!(rig.happened(), ["acknowledged 1"]);
}

/// PUBREC for an id that names nothing is answered, so that the broker can forget it; PUBCOMP for one is ignored.
#[test]
fn an_unknown_pubrec_is_released() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        rig.send(&pubrec(9));
        rig.send(&pubcomp(8));
        let line = if version.is_v5() {
            "PUBREL 9 0x92"
        } else {
            "PUBREL 9"
        };
        assert_eq!(rig.sent(), [line]);
        assert!(rig.happened().is_empty());
    }
}

/// PUBACK for a QoS 2 message, and PUBCOMP before PUBREL, break a rule.
#[test]
fn the_wrong_acknowledgement_closes() {
    for version in versions::<V3V5>() {
        for wrong in [puback(1).bytes(version), pubcomp(1).bytes(version)] {
            let mut rig = Rig::<V3V5>::kept(version);
            rig.publish(2, "a");
            rig.sent();
            rig.send(&wrong);
            assert_eq!(rig.happened(), ["broken Rule(WrongAcknowledgement)"]);
            rig.cut();
            rig.reconnect(true);
            assert_eq!(rig.sent(), ["PUBLISH 1 q2 dup t a"]);
        }
    }
}

/// A message is delivered once, whatever is repeated, until PUBREL; then the id is free for another [MQTT-4.3.3-8], [MQTT-4.3.3-9],
/// [MQTT-4.3.3-10], [MQTT-4.3.3-11], [MQTT-4.3.3-12], [3.1.1:MQTT-4.3.3-2].
#[test]
fn a_repetition_is_not_delivered() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        rig.send(&publish2(7, "a"));
        rig.send(&Publish {
            dup: true,
            ..publish2(7, "a")
        });
        assert_eq!(rig.happened(), ["message q2 t a"]);
        assert_eq!(rig.sent(), ["PUBREC 7", "PUBREC 7"]);
        rig.send(&pubrel(7));
        assert_eq!(rig.sent(), ["PUBCOMP 7"]);
        rig.send(&publish2(7, "b"));
        assert_eq!(rig.happened(), ["message q2 t b"]);
        assert_eq!(rig.sent(), ["PUBREC 7"]);
    }
}

/// PUBREL for an id that names nothing is answered; 5.0 says so.
#[test]
fn an_unknown_pubrel_is_completed() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        rig.send(&pubrel(9));
        let line = if version.is_v5() {
            "PUBCOMP 9 0x92"
        } else {
            "PUBCOMP 9"
        };
        assert_eq!(rig.sent(), [line]);
    }
}

/// QoS 1 and QoS 2 share the order of their answers [MQTT-4.6.0-2], [MQTT-4.6.0-3], [3.1.1:MQTT-4.6.0-3], and PUBRELs leave in that of
/// PUBREC [MQTT-4.6.0-4].
#[test]
fn answers_leave_in_the_order_of_what_they_answer() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        for payload in ["a", "b"] {
            rig.publish(2, payload);
        }
        rig.sent();
        rig.send(&publish2(1, "x"));
        rig.send(&pubrec(2));
        rig.send(&publish1(2, "y"));
        rig.send(&pubrec(1));
        assert_eq!(rig.sent(), ["PUBREC 1", "PUBREL 2", "PUBACK 2", "PUBREL 1"]);
    }
}

/// The broker repeats after a cut what was taken and acknowledged: it is not delivered again [MQTT-4.3.3-10].
#[test]
fn a_message_is_known_on_the_next_connection() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::kept(version);
        rig.send(&publish2(7, "a"));
        assert_eq!(rig.happened(), ["message q2 t a"]);
        rig.cut();
        rig.reconnect(true);
        rig.happened();
        rig.send(&Publish {
            dup: true,
            ..publish2(7, "a")
        });
        assert!(rig.happened().is_empty());
        assert_eq!(rig.sent(), ["PUBREC 7"]);
    }
}

/// What the application has seen it does not see again, though the connection was gone before the next call [MQTT-4.3.3-10].
#[test]
fn a_message_that_was_shown_before_the_cut_is_known() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::kept(version);
        rig.arrive(&publish2(7, "a"));
        rig.fill();
        assert_eq!(rig.machine.event(rig.now), Event::Message);
        rig.cut();
        rig.reconnect(true);
        rig.happened();
        rig.send(&Publish {
            dup: true,
            ..publish2(7, "a")
        });
        assert!(rig.happened().is_empty());
        assert_eq!(rig.sent(), ["PUBREC 7"]);
    }
}

/// More messages underway than there are places for are left to the next connection, which is asked for when those are over: a broker
/// before 5.0 knows no limit, and to end the connection at the first would bring the same again and again.
#[test]
fn more_than_there_are_places_for_come_later() {
    #[derive(Debug)]
    struct Two;
    impl Device for Two {
        type Profile = V3V5;
        const RECEIVE_MAXIMUM: u16 = 2;
    }
    let long = "x".repeat(100);
    for version in versions::<Two>() {
        let mut rig = Rig::<Two>::kept(version);
        for (id, payload) in [(1, "a"), (2, "b"), (3, "c"), (4, &long), (5, "e"), (1, "a")] {
            rig.send(&publish2(id, payload));
        }
        assert_eq!(rig.happened(), ["message q2 t a", "message q2 t b"]);
        assert_eq!(rig.sent(), ["PUBREC 1", "PUBREC 2", "PUBREC 1"]);
        rig.send(&publish1(9, "f"));
        rig.send(&pubrel(1));
        assert_eq!(rig.happened(), ["message q1 t f"]);
        assert_eq!(rig.sent(), ["PUBACK 9", "PUBCOMP 1"]);
        rig.send(&pubrel(2));
        assert_eq!(rig.sent(), ["PUBCOMP 2", "DISCONNECT", "close"]);
        rig.cut();
        rig.reconnect(true);
        for (id, payload) in [(3, "c"), (4, "d")] {
            rig.send(&publish2(id, payload));
        }
        assert_eq!(rig.happened()[1..], ["message q2 t c", "message q2 t d"]);
        rig.sent();
        rig.send(&pubrel(3));
        rig.send(&pubrel(4));
        assert_eq!(rig.sent(), ["PUBCOMP 3", "PUBCOMP 4"]);
    }
}
