//! The broker of this project, for firmware to talk to.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running `mqtt-broker` on a free port; stopped when dropped.
#[derive(Debug)]
pub struct OurBroker {
    child: Child,
    port: u16,
}

impl Drop for OurBroker {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl OurBroker {
    /// Starts the program; it accepts connections when this returns.
    ///
    /// # Errors
    /// If it cannot be started, or does not say where it listens.
    pub fn start(program: &Path) -> io::Result<Self> {
        let child = Command::new(program)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                let message = format!(
                    "{} (cargo build -p mqtt-broker): {error}",
                    program.display()
                );
                io::Error::new(error.kind(), message)
            })?;
        let mut broker = Self { child, port: 0 };
        let mut line = String::new();
        if let Some(stdout) = broker.child.stdout.take() {
            let mut stdout = BufReader::new(stdout);
            stdout.read_line(&mut line)?;
            // What it says later is read, so that it never waits for a reader.
            std::thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
        }
        let port = line
            .strip_prefix("listening on 127.0.0.1:")
            .and_then(|rest| rest.split(' ').next()?.parse().ok());
        broker.port = port.ok_or_else(|| {
            io::Error::other(format!("mqtt-broker said {line:?} instead of its address"))
        })?;
        Ok(broker)
    }

    /// The port on which it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}
