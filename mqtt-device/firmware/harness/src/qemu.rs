//! One run of one program in QEMU.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use crate::Verdict;

/// A machine of QEMU's that we have a board for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// Cortex-M3; ends with the program, and says how on standard error.
    Lm3s6965evb,
    /// ATmega328P; never ends by itself, and says how through the UART.
    Uno,
}

impl Machine {
    /// The machine of that name, which is also the name of the board's crate.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "lm3s6965evb" => Some(Self::Lm3s6965evb),
            "uno" => Some(Self::Uno),
            _ => None,
        }
    }

    /// Where a program of the board lies in the folder in which cargo has built it.
    #[must_use]
    pub fn program(self, built: &Path, name: &str) -> PathBuf {
        match self {
            Self::Lm3s6965evb => built.join("thumbv7m-none-eabi/release").join(name),
            Self::Uno => built
                .join("avr-none/release")
                .join(name)
                .with_extension("elf"),
        }
    }

    /// Whether what came through the UART so far ends with the program: for [`pipe`](crate::pipe()).
    pub fn says_enough(self) -> impl FnMut(&[u8]) -> bool {
        move |heard| self == Self::Uno && Verdict::find(heard).is_some()
    }

    /// The program, and the Debian package that has it.
    #[must_use]
    pub const fn emulator(self) -> (&'static str, &'static str) {
        match self {
            Self::Lm3s6965evb => ("qemu-system-arm", "qemu-system-arm"),
            Self::Uno => ("qemu-system-avr", "qemu-system-misc"),
        }
    }

    fn command(self, elf: &Path, serial: &str) -> Command {
        let mut command = Command::new(self.emulator().0);
        command.args(["-display", "none", "-monitor", "none", "-serial", serial]);
        match self {
            Self::Lm3s6965evb => command
                .args([
                    "-M",
                    "lm3s6965evb",
                    "-semihosting-config",
                    "enable=on,target=native",
                ])
                .arg("-kernel"),
            Self::Uno => command.args(["-M", "uno", "-bios"]),
        };
        command.arg(elf);
        command
    }
}

/// A running program; stopped when dropped.
#[derive(Debug)]
pub struct Qemu {
    machine: Machine,
    child: Child,
    wire: TcpStream,
    /// Lines of QEMU's standard error.
    lines: Receiver<String>,
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Qemu {
    /// Starts the program; its UART is connected when this returns.
    ///
    /// # Errors
    /// If QEMU is missing, or ends at once.
    pub fn start(machine: Machine, elf: &Path) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let serial = format!("tcp:{},nodelay=on", listener.local_addr()?);
        let mut child = machine
            .command(elf, &serial)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                let (program, package) = machine.emulator();
                let message = format!("{program} (apt-get install -y {package}): {error}");
                io::Error::new(error.kind(), message)
            })?;
        let lines = read_lines(child.stderr.take());
        let wire = match accept(&listener, &mut child) {
            Ok(wire) => wire,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let said: Vec<String> = lines.iter().collect();
                return Err(io::Error::new(
                    error.kind(),
                    format!("{error}: {}", said.join("; ")),
                ));
            }
        };
        wire.set_nodelay(true)?;
        Ok(Self {
            machine,
            child,
            wire,
            lines,
        })
    }

    /// Processor time that QEMU has used so far, in ticks of 10 ms; Linux only.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn ticks(&self) -> io::Result<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Behind the name in brackets: state, and as the 12th and 13th field the time in user and in kernel mode.
        let fields = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let times = fields
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().unwrap_or_default());
        Ok(times.sum())
    }

    /// The other end of the UART.
    #[must_use]
    pub const fn wire(&self) -> &TcpStream {
        &self.wire
    }

    /// Waits until a program on a board with an exit status has ended; its UART is read by others meanwhile.
    ///
    /// # Errors
    /// If it does not end in time, or without a verdict.
    pub fn ended(&mut self, patience: Duration) -> io::Result<Verdict> {
        let deadline = Instant::now() + patience;
        let mut verdict = None;
        let mut said = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    verdict = verdict.or_else(|| Verdict::parse(&line));
                    said.push(line);
                }
                // Its standard error has ended, and so has QEMU.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let message = format!("no verdict within {} s", patience.as_secs());
                    return Err(io::Error::new(ErrorKind::TimedOut, message));
                }
            }
        }
        self.child.wait()?;
        verdict.ok_or_else(|| {
            io::Error::other(format!("ended without a verdict: {}", said.join("; ")))
        })
    }

    /// Waits for the end of the program, and reads what it still sends, which is returned with the verdict.
    ///
    /// `heard` is what was read from the wire before, for some machines tell their verdict there.
    ///
    /// # Errors
    /// If it does not end within `patience`, or ends without a verdict.
    pub fn verdict(&mut self, heard: &[u8], patience: Duration) -> io::Result<(Verdict, Vec<u8>)> {
        let deadline = Instant::now() + patience;
        let mut bytes = heard.to_vec();
        loop {
            if self.machine == Machine::Uno
                && let Some(verdict) = Verdict::find(&bytes)
            {
                return Ok((verdict, bytes.split_off(heard.len())));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = format!("no verdict within {} s", patience.as_secs());
                return Err(io::Error::new(ErrorKind::TimedOut, message));
            }
            self.wire.set_read_timeout(Some(left))?;
            let mut chunk = [0; 512];
            match self.wire.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // The process is gone: its last words are in its standard error.
                Err(_) => break,
            }
        }
        self.child.wait()?;
        let said: Vec<String> = self.lines.iter().collect();
        let verdict = said.iter().find_map(|line| Verdict::parse(line));
        let verdict = verdict.ok_or_else(|| {
            io::Error::other(format!("ended without a verdict: {}", said.join("; ")))
        })?;
        Ok((verdict, bytes.split_off(heard.len())))
    }
}

/// Waits for QEMU to connect, as long as it runs.
fn accept(listener: &TcpListener, child: &mut Child) -> io::Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match listener.accept() {
            Ok((wire, _)) => {
                wire.set_nonblocking(false)?;
                return Ok(wire);
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) => {}
        }
        if let Some(status) = child.try_wait()? {
            return Err(io::Error::other(format!("QEMU has ended ({status})")));
        }
        if Instant::now() > deadline {
            return Err(io::Error::new(
                ErrorKind::TimedOut,
                "QEMU does not connect its UART",
            ));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn read_lines(from: Option<ChildStderr>) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let lines = from
            .into_iter()
            .flat_map(|from| BufReader::new(from).lines());
        for line in lines.map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
