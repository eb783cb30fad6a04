//! What the engine remembers besides bytes, and what lines do to it.

use mqtt_session::Instant;

use super::Settings;
use super::command::Command;
use super::dialect::{Dialect, Otherwise, Step};
use super::engine::{Signal, Task};
use super::error::{Answer, Failure, ModemError};
use super::pattern::{after, field, matches, number};

/// Pause before a command is repeated that was answered, in milliseconds.
const PAUSE: u64 = 1_000;
/// The same for one that was not answered.
const SILENCE: u64 = 2_000;
/// So long nothing must come before answers are taken for those of the next command, when some are outstanding.
const QUIET: u64 = 2_200;

/// What the modem is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    /// A step of a task.
    Step,
    /// A step is done; answers to its repetitions may still come.
    Settle,
    /// A send was announced; `>` is due.
    Prompt,
    /// The announced bytes are being handed over.
    Payload,
    /// They are all handed over; the modem's word is due.
    Receipt,
    /// Received bytes were asked for; their number is due.
    Header,
    /// The bytes are due.
    Body,
    /// They came; the final OK is due.
    Trailer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Down,
    Open,
    Closed,
}

#[derive(Debug)]
pub(super) struct State<'m> {
    pub(super) dialect: &'static Dialect,
    pub(super) settings: Settings<'m>,
    pub(super) command: Command,
    pub(super) phase: Phase,
    pub(super) link: Link,
    pub(super) task: Task,
    steps: &'static [Step],
    /// End of the command's time.
    limit: Instant,
    /// When to repeat it, or when silence has lasted long enough.
    again: Option<Instant>,
    /// How often the command was sent without an answer.
    pub(super) unanswered: u8,
    /// The wanted line of the step came.
    wanted: bool,
    answer: Answer,
    pub(super) signal: Option<Signal>,
    /// Why the connection is over, or the last task failed.
    pub(super) error: Option<ModemError>,
    /// The last task, until somebody asks, and whether it went well.
    pub(super) outcome: Option<(Task, bool)>,
    /// Bytes of the send under way: announced, handed over.
    pub(super) announced: u16,
    pub(super) given: u16,
    /// Bytes that the modem took, until the writer is told.
    pub(super) taken: Option<u16>,
    /// Bytes that the modem has for us, as far as it said.
    pub(super) available: u16,
    /// `available` is our suspicion, not the modem's word.
    guess: bool,
    /// Bytes asked for.
    asked: u16,
    /// Bytes of the body that have not come.
    pub(super) left: u16,
    /// The modem waits for bytes that nobody has.
    pub(super) stuck: bool,
}

impl<'m> State<'m> {
    pub(super) const fn new(dialect: &'static Dialect, settings: Settings<'m>) -> Self {
        Self {
            dialect,
            settings,
            command: Command::none(),
            phase: Phase::Idle,
            link: Link::Down,
            task: Task::Dial,
            steps: &[],
            limit: Instant::ZERO,
            again: None,
            unanswered: 1,
            wanted: false,
            answer: Answer::NONE,
            signal: None,
            error: None,
            outcome: None,
            announced: 0,
            given: 0,
            taken: None,
            available: 0,
            guess: false,
            asked: 0,
            left: 0,
            stuck: false,
        }
    }

    fn start_command(&mut self, step: &Step, number: u32, now: Instant) {
        self.command
            .start(step.command, self.dialect.line_end, number, &self.settings);
        self.limit = now.plus_seconds(step.seconds.into());
        self.again = None;
        self.answer = Answer::NONE;
        self.wanted = false;
    }

    /// The number that a task's commands are about.
    fn task_number(&self) -> u32 {
        if let Task::Sleep(ms) = self.task {
            ms
        } else {
            self.settings.port.into()
        }
    }

    pub(super) fn start_task(&mut self, task: Task, now: Instant) {
        self.task = task;
        self.outcome = None;
        self.steps = match task {
            Task::Dial => self.dialect.dial,
            Task::Close => self.dialect.close,
            Task::Signal => self.dialect.signal,
            Task::Sleep(_) => self.dialect.sleep,
            Task::Wake => self.dialect.wake,
        };
        self.run_step(now);
    }

