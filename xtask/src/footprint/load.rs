//! Clients that do next to nothing themselves: idle connections, and pairs that exchange small messages.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::SystemTime;

use mqtt_codec::{
    Connect, Decoded, Decoder, Delivery, Filters, FromServer, PacketId, Properties, Publish, QoS,
    Subscribe, SubscribeFilter, SubscriptionOptions, Version,
};

use super::broker::text;
use crate::shell::Result;

const VERSION: Version = Version::V311;
/// Bytes of payload.
const PAYLOAD: [u8; 64] = [b'x'; 64];
/// Loopback addresses that connections are spread over.
const ADDRESSES: usize = 8;
/// A broker that takes longer than this has lost something.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens connections that then stay silent.
pub(super) fn idle(port: u16, number: usize) -> Result<Vec<TcpStream>> {
    // Other addresses in every run: connections of the last one that linger in TIME_WAIT are in nobody's way.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let run = now.map_or(0, |now| now.as_millis());
    let host = |place: usize| {
        Ipv4Addr::new(
            127,
            (run / 256 % 200) as u8 + 1,
            (run % 256) as u8,
            (place % ADDRESSES) as u8 + 1,
        )
    };
    (0..number)
        .map(|place| connect(host(place), port, &format!("idle-{place}")))
        .collect()
}

fn connect(host: Ipv4Addr, port: u16, client_id: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect((host, port)).map_err(text)?;
    stream.set_nodelay(true).map_err(text)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    let mut connect = Connect::new(VERSION, client_id);
    connect.keep_alive = 600;
    let mut bytes = vec![0; connect.encoded_len()];
    connect
        .encode(&mut bytes)
        .map_err(|error| error.to_string())?;
    stream.write_all(&bytes).map_err(text)?;
    match answer(&mut stream, 4)?.as_slice() {
        [0x20, 2, 0, 0] => Ok(stream),
        other => Err(format!("CONNECT was answered with {other:02x?}").into()),
    }
}

/// Reads a packet of a known length, and decodes it so that a wrong one is seen here.
fn answer(stream: &mut TcpStream, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).map_err(text)?;
    match Decoder::new(VERSION).from_server(&bytes) {
        Ok(Decoded::Complete {
            packet: FromServer::ConnAck(_) | FromServer::SubAck(_),
            ..
        }) => Ok(bytes),
        other => Err(format!("the broker sent {other:?}").into()),
    }
}

/// Publishers with one subscriber each.
pub(super) struct Pairs {
    pairs: Vec<Pair>,
}

struct Pair {
    publisher: TcpStream,
    subscriber: TcpStream,
    frame: Vec<u8>,
    /// Bytes that have come and are no whole message yet.
    part: usize,
}

impl Pairs {
    pub(super) fn connect(port: u16, number: usize) -> Result<Self> {
        let pairs = (0..number).map(|place| Pair::connect(port, place));
        Ok(Self {
            pairs: pairs.collect::<Result<_>>()?,
        })
    }

    /// Has `messages` sent and received, `window` of each pair on their way at any time.
    pub(super) fn exchange(&mut self, window: usize, messages: usize) -> Result<()> {
        let each = messages / self.pairs.len();
        let mut sent = vec![0; self.pairs.len()];
        let mut received = vec![0; self.pairs.len()];
        for (pair, sent) in self.pairs.iter_mut().zip(&mut sent) {
            *sent = window.min(each);
            pair.send(*sent)?;
        }
        while received.iter().any(|received| *received < each) {
            for ((pair, sent), received) in self.pairs.iter_mut().zip(&mut sent).zip(&mut received)
            {
                if *received == each {
                    continue;
                }
                let came = pair.receive()?;
                *received += came;
                let more = came.min(each - *sent);
                *sent += more;
                pair.send(more)?;
            }
        }
        Ok(())
    }
}

impl Pair {
    fn connect(port: u16, place: usize) -> Result<Self> {
        let topic = format!("pair/{place}");
        let mut subscriber = connect(Ipv4Addr::LOCALHOST, port, &format!("sub-{place}"))?;
        let publisher = connect(Ipv4Addr::LOCALHOST, port, &format!("pub-{place}"))?;
        let filter = SubscribeFilter {
            filter: &topic,
            options: SubscriptionOptions::new(QoS::AtMostOnce),
        };
        let subscribe = Subscribe {
            packet_id: PacketId::new(1).ok_or("1 is a packet id")?,
            properties: Properties::EMPTY,
            filters: Filters::List(&[filter]),
        };
        let mut bytes = vec![0; subscribe.encoded_len(VERSION)];
        subscribe
            .encode(VERSION, &mut bytes)
            .map_err(|error| error.to_string())?;
        subscriber.write_all(&bytes).map_err(text)?;
        answer(&mut subscriber, 5)?;
        let publish = Publish {
            dup: false,
            retain: false,
            delivery: Delivery::AtMostOnce,
            topic: &topic,
            properties: Properties::EMPTY,
            payload: &PAYLOAD,
        };
        let mut frame = vec![0; publish.encoded_len(VERSION)];
        publish
            .encode(VERSION, &mut frame)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            publisher,
            subscriber,
            frame,
            part: 0,
        })
    }

    /// Sends messages in one write.
    fn send(&mut self, messages: usize) -> Result<()> {
        if messages == 0 {
            return Ok(());
        }
        self.publisher
            .write_all(&self.frame.repeat(messages))
            .map_err(text)
    }

    /// Reads once; says how many messages have come. They look as they were sent, so their length says it.
    fn receive(&mut self) -> Result<usize> {
        let mut bytes = [0; 16 * 1024];
        let n = self.subscriber.read(&mut bytes).map_err(text)?;
        if n == 0 {
            return Err("the broker closed a connection".into());
        }
        self.part += n;
        let whole = self.part / self.frame.len();
        self.part %= self.frame.len();
        Ok(whole)
    }
}
