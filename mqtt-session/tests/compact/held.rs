//! Acknowledgements that wait for a packet to travel with.

use mqtt_codec::{Connect, Version};
use mqtt_session::compact::Device;
use mqtt_session::profile::V3V5;
use mqtt_testkit::compact::{Rig, versions};
use mqtt_testkit::packets::{connack, puback, publish, publish1, publish2, pubrec, pubrel};

/// A device whose acknowledgements may wait half a second.
#[derive(Debug)]
struct Patient;
impl Device for Patient {
    type Profile = V3V5;
    const HOLD_MS: u32 = 500;
}

/// They are held until their time is over, counted from the first.
#[test]
fn acknowledgements_are_held() {
    for version in versions::<Patient>() {
        let mut rig = Rig::<Patient>::connected(version);
        rig.send(&publish1(1, "a"));
        assert!(rig.sent().is_empty());
        assert_eq!(rig.deadline(), Some(500));
        rig.after(300);
        rig.send(&publish2(2, "b"));
        assert!(rig.sent().is_empty());
        assert_eq!(rig.deadline(), Some(200));
        rig.after(199);
        assert!(rig.sent().is_empty());
        rig.after(1);
        assert_eq!(rig.sent(), ["PUBACK 1", "PUBREC 2"]);
        assert_eq!(rig.deadline(), None);
    }
}

/// A message takes them along, in one piece with its head.
#[test]
fn a_message_takes_them_along() {
    for version in versions::<Patient>() {
        let mut rig = Rig::<Patient>::connected(version);
        rig.send(&publish1(1, "a"));
        rig.send(&publish1(2, "b"));
        assert!(rig.sent().is_empty());
        rig.publish(1, "mine");
        let first = rig.machine.output(rig.now).to_vec();
        assert_eq!(first[..9], [0x40, 2, 0, 1, 0x40, 2, 0, 2, 0x32]);
        assert_eq!(rig.sent(), ["PUBACK 1", "PUBACK 2", "PUBLISH 1 q1 t mine"]);
        assert_eq!(rig.deadline(), Some(10_000), "for its answer");
        // The next one is held again.
        rig.send(&publish1(3, "c"));
        assert!(rig.sent().is_empty());
        assert_eq!(rig.deadline(), Some(500));
    }
}

/// A ping takes them along, and is not held itself.
#[test]
fn a_ping_takes_them_along() {
    for version in versions::<Patient>() {
        let mut rig = Rig::<Patient>::offline(version);
        rig.connect(&Connect {
            keep_alive: 10,
            ..Connect::new(version, "c")
        });
        rig.send(&connack(false));
        rig.after(9_800);
        rig.send(&publish1(1, "a"));
        assert!(rig.sent().is_empty());
        assert_eq!(rig.deadline(), Some(200));
        rig.after(200);
        assert_eq!(rig.sent(), ["PUBACK 1", "PINGREQ"]);
    }
}

/// Nothing is held at the end: DISCONNECT takes along what waits [MQTT-3.14.4-1].
#[test]
fn the_end_takes_them_along() {
    for version in versions::<Patient>() {
        let mut rig = Rig::<Patient>::connected(version);
        rig.send(&publish1(1, "a"));
        assert!(rig.sent().is_empty());
        rig.machine.disconnect();
        assert_eq!(rig.sent(), ["PUBACK 1", "DISCONNECT", "close"]);
    }
}

/// A rule that is broken is answered at once.
#[test]
fn a_broken_rule_is_answered_at_once() {
    let mut rig = Rig::<Patient>::connected(Version::V5);
    rig.send(&publish1(1, "a"));
    rig.send(&[0x00, 0]);
    assert_eq!(rig.sent(), ["PUBACK 1", "DISCONNECT 0x81", "close"]);
}

/// When they fill the room for them, they leave; nothing that comes is lost.
#[test]
fn many_are_not_lost() {
    for version in versions::<Patient>() {
        let mut rig = Rig::<Patient>::connected(version);
        let mut sent = vec![];
        for id in 1..=40 {
            rig.send(&publish1(id, "a"));
            sent.extend(rig.sent());
        }
        assert_eq!(rig.happened().len(), 40, "{version}");
        rig.after(500);
        sent.extend(rig.sent());
        let expected: Vec<String> = (1..=40).map(|id| format!("PUBACK {id}")).collect();
        assert_eq!(sent, expected);
    }
}

/// What a flow of QoS 2 needs may wait as well, but it comes.
#[test]
fn a_release_comes() {
    for version in versions::<Patient>() {
        let mut rig = Rig::<Patient>::connected(version);
        rig.publish(2, "mine");
        rig.sent();
        rig.send(&pubrec(1));
        let mut sent = rig.sent();
        rig.after(500);
        sent.extend(rig.sent());
        assert_eq!(sent, ["PUBREL 1"]);
        rig.send(&publish2(5, "x"));
        rig.after(500);
        assert_eq!(rig.sent(), ["PUBREC 5"]);
        rig.send(&pubrel(5));
        let mut sent = rig.sent();
        rig.after(500);
        sent.extend(rig.sent());
        assert_eq!(sent, ["PUBCOMP 5"]);
    }
}

/// With the connection goes what was held, and nothing of it comes on the next one.
#[test]
fn a_cut_forgets_them() {
    for version in versions::<Patient>() {
        let mut rig = Rig::<Patient>::connected(version);
        rig.send(&publish1(1, "a"));
        rig.cut();
        assert_eq!(rig.deadline(), None);
        rig.reconnect(true);
        rig.after(500);
        assert!(rig.sent().is_empty());
    }
}

/// What needs no answer leaves no deadline behind.
#[test]
fn nothing_to_hold_is_no_deadline() {
    let mut rig = Rig::<Patient>::connected(Version::V5);
    rig.send(&publish("x"));
    rig.send(&puback(9));
    assert!(rig.sent().is_empty());
    assert_eq!(rig.deadline(), None);
}
