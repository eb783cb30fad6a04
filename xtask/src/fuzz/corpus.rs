//! Corpora as they are committed: one file a target, one input a line, in hex.

use core::fmt::Write as _;
use std::path::Path;

use crate::shell::Result;
use crate::workspace::read;

/// Bytes of inputs that a committed corpus has at most; the longest inputs are left out.
const MOST_BYTES: usize = 100_000;

const HEAD: &str = "\
# Inputs that together reach every edge that fuzzing has reached; one a line, in hex, the shortest first.
# Written by `cargo xtask fuzz --minimise`, replayed by the tests of mqtt-testkit; `differential` by `cargo xtask fuzz --judged`.
";

/// The inputs of a packed file; what follows `#` is a comment.
pub(super) fn parse(text: &str) -> Result<Vec<Vec<u8>>> {
    let mut inputs = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let hex = line.split('#').next().unwrap_or_default().trim();
        if !hex.is_empty() {
            let input = bytes(hex).ok_or_else(|| format!("line {}: no hex", number + 1))?;
            inputs.push(input);
        }
    }
    Ok(inputs)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let byte = |&[high, low]: &[u8; 2]| Some((digit(high)? << 4 | digit(low)?) as u8);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

fn hex(input: &[u8]) -> String {
    let mut text = String::with_capacity(2 * input.len());
    for byte in input {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The line that stands for the input in a file.
///
/// # Errors
/// If it cannot be read.
pub(super) fn line_of(file: &Path) -> Result<String> {
    let input = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(hex(&input))
}

/// Writes the committed inputs and findings of a target into the folder that libFuzzer reads.
///
/// # Errors
/// If a file cannot be read or written.
pub(super) fn unpack(files: &Path, target: &str, folder: &Path) -> Result<()> {
    create(folder)?;
    for kind in ["corpus", "findings"] {
        let file = files.join(kind).join(format!("{target}.txt"));
        if file.exists() {
            let inputs =
                parse(&read(&file)?).map_err(|error| format!("{}: {error}", file.display()))?;
            save(folder, kind, &inputs)?;
        }
    }
    Ok(())
}

/// The codec's vectors as inputs of the decoder: setting, and the bytes as they are.
///
/// # Errors
/// If a file cannot be read or written.
pub(super) fn unpack_vectors(vectors: &Path, folder: &Path) -> Result<()> {
    let entries =
        std::fs::read_dir(vectors).map_err(|error| format!("{}: {error}", vectors.display()))?;
    let mut inputs = Vec::new();
    for entry in entries.flatten() {
        inputs.extend(read(&entry.path())?.lines().filter_map(vector));
    }
    inputs.sort();
    save(folder, "vector", &inputs)
}

/// `client 5.0 … | 40 02 "text" | …`.
fn vector(line: &str) -> Option<Vec<u8>> {
    let mut parts = line.split(" | ");
    let (setting, text) = (parts.next()?, parts.next()?);
    let mut input = vec![if setting.starts_with("client") {
        0x04
    } else {
        0
    }];
    input[0] |= match setting.split_whitespace().nth(1)? {
        "3.1.1" => 1,
        "3.1" => 2,
        "5.0" => 0,
        _ => return None,
    };
    for (index, part) in text.split('"').enumerate() {
        if index % 2 == 1 {
            input.extend_from_slice(part.as_bytes());
        } else {
            let digits: String = part.split_whitespace().collect();
            input.extend(bytes(&digits)?);
        }
    }
    Some(input)
}

/// Packs a folder of inputs into a file; says what came of it.
///
/// # Errors
/// If a file cannot be read or written.
pub(super) fn pack(folder: &Path, file: &Path) -> Result<String> {
    let entries =
        std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut inputs = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let input = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        inputs.push(input);
    }
    let all = inputs.len();
    let text = packed(&mut inputs);
    if let Some(folder) = file.parent() {
        create(folder)?;
    }
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    let bytes: usize = inputs.iter().map(Vec::len).sum();
    Ok(format!(
        "{}: {} inputs, {bytes} bytes; {} longer ones left out",
        file.display(),
        inputs.len(),
        all - inputs.len()
    ))
}

fn packed(inputs: &mut Vec<Vec<u8>>) -> String {
    inputs.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    let mut left = MOST_BYTES;
    inputs.retain(|input| {
        let fits = input.len() <= left;
        left = if fits { left - input.len() } else { 0 };
        fits && !input.is_empty()
    });
    let lines = inputs.iter().map(|input| hex(input) + "\n");
    HEAD.chars()
        .chain(lines.collect::<String>().chars())
        .collect()
}

fn create(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()).into())
}

fn save(folder: &Path, kind: &str, inputs: &[Vec<u8>]) -> Result<()> {
    for (index, input) in inputs.iter().enumerate() {
        let file = folder.join(format!("{kind}-{index:04}"));
        std::fs::write(&file, input).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_inputs_are_parsed_again() {
        let mut inputs = vec![vec![0xff, 0, 0x1a], vec![7], vec![]];
        let text = packed(&mut inputs);
        assert!(text.ends_with("07\nff001a\n"), "{text}");
        assert_eq!(parse(&text).expect("hex"), [vec![7], vec![0xff, 0, 0x1a]]);
        assert_eq!(parse("07 # seven\n").expect("hex"), [vec![7]]);
        assert!(parse("0\n").is_err() && parse("xy\n").is_err());
    }

    #[test]
    fn what_is_too_much_is_left_out_from_the_end() {
        let mut inputs = vec![vec![1; MOST_BYTES], vec![2; 10], vec![3; MOST_BYTES - 5]];
        packed(&mut inputs);
        assert_eq!(inputs.len(), 1);
    }

    #[test]
    fn vectors_become_inputs() {
        let input = vector("client 3.1.1 size=9 | 40 02 \"a b\" 01 | PubAck again");
        assert_eq!(input.as_deref(), Some(&b"\x05\x40\x02a b\x01"[..]));
        assert_eq!(vector("# a comment"), None);
    }
}
