//! Any bytes at any time end in an event or a closed connection: never a panic, never growth.

use mqtt_codec::{Connect, QoS, Version};
use mqtt_session::compact::{Device, Event, Queue};
use mqtt_session::profile::{Full, V3, V3QoS1, V3V5};
use mqtt_testkit::compact::{Habits, Listed, Rig, versions};
use mqtt_testkit::packets::{
    Raw, connack, disconnect, pingresp, puback, pubcomp, publish, publish1, publish2, pubrec,
    pubrel, suback, unsuback,
};
use mqtt_testkit::rng::{Rng, seeds};

/// Packets that nobody may send to a client, and bytes that are none: each ends the connection, with 0x81 or 0x82 in 5.0
/// [MQTT-4.13.1-1], [3.1.1:MQTT-4.8.0-1], [3.1.1:MQTT-2.2.2-2].
#[test]
fn each_malformed_packet_closes() {
    for version in versions::<V3V5>() {
        let mut all: Vec<Vec<u8>> = vec![
            // Types that do not exist, or that only a client sends.
            vec![0x00, 0],
            Connect::new(version, "c").bytes(version),
            vec![0x82, 6, 0, 1, 0, 1, b'a', 0],
            vec![0xa2, 5, 0, 1, 0, 1, b'a'],
            vec![0xc0, 0],
            // Flags that are reserved.
            vec![0x41, 2, 0, 1],
            vec![0x60, 2, 0, 1],
            vec![0x91, 3, 0, 1, 0],
            vec![0xd1, 0],
            // QoS 3.
            vec![0x36, 5, 0, 1, b't', 0, 1],
            // Lengths that are none.
            vec![0x30, 0xff, 0xff, 0xff, 0xff],
            vec![0x30, 0x80, 0x80, 0x80, 0x80],
            vec![0x40, 0],
            vec![0x40, 1, 0],
            vec![0x30, 1, 0],
            vec![0x32, 3, 0, 1, b't'],
            // Packet id 0.
            vec![0x40, 2, 0, 0],
            vec![0x32, 5, 0, 1, b't', 0, 0],
            vec![0x62, 2, 0, 0],
            // No UTF-8, and U+0000.
            vec![0x30, 4, 0, 1, 0xff, 0],
            vec![0x30, 4, 0, 1, 0, 0],
            // PINGRESP with a body.
            vec![0xd0, 1, 0],
        ];
        if version.is_v5() {
            all.extend([
                // AUTH without an exchange, properties that do not belong there, and a reason that no PUBACK has.
                vec![0xf0, 0],
                vec![0x30, 6, 0, 1, b't', 2, 0x24, 0],
                vec![0x40, 3, 0, 1, 0x7f],
                vec![0x30, 5, 0, 1, b't', 9, 1],
            ]);
        } else {
            all.extend([vec![0xe0, 0], vec![0xf0, 0], vec![0x40, 3, 0, 1, 0]]);
        }
        for bytes in all {
            for read in [1, usize::MAX] {
                let mut rig = Rig::<V3V5>::connected(version);
                rig.publish(1, "kept");
                rig.sent();
                rig.read = read;
                rig.send(&bytes);
                let happened = rig.happened();
                assert!(
                    happened.len() == 1 && happened[0].starts_with("broken "),
                    "{version} {bytes:02x?}: {happened:?}"
                );
                let sent = rig.sent();
                assert_eq!(sent.last().map(String::as_str), Some("close"));
                if version.is_v5() {
                    assert!(sent[0].starts_with("DISCONNECT 0x8"), "{sent:?}");
                } else {
                    assert_eq!(sent.len(), 1);
                }
                rig.send(&publish("x"));
                assert!(rig.happened().is_empty(), "nothing is read any more");
                rig.cut();
                rig.reconnect(true);
                // In 3.1 a clean session has ended with its connection: to the next the message is new.
                let dup = if version == Version::V31 { "" } else { "dup " };
                assert_eq!(rig.sent(), [format!("PUBLISH 1 q1 {dup}t kept")]);
            }
        }
    }
}

/// Without a diagnosis the connection ends all the same.
#[test]
fn a_device_without_diagnoses_closes() {
    let mut rig = Rig::<V3>::connected(Version::V311);
    rig.send(&[0x00, 0]);
    assert_eq!(rig.happened(), ["broken"]);
    assert_eq!(rig.machine.violation(), None);
    assert_eq!(rig.sent(), ["close"]);
}

fn packet(rng: &mut Rng, version: Version) -> Vec<u8> {
    let id = 1 + rng.below(5) as u16;
    let long = "x".repeat(rng.below(200));
    let codes: &[u8] = if version.is_v5() { &[0] } else { &[] };
    match rng.below(14) {
        0 => publish(&long).bytes(version),
        1 => publish1(id, &long).bytes(version),
        2 => publish2(id, &long).bytes(version),
        3 => puback(id).bytes(version),
        4 | 5 => pubrec(id).bytes(version),
        6 => pubrel(id).bytes(version),
        7 | 8 => pubcomp(id).bytes(version),
        9 => suback(id, &[0]).bytes(version),
        10 => unsuback(id, codes).bytes(version),
        11 => pingresp(),
        12 if version.is_v5() => disconnect(mqtt_codec::ReasonCode::SERVER_BUSY).bytes(version),
        12 => connack(rng.one_in(2)).bytes(version),
        _ => {
            let mut bytes = vec![];
            for _ in 0..rng.below(20) {
                bytes.push(rng.next() as u8);
            }
            bytes
        }
    }
}

