//! `wire`: what a conversation of a device takes on the wire, counted packet by packet, beside the model.
//!
//! ```text
//!      namespace of the client                     namespace of the broker
//!   solar on the host board ── wire0 ──────────── wire0 ── mqtt-broker or Mosquitto
//!                               │
//!                  AF_PACKET: every packet, both ways
//! ```

mod lab;
mod model;
mod talk;
mod tally;

use core::time::Duration;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use firmware_apps::solar;
use lab::{ADDRESS, Lab, PORT};
use lexopt::{Arg, Parser, ValueExt};
use model::{Case, Form, cases};
use mqtt_device::Version;
use socket2::Socket;
use tally::Tally;

const HELP: &str = "\
What a device's conversation takes on the wire, beside the model: connect, send with QoS 1, close

Usage: wire <MQTT-BROKER>

Makes two network namespaces with a cable between them (root, iproute2), starts the broker in one, and Mosquitto after it if it
is installed; counts at the other every packet from SYN to the acknowledgement of the last FIN: IPv4 and TCP headers with their
options, timestamps off. Fails when 60 packed readings take more than 21 bytes each in 3.1.1 or 22 in 5.0, or when readings that
fit a segment are not in one with CONNECT.

Arguments:
  <MQTT-BROKER>  The program that cargo has built

Options:
  -h, --help  Print this help
";

enum Command {
    Help,
    /// Makes the network and counts there.
    Outside(PathBuf),
    /// Counts in the namespace where it runs; for the program itself.
    Inside,
}

/// Bytes of DISCONNECT, the only packet that waits for an answer.
const GOODBYE: usize = 2;
/// How long the rest of a closed connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let result = match parse(Parser::from_env()) {
        Ok(Command::Help) => {
            print!("{HELP}");
            Ok(true)
        }
        Ok(Command::Outside(broker)) => outside(&broker),
        Ok(Command::Inside) => inside(),
        Err(error) => {
            eprintln!("error: {error}\n\nTry `wire --help`.");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut broker = None;
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Long("inside") if broker.is_none() => return Ok(Command::Inside),
            Arg::Value(value) if broker.is_none() => broker = Some(value.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Outside(broker.ok_or("which mqtt-broker?")?))
}

/// Whether every bar is kept, with each broker that is there.
fn outside(ours: &Path) -> io::Result<bool> {
    let lab = match Lab::new() {
        Ok(lab) => lab,
        Err(why) => {
            println!(
                "skipped: no packet can be counted here, for that takes root and iproute2 ({why})"
            );
            return Ok(true);
        }
    };
    let listen = format!("{ADDRESS}:{PORT}");
    let mut kept = true;
    {
        println!("mqtt-broker");
        let _broker = lab.broker(ours, &["--allow-anonymous", "--listen", &listen], |line| {
            line.starts_with("listening on ")
        })?;
        kept &= counted(&lab)?;
    }
    // Debian installs it where only root's path looks.
    let mosquitto = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
        .into_iter()
        .map(Path::new)
        .find(|file| file.exists());
    match mosquitto {
        Some(mosquitto) => {
            println!("\nMosquitto");
            let folder = tempfile::tempdir()?;
            let file = folder.path().join("mosquitto.conf");
            let conf =
                format!("listener {PORT} {ADDRESS}\nallow_anonymous true\nlog_dest stderr\n");
            std::fs::write(&file, conf)?;
            let _broker = lab.broker(mosquitto, &["-c", &file.to_string_lossy()], |line| {
                line.ends_with(" running")
            })?;
            kept &= counted(&lab)?;
        }
        None => println!("\nMosquitto is not installed: left out"),
    }
    Ok(kept)
}

/// Counts in the client's namespace.
fn counted(lab: &Lab) -> io::Result<bool> {
    let status = lab
        .client(&std::env::current_exe()?)
        .arg("--inside")
        .status()?;
    Ok(status.success())
}

