//! The computer at hand as a board, so that the applications of the firmware run here as well: TCP, the real clock, real randomness.

mod network;
mod tcp;

use core::cell::RefCell;
use core::time::Duration;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::rc::Weak;

use firmware_board::Board;
use mqtt_session::Instant;

pub use network::Network;
pub use tcp::Tcp;

/// The computer.
#[derive(Debug)]
pub struct Host {
    started: std::time::Instant,
    /// The connection that ends a sleep.
    wire: RefCell<Weak<TcpStream>>,
}

impl Host {
    /// A board that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: std::time::Instant::now(),
            wire: RefCell::default(),
        }
    }

    /// Opens a connection, on which [`Board::idle`] waits from now on.
    pub fn dial(&self, address: impl ToSocketAddrs) -> io::Result<Tcp> {
        let (tcp, wire) = Tcp::new(tcp::connect(address)?)?;
        self.wire.replace(wire);
        Ok(tcp)
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs an application on a connection to the `HOST:PORT` that the command line names.
pub fn run(application: impl FnOnce(&Host, Tcp) -> u8) -> ExitCode {
    let Some(address) = std::env::args().nth(1) else {
        eprintln!(
            "usage: {} HOST:PORT",
            std::env::args().next().unwrap_or_default()
        );
        return ExitCode::from(2);
    };
    let board = Host::new();
    match board.dial(&address) {
        Ok(connection) => ExitCode::from(application(&board, connection)),
        Err(error) => {
            eprintln!("{address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs an application that dials, as often as it wants, the `HOST:PORT` that the command line names, or a broker on this computer.
pub fn run_dialling(application: impl FnOnce(&Host, Network<'_>) -> u8) -> ExitCode {
    let address = std::env::args().nth(1);
    let board = Host::new();
    let network = Network::new(
        &board,
        address.unwrap_or_else(|| "127.0.0.1:1883".to_owned()),
    );
    ExitCode::from(application(&board, network))
}

impl Board for Host {
    fn now(&self) -> Instant {
        let ms = self.started.elapsed().as_millis();
        Instant::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    fn random(&self) -> u32 {
        // Jitter is worth no failure: without the operating system's numbers, the clock's.
        getrandom::u32().unwrap_or_else(|_| self.started.elapsed().subsec_nanos())
    }

    /// Invented, for a computer has no thermometer to rely on: between 16.5 °C and 26.5 °C within ten minutes.
    fn temperature(&self) -> i16 {
        let turn = self.started.elapsed().as_secs_f32() / 600.0 * core::f32::consts::TAU;
        215 + (50.0 * turn.sin()) as i16
    }

    fn idle(&self, until: Option<Instant>) {
        let left = until.map(|until| Duration::from_millis(until.millis_since(self.now())));
        if left == Some(Duration::ZERO) {
            return;
        }
        match self.wire.borrow().upgrade() {
            Some(stream) => {
                // An error is for the next read to tell, and ends the sleep.
                let _ = stream.set_read_timeout(left);
                let _ = stream.peek(&mut [0]);
            }
            None => std::thread::sleep(left.unwrap_or(Duration::MAX)),
        }
    }

    fn stack_peak(&self) -> Option<usize> {
        None
    }

    fn exit(&self, code: u8) -> ! {
        std::process::exit(i32::from(code))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{Ipv4Addr, TcpListener};

    use embedded_io::{Read, ReadReady};
    use firmware_board::{Clock, block_on};

    use super::*;

    fn connected() -> (Host, Tcp, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let board = Host::new();
        let tcp = board
            .dial(listener.local_addr().expect("bound"))
            .expect("it listens");
        (board, tcp, listener.accept().expect("it has dialled").0)
    }

    #[test]
    fn a_byte_ends_a_sleep_without_a_deadline() {
        let (board, mut tcp, mut peer) = connected();
        assert!(!tcp.read_ready().expect("open"));
        peer.write_all(b"x").expect("open");
        board.idle(None);
        assert!(tcp.read_ready().expect("open"));
        let mut byte = [0; 4];
        assert_eq!(tcp.read(&mut byte).expect("open"), 1);
    }

    #[test]
    fn a_deadline_ends_a_sleep_without_a_byte() {
        let (board, mut tcp, peer) = connected();
        let end = board.now().plus_millis(30);
        while board.now() < end {
            board.idle(Some(end));
        }
        assert!(!tcp.read_ready().expect("open"));
        // The end of the connection is something to read too.
        drop(peer);
        board.idle(None);
        assert!(tcp.read_ready().expect("a read will tell"));
        assert_eq!(tcp.read(&mut [0; 4]).expect("closed in order"), 0);
    }

    #[test]
    fn a_future_reads_what_comes() {
        let (board, mut tcp, mut peer) = connected();
        let clock = Clock::new(&board);
        let writer = std::thread::spawn(move || peer.write_all(b"four"));
        let mut bytes = [0; 4];
        let mut filled = 0;
        block_on(&clock, async {
            while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                filled += embedded_io_async::Read::read(&mut tcp, rest)
                    .await
                    .expect("open");
            }
        });
        assert_eq!(&bytes, b"four");
        writer.join().expect("no panic").expect("open");
    }
}
