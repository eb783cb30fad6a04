//! The messages of one direction: what was published, what arrived, and what the model allows.

use std::collections::BTreeMap;

use mqtt_codec::QoS;
use mqtt_session::{Gate, Instant, Outcome, Seq};

use super::Counters;
use crate::owners::Message;

/// A published message.
#[derive(Clone, Debug)]
struct Item {
    message: Message,
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
    /// Sessions that were lost since it ended: if a crash brings it back, it is new to the receiver.
    lost_since: u32,
    presented: bool,
}

/// What a receiver was shown of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The topic name, whatever alias stood for it.
    pub(crate) topic: String,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) payload: Vec<u8>,
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
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            items: vec![],
            by_seq: BTreeMap::new(),
            delivered: vec![],
            last: BTreeMap::new(),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn number(&self, seq: Seq) -> usize {
        self.by_seq[&seq]
    }

    pub(crate) fn published(&mut self, seq: Seq, message: &Message) {
        self.by_seq.insert(seq, self.items.len());
        self.items.push(Item {
            message: message.clone(),
            too_large: message.payload.len() > super::PACKET as usize - 10,
            ended: false,
            excused: false,
            dropped: false,
            declined: false,
            extra: 0,
            lost_since: 0,
            presented: false,
        });
    }

    /// The sender's session wrote the message for the first time: its life is not over, and rightly told.
    pub(crate) fn sent(&self, number: usize, left: Option<u32>, v5: bool, now: Instant) {
        let name = self.name;
        let item = &self.items[number];
        let Some(expires) = item.message.expires else {
            assert_eq!(left, None, "{name}: message {number} does not expire");
            return;
        };
        // With a store, a QoS 2 message begins with the record of its id, and then expires no more.
        assert!(
            expires > now || item.message.qos == QoS::ExactlyOnce,
            "{name}: message {number} is sent after its life"
        );
        if v5 {
            let ms = expires.millis_since(now);
            let told = u64::from(left.unwrap_or(u32::MAX)) * 1_000;
            assert!(
                told.abs_diff(ms) < 1_000,
                "{name}: message {number} has {ms} ms to live, and is told {left:?} s"
            );
        }
    }

    /// The receiver's session handed the message to its owner, which declines it or keeps a copy.
    pub(crate) fn presented(
        &mut self,
        number: usize,
        shown: &Shown,
        declined: bool,
        copy: impl FnOnce() -> G,
    ) -> G {
        let name = self.name;
        let item = &mut self.items[number];
        let Shown { topic, qos, .. } = shown;
        let sent = Shown {
            topic: item.message.topic.clone(),
            qos: item.message.qos,
            retain: item.message.retain,
            payload: item.message.payload.clone(),
        };
        assert_eq!(*shown, sent, "{name}: message {number} arrives changed");
        let qos = *qos;
        if !item.presented {
            item.presented = true;
            let last = self.last.entry((topic.clone(), qos as u8)).or_default();
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
    pub(crate) fn ended(
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
            !item.ended,
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
                assert!(item.message.expires.is_some_and(|at| at <= now));
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
    pub(crate) fn written(&mut self, seq: Seq) {
        let number = self.number(seq);
        self.items[number].ended = true;
        self.items[number].excused = true;
    }

    /// The sender's owner dropped the message.
    pub(crate) fn lost(&mut self, seq: Seq) {
        let number = self.number(seq);
        self.items[number].excused = true;
        self.items[number].dropped = true;
    }

    /// The receiver's end of the session is lost: what is under way may come twice. What has come to its end may not, unless its sender
    /// crashes and does not know of the end.
    pub(crate) fn may_repeat(&mut self) {
        for item in &mut self.items {
            if item.ended {
                item.lost_since += 1;
            } else {
                item.extra += 1;
            }
        }
    }

    /// The sender's end of the session is lost: what is under way may not come at all.
    pub(crate) fn may_vanish(&mut self) {
        for item in self.items.iter_mut().filter(|item| !item.ended) {
            item.excused = true;
        }
    }

    /// The receiver crashed.
    pub(crate) fn receiver_crashed(&mut self, committed: G) {
        self.delivered.retain(|&(_, gate)| gate.is_open(committed));
    }

    /// The sender crashed: `waiting` is what its store still has.
    pub(crate) fn sender_crashed(&mut self, waiting: &[Seq]) {
        for (seq, &number) in &self.by_seq {
            let item = &mut self.items[number];
            if waiting.contains(seq) {
                item.ended = false;
                item.extra += core::mem::take(&mut item.lost_since);
            } else if !item.ended {
                // It was not durable that it was published at all.
                item.excused = true;
            }
        }
    }

    /// In the end everything has arrived, as often as its QoS says.
    pub(crate) fn check_end(&self) {
        let name = self.name;
        for (number, item) in self.items.iter().enumerate() {
            let times = self.times(number);
            if item.message.qos != QoS::AtLeastOnce {
                assert!(
                    times <= 1 + item.extra,
                    "{name}: message {number}: {times} times"
                );
            }
            if item.message.qos != QoS::AtMostOnce && !item.excused && !item.declined {
                assert!(times >= 1, "{name}: message {number} never came: {item:?}");
            }
        }
    }
}
