//! The output format of `mqtt sub -F`: text, with what a percent sign stands for.

use core::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use mqtt_client::{PayloadFormat, Publication};

use crate::failure::Failure;
use crate::json;

/// The letters that may follow a percent sign.
const LETTERS: &str = "CDEFIPRUXjlpqrtx%";

/// A format, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Field(char),
}

impl Format {
    /// Reads a format.
    ///
    /// # Errors
    /// A letter or an escape that has no meaning.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let mut pieces = Vec::new();
        let mut run = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            let wrong = |what: &str, next: Option<char>| {
                let shown = next.map_or_else(|| "nothing".to_owned(), |next| format!("{next:?}"));
                Failure::new(
                    1,
                    format!("{what} followed by {shown} means nothing in a format"),
                )
                .hint("`mqtt sub --help` lists what -F knows")
            };
            match c {
                '%' => match rest.next() {
                    Some('%') => run.push(b'%'),
                    Some(field) if LETTERS.contains(field) => {
                        pieces.push(Piece::Text(core::mem::take(&mut run)));
                        pieces.push(Piece::Field(field));
                    }
                    other => return Err(wrong("%", other)),
                },
                '@' => match rest.next() {
                    Some('@') => run.push(b'@'),
                    other => return Err(wrong("@", other)),
                },
                '\\' => run.push(match rest.next() {
                    Some('\\') => b'\\',
                    Some('0') => 0,
                    Some('a') => 7,
                    Some('e') => 0x1b,
                    Some('n') => b'\n',
                    Some('r') => b'\r',
                    Some('t') => b'\t',
                    Some('v') => 0x0b,
                    other => return Err(wrong("\\", other)),
                }),
                c => run.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        pieces.push(Piece::Text(run));
        Ok(Self(pieces))
    }

    /// Writes a message in this format.
    pub(crate) fn write(&self, publication: &Publication, out: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Field(field) => write_field(*field, publication, out),
            }
        }
    }
}

fn write_field(field: char, publication: &Publication, out: &mut Vec<u8>) {
    let payload = publication.payload();
    let properties = publication.properties();
    let mut text = String::new();
    match field {
        'p' => return out.extend_from_slice(payload),
        'D' => return out.extend_from_slice(properties.correlation_data().unwrap_or_default()),
        't' => text.push_str(publication.topic()),
        'q' => text = (publication.qos() as u8).to_string(),
        'r' => text = u8::from(publication.is_retained()).to_string(),
        'l' => text = payload.len().to_string(),
        'x' => hexadecimal(payload, &mut text),
        'X' => {
            hexadecimal(payload, &mut text);
            text.make_ascii_uppercase();
        }
        'j' => text = json::message(publication, now()),
        'I' => text = json::seconds_iso(now().0),
        'U' => {
            let (seconds, micros) = now();
            text = format!("{seconds}.{micros:06}000");
        }
        'C' => text.push_str(properties.content_type().unwrap_or_default()),
        'R' => text.push_str(properties.response_topic().unwrap_or_default()),
        'E' => {
            if let Some(seconds) = properties.message_expiry_interval() {
                text = seconds.to_string();
            }
        }
        'F' => {
            if let Some(format) = properties.payload_format_indicator() {
                text = u8::from(format == PayloadFormat::Utf8).to_string();
            }
        }
        'P' => {
            let all: Vec<_> = properties
                .user_properties()
                .map(|(name, value)| format!("{name}:{value}"))
                .collect();
            text = all.join(" ");
        }
        _ => {}
    }
    out.extend_from_slice(text.as_bytes());
}

fn hexadecimal(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
}

/// Seconds since 1970, and microseconds.
fn now() -> (u64, u32) {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    (since.as_secs(), since.subsec_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_fields_and_escapes() {
        let format = Format::parse("a%t%%\\t%p\u{e9}").unwrap();
        let text = |text: &str| Piece::Text(text.as_bytes().to_vec());
        assert_eq!(
            format.0,
            [
                text("a"),
                Piece::Field('t'),
                text("%\t"),
                Piece::Field('p'),
                text("é")
            ]
        );
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in ["%Z", "%", "x\\", "\\q", "@H"] {
            assert!(Format::parse(text).is_err(), "{text}");
        }
    }
}
