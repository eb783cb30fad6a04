//! An owner on the heap, without a disk.

use std::collections::BTreeMap;

use mqtt_codec::Properties;
use mqtt_session::{Change, HandshakeText, Limits, Outbox, Outcome, OutgoingMessage, Owner, Seq};

use super::{Message, Note, TestOwner};

/// Text of [`HandshakeText`] that a test sets.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// The authentication method.
    pub method: Option<String>,
    /// The authentication data.
    pub data: Option<Vec<u8>>,
    /// The client id that the server chose.
    pub assigned_client_id: Option<String>,
    /// Response Information.
    pub response_information: Option<String>,
    /// A sentence for a person.
    pub reason_string: Option<String>,
}

/// Messages in a map; nothing is ever lost, and nothing is durable.
#[derive(Debug, Default)]
pub struct HeapOwner {
    /// Limits of this end.
    pub limits: Limits,
    /// What CONNACK and AUTH say.
    pub text: Text,
    /// Changes as they were recorded.
    pub changes: Vec<Change>,
    /// QoS 2 messages that were completed.
    pub completed: Vec<Seq>,
    messages: BTreeMap<Seq, Message>,
    next: u64,
    ended: Vec<(Seq, Outcome)>,
}

/// A message as the session wants it.
pub(super) fn outgoing(message: &Message) -> OutgoingMessage<'_> {
    OutgoingMessage {
        topic: &message.topic,
        qos: message.qos,
        retain: message.retain,
        expires: message.expires,
        subscription_ids: &[],
        properties: Properties::EMPTY,
        payload_len: message.payload.len() as u32,
    }
}

impl Outbox for HeapOwner {
    fn next(&mut self, from: Seq) -> Option<Seq> {
        self.messages.range(from..).next().map(|(&seq, _)| seq)
    }

    fn message(&mut self, seq: Seq) -> Option<OutgoingMessage<'_>> {
        self.messages.get(&seq).map(outgoing)
    }

    fn done(&mut self, seq: Seq, outcome: Outcome) {
        self.messages.remove(&seq);
        self.ended.push((seq, outcome));
    }

    fn complete(&mut self, seq: Seq, _reason: mqtt_codec::ReasonCode) {
        self.completed.push(seq);
    }
}

impl Owner for HeapOwner {
    type Gate = ();

    fn record(&mut self, change: Change) {
        self.changes.push(change);
    }

    fn committed(&self) {}

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn handshake_text(&self) -> HandshakeText<'_> {
        HandshakeText {
            assigned_client_id: self.text.assigned_client_id.as_deref(),
            response_information: self.text.response_information.as_deref(),
            authentication_method: self.text.method.as_deref(),
            authentication_data: self.text.data.as_deref(),
            server_reference: None,
            reason_string: self.text.reason_string.as_deref(),
        }
    }
}

impl TestOwner for HeapOwner {
    fn limits_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }

    fn set_method(&mut self, method: &str) {
        self.text.method = Some(method.to_owned());
    }

    fn publish(&mut self, message: &Message) -> Option<Seq> {
        let seq = Seq(self.next);
        self.next += 1;
        self.messages.insert(seq, message.clone());
        Some(seq)
    }

    fn payload(&self, seq: Seq, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.messages[&seq].payload);
    }

    fn written(&mut self, seq: Seq) {
        self.messages.remove(&seq);
    }

    fn lose(&mut self, seq: Seq) {
        self.messages.remove(&seq);
    }

    fn forget(&mut self) {
        self.messages.clear();
    }

    fn waiting(&self) -> Vec<Seq> {
        self.messages.keys().copied().collect()
    }

    fn ended(&mut self, each: &mut dyn FnMut(Seq, Outcome)) {
        for (seq, outcome) in self.ended.drain(..) {
            each(seq, outcome);
        }
    }

    fn keep(&mut self, _note: Note) {}
}
