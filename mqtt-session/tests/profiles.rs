//! Profiles: what is left out is refused, not half done. And how large a session is.

use mqtt_codec::{Connect, Properties, Property, Publish, QoS, ReasonCode, TopicAlias, Version};
use mqtt_session::profile::{Durable, Full, V3, V3QoS1, V3V5};
use mqtt_session::storage::{Fixed, Heap};
use mqtt_session::{ClientSession, Misuse, Outcome, ServerSession};
use mqtt_testkit::owners::{HeapOwner, Heaped, Kind, Message, TestOwner};
use mqtt_testkit::packets::{filter, publish, publish2};
use mqtt_testkit::script::{ClientScript, ServerScript};

macro_rules! kind {
    ($name:ident $profile:ty) => {
        #[derive(Debug)]
        struct $name;
        impl Kind for $name {
            type Profile = $profile;
            type Storage = Heap;
            type Owner = HeapOwner;
            const NAME: &'static str = stringify!($name);
            const ROOM: u16 = Heaped::ROOM;
            const ALIASES: u16 = Heaped::ALIASES;
        }
    };
}
kind!(Least V3QoS1);
kind!(Three V3);
kind!(Both V3V5);

/// Without QoS 2: such a message is refused in both directions, and not subscribed to.
#[test]
fn a_profile_without_qos2_refuses_it() {
    let mut client = ClientScript::<Least>::connected(Version::V311);
    client
        .owner
        .publish(&Message::new("t", QoS::ExactlyOnce, b"x"));
    assert!(client.sent().is_empty());
    let mut all = vec![];
    client.owner.ended(&mut |_, outcome| all.push(outcome));
    assert_eq!(all, [Outcome::Refused(ReasonCode::QOS_NOT_SUPPORTED)]);
    let filters = [filter("a", QoS::ExactlyOnce)];
    let refused = client
        .session
        .subscribe(&filters, Properties::EMPTY, &mut vec![], client.now);
    assert_eq!(refused, Err(Misuse::NotSupported));
    client.send(&publish2(1, "x"));
    assert_eq!(client.happened(), ["violation Rule(QoSNotSupported)"]);
    assert!(client.session.is_closing());
}

/// Without 5.0: a client cannot ask for it, and a server says so in CONNACK [MQTT-3.1.2-2].
#[test]
fn a_profile_without_5_refuses_it() {
    let mut client = ClientScript::<Three>::offline(Version::V311);
    let connect = Connect::new(Version::V5, "c");
    let refused = client
        .session
        .connect(&connect, &mut vec![], client.now, &mut client.owner);
    assert_eq!(refused, Err(Misuse::NotSupported));
    let mut server = ServerScript::<Three>::opened(Version::V5);
    server.send(&connect);
    assert_eq!(server.sent(), ["CONNACK 0x84", "close"]);
}

/// Without aliases: none is announced, and one that comes all the same is above the maximum [MQTT-3.3.2-9].
#[test]
fn a_profile_without_aliases_takes_none() {
    let mut server = ServerScript::<Both>::opened(Version::V5);
    server.send(&Connect::new(Version::V5, "c"));
    let line = server.sent().remove(0);
    assert!(!line.contains("TopicAliasMaximum"), "{line}");
    let list = [Property::TopicAlias(TopicAlias::new(1).expect("not 0"))];
    server.send(&Publish {
        properties: Properties::List(&list),
        ..publish("x")
    });
    assert_eq!(server.sent(), ["DISCONNECT 0x94", "close"]);
}

/// What an idle session takes, in bytes: the broker holds one for each connection.
#[test]
#[expect(clippy::print_stdout, reason = "the figures are what the test is for")]
fn a_session_is_small() {
    let sizes = [
        (
            "ServerSession<Durable, Heap>",
            size_of::<ServerSession<Durable, Heap>>(),
            104,
        ),
        (
            "ServerSession<Full, Heap>",
            size_of::<ServerSession<Full, Heap>>(),
            96,
        ),
        (
            "ClientSession<Full, Heap>",
            size_of::<ClientSession<Full, Heap>>(),
            152,
        ),
        (
            "ClientSession<V3QoS1, Fixed<4, 4>>",
            size_of::<ClientSession<V3QoS1, Fixed<4, 4>>>(),
            464,
        ),
    ];
    for (name, bytes, most) in sizes {
        println!("{name}: {bytes} bytes");
        assert!(bytes <= most, "{name} has grown to {bytes} bytes");
    }
}
