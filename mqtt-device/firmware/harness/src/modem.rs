//! The AT-modem emulator, between firmware and a broker.

use std::io::{self, BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running `at-modem`; stopped when dropped.
#[derive(Debug)]
pub struct AtModem {
    child: Child,
    serial: TcpStream,
}

impl Drop for AtModem {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl AtModem {
    /// Starts the program of mqtt-device/emulator, which dials that port whatever the firmware dials; `options` are its faults.
    ///
    /// # Errors
    /// If it cannot be started, or does not say where its serial line is.
    pub fn start(program: &Path, port: u16, options: &[&str]) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(["--serial", "127.0.0.1:0", "--once"])
            .args(["--to", &format!("127.0.0.1:{port}")])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| {
                let message = format!(
                    "{} (cargo build -p mqtt-at-modem): {error}",
                    program.display()
                );
                io::Error::new(error.kind(), message)
            })?;
        let serial = connect(&mut child);
        if serial.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        Ok(Self {
            child,
            serial: serial?,
        })
    }

    /// Its serial line.
    #[must_use]
    pub const fn serial(&self) -> &TcpStream {
        &self.serial
    }
}

/// The first line says where the serial line is.
fn connect(child: &mut Child) -> io::Result<TcpStream> {
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let address = line.trim_end().strip_prefix("serial ");
    let address = address.ok_or_else(|| {
        io::Error::other(format!("at-modem said {line:?} instead of its address"))
    })?;
    TcpStream::connect(address)
}
