//! Checks properties once, when they are read and when they are about to be written.

use super::table::{self, Kind, Spot};
use super::{Properties, Property, iter};
use crate::place;
use crate::text::SMALL;
use crate::wire::{Broken, Reader, to_u32, to_usize};
use crate::{DecodeError, EncodeError, RuleId};

/// What the properties of a packet are checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Where they stand.
    pub(crate) spot: &'static Spot,
    /// User properties that are accepted.
    pub(crate) user_properties: u16,
}

/// Which properties are present, one bit for each identifier.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen(u64);

impl Seen {
    /// Marks a property, and tells whether it may stand there, again if it was marked before.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn allows(&mut self, id: u8, spot: &Spot) -> bool {
        let bit = bit(id);
        let allowed = id < 64 && (spot.allowed & !(self.0 & spot.once)) & bit != 0;
        self.0 |= bit;
        allowed
    }

    #[cfg(any(mutation = "fuzz-list-repeated", mutation = "fuzz-alias-twice"))]
    const fn forget(&mut self, id: u8) {
        self.0 &= !bit(id);
    }

    #[inline]
    const fn has(self, id: u8) -> bool {
        self.0 & bit(id) != 0
    }

    #[inline]
    pub(crate) const fn topic_alias(self) -> bool {
        self.has(table::TOPIC_ALIAS)
    }

    #[inline]
    pub(crate) const fn authentication_method(self) -> bool {
        self.has(table::AUTHENTICATION_METHOD)
    }

    /// Whether there is data for a method that is not named. A CONNACK need not name the one of its CONNECT
    /// unless it accepts [MQTT-4.12.0-5].
    const fn lacks_method(self, spot: &Spot) -> bool {
        spot.places != place::CONNACK
            && self.has(table::AUTHENTICATION_DATA)
            && !self.authentication_method()
    }
}

/// The bit of an identifier that exists, and is thus below 64; that of any other is the bit of one that may.
#[cfg_attr(target_pointer_width = "64", inline(always))]
const fn bit(id: u8) -> u64 {
    if !SMALL {
        return 1_u64.wrapping_shl(id as u32);
    }
    // Shifts of 64 bits are a function of their own there.
    let bit = 1_u32.wrapping_shl(id as u32) as u64;
    if id & 32 == 0 { bit } else { bit << 32 }
}

impl<'a> Properties<'a> {
    /// Reads the length of the properties and then the properties, and checks all of them.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn decode(reader: &mut Reader<'a>, limits: Limits) -> Result<(Self, Seen), Broken> {
        let len = reader.varint()?;
        if len == 0 {
            return Ok((Self::EMPTY, Seen::default()));
        }
        let bytes = reader.take(to_usize(len))?;
        match check(bytes, reader.at(), limits) {
            Ok(seen) => Ok((Self::stored(bytes), seen)),
            Err(error) => Err(reader.broken(error.rule, error.at)),
        }
    }

    /// Checks bytes of unknown origin as the properties of a PUBLISH, the length in front left out.
    ///
    /// # Errors
    /// What makes them unfit, with the offset from the start of `bytes`.
    pub fn checked_publish(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let limits = Limits {
            spot: &const { Spot::new(place::PUBLISH) },
            user_properties: u16::MAX,
        };
        check(bytes, to_u32(bytes.len()), limits).map(|_| Self::stored(bytes))
    }

    /// Whether a list may be written there; wire properties were checked when they were read.
    #[inline(always)]
    pub(crate) fn check(&self, spot: &Spot) -> Result<(), EncodeError> {
        match self {
            Self::Wire(_) => Ok(()),
            Self::List(list) => check_list(list, spot),
        }
    }
}

