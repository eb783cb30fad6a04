//! How much may wait, for one and for all, and what goes when there is more.

use mqtt_codec::{Connect, Properties, Property, QoS, ReceiveMaximum, Version};

use super::client::Manner;
use super::net::{Net, Setup, connect_bytes, resume};
use crate::core::{AllowAll, Message, QueuePolicy, Settings};

/// A broker with these settings, a publisher, and sessions that are subscribed and away.
fn away(filters: &[(&str, &str)], settings: impl FnOnce(&mut Settings)) -> (Net, usize) {
    let mut net = Net::set(settings);
    let publisher = net.connect("pub");
    for (name, filter) in filters {
        let sub = net.persistent(name);
        net.subscribe(sub, filter, QoS::ExactlyOnce);
        net.cut(sub);
    }
    (net, publisher)
}

fn size(payload: &str) -> u64 {
    Message::new("t", &[], payload.as_bytes(), QoS::AtLeastOnce, false).size() as u64
}

/// Dropped, of those the oldest, and what waits.
fn counted(net: &Net) -> [u64; 3] {
    let counters = net.shared.counters();
    [
        &counters.dropped,
        &counters.dropped_oldest,
        &counters.queued,
    ]
    .map(|counter| counter.get())
}

fn publish(net: &mut Net, publisher: usize, topic: &str, texts: &[&str]) {
    for text in texts {
        net.publish(publisher, topic, text, QoS::AtLeastOnce);
    }
}

/// What a client finds when it comes back.
fn back(net: &mut Net, name: &str) -> Vec<String> {
    let sub = net.persistent(name);
    let texts = net.texts(sub);
    net.cut(sub);
    texts
}

const FIVE: [&str; 5] = ["1", "2", "3", "4", "5"];

/// A full queue keeps what came first, or what came last, as the policy says; that of a session and that of a group.
#[test]
fn the_policy_says_what_goes() {
    for filter in ["t", "$share/g/t"] {
        for bytes in [false, true] {
            let limit = |settings: &mut Settings| {
                if bytes {
                    settings.queue_bytes = 3 * size("1") + 5;
                } else {
                    settings.queue_messages = 3;
                }
            };
            let (mut net, publisher) = away(&[("sub", filter)], limit);
            publish(&mut net, publisher, "t", &FIVE);
            assert_eq!(counted(&net), [2, 0, 3]);
            net.agrees_with_the_store();
            assert_eq!(back(&mut net, "sub"), ["1", "2", "3"]);
            let (mut net, publisher) = away(&[("sub", filter)], |settings| {
                limit(settings);
                settings.queue_policy = QueuePolicy::DropOldest;
            });
            publish(&mut net, publisher, "t", &FIVE);
            assert_eq!(counted(&net), [2, 2, 3]);
            net.agrees_with_the_store();
            assert_eq!(back(&mut net, "sub"), ["3", "4", "5"]);
            assert_eq!(counted(&net), [2, 2, 0]);
            assert_eq!(net.shared.counters().queued_bytes.get(), 0);
        }
    }
}

/// What has begun stays: the oldest that goes is the first behind it; when all has begun, the new one goes.
#[test]
fn what_has_begun_is_not_dropped() {
    let (mut net, publisher) = away(&[], |settings| {
        settings.queue_messages = 4;
        settings.queue_policy = QueuePolicy::DropOldest;
    });
    let connect = |window| {
        [
            Property::SessionExpiryInterval(100),
            Property::ReceiveMaximum(ReceiveMaximum::new(window).unwrap()),
        ]
    };
    for (window, first) in [(2, &["1", "2"][..]), (4, &["1", "2", "3", "4"])] {
        let sub = net.connect_with(&Connect {
            properties: Properties::List(&connect(window)),
            ..Connect::new(Version::V5, "sub")
        });
        net.subscribe(sub, "t", QoS::ExactlyOnce);
        net.set_manner(sub, Manner::Silent);
        for text in ["1", "2", "3", "4", "5", "6"] {
            net.publish(publisher, "t", text, QoS::ExactlyOnce);
        }
        assert_eq!(net.texts(sub), first);
        net.agrees_with_the_store();
        net.cut(sub);
        let expected: &[&str] = match window {
            2 => &["1", "2", "5", "6"],
            _ => &["1", "2", "3", "4"],
        };
        assert_eq!(back(&mut net, "sub"), expected);
    }
    assert_eq!(counted(&net), [4, 2, 0]);
}

