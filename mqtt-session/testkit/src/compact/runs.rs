//! The runs that seeds name: which device, in which version.

use mqtt_codec::{QoS, SubscriptionOptions, Version};
use mqtt_session::compact::{Device, Queue, Subscription};
use mqtt_session::profile::{Full, V3, V3QoS1, V3V5};
use mqtt_topic::TopicFilter;

use super::rig::versions;
use super::sim::Sim;
use super::{Habits, Listed};
use crate::rng::Rng;
use crate::sim::Counters;

/// Two messages in flight, and two of QoS 2 underway from the broker.
#[derive(Debug)]
struct Narrow;
impl Device for Narrow {
    type Profile = V3V5;
    const WINDOW: u16 = 2;
    const RECEIVE_MAXIMUM: u16 = 2;
}

/// Sends before CONNACK.
#[derive(Debug)]
struct Eager;
impl Device for Eager {
    type Profile = Full;
    const EARLY: bool = true;
}

/// Acknowledgements wait.
#[derive(Debug)]
struct Patient;
impl Device for Patient {
    type Profile = V3V5;
    const HOLD_MS: u32 = 700;
}

/// Everything at once, in the smallest profile with QoS 2.
#[derive(Debug)]
struct Both;
impl Device for Both {
    type Profile = V3;
    const EARLY: bool = true;
    const HOLD_MS: u32 = 700;
    const WINDOW: u16 = 3;
}

/// Subscribes by itself.
#[derive(Debug)]
struct Listening;
impl Device for Listening {
    type Profile = Full;
    const SUBSCRIPTIONS: &'static [Subscription] = &[(
        TopicFilter::from_static("topic/#"),
        SubscriptionOptions::new(QoS::ExactlyOnce),
    )];
}

/// How many devices there are: seed `n` is a run of device `n % DEVICES`.
pub const DEVICES: u64 = 9;

/// Steps of a run, unless something else is asked for.
pub const STEPS: u32 = 1_000;

/// Makes the queue of a run.
pub type Make<Q> = fn(&mut Rng) -> Q;

/// One device, with a queue of this kind.
struct Entry<Q> {
    name: &'static str,
    versions: fn() -> Vec<Version>,
    run: fn(u64, Version, u32, Make<Q>) -> Counters,
}

const fn entry<D: Device, Q: Queue>(name: &'static str) -> Entry<Q> {
    Entry {
        name,
        versions: versions::<D>,
        run: |seed, version, steps, queue| {
            let mut sim = Sim::<D, Q>::new(seed, version, queue);
            sim.run(steps);
            sim.counters
        },
    }
}

const fn table<Q: Queue>() -> [Entry<Q>; DEVICES as usize] {
    [
        entry::<V3QoS1, Q>("3.1.1 with QoS 0 and 1"),
        entry::<V3, Q>("3.1.1"),
        entry::<V3V5, Q>("3.1.1 and 5.0"),
        entry::<Full, Q>("full"),
        entry::<Narrow, Q>("narrow"),
        entry::<Eager, Q>("eager"),
        entry::<Patient, Q>("patient"),
        entry::<Both, Q>("eager and patient"),
        entry::<Listening, Q>("listening"),
    ]
}

fn chosen<Q: Queue>(seed: u64) -> (Entry<Q>, Version) {
    let entry = table().into_iter().nth((seed % DEVICES) as usize);
    let entry = entry.expect("a remainder is smaller");
    let versions = (entry.versions)();
    let version = versions[(seed / DEVICES) as usize % versions.len()];
    (entry, version)
}

/// What a seed runs, for messages.
#[must_use]
pub fn describe(seed: u64) -> String {
    let (entry, version) = chosen::<Listed>(seed);
    format!("{} device, MQTT {version}", entry.name)
}

/// Runs a seed and says what happened.
///
/// # Panics
/// When a promise of the specification is broken.
#[must_use]
pub fn run(seed: u64, steps: u32) -> Counters {
    run_with(seed, steps, |rng| {
        Listed::new(Habits {
            room: 200 + rng.below(600),
            piece: 1 + rng.below(100),
            lazy: rng.one_in(2),
        })
    })
}

/// The same with a queue of another kind.
///
/// # Panics
/// When a promise of the specification is broken.
#[must_use]
pub fn run_with<Q: Queue>(seed: u64, steps: u32, queue: Make<Q>) -> Counters {
    let (entry, version) = chosen(seed);
    (entry.run)(seed, version, steps, queue)
}

/// What a full set of runs has to show at least once, whichever the device.
pub const ALWAYS: [&str; 15] = [
    "PINGREQ",
    "PUBLISH replayed",
    "connected without a session",
    "cut",
    "cut behind a message",
    "cut inside a packet",
    "cut inside a payload",
    "goodbye",
    "goodbye heard",
    "not reading",
    "payload in parts",
    "queue full",
    "resumed with a session",
    "timed out",
    "window full",
];

/// What only a device with QoS 2 shows.
pub const QOS_2: [&str; 5] = [
    "PUBREL replayed",
    "dropped message released",
    "over with its session",
    "repetition not delivered",
    "repetition not delivered by the server",
];

/// What only one that speaks 5.0 shows.
pub const V5: [&str; 4] = [
    "PUBACK refuses",
    "PUBACK with properties",
    "PUBREC refuses",
    "refused",
];

/// What only one that speaks 5.0, and waits for what CONNACK says of it, shows.
pub const LARGE: [&str; 1] = ["too large"];

/// What only one with aliases shows.
pub const ALIASES: [&str; 1] = ["alias used"];
/// What only one that sends before CONNACK shows.
pub const EARLY: [&str; 1] = ["sent before CONNACK"];
/// What only one that holds acknowledgements back shows.
pub const HOLD: [&str; 2] = ["an acknowledgement rode along", "held back"];
/// What only one that has its subscriptions from the application shows.
pub const ASKED: [&str; 1] = ["unsubscribed"];
/// What only one that subscribes by itself shows.
pub const LISTENS: [&str; 1] = ["subscribed by itself"];

/// What a full set of runs over all devices has to show at least once.
#[must_use]
pub fn expected() -> Vec<&'static str> {
    [
        &ALWAYS[..],
        &QOS_2,
        &V5,
        &LARGE,
        &ALIASES,
        &EARLY,
        &HOLD,
        &ASKED,
        &LISTENS,
    ]
    .concat()
}
