//! Strategies for all packets: every property where it is allowed, every reason code that fits.

use core::num::{NonZeroU16, NonZeroU32};

use mqtt_codec::*;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Owned, Sent};

pub(crate) fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V31), Just(Version::V311), Just(Version::V5)]
}

/// Text of several lengths and alphabets, without U+0000.
pub(crate) fn text() -> BoxedStrategy<String> {
    prop_oneof!["[a-z/]{0,12}", "[^\u{0}]{0,40}", "[ -~]{100,200}"].boxed()
}

fn topic() -> BoxedStrategy<String> {
    "[a-zé/]{1,30}".boxed()
}

fn binary() -> BoxedStrategy<Vec<u8>> {
    vec(any::<u8>(), 0..40).boxed()
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    any::<NonZeroU16>().prop_map(PacketId::from)
}

fn qos() -> impl Strategy<Value = QoS> {
    proptest::sample::select(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][..])
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![
        Just(Delivery::AtMostOnce),
        packet_id().prop_map(Delivery::AtLeastOnce),
        packet_id().prop_map(Delivery::ExactlyOnce),
    ]
}

fn plain<T: core::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
    property: fn(T) -> Property<'static>,
) -> BoxedStrategy<Owned> {
    value
        .prop_map(move |value| Owned::Plain(property(value)))
        .boxed()
}

fn string(property: fn(&str) -> Property<'_>) -> BoxedStrategy<Owned> {
    text()
        .prop_map(move |text| Owned::Text(property, text))
        .boxed()
}

fn bytes(property: fn(&[u8]) -> Property<'_>) -> BoxedStrategy<Owned> {
    binary()
        .prop_map(move |bytes| Owned::Bytes(property, bytes))
        .boxed()
}

fn format() -> BoxedStrategy<Owned> {
    let value = prop_oneof![Just(PayloadFormat::Unspecified), Just(PayloadFormat::Utf8)];
    plain(value, Property::PayloadFormatIndicator)
}

fn subscription_id() -> BoxedStrategy<Owned> {
    let value = (1..=268_435_455_u32).prop_map(|id| SubscriptionId::new(id).expect("in range"));
    plain(value, Property::SubscriptionIdentifier)
}

fn receive_maximum() -> BoxedStrategy<Owned> {
    plain(
        any::<NonZeroU16>().prop_map(ReceiveMaximum::from),
        Property::ReceiveMaximum,
    )
}

fn message() -> Vec<BoxedStrategy<Owned>> {
    let response_topic =
        topic().prop_map(|topic| Owned::Text(|topic| Property::ResponseTopic(topic), topic));
    vec![
        format(),
        plain(any::<u32>(), Property::MessageExpiryInterval),
        string(|text| Property::ContentType(text)),
        response_topic.boxed(),
        bytes(|bytes| Property::CorrelationData(bytes)),
    ]
}

fn authentication() -> BoxedStrategy<Vec<Owned>> {
    let method = string(|text| Property::AuthenticationMethod(text));
    (
        method,
        proptest::option::of(bytes(|bytes| Property::AuthenticationData(bytes))),
    )
        .prop_map(|(method, data)| data.into_iter().chain([method]).collect())
        .boxed()
}

/// Some of the properties, each once, with user properties among them, in any order.
fn some_of(once: Vec<BoxedStrategy<Owned>>) -> BoxedStrategy<Vec<Owned>> {
    let once: Vec<_> = once
        .into_iter()
        .map(|property| proptest::option::weighted(0.3, property))
        .collect();
    let user = vec(
        (text(), text()).prop_map(|(name, value)| Owned::User(name, value)),
        0..3,
    );
    (once, user)
        .prop_map(|(once, user)| once.into_iter().flatten().chain(user).collect::<Vec<_>>())
        .prop_shuffle()
        .boxed()
}

fn with(
    properties: BoxedStrategy<Vec<Owned>>,
    more: BoxedStrategy<Vec<Owned>>,
) -> BoxedStrategy<Vec<Owned>> {
    (properties, more)
        .prop_map(|(properties, more)| [properties, more].concat())
        .prop_shuffle()
        .boxed()
}

fn reason_string() -> BoxedStrategy<Owned> {
    string(|text| Property::ReasonString(text))
}

/// Properties in MQTT 5.0, none before.
fn for_version(
    version: Version,
    properties: BoxedStrategy<Vec<Owned>>,
) -> BoxedStrategy<Vec<Owned>> {
    if version.is_v5() {
        properties
    } else {
        Just(Vec::new()).boxed()
    }
}

