//! Checks properties once, when they are read and when they are about to be written.

use super::Properties;
use super::table::{self, Kind, Row};
use crate::place::{self, Places};
use crate::wire::{Broken, Reader};
use crate::{DecodeError, EncodeError, RuleId};

/// What the properties of a packet are checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Where they stand; several places where the sender is not known.
    pub(crate) places: Places,
    /// User properties that are accepted.
    pub(crate) user_properties: u16,
}

/// Which properties are present, one bit for each identifier.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen(u64);

impl Seen {
    /// Marks a property, and tells whether it was marked before. Identifiers are below 64.
    #[inline]
    fn again(&mut self, id: u8) -> bool {
        let bit = 1_u64.wrapping_shl(u32::from(id));
        let again = self.0 & bit != 0;
        self.0 |= bit;
        again
    }

    #[inline]
    const fn has(self, id: u8) -> bool {
        self.0 & 1_u64.wrapping_shl(id as u32) != 0
    }

    #[inline]
    pub(crate) const fn topic_alias(self) -> bool {
        self.has(table::TOPIC_ALIAS)
    }

    #[inline]
    pub(crate) const fn authentication_method(self) -> bool {
        self.has(table::AUTHENTICATION_METHOD)
    }

    const fn authentication_data(self) -> bool {
        self.has(table::AUTHENTICATION_DATA)
    }
}

impl<'a> Properties<'a> {
    /// Reads the length of the properties and then the properties, and checks all of them.
    #[inline(always)]
    pub(crate) fn decode(reader: &mut Reader<'a>, limits: Limits) -> Result<(Self, Seen), Broken> {
        let len = reader.varint()?;
        if len == 0 {
            return Ok((Self::EMPTY, Seen::default()));
        }
        let mut part = reader.part(len)?;
        let properties = Self::stored(part.rest());
        match check(&mut part, limits) {
            Ok(seen) => Ok((properties, seen)),
            Err(broken) => {
                reader.adopt(&part);
                Err(broken)
            }
        }
    }

    /// Checks bytes of unknown origin as the properties of a PUBLISH, the length in front left out.
    ///
    /// # Errors
    /// What makes them unfit, with the offset from the start of `bytes`.
    pub fn checked_publish(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let limits = Limits {
            places: place::PUBLISH,
            user_properties: u16::MAX,
        };
        let mut reader = Reader::new(bytes, bytes.len());
        match check(&mut reader, limits) {
            Ok(_) => Ok(Self::stored(bytes)),
            Err(_) => Err(reader.error()),
        }
    }

    /// Whether a list may be written there; wire properties were checked when they were read.
    pub(crate) fn check(&self, places: Places) -> Result<(), EncodeError> {
        let Self::List(list) = self else {
            return Ok(());
        };
        let mut seen = Seen::default();
        for property in *list {
            let row = table::row(property.id());
            let again = seen.again(property.id()) && row.repeats & places == 0;
            if again || row.places & places == 0 || !property.is_valid() {
                return Err(EncodeError::InvalidProperty);
            }
        }
        if seen.authentication_data() && !seen.authentication_method() {
            return Err(EncodeError::InvalidProperty);
        }
        Ok(())
    }
}

#[inline(never)]
fn check(reader: &mut Reader<'_>, limits: Limits) -> Result<Seen, Broken> {
    let mut seen = Seen::default();
    let mut user_properties = 0;
    let mut data_at = 0;
    while !reader.is_empty() {
        let at = reader.at();
        let id = reader.u8()?;
        let row = table::row(id);
        if row.places & limits.places == 0 {
            return Err(reader.broken(misplaced(id, row, limits.places), at));
        }
        if seen.again(id) && row.repeats & limits.places == 0 {
            return Err(reader.broken(RuleId::PropertyRepeated, at));
        }
        if id == table::USER_PROPERTY {
            let most = limits.user_properties;
            #[cfg(mutation = "fuzz-will-users")]
            let most = most.saturating_add(u16::from(limits.places == place::WILL));
            if user_properties == most {
                return Err(reader.broken(RuleId::TooManyUserProperties, at));
            }
            user_properties += 1;
        }
        if id == table::AUTHENTICATION_DATA {
            data_at = at;
        }
        check_value(reader, row.kind)?;
    }
    if seen.authentication_data() && !seen.authentication_method() {
        return Err(reader.broken(RuleId::AuthenticationDataAlone, data_at));
    }
    Ok(seen)
}

#[inline]
fn check_value(reader: &mut Reader<'_>, kind: Kind) -> Result<(), Broken> {
    let at = reader.at();
    let broken = match kind {
        Kind::Bit => (reader.u8()? > 1).then_some(RuleId::PropertyByteRange),
        Kind::U16 => reader.u16().map(|_| None)?,
        Kind::U32 => reader.u32().map(|_| None)?,
        Kind::ReceiveMaximum => (reader.u16()? == 0).then_some(RuleId::ReceiveMaximumZero),
        Kind::TopicAlias => (reader.u16()? == 0).then_some(RuleId::TopicAliasZero),
        Kind::MaximumPacketSize => (reader.u32()? == 0).then_some(RuleId::MaximumPacketSizeZero),
        Kind::SubscriptionId => (reader.varint()? == 0).then_some(RuleId::SubscriptionIdZero),
        Kind::String => reader.skip_string().map(|()| None)?,
        Kind::Topic => match reader.string()? {
            "" => Some(RuleId::ResponseTopicEmpty),
            topic => table::has_wildcard(topic).then_some(RuleId::ResponseTopicWildcard),
        },
        Kind::Binary => reader.binary().map(|_| None)?,
        Kind::Pair => {
            reader.skip_string()?;
            reader.skip_string().map(|()| None)?
        }
        Kind::Unknown => Some(RuleId::PropertyUnknown),
    };
    match broken {
        None => Ok(()),
        Some(rule) => Err(reader.broken(rule, at)),
    }
}

/// Why a property may not stand where it does.
#[cold]
fn misplaced(id: u8, row: Row, places: Places) -> RuleId {
    match id {
        _ if row.kind == Kind::Unknown => RuleId::PropertyUnknown,
        table::SUBSCRIPTION_IDENTIFIER if places == place::PUBLISH_FROM_CLIENT => {
            RuleId::SubscriptionIdFromClient
        }
        table::SESSION_EXPIRY_INTERVAL if places == place::DISCONNECT_FROM_SERVER => {
            RuleId::SessionExpiryFromServer
        }
        _ => RuleId::PropertyNotAllowed,
    }
}
