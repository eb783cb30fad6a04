//! What the owner asks of the engine: tasks, and the bytes of the TCP stream.

use super::engine::{Engine, Index, Link, NONE, Phase, Task, place as at};
use super::error::ModemError;
use super::script::{place, task};

/// Room in the memory that is kept for a line while stream bytes wait, in bytes.
const LINE: usize = 32;

impl Engine<'_> {
    #[cfg_attr(target_arch = "avr", inline(never))]
    pub(super) fn run_task(&mut self, task: Task) -> Option<Result<(), ModemError>> {
        let (task, number) = match task {
            Task::Dial => (task::DIAL, self.settings.port),
            Task::Close => (task::CLOSE, 0),
            Task::Signal => (task::SIGNAL, 0),
            Task::Sleep(seconds) => (task::SLEEP, seconds),
            Task::Wake => (task::WAKE, 0),
        };
        let phase = self.phase;
        let dial = task == task::DIAL;
        if phase == Phase::Stuck || (dial && self.is_midway()) {
            return Some(Err(ModemError::Stuck));
        }
        if task == self.task && phase != Phase::Idle {
            if !phase.is_idle() {
                return None;
            }
            self.phase = Phase::Idle;
            return Some(if phase == Phase::Done {
                Ok(())
            } else {
                Err(self.failure)
            });
        }
        if dial {
            let dirty = self.dirty || !phase.is_idle();
            self.hang_up();
            self.dirty = dirty;
            self.failure = ModemError::NotConnected;
            self.remove(at(self.held));
        } else if !phase.is_idle() {
            return None;
        }
        self.number = number;
        self.start(task);
        None
    }

    #[cfg_attr(target_arch = "avr", inline(never))]
    pub(super) fn fetch(&mut self) -> bool {
        if self.held > 0 || self.link == Link::Down {
            return true;
        }
        if !self.phase.is_idle() {
            return false;
        }
        if self.available == 0 {
            return self.link == Link::Closed;
        }
        let room = self.memory.len().saturating_sub(LINE).max(1);
        self.transfer(task::RECEIVE, place::MAX_RECEIVE, room);
        false
    }

    fn transfer(&mut self, task: u8, most: u16, len: usize) {
        let most = self.script.word(most);
        let len = len.min(at(NONE) - 1);
        self.number = most.min(u16::try_from(len).unwrap_or(most));
        self.start(task);
    }

    #[cfg_attr(target_arch = "avr", inline(never))]
    pub(super) fn read_stream(&mut self, buffer: &mut [u8]) -> Option<Result<usize, ModemError>> {
        if buffer.is_empty() {
            return Some(Ok(0));
        }
        if !self.fetch() {
            return None;
        }
        if self.held == 0 && self.link == Link::Down {
            return Some(Err(self.failure));
        }
        let count = at(self.held).min(buffer.len());
        for (slot, &byte) in buffer
            .iter_mut()
            .zip(self.memory.get(..count).unwrap_or_default())
        {
            *slot = byte;
        }
        self.remove(count);
        Some(Ok(count))
    }

    /// Takes so many stream bytes out.
    fn remove(&mut self, count: usize) {
        for (to, from) in (count..self.memory.len()).enumerate() {
            if let Some(&byte) = self.memory.get(from)
                && let Some(slot) = self.memory.get_mut(to)
            {
                *slot = byte;
            }
        }
        // It is not more than there are.
        self.held -= count as Index;
        self.tail -= count as Index;
    }

    #[cfg_attr(target_arch = "avr", inline(never))]
    pub(super) fn write_stream(&mut self, payload: &[u8]) -> Option<Result<usize, ModemError>> {
        if self.taken > 0 {
            let taken = at(self.taken).min(payload.len());
            self.taken = 0;
            return Some(Ok(taken));
        }
        if self.link == Link::Down {
            return Some(Err(self.failure));
        }
        if self.phase.is_idle() {
            if self.link == Link::Closed {
                return Some(Err(ModemError::NotConnected));
            }
            if payload.is_empty() {
                return Some(Ok(0));
            }
            self.transfer(task::SEND, place::MAX_SEND, payload.len());
        }
        None
    }
}
