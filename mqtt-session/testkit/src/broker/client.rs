//! A client: its session, its owner, and what it does.

use core::num::NonZeroU32;

use mqtt_codec::{
    Connect, Decoded, Delivery, FromServer, PartialPublish, Properties, Property, ReasonCode,
    ReceiveMaximum, Version, Will,
};
use mqtt_session::profile::Durable;
use mqtt_session::storage::Heap;
use mqtt_session::{
    Change, ClientEvent, ClientSession, DeliveryId, Instant, Outcome, Output, Owner, Seq,
    SessionState,
};

use super::doing::Manner;
use super::event::What;
use super::model::{Model, number};
use super::net::Net;
use super::tables::{Kind, LIMIT, NAMES, TOPICS};
use crate::owners::{LateOwner, Message, Note, TestOwner};
use crate::rng::Rng;

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) index: usize,
    pub(super) kind: Kind,
    pub(super) session: ClientSession<Durable, Heap>,
    pub(super) owner: LateOwner,
    pub(super) link: Option<usize>,
    pub(super) tx: Vec<u8>,
    rx: Vec<u8>,
    /// Payload bytes of a PUBLISH that are still to come, and whether to settle it then.
    arriving: Option<Arriving>,
    verdicts: Vec<(DeliveryId, ReasonCode)>,
    /// A clean start was asked for and not yet confirmed: it is asked for again until it is.
    want_clean: bool,
    /// It neither reads nor writes.
    pub(super) stalled: bool,
    closing: bool,
    /// It gives its verdicts at once.
    pub(super) prompt: bool,
    /// Everything that it ever published, in its order.
    published: Vec<Message>,
    /// Messages that the broker could not take: it publishes them again some time.
    refused: Vec<Message>,
}

/// A message whose payload is still arriving.
#[derive(Debug)]
struct Arriving {
    missing: usize,
    /// `None`: it is a repetition, or has QoS 0.
    delivery: Option<DeliveryId>,
    /// What its owner is shown when it is whole.
    id: u16,
    message: Option<u32>,
}

/// The packet id of a QoS 2 message, else 0: what a broker that crashes meanwhile has sent at QoS 1 may have the id of a handshake that
/// comes back.
fn exactly_once(delivery: Delivery) -> u16 {
    match delivery {
        Delivery::ExactlyOnce(id) => id.get(),
        _ => 0,
    }
}

impl Client {
    pub(super) fn new(index: usize, kind: Kind) -> Self {
        let mut owner = LateOwner::default();
        let limits = owner.limits_mut();
        limits.send_maximum = 6;
        limits.topic_alias_send_maximum = 3;
        let mut session = ClientSession::new();
        // Ids begin near the end of their ring.
        let mut state = SessionState::default();
        if let Some(id) = mqtt_codec::PacketId::new(65_530) {
            for change in [Change::Sent(Seq(0), id), Change::Completed(id)] {
                state.restore(change).expect("an empty table has room");
            }
        }
        session.replace_state(state);
        Self {
            index,
            kind,
            session,
            owner,
            link: None,
            tx: vec![],
            rx: vec![],
            arriving: None,
            verdicts: vec![],
            want_clean: false,
            stalled: false,
            closing: false,
            prompt: false,
            published: vec![],
            refused: vec![],
        }
    }

    /// Has something to publish.
    pub(super) fn send(&mut self, message: Message) {
        self.owner.publish(&message);
        self.published.push(message);
    }

    /// CONNECT goes out on a new link.
    pub(super) fn connect(&mut self, manner: &Manner, link: usize, now: Instant) {
        let v5 = self.kind.version.is_v5();
        let clean = manner.clean || self.want_clean;
        let limits = self.owner.limits_mut();
        // Before 5.0 it cannot be announced.
        limits.receive_maximum = if v5 { manner.receive_maximum } else { 1_000 };
        limits.maximum_packet_size = if self.kind.limited { LIMIT } else { 1_000_000 };
        limits.topic_alias_maximum = manner.alias_maximum;
        let mut list = vec![
            Property::SessionExpiryInterval(manner.expiry),
            ReceiveMaximum::new(manner.receive_maximum)
                .map(Property::ReceiveMaximum)
                .expect("at least 1"),
            Property::TopicAliasMaximum(manner.alias_maximum),
        ];
        if self.kind.limited {
            list.extend(NonZeroU32::new(LIMIT).map(Property::MaximumPacketSize));
        }
        let payload = manner
            .will
            .as_ref()
            .map_or(0, |will| will.number)
            .to_be_bytes();
        let mut will_list = vec![];
        if let Some(will) = manner.will.as_ref().filter(|_| v5) {
            will_list.push(Property::WillDelayInterval(will.delay));
            will_list.extend(will.life.map(Property::MessageExpiryInterval));
        }
        let connect = Connect {
            clean_start: clean,
            keep_alive: manner.keep_alive,
            will: manner.will.as_ref().map(|will| Will {
                topic: TOPICS[will.topic],
                payload: &payload,
                qos: will.qos,
                retain: will.retain,
                properties: Properties::List(&will_list),
            }),
            properties: if v5 {
                Properties::List(&list)
            } else {
                Properties::EMPTY
            },
            ..Connect::new(self.kind.version, NAMES[self.index])
        };
        // In 3.1 a session that ended with its connection is not told by CONNACK.
        let ended = self.kind.version == Version::V31 && self.session.state().session_expiry() == 0;
        self.session
            .connect(&connect, &mut self.tx, now, &mut self.owner)
            .expect("a CONNECT that can be sent");
        self.want_clean = clean;
        if clean || ended {
            self.verdicts.clear();
        }
        self.link = Some(link);
        self.stalled = false;
    }