fn reasons(version: Version, v5: &'static [u8], older: &'static [u8]) -> BoxedStrategy<ReasonCode> {
    let codes = if version.is_v5() { v5 } else { older };
    proptest::sample::select(codes).prop_map(ReasonCode).boxed()
}

fn connect(version: Version) -> BoxedStrategy<Sent> {
    let properties = some_of(vec![
        plain(any::<u32>(), Property::SessionExpiryInterval),
        receive_maximum(),
        plain(any::<NonZeroU32>(), Property::MaximumPacketSize),
        plain(any::<u16>(), Property::TopicAliasMaximum),
        plain(any::<bool>(), Property::RequestResponseInformation),
        plain(any::<bool>(), Property::RequestProblemInformation),
    ]);
    let properties = prop_oneof![properties.clone(), with(properties, authentication())].boxed();
    let mut of_will = message();
    of_will.push(plain(any::<u32>(), Property::WillDelayInterval));
    let will = (
        topic(),
        binary(),
        qos(),
        any::<bool>(),
        for_version(version, some_of(of_will)),
    );
    let user = (text(), proptest::option::of(binary()));
    (
        any::<bool>(),
        any::<u16>(),
        text(),
        proptest::option::of(will),
        proptest::option::of(user),
        for_version(version, properties),
        if version.is_v5() {
            Just(false).boxed()
        } else {
            any::<bool>().boxed()
        },
    )
        .prop_map(
            move |(clean_start, keep_alive, client_id, will, user, properties, bridge)| {
                Sent::Connect {
                    version,
                    clean_start,
                    keep_alive,
                    client_id,
                    will,
                    user,
                    properties,
                    bridge,
                }
            },
        )
        .boxed()
}

fn connack(version: Version) -> BoxedStrategy<Sent> {
    let properties = some_of(vec![
        plain(any::<u32>(), Property::SessionExpiryInterval),
        receive_maximum(),
        plain(
            prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce)],
            Property::MaximumQoS,
        ),
        plain(any::<bool>(), Property::RetainAvailable),
        plain(any::<NonZeroU32>(), Property::MaximumPacketSize),
        string(|text| Property::AssignedClientIdentifier(text)),
        plain(any::<u16>(), Property::TopicAliasMaximum),
        reason_string(),
        plain(any::<bool>(), Property::WildcardSubscriptionAvailable),
        plain(any::<bool>(), Property::SubscriptionIdentifierAvailable),
        plain(any::<bool>(), Property::SharedSubscriptionAvailable),
        plain(any::<u16>(), Property::ServerKeepAlive),
        string(|text| Property::ResponseInformation(text)),
        string(|text| Property::ServerReference(text)),
    ]);
    let properties = prop_oneof![properties.clone(), with(properties, authentication())].boxed();
    let reasons = reasons(
        version,
        &[0, 0x80, 0x87, 0x97, 0x9f],
        &[0, 0x84, 0x85, 0x86, 0x87, 0x88],
    );
    (any::<bool>(), reasons, for_version(version, properties))
        .prop_map(move |(session_present, reason, properties)| {
            Sent::ConnAck(
                version,
                session_present && version != Version::V31,
                reason,
                properties,
            )
        })
        .boxed()
}

fn publish(version: Version) -> BoxedStrategy<Sent> {
    let mut once = message();
    once.push(plain(
        any::<NonZeroU16>().prop_map(TopicAlias::from),
        Property::TopicAlias,
    ));
    let properties = with(some_of(once), vec(subscription_id(), 0..3).boxed());
    let payload = prop_oneof![binary(), vec(any::<u8>(), 120..300)];
    (
        any::<(bool, bool)>(),
        delivery(),
        topic(),
        for_version(version, properties),
        payload,
    )
        .prop_map(
            move |((dup, retain), delivery, topic, properties, payload)| Sent::Publish {
                version,
                dup: dup && delivery != Delivery::AtMostOnce,
                retain,
                delivery,
                topic,
                properties,
                payload,
            },
        )
        .boxed()
}

fn ack(version: Version) -> BoxedStrategy<Sent> {
    let received = reasons(version, &[0, 0x10, 0x80, 0x91, 0x99], &[0]);
    let released = reasons(version, &[0, 0x92], &[0]);
    let numbers = prop_oneof![(4..=5_u8, received), (6..=7_u8, released)];
    (
        numbers,
        packet_id(),
        for_version(version, some_of(vec![reason_string()])),
    )
        .prop_map(move |((number, reason), packet_id, properties)| {
            Sent::Ack(version, number, packet_id, reason, properties)
        })
        .boxed()
}

