//! Pings, and answers that do not come.

use mqtt_codec::{ConnAck, Connect, Properties, Property, Version};
use mqtt_session::compact::Device;
use mqtt_session::profile::V3V5;
use mqtt_testkit::compact::{Rig, versions};
use mqtt_testkit::packets::{connack, pingresp, puback, publish, publish2};

/// A client that has promised a packet every ten seconds.
fn alive(version: Version) -> Rig<V3V5> {
    let mut rig = Rig::<V3V5>::offline(version);
    rig.connect(&Connect {
        keep_alive: 10,
        ..Connect::new(version, "c")
    });
    rig.send(&connack(false));
    rig.happened();
    rig
}

/// A ping leaves when nothing else did, and not before [MQTT-3.1.2-20], [3.1.1:MQTT-3.1.2-23].
#[test]
fn a_ping_leaves_in_time() {
    for version in versions::<V3V5>() {
        let mut rig = alive(version);
        assert_eq!(rig.deadline(), Some(10_000));
        rig.after(9_999);
        assert!(rig.sent().is_empty());
        assert_eq!(rig.deadline(), Some(1));
        rig.after(1);
        assert_eq!(rig.sent(), ["PINGREQ"]);
        assert_eq!(rig.deadline(), Some(10_000), "for the answer");
        rig.send(&pingresp());
        assert_eq!(rig.deadline(), Some(10_000));
        rig.after(4_000);
        rig.publish(0, "x");
        assert_eq!(rig.sent(), ["PUBLISH t x"]);
        assert_eq!(rig.deadline(), Some(10_000), "every packet counts");
        assert!(rig.happened().is_empty());
    }
}

/// What only comes in puts no ping off: the promise is about what goes out.
#[test]
fn what_comes_in_puts_nothing_off() {
    for version in versions::<V3V5>() {
        let mut rig = alive(version);
        rig.after(9_000);
        rig.send(&publish("x"));
        assert_eq!(rig.deadline(), Some(1_000));
        rig.after(1_000);
        assert_eq!(rig.sent(), ["PINGREQ"]);
    }
}

/// A ping that is not answered ends the connection.
#[test]
fn a_missing_answer_closes() {
    for version in versions::<V3V5>() {
        let mut rig = alive(version);
        rig.after(10_000);
        assert_eq!(rig.sent(), ["PINGREQ"]);
        rig.after(9_999);
        assert!(!rig.machine.is_closing());
        rig.after(1);
        assert!(rig.machine.is_closing());
        assert_eq!(rig.deadline(), None);
        assert_eq!(
            rig.machine
                .violation()
                .map(|violation| format!("{violation:?}")),
            Some("Rule(PingTimeout)".to_owned())
        );
        assert_eq!(rig.sent().last().map(String::as_str), Some("close"));
    }
}

/// An answer that stands behind a long message is not late while the message comes.
#[test]
fn an_answer_may_stand_behind_a_message() {
    for version in versions::<V3V5>() {
        let mut rig = alive(version);
        rig.after(10_000);
        assert_eq!(rig.sent(), ["PINGREQ"]);
        rig.read = 2;
        let long = "x".repeat(40);
        rig.arrive(&publish(&long));
        rig.arrive(&pingresp());
        for _ in 0..40 {
            rig.after(5_000);
            assert!(!rig.machine.is_closing());
            rig.sent();
            if rig.fill() == 0 {
                break;
            }
            while let Some(line) = rig.event() {
                rig.events.push(line);
            }
        }
        assert_eq!(rig.happened(), [format!("message t {long}")]);
        rig.sent();
        assert!(!rig.machine.is_closing());
    }
}

/// Without keep-alive there is no deadline, and no ping.
#[test]
fn no_keep_alive_is_no_ping() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        assert_eq!(rig.deadline(), None);
        rig.after(1 << 30);
        assert!(rig.sent().is_empty());
        rig.publish(0, "x");
        rig.sent();
        assert_eq!(rig.deadline(), None);
    }
}

