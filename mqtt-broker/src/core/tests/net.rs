//! Several workers' cores, and clients whose bytes go straight in and out.

use std::collections::HashMap;
use std::io::IoSlice;
use std::sync::Arc;

use mqtt_codec::{
    Connect, Decoded, Decoder, Delivery, Filters, FromServer, PacketId, Properties, PubAck,
    PubComp, PubRec, PubRel, Publish, QoS, ReasonCode, Subscribe, SubscribeFilter,
    SubscriptionOptions, Version,
};
use mqtt_session::Instant;

use crate::core::{AllowAll, ConnId, Core, Effect, Memory, Peer, Received, Settings, Shared};

/// A message as a client received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
}

/// One client's end: it acknowledges everything at once.
#[derive(Debug)]
struct Client {
    worker: usize,
    conn: ConnId,
    version: Version,
    next_id: u16,
    unread: Vec<u8>,
    received: Vec<Message>,
    packets: Vec<String>,
    closed: bool,
}

/// The whole broker, without sockets and clocks.
#[derive(Debug)]
pub(super) struct Net {
    cores: Vec<Core>,
    clients: Vec<Client>,
    by_conn: HashMap<(usize, ConnId), usize>,
    pub(super) now: Instant,
}

impl Net {
    pub(super) fn new(workers: u16) -> Self {
        let now = Instant::from_millis(1_000);
        let settings = Settings {
            sys_interval_ms: 0,
            ..Settings::default()
        };
        let shared = Shared::new(settings, workers, 7);
        let core = |worker| {
            Core::new(
                Arc::clone(&shared),
                worker,
                Box::<Memory>::default(),
                Arc::new(AllowAll),
                u64::from(worker),
                now,
            )
        };
        Self {
            cores: (0..workers).map(core).collect(),
            clients: Vec::new(),
            by_conn: HashMap::new(),
            now,
        }
    }

    /// Connects a client of version 5 with a clean start.
    pub(super) fn connect(&mut self, client_id: &str) -> usize {
        self.connect_with(&Connect::new(Version::V5, client_id))
    }

    pub(super) fn connect_with(&mut self, connect: &Connect<'_>) -> usize {
        let mut bytes = vec![0; connect.encoded_len()];
        connect.encode(&mut bytes).unwrap();
        let index = self.clients.len();
        let mut worker = index % self.cores.len();
        let conn = loop {
            let conn = self.cores[worker].open(Peer::default(), self.now).unwrap();
            match self.cores[worker].receive(conn, &bytes, self.now) {
                Received::HandOver { worker: home } => worker = usize::from(home),
                _ => break conn,
            }
        };
        self.clients.push(Client {
            worker,
            conn,
            version: connect.version,
            next_id: 1,
            unread: Vec::new(),
            received: Vec::new(),
            packets: Vec::new(),
            closed: false,
        });
        self.by_conn.insert((worker, conn), index);
        self.settle();
        index
    }

    pub(super) fn subscribe(&mut self, client: usize, filter: &str, qos: QoS) {
        let filters = [SubscribeFilter {
            filter,
            options: SubscriptionOptions {
                qos,
                ..SubscriptionOptions::default()
            },
        }];
        let packet_id = self.next_id(client);
        let packet = Subscribe {
            packet_id,
            properties: Properties::EMPTY,
            filters: Filters::List(&filters),
        };
        let version = self.clients[client].version;
        let mut bytes = vec![0; packet.encoded_len(version)];
        packet.encode(version, &mut bytes).unwrap();
        self.send(client, &bytes);
    }

