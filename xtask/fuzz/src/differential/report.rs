//! The list as a table for the terminal and as a page, and the replay of its examples.

use core::fmt::Write as _;

use mqtt_codec::Version;

use super::judged::rows;
use super::judgement::{Judged, Right};
use super::peers::PEERS;
use super::{Disagreement, compare};

/// Bytes in hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Bytes out of hex; `None` if it is none.
#[must_use]
pub fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let byte = |&[high, low]: &[u8; 2]| Some((digit(high)? << 4 | digit(low)?) as u8);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

/// Reads the example of every row, by the first of its versions; what is wrong with the list.
#[must_use]
pub fn replay() -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, row) in rows().enumerate() {
        if let Err(text) = shows(row, at) {
            wrong.push(format!("{}: {text}", row.id));
        }
        let again = rows().filter(|other| other.id == row.id).count();
        if again > 1 {
            wrong.push(format!("{}: there twice", row.id));
        }
    }
    wrong
}

fn shows(row: &Judged, at: usize) -> Result<(), String> {
    let frame = bytes(row.example).ok_or("the example is no hex")?;
    let compared = compare(row.places[0].0[0], &frame).ok_or("the example is no whole frame")?;
    let all = compared
        .iter()
        .find(|(peer, _)| peer.name == row.peer)
        .map_or(&[][..], |(_, all)| all);
    let unjudged = |it: &&Disagreement| it.judged.is_none();
    if let Some(it) = all.iter().find(unjudged) {
        return Err(format!(
            "the example shows what nobody has judged: {:?}",
            it.seen
        ));
    }
    if all.iter().any(|it| it.judged == Some(at)) {
        return Ok(());
    }
    let other = all.iter().find_map(|it| rows().nth(it.judged?));
    Err(match other {
        Some(other) => format!("the example is recognised by {}", other.id),
        None => "the peer and we agree about the example".to_owned(),
    })
}

const PACKETS: [&str; 16] = [
    "",
    "CONNECT",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "PINGREQ",
    "PINGRESP",
    "DISCONNECT",
    "AUTH",
];

fn packets(kinds: &[u8], versions: &[Version]) -> String {
    if kinds.len() > 8 {
        let last = if versions.contains(&Version::V5) {
            16
        } else {
            15
        };
        let left_out: Vec<&str> = (1..last)
            .filter(|kind| !kinds.contains(kind))
            .map(|kind| PACKETS[usize::from(kind)])
            .collect();
        return match left_out[..] {
            [] => "all".to_owned(),
            _ => format!("all but {}", left_out.join(", ")),
        };
    }
    let names: Vec<&str> = kinds.iter().map(|it| PACKETS[usize::from(*it)]).collect();
    names.join(", ")
}

fn versions(list: &[Version]) -> String {
    let names: Vec<String> = list.iter().map(Version::to_string).collect();
    names.join(", ")
}

/// For instance `3.1.1: CONNECT; 5.0: all`.
fn places(row: &Judged) -> String {
    let place = |(list, kinds): &(&[Version], &[u8])| {
        format!("{}: {}", versions(list), packets(kinds, list))
    };
    let all: Vec<String> = row.places.iter().map(place).collect();
    all.join("; ")
}

const fn right(right: Right) -> &'static str {
    match right {
        Right::Ours => "ours",
        Right::Theirs => "theirs",
        Right::Both => "both",
    }
}

/// How many rows there are of each judgement: ours, theirs, both.
fn count(peer: &str) -> [usize; 3] {
    [Right::Ours, Right::Theirs, Right::Both].map(|right| {
        rows()
            .filter(|row| row.peer == peer && row.right == right)
            .count()
    })
}

/// One line for each row.
#[must_use]
pub fn table() -> String {
    let mut text = String::new();
    for peer in &PEERS {
        let [ours, theirs, both] = count(peer.name);
        let _ = writeln!(
            text,
            "\n{} {}: ours is right in {ours}, the peer in {theirs}, both in {both}",
            peer.name, peer.release
        );
        for row in rows().filter(|row| row.peer == peer.name) {
            let _ = writeln!(
                text,
                "  {:<28} {:<5} {:<43} {} ({})",
                row.id,
                right(row.right),
                row.statements().join(" "),
                row.says,
                places(row)
            );
        }
    }
    text
}

const HEAD: &str = "\
# Disagreements with other decoders, judged

Written by `cargo xtask fuzz differential --judged`, which also replays every example against the peers; the rows stand in
`xtask/fuzz/src/differential/judged`. The target `differential` gives the same frames to our decoder and to the peers, and stops at
whatever no row recognises: a frame that one side refuses and the other reads, or a value that differs. Rules that bind one side only are
left out, since the peers are not told who sends.

In the first table *ours* counts the rows in which the specification is on our side, *theirs* those in which it is on the peer's, and *both*
those in which each may do as it does, since another layer judges it, or the specification leaves it open.

Where ours was wrong it was mended: an AUTH of one byte was read, and a CONNACK with authentication data and without a method was refused
(`mqtt-codec/tests/disagreements.rs`).
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n| peer | read by | ours | theirs | both |\n|---|---|---|---|---|\n");
    for peer in &PEERS {
        let [ours, theirs, both] = count(peer.name);
        let _ = writeln!(
            text,
            "| {} {} | {} | {ours} | {theirs} | {both} |",
            peer.name, peer.release, peer.entry
        );
    }
    for peer in &PEERS {
        let _ = writeln!(text, "\n## {}", peer.name);
        let mut left: Vec<&Judged> = rows().filter(|row| row.peer == peer.name).collect();
        while let Some(does) = left.first().map(|row| row.does()) {
            let (these, others): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|row| row.does() == does);
            text.push_str(&section(does, &these));
            left = others;
        }
    }
    text
}

fn section(does: &str, rows: &[&Judged]) -> String {
    let mut text =
        format!("\n### {does}\n\n| what | where | statement | example |\n|---|---|---|---|\n");
    for row in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | `{}` |",
            row.says,
            places(row),
            row.statements().join(", "),
            row.example
        );
    }
    text
}
