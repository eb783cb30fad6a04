//! Inputs as they are committed: one a line, in hex; what follows `#` is a comment.

/// The inputs of a file.
///
/// # Panics
/// When a line is no hex.
#[must_use]
pub fn parse(text: &str) -> Vec<Vec<u8>> {
    let lines = text.lines().map(|line| {
        let (hex, _) = line.split_once('#').unwrap_or((line, ""));
        hex.trim()
    });
    lines.filter(|hex| !hex.is_empty()).map(bytes).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty(), "an odd number of digits: {hex}");
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hex digit") as u8;
    pairs
        .iter()
        .map(|&[high, low]| digit(high) << 4 | digit(low))
        .collect()
}