    /// The client has lost, or given up, its connection.
    pub(super) fn drop_link(&mut self, net: &mut Net) {
        let Some(link) = self.link.take() else { return };
        let counters = &mut net.model.counters;
        counters.trace(|| {
            format!(
                "{} {}/{link} has lost its connection",
                net.now, NAMES[self.index]
            )
        });
        counters.hit_if(net.model.wires[link].silent, "came again after silence");
        let down = &net.links[link].down;
        counters.hit_if(
            !self.rx.is_empty() || self.arriving.is_some() || !down.is_empty(),
            "cut inside a packet",
        );
        counters.hit_if(self.arriving.is_some(), "cut inside a payload");
        net.links[link].down = vec![];
        self.session.close(net.now);
        self.tx.clear();
        self.rx.clear();
        self.arriving = None;
        self.closing = false;
    }

    /// Reads what has come, and writes what there is to write.
    pub(super) fn step(&mut self, net: &mut Net, rng: &mut Rng) -> bool {
        let Some(link) = self.link else { return false };
        if self.stalled {
            return false;
        }
        let mut busy = false;
        if !self.refused.is_empty() && (self.prompt || rng.one_in(30)) {
            for message in core::mem::take(&mut self.refused) {
                net.model.counters.hit("refused message published again");
                self.send(message);
            }
            busy = true;
        }
        let end = &mut net.links[link];
        if !end.down.is_empty() {
            let n = if net.calm || rng.one_in(2) {
                end.down.len()
            } else {
                rng.below(end.down.len() + 1)
            };
            self.rx.extend(end.down.drain(..n));
            if n > 0 {
                self.session.heard(net.now);
                busy = true;
            }
        }
        let before = self.rx.len();
        self.read(&mut net.model, net.now, rng);
        busy |= self.rx.len() != before;
        if self.prompt || rng.one_in(4) {
            while let Some((delivery, reason)) = self.verdicts.pop() {
                self.settle(delivery, reason);
                busy = true;
            }
        }
        let end = &net.links[link];
        if end.is_closed() && end.down.is_empty() && !self.closing {
            net.model.counters.hit("the broker closed");
            self.drop_link(net);
            return true;
        }
        self.write(net.now, &mut net.model);
        busy |= !self.tx.is_empty();
        net.links[link].up.append(&mut self.tx);
        if self.closing {
            // What it wrote arrives; then its end of the connection is gone.
            if net.links[link].is_closed() || net.links[link].up.is_empty() {
                net.cut(link);
                self.drop_link(net);
            }
            return true;
        }
        busy
    }

    fn write(&mut self, now: Instant, model: &mut Model) {
        self.owner.commit(usize::MAX);
        loop {
            match self.session.poll_output(&mut self.tx, now, &mut self.owner) {
                Output::Wrote => {}
                Output::Publish { seq, last_use } => {
                    self.owner.payload(seq, &mut self.tx);
                    if last_use {
                        self.owner.written(seq);
                    }
                }
                Output::Close => {
                    self.closing = true;
                    return;
                }
                Output::Idle | Output::Full => {
                    // What was recorded meanwhile opens the way for more.
                    if self.owner.uncommitted() == 0 {
                        break;
                    }
                    self.owner.commit(usize::MAX);
                }
            }
        }
        let (published, refused) = (&self.published, &mut self.refused);
        self.owner.ended(&mut |seq, outcome| match outcome {
            Outcome::Expired => model.counters.hit("message expired at its publisher"),
            Outcome::Refused(_) => refused.extend(published.get(seq.0 as usize).cloned()),
            _ => {}
        });
    }

