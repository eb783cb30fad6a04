//! The engine: bytes of the modem and time in; bytes for the modem, a deadline and results out.

use mqtt_session::Instant;

use super::Settings;
use super::dialect::Dialect;
use super::error::{Answer, Failure, ModemError};
use super::memory::Memory;
use super::pattern::{after, number};
use super::state::{Link, Phase, State};

/// Room in the memory that is kept for a line while stream bytes wait, in bytes.
const LINE: usize = 32;

/// Something to do with the modem that is neither reading nor writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// From whatever state to a TCP connection.
    Dial,
    /// End the TCP connection.
    Close,
    /// Ask for the strength of the signal; [`Engine::signal`] has it afterwards.
    Signal,
    /// Save power; so many milliseconds where the modem wants to know (deep sleep of ESP-AT, which ends the connection).
    Sleep(u32),
    /// End that.
    Wake,
}

/// Strength of the received signal, in dBm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal(pub i16);

impl Signal {
    /// Reads dBm, or the `<rssi>` of `+CSQ`: 0 is -113 dBm or less, 31 is -51 dBm or more, 99 unknown.
    pub(super) fn read(text: &[u8], in_dbm: bool) -> Option<Self> {
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let value = i16::try_from(number(digits)?.0).ok()?;
        match (in_dbm, value) {
            (true, _) => Some(Self(if digits.len() < text.len() {
                -value
            } else {
                value
            })),
            (false, 0..=31) => Some(Self(2 * value - 113)),
            _ => None,
        }
    }
}

/// A modem, its conversation and one TCP connection through it, without a UART and without a clock.
///
/// The owner moves bytes: what [`Engine::output`] shows goes to the UART and is reported by [`Engine::sent`]; what comes from it goes
/// into [`Engine::input`] and is reported by [`Engine::filled`]; at [`Engine::deadline`] it calls [`Engine::timeout`]. Between that it
/// asks for [`Engine::run`], [`Engine::read`] and [`Engine::write`] until they answer with `Some`. To stop asking is allowed at any time
/// and loses nothing; a write that has begun must be repeated with the same bytes, for the modem waits for them.
#[derive(Debug)]
pub struct Engine<'m> {
    memory: Memory<'m>,
    state: State<'m>,
    /// The rest of a line that was longer than the room is not looked at.
    skipping: bool,
}

impl<'m> Engine<'m> {
    /// A modem that is in whatever state. The memory holds received bytes and half lines: 64 bytes at least, and the more, the fewer
    /// commands for a long message.
    #[must_use]
    pub const fn new(
        dialect: &'static Dialect,
        settings: Settings<'m>,
        memory: &'m mut [u8],
    ) -> Self {
        Self {
            memory: Memory::new(memory),
            state: State::new(dialect, settings),
            skipping: false,
        }
    }

    /// Another host, network or password, from the next dial on.
    pub const fn set_settings(&mut self, settings: Settings<'m>) {
        self.state.settings = settings;
    }

    /// What the last [`Task::Signal`] has found out; `None` if the modem does not know.
    #[must_use]
    pub const fn signal(&self) -> Option<Signal> {
        self.state.signal
    }

    /// Where bytes from the UART go.
    pub fn input(&mut self) -> &mut [u8] {
        self.memory.room()
    }

    /// Takes in so many bytes that were put into [`Engine::input`].
    pub fn filled(&mut self, count: usize, now: Instant) {
        self.memory.filled(count);
        while self.digest(now) {}
    }

    /// The next bytes for the UART; empty if there are none. `payload` is what is being written, or empty.
    #[must_use]
    pub fn output<'a>(&'a self, payload: &'a [u8]) -> &'a [u8] {
        match self.state.phase {
            Phase::Idle | Phase::Settle => &[],
            Phase::Payload => {
                let end = payload.len().min(self.state.announced.into());
                payload
                    .get(self.state.given.into()..end)
                    .unwrap_or_default()
            }
            _ => self.state.command.piece(&self.state.settings),
        }
    }

    /// Notes that so many bytes of [`Engine::output`] went out.
    pub fn sent(&mut self, count: usize, now: Instant) {
        if self.state.phase == Phase::Payload {
            self.state.gave(count, now);
        } else {
            self.state.command.advance(count, &self.state.settings);
        }
    }

