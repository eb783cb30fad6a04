//! Shared groups across a crash.

use mqtt_codec::{QoS, ReasonCode};

use super::client::Manner;
use super::net::{Net, resume};
use super::restart::WORKERS;

const GROUP: &str = "$share/g/t";

/// Members are members again, and what waited for any of them goes to the first that comes; a group that has ended stays ended.
#[test]
fn groups_and_what_waits_for_them_come_back() {
    for (before, after) in WORKERS {
        let mut net = Net::new(before);
        let publisher = net.connect("pub");
        let members = ["a", "b"].map(|name| {
            let member = net.persistent(name);
            net.subscribe(member, GROUP, QoS::ExactlyOnce);
            net.cut(member);
            member
        });
        let left = net.persistent("left");
        net.subscribe(left, "$share/ended/t", QoS::AtLeastOnce);
        net.disconnect(left, ReasonCode::SUCCESS);
        for text in ["1", "2", "3"] {
            net.publish(publisher, "t", text, QoS::ExactlyOnce);
        }
        let left = net.persistent("left");
        net.unsubscribe(left, &["$share/ended/t"]);
        net.disconnect(left, ReasonCode::SUCCESS);
        net.restart(after);
        net.agrees_with_the_store();
        assert_eq!(net.gauges(), [0, 0, 3, 3, 0, 2, 2]);
        net.restart(before);
        net.agrees_with_the_store();
        let b = net.reconnect(members[1], &resume("b"));
        assert_eq!(net.texts(b), ["1", "2", "3"]);
        let a = net.reconnect(members[0], &resume("a"));
        net.seen(a);
        let publisher = net.connect("pub");
        for text in ["4", "5"] {
            net.publish(publisher, "t", text, QoS::ExactlyOnce);
        }
        assert_eq!((net.texts(a).len(), net.texts(b).len()), (1, 1));
        net.agrees_with_the_store();
        assert!(net.ledgers.lock().queues.is_empty());
    }
}

/// A message that its member had not begun to get goes to whoever comes first; a QoS 2 delivery that had begun goes on with its member,
/// and with nobody else, also when that one's session ends [MQTT-4.8.2-4], [MQTT-4.8.2-5].
#[test]
fn what_a_member_had_begun_stays_with_it() {
    for (before, after) in WORKERS {
        let mut net = Net::new(before);
        let publisher = net.connect("pub");
        let slow = net.connect_with(&mqtt_codec::Connect {
            properties: mqtt_codec::Properties::List(&[
                mqtt_codec::Property::SessionExpiryInterval(86_400),
                mqtt_codec::Property::ReceiveMaximum(mqtt_codec::ReceiveMaximum::new(2).unwrap()),
            ]),
            ..resume("slow")
        });
        net.set_manner(slow, Manner::Silent);
        net.subscribe(slow, GROUP, QoS::ExactlyOnce);
        for text in ["1", "2", "3", "4"] {
            net.publish(publisher, "t", text, QoS::ExactlyOnce);
        }
        assert_eq!(net.texts(slow), ["1", "2"]);
        let quick = net.persistent("quick");
        net.subscribe(quick, GROUP, QoS::ExactlyOnce);
        net.cut(quick);
        net.restart(after);
        net.agrees_with_the_store();
        let quick = net.reconnect(quick, &resume("quick"));
        assert_eq!(net.texts(quick), ["3", "4"]);
        net.agrees_with_the_store();
        net.restart(before);
        let quick = net.reconnect(quick, &resume("quick"));
        assert_eq!(net.texts(quick), [""; 0]);
        net.advance(86_400_000);
        assert_eq!(net.gauges()[2], 1, "the slow one's session has ended");
        assert_eq!(net.texts(quick), [""; 0]);
        net.agrees_with_the_store();
        assert!(net.ledgers.lock().queues.is_empty());
    }
}

/// A member's session ends at its worker while another worker sends it a message that the group has chosen it for, and then the broker
/// dies: the message is acknowledged and goes to another member. An ended session took everything with it that had its name on it.
#[test]
fn a_message_for_a_member_that_has_just_ended_is_not_lost() {
    for more in 0..8 {
        let mut net = Net::new(3);
        let name = |number| format!("member{number}");
        let stays = net.persistent("stays");
        net.subscribe(stays, GROUP, QoS::ExactlyOnce);
        net.cut(stays);
        // A worker's round comes before that of the next.
        let first = (0..).map(name).find(|name| net.shared.home(name) == 0);
        let member = (0..).map(name).find(|name| net.shared.home(name) == 1);
        let (first, member) = (first.unwrap(), member.unwrap());
        let publisher = net.persistent(&first);
        let leaves = net.connect(&member);
        net.subscribe(leaves, GROUP, QoS::ExactlyOnce);
        net.seen(publisher);
        for number in 0..more + 1 {
            let text = number.to_string();
            let bytes = net.publish_bytes(
                publisher,
                "t",
                text.as_bytes(),
                QoS::AtLeastOnce,
                false,
                &[],
            );
            net.queue_bytes(publisher, &bytes);
        }
        let goodbye = mqtt_codec::Packet::Disconnect(mqtt_codec::Disconnect::new(
            ReasonCode::NORMAL_DISCONNECTION,
        ));
        let goodbye = net.bytes_of(leaves, &goodbye);
        net.queue_bytes(leaves, &goodbye);
        net.round_without_inboxes();
        assert_eq!(net.seen(publisher).len(), more + 1, "acknowledged");
        net.restart(2);
        net.agrees_with_the_store();
        let stays = net.reconnect(stays, &resume("stays"));
        assert_eq!(net.texts(stays).len(), more + 1);
        net.agrees_with_the_store();
    }
}

/// After a restart the group of a slow member counted what it took back from it as done, although it had not counted it as given: the
/// member looked idle and got the next messages, which then waited behind those that it did not acknowledge.
#[test]
fn a_member_is_as_busy_after_a_restart_as_before() {
    let mut net = Net::new(1);
    let publisher = net.connect("pub");
    let two = mqtt_codec::Connect {
        properties: mqtt_codec::Properties::List(&[
            mqtt_codec::Property::SessionExpiryInterval(86_400),
            mqtt_codec::Property::ReceiveMaximum(mqtt_codec::ReceiveMaximum::new(2).unwrap()),
        ]),
        ..resume("slow")
    };
    let slow = net.connect_with(&two);
    net.set_manner(slow, Manner::Silent);
    net.subscribe(slow, GROUP, QoS::ExactlyOnce);
    for text in ["1", "2", "3", "4"] {
        net.publish(publisher, "t", text, QoS::ExactlyOnce);
    }
    let quick = net.persistent("quick");
    net.subscribe(quick, GROUP, QoS::ExactlyOnce);
    net.restart(1);
    let quick = net.reconnect(quick, &resume("quick"));
    assert_eq!(net.texts(quick), ["3", "4"]);
    let slow = net.reconnect(slow, &two);
    net.set_manner(slow, Manner::Silent);
    net.seen(slow);
    let publisher = net.connect("pub");
    for text in ["5", "6"] {
        net.publish(publisher, "t", text, QoS::ExactlyOnce);
    }
    assert_eq!(net.texts(quick), ["5", "6"]);
}
