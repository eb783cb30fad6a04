//! CONNECT and CONNACK.

use mqtt_codec::{ConnAck, Connect, Properties, Property, ReasonCode, Version};
use mqtt_session::Misuse;
use mqtt_session::compact::{Compact, Device, Event};
use mqtt_session::profile::{Full, V3, V3QoS1, V3V5};
use mqtt_testkit::compact::{Listed, Rig, versions};
use mqtt_testkit::packets::{Raw, connack, pingresp, publish};

fn refused(reason: u8) -> ConnAck<'static> {
    ConnAck {
        reason: ReasonCode(reason),
        ..connack(false)
    }
}

fn greets<D: Device>() {
    for version in versions::<D>() {
        let mut rig = Rig::<D>::offline(version);
        let connect = Connect::new(version, "c");
        let line = if version.is_v5() {
            "CONNECT c clean {SessionExpiryInterval(604800) ReceiveMaximum(ReceiveMaximum(20))}"
        } else {
            "CONNECT c clean"
        };
        assert_eq!(rig.connect(&connect), [line]);
        assert!(!rig.machine.is_connected());
        rig.send(&connack(false));
        assert_eq!(rig.happened(), ["connected"]);
        assert!(rig.machine.is_connected() && !rig.machine.is_closing());
        assert!(rig.sent().is_empty());
    }
}

/// CONNECT goes out first, in every version that a profile speaks, and CONNACK connects [MQTT-3.1.0-1], [3.1.1:MQTT-3.1.0-1].
#[test]
fn connack_connects() {
    greets::<V3QoS1>();
    greets::<V3>();
    greets::<V3V5>();
    greets::<Full>();
}

/// What a caller says in CONNECT is sent as it is; a 5.0 packet with properties of its own keeps them.
#[test]
fn connect_is_sent_as_it_was_said() {
    let will = mqtt_codec::Will {
        topic: "w",
        payload: b"gone",
        qos: mqtt_codec::QoS::AtLeastOnce,
        retain: true,
        properties: Properties::EMPTY,
    };
    for version in versions::<V3V5>() {
        let list = [Property::SessionExpiryInterval(5)];
        let connect = Connect {
            clean_start: false,
            keep_alive: 17,
            will: Some(will),
            properties: if version.is_v5() {
                Properties::List(&list)
            } else {
                Properties::EMPTY
            },
            ..Connect::new(version, "c")
        };
        let mut rig = Rig::<V3V5>::offline(version);
        rig.write = 1;
        rig.machine.connect(&connect, rig.now).expect("it fits");
        assert_eq!(rig.wire(), connect.bytes(version));
    }
}

/// While CONNECT is being written nothing is read, and an event in between disturbs nothing.
#[test]
fn connect_is_written_before_anything_is_read() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::offline(version);
        let connect = Connect::new(version, "client");
        rig.machine.connect(&connect, rig.now).expect("it fits");
        let mut whole = vec![];
        loop {
            assert_eq!(rig.machine.event(rig.now), Event::Waiting);
            let bytes = rig.machine.output(rig.now);
            let Some(&byte) = bytes.first() else { break };
            whole.push(byte);
            assert!(rig.machine.input().is_empty());
            rig.machine.written(1, rig.now);
        }
        let mut expected = Rig::<V3V5>::offline(version);
        expected
            .machine
            .connect(&connect, rig.now)
            .expect("it fits");
        assert_eq!(whole, expected.wire());
        assert!(!rig.machine.input().is_empty());
        rig.send(&connack(false));
        assert_eq!(rig.happened(), ["connected"]);
    }
}

/// A refusal is told with its reason, and ends the connection without another packet [3.1.1:MQTT-3.2.2-5], [MQTT-3.2.2-7].
#[test]
fn a_refusal_is_told() {
    for version in versions::<V3V5>() {
        let reason = if version.is_v5() { 0x87 } else { 5 };
        let mut rig = Rig::<V3V5>::offline(version);
        rig.publish(1, "kept");
        rig.connect(&Connect::new(version, "c"));
        // In 3.1.1 the code module says what 5.0 would call it.
        let bytes = if version.is_v5() {
            refused(reason).bytes(version)
        } else {
            vec![0x20, 2, 0, reason]
        };
        rig.send(&bytes);
        let happened = rig.happened();
        assert!(
            happened.len() == 1 && happened[0].starts_with("refused"),
            "{happened:?}"
        );
        assert_eq!(rig.sent(), ["close"]);
        assert!(!rig.machine.is_connected());
        // What was queued is still there.
        rig.cut();
        rig.reconnect(false);
        assert_eq!(rig.sent(), ["PUBLISH 1 q1 t kept"]);
    }
}

