//! `mqtt-broker store`: look into a store, take its content out and in.

use core::fmt::Write as _;
use core::time::Duration;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use mqtt_broker::store::StoreError;
use mqtt_broker::store::mosquitto_db::{Remarks, Unclean};
use mqtt_broker::store::portable::{Time, Writer};
use mqtt_broker::store::tool::{self, Checked, ImportError, Imported, Stats};

/// What to do with a store that no broker has open.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read the whole store and say whether it is whole; nothing is changed
    Check {
        /// The broker's data directory
        dir: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Say how much of what is in the store
    Stats {
        /// The broker's data directory
        dir: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print everything in the store, one JSON object a line
    ///
    /// The lines are described in docs/store-export.md of the broker; `store import` reads them.
    Export {
        /// The broker's data directory
        dir: PathBuf,
    },
    /// Make a new store from an export, or from Mosquitto's mosquitto.db
    ///
    /// The first bytes of the file tell which it is. Of Mosquitto 2.0 on little-endian machines come retained messages, sessions,
    /// subscriptions, messages that wait, and QoS 2 handshakes; stop Mosquitto first, so that it writes the file. Mosquitto itself does not
    /// keep wills, shared subscriptions, and sessions that began with Clean Start.
    Import {
        /// The new data directory: empty, or not there
        dir: PathBuf,
        /// An export or a mosquitto.db; `-`: an export from standard input
        file: PathBuf,
        /// Take a mosquitto.db that was written while Mosquitto was running, without what came later
        #[arg(long)]
        unclean: bool,
    },
}

/// Why a command about a store failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreFailure {
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the output cannot be written")]
    Output(#[source] io::Error),
    #[error("{0} messages cannot be read; what waited with them is not in the export")]
    Lost(usize),
}

impl StoreFailure {
    /// 2 is a mistake in what we were told.
    pub(crate) fn status(&self) -> ExitCode {
        match self {
            Self::Import(
                ImportError::Read { .. }
                | ImportError::Unknown { .. }
                | ImportError::Portable { .. }
                | ImportError::Mosquitto { .. }
                | ImportError::Record { .. },
            )
            | Self::Import(ImportError::Store(
                StoreError::NotEmpty { .. } | StoreError::Unfinished,
            ))
            | Self::Store(StoreError::NoStore { .. }) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

impl StoreCommand {
    /// Does it; the status of a store that is not whole is 1.
    pub(crate) fn run(&self) -> Result<ExitCode, StoreFailure> {
        match self {
            Self::Check { dir, json } => check(dir, *json),
            Self::Stats { dir, json } => {
                let stats = tool::stats(dir)?;
                let text = if *json {
                    to_json(&stats)
                } else {
                    table(&stats)
                };
                print(&text).map(|()| ExitCode::SUCCESS)
            }
            Self::Export { dir } => export(dir),
            Self::Import { dir, file, unclean } => {
                let unclean = if *unclean {
                    Unclean::Accept
                } else {
                    Unclean::Refuse
                };
                import(dir, file, unclean)
            }
        }
    }
}

/// Somebody who closed our output does not want to read it.
fn quietly(written: io::Result<()>) -> Result<(), StoreFailure> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(StoreFailure::Output),
    }
}

fn print(text: &str) -> Result<(), StoreFailure> {
    quietly(io::stdout().write_all(text.as_bytes()))
}

fn to_json(value: &impl serde::Serialize) -> String {
    // Numbers and texts always have a form in JSON.
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    text
}

fn check(dir: &Path, json: bool) -> Result<ExitCode, StoreFailure> {
    let checked = tool::check(dir)?;
    let status = if checked.damage.is_some() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    };
    let text = if json {
        to_json(&serde_json::json!({
            "whole": checked.damage.is_none(),
            "sessions": checked.sessions,
            "messages": checked.messages,
            "notes": checked.notes,
            "damage": checked.damage.as_ref().map(ToString::to_string),
            "lost": checked.lost,
        }))
    } else {
        findings(&checked)
    };
    print(&text).map(|()| status)
}

fn findings(checked: &Checked) -> String {
    let mut text = String::new();
    for note in &checked.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    match &checked.damage {
        None => text.push_str(&format!(
            "the store is whole: {}, {}\n",
            count(checked.sessions as u64, "session"),
            count(checked.messages as u64, "message")
        )),
        Some(damage) => {
            text.push_str(&format!("damaged: {damage}\n"));
            for lost in &checked.lost {
                text.push_str(&format!("a repair would lose: {lost}\n"));
            }
            text.push_str(&format!(
                "a repair would bring back: {}, {}\n",
                count(checked.sessions as u64, "session"),
                count(checked.messages as u64, "message")
            ));
        }
    }
    text
}

fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn table(stats: &Stats) -> String {
    let mut text = String::new();
    let rows = [
        ("sessions", stats.sessions, ""),
        ("  connected when it ended", stats.connected, ""),
        ("subscriptions", stats.subscriptions, ""),
        ("shared groups", stats.groups, ""),
        ("retained messages", stats.retained, ""),
        ("wills", stats.wills, ""),
        ("messages that wait", stats.queued, "copies"),
        ("QoS 2 handshakes", stats.handshakes, ""),
        ("messages kept", stats.messages, ""),
        ("  on disk", stats.message_bytes, "bytes"),
        ("log segments", stats.segments, ""),
        ("  on disk", stats.log_bytes, "bytes"),
        ("snapshot", stats.snapshot_bytes, "bytes"),
        ("groups to replay", stats.groups_to_replay, ""),
    ];
    for (name, number, unit) in rows {
        let line = format!("{name:<28}{:>16} {unit}", grouped(number));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for queue in &stats.longest_queues {
        let waiting = grouped(queue.queued);
        // A client id may hold anything.
        let receiver = format!("for {:?}", queue.receiver);
        let _ = writeln!(text, "  {receiver:<26}{waiting:>16} waiting");
    }
    let _ = writeln!(
        text,
        "store {}, version {} of the format",
        stats.store, stats.version
    );
    text
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn export(dir: &Path) -> Result<ExitCode, StoreFailure> {
    let output = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    // The header comes when the store is open: an error leaves nothing that looks like an export.
    let mut output = Some(output);
    let mut writer = None;
    let exported = tool::export(dir, &mut |item| {
        if let Some(output) = output.take() {
            writer = Some(Writer::new(output, Time::now())?);
        }
        writer.as_mut().map_or(Ok(()), |writer| writer.item(item))
    });
    let exported = match exported {
        Ok(exported) => exported,
        Err(StoreError::Listener(error)) => {
            return quietly(Err(error)).map(|()| ExitCode::SUCCESS);
        }
        Err(error) => return Err(error.into()),
    };
    let finish = || match (writer, output) {
        (Some(writer), _) => writer.finish().map(drop),
        (None, Some(output)) => Writer::new(output, Time::now())?.finish().map(drop),
        (None, None) => Ok(()),
    };
    quietly(finish())?;
    for note in &exported.notes {
        eprintln!("note: {note}");
    }
    for lost in &exported.lost {
        eprintln!("lost: {lost}");
    }
    match exported.lost.len() {
        0 => Ok(ExitCode::SUCCESS),
        lost => Err(StoreFailure::Lost(lost)),
    }
}

fn import(dir: &Path, file: &Path, unclean: Unclean) -> Result<ExitCode, StoreFailure> {
    let file = match file.to_str() {
        Some("-") => Path::new("/dev/stdin"),
        _ => file,
    };
    let bar = bar();
    let imported = tool::import(dir, file, unclean, &mut |items, (done, all)| {
        bar.set_message(format!("{} items", grouped(items)));
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    print(&summary(&imported?, dir)).map(|()| ExitCode::SUCCESS)
}

/// Shown on a terminal only.
fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{spinner} {wide_bar} {percent}% {msg} {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn summary(imported: &Imported, dir: &Path) -> String {
    let recorded = &imported.recorded;
    let mut text = format!(
        "imported into {}: {}, {}, {}, {}, {}, {}\n",
        dir.display(),
        count(recorded.sessions, "session"),
        count(recorded.subscriptions, "subscription"),
        count(recorded.retained, "retained message"),
        count(recorded.queued, "waiting message"),
        count(recorded.handshakes, "handshake"),
        count(recorded.wills, "will"),
    );
    if imported.without_group > 0 {
        text.push_str(&format!(
            "left out: {}: the group for which they wait has no member\n",
            count(imported.without_group, "waiting message")
        ));
    }
    if let Some(remarks) = &imported.remarks {
        let Remarks {
            at_most_once,
            sessions,
            not_acknowledged,
            user_names,
            bridge_ends,
            ..
        } = *remarks;
        let rows = [
            (
                at_most_once,
                "QoS 0 message",
                "such do not wait in this broker",
            ),
            (sessions, "session", "ended with the connection"),
            (
                not_acknowledged,
                "message from clients",
                "nobody told them that it had arrived, so they send it again",
            ),
            (
                user_names,
                "user name",
                "possibly another session's, as Mosquitto 2.0 writes them; each comes again with its client",
            ),
        ];
        for (number, what, why) in rows.iter().filter(|(number, ..)| *number > 0) {
            text.push_str(&format!("left out: {}: {why}\n", count(*number, what)));
        }
        if bridge_ends > 0 {
            text.push_str(&format!(
                "note: {} that begin with `local.` look like Mosquitto's own ends of bridges: nobody will come for what waits there\n",
                count(bridge_ends, "session")
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(count(1, "session"), "1 session");
        assert_eq!(count(2, "session"), "2 sessions");
    }
}