    pub(super) fn publish(&mut self, client: usize, topic: &str, payload: &str, qos: QoS) {
        let id = self.next_id(client);
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce(id),
            QoS::ExactlyOnce => Delivery::ExactlyOnce(id),
        };
        let packet = Publish {
            dup: false,
            retain: false,
            delivery,
            topic,
            properties: Properties::EMPTY,
            payload: payload.as_bytes(),
        };
        let version = self.clients[client].version;
        let mut bytes = vec![0; packet.encoded_len(version)];
        packet.encode(version, &mut bytes).unwrap();
        self.send(client, &bytes);
    }

    fn next_id(&mut self, client: usize) -> PacketId {
        let id = self.clients[client].next_id;
        self.clients[client].next_id += 1;
        PacketId::new(id).unwrap()
    }

    /// Sends bytes, and lets everything happen that follows from them.
    pub(super) fn send(&mut self, client: usize, bytes: &[u8]) {
        let (worker, conn) = (self.clients[client].worker, self.clients[client].conn);
        let _ = self.cores[worker].receive(conn, bytes, self.now);
        self.settle();
    }

    /// What a client received so far.
    pub(super) fn received(&self, client: usize) -> Vec<Message> {
        self.clients[client].received.clone()
    }

    /// Rounds until nothing happens any more.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for worker in 0..self.cores.len() {
                self.cores[worker].tick(self.now);
                self.cores[worker].commit();
                let effects: Vec<Effect> = self.cores[worker].effects().collect();
                for effect in effects {
                    if let Effect::ToWorker { worker, batch } = effect {
                        quiet = false;
                        self.cores[usize::from(worker)].inbox(batch, self.now);
                    }
                }
                while let Some(conn) = self.cores[worker].next_touched() {
                    quiet = false;
                    self.flush(worker, conn);
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn flush(&mut self, worker: usize, conn: ConnId) {
        let polled = self.cores[worker].poll(conn, self.now);
        let mut bytes = Vec::new();
        if let Some(output) = self.cores[worker].output(conn) {
            let mut slices = [IoSlice::new(&[]); 16];
            let filled = output.slices(&mut slices);
            bytes = slices
                .iter()
                .take(filled)
                .flat_map(|slice| slice.to_vec())
                .collect();
        }
        self.cores[worker].written(conn, bytes.len());
        let Some(&client) = self.by_conn.get(&(worker, conn)) else {
            return;
        };
        if polled.close {
            self.cores[worker].closed(conn, self.now);
            self.clients[client].closed = true;
        }
        let answers = self.clients[client].read(&bytes);
        if !answers.is_empty() && !self.clients[client].closed {
            let _ = self.cores[worker].receive(conn, &answers, self.now);
        }
    }
}

impl Client {
    /// Takes what the broker sent, and gives the acknowledgements that it asks for.
    fn read(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.unread.extend_from_slice(bytes);
        let mut answers = Vec::new();
        let unread = core::mem::take(&mut self.unread);
        let mut rest = &unread[..];
        while let Ok(Decoded::Complete { packet, len }) =
            Decoder::new(self.version).from_server(rest)
        {
            rest = &rest[len..];
            let (reason, properties, version) =
                (ReasonCode::SUCCESS, Properties::EMPTY, self.version);
            let mut buffer = [0; 16];
            let written = match packet {
                FromServer::Publish(publish) => {
                    self.received.push(Message {
                        topic: publish.topic.to_owned(),
                        payload: publish.payload.to_vec(),
                        qos: publish.delivery.qos(),
                        retain: publish.retain,
                    });
                    match publish.delivery {
                        Delivery::AtMostOnce => Ok(0),
                        Delivery::AtLeastOnce(packet_id) => PubAck {
                            packet_id,
                            reason,
                            properties,
                        }
                        .encode(version, &mut buffer),
                        Delivery::ExactlyOnce(packet_id) => PubRec {
                            packet_id,
                            reason,
                            properties,
                        }
                        .encode(version, &mut buffer),
                    }
                }
                FromServer::PubRec(packet) => PubRel {
                    packet_id: packet.packet_id,
                    reason,
                    properties,
                }
                .encode(version, &mut buffer),
                FromServer::PubRel(packet) => PubComp {
                    packet_id: packet.packet_id,
                    reason,
                    properties,
                }
                .encode(version, &mut buffer),
                other => {
                    self.packets.push(format!("{other:?}"));
                    Ok(0)
                }
            };
            answers.extend_from_slice(&buffer[..written.unwrap()]);
        }
        self.unread = rest.to_vec();
        answers
    }
}
