//! DISCONNECT: the last packet of a connection.

use super::ack::{check_outcome, decode_outcome, write_outcome};
use crate::encode::{Layout, impl_encode};
use crate::frame::Context;
use crate::place;
use crate::property::Spot;
use crate::sink::Sink;
use crate::wire::{Broken, Reader};
use crate::{AnyVersion, EncodeError, PacketType, Properties, ReasonCode, RuleId};

/// DISCONNECT: the last packet of a connection; from the server in MQTT 5.0 only.
///
/// MQTT 3.1 and 3.1.1 know a client's normal disconnection only: any other reason cannot be written,
/// and properties are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Why the connection ends; always normal in MQTT 3.1 and 3.1.1.
    pub reason: ReasonCode,
    /// Session expiry (from clients only), reason string, server reference, user properties.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    /// A DISCONNECT with this reason and no properties.
    pub const fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            properties: Properties::EMPTY,
        }
    }

    #[inline(always)]
    pub(crate) fn decode(
        reader: &mut Reader<'a>,
        cx: Context<impl AnyVersion>,
    ) -> Result<Self, Broken> {
        if reader.is_empty() {
            return Ok(Self::new(ReasonCode::NORMAL_DISCONNECTION));
        }
        let (place, spot) = cx.sender.disconnect();
        let (reason, properties) =
            decode_outcome(reader, cx, place, spot, RuleId::DisconnectReason)?;
        Ok(Self { reason, properties })
    }
}

impl Layout for Disconnect<'_> {
    fn first_byte(&self) -> u8 {
        (PacketType::Disconnect as u8) << 4
    }

    fn check<V: AnyVersion>(&self, version: V) -> Result<(), EncodeError> {
        if version.is_v5() {
            check_outcome(
                self.reason,
                &self.properties,
                place::DISCONNECT,
                &const { Spot::new(place::DISCONNECT) },
            )
        } else if self.reason == ReasonCode::NORMAL_DISCONNECTION {
            Ok(())
        } else {
            Err(EncodeError::NotInVersion)
        }
    }

    #[inline(always)]
    fn body<S: Sink, V: AnyVersion>(&self, version: V, sink: &mut S) {
        if version.is_v5() {
            write_outcome(self.reason, &self.properties, sink);
        }
    }
}

impl_encode!(Disconnect);
