//! What a person wants to know about a failure: which command, how, and what the modem said.

use core::fmt::{self, Write};

use super::error::ModemError;
use super::script::{NAMES, PREFIXES, STEP_HEAD, Script, code};

/// The last command, how it failed, and what the modem said last; printed as one line.
///
/// ```text
/// AT+CPIN="$i": the modem refused a command ("+CME ERROR: incorrect password")
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Report<'e> {
    script: Script,
    step: u16,
    failure: ModemError,
    answer: &'e [u8],
}

impl<'e> Report<'e> {
    pub(super) const fn new(
        script: Script,
        step: u16,
        failure: ModemError,
        answer: &'e [u8],
    ) -> Self {
        Self {
            script,
            step,
            failure,
            answer,
        }
    }

    /// The command as it stands in the dialect's table, without its values, and so without secrets; empty if none is under way.
    pub fn command(&self) -> impl Iterator<Item = char> + use<> {
        let script = self.script;
        let start = match self.step {
            0 => None,
            step if script.byte(step) == code::END => None,
            step => Some(script.skip(step.wrapping_add(STEP_HEAD), 2)),
        };
        let bytes = start.into_iter().flat_map(move |start| {
            (start..)
                .map(move |at| script.byte(at))
                .take_while(|&byte| byte != 0)
        });
        bytes.flat_map(|byte| {
            let value = usize::from(byte).wrapping_sub(1);
            let name = NAMES.get(value).copied();
            let prefix = PREFIXES.get(value.wrapping_sub(NAMES.len()));
            let place = name.is_some().then_some('$');
            let other = (byte >= b' ').then_some(byte);
            let text = prefix.copied().unwrap_or_default().chars();
            text.chain(place).chain(name.or(other).map(char::from))
        })
    }

    /// What the modem said last, as much of it as there was room for; empty when it said nothing.
    #[must_use]
    pub const fn answer(&self) -> &'e [u8] {
        self.answer
    }

    /// How the last command that failed did so.
    #[must_use]
    pub const fn failure(&self) -> ModemError {
        self.failure
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.command().try_for_each(|char| f.write_char(char))?;
        write!(
            f,
            ": {} (\"{}\")",
            self.failure,
            self.answer().escape_ascii()
        )
    }
}
