//! What the kernel says about a process: `/proc`.

use core::time::Duration;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

/// What a process has used up so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Nanoseconds of processor time.
    pub(crate) cpu: u64,
    /// Bytes of the pages and folios that it made dirty.
    pub(crate) dirtied: u64,
    /// Bytes that the disk of its folder has taken from everybody.
    disk: Option<u64>,
    /// Bytes that it has given to write calls, sockets included.
    pub(crate) given: u64,
    /// Of these, those of the thread that writes our log.
    pub(crate) log: u64,
}

impl Usage {
    /// Of the process with this id.
    pub(crate) fn of(id: u32) -> io::Result<Self> {
        let io = fs::read_to_string(format!("/proc/{id}/io"))?;
        let mut usage = Self {
            dirtied: field(&io, "write_bytes:")?,
            given: field(&io, "wchar:")?,
            ..Self::default()
        };
        for task in fs::read_dir(format!("/proc/{id}/task"))? {
            let task = task?.path();
            // A thread may have ended meanwhile.
            let times = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            let first = times.split_whitespace().next();
            usage.cpu += first.and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
            let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
            if name.trim() == "mqtt-store" {
                let io = fs::read_to_string(task.join("io"))?;
                usage.log = field(&io, "wchar:")?;
            }
        }
        Ok(usage)
    }

    /// The same, and what the disk of a folder has taken, everything that waits in memory included.
    pub(crate) fn on_disk(id: u32, folder: &Path) -> io::Result<Self> {
        // Without it less is on the disk, and `disk` is no bound.
        let synced = Command::new("sync").arg("-f").arg(folder).status();
        let mut usage = Self::of(id)?;
        if synced.is_ok_and(|status| status.success()) {
            usage.disk = written(folder);
        }
        Ok(usage)
    }

    /// Bytes that it had written to the device, at most: it dirtied no more, and all together wrote no more.
    pub(crate) fn device(self) -> u64 {
        self.disk
            .map_or(self.dirtied, |disk| disk.min(self.dirtied))
    }

    /// What was used up since another look.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            dirtied: self.dirtied.saturating_sub(before.dirtied),
            disk: self
                .disk
                .zip(before.disk)
                .map(|(now, then)| now.saturating_sub(then)),
            given: self.given.saturating_sub(before.given),
            log: self.log.saturating_sub(before.log),
        }
    }
}

/// Bytes that the device of a folder's file system has taken so far; `None` where it has none of its own.
fn written(folder: &Path) -> Option<u64> {
    let device = fs::metadata(folder).ok()?.dev();
    let major = (device >> 8) & 0xfff;
    let minor = (device & 0xff) | ((device >> 12) & 0xfff00);
    let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    let sectors: u64 = stat.split_whitespace().nth(6)?.parse().ok()?;
    Some(sectors * 512)
}

/// Bytes of a process in memory, counted page by page.
pub(crate) fn resident(id: u32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
    Ok(field(&rollup, "Rss:")? * 1024)
}

fn field(text: &str, name: &str) -> io::Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("the kernel does not tell {name}")))
}

/// Waits until a process writes nothing for `quiet`, but at most a minute.
pub(crate) fn settle(id: u32, quiet: Duration) -> io::Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    let mut last = Usage::of(id)?;
    let mut since = Instant::now();
    while since.elapsed() < quiet && Instant::now() < end {
        thread::sleep(Duration::from_millis(100));
        let now = Usage::of(id)?;
        if (now.dirtied, now.given) != (last.dirtied, last.given) {
            since = Instant::now();
        }
        last = now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_missing_ones_told() {
        let text = "rchar: 1\nwchar: 22\nRss:   333 kB\n";
        assert_eq!(field(text, "wchar:").ok(), Some(22));
        assert_eq!(field(text, "Rss:").ok(), Some(333));
        assert!(field(text, "write_bytes:").is_err());
    }

    #[test]
    fn this_process_has_used_something() {
        let usage = Usage::of(std::process::id()).expect("/proc");
        assert!(usage.cpu > 0);
        assert_eq!(usage.log, 0, "no thread of ours writes a log");
        assert!(resident(std::process::id()).expect("/proc") > 100_000);
    }
}
