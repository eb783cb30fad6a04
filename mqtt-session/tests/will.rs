//! The will: when it is due, and when there is none.

use mqtt_codec::{Connect, Properties, Property, QoS, ReasonCode, Version, Will};
use mqtt_session::{Closed, Expires, Instant};
use mqtt_testkit::owners::Heaped;
use mqtt_testkit::packets::disconnect;
use mqtt_testkit::script::{ClientScript, ServerScript};

fn connect<'a>(
    version: Version,
    properties: &'a [Property<'a>],
    will: &'a [Property<'a>],
) -> Connect<'a> {
    let list = |list: &'a [Property<'a>]| {
        if version.is_v5() {
            Properties::List(list)
        } else {
            Properties::EMPTY
        }
    };
    Connect {
        will: Some(Will {
            topic: "gone",
            payload: b"",
            qos: QoS::AtMostOnce,
            retain: false,
            properties: list(will),
        }),
        properties: list(properties),
        ..Connect::new(version, "c")
    }
}

fn connected(
    version: Version,
    properties: &[Property<'_>],
    will: &[Property<'_>],
) -> ServerScript<Heaped> {
    let mut server = ServerScript::opened(version);
    server.send(&connect(version, properties, will));
    server.sent();
    server
}

/// A connection that breaks leaves its will, at once before 5.0 [3.1.1:MQTT-3.1.2-8], [MQTT-3.1.2-7].
#[test]
fn a_broken_connection_leaves_its_will() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut server = connected(version, &[], &[]);
        let now = server.now;
        assert_eq!(
            server.cut(),
            Closed {
                will_due: Some(now),
                expires: Expires::Now
            }
        );
    }
}

/// The delay counts, but not beyond the end of the session [MQTT-3.1.2-8].
#[test]
fn the_will_waits_for_its_delay_or_the_end_of_the_session() {
    for (expiry, delay, expected) in [(100, 10, 10), (10, 100, 10), (u32::MAX, 5, 5), (0, 5, 0)] {
        let mut server = connected(
            Version::V5,
            &[Property::SessionExpiryInterval(expiry)],
            &[Property::WillDelayInterval(delay)],
        );
        let due = Instant::from_millis(server.now.as_millis() + expected * 1_000);
        assert_eq!(server.cut().will_due, Some(due));
    }
}

/// DISCONNECT takes the will back [MQTT-3.1.2-10], [MQTT-3.14.4-3], [3.1.1:MQTT-3.1.2-10], [3.1.1:MQTT-3.14.4-3]; with reason 0x04
/// it does not.
#[test]
fn a_goodbye_takes_the_will_back() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut server = connected(version, &[], &[]);
        server.send(&disconnect(ReasonCode::NORMAL_DISCONNECTION));
        assert_eq!(server.cut().will_due, None);
    }
    let mut server = connected(Version::V5, &[], &[]);
    server.send(&disconnect(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE));
    assert!(server.cut().will_due.is_some());
}

/// A client that breaks a rule, falls silent or is sent away leaves its will, too [MQTT-3.1.2-8].
#[test]
fn every_other_end_leaves_the_will() {
    let mut server = connected(Version::V5, &[], &[]);
    server.session.disconnect(ReasonCode::SESSION_TAKEN_OVER);
    assert!(server.cut().will_due.is_some());
    let mut server = connected(Version::V5, &[], &[]);
    server.after(90_000);
    assert!(server.session.is_closing() && server.cut().will_due.is_some());
    let mut server = connected(Version::V5, &[], &[]);
    server.send(&[0xFF, 0]);
    assert!(server.session.is_closing() && server.cut().will_due.is_some());
}

/// Who was never accepted leaves none [3.1.1:MQTT-3.1.2-12], and a session that is taken over hands its will to the new owner.
#[test]
fn who_was_not_accepted_leaves_none() {
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    server.answers = false;
    server.send(&connect(Version::V5, &[], &[]));
    server.session.refuse(ReasonCode::NOT_AUTHORIZED).unwrap();
    server.sent();
    assert_eq!(server.cut().will_due, None);
    let mut server = connected(Version::V5, &[], &[]);
    let (_, closed) = server.session.detach(server.now);
    assert!(closed.will_due.is_some());
    assert_eq!(server.cut().will_due, None, "only once");
}

/// Without a will none is published [3.1.1:MQTT-3.1.2-12].
#[test]
fn without_a_will_none_is_due() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut server = ServerScript::<Heaped>::connected(version);
        assert_eq!(server.cut().will_due, None);
        let mut client = ClientScript::<Heaped>::connected(version);
        assert_eq!(client.cut().will_due, None, "a will is the server's work");
    }
}

/// A will may be retained where the server retains, and one that is not may be left everywhere [MQTT-3.2.2-13].
#[test]
fn a_will_may_be_retained_where_that_is_available() {
    for (available, retain, taken) in [
        (true, true, true),
        (true, false, true),
        (false, true, false),
        (false, false, true),
    ] {
        let mut server = ServerScript::<Heaped>::opened(Version::V5);
        server.owner.limits.retain_available = available;
        let mut connect = connect(Version::V5, &[], &[]);
        if let Some(will) = &mut connect.will {
            will.retain = retain;
        }
        server.send(&connect);
        assert_eq!(!server.session.is_closing(), taken, "{available} {retain}");
    }
}

/// A will may have every QoS that the server has [MQTT-3.1.2-12].
#[test]
fn a_will_of_qos_2_is_taken() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut server = ServerScript::<Heaped>::opened(Version::V5);
        let mut connect = connect(Version::V5, &[], &[]);
        if let Some(will) = &mut connect.will {
            will.qos = qos;
        }
        server.send(&connect);
        assert!(server.session.is_connected() || !server.sent().is_empty());
        assert!(!server.session.is_closing(), "{qos:?}");
        assert!(server.cut().will_due.is_some(), "{qos:?}");
    }
}
