//! CONNECT and messages in one flight, without waiting for CONNACK.

use mqtt_codec::{ConnAck, Connect, ReasonCode, Version};
use mqtt_session::compact::Device;
use mqtt_session::profile::V3V5;
use mqtt_testkit::compact::{Rig, versions};
use mqtt_testkit::packets::{connack, puback, pubcomp, publish1, pubrec};

/// A device that does not wait.
#[derive(Debug)]
struct Eager;
impl Device for Eager {
    type Profile = V3V5;
    const EARLY: bool = true;
}

fn again(version: Version) -> Connect<'static> {
    Connect {
        clean_start: false,
        ..Connect::new(version, "c")
    }
}

fn without_connect(lines: &[String]) -> &[String] {
    assert!(lines[0].starts_with("CONNECT "), "{lines:?}");
    &lines[1..]
}

/// What is queued follows CONNECT at once, within the window [MQTT-3.1.4-5].
#[test]
fn messages_follow_connect() {
    for version in versions::<Eager>() {
        let mut rig = Rig::<Eager>::offline(version);
        for payload in ["a", "b", "c", "d", "e"] {
            rig.publish(1, payload);
        }
        let sent = rig.connect(&Connect::new(version, "c"));
        assert_eq!(
            without_connect(&sent),
            [
                "PUBLISH 1 q1 t a",
                "PUBLISH 2 q1 t b",
                "PUBLISH 3 q1 t c",
                "PUBLISH 4 q1 t d"
            ]
        );
        rig.send(&connack(false));
        rig.send(&puback(1));
        assert_eq!(rig.happened(), ["connected", "acknowledged 1"]);
        assert_eq!(rig.sent(), ["PUBLISH 5 q1 t e"]);
    }
}

/// What comes behind CONNACK in one segment is taken.
#[test]
fn everything_may_come_in_one_segment() {
    use mqtt_testkit::packets::Raw;
    for version in versions::<Eager>() {
        let mut rig = Rig::<Eager>::offline(version);
        rig.publish(1, "a");
        rig.connect(&again(version));
        let mut segment = connack(true).bytes(version);
        segment.extend(publish1(1, "x").bytes(version));
        segment.extend(puback(1).bytes(version));
        rig.send(&segment);
        let connected = if version == Version::V31 {
            "connected"
        } else {
            "connected present"
        };
        assert_eq!(
            rig.happened(),
            [connected, "message q1 t x", "acknowledged 1"]
        );
        assert_eq!(rig.sent(), ["PUBACK 1"]);
    }
}

/// The connection is refused: what was sent in vain is sent again on the next one.
#[test]
fn a_refusal_loses_nothing() {
    let mut rig = Rig::<Eager>::offline(Version::V5);
    rig.publish(1, "a");
    rig.publish(2, "b");
    rig.connect(&again(Version::V5));
    rig.send(&ConnAck {
        reason: ReasonCode::SERVER_BUSY,
        ..connack(false)
    });
    assert_eq!(rig.happened(), ["refused 0x89"]);
    assert_eq!(rig.sent(), ["close"]);
    rig.cut();
    let sent = rig.connect(&again(Version::V5));
    assert_eq!(
        without_connect(&sent),
        ["PUBLISH 1 q1 dup t a", "PUBLISH 2 q2 dup t b"]
    );
    rig.send(&connack(false));
    rig.send(&puback(1));
    rig.send(&pubrec(2));
    assert_eq!(rig.sent(), ["PUBREL 2"]);
    rig.send(&pubcomp(2));
    assert_eq!(
        rig.happened(),
        ["connected", "acknowledged 1", "acknowledged 2"]
    );
}

/// The session is lost, which CONNACK says behind what was sent early: each message is answered once, and the window stays whole.
#[test]
fn a_lost_session_counts_right() {
    for version in [Version::V311, Version::V5] {
        let mut rig = Rig::<Eager>::connected(version);
        for payload in ["a", "b"] {
            rig.publish(2, payload);
        }
        rig.publish(1, "c");
        rig.sent();
        rig.send(&pubrec(1));
        rig.send(&pubrec(2));
        rig.sent();
        rig.cut();
        let sent = rig.connect(&again(version));
        assert_eq!(
            without_connect(&sent),
            ["PUBREL 1", "PUBREL 2", "PUBLISH 3 q1 dup t c"]
        );
        rig.send(&connack(false));
        // The broker before had the two; this one knows nothing of them, and says so.
        rig.send(&pubcomp(1));
        rig.send(&pubcomp(2));
        rig.send(&puback(3));
        assert_eq!(
            rig.happened(),
            [
                "connected",
                "acknowledged 1",
                "acknowledged 2",
                "acknowledged 3"
            ]
        );
        assert_eq!(rig.machine.queue().waiting().count(), 0);
        for payload in ["d", "e", "f", "g", "h"] {
            rig.publish(1, payload);
        }
        assert_eq!(rig.sent().len(), 4, "the window");
    }
}

/// A message that is being written when CONNACK comes is written to its end.
#[test]
fn connack_in_the_middle_of_a_message() {
    for version in versions::<Eager>() {
        for split in 0..12 {
            let mut rig = Rig::<Eager>::offline(version);
            rig.publish(2, "abcd");
            rig.stalled = true;
            rig.connect(&again(version));
            rig.stalled = false;
            let whole = rig.machine.output(rig.now).len();
            rig.machine.written(whole, rig.now);
            for _ in 0..split {
                if !rig.machine.output(rig.now).is_empty() {
                    rig.machine.written(1, rig.now);
                }
            }
            rig.send(&connack(false));
            assert_eq!(rig.happened(), ["connected"]);
            rig.wire();
            rig.send(&pubrec(1));
            assert_eq!(rig.sent(), ["PUBREL 1"], "{split}");
            rig.send(&pubcomp(1));
            assert_eq!(rig.happened(), ["acknowledged 1"]);
        }
    }
}
