//! The file from end to end: where its chunks stand, and whether each is what it should be.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Seek, SeekFrom};

use mqtt_codec::{QoS, SubscriptionId, SubscriptionOptions};
use mqtt_topic::{ParsedFilter, TopicName};

use super::chunk::{Client, ClientMessage, Config, Stored, Subscribed, Wrong, retained};
use super::error::MosquittoError;
use super::user_names::UserNames;
use super::{LeftOut, Unclean};
use crate::store::portable::{Expiry, Session, Subscription, Time};

/// What the file begins with.
pub(super) const MAGIC: [u8; 15] = *b"\x00\xb5\x00mosquitto db";
/// The version of the format that Mosquitto 2.0 writes.
const VERSION: u32 = 6;
/// The magic, a checksum that is not used, and the version.
const HEADER_LEN: u64 = 23;
/// The kind of a chunk and its length.
const CHUNK_HEADER_LEN: u64 = 8;

/// Kinds of chunks.
mod kind {
    pub(super) const CONFIG: u32 = 1;
    pub(super) const STORED: u32 = 2;
    pub(super) const CLIENT_MESSAGE: u32 = 3;
    pub(super) const RETAINED: u32 = 4;
    pub(super) const SUBSCRIPTION: u32 = 5;
    pub(super) const CLIENT: u32 = 6;
}

/// Reads chunk after chunk.
#[derive(Debug)]
pub(super) struct Chunks<R> {
    input: R,
    /// Bytes of the file.
    len: u64,
    /// Where the next chunk begins.
    at: u64,
    /// The content of the chunk that was read last.
    pub(super) content: Vec<u8>,
}

/// Where a chunk stands, and what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) offset: u64,
    pub(super) kind: u32,
    len: u64,
}

impl<R: BufRead + Seek> Chunks<R> {
    /// Reads the header of the file.
    fn open(mut input: R) -> Result<Self, MosquittoError> {
        let len = input
            .seek(SeekFrom::End(0))
            .and_then(|len| input.rewind().map(|()| len))
            .map_err(|source| MosquittoError::read(0, source))?;
        let mut chunks = Self {
            input,
            len,
            at: 0,
            content: Vec::new(),
        };
        if len < HEADER_LEN {
            let why = format!("it has {len} bytes, less than its header");
            return Err(MosquittoError::damaged(0, why));
        }
        chunks.fill(0, HEADER_LEN)?;
        let (magic, rest) = chunks.content.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(MosquittoError::not_mosquitto());
        }
        let version = rest.last_chunk().copied().map_or(0, u32::from_be_bytes);
        if version != VERSION {
            return Err(MosquittoError::version(19, version));
        }
        chunks.at = HEADER_LEN;
        Ok(chunks)
    }

    fn fill(&mut self, offset: u64, len: u64) -> Result<(), MosquittoError> {
        // No more than the file has: whoever calls has looked.
        self.content.resize(usize::try_from(len).unwrap_or(0), 0);
        let read = self.input.read_exact(&mut self.content);
        read.map_err(|source| MosquittoError::read(offset, source))
    }

    /// Where the next chunk begins.
    pub(super) const fn position(&self) -> u64 {
        self.at
    }

    /// Moves to a chunk.
    pub(super) fn seek(&mut self, offset: u64) -> Result<(), MosquittoError> {
        if offset != self.at {
            let distance = offset.wrapping_sub(self.at).cast_signed();
            let moved = self.input.seek_relative(distance);
            moved.map_err(|source| MosquittoError::read(offset, source))?;
            self.at = offset;
        }
        Ok(())
    }

    /// The next chunk's head; `None` at the end of the file.
    fn head(&mut self) -> Result<Option<Head>, MosquittoError> {
        let offset = self.at;
        let left = self.len.saturating_sub(offset);
        if left == 0 {
            return Ok(None);
        }
        if left < CHUNK_HEADER_LEN {
            let why = format!("{left} bytes are left, less than the header of a chunk");
            return Err(MosquittoError::damaged(offset, why));
        }
        self.fill(offset, CHUNK_HEADER_LEN)?;
        self.at += CHUNK_HEADER_LEN;
        let number = |bytes: Option<&[u8; 4]>| bytes.copied().map_or(0, u32::from_be_bytes);
        let head = Head {
            offset,
            kind: number(self.content.first_chunk()),
            len: number(self.content.last_chunk()).into(),
        };
        let left = left - CHUNK_HEADER_LEN;
        if head.len > left {
            let why = format!(
                "a chunk should have {} bytes, and {left} are left",
                head.len
            );
            return Err(MosquittoError::damaged(offset, why));
        }
        Ok(Some(head))
    }

    /// Reads the next chunk with its content; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Head>, MosquittoError> {
        let Some(head) = self.head()? else {
            return Ok(None);
        };
        self.fill(head.offset, head.len)?;
        self.at += head.len;
        Ok(Some(head))
    }

    /// Reads the message whose chunk begins there; it was one before.
    pub(super) fn stored(&mut self, offset: u64) -> Result<Stored<'_>, MosquittoError> {
        self.seek(offset)?;
        self.next()?;
        Stored::parse(&self.content).map_err(|why| MosquittoError::damaged(offset, why))
    }

    /// Reads the next chunk that is a message of a client, and passes over others.
    pub(super) fn next_client_message(&mut self) -> Result<Option<Head>, MosquittoError> {
        while let Some(head) = self.head()? {
            let behind = self.at + head.len;
            if head.kind == kind::CLIENT_MESSAGE {
                self.fill(head.offset, head.len)?;
                self.at = behind;
                return Ok(Some(head));
            }
            self.seek(behind)?;
        }
        Ok(None)
    }
}

