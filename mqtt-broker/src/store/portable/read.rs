//! Lines as items: read one by one, each checked with those before it.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::check::{Fault, Sequence};
use super::item::{Handshake, Item, Queued, Receiver, Retained, Session, Subscription, Will};
use super::message::{Message, MessageRef};
use super::{FORMAT, Header, VERSION};

/// Bytes of the first line, of which nobody knows yet whether it is one of ours.
const HEADER_MAX: u64 = 64 * 1024;
/// Bytes of a line: the largest packet in Base64, and its properties with every character escaped.
const LINE_MAX: u64 = 1 << 30;

/// Why an export cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortableError {
    /// The input failed.
    #[error("line {line} cannot be read")]
    Read {
        /// Counted from 1.
        line: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The first line is none of an export.
    #[error(
        "line 1: this is no export of a store, which begins with {{\"format\":\"{FORMAT}\",\"version\":{VERSION},…: {why}"
    )]
    Header {
        /// What is wrong with it.
        why: String,
    },
    /// An export in another version of the format.
    #[error(
        "line 1, `version`: this export has version {version} of the format, this program reads version {VERSION}: import it with the mqtt-broker that wrote it, or a later one"
    )]
    Version {
        /// The export's.
        version: u32,
    },
    /// A line is no item, or not one that can stand there.
    #[error("line {line}{}: {why}", place(*column, key))]
    Line {
        /// Counted from 1.
        line: u64,
        /// Counted from 1; where the text itself is wrong.
        column: Option<usize>,
        /// Where in the item, as in `queued.message.topic`; may be empty.
        key: String,
        /// What is wrong there.
        why: String,
    },
    /// The export was cut off.
    #[error(
        "line {line}: it ends without a line {{\"end\":…}}: the rest is missing; export the store again"
    )]
    Cut {
        /// The last line.
        line: u64,
    },
}

fn place(column: Option<usize>, key: &str) -> String {
    let mut place = String::new();
    if !key.is_empty() {
        place.push_str(&format!(", `{key}`"));
    }
    if let Some(column) = column {
        place.push_str(&format!(", column {column}"));
    }
    place
}

