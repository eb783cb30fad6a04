//! `run-firmware`: a program on its board in QEMU, its UART joined to a broker or fed with bytes.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::ExitCode;

use firmware_harness::{AtModem, Machine, Mosquitto, Qemu, Verdict, options, pipe};
use lexopt::{Arg, Parser, ValueExt};

const HELP: &str = "\
A program on its board in QEMU, its UART joined to a broker or fed with bytes

Usage: run-firmware <BOARD> <PROGRAM> [OPTIONS]

Prints `exit CODE, stack BYTES` when the program ends, and ends with its code; with 124 if it does not end in time.

Arguments:
  <BOARD>    lm3s6965evb or uno
  <PROGRAM>  The file that cargo has built

Options:
      --connect <HOST:PORT>  What the UART is joined to; without it, a Mosquitto is started
      --modem <AT-MODEM>     The program at-modem, which stands between the UART and a Mosquitto that is started
      --bytes <TEXT>         No broker: these bytes go to the program, and what it says to standard output
      --seconds <N>          How long it may run [default: 20]
  -h, --help                 Print this help
";

/// What the other end of the UART is.
enum Peer {
    Mosquitto,
    Modem(PathBuf),
    Address(String),
    Bytes(String),
}

struct Options {
    machine: Machine,
    program: PathBuf,
    peer: Peer,
    patience: Duration,
}

fn main() -> ExitCode {
    let options = match options("run-firmware", HELP, parse(Parser::from_env())) {
        Ok(options) => options,
        Err(code) => return code,
    };
    match run(&options) {
        Ok(verdict) => {
            println!("{verdict}");
            ExitCode::from(verdict.code)
        }
        Err(error) => {
            eprintln!("error: {}: {error}", options.program.display());
            ExitCode::from(if error.kind() == io::ErrorKind::TimedOut {
                124
            } else {
                1
            })
        }
    }
}

fn parse(mut parser: Parser) -> Result<Option<Options>, lexopt::Error> {
    let (mut machine, mut program, mut peer, mut seconds) = (None, None, Peer::Mosquitto, 20);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("connect") => peer = Peer::Address(parser.value()?.string()?),
            Arg::Long("modem") => peer = Peer::Modem(parser.value()?.into()),
            Arg::Long("bytes") => peer = Peer::Bytes(parser.value()?.string()?),
            Arg::Long("seconds") => seconds = parser.value()?.parse()?,
            Arg::Value(name) if machine.is_none() => {
                let name = name.string()?;
                machine = Some(
                    Machine::named(&name).ok_or_else(|| format!("there is no board `{name}`"))?,
                );
            }
            Arg::Value(path) if program.is_none() => program = Some(path.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(Options {
        machine: machine.ok_or("which board?")?,
        program: program.ok_or("which program?")?,
        peer,
        patience: Duration::from_secs(seconds),
    }))
}

fn run(options: &Options) -> io::Result<Verdict> {
    match &options.peer {
        Peer::Bytes(text) => {
            let mut qemu = Qemu::start(options.machine, &options.program)?;
            qemu.wire().write_all(text.as_bytes())?;
            let (verdict, said) = qemu.verdict(&[], options.patience)?;
            io::stdout().write_all(&said)?;
            if !said.ends_with(b"\n") {
                println!();
            }
            Ok(verdict)
        }
        Peer::Mosquitto => {
            let broker = Mosquitto::start()?;
            joined(
                options,
                &TcpStream::connect((Ipv4Addr::LOCALHOST, broker.port()))?,
            )
        }
        Peer::Modem(program) => {
            let broker = Mosquitto::start()?;
            let modem = AtModem::start(program, broker.port(), &[])?;
            joined(options, modem.serial())
        }
        Peer::Address(address) => joined(options, &TcpStream::connect(address)?),
    }
}

fn joined(options: &Options, far: &TcpStream) -> io::Result<Verdict> {
    let mut qemu = Qemu::start(options.machine, &options.program)?;
    far.set_nodelay(true)?;
    let near = qemu.wire().try_clone()?;
    std::thread::scope(|scope| {
        let (sender, heard) = std::sync::mpsc::channel();
        let near = &near;
        scope.spawn(move || {
            // Without a listener the verdict came first, or time is up.
            let _ = sender.send(pipe(near, far, options.machine.says_enough()));
        });
        let heard = heard.recv_timeout(options.patience);
        if heard.is_err() {
            // Both ends of the pipe are woken, so that the thread ends.
            let _ = near.shutdown(std::net::Shutdown::Both);
            let _ = far.shutdown(std::net::Shutdown::Both);
        }
        let heard = heard
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "does not end in time"))??;
        Ok(qemu.verdict(&heard, options.patience)?.0)
    })
}