    /// When to call [`Engine::timeout`] at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.state.deadline()
    }

    /// Does what is due: asks again, or gives up.
    pub fn timeout(&mut self, now: Instant) {
        self.state.timeout(now);
    }

    /// The UART did not take bytes: the connection is over.
    pub fn write_failed(&mut self, kind: embedded_io::ErrorKind) -> ModemError {
        self.state.fail(Failure::Uart(kind));
        self.error()
    }

    /// The UART has lost bytes. While an answer is due that is for its time-out to judge; otherwise the connection is over.
    pub fn read_failed(&mut self, kind: embedded_io::ErrorKind) -> Option<ModemError> {
        if self.state.phase == Phase::Idle {
            Some(self.write_failed(kind))
        } else {
            None
        }
    }

    /// The modem's reset line was pulled: it knows nothing any more of what was going on.
    pub fn restarted(&mut self) {
        self.state.link = Link::Down;
        self.state.phase = Phase::Idle;
        self.state.unanswered = 1;
        self.state.stuck = false;
        self.state.left = 0;
        self.memory.discard(self.memory.raw().len());
    }

    fn error(&self) -> ModemError {
        self.state.error.unwrap_or(ModemError {
            command: "",
            failure: Failure::NotConnected,
            answer: Answer::NONE,
        })
    }

    /// Starts the task or asks how it is going; `None` while it lasts. A dial does not wait for what else is under way.
    pub fn run(&mut self, task: Task, now: Instant) -> Option<Result<(), ModemError>> {
        let state = &mut self.state;
        if let Some((done, well)) = state.outcome
            && done == task
        {
            state.outcome = None;
            return Some(if well { Ok(()) } else { Err(self.error()) });
        }
        let waits = state.stuck || matches!(state.phase, Phase::Prompt | Phase::Payload);
        if waits && task == Task::Dial {
            let error = ModemError {
                command: state.command.text,
                failure: Failure::Stuck,
                answer: Answer::NONE,
            };
            return Some(Err(error));
        }
        match state.phase {
            Phase::Step | Phase::Settle if state.task == task => return None,
            Phase::Idle => {}
            _ if task == Task::Dial => state.unanswered = 1,
            _ => return None,
        }
        if task == Task::Dial {
            state.link = Link::Down;
            state.error = None;
            state.available = 0;
            state.taken = None;
            state.left = 0;
            self.memory.forget();
        }
        state.start_task(task, now);
        None
    }

    /// Whether [`Engine::read`] has an answer; asks the modem for bytes that it has announced.
    pub fn is_readable(&mut self, now: Instant) -> bool {
        let state = &mut self.state;
        if self.memory.held() > 0 || state.link == Link::Down {
            return true;
        }
        if state.phase == Phase::Idle {
            if state.available == 0 {
                return state.link == Link::Closed;
            }
            state.start_receive(self.memory.len().saturating_sub(LINE), now);
        }
        false
    }

    /// Bytes of the stream: `Some(Ok(0))` is its end, `None` that there are none yet.
    pub fn read(&mut self, buffer: &mut [u8], now: Instant) -> Option<Result<usize, ModemError>> {
        if buffer.is_empty() {
            return Some(Ok(0));
        }
        if !self.is_readable(now) {
            return None;
        }
        let count = self.memory.take(buffer);
        if count == 0 && self.state.link == Link::Down {
            return Some(Err(self.error()));
        }
        Some(Ok(count))
    }

    /// Sends bytes of the stream, from the front of `payload`; answers how many when the modem has them, `None` until then.
    pub fn write(&mut self, payload: &[u8], now: Instant) -> Option<Result<usize, ModemError>> {
        if let Some(count) = self.state.taken.take() {
            return Some(Ok(usize::from(count).min(payload.len())));
        }
        match self.state.link {
            Link::Down => return Some(Err(self.error())),
            Link::Closed if self.state.phase == Phase::Idle => {
                return Some(Err(self.not_connected()));
            }
            _ if payload.is_empty() => return Some(Ok(0)),
            _ => {}
        }
        if self.state.phase == Phase::Idle {
            self.state.start_send(payload.len(), now);
        }
        None
    }

    fn not_connected(&self) -> ModemError {
        ModemError {
            command: self.state.dialect.send.command,
            failure: Failure::NotConnected,
            answer: Answer::NONE,
        }
    }

    /// Takes one line, prompt or piece of the stream out of the raw bytes; says whether there was one.
    fn digest(&mut self, now: Instant) -> bool {
        let Self {
            memory,
            state,
            skipping,
        } = self;
        if state.left > 0 {
            let count = memory.hold(state.left.into());
            state.left -= u16::try_from(count).unwrap_or(state.left);
            if state.left == 0 {
                state.phase = Phase::Trailer;
            }
            return count > 0;
        }
        let raw = memory.raw();
        // A line that is skipped ends with its own line feed.
        let blank = if *skipping {
            0
        } else {
            raw.iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count()
        };
        let text = raw.get(blank..).unwrap_or_default();
        if state.phase == Phase::Prompt
            && state.command.is_sent()
            && text.first() == Some(&b'>')
            && !*skipping
        {
            memory.discard(blank + 1);
            state.prompted(now);
            return true;
        }
        if state.phase == Phase::Header
            && !*skipping
            && let Some(rest) = after(text, state.dialect.receive.want)
            && let Some(len) = rest
                .iter()
                .position(|&byte| byte == state.dialect.received_end)
        {
            let end = blank + (text.len() - rest.len()) + len + 1;
            state.header(rest.get(..len).unwrap_or_default());
            memory.discard(end);
            return true;
        }
        let (len, whole) = match text.iter().position(|&byte| byte == b'\n') {
            Some(len) => (len, true),
            // Blanks that fill the room are no line.
            None if memory.is_full() && !text.is_empty() => (text.len(), false),
            None => {
                memory.discard(blank);
                return false;
            }
        };
        let line = text.get(..len).unwrap_or_default();
        if !*skipping {
            state.line(line.strip_suffix(b"\r").unwrap_or(line), now);
        }
        *skipping = !whole;
        memory.discard(blank + len + usize::from(whole));
        true
    }
}
