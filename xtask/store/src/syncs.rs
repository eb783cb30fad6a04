//! How many messages share a sync: counted once under strace, which stops at nothing else.

use core::time::Duration;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use mqtt_crash::Running;

use crate::contender::{Broker, Contender};

const SYNCS: &str = "fsync,fdatasync,sync_file_range";

/// Whether it can be counted here.
pub(crate) fn can_count() -> bool {
    let mut strace = Command::new("strace");
    strace.arg("-V").stdout(Stdio::null()).stderr(Stdio::null());
    strace.status().is_ok_and(|status| status.success())
}

/// Runs a broker under strace, and `work` with it; what `work` gave, and the times of all syncs in seconds of the day.
pub(crate) fn watch<T>(
    contender: &Contender,
    folder: &Path,
    work: impl FnOnce(&Broker) -> io::Result<T>,
) -> io::Result<(T, Vec<f64>)> {
    let file = folder.join("strace.txt");
    let (command, port) = contender.command(folder)?;
    let mut strace = Command::new("strace");
    // With a file for its output it would block signals.
    strace
        .args(["-f", "-ttt", "-I", "2", "--seccomp-bpf", "-e", SYNCS, "-o"])
        .arg(&file)
        .arg(command.get_program())
        .args(command.get_args());
    let mut broker = Broker::wait(Running::spawn(&mut strace, port, folder)?)?;
    let worked = work(&broker);
    broker.running.stop()?;
    let text = fs::read_to_string(&file)?;
    Ok((worked?, text.lines().filter_map(time_of).collect()))
}

/// When the sync that begins in this line began.
fn time_of(line: &str) -> Option<f64> {
    let mut words = line.split_whitespace();
    let time = words.nth(1)?.parse().ok()?;
    let call = words.next()?.split('(').next()?;
    SYNCS.split(',').any(|it| it == call).then_some(time)
}

/// Seconds of the day, as strace writes them.
pub(crate) fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or(Duration::ZERO).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_begin_of_a_sync_counts_and_its_end_does_not() {
        let check = |line: &str, expected| assert_eq!(time_of(line), expected, "{line}");
        check("77 1700.5 fdatasync(5) = 0", Some(1700.5));
        check("77 1700.5 fdatasync(5 <unfinished ...>", Some(1700.5));
        check("77 1700.6 <... fdatasync resumed>) = 0", None);
        check("77 1700.6 +++ exited with 0 +++", None);
    }
}
