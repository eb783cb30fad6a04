//! What the engine reads: a dialect's table, squeezed into bytes while compiling.
//!
//! ```text
//!  where each task begins, 2 bytes each | most to send, 2 bytes | most to fetch, 2 bytes
//!  byte before received bytes | whether the signal is in dBm | powers of ten | OK 0
//!  notice 0  closed 0  failed 0
//!  tasks: step, step, … END
//!  step: what otherwise | seconds | wanted line 0 | last line 0 | command and its line end 0
//! ```
//!
//! On chips whose constants would be copied to RAM (8-bit AVR) such bytes can stay in flash, for the engine takes them one at a time.

use super::dialect::{Dialect, Otherwise, Step};
use super::ticks::MOST_SECONDS;

/// Numbers of the tasks. Below [`task::SEND`] are those whose refusal leaves the connection alone.
pub(super) mod task {
    pub(in super::super) const CLOSE: u8 = 0;
    pub(in super::super) const SLEEP: u8 = 1;
    pub(in super::super) const WAKE: u8 = 2;
    pub(in super::super) const SIGNAL: u8 = 3;
    pub(in super::super) const SEND: u8 = 4;
    pub(in super::super) const RECEIVE: u8 = 5;
    pub(in super::super) const DIAL: u8 = 6;
}

/// Places behind those of the tasks' beginnings.
pub(super) mod place {
    pub(in super::super) const MAX_SEND: u16 = 14;
    pub(in super::super) const MAX_RECEIVE: u16 = 16;
    pub(in super::super) const RECEIVED_END: u16 = 18;
    /// Not 0: the signal is in dBm.
    pub(in super::super) const IN_DBM: u16 = 19;
    /// What each digit of a number counts, 2 bytes each.
    pub(in super::super) const POWERS: u16 = 20;
    pub(in super::super) const POWERS_END: u16 = 30;
    /// The pattern that stands for an empty last line.
    pub(in super::super) const OK: u16 = 30;
    /// Three patterns: bytes wait; the connection is over; the command has failed.
    pub(in super::super) const PATTERNS: u16 = 33;
}

/// Between the alternatives of a pattern.
pub(super) const OR: u8 = 1;
/// Any digit in a pattern.
pub(super) const DIGIT: u8 = 2;
/// Anything up to the byte that follows, in a pattern.
pub(super) const ANY: u8 = 3;

/// How a step begins: what happens if it does not end as it should. Never zero, for steps are found by counting zeros.
pub(super) mod code {
    pub(in super::super) const FAIL: u8 = 1;
    /// The same; its success is the connection.
    pub(in super::super) const OPEN: u8 = 2;
    /// The modem asks for bytes; if it does not ask, it gets them.
    pub(in super::super) const PROMPT: u8 = 3;
    /// The bytes, and the modem's word about them.
    pub(in super::super) const PAYLOAD: u8 = 4;
    pub(in super::super) const IGNORE: u8 = 5;
    pub(in super::super) const REPEAT: u8 = 6;
    /// Gives the PIN, which is not given again once it was refused.
    pub(in super::super) const PIN: u8 = 7;
    /// This and more: so many steps are left out if the wanted line came.
    pub(in super::super) const SKIP: u8 = 8;
    pub(in super::super) const END: u8 = 0xff;
}

/// Bytes of a step before its wanted line.
pub(super) const STEP_HEAD: u16 = 2;

/// Names of the values in commands. In the script, a value is a byte: its number, from 1 on.
pub(super) const NAMES: &[u8; 6] = b"nhauwi";
/// The first of them, the number that the command is about.
pub(super) const NUMBER: u8 = 1;
/// The last of them, the PIN.
const PIN: u8 = b'i';
/// How many there are.
pub(super) const VALUES: u8 = NAMES.len() as u8;
/// Fronts of many commands, which are bytes of the script behind those of the values.
pub(super) const PREFIXES: [&str; 2] = ["AT+CIP", "AT+C"];
/// The last of these bytes.
pub(super) const LAST: u8 = VALUES + PREFIXES.len() as u8;
/// The line with which most commands end.
const OK: &str = "OK";

/// A dialect as the engine reads it, byte by byte; made with [`script!`](crate::script).
#[derive(Clone, Copy, Debug)]
pub struct Script(fn(u16) -> u8);