/// A dead line is found out by the answer that does not come, and not only when the window is full and the keep-alive over.
#[test]
fn an_answer_that_does_not_come_is_asked_for() {
    for version in versions::<V3V5>() {
        for keep_alive in [0, 10, 600] {
            let mut rig = Rig::<V3V5>::offline(version);
            rig.connect(&Connect {
                keep_alive,
                ..Connect::new(version, "c")
            });
            rig.send(&connack(false));
            rig.happened();
            // Long after that: the time begins with the message.
            rig.after(9_000);
            rig.publish(1, "x");
            assert_eq!(rig.sent(), ["PUBLISH 1 q1 t x"]);
            // Others put nothing off.
            rig.after(4_000);
            rig.publish(1, "y");
            rig.publish(0, "z");
            assert_eq!(rig.sent(), ["PUBLISH 2 q1 t y", "PUBLISH t z"]);
            assert_eq!(rig.deadline(), Some(6_000));
            rig.after(5_999);
            assert!(rig.sent().is_empty());
            rig.after(1);
            assert_eq!(rig.sent(), ["PINGREQ"]);
            rig.after(9_999);
            assert!(!rig.machine.is_closing());
            rig.after(1);
            assert!(rig.machine.is_closing());
        }
    }
}

/// A broker that is alive may take its time: it is asked again, and the connection stays.
#[test]
fn a_slow_answer_is_waited_for() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::connected(version);
        rig.publish(1, "x");
        rig.sent();
        for _ in 0..3 {
            rig.after(10_000);
            assert_eq!(rig.sent(), ["PINGREQ"]);
            rig.after(3_000);
            rig.send(&pingresp());
            assert!(rig.sent().is_empty());
        }
        rig.after(6_000);
        // What comes in is a sign of life.
        rig.send(&publish("y"));
        rig.after(9_000);
        assert!(rig.sent().is_empty());
        rig.send(&puback(1));
        assert_eq!(rig.deadline(), None);
        rig.after(1 << 30);
        assert!(rig.sent().is_empty());
    }
}

/// What is sent again to a resumed session is to be answered, too; and so is SUBSCRIBE.
#[test]
fn answers_to_all_packets_are_asked_for() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::kept(version);
        rig.subscribe("t", 1);
        rig.sent();
        assert_eq!(rig.deadline(), Some(10_000));
        rig.cut();
        rig.reconnect(true);
        assert_eq!(rig.sent().len(), 1);
        assert_eq!(rig.deadline(), Some(10_000));
        rig.after(10_000);
        assert_eq!(rig.sent(), ["PINGREQ"]);
    }
}

/// A broker of 5.0 may ask for another keep-alive, or none [MQTT-3.2.2-21].
#[test]
fn the_broker_may_choose() {
    for (seconds, deadline) in [(3, Some(3_000)), (0, None)] {
        let properties = [Property::ServerKeepAlive(seconds)];
        let mut rig = Rig::<V3V5>::offline(Version::V5);
        rig.connect(&Connect {
            keep_alive: 10,
            ..Connect::new(Version::V5, "c")
        });
        rig.send(&ConnAck {
            properties: Properties::List(&properties),
            ..connack(false)
        });
        assert_eq!(rig.deadline(), deadline);
        // The next connection says its own again.
        rig.cut();
        rig.connect(&Connect {
            keep_alive: 10,
            ..Connect::new(Version::V5, "c")
        });
        rig.send(&connack(false));
        assert_eq!(rig.deadline(), Some(10_000));
    }
}

/// CONNACK must come in time, and what trickles in does not count.
#[test]
fn a_missing_connack_closes() {
    for version in versions::<V3V5>() {
        let mut rig = Rig::<V3V5>::offline(version);
        assert_eq!(rig.deadline(), None);
        rig.connect(&Connect::new(version, "c"));
        assert_eq!(rig.deadline(), Some(10_000));
        rig.after(9_999);
        rig.send(&[0x20]);
        assert!(!rig.machine.is_closing());
        assert_eq!(rig.deadline(), Some(1));
        rig.after(1);
        assert!(rig.machine.is_closing());
        assert_eq!(
            rig.machine
                .violation()
                .map(|violation| format!("{violation:?}")),
            Some("Rule(ConnectTimeout)".to_owned())
        );
        assert_eq!(rig.sent(), ["close"]);
    }
}

