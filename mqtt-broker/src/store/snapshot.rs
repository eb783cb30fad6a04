//! Everything but messages, as it stood between two groups: what replay begins with.
//!
//! A header of fixed length says between which groups and has the checksums; it is written last. `content.rs` has what stands behind it.

use std::io;

use super::content;
use super::files::{File, write_all};
use super::header::VERSION;
use super::index::Index;
use super::shelf::Shelf;
use super::varint::Wrong;
use crate::core::Image;

/// Where a snapshot stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The number of the group that follows.
    pub(super) seq: u64,
    /// Where that stands.
    pub(super) segment: u32,
    pub(super) offset: u32,
    /// The clocks when it was written.
    pub(super) clock: u64,
    pub(super) wall: u64,
}

const MAGIC: [u8; 7] = *b"mqttsnp";
const HEADER: usize = 72;
/// What is written at once.
const PIECE: usize = 256 * 1024;

/// Bytes on their way to a file.
pub(super) struct Out<'f> {
    file: &'f dyn File,
    pub(super) bytes: Vec<u8>,
    at: u64,
    sum: u32,
}

impl Out<'_> {
    /// To be called now and then: writes what has gathered.
    pub(super) fn flow(&mut self) -> io::Result<()> {
        if self.bytes.len() >= PIECE {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sum = crc32c::crc32c_append(self.sum, &self.bytes);
        write_all(self.file, &self.bytes, self.at)?;
        self.at += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}

/// Writes a snapshot into an empty file; says how long it is. Nothing is synced.
pub(super) fn write(
    file: &dyn File,
    store: u64,
    position: Position,
    image: &Image,
    shelf: &Shelf,
) -> io::Result<u64> {
    let mut out = Out {
        file,
        bytes: Vec::with_capacity(PIECE + 4096),
        at: HEADER as u64,
        sum: 0,
    };
    content::write(&mut out, image, shelf)?;
    out.flush()?;
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&MAGIC);
    header.push(VERSION);
    for field in [
        store,
        out.at,
        position.seq,
        u64::from(position.segment) << 32 | u64::from(position.offset),
        position.clock,
        position.wall,
        u64::from(out.sum),
    ] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    let sum = crc32c::crc32c(&header);
    header.extend_from_slice(&u64::from(sum).to_le_bytes());
    debug_assert_eq!(header.len(), HEADER);
    write_all(file, &header, 0)?;
    Ok(out.at)
}

/// A snapshot that was read.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) store: u64,
    pub(super) position: Position,
    pub(super) image: Image,
    pub(super) index: Index,
}

/// The version of a snapshot that is whole and of another one than ours.
pub(super) fn other_version(bytes: &[u8]) -> Option<u8> {
    let (front, sum) = bytes.get(..HEADER)?.split_at(HEADER - 8);
    let version = *front.strip_prefix(&MAGIC)?.first()?;
    let whole = u64::from(crc32c::crc32c(front)).to_le_bytes() == sum;
    (whole && version != VERSION).then_some(version)
}

/// Reads a snapshot.
pub(super) fn read(bytes: &[u8]) -> Result<Snapshot, Wrong> {
    let wrong = |at, what| Wrong { at, what };
    let (header, content) = bytes
        .split_at_checked(HEADER)
        .ok_or_else(|| wrong(0, "it is shorter than its header"))?;
    let (front, sum) = header.split_at(HEADER - 8);
    if !front.starts_with(&MAGIC) {
        return Err(wrong(0, "it is no snapshot"));
    }
    if u64::from(crc32c::crc32c(front)).to_le_bytes() != sum {
        return Err(wrong(0, "the checksum of its header is wrong"));
    }
    if front.get(MAGIC.len()) != Some(&VERSION) {
        return Err(wrong(
            MAGIC.len(),
            "it is of a version that is not known here",
        ));
    }
    let field = |number: usize| {
        let at = MAGIC.len() + 1 + number * 8;
        let field = front
            .get(at..at + 8)
            .and_then(|field| field.try_into().ok());
        u64::from_le_bytes(field.unwrap_or_default())
    };
    if bytes.len() as u64 != field(1) {
        return Err(wrong(bytes.len(), "it is not as long as it says"));
    }
    if u64::from(crc32c::crc32c(content)) != field(6) {
        return Err(wrong(HEADER, "the checksum of its content is wrong"));
    }
    let inside = |wrong: Wrong| Wrong {
        at: wrong.at + HEADER,
        ..wrong
    };
    let (image, index) = content::read(content).map_err(inside)?;
    Ok(Snapshot {
        store: field(0),
        position: Position {
            seq: field(2),
            segment: (field(3) >> 32) as u32,
            offset: field(3) as u32,
            clock: field(4),
            wall: field(5),
        },
        image,
        index,
    })
}