    fn read(&mut self, model: &mut Model, now: Instant, rng: &mut Rng) {
        let mut rx = core::mem::take(&mut self.rx);
        let mut at = 0;
        while self.link.is_some() {
            if let Some(arriving) = &mut self.arriving {
                let n = arriving.missing.min(rx.len() - at);
                at += n;
                arriving.missing -= n;
                if arriving.missing > 0 {
                    break;
                }
            }
            if let Some(arriving) = self.arriving.take()
                && let Some(delivery) = arriving.delivery
            {
                self.session.payload_complete(delivery, &mut self.owner);
                self.verdict(delivery, arriving.id, arriving.message, model, rng);
            }
            if !self.session.wants_input() {
                break;
            }
            let decoder = self.session.decoder(self.owner.limits());
            let bytes = &rx[at..];
            match decoder
                .from_server(bytes)
                .expect("the broker sends packets")
            {
                Decoded::Complete { packet, len } => {
                    at += len;
                    self.take(packet, model, now, rng);
                }
                Decoded::NeedMore(_) => match decoder.publish_head(bytes) {
                    Ok(Decoded::Complete { packet, len })
                        if packet.missing > 0
                            && packet.publish.payload.len() >= 4
                            && rng.one_in(2) =>
                    {
                        at += len;
                        model.counters.hit("payload in parts");
                        self.take_part(packet, now);
                    }
                    _ => break,
                },
            }
        }
        rx.drain(..at);
        self.rx = rx;
    }

    fn take_part(&mut self, part: PartialPublish<'_>, now: Instant) {
        let id = exactly_once(part.publish.delivery);
        let event = self.session.handle_part(&part, now, &mut self.owner);
        let event = event.unwrap_or_else(|why| panic!("{}: {why:?}", NAMES[self.index]));
        let delivery = match event {
            ClientEvent::Publication(publication) => publication.delivery,
            _ => None,
        };
        self.arriving = Some(Arriving {
            missing: part.missing as usize,
            delivery,
            id,
            message: number(part.publish.payload),
        });
    }

    fn take(&mut self, packet: FromServer<'_>, model: &mut Model, now: Instant, rng: &mut Rng) {
        let id = match &packet {
            FromServer::Publish(publish) => exactly_once(publish.delivery),
            _ => 0,
        };
        model.counters.trace(|| {
            let text = super::link::describe(packet);
            format!("{now} {} takes {text}", NAMES[self.index])
        });
        let event = self.session.handle(&packet, now, &mut self.owner);
        match event.unwrap_or_else(|why| panic!("{}: {why:?}", NAMES[self.index])) {
            ClientEvent::Publication(publication) => {
                if let Some(delivery) = publication.delivery {
                    self.verdict(delivery, id, number(publication.payload), model, rng);
                }
            }
            ClientEvent::Connected(connack) => {
                self.want_clean = false;
                if !connack.session_present && self.kind.version != Version::V31 {
                    self.verdicts.clear();
                }
            }
            // The reference knows why.
            ClientEvent::Refused(_) => {}
            _ => {}
        }
    }

    /// The session handed a message over: at QoS 2 only once.
    fn presented(&self, id: u16, number: Option<u32>, model: &mut Model) {
        let Some(flight) = model.state.sessions[self.index].flight(id) else {
            return;
        };
        if !flight.exactly_once {
            return;
        }
        let (What::Live(copy) | What::Group { copy, .. }) = flight.what else {
            return;
        };
        let message = model.routings[copy.r as usize].message;
        assert!(
            number.is_none_or(|number| number == message),
            "{}: the message of {id}",
            NAMES[self.index]
        );
        let clients = &mut model.presented[copy.r as usize];
        let before = *clients;
        *clients |= 1 << self.index;
        assert_ne!(
            before, *clients,
            "{}: message {message}, QoS 2, was handed over twice",
            NAMES[self.index]
        );
    }

    /// A message has come whole: the verdict on it, now or later.
    fn verdict(
        &mut self,
        delivery: DeliveryId,
        id: u16,
        number: Option<u32>,
        model: &mut Model,
        rng: &mut Rng,
    ) {
        // What is declined may come again, when the broker does not hear of it.
        let declined = self.kind.version.is_v5() && rng.one_in(25);
        let reason = if declined {
            ReasonCode::QUOTA_EXCEEDED
        } else {
            self.presented(id, number, model);
            ReasonCode::SUCCESS
        };
        if self.prompt || !rng.one_in(4) {
            self.settle(delivery, reason);
        } else {
            self.verdicts.push((delivery, reason));
        }
    }

    fn settle(&mut self, delivery: DeliveryId, reason: ReasonCode) {
        let kept = self.owner.keep(Note::Copy);
        // One of an earlier connection leads nowhere.
        let _ = self.session.settle(delivery, reason, kept);
    }

    /// Goes on with time; says whether the connection is over.
    pub(super) fn clock(&mut self, now: Instant) -> bool {
        let limits = self.owner.limits().clone();
        self.link.is_some() && self.session.timeout(now, &limits).is_err()
    }

    /// Whether it has nothing left to do.
    pub(super) fn is_quiet(&self) -> bool {
        self.link.is_none()
            || (self.session.is_connected()
                && self.session.state().is_quiet()
                && self.owner.waiting().is_empty()
                && self.tx.is_empty()
                && self.rx.is_empty()
                && self.verdicts.is_empty()
                && self.refused.is_empty())
    }
}
