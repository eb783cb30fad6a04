//! The brokers at the other end.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Mosquitto;

/// Which broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerKind {
    /// `mqtt-broker` of this workspace.
    Ours,
    /// Mosquitto.
    Mosquitto,
}

impl BrokerKind {
    /// What a table calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "mqtt-broker",
            Self::Mosquitto => "Mosquitto",
        }
    }
}

/// One that runs until it is dropped.
#[derive(Debug)]
pub enum Broker {
    /// `mqtt-broker`, and its port.
    Ours(Process, u16),
    /// Mosquitto.
    Mosquitto(Mosquitto),
}

/// A process that ends with its owner.
#[derive(Debug)]
pub struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Broker {
    /// Starts one; `ours` is the program `mqtt-broker`.
    ///
    /// # Errors
    /// If it does not start, or says no address.
    pub fn start(kind: BrokerKind, ours: &Path) -> io::Result<Self> {
        if kind == BrokerKind::Mosquitto {
            return Mosquitto::start().map(Self::Mosquitto);
        }
        let child = Command::new(ours)
            .args(["--listen", "127.0.0.1:0", "--log", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                let message = format!("{} (cargo build -p mqtt-broker): {error}", ours.display());
                io::Error::new(error.kind(), message)
            })?;
        let mut process = Process(child);
        let stdout = process.0.stdout.take().ok_or(io::ErrorKind::Other)?;
        let mut lines = BufReader::new(stdout).lines();
        // `listening on 127.0.0.1:PORT (mqtt)` is the first.
        let line = lines.next().transpose()?.unwrap_or_default();
        let address = line.split_whitespace().nth(2).unwrap_or_default();
        if let Some(port) = address
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
        {
            // What else it says is read, so that it never waits for a reader.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(Self::Ours(process, port));
        }
        Err(io::Error::other(format!(
            "mqtt-broker said {line:?} instead of its address"
        )))
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::Ours(_, port) => *port,
            Self::Mosquitto(broker) => broker.port(),
        }
    }

    /// Ends the session that the firmware of an earlier run has left: a clean session with its client id.
    ///
    /// # Errors
    /// If the broker does not accept it.
    pub fn forget_session(&self) -> io::Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port()))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"\x10\x12\x00\x04MQTT\x04\x02\x00\x00\x00\x06matrix")?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        if answer != [0x20, 2, 0, 0] {
            return Err(io::Error::other(format!("CONNACK {answer:02x?}")));
        }
        stream.write_all(b"\xe0\x00")?;
        // The broker closes once it has taken that.
        let _ = stream.read(&mut answer)?;
        Ok(())
    }
}