fn inside() -> io::Result<bool> {
    println!(
        "{:8} {:6} {:>8} {:>11} {:>11} {:>9} {:>8} {:>10} {:>12}  first flight",
        "version",
        "form",
        "readings",
        "MQTT bytes",
        "on the wire",
        "by model",
        "segments",
        "a reading",
        "by model"
    );
    let mut kept = true;
    for case in cases() {
        let tally = count(case)?;
        let model = case.model(
            solar::TOPIC.as_str().len(),
            solar::connect().client_id.len(),
        );
        let missed = verdict(case, &tally);
        kept &= missed.is_none();
        let each = |bytes: usize| bytes as f64 / case.readings as f64;
        println!(
            "{:8} {:6} {:>8} {:>11} {:>11} {:>9} {:>8} {:>10.1} {:>12.1}  {} bytes in {}{}",
            if case.version == Version::V5 {
                "5.0"
            } else {
                "3.1.1"
            },
            if case.form == Form::Packed {
                "packed"
            } else {
                "each"
            },
            case.readings,
            tally.payload,
            tally.bytes,
            model,
            tally.segments,
            each(tally.bytes),
            each(model),
            tally.first_flight.0,
            tally.first_flight.1,
            missed.map_or_else(String::new, |why| format!("  MISSED: {why}")),
        );
    }
    Ok(kept)
}

/// What of the bars is missed.
fn verdict(case: Case, tally: &Tally) -> Option<String> {
    if tally.was_reset() {
        return Some("the connection was reset".to_owned());
    }
    if let Some(bar) = case.bar()
        && tally.bytes > bar
    {
        return Some(format!("more than {bar} bytes"));
    }
    // What is longer than a segment may meet the first answer on its way.
    let early = tally.sent.saturating_sub(GOODBYE);
    (early <= model::FULL_SEGMENT && tally.first_flight != (early, 1))
        .then(|| "the readings are not in one segment with CONNECT".to_owned())
}

/// Every packet of this namespace from now on, without the header of the link.
#[cfg(target_os = "linux")]
fn capture() -> io::Result<Socket> {
    use socket2::{Domain, Protocol, Type};

    /// Every protocol; only this shows packets on their way out, too.
    const ETH_P_ALL: u16 = 3;
    let protocol = Protocol::from(i32::from(ETH_P_ALL.to_be()));
    Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))
}

/// Other systems have neither this nor network namespaces.
#[cfg(not(target_os = "linux"))]
fn capture() -> io::Result<Socket> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Has a conversation, and counts its packets until it is closed.
fn count(case: Case) -> io::Result<Tally> {
    let mut capture = capture()?;
    capture.set_read_timeout(Some(PATIENCE))?;
    if !talk::talk(case, &format!("{ADDRESS}:{PORT}")) {
        return Err(io::Error::other(format!("{case:?} was not acknowledged")));
    }
    let (mut tally, mut packet) = (Tally::default(), vec![0; 65_536]);
    while !tally.is_over() {
        let count = capture.read(&mut packet)?;
        tally
            .count(packet.get(..count).unwrap_or_default(), PORT)
            .map_err(io::Error::other)?;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKED: Case = Case {
        version: Version::V311,
        form: Form::Packed,
        readings: 60,
    };

    /// A count with so many bytes in all, of the client's, and in the client's segments before the first answer.
    fn counted(bytes: usize, sent: usize, first_flight: (usize, usize)) -> Tally {
        let mut tally = Tally::default();
        tally.bytes = bytes;
        tally.sent = sent;
        tally.first_flight = first_flight;
        tally
    }

    #[test]
    fn a_bar_is_missed_by_a_byte() {
        assert_eq!(verdict(PACKED, &counted(1_260, 706, (704, 1))), None);
        let missed = verdict(PACKED, &counted(1_261, 706, (704, 1)));
        assert_eq!(missed.as_deref(), Some("more than 1260 bytes"));
    }

    #[test]
    fn readings_that_wait_for_an_answer_or_take_two_segments_miss_the_flight() {
        for first_flight in [(20, 1), (704, 2), (0, 0)] {
            let missed = verdict(PACKED, &counted(1_000, 706, first_flight));
            assert!(missed.is_some(), "{first_flight:?}");
        }
    }

    #[test]
    fn what_is_longer_than_a_segment_may_meet_the_answer() {
        let each = Case {
            form: Form::Each,
            ..PACKED
        };
        let tally = counted(3_000, 2_062, (1_400, 1));
        assert_eq!(verdict(each, &tally), None);
    }
}