/// One that is larger than a whole queue goes itself, whatever the policy, and nothing goes for it.
#[test]
fn nothing_goes_in_vain() {
    let (mut net, publisher) = away(&[("sub", "t")], |settings| {
        settings.queue_bytes = 3 * size("1");
        settings.queue_total_bytes = 3 * size("1");
        settings.queue_policy = QueuePolicy::DropOldest;
    });
    publish(&mut net, publisher, "t", &["1", "2", "3"]);
    net.publish(publisher, "t", &"x".repeat(1_000), QoS::AtLeastOnce);
    assert_eq!(counted(&net), [1, 0, 3]);
    let larger = "x".repeat((size("1") + 1) as usize);
    net.publish(publisher, "t", &larger, QoS::AtLeastOnce);
    assert_eq!(counted(&net), [3, 2, 2], "two for a larger one");
    net.agrees_with_the_store();
    assert_eq!(back(&mut net, "sub"), ["3", &larger]);
}

/// All sessions and groups together have a limit as well: what counts is everything that waits, and what was delivered counts no more.
#[test]
fn all_together_have_a_limit() {
    for bytes in [false, true] {
        let (mut net, publisher) =
            away(&[("a", "a"), ("b", "b"), ("c", "$share/g/c")], |settings| {
                if bytes {
                    settings.queue_total_bytes = 4 * size("1");
                } else {
                    settings.queue_total_messages = 4;
                }
            });
        publish(&mut net, publisher, "a", &["1", "2"]);
        publish(&mut net, publisher, "c", &["3"]);
        publish(&mut net, publisher, "b", &["4", "5"]);
        publish(&mut net, publisher, "c", &["6"]);
        assert_eq!(counted(&net), [2, 0, 4]);
        net.agrees_with_the_store();
        assert_eq!(back(&mut net, "a"), ["1", "2"]);
        publish(&mut net, publisher, "c", &["7", "8", "9"]);
        assert_eq!(counted(&net), [3, 0, 4]);
        assert_eq!(back(&mut net, "b"), ["4"]);
        assert_eq!(back(&mut net, "c"), ["3", "7", "8"]);
        assert_eq!(net.shared.counters().queued_bytes.get(), 0);
        net.agrees_with_the_store();
    }
}

/// With the other policy a session gives of its own; one that has nothing cannot take from others.
#[test]
fn nobody_takes_from_others() {
    let (mut net, publisher) = away(&[("a", "a"), ("b", "b")], |settings| {
        settings.queue_total_messages = 3;
        settings.queue_policy = QueuePolicy::DropOldest;
    });
    publish(&mut net, publisher, "a", &FIVE);
    assert_eq!(counted(&net), [2, 2, 3]);
    publish(&mut net, publisher, "b", &["x"]);
    assert_eq!(counted(&net), [3, 2, 3]);
    net.agrees_with_the_store();
    assert_eq!(back(&mut net, "a"), ["3", "4", "5"]);
    assert_eq!(back(&mut net, "b"), [""; 0]);
}

