//! Everything is known: the reader keeps it, so that results stay small.

use crate::wire::to_u32;
use crate::{DecodeError, RuleId};

/// A rule was broken; which one, the reader knows. Without content, so that results stay small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken(());

/// Where a reader ends, and what stopped it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    /// Offset of the reader's end from the start of the packet.
    end: u32,
    /// Says something only after a `Broken`.
    error: DecodeError,
}

impl Trace {
    /// A reader, the last byte of which is followed by offset `end` of the packet.
    #[inline]
    pub(crate) fn new(end: u32) -> Self {
        let error = DecodeError {
            rule: RuleId::Truncated,
            at: 0,
        };
        Self { end, error }
    }

    /// The offset at which there are `rest` bytes to the end.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn at(&self, rest: usize) -> u32 {
        self.end.saturating_sub(to_u32(rest))
    }

    /// Notes the broken rule. Inlined, so that a reader of a hot path need not be in memory.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(crate) fn broken(&mut self, rule: RuleId, at: u32) -> Broken {
        self.error = DecodeError { rule, at };
        Broken(())
    }

    /// What was noted.
    #[inline]
    pub(crate) fn error(&self, _: Broken) -> DecodeError {
        self.error
    }
}
