//! Walks over properties that were checked before.

use super::check::check_value;
use super::table::{self, Kind, Property};
use super::{Properties, WireProperties};
use crate::SubscriptionId;
use crate::varint::{self, VarInt};
use crate::wire::Reader;

/// The properties of a packet in their order; made by [`Properties::iter`].
#[derive(Clone, Debug)]
pub struct PropertyIter<'a>(Source<'a>);

#[derive(Clone, Debug)]
enum Source<'a> {
    Wire(Reader<'a>),
    List(core::slice::Iter<'a, Property<'a>>),
}

impl<'a> Properties<'a> {
    /// The properties in their order.
    #[inline]
    pub fn iter(&self) -> PropertyIter<'a> {
        PropertyIter(match self {
            Self::Wire(WireProperties { bytes }) => Source::Wire(Reader::new(bytes, bytes.len())),
            Self::List(list) => Source::List(list.iter()),
        })
    }

    /// The user properties, name and value, in their order.
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.iter().filter_map(|property| match property {
            Property::UserProperty(name, value) => Some((name, value)),
            _ => None,
        })
    }

    /// The subscription identifiers of a PUBLISH, in their order.
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = SubscriptionId> + use<'a> {
        self.iter().filter_map(|property| match property {
            Property::SubscriptionIdentifier(id) => Some(id),
            _ => None,
        })
    }
}

impl<'a> IntoIterator for &Properties<'a> {
    type Item = Property<'a>;
    type IntoIter = PropertyIter<'a>;

    fn into_iter(self) -> PropertyIter<'a> {
        self.iter()
    }
}

impl<'a> Iterator for PropertyIter<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Property<'a>> {
        match &mut self.0 {
            Source::Wire(reader) => {
                let id = reader.u8().ok()?;
                Property::read(id, reader)
            }
            Source::List(list) => list.next().copied(),
        }
    }
}

impl core::iter::FusedIterator for PropertyIter<'_> {}

impl<'a> Properties<'a> {
    /// The properties whose value is a number, with their identifiers, for a reader that has few bytes of code to spare: all others are
    /// passed over. Of [`Properties::List`] there are none.
    pub fn numbers(&self) -> impl Iterator<Item = (u8, u32)> + use<'a> {
        let mut reader = match self {
            Self::Wire(WireProperties { bytes }) => Reader::new(bytes, bytes.len()),
            Self::List(_) => Reader::new(&[], 0),
        };
        core::iter::from_fn(move || {
            loop {
                let id = reader.u8().ok()?;
                let kind = table::kind(id);
                let number = check_value(&mut reader, kind).ok()?;
                if !matches!(
                    kind,
                    Kind::String | Kind::Topic | Kind::Binary | Kind::Pair | Kind::SubscriptionId
                ) {
                    return Some((id, number));
                }
            }
        })
    }
}

/// A reader at the value of the first property `id`.
pub(super) fn find(bytes: &[u8], id: u8) -> Option<Reader<'_>> {
    let mut rest = bytes;
    while let Some((&here, value)) = rest.split_first() {
        if here == id {
            return Some(Reader::new(value, value.len()));
        }
        rest = value.get(value_len(here, value)?..)?;
    }
    None
}

/// The length of the value at the front of `bytes`, without a look at its content.
#[inline]
pub(super) fn value_len(id: u8, bytes: &[u8]) -> Option<usize> {
    let text = |bytes: &[u8]| {
        let len = u16::from_be_bytes(*bytes.first_chunk()?);
        Some(usize::from(len).saturating_add(2))
    };
    match table::kind(id) {
        Kind::Unknown => None,
        Kind::Bit => Some(1),
        Kind::U16 | Kind::ReceiveMaximum | Kind::TopicAlias => Some(2),
        Kind::U32 | Kind::MaximumPacketSize => Some(4),
        Kind::SubscriptionId => match varint::decode(bytes) {
            VarInt::Value(_, len) => Some(len),
            _ => None,
        },
        Kind::String | Kind::Topic | Kind::Binary => text(bytes),
        Kind::Pair => {
            let name = text(bytes)?;
            Some(text(bytes.get(name..)?)?.saturating_add(name))
        }
    }
}
