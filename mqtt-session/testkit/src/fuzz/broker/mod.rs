//! The broker's core: several clients that send what they like, at one to three workers, and a pair of healthy ones in the end.

mod peer;
mod store;
mod world;

use std::sync::Arc;

use mqtt_broker::core::{
    ConnectRequest, Decision, Identity, LocalId, Message, Policy, Question, Settings,
};
use mqtt_codec::{Connect, QoS, ReasonCode, SubscriptionOptions, Version};
use mqtt_session::Limits;
use mqtt_topic::TopicFilter;

use super::Shape;
use super::grammar::Grammar;
use super::input::Input;
use world::World;

/// Clients that send anything; two healthy ones stand behind them.
const CLIENTS: usize = 4;
/// Operations carried out in one input.
const MOST_STEPS: u32 = 250;
/// Sessions outlive their connections by no more, in seconds.
const KEPT: u32 = 100;

/// Asks about some, refuses some.
struct Moody;

impl Policy for Moody {
    fn connect(&self, request: &ConnectRequest) -> Decision {
        match (&request.authentication_method, &request.user_name) {
            (Some(_), _) if request.authentication_step < 2 => Decision::Challenge([1, 2].into()),
            (Some(_), _) => Decision::AcceptWith([3].into()),
            (None, Some(name)) if &**name == "x" => Decision::Ask,
            (None, Some(name)) if &**name == "why" => Decision::Refuse(ReasonCode::NOT_AUTHORIZED),
            (None, _) => Decision::Accept,
        }
    }

    fn subscribe(&self, _client: Identity<'_>, filter: &str, _qos: QoS) -> Decision {
        match filter {
            "b" | "$share/h/a/+" => Decision::Ask,
            "+/+" => Decision::Refuse(ReasonCode::NOT_AUTHORIZED),
            _ => Decision::Accept,
        }
    }

    fn publish(&self, _client: Identity<'_>, topic: &str, _qos: QoS, _retain: bool) -> bool {
        topic != "b/c/d"
    }
}

fn settings(input: &mut Input<'_>) -> Settings {
    let mut settings = Settings::default();
    let choice = input.byte();
    let pick = |shift: u8| usize::from(choice >> shift & 3);
    let mut limits = Limits::DEFAULT;
    limits.receive_maximum = [100, 1, 2, 5][pick(0)];
    limits.unannounced_receive_maximum = [100, 2, 1, 5][pick(0)];
    limits.send_maximum = [100, 2, 1, 5][pick(2)];
    limits.topic_alias_send_maximum = [4, 1, 0, 2][pick(2)];
    limits.topic_alias_maximum = [4, 1, 0, 2][pick(4)];
    limits.maximum_packet_size = [10_000, 10_000, 500, 100][pick(4)];
    settings.limits = limits;
    settings.queue_messages = [50, 3, 1, 10][pick(6)];
    settings.queue_bytes = [100_000, 10_000, 300, 100_000][pick(6)];
    settings.unread_output_bytes = [30_000, 2_000, 300, 10_000][pick(6)];
    settings.subscriptions_per_client = [50, 50, 2, 4][pick(2)];
    settings.user_properties = 2;
    settings.retained_messages = [50, 2, 3, 50][pick(0)];
    settings.session_expiry_maximum = KEPT;
    settings.keep_alive_maximum = [0, 5, 0, 60][pick(4)];
    settings.sys_interval_ms = [0, 0, 0, 60_000][pick(2)];
    settings
}

/// Reads the input as settings and operations.
///
/// # Panics
/// When the broker does what it must not, whatever its clients did.
pub fn run(bytes: &[u8]) -> Shape {
    let mut input = Input::new(bytes);
    let settings = settings(&mut input);
    let choice = input.byte();
    let workers = 1 + u16::from(choice % 3);
    let mut run = Run {
        world: World::new(workers, CLIENTS + 2, settings, Arc::new(Moody)),
        eager: choice & 0x80 == 0,
        shape: Shape::default(),
    };
    run.world.prompt = choice & 0x40 == 0;
    for client in 0..=usize::from(choice >> 4 & 3) {
        run.open(client, &mut input);
    }
    while !input.is_empty() && run.shape.steps < MOST_STEPS {
        run.shape.steps += 1;
        run.step(&mut input);
    }
    run.end();
    run.shape
}

