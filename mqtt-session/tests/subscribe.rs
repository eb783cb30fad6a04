//! SUBSCRIBE and UNSUBSCRIBE, questions on the server and requests on the client.

use mqtt_codec::{
    ConnAck, Connect, Properties, Property, QoS, ReasonCode, SubscriptionId, Version,
};
use mqtt_session::{Misuse, Owner};
use mqtt_testkit::owners::{Heaped, Kind, Message, Small, TestOwner};
use mqtt_testkit::packets::{connack, filter, publish, suback, subscribe, unsuback, unsubscribe};
use mqtt_testkit::script::{ClientScript, ServerScript};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// One code for each filter, in their order, with the id of the SUBSCRIBE [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.8.4-6],
/// [MQTT-3.9.3-1], [3.1.1:MQTT-3.8.4-5],
/// [MQTT-2.2.1-6], [3.1.1:MQTT-2.3.1-7], [3.1.1:MQTT-3.8.4-1], [3.1.1:MQTT-3.8.4-2], [3.1.1:MQTT-3.9.3-1].
#[test]
fn suback_has_a_code_for_each_filter() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.send(&subscribe(
            5,
            &[
                filter("a/+", QoS::ExactlyOnce),
                filter("#", QoS::AtMostOnce),
            ],
        ));
        assert_eq!(server.happened(), ["subscribe a/+ q2 # q0"]);
        assert_eq!(server.sent(), ["SUBACK 5 [02 00]"]);
    }
}

/// Before 5.0 every refusal is 0x80 [3.1.1:MQTT-3.9.3-2]; 5.0 tells the code [MQTT-3.8.4-7], [MQTT-3.9.3-2]. The wrong number of codes
/// changes nothing.
#[test]
fn refusals_are_told_as_the_version_can() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.answers = false;
        server.send(&subscribe(
            5,
            &[filter("a", QoS::AtMostOnce), filter("b", QoS::AtMostOnce)],
        ));
        for wrong in [1, 3] {
            let codes = core::iter::repeat_n(ReasonCode::SUCCESS, wrong);
            assert_eq!(
                server.session.answer_subscribe(codes, ()),
                Err(Misuse::Count)
            );
        }
        let codes = [ReasonCode::NOT_AUTHORIZED, ReasonCode(1)];
        server.session.answer_subscribe(codes, ()).unwrap();
        assert_eq!(
            server.session.answer_subscribe(codes, ()),
            Err(Misuse::NotNow)
        );
        let expected = if version.is_v5() {
            "SUBACK 5 [87 01]"
        } else {
            "SUBACK 5 [80 01]"
        };
        assert_eq!(server.sent(), [expected]);
    }
}

/// UNSUBACK has the id, and in 5.0 a code for each filter [MQTT-3.10.4-4], [MQTT-3.10.4-5], [MQTT-3.11.3-1],
/// [MQTT-2.2.1-6], [3.1.1:MQTT-2.3.1-7], [3.1.1:MQTT-3.10.4-4].
#[test]
fn unsuback_has_the_id() {
    for version in VERSIONS {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.answers = false;
        server.send(&unsubscribe(6, &["a", "b"]));
        assert!(server.sent().is_empty());
        let codes = [ReasonCode::NO_SUBSCRIPTION_EXISTED, ReasonCode::SUCCESS];
        server.session.answer_unsubscribe(codes, ()).unwrap();
        let expected = if version.is_v5() {
            "UNSUBACK 6 [11 00]"
        } else {
            "UNSUBACK 6"
        };
        assert_eq!(server.sent(), [expected]);
    }
}

/// What stands behind a SUBSCRIBE waits until it is answered.
#[test]
fn a_question_holds_back_what_stands_behind_it() {
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server.answers = false;
    server.send(&subscribe(5, &[filter("a", QoS::AtMostOnce)]));
    server.send(&publish("behind"));
    assert_eq!(server.happened().len(), 1);
    server
        .session
        .answer_subscribe([ReasonCode::SUCCESS], ())
        .unwrap();
    server.read();
    assert_eq!(server.happened(), ["publish q0 t behind"]);
}