/// Reads an export line by line: an iterator over its items. After an error it ends.
///
/// A message with a line of its own comes with the first item that refers to it, and not at all without one: lines of an export may be left
/// out. Meanwhile it is in memory.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    header: Header,
    line: u64,
    items: u64,
    sequence: Sequence,
    /// Messages to which nothing has referred yet.
    messages: HashMap<u64, Message>,
    without_group: u64,
    buffer: Vec<u8>,
    ended: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Message(Message),
    Retained(Retained),
    Session(Session),
    Will(Will),
    Subscription(Subscription),
    Queued(Queued),
    Handshake(Handshake),
    End(End),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    items: Option<u64>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// [`PortableError`] when it is none of an export, or of one in another version.
    pub fn new(input: R) -> Result<Self, PortableError> {
        let mut reader = Self {
            input,
            header: Header::default(),
            line: 0,
            items: 0,
            sequence: Sequence::new(),
            messages: HashMap::new(),
            without_group: 0,
            buffer: Vec::new(),
            ended: false,
        };
        let read = reader.next_line(HEADER_MAX)?;
        let no_header = |why: String| PortableError::Header { why };
        if !read {
            return Err(no_header("the line is empty or too long".into()));
        }
        // Its version decides what else it may hold.
        let header: Header = serde_json::from_slice(&reader.buffer)
            .map_err(|error| no_header(without_place(&error)))?;
        if header.format != FORMAT {
            return Err(no_header(format!("its format is {:?}", header.format)));
        }
        if header.version != VERSION {
            let version = header.version;
            return Err(PortableError::Version { version });
        }
        reader.header = header;
        Ok(reader)
    }

    /// What the first line says.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The number of the line that was read last, from 1.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// How many messages were left out because the group for which they wait has no member: with the last one it ends.
    #[must_use]
    pub const fn without_group(&self) -> u64 {
        self.without_group
    }

    /// Reads the next line that is not blank, without its end; `false` when there is none of at most so many bytes.
    fn next_line(&mut self, most: u64) -> Result<bool, PortableError> {
        loop {
            self.line += 1;
            self.buffer.clear();
            let read = self
                .input
                .by_ref()
                .take(most)
                .read_until(b'\n', &mut self.buffer);
            read.map_err(|source| PortableError::Read {
                line: self.line,
                source,
            })?;
            if self.buffer.is_empty() {
                self.line -= 1;
                return Ok(false);
            }
            if self.buffer.last() != Some(&b'\n') && self.buffer.len() as u64 == most {
                return Ok(false);
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    fn item(&mut self) -> Result<Option<Item>, PortableError> {
        loop {
            if !self.next_line(LINE_MAX)? {
                if self.buffer.is_empty() {
                    return Err(PortableError::Cut { line: self.line });
                }
                return Err(self.wrong("", format!("it is longer than {LINE_MAX} bytes")));
            }
            let mut item = match self.parse()? {
                Line::Message(message) => {
                    self.message(message)?;
                    self.items += 1;
                    continue;
                }
                Line::Retained(item) => Item::Retained(item),
                Line::Session(item) => Item::Session(item),
                Line::Will(item) => Item::Will(item),
                Line::Subscription(item) => Item::Subscription(item),
                Line::Queued(item) => Item::Queued(item),
                Line::Handshake(item) => Item::Handshake(item),
                Line::End(end) => return self.end(&end).map(|()| None),
            };
            self.items += 1;
            if !self.has_group(&mut item) {
                self.without_group += 1;
                continue;
            }
            self.resolve(&mut item)?;
            let checked = self.sequence.check(&item);
            checked.map_err(|Fault { key, why }| self.wrong(&key, why))?;
            return Ok(Some(item));
        }
    }

    /// Keeps a message for those who refer to it.
    fn message(&mut self, message: Message) -> Result<(), PortableError> {
        let checked = self.sequence.numbered(&message);
        let id = checked.map_err(|Fault { key, why }| self.wrong(&key, why))?;
        if self.messages.insert(id, message).is_some() {
            let why = "another message has this number";
            return Err(self.wrong("message.id", why.to_owned()));
        }
        Ok(())
    }

    /// Puts a message in the place of its number where that comes first.
    fn resolve(&mut self, item: &mut Item) -> Result<(), PortableError> {
        let key = item.key();
        let (Item::Retained(Retained { message }) | Item::Queued(Queued { message, .. })) = item
        else {
            return Ok(());
        };
        match message {
            MessageRef::Whole(Message { id: Some(_), .. }) => {
                let why = "a message with a number has a line of its own";
                Err(self.wrong(&format!("{key}.message.id"), why.to_owned()))
            }
            MessageRef::Whole(_) => Ok(()),
            MessageRef::Again(id) => {
                if let Some(whole) = self.messages.remove(id) {
                    *message = MessageRef::Whole(whole);
                }
                Ok(())
            }
        }
    }

    /// Whether its group has a member, if it waits for one; a session keeps what a group without members has given to it.
    fn has_group(&self, item: &mut Item) -> bool {
        let Item::Queued(item) = item else {
            return true;
        };
        item.chosen_by
            .take_if(|group| !self.sequence.has_members(group));
        match &item.receiver {
            Receiver::Client(_) => true,
            Receiver::Group(filter) => self.sequence.has_members(filter),
        }
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, PortableError> {
        let mut json = serde_json::Deserializer::from_slice(&self.buffer);
        let parsed = serde_path_to_error::deserialize(&mut json);
        let wrong = |key: String, error: &serde_json::Error| PortableError::Line {
            line: self.line,
            column: Some(error.column()),
            key,
            why: without_place(error),
        };
        let value = parsed.map_err(|error| {
            let path = error.path().to_string();
            let key = if path == "." { String::new() } else { path };
            wrong(key, error.inner())
        })?;
        json.end().map_err(|error| wrong(String::new(), &error))?;
        Ok(value)
    }

    fn end(&mut self, end: &End) -> Result<(), PortableError> {
        if let Some(items) = end.items
            && items != self.items
        {
            let why = format!("{} items stand before, not {items}", self.items);
            return Err(self.wrong("end.items", why));
        }
        if self.next_line(LINE_MAX)? || !self.buffer.is_empty() {
            return Err(self.wrong("", "it stands behind the end".to_owned()));
        }
        Ok(())
    }

    fn wrong(&self, key: &str, why: String) -> PortableError {
        PortableError::Line {
            line: self.line,
            column: None,
            key: key.to_owned(),
            why,
        }
    }
}

/// What serde says, in our words, and without a place that counts from the wrong line.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    text.replace("unknown variant", "unknown key")
        .replace("unknown field", "unknown key")
        .replace("missing field", "missing key")
        .replace("duplicate field", "duplicate key")
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Item, PortableError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.item();
        self.ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}
