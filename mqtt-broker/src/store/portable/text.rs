//! How the fields of an item are written where that differs from how a program holds them.

use core::fmt;

use mqtt_codec::{PacketId, QoS, RetainHandling, SubscriptionId, SubscriptionOptions};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::item::{Expiry, Queued, Receiver, Subscription};
use super::message::MessageRef;

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
pub(super) const fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
pub(super) const fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// A QoS as its number.
pub(super) mod qos {
    use super::*;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the form that serde calls"
    )]
    pub(in super::super) fn serialize<S: Serializer>(qos: &QoS, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(*qos as u8)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<QoS, D::Error> {
        let number = u8::deserialize(from)?;
        QoS::from_u8(number)
            .ok_or_else(|| Error::invalid_value(Unexpected::Unsigned(number.into()), &"0, 1 or 2"))
    }
}

/// Retain Handling as its number.
mod retain_handling {
    use super::*;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the form that serde calls"
    )]
    pub(super) fn serialize<S: Serializer>(
        handling: &RetainHandling,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_u8(*handling as u8)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<RetainHandling, D::Error> {
        match u8::deserialize(from)? {
            0 => Ok(RetainHandling::SendAtSubscribe),
            1 => Ok(RetainHandling::SendIfNew),
            2 => Ok(RetainHandling::DoNotSend),
            other => {
                let other = Unexpected::Unsigned(other.into());
                Err(Error::invalid_value(other, &"0, 1 or 2"))
            }
        }
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the form that serde calls"
    )]
    pub(super) fn is_default(handling: &RetainHandling) -> bool {
        *handling == RetainHandling::default()
    }
}

impl Serialize for Expiry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::After(seconds) => to.serialize_u32(*seconds),
            Self::Never => to.serialize_str("never"),
        }
    }
}

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Expiry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds below 4294967295, or \"never\"")
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Expiry, E> {
                match u32::try_from(seconds) {
                    Ok(seconds) if seconds != u32::MAX => Ok(Expiry::After(seconds)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(seconds), &self)),
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Expiry, E> {
                match text {
                    "never" => Ok(Expiry::Never),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }

        from.deserialize_any(Text)
    }
}

/// A [`Subscription`], its options beside its other fields.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "subscription")]
pub(super) struct SubscriptionText {
    client_id: String,
    filter: String,
    #[serde(with = "qos")]
    qos: QoS,
    #[serde(default, skip_serializing_if = "is_false")]
    no_local: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    retain_as_published: bool,
    #[serde(
        default,
        with = "retain_handling",
        skip_serializing_if = "retain_handling::is_default"
    )]
    retain_handling: RetainHandling,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<SubscriptionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retained_sent: Option<Vec<String>>,
}

impl From<Subscription> for SubscriptionText {
    fn from(item: Subscription) -> Self {
        let SubscriptionOptions {
            qos,
            no_local,
            retain_as_published,
            retain_handling,
        } = item.options;
        Self {
            client_id: item.client_id,
            filter: item.filter,
            qos,
            no_local,
            retain_as_published,
            retain_handling,
            id: item.id,
            retained_sent: item.retained_sent,
        }
    }
}

impl From<SubscriptionText> for Subscription {
    fn from(text: SubscriptionText) -> Self {
        Self {
            client_id: text.client_id,
            filter: text.filter,
            options: SubscriptionOptions {
                qos: text.qos,
                no_local: text.no_local,
                retain_as_published: text.retain_as_published,
                retain_handling: text.retain_handling,
            },
            id: text.id,
            retained_sent: text.retained_sent,
        }
    }
}

/// A [`Queued`], its receiver under one of two keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "queued")]
pub(super) struct QueuedText {
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    group: Option<String>,
    #[serde(with = "qos")]
    qos: QoS,
    #[serde(default)]
    retain: bool,
    #[serde(default)]
    subscription_ids: Vec<SubscriptionId>,
    #[serde(default)]
    chosen_by: Option<String>,
    #[serde(default)]
    sent: Option<PacketId>,
    message: MessageRef,
}

impl TryFrom<QueuedText> for Queued {
    type Error = &'static str;

    fn try_from(text: QueuedText) -> Result<Self, &'static str> {
        let receiver = match (text.client_id, text.group) {
            (Some(id), None) => Receiver::Client(id),
            (None, Some(filter)) => Receiver::Group(filter),
            _ => return Err("it names its receiver by either `client_id` or `group`"),
        };
        Ok(Self {
            receiver,
            qos: text.qos,
            retain: text.retain,
            subscription_ids: text.subscription_ids,
            chosen_by: text.chosen_by,
            sent: text.sent,
            message: text.message,
        })
    }
}
