//! From files to a log that goes on: what is there is read, checked and taken.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::error::StoreError;
use super::files::{File, Files, read_all, write_all};
use super::header::{GroupHeader, IDENTITY, Identity, NoHeader, SEGMENT, SegmentHeader, short};
use super::log::{Log, Opened};
use super::mend;
use super::names::{self, Name};
use super::options::Options;
use super::replay::Replay;
use super::report::Report;
use super::shelf::Shelf;
use super::snapshot::{self, Position, Snapshot};
use super::tail::{Clocks, Next, Segment, Tail};

/// A segment that is there.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: Arc<dyn File>,
    pub(super) len: u64,
    pub(super) header: Result<SegmentHeader, NoHeader>,
}

impl Found {
    /// Why it cannot be the segment of this number.
    pub(super) fn fault(&self, id: u32, store: u64) -> Option<StoreError> {
        let damaged = |offset, what: &str| {
            Some(StoreError::Damaged {
                file: names::segment(id),
                offset,
                what: what.into(),
            })
        };
        match self.header {
            Ok(header) if header.store != store => damaged(8, "it belongs to another store"),
            Ok(header) if header.id != id => damaged(
                16,
                &format!("it is segment {} under another's name", header.id),
            ),
            Ok(header) if header.len != self.len => damaged(
                self.len.min(header.len),
                &format!("it has {} bytes, and says {}", self.len, header.len),
            ),
            Ok(_) => None,
            Err(NoHeader::Version(version)) => Some(StoreError::Version {
                file: names::segment(id),
                version,
            }),
            Err(_) if self.len == 0 => damaged(0, "it is empty"),
            Err(_) => damaged(0, "its header is not readable"),
        }
    }
}

/// What a directory holds.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) store: u64,
    /// The last group before the broker was stopped in good order; 0 when it never was.
    pub(super) closed: u64,
    pub(super) segments: BTreeMap<u32, Found>,
    /// In ascending order.
    snapshots: Vec<u64>,
    unfinished: Vec<String>,
}

/// Opens a store, or makes a new one. `wall` is the time of day in milliseconds of the Unix epoch.
pub(super) fn open(
    files: Arc<dyn Files>,
    options: &Options,
    wall: u64,
) -> Result<(Log, Report), StoreError> {
    let mut report = Report::default();
    let mend = options.repair.then_some(&mut report);
    let opened = match survey(&*files, mend)? {
        Some(contents) => read(&*files, contents, options, wall, &mut report)?,
        None => create(&*files, options, wall)?,
    };
    report.count(&opened);
    let mut log = Log::start(files, options, opened);
    if report.repaired {
        log.settle_repair()?;
    }
    Ok((log, report))
}

/// Looks at what is there; `None` is nothing. With a report to write to, it is for a repair.
pub(super) fn survey(
    files: &dyn Files,
    repair: Option<&mut Report>,
) -> Result<Option<Contents>, StoreError> {
    let mut contents = Contents {
        store: 0,
        closed: 0,
        segments: BTreeMap::new(),
        snapshots: Vec::new(),
        unfinished: Vec::new(),
    };
    let mut identity = false;
    for name in files
        .list()
        .map_err(StoreError::io("the directory cannot be read"))?
    {
        match Name::of(&name) {
            Name::Identity => identity = true,
            Name::Segment(id) => {
                contents.segments.insert(id, found(files, &name)?);
            }
            Name::Snapshot(seq) => contents.snapshots.push(seq),
            Name::Unfinished => contents.unfinished.push(name),
            Name::Foreign if name == names::IMPORTING => return Err(StoreError::Unfinished),
            Name::Foreign => {}
        }
    }
    contents.snapshots.sort_unstable();
    if !identity {
        return match (begun(files, &contents), repair) {
            (Ok(()), _) => Ok(None),
            (Err(missing @ StoreError::Missing { .. }), Some(report)) => {
                mend::identity(files, &mut contents, missing, report)?;
                Ok(Some(contents))
            }
            (Err(error), _) => Err(error),
        };
    }
    let bytes = files
        .open(names::IDENTITY)
        .and_then(|file| read_all(&*file));
    let bytes = bytes.map_err(StoreError::io(format!(
        "{} cannot be read",
        names::IDENTITY
    )))?;
    match (Identity::read(&bytes), repair) {
        (Ok(identity), _) => contents.store = identity.store,
        (Err(NoHeader::Version(version)), _) => {
            return Err(StoreError::Version {
                file: names::IDENTITY.into(),
                version,
            });
        }
        (Err(_), Some(report)) => {
            mend::identity(files, &mut contents, damaged_identity(), report)?;
        }
        (Err(_), None) => return Err(damaged_identity()),
    }
    contents.closed = closed(&bytes);
    Ok(Some(contents))
}

