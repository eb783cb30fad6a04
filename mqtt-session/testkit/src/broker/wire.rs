//! What the reference knows of one connection of the broker.

use std::collections::VecDeque;

use mqtt_codec::{Decoder, ReasonCode, Version};

use super::event::Goodbye;

/// A PUBLISH that the broker has taken and not acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    pub(super) id: u16,
    pub(super) exactly_once: bool,
    /// Records up to here open its acknowledgement.
    pub(super) opens: u64,
    /// Somebody's subscription matched.
    pub(super) anybody: bool,
    /// Why it was not taken.
    pub(super) refusal: Option<ReasonCode>,
}

/// A SUBSCRIBE or UNSUBSCRIBE that the broker has taken and not answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) id: u16,
    pub(super) unsubscribe: bool,
    pub(super) opens: u64,
    pub(super) codes: [u8; 2],
    pub(super) count: usize,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) client: usize,
    pub(super) version: Version,
    /// CONNECT was taken.
    pub(super) connected: bool,
    /// Records up to here open CONNACK; `None` once it was written.
    pub(super) connack: Option<u64>,
    /// Why it gets no session.
    pub(super) refusal: Option<ReasonCode>,
    /// What the client takes at once.
    pub(super) receive_maximum: u16,
    pub(super) owed: VecDeque<Owed>,
    /// PUBREL came; records up to here open PUBCOMP.
    pub(super) released: Vec<(u16, u64)>,
    /// Ids whose PUBREC came on this connection and whose PUBREL was not written since.
    pub(super) to_release: VecDeque<u16>,
    pub(super) requests: VecDeque<Request>,
    pub(super) pings: u32,
    /// Topics behind the client's aliases, and behind the broker's.
    pub(super) aliases_in: [u8; 16],
    pub(super) aliases_out: [u8; 16],
    pub(super) last_replayed: u64,
    pub(super) taken_over: bool,
    pub(super) goodbye: Option<Goodbye>,
    /// A message was refused of which nothing can be said: its client has to come again.
    pub(super) silent: bool,
}

/// No topic.
pub(super) const NO_TOPIC: u8 = u8::MAX;

impl Wire {
    pub(super) const fn new(client: usize, version: Version) -> Self {
        Self {
            client,
            version,
            connected: false,
            connack: None,
            refusal: None,
            receive_maximum: u16::MAX,
            owed: VecDeque::new(),
            released: Vec::new(),
            to_release: VecDeque::new(),
            requests: VecDeque::new(),
            pings: 0,
            aliases_in: [NO_TOPIC; 16],
            aliases_out: [NO_TOPIC; 16],
            last_replayed: 0,
            taken_over: false,
            goodbye: None,
            silent: false,
        }
    }

    pub(super) const fn decoder(&self) -> Decoder {
        Decoder::new(self.version)
    }

    /// The topic of a PUBLISH, by its name or by an alias, which this may set.
    pub(super) fn resolve(aliases: &mut [u8; 16], topic: &str, alias: Option<u16>) -> usize {
        let named = super::tables::topic(topic);
        match (named, alias) {
            (Some(topic), None) => topic,
            (Some(topic), Some(alias)) => {
                aliases[usize::from(alias)] = topic as u8;
                topic
            }
            (None, Some(alias)) if topic.is_empty() => {
                let topic = aliases[usize::from(alias)];
                assert_ne!(topic, NO_TOPIC, "an alias that was not set");
                usize::from(topic)
            }
            (None, _) => panic!("no such topic: {topic}"),
        }
    }
}
