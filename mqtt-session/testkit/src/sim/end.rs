//! One end of the simulated connection: a session, its owner, and its buffers.

use mqtt_codec::{Decoded, Decoder, Delivery, Packet, PartialPublish, ReasonCode, TopicAlias};
use mqtt_session::{
    DeliveryId, Gate, Instant, Limits, Output, Owner, Publication, Role, Session, Topic, Tx,
};

use super::dress::dressed;
use super::flow::Shown;
use super::{Counters, Flow};
use crate::owners::{Kind, Note, TestOwner};
use crate::rng::Rng;
use crate::script::GateOf;
use crate::text::describe;
use crate::watch::Watch;

/// A message whose payload is still arriving.
#[derive(Debug)]
pub(crate) struct Arriving {
    /// `None`: it is a repetition, and skipped.
    message: Option<Head>,
    payload: Vec<u8>,
    missing: usize,
}

/// What is known of a message from its head.
#[derive(Clone, Debug)]
struct Head {
    delivery: Option<DeliveryId>,
    wire: Delivery,
    topic: String,
    retain: bool,
}

/// A verdict that comes later.
#[derive(Debug)]
struct Verdict<G> {
    delivery: DeliveryId,
    wire: Delivery,
    reason: ReasonCode,
    kept: G,
    connection: u64,
}

/// One end.
#[derive(Debug)]
pub(crate) struct End<R: Role, K: Kind> {
    pub(crate) session: Session<R, K::Profile, K::Storage>,
    pub(crate) owner: K::Owner,
    pub(crate) tx: Vec<u8>,
    pub(crate) rx: Vec<u8>,
    pub(crate) arriving: Option<Arriving>,
    pub(crate) watch: Watch<GateOf<K>>,
    verdicts: Vec<Verdict<GateOf<K>>>,
    /// Which connection this is.
    pub(crate) connection: u64,
    pub(crate) closing: bool,
    /// What the link adds to packets of this end.
    rng: Rng,
}

/// A buffer that takes so many bytes.
struct Bounded<'v> {
    bytes: &'v mut Vec<u8>,
    room: usize,
}

impl Tx for Bounded<'_> {
    fn claim(&mut self, len: usize) -> Option<&mut [u8]> {
        (self.bytes.len() + len <= self.room).then(|| self.bytes.claim(len))?
    }

    fn retract(&mut self, len: usize) {
        self.bytes.retract(len);
    }
}

impl<R: Role, K: Kind> End<R, K> {
    pub(crate) fn new(name: &'static str, limits: &Limits, seed: u64) -> Self {
        let mut owner = K::Owner::default();
        *owner.limits_mut() = limits.clone();
        Self {
            session: Session::new(),
            owner,
            tx: vec![],
            rx: vec![],
            arriving: None,
            watch: Watch::new(name),
            verdicts: vec![],
            connection: 0,
            closing: false,
            rng: Rng::new(seed),
        }
    }

    /// Writes what there is to write into a buffer of `room` bytes, at most `most` packets.
    pub(crate) fn poll<G: Gate>(
        &mut self,
        room: usize,
        most: usize,
        now: Instant,
        flow: &mut Flow<G>,
        committed: G,
        counters: &mut Counters,
    ) {
        for _ in 0..most {
            let start = self.tx.len();
            let mut tx = Bounded {
                bytes: &mut self.tx,
                room,
            };
            let output = self.session.poll_output(&mut tx, now, &mut self.owner);
            self.ended(flow, now, committed, counters);
            let mut number = 0;
            match output {
                Output::Wrote => {}
                Output::Publish { seq, last_use } => {
                    number = flow.number(seq);
                    self.owner.payload(seq, &mut self.tx);
                    if last_use {
                        self.owner.written(seq);
                        flow.written(seq);
                    }
                }
                Output::Full => {
                    counters.hit("output full");
                    return;
                }
                Output::Close => {
                    self.closing = true;
                    return;
                }
                Output::Idle => {
                    self.idle(counters);
                    return;
                }
            }
            let decoder = Decoder::new(self.session.version());
            let written = &self.tx[start..];
            if written.is_empty() {
                continue;
            }
            let Ok(Decoded::Complete { packet, len }) = decoder.any(written) else {
                panic!("not a packet: {written:02x?}");
            };
            assert_eq!(len, written.len(), "one packet a call");
            counters.trace(|| format!("{now}: {} writes {}", self.watch.name(), describe(&packet)));
            counters.hit_if(packet == Packet::PingReq, "PINGREQ");
            self.watch.wrote(&packet, number, &self.owner, counters);
            if let Packet::Publish(publish) = packet
                && !publish.dup
            {
                let left = publish.properties.message_expiry_interval();
                flow.sent(number, left, self.session.version().is_v5(), now);
            }
            if let Some(bytes) = dressed(&packet, self.session.version(), &mut self.rng) {
                self.tx.truncate(start);
                self.tx.extend(bytes);
            }
        }
    }

    /// Tells the model which messages the session has ended.
    pub(crate) fn ended<G: Gate>(
        &mut self,
        flow: &mut Flow<G>,
        now: Instant,
        committed: G,
        counters: &mut Counters,
    ) {
        self.owner
            .ended(&mut |seq, outcome| flow.ended(seq, outcome, now, committed, counters));
    }

    /// A call of the session wrote a packet behind the first `start` bytes.
    pub(crate) fn wrote_directly(&mut self, start: usize, counters: &mut Counters) {
        let decoder = Decoder::new(self.session.version());
        if let Ok(Decoded::Complete { packet, .. }) = decoder.any(&self.tx[start..]) {
            self.watch.wrote(&packet, 0, &self.owner, counters);
        }
    }

