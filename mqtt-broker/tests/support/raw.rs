//! A test client that shows every packet on the wire: it sends what it is told, and answers nothing by itself.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use mqtt_codec::{
    Connect, Delivery, Disconnect, Filters, FromServer, PINGREQ, PacketId, Properties, Property,
    PubAck, PubComp, PubRec, PubRel, Publish, QoS, ReasonCode, Subscribe, SubscribeFilter,
    SubscriptionOptions, Unsubscribe, UnsubscribeFilters, Version,
};

use super::frame::{Encode, Frame, at, packet_id, publish};
use super::{Broker, PATIENCE};

/// Where a client can connect to: a broker under test, or an address.
pub(crate) trait Listening {
    /// The address of its listener.
    fn address(&self) -> SocketAddr;
}

impl Listening for Broker {
    fn address(&self) -> SocketAddr {
        Self::address(self)
    }
}

impl Listening for SocketAddr {
    fn address(&self) -> SocketAddr {
        *self
    }
}

/// A connection to the broker.
#[derive(Debug)]
pub(crate) struct Client {
    version: Version,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Packets that came while another one was waited for.
    set_aside: VecDeque<Frame>,
    next_id: u16,
}

impl Client {
    /// Opens a TCP connection and sends nothing; answers are read as those of `version`.
    pub(crate) fn open(broker: &impl Listening, version: Version) -> Self {
        Self::open_at(broker.address(), version)
    }

