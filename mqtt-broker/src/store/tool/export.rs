//! Everything that a store holds, item by item.

use std::io;
use std::path::Path;

use super::super::error::StoreError;
use super::super::portable::{Item, Source, walk};
use super::read_only;
use crate::core::Unreadable;

/// How an export went.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Exported {
    /// Messages that could not be read: what waited for somebody with one of them, and retained ones, are not in it.
    pub lost: Vec<Unreadable>,
    /// What an operator should know.
    pub notes: Vec<String>,
}

/// Hands out what the store in this directory holds, as a restart would find it, in the order that `mqtt-broker/docs/store-export.md` gives. Nothing
/// in it is changed.
///
/// # Errors
/// [`StoreError`] when it does not open, or `item` fails.
pub fn export(
    path: &Path,
    item: &mut dyn FnMut(Item) -> io::Result<()>,
) -> Result<Exported, StoreError> {
    let found = read_only::open(path, false)?;
    let shelf = &found.opened.shelf;
    let source = Source {
        image: &found.opened.image,
        bodies: &mut shelf.bodies(),
        uses: &|body| shelf.lock().index.uses(body.0),
        clocks: found.clocks(),
    };
    let lost = walk(source, item).map_err(StoreError::Listener)?;
    Ok(Exported {
        lost,
        notes: found.report.notes,
    })
}
