//! What a repair writes anew so that the next start needs none: the identity, and the headers of segments that hold something.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::error::StoreError;
use super::files::{File, Files, read_parts, write_all};
use super::header::{Identity, SEGMENT, SegmentHeader};
use super::job;
use super::names;
use super::report::Report;
use super::survey::{Contents, Found};

/// Writes the file that says which store this is.
pub(super) fn write_identity(files: &dyn Files, store: u64) -> io::Result<()> {
    let name = names::unfinished(names::IDENTITY);
    let identity = files.create(&name)?;
    write_all(&*identity, &Identity { store }.to_bytes(), 0)?;
    identity.sync()?;
    files.rename(&name, names::IDENTITY)?;
    files.sync_names()
}

/// The identity is damaged or gone: the segments know it as well.
pub(super) fn identity(
    files: &dyn Files,
    contents: &mut Contents,
    why: StoreError,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut votes: BTreeMap<u64, usize> = BTreeMap::new();
    for header in contents.segments.values().flat_map(|it| &it.header) {
        *votes.entry(header.store).or_default() += 1;
    }
    let Some((&store, _)) = votes.iter().max_by_key(|(_, votes)| **votes) else {
        return Err(why);
    };
    if let StoreError::Damaged { what, .. } = &why {
        report.set_aside(files, names::IDENTITY, what)?;
    }
    report.lost(format!(
        "{} was made anew from what the segments say",
        names::IDENTITY
    ));
    contents.store = store;
    write_identity(files, store).map_err(cannot(names::IDENTITY))
}

/// Gives a segment the header that its place asks for, and `least` bytes; says how long it is now.
pub(super) fn segment(found: &Found, store: u64, id: u32, least: u64) -> Result<u64, StoreError> {
    let len = found.len.max(least).max(SEGMENT as u64);
    let header = SegmentHeader { store, id, len };
    let missing = usize::try_from(len - found.len).map_err(io::Error::other);
    let written = missing.and_then(|missing| {
        write_over(&*found.file, 0)?;
        write_all(&*found.file, &vec![0; missing], found.len)?;
        write_all(&*found.file, &header.to_bytes(), 0)?;
        found.file.sync()
    });
    written.map_err(cannot(&names::segment(id)))?;
    Ok(len)
}

/// What a system reads and writes at once.
const PAGE: usize = 4096;

/// Puts zeroes where the disk cannot read, from `from` on: most disks take another place for what is written there, and without that
/// nothing could be written beside it.
pub(super) fn write_over(file: &dyn File, from: usize) -> io::Result<()> {
    let content = read_parts(file)?;
    for bad in content.bad.iter().filter(|bad| bad.end > from) {
        let start = bad.start.max(from) / PAGE * PAGE;
        let end = bad.end.next_multiple_of(PAGE).min(content.bytes.len());
        let pages = content.bytes.get(start..end).unwrap_or_default();
        write_all(file, pages, start as u64)?;
    }
    if content.bad.is_empty() {
        return Ok(());
    }
    file.sync()
}

/// Makes a segment in the place of one that is gone.
pub(super) fn new_segment(
    files: &dyn Files,
    header: SegmentHeader,
) -> Result<Arc<dyn File>, StoreError> {
    let prepared = job::prepare(files, header, None);
    let (_, file) = prepared.map_err(cannot(&names::segment(header.id)))?;
    Ok(file)
}

fn cannot(name: &str) -> impl FnOnce(io::Error) -> StoreError {
    StoreError::io(format!("{name} cannot be written"))
}