/// Expired messages give their place to others, and who is connected and reads has room whatever waits for those who are away.
#[test]
fn who_reads_does_not_go_without_because_others_are_away() {
    let (mut net, publisher) = away(&[("away", "t")], |settings| {
        settings.queue_total_messages = 3;
    });
    let expiry = [Property::MessageExpiryInterval(10)];
    for text in ["1", "2", "3"] {
        net.publish_with(publisher, "t", text, QoS::AtLeastOnce, false, &expiry);
    }
    let here = net.persistent("here");
    net.subscribe(here, "t", QoS::ExactlyOnce);
    net.publish(publisher, "t", "4", QoS::ExactlyOnce);
    assert_eq!(net.texts(here), ["4"]);
    assert_eq!(counted(&net), [1, 0, 3]);
    // 64 of them, should it stop to answer.
    net.set_manner(here, Manner::Silent);
    for number in 0..70 {
        net.publish(publisher, "t", &number.to_string(), QoS::AtLeastOnce);
    }
    assert_eq!(net.texts(here).len(), 64);
    assert_eq!(counted(&net), [77, 0, 67]);
    net.cut(here);
    net.advance(10_000);
    net.publish(publisher, "t", "late", QoS::AtLeastOnce);
    // The three have expired, which is not yet room for everybody.
    assert_eq!(net.shared.counters().expired.get(), 3);
    net.set_manner(here, Manner::Acknowledges);
    let here = net.reconnect(here, &resume("here"));
    assert_eq!(net.texts(here).len(), 64);
    publish(&mut net, publisher, "t", &["a", "b"]);
    assert_eq!(net.texts(here), ["a", "b"]);
    assert_eq!(back(&mut net, "away"), ["a", "b"]);
    net.agrees_with_the_store();
}

/// After a restart what waits counts as before.
#[test]
fn what_was_restored_counts() {
    let (mut net, publisher) = away(&[("a", "t"), ("b", "$share/g/t")], |settings| {
        settings.queue_total_messages = 4;
    });
    publish(&mut net, publisher, "t", &["1", "2"]);
    net.restart(2);
    net.agrees_with_the_store();
    assert_eq!(counted(&net), [0, 0, 4]);
    let publisher = net.connect("pub");
    publish(&mut net, publisher, "t", &["3"]);
    assert_eq!(counted(&net), [2, 0, 4]);
    assert_eq!(back(&mut net, "a"), ["1", "2"]);
    assert_eq!(back(&mut net, "b"), ["1", "2"]);
    assert_eq!(net.shared.counters().queued_bytes.get(), 0);
}

/// A client whose window takes one message, and that answers nothing yet.
fn narrow(net: &mut Net, name: &str) -> usize {
    let properties = [
        Property::SessionExpiryInterval(100),
        Property::ReceiveMaximum(ReceiveMaximum::new(1).unwrap()),
    ];
    let connect = Connect {
        clean_start: false,
        properties: Properties::List(&properties),
        ..Connect::new(Version::V5, name)
    };
    let client = net.open(Version::V5);
    net.set_manner(client, Manner::Silent);
    net.send(client, &connect_bytes(&connect));
    client
}

const POLICIES: [QueuePolicy; 2] = [QueuePolicy::RejectNew, QueuePolicy::DropOldest];

