//! Chunk after chunk of the file, none longer than what is there.

use std::io::{BufRead, Seek, SeekFrom};

use super::chunk::Stored;
use super::error::MosquittoError;

/// What the file begins with.
pub(super) const MAGIC: [u8; 15] = *b"\x00\xb5\x00mosquitto db";
/// The version of the format that Mosquitto 2.0 writes.
const VERSION: u32 = 6;
/// The magic, a checksum that is not used, and the version.
pub(super) const HEADER_LEN: u64 = 23;
/// The kind of a chunk and its length.
const CHUNK_HEADER_LEN: u64 = 8;

/// Kinds of chunks.
pub(super) mod kind {
    pub(in super::super) const CONFIG: u32 = 1;
    pub(in super::super) const STORED: u32 = 2;
    pub(in super::super) const CLIENT_MESSAGE: u32 = 3;
    pub(in super::super) const RETAINED: u32 = 4;
    pub(in super::super) const SUBSCRIPTION: u32 = 5;
    pub(in super::super) const CLIENT: u32 = 6;
}

/// Reads chunk after chunk.
#[derive(Debug)]
pub(super) struct Chunks<R> {
    input: R,
    /// Bytes of the file.
    len: u64,
    /// Where the next chunk begins.
    at: u64,
    /// The content of the chunk that was read last.
    pub(super) content: Vec<u8>,
}

/// Where a chunk stands, and what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) offset: u64,
    pub(super) kind: u32,
    len: u64,
}

impl<R: BufRead + Seek> Chunks<R> {
    /// Reads the header of the file.
    pub(super) fn open(mut input: R) -> Result<Self, MosquittoError> {
        let len = input
            .seek(SeekFrom::End(0))
            .and_then(|len| input.rewind().map(|()| len))
            .map_err(|source| MosquittoError::read(0, source))?;
        let mut chunks = Self {
            input,
            len,
            at: 0,
            content: Vec::new(),
        };
        if len < HEADER_LEN {
            let why = format!("it has {len} bytes, less than its header");
            return Err(MosquittoError::damaged(0, why));
        }
        chunks.fill(0, HEADER_LEN)?;
        let (magic, rest) = chunks.content.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(MosquittoError::not_mosquitto());
        }
        let version = rest.last_chunk().copied().map_or(0, u32::from_be_bytes);
        if version != VERSION {
            return Err(MosquittoError::version(19, version));
        }
        chunks.at = HEADER_LEN;
        Ok(chunks)
    }

    fn fill(&mut self, offset: u64, len: u64) -> Result<(), MosquittoError> {
        // No more than the file has: whoever calls has looked.
        self.content.resize(usize::try_from(len).unwrap_or(0), 0);
        let read = self.input.read_exact(&mut self.content);
        read.map_err(|source| MosquittoError::read(offset, source))
    }

    /// Where the next chunk begins.
    pub(super) const fn position(&self) -> u64 {
        self.at
    }

    /// Moves to a chunk.
    pub(super) fn seek(&mut self, offset: u64) -> Result<(), MosquittoError> {
        if offset != self.at {
            let distance = offset.wrapping_sub(self.at).cast_signed();
            let moved = self.input.seek_relative(distance);
            moved.map_err(|source| MosquittoError::read(offset, source))?;
            self.at = offset;
        }
        Ok(())
    }

    /// The next chunk's head; `None` at the end of the file.
    fn head(&mut self) -> Result<Option<Head>, MosquittoError> {
        let offset = self.at;
        let left = self.len.saturating_sub(offset);
        if left == 0 {
            return Ok(None);
        }
        if left < CHUNK_HEADER_LEN {
            let why = format!("{left} bytes are left, less than the header of a chunk");
            return Err(MosquittoError::damaged(offset, why));
        }
        self.fill(offset, CHUNK_HEADER_LEN)?;
        self.at += CHUNK_HEADER_LEN;
        let number = |bytes: Option<&[u8; 4]>| bytes.copied().map_or(0, u32::from_be_bytes);
        let head = Head {
            offset,
            kind: number(self.content.first_chunk()),
            len: number(self.content.last_chunk()).into(),
        };
        let left = left - CHUNK_HEADER_LEN;
        if head.len > left {
            let why = format!(
                "a chunk should have {} bytes, and {left} are left",
                head.len
            );
            return Err(MosquittoError::damaged(offset, why));
        }
        Ok(Some(head))
    }

    /// Reads the next chunk with its content; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Head>, MosquittoError> {
        let Some(head) = self.head()? else {
            return Ok(None);
        };
        self.fill(head.offset, head.len)?;
        self.at += head.len;
        Ok(Some(head))
    }

    /// Reads the message whose chunk begins there; it was one before.
    pub(super) fn stored(&mut self, offset: u64) -> Result<Stored<'_>, MosquittoError> {
        self.seek(offset)?;
        self.next()?;
        Stored::parse(&self.content).map_err(|why| MosquittoError::damaged(offset, why))
    }

    /// Reads the next chunk that is a message of a client, and passes over others.
    pub(super) fn next_client_message(&mut self) -> Result<Option<Head>, MosquittoError> {
        while let Some(head) = self.head()? {
            let behind = self.at + head.len;
            if head.kind == kind::CLIENT_MESSAGE {
                self.fill(head.offset, head.len)?;
                self.at = behind;
                return Ok(Some(head));
            }
            self.seek(behind)?;
        }
        Ok(None)
    }
}
