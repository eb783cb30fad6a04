//! What all modems have in common: command lines in, answers with a delay out, one TCP connection, faults.

use std::collections::VecDeque;

use crate::options::{Dialect, Options};
use crate::random::Random;
use crate::{esp_at, raw, sim800};

/// Longest command line, in bytes; the rest of a longer one is dropped.
const LINE: usize = 1_024;

/// What the modem wants of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Open a TCP connection, then say how that went with [`Emulator::connected`].
    Connect {
        /// Name or address; empty, and the port 0, with [`Dialect::Raw`], where the device cannot say whom it wants.
        host: String,
        /// Port.
        port: u16,
    },
    /// Send these bytes.
    Send(Vec<u8>),
    /// Close the connection; nothing needs to be said about it.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Down,
    Connecting,
    Up,
}

/// A modem, without sockets and without a clock. Times are milliseconds from any origin.
#[derive(Debug)]
pub struct Emulator {
    pub(crate) options: Options,
    random: Random,
    /// Bytes for the serial line, and when.
    out: VecDeque<(u64, Vec<u8>)>,
    wishes: VecDeque<Wish>,
    line: Vec<u8>,
    pub(crate) echo: bool,
    /// Bytes of an announced block: what came, and how many there will be.
    block: Option<(Vec<u8>, usize)>,
    commands: u32,
    dials: u32,
    pub(crate) link: Link,
    /// Bytes that crossed the TCP link.
    crossed: u64,
    cut_done: bool,
    /// Bytes from the network that nobody has fetched.
    pub(crate) received: VecDeque<u8>,
    /// The device was told about them.
    pub(crate) noticed: bool,
    /// The peer has closed, and the device does not know yet.
    pub(crate) closing: bool,
    pub(crate) sim: sim800::State,
    pub(crate) raw: raw::State,
    pub(crate) joined: bool,
    pub(crate) now: u64,
}

