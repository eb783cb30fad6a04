//! What a program says when it ends: `exit CODE, stack BYTES`.

use core::fmt;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// 0 is success.
    pub code: u8,
    /// The most bytes that its stack held.
    pub stack: u32,
}

impl Verdict {
    /// Reads a line; `None` if it is another one.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (code, stack) = line
            .trim_end()
            .strip_prefix("exit ")?
            .split_once(", stack ")?;
        Some(Self {
            code: code.parse().ok()?,
            stack: stack.parse().ok()?,
        })
    }

    /// Finds the line behind other bytes.
    pub(crate) fn find(bytes: &[u8]) -> Option<Self> {
        bytes.strip_suffix(b"\n")?;
        let lines = bytes.split(|byte| *byte == b'\n').rev();
        lines
            .into_iter()
            .find_map(|line| Self::parse(core::str::from_utf8(line).ok()?))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}, stack {}", self.code, self.stack)
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn a_verdict_is_found_behind_packets_once_its_line_is_whole() {
        let verdict = Verdict {
            code: 0,
            stack: 1536,
        };
        assert_eq!(Verdict::parse(&verdict.to_string()), Some(verdict));
        let bytes = b"\xE0\x00\xFF\nexit 0, stack 1536\n";
        assert_eq!(Verdict::find(bytes), Some(verdict));
        for len in 0..bytes.len() {
            assert_eq!(Verdict::find(&bytes[..len]), None, "{len}");
        }
        assert_eq!(Verdict::find(b"exit now, stack 1\n"), None);
    }
}
