//! Makes random traces: each from a seed, and each with only some of the features, so that a known difference in one does not end all.

use mqtt_codec::{QoS, ReasonCode, RetainHandling, SubscriptionOptions, Version};
use mqtt_testkit::rng::Rng;

use crate::past::matches;
use crate::trace::{After, Hello, LATE_S, Manner, Message, SOON_S, Step, Trace};

const VERSIONS: [Version; 3] = [Version::V5, Version::V311, Version::V31];
const TOPICS: [&str; 7] = ["a", "a/b", "a/b/c", "a/c", "b", "/a", "a/"];
const WILDCARDS: [&str; 8] = ["#", "+", "a/#", "a/+", "+/b", "a/+/c", "+/+", "+/#"];
const SHARES: [&str; 2] = ["g", "h"];
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
/// Bytes of a payload that a client with a Maximum Packet Size does not take.
const LARGE: usize = 600;
/// That Maximum Packet Size: far from what any other packet of a trace needs.
const MAXIMUM_PACKET_SIZE: u32 = 400;

/// What a trace may have in it.
#[derive(Debug)]
struct Features {
    shared: bool,
    overlap: bool,
    several: bool,
    options: bool,
    ids: bool,
    retained: bool,
    wills: bool,
    time: bool,
    receive_maximum: bool,
    packet_size: bool,
    aliases: bool,
    properties: bool,
    withhold: bool,
    refuse: bool,
    hold: bool,
    lose: bool,
    change_version: bool,
    takeover: bool,
}

impl Features {
    fn new(rng: &mut Rng) -> Self {
        let mut percent = |percent| rng.below(100) < percent;
        let receive_maximum = percent(35);
        Self {
            shared: percent(30),
            overlap: percent(60),
            several: percent(50),
            options: percent(60),
            ids: percent(60),
            retained: percent(60),
            wills: percent(45),
            time: percent(25),
            receive_maximum,
            packet_size: percent(25),
            aliases: percent(40),
            properties: percent(50),
            // A small window shows only in those who keep it full.
            withhold: percent(if receive_maximum { 80 } else { 40 }),
            refuse: percent(15),
            hold: percent(30),
            lose: percent(30),
            change_version: percent(15),
            takeover: percent(40),
        }
    }
}

/// What the generator keeps in mind of a client, to make steps that mean something.
#[derive(Clone, Debug)]
struct Mind {
    version: Version,
    connected: bool,
    filters: Vec<(String, SubscriptionOptions)>,
    /// Without overlap: whether it subscribes to `#` alone, or to topics without wildcards.
    everything: bool,
}

/// The trace of this seed.
pub(crate) fn generate(seed: u64) -> Trace {
    let mut rng = Rng::new(seed);
    let features = Features::new(&mut rng);
    let clients = 2 + rng.below(4);
    // Few topics, so that messages meet subscriptions.
    let first_topic = rng.below(TOPICS.len());
    let topics = (0..2 + rng.below(3)).map(|n| TOPICS[(first_topic + n) % TOPICS.len()]);
    let topics = topics.collect();
    let first = rng.below(6);
    let minds = (0..clients).map(|_| Mind {
        // A third of the traces have one version, the others all of them.
        version: VERSIONS[if first < 3 {
            first.min(1)
        } else {
            rng.below(3)
        }],
        connected: false,
        filters: Vec::new(),
        everything: rng.one_in(3),
    });
    let minds = minds.collect();
    let mut maker = Maker {
        rng,
        features,
        minds,
        topics,
        steps: Vec::new(),
        messages: 0,
    };
    maker.make();
    Trace {
        seed,
        clients,
        steps: maker.steps,
    }
}

struct Maker {
    rng: Rng,
    features: Features,
    minds: Vec<Mind>,
    topics: Vec<&'static str>,
    steps: Vec<Step>,
    messages: usize,
}

impl Maker {
    fn make(&mut self) {
        let length = 10 + self.rng.below(30);
        let wait_at = (length / 3) + self.rng.below(length / 2);
        for client in 0..self.minds.len() {
            if !self.rng.one_in(5) {
                self.connect(client);
                for _ in 0..self.rng.below(4) {
                    self.subscribe(client);
                }
            }
        }
        for number in 0..length {
            if self.features.time && number == wait_at {
                self.steps.push(Step::Wait);
                self.come_again();
            }
            let client = self.rng.below(self.minds.len());
            if self.minds[client].connected {
                self.step(client);
            } else {
                self.connect(client);
            }
        }
        // What became of the sessions is seen when they are resumed.
        for client in 0..self.minds.len() {
            if !self.minds[client].connected {
                self.connect(client);
            }
        }
        let client = self.rng.below(self.minds.len());
        self.publish(client);
    }

