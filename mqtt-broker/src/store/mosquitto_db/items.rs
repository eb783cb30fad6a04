//! What was found, handed out item by item.

use std::collections::{HashMap, VecDeque, btree_map};
use std::io::{BufRead, Seek};

use mqtt_codec::{PacketId, QoS};

use super::chunk::{ClientMessage, Wrong};
use super::error::MosquittoError;
use super::file::Chunks;
use super::meaning::Meaning;
use super::routing::Routes;
use super::scan::{Index, Place, Unreleased};
use crate::store::portable::{
    Handshake, HandshakeState, Item, Message, MessageRef, Properties, Queued, Receiver, Retained,
    Sequence, Session, Subscription, Time,
};

/// The items of a file: retained messages, sessions, subscriptions, what waits, and what its clients had not released.
#[derive(Debug)]
pub struct Items<R> {
    chunks: Chunks<R>,
    messages: HashMap<u64, Place>,
    clients: HashMap<String, Option<u32>>,
    retained: btree_map::IntoValues<String, u64>,
    sessions: Vec<Session>,
    subscriptions: Vec<Subscription>,
    /// Where the next message of a client may stand.
    client_messages: Option<u64>,
    unreleased: VecDeque<Unreleased>,
    routes: Routes,
    /// Items of one message that are still to be handed out.
    ready: VecDeque<Item>,
    stage: Stage,
    sequence: Sequence,
}

/// What is handed out.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Retained,
    Session(usize),
    Subscription(usize),
    ClientMessages,
    Unreleased,
    Ended,
}

impl<R: BufRead + Seek> Items<R> {
    pub(super) fn new(chunks: Chunks<R>, index: Index) -> Self {
        let clients = index.clients;
        let client = |id: &str| clients.get(id).copied().flatten();
        // Only messages that nobody has got yet need to be routed.
        let subscriptions: &[Subscription] = match index.unreleased.is_empty() {
            true => &[],
            false => &index.subscriptions,
        };
        let routes = Routes::new(subscriptions, client);
        Self {
            chunks,
            messages: index.messages,
            clients,
            retained: index.retained.into_values(),
            sessions: index.sessions,
            subscriptions: index.subscriptions,
            client_messages: index.client_messages,
            unreleased: index.unreleased.into(),
            routes,
            ready: VecDeque::new(),
            stage: Stage::Retained,
            sequence: Sequence::new(),
        }
    }

    /// The message with this number: in full for the first who refers to it.
    fn message(&mut self, number: u64) -> Result<MessageRef, MosquittoError> {
        let Some(place) = self.messages.get_mut(&number) else {
            // The scan has looked.
            let why = format!("no message has the number {number}");
            return Err(MosquittoError::damaged(0, why));
        };
        if place.shown {
            return Ok(MessageRef::Again(number));
        }
        let id = (place.references > 1).then_some(number);
        place.shown = id.is_some();
        let stored = self.chunks.stored(place.offset)?;
        Ok(MessageRef::Whole(Message {
            id,
            topic: stored.topic.to_owned(),
            qos: stored.qos,
            retain: stored.retain,
            expires: stored.expires.map(Time::from_seconds),
            properties: Properties::decode(stored.properties),
            payload: stored.payload.to_vec(),
        }))
    }

