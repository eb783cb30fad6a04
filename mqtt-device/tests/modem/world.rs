//! An engine, a modem and a peer that sends back what it gets, in virtual time.

use mqtt_at_modem::{Dialect, Emulator, Options, Wish};
use mqtt_device::modem::{ESP_AT, Engine, ModemError, SIM800, Settings, Task};
use mqtt_session::Instant;

pub(crate) static SETTINGS: Settings<'static> = Settings {
    host: "broker.example",
    port: 1_883,
    network: "internet",
    user: "",
    password: "secret",
    pin: "1234",
};

/// How a conversation ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything came back.
    Complete,
    /// The peer closed.
    Closed,
    /// An error value.
    Failed(ModemError),
    /// Nobody waits for anything, and something is missing.
    Idle,
}

pub(crate) struct World {
    pub(crate) engine: Engine<'static>,
    modem: Emulator,
    pub(crate) now: u64,
    random: u64,
    /// From the modem, not yet read by the device.
    wire: Vec<u8>,
    /// What the modem was told.
    pub(crate) told: Vec<u8>,
    /// Bytes that the modem has sent to the device.
    pub(crate) spoken: usize,
    /// From this byte on, nothing of what the modem says arrives.
    pub(crate) silent_from: Option<usize>,
    /// This byte does not arrive.
    pub(crate) lose: Option<usize>,
    /// Changes at any time between reading, writing and asking for the signal, as futures do that are dropped.
    pub(crate) restless: bool,
    peer_open: bool,
    /// Bytes that crossed to the peer in this connection.
    peer_got: Vec<u8>,
    /// Bytes that crossed from the peer before the link was cut.
    pub(crate) crossed: usize,
    cut: Option<u64>,
    total: u64,
    /// What the device has read in this connection.
    pub(crate) read: Vec<u8>,
    /// What it sends in this connection; the peer may get nothing else.
    message: Vec<u8>,
}

