//! An owner in memory of a fixed size: it never allocates.

use core::str;

use mqtt_codec::{Properties, QoS};
use mqtt_session::{Change, Instant, Limits, Outbox, Outcome, OutgoingMessage, Owner, Seq};

use super::{Message, Note, TestOwner};

/// A message in a slot.
#[derive(Clone, Copy, Debug)]
struct Slot<const TOPIC: usize, const PAYLOAD: usize> {
    seq: Seq,
    topic: [u8; TOPIC],
    topic_len: usize,
    payload: [u8; PAYLOAD],
    payload_len: usize,
    qos: QoS,
    retain: bool,
    expires: Option<Instant>,
}

/// `SLOTS` messages of topics up to `TOPIC` and payloads up to `PAYLOAD` bytes.
#[derive(Debug)]
pub struct FixedOwner<const SLOTS: usize, const TOPIC: usize, const PAYLOAD: usize> {
    limits: Limits,
    slots: [Option<Slot<TOPIC, PAYLOAD>>; SLOTS],
    next: u64,
    ended: [Option<(Seq, Outcome)>; 64],
    ended_len: usize,
}

impl<const SLOTS: usize, const TOPIC: usize, const PAYLOAD: usize> Default
    for FixedOwner<SLOTS, TOPIC, PAYLOAD>
{
    fn default() -> Self {
        Self {
            limits: Limits::DEFAULT,
            slots: [None; SLOTS],
            next: 0,
            ended: [None; 64],
            ended_len: 0,
        }
    }
}

impl<const SLOTS: usize, const TOPIC: usize, const PAYLOAD: usize>
    FixedOwner<SLOTS, TOPIC, PAYLOAD>
{
    fn slot(&self, seq: Seq) -> Option<&Slot<TOPIC, PAYLOAD>> {
        self.slots.iter().flatten().find(|slot| slot.seq == seq)
    }
}

impl<const SLOTS: usize, const TOPIC: usize, const PAYLOAD: usize> Outbox
    for FixedOwner<SLOTS, TOPIC, PAYLOAD>
{
    fn next(&mut self, from: Seq) -> Option<Seq> {
        let later = self.slots.iter().flatten().map(|slot| slot.seq);
        later.filter(|&seq| seq >= from).min()
    }

    fn message(&mut self, seq: Seq) -> Option<OutgoingMessage<'_>> {
        let slot = self.slot(seq)?;
        Some(OutgoingMessage {
            topic: str::from_utf8(&slot.topic[..slot.topic_len]).ok()?,
            qos: slot.qos,
            retain: slot.retain,
            expires: slot.expires,
            subscription_ids: &[],
            properties: Properties::EMPTY,
            payload_len: slot.payload_len as u32,
        })
    }

    fn done(&mut self, seq: Seq, outcome: Outcome) {
        self.lose(seq);
        self.ended[self.ended_len] = Some((seq, outcome));
        self.ended_len += 1;
    }
}

impl<const SLOTS: usize, const TOPIC: usize, const PAYLOAD: usize> Owner
    for FixedOwner<SLOTS, TOPIC, PAYLOAD>
{
    type Gate = ();

    fn record(&mut self, _change: Change) {}

    fn committed(&self) {}

    fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl<const SLOTS: usize, const TOPIC: usize, const PAYLOAD: usize> TestOwner
    for FixedOwner<SLOTS, TOPIC, PAYLOAD>
{
    fn limits_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }

    fn publish(&mut self, message: &Message) -> Option<Seq> {
        let free = self.slots.iter_mut().find(|slot| slot.is_none())?;
        let mut slot = Slot {
            seq: Seq(self.next),
            topic: [0; TOPIC],
            topic_len: message.topic.len(),
            payload: [0; PAYLOAD],
            payload_len: message.payload.len(),
            qos: message.qos,
            retain: message.retain,
            expires: message.expires,
        };
        slot.topic
            .get_mut(..message.topic.len())?
            .copy_from_slice(message.topic.as_bytes());
        slot.payload
            .get_mut(..message.payload.len())?
            .copy_from_slice(&message.payload);
        *free = Some(slot);
        self.next += 1;
        Some(slot.seq)
    }

    fn payload(&self, seq: Seq, out: &mut Vec<u8>) {
        let slot = self.slot(seq).expect("the session names what is there");
        out.extend_from_slice(&slot.payload[..slot.payload_len]);
    }

    fn written(&mut self, seq: Seq) {
        self.lose(seq);
    }

    fn lose(&mut self, seq: Seq) {
        for slot in &mut self.slots {
            if slot.is_some_and(|slot| slot.seq == seq) {
                *slot = None;
            }
        }
    }

    fn forget(&mut self) {
        self.slots = [None; SLOTS];
    }

    fn waiting(&self) -> Vec<Seq> {
        let mut all: Vec<Seq> = self.slots.iter().flatten().map(|slot| slot.seq).collect();
        all.sort_unstable();
        all
    }

    fn ended(&mut self, each: &mut dyn FnMut(Seq, Outcome)) {
        for (seq, outcome) in self.ended.iter_mut().filter_map(Option::take) {
            each(seq, outcome);
        }
        self.ended_len = 0;
    }

    fn keep(&mut self, _note: Note) {}
}