    fn step(&mut self, client: usize) {
        match self.rng.below(100) {
            0..=21 => self.subscribe(client),
            22..=27 => self.unsubscribe(client),
            28..=69 => self.publish(client),
            70..=75 if self.features.withhold || self.features.refuse => {
                let manner = self.manner();
                self.steps.push(Step::Answer(client, manner));
            }
            76..=79 if self.features.hold => self.steps.push(Step::Release(client)),
            80..=88 => {
                self.steps.push(Step::Cut(client));
                self.minds[client].connected = false;
            }
            89..=94 => self.disconnect(client),
            95..=97 if self.features.takeover => self.connect(client),
            98 => self.steps.push(Step::Ping(client)),
            _ => self.publish(client),
        }
    }

    /// Many resume their sessions when time has passed.
    fn come_again(&mut self) {
        for client in 0..self.minds.len() {
            if self.rng.one_in(2) {
                if self.minds[client].connected {
                    self.steps.push(Step::Cut(client));
                }
                self.connect(client);
            }
        }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.below(from.len())]
    }

    fn topic(&mut self) -> String {
        self.topics[self.rng.below(self.topics.len())].to_owned()
    }

    fn maybe<T>(&mut self, allowed: bool, one_in: usize, value: T) -> Option<T> {
        (allowed && self.rng.one_in(one_in)).then_some(value)
    }

    fn manner(&mut self) -> Manner {
        let withhold = [Manner::AtOnce, Manner::Withhold, Manner::Halfway];
        match (self.features.withhold, self.features.refuse) {
            (true, true) if self.rng.one_in(3) => Manner::Refuse,
            (true, _) => self.pick(&withhold),
            (false, true) => self.pick(&[Manner::AtOnce, Manner::Refuse]),
            (false, false) => Manner::AtOnce,
        }
    }

    fn connect(&mut self, client: usize) {
        if self.features.change_version && self.rng.one_in(3) {
            self.minds[client].version = self.pick(&VERSIONS);
        }
        let version = self.minds[client].version;
        let v5 = version.is_v5();
        let lifetime = if self.features.time && self.rng.one_in(3) {
            SOON_S
        } else {
            LATE_S
        };
        let will = if self.features.wills && self.rng.one_in(2) {
            let mut message = self.message(v5);
            message.alias = None;
            let delay = if self.features.time && self.rng.one_in(2) {
                self.pick(&[SOON_S, LATE_S])
            } else {
                0
            };
            Some((message, Some(delay).filter(|&delay| v5 && delay > 0)))
        } else {
            None
        };
        let receive_maximum = self.pick(&[1, 2, 3]);
        let topic_alias_maximum = self.pick(&[1, 2, 10]);
        let problem_information = self.rng.one_in(2);
        let hello = Hello {
            version,
            clean: self.rng.one_in(3),
            expiry: if v5 && !self.rng.one_in(4) {
                Some(lifetime)
            } else {
                None
            },
            will,
            receive_maximum: self.maybe(v5 && self.features.receive_maximum, 2, receive_maximum),
            maximum_packet_size: self.maybe(
                v5 && self.features.packet_size,
                2,
                MAXIMUM_PACKET_SIZE,
            ),
            topic_alias_maximum: self.maybe(v5 && self.features.aliases, 2, topic_alias_maximum),
            problem_information: self.maybe(v5, 4, problem_information),
            manner: if self.features.receive_maximum || self.rng.one_in(2) {
                self.manner()
            } else {
                Manner::AtOnce
            },
        };
        self.steps.push(Step::Connect(client, hello));
        self.minds[client].connected = true;
    }

    fn filter(&mut self, client: usize) -> String {
        if !self.features.overlap {
            return if self.minds[client].everything {
                "#".to_owned()
            } else {
                self.topic()
            };
        }
        if self.rng.one_in(2) {
            let from = self.rng.below(WILDCARDS.len());
            let wildcards = (0..WILDCARDS.len()).map(|n| WILDCARDS[(from + n) % WILDCARDS.len()]);
            let mut hits =
                wildcards.filter(|filter| self.topics.iter().any(|topic| matches(filter, topic)));
            hits.next().unwrap_or("#").to_owned()
        } else {
            self.topic()
        }
    }

    fn subscribe(&mut self, client: usize) {
        let v5 = self.minds[client].version.is_v5();
        let count = if self.features.several && self.rng.one_in(3) {
            1 + self.rng.below(3)
        } else {
            1
        };
        let mut filters: Vec<(String, SubscriptionOptions)> = Vec::new();
        for _ in 0..count {
            let known = &self.minds[client].filters;
            let again = (!known.is_empty() && self.rng.one_in(3))
                .then(|| known[self.rng.below(known.len())].clone());
            let mut filter = match &again {
                Some((filter, _)) => filter.clone(),
                None => self.filter(client),
            };
            if self.features.shared && !filter.starts_with('$') && self.rng.one_in(2) {
                filter = format!("$share/{}/{filter}", self.pick(&SHARES));
            }
            let mut options = SubscriptionOptions::new(self.pick(&QOS));
            if v5 && self.features.options {
                // With No Local, a shared subscription is a protocol error.
                options.no_local = !filter.starts_with('$') && self.rng.one_in(4);
                options.retain_as_published = self.rng.one_in(3);
                options.retain_handling = self.pick(&[
                    RetainHandling::SendAtSubscribe,
                    RetainHandling::SendIfNew,
                    RetainHandling::DoNotSend,
                ]);
            }
            // Mosquitto does not take new ones of these.
            if let Some((_, old)) = again.filter(|(old, _)| *old == filter && !self.rng.one_in(8)) {
                options.no_local = old.no_local && v5;
                options.retain_as_published = old.retain_as_published && v5;
            }
            let known = &mut self.minds[client].filters;
            match known.iter_mut().find(|(known, _)| *known == filter) {
                Some((_, known)) => *known = options,
                None => known.push((filter.clone(), options)),
            }
            filters.push((filter, options));
        }
        let id = 1 + self.rng.below(300) as u32;
        let id = Some(id).filter(|_| v5 && self.features.ids && !self.rng.one_in(3));
        self.steps.push(Step::Subscribe(client, filters, id));
    }

    fn unsubscribe(&mut self, client: usize) {
        let known = self.minds[client].filters.clone();
        let count = if self.rng.one_in(4) { 2 } else { 1 };
        let filters = (0..count).map(|_| {
            if known.is_empty() || self.rng.one_in(4) {
                self.filter(client)
            } else {
                known[self.rng.below(known.len())].0.clone()
            }
        });
        let filters = filters.collect();
        self.steps.push(Step::Unsubscribe(client, filters));
    }

    fn message(&mut self, v5: bool) -> Message {
        self.messages += 1;
        let retain = self.features.retained && self.rng.one_in(2);
        let mut payload = if retain && self.rng.one_in(4) {
            String::new()
        } else {
            format!("m{}", self.messages)
        };
        if self.features.packet_size && !payload.is_empty() && self.rng.one_in(3) {
            payload = format!("{payload:.<LARGE$}");
        }
        let expiry = if self.features.time && self.rng.one_in(2) {
            SOON_S
        } else {
            LATE_S
        };
        let alias = 1 + self.rng.below(3) as u16;
        Message {
            topic: self.topic(),
            payload,
            qos: self.pick(&QOS),
            retain,
            expiry: self.maybe(
                v5 && (self.features.time || self.features.properties),
                3,
                expiry,
            ),
            properties: v5 && self.features.properties && self.rng.one_in(2),
            alias: self.maybe(v5 && self.features.aliases, 2, alias),
        }
    }

    fn publish(&mut self, client: usize) {
        let message = self.message(self.minds[client].version.is_v5());
        let mut after = After::Complete;
        if self.features.hold && message.qos == QoS::ExactlyOnce && self.rng.one_in(3) {
            after = After::Hold;
        } else if self.features.lose && self.rng.one_in(10) {
            after = After::Lose;
            self.minds[client].connected = false;
        }
        self.steps.push(Step::Publish(client, message, after));
    }

    fn disconnect(&mut self, client: usize) {
        let v5 = self.minds[client].version.is_v5();
        let reason = if v5 && self.rng.one_in(3) {
            ReasonCode::DISCONNECT_WITH_WILL_MESSAGE
        } else {
            ReasonCode::SUCCESS
        };
        let lifetimes: &[u32] = if self.features.time {
            &[0, SOON_S, LATE_S]
        } else {
            &[0, LATE_S]
        };
        let lifetime = self.pick(lifetimes);
        let expiry = self.maybe(v5, 3, lifetime);
        self.steps.push(Step::Disconnect(client, reason, expiry));
        self.minds[client].connected = false;
    }
}
