//! A real file of Mosquitto 2.0.11, whole, cut anywhere, and changed anywhere.

use std::io::Cursor;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index as At;

use super::*;
use crate::store::portable::{Item, Time, Writer};

/// Written by the test `import_mosquitto::a_file_of_mosquitto_is_read`; what it holds stands beside it.
const FIXTURE: &[u8] = include_bytes!("../../../tests/fixtures/mosquitto-2.0.11.db");
const EXPECTED: &str = include_str!("../../../tests/fixtures/mosquitto-2.0.11.jsonl");

fn read_as(bytes: &[u8], unclean: Unclean) -> Result<Vec<Item>, MosquittoError> {
    MosquittoDb::open(Cursor::new(bytes), unclean)?
        .into_items()
        .collect()
}

fn read(bytes: &[u8]) -> Result<Vec<Item>, MosquittoError> {
    read_as(bytes, Unclean::Refuse)
}

fn refusal(bytes: &[u8]) -> String {
    read(bytes).expect_err("it is refused").to_string()
}

/// Where the chunks of a whole file begin; the last is its end.
fn boundaries(file: &[u8]) -> Vec<usize> {
    let mut at = 23;
    let mut found = vec![at];
    while let Some(len) = file.get(at + 4..at + 8) {
        at += 8 + u32::from_be_bytes(len.try_into().unwrap()) as usize;
        found.push(at);
    }
    found
}

/// The first chunk of this kind, header included.
fn chunk(kind: u8) -> core::ops::Range<usize> {
    let all = boundaries(FIXTURE);
    let mut pairs = all.windows(2).map(|pair| pair[0]..pair[1]);
    let found = pairs.find(|chunk| FIXTURE[chunk.start + 3] == kind);
    found.expect("the fixture has all kinds")
}

/// The fixture with other bytes at a place.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = FIXTURE.to_vec();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn the_fixture_holds_what_was_put_into_mosquitto() {
    let mut writer = Writer::new(Vec::new(), Time::now()).unwrap();
    for item in read(FIXTURE).unwrap() {
        writer.item(item).unwrap();
    }
    let text = String::from_utf8(writer.finish().unwrap()).unwrap();
    let kinds = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with(r#"{"format"#));
        // Points in time are those of the day on which it was written.
        lines
            .map(|line| {
                let parts = line.split('"').map(|part| match part.parse::<Time>() {
                    Ok(_) => "TIME",
                    Err(_) => part,
                });
                parts.collect::<Vec<_>>().join("\"")
            })
            .collect()
    };
    assert_eq!(kinds(&text), kinds(EXPECTED));
}

/// A file that was cut within a chunk is refused; nothing shows that whole chunks are missing at its end, and the rest is read.
#[test]
fn every_cut_is_refused_or_leaves_whole_chunks() {
    let boundaries = boundaries(FIXTURE);
    let whole = read(FIXTURE).unwrap().len();
    assert_eq!(boundaries.last(), Some(&FIXTURE.len()));
    for len in 0..FIXTURE.len() {
        let cut = read(&FIXTURE[..len]);
        if boundaries.contains(&len) && len > boundaries[0] {
            let found = cut.expect("chunks are whole").len();
            assert!(found <= whole, "cut at {len}");
        } else {
            let said = cut.expect_err("a chunk is cut").to_string();
            assert!(said.contains("byte "), "cut at {len}: {said}");
        }
    }
}