fn damaged_identity() -> StoreError {
    StoreError::Damaged {
        file: names::IDENTITY.into(),
        offset: 0,
        what: "it is not what was written".into(),
    }
}

fn found(files: &dyn Files, name: &str) -> Result<Found, StoreError> {
    let look = || -> io::Result<Found> {
        let file = files.open(name)?;
        let len = file.len()?;
        let mut bytes = [0; SEGMENT];
        let read = super::files::read_up_to(&*file, &mut bytes, 0)?;
        let header = SegmentHeader::read(bytes.get(..read).unwrap_or_default());
        Ok(Found { file, len, header })
    };
    look().map_err(StoreError::io(format!("{name} cannot be read")))
}

/// There is no identity: nothing was stored yet, or its file is gone.
fn begun(files: &dyn Files, contents: &Contents) -> Result<(), StoreError> {
    let has_groups = contents.segments.values().any(|segment| {
        let mut bytes = [0; super::header::GROUP];
        let read = super::files::read_up_to(&*segment.file, &mut bytes, SEGMENT as u64);
        read.is_err() || GroupHeader::read(&bytes).is_ok()
    });
    if has_groups || !contents.snapshots.is_empty() {
        return Err(StoreError::Missing {
            file: names::IDENTITY.into(),
            why: "there are other files of a store".into(),
        });
    }
    let segments = contents.segments.keys().map(|id| names::segment(*id));
    for name in segments.chain(contents.unfinished.iter().cloned()) {
        let removed = files.remove(&name);
        removed.map_err(StoreError::io(format!("{name} cannot be removed")))?;
    }
    Ok(())
}

/// Where the last group of a broker that was stopped in good order is noted, behind the identity.
const CLOSED_AT: u64 = IDENTITY as u64 + 8;

fn closed(bytes: &[u8]) -> u64 {
    let noted = bytes
        .get(CLOSED_AT as usize..)
        .and_then(|rest| rest.first_chunk::<12>());
    let Some((seq, sum)) = noted.and_then(|noted| noted.split_first_chunk::<8>()) else {
        return 0;
    };
    // Damaged, it proves nothing, and nothing hangs on it.
    if crc32c::crc32c(seq).to_le_bytes() == *sum {
        u64::from_le_bytes(*seq)
    } else {
        0
    }
}

/// Notes that everything up to this group is durable, and that the broker was stopped.
pub(super) fn note_closed(files: &dyn Files, seq: u64) -> io::Result<()> {
    let file = files.open(names::IDENTITY)?;
    let seq = seq.to_le_bytes();
    let sum = crc32c::crc32c(&seq).to_le_bytes();
    write_all(&*file, &[&seq[..], &sum[..]].concat(), CLOSED_AT)?;
    file.sync()
}

