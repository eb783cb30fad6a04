//! Checking UTF-8: short texts that are ASCII without a call.

/// Whether the bytes are UTF-8.
#[inline(always)]
pub(super) fn is_utf8(bytes: &[u8]) -> bool {
    is_short_ascii(bytes) || std::str::from_utf8(bytes).is_ok()
}

/// Whether there are at most 32 bytes and all are ASCII: two or four words that overlap cover all lengths.
#[inline(always)]
fn is_short_ascii(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = |chunk: Option<&[u8; 8]>| chunk.map_or(u64::MAX, |chunk| u64::from_ne_bytes(*chunk));
    let half = |chunk: Option<&[u8; 4]>| chunk.map_or(u32::MAX, |chunk| u32::from_ne_bytes(*chunk));
    match bytes.len() {
        8..=16 => (word(bytes.first_chunk()) | word(bytes.last_chunk())) & HIGH == 0,
        4..=7 => (half(bytes.first_chunk()) | half(bytes.last_chunk())) & HIGH as u32 == 0,
        0..=3 => bytes.iter().fold(0, |all, byte| all | byte) < 0x80,
        17..=32 => {
            let middle = &bytes[8..bytes.len() - 8];
            let ends = word(bytes.first_chunk()) | word(bytes.last_chunk());
            // From 1 to 16 bytes are left; where they are fewer than 8, the words of the ends overlap less.
            let left = match middle.len() {
                8.. => word(middle.first_chunk()) | word(middle.last_chunk()),
                _ => word(bytes[8..].first_chunk()),
            };
            (ends | left) & HIGH == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_every_length_is_looked_at() {
        for len in 0..80 {
            let text = vec![b'a'; len];
            assert!(is_utf8(&text));
            assert_eq!(is_short_ascii(&text), len <= 32);
            for at in 0..len {
                let mut text = text.clone();
                text[at] = 0xff;
                assert!(!is_utf8(&text), "{len} bytes, {at}");
            }
        }
        assert!(is_utf8("Größe/温度/🌡".as_bytes()));
    }
}
