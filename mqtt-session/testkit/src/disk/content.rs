//! What is in a simulated file: of every sector what the disk has, what a reader sees, and what was written between two syncs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::power::Cut;
use crate::rng::Rng;

/// Bytes of a sector: of what is not synced, a disk keeps or loses so many at once.
pub const SECTOR: usize = 512;

/// The bytes of a sector; `None` when all are zero, so that a file full of zeroes costs nothing.
type Block = Option<Arc<[u8; SECTOR]>>;

const ZEROES: [u8; SECTOR] = [0; SECTOR];

/// A sector that was ever written.
#[derive(Clone, Debug, Default)]
struct Sector {
    /// What is on the disk for certain.
    disk: Block,
    /// What the system has in memory and believes to be on the disk, when that is something else: a sync has failed.
    memory: Option<Block>,
    /// What was written since the last sync, with the number of the call; the disk may have any of it.
    pending: Vec<(u64, Block)>,
}

impl Sector {
    /// What a reader sees.
    fn seen(&self) -> &Block {
        let latest = self.pending.last().map(|(_, block)| block);
        latest.or(self.memory.as_ref()).unwrap_or(&self.disk)
    }

    fn bytes(&self) -> &[u8; SECTOR] {
        self.seen().as_deref().unwrap_or(&ZEROES)
    }

    /// What a cut of the power leaves.
    fn cut(&self, cut: &Cut, rng: &mut Rng) -> Block {
        let kept = cut.version(self.pending.iter().map(|(call, _)| *call), rng);
        let version = |n: usize| match n.checked_sub(1) {
            Some(at) => self.pending.get(at).map_or(&self.disk, |(_, block)| block),
            None => &self.disk,
        };
        let block = version(kept).clone();
        // Torn inside: the beginning of one version, the end of another.
        if cut.tears() && !self.pending.is_empty() && rng.one_in(8) {
            let other = version(rng.below(self.pending.len() + 1));
            let mut bytes = *block.as_deref().unwrap_or(&ZEROES);
            let at = rng.below(SECTOR);
            bytes[at..].copy_from_slice(&other.as_deref().unwrap_or(&ZEROES)[at..]);
            return packed(&bytes);
        }
        block
    }
}

fn packed(bytes: &[u8; SECTOR]) -> Block {
    (*bytes != ZEROES).then(|| Arc::new(*bytes))
}

/// A file without its name.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    sectors: BTreeMap<u64, Sector>,
    len: u64,
    disk_len: u64,
    /// Lengths since the last sync, with the numbers of the calls.
    pending_len: Vec<(u64, u64)>,
    /// Sectors that cannot be read.
    bad: BTreeSet<u64>,
}

/// A sector of the file cannot be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bad;

impl Content {
    /// A file that is on the disk as it is.
    pub(super) fn durable(bytes: &[u8]) -> Self {
        let mut content = Self::default();
        content.write(0, bytes, 0);
        content.sync();
        content
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Bad> {
        let left = self.len.saturating_sub(offset);
        let n = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        for (sector, from, to) in pieces(offset, n) {
            if self.bad.contains(&sector) {
                return Err(Bad);
            }
            let start = (sector * SECTOR as u64 + from as u64 - offset) as usize;
            let part = &mut buffer[start..start + to - from];
            match self.sectors.get(&sector) {
                Some(known) => part.copy_from_slice(&known.bytes()[from..to]),
                None => part.fill(0),
            }
        }
        Ok(n)
    }

    /// Everything that a reader sees.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len as usize];
        for (&sector, known) in &self.sectors {
            let start = sector as usize * SECTOR;
            if let Some(rest) = bytes.get_mut(start..) {
                let n = rest.len().min(SECTOR);
                rest[..n].copy_from_slice(&known.bytes()[..n]);
            }
        }
        bytes
    }

    pub(super) fn write(&mut self, call: u64, bytes: &[u8], offset: u64) {
        for (sector, from, to) in pieces(offset, bytes.len()) {
            let start = (sector * SECTOR as u64 + from as u64 - offset) as usize;
            let part = &bytes[start..start + to - from];
            if part.len() == SECTOR {
                // Another place on the disk is taken for it.
                self.bad.remove(&sector);
            }
            self.put(call, sector, |block| block[from..to].copy_from_slice(part));
        }
        let end = offset + bytes.len() as u64;
        if !bytes.is_empty() && end > self.len {
            self.set_len(call, end);
        }
    }

    fn put(&mut self, call: u64, sector: u64, change: impl FnOnce(&mut [u8; SECTOR])) {
        let known = self.sectors.get(&sector);
        let mut block = known.map_or(ZEROES, |known| *known.bytes());
        change(&mut block);
        // Zeroes on zeroes that nobody has to write: filling a new file stays cheap.
        if known.is_none() && block == ZEROES {
            return;
        }
        let known = self.sectors.entry(sector).or_default();
        known.pending.push((call, packed(&block)));
    }

