//! What opening a store has found, for the log and for people.

use super::error::StoreError;
use super::files::{Files, read_all, write_all};
use super::log::Opened;
use super::names;

/// What was found, and what was done about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What an operator should know: a tail that was cut, a clock that runs behind.
    pub notes: Vec<String>,
    /// What a repair could not bring back.
    pub lost: Vec<String>,
    /// Whether something had to be repaired.
    pub repaired: bool,
    /// Sessions.
    pub sessions: usize,
    /// Messages that wait, are retained, or are wills.
    pub messages: usize,
    /// Groups that were read after the snapshot.
    pub groups: u64,
}

impl Report {
    pub(super) fn say(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(super) fn lost(&mut self, what: String) {
        self.repaired = true;
        self.lost.push(what);
    }

    pub(super) fn count(&mut self, opened: &Opened) {
        self.sessions = opened.image.sessions.len();
        self.messages = opened.shelf.lock().index.messages();
    }

    /// Copies a damaged file, so that nothing that is in it now is lost by what comes.
    pub(super) fn set_aside(
        &mut self,
        files: &dyn Files,
        name: &str,
        why: &str,
    ) -> Result<(), StoreError> {
        let aside = format!("{name}{}", names::DAMAGED);
        let copied = files.open(name).and_then(|file| {
            let bytes = read_all(&*file)?;
            let copy = files.create(&aside)?;
            write_all(&*copy, &bytes, 0)?;
            copy.sync()?;
            files.sync_names()
        });
        copied.map_err(StoreError::io(format!("{name} cannot be set aside")))?;
        self.lost(format!("{name}: {why}; as it was it is kept as {aside}"));
        Ok(())
    }
}