/// A filter that is none [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.8.2-2], and No Local on a shared one [MQTT-3.8.3-4], close.
#[test]
fn a_filter_that_is_none_closes() {
    for text in ["a/#/b", "a+", "$share//a", "$share/g+/a"] {
        for version in VERSIONS {
            let mut server = ServerScript::<Heaped>::connected(version);
            server.send(&subscribe(5, &[filter(text, QoS::AtMostOnce)]));
            let expected: &[&str] = if version.is_v5() {
                &["DISCONNECT 0x8f", "close"]
            } else {
                &["close"]
            };
            assert_eq!(server.sent(), expected, "{text}");
        }
    }
    let mut shared = filter("$share/g/a", QoS::AtMostOnce);
    shared.options.no_local = true;
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server.send(&subscribe(5, &[shared]));
    assert_eq!(server.sent(), ["DISCONNECT 0x82", "close"]);
    let mut client = ClientScript::<Heaped>::connected(Version::V5);
    let misuse = client
        .session
        .subscribe(&[shared], Properties::EMPTY, &mut vec![], client.now);
    assert_eq!(misuse, Err(Misuse::Topic));
}

/// More filters than the table of codes holds are refused, so that no question is left without an answer: what cannot be worked off here
/// closes its connection [3.1.1:MQTT-4.8.0-2].
#[test]
fn more_filters_than_codes_fit_are_refused() {
    for version in VERSIONS {
        let mut server = ServerScript::<Small>::connected(version);
        let filters: Vec<_> = (0..17).map(|_| filter("a", QoS::AtMostOnce)).collect();
        server.send(&subscribe(1, &filters[..16]));
        server.send(&subscribe(2, &filters[..16]));
        assert_eq!(server.sent().len(), 1, "the second waits for room");
        server.read();
        assert_eq!(server.sent().len(), 1);
        server.send(&subscribe(3, &filters));
        let expected: &[&str] = if version.is_v5() {
            &["DISCONNECT 0x97", "close"]
        } else {
            &["close"]
        };
        assert_eq!(server.sent(), expected);
    }
}

/// A client's request is answered by its id; an answer that nothing waits for, or of another length, closes [MQTT-2.2.1-6],
/// [MQTT-3.8.4-6], [3.1.1:MQTT-2.3.1-7].
#[test]
fn an_answer_belongs_to_its_request() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::connected(version);
        let mut tx = vec![];
        let filters = [filter("a", QoS::AtMostOnce), filter("b", QoS::AtMostOnce)];
        let id = client
            .session
            .subscribe(&filters, Properties::EMPTY, &mut tx, client.now)
            .unwrap();
        let gone = client
            .session
            .unsubscribe(&["c"], Properties::EMPTY, &mut tx, client.now)
            .unwrap();
        assert_eq!((id.get(), gone.get()), (1, 2));
        let code: &[u8] = if version.is_v5() { &[0x11] } else { &[] };
        client.send(&unsuback(2, code));
        client.send(&suback(1, &[0, 0x80]));
        assert_eq!(client.happened()[1], "subscribed 1 [00, 80]");
        client.send(&suback(1, &[0, 0]));
        assert_eq!(client.happened(), ["violation Rule(UnknownSubAck)"]);
    }
    let mut client = ClientScript::<Heaped>::connected(Version::V5);
    let mut tx = vec![];
    let filters = [filter("a", QoS::AtMostOnce)];
    client
        .session
        .subscribe(&filters, Properties::EMPTY, &mut tx, client.now)
        .unwrap();
    client.send(&suback(1, &[0, 0]));
    assert_eq!(client.happened(), ["violation Rule(SubAckCount)"]);
}

/// Requests and messages share the packet ids [MQTT-2.2.1-3]; a request that could not be written takes none [3.1.1:MQTT-2.3.1-2].
#[test]
fn requests_and_messages_share_the_ids() {
    for version in VERSIONS {
        let mut client = ClientScript::<Heaped>::connected(version);
        let filters = [filter("a", QoS::AtMostOnce)];
        let mut small = [0; 4];
        let mut full = mqtt_session::SliceTx::new(&mut small);
        let refused = client
            .session
            .subscribe(&filters, Properties::EMPTY, &mut full, client.now);
        assert_eq!(refused, Err(Misuse::Full));
        client
            .owner
            .publish(&Message::new("t", QoS::AtLeastOnce, b"x"));
        assert_eq!(client.sent(), ["PUBLISH 1 q1 t x"]);
        let id = client
            .session
            .subscribe(&filters, Properties::EMPTY, &mut vec![], client.now);
        assert_eq!(id.map(|id| id.get()), Ok(2));
    }
}

