//! Items as lines: written one by one.

use std::collections::HashMap;
use std::io::{self, Write};

use serde::Serialize;

use super::item::Item;
use super::message::{Message, MessageRef};
use super::time::Time;
use super::{FORMAT, Header, VERSION};

/// Writes an export: the line of its header, a line for each item, and a last line by which a reader knows that nothing was cut off.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    items: u64,
    /// The number that a message has in this export, by the one that it came with.
    numbers: HashMap<u64, u64>,
}

/// A message of its own: others refer to it.
#[derive(Serialize)]
struct Numbered<'a> {
    message: &'a Message,
}

/// The last line.
#[derive(Serialize)]
struct Last {
    end: End,
}

#[derive(Serialize)]
struct End {
    items: u64,
}

impl<W: Write> Writer<W> {
    /// Begins an export that is written at this time. `output` should be buffered.
    ///
    /// # Errors
    /// Those of `output`.
    pub fn new(mut output: W, written: Time) -> io::Result<Self> {
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            written,
            by: Some(concat!("mqtt-broker ", env!("CARGO_PKG_VERSION")).to_owned()),
        };
        line(&mut output, &header)?;
        Ok(Self {
            output,
            items: 0,
            numbers: HashMap::new(),
        })
    }

    /// Writes an item; a message with a number gets a line of its own before it, so that any item can be left out of the export. Numbers of
    /// messages become 1, 2, 3 in their order.
    ///
    /// # Errors
    /// Those of the output; `InvalidInput` for a message that refers to one which was not written.
    pub fn item(&mut self, mut item: Item) -> io::Result<()> {
        let reference = match &mut item {
            Item::Retained(item) => Some(&mut item.message),
            Item::Queued(item) => Some(&mut item.message),
            Item::Session(_) | Item::Will(_) | Item::Subscription(_) | Item::Handshake(_) => None,
        };
        match reference {
            Some(reference @ MessageRef::Whole(Message { id: Some(_), .. })) => {
                let next = self.numbers.len() as u64 + 1;
                let whole = core::mem::replace(reference, MessageRef::Again(next));
                if let MessageRef::Whole(mut message) = whole {
                    if let Some(id) = message.id.replace(next) {
                        self.numbers.insert(id, next);
                    }
                    let message = &message;
                    line(&mut self.output, &Numbered { message })?;
                    self.items += 1;
                }
            }
            Some(MessageRef::Whole(_)) | None => {}
            Some(MessageRef::Again(id)) => {
                let Some(number) = self.numbers.get(id) else {
                    let error = format!("no message with the number {id} was written");
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
                };
                *id = *number;
            }
        }
        self.items += 1;
        line(&mut self.output, &item)
    }

    /// Ends the export, and gives the output back.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<W> {
        let end = End { items: self.items };
        line(&mut self.output, &Last { end })?;
        self.output.flush()?;
        Ok(self.output)
    }
}

fn line(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, value).map_err(io::Error::from)?;
    output.write_all(b"\n")
}
