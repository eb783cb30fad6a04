//! From files to a log that goes on: what is there is read, checked and taken.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::error::StoreError;
use super::files::{Files, UNREADABLE};
use super::header::{GroupHeader, SEGMENT, SegmentHeader, short};
use super::log::{Log, Opened};
use super::mend;
use super::names;
use super::options::{Options, SEGMENT_BYTES};
use super::replay::Replay;
use super::report::Report;
use super::shelf::Shelf;
use super::snapshot::{self, Position, Snapshot};
use super::survey::{Contents, Found, contents_of, remove, survey, tell_others};
use super::tail::{Clocks, Next, Segment, Tail};

/// Opens a store, or makes a new one. `wall` is the time of day in milliseconds of the Unix epoch.
pub(super) fn open(
    files: Arc<dyn Files>,
    options: &Options,
    wall: u64,
) -> Result<(Log, Report), StoreError> {
    let bytes = options.segment_bytes;
    if !SEGMENT_BYTES.contains(&bytes) {
        return Err(StoreError::SegmentBytes { bytes });
    }
    // What a broker had named when it was killed is there for now only: the power may still take it.
    let named = files.sync_names();
    named.map_err(StoreError::io(
        "the names of its files cannot be made durable",
    ))?;
    let mut report = Report::default();
    let mend = options.repair.then_some(&mut report);
    let opened = match survey(&*files, mend)? {
        Some(contents) => read(&*files, contents, options, wall, &mut report)?,
        None => {
            tell_others(&*files, &mut report)?;
            create(&*files, options, wall)?
        }
    };
    report.count(&opened);
    let mut log = Log::start(files, options, opened);
    if report.repaired {
        log.settle_repair()?;
    }
    Ok((log, report))
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
    let (base, older) = snapshot(files, &contents, options.repair, report)?;
    let position = base.position;
    let snapshot_len = base.len;
    let mut replay = Replay::new(&contents, base, options);
    replay.run(files, report)?;
    replay.keep_used();
    replay.check_messages(files, position, report)?;
    replay.settle(report)?;
    let last = replay.last();
    // What stands behind the last segment with a group was prepared, and is not needed yet; of several, something was cut.
    let mut next = Next::Missing;
    let mut superfluous = older;
    superfluous.extend(contents.unfinished.iter().cloned());
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
    remove(files, superfluous.into_iter())?;
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
        let content = contents_of(files, &name)?;
        let len = content.bytes.len() as u64;
        if let Some(version) = snapshot::other_version(&content.bytes) {
            return Err(StoreError::Version {
                file: name,
                version,
            });
        }
        let unreadable = |at| super::varint::Wrong {
            at,
            what: UNREADABLE,
        };
        let read = content.whole().map_err(unreadable);
        let wrong = match read.and_then(|bytes| snapshot::read(&bytes)) {
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
                    len,
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
        None if repair => {
            report.lost("there is neither a snapshot nor a log: everything is lost".into());
        }
        Some(first) if repair => report.lost(format!(
            "there is no snapshot: what happened before {} is lost",
            names::segment(first)
        )),
        _ => {
            return Err(StoreError::Missing {
                file: "*.snap".into(),
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
