//! The engine: bytes of the modem and time in; bytes for the modem, a deadline and results out.

use mqtt_session::Instant;

use super::Settings;
use super::error::ModemError;
use super::report::Report;
use super::script::{self, Script, task};
use super::ticks::Ticks;

/// No number, or one that is too large to be told.
pub(super) const NONE: Index = Index::MAX;

/// A place in the memory, or a number of bytes; neither is larger than this can say.
#[cfg(target_arch = "avr")]
pub(super) type Index = u8;
#[cfg(not(target_arch = "avr"))]
pub(super) type Index = usize;

/// So much of the memory is used.
const MOST: usize = place(Index::MAX);

/// A place as a number that finds it.
#[cfg_attr(
    not(target_arch = "avr"),
    expect(clippy::unnecessary_cast, reason = "on AVR it is one")
)]
pub(super) const fn place(index: Index) -> usize {
    index as usize
}

/// Something to do with the modem that is neither reading nor writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// From whatever state to a TCP connection.
    Dial,
    /// End the TCP connection.
    Close,
    /// Ask for the strength of the signal; [`Engine::signal`] has it afterwards.
    Signal,
    /// Save power; so many seconds where the modem wants to know (deep sleep of ESP-AT, which ends the connection).
    Sleep(u16),
    /// End that.
    Wake,
}

/// Strength of the received signal, in dBm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal(pub i16);

/// What the modem is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Idle,
    /// Nothing, and nobody has asked yet how the task went: well.
    Done,
    /// The same: not well.
    Failed,
    /// It waits for bytes that nobody has.
    Stuck,
    /// The announced bytes are being handed over. Up to here nothing is due, from here to `Step` lines are answers.
    Payload,
    /// A send was announced; `>` is due.
    Prompt,
    /// A step of a task.
    Step,
    /// The step was answered, but not as is wanted; it is repeated when its time has come.
    Pause,
    /// A step is done; answers to its repetitions may still come.
    Settle,
}

impl Phase {
    pub(super) fn is_idle(self) -> bool {
        self <= Self::Failed
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Down,
    /// Also while the last step of a dial lasts.
    Open,
    Closed,
}

/// A modem, its conversation and one TCP connection through it, without a UART and without a clock.
///
/// The owner moves bytes: what [`Engine::output`] shows goes to the UART and is reported by [`Engine::sent`]; what comes from it is told
/// by [`Engine::received`]; at [`Engine::deadline`] it calls [`Engine::timeout`]. Between that it asks for [`Engine::run`], [`Engine::read`] and [`Engine::write`] until they answer with `Some`. To stop asking is allowed at any time
/// and loses nothing; a write that has begun must be repeated with the same bytes, for the modem waits for them.
#[derive(Debug)]
pub struct Engine<'m> {
    pub(super) script: Script,
    pub(super) settings: &'m Settings<'m>,
    /// Stream bytes that wait for a reader, up to `held`; behind them what there is of a line, up to `tail`, and the rest of the last one.
    pub(super) memory: &'m mut [u8],
    pub(super) held: Index,
    pub(super) tail: Index,
    /// The time, as it was told last.
    pub(super) now: Ticks,
    pub(super) phase: Phase,
    pub(super) link: Link,
    pub(super) task: u8,
    /// Place of the step.
    pub(super) step: u16,
    /// Place of the command's next byte.
    pub(super) at: u16,
    /// Bytes sent of the value there, or of the payload.
    pub(super) within: Index,
    /// The next byte of the command; 0 when it is sent.
    pub(super) pending: u8,
    /// What the command is about: port, seconds, bytes announced or asked for.
    pub(super) number: u16,
    /// When the step's time began, and how long it is.
    pub(super) since: Ticks,
    pub(super) wait: u8,
    /// Time that repetitions have taken, in seconds.
    pub(super) repeated: u8,
    /// Answers to earlier commands may still come.
    pub(super) dirty: bool,
    /// The wanted line has come, or there is none.
    pub(super) wanted: bool,
    /// Bytes of the stream that are next from the modem.
    pub(super) left: Index,
    /// Bytes that the modem holds for us, as far as is known.
    pub(super) available: Index,
    /// It may as well hold none.
    pub(super) guess: bool,
    /// Bytes sent of which nobody has been told; 0 is none.
    pub(super) taken: Index,
    /// The number in the last answer to [`Task::Signal`].
    pub(super) signal: Index,
    pub(super) failure: ModemError,
    /// The PIN of these settings is wrong.
    pub(super) pin_refused: bool,
    /// What is left of a number to be sent, and the place of what its next digit counts.
    pub(super) rest: u16,
    pub(super) power: u16,
    /// Where the next pattern is looked for, and where in the line the next number.
    pub(super) cursor: u16,
    pub(super) column: Index,
}

impl<'m> Engine<'m> {
    /// A modem that is in whatever state. The memory holds received bytes and half lines: 64 bytes at least, and the more, the fewer
    /// commands for a long message; on AVR, 255 are used at most, and no more sent at once.
    #[must_use]
    #[cfg_attr(target_arch = "avr", inline(never))]
    pub const fn new(script: Script, settings: &'m Settings<'m>, memory: &'m mut [u8]) -> Self {
        let len = if memory.len() < MOST {
            memory.len()
        } else {
            MOST
        };
        let (memory, _) = memory.split_at_mut(len);
        Self {
            script,
            settings,
            memory,
            held: 0,
            tail: 0,
            now: Ticks::ZERO,
            phase: Phase::Idle,
            link: Link::Down,
            task: task::DIAL,
            step: 0,
            at: 0,
            within: 0,
            pending: 0,
            number: 0,
            since: Ticks::ZERO,
            wait: 0,
            repeated: 0,
            dirty: true,
            wanted: false,
            left: 0,
            available: 0,
            guess: false,
            taken: 0,
            signal: NONE,
            failure: ModemError::NotConnected,
            pin_refused: false,
            rest: 0,
            power: 0,
            cursor: 0,
            column: 0,
        }
    }