/// Where a message stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) offset: u64,
    /// Items that will refer to it.
    pub(super) references: u32,
    /// It was handed out with its number.
    pub(super) shown: bool,
}

/// A message that a client has sent at QoS 2 and not released: Mosquitto has not given it to anybody yet.
#[derive(Clone, Debug)]
pub(super) struct Unreleased {
    /// The number of its session.
    pub(super) client: u32,
    pub(super) packet_id: u16,
    pub(super) message: u64,
}

/// What a client message means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A copy that waits.
    Waits,
    /// QoS 2: sent, PUBREC awaited.
    Sent,
    /// QoS 2: PUBREC came.
    Releasing,
    /// QoS 2, from the client: PUBREL awaited.
    Unreleased,
    /// Not kept: QoS 0.
    AtMostOnce,
    /// Not kept: from the client, who was not told that we have it.
    NotAcknowledged,
    /// Not kept: from the client, released and given to everybody.
    Over,
}

impl Meaning {
    /// Mosquitto's states by their number.
    pub(super) fn of(message: &ClientMessage<'_>) -> Result<Self, Wrong> {
        let meaning = match (message.outgoing, message.qos, message.state) {
            (true, QoS::AtMostOnce, 1 | 11) => Self::AtMostOnce,
            // To be published, PUBACK awaited, queued.
            (true, QoS::AtLeastOnce, 2 | 3 | 11) => Self::Waits,
            // To be published: with the same packet id when it was before.
            (true, QoS::ExactlyOnce, 4 | 5) => Self::Sent,
            // PUBREL to be sent again, PUBCOMP awaited.
            (true, QoS::ExactlyOnce, 6 | 9) => Self::Releasing,
            (true, QoS::ExactlyOnce, 11) => Self::Waits,
            // PUBREL awaited, PUBREC to be sent.
            (false, QoS::ExactlyOnce, 7 | 10) => Self::Unreleased,
            (false, QoS::ExactlyOnce, 8) => Self::Over,
            (false, QoS::ExactlyOnce, 11) => Self::NotAcknowledged,
            (outgoing, qos, state) => {
                let whose = if outgoing { "to" } else { "from" };
                return Err(format!(
                    "a message {whose} a client with QoS {} cannot be in state {state}",
                    qos as u8
                ));
            }
        };
        let needs_id = matches!(meaning, Self::Sent | Self::Releasing | Self::Unreleased);
        if needs_id && message.packet_id == 0 {
            return Err("a message in flight has no packet id".to_owned());
        }
        Ok(meaning)
    }
}

/// Everything but the messages.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) messages: HashMap<u64, Place>,
    pub(super) sessions: Vec<Session>,
    /// By client id: the place in `sessions`, or none for a session that has ended with its connection.
    pub(super) clients: HashMap<String, Option<u32>>,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) unreleased: Vec<Unreleased>,
    /// Numbers of retained messages, by topic.
    pub(super) retained: BTreeMap<String, u64>,
    /// Where the first message of a client stands.
    pub(super) client_messages: Option<u64>,
    pub(super) left_out: LeftOut,
}

