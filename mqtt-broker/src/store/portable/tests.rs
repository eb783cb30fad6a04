//! Every item survives being written and read; whatever else is read is refused with its place.

use mqtt_codec::{
    PacketId, PayloadFormat, QoS, RetainHandling, SubscriptionId, SubscriptionOptions,
};
use mqtt_session::{Commit, Instant};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::core::{Malformed, Record, Restore, Store};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,3}", "\\PC{1,8}", "[\"\\\\\t\n \u{7f}é𝄞]{1,4}"]
}

fn client() -> impl Strategy<Value = String> {
    // Few, so that items meet.
    prop_oneof![4 => "[ab]", 1 => text()]
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
        1 => text(),
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

fn properties() -> impl Strategy<Value = Properties> {
    let format = prop_oneof![Just(PayloadFormat::Unspecified), Just(PayloadFormat::Utf8)];
    (
        of(format),
        of(text()),
        of(topic()),
        of(vec(any::<u8>(), 0..9)),
        vec((text(), text()), 0..4),
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
    let payload = prop_oneof![vec(any::<u8>(), 0..40), text().prop_map(String::into_bytes)];
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
        of(text()),
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

fn item() -> impl Strategy<Value = Item> {
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
fn fitting(items: Vec<Item>) -> Vec<Item> {
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

fn written(items: &[Item]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), Time::from_seconds(1_796_051_001)).unwrap();
    for item in items {
        writer.item(item.clone()).unwrap();
    }
    writer.finish().unwrap()
}

fn read(text: &[u8]) -> Result<Vec<Item>, PortableError> {
    Reader::new(text)?.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is written is read, and written again it is the same.
    #[test]
    fn items_survive_as_text(items in vec(item(), 0..40)) {
        let items = fitting(items);
        let text = written(&items);
        let again = read(&text);
        prop_assert!(again.is_ok(), "{:?}\n{}", again, String::from_utf8_lossy(&text));
        let again = again.unwrap();
        prop_assert_eq!(&again, &items);
        prop_assert_eq!(written(&again), text);
    }

    /// Without its last line, or a part of any line, it is refused.
    #[test]
    fn an_export_that_was_cut_off_is_not_whole(items in vec(item(), 0..12), cut in any::<prop::sample::Index>()) {
        let text = written(&fitting(items));
        let cut = cut.index(text.len() - 1);
        prop_assert!(read(&text[..cut]).is_err(), "cut at {cut}");
    }

    /// Damage is found, or is another text of the same form; it never panics.
    #[test]
    fn damaged_lines_do_no_harm(items in vec(item(), 1..12), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = written(&fitting(items));
        let at = at.index(text.len());
        text[at] = byte;
        let _ = read(&text);
    }

    /// Items that fit make records that fit.
    #[test]
    fn items_make_a_store(items in vec(item(), 0..40)) {
        let items = fitting(items);
        let now = Clocks { wall: Time::from_seconds(1_796_051_001), store: Instant::from_millis(5) };
        let mut recorder = Recorder::new(Taking::default(), now);
        for item in &items {
            recorder.item(item).expect("it fits");
        }
        let (store, recorded) = recorder.finish();
        prop_assert_eq!(store.failed, None);
        let sessions = items.iter().filter(|item| item.key() == "session").count();
        prop_assert_eq!(recorded.sessions, sessions as u64);
    }

    /// Properties in wire form and back.
    #[test]
    fn properties_survive_the_wire(properties in properties()) {
        let encoded = properties.encode();
        // Control characters are allowed on the wire, NUL and empty response topics are not generated.
        let encoded = encoded.expect("they fit a packet");
        let checked = mqtt_codec::Properties::checked_publish(&encoded);
        prop_assert!(checked.is_ok(), "{checked:?}");
        prop_assert_eq!(Properties::decode(checked.unwrap()), properties);
    }
}

/// Gives records to a restart as they come.
#[derive(Debug, Default)]
struct Taking {
    restore: Restore,
    failed: Option<Malformed>,
    number: u64,
}

impl Store for Taking {
    fn record(&mut self, record: &Record<'_>) -> Commit {
        self.number += 1;
        let taken = self.restore.take(record, Commit(self.number));
        self.failed = self.failed.or_else(|| taken.err());
        Commit(self.number)
    }

    fn latest(&self) -> Commit {
        Commit(self.number)
    }

    fn commit(&mut self) {}

    fn committed(&self) -> Commit {
        Commit(self.number)
    }
}

/// The two clocks of a store give each other's times, as far as both have them.
#[test]
fn clocks_agree() {
    let now = Clocks {
        wall: Time::from_millis(1_000_000),
        store: Instant::from_millis(400),
    };
    for millis in [999_600, 999_999, 1_000_000, 1_000_001, 5_000_000] {
        let time = Time::from_millis(millis);
        assert_eq!(now.time(now.instant(time)), time);
    }
    let before = now.instant(Time::from_millis(7));
    assert_eq!(before, Instant::from_millis(0), "over since long ago");
}

/// The round trip above meets every kind of item.
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

const HEADER: &str = r#"{"format":"mqtt-store","version":1,"written":"2026-11-30T15:03:21Z"}"#;

/// Reads these lines behind a header, and gives what is said of them.
fn refusal(lines: &str) -> String {
    let text = format!("{HEADER}\n{lines}\n");
    read(text.as_bytes()).expect_err(lines).to_string()
}

#[test]
fn an_export_looks_like_this() {
    let text = format!(
        "{HEADER}\n{}\n",
        [
            r#"{"session":{"client_id":"meter","user_name":"bob","expiry":3600,"ends":"2026-11-30T16:03:21.500Z"}}"#,
            r#"{"subscription":{"client_id":"meter","filter":"site/+/set","qos":2,"id":7}}"#,
            r#"{"queued":{"client_id":"meter","qos":2,"sent":12,"message":{"id":1,"topic":"site/7/set","qos":2,"payload":"on"}}}"#,
            r#"{"queued":{"client_id":"meter","qos":1,"subscription_ids":[7],"message":{"topic":"site/8/set","qos":1,"payload_base64":"AP8="}}}"#,
            r#"{"queued":{"client_id":"meter","qos":1,"message":1}}"#,
            r#"{"handshake":{"client_id":"meter","packet_id":3,"state":"releasing"}}"#,
            r#"{"end":{"items":6}}"#,
        ]
        .join("\n")
    );
    let items = read(text.as_bytes()).unwrap();
    let Item::Session(session) = &items[0] else {
        panic!("{items:?}");
    };
    assert_eq!(session.expiry, Expiry::After(3600));
    let Item::Queued(queued) = &items[3] else {
        panic!("{items:?}");
    };
    assert_eq!(queued.receiver, Receiver::Client("meter".into()));
    let MessageRef::Whole(message) = &queued.message else {
        panic!("{queued:?}");
    };
    assert_eq!(message.payload, [0, 255]);
    let again = String::from_utf8(written(&items)).unwrap();
    let lines = |text: &str| -> Vec<String> { text.lines().skip(1).map(Into::into).collect() };
    assert_eq!(lines(&again), lines(&text));
}

/// The example of the documentation is an export, and is written as it stands there.
#[test]
fn the_documented_example_is_an_export() {
    let text = include_str!("../../../docs/store-export.md");
    let example = text.split("```json\n").nth(1).expect("it has an example");
    let example = example.split("```").next().expect("the example ends");
    let items = read(example.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(written(&items)).unwrap(), example);
}

#[test]
fn mistakes_are_told_with_line_and_key() {
    let session = r#"{"session":{"client_id":"a"}}"#;
    for (lines, said) in [
        ("{}".to_owned(), "line 2, column 2: "),
        ("x".to_owned(), "line 2, column 1: expected value"),
        (
            r#"{"sesion":{}}"#.to_owned(),
            "line 2, column 9: unknown key `sesion`, expected one of",
        ),
        (
            r#"{"session":{"client_id":"a","expiry":"soon"}}"#.to_owned(),
            "line 2, `session.expiry`, column 43: invalid value: string \"soon\", expected seconds below 4294967295, or \"never\"",
        ),
        (
            r#"{"session":{"client_id":"a","expiry":60}}"#.to_owned(),
            "line 2, `session.ends`: it is missing: the session is not connected, and does not live for ever",
        ),
        (
            format!("{session}\n\n{session}"),
            "line 4, `session.client_id`: this client has a session already",
        ),
        (
            format!(
                "{session}\n{}",
                r#"{"queued":{"client_id":"a","qos":1,"message":{"topic":"a/+","payload":""}}}"#
            ),
            "line 3, `queued.message.topic`: ",
        ),
        (
            format!(
                "{session}\n{}",
                r#"{"queued":{"client_id":"a","qos":1,"message":{"topic":"a","paylod":""}}}"#
            ),
            "line 3, `queued.message.paylod`",
        ),
        (
            format!(
                "{session}\n{}",
                r#"{"queued":{"client_id":"a","qos":3,"message":{"topic":"a"}}}"#
            ),
            "line 3, `queued.qos`, column 34: invalid value: integer `3`, expected 0, 1 or 2",
        ),
        (
            format!(
                "{session}\n{}",
                r#"{"queued":{"client_id":"a","qos":0,"message":{"topic":"a"}}}"#
            ),
            "line 3, `queued.qos`: messages of QoS 0 do not wait",
        ),
        (
            format!(
                "{session}\n{}",
                r#"{"queued":{"client_id":"a","qos":1,"message":5}}"#
            ),
            "line 3, `queued.message`: no message with the number 5 stands before",
        ),
        (
            r#"{"queued":{"client_id":"a","group":"b","qos":1,"message":{"topic":"a"}}}"#
                .to_owned(),
            "it names its receiver by either `client_id` or `group`",
        ),
        (
            r#"{"queued":{"group":"$share/g/a","qos":1,"message":{"topic":"a"}}}"#.to_owned(),
            "line 2, `queued.group`: no subscription of a member of \"$share/g/a\" stands before",
        ),
        (
            r#"{"retained":{"message":{"topic":"a","payload":"x","payload_base64":"eA=="}}}"#
                .to_owned(),
            "it has both `payload` and `payload_base64`",
        ),
        (
            r#"{"retained":{"message":{"topic":"a","payload_base64":"e"}}}"#.to_owned(),
            "is not Base64",
        ),
        (
            r#"{"retained":{"message":{"topic":"a","expires":"noon"}}}"#.to_owned(),
            "line 2, `retained.message.expires`, column 53: \"noon\" is not a time such as \"2026-11-30T15:04:05.000Z\"",
        ),
        (
            format!("{session}\n{}", r#"{"end":{"items":2}}"#),
            "line 3, `end.items`: 1 items stand before, not 2",
        ),
        (
            format!("{}\n{session}", r#"{"end":{}}"#),
            "line 3: it stands behind the end",
        ),
        (
            session.to_owned(),
            "line 2: it ends without a line {\"end\":…}",
        ),
    ] {
        let found = refusal(&lines);
        assert!(found.contains(said), "{lines}\nsaid: {found}\nnot:  {said}");
    }
}

#[test]
fn what_is_no_export_is_not_read_as_one() {
    for (text, said) in [
        (
            "",
            "line 1: this is no export of a store, which begins with {\"format\":\"mqtt-store\",\"version\":1,…: the line is empty or too long",
        ),
        ("[1]\n", "line 1: this is no export"),
        (
            r#"{"format":"other","version":1,"written":"2026-11-30T15:03:21Z"}"#,
            "its format is \"other\"",
        ),
        (
            r#"{"format":"mqtt-store","version":2,"written":"2026-11-30T15:03:21Z"}"#,
            "this export has version 2 of the format, this program reads version 1",
        ),
    ] {
        let found = read(text.as_bytes()).expect_err(text).to_string();
        assert!(found.contains(said), "{found}");
    }
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    assert!(Reader::new(endless).is_err());
}
