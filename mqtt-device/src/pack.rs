//! Readings that travel together.

use mqtt_session::compact::Full;

/// Readings in one payload, one behind the other with a byte between them.
///
/// A reading of 10 bytes in a PUBLISH of its own, QoS 1 and a topic of 18 bytes, takes 158 bytes with TCP's and IP's headers, its
/// acknowledgement included; of 60 that are packed, connection and goodbye included, each takes 20.
///
/// ```
/// use mqtt_device::Pack;
///
/// let mut memory = [0; 16];
/// let mut pack = Pack::new(&mut memory, b'\n');
/// pack.push(b"21.5")?;
/// pack.push(b"21.7")?;
/// assert_eq!(pack.payload(), b"21.5\n21.7");
/// # Ok::<(), mqtt_device::Full>(())
/// ```
#[derive(Debug)]
pub struct Pack<'m> {
    memory: &'m mut [u8],
    len: usize,
    between: u8,
}

impl<'m> Pack<'m> {
    /// No readings yet; this byte will stand between them.
    #[must_use]
    pub const fn new(memory: &'m mut [u8], between: u8) -> Self {
        Self {
            memory,
            len: 0,
            between,
        }
    }

    /// Appends a reading.
    ///
    /// # Errors
    /// [`Full`]: publish what there is, then [`clear`](Self::clear).
    pub fn push(&mut self, reading: &[u8]) -> Result<(), Full> {
        let between = usize::from(self.len > 0);
        let room = self.memory.get_mut(self.len..).unwrap_or_default();
        let room = room.get_mut(..between + reading.len()).ok_or(Full)?;
        let (separator, to) = room.split_at_mut_checked(between).ok_or(Full)?;
        separator.fill(self.between);
        for (to, byte) in to.iter_mut().zip(reading) {
            *to = *byte;
        }
        self.len += between + reading.len();
        Ok(())
    }

    /// All readings.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.memory.get(..self.len).unwrap_or_default()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets them.
    pub const fn clear(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_does_not_fit_leaves_the_others() {
        let mut memory = [0; 5];
        let mut pack = Pack::new(&mut memory, b',');
        assert!(pack.is_empty());
        pack.push(b"12").expect("two of five");
        assert_eq!(pack.push(b"345"), Err(Full));
        pack.push(b"34").expect("three more");
        assert_eq!(pack.payload(), b"12,34");
        pack.clear();
        assert_eq!(pack.payload(), b"");
    }
}