/// A client does not ask for what the server said it does not have (5.0, sections 3.2.2.3.11 to 13).
#[test]
fn a_client_does_not_ask_for_what_is_not_there() {
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.connect(&Connect::new(Version::V5, "c"));
    client.send(&ConnAck {
        properties: Properties::List(&[
            Property::WildcardSubscriptionAvailable(false),
            Property::SubscriptionIdentifierAvailable(false),
            Property::SharedSubscriptionAvailable(false),
        ]),
        ..connack(false)
    });
    let id = [Property::SubscriptionIdentifier(
        SubscriptionId::new(1).expect("not 0"),
    )];
    for (text, properties) in [
        ("a/#", Properties::EMPTY),
        ("$share/g/a", Properties::EMPTY),
        ("a", Properties::List(&id)),
    ] {
        let filters = [filter(text, QoS::AtMostOnce)];
        let refused = client
            .session
            .subscribe(&filters, properties, &mut vec![], client.now);
        assert_eq!(refused, Err(Misuse::NotSupported), "{text}");
    }
}

/// A message does not get the id of a request that is not answered, also after the ring of ids has come round [MQTT-2.2.1-3].
#[test]
fn a_message_passes_over_the_id_of_a_request() {
    let mut client = ClientScript::<Heaped>::connected(Version::V5);
    let filters = [filter("a", QoS::AtMostOnce)];
    let (properties, now) = (Properties::EMPTY, client.now);
    let id = client
        .session
        .subscribe(&filters, properties, &mut vec![], now);
    assert_eq!(id.map(|id| id.get()), Ok(1));
    // As if all the other ids had been given and were free again.
    let last = mqtt_codec::PacketId::new(u16::MAX).expect("not 0");
    let mut state = mqtt_session::SessionState::default();
    for change in [
        mqtt_session::Change::Sent(mqtt_session::Seq(0), last),
        mqtt_session::Change::Completed(last),
    ] {
        state.restore(change).expect("there is room");
    }
    client.session.replace_state(state);
    client
        .owner
        .publish(&Message::new("t", QoS::AtLeastOnce, b"x"));
    assert_eq!(client.sent(), ["PUBLISH 2 q1 t x"]);
}

/// What is long and has few levels is no topic of too many levels.
#[test]
fn a_long_topic_of_few_levels_is_taken() {
    let long = "long".repeat(100);
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server.send(&subscribe(5, &[filter(&long, QoS::AtMostOnce)]));
    server.send(&mqtt_codec::Publish {
        topic: &long,
        ..publish("x")
    });
    assert!(!server.session.is_closing(), "{:?}", server.happened());
}

/// Each answer has its own codes: when several wait to be written, and after one with too few codes was refused.
#[test]
fn codes_stay_with_their_answers() {
    fn check<K: Kind>()
    where
        K::Owner: Owner<Gate = ()>,
    {
        let mut server = ServerScript::<K>::connected(Version::V5);
        server.answers = false;
        let two = [filter("a", QoS::AtMostOnce), filter("b", QoS::AtLeastOnce)];
        server.send(&subscribe(1, &two));
        server.send(&subscribe(2, &two));
        let mut sent = vec![];
        for codes in [[0, 1], [1, 2]] {
            // With small tables the second is read when the answer to the first is gone.
            if server.happened().is_empty() {
                sent.extend(server.sent());
                server.read();
            }
            let codes = codes.map(ReasonCode);
            let too_few = server.session.answer_subscribe([codes[1]], ());
            assert_eq!(too_few, Err(Misuse::Count));
            server.session.answer_subscribe(codes, ()).unwrap();
            server.happened();
            server.read();
        }
        sent.extend(server.sent());
        assert_eq!(sent, ["SUBACK 1 [00 01]", "SUBACK 2 [01 02]"]);
    }
    check::<Heaped>();
    check::<Small>();
}

/// SUBACK answers no UNSUBSCRIBE, and no request that was not made.
#[test]
fn an_answer_of_another_kind_or_id_closes() {
    for wrong in [suback(2, &[0]), suback(9, &[0])] {
        let mut client = ClientScript::<Heaped>::connected(Version::V5);
        let mut tx = vec![];
        let filters = [filter("a", QoS::AtMostOnce)];
        client
            .session
            .subscribe(&filters, Properties::EMPTY, &mut tx, client.now)
            .unwrap();
        client
            .session
            .unsubscribe(&["c"], Properties::EMPTY, &mut tx, client.now)
            .unwrap();
        client.send(&wrong);
        assert_eq!(client.happened(), ["violation Rule(UnknownSubAck)"]);
    }
}

