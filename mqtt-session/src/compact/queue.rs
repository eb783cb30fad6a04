//! What a device keeps: its packets that wait or are in flight, and how far each has come.

use core::num::NonZeroU8;

use mqtt_codec::{PacketType, QoS};

/// A place in the sequence of all packets: it grows, and comes back after 65,536 of its queue's own units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub u16);

impl Slot {
    /// Whether this place comes before the other; they are less than 32,768 units apart.
    #[must_use]
    pub const fn is_before(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0) > i16::MAX as u16
    }
}

/// How far a packet has come: a byte in which bits are only ever set, so that a queue on flash can program it in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage(pub u8);

impl Stage {
    /// It waits.
    pub const NEW: Self = Self(0);
    /// It was sent: again, it is a repetition [MQTT-3.3.1-1].
    pub const SENT: Self = Self(1);
    /// PUBREC came [MQTT-4.3.3-4].
    pub const RELEASED: Self = Self(3);
    /// It is over.
    pub const DONE: Self = Self(7);

    /// Whether it has come as far as `stage`.
    #[must_use]
    pub const fn has_reached(self, stage: Self) -> bool {
        self.0 >= stage.0
    }
}

/// What a queue remembers of a packet beside its body. Eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it lies.
    pub slot: Slot,
    /// Length of its body in bytes.
    pub len: u16,
    /// Its packet id, 0 at QoS 0.
    pub id: u16,
    /// Its first byte: type and flags.
    pub first: NonZeroU8,
    /// How far it has come.
    pub stage: Stage,
}

const _: () = assert!(size_of::<Option<Record>>() == 8);

impl Record {
    /// No packet.
    pub(crate) const NONE: Self = Self {
        slot: Slot(0),
        len: 0,
        id: 0,
        first: NonZeroU8::MIN,
        stage: Stage::NEW,
    };

    pub(crate) const fn packet_type(self) -> u8 {
        self.first.get() >> 4
    }

    pub(crate) const fn is_publish(self) -> bool {
        self.packet_type() == PacketType::Publish as u8
    }

    /// The QoS of a PUBLISH.
    pub(crate) const fn qos(self) -> u8 {
        self.first.get() >> 1 & 3
    }

    pub(crate) const fn is_exactly_once(self) -> bool {
        self.qos() == QoS::ExactlyOnce as u8
    }

    /// Whether a PUBLISH is to be retained.
    pub(crate) const fn is_retained(self) -> bool {
        self.first.get() & 1 != 0
    }
}

/// There is no room for the packet until an earlier one is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no room in the queue until an earlier packet is done")
    }
}

impl core::error::Error for Full {}

/// The ordered sequence of packets that wait or are in flight: offline queue and resend buffer in one.
///
/// Nothing in it is tied to RAM: records are appended, their bodies are read in pieces, one byte of each is changed, and their room
/// is given back oldest first. It never holds 32,768 units or more, so that
/// places can be compared and no packet id comes round while its first owner is there.
pub trait Queue {
    /// Where the oldest record lies, or the next one will.
    fn start(&self) -> Slot;
    /// The first record at or behind `from` that is not over; a place before the start stands for the start.
    fn get(&self, from: Slot) -> Option<Record>;
    /// Where the one behind a record lies, or will.
    fn after(&self, record: Record) -> Slot;
    /// The bytes of a body from `from` on, as many as lie in one piece, and at least the next four if there are so many.
    fn bytes(&self, record: Record, from: u16) -> &[u8];
    /// Notes how far a packet has come; with [`Stage::DONE`] its room is given back, now or later, but its bytes stay until the next
    /// [`push`](Self::push).
    fn mark(&mut self, slot: Slot, stage: Stage);
    /// Appends a packet, the body of which is these pieces one behind the other.
    ///
    /// # Errors
    /// [`Full`]: nothing has changed.
    fn push(&mut self, first: NonZeroU8, id: u16, pieces: &[&[u8]]) -> Result<(), Full>;
}
