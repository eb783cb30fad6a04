//! The program `at-modem`: the emulator with real sockets and the real clock.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use mqtt_at_modem::{Dialect, Emulator, Options, Wish};

/// Stand in for an AT-command modem: a serial line on one side, TCP on the other.
///
/// Without --serial, standard input and output are the serial line. Every connection of the serial line is a modem that was just
/// switched on.
#[derive(Parser)]
#[command(version, name = "at-modem")]
struct Arguments {
    /// Serve the serial line as a TCP port; port 0 takes a free one, and the first line printed says which
    #[arg(long, value_name = "ADDRESS:PORT")]
    serial: Option<SocketAddr>,
    /// Stop after the first connection of the serial line
    #[arg(long)]
    once: bool,
    /// Dial this address, whatever the device dials
    #[arg(long, value_name = "ADDRESS:PORT")]
    to: Option<SocketAddr>,
    /// Show the conversation on standard error
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    options: Options,
}

/// What threads tell the modem. Numbers say to which dial something belongs.
enum Input {
    Serial(Vec<u8>),
    SerialEnd,
    Connected(u32, io::Result<TcpStream>),
    Network(u32, Vec<u8>),
    NetworkEnd(u32),
}

/// The connection; it ends with this, also for the thread that reads from it.
struct Network(Option<TcpStream>);

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(stream) = &self.0 {
            // It may be closed already.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let raw = arguments.options.dialect == Dialect::Raw;
    if let Some(contradiction) = arguments.options.contradiction() {
        Arguments::command()
            .error(ErrorKind::ArgumentConflict, contradiction)
            .exit();
    }
    if raw && arguments.to.is_none() {
        Arguments::command()
            .error(
                ErrorKind::MissingRequiredArgument,
                "a raw line cannot say whom it calls: --to is missing",
            )
            .exit();
    }
    let Some(serial) = arguments.serial else {
        writeln!(io::stderr(), "seed {}", arguments.options.seed)?;
        return run(&arguments, io::stdin(), io::stdout());
    };
    let listener = TcpListener::bind(serial)?;
    let address = listener.local_addr()?;
    // In one write: who reads the first line may be gone at the second.
    let text = format!("serial {address}\nseed {}\n", arguments.options.seed);
    io::stdout().write_all(text.as_bytes())?;
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        // A device that goes away in the middle is no failure of the modem.
        if let Err(error) = run(&arguments, stream.try_clone()?, stream) {
            writeln!(io::stderr(), "serial line: {error}")?;
        }
        if arguments.once {
            return Ok(());
        }
    }
}

/// Reads until the end, in a thread of its own.
fn read_all(
    mut from: impl Read + Send + 'static,
    to: Sender<Input>,
    piece: impl Fn(Vec<u8>) -> Input + Send + 'static,
    end: Input,
) where
    Input: Send,
{
    thread::spawn(move || {
        let mut buffer = vec![0; 4_096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.send(piece(buffer[..count].to_vec())).is_err() {
                return;
            }
        }
        // Nobody listens any more when the serial line has ended.
        let _ = to.send(end);
    });
}

fn run(
    arguments: &Arguments,
    from: impl Read + Send + 'static,
    mut to: impl Write,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel();
    read_all(from, sender.clone(), Input::Serial, Input::SerialEnd);
    let start = Instant::now();
    let now = || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut modem = Emulator::new(arguments.options.clone());
    let mut network = Network(None);
    let mut dial = 0;
    loop {
        while let Some(wish) = modem.wish() {
            match wish {
                Wish::Connect { host, port } => {
                    dial += 1;
                    connect(arguments.to, host, port, dial, sender.clone());
                }
                Wish::Send(bytes) => {
                    if let Some(stream) = &mut network.0
                        && stream.write_all(&bytes).is_err()
                    {
                        network = Network(None);
                        modem.closed(now());
                    }
                }
                Wish::Close => {
                    dial += 1;
                    network = Network(None);
                }
            }
        }
        let bytes = modem.serial_out(now());
        if !bytes.is_empty() {
            trace(arguments, "<", &bytes)?;
            to.write_all(&bytes)?;
            to.flush()?;
        }
        let Some(input) = wait(
            &receiver,
            modem.deadline().map(|due| due.saturating_sub(now())),
        ) else {
            continue;
        };
        match input {
            Input::Serial(bytes) => {
                trace(arguments, ">", &bytes)?;
                modem.serial_in(&bytes, now());
            }
            Input::SerialEnd => return Ok(()),
            Input::Connected(number, result) if number == dial => {
                network = Network(result.ok());
                if let Some(stream) = &network.0 {
                    stream.set_nodelay(true)?;
                    let piece = move |bytes| Input::Network(number, bytes);
                    read_all(
                        stream.try_clone()?,
                        sender.clone(),
                        piece,
                        Input::NetworkEnd(number),
                    );
                }
                modem.connected(network.0.is_some(), now());
            }
            Input::Network(number, bytes) if number == dial => modem.received(&bytes, now()),
            Input::NetworkEnd(number) if number == dial => {
                network = Network(None);
                modem.closed(now());
            }
            Input::Connected(..) | Input::Network(..) | Input::NetworkEnd(_) => {}
        }
    }
}

fn connect(instead: Option<SocketAddr>, host: String, port: u16, dial: u32, to: Sender<Input>) {
    thread::spawn(move || {
        let result = match instead {
            Some(address) => TcpStream::connect(address),
            None => TcpStream::connect((host.as_str(), port)),
        };
        // Nobody listens any more when the serial line has ended.
        let _ = to.send(Input::Connected(dial, result));
    });
}

/// The next input; `None` when the time is over first.
fn wait(receiver: &Receiver<Input>, ms: Option<u64>) -> Option<Input> {
    match ms {
        None => receiver.recv().ok(),
        Some(ms) => receiver.recv_timeout(Duration::from_millis(ms)).ok(),
    }
}

fn trace(arguments: &Arguments, direction: &str, bytes: &[u8]) -> io::Result<()> {
    if arguments.trace {
        writeln!(io::stderr(), "{direction} {}", bytes.escape_ascii())
    } else {
        Ok(())
    }
}