/// No session can be there after a clean start [MQTT-3.2.2-4], [3.1.1:MQTT-3.2.2-1].
#[test]
fn a_session_after_a_clean_start_breaks_a_rule() {
    for version in [Version::V311, Version::V5] {
        let mut rig = Rig::<V3V5>::offline(version);
        rig.connect(&Connect::new(version, "c"));
        rig.send(&connack(true));
        assert_eq!(rig.happened(), ["broken Rule(UnexpectedSession)"]);
        assert!(rig.sent().last().is_some_and(|line| line == "close"));
    }
}

/// The first packet from a broker is CONNACK [MQTT-3.2.0-1], [3.1.1:MQTT-3.2.0-1], and there is one [MQTT-3.2.0-2].
#[test]
fn connack_is_first_and_once() {
    for version in versions::<V3V5>() {
        for bytes in [publish("x").bytes(version), pingresp()] {
            let mut rig = Rig::<V3V5>::offline(version);
            rig.connect(&Connect::new(version, "c"));
            rig.send(&bytes);
            assert_eq!(rig.happened(), ["broken Rule(ConnAckFirst)"]);
            // There is nobody to say it to.
            assert_eq!(rig.sent(), ["close"]);
        }
        let mut rig = Rig::<V3V5>::connected(version);
        rig.send(&connack(false));
        assert_eq!(rig.happened(), ["broken Rule(SecondConnAck)"]);
        let expected: &[&str] = if version.is_v5() {
            &["DISCONNECT 0x82", "close"]
        } else {
            &["close"]
        };
        assert_eq!(rig.sent(), expected);
    }
}

/// Garbage instead of CONNACK ends the connection; the next one is a new beginning.
#[test]
fn garbage_first_closes() {
    for version in versions::<V3V5>() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            &[0; 8],
            &[0xff; 8],
            &[0x20, 0x80, 0x80, 0x80, 0x80, 1],
            &[0x20, 1, 0],
        ] {
            let mut rig = Rig::<V3V5>::offline(version);
            rig.connect(&Connect::new(version, "c"));
            rig.send(bytes);
            let happened = rig.happened();
            assert!(
                happened.len() == 1 && happened[0].starts_with("broken Bytes"),
                "{bytes:02x?}: {happened:?}"
            );
            assert_eq!(rig.sent(), ["close"]);
            rig.cut();
            let mut rig = rig.greeted();
            assert_eq!(rig.machine.violation(), None);
            rig.send(&publish("x"));
            assert_eq!(rig.happened(), ["message t x"]);
        }
    }
}

/// What the profile does not speak, and what does not fit the buffer, is refused, and changes nothing.
#[test]
fn a_connect_that_cannot_be_is_refused() {
    let mut rig = Rig::<V3>::offline(Version::V311);
    for version in [Version::V5, Version::V31] {
        let connect = Connect::new(version, "c");
        assert_eq!(
            rig.machine.connect(&connect, rig.now),
            Err(Misuse::NotSupported)
        );
        assert!(rig.machine.output(rig.now).is_empty());
    }
    let long = "c".repeat(60);
    let connect = Connect::new(Version::V311, &long);
    assert_eq!(rig.machine.connect(&connect, rig.now), Err(Misuse::Encode));
    assert!(rig.machine.output(rig.now).is_empty());
    let mut rig = rig.greeted();
    rig.send(&publish("x"));
    assert_eq!(rig.happened(), ["message t x"]);
}

/// Memory of any size leads to no panic.
#[test]
fn little_memory_is_no_panic() {
    for version in versions::<V3V5>() {
        for len in 0..140 {
            let mut memory = vec![0; len];
            let queue = Listed::default();
            let mut machine = Compact::<V3V5, _>::new(&mut memory, queue, version);
            let now = mqtt_session::Instant::ZERO;
            if machine.connect(&Connect::new(version, "c"), now).is_err() {
                continue;
            }
            let written = machine.output(now).len();
            machine.written(written, now);
            for packet in [
                connack(false).bytes(version),
                publish("hello").bytes(version),
            ] {
                for byte in packet {
                    let Some(place) = machine.input().first_mut() else {
                        break;
                    };
                    *place = byte;
                    machine.filled(1, now);
                    while machine.event(now) != Event::Waiting {}
                }
            }
            while !machine.output(now).is_empty() {
                machine.written(1, now);
            }
        }
    }
}
