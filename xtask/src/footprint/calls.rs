//! System calls of a process, counted by strace while something happens.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::broker::text;
use crate::shell::{Program, Result};
use crate::workspace::read;

/// Calls that are shown by themselves: a part of the name, and what is printed.
pub(super) const GROUPS: [(&str, &str); 4] = [
    ("wait", "waiting (epoll_wait, poll)"),
    ("re", "reading (read, recvfrom)"),
    ("w", "writing (write, writev, sendto)"),
    ("ctl", "epoll_ctl"),
];

/// How often each call was made.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<(String, f64)>);

impl Calls {
    /// Counts what the process `id` calls while `work` runs.
    pub(super) fn count(id: u32, work: impl FnOnce() -> Result<()>) -> Result<Self> {
        let file = std::env::temp_dir().join(format!("footprint-{id}.strace"));
        let mut strace = Command::new("strace")
            .args(["-c", "-f", "-p", &id.to_string(), "-o"])
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(text)?;
        // It says when it is attached; what it says later is read, too, so that it never waits for a reader.
        let mut said = BufReader::new(strace.stderr.take().ok_or("strace has no standard error")?);
        let mut line = String::new();
        said.read_line(&mut line).map_err(text)?;
        let outcome = if line.contains("attached") {
            work()
        } else {
            Err(format!("strace said: {}", line.trim()).into())
        };
        let interrupt = ["-INT", &strace.id().to_string()];
        Program::new("kill", Path::new("."))
            .args(interrupt)
            .capture()?;
        let mut rest = Vec::new();
        // Only to let it end.
        let _ = std::io::Read::read_to_end(&mut said, &mut rest);
        strace.wait().map_err(text)?;
        outcome?;
        let counted = Self::parse(&read(&file)?);
        let _ = std::fs::remove_file(&file);
        Ok(counted)
    }

    /// The table of `strace -c`: share, seconds, microseconds a call, calls, perhaps errors, name.
    fn parse(table: &str) -> Self {
        let rows = table.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let calls: f64 = words.get(3)?.parse().ok()?;
            let name = words.last()?;
            (*name != "total").then(|| ((*name).to_owned(), calls))
        });
        Self(rows.collect())
    }

    /// The same for each message.
    pub(super) fn per(self, messages: usize) -> Self {
        let each = |(name, calls)| (name, calls / messages as f64);
        Self(self.0.into_iter().map(each).collect())
    }

    /// The sum of a group of [`GROUPS`], or of all.
    pub(super) fn of(&self, group: Option<&str>) -> f64 {
        let belongs = |name: &str| match group {
            None => true,
            Some("wait") => name.contains("wait") || name.contains("poll"),
            Some("re") => name.starts_with("re"),
            Some("w") => name.starts_with("w") || name.starts_with("send"),
            Some(part) => name.contains(part),
        };
        let group = self.0.iter().filter(|(name, _)| belongs(name));
        // The sum of nothing is -0 otherwise.
        0.0 + group.map(|(_, calls)| calls).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_strace_is_read() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 50.00    0.000500           1       500           epoll_wait
 30.00    0.000300           1       480         2 recvfrom
 20.00    0.000200           1       490           sendto
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000                  1470         2 total
";
        let calls = Calls::parse(table).per(10);
        assert!((calls.of(None) - 147.0).abs() < 1e-9);
        assert!((calls.of(Some("wait")) - 50.0).abs() < 1e-9);
        assert!((calls.of(Some("re")) - 48.0).abs() < 1e-9);
        assert!((calls.of(Some("w")) - 49.0).abs() < 1e-9);
    }
}