/// A run of random packets, damaged here and there, at any moment of a connection and with random calls in between.
fn run<D: Device>(seed: u64) -> [u32; 2] {
    let mut rng = Rng::new(seed);
    let all = versions::<D>();
    let version = all[rng.below(all.len())];
    let queue = Listed::new(Habits {
        room: 100 + rng.below(400),
        piece: 1 + rng.below(40),
        lazy: rng.one_in(2),
    });
    let mut rig = Rig::<D>::new(version, 24 + rng.below(80), queue);
    rig.write = 1 + rng.below(30);
    let mut taken = 0;
    for _ in 0..300 {
        match rng.below(12) {
            0 => {
                let qos = QoS::from_u8(rng.below(3) as u8).expect("a QoS");
                let _full = rig.try_publish(qos, &"y".repeat(rng.below(60)));
            }
            1 if rng.one_in(4) => rig.cut(),
            1 if rng.one_in(10) => rig.machine.disconnect(),
            1 => {
                let filter = mqtt_topic::TopicFilter::new("f").expect("a filter");
                let _full = rig.machine.unsubscribe(filter);
            }
            2 => {
                let wait = rng.below(15_000) as u64;
                rig.after(wait);
            }
            3 => rig.stalled = rng.one_in(2),
            4 => {
                rig.flush();
                rig.wire();
            }
            _ => {
                let mut bytes = packet(&mut rng, version);
                if rng.one_in(6) && !bytes.is_empty() {
                    let at = rng.below(bytes.len());
                    bytes[at] ^= 1 << rng.below(8);
                }
                rig.read = 1 + rng.below(bytes.len() + 1);
                rig.arrive(&bytes);
                rig.read();
                taken += 1;
            }
        }
        if rig.machine.is_closing() || !rig.machine.is_connected() {
            if rng.one_in(2) {
                rig.stalled = false;
                let mut calls = 0;
                while !rig.machine.output(rig.now).is_empty() {
                    rig.machine.written(1, rig.now);
                    calls += 1;
                    assert!(calls < 1_000, "output without an end");
                }
                rig.cut();
                let connect = Connect {
                    clean_start: rng.one_in(3),
                    keep_alive: rng.below(3) as u16,
                    ..Connect::new(version, "c")
                };
                rig.machine.connect(&connect, rig.now).expect("it fits");
                rig.flush();
                let present = !connect.clean_start && rng.one_in(2);
                rig.send(&connack(present));
            } else {
                rig.arrive(&packet(&mut rng, version));
                rig.read();
            }
        }
        rig.events.clear();
        let message = rig.machine.message();
        assert!(message.payload.len() <= 200 && message.properties.iter().count() < 100);
        assert!(
            rig.machine
                .queue()
                .get(rig.machine.queue().start())
                .is_none_or(|r| r.len < 200)
        );
    }
    // Garbage closes, unless it is the payload of a message of whatever length the damage has given it.
    rig.stalled = false;
    rig.arrive(&vec![0; 4_096]);
    rig.read();
    assert_eq!(rig.machine.event(rig.now), Event::Waiting);
    [taken, u32::from(!rig.machine.is_connected())]
}

/// Bytes of every kind at every moment [MQTT-4.13.1-1].
#[test]
fn random_packets_end_in_an_event_or_a_close() {
    let (mut taken, mut closed, mut runs) = (0, 0, 0);
    seeds("random packets", 8_000, |seed| {
        let [packets, ended] = match seed % 4 {
            0 => run::<V3QoS1>(seed),
            1 => run::<V3>(seed),
            2 => run::<V3V5>(seed),
            _ => run::<Full>(seed),
        };
        taken += packets;
        closed += ended;
        runs += 1;
    });
    eprintln!("{taken} packets in {runs} runs, {closed} of which were closed at last");
    assert!(closed * 10 > runs * 9);
}

/// A message that breaks a rule is not acknowledged: nothing but DISCONNECT is sent any more [MQTT-3.14.4-1].
#[test]
fn a_message_that_breaks_a_rule_is_not_acknowledged() {
    for version in versions::<Full>() {
        for qos in 1..=2 {
            // A wildcard in the topic.
            let mut packet = vec![0x30 | qos << 1, 6, 0, 1, b'#', 0, 7];
            packet.push(if version.is_v5() { 0 } else { b'x' });
            let mut rig = Rig::<Full>::connected(version);
            rig.send(&packet);
            let sent = rig.sent();
            assert_eq!(sent.last().map(String::as_str), Some("close"));
            assert!(
                sent.iter().all(|line| !line.starts_with("PUB")),
                "{version}, {qos}: {sent:?}"
            );
        }
    }
}
