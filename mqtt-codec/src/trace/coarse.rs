//! Only the rule is known, and travels in a register: firmware has nobody to tell an offset to, and no bytes to spare for it.

use crate::{DecodeError, RuleId};

/// The rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken(RuleId);

/// Nothing is noted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace;

impl Trace {
    pub(crate) const fn new(_: u32) -> Self {
        Self
    }

    pub(crate) const fn at(&self, _: usize) -> u32 {
        0
    }

    pub(crate) const fn broken(&mut self, rule: RuleId, _: u32) -> Broken {
        Broken(rule)
    }

    pub(crate) const fn error(&self, broken: Broken) -> DecodeError {
        DecodeError {
            rule: broken.0,
            at: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_kept_and_the_offset_is_not() {
        let mut trace = Trace::new(9);
        let broken = trace.broken(RuleId::Truncated, trace.at(4));
        let error = trace.error(broken);
        assert_eq!((error.rule, error.at), (RuleId::Truncated, 0));
    }
}