impl World {
    pub(crate) fn new(options: Options, memory: usize, seed: u64) -> Self {
        let dialect = match options.dialect {
            Dialect::Sim800 => SIM800,
            Dialect::EspAt => ESP_AT,
            Dialect::Raw => panic!("an engine has nobody to talk to on a raw line"),
        };
        let memory = Vec::leak(vec![0; memory]);
        Self {
            engine: Engine::new(dialect, &SETTINGS, memory),
            cut: options.cut,
            modem: Emulator::new(options),
            now: 0,
            random: seed | 1,
            wire: Vec::new(),
            told: Vec::new(),
            spoken: 0,
            silent_from: None,
            lose: None,
            restless: false,
            peer_open: false,
            peer_got: Vec::new(),
            crossed: 0,
            total: 0,
            read: Vec::new(),
            message: Vec::new(),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % bound
    }

    fn instant(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    pub(crate) fn dial(&mut self) -> Result<(), ModemError> {
        self.peer_got.clear();
        self.message.clear();
        self.read.clear();
        self.crossed = 0;
        self.run(Task::Dial)
    }

    pub(crate) fn run(&mut self, task: Task) -> Result<(), ModemError> {
        loop {
            let now = self.instant();
            if let Some(result) = self.engine.run(task, now) {
                return result;
            }
            assert!(self.turn(&[]), "{task:?} waits for nothing");
        }
    }

    /// Sends the message and waits for it to come back.
    pub(crate) fn converse(&mut self, message: &[u8]) -> End {
        message.clone_into(&mut self.message);
        let mut written = 0;
        let mut writing = true;
        let mut idle = 0;
        loop {
            let rest = &message[written..];
            if self.restless {
                writing = self.below(3) > 0;
                if self.below(20) == 0
                    && let Some(Err(error)) = self.engine.run(Task::Signal, self.instant())
                    && error != ModemError::Refused
                {
                    return End::Failed(error);
                }
            } else {
                writing &= !rest.is_empty();
            }
            let now = self.instant();
            let mut payload = &[][..];
            if writing && !rest.is_empty() {
                payload = rest;
                match self.engine.write(rest, now) {
                    Some(Ok(count)) => {
                        written += count;
                        assert!(count > 0);
                        continue;
                    }
                    Some(Err(_)) => writing = false,
                    None => {}
                }
            }
            if !writing || rest.is_empty() {
                let mut buffer = [0; 50];
                let size = 1 + self.below(50);
                match self.engine.read(&mut buffer[..size], now) {
                    Some(Ok(0)) => return End::Closed,
                    Some(Ok(count)) => {
                        self.read.extend_from_slice(&buffer[..count]);
                        // A serial line has no checksum: with a byte lost in it, the stream may be wrong.
                        let intact = self.lose.is_none();
                        assert!(
                            !intact || message.starts_with(&self.read),
                            "what was read is not what was sent"
                        );
                        if self.read.len() >= message.len() {
                            assert!(!intact || self.peer_got == message);
                            return End::Complete;
                        }
                        continue;
                    }
                    Some(Err(error)) => return End::Failed(error),
                    None => {}
                }
            }
            if self.turn(payload) {
                idle = 0;
            } else {
                // Whoever is restless may just have asked for the wrong thing.
                idle += 1;
                writing = true;
                if idle > 100 || (!self.restless && rest.is_empty()) {
                    return End::Idle;
                }
            }
        }
    }

    /// Moves something, or lets time pass until something is due; false if nothing ever will be.
    fn turn(&mut self, payload: &[u8]) -> bool {
        self.network();
        let now = self.instant();
        let output = self.engine.output(payload);
        let mut moved = !output.is_empty();
        if moved {
            let output = output.to_vec();
            let count = 1 + self.below(output.len());
            self.modem.serial_in(&output[..count], self.now);
            self.engine.sent(count, now);
            self.told.extend_from_slice(&output[..count]);
            self.network();
        }
        for byte in self.modem.serial_out(self.now) {
            let lost = self.silent_from.is_some_and(|from| self.spoken >= from)
                || self.lose == Some(self.spoken);
            self.spoken += 1;
            if !lost {
                self.wire.push(byte);
            }
        }
        if !self.wire.is_empty() {
            moved = true;
            let count = 1 + self.below(self.wire.len());
            let piece: Vec<u8> = self.wire.drain(..count).collect();
            self.engine.received(&piece, now);
        }
        self.engine.timeout(now);
        if !moved {
            let engine = self.engine.deadline(now).map(Instant::as_millis);
            let Some(next) = engine.into_iter().chain(self.modem.deadline()).min() else {
                return false;
            };
            self.now = self.now.max(next);
            assert!(self.now < 1_000_000_000, "this takes more than ten days");
            self.engine.timeout(self.instant());
        }
        true
    }

    fn network(&mut self) {
        while let Some(wish) = self.modem.wish() {
            match wish {
                Wish::Connect { host, port } => {
                    assert_eq!((host.as_str(), port), ("broker.example", 1_883));
                    self.peer_open = true;
                    self.modem.connected(true, self.now);
                }
                Wish::Send(bytes) => {
                    self.peer_got.extend_from_slice(&bytes);
                    assert!(
                        self.lose.is_some() || self.message.starts_with(&self.peer_got),
                        "the peer got what was not sent"
                    );
                    self.total += bytes.len() as u64;
                    let left = self
                        .cut
                        .map_or(u64::MAX, |cut| cut.saturating_sub(self.total));
                    let back = left.min(bytes.len() as u64);
                    self.crossed += back as usize;
                    self.total += back;
                    if self.cut.is_some_and(|cut| self.total >= cut) {
                        self.cut = None;
                    }
                    self.modem.received(&bytes, self.now);
                }
                Wish::Close => self.peer_open = false,
            }
        }
    }
}
