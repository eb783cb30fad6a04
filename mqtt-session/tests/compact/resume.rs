//! What is sent again on the next connection, and what is not.

use mqtt_codec::{Connect, Publish, Version};
use mqtt_session::profile::V3V5;
use mqtt_testkit::compact::{Habits, Listed, Rig, versions};
use mqtt_testkit::packets::{connack, puback, pubcomp, publish2, pubrec, pubrel, suback};

/// What was sent goes out again with DUP, in its order, before what is new [MQTT-3.3.1-1], [MQTT-4.4.0-1], [MQTT-4.6.0-1],
/// [3.1.1:MQTT-3.3.1-1], [3.1.1:MQTT-4.4.0-1], [3.1.1:MQTT-4.6.0-1].
#[test]
fn messages_are_sent_again_in_their_order() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::kept(version);
        for (qos, payload) in [(1, "a"), (2, "b"), (1, "c")] {
            rig.publish(qos, payload);
        }
        rig.sent();
        rig.send(&puback(3));
        for round in 0..3 {
            rig.cut();
            rig.publish(1, "new");
            rig.reconnect(true);
            let mut expected = vec![
                "PUBLISH 1 q1 dup t a".to_owned(),
                "PUBLISH 2 q2 dup t b".into(),
            ];
            // Each round adds one, and the window is 4.
            for id in 4..(5 + round).min(6) {
                let dup = if id == 4 + round { "" } else { "dup " };
                expected.push(format!("PUBLISH {id} q1 {dup}t new"));
            }
            assert_eq!(rig.sent(), expected);
        }
    }
}

/// What was written in part was not sent: the next connection gets it whole. Whether it is a repetition, nobody can say.
#[test]
fn a_message_that_was_cut_is_sent_whole() {
    for version in versions::<V3V5>() {
        for bytes in 0..9 {
            let mut rig = Rig::<V3V5>::kept(version);
            rig.publish(1, "abc");
            for _ in 0..bytes {
                assert!(!rig.machine.output(rig.now).is_empty());
                rig.machine.written(1, rig.now);
            }
            rig.cut();
            rig.reconnect(true);
            assert_eq!(rig.sent().len(), 1, "{bytes}");
            rig.send(&puback(1));
            assert_eq!(
                rig.happened().last().map(String::as_str),
                Some("acknowledged 1")
            );
        }
    }
}

/// After PUBREC the message is not sent again, but PUBREL is [MQTT-4.3.3-5], [MQTT-4.3.3-6], [MQTT-4.4.0-1], [3.1.1:MQTT-4.4.0-1].
#[test]
fn pubrel_is_sent_again() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::kept(version);
        for payload in ["a", "b", "c"] {
            rig.publish(2, payload);
        }
        rig.sent();
        // The PUBREL of the first was sent, that of the second was not.
        rig.send(&pubrec(1));
        assert_eq!(rig.sent(), ["PUBREL 1"]);
        rig.send(&pubrec(2));
        rig.cut();
        rig.reconnect(true);
        assert_eq!(rig.sent(), ["PUBREL 1", "PUBREL 2", "PUBLISH 3 q2 dup t c"]);
        rig.happened();
        rig.send(&pubcomp(2));
        rig.send(&pubcomp(1));
        rig.send(&pubrec(3));
        assert_eq!(rig.sent(), ["PUBREL 3"]);
        rig.send(&pubcomp(3));
        assert_eq!(
            rig.happened(),
            ["acknowledged 2", "acknowledged 1", "acknowledged 3"]
        );
    }
}

/// PUBREC that comes for an earlier connection's message before that was sent again: PUBREL, and no second PUBLISH [MQTT-4.3.3-5].
#[test]
fn a_message_that_the_broker_has_is_not_sent_again() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::kept(version);
        rig.publish(2, "a");
        rig.sent();
        rig.cut();
        rig.stalled = true;
        rig.machine
            .connect(
                &Connect {
                    clean_start: false,
                    ..Connect::new(version, "c")
                },
                rig.now,
            )
            .expect("it fits");
        rig.stalled = false;
        rig.wire();
        rig.send(&connack(true));
        rig.send(&pubrec(1));
        rig.happened();
        let sent = rig.sent();
        assert!(
            !sent.is_empty() && sent.iter().all(|line| line == "PUBREL 1"),
            "{sent:?}"
        );
        rig.send(&pubcomp(1));
        assert_eq!(rig.happened(), ["acknowledged 1"]);
    }
}