impl Script {
    /// A script of which `byte` tells every byte; 0 behind its end.
    ///
    /// The bytes are those of [`Dialect::compile`]. This is for memory that is no ordinary memory, such as the flash of an AVR; otherwise
    /// [`script!`](crate::script) does all of it.
    #[must_use]
    pub const fn new(byte: fn(u16) -> u8) -> Self {
        Self(byte)
    }

    pub(super) fn byte(self, at: u16) -> u8 {
        (self.0)(at)
    }

    /// The two bytes there, the lower first.
    pub(super) fn word(self, at: u16) -> u16 {
        u16::from_le_bytes([self.byte(at), self.byte(at + 1)])
    }

    /// The place behind so many zeros.
    pub(super) fn skip(self, mut at: u16, mut zeros: u8) -> u16 {
        while zeros > 0 {
            if self.byte(at) == 0 {
                zeros -= 1;
            }
            at = at.wrapping_add(1);
        }
        at
    }
}

/// The [`Script`] of a [`Dialect`] that is a constant.
///
/// ```
/// use mqtt_device::modem::{Dialect, Engine, SIM800_DIALECT, Settings, Step};
///
/// /// A module that says by a line of its own that its bearer is gone.
/// const SLOW: Dialect = Dialect { closed: "CLOSED|+PDP: DEACT|+SAPBR 1: DEACT", ..SIM800_DIALECT };
///
/// let settings = Settings { host: "broker.example", port: 1883, ..Settings::default() };
/// let mut memory = [0; 128];
/// let engine = Engine::new(mqtt_device::script!(SLOW), &settings, &mut memory);
/// ```
#[macro_export]
macro_rules! script {
    ($dialect:expr) => {{
        static BYTES: [u8; $dialect.size()] = $dialect.compile();
        $crate::modem::Script::new(|at| BYTES.get(at as usize).copied().unwrap_or(0))
    }};
}

/// Counts bytes, and keeps those for which there is room.
struct Writer<const SIZE: usize> {
    bytes: [u8; SIZE],
    len: usize,
}

impl<const SIZE: usize> Writer<SIZE> {
    const fn put(&mut self, byte: u8) {
        if self.len < SIZE {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
    }

    const fn pattern(&mut self, pattern: &str) {
        let mut rest = pattern.as_bytes();
        while let [byte, tail @ ..] = rest {
            assert!(*byte >= b' ', "a control character in a pattern");
            self.put(match *byte {
                b'|' => OR,
                b'#' => DIGIT,
                b'*' => ANY,
                byte => byte,
            });
            rest = tail;
        }
        self.put(0);
    }

    const fn text(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while let [byte, tail @ ..] = rest {
            assert!(*byte != 0, "a zero byte in a dialect");
            self.put(*byte);
            rest = tail;
        }
    }

    const fn powers(&mut self) {
        let mut power = 10_000_u16;
        while power > 0 {
            let [low, high] = power.to_le_bytes();
            self.put(low);
            self.put(high);
            power /= 10;
        }
    }

    const fn command(&mut self, command: &str, line_end: &str) {
        let mut rest = command.as_bytes();
        let mut index = 0;
        while index < PREFIXES.len() {
            if let Some(tail) = behind(rest, PREFIXES[index].as_bytes()) {
                self.put(VALUES + 1 + index as u8);
                rest = tail;
            }
            index += 1;
        }
        while let [byte, tail @ ..] = rest {
            rest = tail;
            if *byte == b'$'
                && let [name, tail @ ..] = rest
            {
                self.put(value_number(*name));
                rest = tail;
            } else {
                assert!(*byte >= b' ', "a control character in a command");
                self.put(*byte);
            }
        }
        if !command.is_empty() {
            self.text(line_end);
        }
        self.put(0);
    }

    const fn step(&mut self, step: &Step, code: u8, line_end: &str) {
        assert!(
            step.seconds > 0
                && (step.seconds <= MOST_SECONDS || matches!(step.otherwise, Otherwise::Repeat)),
            "a step has 1 to 120 seconds"
        );
        self.put(code);
        self.put(step.seconds);
        self.pattern(step.want);
        // The same as OK.
        let is_ok = matches!(behind(step.end.as_bytes(), OK.as_bytes()), Some([]));
        self.pattern(if is_ok { "" } else { step.end });
        self.command(step.command, line_end);
    }

    const fn word(&mut self, at: usize, word: usize) {
        assert!(
            word as u16 as usize == word,
            "a dialect with more than 64 kB"
        );
        if at + 1 < SIZE {
            self.bytes[at] = word as u8;
            self.bytes[at + 1] = (word >> 8) as u8;
        }
    }

    /// Notes that the task begins here.
    const fn task(&mut self, task: u8) {
        self.word(2 * task as usize, self.len);
    }

    const fn steps(&mut self, task: u8, steps: &[Step], line_end: &str) {
        self.task(task);
        let mut rest = steps;
        while let [step, tail @ ..] = rest {
            rest = tail;
            let code = match step.otherwise {
                Otherwise::Fail if task == task::DIAL && rest.is_empty() => code::OPEN,
                _ if task == task::DIAL && rest.is_empty() => {
                    panic!("the last step of a dial opens the connection or fails")
                }
                Otherwise::Fail if has_pin(step.command) => code::PIN,
                _ if has_pin(step.command) => {
                    panic!(
                        "what gives the PIN fails when that is refused: three times lock the card"
                    )
                }
                Otherwise::Fail => code::FAIL,
                Otherwise::Ignore => code::IGNORE,
                Otherwise::Repeat => code::REPEAT,
                Otherwise::Skip(count) => {
                    assert!(
                        (count as usize) < rest.len() + 1,
                        "steps are left out that are not there"
                    );
                    code::SKIP + count
                }
            };
            self.step(step, code, line_end);
        }
        self.put(code::END);
    }
}

/// What follows `front`, if the text begins so.
const fn behind<'t>(text: &'t [u8], front: &[u8]) -> Option<&'t [u8]> {
    let (mut text, mut front) = (text, front);
    while let [wanted, rest @ ..] = front {
        match text {
            [byte, tail @ ..] if *byte == *wanted => text = tail,
            _ => return None,
        }
        front = rest;
    }
    Some(text)
}

