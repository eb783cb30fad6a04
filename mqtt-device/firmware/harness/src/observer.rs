//! A client on the other side of the broker, which sees what firmware publishes and sends it commands.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use mqtt_codec::{
    Connect, Decoded, Decoder, Delivery, EncodeError, Filters, FromServer, OnlyV311, PacketId,
    Properties, PubAck, Publish, QoS, Subscribe, SubscribeFilter, SubscriptionOptions, Version,
};

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Where it was published.
    pub topic: String,
    /// What; bytes that are no text are replaced.
    pub payload: String,
    /// Whether the broker had kept it.
    pub retain: bool,
}

/// A connection to a broker with one subscription of QoS 1.
#[derive(Debug)]
pub struct Observer {
    wire: TcpStream,
    received: Vec<u8>,
}

impl Observer {
    /// Connects and subscribes; it sees everything that is published after this has returned.
    ///
    /// # Errors
    /// If the broker is not there or does not grant the subscription.
    pub fn new(port: u16, filter: &str) -> io::Result<Self> {
        let wire = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        wire.set_nodelay(true)?;
        let mut observer = Self {
            wire,
            received: Vec::new(),
        };
        let name = format!("observer{}", observer.wire.local_addr()?.port());
        let connect = Connect {
            keep_alive: 0,
            ..Connect::new(Version::V311, &name)
        };
        observer.send(|buffer| connect.encode(buffer))?;
        let filters = [SubscribeFilter {
            filter,
            options: SubscriptionOptions::new(QoS::AtLeastOnce),
        }];
        let subscribe = Subscribe {
            packet_id: PacketId::MIN,
            properties: Properties::EMPTY,
            filters: Filters::List(&filters),
        };
        observer.send(|buffer| subscribe.encode(OnlyV311, buffer))?;
        let patience = Duration::from_secs(10);
        while observer.packet(Instant::now() + patience)? != Packet::Subscribed {}
        Ok(observer)
    }

    /// Publishes with QoS 0.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn publish(&mut self, topic: &str, payload: &[u8]) -> io::Result<()> {
        let publish = Publish {
            dup: false,
            retain: false,
            delivery: Delivery::AtMostOnce,
            topic,
            properties: Properties::EMPTY,
            payload,
        };
        self.send(|buffer| publish.encode(OnlyV311, buffer))
    }

    /// The next message.
    ///
    /// # Errors
    /// If none comes in time, or the connection is gone.
    pub fn next(&mut self, patience: Duration) -> io::Result<Heard> {
        let deadline = Instant::now() + patience;
        loop {
            if let Packet::Message(heard) = self.packet(deadline)? {
                return Ok(heard);
            }
        }
    }

    fn send(
        &mut self,
        encode: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> io::Result<()> {
        let mut buffer = [0; 1_024];
        let len = encode(&mut buffer).map_err(|error| io::Error::other(error.to_string()))?;
        self.wire.write_all(&buffer[..len])
    }

    fn packet(&mut self, deadline: Instant) -> io::Result<Packet> {
        loop {
            let (packet, len) = match Decoder::new(OnlyV311).from_server(&self.received) {
                Ok(Decoded::Complete { packet, len }) => (understand(packet), len),
                Ok(Decoded::NeedMore(_)) => {
                    self.receive(deadline)?;
                    continue;
                }
                Err(error) => {
                    return Err(io::Error::new(ErrorKind::InvalidData, error.to_string()));
                }
            };
            self.received.drain(..len);
            let (packet, id) = packet?;
            if let Some(packet_id) = id {
                let ack = PubAck {
                    packet_id,
                    reason: mqtt_codec::ReasonCode::SUCCESS,
                    properties: Properties::EMPTY,
                };
                self.send(|buffer| ack.encode(OnlyV311, buffer))?;
            }
            return Ok(packet);
        }
    }

    fn receive(&mut self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(ErrorKind::TimedOut, "no message in time"));
        }
        self.wire.set_read_timeout(Some(left))?;
        let mut chunk = [0; 1_024];
        match self.wire.read(&mut chunk) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.received.extend_from_slice(&chunk[..count]);
                Ok(())
            }
            // Its time is over, which the next turn finds out.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Packet {
    Subscribed,
    Message(Heard),
    Other,
}

/// What a packet says, and the id that is to be acknowledged.
fn understand(packet: FromServer<'_>) -> io::Result<(Packet, Option<PacketId>)> {
    match packet {
        FromServer::ConnAck(answer) if answer.reason.is_error() => {
            Err(io::Error::other("the broker refuses the observer"))
        }
        FromServer::SubAck(answer) if answer.codes.iter().any(|code| code.is_error()) => {
            Err(io::Error::other("the broker refuses the subscription"))
        }
        FromServer::SubAck(_) => Ok((Packet::Subscribed, None)),
        FromServer::Publish(message) => {
            let heard = Heard {
                topic: message.topic.to_owned(),
                payload: String::from_utf8_lossy(message.payload).into_owned(),
                retain: message.retain,
            };
            Ok((Packet::Message(heard), message.delivery.packet_id()))
        }
        _ => Ok((Packet::Other, None)),
    }
}
