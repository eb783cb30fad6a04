//! Debian's Mosquitto on a port of its own.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// The version whose failures are listed.
pub(crate) const VERSION: &str = "2.0.11";

/// A running Mosquitto, which ends with this.
#[derive(Debug)]
pub(crate) struct Mosquitto {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Mosquitto {
    /// Starts it with its defaults, or says how to install it.
    pub(crate) fn start() -> Result<Self, String> {
        let install = format!(
            "apt-get install -y mosquitto (the failures listed are those of version {VERSION}, Debian 12)"
        );
        let program = program().ok_or_else(|| install.clone())?;
        let help = Command::new(&program)
            .arg("-h")
            .output()
            .expect("mosquitto runs");
        let help = String::from_utf8_lossy(&help.stdout);
        let version = help.lines().next().unwrap_or_default();
        if version.trim() != format!("mosquitto version {VERSION}") {
            return Err(format!("this is `{version}`; {install}"));
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .expect("the loopback interface has a free port")
            .port();
        let file = folder.path().join("mosquitto.conf");
        let config = format!("listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n");
        std::fs::write(&file, config).expect("the temporary folder is writable");
        let process = Command::new(program)
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto starts");
        let mosquitto = Self {
            process,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            _folder: folder,
        };
        let start = Instant::now();
        while TcpStream::connect(mosquitto.address).is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "mosquitto does not listen"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(mosquitto)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join("mosquitto"))
        .find(|file| file.is_file())
}
