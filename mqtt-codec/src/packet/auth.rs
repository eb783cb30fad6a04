//! AUTH: one step of enhanced authentication.

use super::ack::{check_outcome, decode_outcome, write_outcome};
use crate::admission::Sender;
use crate::encode::{Layout, impl_encode};
use crate::frame::Context;
use crate::place;
use crate::property::Spot;
use crate::sink::Sink;
use crate::wire::{Broken, Reader};
use crate::{AnyVersion, EncodeError, PacketType, Properties, ReasonCode, RuleId};

/// AUTH: one step of enhanced authentication, MQTT 5.0 only.
///
/// Names its method ([`Property::AuthenticationMethod`](crate::Property)) unless it is the short
/// form of success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Success (from servers only), continue, or re-authenticate (from clients only).
    pub reason: ReasonCode,
    /// Method, data, reason string, user properties.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    #[inline(always)]
    pub(crate) fn decode(
        reader: &mut Reader<'a>,
        cx: Context<impl AnyVersion>,
    ) -> Result<Self, Broken> {
        let at = reader.at();
        let (reason, properties) = if reader.is_empty() {
            (ReasonCode::SUCCESS, Properties::EMPTY)
        } else {
            let reason_alone = reader.rest().len() == 1;
            let outcome = decode_outcome(
                reader,
                cx,
                place::AUTH,
                &const { Spot::new(place::AUTH) },
                RuleId::AuthReason,
            )?;
            // Section 3.15.2.1: the length of the properties is left out with the reason code, or not at all.
            if reason_alone {
                return Err(reader.broken_here(RuleId::Truncated));
            }
            outcome
        };
        let wrong_side = match cx.sender {
            Sender::Client => reason == ReasonCode::SUCCESS,
            Sender::Server => reason == ReasonCode::RE_AUTHENTICATE,
            Sender::Either => false,
        };
        if wrong_side {
            return Err(reader.broken(RuleId::AuthReason, at));
        }
        let auth = Self { reason, properties };
        if auth.lacks_method() {
            return Err(reader.broken_here(RuleId::AuthenticationMethodMissing));
        }
        Ok(auth)
    }

    /// Whether the method is missing; only a success without any property goes without.
    fn lacks_method(&self) -> bool {
        let short = self.reason == ReasonCode::SUCCESS && self.properties.is_empty();
        !short && self.properties.authentication_method().is_none()
    }
}

impl Layout for Auth<'_> {
    fn first_byte(&self) -> u8 {
        (PacketType::Auth as u8) << 4
    }

    fn check<V: AnyVersion>(&self, version: V) -> Result<(), EncodeError> {
        if !version.is_v5() {
            return Err(EncodeError::NotInVersion);
        }
        if self.lacks_method() {
            return Err(EncodeError::InvalidProperty);
        }
        check_outcome(
            self.reason,
            &self.properties,
            place::AUTH,
            &const { Spot::new(place::AUTH) },
        )
    }

    #[inline(always)]
    fn body<S: Sink, V: AnyVersion>(&self, _: V, sink: &mut S) {
        write_outcome(self.reason, &self.properties, sink);
    }
}

impl_encode!(Auth);
