//! Brokers as processes on the first core.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::shell::{Program, Result};
use crate::workspace::{Workspace, read};

/// Which broker.
pub(super) enum Kind {
    Ours(PathBuf),
    Mosquitto,
}

impl Kind {
    pub(super) fn ours(ws: &Workspace) -> Self {
        Self::Ours(ws.target.join("release/mqtt-broker"))
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Ours(_) => "mqtt-broker".to_owned(),
            Self::Mosquitto => "mosquitto".to_owned(),
        }
    }
}

/// A running broker; killed when dropped.
pub(super) struct Running {
    child: Child,
    pub(super) port: u16,
    file: Option<PathBuf>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

impl Running {
    pub(super) fn start(kind: &Kind) -> Result<Self> {
        match kind {
            Kind::Ours(program) => Self::ours(program),
            Kind::Mosquitto => Self::mosquitto(),
        }
    }

    fn ours(program: &Path) -> Result<Self> {
        let mut command = pinned(program);
        command.args([
            "--listen",
            "0.0.0.0:0",
            "--allow-anonymous",
            "--log",
            "warn",
        ]);
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(text)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(text)?;
        }
        let address = line
            .strip_prefix("listening on ")
            .and_then(|rest| rest.split(' ').next());
        let port = address.and_then(|address| address.rsplit(':').next()?.parse().ok());
        let mut running = Self {
            child,
            port: 0,
            file: None,
        };
        running.port =
            port.ok_or_else(|| format!("the broker said {line:?} instead of its address"))?;
        Ok(running)
    }

    fn mosquitto() -> Result<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(text)?;
        let port = free.local_addr().map_err(text)?.port();
        drop(free);
        let file = std::env::temp_dir().join(format!("footprint-{port}.conf"));
        let config = format!(
            "listener {port} 0.0.0.0\nallow_anonymous true\nlog_dest none\nmax_queued_messages 0\nset_tcp_nodelay true\n"
        );
        std::fs::write(&file, config).map_err(text)?;
        let child = pinned(Path::new("mosquitto"))
            .arg("-c")
            .arg(&file)
            .spawn()
            .map_err(text)?;
        let running = Self {
            child,
            port,
            file: Some(file),
        };
        let patience = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > patience {
                return Err("mosquitto does not accept connections".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(running)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the process keeps in memory, counted page by page.
    pub(super) fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/smaps_rollup", self.id());
        let rollup = read(Path::new(&path))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
        let kib: Option<u64> =
            line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        Ok(kib.ok_or("smaps_rollup has no Rss")? * 1024)
    }
}

/// A program on the first core.
fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    command
}

/// Whether a tool is there.
pub(crate) fn need(tool: &str, package: &str) -> Result<()> {
    let script = format!("command -v {tool} || test -x /usr/sbin/{tool}");
    if Program::new("sh", Path::new("."))
        .args(["-c", &script])
        .succeeds_silently()
    {
        return Ok(());
    }
    Err(format!("SKIPPED {tool}: apt-get install -y {package}").into())
}

/// Lets this process, and the brokers it starts, open this many files.
pub(super) fn allow_files(number: usize) -> Result<()> {
    let pid = std::process::id().to_string();
    let limit = format!("--nofile={number}:");
    let program = Program::new("prlimit", Path::new(".")).args(["--pid", &pid, &limit]);
    if program.succeeds_silently() {
        return Ok(());
    }
    Err(format!("{number} open files are not allowed here: see `ulimit -Hn`").into())
}

/// Moves this process to a core.
pub(super) fn pin_this_process(core: usize) -> Result<()> {
    let args = [
        "-a",
        "-c",
        "-p",
        &core.to_string(),
        &std::process::id().to_string(),
    ];
    Program::new("taskset", Path::new("."))
        .args(args)
        .capture()
        .map(drop)
}

/// An error of the system as one of ours.
pub(super) fn text(error: std::io::Error) -> crate::shell::Error {
    error.to_string().into()
}