    /// Opens a TCP connection to `address` and sends nothing.
    pub(crate) fn open_at(address: SocketAddr, version: Version) -> Self {
        let stream = TcpStream::connect(address).expect("the broker accepts connections");
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time-out can be set");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a time-out can be set");
        Self {
            version,
            stream,
            buffer: Vec::new(),
            set_aside: VecDeque::new(),
            next_id: 1,
        }
    }

    /// Sends `connect` over a new connection and gives the CONNACK, whatever it says.
    #[track_caller]
    pub(crate) fn try_connect(broker: &impl Listening, connect: &Connect<'_>) -> (Self, Frame) {
        let mut client = Self::open(broker, connect.version);
        client.send(connect);
        let answer = client.receive();
        answer.conn_ack();
        (client, answer)
    }

    /// Connects as `connect` says and gives the CONNACK, which must accept it.
    #[track_caller]
    pub(crate) fn connect_with(broker: &impl Listening, connect: &Connect<'_>) -> (Self, Frame) {
        let (client, answer) = Self::try_connect(broker, connect);
        assert_eq!(answer.conn_ack().reason, ReasonCode::SUCCESS, "{answer:?}");
        (client, answer)
    }

    /// Connects with a clean start and nothing else.
    #[track_caller]
    pub(crate) fn connect(broker: &impl Listening, version: Version, client_id: &str) -> Self {
        Self::connect_with(broker, &Connect::new(version, client_id)).0
    }

    /// Connects with a clean start, a subscription and nothing else.
    #[track_caller]
    pub(crate) fn subscribed(
        broker: &impl Listening,
        version: Version,
        client_id: &str,
        filter: &str,
        qos: QoS,
    ) -> Self {
        let mut client = Self::connect(broker, version, client_id);
        assert_eq!(
            client.subscribe(&[(filter, at(qos))]),
            [ReasonCode(qos as u8)]
        );
        client
    }

    /// The version it speaks.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// A packet identifier that was not used before.
    pub(crate) fn fresh_id(&mut self) -> PacketId {
        let id = packet_id(self.next_id);
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        id
    }

    /// Sends bytes as they are.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads");
    }

    /// Sends bytes, or as many of them as the broker still takes.
    pub(crate) fn try_send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// How long a write may be held up.
    pub(crate) fn set_write_patience(&mut self, limit: Duration) {
        self.stream
            .set_write_timeout(Some(limit))
            .expect("a time-out can be set");
    }

    /// Sends a packet.
    pub(crate) fn send(&mut self, packet: &impl Encode) {
        self.send_bytes(&packet.bytes(self.version));
    }

    /// Waits for the next packet.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Frame {
        self.receive_or_end()
            .expect("a packet, but the broker has closed the connection")
    }

    /// Waits for the next packet, or for the end of the connection.
    #[track_caller]
    pub(crate) fn receive_or_end(&mut self) -> Option<Frame> {
        match self.set_aside.pop_front() {
            Some(frame) => Some(frame),
            None => self.read(),
        }
    }

    /// Waits for the next packet that `wanted` accepts; others stay for later.
    #[track_caller]
    pub(crate) fn receive_where(
        &mut self,
        what: &str,
        wanted: impl Fn(&FromServer<'_>) -> bool,
    ) -> Frame {
        if let Some(index) = self
            .set_aside
            .iter()
            .position(|frame| wanted(&frame.packet()))
        {
            return self.set_aside.remove(index).expect("just found there");
        }
        loop {
            let Some(frame) = self.read() else {
                panic!(
                    "the broker closed the connection before {what}; {:?}",
                    self.set_aside
                )
            };
            if wanted(&frame.packet()) {
                return frame;
            }
            self.set_aside.push_back(frame);
        }
    }

    #[track_caller]
    fn read(&mut self) -> Option<Frame> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(frame) = Frame::take(self.version, &mut self.buffer) {
                return Some(frame);
            }
            let mut chunk = [0; 65_536];
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    assert!(
                        self.buffer.is_empty(),
                        "the broker closed in the middle of {:02x?}",
                        self.buffer
                    );
                    return None;
                }
                Ok(read) => self.buffer.extend_from_slice(&chunk[..read]),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                    ) =>
                {
                    return None;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!(
                    "nothing from the broker within {PATIENCE:?}: {error}; set aside: {:?}",
                    self.set_aside
                ),
            }
            assert!(
                Instant::now() < deadline,
                "no whole packet within {PATIENCE:?}"
            );
        }
    }

    /// Waits for the end of the connection; a packet before it is an error.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        if let Some(frame) = self.receive_or_end() {
            panic!("expected the end of the connection, got {frame:?}");
        }
    }

    /// Waits for the end of the connection, which 5.0 announces with a DISCONNECT of this reason.
    #[track_caller]
    pub(crate) fn expect_end_with(&mut self, reason: ReasonCode) {
        if self.version.is_v5() {
            let frame = self.receive();
            assert_eq!(frame.disconnect().reason, reason, "{frame:?}");
        }
        self.expect_end();
    }

    /// Sends PINGREQ and waits for its answer, twice: what the broker had for this client before is there then, set aside. Once is not
    /// enough, since PINGRESP goes ahead of messages that come from another worker in the same round.
    #[track_caller]
    pub(crate) fn ping(&mut self) {
        for _ in 0..2 {
            self.send_bytes(&PINGREQ);
            self.receive_where("PINGRESP", |packet| matches!(packet, FromServer::PingResp));
        }
    }

    /// The first packet that was set aside.
    pub(crate) fn waiting(&mut self) -> Option<Frame> {
        self.set_aside.pop_front()
    }

    /// Shows that nothing came up to now.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        self.ping();
        assert!(self.set_aside.is_empty(), "unexpected {:?}", self.set_aside);
    }

    /// Subscribes and gives the codes of the SUBACK.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, filters: &[(&str, SubscriptionOptions)]) -> Vec<ReasonCode> {
        self.subscribe_with(filters, &[])
    }

    /// Subscribes with properties and gives the codes of the SUBACK.
    #[track_caller]
    pub(crate) fn subscribe_with(
        &mut self,
        filters: &[(&str, SubscriptionOptions)],
        properties: &[Property<'_>],
    ) -> Vec<ReasonCode> {
        let packet_id = self.fresh_id();
        let filters: Vec<_> = filters
            .iter()
            .map(|&(filter, options)| SubscribeFilter { filter, options })
            .collect();
        self.send(&Subscribe {
            packet_id,
            properties: Properties::List(properties),
            filters: Filters::List(&filters),
        });
        let answer = self.receive_where("SUBACK", |packet| matches!(packet, FromServer::SubAck(_)));
        assert_eq!(answer.sub_ack().packet_id, packet_id);
        answer.sub_ack().codes.iter().collect()
    }

    /// Unsubscribes and gives the codes of the UNSUBACK (none before 5.0).
    #[track_caller]
    pub(crate) fn unsubscribe(&mut self, filters: &[&str]) -> Vec<ReasonCode> {
        let packet_id = self.fresh_id();
        self.send(&Unsubscribe {
            packet_id,
            properties: Properties::EMPTY,
            filters: UnsubscribeFilters::List(filters),
        });
        let answer = self.receive_where("UNSUBACK", |packet| {
            matches!(packet, FromServer::UnsubAck(_))
        });
        assert_eq!(answer.unsub_ack().packet_id, packet_id);
        answer.unsub_ack().codes.iter().collect()
    }

    /// Publishes at `qos` and completes the handshake; gives the reason code of PUBACK or PUBREC.
    #[track_caller]
    pub(crate) fn publish(&mut self, topic: &str, payload: &str, qos: QoS) -> ReasonCode {
        self.publish_packet(&publish(topic, payload), qos)
    }

    /// Publishes `packet` at `qos` with a fresh packet identifier and completes the handshake; gives the reason code.
    #[track_caller]
    pub(crate) fn publish_packet(&mut self, packet: &Publish<'_>, qos: QoS) -> ReasonCode {
        match qos {
            QoS::AtMostOnce => {
                self.send(packet);
                ReasonCode::SUCCESS
            }
            QoS::AtLeastOnce => {
                let id = self.fresh_id();
                self.send(&Publish {
                    delivery: Delivery::AtLeastOnce(id),
                    ..*packet
                });
                self.receive_where(
                    "PUBACK",
                    |packet| matches!(packet, FromServer::PubAck(ack) if ack.packet_id == id),
                )
                .pub_ack()
                .reason
            }
            QoS::ExactlyOnce => {
                let id = self.fresh_id();
                self.send(&Publish {
                    delivery: Delivery::ExactlyOnce(id),
                    ..*packet
                });
                let received = self.receive_where(
                    "PUBREC",
                    |packet| matches!(packet, FromServer::PubRec(ack) if ack.packet_id == id),
                );
                let reason = received.pub_rec().reason;
                if !reason.is_error() {
                    self.send(&PubRel::new(id));
                    self.receive_where(
                        "PUBCOMP",
                        |packet| matches!(packet, FromServer::PubComp(ack) if ack.packet_id == id),
                    );
                }
                reason
            }
        }
    }

    /// Waits for the next packet, which must be a PUBLISH, and completes its handshake.
    #[track_caller]
    pub(crate) fn take(&mut self) -> Frame {
        let frame = self.receive();
        match frame.publish().delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce(id) => self.send(&PubAck::new(id)),
            Delivery::ExactlyOnce(id) => {
                self.send(&PubRec::new(id));
                self.receive_where("PUBREL", |packet| matches!(packet, FromServer::PubRel(release) if release.packet_id == id));
                self.send(&PubComp::new(id));
            }
        }
        frame
    }

    /// As [`Self::take`], shown as `topic|qos|retain|payload`.
    #[track_caller]
    pub(crate) fn take_text(&mut self) -> String {
        self.take().text()
    }

    /// Takes messages up to and without the one whose payload is `end`.
    #[track_caller]
    pub(crate) fn take_up_to_end(&mut self) -> Vec<Frame> {
        let mut taken = Vec::new();
        loop {
            let frame = self.take();
            if frame.publish().payload == b"end" {
                return taken;
            }
            taken.push(frame);
        }
    }

    /// Says DISCONNECT with success and waits until the broker has closed the connection.
    #[track_caller]
    pub(crate) fn disconnect(self) {
        self.disconnect_with(&Disconnect::new(ReasonCode::SUCCESS));
    }

    /// Says this DISCONNECT and waits until the broker has closed the connection.
    #[track_caller]
    pub(crate) fn disconnect_with(mut self, packet: &Disconnect<'_>) {
        self.send(packet);
        while self
            .receive_or_end()
            .is_some_and(|frame| !matches!(frame.packet(), FromServer::Disconnect(_)))
        {}
        self.expect_end();
    }

    /// Ends the connection without a DISCONNECT and waits until the broker has noticed.
    pub(crate) fn cut(mut self) {
        // An error means that the broker was faster.
        let _ = self.stream.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
    }

    /// Everything up to `last` or the end of the connection, as bytes.
    #[track_caller]
    pub(crate) fn rest_until(&mut self, last: &[u8]) -> Vec<u8> {
        let mut bytes = core::mem::take(&mut self.buffer);
        let mut chunk = [0; 4096];
        while !bytes.ends_with(last) {
            match self.stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => bytes.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("not closed within {PATIENCE:?}: {error}; got {bytes:02x?}"),
            }
        }
        bytes
    }

    /// Everything up to the end of the connection, as bytes.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = core::mem::take(&mut self.buffer);
        match self.stream.read_to_end(&mut bytes) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => {
                panic!("not closed within {PATIENCE:?}: {error}; got {bytes:02x?}")
            }
            _ => bytes,
        }
    }
}

/// Lets time pass that the broker itself measures: expiry, delays, keep-alive. Never used to wait for something to happen.
pub(crate) fn let_pass(time: Duration) {
    std::thread::sleep(time);
}
