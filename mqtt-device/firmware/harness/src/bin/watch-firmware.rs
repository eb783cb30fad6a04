//! `watch-firmware`: an application on its board in QEMU, a broker, and what it publishes on standard output.

use core::time::Duration;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use firmware_harness::{AtModem, Machine, Mosquitto, Observer, Qemu, options, pipe};
use lexopt::{Arg, Parser, ValueExt};

const HELP: &str = "\
An application on its board in QEMU, a Mosquitto, and what the application publishes on standard output

Usage: watch-firmware <BOARD> <PROGRAM> <AT-MODEM> [OPTIONS] [-- <OPTIONS OF AT-MODEM>]

Ends with Ctrl-C, or with the application.

Arguments:
  <BOARD>     lm3s6965evb or uno
  <PROGRAM>   The file that cargo has built
  <AT-MODEM>  The program at-modem, which stands between the UART and the broker

Options:
      --port <PORT>  A broker on this computer instead of a Mosquitto that is started
  -h, --help         Print this help
";

struct Options {
    machine: Machine,
    program: PathBuf,
    modem: PathBuf,
    port: Option<u16>,
    rest: Vec<String>,
}

fn main() -> ExitCode {
    let options = match options("watch-firmware", HELP, parse(Parser::from_env())) {
        Ok(options) => options,
        Err(code) => return code,
    };
    match watch(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut parser: Parser) -> Result<Option<Options>, lexopt::Error> {
    let (mut values, mut port, mut rest) = (Vec::new(), None, Vec::new());
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("port") => port = Some(parser.value()?.parse()?),
            Arg::Value(value) if values.len() < 3 => values.push(value.string()?),
            Arg::Value(value) => rest.push(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let Ok([board, program, modem]) = <[String; 3]>::try_from(values) else {
        return Err("which board, program and at-modem?".into());
    };
    Ok(Some(Options {
        machine: Machine::named(&board).ok_or_else(|| format!("there is no board `{board}`"))?,
        program: program.into(),
        modem: modem.into(),
        port,
        rest,
    }))
}

fn watch(options: &Options) -> io::Result<()> {
    let (port, _mosquitto) = match options.port {
        Some(port) => (port, None),
        None => {
            let broker = Mosquitto::start()?;
            (broker.port(), Some(broker))
        }
    };
    let mut observer = Observer::new(port, "#")?;
    println!("broker on port {port}; mosquitto_pub -p {port} -t TOPIC -m COMMAND sends commands");
    let faults: Vec<_> = options.rest.iter().map(String::as_str).collect();
    let modem = AtModem::start(&options.modem, port, &faults)?;
    let qemu = Qemu::start(options.machine, &options.program)?;
    let (near, far) = (qemu.wire().try_clone()?, modem.serial().try_clone()?);
    let board = std::thread::spawn(move || pipe(&near, &far, |_| false));
    while !board.is_finished() {
        match observer.next(Duration::from_secs(1)) {
            Ok(heard) => println!("{} {}", heard.topic, heard.payload),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("the application has ended"))
}