#[cfg_attr(target_pointer_width = "64", inline(never))]
fn check_list(list: &[Property<'_>], spot: &Spot) -> Result<(), EncodeError> {
    let mut seen = Seen::default();
    for property in list {
        #[cfg(mutation = "fuzz-list-repeated")]
        seen.forget(table::SUBSCRIPTION_IDENTIFIER);
        if !seen.allows(property.id(), spot) || !property.is_valid() {
            return Err(EncodeError::InvalidProperty);
        }
    }
    if seen.lacks_method(spot) {
        return Err(EncodeError::InvalidProperty);
    }
    Ok(())
}

/// Checks the properties in `bytes`, the last byte of which is followed by offset `end` of the packet.
#[cfg_attr(target_pointer_width = "64", inline(never))]
fn check(bytes: &[u8], end: u32, limits: Limits) -> Result<Seen, DecodeError> {
    let mut reader = Reader::new(bytes, to_usize(end));
    let mut seen = Seen::default();
    match check_all(&mut reader, &mut seen, limits) {
        Err(broken) => Err(reader.error(broken)),
        Ok(()) if seen.lacks_method(limits.spot) => Err(data_alone(bytes, end)),
        Ok(()) => Ok(seen),
    }
}

#[cfg_attr(target_pointer_width = "64", inline(always))]
fn check_all(reader: &mut Reader<'_>, seen: &mut Seen, limits: Limits) -> Result<(), Broken> {
    let mut user_properties = 0;
    while !reader.is_empty() {
        let property = reader.rest();
        let id = reader.u8()?;
        #[cfg(mutation = "fuzz-alias-twice")]
        seen.forget(table::TOPIC_ALIAS);
        if !seen.allows(id, limits.spot) {
            return Err(reader.broken_at(misplaced(id, limits.spot), property));
        }
        if id == table::USER_PROPERTY {
            let most = limits.user_properties;
            #[cfg(mutation = "fuzz-will-users")]
            let most = most.saturating_add(u16::from(limits.spot.places == place::WILL));
            if user_properties == most {
                return Err(reader.broken_at(RuleId::TooManyUserProperties, property));
            }
            user_properties += 1;
            if !SMALL {
                // Most properties are these: past the table of kinds.
                reader.skip_string()?;
                reader.skip_string()?;
                continue;
            }
        }
        check_value(reader, table::kind(id))?;
    }
    Ok(())
}

/// Reads and checks a value, and gives it if it is a number, else 0.
#[cfg_attr(target_pointer_width = "64", inline(always))]
pub(super) fn check_value(reader: &mut Reader<'_>, kind: Kind) -> Result<u32, Broken> {
    let value = reader.rest();
    let mut number = 0;
    let broken = match kind {
        Kind::Bit => {
            number = reader.u8()?.into();
            (number > 1).then_some(RuleId::PropertyByteRange)
        }
        Kind::U16 => {
            number = reader.u16()?.into();
            None
        }
        Kind::U32 => {
            number = reader.u32()?;
            None
        }
        Kind::ReceiveMaximum => {
            number = reader.u16()?.into();
            (number == 0).then_some(RuleId::ReceiveMaximumZero)
        }
        Kind::TopicAlias => {
            number = reader.u16()?.into();
            (number == 0).then_some(RuleId::TopicAliasZero)
        }
        Kind::MaximumPacketSize => {
            number = reader.u32()?;
            (number == 0).then_some(RuleId::MaximumPacketSizeZero)
        }
        Kind::SubscriptionId => {
            number = reader.varint()?;
            (number == 0).then_some(RuleId::SubscriptionIdZero)
        }
        Kind::Topic => match reader.string()? {
            "" => Some(RuleId::ResponseTopicEmpty),
            topic => table::has_wildcard(topic).then_some(RuleId::ResponseTopicWildcard),
        },
        Kind::Binary => reader.binary().map(|_| None)?,
        Kind::String => reader.skip_string().map(|()| None)?,
        Kind::Pair => {
            reader.skip_string()?;
            reader.skip_string().map(|()| None)?
        }
        Kind::Unknown => Some(RuleId::PropertyUnknown),
    };
    match broken {
        None => Ok(number),
        Some(rule) => Err(reader.broken_at(rule, value)),
    }
}

/// Where the authentication data is that has no method beside it.
#[cold]
fn data_alone(bytes: &[u8], end: u32) -> DecodeError {
    if SMALL {
        let rule = RuleId::AuthenticationDataAlone;
        return DecodeError { rule, at: 0 };
    }
    let value = iter::find(bytes, table::AUTHENTICATION_DATA);
    let behind = value.map_or(0, |reader| to_u32(reader.rest().len()).saturating_add(1));
    DecodeError {
        rule: RuleId::AuthenticationDataAlone,
        at: end.saturating_sub(behind),
    }
}

/// Why a property may not stand where it does.
#[cold]
fn misplaced(id: u8, spot: &Spot) -> RuleId {
    if SMALL {
        return RuleId::PropertyNotAllowed;
    }
    match id {
        _ if table::kind(id) == Kind::Unknown => RuleId::PropertyUnknown,
        _ if spot.allowed & bit(id) != 0 => RuleId::PropertyRepeated,
        table::SUBSCRIPTION_IDENTIFIER if spot.places == place::PUBLISH_FROM_CLIENT => {
            RuleId::SubscriptionIdFromClient
        }
        table::SESSION_EXPIRY_INTERVAL if spot.places == place::DISCONNECT_FROM_SERVER => {
            RuleId::SessionExpiryFromServer
        }
        _ => RuleId::PropertyNotAllowed,
    }
}