/// A request has at least one filter [MQTT-3.8.3-2], [MQTT-3.10.3-2]; the misuse says so.
#[test]
fn a_request_without_filters_is_misuse() {
    let mut client = ClientScript::<Heaped>::connected(Version::V311);
    let mut tx = vec![];
    let subscribed = client
        .session
        .subscribe(&[], Properties::EMPTY, &mut tx, client.now);
    let unsubscribed = client
        .session
        .unsubscribe(&[], Properties::EMPTY, &mut tx, client.now);
    assert_eq!(
        (subscribed, unsubscribed),
        (Err(Misuse::Count), Err(Misuse::Count))
    );
    assert!(tx.is_empty());
}

/// No Local is refused beside a shared subscription only, and in 5.0 only [MQTT-3.8.3-4].
#[test]
fn no_local_and_shared_are_each_allowed() {
    let with = |text, no_local| {
        let mut entry = filter(text, QoS::AtMostOnce);
        entry.options.no_local = no_local;
        entry
    };
    let ask = |version, entry| {
        let mut client = ClientScript::<Heaped>::connected(version);
        let now = client.now;
        client
            .session
            .subscribe(&[entry], Properties::EMPTY, &mut vec![], now)
            .err()
    };
    assert_eq!(ask(Version::V5, with("a", true)), None);
    assert_eq!(ask(Version::V5, with("$share/g/a", false)), None);
    assert_eq!(ask(Version::V311, with("$share/g/a", false)), None);
    assert_eq!(
        ask(Version::V5, with("$share/g/a", true)),
        Some(Misuse::Topic)
    );

    for (version, entry) in [
        (Version::V5, with("a", true)),
        (Version::V5, with("$share/g/a", false)),
        (Version::V311, with("$share/g/a", false)),
    ] {
        let mut server = ServerScript::<Heaped>::connected(version);
        server.send(&subscribe(1, &[entry]));
        assert_eq!(server.sent(), ["SUBACK 1 [00]"]);
    }
}

/// Subscription Identifiers are there in 5.0 unless CONNACK says no; without one a SUBSCRIBE goes out all the same.
#[test]
fn subscription_ids_are_there_unless_the_server_says_no() {
    let id = SubscriptionId::new(7).expect("not 0");
    let with_id = [Property::SubscriptionIdentifier(id)];
    for (version, says_no, expected) in [
        (Version::V311, false, false),
        (Version::V5, false, true),
        (Version::V5, true, false),
    ] {
        let mut client = ClientScript::<Heaped>::offline(version);
        client.connect(&Connect::new(version, "c"));
        let no = [Property::SubscriptionIdentifierAvailable(false)];
        client.send(&ConnAck {
            properties: Properties::List(if says_no { &no } else { &[] }),
            ..connack(false)
        });
        assert_eq!(client.session.subscription_ids_available(), expected);
        let filters = [filter("a", QoS::AtMostOnce)];
        let mut ask = |properties| {
            let (mut tx, now) = (vec![], client.now);
            client
                .session
                .subscribe(&filters, properties, &mut tx, now)
                .is_ok()
        };
        assert!(ask(Properties::EMPTY));
        if version.is_v5() {
            assert_eq!(ask(Properties::List(&with_id)), expected);
        }
    }
}

/// A topic and a filter may have as many levels as the server allows, and not one more, however short they are.
#[test]
fn as_many_levels_as_the_server_allows() {
    let sends: [fn(&mut ServerScript<Heaped>, &str); 2] = [
        |server, topic| {
            server.send(&mqtt_codec::Publish {
                topic,
                ..publish("x")
            });
        },
        |server, text| server.send(&subscribe(1, &[filter(text, QoS::AtMostOnce)])),
    ];
    for send in sends {
        for (text, allowed) in [
            ("a/b/c", true),
            ("//", true),
            ("a/b/c/d", false),
            ("///", false),
        ] {
            let mut server = ServerScript::<Heaped>::opened(Version::V5);
            server.owner.limits.topic_levels = 3;
            server.send(&Connect::new(Version::V5, "c"));
            server.sent();
            send(&mut server, text);
            assert_eq!(!server.session.is_closing(), allowed, "{text}");
        }
    }
}
