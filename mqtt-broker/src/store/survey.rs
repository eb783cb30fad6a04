//! What a directory holds: which of its files are ours, which store they belong to, and whether there is one at all.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::error::StoreError;
use super::files::{Content, File, Files, UNREADABLE, read_parts, read_up_to, write_all};
use super::header::{GROUP, GroupHeader, IDENTITY, Identity, NoHeader, SEGMENT, SegmentHeader};
use super::mend;
use super::names::{self, Name};
use super::report::Report;

/// A segment that is there.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: Arc<dyn File>,
    pub(super) len: u64,
    pub(super) header: Result<SegmentHeader, NoHeader>,
    /// The disk cannot read the header.
    is_unreadable: bool,
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
        if self.is_unreadable {
            return damaged(0, UNREADABLE);
        }
        if self.len > u64::from(u32::MAX) {
            return damaged(u32::MAX.into(), "no segment is so long");
        }
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
    pub(super) snapshots: Vec<u64>,
    pub(super) unfinished: Vec<String>,
}

/// Of what else is in a directory, so much is named.
const OTHERS: usize = 3;

/// Says of a directory in which a store begins that it holds something else as well.
pub(super) fn tell_others(files: &dyn Files, report: &mut Report) -> Result<(), StoreError> {
    let names = files.list();
    let names = names.map_err(StoreError::io("the directory cannot be read"))?;
    // File systems have one of these in their first directory.
    let is_other = |name: &&String| Name::of(name) == Name::Foreign && *name != "lost+found";
    let mut others: Vec<&str> = names.iter().filter(is_other).map(|name| &**name).collect();
    others.sort_unstable();
    if !others.is_empty() {
        let more = others.len().saturating_sub(OTHERS);
        others.truncate(OTHERS);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        report.say(format!(
            "the directory holds something else as well, which is left alone: {}{more}",
            others.join(", ")
        ));
    }
    Ok(())
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
    let content = contents_of(files, names::IDENTITY)?;
    let header = match content.first_bad(0, IDENTITY) {
        Some(_) => Err(NoHeader::Damaged),
        None => Identity::read(&content.bytes),
    };
    match (header, repair) {
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
    contents.closed = closed(&content.bytes);
    Ok(Some(contents))
}

/// What a file holds, as far as it can be read.
pub(super) fn contents_of(files: &dyn Files, name: &str) -> Result<Content, StoreError> {
    let content = files.open(name).and_then(|file| read_parts(&*file));
    content.map_err(StoreError::io(format!("{name} cannot be read")))
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
        let read = read_up_to(&*file, &mut bytes, 0);
        let is_unreadable = read.is_err();
        let header = SegmentHeader::read(bytes.get(..read.unwrap_or(0)).unwrap_or_default());
        Ok(Found {
            file,
            len,
            header,
            is_unreadable,
        })
    };
    look().map_err(StoreError::io(format!("{name} cannot be read")))
}

/// There is no identity: nothing was stored yet, or its file is gone.
fn begun(files: &dyn Files, contents: &Contents) -> Result<(), StoreError> {
    let has_groups = contents.segments.values().any(|segment| {
        let mut bytes = [0; GROUP];
        let read = read_up_to(&*segment.file, &mut bytes, SEGMENT as u64);
        read.is_err() || GroupHeader::read(&bytes).is_ok()
    });
    if has_groups || !contents.snapshots.is_empty() {
        return Err(StoreError::Missing {
            file: names::IDENTITY.into(),
            why: "there are other files of a store".into(),
        });
    }
    // The first segment of a store gets its name when it has its header.
    let foreign = contents.segments.iter().find(|(_, it)| it.header.is_err());
    if let Some((id, _)) = foreign {
        return Err(StoreError::Foreign {
            file: names::segment(*id),
        });
    }
    let segments = contents.segments.keys().map(|id| names::segment(*id));
    remove(files, segments.chain(contents.unfinished.iter().cloned()))
}

/// Removes files, if they are there.
pub(super) fn remove(
    files: &dyn Files,
    names: impl Iterator<Item = String>,
) -> Result<(), StoreError> {
    for name in names {
        match files.remove(&name) {
            // What was unfinished may have been finished meanwhile.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io(format!("{name} cannot be removed"))(error));
            }
            _ => {}
        }
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
