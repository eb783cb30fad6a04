//! Debian's Mosquitto on a port of its own.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::thread;

/// The version whose failures are listed.
pub(crate) const VERSION: &str = "2.0.11";

/// Beside the listener; its log says when it is there.
const CONFIGURATION: &str = "allow_anonymous true\nuser root\nlog_dest stderr\nlog_type notice\nlog_type information\nconnection_messages false\n";

/// A running Mosquitto, which ends with this.
#[derive(Debug)]
pub(crate) struct Mosquitto {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Mosquitto {
    /// Starts it with its defaults, or says how to install it.
    pub(crate) fn start() -> Result<Self, String> {
        let install = format!(
            "apt-get install -y mosquitto (the failures listed are those of version {VERSION}, Debian 12)"
        );
        let program = program().ok_or_else(|| install.clone())?;
        let help = Command::new(&program)
            .arg("-h")
            .output()
            .expect("mosquitto runs");
        let help = String::from_utf8_lossy(&help.stdout);
        let version = help.lines().next().unwrap_or_default();
        if version.trim() != format!("mosquitto version {VERSION}") {
            return Err(format!("this is `{version}`; {install}"));
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .expect("the loopback interface has a free port")
            .port();
        let file = folder.path().join("mosquitto.conf");
        let config = format!("listener {port} 127.0.0.1\n{CONFIGURATION}");
        std::fs::write(&file, config).expect("the temporary folder is writable");
        let mut process = Command::new(program)
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mosquitto starts");
        let log = process.stderr.take().expect("it was asked for");
        let mosquitto = Self {
            process,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            _folder: folder,
        };
        wait_until_running(log);
        Ok(mosquitto)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Waits for the line with which it says that it listens, and reads on: a log that nobody reads would stop it in the end.
fn wait_until_running(log: ChildStderr) {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            // Nobody listens any more once it runs.
            sender.send(line).ok();
        }
    });
    let mut said = Vec::new();
    while let Ok(line) = lines.recv_timeout(Duration::from_secs(10)) {
        if line.ends_with(" running") {
            return;
        }
        said.push(line);
    }
    panic!("mosquitto does not run; it said:\n{}", said.join("\n"));
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join("mosquitto"))
        .find(|file| file.is_file())
}
