//! Child processes whose output is read as it comes, and the Mosquitto broker as one of them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "every test binary uses its own part of this module, and a test that fails says where"
)]

use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// How long anything that must happen may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to install what the tests need.
const INSTALL: &str = "apt-get install mosquitto mosquitto-clients";

/// What came out of a process so far, and whether that is all.
type Output = Arc<(Mutex<(Vec<u8>, bool)>, Condvar)>;

/// A running child; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    stdout: Output,
    stderr: Output,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Finished {
    /// Standard output as text.
    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(&self.stdout).unwrap()
    }

    /// Panics unless the code is 0.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

fn collect(mut from: impl Read + Send + 'static) -> Output {
    let output = Output::default();
    let to = Arc::clone(&output);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let read = from.read(&mut buffer).unwrap_or(0);
            let mut inner = to.0.lock().unwrap();
            inner.0.extend_from_slice(&buffer[..read]);
            inner.1 = read == 0;
            to.1.notify_all();
            if read == 0 {
                return;
            }
        }
    });
    output
}

fn wait(output: &Output, name: &str, what: &str, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let deadline = Instant::now() + PATIENCE;
    let mut inner = output.0.lock().unwrap();
    while !enough(&inner.0) {
        let left = deadline.saturating_duration_since(Instant::now());
        let text = String::from_utf8_lossy(&inner.0);
        assert!(!inner.1, "{name} ended without {what}: {text}");
        assert!(!left.is_zero(), "{name}: no {what} in time: {text}");
        inner = output.1.wait_timeout(inner, left).unwrap().0;
    }
    inner.0.clone()
}

fn contains(all: &[u8], part: &str) -> bool {
    all.windows(part.len())
        .any(|window| window == part.as_bytes())
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Self {
            name,
            child,
            stdout,
            stderr,
        }
    }

    /// Waits until standard output holds `part`.
    pub(crate) fn says(&self, part: &str) -> Vec<u8> {
        wait(&self.stdout, &self.name, part, |all| contains(all, part))
    }

    /// Waits until standard error holds `part`.
    pub(crate) fn complains(&self, part: &str) -> String {
        let all = wait(&self.stderr, &self.name, part, |all| contains(all, part));
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Writes to standard input, and keeps it open.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([format!("-{signal}"), self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Closes standard input and waits for the end.
    pub(crate) fn finish(mut self) -> Finished {
        drop(self.child.stdin.take());
        let ended = |output: &Output| {
            let deadline = Instant::now() + PATIENCE;
            let mut inner = output.0.lock().unwrap();
            while !inner.1 {
                let left = deadline.saturating_duration_since(Instant::now());
                assert!(!left.is_zero(), "{} does not end", self.name);
                inner = output.1.wait_timeout(inner, left).unwrap().0;
            }
            inner.0.clone()
        };
        let stdout = ended(&self.stdout);
        let stderr = String::from_utf8_lossy(&ended(&self.stderr)).into_owned();
        Finished {
            code: self.child.wait().unwrap().code(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a program is, in the folders where programs are.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A Mosquitto broker with its tools, on a free port of the loopback interface.
#[derive(Debug)]
pub(crate) struct Mosquitto {
    process: Process,
    pub(crate) port: u16,
    folder: tempfile::TempDir,
}

impl Mosquitto {
    /// Starts it with more lines of configuration; `None`, and a visible note, when it is not installed.
    pub(crate) fn start(test: &str, lines: &str) -> Option<Self> {
        let tools = ["mosquitto", "mosquitto_pub", "mosquitto_sub"].map(program);
        let [Some(broker), Some(_), Some(_)] = tools else {
            skip(test);
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let folder_name = folder.path().display();
        let lines = lines.replace("FOLDER", &folder_name.to_string());
        let anonymous = if lines.contains("allow_anonymous") {
            ""
        } else {
            "allow_anonymous true\n"
        };
        let config = folder.path().join("mosquitto.conf");
        std::fs::write(
            &config,
            format!("{lines}\nlistener {port} 127.0.0.1\n{anonymous}log_dest stderr\nuser root\n"),
        )
        .unwrap();
        let process = Self::run(&broker, &config);
        Some(Self {
            process,
            port,
            folder,
        })
    }

    fn run(broker: &Path, config: &Path) -> Process {
        let process = Process::start(Command::new(broker).arg("-c").arg(config));
        process.complains("running");
        process
    }

    /// Starts it again on its port.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let broker = program("mosquitto").unwrap();
        self.process = Self::run(&broker, &self.folder.path().join("mosquitto.conf"));
    }

    /// A folder for files of this test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One of Mosquitto's tools, which shows each line as soon as it is printed.
    pub(crate) fn tool(&self, name: &str, arguments: &[&str]) -> Process {
        let mut command = Command::new("stdbuf");
        command.arg("-o0").arg(program(name).unwrap());
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        Process::start(command.args(arguments))
    }

    /// `mosquitto_sub`, once it has subscribed; every message is a line `MSG topic|qos|retain|payload`.
    pub(crate) fn subscriber(&self, arguments: &[&str]) -> Process {
        let tool = self.tool(
            "mosquitto_sub",
            &[&["-d", "-F", "MSG %t|%q|%r|%p"], arguments].concat(),
        );
        tool.says("Subscribed (mid");
        tool
    }

    /// `mosquitto_pub`, to its successful end.
    pub(crate) fn publish(&self, arguments: &[&str]) {
        self.tool("mosquitto_pub", arguments).finish().ok();
    }

    /// Ends the broker at once, without a word to its clients.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.child.kill();
        let _ = self.process.child.wait();
    }
}

/// The messages that [`Mosquitto::subscriber`] has printed.
pub(crate) fn messages(output: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(output)
        .lines()
        .filter_map(|line| line.strip_prefix("MSG ").map(ToOwned::to_owned))
        .collect()
}

/// Says that a test was skipped and how to have it run, on standard error and in the file that `MQTT_TEST_SKIPS` names.
fn skip(test: &str) {
    let line = format!("SKIPPED {test}: {INSTALL}");
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("MQTT_TEST_SKIPS") {
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path);
        file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .unwrap();
    }
}