fn subscribe(version: Version) -> BoxedStrategy<Sent> {
    let handling = prop_oneof![
        Just(RetainHandling::SendAtSubscribe),
        Just(RetainHandling::SendIfNew),
        Just(RetainHandling::DoNotSend),
    ];
    let options = (qos(), any::<(bool, bool)>(), handling).prop_map(
        move |(qos, (no_local, retain_as_published), retain_handling)| {
            let options = SubscriptionOptions {
                qos,
                no_local,
                retain_as_published,
                retain_handling,
            };
            if version.is_v5() {
                options
            } else {
                SubscriptionOptions::new(qos)
            }
        },
    );
    let properties = for_version(version, some_of(vec![subscription_id()]));
    (packet_id(), properties, vec((text(), options), 1..9))
        .prop_map(move |(packet_id, properties, filters)| {
            Sent::Subscribe(version, packet_id, properties, filters)
        })
        .boxed()
}

fn suback(version: Version) -> BoxedStrategy<Sent> {
    let code =
        reasons(version, &[0, 1, 2, 0x80, 0x87, 0xa2], &[0, 1, 2, 0x80]).prop_map(|code| code.0);
    (
        packet_id(),
        for_version(version, some_of(vec![reason_string()])),
        vec(code, 1..9),
    )
        .prop_map(move |(packet_id, properties, codes)| {
            Sent::SubAck(version, packet_id, properties, codes)
        })
        .boxed()
}

fn unsubscribe(version: Version) -> BoxedStrategy<Sent> {
    (
        packet_id(),
        for_version(version, some_of(Vec::new())),
        vec(text(), 1..9),
    )
        .prop_map(move |(packet_id, properties, filters)| {
            Sent::Unsubscribe(version, packet_id, properties, filters)
        })
        .boxed()
}

fn unsuback(version: Version) -> BoxedStrategy<Sent> {
    let codes = if version.is_v5() { 1..9 } else { 0..1 };
    let code = proptest::sample::select(&[0, 0x11, 0x80, 0x91][..]);
    (
        packet_id(),
        for_version(version, some_of(vec![reason_string()])),
        vec(code, codes),
    )
        .prop_map(move |(packet_id, properties, codes)| {
            Sent::UnsubAck(version, packet_id, properties, codes)
        })
        .boxed()
}

fn disconnect(version: Version) -> BoxedStrategy<Sent> {
    let expiry = plain(any::<u32>(), Property::SessionExpiryInterval);
    let of_client = (
        reasons(version, &[0, 0x04, 0x81], &[0]),
        some_of(vec![reason_string(), expiry]),
    );
    let reference = string(|text| Property::ServerReference(text));
    let of_server = (
        reasons(version, &[0, 0x8e, 0xa2], &[0]),
        some_of(vec![reason_string(), reference]),
    );
    prop_oneof![of_client, of_server]
        .prop_map(move |(reason, properties)| {
            Sent::Disconnect(
                version,
                reason,
                if version.is_v5() {
                    properties
                } else {
                    Vec::new()
                },
            )
        })
        .boxed()
}

fn auth() -> BoxedStrategy<Sent> {
    let properties = with(some_of(vec![reason_string()]), authentication());
    (reasons(Version::V5, &[0, 0x18, 0x19], &[]), properties)
        .prop_map(|(reason, properties)| Sent::Auth(reason, properties))
        .boxed()
}

/// Any PUBLISH of any version.
pub(crate) fn any_publish() -> impl Strategy<Value = Sent> {
    version().prop_flat_map(publish)
}

/// Any packet of any version.
pub(crate) fn any_packet() -> impl Strategy<Value = Sent> {
    version().prop_flat_map(|version| {
        let last = if version.is_v5() {
            auth()
        } else {
            Just(Sent::PingReq(version)).boxed()
        };
        prop_oneof![
            connect(version),
            connack(version),
            publish(version),
            ack(version),
            subscribe(version),
            suback(version),
            unsubscribe(version),
            unsuback(version),
            prop_oneof![Just(Sent::PingReq(version)), Just(Sent::PingResp(version))],
            disconnect(version),
            last,
        ]
    })
}
