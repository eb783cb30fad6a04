//! The messages of one direction: what was published, what arrived, and what the model allows.

use std::collections::BTreeMap;

use mqtt_codec::QoS;
use mqtt_session::{Gate, Instant, Outcome, Seq};

use super::Counters;
use crate::owners::Message;

/// A published message.
#[derive(Clone, Debug)]
struct Item {
    topic: String,
    qos: QoS,
    expires: Option<Instant>,
    too_large: bool,
    /// Its sender needs it no longer.
    ended: bool,
    /// It may stay undelivered: dropped, expired, refused, or its session was lost.
    excused: bool,
    /// Its owner dropped it, or it expired; a crash may undo that, and it comes late.
    dropped: bool,
    /// The receiving owner refused it.
    declined: bool,
    /// Deliveries beyond the first that lost sessions allow.
    extra: u32,
    presented: bool,
}

/// One direction; `G` is the receiver's gate.
#[derive(Debug)]
pub struct Flow<G> {
    name: &'static str,
    items: Vec<Item>,
    by_seq: BTreeMap<Seq, usize>,
    /// What the receiver has: which message, and the gate of the copy.
    delivered: Vec<(usize, G)>,
    last: BTreeMap<(String, u8), usize>,
}

impl<G: Gate> Flow<G> {
    pub(super) const fn new(name: &'static str) -> Self {
        Self {
            name,
            items: vec![],
            by_seq: BTreeMap::new(),
            delivered: vec![],
            last: BTreeMap::new(),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn number(&self, seq: Seq) -> usize {
        self.by_seq[&seq]
    }

    pub(super) fn published(&mut self, seq: Seq, message: &Message) {
        self.by_seq.insert(seq, self.items.len());
        self.items.push(Item {
            topic: message.topic.clone(),
            qos: message.qos,
            expires: message.expires,
            too_large: message.payload.len() > super::PACKET as usize - 10,
            ended: false,
            excused: false,
            dropped: false,
            declined: false,
            extra: 0,
            presented: false,
        });
    }

    /// The receiver's session handed the message to its owner, which declines it or keeps a copy.
    pub(super) fn presented(
        &mut self,
        number: usize,
        topic: &str,
        qos: QoS,
        declined: bool,
        copy: impl FnOnce() -> G,
    ) -> G {
        let name = self.name;
        let item = &mut self.items[number];
        assert_eq!(item.topic, topic, "{name}: topic of message {number}");
        assert_eq!(item.qos, qos, "{name}: QoS of message {number}");
        if !item.presented {
            item.presented = true;
            let last = self.last.entry((topic.to_owned(), qos as u8)).or_default();
            assert!(
                number >= *last || item.dropped,
                "{name}: message {number} overtook {last} on {topic}, QoS {}",
                qos as u8
            );
            *last = number.max(*last);
        }
        if declined {
            item.declined = true;
            return G::default();
        }
        let gate = copy();
        self.delivered.push((number, gate));
        let times = self.times(number);
        let item = &self.items[number];
        assert!(
            qos == QoS::AtLeastOnce || times <= 1 + item.extra,
            "{name}: message {number} (QoS {}) came {times} times",
            qos as u8
        );
        gate
    }

    fn times(&self, number: usize) -> u32 {
        self.delivered.iter().filter(|&&(n, _)| n == number).count() as u32
    }

    /// The sender's session ended the message.
    pub(super) fn ended(
        &mut self,
        seq: Seq,
        outcome: Outcome,
        now: Instant,
        committed: G,
        counters: &mut Counters,
    ) {
        let name = self.name;
        let number = self.number(seq);
        let delivered = self
            .delivered
            .iter()
            .any(|&(n, gate)| n == number && gate.is_open(committed));
        let item = &mut self.items[number];
        assert!(
            !item.ended || item.extra > 0 || item.excused,
            "{name}: message {number} ended twice: {outcome:?}"
        );
        item.ended = true;
        match outcome {
            Outcome::Acknowledged(_) | Outcome::Received(_) => assert!(
                delivered || item.declined || item.excused,
                "{name}: message {number} is acknowledged and not delivered"
            ),
            Outcome::Refused(_) => {
                assert!(
                    item.declined,
                    "{name}: message {number} was refused by nobody"
                );
                item.excused = true;
                counters.hit("refused");
            }
            Outcome::Expired => {
                assert!(item.expires.is_some_and(|at| at <= now));
                item.excused = true;
                item.dropped = true;
                counters.hit("expired");
            }
            Outcome::TooLarge => {
                assert!(item.too_large, "{name}: message {number} is not too large");
                item.excused = true;
                counters.hit("too large");
            }
            other => panic!("{other:?}"),
        }
    }

    /// A QoS 0 message was written.
    pub(super) fn written(&mut self, seq: Seq) {
        let number = self.number(seq);
        self.items[number].ended = true;
        self.items[number].excused = true;
    }

    /// The sender's owner dropped the message.
    pub(super) fn lost(&mut self, seq: Seq) {
        let number = self.number(seq);
        self.items[number].excused = true;
        self.items[number].dropped = true;
    }

    /// The receiver's end of the session is lost: what is under way may come twice.
    pub(super) fn may_repeat(&mut self) {
        for item in self.items.iter_mut() {
            item.extra += 1;
        }
    }

    /// The sender's end of the session is lost: what is under way may not come at all.
    pub(super) fn may_vanish(&mut self) {
        for item in self.items.iter_mut().filter(|item| !item.ended) {
            item.excused = true;
        }
    }

    /// The receiver crashed.
    pub(super) fn receiver_crashed(&mut self, committed: G) {
        self.delivered.retain(|&(_, gate)| gate.is_open(committed));
    }

    /// The sender crashed: `waiting` is what its store still has.
    pub(super) fn sender_crashed(&mut self, waiting: &[Seq]) {
        for (seq, &number) in &self.by_seq {
            let item = &mut self.items[number];
            if waiting.contains(seq) {
                item.ended = false;
            } else if !item.ended {
                // It was not durable that it was published at all.
                item.excused = true;
            }
        }
    }

    /// In the end everything has arrived, as often as its QoS says.
    pub(super) fn check_end(&self) {
        let name = self.name;
        for (number, item) in self.items.iter().enumerate() {
            let times = self.times(number);
            if item.qos != QoS::AtLeastOnce {
                assert!(
                    times <= 1 + item.extra,
                    "{name}: message {number}: {times} times"
                );
            }
            if item.qos != QoS::AtMostOnce && !item.excused && !item.declined {
                assert!(times >= 1, "{name}: message {number} never came: {item:?}");
            }
        }
    }
}
