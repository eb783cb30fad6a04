//! The first exchange of each kind, between a client and a server session over plain byte vectors.

use std::collections::VecDeque;

use mqtt_codec::{
    Connect, Decoded, FromClient, FromServer, Properties, Property, QoS, ReasonCode,
    SubscribeFilter, SubscriptionOptions, Version,
};
use mqtt_session::profile::Full;
use mqtt_session::storage::Heap;
use mqtt_session::{
    Accept, Change, ClientEvent, ClientSession, Instant, Limits, Outbox, Outcome, OutgoingMessage,
    Output, Owner, Seq, ServerEvent, ServerSession,
};

#[derive(Default)]
struct Heaped {
    limits: Limits,
    first: u64,
    queue: VecDeque<Option<(String, QoS, Vec<u8>)>>,
    ended: Vec<(Seq, Outcome)>,
}

impl Outbox for Heaped {
    fn next(&mut self, from: Seq) -> Option<Seq> {
        (from.0.max(self.first)..self.first + self.queue.len() as u64)
            .find(|seq| self.queue[(seq - self.first) as usize].is_some())
            .map(Seq)
    }
    fn message(&mut self, seq: Seq) -> Option<OutgoingMessage<'_>> {
        let (topic, qos, payload) = self.queue.get((seq.0 - self.first) as usize)?.as_ref()?;
        Some(OutgoingMessage {
            topic,
            qos: *qos,
            retain: false,
            expires: None,
            subscription_ids: &[],
            properties: Properties::EMPTY,
            payload_len: payload.len() as u32,
        })
    }
    fn done(&mut self, seq: Seq, outcome: Outcome) {
        self.ended.push((seq, outcome));
    }
}

impl Owner for Heaped {
    type Gate = ();
    fn record(&mut self, _: Change) {}
    fn committed(&self) {}
    fn limits(&self) -> &Limits {
        &self.limits
    }
}

fn connect(version: Version) -> Connect<'static> {
    Connect {
        version,
        clean_start: true,
        keep_alive: 60,
        client_id: "c",
        will: None,
        user_name: None,
        password: None,
        properties: Properties::EMPTY,
        bridge: false,
    }
}

struct Pair {
    client: ClientSession<Full, Heap>,
    server: ServerSession<Full, Heap>,
    ours: Heaped,
    theirs: Heaped,
    now: Instant,
    delivered: Vec<(String, QoS, Vec<u8>)>,
    subscribed: Vec<Vec<ReasonCode>>,
}

impl Pair {
    fn new() -> Self {
        let (now, limits) = (Instant::from_millis(1), Limits::default());
        let mut server = ServerSession::new();
        server.open(now, &limits);
        Self {
            client: ClientSession::new(),
            server,
            ours: Heaped::default(),
            theirs: Heaped::default(),
            now,
            delivered: vec![],
            subscribed: vec![],
        }
    }

    fn to_server(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            assert!(self.server.wants_input());
            let decoder = self.server.decoder(&Limits::default());
            let Decoded::Complete { packet, len } = decoder.from_client(bytes).unwrap() else {
                panic!()
            };
            match self
                .server
                .handle(packet, self.now, &mut self.theirs)
                .unwrap()
            {
                ServerEvent::Connect(_) => self
                    .server
                    .accept(Accept {
                        session_present: false,
                        server_keep_alive: None,
                        session_expiry: None,
                        kept: (),
                    })
                    .unwrap(),
                ServerEvent::Subscribe(subscribe) => {
                    let codes: Vec<_> = subscribe
                        .filters
                        .iter()
                        .map(|entry| ReasonCode(entry.options.qos as u8))
                        .collect();
                    self.server.answer_subscribe(codes, ()).unwrap();
                }
                ServerEvent::Publication(publication) => {
                    let mqtt_session::Topic::Name(topic) = publication.topic else {
                        panic!()
                    };
                    self.delivered.push((
                        topic.as_str().into(),
                        publication.qos,
                        publication.payload.to_vec(),
                    ));
                    if let Some(delivery) = publication.delivery {
                        assert!(self.server.settle(delivery, ReasonCode::SUCCESS, ()));
                    }
                }
                _ => {}
            }
            bytes = &bytes[len..];
        }
    }

    fn to_client(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let decoder = self.client.decoder(&Limits::default());
            let Decoded::Complete { packet, len } = decoder.from_server(bytes).unwrap() else {
                panic!()
            };
            if let ClientEvent::Subscribed(_, codes, _) = self
                .client
                .handle(packet, self.now, &mut self.ours)
                .unwrap()
            {
                self.subscribed.push(codes.iter().collect());
            }
            bytes = &bytes[len..];
        }
    }

    fn run(&mut self, first: Vec<u8>) {
        let mut up = first;
        loop {
            loop {
                match self.client.poll_output(&mut up, self.now, &mut self.ours) {
                    Output::Publish { seq, .. } => up.extend(
                        &self.ours.queue[(seq.0 - self.ours.first) as usize]
                            .as_ref()
                            .unwrap()
                            .2,
                    ),
                    Output::Wrote => {}
                    _ => break,
                }
            }
            self.to_server(&std::mem::take(&mut up));
            let mut down = vec![];
            while self
                .server
                .poll_output(&mut down, self.now, &mut self.theirs)
                == Output::Wrote
            {}
            if down.is_empty() {
                return;
            }
            self.to_client(&down);
        }
    }
}

