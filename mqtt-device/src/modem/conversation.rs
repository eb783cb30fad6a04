//! What the modem's lines and the time do to the engine: steps begin, end, are repeated, and fail.

use super::engine::{Engine, Index, Link, NONE, Phase, place as at};
use super::error::ModemError;
use super::script::{ANY, DIGIT, LAST, NUMBER, OR, STEP_HEAD, code, place, task};
use super::ticks::Ticks;

/// A command that is repeated is so after so many seconds.
const REPEAT: u8 = 2;
/// That in ticks.
const REPEAT_TICKS: u8 = 4;
/// So many ticks nothing must come before answers are taken for those of the next command, when some are outstanding: longer than the
/// time between two repetitions.
const QUIET: u8 = 6;
/// What stands for the front of a line that was longer than the room: no modem's line begins so.
const OVERLONG: u8 = b'~';

impl Engine<'_> {
    pub(super) fn start(&mut self, task: u8) {
        self.task = task;
        self.repeated = 0;
        self.step = self.script.word(2 * u16::from(task));
        self.run_step();
    }

    fn run_step(&mut self) {
        let code = self.step_byte(0);
        if code == code::END {
            self.phase = Phase::Done;
            if self.task == task::CLOSE {
                self.link = Link::Closed;
            }
            return;
        }
        if code == code::PIN && self.pin_refused && !cfg!(mutation = "modem-pin-again") {
            return self.fail(ModemError::PinRefused);
        }
        self.phase = match code {
            code::PROMPT => Phase::Prompt,
            code::PAYLOAD => Phase::Payload,
            _ => Phase::Step,
        };
        if code == code::OPEN {
            self.link = Link::Open;
        }
        self.set_timer(if code == code::REPEAT {
            REPEAT_TICKS
        } else {
            Ticks::seconds(self.step_byte(1))
        });
        self.wanted = self.step_byte(STEP_HEAD) == 0;
        self.at = self.script.skip(self.step + STEP_HEAD, 2);
        self.within = 0;
        self.rest = self.number;
        self.power = place::POWERS;
        self.pending = self.next_byte();
    }

    fn set_timer(&mut self, ticks: u8) {
        self.since = self.now;
        self.wait = ticks;
    }

    /// A byte of the step.
    #[cfg_attr(target_arch = "avr", inline(never))]
    fn step_byte(&self, index: u16) -> u8 {
        self.script.byte(self.step.wrapping_add(index))
    }

    /// The step is done: on with the next, leaving some out.
    fn next_step(&mut self, skip: u8) {
        self.step = self.script.skip(self.step, 3 * (skip + 1));
        self.repeated = 0;
        if self.dirty && !cfg!(mutation = "modem-late-answers") {
            self.phase = Phase::Settle;
            self.set_timer(QUIET);
        } else {
            self.run_step();
        }
    }

    /// The byte of the command that is next; 0 at its end.
    fn next_byte(&mut self) -> u8 {
        loop {
            let code = self.script.byte(self.at);
            let byte = if code > LAST {
                code
            } else if code == 0 {
                return 0;
            } else {
                self.value_byte(code)
            };
            if code > LAST || byte == 0 {
                self.within = 0;
                self.at += 1;
            } else {
                self.within += 1;
            }
            if byte != 0 {
                return byte;
            }
        }
    }

    /// Byte `within` of the value with this number; 0 at its end.
    fn value_byte(&mut self, value: u8) -> u8 {
        if value == NUMBER {
            return self.next_digit();
        }
        let text = self.settings.text(value);
        text.get(at(self.within)).copied().unwrap_or_default()
    }

    /// The next digit of the number, without zeros in front; 0 behind the last. Subtracting is smaller than dividing where there is no
    /// instruction for it.
    #[cfg_attr(target_arch = "avr", inline(never))]
    fn next_digit(&mut self) -> u8 {
        while self.power < place::POWERS_END {
            let power = self.script.word(self.power);
            self.power += 2;
            let mut digit = b'0';
            while self.rest >= power {
                self.rest -= power;
                digit += 1;
            }
            if digit > b'0' || self.within > 0 || power == 1 {
                return digit;
            }
        }
        0
    }

    /// So many bytes went out.
    #[cfg_attr(target_arch = "avr", inline(never))]
    pub(super) fn advance(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        if self.phase != Phase::Payload {
            self.pending = self.next_byte();
            return;
        }
        // More than was announced is not given.
        self.within = self.within.wrapping_add(count as Index);
        if at(self.within) >= self.number.into() {
            self.phase = Phase::Step;
            self.since = self.now;
        }
    }

    /// Does what is due; says whether anything was.
    #[cfg_attr(target_arch = "avr", inline(never))]
    pub(super) fn expire(&mut self) -> bool {
        if cfg!(mutation = "modem-half-line-lost") {
            self.tail = self.held;
        }
        let due = self.phase > Phase::Payload && self.now.since(self.since) >= self.wait;
        if due {
            self.time_is_over();
        }
        due
    }

    #[inline]
    fn time_is_over(&mut self) {
        if self.phase == Phase::Settle {
            self.dirty = false;
            return self.run_step();
        }
        // The `>` may be lost while the modem waits for the bytes. If they go out, it is out of that state in any case; the next
        // command could otherwise end up in the stream.
        if self.phase == Phase::Prompt && !cfg!(mutation = "modem-prompt-lost") {
            return self.next_step(0);
        }
        if self.step_byte(0) == code::REPEAT {
            self.repeated = self.repeated.wrapping_add(REPEAT);
            if self.repeated < self.step_byte(1) {
                self.dirty |= self.phase == Phase::Step;
                return self.run_step();
            }
        }
        self.fail(ModemError::TimedOut);
    }

    /// There is no connection any more, and nothing that the modem may still say is about the next.
    pub(super) fn hang_up(&mut self) {
        self.link = Link::Down;
        self.dirty = true;
        self.available = 0;
        self.taken = 0;
        self.left = 0;
    }

    pub(super) fn fail(&mut self, failure: ModemError) {
        self.failure = failure;
        self.phase = match self.phase {
            Phase::Prompt | Phase::Payload if matches!(failure, ModemError::Uart(_)) => {
                Phase::Stuck
            }
            phase @ (Phase::Idle | Phase::Done | Phase::Stuck) => phase,
            _ => Phase::Failed,
        };
        // A task that was refused is over and the modem ready for the next; anything else leaves it in an unknown state.
        if failure != ModemError::Refused || self.task >= task::SEND {
            self.hang_up();
        }
    }

    #[cfg_attr(target_arch = "avr", inline(never))]
    pub(super) fn take_in(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.push(byte);
        }
    }

    /// Takes one byte of the modem's in.
    #[cfg_attr(target_arch = "avr", inline(never))]
    fn push(&mut self, byte: u8) {
        if self.left == 0 && self.tail == self.held && byte <= b' ' {
            return;
        }
        let Some(slot) = self.memory.get_mut(at(self.tail)) else {
            return;
        };
        *slot = byte;
        self.tail += 1;
        if self.left > 0 {
            self.left -= 1;
            self.held = self.tail;
            return;
        }
        let full = at(self.tail) == self.memory.len();
        if byte == b'\n' || full || self.is_whole(byte) {
            self.line();
            self.tail = self.held;
            if full
                && !cfg!(mutation = "modem-overlong-line")
                && let Some(slot) = self.memory.get_mut(at(self.held))
            {
                *slot = OVERLONG;
                self.tail += 1;
            }
        }
    }

    /// Whether what there is of a line is a whole one without a line feed, with this last byte.
    fn is_whole(&mut self, byte: u8) -> bool {
        if self.pending != 0 {
            return false;
        }
        if self.phase == Phase::Prompt {
            return byte == b'>' && self.tail == self.held + 1;
        }
        if self.task != task::RECEIVE || byte != self.script.byte(place::RECEIVED_END) {
            return false;
        }
        self.look_at_step();
        self.matched()
    }

    /// Byte `column` of the line; 0 behind its end.
    #[cfg_attr(target_arch = "avr", inline(never))]
    fn line_byte(&self, column: Index) -> u8 {
        let index = self.held.wrapping_add(column);
        match self.memory.get(at(index)) {
            Some(&byte) if index < self.tail => byte,
            _ => 0,
        }
    }

    /// Whether the line begins with one of the alternatives of the next pattern; the column is left behind that.
    #[cfg_attr(target_arch = "avr", inline(never))]
    fn matched(&mut self) -> bool {
        self.column = 0;
        let mut column = 0;
        loop {
            let mut wanted = self.next_code();
            if wanted > OR {
                let byte = self.line_byte(column);
                if wanted == ANY && byte != 0 {
                    // On until what follows it is there.
                    if byte != self.script.byte(self.cursor) {
                        self.cursor -= 1;
                        column += 1;
                    }
                    continue;
                }
                if byte == wanted || (wanted == DIGIT && byte.is_ascii_digit()) {
                    column += 1;
                    continue;
                }
                column = 0;
                while wanted > OR {
                    wanted = self.next_code();
                }
            }
            if self.column == 0 {
                self.column = column;
            }
            if wanted == 0 {
                return self.column > 0;
            }
            column = 0;
        }
    }

    /// The byte of the script at the cursor, which goes on.
    #[cfg_attr(target_arch = "avr", inline(never))]
    fn next_code(&mut self) -> u8 {
        let at = self.cursor;
        self.cursor = at.wrapping_add(1);
        self.script.byte(at)
    }

    /// Sets the cursor to the wanted line.
    fn look_at_step(&mut self) {
        self.cursor = self.step.wrapping_add(STEP_HEAD);
    }

    /// Takes a line in that is complete, or as much of it as there is room for.
    fn line(&mut self) {
        self.cursor = place::PATTERNS;
        if self.matched() {
            // A modem that does not say how many has one at least.
            let count = self.next_number();
            if count != NONE {
                self.available = count;
            } else if self.available == 0 {
                self.available = 1;
            }
            self.guess = false;
            return;
        }
        if self.matched() && self.link == Link::Open {
            self.link = Link::Closed;
        }
        let failed = self.matched();
        if self.phase == Phase::Settle {
            self.since = self.now;
        }
        if self.phase < Phase::Payload || self.phase > Phase::Step {
            return;
        }
        let mut ended = false;
        if self.phase != Phase::Payload {
            self.look_at_step();
            if self.matched() {
                self.wanted = true;
                self.take_numbers();
            }
            if self.script.byte(self.cursor) == 0 {
                self.cursor = place::OK;
            }
            ended = self.matched();
        }
        // A verdict on a command that is not out yet is one on an earlier command; but if that was the same, it is as good. The rest of
        // the command goes out while things settle.
        let in_time = self.pending == 0 || (self.dirty && self.step_byte(0) == code::REPEAT);
        if in_time && (ended || failed) {
            self.ended(ended && self.wanted);
        }
    }

    /// Looks at the numbers in a wanted line.
    fn take_numbers(&mut self) {
        let count = self.next_number();
        match self.task {
            task::SIGNAL => self.signal = count,
            // What the modem took may be less than what it was given.
            task::SEND
                if at(count) < self.number.into() && !cfg!(mutation = "modem-more-taken") =>
            {
                self.number = count as u16;
            }
            task::RECEIVE if count != NONE => self.announced(count),
            _ => {}
        }
    }

    /// So many received bytes follow; the modem has so many more, if it says so.
    fn announced(&mut self, count: Index) {
        if at(count) > self.number.into() {
            return self.fail(ModemError::Garbled);
        }
        self.left = count;
        self.guess = false;
        let comma = self.line_byte(self.column) == b',';
        self.column += 1;
        let rest = if comma { self.next_number() } else { NONE };
        if count == 0 {
            self.available = 0;
        } else if rest != NONE {
            self.available = rest;
        } else if self.available > count {
            self.available -= count;
        } else {
            // More may have come since the notice, and there is no other notice before everything is fetched.
            self.available = Index::from(!cfg!(mutation = "modem-rest-not-fetched"));
            self.guess = true;
        }
    }

    /// The step has ended, as is wanted or not.
    fn ended(&mut self, well: bool) {
        let code = self.step_byte(0);
        if code >= code::SKIP {
            self.next_step(if self.wanted { code - code::SKIP } else { 0 });
        } else if code == code::PAYLOAD && well && self.number > 0 {
            self.taken = self.number as Index;
            self.phase = Phase::Idle;
        } else if code != code::PAYLOAD && (well || code == code::IGNORE) {
            self.next_step(0);
        } else if code == code::REPEAT {
            self.phase = Phase::Pause;
        } else if self.guess && self.task == task::RECEIVE {
            self.available = 0;
            self.phase = Phase::Idle;
        } else {
            self.pin_refused |= code == code::PIN;
            self.fail(ModemError::Refused);
        }
    }

    /// The decimal number at the column, which is left behind it; a minus is not looked at. What is too large is no
    /// number.
    #[cfg_attr(target_arch = "avr", inline(never))]
    fn next_number(&mut self) -> Index {
        let mut value = NONE;
        loop {
            let byte = self.line_byte(self.column);
            if byte != b'-' {
                let digit = byte.wrapping_sub(b'0');
                if digit > 9 {
                    return value;
                }
                if value == NONE {
                    value = 0;
                }
                if value > (NONE - 10) / 10 {
                    return NONE;
                }
                value = value * 10 + Index::from(digit);
            }
            self.column += 1;
        }
    }
}
