//! Random items.

use mqtt_codec::{
    PacketId, PayloadFormat, QoS, RetainHandling, SubscriptionId, SubscriptionOptions,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::super::*;

fn words() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,3}", "\\PC{1,8}", "[\"\\\\\t\n \u{7f}é𝄞]{1,4}"]
}

fn client() -> impl Strategy<Value = String> {
    // Few, so that items meet.
    prop_oneof![4 => "[ab]", 1 => words()]
}

fn topic() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c](/[a-c]){0,2}", "[^+#\0]{1,9}"]
}

fn filter() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => topic(),
        1 => "[a-c](/[+])?(/#)?",
        1 => Just("#".to_owned()),
        3 => group(),
        1 => words(),
    ]
}

fn group() -> impl Strategy<Value = String> {
    "\\$share/[gh]/[ab]"
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![
        Just(QoS::AtMostOnce),
        Just(QoS::AtLeastOnce),
        Just(QoS::ExactlyOnce)
    ]
}

fn time() -> impl Strategy<Value = Time> {
    any::<u64>().prop_map(|millis| Time::from_millis(millis % (Time::MAX.as_millis() + 1)))
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).unwrap())
}

fn id() -> impl Strategy<Value = SubscriptionId> {
    (1_u32..268_435_456).prop_map(|id| SubscriptionId::new(id).unwrap())
}

pub(super) fn properties() -> impl Strategy<Value = Properties> {
    let format = prop_oneof![Just(PayloadFormat::Unspecified), Just(PayloadFormat::Utf8)];
    (
        of(format),
        of(words()),
        of(topic()),
        of(vec(any::<u8>(), 0..9)),
        vec((words(), words()), 0..4),
    )
        .prop_map(
            |(payload_format, content_type, response_topic, correlation_data, user)| Properties {
                payload_format,
                content_type,
                response_topic,
                correlation_data,
                user,
            },
        )
}

fn message() -> impl Strategy<Value = Message> {
    let payload = prop_oneof![
        vec(any::<u8>(), 0..40),
        words().prop_map(String::into_bytes)
    ];
    (
        topic(),
        qos(),
        any::<bool>(),
        of(time()),
        properties(),
        payload,
    )
        .prop_map(
            |(topic, qos, retain, expires, properties, payload)| Message {
                id: None,
                topic,
                qos,
                retain,
                expires,
                properties,
                payload,
            },
        )
}

/// A message; some of them get a number in [`fitting`].
fn reference() -> impl Strategy<Value = MessageRef> {
    prop_oneof![
        3 => (message(), any::<bool>()).prop_map(|(message, named)| {
            MessageRef::Whole(Message { id: named.then_some(0), ..message })
        }),
        1 => (1_u64..9).prop_map(MessageRef::Again),
    ]
}

fn options() -> impl Strategy<Value = SubscriptionOptions> {
    let handling = prop_oneof![
        Just(RetainHandling::SendAtSubscribe),
        Just(RetainHandling::SendIfNew),
        Just(RetainHandling::DoNotSend)
    ];
    (qos(), any::<bool>(), any::<bool>(), handling).prop_map(
        |(qos, no_local, retain_as_published, retain_handling)| SubscriptionOptions {
            qos,
            no_local,
            retain_as_published,
            retain_handling,
        },
    )
}

fn session() -> impl Strategy<Value = Item> {
    (
        client(),
        of(words()),
        any::<u32>(),
        any::<[bool; 2]>(),
        prop_oneof![Just(None), time().prop_map(Some)],
    )
        .prop_map(|(client_id, user_name, expiry, [bridge, used], ends)| {
            let expiry = Expiry::from_interval(if expiry % 3 == 0 { u32::MAX } else { expiry });
            Item::Session(Session {
                client_id,
                user_name,
                expiry,
                bridge,
                used,
                connected: ends.is_none() && expiry != Expiry::Never,
                ends,
            })
        })
}

