//! User names, as far as they can be believed.
//!
//! Mosquitto 2.0 fills one structure for all sessions of a file and does not clear it between them. So a session whose client gave no user
//! name is written with the length of the name before it, its two bytes exchanged, and with whatever stands in memory from that name on.

/// Judges the user names of a file in their order.
#[derive(Debug, Default)]
pub(super) struct UserNames {
    /// The length that stood there last.
    length: u16,
    /// The last name that somebody gave.
    name: Vec<u8>,
    /// Names that were not believed, and may have been given.
    pub(super) left_out: u64,
}

impl UserNames {
    /// The user name in the next session; `None` when there is none, and when it is or may be a left-over.
    ///
    /// # Errors
    /// When it is neither a name nor a left-over.
    pub(super) fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a str>, String> {
        // It was read by a length of two bytes.
        let length = bytes.len() as u16;
        let exchanged = length == self.length.swap_bytes();
        self.length = length;
        if bytes.is_empty() {
            return Ok(None);
        }
        let name = core::str::from_utf8(bytes).ok();
        let name = name.filter(|name| !name.contains('\0'));
        if exchanged && (bytes.starts_with(&self.name) || self.name.starts_with(bytes)) {
            self.left_out += u64::from(name.is_some());
            return Ok(None);
        }
        let Some(name) = name else {
            return Err("the user name is not UTF-8, or holds the character U+0000".to_owned());
        };
        self.name.clear();
        self.name.extend_from_slice(bytes);
        Ok(Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds what stands in the file, and gives the names that are believed.
    fn judge(stored: &[&[u8]]) -> (Vec<Option<String>>, u64) {
        let mut names = UserNames::default();
        let judged = stored
            .iter()
            .map(|bytes| names.next(bytes).unwrap().map(Into::into))
            .collect();
        (judged, names.left_out)
    }

    fn some(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[test]
    fn names_that_were_given_are_believed() {
        let (judged, left_out) = judge(&[b"", b"bob", b"bob", b"eve", b"alice"]);
        let given = [None, some("bob"), some("bob"), some("eve"), some("alice")];
        assert_eq!((judged, left_out), (given.into(), 0));
    }

    /// As seen in files of Mosquitto 2.0.11.
    #[test]
    fn left_overs_are_no_names() {
        let mut memory = b"bob\0\0\x21\0".to_vec();
        memory.resize(0x300, 0);
        let (judged, left_out) = judge(&[b"bob", &memory, b"bob", &memory, b"eve", b"bob"]);
        let believed = [some("bob"), None, None, None, some("eve"), some("bob")];
        assert_eq!((judged, left_out), (believed.into(), 1));
    }

    #[test]
    fn what_is_neither_is_damage() {
        let mut names = UserNames::default();
        assert!(names.next(b"a\0b").is_err());
        assert!(names.next(b"\xff").is_err());
    }
}
