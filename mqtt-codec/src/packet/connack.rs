//! CONNACK: the server's answer to CONNECT.

use crate::encode::{Layout, impl_encode};
use crate::frame::Context;
use crate::place;
use crate::property::Spot;
use crate::sink::Sink;
use crate::wire::{Broken, Reader};
use crate::{AnyVersion, EncodeError, PacketType, Properties, ReasonCode, RuleId, Version};

/// CONNACK: the server's answer to CONNECT.
///
/// The return codes of MQTT 3.1 and 3.1.1 are the reasons that
/// [`ReasonCode::connect_return_code`] has a code for; others cannot be written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// Whether the server resumes a session it had kept; MQTT 3.1 does not tell.
    pub session_present: bool,
    /// Success, or why the connection is refused.
    pub reason: ReasonCode,
    /// What the server supports and imposes.
    pub properties: Properties<'a>,
}

impl<'a> ConnAck<'a> {
    #[inline(always)]
    pub(crate) fn decode(
        reader: &mut Reader<'a>,
        cx: Context<impl AnyVersion>,
    ) -> Result<Self, Broken> {
        let flags_at = reader.at();
        let flags = reader.u8()?;
        let at = reader.at();
        let code = reader.u8()?;
        // MQTT 3.1 does not use the first byte.
        if flags > 1 && cx.version.version() != Version::V31 {
            return Err(reader.broken(RuleId::ConnAckFlags, flags_at));
        }
        let session_present = flags == 1 && cx.version.version() != Version::V31;
        let reason = if cx.version.is_v5() {
            Some(ReasonCode(code)).filter(|reason| reason.allowed_in(place::CONNACK))
        } else {
            ReasonCode::from_connect_return_code(code)
        };
        let Some(reason) = reason else {
            return Err(reader.broken(RuleId::ConnAckReason, at));
        };
        let properties = if cx.version.is_v5() {
            Properties::decode(reader, cx.limits(&const { Spot::new(place::CONNACK) }))?.0
        } else {
            Properties::EMPTY
        };
        Ok(Self {
            session_present,
            reason,
            properties,
        })
    }
}

impl Layout for ConnAck<'_> {
    fn first_byte(&self) -> u8 {
        (PacketType::ConnAck as u8) << 4
    }

    fn check<V: AnyVersion>(&self, version: V) -> Result<(), EncodeError> {
        if !version.is_v5() {
            return self
                .reason
                .connect_return_code()
                .map(|_| ())
                .ok_or(EncodeError::NotInVersion);
        }
        if !self.reason.allowed_in(place::CONNACK) {
            return Err(EncodeError::InvalidReason);
        }
        self.properties.check(&const { Spot::new(place::CONNACK) })
    }

    #[inline(always)]
    fn body<S: Sink, V: AnyVersion>(&self, version: V, sink: &mut S) {
        sink.u8(u8::from(
            self.session_present && version.version() != Version::V31,
        ));
        if version.is_v5() {
            sink.u8(self.reason.0);
            self.properties.write_with_len(sink);
        } else {
            sink.u8(self.reason.connect_return_code().unwrap_or_default());
        }
    }
}

impl_encode!(ConnAck);
