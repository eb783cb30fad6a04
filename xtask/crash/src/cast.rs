//! Who takes part in a run.

use mio::Token;
use mqtt_codec::{QoS, Version};

use crate::client::Client;
use crate::judge::{Deliveries, History, Receiver, Tally, Wills};
use crate::role::{
    Churner, Filters, Habit, Heir, Judge, Phoenix, Prober, Publisher, Reader, Retainer, Role,
    Subscriber, Testator,
};

const V3: Version = Version::V311;
const V5: Version = Version::V5;
const QOS_1: QoS = QoS::AtLeastOnce;
const QOS_2: QoS = QoS::ExactlyOnce;

/// Version, QoS and window of each publisher.
const PUBLISHERS: [(Version, QoS, usize); 6] = [
    (V3, QOS_1, 16),
    (V3, QOS_1, 96),
    (V5, QOS_1, 48),
    (V3, QOS_2, 24),
    (V5, QOS_2, 12),
    (V5, QOS_2, 64),
];

/// Version, QoS and habit of each subscriber.
const SUBSCRIBERS: [(Version, QoS, Habit); 6] = [
    (V3, QOS_2, Habit::Online),
    (V5, QOS_2, Habit::Online),
    (V3, QOS_1, Habit::Flapping),
    (V5, QOS_2, Habit::Flapping),
    (V3, QOS_2, Habit::Offline),
    (V5, QOS_2, Habit::Absent),
];

/// Version and habit of each member of the shared group.
const MEMBERS: [(Version, Habit); 3] = [
    (V5, Habit::Online),
    (V3, Habit::Online),
    (V5, Habit::Flapping),
];

/// Version and QoS of who changes retained topics, and topics of each.
const RETAINERS: [(Version, QoS); 2] = [(V3, QOS_1), (V5, QOS_2)];
const TOPICS: usize = 12;

/// Who changes subscriptions, and filters of each.
const CHURNERS: [Version; 2] = [V3, V5];
const FILTERS: usize = 9;

/// Whose sessions come and go.
const PHOENIXES: [Version; 2] = [V3, V5];

/// Version and QoS of who leaves a will, and the seconds that it waits.
const TESTATORS: [(Version, QoS, u32); 3] = [(V3, QOS_1, 0), (V5, QOS_2, 0), (V5, QOS_1, 100_000)];

/// Everybody, and what is to be judged.
pub(crate) struct Cast {
    pub(crate) clients: Vec<Client>,
    pub(crate) roles: Vec<Role>,
    pub(crate) judge: Judge,
    pub(crate) filters: Filters,
}

const fn short(version: Version) -> &'static str {
    match version {
        Version::V5 => "5.0",
        _ => "3.1.1",
    }
}

impl Cast {
    /// `acts_at_pubrec`: see [`Judge`].
    pub(crate) fn new(acts_at_pubrec: bool) -> Self {
        let filters = Filters {
            churners: CHURNERS.len(),
            each: FILTERS,
        };
        let mut cast = Self {
            clients: Vec::new(),
            roles: Vec::new(),
            judge: Judge {
                deliveries: Deliveries::new(&PUBLISHERS.map(|it| it.1), receivers()),
                retained: vec![History::new(None); TOPICS * RETAINERS.len()],
                wills: Wills::new(TESTATORS.map(|it| it.1)),
                tally: Tally::default(),
                acts_at_pubrec,
                round: 0,
            },
            filters,
        };
        for (stream, (version, qos, window)) in PUBLISHERS.into_iter().enumerate() {
            let role = Role::Publisher(Publisher {
                stream,
                qos,
                window,
            });
            cast.add(&format!("publisher {stream}"), version, role);
        }
        for (place, (version, qos, habit)) in SUBSCRIBERS.into_iter().enumerate() {
            let role = Role::Subscriber(Subscriber::new(place, qos, None, habit));
            cast.add(&name_of(place, habit), version, role);
        }
        for (place, (version, habit)) in MEMBERS.into_iter().enumerate() {
            let group = Some("group");
            let role = Role::Subscriber(Subscriber::new(SUBSCRIBERS.len(), QOS_2, group, habit));
            cast.add(&format!("member {place}"), version, role);
        }
        for (place, (version, qos)) in RETAINERS.into_iter().enumerate() {
            let topics = place * TOPICS..(place + 1) * TOPICS;
            let role = Role::Retainer(Retainer { topics, qos });
            cast.add(&format!("retainer {place}"), version, role);
        }
        for (place, version) in CHURNERS.into_iter().enumerate() {
            let role = Role::Churner(Churner::new(filters, place));
            cast.add(&format!("churner {place}"), version, role);
        }
        for (place, version) in PHOENIXES.into_iter().enumerate() {
            let role = Role::Phoenix(Phoenix::new());
            cast.add(&format!("phoenix {place}"), version, role);
        }
        for (stream, (version, qos, delay)) in TESTATORS.into_iter().enumerate() {
            let role = Role::Testator(Testator {
                stream,
                qos,
                delay,
                withdrawn: None,
            });
            cast.add(&format!("testator {stream}"), version, role);
        }
        cast.add("heir", V3, Role::Heir(Heir));
        cast.add("reader", V5, Role::Reader(Reader::default()));
        cast.add("prober", V5, Role::Prober(Prober));
        cast
    }

    /// The name is the client identifier too.
    fn add(&mut self, name: &str, version: Version, role: Role) {
        let name = format!("{name} ({})", short(version));
        let token = Token(self.clients.len());
        self.clients.push(Client::new(&name, version, token));
        self.roles.push(role);
    }
}

fn name_of(place: usize, habit: Habit) -> String {
    let habit = format!("{habit:?}").to_lowercase();
    format!("{habit} subscriber {place}")
}

/// Every subscription, the group last.
fn receivers() -> Vec<Receiver> {
    let subscribers = SUBSCRIBERS.into_iter().enumerate();
    let mut receivers: Vec<Receiver> = subscribers
        .map(|(place, (version, granted, habit))| Receiver {
            name: format!("{} ({})", name_of(place, habit), short(version)),
            granted,
            group: false,
        })
        .collect();
    receivers.push(Receiver {
        name: "the shared group".into(),
        granted: QOS_2,
        group: true,
    });
    receivers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_and_both_qualities_are_there() {
        let cast = Cast::new(true);
        for version in [V3, V5] {
            assert!(
                cast.clients
                    .iter()
                    .filter(|it| it.version == version)
                    .count()
                    > 8
            );
            for qos in [QOS_1, QOS_2] {
                assert!(PUBLISHERS.iter().any(|it| (it.0, it.1) == (version, qos)));
            }
        }
        let mut names: Vec<&str> = cast.clients.iter().map(|it| it.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cast.clients.len());
    }
}
