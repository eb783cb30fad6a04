//! What a device subscribes to by itself.

use mqtt_codec::{QoS, SubscriptionOptions, Version};
use mqtt_session::compact::{Device, Event, Subscription};
use mqtt_session::profile::V3V5;
use mqtt_testkit::compact::{Habits, Listed, Rig, versions};
use mqtt_testkit::packets::{connack, puback, suback};
use mqtt_topic::TopicFilter;

const fn subscription(filter: &'static str, qos: QoS) -> Subscription {
    let options = SubscriptionOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: mqtt_codec::RetainHandling::SendAtSubscribe,
    };
    (TopicFilter::from_static(filter), options)
}

/// A device with two subscriptions.
#[derive(Debug)]
struct Two;
impl Device for Two {
    type Profile = V3V5;
    const SUBSCRIPTIONS: &'static [Subscription] = &[
        subscription("a/set", QoS::AtLeastOnce),
        subscription("a/+/get", QoS::AtMostOnce),
    ];
}

fn connected(version: Version) -> Rig<Two> {
    let mut rig = Rig::<Two>::offline(version);
    rig.reconnect(false);
    assert_eq!(rig.happened(), ["connected"]);
    rig
}

/// The session is new: each filter is subscribed to, once.
#[test]
fn a_new_session_is_subscribed() {
    for version in versions::<Two>() {
        let mut rig = connected(version);
        assert_eq!(
            rig.sent(),
            ["SUBSCRIBE 1 a/set q1", "SUBSCRIBE 2 a/+/get q0"]
        );
        rig.send(&suback(1, &[1]));
        rig.send(&suback(2, &[0]));
        assert_eq!(rig.happened(), ["subscribed 1 0x01", "subscribed 2 0x00"]);
        assert!(rig.sent().is_empty());
    }
}

/// A session that goes on keeps its subscriptions: nothing is said again, which saves the bytes.
#[test]
fn a_session_that_goes_on_is_not_subscribed_again() {
    for version in [Version::V311, Version::V5] {
        let mut rig = connected(version);
        rig.sent();
        rig.send(&suback(1, &[1]));
        rig.send(&suback(2, &[0]));
        for present in [true, true, false, true] {
            rig.cut();
            rig.reconnect(present);
            assert_eq!(rig.sent().len(), if present { 0 } else { 2 });
            if !present {
                rig.send(&suback(3, &[1]));
                rig.send(&suback(4, &[0]));
            }
        }
    }
}

/// A session that the broker has from before the device was restarted may have been made at a CONNECT whose answer was lost: the device
/// subscribes, and tells the application.
#[test]
fn a_session_from_before_a_restart_is_subscribed() {
    for version in [Version::V311, Version::V5] {
        let mut rig = Rig::<Two>::offline(version);
        rig.connect(&rig.hello(false));
        rig.arrive(&connack(true));
        rig.fill();
        assert_eq!(
            rig.machine.event(rig.now),
            Event::Connected {
                resumed: false,
                session_present: true
            }
        );
        assert_eq!(rig.sent().len(), 2);
        rig.send(&suback(1, &[1]));
        rig.send(&suback(2, &[0]));
        rig.cut();
        rig.connect(&rig.hello(false));
        rig.arrive(&connack(true));
        rig.fill();
        assert_eq!(
            rig.machine.event(rig.now),
            Event::Connected {
                resumed: true,
                session_present: true
            }
        );
        assert!(rig.sent().is_empty());
    }
}

/// When the queue is full they follow as soon as there is room, and none is left out by a cut.
#[test]
fn a_full_queue_delays_them() {
    for version in [Version::V311, Version::V5] {
        for cut in [false, true] {
            let queue = Listed::new(Habits {
                room: 60,
                ..Habits::default()
            });
            let mut rig = Rig::<Two>::new(version, 64, queue);
            let mut waiting = 0;
            while rig.try_publish(QoS::AtLeastOnce, "01234567890123").is_ok() {
                waiting += 1;
            }
            rig.reconnect(false);
            assert_eq!(rig.sent().len(), waiting);
            if cut {
                rig.cut();
                rig.reconnect(true);
                assert_eq!(rig.sent().len(), waiting);
            }
            let mut sent = vec![];
            for id in 1..=waiting as u16 {
                rig.send(&puback(id));
                sent.extend(rig.sent());
            }
            let filters: Vec<_> = sent
                .iter()
                .filter_map(|line| line.split(' ').nth(2))
                .collect();
            assert_eq!(filters, ["a/set", "a/+/get"], "{cut}");
        }
    }
}

/// However often a connection is lost before the answers come, each filter waits once: they do not take the room of messages.
#[test]
fn they_do_not_pile_up() {
    for version in [Version::V311, Version::V5] {
        let mut rig = Rig::<Two>::offline(version);
        for _ in 0..10 {
            rig.reconnect(false);
            rig.sent();
            rig.cut();
        }
        assert_eq!(rig.machine.queue().waiting().count(), 2, "{version}");
    }
}