/// The broker has lost the session: what was not answered is sent to it as to any other; what it has is over [MQTT-3.2.2-5],
/// [3.1.1:MQTT-3.2.2-3].
#[test]
fn a_lost_session_begins_anew() {
    for version in [Version::V311, Version::V5] {
        for lazy in [false, true] {
            let queue = Listed::new(Habits {
                lazy,
                ..Habits::default()
            });
            let mut rig = Rig::<V3V5>::new(version, 64, queue).greeted();
            for (qos, payload) in [(2, "a"), (2, "b"), (1, "c"), (2, "d")] {
                rig.publish(qos, payload);
            }
            rig.sent();
            rig.send(&pubrec(1));
            rig.send(&pubrec(2));
            rig.sent();
            rig.cut();
            rig.publish(1, "new");
            rig.reconnect(false);
            // The broker had two of them.
            assert_eq!(
                rig.happened(),
                ["connected", "acknowledged 1", "acknowledged 2"]
            );
            // To this one the others are new.
            assert_eq!(
                rig.sent(),
                ["PUBLISH 3 q1 t c", "PUBLISH 4 q2 t d", "PUBLISH 5 q1 t new"]
            );
            assert_eq!(rig.machine.queue().waiting().count(), 3);
            rig.send(&puback(3));
            rig.send(&pubrec(4));
            rig.send(&puback(5));
            assert_eq!(rig.sent(), ["PUBREL 4"]);
            rig.send(&pubcomp(4));
            assert_eq!(
                rig.happened(),
                ["acknowledged 3", "acknowledged 5", "acknowledged 4"]
            );
        }
    }
}

/// Whatever lies between the packets that are over with the session, and was over before it: all of them are found.
#[test]
fn a_lost_session_with_gaps() {
    // Bit n says that message n + 1 is acknowledged before the cut, and of the others every one of QoS 2 was received.
    for version in [Version::V311, Version::V5] {
        for lazy in [false, true] {
            for acknowledged in 0..16_u16 {
                let queue = Listed::new(Habits {
                    lazy,
                    ..Habits::default()
                });
                let mut rig = Rig::<V3V5>::new(version, 64, queue);
                rig.reconnect(false);
                for _ in 0..4 {
                    rig.publish(2, "x");
                }
                rig.sent();
                for id in 1..=4 {
                    rig.send(&pubrec(id));
                    rig.sent();
                    if acknowledged >> (id - 1) & 1 != 0 {
                        rig.send(&pubcomp(id));
                    }
                }
                rig.cut();
                rig.publish(2, "new");
                rig.reconnect(false);
                assert_eq!(rig.sent(), ["PUBLISH 5 q2 t new"], "{acknowledged:04b}");
                assert_eq!(rig.machine.queue().waiting().count(), 1);
            }
        }
    }
}

/// A clean start does the same on its own.
#[test]
fn a_clean_start_begins_anew() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        for (qos, payload) in [(2, "a"), (2, "b"), (2, "c"), (1, "d")] {
            rig.publish(qos, payload);
        }
        rig.sent();
        for id in [1, 2, 3] {
            rig.send(&pubrec(id));
        }
        rig.sent();
        rig.cut();
        rig.connect(&Connect::new(version, "c"));
        rig.send(&connack(false));
        assert_eq!(
            rig.happened(),
            [
                "acknowledged 1",
                "acknowledged 2",
                "acknowledged 3",
                "connected"
            ]
        );
        assert_eq!(rig.sent(), ["PUBLISH 4 q1 t d"]);
        rig.send(&puback(4));
        assert_eq!(rig.happened(), ["acknowledged 4"]);
        rig.publish(1, "e");
        assert_eq!(rig.sent(), ["PUBLISH 5 q1 t e"]);
    }
}

