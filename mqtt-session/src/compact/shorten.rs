//! Topic aliases: what of a stored body is left out when it is sent (5.0).
//!
//! A message with an alias is stored with topic and alias both, and that is how it goes out first on a connection. Later the topic is
//! left out; and the alias is, where the broker takes none. Either way the bytes are slices of the stored body, but for the length of the
//! properties without the alias, which is their first.

use mqtt_codec::AnyVersion;

use crate::profile::Profile;

use super::device::Device;
use super::five::Place;
use super::queue::{Queue, Record};
use super::state::Core;

/// Highest alias: one bit each says whether it is known.
pub(super) const ALIASES: u16 = 32;
/// Bytes of other properties beside an alias, so that the length of all takes one byte.
pub(super) const BESIDE_AN_ALIAS: usize = 0x7f - ALIAS_LEN as usize;
/// The identifier of the property.
const TOPIC_ALIAS: u8 = 0x23;

/// How a body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shortened {
    /// Bytes at its front that are left out; two zeros stand for them, a topic of no length.
    pub(super) front: u16,
    /// Where the properties begin, of which the alias is left out; `u16::MAX` for nowhere.
    pub(super) properties_at: u16,
    /// How long they are then.
    pub(super) len: [u8; 1],
    /// The alias that is known once the packet was sent; 0 for none.
    pub(super) teaches: u8,
}

impl Shortened {
    /// All of it.
    pub(super) const NOT: Self = Self {
        front: 0,
        properties_at: u16::MAX,
        len: [0],
        teaches: 0,
    };

    /// How much shorter it is.
    pub(super) const fn saves(self) -> u16 {
        let topic = self.front.saturating_sub(2);
        if self.properties_at == u16::MAX {
            topic
        } else {
            topic + ALIAS_LEN
        }
    }
}

/// Bytes of the property Topic Alias.
const ALIAS_LEN: u16 = 3;

/// The bit of an alias; none of 0.
pub(super) const fn bit(alias: u8) -> u32 {
    ((alias != 0) as u32).wrapping_shl((alias as u32).wrapping_sub(1))
}

impl<D: Device, Q: Queue> Core<'_, D, Q> {
    /// How a PUBLISH is sent now.
    pub(super) fn shorten(&self, record: Record) -> Shortened {
        let five = self.five.get().filter(|_| self.version.is_v5());
        let Some(five) = five.filter(|_| D::Profile::ALIASES && record.is_publish()) else {
            return Shortened::NOT;
        };
        let Some(topic) = self.queue.bytes(record, 0).first_chunk() else {
            return Shortened::NOT;
        };
        let front = u16::from_be_bytes(*topic).saturating_add(2);
        let properties_at = front.saturating_add(if record.id == 0 { 0 } else { 2 });
        let [len, TOPIC_ALIAS, 0, alias, ..] = *self.queue.bytes(record, properties_at) else {
            return Shortened::NOT;
        };
        if len < ALIAS_LEN as u8 && !cfg!(mutation = "compact-payload-is-an-alias")
            || u16::from(alias) > ALIASES
        {
            // The payload only looks like properties, or the caller's own hold an alias.
            return Shortened::NOT;
        }
        if u16::from(alias) > five.server.alias_maximum {
            Shortened {
                properties_at,
                len: [if cfg!(mutation = "compact-alias-length") {
                    0
                } else {
                    len.saturating_sub(ALIAS_LEN as u8)
                }],
                ..Shortened::NOT
            }
        } else if five.aliases & bit(alias) != 0 {
            Shortened {
                front,
                ..Shortened::NOT
            }
        } else {
            Shortened {
                teaches: alias,
                ..Shortened::NOT
            }
        }
    }

    /// Where the properties begin of which the alias is left out.
    fn changed_at(&self) -> u16 {
        match self.five.get() {
            Some(five) if D::Profile::ALIASES => five.shortened.properties_at,
            _ => u16::MAX,
        }
    }

    /// The next piece of the body.
    pub(super) fn body_piece(&self) -> &[u8] {
        let bytes = self.queue.bytes(self.body, self.body_from);
        let at = self.changed_at();
        let before = usize::from(at.saturating_sub(self.body_from));
        if self.body_from > at || at == u16::MAX {
            bytes
        } else if before > 0 {
            bytes.get(..before).unwrap_or(bytes)
        } else {
            self.five.get().map_or(&[], |five| &five.shortened.len)
        }
    }

    /// This many bytes of the piece were written.
    pub(super) fn body_written(&mut self, count: u16) {
        self.body_from = if D::Profile::ALIASES && self.body_from == self.changed_at() {
            self.body_from + 1 + ALIAS_LEN
        } else {
            self.body_from + count
        };
    }
}