    /// Another host, network, password or PIN, from the next dial on. After [`ModemError::PinRefused`] the PIN is tried again, also
    /// that of the same settings, as for another card.
    pub const fn set_settings(&mut self, settings: &'m Settings<'m>) {
        self.settings = settings;
        self.pin_refused = false;
    }

    /// What the last [`Task::Signal`] has found out; `None` if the modem does not know.
    #[must_use]
    pub fn signal(&self) -> Option<Signal> {
        let value = i16::try_from(self.signal).ok()?;
        if self.script.byte(script::place::IN_DBM) != 0 {
            Some(Signal(-value))
        } else if value <= 31 {
            // 0 is -113 dBm or less, 31 is -51 dBm or more, 99 unknown.
            Some(Signal(2 * value - 113))
        } else {
            None
        }
    }

    /// The last command, how it failed if it did, and what the modem said last: for logs and displays.
    #[must_use]
    pub fn report(&self) -> Report<'_> {
        Report::new(self.script, self.step, self.failure, self.last_line())
    }

    /// What the modem said last: the line that has begun, or the last whole one.
    fn last_line(&self) -> &[u8] {
        let end = if self.tail > self.held {
            place(self.tail)
        } else {
            self.memory.len()
        };
        let text = self.memory.get(place(self.held)..end).unwrap_or_default();
        text.split(|&byte| byte < b' ').next().unwrap_or_default()
    }

    /// Takes in what came from the UART.
    pub fn received(&mut self, bytes: &[u8], now: Instant) {
        self.set_now(now);
        self.take_in(bytes);
    }

    pub(super) const fn set_now(&mut self, now: Instant) {
        self.now = Ticks::of(now);
    }

    /// The next bytes for the UART; empty if there are none. `payload` is what is being written, or empty.
    #[must_use]
    pub fn output<'a>(&'a self, payload: &'a [u8]) -> &'a [u8] {
        if self.phase == Phase::Payload {
            let end = payload.len().min(self.number.into());
            payload.get(place(self.within)..end).unwrap_or_default()
        } else if self.pending == 0 {
            &[]
        } else {
            core::slice::from_ref(&self.pending)
        }
    }

    /// Notes that so many bytes of [`Engine::output`] went out.
    pub fn sent(&mut self, count: usize, now: Instant) {
        self.set_now(now);
        self.advance(count);
    }

    /// When to call [`Engine::timeout`] at the latest.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.phase <= Phase::Payload {
            None
        } else {
            Some(self.since.over(self.wait, now))
        }
    }

    /// Does what is due: asks again, or gives up.
    pub fn timeout(&mut self, now: Instant) {
        self.set_now(now);
        let _ = self.expire();
    }

    /// The UART did not take bytes: the connection is over.
    pub fn write_failed(&mut self, kind: embedded_io::ErrorKind) -> ModemError {
        self.fail(ModemError::Uart(kind));
        self.failure
    }

    /// The UART has lost bytes. While an answer is due that is for its time-out to judge; otherwise the connection is over.
    pub fn read_failed(&mut self, kind: embedded_io::ErrorKind) -> Option<ModemError> {
        if self.phase.is_idle() {
            Some(self.write_failed(kind))
        } else {
            None
        }
    }

    /// The modem was just switched on, or its reset line pulled: it knows nothing any more of what was going on.
    ///
    /// A modem that was not is heard out before it is dialled by for the first time, and after every command that failed: once it has
    /// answered the first `AT`, it must have nothing more to say for three seconds. It may still be at work for a program that was reset
    /// without it, and its late answers would be taken for those of the next commands. After this call such are not expected.
    pub fn restarted(&mut self) {
        self.hang_up();
        self.dirty = false;
        self.phase = Phase::Idle;
        self.tail = self.held;
    }

    /// Starts the task or asks how it is going; `None` while it lasts. A dial does not wait for what else is under way.
    pub fn run(&mut self, task: Task, now: Instant) -> Option<Result<(), ModemError>> {
        self.set_now(now);
        self.run_task(task)
    }

    /// Whether [`Engine::read`] has an answer; asks the modem for bytes that it has announced.
    pub fn is_readable(&mut self, now: Instant) -> bool {
        self.set_now(now);
        self.fetch()
    }

    /// Whether the modem waits for bytes of a write, or soon will: it would take the next command for them, and so a dial is
    /// [`ModemError::Stuck`].
    #[must_use]
    pub fn is_midway(&self) -> bool {
        matches!(self.phase, Phase::Prompt | Phase::Payload)
    }

    /// Bytes of the stream: `Some(Ok(0))` is its end, `None` that there are none yet.
    pub fn read(&mut self, buffer: &mut [u8], now: Instant) -> Option<Result<usize, ModemError>> {
        self.set_now(now);
        self.read_stream(buffer)
    }

    /// Sends bytes of the stream, from the front of `payload`; answers how many when the modem has them, `None` until then.
    pub fn write(&mut self, payload: &[u8], now: Instant) -> Option<Result<usize, ModemError>> {
        self.set_now(now);
        self.write_stream(payload)
    }
}