impl Emulator {
    /// A modem that was just switched on.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            random: Random::new(options.seed),
            sim: sim800::State::new(&options),
            raw: raw::State::default(),
            options,
            out: VecDeque::new(),
            wishes: VecDeque::new(),
            line: Vec::new(),
            echo: true,
            block: None,
            commands: 0,
            dials: 0,
            link: Link::Down,
            crossed: 0,
            cut_done: false,
            received: VecDeque::new(),
            noticed: false,
            closing: false,
            joined: false,
            now: 0,
        }
    }

    /// Takes bytes from the device in.
    pub fn serial_in(&mut self, bytes: &[u8], now: u64) {
        self.now = now;
        if self.options.dialect == Dialect::Raw {
            return raw::serial_in(self, bytes);
        }
        for &byte in bytes {
            if let Some((block, len)) = &mut self.block {
                block.push(byte);
                if block.len() == *len {
                    self.block_is_full();
                }
                continue;
            }
            if self.echo {
                self.push(now, &[byte]);
            }
            // ESP-AT reads up to the line feed: one that came later would be taken for the first byte of a block.
            let end = if self.options.dialect == Dialect::EspAt {
                b'\n'
            } else {
                b'\r'
            };
            match byte {
                _ if byte == end => self.command(),
                b'\r' | b'\n' => {}
                _ if self.line.len() < LINE => self.line.push(byte),
                _ => {}
            }
        }
    }

    /// Bytes for the device that are due.
    pub fn serial_out(&mut self, now: u64) -> Vec<u8> {
        self.now = now;
        let mut bytes = Vec::new();
        while let Some((due, _)) = self.out.front()
            && *due <= now
            && let Some((_, piece)) = self.out.pop_front()
        {
            bytes.extend(piece);
        }
        bytes
    }

    /// When the next bytes for the device are due.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.out.front().map(|(due, _)| *due)
    }

    /// What the modem wants of the network next.
    pub fn wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    /// How [`Wish::Connect`] went.
    pub fn connected(&mut self, success: bool, now: u64) {
        self.now = now;
        if self.link == Link::Connecting {
            self.link = if success { Link::Up } else { Link::Down };
            match self.options.dialect {
                Dialect::Sim800 => sim800::connected(self),
                Dialect::EspAt => esp_at::connected(self),
                Dialect::Raw => raw::connected(self),
            }
        } else if success {
            self.wishes.push_back(Wish::Close);
        }
    }

    /// Takes bytes from the network in.
    pub fn received(&mut self, bytes: &[u8], now: u64) {
        self.now = now;
        if self.link != Link::Up || self.closing {
            return;
        }
        let count = self.cross(bytes.len());
        if self.options.dialect == Dialect::Raw {
            raw::received(self, bytes.get(..count).unwrap_or_default());
        } else {
            self.received.extend(bytes.iter().take(count));
            self.notice();
        }
        self.cut_if_due();
    }

    /// The peer has closed the connection, or it broke.
    pub fn closed(&mut self, now: u64) {
        self.now = now;
        if self.link == Link::Up {
            self.closing = true;
            self.tell_closed();
        }
    }

    pub(crate) fn notice(&mut self) {
        if !self.received.is_empty() && !self.noticed {
            self.noticed = true;
            match self.options.dialect {
                Dialect::Sim800 => self.say(&["+CIPRXGET: 1"]),
                Dialect::EspAt => self.say(&[&format!("+IPD,{}", self.received.len())]),
                Dialect::Raw => {}
            }
        }
    }

    pub(crate) fn tell_closed(&mut self) {
        // ESP-AT says so when everything was fetched.
        let held_back = self.options.dialect == Dialect::EspAt && !self.received.is_empty();
        if self.closing && !held_back {
            self.closing = false;
            self.link = Link::Down;
            if self.options.dialect != Dialect::Raw {
                self.say(&["CLOSED"]);
            }
        }
    }

    pub(crate) fn connect(&mut self, host: &str, port: u16) {
        self.dials += 1;
        self.link = Link::Connecting;
        self.received.clear();
        self.noticed = false;
        self.closing = false;
        if self.dials <= self.options.refuse {
            self.connected(false, self.now);
        } else {
            self.wishes.push_back(Wish::Connect {
                host: host.to_owned(),
                port,
            });
        }
    }

    pub(crate) fn hang_up(&mut self) {
        if self.link != Link::Down {
            self.wishes.push_back(Wish::Close);
        }
        self.link = Link::Down;
        self.closing = false;
        self.received.clear();
        self.noticed = false;
    }

    /// How many of so many bytes cross the link before it is cut.
    fn cross(&mut self, count: usize) -> usize {
        let mut count = count as u64;
        if let Some(cut) = self.options.cut
            && !self.cut_done
            && !cfg!(mutation = "emulator-cut-passes")
        {
            count = count.min(cut.saturating_sub(self.crossed));
        }
        self.crossed += count;
        count as usize
    }

    fn cut_if_due(&mut self) {
        if self.options.cut.is_some_and(|cut| self.crossed >= cut) && !self.cut_done {
            self.cut_done = true;
            self.wishes.push_back(Wish::Close);
            self.closing = true;
            self.tell_closed();
        }
    }

    /// Bytes that one command may send or return.
    pub(crate) fn mtu(&self, most: usize) -> usize {
        self.options.mtu.map_or(most, usize::from).min(most).max(1)
    }

    /// The device may hand over so many bytes.
    pub(crate) fn ask_for_block(&mut self, len: usize) {
        self.block = Some((Vec::with_capacity(len), len));
    }

    fn block_is_full(&mut self) {
        let Some((mut block, _)) = self.block.take() else {
            return;
        };
        let announced = block.len();
        block.truncate(self.mtu(announced));
        let accepted = block.len();
        let alive = self.link == Link::Up && !self.closing;
        if alive {
            self.pass(block);
        }
        match self.options.dialect {
            Dialect::Sim800 => sim800::sent(self, alive.then_some(accepted)),
            Dialect::EspAt => esp_at::sent(self, announced, alive.then_some(accepted)),
            Dialect::Raw => {}
        }
        self.cut_if_due();
    }

    /// Sends as many of the bytes as cross the link before it is cut.
    fn pass(&mut self, mut bytes: Vec<u8>) {
        let count = self.cross(bytes.len());
        bytes.truncate(count);
        self.wishes.push_back(Wish::Send(bytes));
    }

    /// The same, and the cut if it is due then.
    pub(crate) fn send(&mut self, bytes: Vec<u8>) {
        self.pass(bytes);
        self.cut_if_due();
    }

    /// Takes at most so many received bytes out.
    pub(crate) fn fetch(&mut self, most: usize) -> Vec<u8> {
        let count = self.mtu(most).min(most).min(self.received.len());
        self.noticed = count < self.received.len();
        self.received.drain(..count).collect()
    }

    fn command(&mut self) {
        let line = core::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        self.commands += 1;
        let is_nth = |k: Option<u32>| k.is_some_and(|k| k > 0 && self.commands.is_multiple_of(k));
        if is_nth(self.options.silent) {
            return;
        }
        let command = text.strip_prefix("AT");
        let Some(command) = command.filter(|_| !is_nth(self.options.error)) else {
            return self.say(&["ERROR"]);
        };
        if let Some(echo @ ("E0" | "E1")) = Some(command) {
            self.echo = echo == "E1";
            return self.say(&["OK"]);
        }
        match self.options.dialect {
            Dialect::Sim800 => sim800::command(self, command),
            Dialect::EspAt => esp_at::command(self, command),
            Dialect::Raw => {}
        }
    }

    /// Answers with lines.
    pub(crate) fn say(&mut self, lines: &[&str]) {
        for line in lines {
            self.chatter();
            self.answer(format!("\r\n{line}\r\n").as_bytes());
        }
        self.chatter();
    }

    /// Sometimes says something that nobody has asked for.
    fn chatter(&mut self) {
        if self.options.chatter && self.random.below(3) == 0 {
            let lines = match self.options.dialect {
                Dialect::Sim800 => sim800::CHATTER,
                Dialect::EspAt => esp_at::CHATTER,
                Dialect::Raw => &[],
            };
            if let Some(line) = lines.get(self.random.below(lines.len())) {
                self.answer(format!("\r\n{line}\r\n").as_bytes());
            }
        }
    }

    /// Answers with bytes, after the latency.
    pub(crate) fn answer(&mut self, bytes: &[u8]) {
        self.answer_after(0, bytes);
    }

    /// The same, so many milliseconds later.
    pub(crate) fn answer_after(&mut self, ms: u64, bytes: &[u8]) {
        self.push(self.now + self.options.latency + ms, bytes);
    }

    /// What is not said yet will not be said.
    pub(crate) fn forget_answers(&mut self) {
        self.out.clear();
    }

    /// Bytes leave in the order in which they were said.
    fn push(&mut self, due: u64, bytes: &[u8]) {
        let due = self.out.back().map_or(due, |(last, _)| due.max(*last));
        self.out.push_back((due, bytes.to_vec()));
    }
}

/// Host and port of `"TCP","host",port`, the value of `AT+CIPSTART` in both dialects; the port may be quoted.
pub(crate) fn tcp_target(value: &str) -> Option<(&str, u16)> {
    let mut parts = value.split(',').map(|part| part.trim_matches('"'));
    match (parts.next(), parts.next(), parts.next()?.parse()) {
        (Some("TCP"), Some(host), Ok(port)) => Some((host, port)),
        _ => None,
    }
}
