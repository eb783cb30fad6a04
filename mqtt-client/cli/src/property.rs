//! Properties of MQTT 5.0 on the command line: `-D COMMAND NAME VALUE`.

use core::str::FromStr;
use core::time::Duration;

use clap::error::{ContextKind, ContextValue};
use mqtt_client::{Goodbye, Message, Options, SubscribeOptions, Will};

use crate::failure::Failure;

/// Between the parts of one `-D`: a control character that no property is given on a command line.
pub(crate) const SEPARATOR: &str = "\u{1f}";

/// Gives an error about a `-D` the words that were typed, with the spaces between them.
pub(crate) fn show_as_typed(error: &mut clap::Error) {
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) {
        let typed = ContextValue::String(value.replace(SEPARATOR, " "));
        error.insert(ContextKind::InvalidValue, typed);
    }
}

/// Which packet a property goes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Connect,
    Publish,
    Subscribe,
    Unsubscribe,
    Disconnect,
    Will,
}

/// A property, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Property {
    place: Place,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    ContentType(String),
    CorrelationData(String),
    MessageExpiry(u32),
    PayloadIsText(bool),
    ResponseTopic(String),
    SessionExpiry(u32),
    ReceiveMaximum(u16),
    MaximumPacketSize(u32),
    TopicAliasMaximum(u16),
    RequestResponseInformation(bool),
    WillDelay(u32),
    User(String, String),
}

const COMMANDS: [(&str, Place, &[&str]); 6] = [
    (
        "connect",
        Place::Connect,
        &[
            "maximum-packet-size",
            "receive-maximum",
            "request-response-information",
            "session-expiry-interval",
            "topic-alias-maximum",
            "user-property",
        ],
    ),
    (
        "publish",
        Place::Publish,
        &[
            "content-type",
            "correlation-data",
            "message-expiry-interval",
            "payload-format-indicator",
            "response-topic",
            "user-property",
        ],
    ),
    ("subscribe", Place::Subscribe, &["user-property"]),
    ("unsubscribe", Place::Unsubscribe, &["user-property"]),
    (
        "disconnect",
        Place::Disconnect,
        &["session-expiry-interval", "user-property"],
    ),
    (
        "will",
        Place::Will,
        &[
            "content-type",
            "correlation-data",
            "message-expiry-interval",
            "payload-format-indicator",
            "response-topic",
            "user-property",
            "will-delay-interval",
        ],
    ),
];

/// Reads the joined values of one `-D`.
pub(crate) fn parse(text: &str) -> Result<Property, String> {
    let mut parts = text.split(SEPARATOR);
    let command = parts.next().unwrap_or_default();
    let Some((_, place, names)) = COMMANDS.iter().find(|(name, ..)| *name == command) else {
        let all: Vec<_> = COMMANDS.iter().map(|(name, ..)| *name).collect();
        return Err(format!(
            "{command:?} is no command; expected one of {}",
            all.join(", ")
        ));
    };
    let name = parts.next().unwrap_or_default();
    if !names.contains(&name) {
        return Err(format!(
            "{command} has no property {name:?}; expected one of {}",
            names.join(", ")
        ));
    }
    let value = parts
        .next()
        .ok_or_else(|| format!("{command} {name} needs a value"))?;
    let value = match name {
        "content-type" => Value::ContentType(value.to_owned()),
        "correlation-data" => Value::CorrelationData(value.to_owned()),
        "message-expiry-interval" => Value::MessageExpiry(number(value)?),
        "payload-format-indicator" => Value::PayloadIsText(bit(value)?),
        "response-topic" => Value::ResponseTopic(value.to_owned()),
        "session-expiry-interval" => Value::SessionExpiry(number(value)?),
        "receive-maximum" => Value::ReceiveMaximum(not_zero(value)?),
        "maximum-packet-size" => Value::MaximumPacketSize(not_zero(value)?),
        "topic-alias-maximum" => Value::TopicAliasMaximum(number(value)?),
        "request-response-information" => Value::RequestResponseInformation(bit(value)?),
        "will-delay-interval" => Value::WillDelay(number(value)?),
        _ => {
            let second = parts
                .next()
                .ok_or_else(|| "user-property needs a name and a value".to_owned())?;
            Value::User(value.to_owned(), second.to_owned())
        }
    };
    Ok(Property {
        place: *place,
        value,
    })
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a number in range"))
}

fn not_zero<T: FromStr + PartialEq + From<u8>>(text: &str) -> Result<T, String> {
    let value = number(text)?;
    if value == T::from(0) {
        return Err("0 is not allowed here".to_owned());
    }
    Ok(value)
}

fn bit(text: &str) -> Result<bool, String> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(format!("{text:?} is neither 0 nor 1")),
    }
}

