//! Lines of strace, as the begin and end of calls in one order.

use core::fmt;
use std::collections::HashMap;

/// What one call does, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Opens a file every write to which is a sync too.
    OpensSynced(String),
    /// Writes bytes, as strace shows them, to a file.
    WritesFile(String, String),
    /// Writes bytes, as strace shows them, to a connection.
    WritesSocket(String),
    /// Makes a file durable.
    Syncs(String),
}

/// A call that succeeded; begin and end are line numbers.
#[derive(Clone, Debug)]
struct Call {
    begin: usize,
    end: usize,
    /// A write that is durable when it returns.
    synced: bool,
    kind: Kind,
}

/// The calls of a process in the order of their begins.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

/// What was found about one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// PUBACK left after the sync of what holds the message.
    AfterSync,
    /// PUBACK left, and the message was written to no file before that.
    NotWritten,
    /// The message was written, and no sync of that file ended before PUBACK left.
    NotSynced,
    /// No PUBACK was seen.
    NoAnswer,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AfterSync => "PUBACK left after the sync",
            Self::NotWritten => "PUBACK left before the message was written to any file",
            Self::NotSynced => {
                "PUBACK left after the message was written and before that was synced"
            }
            Self::NoAnswer => "no PUBACK was seen",
        })
    }
}

/// Bytes as `strace -xx` writes them.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// What stands behind the time: the process's own number, in front, is needed to find a call's second half.
fn split(line: &str) -> Option<(u32, &str)> {
    let (process, rest) = line.split_once(' ')?;
    let (_time, call) = rest.trim_start().split_once(' ')?;
    Some((process.parse().ok()?, call))
}

impl Calls {
    pub(super) fn parse(text: &str) -> Self {
        let mut calls = Vec::new();
        let mut open = HashMap::<u32, (usize, String)>::new();
        for (number, line) in text.lines().enumerate() {
            let Some((process, call)) = split(line) else {
                continue;
            };
            if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
                open.insert(process, (number, begun.to_owned()));
            } else if let Some((_, rest)) = call
                .strip_prefix("<... ")
                .and_then(|it| it.split_once(" resumed>"))
            {
                if let Some((begin, begun)) = open.remove(&process) {
                    calls.extend(Self::call(&(begun + rest), begin, number));
                }
            } else {
                calls.extend(Self::call(call, number, number));
            }
        }
        calls.sort_by_key(|call| call.begin);
        Self(calls)
    }

    /// A whole call, as strace shows it when nothing comes between.
    fn call(text: &str, begin: usize, end: usize) -> Option<Call> {
        let (name, rest) = text.split_once('(')?;
        let (arguments, result) = rest.rsplit_once(" = ")?;
        // With an error's name behind it.
        if result.starts_with('-') {
            return None;
        }
        // The file that a descriptor stands for is shown behind it; paths are in hex.
        let of = |text: &str| Some(text.split_once('<')?.1.split_once('>')?.0.to_owned());
        let mut synced = false;
        let kind = match name {
            "openat" if arguments.contains("SYNC") => Kind::OpensSynced(of(result)?),
            "openat" => return None,
            "fsync" | "fdatasync" | "sync_file_range" => Kind::Syncs(of(arguments)?),
            _ => {
                let (descriptor, bytes) = arguments.split_once(", ")?;
                synced = bytes.contains("RWF_DSYNC") || bytes.contains("RWF_SYNC");
                // `<TCP:[from->to]>`
                let (_, what) = descriptor.split_once('<')?;
                if what.starts_with("TCP") {
                    Kind::WritesSocket(bytes.to_owned())
                } else if what.starts_with("\\x2f") {
                    Kind::WritesFile(of(descriptor)?, bytes.to_owned())
                } else {
                    return None;
                }
            }
        };
        Some(Call {
            begin,
            end,
            synced,
            kind,
        })
    }

    /// When the PUBACK of a message left, compared with the sync that made the message durable.
    pub(super) fn verdict(&self, message: &[u8], packet_id: u16) -> Verdict {
        let [high, low] = packet_id.to_be_bytes();
        let (message, answer) = (hex(message), hex(&[0x40, 2, high, low]));
        let answered = self.0.iter().find_map(|call| match &call.kind {
            Kind::WritesSocket(bytes) if bytes.contains(&answer) => Some(call.begin),
            _ => None,
        });
        let Some(answered) = answered else {
            return Verdict::NoAnswer;
        };
        let mut verdict = Verdict::NotWritten;
        for (place, write) in self.0.iter().enumerate() {
            let Kind::WritesFile(file, bytes) = &write.kind else {
                continue;
            };
            if write.end > answered || !bytes.contains(&message) {
                continue;
            }
            verdict = Verdict::NotSynced;
            let opened = Kind::OpensSynced(file.clone());
            let is_synced = write.synced || self.0[..place].iter().any(|call| call.kind == opened);
            let sync = Kind::Syncs(file.clone());
            let mut syncs = self.0[place..].iter().filter(|call| call.kind == sync);
            if is_synced || syncs.any(|sync| sync.begin > write.end && sync.end < answered) {
                return Verdict::AfterSync;
            }
        }
        verdict
    }
}

