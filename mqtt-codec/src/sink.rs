//! Writes fields, or measures them: the only place that puts a packet together.

#[cfg(feature = "bytes")]
use crate::text::has_nul;
use crate::text::{SMALL, copy_bytes, copy_bytewise, copy_text};
use crate::wire::to_u32;
use crate::{EncodeError, FixedHeader, Property, varint};

/// Where the fields of a packet go. The same code that writes a packet thus measures it.
pub(crate) trait Sink {
    fn bytes(&mut self, bytes: &[u8]);

    #[inline]
    fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    #[inline]
    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// The identifier of a property, and a value of fixed length.
    #[inline]
    fn tagged<const N: usize>(&mut self, id: u8, value: [u8; N]) {
        self.u8(id);
        self.bytes(&value);
    }

    #[inline]
    fn varint(&mut self, value: u32) {
        let mut rest = value;
        while rest > 0x7f {
            self.u8(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.u8(rest as u8);
    }

    /// Anything longer is refused, by whoever looks at the fields.
    #[inline]
    fn binary(&mut self, bytes: &[u8]) {
        self.u16(bytes.len() as u16);
        self.bytes(bytes);
    }

    #[inline]
    fn string(&mut self, text: &str) {
        self.binary(text.as_bytes());
    }

    /// What `write` writes, behind a Variable Byte Integer that is its length.
    fn with_len(&mut self, write: impl WriteTo);

    /// Properties, one after the other.
    #[inline]
    fn list(&mut self, list: &[Property<'_>])
    where
        Self: Sized,
    {
        list.iter().for_each(|property| property.write(self));
    }
}

/// Something that goes to any sink.
pub(crate) trait WriteTo {
    fn write_to<S: Sink>(&self, sink: &mut S);
}

/// Counts.
#[derive(Default)]
pub(crate) struct Count(pub(crate) usize);

impl Count {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    const fn add(&mut self, bytes: usize) {
        // The slices of a program do not add up to more than 64 bits can say.
        self.0 = if cfg!(target_pointer_width = "64") {
            self.0.wrapping_add(bytes)
        } else {
            self.0.saturating_add(bytes)
        };
    }
}

impl Sink for Count {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn bytes(&mut self, bytes: &[u8]) {
        self.add(bytes.len());
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn varint(&mut self, value: u32) {
        self.add(varint::len(value));
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn with_len(&mut self, write: impl WriteTo) {
        let before = self.0;
        write.write_to(self);
        self.varint(to_u32(self.0.wrapping_sub(before)));
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn list(&mut self, list: &[Property<'_>]) {
        self.add(count_list(list));
    }
}

/// Bytes of a list, counted in one place for all packets.
#[cfg_attr(target_pointer_width = "64", inline(never))]
fn count_list(list: &[Property<'_>]) -> usize {
    let mut count = Count::default();
    for property in list {
        property.write(&mut count);
    }
    count.0
}

/// Writes a list to the front of `room`, in one place for all packets, and gives its length.
#[cfg_attr(target_pointer_width = "64", inline(never))]
fn write_list(list: &[Property<'_>], room: &mut [u8]) -> (usize, Faults) {
    let whole = room.len();
    let mut writer = Writer::new(room);
    for property in list {
        property.write(&mut writer);
    }
    (whole - writer.rest.len(), writer.faults)
}

/// What a look at the fields finds: those that cannot be written.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults(u8);

impl Faults {
    const TOO_LONG: u8 = 1;
    const NUL: u8 = 2;

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    const fn note(&mut self, fault: u8, is_there: bool) {
        self.0 |= if is_there { fault } else { 0 };
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    const fn too_long(&mut self, len: usize) {
        self.note(Self::TOO_LONG, len > u16::MAX as usize);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) const fn check(self) -> Result<(), EncodeError> {
        if self.0 == 0 {
            return Ok(());
        }
        Err(if self.0 & Self::TOO_LONG != 0 {
            EncodeError::TooLong
        } else {
            EncodeError::NulInString
        })
    }
}

/// Looks at the fields, for a buffer in which nothing may be left behind that is refused.
#[cfg(feature = "bytes")]
#[derive(Default)]
pub(crate) struct Inspect(pub(crate) Faults);

#[cfg(feature = "bytes")]
impl Sink for Inspect {
    #[inline]
    fn bytes(&mut self, _: &[u8]) {}

    #[inline]
    fn binary(&mut self, bytes: &[u8]) {
        self.0.too_long(bytes.len());
    }

    #[inline]
    fn string(&mut self, text: &str) {
        self.binary(text.as_bytes());
        self.0.note(Faults::NUL, has_nul(text.as_bytes()));
    }

    #[inline]
    fn with_len(&mut self, write: impl WriteTo) {
        write.write_to(self);
    }
}

/// Writes to the front of a buffer that was measured before, and looks at the fields as they pass; what does not fit is dropped.
pub(crate) struct Writer<'b> {
    /// Where the next field goes.
    rest: &'b mut [u8],
    faults: Faults,
}

impl<'b> Writer<'b> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn new(buffer: &'b mut [u8]) -> Self {
        let faults = Faults::default();
        Self {
            rest: buffer,
            faults,
        }
    }

    /// Nothing that was written may be used otherwise.
    ///
    /// # Errors
    /// A field that is too long, or a string that holds U+0000.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) const fn finish(self) -> Result<(), EncodeError> {
        self.faults.check()
    }

    /// Room for a field.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn claim(&mut self, len: usize) -> Option<&'b mut [u8]> {
        let (room, rest) = core::mem::take(&mut self.rest).split_at_mut_checked(len)?;
        self.rest = rest;
        Some(room)
    }

    /// Room for the length of a field and the field.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn claim_field(&mut self, len: usize) -> Option<&'b mut [u8]> {
        self.faults.too_long(len);
        // A slice is never so long that this wraps.
        let room = self.claim(len.wrapping_add(2))?;
        let (prefix, room) = room.split_first_chunk_mut()?;
        *prefix = (len as u16).to_be_bytes();
        Some(room)
    }
}

impl Writer<'_> {
    /// Copies byte by byte, and notes this fault if one of them is zero.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn bytewise(&mut self, bytes: &[u8], fault: u8) {
        let room = core::mem::take(&mut self.rest);
        let Some((to, rest)) = room.split_at_mut_checked(bytes.len()) else {
            return;
        };
        self.rest = rest;
        let has_nul = copy_bytewise(to, bytes);
        self.faults.note(fault, has_nul);
    }
}

impl Sink for Writer<'_> {
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn bytes(&mut self, bytes: &[u8]) {
        if SMALL {
            return self.bytewise(bytes, 0);
        }
        if let Some(room) = self.claim(bytes.len()) {
            room.copy_from_slice(bytes);
        }
    }

    /// One look at the room for both.
    #[cfg(target_pointer_width = "64")]
    #[inline(always)]
    fn tagged<const N: usize>(&mut self, id: u8, value: [u8; N]) {
        if let Some([first, rest @ ..]) = self.claim(1 + N) {
            *first = id;
            rest.copy_from_slice(&value);
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn varint(&mut self, value: u32) {
        if SMALL {
            let mut head = [0; 5];
            let len = FixedHeader::write(0, value, &mut head);
            return self.bytes(head.get(1..len).unwrap_or_default());
        }
        if value <= 0x7f {
            return self.u8(value as u8);
        }
        // The seven bits of each byte, lowest first; all bytes but the last say that another follows.
        let [a, b, c, d] = [0, 7, 14, 21].map(|shift| (value >> shift) as u8 | 0x80);
        match value {
            0..=0x3fff => self.bytes(&[a, b & 0x7f]),
            0x4000..=0x1f_ffff => self.bytes(&[a, b, c & 0x7f]),
            _ => self.bytes(&[a, b, c, d & 0x7f]),
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn binary(&mut self, bytes: &[u8]) {
        if SMALL {
            self.faults.too_long(bytes.len());
            self.u16(bytes.len() as u16);
            return self.bytes(bytes);
        }
        if let Some(room) = self.claim_field(bytes.len()) {
            copy_bytes(room, bytes);
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn string(&mut self, text: &str) {
        if SMALL {
            self.faults.too_long(text.len());
            self.u16(text.len() as u16);
            return self.bytewise(text.as_bytes(), Faults::NUL);
        }
        if let Some(room) = self.claim_field(text.len()) {
            self.faults
                .note(Faults::NUL, copy_text(room, text.as_bytes()));
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn list(&mut self, list: &[Property<'_>]) {
        let (len, faults) = write_list(list, self.rest);
        self.faults.0 |= faults.0;
        self.claim(len);
    }

    /// Guesses that the length takes one byte, and moves what was written when it takes more.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn with_len(&mut self, write: impl WriteTo) {
        if SMALL {
            // Counting first saves the code that moves bytes.
            let mut count = Count::default();
            write.write_to(&mut count);
            self.varint(to_u32(count.0));
            write.write_to(self);
            return;
        }
        let start = core::mem::take(&mut self.rest);
        let Some((prefix, room)) = start.split_first_mut() else {
            return;
        };
        let whole = room.len();
        let mut writer = Writer {
            rest: room,
            faults: self.faults,
        };
        write.write_to(&mut writer);
        self.faults = writer.faults;
        let len = whole - writer.rest.len();
        let behind = if len > 0x7f {
            make_room(start, len)
        } else {
            *prefix = len as u8;
            1 + len
        };
        self.rest = start.get_mut(behind..).unwrap_or_default();
    }
}

/// Moves `len` bytes behind the first so that their length fits in front of them, and gives the length of both.
fn make_room(start: &mut [u8], len: usize) -> usize {
    let prefix = varint::len(to_u32(len));
    #[cfg(mutation = "fuzz-list-moved")]
    let prefix = prefix.min(2);
    if prefix + len <= start.len() {
        start.copy_within(1..=len, prefix);
        Writer::new(start).varint(to_u32(len));
    }
    prefix + len
}