/// Reads the whole file once.
pub(super) fn scan<R: BufRead + Seek>(
    input: R,
    unclean: Unclean,
) -> Result<(Chunks<R>, Index), MosquittoError> {
    let mut chunks = Chunks::open(input)?;
    let mut scan = Scan::default();
    let first = chunks.next()?;
    let first = first.filter(|head| head.kind == kind::CONFIG);
    let Some(first) = first else {
        let why = "the first chunk does not say how the file was written".to_owned();
        return Err(MosquittoError::damaged(HEADER_LEN, why));
    };
    config(&chunks.content, first.offset, unclean)?;
    while let Some(head) = chunks.next()? {
        let taken = scan.take(head, &chunks.content);
        taken.map_err(|why| MosquittoError::damaged(head.offset, why))?;
    }
    for (offset, message) in core::mem::take(&mut scan.retained) {
        // Its topic stands with the message.
        let place = scan.index.messages.get(&message).copied();
        let topic = match place {
            Some(place) => chunks.stored(place.offset)?.topic.to_owned(),
            None => continue,
        };
        if scan.index.retained.insert(topic, message).is_some() {
            let why = "two messages are retained for one topic".to_owned();
            return Err(MosquittoError::damaged(offset, why));
        }
    }
    for unreleased in scan.index.unreleased.clone() {
        scan.retain_unreleased(&mut chunks, &unreleased)?;
    }
    scan.index.left_out.user_names = scan.user_names.left_out;
    Ok((chunks, scan.index))
}

fn config(content: &[u8], offset: u64, unclean: Unclean) -> Result<(), MosquittoError> {
    if content.len() == 12 {
        return Err(MosquittoError::machine(offset, "a 32-bit x86 machine"));
    }
    if content.len() != Config::LEN {
        let why = format!("its first chunk has {} bytes", content.len());
        return Err(MosquittoError::damaged(offset, why));
    }
    let config = Config::parse(content).map_err(|why| MosquittoError::damaged(offset, why))?;
    if u64::from_le_bytes(config.last_id) > u64::from_be_bytes(config.last_id) {
        return Err(MosquittoError::machine(offset, "a big-endian machine"));
    }
    if config.id_size != 8 {
        let why = format!("numbers of messages have {} bytes", config.id_size);
        return Err(MosquittoError::damaged(offset, why));
    }
    if !config.stopped && unclean == Unclean::Refuse {
        return Err(MosquittoError::Unclean { offset });
    }
    Ok(())
}

/// What is known while the file is read.
#[derive(Debug, Default)]
struct Scan {
    index: Index,
    user_names: UserNames,
    /// Where the chunk of each stands, and the number of its message.
    retained: Vec<(u64, u64)>,
}

impl Scan {
    fn take(&mut self, head: Head, content: &[u8]) -> Result<(), Wrong> {
        match head.kind {
            kind::CONFIG => Err("a second chunk says how the file was written".to_owned()),
            kind::STORED => self.stored(head.offset, &Stored::parse(content)?),
            kind::CLIENT_MESSAGE => self.client_message(head.offset, content),
            kind::RETAINED => self.retained(head.offset, retained(content)?),
            kind::SUBSCRIPTION => self.subscription(&Subscribed::parse(content)?),
            kind::CLIENT => self.client(&Client::parse(content)?),
            other => Err(format!("there is no chunk of kind {other}")),
        }
    }

    fn stored(&mut self, offset: u64, message: &Stored<'_>) -> Result<(), Wrong> {
        let name = TopicName::new(message.topic);
        name.map_err(|error| format!("the topic {:?}: {error}", message.topic))?;
        let place = Place {
            offset,
            references: 0,
            shown: false,
        };
        if self.index.messages.insert(message.id, place).is_some() {
            return Err(format!("two messages have the number {}", message.id));
        }
        Ok(())
    }

    fn refer(&mut self, message: u64) -> Result<(), Wrong> {
        let Some(place) = self.index.messages.get_mut(&message) else {
            return Err(format!("no message has the number {message}"));
        };
        place.references = place.references.saturating_add(1);
        Ok(())
    }