pub(super) fn item() -> impl Strategy<Value = Item> {
    let will = (
        client(),
        message(),
        of(any::<u32>()),
        any::<u32>(),
        of(time()),
    )
        .prop_map(|(client_id, message, message_expiry, delay, due)| {
            Item::Will(Will {
                client_id,
                message: Message {
                    expires: None,
                    ..message
                },
                message_expiry,
                delay,
                due,
            })
        });
    let subscription = (
        client(),
        filter(),
        options(),
        of(id()),
        of(vec(topic(), 0..3)),
    )
        .prop_map(|(client_id, filter, mut options, id, mut retained_sent)| {
            if filter.starts_with("$share/") {
                (options.no_local, retained_sent) = (false, None);
            }
            Item::Subscription(Subscription {
                client_id,
                filter,
                options,
                id,
                retained_sent,
            })
        });
    let receiver = prop_oneof![
        client().prop_map(Receiver::Client),
        group().prop_map(Receiver::Group)
    ];
    let queued = (
        receiver,
        qos(),
        any::<bool>(),
        vec(id(), 0..3),
        of(group()),
        of(packet_id()),
        reference(),
    )
        .prop_map(
            |(receiver, qos, retain, subscription_ids, chosen_by, sent, message)| {
                Item::Queued(Queued {
                    receiver,
                    qos,
                    retain,
                    subscription_ids,
                    chosen_by,
                    sent,
                    message,
                })
            },
        );
    let state = prop_oneof![
        Just(HandshakeState::Received),
        Just(HandshakeState::Releasing)
    ];
    let handshake = (client(), packet_id(), state).prop_map(|(client_id, packet_id, state)| {
        Item::Handshake(Handshake {
            client_id,
            packet_id,
            state,
        })
    });
    let retained = message().prop_map(|message| {
        Item::Retained(Retained {
            message: MessageRef::Whole(message),
        })
    });
    prop_oneof![
        3 => session(),
        1 => retained,
        1 => will,
        4 => subscription,
        6 => queued,
        2 => handshake,
    ]
}

/// Those of the items that make a store, in their order; numbers of messages are those that a writer gives.
pub(super) fn fitting(items: Vec<Item>) -> Vec<Item> {
    let mut sequence = Sequence::new();
    let mut numbers = 0;
    let mut fitting = Vec::new();
    for mut item in items {
        if let Item::Queued(queued) = &mut item {
            if queued.qos != QoS::ExactlyOnce || matches!(queued.receiver, Receiver::Group(_)) {
                queued.sent = None;
            }
            queued.chosen_by = queued.chosen_by.take().filter(|_| queued.retain);
            match &mut queued.message {
                MessageRef::Whole(message) => message.id = message.id.map(|_| numbers + 1),
                MessageRef::Again(id) => *id = (*id).min(numbers),
            }
        }
        if sequence.check(&item).is_ok() {
            if let Item::Queued(Queued {
                message: MessageRef::Whole(Message { id: Some(_), .. }),
                ..
            }) = &item
            {
                numbers += 1;
            }
            fitting.push(item);
        }
    }
    fitting
}

/// The round trips meet every kind of item.
#[test]
fn every_kind_of_item_is_generated() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::<_, usize>::new();
    for _ in 0..400 {
        let items = vec(item(), 0..40).new_tree(&mut runner).unwrap().current();
        for item in fitting(items) {
            *seen.entry(item.key()).or_default() += 1;
            if let Item::Queued(queued) = &item {
                let again = matches!(queued.message, MessageRef::Again(_));
                let kind = match (&queued.receiver, again) {
                    (_, true) => "a message again",
                    (Receiver::Client(_), _) => "for a client",
                    (Receiver::Group(_), _) => "for a group",
                };
                *seen.entry(kind).or_default() += 1;
            }
        }
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
    assert!(seen.values().all(|&count| count > 10), "{seen:?}");
}
