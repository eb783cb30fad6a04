//! Headers: of the store, of a segment, of a group. Each has a checksum of its own, and names the store that it belongs to.

/// The version of all that this module writes; a store of a later one is not opened.
pub(super) const VERSION: u8 = 1;

/// Says which store a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// A random number.
    pub(super) store: u64,
}

/// The beginning of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) store: u64,
    pub(super) id: u32,
    /// Of the whole file, in bytes.
    pub(super) len: u64,
}

/// The beginning of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupHeader {
    pub(super) kind: GroupKind,
    /// All groups before this one were durable before this one was written.
    pub(super) after_sync: bool,
    /// Of the payload, in bytes.
    pub(super) len: u32,
    /// CRC-32C of the payload.
    pub(super) sum: u32,
    /// Grows by one from group to group.
    pub(super) seq: u64,
    pub(super) segment: u32,
    /// The store, in fewer bits: what another one has left in a file is not taken for ours.
    pub(super) store: u32,
    /// The store's clock.
    pub(super) clock: u64,
    /// The time of day, in milliseconds of the Unix epoch.
    pub(super) wall: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupKind {
    /// Batches of records.
    Data,
    /// Nothing: says that everything before it is durable. The next group takes its place and its number.
    Mark,
    /// The log goes on in the next segment.
    End,
    /// The broker was stopped in good order.
    Closed,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// They do not look like one.
    Foreign,
    /// They look like one, and their checksum is wrong.
    Damaged,
    /// They are one of a version that is not known here.
    Version(u8),
}

/// The length of an identity file.
pub(super) const IDENTITY: usize = 24;
/// The length of a segment's header: its first group begins there.
pub(super) const SEGMENT: usize = 40;
/// The length of a group's header.
pub(super) const GROUP: usize = 52;

const STORE_MAGIC: [u8; 7] = *b"mqttstr";
const SEGMENT_MAGIC: [u8; 7] = *b"mqttlog";
pub(super) const GROUP_MAGIC: [u8; 4] = *b"\xF5mqg";

/// Bits of a store's number that groups carry.
pub(super) const fn short(store: u64) -> u32 {
    (store ^ store >> 32) as u32
}

fn seal<const N: usize>(mut bytes: [u8; N]) -> [u8; N] {
    let (front, sum) = bytes.split_at_mut(N - 4);
    sum.copy_from_slice(&crc32c::crc32c(front).to_le_bytes());
    bytes
}

fn open<const N: usize>(
    bytes: &[u8],
    magic: &[u8],
    version_at: usize,
) -> Result<[u8; N], NoHeader> {
    let bytes: [u8; N] = bytes
        .get(..N)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(NoHeader::Foreign)?;
    if !bytes.starts_with(magic) {
        return Err(NoHeader::Foreign);
    }
    let (front, sum) = bytes.split_at(N - 4);
    if crc32c::crc32c(front).to_le_bytes() != sum {
        return Err(NoHeader::Damaged);
    }
    match bytes.get(version_at) {
        Some(&VERSION) => Ok(bytes),
        Some(&other) => Err(NoHeader::Version(other)),
        None => Err(NoHeader::Foreign),
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    // The callers read inside of arrays whose length they know.
    bytes
        .get(at..at + N)
        .and_then(|field| field.try_into().ok())
        .unwrap_or([0; N])
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + field.len()) {
        place.copy_from_slice(field);
    }
}

