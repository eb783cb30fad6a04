//! Bytes and properties, written from front to back.

/// A property by its shape on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Prop<'a> {
    U8(u8, u8),
    U16(u8, u16),
    U32(u8, u32),
    Varint(u8, u32),
    Text(u8, &'a str),
    Pair(&'a str, &'a str),
    /// Any number of them, as they came.
    Raw(&'a [u8]),
}

pub(super) type Props = &'static [Prop<'static>];

impl Prop<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        match self {
            Self::U8(..) => 2,
            Self::U16(..) => 3,
            Self::U32(..) => 5,
            Self::Varint(_, value) => 1 + varint_len(*value as usize),
            Self::Text(_, text) => 3 + text.len(),
            Self::Pair(name, value) => 5 + name.len() + value.len(),
            Self::Raw(bytes) => bytes.len(),
        }
    }
}

/// A buffer that is written from front to back.
pub(super) struct Writer<'b> {
    pub(super) left: &'b mut [u8],
}

impl<'b> Writer<'b> {
    #[inline(always)]
    fn take(&mut self, len: usize) -> Option<&'b mut [u8]> {
        let (now, left) = std::mem::take(&mut self.left).split_at_mut_checked(len)?;
        self.left = left;
        Some(now)
    }

    #[inline(always)]
    pub(super) fn array<const N: usize>(&mut self, bytes: [u8; N]) -> Option<()> {
        let (now, left) = std::mem::take(&mut self.left).split_first_chunk_mut()?;
        *now = bytes;
        self.left = left;
        Some(())
    }

    #[inline(always)]
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.take(bytes.len())?.copy_from_slice(bytes);
        Some(())
    }

    #[inline(always)]
    pub(super) fn text(&mut self, bytes: &[u8]) -> Option<()> {
        self.array((bytes.len() as u16).to_be_bytes())?;
        copy_short(self.take(bytes.len())?, bytes);
        Some(())
    }

    /// A text in a property: mostly shorter than what [`copy_short`] helps with.
    #[inline(always)]
    fn value(&mut self, text: &str) -> Option<()> {
        self.array((text.len() as u16).to_be_bytes())?;
        self.bytes(text.as_bytes())
    }

    #[inline(always)]
    pub(super) fn varint(&mut self, value: usize) -> Option<()> {
        if value < 0x80 {
            self.array([value as u8])
        } else {
            self.long_varint(value)
        }
    }

    #[inline(always)]
    fn long_varint(&mut self, value: usize) -> Option<()> {
        let part = |shift: usize| (value >> shift) as u8;
        match varint_len(value) {
            2 => self.array([part(0) | 0x80, part(7)]),
            3 => self.array([part(0) | 0x80, part(7) | 0x80, part(14)]),
            _ => self.array([part(0) | 0x80, part(7) | 0x80, part(14) | 0x80, part(21)]),
        }
    }

    #[inline(always)]
    pub(super) fn props(&mut self, len: usize, list: &[Prop<'_>]) -> Option<()> {
        self.varint(len)?;
        for prop in list {
            match *prop {
                Prop::U8(id, value) => self.array([id, value])?,
                Prop::U16(id, value) => {
                    let [a, b] = value.to_be_bytes();
                    self.array([id, a, b])?;
                }
                Prop::U32(id, value) => {
                    let [a, b, c, d] = value.to_be_bytes();
                    self.array([id, a, b, c, d])?;
                }
                Prop::Varint(id, value) => {
                    self.array([id])?;
                    self.varint(value as usize)?;
                }
                Prop::Text(id, text) => {
                    self.array([id])?;
                    self.value(text)?;
                }
                Prop::Pair(name, value) => {
                    self.array([0x26])?;
                    self.value(name)?;
                    self.value(value)?;
                }
                Prop::Raw(bytes) => self.bytes(bytes)?,
            }
        }
        Some(())
    }
}

/// Copies, and calls nobody for 16 to 32 bytes, which is what topics have: their halves may overlap.
#[inline(always)]
fn copy_short(room: &mut [u8], bytes: &[u8]) {
    const HALF: usize = 16;
    if let (HALF..=32, Some(start), Some(end)) = (
        bytes.len(),
        bytes.first_chunk::<HALF>(),
        bytes.last_chunk::<HALF>(),
    ) {
        room[..HALF].copy_from_slice(start);
        let tail = room.len() - HALF;
        room[tail..].copy_from_slice(end);
    } else {
        room.copy_from_slice(bytes);
    }
}

#[inline(always)]
pub(super) fn varint_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Writes a fixed header; returns its length.
#[inline(always)]
pub(super) fn header(first: u8, len: usize, buffer: &mut [u8]) -> Option<usize> {
    let room = buffer.len();
    let mut writer = Writer { left: buffer };
    writer.array([first])?;
    writer.varint(len)?;
    Some(room - writer.left.len())
}

#[inline(always)]
pub(super) fn props_len(list: &[Prop<'_>]) -> usize {
    list.iter().map(Prop::len).sum()
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP without a reason.
#[inline(always)]
pub(super) fn ack(first: u8, id: u16, buffer: &mut [u8]) -> Option<usize> {
    let [high, low] = id.to_be_bytes();
    *buffer.first_chunk_mut()? = [first, 2, high, low];
    Some(4)
}
