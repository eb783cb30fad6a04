//! A publisher with many messages in flight and a subscriber that acknowledges at once, in one thread.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::time::Instant;

use mio::{Events, Poll, Token};
use mqtt_codec::{Decoded, Decoder, FromServer};
use mqtt_crash::Link;

use crate::packets::{self, Stamp, VERSION};

/// A broker that is silent for so long has lost something.
const PATIENCE: Duration = Duration::from_secs(20);

const PUBLISHER: Token = Token(0);
const SUBSCRIBER: Token = Token(1);

/// How far the messages have come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) delivered: u64,
}

/// The clients.
#[derive(Debug)]
pub(crate) struct Load {
    poll: Poll,
    events: Events,
    publisher: Option<Link>,
    subscriber: Option<Link>,
    stamps: Vec<Stamp>,
    next_id: u16,
    pub(crate) counts: Counts,
    /// The largest number that came, by topic: in order, whatever is sent again.
    latest: Vec<Option<u64>>,
    /// Connections that were confirmed.
    connected: u32,
    subscribed: u32,
}

impl Load {
    /// Nobody yet; messages go to the topics in turn.
    pub(crate) fn new(topics: &[String], payload: usize) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(16),
            publisher: None,
            subscriber: None,
            stamps: topics.iter().map(|it| Stamp::new(it, payload)).collect(),
            next_id: 0,
            counts: Counts::default(),
            latest: vec![None; topics.len()],
            connected: 0,
            subscribed: 0,
        })
    }

    /// Connects who publishes.
    pub(crate) fn publisher(&mut self, address: SocketAddr) -> io::Result<()> {
        let mut link = Link::open(address, self.poll.registry(), PUBLISHER)?;
        link.send(&packets::connect("bench-publisher", true));
        self.publisher = Some(link);
        let before = self.connected;
        self.turn_until(|load| load.connected > before)
    }

    /// Connects a persistent session; subscribes it if there is a filter.
    pub(crate) fn subscriber(
        &mut self,
        address: SocketAddr,
        client_id: &str,
        filter: Option<&str>,
    ) -> io::Result<()> {
        let mut link = Link::open(address, self.poll.registry(), SUBSCRIBER)?;
        link.send(&packets::connect(client_id, false));
        self.subscriber = Some(link);
        let before = (self.connected, self.subscribed);
        // Messages may come at once.
        self.turn_until(|load| load.connected > before.0)?;
        if let (Some(filter), Some(link)) = (filter, &mut self.subscriber) {
            link.send(&packets::subscribe(filter));
            self.turn_until(|load| load.subscribed > before.1)?;
        }
        Ok(())
    }

    /// The subscriber says goodbye; its session stays.
    pub(crate) fn leave(&mut self) {
        if let Some(mut link) = self.subscriber.take() {
            link.send(&packets::DISCONNECT);
            link.flush();
        }
    }

    /// The publisher is not needed any more.
    pub(crate) fn end_publishing(&mut self) {
        self.publisher = None;
    }

    /// Publishes with so many in flight until the time is over, or so many have been sent in all; then waits for the answers.
    pub(crate) fn publish(&mut self, window: u64, end: End) -> io::Result<()> {
        let start = Instant::now();
        let first = self.counts.sent;
        loop {
            let room = window.saturating_sub(self.counts.sent - self.done());
            let more = match end {
                End::After(time) => {
                    if start.elapsed() >= time {
                        return Ok(());
                    }
                    room
                }
                End::Messages(most) => {
                    if self.done() >= first + most {
                        return Ok(());
                    }
                    room.min(first + most - self.counts.sent)
                }
            };
            for _ in 0..more {
                self.send();
            }
            self.turn()?;
        }
    }

    /// Waits until so many have come in all.
    pub(crate) fn drain(&mut self, delivered: u64) -> io::Result<()> {
        self.turn_until(|load| load.counts.delivered >= delivered)
    }

    /// Messages that are acknowledged, and delivered if somebody is there.
    pub(crate) fn done(&self) -> u64 {
        match self.subscriber {
            Some(_) => self.counts.acknowledged.min(self.counts.delivered),
            None => self.counts.acknowledged,
        }
    }

    fn send(&mut self) {
        let number = self.counts.sent;
        let topic = (number % self.stamps.len() as u64) as usize;
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        if let Some(link) = &mut self.publisher {
            link.send(self.stamps[topic].mark(self.next_id, number));
        }
        self.counts.sent += 1;
    }

    fn turn_until(&mut self, is_it: impl Fn(&Self) -> bool) -> io::Result<()> {
        while !is_it(self) {
            self.turn()?;
        }
        Ok(())
    }

    /// Writes what there is, waits, and reads what comes.
    fn turn(&mut self) -> io::Result<()> {
        let links = [&mut self.publisher, &mut self.subscriber];
        for link in links.into_iter().flatten() {
            link.flush();
        }
        loop {
            match self.poll.poll(&mut self.events, Some(PATIENCE)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        }
        if self.events.is_empty() {
            let Counts {
                sent,
                acknowledged,
                delivered,
            } = self.counts;
            return Err(io::Error::other(format!(
                "the broker is silent: {sent} sent, {acknowledged} acknowledged, {delivered} delivered"
            )));
        }
        let (mut publisher, mut subscriber) = (self.publisher.take(), self.subscriber.take());
        if let Some(link) = &mut publisher {
            self.read(link, "publisher")?;
        }
        if let Some(link) = &mut subscriber {
            self.read(link, "subscriber")?;
        }
        (self.publisher, self.subscriber) = (publisher, subscriber);
        Ok(())
    }

    fn read(&mut self, link: &mut Link, who: &str) -> io::Result<()> {
        link.read();
        let input = core::mem::take(&mut link.input);
        let mut at = 0;
        loop {
            match Decoder::new(VERSION).from_server(&input[at..]) {
                Ok(Decoded::Complete { packet, len }) => {
                    at += len;
                    self.packet(&packet, link)?;
                }
                Ok(Decoded::NeedMore(_)) => break,
                Err(error) => return Err(io::Error::other(format!("no packet: {error}"))),
            }
        }
        link.input = input;
        link.input.drain(..at);
        if link.ended {
            return Err(io::Error::other(format!("the broker closed on the {who}")));
        }
        Ok(())
    }

    fn packet(&mut self, packet: &FromServer<'_>, link: &mut Link) -> io::Result<()> {
        match packet {
            FromServer::ConnAck(ack) if !ack.reason.is_error() => self.connected += 1,
            FromServer::SubAck(ack) if ack.codes.iter().all(|it| !it.is_error()) => {
                self.subscribed += 1;
            }
            FromServer::PubAck(_) => self.counts.acknowledged += 1,
            FromServer::Publish(publish) => {
                if let Some(id) = publish.delivery.packet_id() {
                    link.send(&packets::pub_ack(id));
                }
                let number = packets::number(publish.payload).unwrap_or(0);
                let topic = (number % self.latest.len() as u64) as usize;
                if self.latest[topic].is_none_or(|latest| number > latest) {
                    self.latest[topic] = Some(number);
                    self.counts.delivered += 1;
                }
            }
            other => return Err(io::Error::other(format!("the broker sent {other:?}"))),
        }
        Ok(())
    }
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// After this time, with some still on their way.
    After(Duration),
    /// When so many more are done.
    Messages(u64),
}
