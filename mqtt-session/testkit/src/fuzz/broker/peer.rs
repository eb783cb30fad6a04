//! A client that is nothing but its bytes, and reads what the broker says to it.

use mqtt_broker::core::ConnId;
use mqtt_codec::{Decoded, Decoder, Delivery, FromServer, Packet, ReasonCode, Version};

/// A client.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Its connection.
    pub(super) at: Option<(usize, ConnId)>,
    /// What its CONNECT says.
    version: Option<Version>,
    /// What it has sent and the broker has not taken; the first `arrived` bytes are there.
    pub(super) sent: Vec<u8>,
    pub(super) arrived: usize,
    pub(super) paused: bool,
    /// It does not read.
    pub(super) deaf: bool,
    /// How much it reads at once; 0 is all that there is.
    pub(super) sips: usize,
    read: Vec<u8>,
    /// CONNACK came.
    pub(super) greeted: bool,
    over: bool,
    /// Ids that the broker waits to see acknowledged.
    pub(super) awaited: Vec<u16>,
    /// How it answers what it reads, if it is well-behaved.
    pub(super) answers: bool,
    /// Payloads that came.
    pub(super) payloads: Vec<Vec<u8>>,
    /// SUBACKs and PUBACKs that came.
    pub(super) acknowledged: u32,
}

impl Peer {
    /// A new connection of it.
    pub(super) fn connected(&mut self, at: Option<(usize, ConnId)>) {
        *self = Self {
            at,
            answers: self.answers,
            ..Self::default()
        };
    }

    /// The version that its CONNECT names.
    pub(super) const fn version(&self) -> Option<Version> {
        self.version
    }

    /// Adds bytes to what it sends.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
        if self.version.is_none()
            && let Ok(Decoded::Complete {
                packet: Packet::Connect(connect),
                ..
            }) = Decoder::new(Version::V5).any(&self.sent)
        {
            self.version = Some(connect.version());
        }
    }

    /// Reads what came.
    ///
    /// # Panics
    /// When that is not what a server may send.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        self.read.extend_from_slice(bytes);
        let read = core::mem::take(&mut self.read);
        // A CONNECT that cannot be read is answered in the words of 3.1.1.
        let decoder = Decoder::new(self.version.unwrap_or(Version::V311));
        let mut start = 0;
        loop {
            match decoder.from_server(&read[start..]) {
                Ok(Decoded::Complete { packet, len }) => {
                    start += len;
                    self.packet(&packet);
                }
                Ok(Decoded::NeedMore(_)) => break,
                Err(error) => panic!("{error} in {:02x?}", &read[start..]),
            }
        }
        self.read = read[start..].to_vec();
    }

    fn packet(&mut self, packet: &FromServer<'_>) {
        assert!(!self.over, "after the end: {packet:?}");
        match packet {
            FromServer::ConnAck(connack) => {
                assert!(!self.greeted, "a second CONNACK");
                self.greeted = connack.reason == ReasonCode::SUCCESS;
                self.over = !self.greeted;
            }
            FromServer::Auth(_) => {}
            FromServer::Disconnect(_) => self.over = true,
            _ => assert!(self.greeted, "before CONNACK: {packet:?}"),
        }
        match packet {
            FromServer::Publish(publish) => {
                if self.payloads.len() < 200 {
                    self.payloads.push(publish.payload.to_vec());
                }
                match publish.delivery {
                    Delivery::AtMostOnce => {}
                    Delivery::AtLeastOnce(id) => self.acknowledge(0x40, id.get()),
                    Delivery::ExactlyOnce(id) => self.acknowledge(0x50, id.get()),
                }
            }
            FromServer::PubRec(packet) if self.answers => self.answer(0x62, packet.packet_id.get()),
            FromServer::PubRel(packet) => self.acknowledge(0x70, packet.packet_id.get()),
            FromServer::PubAck(_) | FromServer::SubAck(_) => self.acknowledged += 1,
            FromServer::ConnAck(_)
            | FromServer::PubRec(_)
            | FromServer::PubComp(_)
            | FromServer::UnsubAck(_)
            | FromServer::PingResp
            | FromServer::Disconnect(_)
            | FromServer::Auth(_) => {}
        }
    }

    fn acknowledge(&mut self, first: u8, id: u16) {
        if self.answers {
            self.answer(first, id);
        } else if self.awaited.len() < 64 && !self.awaited.contains(&id) {
            self.awaited.push(id);
        }
    }

    fn answer(&mut self, first: u8, id: u16) {
        let [high, low] = id.to_be_bytes();
        self.send(&[first, 2, high, low]);
    }
}
