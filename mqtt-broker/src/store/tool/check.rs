//! Whether a store is whole.

use std::path::Path;

use super::super::error::StoreError;
use super::read_only;

/// What a check has found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Checked {
    /// Sessions in it.
    pub sessions: usize,
    /// Messages in it: those that wait, are retained, or are wills.
    pub messages: usize,
    /// What an operator should know, though nothing is wrong: a write that a crash had cut short.
    pub notes: Vec<String>,
    /// Why a broker would not start with it, if so.
    pub damage: Option<StoreError>,
    /// What a repair could not bring back.
    pub lost: Vec<String>,
}

/// Reads the whole store in this directory and changes nothing. A damaged one is looked at as if it were repaired, to tell what that would cost.
///
/// # Errors
/// [`StoreError`] when there is no store that could be looked at, or the system refuses.
pub fn check(path: &Path) -> Result<Checked, StoreError> {
    let damage = match read_only::open(path, false) {
        Ok(found) => {
            let report = found.report;
            return Ok(Checked {
                sessions: report.sessions,
                messages: report.messages,
                notes: report.notes,
                ..Checked::default()
            });
        }
        Err(damage @ (StoreError::Damaged { .. } | StoreError::Missing { .. })) => damage,
        Err(error) => return Err(error),
    };
    let mut checked = Checked {
        damage: Some(damage),
        ..Checked::default()
    };
    // Whatever is too damaged for a repair is said by the damage itself.
    if let Ok(found) = read_only::open(path, true) {
        let report = found.report;
        checked.sessions = report.sessions;
        checked.messages = report.messages;
        checked.lost = report.lost;
    }
    Ok(checked)
}
