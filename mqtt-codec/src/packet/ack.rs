//! PUBACK, PUBREC, PUBREL and PUBCOMP: a packet identifier, and in MQTT 5.0 a reason and properties.

use crate::encode::{Layout, impl_encode};
use crate::frame::Context;
use crate::place::{self, Places};
use crate::property::Spot;
use crate::sink::Sink;
use crate::wire::{Broken, Reader};
use crate::{AnyVersion, EncodeError, PacketId, PacketType, Properties, ReasonCode, RuleId};

macro_rules! acks {
    ($($(#[$doc:meta])* $name:ident flags $flags:literal place $place:ident rule $rule:ident;)*) => {
        $(
            $(#[$doc])*
            ///
            /// Without properties the shortest form is written. MQTT 3.1 and 3.1.1 carry neither reason
            /// nor properties: both are left out, and a reason that is an error cannot be written.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct $name<'a> {
                /// The identifier of the PUBLISH.
                pub packet_id: PacketId,
                /// The outcome; always success in MQTT 3.1 and 3.1.1.
                pub reason: ReasonCode,
                /// Reason string and user properties.
                pub properties: Properties<'a>,
            }

            impl<'a> $name<'a> {
                /// The packet with reason success and no properties.
                pub const fn new(packet_id: PacketId) -> Self {
                    Self { packet_id, reason: ReasonCode::SUCCESS, properties: Properties::EMPTY }
                }

                #[inline(always)]
                pub(crate) fn decode(reader: &mut Reader<'a>, cx: Context<impl AnyVersion>) -> Result<Self, Broken> {
                    let packet_id = reader.packet_id()?;
                    if reader.is_empty() {
                        return Ok(Self::new(packet_id));
                    }
                    let mut tail = *reader;
                    let outcome = decode_outcome(&mut tail, cx, place::$place, &const { Spot::new(place::$place) }, RuleId::$rule);
                    *reader = tail;
                    let (reason, properties) = outcome?;
                    Ok(Self { packet_id, reason, properties })
                }
            }

            impl Layout for $name<'_> {
                fn first_byte(&self) -> u8 {
                    (PacketType::$name as u8) << 4 | $flags
                }

                #[inline(always)]
                fn shortest<V: AnyVersion>(&self, version: V) -> Option<[u8; 4]> {
                    let says_nothing = if version.is_v5() {
                        self.reason == ReasonCode::SUCCESS && self.properties.is_empty()
                    } else {
                        !self.reason.is_error()
                    };
                    let [high, low] = self.packet_id.get().to_be_bytes();
                    says_nothing.then_some([self.first_byte(), 2, high, low])
                }

                fn check<V: AnyVersion>(&self, version: V) -> Result<(), EncodeError> {
                    if !version.is_v5() {
                        return if self.reason.is_error() { Err(EncodeError::NotInVersion) } else { Ok(()) };
                    }
                    check_outcome(self.reason, &self.properties, place::$place, &const { Spot::new(place::$place) })
                }

                #[inline(always)]
                fn body<S: Sink, V: AnyVersion>(&self, version: V, sink: &mut S) {
                    sink.u16(self.packet_id.get());
                    if version.is_v5() {
                        write_outcome(self.reason, &self.properties, sink);
                    }
                }
            }

            impl_encode!($name);
        )*
    };
}

acks! {
    /// PUBACK: the answer to a QoS 1 PUBLISH.
    PubAck flags 0 place PUBACK rule PubAckReason;
    /// PUBREC: the first answer to a QoS 2 PUBLISH.
    PubRec flags 0 place PUBREC rule PubRecReason;
    /// PUBREL: the sender of a QoS 2 PUBLISH answers its PUBREC.
    PubRel flags 2 place PUBREL rule PubRelReason;
    /// PUBCOMP: the last packet of a QoS 2 delivery.
    PubComp flags 0 place PUBCOMP rule PubCompReason;
}

/// The properties of all four are the same.
const ACK: &Spot = &Spot::new(place::PUBACK);
const _: () = assert!(
    ACK.allows_as(&Spot::new(place::PUBREC))
        && ACK.allows_as(&Spot::new(place::PUBREL))
        && ACK.allows_as(&Spot::new(place::PUBCOMP))
);

/// What an acknowledgement of a type that is known only now answers, and how.
pub(crate) fn decode_any(
    reader: &mut Reader<'_>,
    cx: Context<impl AnyVersion>,
    packet_type: PacketType,
) -> Result<(PacketId, ReasonCode), Broken> {
    let packet_id = reader.packet_id()?;
    if reader.is_empty() {
        return Ok((packet_id, ReasonCode::SUCCESS));
    }
    let (place, rule) = match packet_type {
        PacketType::PubRec => (place::PUBREC, RuleId::PubRecReason),
        PacketType::PubRel => (place::PUBREL, RuleId::PubRelReason),
        PacketType::PubComp => (place::PUBCOMP, RuleId::PubCompReason),
        _ => (place::PUBACK, RuleId::PubAckReason),
    };
    let reason = decode_reason(reader, cx, place, ACK, rule)?;
    Ok((packet_id, reason))
}

/// A reason code, and properties that are checked but not wanted.
pub(crate) fn decode_reason(
    reader: &mut Reader<'_>,
    cx: Context<impl AnyVersion>,
    place: Places,
    spot: &'static Spot,
    rule: RuleId,
) -> Result<ReasonCode, Broken> {
    let at = reader.at();
    if !cx.version.is_v5() {
        return Err(reader.broken(RuleId::TrailingBytes, at));
    }
    let reason = ReasonCode(reader.u8()?);
    if !reason.allowed_in(place) {
        return Err(reader.broken(rule, at));
    }
    if !reader.is_empty() {
        Properties::decode(reader, cx.limits(spot))?;
    }
    Ok(reason)
}

/// A reason code and, unless the packet ends behind it, properties: the tail that the four packets
/// here and DISCONNECT and AUTH share. The packet has been found to go on.
#[cfg_attr(target_pointer_width = "64", inline(never))]
pub(super) fn decode_outcome<'a>(
    reader: &mut Reader<'a>,
    cx: Context<impl AnyVersion>,
    place: Places,
    spot: &'static Spot,
    rule: RuleId,
) -> Result<(ReasonCode, Properties<'a>), Broken> {
    let at = reader.at();
    if !cx.version.is_v5() {
        return Err(reader.broken(RuleId::TrailingBytes, at));
    }
    let reason = ReasonCode(reader.u8()?);
    if !reason.allowed_in(place) {
        return Err(reader.broken(rule, at));
    }
    if reader.is_empty() {
        return Ok((reason, Properties::EMPTY));
    }
    let (properties, _) = Properties::decode(reader, cx.limits(spot))?;
    Ok((reason, properties))
}

pub(super) fn check_outcome(
    reason: ReasonCode,
    properties: &Properties<'_>,
    place: Places,
    spot: &Spot,
) -> Result<(), EncodeError> {
    if !reason.allowed_in(place) {
        return Err(EncodeError::InvalidReason);
    }
    properties.check(spot)
}

/// Without properties their length is left out, and then a reason of success too.
#[inline]
pub(super) fn write_outcome<S: Sink>(
    reason: ReasonCode,
    properties: &Properties<'_>,
    sink: &mut S,
) {
    if !properties.is_empty() {
        sink.u8(reason.0);
        properties.write_with_len(sink);
    } else if reason != ReasonCode::SUCCESS {
        sink.u8(reason.0);
    }
}
