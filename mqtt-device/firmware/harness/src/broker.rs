//! Mosquitto, for firmware to talk to.

use core::net::Ipv4Addr;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// It says when it listens, and nothing of its clients.
const LOG: &str =
    "log_dest stderr\nlog_type error\nlog_type information\nconnection_messages false\n";

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
            format!("listener {port} 127.0.0.1\nallow_anonymous true\n{LOG}"),
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
            .stderr(Stdio::piped())
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
        // Only the program itself knows whether it is the one that listens there.
        let mut said = String::new();
        if let Some(stderr) = broker.child.stderr.take() {
            let mut stderr = BufReader::new(stderr);
            while !said.ends_with(" running\n") {
                if stderr.read_line(&mut said)? == 0 {
                    return Err(io::Error::other(format!("mosquitto has ended: {said}")));
                }
            }
            // What it says later is read, so that it never waits for a reader.
            std::thread::spawn(move || io::copy(&mut stderr, &mut io::sink()));
        }
        Ok(broker)
    }
}
