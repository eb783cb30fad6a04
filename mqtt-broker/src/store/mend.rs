//! What a repair writes anew so that the next start needs none: the identity, and the headers of segments that hold something.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::error::StoreError;
use super::files::{File, Files, write_all};
use super::header::{Identity, SEGMENT, SegmentHeader};
use super::job::{Done, Job};
use super::names;
use super::open::{Contents, Found};
use super::report::Report;

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
        write_all(&*found.file, &vec![0; missing], found.len)?;
        write_all(&*found.file, &header.to_bytes(), 0)?;
        found.file.sync()
    });
    written.map_err(cannot(&names::segment(id)))?;
    Ok(len)
}

/// Makes a segment in the place of one that is gone.
pub(super) fn new_segment(
    files: &dyn Files,
    header: SegmentHeader,
) -> Result<Arc<dyn File>, StoreError> {
    let id = header.id;
    let Done::Prepared(prepared) = (Job::Prepare { header, from: None }).run(files) else {
        unreachable!("this is what that job gives")
    };
    let (_, file) = prepared.map_err(cannot(&names::segment(id)))?;
    Ok(file)
}

fn cannot(name: &str) -> impl FnOnce(io::Error) -> StoreError {
    StoreError::io(format!("{name} cannot be written"))
}
