//! Mosquitto, for firmware to talk to.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A Mosquitto on a free port; stopped when dropped.
#[derive(Debug)]
pub struct Mosquitto {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Mosquitto {
    /// Starts it; it accepts connections when this returns.
    ///
    /// # Errors
    /// If it is not installed, or does not come up.
    pub fn start() -> io::Result<Self> {
        // The port is free when it is asked for; when another process takes it in between, the next one is tried.
        let mut last = io::Error::other("no attempt");
        for _ in 0..5 {
            match Self::attempt() {
                Ok(broker) => return Ok(broker),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The port on which it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    fn attempt() -> io::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("mosquitto.conf");
        fs::write(
            &file,
            format!("listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n"),
        )?;
        // Debian installs it where only root's path looks.
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        let program = program
            .into_iter()
            .find(|file| Path::new(file).exists())
            .unwrap_or("mosquitto");
        let child = Command::new(program)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("mosquitto (apt-get install -y mosquitto): {error}"),
                )
            })?;
        let mut broker = Self {
            child,
            port,
            _folder: folder,
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = broker.child.try_wait()? {
                return Err(io::Error::other(format!("mosquitto has ended ({status})")));
            }
            if Instant::now() > deadline {
                return Err(io::Error::new(
                    ErrorKind::TimedOut,
                    "mosquitto does not accept connections",
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(broker)
    }
}
