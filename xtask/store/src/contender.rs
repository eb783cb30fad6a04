//! The brokers, each on a folder of its own, so that all write to the same file system.

use core::net::{Ipv4Addr, SocketAddr};
use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use mqtt_crash::{Durability, Opened, Running};

/// A broker and its settings.
#[derive(Clone, Debug)]
pub(crate) enum Contender {
    /// Ours.
    Ours(PathBuf, Durability),
    /// Writes its whole store at most once a second, and never syncs.
    Mosquitto(PathBuf),
    /// MQTT over streams in files.
    Nats(PathBuf),
}

/// Queues that no bench fills.
const OURS: &str = "\
[limits]
queue_messages = 10_000_000
queue_bytes = 100_000_000_000
queue_total_messages = 0
queue_total_bytes = 0
";

const MOSQUITTO: &str = "\
allow_anonymous true
user root
log_dest stderr
log_type error
log_type warning
persistence true
autosave_on_changes false
autosave_interval 1
max_queued_messages 0
max_inflight_messages 0
set_tcp_nodelay true
";

impl Contender {
    /// What tables call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ours(_, Durability::Fsync) => "ours, fsync",
            Self::Ours(_, Durability::Os) => "ours, os",
            Self::Ours(_, Durability::None) => "ours, none",
            Self::Ours(..) => "ours, in memory",
            Self::Mosquitto(_) => "Mosquitto",
            Self::Nats(_) => "nats-server",
        }
    }

    /// The command that runs it on this folder, and its port if that is known before.
    pub(crate) fn command(&self, folder: &Path) -> io::Result<(Command, Option<u16>)> {
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
                let port = free_port()?;
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
            Self::Nats(program) => {
                let port = free_port()?;
                let file = folder.join("nats.conf");
                // Its own protocol on any port; as many messages in flight as the benches have.
                let config = format!(
                    "server_name: bench\nlisten: \"127.0.0.1:-1\"\nlogfile: \"{}\"\n\
                     jetstream {{ store_dir: \"{}\" }}\n\
                     mqtt {{ host: \"127.0.0.1\", port: {port}, max_ack_pending: 10000 }}\n",
                    folder.join("nats.log").display(),
                    store.display()
                );
                fs::write(&file, config)?;
                let mut command = Command::new(program);
                command.arg("-c").arg(file);
                Ok((command, Some(port)))
            }
        }
    }

    /// Starts it on what is in the folder, and waits until it listens.
    pub(crate) fn start(&self, folder: &Path) -> io::Result<Broker> {
        let (mut command, port) = self.command(folder)?;
        Broker::wait(Running::spawn(&mut command, port, folder)?)
    }
}

fn free_port() -> io::Result<u16> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(free.local_addr()?.port())
}

/// A broker that listens.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
    /// Seconds from its start until it listened.
    pub(crate) opened: f64,
}

impl Broker {
    pub(crate) fn wait(mut running: Running) -> io::Result<Self> {
        match running.wait() {
            Opened::Listens(address, took) => Ok(Self {
                running,
                address,
                opened: took.as_secs_f64(),
            }),
            Opened::NotYet => Err(io::Error::other("the broker does not listen")),
            Opened::Ended(said) => Err(io::Error::other(format!("the broker ended: {said}"))),
        }
    }
}

/// A folder with nothing in it.
pub(crate) fn fresh(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(folder)
}