/// Makes a new store. Its identity comes last: without it there is none.
pub(super) fn create(
    files: &dyn Files,
    options: &Options,
    wall: u64,
) -> Result<Opened, StoreError> {
    let store = getrandom::u64().map_err(io::Error::other);
    let store = store.map_err(StoreError::io("the system has no random numbers"))?;
    let header = SegmentHeader {
        store,
        id: 1,
        len: options.segment_bytes,
    };
    let file = mend::new_segment(files, header)?;
    mend::write_identity(files, store).map_err(StoreError::io("a new store cannot be written"))?;
    let shelf = Shelf::default();
    shelf.lock().segments.insert(1, Arc::clone(&file));
    Ok(Opened {
        image: crate::core::Image::default(),
        shelf,
        tail: Tail::new(
            store,
            1,
            Segment {
                id: 1,
                file,
                len: header.len,
                at: SEGMENT as u64,
            },
        ),
        snapshot: (0, 1),
        snapshot_len: 0,
        since_snapshot: 0,
        clocks: Clocks { store: 0, wall },
    })
}

/// Reads a store that is there.
pub(super) fn read(
    files: &dyn Files,
    contents: Contents,
    options: &Options,
    wall: u64,
    report: &mut Report,
) -> Result<Opened, StoreError> {
    for name in &contents.unfinished {
        let removed = files.remove(name);
        removed.map_err(StoreError::io(format!("{name} cannot be removed")))?;
    }
    let (base, older) = snapshot(files, &contents, options.repair, report)?;
    let position = base.position;
    let snapshot_len = base.len;
    let mut replay = Replay::new(&contents, base, options.repair);
    replay.run(files, report)?;
    replay.keep_used();
    replay.check_messages(position, report)?;
    replay.settle(report)?;
    let last = replay.last();
    // What stands behind the last segment with a group was prepared, and is not needed yet; of several, something was cut.
    let mut next = Next::Missing;
    let mut superfluous = older;
    for (id, segment) in contents.segments.range(last + 1..) {
        match segment.header {
            Ok(header)
                if *id == last + 1
                    && segment.fault(*id, contents.store).is_none()
                    && !replay.was_cut() =>
            {
                next = Next::Ready(header, Arc::clone(&segment.file));
            }
            _ => superfluous.push(names::segment(*id)),
        }
    }
    // Segments that have got a header, with their lengths.
    let mut mended = BTreeMap::new();
    let room = options.segment_bytes.max(replay.room_needed());
    if options.repair {
        for (id, segment) in contents.segments.range(..=last) {
            let faulty = segment.fault(*id, contents.store).is_some();
            if faulty && (*id == last || replay.holds(*id)) {
                let least = if *id == last { room } else { 0 };
                let len = mend::segment(segment, contents.store, *id, least)?;
                mended.insert(*id, len);
            }
        }
    }
    let active = match contents.segments.get(&last) {
        Some(active) => Segment {
            id: last,
            file: Arc::clone(&active.file),
            len: mended.get(&last).copied().unwrap_or(active.len),
            at: 0,
        },
        None if options.repair => {
            let header = SegmentHeader {
                store: contents.store,
                id: last,
                len: room,
            };
            Segment {
                id: last,
                file: mend::new_segment(files, header)?,
                len: header.len,
                at: 0,
            }
        }
        None => {
            return Err(StoreError::Missing {
                file: names::segment(last),
                why: "the log goes on there".into(),
            });
        }
    };
    let file = Arc::clone(&active.file);
    let (mut tail, image, shelf, clocks) = replay.into_parts(active);
    shelf.lock().segments.insert(last, file);
    tail.next = next;
    let usable = |id: &u32, segment: &Found| {
        mended.contains_key(id) || segment.fault(*id, contents.store).is_none()
    };
    for (id, segment) in contents.segments.range(..=last) {
        if !usable(id, segment) && shelf.lock().index.live(*id) == 0 && *id != last {
            superfluous.push(names::segment(*id));
            continue;
        }
        shelf.lock().segments.insert(*id, Arc::clone(&segment.file));
        if *id != last {
            let len = mended.get(id).copied().unwrap_or(segment.len);
            tail.sealed.insert(*id, len);
        }
    }
    for name in superfluous {
        let removed = files.remove(&name);
        removed.map_err(StoreError::io(format!("{name} cannot be removed")))?;
    }
    let clocks = go_on(clocks, wall, report);
    let full: u64 = tail
        .sealed
        .range(position.segment..)
        .map(|(_, len)| len)
        .sum();
    let since_snapshot = (full + tail.active.at).saturating_sub(position.offset.into());
    Ok(Opened {
        image,
        shelf,
        tail,
        snapshot: (
            if snapshot_len == 0 { 0 } else { position.seq },
            position.segment,
        ),
        snapshot_len,
        since_snapshot,
        clocks,
    })
}

