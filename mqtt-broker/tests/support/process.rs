//! Child processes whose output is read as it comes and that never outlive their test.

use core::time::Duration;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use super::PATIENCE;

/// A running child; killed when dropped.
#[derive(Debug)]
pub(crate) struct Tool {
    name: String,
    child: Child,
    output: Receiver<String>,
    seen: Vec<String>,
    next: usize,
}

impl Tool {
    /// Starts `command` with both its outputs read line by line.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let spawned = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{name}: {error}"));
        let (sender, output) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("piped")),
            Box::new(child.stderr.take().expect("piped")),
        ];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let mut line = Vec::new();
                while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                    let text = String::from_utf8_lossy(&line)
                        .trim_end_matches(['\n', '\r'])
                        .to_owned();
                    if sender.send(text).is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
        Self {
            name,
            child,
            output,
            seen: Vec::new(),
            next: 0,
        }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes `text` to the child's standard input and closes it.
    pub(crate) fn feed(&mut self, text: &str) {
        use std::io::Write as _;
        let mut stdin = self.child.stdin.take().expect("fed once");
        stdin
            .write_all(text.as_bytes())
            .expect("the child reads its input");
    }

    /// Waits for the next output line that `wanted` accepts and gives what it returned; panics at the end of the output or of the patience.
    pub(crate) fn find<T>(&mut self, what: &str, mut wanted: impl FnMut(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some(line) = self.seen.get(self.next) {
                self.next += 1;
                if let Some(found) = wanted(line) {
                    return found;
                }
            }
            match self
                .output
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{}: no {what} within {PATIENCE:?}", self.name)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{}: ended without {what}", self.name)
                }
            }
        }
    }

    /// Lets the next search begin with the first line again.
    pub(crate) fn rewind(&mut self) {
        self.next = 0;
    }

    /// Waits for a line that contains `text`.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.find(text, |line| line.contains(text).then_some(()));
    }

    /// Waits for the next line that begins with `prefix` and gives the rest of it.
    pub(crate) fn line_after(&mut self, prefix: &str) -> String {
        self.find(prefix, |line| line.strip_prefix(prefix).map(str::to_owned))
    }

    /// The child's state, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for the end of the child, at most `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                while let Ok(line) = self.output.recv_timeout(Duration::from_secs(2)) {
                    self.seen.push(line);
                }
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{}: still running after {limit:?}",
                self.name
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Waits for the end of the child and demands success; gives all its lines.
    pub(crate) fn succeed(mut self) -> Vec<String> {
        let status = self.wait(PATIENCE * 2);
        assert!(status.success(), "{}: {status}", self.name);
        core::mem::take(&mut self.seen)
    }

    /// The lines that no call has looked at yet, once the child has ended.
    pub(crate) fn rest(&mut self) -> &[String] {
        let from = core::mem::replace(&mut self.next, self.seen.len());
        &self.seen[from..]
    }

    /// Sends a signal by its name (`INT`, `TERM`, `KILL`, `STOP`, `CONT`).
    pub(crate) fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh")
            .args(["-c", &script])
            .status()
            .expect("sh runs");
        assert!(status.success(), "{script}: {status}");
    }

    /// Kills the child without a farewell and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The last lines the child has printed, for a failed test.
    fn transcript(&mut self) -> String {
        while let Ok(line) = self.output.recv_timeout(Duration::from_millis(100)) {
            self.seen.push(line);
        }
        let tail = self.seen.len().saturating_sub(160);
        let shortened = |line: &String| line.chars().take(400).collect::<String>();
        self.seen[tail..]
            .iter()
            .map(shortened)
            .collect::<Vec<_>>()
            .join("\n  ")
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let transcript = self.transcript();
            eprintln!("{} printed:\n  {transcript}", self.name);
        }
    }
}