/// Whether the command gives the PIN.
const fn has_pin(command: &str) -> bool {
    let mut rest = command.as_bytes();
    while let [byte, tail @ ..] = rest {
        if *byte == b'$' && matches!(tail, [PIN, ..]) {
            return true;
        }
        rest = tail;
    }
    false
}

/// Number of a place for a value, from its name behind the `$`.
const fn value_number(name: u8) -> u8 {
    let mut number = 0;
    while number < NAMES.len() {
        if NAMES[number] == name {
            return number as u8 + 1;
        }
        number += 1;
    }
    panic!("an unknown value in a command: $n, $h, $a, $u, $w and $i are known");
}

impl Dialect {
    /// How long the dialect's script is, in bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.write::<0>().len
    }

    /// The bytes of the dialect's script; `SIZE` is [`Dialect::size`].
    ///
    /// # Panics
    /// If the table contradicts what its documentation says; in a constant, this is an error of the compiler.
    #[must_use]
    pub const fn compile<const SIZE: usize>(&self) -> [u8; SIZE] {
        let writer = self.write::<SIZE>();
        assert!(writer.len == SIZE, "SIZE is not the dialect's size");
        writer.bytes
    }

    const fn write<const SIZE: usize>(&self) -> Writer<SIZE> {
        let mut to = Writer {
            bytes: [0; SIZE],
            len: place::RECEIVED_END as usize,
        };
        assert!(self.max_send > 0 && self.max_receive > 0);
        to.word(place::MAX_SEND as usize, self.max_send as usize);
        to.word(place::MAX_RECEIVE as usize, self.max_receive as usize);
        to.put(self.received_end);
        to.put(self.signal_in_dbm as u8);
        to.powers();
        to.pattern(OK);
        to.pattern(self.notice);
        to.pattern(self.closed);
        to.pattern(self.failed);
        to.steps(task::CLOSE, self.close, self.line_end);
        to.steps(task::SLEEP, self.sleep, self.line_end);
        to.steps(task::WAKE, self.wake, self.line_end);
        to.steps(task::SIGNAL, self.signal, self.line_end);
        to.task(task::SEND);
        to.step(&self.send.until(">"), code::PROMPT, self.line_end);
        to.step(
            &self.sent.wants(self.accepted),
            code::PAYLOAD,
            self.line_end,
        );
        to.put(code::END);
        to.task(task::RECEIVE);
        to.step(&self.receive, code::FAIL, self.line_end);
        to.put(code::END);
        to.steps(task::DIAL, self.dial, self.line_end);
        to
    }
}
