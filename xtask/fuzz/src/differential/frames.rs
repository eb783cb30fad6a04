//! Frames out of an input: packets of the grammar, whole, damaged, or mere bytes with a length in front.

use mqtt_codec::Version;
use mqtt_testkit::fuzz::grammar::Grammar;
use mqtt_testkit::fuzz::input::Input;

/// Frames looked at in one input.
const MOST_FRAMES: usize = 8;

/// The frames of an input, each with the version by which it is to be read.
#[must_use]
pub fn read(bytes: &[u8]) -> Vec<(Version, Vec<u8>)> {
    let mut input = Input::new(bytes);
    let mut frames = Vec::new();
    while !input.is_empty() && frames.len() < MOST_FRAMES {
        let way = input.byte();
        let version = [Version::V5, Version::V311, Version::V5, Version::V31][usize::from(way & 3)];
        let frame = match way >> 5 {
            0 => raw(&mut input),
            1..=3 => damaged(version, way & 4 != 0, &mut input),
            _ => packet(version, way & 4 != 0, &mut input),
        };
        if is_whole(&frame) {
            frames.push((version, frame));
        }
    }
    frames
}

/// One frame to the last byte, by its length, however that is written; or a length of which five bytes would be needed.
fn is_whole(frame: &[u8]) -> bool {
    let mut len = 0;
    for (at, &byte) in frame.iter().skip(1).take(4).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return frame.len() == 2 + at + len;
        }
    }
    frame.len() > 5
}

/// A first byte, and a body whose length is set right.
fn raw(input: &mut Input<'_>) -> Vec<u8> {
    let first = input.byte();
    let len = usize::from(input.byte());
    frame(first, input.take(len))
}

fn packet(version: Version, client: bool, input: &mut Input<'_>) -> Vec<u8> {
    let grammar = Grammar {
        version,
        client,
        awaited: &[1, 2, 0xffff],
    };
    let mut out = Vec::new();
    if input.byte() & 7 == 0 {
        grammar.hello(input, &mut out);
    } else {
        grammar.packet(input, &mut out);
    }
    out
}

/// A packet with bytes changed, put in or taken out, and its length set right; or with its header changed.
fn damaged(version: Version, client: bool, input: &mut Input<'_>) -> Vec<u8> {
    let how = input.byte();
    let (at, change) = (input.byte(), input.byte());
    let whole = packet(version, client, input);
    let Some((header, body)) = split(&whole) else {
        return whole;
    };
    let at = usize::from(at).checked_rem(body.len()).unwrap_or(0);
    let mut body = body.to_vec();
    match how & 7 {
        0 => body.truncate(at),
        1 => body.insert(at, change),
        2 if !body.is_empty() => {
            body.remove(at);
        }
        3 => body.push(change),
        4 => return [&[header ^ (change & 0x0f)], &whole[1..]].concat(),
        // The length in one byte more than it takes.
        5 if body.len() < 0x80 => {
            return [&[header, body.len() as u8 | 0x80, 0], &body[..]].concat();
        }
        6 => {
            if let Some(byte) = body.get_mut(at) {
                *byte = change;
            }
        }
        _ => {
            if let Some(byte) = body.get_mut(at) {
                *byte ^= 1 << (change & 7);
            }
        }
    }
    frame(header, &body)
}

/// The first byte and the body of the one packet that is there.
fn split(frame: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, rest) = frame.split_first()?;
    let len = rest.iter().take(4).position(|byte| byte & 0x80 == 0)?;
    Some((first, &rest[len + 1..]))
}

fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut all = vec![first];
    let mut len = body.len();
    while len >= 0x80 {
        all.push(len as u8 | 0x80);
        len >>= 7;
    }
    all.push(len as u8);
    all.extend_from_slice(body);
    all
}
