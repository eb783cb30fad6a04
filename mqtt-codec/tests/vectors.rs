//! Packets byte by byte: those that are read, and those that break a rule, at which offset.

use mqtt_codec::{DecodeError, Decoded, Decoder, Packet, RuleId, Version};

const FILES: [(&str, &str); 8] = [
    ("ack", include_str!("vectors/ack.txt")),
    ("connack", include_str!("vectors/connack.txt")),
    ("connect", include_str!("vectors/connect.txt")),
    ("disconnect", include_str!("vectors/disconnect.txt")),
    ("frame", include_str!("vectors/frame.txt")),
    ("publish", include_str!("vectors/publish.txt")),
    ("string", include_str!("vectors/string.txt")),
    ("subscribe", include_str!("vectors/subscribe.txt")),
];

struct Vector {
    name: String,
    client: bool,
    decoder: Decoder,
    bytes: Vec<u8>,
    outcome: Vec<&'static str>,
}

impl Vector {
    fn parse(file: &str, number: usize, line: &'static str) -> Self {
        let name = format!("{file}.txt:{}: {line}", number + 1);
        let parts: Vec<_> = line.split(" | ").collect();
        let [setting, bytes, outcome] = parts[..] else {
            panic!("three parts: {name}")
        };
        let mut setting = setting.split_whitespace();
        let client = match setting.next() {
            Some("client") => true,
            Some("server") => false,
            _ => panic!("client or server: {name}"),
        };
        let mut decoder = Decoder::new(match setting.next() {
            Some("3.1") => Version::V31,
            Some("3.1.1") => Version::V311,
            Some("5.0") => Version::V5,
            _ => panic!("a version: {name}"),
        });
        for limit in setting {
            match limit.split_once('=') {
                Some(("size", bytes)) => {
                    decoder.maximum_packet_size = bytes.parse().expect("bytes");
                }
                Some(("users", count)) => {
                    decoder.maximum_user_properties = count.parse().expect("a count");
                }
                _ => panic!("a limit: {name}"),
            }
        }
        let outcome = outcome.split_whitespace().collect();
        Self {
            name,
            client,
            decoder,
            bytes: hex(bytes),
            outcome,
        }
    }

    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Decoded<Packet<'a>>, DecodeError> {
        if self.client {
            Ok(self.decoder.from_client(bytes)?.map(Packet::from))
        } else {
            Ok(self.decoder.from_server(bytes)?.map(Packet::from))
        }
    }

    /// A packet that is read, and in what bytes it is written.
    fn check_packet(&self, packet: &str, written: &str) {
        let name = &self.name;
        let Ok(Decoded::Complete { packet: read, len }) = self.decode(&self.bytes) else {
            panic!("{:?} {name}", self.decode(&self.bytes));
        };
        assert_eq!(
            (format!("{:?}", read.packet_type()).as_str(), len),
            (packet, self.bytes.len()),
            "{name}"
        );
        let mut again = [0; 512];
        match (written, read.encode(self.decoder.version, &mut again)) {
            ("read", Err(_)) => {}
            ("again", Ok(len)) => assert_eq!(again[..len], self.bytes, "{name}"),
            ("otherwise", Ok(len)) => {
                assert_ne!(again[..len], self.bytes, "{name}");
                let shorter = self.decode(&again[..len]);
                assert_eq!(
                    shorter,
                    Ok(Decoded::Complete { packet: read, len }),
                    "{name}"
                );
            }
            (_, result) => panic!("{result:?} {name}"),
        }
        for cut in 0..self.bytes.len() {
            let Ok(Decoded::NeedMore(needed)) = self.decode(&self.bytes[..cut]) else {
                panic!("complete or refused after {cut} bytes: {name}");
            };
            assert!(
                (cut + 1..=self.bytes.len().max(2)).contains(&needed),
                "{needed} after {cut}: {name}"
            );
        }
    }

    /// A packet that breaks a rule, found in every beginning of it that is found to be wrong at all.
    fn check_error(&self, rule: &str, at: &str, reason: &str) -> RuleId {
        let name = &self.name;
        let Err(error) = self.decode(&self.bytes) else {
            panic!("{:?} {name}", self.decode(&self.bytes))
        };
        let found = (
            error.rule.name(),
            error.at.to_string(),
            format!("0x{:02x}", error.rule.reason_code().0),
        );
        assert_eq!(found, (rule, at.to_owned(), reason.to_owned()), "{name}");
        for cut in 0..self.bytes.len() {
            match self.decode(&self.bytes[..cut]) {
                Ok(Decoded::NeedMore(needed)) => {
                    assert!(needed > cut, "{needed} after {cut}: {name}");
                }
                early => assert_eq!(early, Err(error), "after {cut}: {name}"),
            }
        }
        error.rule
    }
}

fn hex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Every second piece stood in quotes.
    for (index, piece) in text.split('"').enumerate() {
        if index % 2 == 1 {
            bytes.extend(piece.bytes());
        } else {
            bytes.extend(
                piece
                    .split_whitespace()
                    .map(|byte| u8::from_str_radix(byte, 16).expect("hex")),
            );
        }
    }
    bytes
}

fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (file, text) in FILES {
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        vectors.extend(lines.map(|(number, line)| Vector::parse(file, number, line)));
    }
    vectors
}

/// Every vector, and a vector for every rule.
#[test]
#[cfg_attr(small, ignore = "offsets and the finer rules are not told there")]
fn vectors_come_out_as_written_and_cover_all_rules() {
    let mut covered = Vec::new();
    for vector in vectors() {
        match vector.outcome[..] {
            [packet, written] => vector.check_packet(packet, written),
            [rule, at, reason] => covered.push(vector.check_error(rule, at, reason)),
            _ => panic!("two or three words: {}", vector.name),
        }
    }
    let missing: Vec<_> = RuleId::ALL
        .iter()
        .filter(|rule| !covered.contains(rule))
        .collect();
    assert!(missing.is_empty(), "no vector for {missing:?}");
}

/// What is known to come from a client or server is known to `any` as well.
#[test]
fn any_reads_what_either_side_may_send() {
    for vector in vectors() {
        if let Ok(Decoded::Complete { packet, len }) = vector.decode(&vector.bytes) {
            assert_eq!(
                vector.decoder.any(&vector.bytes),
                Ok(Decoded::Complete { packet, len }),
                "{}",
                vector.name
            );
        }
    }
}