    fn run_step(&mut self, now: Instant) {
        let Some(step) = self.steps.first() else {
            return self.finish_task();
        };
        self.phase = Phase::Step;
        self.start_command(step, self.task_number(), now);
        if step.otherwise == Otherwise::Repeat {
            self.repeat_after(SILENCE, now);
        }
    }

    fn repeat_after(&mut self, ms: u64, now: Instant) {
        self.unanswered = self.unanswered.saturating_add(1);
        self.again = Some(now.plus_millis(ms));
    }

    fn finish_task(&mut self) {
        self.phase = Phase::Idle;
        match self.task {
            // It may have been closed between the modem's two words for "open".
            Task::Dial if self.link != Link::Closed => self.link = Link::Open,
            Task::Close => self.link = Link::Closed,
            _ => {}
        }
        self.outcome = Some((self.task, true));
    }

    /// The step is done: on with the next, leaving some out.
    fn next_step(&mut self, skip: u8, now: Instant) {
        self.steps = self.steps.get(1 + usize::from(skip)..).unwrap_or_default();
        if self.unanswered == 0 {
            self.run_step(now);
        } else {
            self.phase = Phase::Settle;
            self.again = Some(now.plus_millis(QUIET));
        }
    }

    pub(super) fn start_send(&mut self, len: usize, now: Instant) {
        self.announced = u16::try_from(len)
            .unwrap_or(u16::MAX)
            .min(self.dialect.max_send);
        self.given = 0;
        let step = &self.dialect.send;
        self.start_command(step, self.announced.into(), now);
        self.phase = Phase::Prompt;
    }

    pub(super) fn start_receive(&mut self, room: usize, now: Instant) {
        // Not `clamp`, which can panic.
        self.asked = u16::try_from(room)
            .unwrap_or(u16::MAX)
            .min(self.dialect.max_receive)
            .max(1);
        let step = &self.dialect.receive;
        self.start_command(step, self.asked.into(), now);
        self.phase = Phase::Header;
    }

    pub(super) fn prompted(&mut self, now: Instant) {
        self.phase = Phase::Payload;
        // Who is given up in the middle may come back as late as he likes: the modem waits.
        self.limit = now.plus_seconds(self.dialect.sent.seconds.into());
    }

    pub(super) fn gave(&mut self, count: usize, now: Instant) {
        self.given = self
            .given
            .saturating_add(u16::try_from(count).unwrap_or(u16::MAX));
        if self.given >= self.announced {
            self.phase = Phase::Receipt;
            self.limit = now.plus_seconds(self.dialect.sent.seconds.into());
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle | Phase::Payload => None,
            Phase::Settle => self.again,
            _ => Some(self.again.map_or(self.limit, |again| again.min(self.limit))),
        }
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        match self.phase {
            Phase::Settle => {
                self.unanswered = 0;
                self.run_step(now);
            }
            // The `>` may be lost while the modem waits for the bytes. If they go out, it is out of that state in any case; the next
            // command could otherwise end up in the stream.
            Phase::Prompt => self.prompted(now),
            Phase::Step if now < self.limit => {
                let limit = self.limit;
                if let Some(step) = self.steps.first() {
                    self.start_command(step, self.task_number(), now);
                    self.repeat_after(SILENCE, now);
                }
                self.limit = limit;
            }
            _ => self.fail(Failure::TimedOut),
        }
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.error = Some(ModemError {
            command: self.command.text,
            failure,
            answer: self.answer,
        });
        // A task that was refused is over and the modem ready for the next; anything else leaves it in an unknown state.
        let harmless =
            self.phase == Phase::Step && self.task != Task::Dial && failure == Failure::Refused;
        if matches!(self.phase, Phase::Step | Phase::Settle) {
            self.outcome = Some((self.task, false));
        }
        self.stuck = matches!(self.phase, Phase::Prompt | Phase::Payload)
            && matches!(failure, Failure::Uart(_));
        if !harmless {
            self.link = Link::Down;
            self.unanswered = 1;
            self.available = 0;
            self.taken = None;
        }
        self.left = 0;
        self.phase = Phase::Idle;
    }