/// One message of each QoS arrives once and is acknowledged to its end [MQTT-4.3.1-1], [MQTT-4.3.2-4], [MQTT-4.3.3-11].
#[test]
fn messages_of_every_qos_arrive_in_every_version() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut pair = Pair::new();
        let mut hello = vec![];
        pair.client
            .connect(&connect(version), &mut hello, pair.now, &mut pair.ours)
            .unwrap();
        pair.run(hello);
        assert!(pair.client.is_connected() && pair.server.is_connected());
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            pair.ours
                .queue
                .push_back(Some(("a/b".into(), qos, vec![qos as u8; 3])));
        }
        pair.run(vec![]);
        let expected = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
            .map(|qos| ("a/b".to_owned(), qos, vec![qos as u8; 3]));
        assert_eq!(pair.delivered, expected, "{version}");
        assert_eq!(
            pair.ours.ended,
            [
                (Seq(1), Outcome::Acknowledged(ReasonCode::SUCCESS)),
                (Seq(2), Outcome::Received(ReasonCode::SUCCESS))
            ]
        );
        assert!(pair.client.state().is_quiet() && pair.server.state().is_quiet());
    }
}

/// SUBACK carries one code for each filter, in their order [MQTT-3.8.4-6], [MQTT-3.9.3-1].
#[test]
fn subscribe_is_answered_with_a_code_for_each_filter() {
    let mut pair = Pair::new();
    let mut hello = vec![];
    pair.client
        .connect(&connect(Version::V5), &mut hello, pair.now, &mut pair.ours)
        .unwrap();
    pair.run(hello);
    let filters = [QoS::ExactlyOnce, QoS::AtMostOnce].map(|qos| SubscribeFilter {
        filter: "a/#",
        options: SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        },
    });
    let mut tx = vec![];
    pair.client
        .subscribe(&filters, Properties::EMPTY, &mut tx, pair.now)
        .unwrap();
    pair.run(tx);
    assert_eq!(pair.subscribed, [vec![ReasonCode(2), ReasonCode(0)]]);
}

/// What was in flight is sent again with DUP, in its order, with its ids [MQTT-4.4.0-1], [MQTT-3.3.1-1], [MQTT-4.6.0-1].
#[test]
fn a_resumed_session_replays_in_the_order_of_sending() {
    let mut pair = Pair::new();
    let mut hello = vec![];
    let list = [Property::SessionExpiryInterval(60)];
    let packet = Connect {
        clean_start: false,
        properties: Properties::List(&list),
        ..connect(Version::V5)
    };
    pair.client
        .connect(&packet, &mut hello, pair.now, &mut pair.ours)
        .unwrap();
    pair.run(hello);
    for (n, qos) in [QoS::ExactlyOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
        .into_iter()
        .enumerate()
    {
        pair.ours
            .queue
            .push_back(Some(("a/b".into(), qos, vec![n as u8])));
    }
    let mut lost = vec![];
    while pair.client.poll_output(&mut lost, pair.now, &mut pair.ours) != Output::Idle {
        // Heads only: what is written here never arrives.
    }
    assert_eq!(pair.client.state().in_flight(), 3);
    pair.client.close(pair.now);
    let mut tx = vec![];
    pair.client
        .connect(&packet, &mut tx, pair.now, &mut pair.ours)
        .unwrap();
    let answer = [0x20, 3, 1, 0, 0];
    pair.to_client(&answer);
    let mut seen = vec![];
    loop {
        let mut tx = vec![];
        match pair.client.poll_output(&mut tx, pair.now, &mut pair.ours) {
            Output::Publish { seq, .. } => {
                tx.push(seq.0 as u8);
                let decoder = pair.server.decoder(&Limits::default());
                let decoder = mqtt_codec::Decoder {
                    version: Version::V5,
                    ..decoder
                };
                let Decoded::Complete {
                    packet: FromClient::Publish(publish),
                    ..
                } = decoder.from_client(&tx).unwrap()
                else {
                    panic!()
                };
                seen.push((publish.delivery.packet_id().unwrap().get(), publish.dup));
            }
            _ => break,
        }
    }
    assert_eq!(seen, [(1, true), (2, true), (3, true)]);
    let _ = FromServer::PingResp;
}