/// Syncs that ended well between two times.
pub(super) fn syncs_between(text: &str, from: f64, to: f64) -> u64 {
    let ended_well = |line: &&str| {
        let time = line
            .split_whitespace()
            .nth(1)
            .and_then(|time| time.parse::<f64>().ok());
        time.is_some_and(|time| (from..=to).contains(&time))
            && line.contains("sync")
            && line.ends_with(" = 0")
    };
    text.lines().filter(ended_well).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "7<\\x2f\\x61>";
    const SOCKET: &str = "9<TCP:[127.0.0.1:1883->127.0.0.1:40000]>";

    fn write() -> String {
        format!("pwrite64({FILE}, \"\\x00{}\\x00\", 8, 0) = 8", hex(b"m1"))
    }

    fn answer() -> String {
        format!("sendto({SOCKET}, \"\\x40\\x02\\x00\\x01\", 4, 0, NULL, 0) = 4")
    }

    fn sync() -> String {
        format!("fdatasync({FILE}) = 0")
    }

    fn check(lines: &[String], expected: Verdict) {
        let text: String = lines
            .iter()
            .map(|line| format!("1 17.5 {line}\n"))
            .collect();
        assert_eq!(Calls::parse(&text).verdict(b"m1", 1), expected, "{text}");
    }

    #[test]
    fn the_order_of_write_sync_and_answer_counts() {
        check(&[write(), sync(), answer()], Verdict::AfterSync);
        check(&[write(), answer(), sync()], Verdict::NotSynced);
        check(&[sync(), write(), answer()], Verdict::NotSynced);
        check(&[answer(), write(), sync()], Verdict::NotWritten);
        check(&[write(), sync()], Verdict::NoAnswer);
        let other = sync().replace("\\x61", "\\x62");
        check(&[write(), other, answer()], Verdict::NotSynced);
        let failed = sync().replace("= 0", "= -1 EIO (Input/output error)");
        check(&[write(), failed, answer()], Verdict::NotSynced);
    }

    #[test]
    fn a_sync_that_has_not_ended_does_not_count() {
        let lines = |last: [&str; 2]| {
            format!(
                "1 17.1 {}\n1 17.2 fdatasync({FILE} <unfinished ...>\n{}\n{}\n",
                write(),
                last[0],
                last[1]
            )
        };
        let (answered, ended) = (
            format!("2 17.3 {}", answer()),
            "1 17.4 <... fdatasync resumed>) = 0",
        );
        let verdict = |text: String| Calls::parse(&text).verdict(b"m1", 1);
        assert_eq!(verdict(lines([&answered, ended])), Verdict::NotSynced);
        assert_eq!(verdict(lines([ended, &answered])), Verdict::AfterSync);
    }

    #[test]
    fn writes_that_are_syncs_too_count() {
        let open = format!("openat(AT_FDCWD, \"\\x2f\\x61\", O_RDWR|O_DSYNC) = {FILE}");
        check(&[open, write(), answer()], Verdict::AfterSync);
        let flagged = write().replace("8, 0)", "8, 0, RWF_DSYNC)");
        check(&[flagged, answer()], Verdict::AfterSync);
    }

    #[test]
    fn syncs_of_a_time_are_counted() {
        let text = "1 10.0 fsync(3) = 0\n1 11.0 fdatasync(3) = 0\n2 12.0 <... fdatasync resumed>) = 0\n\
                    1 12.5 fdatasync(3) = -1 EIO (x)\n1 12.6 fdatasync(3 <unfinished ...>\n1 13.0 fsync(3) = 0\n";
        assert_eq!(syncs_between(text, 10.5, 12.9), 2);
    }
}
