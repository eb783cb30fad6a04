//! What opening a store has found, for the log and for people.

use std::collections::BTreeSet;

use super::error::StoreError;
use super::files::{Files, read_parts, write_all};
use super::log::Opened;
use super::names;
use crate::core::restore::Loser;

/// Of those who lost messages, so many are named.
const NAMED: usize = 20;

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
    /// Files that were set aside.
    aside: BTreeSet<String>,
}

impl Report {
    pub(super) fn say(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(super) fn lost(&mut self, what: String) {
        self.repaired = true;
        if !self.lost.contains(&what) {
            self.lost.push(what);
        }
    }

    /// Says whose messages are lost: of the first few by name.
    pub(super) fn lost_messages(&mut self, messages: usize, losers: &[(Loser, usize)]) {
        let copies: usize = losers.iter().map(|(_, copies)| copies).sum();
        self.lost(format!(
            "{messages} messages, {copies} copies of them, are lost"
        ));
        for (loser, copies) in losers.iter().take(NAMED) {
            self.lost(match loser {
                Loser::Session(client_id) => {
                    format!("{copies} messages that waited for the session {client_id:?} are lost")
                }
                Loser::Group(filter) => {
                    format!("{copies} messages that waited for the group {filter:?} are lost")
                }
                Loser::Will(client_id) => format!("the will of {client_id:?} is lost"),
                Loser::Retained(topic) => format!("the retained message of {topic:?} is lost"),
                Loser::Ended => {
                    format!("{copies} messages that a session has left to its group are lost")
                }
            });
        }
        if let Some(more) = losers.len().checked_sub(NAMED).filter(|more| *more > 0) {
            self.lost(format!("so are messages of {more} others"));
        }
    }

    pub(super) fn count(&mut self, opened: &Opened) {
        self.sessions = opened.image.sessions.len();
        self.messages = opened.shelf.lock().index.messages();
    }

    /// Copies a damaged file, as far as it can be read, so that nothing that is in it now is lost by what comes.
    pub(super) fn set_aside(
        &mut self,
        files: &dyn Files,
        name: &str,
        why: &str,
    ) -> Result<(), StoreError> {
        if self.aside.contains(name) {
            self.lost(format!("{name}: {why}"));
            return Ok(());
        }
        let copied = files.open(name).and_then(|file| {
            let aside = names::damaged(name, &files.list()?);
            let content = read_parts(&*file)?;
            let copy = files.create(&aside)?;
            write_all(&*copy, &content.bytes, 0)?;
            copy.sync()?;
            files.sync_names()?;
            Ok(aside)
        });
        let aside = copied.map_err(StoreError::io(format!("{name} cannot be set aside")))?;
        self.aside.insert(name.to_owned());
        self.lost(format!("{name}: {why}; as it was it is kept as {aside}"));
        Ok(())
    }
}