/// A transport that takes no byte of CONNECT runs into the same time-out.
#[test]
fn a_stuck_connect_closes() {
    let mut rig = Rig::<V3V5>::offline(Version::V5);
    rig.stalled = true;
    rig.connect(&Connect::new(Version::V5, "c"));
    assert_eq!(rig.deadline(), Some(10_000));
    rig.after(10_000);
    assert!(rig.machine.is_closing());
}

/// A transport that takes nothing any more ends the connection in bounded time, and no deadline stands still meanwhile, however much
/// waits to be written.
#[test]
fn a_stuck_transport_closes() {
    for version in versions::<V3V5>() {
        for answers in 0..8 {
            let mut rig = alive(version);
            rig.stalled = true;
            for id in 1..=answers {
                rig.send(&publish2(id, "x"));
            }
            let mut calls = 0;
            while !rig.machine.is_closing() {
                let wait = rig.deadline().expect("something is awaited");
                rig.after(wait);
                calls += 1;
                assert!(calls < 10, "{version}, {answers} answers: {wait} ms again");
            }
        }
    }
}

/// A message that is being written when the ping is due does not keep a broker that is gone alive.
#[test]
fn a_stuck_message_closes() {
    for version in versions::<V3V5>() {
        let mut rig = alive(version);
        rig.publish(1, "hello");
        let len = rig.machine.output(rig.now).len();
        rig.machine.written(len, rig.now);
        rig.after(10_000);
        rig.after(10_000);
        assert!(rig.machine.is_closing());
    }
}

/// The clock's low 32 bits may come round: 49.7 days after the origin.
#[test]
fn the_clock_may_come_round() {
    for start in [u64::from(u32::MAX) - 5_000, u64::from(u32::MAX / 2) - 5_000] {
        let mut rig = Rig::<V3V5>::offline(Version::V311);
        rig.now = mqtt_session::Instant::from_millis(start);
        rig.connect(&Connect {
            keep_alive: 10,
            ..Connect::new(Version::V311, "c")
        });
        assert_eq!(rig.deadline(), Some(10_000));
        rig.send(&connack(false));
        for _ in 0..3 {
            assert_eq!(rig.deadline(), Some(10_000));
            rig.after(10_000);
            assert_eq!(rig.sent(), ["PINGREQ"]);
            rig.send(&pingresp());
        }
    }
}

/// The longest keep-alive, after a sleep that was longer still.
#[test]
fn a_long_sleep_is_followed_by_a_ping() {
    let mut rig = Rig::<V3V5>::offline(Version::V311);
    rig.connect(&Connect {
        keep_alive: u16::MAX,
        ..Connect::new(Version::V311, "c")
    });
    rig.send(&connack(false));
    assert_eq!(rig.deadline(), Some(65_535_000));
    rig.after(20 * 24 * 3_600 * 1_000);
    assert_eq!(rig.sent(), ["PINGREQ"]);
}

/// A device that waits a second for its answers.
#[derive(Debug)]
struct Hasty;
impl Device for Hasty {
    type Profile = V3V5;
    const ANSWER_TIMEOUT_MS: u32 = 1_000;
}

/// The device decides how long an answer may take.
#[test]
fn the_device_says_how_long() {
    let mut rig = Rig::<Hasty>::offline(Version::V5);
    rig.connect(&Connect {
        keep_alive: 5,
        ..Connect::new(Version::V5, "c")
    });
    assert_eq!(rig.deadline(), Some(1_000));
    rig.send(&connack(false));
    rig.publish(1, "x");
    rig.sent();
    rig.send(&puback(1));
    rig.after(5_000);
    assert_eq!(rig.sent(), ["PINGREQ"]);
    assert_eq!(rig.deadline(), Some(1_000));
}