/// What the members of a group had when the broker died goes back to the group, more than one queue takes: it was taken already, and all of it
/// comes. What is new does not come on top.
#[test]
fn a_start_turns_nothing_away() {
    for policy in POLICIES {
        let setup = Setup {
            workers: 2,
            settings: Settings {
                queue_messages: 3,
                queue_policy: policy,
                sys_interval_ms: 0,
                ..Settings::default()
            },
            ..Setup::default()
        };
        let mut net = Net::with(setup, AllowAll);
        let members = ["a", "b"].map(|name| {
            let member = narrow(&mut net, name);
            net.subscribe(member, "$share/g/t", QoS::AtLeastOnce);
            member
        });
        let publisher = net.connect("pub");
        let texts = ["1", "2", "3", "4", "5", "6"];
        publish(&mut net, publisher, "t", &texts);
        assert_eq!(counted(&net), [0, 0, 6]);
        net.restart(2);
        net.agrees_with_the_store();
        assert_eq!(counted(&net), [0, 0, 6]);
        let publisher = net.connect("pub");
        publish(&mut net, publisher, "t", &["7"]);
        net.agrees_with_the_store();
        let expected = match policy {
            QueuePolicy::RejectNew => ["1", "2", "3", "4", "5", "6"],
            QueuePolicy::DropOldest => ["2", "3", "4", "5", "6", "7"],
        };
        let oldest = u64::from(policy == QueuePolicy::DropOldest);
        assert_eq!(counted(&net), [1, oldest, 6]);
        let mut came = Vec::new();
        for (member, name) in members.into_iter().zip(["a", "b"]) {
            net.set_manner(member, Manner::Acknowledges);
            let member = net.reconnect(member, &resume(name));
            came.extend(net.texts(member));
        }
        came.sort();
        assert_eq!(came, expected);
        assert_eq!(counted(&net), [1, oldest, 0]);
        assert_eq!(net.shared.counters().queued_bytes.get(), 0);
        net.agrees_with_the_store();
    }
}

/// What waited for a group comes to a member that has a full queue of its own; what one member gives back comes to another the same way. A
/// queue that has become too long so does not grow, and no more goes out of it than comes.
#[test]
fn what_only_moves_is_not_turned_away() {
    for policy in POLICIES {
        for bytes in [false, true] {
            let (mut net, publisher) = away(&[("a", "$share/g/t"), ("b", "b")], |settings| {
                settings.queue_policy = policy;
                if bytes {
                    settings.queue_bytes = 3 * size("1");
                    settings.queue_total_bytes = 6 * size("1");
                } else {
                    settings.queue_messages = 3;
                    settings.queue_total_messages = 6;
                }
            });
            publish(&mut net, publisher, "t", &["1", "2", "3"]);
            publish(&mut net, publisher, "b", &["4", "5", "6"]);
            assert_eq!(counted(&net), [0, 0, 6]);
            let b = narrow(&mut net, "b");
            net.subscribe(b, "$share/g/t", QoS::AtLeastOnce);
            assert_eq!(counted(&net), [0, 0, 6]);
            net.agrees_with_the_store();
            publish(&mut net, publisher, "b", &["7"]);
            let drops = policy == QueuePolicy::DropOldest;
            assert_eq!(counted(&net), [1, u64::from(drops), 6]);
            assert_eq!(net.texts(b), ["4"]);
            net.agrees_with_the_store();
            // To a group of which nobody is here, and from there to the other.
            net.cut(b);
            assert_eq!(counted(&net), [1, u64::from(drops), 6]);
            let a = net.persistent("a");
            assert_eq!(net.texts(a), ["1", "2", "3"]);
            net.agrees_with_the_store();
            let own = if drops {
                ["4", "6", "7"]
            } else {
                ["4", "5", "6"]
            };
            assert_eq!(back(&mut net, "b"), own);
            assert_eq!(counted(&net), [1, u64::from(drops), 0]);
            assert_eq!(net.shared.counters().queued_bytes.get(), 0);
        }
    }
}

/// A message that a full queue does not take is not written to the store either, again and again while its receiver is away.
#[test]
fn what_is_not_taken_is_not_recorded() {
    for filter in ["t", "$share/g/t"] {
        let (mut net, publisher) = away(&[("sub", filter)], |settings| {
            settings.queue_messages = 3;
        });
        publish(&mut net, publisher, "t", &FIVE);
        let recorded = net.ledgers.log().len();
        publish(&mut net, publisher, "t", &["x"; 100]);
        assert_eq!(net.ledgers.log().len(), recorded);
        assert_eq!(counted(&net), [102, 0, 3]);
        net.agrees_with_the_store();
        assert_eq!(back(&mut net, "sub"), ["1", "2", "3"]);
    }
}