    /// Nothing can be written: says why.
    fn idle(&self, counters: &mut Counters) {
        let waits = !self.owner.waiting().is_empty();
        if self.session.is_connected() && waits {
            let full = self.watch.unacknowledged() >= usize::from(self.watch.receive_maximum);
            counters.hit_if(full, "window full");
        }
        counters.hit_if(self.owner.uncommitted() > 0, "idle before a commit");
    }

    /// Takes the bytes of a payload that arrives in parts.
    pub(crate) fn take_part(&mut self, rng: &mut Rng, flow: &mut Flow<GateOf<K>>) {
        let Some(arriving) = &mut self.arriving else {
            return;
        };
        let len = arriving.missing.min(self.rx.len());
        arriving.payload.extend(self.rx.drain(..len));
        arriving.missing -= len;
        if arriving.missing == 0
            && let Some(arriving) = self.arriving.take()
            && let Some(head) = arriving.message
        {
            if let Some(delivery) = head.delivery {
                self.session.payload_complete(delivery, &mut self.owner);
            }
            self.deliver(&head, &arriving.payload, rng, flow);
        }
    }

    /// A PUBLISH was taken: its message is delivered, or the rest of its payload waited for; without an event it is a repetition.
    pub(crate) fn publication(
        &mut self,
        publication: Option<&Publication<'_>>,
        part: &PartialPublish<'_>,
        rng: &mut Rng,
        flow: &mut Flow<GateOf<K>>,
    ) {
        let (wire, payload, missing) = (part.publish.delivery, part.publish.payload, part.missing);
        self.watch.took_publish(wire);
        let head = publication.map(|publication| Head {
            delivery: publication.delivery,
            wire,
            topic: match publication.topic {
                Topic::Name(name) => name.as_str().to_owned(),
                Topic::Alias(alias) => self.topic(alias),
            },
            retain: part.publish.retain,
        });
        if missing > 0 {
            self.arriving = Some(Arriving {
                message: head,
                payload: payload.to_vec(),
                missing: missing as usize,
            });
        } else if let Some(head) = head {
            self.deliver(&head, payload, rng, flow);
        }
    }

    fn topic(&self, alias: TopicAlias) -> String {
        self.session
            .topic(alias)
            .expect("an alias in an event is known")
            .to_owned()
    }

    fn deliver(&mut self, head: &Head, payload: &[u8], rng: &mut Rng, flow: &mut Flow<GateOf<K>>) {
        let number = payload
            .first_chunk::<4>()
            .map(|bytes| u32::from_be_bytes(*bytes) as usize)
            .expect("every payload begins with its number");
        let declined = head.delivery.is_some() && rng.one_in(20);
        let owner = &mut self.owner;
        let shown = Shown {
            topic: head.topic.clone(),
            qos: head.wire.qos(),
            retain: head.retain,
            payload: payload.to_vec(),
        };
        let kept = flow.presented(number, &shown, declined, || owner.keep(Note::Copy));
        let Some(delivery) = head.delivery else {
            return;
        };
        self.verdicts.push(Verdict {
            delivery,
            wire: head.wire,
            reason: if declined {
                ReasonCode::QUOTA_EXCEEDED
            } else if self.watch.name() == "server" && rng.one_in(6) {
                ReasonCode::NO_MATCHING_SUBSCRIBERS
            } else {
                ReasonCode::SUCCESS
            },
            kept,
            connection: self.connection,
        });
        if !rng.one_in(4) {
            self.settle(self.verdicts.len() - 1);
        }
    }

    /// Gives some of the verdicts that are waited for.
    pub(crate) fn settle_some(&mut self, rng: &mut Rng) {
        if !self.verdicts.is_empty() {
            self.settle(rng.below(self.verdicts.len()));
        }
    }

    pub(crate) fn has_verdicts(&self) -> bool {
        !self.verdicts.is_empty()
    }

    pub(crate) fn settle_all(&mut self) {
        while !self.verdicts.is_empty() {
            self.settle(0);
        }
    }

    fn settle(&mut self, at: usize) {
        let verdict = self.verdicts.remove(at);
        let exactly_once = matches!(verdict.wire, Delivery::ExactlyOnce(_));
        let settled = self
            .session
            .settle(verdict.delivery, verdict.reason, verdict.kept);
        let same = verdict.connection == self.connection;
        // A QoS 2 message of an earlier connection may have been released by a sender that dropped it.
        assert!(
            settled == same || exactly_once,
            "a verdict on {:?} of connection {}, now {}",
            verdict.wire,
            verdict.connection,
            self.connection
        );
        if settled {
            self.watch.settled(verdict.wire, verdict.kept);
        }
    }

    /// The connection is gone.
    pub(crate) fn cut(&mut self, counters: &mut Counters) {
        let inside = !self.rx.is_empty() || self.arriving.is_some();
        counters.hit_if(inside, "cut inside a packet");
        counters.hit_if(self.arriving.is_some(), "cut inside a payload");
        self.rx.clear();
        self.tx.clear();
        self.arriving = None;
        self.closing = false;
        self.connection += 1;
        self.watch.cut();
    }

    /// The session is gone: verdicts on its messages lead nowhere.
    pub(crate) fn forget_received(&mut self) {
        self.verdicts.clear();
    }

    pub(crate) fn committed(&self) -> GateOf<K> {
        self.owner.committed()
    }
}
