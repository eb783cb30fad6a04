//! Maximum Packet Size, in both directions.

use core::num::NonZeroU32;

use mqtt_codec::{Connect, Properties, Property, QoS, ReasonCode, Version};
use mqtt_session::Outcome;
use mqtt_testkit::owners::{Heaped, Message, TestOwner};
use mqtt_testkit::packets::{filter, publish, subscribe};
use mqtt_testkit::script::ServerScript;

fn server(most: u32) -> ServerScript<Heaped> {
    let list = [Property::MaximumPacketSize(
        NonZeroU32::new(most).expect("not 0"),
    )];
    let mut server = ServerScript::opened(Version::V5);
    server.send(&Connect {
        properties: Properties::List(&list),
        ..Connect::new(Version::V5, "c")
    });
    server
}

/// What the client does not take is dropped as if it had been sent, and its owner learns why [MQTT-3.1.2-24], [MQTT-3.1.2-25].
#[test]
fn a_message_that_is_too_large_is_dropped() {
    let mut server = server(30);
    server.sent();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        server.owner.publish(&Message::new("t", qos, &[b'x'; 40]));
        server.owner.publish(&Message::new("t", qos, b"ok"));
    }
    assert_eq!(server.sent().len(), 3);
    let mut all = vec![];
    server.owner.ended(&mut |_, outcome| all.push(outcome));
    assert_eq!(all, [Outcome::TooLarge; 3]);
    assert_eq!(server.session.state().in_flight(), 2);
}

/// The sentence in DISCONNECT is left out where it does not fit [MQTT-3.14.2-3], [MQTT-3.2.2-19].
#[test]
fn a_reason_string_is_left_out_where_it_does_not_fit() {
    for (most, len) in [(25, 4), (200, 60)] {
        let mut server = server(most);
        server.sent();
        server.send(&Connect::new(Version::V5, "c"));
        let mut tx = vec![];
        while server
            .session
            .poll_output(&mut tx, server.now, &mut server.owner)
            == mqtt_session::Output::Wrote
        {}
        assert_eq!(tx[0], 0xE0);
        assert!(
            tx.len() <= len && tx.len() <= most as usize && (most < 100 || tx.len() > 4),
            "{tx:02x?}"
        );
    }
}

/// An answer that the client does not take cannot be left out: the connection closes.
#[test]
fn an_answer_that_is_too_large_closes() {
    let mut server = server(25);
    server.sent();
    let filters: Vec<_> = (0..30).map(|_| filter("a", QoS::AtMostOnce)).collect();
    server.send(&subscribe(1, &filters));
    assert_eq!(server.sent(), ["close"]);
}

/// A packet above our own limit is refused from its first bytes, with 0x95 in 5.0 [MQTT-3.2.2-15].
#[test]
fn a_packet_above_our_limit_is_refused() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut server = ServerScript::<Heaped>::opened(version);
        server.owner.limits.maximum_packet_size = 50;
        server.send(&Connect::new(version, "c"));
        server.sent();
        server.send(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]);
        let expected: &[&str] = if version.is_v5() {
            &["DISCONNECT 0x95", "close"]
        } else {
            &["close"]
        };
        assert_eq!(server.sent(), expected);
        assert_eq!(ReasonCode::PACKET_TOO_LARGE.0, 0x95);
    }
    let mut server = ServerScript::<Heaped>::connected(Version::V311);
    server.send(&publish("small"));
    assert_eq!(server.happened(), ["publish q0 t small"]);
}
