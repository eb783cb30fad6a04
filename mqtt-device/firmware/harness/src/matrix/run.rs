//! One run of the firmware.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;

use super::{Broker, Case, Transport};
use crate::{AtModem, Machine, Qemu};

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The folder in which the firmware was built.
    pub built: PathBuf,
    /// `at-modem`.
    pub at_modem: PathBuf,
    /// `mqtt-broker`.
    pub broker: PathBuf,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The firmware's verdict, 0 for good.
    pub code: u8,
    /// Bytes that passed its UART, both directions counted.
    pub bytes: u64,
}

/// How long a run may take: the firmware gives up before.
const PATIENCE: Duration = Duration::from_secs(180);

/// Plays a case against a broker that was started for it.
///
/// # Errors
/// If a program does not start, or the firmware does not end.
pub fn play(case: Case, broker: &Broker, programs: &Programs) -> io::Result<Outcome> {
    broker.forget_session()?;
    let (program, dialect) = match case.transport {
        Transport::Raw => ("matrix-raw", "raw"),
        Transport::Modem => ("matrix-modem", "sim800"),
    };
    let mut flags = vec!["--dialect".to_owned(), dialect.to_owned()];
    flags.extend(case.fault.flags());
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let modem = AtModem::start(&programs.at_modem, broker.port(), &flags)?;
    let machine = Machine::Lm3s6965evb;
    let mut qemu = Qemu::start(machine, &machine.program(&programs.built, program))?;
    let (near, far) = (qemu.wire().try_clone()?, modem.serial().try_clone()?);
    far.set_nodelay(true)?;
    let bytes = AtomicU64::new(0);
    let verdict = std::thread::scope(|scope| {
        for (from, to) in [(&near, &far), (&far, &near)] {
            let bytes = &bytes;
            // An error is an end.
            scope.spawn(move || drop(carry(from, to, bytes)));
        }
        let verdict = qemu.ended(PATIENCE);
        for end in [&near, &far] {
            let _ = end.shutdown(Shutdown::Both);
        }
        verdict
    })?;
    Ok(Outcome {
        code: verdict.code,
        bytes: bytes.into_inner(),
    })
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, count: &AtomicU64) -> io::Result<()> {
    let mut chunk = [0; 512];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        count.fetch_add(read as u64, Ordering::Relaxed);
        to.write_all(chunk.get(..read).unwrap_or_default())?;
    }
}