    /// Empties it.
    pub(super) fn clear(&mut self, call: u64) {
        let sectors: Vec<u64> = self.sectors.keys().copied().collect();
        for sector in sectors {
            self.put(call, sector, |block| *block = ZEROES);
        }
        if self.len != 0 {
            self.set_len(call, 0);
        }
    }

    fn set_len(&mut self, call: u64, len: u64) {
        self.len = len;
        self.pending_len.push((call, len));
    }

    /// Makes everything durable; says how many bytes that were.
    pub(super) fn sync(&mut self) -> u64 {
        let mut synced = 0;
        for known in self.sectors.values_mut() {
            if let Some((_, block)) = known.pending.pop() {
                synced += SECTOR as u64;
                known.pending.clear();
                (known.disk, known.memory) = (block, None);
            }
        }
        self.disk_len = self.len;
        self.pending_len.clear();
        synced
    }

    /// A sync that fails: the disk has any of what was written, a reader sees either, and the system holds everything to be written:
    /// the next sync finds nothing to do. Linux does that.
    pub(super) fn sync_fails(&mut self, cut: &Cut, rng: &mut Rng) {
        let forgets = rng.one_in(4);
        for known in self.sectors.values_mut() {
            if known.pending.is_empty() {
                continue;
            }
            let seen = known.seen().clone();
            known.disk = known.cut(cut, rng);
            known.pending.clear();
            known.memory = (!forgets).then_some(seen);
        }
        self.disk_len = self.cut_len(cut, rng);
        self.pending_len.clear();
    }

    fn cut_len(&self, cut: &Cut, rng: &mut Rng) -> u64 {
        let kept = cut.version(self.pending_len.iter().map(|(call, _)| *call), rng);
        let version = |n: usize| match n.checked_sub(1) {
            Some(at) => self
                .pending_len
                .get(at)
                .map_or(self.disk_len, |(_, len)| *len),
            None => self.disk_len,
        };
        let len = version(kept);
        // Grown by a part of what was written: a length is on its way as anything else.
        if cut.tears() && kept > 0 && rng.one_in(4) {
            let before = version(kept - 1);
            let grown = len.saturating_sub(before);
            return before.min(len) + rng.below(grown as usize + 1) as u64;
        }
        len
    }

    /// What a cut of the power leaves.
    pub(super) fn cut(&self, cut: &Cut, rng: &mut Rng) -> Self {
        let mut left = Self {
            len: self.cut_len(cut, rng),
            bad: self.bad.clone(),
            ..Self::default()
        };
        left.disk_len = left.len;
        for (&sector, known) in &self.sectors {
            let mut disk = known.cut(cut, rng);
            // Nothing is behind the end of a file: it reads as zeroes when the file grows again.
            let start = sector * SECTOR as u64;
            let inside = left.len.saturating_sub(start).min(SECTOR as u64) as usize;
            if inside < SECTOR
                && let Some(block) = disk.as_deref()
            {
                let mut block = *block;
                block[inside..].fill(0);
                disk = packed(&block);
            }
            if disk.is_some() {
                let sector = left.sectors.entry(sector).or_default();
                sector.disk = disk;
            }
        }
        left
    }

    /// The number of the first call of which something is not synced.
    pub(super) fn oldest(&self) -> Option<u64> {
        let pending = self.sectors.values().filter_map(|it| it.pending.first());
        let calls = pending.map(|(call, _)| *call);
        calls
            .chain(self.pending_len.first().map(|(call, _)| *call))
            .min()
    }

    /// Changes a byte wherever it is kept, as if it had been written so.
    pub(super) fn damage(&mut self, offset: u64, change: impl Fn(u8) -> u8) {
        let at = (offset % SECTOR as u64) as usize;
        let known = self.sectors.entry(offset / SECTOR as u64).or_default();
        let kept = known.pending.iter_mut().map(|(_, block)| block);
        for block in kept.chain(&mut known.memory).chain([&mut known.disk]) {
            let mut bytes = *block.as_deref().unwrap_or(&ZEROES);
            bytes[at] = change(bytes[at]);
            *block = packed(&bytes);
        }
    }

    /// The sector at this offset cannot be read any more, until it is written as a whole.
    pub(super) fn spoil(&mut self, offset: u64) {
        self.bad.insert(offset / SECTOR as u64);
    }
}

/// The sectors that so many bytes from an offset on touch: which, and from where to where inside of it.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut at = offset;
    let end = offset + len as u64;
    core::iter::from_fn(move || {
        if at == end {
            return None;
        }
        let sector = at / SECTOR as u64;
        let start = sector * SECTOR as u64;
        let stop = end.min(start + SECTOR as u64);
        let piece = (sector, (at - start) as usize, (stop - start) as usize);
        at = stop;
        Some(piece)
    })
}
