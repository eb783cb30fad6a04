//! Putting packets together from pieces, for codecs that want a whole packet in one slice.

/// How long the packet at the front is: the error says how many bytes are needed to know.
#[inline]
pub(super) fn frame_len(bytes: &[u8]) -> Result<usize, usize> {
    let mut len = 0;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(2 + index + len);
        }
    }
    Err(bytes.len().max(1) + 1)
}

/// The beginning of a packet that was cut off.
#[derive(Debug)]
pub(super) struct Parts {
    kept: Vec<u8>,
    needed: usize,
}

impl Parts {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            kept: Vec::with_capacity(bytes),
            needed: 2,
        }
    }

    /// Hands every packet that is complete to `packet`; copies only those that the pieces cut. `None` if a length is longer
    /// than four bytes.
    #[inline]
    pub(super) fn arrived(
        &mut self,
        mut bytes: &[u8],
        mut packet: impl FnMut(&[u8]),
    ) -> Option<()> {
        while !self.kept.is_empty() {
            let wanted = self.needed.saturating_sub(self.kept.len()).min(bytes.len());
            let (now, later) = bytes.split_at(wanted);
            self.kept.extend_from_slice(now);
            bytes = later;
            if self.kept.len() < self.needed {
                return Some(());
            }
            match frame_len(&self.kept) {
                Ok(len) if len <= self.kept.len() => {
                    packet(&self.kept);
                    self.kept.clear();
                }
                Ok(needed) => self.needed = needed,
                Err(needed) if needed <= 5 => self.needed = needed,
                Err(_) => return None,
            }
        }
        while !bytes.is_empty() {
            match frame_len(bytes) {
                Ok(len) if len <= bytes.len() => {
                    let (frame, later) = bytes.split_at(len);
                    packet(frame);
                    bytes = later;
                }
                Ok(needed) => {
                    self.kept.extend_from_slice(bytes);
                    self.needed = needed;
                    return Some(());
                }
                Err(needed) if needed <= 5 => {
                    self.kept.extend_from_slice(bytes);
                    self.needed = needed;
                    return Some(());
                }
                Err(_) => return None,
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_the_same_in_all_pieces() {
        let mut wire = vec![0xc0, 0, 0x30, 0x80, 0x01];
        wire.extend([7; 128]);
        wire.extend([0x40, 2, 0, 5]);
        for piece in 1..wire.len() {
            let mut parts = Parts::with_capacity(16);
            let mut seen = Vec::new();
            for piece in wire.chunks(piece) {
                parts
                    .arrived(piece, |frame| seen.push(frame.len()))
                    .expect("valid");
            }
            assert_eq!(seen, [2, 131, 4], "pieces of {piece}");
        }
        let mut parts = Parts::with_capacity(16);
        assert_eq!(
            parts.arrived(&[0x30, 0xff, 0xff, 0xff, 0xff, 1], |_| {}),
            None
        );
    }
}
