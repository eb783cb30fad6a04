//! Brokers as processes: started on a folder, killed without a word, started again.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

/// What our broker is told about durability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// It has no data directory.
    Memory,
    /// `--durability none`.
    None,
    /// `--durability os`.
    Os,
    /// The default with a data directory.
    Fsync,
}

impl Durability {
    /// Its name in the configuration; `memory` has none there.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::None => "none",
            Self::Os => "os",
            Self::Fsync => "fsync",
        }
    }
}

/// Which broker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Program {
    /// Ours: the binary, and how durable it is to be.
    Ours(PathBuf, Durability),
    /// Mosquitto, with persistence as often as it can.
    Mosquitto(PathBuf),
}

/// How long a broker may take to open its store.
const PATIENCE: Duration = Duration::from_secs(60);

/// Queues that nothing of a run fills.
const OURS: &str = "\
[limits]
queue_messages = 10_000_000
queue_bytes = 100_000_000_000
";

/// It writes its whole store at every change that it counts; queues and windows have no limit.
const MOSQUITTO: &str = "\
allow_anonymous true
user root
log_dest stderr
log_type error
log_type warning
persistence true
autosave_on_changes true
autosave_interval 1
max_queued_messages 0
max_inflight_messages 0
set_tcp_nodelay true
";

impl Program {
    /// What a table calls it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Ours(_, Durability::Memory) => "ours, without a data directory".into(),
            Self::Ours(_, Durability::Fsync) => "ours".into(),
            Self::Ours(_, durability) => format!("ours, durability {}", durability.name()),
            Self::Mosquitto(_) => "Mosquitto".into(),
        }
    }

    /// The command that runs it on this folder, and the port if that is known before.
    fn command(&self, folder: &Path) -> io::Result<(Command, Option<u16>)> {
        let store = folder.join("store");
        fs::create_dir_all(&store)?;
        match self {
            Self::Ours(program, durability) => {
                let file = folder.join("broker.toml");
                fs::write(&file, OURS)?;
                let mut command = Command::new(program);
                command.args(["--listen", "127.0.0.1:0", "--log", "warn", "--config"]);
                command.arg(file);
                if *durability != Durability::Memory {
                    command.arg("--data-dir").arg(store);
                    command.args(["--durability", durability.name()]);
                }
                Ok((command, None))
            }
            Self::Mosquitto(program) => {
                let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                let port = free.local_addr()?.port();
                let file = folder.join("mosquitto.conf");
                let place = store.display();
                let config = format!(
                    "listener {port} 127.0.0.1\npersistence_location {place}/\n{MOSQUITTO}"
                );
                fs::write(&file, config)?;
                let mut command = Command::new(program);
                command.arg("-c").arg(file);
                Ok((command, Some(port)))
            }
        }
    }
}

/// A broker that was started; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    started: Instant,
    /// Lines of its standard output.
    lines: Receiver<String>,
    port: Option<u16>,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What came of waiting for a broker.
#[derive(Debug)]
pub enum Opened {
    /// It takes connections here, so long after its start.
    Listens(SocketAddr, Duration),
    /// The time is over.
    NotYet,
    /// It ended, with this on its standard error.
    Ended(String),
}

impl Running {
    /// Starts a broker on a folder, and does not wait for it.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn start(program: &Program, folder: &Path) -> io::Result<Self> {
        let (mut command, port) = program.command(folder)?;
        Self::spawn(&mut command, port, folder)
    }

    /// The same under another program, which is given the broker's command line behind its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start_under(
        wrapper: &mut Command,
        program: &Program,
        folder: &Path,
    ) -> io::Result<Self> {
        let (command, port) = program.command(folder)?;
        wrapper.arg(command.get_program()).args(command.get_args());
        Self::spawn(wrapper, port, folder)
    }

    /// Starts a broker with this command, which says where it listens unless its port is known; `folder` takes its log.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(command: &mut Command, port: Option<u16>, folder: &Path) -> io::Result<Self> {
        let log = folder.join("broker.log");
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(&log)?)
            .spawn()
            .map_err(|error| {
                let program = command.get_program().to_string_lossy();
                io::Error::new(
                    error.kind(),
                    format!("{program} cannot be started: {error}"),
                )
            })?;
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            // Ends with the process.
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self {
            child,
            started,
            lines,
            port,
            log,
        })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it listens, as long as any broker may take.
    pub fn wait(&mut self) -> Opened {
        self.wait_until(self.started + PATIENCE)
    }

    /// Waits until it listens, or until `end`.
    pub(crate) fn wait_until(&mut self, end: Instant) -> Opened {
        let address = match self.port {
            Some(port) => self.wait_for_port(port, end),
            None => self.wait_for_line(end),
        };
        match address {
            Some(address) => Opened::Listens(address, self.started.elapsed()),
            None => match self.child.try_wait() {
                Ok(None) => Opened::NotYet,
                _ => Opened::Ended(self.said()),
            },
        }
    }

    fn wait_for_line(&mut self, end: Instant) -> Option<SocketAddr> {
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(rest) {
                Ok(line) => {
                    let address = line.strip_prefix("listening on ");
                    let address = address.and_then(|it| it.split(' ').next()?.parse().ok());
                    if address.is_some() {
                        return address;
                    }
                }
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => {
                    // Its output is closed: it ends.
                    self.child.wait().ok();
                    return None;
                }
            }
        }
    }

    fn wait_for_port(&mut self, port: u16, end: Instant) -> Option<SocketAddr> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        loop {
            if TcpStream::connect(address).is_ok() {
                return Some(address);
            }
            if Instant::now() >= end || !matches!(self.child.try_wait(), Ok(None)) {
                return None;
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// The end of what it wrote to standard error.
    pub(crate) fn said(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("; ")
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, and waits for that; says whether it did.
    ///
    /// # Errors
    /// When signals cannot be sent.
    pub fn stop(&mut self) -> io::Result<bool> {
        Command::new("kill").arg(self.id().to_string()).status()?;
        let end = Instant::now() + PATIENCE;
        while !self.has_ended() {
            if Instant::now() > end {
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(true)
    }

    /// kill -9, and waits until the process is gone.
    pub fn kill(&mut self) {
        // An error means that it has ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