/// What replay begins with.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) position: Position,
    /// 0: there is no snapshot.
    len: u64,
    pub(super) snapshot: Option<Snapshot>,
}

/// The latest snapshot, and the names of older ones.
fn snapshot(
    files: &dyn Files,
    contents: &Contents,
    repair: bool,
    report: &mut Report,
) -> Result<(Base, Vec<String>), StoreError> {
    let mut older: Vec<String> = contents
        .snapshots
        .iter()
        .map(|seq| names::snapshot(*seq))
        .collect();
    for &seq in contents.snapshots.iter().rev() {
        let name = names::snapshot(seq);
        let bytes = files.open(&name).and_then(|file| read_all(&*file));
        let bytes = bytes.map_err(StoreError::io(format!("{name} cannot be read")))?;
        if let Some(version) = snapshot::other_version(&bytes) {
            return Err(StoreError::Version {
                file: name,
                version,
            });
        }
        let wrong = match snapshot::read(&bytes) {
            Ok(read) if read.store != contents.store => super::varint::Wrong {
                at: 8,
                what: "it belongs to another store",
            },
            Ok(read) if read.position.seq != seq => super::varint::Wrong {
                at: 24,
                what: "it is another snapshot under this name",
            },
            Ok(read) => {
                older.retain(|known| *known != name);
                let base = Base {
                    position: read.position,
                    len: bytes.len() as u64,
                    snapshot: Some(read),
                };
                return Ok((base, older));
            }
            Err(wrong) => wrong,
        };
        if !repair {
            return Err(StoreError::Damaged {
                file: name,
                offset: wrong.at as u64,
                what: wrong.what.into(),
            });
        }
        report.set_aside(files, &name, wrong.what)?;
        older.retain(|known| *known != name);
    }
    let first = contents.segments.keys().next().copied();
    match first {
        Some(1) => {}
        Some(first) if repair => report.lost(format!(
            "there is no snapshot: what happened before {} is lost",
            names::segment(first)
        )),
        _ => {
            return Err(StoreError::Missing {
                file: "the snapshot (*.snap)".into(),
                why: "the log does not begin with its first segment".into(),
            });
        }
    }
    let base = Base {
        position: Position {
            seq: 1,
            segment: first.unwrap_or(1),
            offset: SEGMENT as u32,
            clock: 0,
            wall: 0,
        },
        len: 0,
        snapshot: None,
    };
    Ok((base, older))
}

/// The store's clock goes on by the time that has passed since the last group, as far as the clock of the day tells.
fn go_on(last: Clocks, wall: u64, report: &mut Report) -> Clocks {
    let away = match wall.checked_sub(last.wall) {
        // Nothing was written yet.
        _ if last.wall == 0 => 0,
        Some(away) => away,
        None => {
            report.say(format!(
                "the clock of this machine stands {} s before the time of the last change: the time that the broker was away counts as none, and nothing expires for it",
                (last.wall - wall) / 1000
            ));
            0
        }
    };
    Clocks {
        store: last.store.saturating_add(away),
        wall,
    }
}

/// Whether a header is one of this segment of this store.
pub(super) fn belongs(header: &GroupHeader, store: u64, segment: u32) -> bool {
    header.store == short(store) && header.segment == segment
}