/// Whatever byte is changed: a sentence, or other items that fit together.
#[test]
fn every_changed_byte_is_survived() {
    let mut refused = 0;
    for (at, byte) in FIXTURE.iter().enumerate() {
        for change in [0x01, 0x80, 0xff] {
            refused += usize::from(read(&with(at, &[byte ^ change])).is_err());
        }
    }
    // What nobody looks at, names, topics and payloads may be anything.
    assert!(refused > FIXTURE.len() / 2, "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Chunks in another order, twice or left out, and bytes changed, put in and taken away: never a panic, and what is read fits together.
    #[test]
    fn mutated_files_do_no_harm(
        moves in vec((any::<At>(), any::<At>(), 0..3_u8), 0..4),
        edits in vec((any::<At>(), any::<u8>(), 0..4_u8), 0..5),
    ) {
        let all = boundaries(FIXTURE);
        let mut chunks: Vec<&[u8]> = all.windows(2).map(|pair| &FIXTURE[pair[0]..pair[1]]).collect();
        for (from, to, how) in moves {
            let (from, to) = (from.index(chunks.len()), to.index(chunks.len()));
            match how {
                0 => chunks.swap(from, to),
                1 => chunks.insert(to, chunks[from]),
                _ => drop(chunks.remove(from)),
            }
        }
        let mut file = FIXTURE[..23].to_vec();
        chunks.iter().for_each(|chunk| file.extend_from_slice(chunk));
        for (at, byte, how) in edits {
            let at = at.index(file.len());
            match how {
                0 => file[at] = byte,
                1 => file.insert(at, byte),
                2 => drop(file.remove(at)),
                _ => file[at] = file[at].wrapping_add(1),
            }
        }
        for unclean in [Unclean::Refuse, Unclean::Accept] {
            let _ = read_as(&file, unclean);
        }
    }
}

#[test]
fn what_is_not_read_is_told_with_place_and_advice() {
    let cases: &[(Vec<u8>, &str)] = &[
        (
            b"".to_vec(),
            "byte 0: the file is damaged or was cut off: it has 0 bytes, less than its header; stop Mosquitto before you copy the file",
        ),
        (
            b"SQLite format 3\0and what follows".to_vec(),
            "byte 0: it is no mosquitto.db: look for `persistence_location`",
        ),
        (
            with(19, &[0, 0, 0, 5]),
            "byte 19: it has version 5 of the format, and only version 6 is read, that of Mosquitto 2.0: start Mosquitto 2.0 with it, stop it, and import",
        ),
        (
            with(19, &[0, 0, 0, 7]),
            "byte 19: it has version 7 of the format, and only version 6 is read, that of Mosquitto 2.0: let a bridge",
        ),
        (
            with(31, &[0, 0, 0, 0, 0, 0, 0, 70]),
            "byte 23: a big-endian machine wrote it, and only files of 64-bit and ARM machines that are little-endian are read",
        ),
        (
            with(39, &[0]),
            "byte 23: Mosquitto wrote it while it was running, and what came later is not in it: stop Mosquitto",
        ),
        (
            with(23 + 3, &[9]),
            "byte 23: the file is damaged or was cut off: the first chunk does not say how the file was written",
        ),
        (
            with(chunk(2).start + 3, &[9]),
            "there is no chunk of kind 9",
        ),
        (
            with(chunk(4).start + 4, &[0x7f]),
            "a chunk should have 2130706440 bytes, and",
        ),
        (
            with(chunk(4).start + 8, &[0xee]),
            "no message has the number 238",
        ),
    ];
    for (file, said) in cases {
        let found = refusal(file);
        assert!(found.contains(said), "said: {found}\nnot:  {said}");
    }
    let mut x86 = FIXTURE.to_vec();
    x86.drain(43..47);
    x86[30] = 12;
    let said = refusal(&x86);
    assert!(
        said.contains("byte 23: a 32-bit x86 machine wrote it"),
        "{said}"
    );
}

/// A snapshot of a running Mosquitto is taken by those who know.
#[test]
fn a_snapshot_is_taken_on_demand() {
    let snapshot = with(39, &[0]);
    let whole = read(FIXTURE).unwrap();
    assert_eq!(read_as(&snapshot, Unclean::Accept).unwrap(), whole);
}

/// A chunk with a state that its message cannot have is damage.
#[test]
fn impossible_states_are_refused() {
    let message = chunk(3);
    let state = message.start + 8 + 13;
    assert_eq!(FIXTURE[state], 11, "queued");
    for impossible in [0, 1, 5, 7, 12, 255] {
        let said = refusal(&with(state, &[impossible]));
        let place = format!("byte {}: ", message.start);
        assert!(
            said.contains(&place) && said.contains("cannot be in state"),
            "{said}"
        );
    }
}

/// What waits for a bridge of Mosquitto's own comes, and the operator is told that nobody will come for it. Its session has no listener.
#[test]
fn an_end_of_a_bridge_is_told() {
    let mut file = FIXTURE.to_vec();
    let (name, bridge) = (b"stalled1", b"local.ab");
    for at in 0..file.len() - name.len() {
        if file[at..].starts_with(name) {
            file[at..at + name.len()].copy_from_slice(bridge);
        }
    }
    let remarks = |file: &[u8]| {
        let opened = MosquittoDb::open(Cursor::new(file), Unclean::Refuse);
        opened.unwrap().remarks()
    };
    assert_eq!(
        remarks(&file).bridge_ends,
        0,
        "a client may have such a name"
    );
    let ends = boundaries(&file);
    let mut pairs = ends.windows(2).map(|pair| pair[0]..pair[1]);
    let session = pairs
        .find(|chunk| file[chunk.start + 3] == 6 && file[chunk.start + 32..].starts_with(bridge));
    let port = session.unwrap().start + 8 + 16;
    file[port..port + 2].fill(0);
    assert_eq!(remarks(&file).bridge_ends, 1);
    assert_eq!(read(&file).unwrap().len(), read(FIXTURE).unwrap().len());
}