struct Run {
    world: World,
    /// Everything is carried out before the next operation.
    eager: bool,
    shape: Shape,
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.byte();
        let client = usize::from(operation >> 5) % CLIENTS;
        match operation % 32 {
            0..=10 => self.send(client, input),
            11 | 12 => self.open(client, input),
            14 => self.world.cut(client),
            15 => {
                let _ = self.world.round();
            }
            16 => self.world.run(),
            17 => {
                let ms = [1, 100, 1_500, 5_000, 10_000, 20_000, 60_000, 110_000];
                self.world.advance(ms[usize::from(operation >> 5)]);
            }
            18 => {
                self.world.log.commit(1 + usize::from(operation >> 5));
            }
            19 | 20 => {
                self.world.peers[client].deaf ^= true;
                if !self.world.peers[client].deaf {
                    self.world.drain(client, usize::MAX);
                }
            }
            13 | 21 => {
                let most = usize::from(input.byte()) * 37;
                self.world.drain(client, most);
            }
            22 => self.answer(input),
            23 | 24 => {
                for _ in 0..=operation >> 6 {
                    self.publish(input);
                }
            }
            25 => self.local(operation),
            26 => {
                let len = input.below(64);
                self.world.fragment(client, len);
            }
            27 => self.world.peers[client].answers ^= true,
            28 => {
                let workers = 1 + u16::from(operation >> 5) % 3;
                self.world.restart(workers);
            }
            29 => {
                // Another connection of a client whose first is still open.
                let other = (client + 1) % CLIENTS;
                self.world.peers.swap(client, other);
            }
            _ => {
                for _ in 0..input.below(16) {
                    self.send(client, input);
                }
            }
        }
        if self.eager {
            self.world.run();
        }
        self.greet();
    }

    fn greet(&mut self) {
        self.shape.decodes |= self.world.peers.iter().any(|peer| peer.greeted);
    }

    fn open(&mut self, client: usize, input: &mut Input<'_>) {
        let choice = input.byte();
        self.world.open(client, usize::from(choice >> 4 & 3));
        self.world.peers[client].sips = [0, 0, 997, 5_000][usize::from(choice >> 6)];
        let mut hello = Vec::new();
        self.grammar(client, choice & 3, &[])
            .hello(input, &mut hello);
        self.world.peers[client].send(&hello);
        if choice & 4 == 0 {
            self.world.run();
        }
    }

    fn grammar<'a>(&self, client: usize, choice: u8, awaited: &'a [u16]) -> Grammar<'a> {
        let other = [Version::V5, Version::V311, Version::V5, Version::V31];
        let version = self.world.peers[client].version();
        let other = other[usize::from(choice)];
        Grammar {
            version: version.unwrap_or(other),
            client: true,
            awaited,
        }
    }

    fn send(&mut self, client: usize, input: &mut Input<'_>) {
        let peer = &self.world.peers[client];
        if peer.sent.len() > 20_000 || peer.at.is_none() {
            return self.open(client, input);
        }
        let awaited = peer.awaited.clone();
        let mut packet = Vec::new();
        self.grammar(client, 0, &awaited).packet(input, &mut packet);
        self.world.peers[client].send(&packet);
    }

    fn answer(&mut self, input: &mut Input<'_>) {
        let Some((worker, id, question)) = self.world.questions.pop_front() else {
            return;
        };
        let choice = input.byte();
        let decision = match choice & 7 {
            0..=4 => Decision::Accept,
            5 => Decision::Refuse(ReasonCode::NOT_AUTHORIZED),
            6 => Decision::Challenge([4].into()),
            _ => Decision::AcceptWith([5].into()),
        };
        let (now, core) = (self.world.now, &mut self.world.cores[worker]);
        match question {
            Question::Connect(_) => core.answer_connect(id, decision, now),
            Question::Subscribe { filters, .. } => {
                let count = filters.len() - usize::from(choice >> 7).min(filters.len());
                core.answer_subscribe(id, &vec![decision; count], now);
            }
            other => panic!("{other:?}"),
        }
        // A second answer is too late.
        core.answer_connect(id, Decision::Accept, now);
        core.answer_subscribe(id, &[Decision::Accept], now);
    }

    fn publish(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let topic = ["a", "a/b", "$SYS/a", "b"][usize::from(choice & 3)];
        let qos = [
            QoS::AtLeastOnce,
            QoS::AtMostOnce,
            QoS::ExactlyOnce,
            QoS::AtLeastOnce,
        ];
        let payload = vec![choice; [3, 0, 9_000, 9_000][usize::from(choice >> 4 & 3)]];
        let retain = choice & 0x40 != 0;
        let qos = qos[usize::from(choice >> 2 & 3)];
        let message = Message::new(topic, &[], &payload, qos, retain);
        self.world
            .publish(usize::from(choice >> 7), &Arc::new(message));
    }

    fn local(&mut self, operation: u8) {
        let filter = TopicFilter::new("a/#").expect("a filter");
        let shared = &self.world.shared;
        if operation & 0x20 == 0 {
            shared.subscribe_local(LocalId(1), &filter, SubscriptionOptions::default());
        } else {
            shared.unsubscribe_local(LocalId(1), &filter);
        }
        let _ = shared.retained_matches(&filter, self.world.now);
    }

    /// A healthy pair exchanges a message beside all the others; then everything ends, and nothing is left.
    fn end(&mut self) {
        self.world.prompt = true;
        let now = self.world.now;
        self.world.run();
        self.greet();
        self.pair();
        for client in 0..CLIENTS + 2 {
            self.world.cut(client);
        }
        self.world.questions.clear();
        self.world.advance(u64::from(2 * KEPT) * 1_000 + 60_000);
        assert!(self.world.now > now);
        let filter = TopicFilter::new("a/#").expect("a filter");
        self.world.shared.unsubscribe_local(LocalId(1), &filter);
        self.world.run();
        for (name, gauge) in self.world.gauges() {
            assert_eq!(gauge, 0, "{name} when everything is over");
        }
        let everything = TopicFilter::new("#").expect("a filter");
        let kept = self
            .world
            .shared
            .retained_matches(&everything, self.world.now);
        let retained = self.world.shared.counters().retained.get();
        assert!(
            kept.len() as u64 <= retained,
            "{} of {retained}",
            kept.len()
        );
        self.world.restart(1);
        self.world.run();
        for (name, gauge) in self.world.gauges() {
            assert_eq!(
                gauge, 0,
                "{name} when everything is over and the broker starts again"
            );
        }
        let (now, shared) = (self.world.now, &self.world.shared);
        assert_eq!(shared.retained_matches(&everything, now).len(), kept.len());
        for worker in &mut self.world.cores {
            worker.shutdown(now);
        }
        self.world.run();
    }

    fn pair(&mut self) {
        let (publisher, subscriber) = (CLIENTS, CLIENTS + 1);
        for (client, id) in [(publisher, "healthy-1"), (subscriber, "healthy-2")] {
            self.world.peers[client].answers = true;
            self.world.open(client, client);
            let connect = Connect::new(Version::V311, id);
            let mut bytes = vec![0; connect.encoded_len()];
            connect
                .encode(&mut bytes)
                .expect("a CONNECT that can be sent");
            self.world.peers[client].send(&bytes);
            self.world.run();
            assert!(self.world.peers[client].greeted, "{id} is not connected");
        }
        let subscribe = b"\x82\x0d\x00\x01\x00\x08health/#\x01";
        self.world.peers[subscriber].send(subscribe);
        self.world.run();
        assert_eq!(self.world.peers[subscriber].acknowledged, 1, "SUBACK");
        let publish = b"\x32\x15\x00\x0ahealth/now\x00\x02I am w!";
        self.world.peers[publisher].send(publish);
        self.world.run();
        assert_eq!(self.world.peers[publisher].acknowledged, 1, "PUBACK");
        let heard = &self.world.peers[subscriber].payloads;
        assert!(
            heard.iter().any(|payload| payload == b"I am w!"),
            "{heard:?}"
        );
    }
}
