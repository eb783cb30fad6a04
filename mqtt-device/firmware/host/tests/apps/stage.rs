//! An application as a program, a broker, and somebody at its other side.

use core::fmt;
use core::time::Duration;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use firmware_harness::{AtModem, Heard, Machine, Mosquitto, Observer, OurBroker, Qemu, pipe};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Which broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Mosquitto,
    Ours,
}

pub(crate) const BROKERS: [Which; 2] = [Which::Mosquitto, Which::Ours];

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// On this computer, over TCP.
    Here,
    /// In QEMU, the UART leading to the broker.
    Line(Machine),
    /// In QEMU, with a SIM800 at the UART.
    Modem(Machine),
}

/// The folders with the programs for boards, and with those of the workspace.
fn folders() -> Option<(PathBuf, PathBuf)> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from);
    Some((folder("FIRMWARE_BUILT")?, folder("FIRMWARE_TOOLS")?))
}

/// Whether there are no programs to test; says how to have them.
pub(crate) fn skipped(test: &str) -> bool {
    let skipped = folders().is_none();
    if skipped {
        eprintln!("SKIPPED {test}: cargo xtask firmware");
    }
    skipped
}

/// Stopped when dropped.
enum Broker {
    Mosquitto(Mosquitto),
    Ours(OurBroker),
}

/// Stopped when dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

enum Running {
    Here { _program: Program },
    Board { _qemu: Qemu, _modem: AtModem },
}

/// One run of an application.
pub(crate) struct Stage {
    title: String,
    root: String,
    port: u16,
    observer: Observer,
    running: Option<Running>,
    _broker: Broker,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)
    }
}

impl Stage {
    /// Starts all; `root` is what its topics begin with, and `faults` are options of the emulator at its UART.
    pub(crate) fn new(which: Which, place: Where, name: &str, root: &str, faults: &[&str]) -> Self {
        let (built, tools) = folders().expect("it is not skipped");
        let broker = match which {
            Which::Mosquitto => Broker::Mosquitto(Mosquitto::start().expect("Mosquitto")),
            Which::Ours => {
                let program = tools.join("mqtt-broker");
                Broker::Ours(OurBroker::start(&program).expect("the broker of this project"))
            }
        };
        let port = match &broker {
            Broker::Mosquitto(broker) => broker.port(),
            Broker::Ours(broker) => broker.port(),
        };
        let observer = Observer::new(port, &format!("{root}/#")).expect("the broker is there");
        let on_board = |machine: Machine, dialect| {
            let mut options = vec!["--dialect", dialect];
            options.extend(faults);
            let modem = AtModem::start(&tools.join("at-modem"), port, &options).expect("at-modem");
            let qemu = Qemu::start(machine, &machine.program(&built, name)).expect("QEMU");
            let near = qemu.wire().try_clone().expect("a socket");
            let far = modem.serial().try_clone().expect("a socket");
            // Until one of them ends.
            std::thread::spawn(move || pipe(&near, &far, |_| false));
            Running::Board {
                _qemu: qemu,
                _modem: modem,
            }
        };
        let running = match place {
            Where::Here => {
                let program = Command::new(here(name))
                    .arg(format!("127.0.0.1:{port}"))
                    .stderr(Stdio::null())
                    .spawn();
                Running::Here {
                    _program: Program(program.expect("it was built")),
                }
            }
            Where::Line(machine) => on_board(machine, "raw"),
            Where::Modem(machine) => on_board(machine, "sim800"),
        };
        Self {
            title: format!("{name}, {place:?}, {which:?}"),
            root: root.to_owned(),
            port,
            observer,
            running: Some(running),
            _broker: broker,
        }
    }

    /// The next message of the application.
    pub(crate) fn next(&mut self, patience: Duration) -> Heard {
        let next = self.observer.next(patience);
        next.unwrap_or_else(|error| panic!("{self}: {error}"))
    }

    /// The next message to this topic.
    pub(crate) fn expect(&mut self, topic: &str, patience: Duration) -> Heard {
        let topic = format!("{}/{topic}", self.root);
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let next = self.observer.next(left);
            let heard = next.unwrap_or_else(|error| panic!("{self}, {topic}: {error}"));
            if heard.topic == topic {
                return heard;
            }
        }
    }

    /// Sends a command.
    pub(crate) fn command(&mut self, payload: &[u8]) {
        let topic = format!("{}/set", self.root);
        self.observer
            .publish(&topic, payload)
            .expect("the broker is there");
    }

    /// Ends the program without a word.
    pub(crate) fn pull_the_plug(&mut self) {
        self.running = None;
    }

    /// What somebody learns who comes now.
    pub(crate) fn kept(&self, topic: &str) -> Heard {
        let topic = format!("{}/{topic}", self.root);
        let mut late = Observer::new(self.port, &topic).expect("the broker is there");
        late.next(PATIENCE).expect("something is retained")
    }
}

/// The program of that name on this computer.
fn here(name: &str) -> &'static str {
    match name {
        "sensor" => env!("CARGO_BIN_EXE_sensor"),
        "solar" => env!("CARGO_BIN_EXE_solar"),
        _ => panic!("{name} wants a modem"),
    }
}
