//! The topics and filters of the simulation, and which of them match: written down by hand, as an oracle should be.

use mqtt_codec::Version;

use super::event::Sub;

/// Topic names; those from [`SHARED_TOPICS`] on are matched by shared groups only.
pub(super) const TOPICS: [&str; 8] = [
    "a/b",
    "a/c",
    "b/b",
    "a/long/level",
    "w/x",
    "w/y",
    "$s/a",
    "$s/b",
];
/// The first topic of the shared groups.
pub(super) const SHARED_TOPICS: usize = 6;
/// Topics that wills are published to.
pub(super) const WILL_TOPICS: [usize; 3] = [4, 5, 6];

/// Topic filters; those from [`SHARED_FILTERS`] on are shared groups.
pub(super) const FILTERS: [&str; 8] = [
    "a/b",
    "a/+",
    "a/#",
    "+/b",
    "#",
    "w/+",
    "$share/g/$s/#",
    "$share/h/$s/a",
];
/// The first shared group.
pub(super) const SHARED_FILTERS: usize = 6;
/// How many shared groups there are.
pub(super) const GROUPS: usize = FILTERS.len() - SHARED_FILTERS;

/// The filters that match each topic, as bits.
pub(super) const MATCHES: [u8; 8] = [
    0b0001_1111,
    0b0001_0110,
    0b0001_1000,
    0b0001_0100,
    0b0011_0000,
    0b0011_0000,
    0b1100_0000,
    0b0100_0000,
];

/// The number of a topic.
pub(super) fn topic(name: &str) -> Option<usize> {
    TOPICS.iter().position(|&topic| topic == name)
}

/// The number of a filter.
pub(super) fn filter(text: &str) -> Option<usize> {
    FILTERS.iter().position(|&filter| filter == text)
}

/// The client ids.
pub(super) const NAMES: [&str; 8] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];

/// The number of a client.
pub(super) fn client(name: &str) -> Option<usize> {
    NAMES.iter().position(|&known| known == name)
}

/// What never changes about a client during a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// What it speaks.
    pub(super) version: Version,
    /// Its Maximum Packet Size: messages of [`LARGE`] bytes do not fit.
    pub(super) limited: bool,
    /// The worker at which it is at home.
    pub(super) home: u16,
}

/// Maximum Packet Size of a limited client, in bytes.
pub(super) const LIMIT: u32 = 250;
/// Length of a payload that a limited client does not take, in bytes.
pub(super) const LARGE: usize = 260;
/// Length of a payload that the broker sends by reference and does not copy (8 kB and more), in bytes.
pub(super) const SHARED: usize = 9_000;

/// What never changes during a run.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// The clients.
    pub(super) kinds: Vec<Kind>,
    /// Queues are so short, or unread output is so little, that messages are dropped.
    pub(super) lossy: bool,
    /// The broker's Receive Maximum towards clients that announce more, or nothing.
    pub(super) send_maximum: u16,
    /// Commits come late.
    pub(super) late: bool,
}

/// The one subscription that a client ever makes to a group: what a member is sent does not hang on when it was chosen.
pub(super) const fn group_subscription(client: usize, group: usize, v5: bool) -> Sub {
    Sub {
        qos: 1 + ((client + group) % 2) as u8,
        no_local: false,
        retain_as_published: v5 && client.is_multiple_of(3),
        retain_handling: 0,
        id: if v5 { 28 + group as u8 } else { 0 },
    }
}