fn at(properties: &[Property], place: Place) -> impl Iterator<Item = &Value> {
    properties
        .iter()
        .filter(move |property| property.place == place)
        .map(|property| &property.value)
}

/// The properties of CONNECT, some of which are limits.
pub(crate) fn connect(properties: &[Property], options: Options) -> Options {
    at(properties, Place::Connect).fold(options, |options, value| match value {
        Value::SessionExpiry(seconds) => options.session_expiry(span(*seconds)),
        Value::RequestResponseInformation(ask) => options.request_response_information(*ask),
        Value::User(name, value) => options.user_property(&**name, &**value),
        Value::ReceiveMaximum(maximum) => options.limits(|it| it.receive_maximum = *maximum),
        Value::MaximumPacketSize(bytes) => options.limits(|it| it.maximum_packet_size = *bytes),
        Value::TopicAliasMaximum(maximum) => options.limits(|it| it.topic_alias_maximum = *maximum),
        _ => options,
    })
}

/// The properties of PUBLISH.
pub(crate) fn publish(properties: &[Property], message: Message) -> Message {
    at(properties, Place::Publish).fold(message, with)
}

/// The properties of the will.
///
/// # Errors
/// When there is no will.
pub(crate) fn will(
    properties: &[Property],
    will: Option<Message>,
) -> Result<Option<Will>, Failure> {
    let Some(message) = will else {
        return match at(properties, Place::Will).next() {
            None => Ok(None),
            Some(_) => {
                Err(Failure::new(1, "-D will … without a will").hint("add --will-topic TOPIC"))
            }
        };
    };
    let mut will = Will::new(at(properties, Place::Will).fold(message, with));
    for value in at(properties, Place::Will) {
        if let Value::WillDelay(seconds) = value {
            will = will.delay(span(*seconds));
        }
    }
    Ok(Some(will))
}

fn with(message: Message, value: &Value) -> Message {
    match value {
        Value::ContentType(kind) => message.content_type(kind),
        Value::CorrelationData(data) => message.correlation_data(data.as_bytes()),
        Value::MessageExpiry(seconds) => message.expires_after(span(*seconds)),
        Value::PayloadIsText(true) => message.text(),
        Value::ResponseTopic(topic) => message.response_topic(topic),
        Value::User(name, value) => message.user_property(name, value),
        _ => message,
    }
}

/// The properties of SUBSCRIBE.
pub(crate) fn subscribe(
    properties: &[Property],
    mut options: SubscribeOptions,
) -> SubscribeOptions {
    for value in at(properties, Place::Subscribe) {
        if let Value::User(name, value) = value {
            options = options.user_property(&**name, &**value);
        }
    }
    options
}

/// The user properties of UNSUBSCRIBE.
pub(crate) fn unsubscribe(properties: &[Property]) -> impl Iterator<Item = (&str, &str)> {
    at(properties, Place::Unsubscribe).filter_map(|value| match value {
        Value::User(name, value) => Some((&**name, &**value)),
        _ => None,
    })
}

/// DISCONNECT with its properties.
pub(crate) fn disconnect(properties: &[Property]) -> Goodbye {
    let mut goodbye = Goodbye::new();
    for value in at(properties, Place::Disconnect) {
        goodbye = match value {
            Value::SessionExpiry(seconds) => goodbye.session_expiry(span(*seconds)),
            Value::User(name, value) => goodbye.user_property(&**name, &**value),
            _ => goodbye,
        };
    }
    goodbye
}

/// Seconds as MQTT counts them.
pub(crate) const fn span(seconds: u32) -> Duration {
    if seconds == u32::MAX {
        Duration::MAX
    } else {
        Duration::from_secs(seconds as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Property, String> {
        parse(&text.replace(' ', SEPARATOR))
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, part) in [
            ("publsh content-type x", "expected one of connect, publish"),
            (
                "publish session-expiry-interval 3",
                "expected one of content-type",
            ),
            ("publish content-type", "needs a value"),
            ("publish user-property k", "a name and a value"),
            ("connect receive-maximum 0", "0 is not allowed"),
            ("connect receive-maximum 70000", "not a number in range"),
            ("publish payload-format-indicator 2", "neither 0 nor 1"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn properties_go_into_their_packet_only() {
        let list = [
            read("publish user-property a 1").unwrap(),
            read("will user-property b 2").unwrap(),
            read("publish user-property c 3").unwrap(),
        ];
        let message = publish(&list, Message::new("t", ""));
        let expected = Message::new("t", "")
            .user_property("a", "1")
            .user_property("c", "3");
        assert_eq!(message, expected);
        assert!(will(&list, None).is_err());
    }
}