impl Identity {
    pub(super) fn to_bytes(self) -> [u8; IDENTITY] {
        let mut bytes = [0; IDENTITY];
        put(&mut bytes, 0, &STORE_MAGIC);
        put(&mut bytes, 7, &[VERSION]);
        put(&mut bytes, 8, &self.store.to_le_bytes());
        seal(bytes)
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, NoHeader> {
        let bytes = open::<IDENTITY>(bytes, &STORE_MAGIC, 7)?;
        Ok(Self {
            store: u64::from_le_bytes(field(&bytes, 8)),
        })
    }
}

impl SegmentHeader {
    pub(super) fn to_bytes(self) -> [u8; SEGMENT] {
        let mut bytes = [0; SEGMENT];
        put(&mut bytes, 0, &SEGMENT_MAGIC);
        put(&mut bytes, 7, &[VERSION]);
        put(&mut bytes, 8, &self.store.to_le_bytes());
        put(&mut bytes, 16, &self.id.to_le_bytes());
        put(&mut bytes, 24, &self.len.to_le_bytes());
        seal(bytes)
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, NoHeader> {
        let bytes = open::<SEGMENT>(bytes, &SEGMENT_MAGIC, 7)?;
        Ok(Self {
            store: u64::from_le_bytes(field(&bytes, 8)),
            id: u32::from_le_bytes(field(&bytes, 16)),
            len: u64::from_le_bytes(field(&bytes, 24)),
        })
    }
}

impl GroupHeader {
    pub(super) fn to_bytes(self) -> [u8; GROUP] {
        let mut bytes = [0; GROUP];
        put(&mut bytes, 0, &GROUP_MAGIC);
        put(
            &mut bytes,
            4,
            &[VERSION, self.kind as u8, self.after_sync.into()],
        );
        put(&mut bytes, 8, &self.len.to_le_bytes());
        put(&mut bytes, 12, &self.sum.to_le_bytes());
        put(&mut bytes, 16, &self.seq.to_le_bytes());
        put(&mut bytes, 24, &self.segment.to_le_bytes());
        put(&mut bytes, 28, &self.store.to_le_bytes());
        put(&mut bytes, 32, &self.clock.to_le_bytes());
        put(&mut bytes, 40, &self.wall.to_le_bytes());
        seal(bytes)
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, NoHeader> {
        let bytes = open::<GROUP>(bytes, &GROUP_MAGIC, 4)?;
        let [kind, after_sync] = field(&bytes, 5);
        let kind = match kind {
            0 => GroupKind::Data,
            1 => GroupKind::Mark,
            2 => GroupKind::End,
            3 => GroupKind::Closed,
            _ => return Err(NoHeader::Damaged),
        };
        Ok(Self {
            kind,
            after_sync: after_sync != 0,
            len: u32::from_le_bytes(field(&bytes, 8)),
            sum: u32::from_le_bytes(field(&bytes, 12)),
            seq: u64::from_le_bytes(field(&bytes, 16)),
            segment: u32::from_le_bytes(field(&bytes, 24)),
            store: u32::from_le_bytes(field(&bytes, 28)),
            clock: u64::from_le_bytes(field(&bytes, 32)),
            wall: u64::from_le_bytes(field(&bytes, 40)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_flipped_bits_are_seen() {
        let identity = Identity {
            store: u64::MAX - 7,
        };
        let segment = SegmentHeader {
            store: 1 << 60,
            id: 9,
            len: 1 << 33,
        };
        let group = GroupHeader {
            kind: GroupKind::Closed,
            after_sync: true,
            len: 7,
            sum: 8,
            seq: 1 << 50,
            segment: 3,
            store: short(1 << 60),
            clock: 5,
            wall: 1 << 41,
        };
        assert_eq!(Identity::read(&identity.to_bytes()), Ok(identity));
        assert_eq!(SegmentHeader::read(&segment.to_bytes()), Ok(segment));
        assert_eq!(GroupHeader::read(&group.to_bytes()), Ok(group));
        for bit in 0..GROUP * 8 {
            let mut bytes = group.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(GroupHeader::read(&bytes).is_err(), "bit {bit}");
        }
        assert_eq!(GroupHeader::read(&[0; GROUP]), Err(NoHeader::Foreign));
        assert_eq!(
            GroupHeader::read(&group.to_bytes()[1..]),
            Err(NoHeader::Foreign)
        );
    }

    #[test]
    fn another_version_is_told() {
        let mut bytes = Identity { store: 1 }.to_bytes();
        bytes[7] = 9;
        assert_eq!(Identity::read(&seal(bytes)), Err(NoHeader::Version(9)));
    }
}
