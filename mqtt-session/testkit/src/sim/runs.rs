//! The runs that seeds name: which two owners, in which version.

use mqtt_codec::Version;

use super::{Counters, Sim};
use crate::owners::{Heaped, Kind, Small, Stored};

/// Steps of a run, unless something else is asked for.
pub const STEPS: u32 = 1_000;

/// How many pairs of owners there are: seed `n` is a run of pair `n % PAIRS`.
pub const PAIRS: u64 = 9;

/// What a full set of runs has to show at least once, whichever owners are paired.
pub const ALWAYS: [&str; 32] = [
    "PINGREQ",
    "PUBACK refuses",
    "PUBACK with properties",
    "PUBCOMP with properties",
    "PUBLISH replayed",
    "PUBREC refuses",
    "PUBREC with properties",
    "PUBREL replayed",
    "PUBREL with properties",
    "alias evicted",
    "alias used",
    "connected without a session",
    "cut",
    "cut inside a packet",
    "cut inside a payload",
    "dropped message released",
    "expired",
    "id wrapped",
    "ids turned back",
    "nobody subscribed",
    "not reading",
    "output full",
    "payload in parts",
    "quota refilled by a PUBCOMP",
    "quota refilled by a refusal",
    "refused",
    "repetition not delivered",
    "resumed with a session",
    "timed out",
    "too large",
    "trimmed",
    "window full",
];

/// What only a client with a store shows.
pub const LATE_CLIENT: [&str; 2] = ["client crashed", "idle before a commit"];
/// What only a server with a store shows.
pub const LATE_SERVER: [&str; 2] = ["server crashed", "idle before a commit"];

/// One pair of owners.
struct Pair {
    client: &'static str,
    server: &'static str,
    run: fn(u64, Version, u32) -> Counters,
}

const fn pair<C: Kind, S: Kind>() -> Pair {
    Pair {
        client: C::NAME,
        server: S::NAME,
        run: |seed, version, steps| {
            let mut sim = Sim::<C, S>::new(seed, version);
            sim.run(steps);
            sim.counters
        },
    }
}

static TABLE: [Pair; PAIRS as usize] = [
    pair::<Small, Small>(),
    pair::<Small, Heaped>(),
    pair::<Small, Stored>(),
    pair::<Heaped, Small>(),
    pair::<Heaped, Heaped>(),
    pair::<Heaped, Stored>(),
    pair::<Stored, Small>(),
    pair::<Stored, Heaped>(),
    pair::<Stored, Stored>(),
];

fn chosen(seed: u64) -> (&'static Pair, Version) {
    let versions = [Version::V31, Version::V311, Version::V5];
    let version = versions[(seed / PAIRS) as usize % versions.len()];
    (&TABLE[(seed % PAIRS) as usize], version)
}

/// What a seed runs, for messages.
#[must_use]
pub fn describe(seed: u64) -> String {
    let (pair, version) = chosen(seed);
    format!(
        "{} client, {} server, MQTT {version}",
        pair.client, pair.server
    )
}

/// Runs a seed and says what happened.
///
/// # Panics
/// When a promise of the specification is broken.
#[must_use]
pub fn run(seed: u64, steps: u32) -> Counters {
    let (pair, version) = chosen(seed);
    (pair.run)(seed, version, steps)
}
