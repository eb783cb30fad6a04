//! Watches a broker's system calls: does PUBACK leave after the sync that holds its message, and how many leave for each sync?

mod calls;
mod load;

use core::time::Duration;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::broker::{Opened, Program, Running};
use calls::{Calls, Verdict};
use load::{Alone, Flood, payload};

/// Messages that are sent one at a time.
pub const LONE: usize = 100;
/// Acknowledgements for each sync that are asked of ours under load.
pub const SHARED: f64 = 50.0;

/// What a broker's system calls show.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Traced {
    /// The broker.
    pub name: String,
    /// PUBACKs of lone messages that left after a sync of the file that holds the message.
    pub after_sync: usize,
    /// What was wrong with the first of the others.
    pub first: Option<String>,
    /// The slowest, the middle and the fastest answer to a lone message, strace included.
    pub answers: Vec<Duration>,
    /// Messages acknowledged under load, and syncs meanwhile.
    pub load: (u64, u64),
    /// Messages in flight under load.
    pub in_flight: usize,
}

impl Traced {
    /// Acknowledgements for each sync under load; `None` without any sync.
    #[must_use]
    pub fn shared(&self) -> Option<f64> {
        (self.load.1 > 0).then(|| self.load.0 as f64 / self.load.1 as f64)
    }

    /// Whether no lone PUBACK waited for a sync.
    #[must_use]
    pub const fn is_early(&self) -> bool {
        self.after_sync == 0
    }

    /// Whether it is as durable, and as thrifty, as ours is to be.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.after_sync == LONE && self.shared().is_some_and(|shared| shared >= SHARED)
    }
}

/// Calls with which a file or a socket may be written, and those that make a file durable.
const WRITES: &str =
    "openat,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,sync_file_range";
const SYNCS: &str = "fsync,fdatasync,sync_file_range";

/// Traces a broker; `folder` is for this alone.
///
/// # Errors
/// When strace is missing, or the broker does not serve.
pub fn trace(program: &Program, folder: &Path) -> io::Result<Traced> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut traced = Traced {
        name: program.name(),
        in_flight: Flood::IN_FLIGHT,
        ..Traced::default()
    };
    let alone = folder.join("alone");
    let (text, answers) = under_strace(
        program,
        &alone,
        &["-yy", "-xx", "-s", "65536", "-e", WRITES],
        |address| Alone::connect(address)?.exchange(LONE),
    )?;
    traced.answers = answers;
    let calls = Calls::parse(&text);
    for number in 1..=LONE {
        match calls.verdict(payload(number).as_bytes(), number as u16) {
            Verdict::AfterSync => traced.after_sync += 1,
            verdict => {
                let _ = traced
                    .first
                    .get_or_insert_with(|| format!("message {number}: {verdict}"));
            }
        }
    }
    let load = folder.join("load");
    let (text, (from, to, acknowledged)) =
        under_strace(program, &load, &["--seccomp-bpf", "-e", SYNCS], |address| {
            let mut flood = Flood::connect(address)?;
            let from = now();
            let acknowledged = flood.run(Duration::from_secs(4))?;
            Ok((from, now(), acknowledged))
        })?;
    traced.load = (acknowledged, calls::syncs_between(&text, from, to));
    Ok(traced)
}

/// Seconds, as strace writes them.
fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0.0, |time| time.as_secs_f64())
}

/// Runs a broker under strace while `work` does; what strace wrote, and what `work` gave.
fn under_strace<T>(
    program: &Program,
    folder: &Path,
    options: &[&str],
    work: impl FnOnce(core::net::SocketAddr) -> io::Result<T>,
) -> io::Result<(String, T)> {
    fs::create_dir_all(folder)?;
    let file = folder.join("strace.txt");
    let mut strace = Command::new("strace");
    // With a file for its output it would block signals.
    strace
        .args(["-f", "-ttt", "-I", "2"])
        .args(options)
        .arg("-o")
        .arg(&file);
    let mut broker = Running::start_under(&mut strace, program, folder)?;
    let address = match broker.wait() {
        Opened::Listens(address, _) => address,
        Opened::NotYet => return Err(io::Error::other("the broker does not listen")),
        Opened::Ended(said) => {
            let text = format!("the broker does not start under strace: {said}");
            return Err(io::Error::other(text));
        }
    };
    let worked = work(address);
    // strace hands the signal on to the broker and ends.
    broker.stop()?;
    Ok((fs::read_to_string(&file)?, worked?))
}
