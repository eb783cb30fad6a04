//! The file from end to end: where its chunks stand, and whether each is what it should be.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Seek};

use mqtt_codec::{SubscriptionId, SubscriptionOptions};
use mqtt_topic::{ParsedFilter, TopicName};

use super::chunk::{Client, ClientMessage, Config, Stored, Subscribed, Wrong, retained};
use super::error::MosquittoError;
use super::file::{Chunks, HEADER_LEN, Head, kind};
use super::meaning::Meaning;
use super::user_names::UserNames;
use super::{Remarks, Unclean};
use crate::store::portable::{Expiry, Session, Subscription, Time};

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
    pub(super) remarks: Remarks,
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
    scan.index.remarks.user_names = scan.user_names.left_out;
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
            self.index.remarks.sessions += 1;
            return Ok(());
        }
        if client.listener == 0 && client_id.starts_with("local.") {
            self.index.remarks.bridge_ends += 1;
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
            Meaning::AtMostOnce => self.index.remarks.at_most_once += 1,
            Meaning::NotAcknowledged => self.index.remarks.not_acknowledged += 1,
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
