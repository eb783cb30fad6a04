//! The broker under test as a process of its own, on a free port, with a folder that goes away with it.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use super::{PATIENCE, Tool};

/// Which program is under test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// This package's binary, or another one with the same command line.
    Ours(PathBuf),
    /// Debian's Mosquitto 2.0, as a check of the tests themselves. It is known to differ: tests that show such a difference
    /// begin with `not_for_mosquitto!` and the reason.
    Mosquitto,
}

impl Kind {
    fn from_environment() -> Self {
        match std::env::var("MQTT_TEST_BROKER") {
            Err(_) => {
                let built = option_env!("CARGO_BIN_EXE_mqtt-broker");
                Self::Ours(PathBuf::from(built.expect("the feature `cli` is on")))
            }
            Ok(name) if name == "mosquitto" => Self::Mosquitto,
            Ok(path) => Self::Ours(PathBuf::from(path)),
        }
    }
}

/// Whether `MQTT_TEST_BROKER=mosquitto` is in force.
pub(crate) fn is_mosquitto() -> bool {
    Kind::from_environment() == Kind::Mosquitto
}

/// The program under test, for tests that start it themselves.
pub(crate) fn program() -> PathBuf {
    match Kind::from_environment() {
        Kind::Ours(program) => program,
        Kind::Mosquitto => unreachable!("such tests begin with not_for_mosquitto!"),
    }
}

/// A running broker; killed when dropped.
#[derive(Debug)]
pub(crate) struct Broker {
    process: Tool,
    address: SocketAddr,
    folder: TempDir,
}

impl Broker {
    /// Starts the broker with its defaults on one port of the loopback interface.
    pub(crate) fn start() -> Self {
        Self::configured("", "")
    }

    /// Starts the broker with `toml` as its configuration file; `mosquitto` are the lines that mean the same to Mosquitto.
    pub(crate) fn configured(toml: &str, mosquitto: &str) -> Self {
        match Kind::from_environment() {
            Kind::Ours(program) => Self::ours(&program, toml, 1).0,
            Kind::Mosquitto => Self::mosquitto(mosquitto),
        }
    }

    /// Starts our broker with `more` listeners beside its first, and gives their addresses.
    pub(crate) fn start_with_listeners(more: usize) -> (Self, Vec<SocketAddr>) {
        match Kind::from_environment() {
            Kind::Ours(program) => Self::ours(&program, "", 1 + more),
            Kind::Mosquitto => unreachable!("such tests begin with not_for_mosquitto!"),
        }
    }

    fn ours(program: &Path, toml: &str, listeners: usize) -> (Self, Vec<SocketAddr>) {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        if !toml.is_empty() {
            let file = folder.path().join(CONFIGURATION);
            fs::write(&file, toml).expect("the temporary folder is writable");
        }
        let mut process = Tool::spawn(&mut command(program, folder.path(), listeners));
        let mut addresses = (0..listeners).map(|_| {
            process.find("line `listening on ADDRESS (mqtt)`", |line| {
                let (_, rest) = line.split_once("listening on ")?;
                rest.strip_suffix(" (mqtt)")?.parse().ok()
            })
        });
        let address = addresses.next().expect("at least one listener");
        let others = addresses.collect();
        (
            Self {
                process,
                address,
                folder,
            },
            others,
        )
    }

    /// Starts Debian's Mosquitto with extra configuration lines, whatever broker is under test.
    pub(crate) fn mosquitto(lines: &str) -> Self {
        Self::mosquitto_logging(lines, "log_type all")
    }

    /// As [`Self::mosquitto`], with these lines about its log, which must have notices.
    pub(crate) fn mosquitto_logging(lines: &str, log: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("mosquitto.conf");
        let common = "allow_anonymous true\nlog_dest stderr\nsys_interval 1\nmax_inflight_messages 2000\nmax_queued_messages 0\nuser root\n";
        let program = super::foreign::mosquitto_broker()
            .expect("mosquitto is installed: apt-get install -y mosquitto");
        // It cannot choose a port itself, and somebody else may take the one that was free a moment ago.
        let (process, port) = loop {
            let port = free_port();
            fs::write(
                &file,
                format!("{lines}\nlistener {port} 127.0.0.1\n{common}{log}\n"),
            )
            .expect("the temporary folder is writable");
            let mut process = Tool::spawn(
                Command::new(&program)
                    .arg("-c")
                    .arg(&file)
                    .current_dir(folder.path()),
            );
            let runs = process.find("line that it is running", |line| {
                let taken = line.contains("Address already in use");
                (taken || line.contains("running")).then_some(!taken)
            });
            if runs {
                break (process, port);
            }
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        super::eventually("mosquitto accepts connections", || {
            TcpStream::connect(address).is_ok()
        });
        Self {
            process,
            address,
            folder,
        }
    }

    /// Starts our program again in the same folder, with `more` on its command line; it has ended, or is killed now.
    pub(crate) fn again(&mut self, more: &[&str]) {
        self.again_under(&[], more);
    }

    /// The same, under a program that takes ours and its command line behind its own, and becomes ours.
    pub(crate) fn again_under(&mut self, wrapper: &[&str], more: &[&str]) {
        self.process.kill();
        let ours = command(&program(), self.folder.path(), 1);
        let mut command = match wrapper.split_first() {
            None => ours,
            Some((wrapper, arguments)) => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(ours.get_program());
                command
                    .args(ours.get_args())
                    .current_dir(self.folder.path());
                command
            }
        };
        self.process = Tool::spawn(command.args(more));
        self.address = self
            .process
            .find("line `listening on ADDRESS (mqtt)`", |line| {
                let (_, rest) = line.split_once("listening on ")?;
                rest.strip_suffix(" (mqtt)")?.parse().ok()
            });
    }

    /// The same, when it is not expected to serve: what it prints before it ends, and its status.
    pub(crate) fn again_in_vain(&mut self, more: &[&str]) -> (Vec<String>, Option<i32>) {
        self.process.kill();
        let mut command = command(&program(), self.folder.path(), 1);
        let mut process = Tool::spawn(command.args(more));
        let status = process.wait(PATIENCE);
        (process.rest().to_vec(), status.code())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// A folder for files of this test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The running process.
    pub(crate) fn process(&mut self) -> &mut Tool {
        &mut self.process
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))
            .expect("the broker is running");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("Linux tells VmRSS");
        let kib: u64 = line
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("VmRSS is a number of kB");
        kib * 1024
    }

    /// Panics if the broker has ended.
    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.process.ended() {
            panic!("the broker has ended: {status}");
        }
    }
}

/// The name of the configuration file.
const CONFIGURATION: &str = "broker.toml";

/// Our program on free ports, with the configuration that is in the folder.
fn command(program: &Path, folder: &Path, listeners: usize) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    for _ in 0..listeners {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    let file = folder.join(CONFIGURATION);
    if file.exists() {
        command.arg("--config").arg(file);
    }
    command
}

/// A port nobody listens on at this moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .expect("the loopback interface has a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}
