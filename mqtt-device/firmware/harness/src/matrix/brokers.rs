//! The brokers at the other end.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::{Mosquitto, OurBroker};

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
    /// `mqtt-broker`.
    Ours(OurBroker),
    /// Mosquitto.
    Mosquitto(Mosquitto),
}

impl Broker {
    /// Starts one; `ours` is the program `mqtt-broker`.
    ///
    /// # Errors
    /// If it does not start, or says no address.
    pub fn start(kind: BrokerKind, ours: &Path) -> io::Result<Self> {
        match kind {
            BrokerKind::Ours => OurBroker::start(ours).map(Self::Ours),
            BrokerKind::Mosquitto => Mosquitto::start().map(Self::Mosquitto),
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::Ours(broker) => broker.port(),
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
        // The broker closes once it has taken that, in whatever way.
        let _ = stream.read(&mut answer);
        Ok(())
    }
}
