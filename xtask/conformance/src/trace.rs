//! What a case has sent and received, and what it must tidy up behind itself.

use core::cell::RefCell;
use std::collections::BTreeSet;

/// Packets that a failure shows.
const SHOWN: usize = 12;

/// Longest line of a trace, in characters.
const WIDTH: usize = 320;

/// The notes that all clients of a case share.
#[derive(Debug, Default)]
pub(crate) struct Trace(RefCell<Notes>);

#[derive(Debug, Default)]
struct Notes {
    lines: Vec<String>,
    retained: BTreeSet<String>,
    sessions: BTreeSet<String>,
}

impl Trace {
    /// Notes a packet, or whatever else happened to a client.
    pub(crate) fn add(&self, client: &str, event: &str, text: &str) {
        let mut line = format!("{client} {event} {text}");
        if line.chars().count() > WIDTH {
            line = line.chars().take(WIDTH).chain("…".chars()).collect();
        }
        let lines = &mut self.0.borrow_mut().lines;
        if lines.len() >= 100 * SHOWN {
            // Nobody will see them, and a long case has many.
            lines.drain(..99 * SHOWN);
        }
        lines.push(line);
    }

    /// The last lines, oldest first.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        let notes = self.0.borrow();
        let start = notes.lines.len().saturating_sub(SHOWN);
        notes.lines.get(start..).unwrap_or_default().to_vec()
    }

    /// A message may have been retained under this topic.
    pub(crate) fn retained(&self, topic: &str) {
        self.0.borrow_mut().retained.insert(topic.to_owned());
    }

    /// A session of this client may outlive its connection.
    pub(crate) fn session(&self, client_id: &str) {
        self.0.borrow_mut().sessions.insert(client_id.to_owned());
    }

    /// Everything to be tidied up: topics and client identifiers.
    pub(crate) fn leftovers(&self) -> (Vec<String>, Vec<String>) {
        let mut notes = self.0.borrow_mut();
        let retained = core::mem::take(&mut notes.retained);
        let sessions = core::mem::take(&mut notes.sessions);
        (
            retained.into_iter().collect(),
            sessions.into_iter().collect(),
        )
    }
}