/// With the session the ids of received messages are gone: the same id is a new message [MQTT-3.2.2-5], [3.1.1:MQTT-3.2.2-3].
#[test]
fn a_lost_session_frees_received_ids() {
    for version in [Version::V311, Version::V5] {
        let mut rig = Rig::<V3V5>::kept(version);
        rig.send(&publish2(7, "a"));
        rig.sent();
        rig.cut();
        rig.reconnect(false);
        rig.happened();
        rig.send(&publish2(7, "b"));
        assert_eq!(rig.happened(), ["message q2 t b"]);
        assert_eq!(rig.sent(), ["PUBREC 7"]);
        rig.send(&pubrel(7));
        assert_eq!(rig.sent(), ["PUBCOMP 7"]);
    }
}

/// A session that a clean start began ends with its connection before 5.0 [3.1.1:MQTT-3.1.2-6]; in 3.1, where CONNACK tells of no
/// session, the client must know by itself that the next one is new.
#[test]
fn a_clean_session_is_over_with_its_connection() {
    for version in [Version::V31, Version::V311] {
        let mut rig = Rig::<V3V5>::connected(version);
        rig.send(&publish2(7, "a"));
        rig.sent();
        rig.cut();
        rig.reconnect(false);
        rig.happened();
        rig.send(&publish2(7, "b"));
        assert_eq!(rig.happened(), ["message q2 t b"], "{version}");
    }
}

/// A message that comes after the cut with another body under the same id is the repetition that it says it is.
#[test]
fn a_repetition_after_the_cut_is_released_once() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::offline(version);
        rig.reconnect(false);
        rig.happened();
        rig.send(&publish2(7, "a"));
        rig.cut();
        rig.reconnect(true);
        rig.send(&Publish {
            dup: true,
            ..publish2(7, "a")
        });
        rig.send(&pubrel(7));

        assert_eq!(rig.sent(), ["PUBREC 7", "PUBCOMP 7"]);
        rig.cut();
        rig.reconnect(true);
        rig.send(&pubrel(7));
        let line = if version.is_v5() {
            "PUBCOMP 7 0x92"
        } else {
            "PUBCOMP 7"
        };
        assert_eq!(rig.sent(), [line]);
        let connected = if version == Version::V31 {
            "connected"
        } else {
            "connected present"
        };
        assert_eq!(rig.happened(), ["message q2 t a", connected, connected]);
    }
}

/// A SUBSCRIBE that was not answered is sent again, and its answer belongs to it.
#[test]
fn a_request_is_sent_again() {
    for version in versions::<V3V5>() {
        for present in [false, true] {
            if present && version == Version::V31 {
                continue;
            }
            let mut rig = Rig::<V3V5>::kept(version);
            rig.publish(1, "a");
            assert_eq!(rig.subscribe("a/+", 1), 2);
            assert_eq!(rig.sent(), ["PUBLISH 1 q1 t a", "SUBSCRIBE 2 a/+ q1"]);
            rig.cut();
            rig.reconnect(present);
            let sent = rig.sent();
            assert_eq!(sent.len(), 2);
            assert_eq!(sent[1], "SUBSCRIBE 2 a/+ q1");
            rig.happened();
            rig.send(&suback(2, &[1]));
            assert_eq!(rig.happened(), ["subscribed 2 0x01"]);
        }
    }
}

/// A queue whose bodies lie in many pieces, and a transport that takes a byte at a time, change nothing.
#[test]
fn pieces_make_the_same_packets() {
    for version in versions::<V3V5>() {
        for (piece, write) in [(1, 1), (1, usize::MAX), (2, 3), (usize::MAX, 1)] {
            let queue = Listed::new(Habits {
                piece,
                ..Habits::default()
            });
            let mut rig = Rig::<V3V5>::new(version, 64, queue).greeted();
            rig.write = write;
            rig.publish(1, "hello");
            rig.publish(0, "world");
            rig.send(&publish2(3, "x"));
            assert_eq!(
                rig.sent(),
                ["PUBREC 3", "PUBLISH 1 q1 t hello", "PUBLISH t world"]
            );
        }
    }
}