    fn item(&mut self) -> Result<Option<Item>, MosquittoError> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            match self.stage {
                Stage::Retained => match self.retained.next() {
                    Some(number) => {
                        let mut message = self.message(number)?;
                        if let MessageRef::Whole(message) = &mut message {
                            message.retain = true;
                        }
                        return Ok(Some(Item::Retained(Retained { message })));
                    }
                    None => self.stage = Stage::Session(0),
                },
                Stage::Session(at) => {
                    if let Some(session) = self.sessions.get(at) {
                        self.stage = Stage::Session(at + 1);
                        return Ok(Some(Item::Session(session.clone())));
                    }
                    self.stage = Stage::Subscription(0);
                }
                Stage::Subscription(at) => {
                    if let Some(subscription) = self.subscriptions.get(at) {
                        self.stage = Stage::Subscription(at + 1);
                        return Ok(Some(Item::Subscription(subscription.clone())));
                    }
                    self.stage = Stage::ClientMessages;
                }
                Stage::ClientMessages => {
                    if !self.client_message()? {
                        self.stage = Stage::Unreleased;
                    }
                }
                Stage::Unreleased => match self.unreleased.pop_front() {
                    Some(unreleased) => self.unreleased(&unreleased)?,
                    None => self.stage = Stage::Ended,
                },
                Stage::Ended => return Ok(None),
            }
        }
    }

    /// Makes the items of the next message of a client ready; says whether there was one.
    fn client_message(&mut self) -> Result<bool, MosquittoError> {
        let Some(offset) = self.client_messages else {
            return Ok(false);
        };
        self.chunks.seek(offset)?;
        let Some(head) = self.chunks.next_client_message()? else {
            self.client_messages = None;
            return Ok(false);
        };
        let damaged = |why: Wrong| MosquittoError::damaged(head.offset, why);
        let parsed = ClientMessage::parse(&self.chunks.content).map_err(damaged)?;
        let meaning = Meaning::of(&parsed).map_err(damaged)?;
        let client_id = parsed.client_id.to_owned();
        let packet_id = PacketId::new(parsed.packet_id);
        let (number, qos, retain) = (parsed.message, parsed.qos, parsed.retain);
        let subscription_ids = parsed.properties.subscription_identifiers().collect();
        self.client_messages = Some(self.chunks.position());
        if self.clients.get(&client_id).copied().flatten().is_none() {
            return Ok(true);
        }
        match meaning {
            Meaning::Waits | Meaning::Sent => {
                let message = self.message(number)?;
                self.ready.push_back(Item::Queued(Queued {
                    receiver: Receiver::Client(client_id),
                    qos,
                    retain,
                    subscription_ids,
                    chosen_by: None,
                    sent: packet_id.filter(|_| meaning == Meaning::Sent),
                    message,
                }));
            }
            Meaning::Releasing => {
                let state = HandshakeState::Releasing;
                self.ready.extend(handshake(client_id, packet_id, state));
            }
            Meaning::Unreleased
            | Meaning::AtMostOnce
            | Meaning::NotAcknowledged
            | Meaning::Over => {}
        }
        Ok(true)
    }

    /// Gives a message that was not released to whom it is for, and keeps its packet id.
    fn unreleased(&mut self, unreleased: &Unreleased) -> Result<(), MosquittoError> {
        let Some(session) = self.sessions.get(unreleased.client as usize) else {
            return Ok(());
        };
        let client_id = session.client_id.clone();
        let packet_id = PacketId::new(unreleased.packet_id);
        let Some(place) = self.messages.get(&unreleased.message) else {
            return Ok(());
        };
        let stored = self.chunks.stored(place.offset)?;
        let retain = stored.retain;
        let routes = self.routes.receivers(
            stored.topic,
            retain,
            unreleased.client,
            &self.sessions,
            &self.subscriptions,
        );
        if let Some(place) = self.messages.get_mut(&unreleased.message) {
            let routes = u32::try_from(routes.len()).unwrap_or(u32::MAX);
            place.references = place.references.saturating_add(routes);
        }
        for route in routes {
            let message = self.message(unreleased.message)?;
            self.ready.push_back(Item::Queued(Queued {
                receiver: route.receiver,
                // Published with QoS 2.
                qos: route.qos.min(QoS::ExactlyOnce),
                retain: route.retain,
                subscription_ids: route.ids,
                chosen_by: None,
                sent: None,
                message,
            }));
        }
        let state = HandshakeState::Received;
        self.ready.extend(handshake(client_id, packet_id, state));
        Ok(())
    }
}

fn handshake(
    client_id: String,
    packet_id: Option<PacketId>,
    state: HandshakeState,
) -> Option<Item> {
    Some(Item::Handshake(Handshake {
        client_id,
        packet_id: packet_id?,
        state,
    }))
}

impl<R: BufRead + Seek> Iterator for Items<R> {
    type Item = Result<Item, MosquittoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = match self.item() {
            Ok(Some(item)) => item,
            Ok(None) => return None,
            Err(error) => {
                (self.stage, self.ready) = (Stage::Ended, VecDeque::new());
                return Some(Err(error));
            }
        };
        let checked = self.sequence.check(&item);
        Some(checked.map(|()| item).map_err(|fault| {
            (self.stage, self.ready) = (Stage::Ended, VecDeque::new());
            MosquittoError::damaged(self.chunks.position(), fault.to_string())
        }))
    }
}
