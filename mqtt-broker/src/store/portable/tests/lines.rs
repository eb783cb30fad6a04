//! What is written is read; mistakes are told with line and key.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::*;
use super::items::{fitting, item, properties};
use super::{read, written};

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, max_shrink_iters: 500, ..ProptestConfig::default() })]

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
            r#"{"message":{"id":1,"topic":"site/7/set","qos":2,"payload":"on"}}"#,
            r#"{"queued":{"client_id":"meter","qos":2,"sent":12,"message":1}}"#,
            r#"{"queued":{"client_id":"meter","qos":1,"subscription_ids":[7],"message":{"topic":"site/8/set","qos":1,"payload_base64":"AP8="}}}"#,
            r#"{"queued":{"client_id":"meter","qos":1,"message":1}}"#,
            r#"{"handshake":{"client_id":"meter","packet_id":3,"state":"releasing"}}"#,
            r#"{"end":{"items":7}}"#,
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

/// Whatever lines are left out but the first and the last: as long as nothing else names what stood there, the rest is an export.
#[test]
fn lines_may_be_left_out() {
    let lines = [
        r#"{"message":{"id":1,"topic":"s","qos":1,"payload":"for both"}}"#,
        r#"{"retained":{"message":1}}"#,
        r#"{"session":{"client_id":"first"}}"#,
        r#"{"subscription":{"client_id":"first","filter":"$share/g/t","qos":1}}"#,
        r#"{"session":{"client_id":"last"}}"#,
        r#"{"message":{"id":2,"topic":"t","qos":1,"payload":"chosen"}}"#,
        r#"{"queued":{"client_id":"first","qos":1,"message":1}}"#,
        r#"{"queued":{"client_id":"first","qos":1,"chosen_by":"$share/g/t","message":2}}"#,
        r#"{"queued":{"client_id":"last","qos":1,"message":1}}"#,
        r#"{"queued":{"client_id":"last","qos":1,"chosen_by":"$share/g/t","message":2}}"#,
        r#"{"queued":{"group":"$share/g/t","qos":1,"message":2}}"#,
    ];
    for (without, kept, groups) in [
        ("nothing", 9, 0),
        ("\"first\"", 4, 1),
        ("\"last\"", 6, 0),
        ("retained", 8, 0),
    ] {
        let lines = lines.iter().filter(|line| !line.contains(without));
        let lines: Vec<&str> = lines.copied().collect();
        let text = format!("{HEADER}\n{}\n{{\"end\":{{}}}}\n", lines.join("\n"));
        let mut reader = Reader::new(text.as_bytes()).unwrap();
        let items: Result<Vec<Item>, _> = reader.by_ref().collect();
        let items = items.unwrap_or_else(|error| panic!("without {without}: {error}"));
        assert_eq!(
            (items.len(), reader.without_group()),
            (kept, groups),
            "without {without}"
        );
        let again = written(&items);
        assert_eq!(read(&again).unwrap(), items, "without {without}");
    }
}

/// The example of the documentation is an export, and is written as it stands there.
#[test]
fn the_documented_example_is_an_export() {
    let text = include_str!("../../../../docs/store-export.md");
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
            r#"{"message":{"topic":"a","payload":"x"}}"#.to_owned(),
            "line 2, `message.id`: it is missing",
        ),
        (
            r#"{"message":{"id":1,"topic":"a/#"}}"#.to_owned(),
            "line 2, `message.topic`: ",
        ),
        (
            "{\"message\":{\"id\":1,\"topic\":\"a\"}}\n{\"message\":{\"id\":1,\"topic\":\"a\"}}"
                .to_owned(),
            "line 3, `message.id`: another message has this number",
        ),
        (
            format!(
                "{session}\n{}\n{}\n{}",
                r#"{"message":{"id":1,"topic":"a"}}"#,
                r#"{"queued":{"client_id":"a","qos":1,"message":1}}"#,
                r#"{"message":{"id":1,"topic":"a"}}"#
            ),
            "line 5, `message.id`: another message has this number",
        ),
        (
            format!(
                "{session}\n{}\n{}\n{}",
                r#"{"message":{"id":1,"topic":"a","payload":"x"}}"#,
                r#"{"queued":{"client_id":"a","qos":1,"message":1}}"#,
                r#"{"retained":{"message":1}}"#
            ),
            "line 5, `retained.message`: a retained message stands before what else refers to it",
        ),
        (
            format!(
                "{session}\n{}",
                r#"{"queued":{"client_id":"a","qos":1,"message":{"id":1,"topic":"a"}}}"#
            ),
            "line 3, `queued.message.id`: a message with a number has a line of its own",
        ),
        (
            r#"{"retained":{"message":{"topic":"a"}}}"#.to_owned(),
            "line 2, `retained.message.payload`: a retained message has a payload",
        ),
        (
            r#"{"retained":{"message":{"topic":"$SYS/broker/uptime","payload":"1"}}}"#.to_owned(),
            "line 2, `retained.message.topic`: the broker publishes this topic itself",
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
