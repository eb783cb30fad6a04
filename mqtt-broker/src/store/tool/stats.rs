//! What a store holds, in numbers.

use std::path::Path;

use serde::Serialize;

use super::super::error::StoreError;
use super::super::header::VERSION;
use super::read_only;
use crate::core::restore::Presence;

/// Queues that are named.
const LONGEST: usize = 5;

/// What a store holds, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// The number that all its files carry, in hexadecimal.
    pub store: String,
    /// The version of its format.
    pub version: u8,
    /// Sessions.
    pub sessions: u64,
    /// Those of them that had a connection when the broker ended.
    pub connected: u64,
    /// Subscriptions, those of groups included.
    pub subscriptions: u64,
    /// Shared groups.
    pub groups: u64,
    /// Retained messages.
    pub retained: u64,
    /// Wills.
    pub wills: u64,
    /// Copies of messages that wait for a session or a group.
    pub queued: u64,
    /// QoS 2 handshakes that are not over.
    pub handshakes: u64,
    /// Messages, each counted once however many wait for it.
    pub messages: u64,
    /// Bytes of those on disk.
    pub message_bytes: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Bytes of those.
    pub log_bytes: u64,
    /// Bytes of the snapshot.
    pub snapshot_bytes: u64,
    /// Groups of records that a start reads after the snapshot.
    pub groups_to_replay: u64,
    /// For whom most is waiting, most first.
    pub longest_queues: Vec<Backlog>,
}

/// What waits for one session or group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Backlog {
    /// A client id, or the filter of a group, which begins with `$share/`.
    pub receiver: String,
    /// Messages.
    pub queued: u64,
}

/// Reads the store in this directory and counts what is in it. Nothing is changed.
///
/// # Errors
/// [`StoreError`] when it does not open.
pub fn stats(path: &Path) -> Result<Stats, StoreError> {
    let found = read_only::open(path, false)?;
    let (opened, report) = (&found.opened, &found.report);
    let image = &opened.image;
    let mut stats = Stats {
        store: format!("{:016x}", opened.tail.store),
        version: VERSION,
        sessions: image.sessions.len() as u64,
        connected: 0,
        subscriptions: 0,
        groups: 0,
        retained: 0,
        wills: 0,
        queued: image.strays.len() as u64,
        handshakes: 0,
        messages: report.messages as u64,
        message_bytes: opened.shelf.lock().index.live_bytes(),
        segments: 0,
        log_bytes: 0,
        snapshot_bytes: opened.snapshot_len,
        groups_to_replay: report.groups,
        longest_queues: Vec::new(),
    };
    let mut queues = Vec::new();
    for session in image.sessions.values() {
        stats.connected += u64::from(matches!(session.presence, Presence::Connected));
        stats.subscriptions += session.subscriptions.len() as u64;
        stats.wills += u64::from(session.will.is_some());
        let handshakes = session.sent.len() + session.releasing.len() + session.received.len();
        stats.handshakes += handshakes as u64;
        queues.push((&*session.client_id, session.queue.len()));
    }
    for group in image.groups.values().filter(|group| group.has_begun()) {
        stats.groups += 1;
        queues.push((&*group.filter, group.waiting.len()));
    }
    let retained = image.retained.values();
    stats.retained = retained.filter(|(_, body)| body.is_some()).count() as u64;
    for file in opened.shelf.lock().segments.values() {
        stats.segments += 1;
        let len = file.len();
        stats.log_bytes += len.map_err(StoreError::io("a segment cannot be measured"))?;
    }
    stats.queued += queues.iter().map(|(_, len)| *len as u64).sum::<u64>();
    queues.retain(|(_, len)| *len > 0);
    queues.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let longest = queues.iter().take(LONGEST);
    stats.longest_queues = longest
        .map(|&(receiver, len)| Backlog {
            receiver: receiver.to_owned(),
            queued: len as u64,
        })
        .collect();
    Ok(stats)
}