    /// Takes a line in that is complete, or as much of it as there is room for.
    pub(super) fn line(&mut self, line: &[u8], now: Instant) {
        // The echo of a command, before it is switched off.
        if line.is_empty() || line.starts_with(b"AT") {
            return;
        }
        let dialect = self.dialect;
        if let Some(count) = after(line, dialect.notice) {
            // A modem that does not say how many has one at least.
            self.available =
                number(count).map_or_else(|| self.available.max(1), |(count, _)| count);
            self.guess = false;
            return;
        }
        self.answer = Answer::of(line);
        if matches(line, dialect.closed) && (self.link == Link::Open || self.is_opening()) {
            self.link = Link::Closed;
        }
        // A verdict on a command that is not out yet is one on an earlier command.
        let failed = self.command.is_sent() && matches(line, dialect.failed);
        match self.phase {
            Phase::Step => self.step_line(line, failed, now),
            Phase::Settle => self.again = Some(now.plus_millis(QUIET)),
            Phase::Receipt => {
                if let Some((count, _)) = after(line, dialect.accepted).and_then(number) {
                    self.announced = self.announced.min(count);
                }
                if matches(line, dialect.sent.end) && self.announced > 0 {
                    self.phase = Phase::Idle;
                    self.taken = Some(self.announced);
                } else if failed || self.announced == 0 {
                    self.fail(Failure::Refused);
                }
            }
            Phase::Trailer if matches(line, dialect.receive.end) => self.phase = Phase::Idle,
            Phase::Header if failed && self.guess => {
                self.available = 0;
                self.guess = false;
                self.phase = Phase::Idle;
            }
            Phase::Prompt | Phase::Payload | Phase::Header | Phase::Trailer if failed => {
                self.fail(Failure::Refused);
            }
            _ => {}
        }
    }

    fn is_opening(&self) -> bool {
        self.phase == Phase::Step && self.task == Task::Dial && self.steps.len() == 1
    }

    fn step_line(&mut self, line: &[u8], failed: bool, now: Instant) {
        let Some(step) = self.steps.first() else {
            return;
        };
        if let Some(rest) = after(line, step.want) {
            self.wanted = true;
            if self.task == Task::Signal {
                self.signal = Signal::read(
                    field(rest, self.dialect.signal_field).unwrap_or_default(),
                    self.dialect.signal_in_dbm,
                );
            }
        }
        let ended = self.command.is_sent() && matches(line, step.end);
        if !ended && !failed {
            return;
        }
        if let Some(left) = self
            .unanswered
            .checked_sub(u8::from(step.otherwise == Otherwise::Repeat))
        {
            self.unanswered = left;
        }
        let well = ended && (step.want.is_empty() || self.wanted);
        match step.otherwise {
            Otherwise::Skip(count) => self.next_step(if self.wanted { count } else { 0 }, now),
            Otherwise::Repeat if !well => self.again = Some(now.plus_millis(PAUSE)),
            Otherwise::Fail if !well => self.fail(Failure::Refused),
            _ => self.next_step(0, now),
        }
    }

    /// Takes the number in that precedes received bytes; `rest` begins behind the wanted text.
    pub(super) fn header(&mut self, rest: &[u8]) {
        let Some((count, rest)) = number(rest) else {
            return;
        };
        if count > self.asked {
            return self.fail(Failure::Garbled);
        }
        let remaining = match rest.split_first() {
            Some((b',', remaining)) => number(remaining),
            _ => None,
        };
        self.available = remaining.map_or_else(
            || self.available.saturating_sub(count),
            |(remaining, _)| remaining,
        );
        self.guess = false;
        if count == 0 {
            self.available = 0;
        } else if remaining.is_none() && self.available == 0 {
            // More may have come since the notice, and there is no other notice before everything is fetched.
            self.available = 1;
            self.guess = true;
        }
        self.left = count;
        self.phase = if count == 0 {
            Phase::Trailer
        } else {
            Phase::Body
        };
    }
}