    fn client(&mut self, client: &Client<'_>) -> Result<(), Wrong> {
        let user_name = self.user_names.next(client.user_name)?;
        if client.client_id.is_empty() {
            return Err("a session has no client id".to_owned());
        }
        let expiry = Expiry::from_interval(client.expiry);
        let number = u32::try_from(self.index.sessions.len())
            .map_err(|_| "there are too many sessions".to_owned())?;
        let kept = expiry != Expiry::After(0);
        let number = kept.then_some(number);
        let client_id = client.client_id.to_owned();
        if self
            .index
            .clients
            .insert(client_id.clone(), number)
            .is_some()
        {
            return Err(format!("{client_id:?} has two sessions"));
        }
        if !kept {
            self.index.left_out.sessions += 1;
            return Ok(());
        }
        let ends = client.ends.map(Time::from_seconds);
        self.index.sessions.push(Session {
            client_id,
            user_name: user_name.map(Into::into),
            expiry,
            bridge: false,
            used: true,
            connected: ends.is_none() && expiry != Expiry::Never,
            ends,
        });
        Ok(())
    }

    fn known(&self, client_id: &str) -> Result<Option<u32>, Wrong> {
        let known = self.index.clients.get(client_id).copied();
        known.ok_or_else(|| format!("no session of {client_id:?} stands before"))
    }

    fn client_message(&mut self, offset: u64, content: &[u8]) -> Result<(), Wrong> {
        let message = ClientMessage::parse(content)?;
        let meaning = Meaning::of(&message)?;
        let client = self.known(message.client_id)?;
        self.index.client_messages.get_or_insert(offset);
        if !self.index.messages.contains_key(&message.message) {
            return Err(format!("no message has the number {}", message.message));
        }
        let Some(client) = client else {
            return Ok(());
        };
        match meaning {
            Meaning::Waits | Meaning::Sent => self.refer(message.message)?,
            Meaning::Unreleased => self.index.unreleased.push(Unreleased {
                client,
                packet_id: message.packet_id,
                message: message.message,
            }),
            Meaning::AtMostOnce => self.index.left_out.at_most_once += 1,
            Meaning::NotAcknowledged => self.index.left_out.not_acknowledged += 1,
            Meaning::Releasing | Meaning::Over => {}
        }
        Ok(())
    }

    fn subscription(&mut self, subscribed: &Subscribed<'_>) -> Result<(), Wrong> {
        let client = self.known(subscribed.client_id)?;
        let parsed = ParsedFilter::parse(subscribed.filter);
        parsed.map_err(|error| format!("the filter {:?}: {error}", subscribed.filter))?;
        let id = match subscribed.id {
            0 => None,
            id => Some(SubscriptionId::new(id).ok_or("the subscription identifier is too large")?),
        };
        let byte = subscribed.options & !0x03 | subscribed.qos as u8;
        let options = SubscriptionOptions::from_byte(byte);
        let options = options.ok_or_else(|| format!("{byte:#04x} are no options"))?;
        if client.is_some() {
            self.index.subscriptions.push(Subscription {
                client_id: subscribed.client_id.to_owned(),
                filter: subscribed.filter.to_owned(),
                options,
                id,
                retained_sent: None,
            });
        }
        Ok(())
    }

    /// What a client has handed over to be retained is, though Mosquitto would wait until it is released.
    fn retain_unreleased<R: BufRead + Seek>(
        &mut self,
        chunks: &mut Chunks<R>,
        unreleased: &Unreleased,
    ) -> Result<(), MosquittoError> {
        let Some(place) = self.index.messages.get_mut(&unreleased.message) else {
            return Ok(());
        };
        let message = chunks.stored(place.offset)?;
        if !message.retain {
            return Ok(());
        }
        let topic = message.topic.to_owned();
        if message.payload.is_empty() {
            self.index.retained.remove(&topic);
        } else {
            // Subscribers will refer to it.
            place.references = place.references.saturating_add(2);
            self.index.retained.insert(topic, unreleased.message);
        }
        Ok(())
    }

    fn retained(&mut self, offset: u64, message: u64) -> Result<(), Wrong> {
        self.refer(message)?;
        self.retained.push((offset, message));
        Ok(())
    }
}
