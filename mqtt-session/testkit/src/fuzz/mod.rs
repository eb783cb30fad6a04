//! The bodies of the fuzz targets: plain functions from bytes to a [`Shape`], which panic on a finding.
//!
//! `xtask/fuzz` runs them under libFuzzer, and the ordinary tests replay what was found worth keeping. Each reads its input as a little
//! program, so that a mutated byte is another operation and not a broken file.
//!
//! | target | what it drives | what "decodes" means |
//! |---|---|---|
//! | `decoder` | a stream of packets in both directions, in every version and at every cut | a whole packet was read |
//! | `device` | the client of devices, with a server that sends anything, and in the end a healthy one | a connection was accepted |
//! | `core` | the core of the broker (feature `broker`): raw clients at several workers, a late store, restarts | a client was greeted by CONNACK |
//! | `round-trip` | packets as a program builds them, written and read again; what cannot be written | a packet was written and read |
//! | `session` | one session, client or server, of every profile, with a peer that sends anything | a packet was taken behind the handshake |
//! | `topics` | topic names, filters and both indexes, beside naive twins | a subscription or a retained name was found by a match |

#[cfg(feature = "broker")]
pub mod broker;
pub mod corpus;
pub mod decoder;
pub mod device;
pub mod grammar;
pub mod input;
pub mod round_trip;
pub mod session;
pub mod topics;

use crate::rng::Rng;

/// What kind of input a target was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// It came through to what the target is about; the table of this [module](self) says what that is.
    pub decodes: bool,
    /// Packets that were read, operations that were carried out.
    pub steps: u32,
}

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Runs one input.
    pub run: fn(&[u8]) -> Shape,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "decoder",
        run: decoder::run,
    },
    #[cfg(feature = "broker")]
    Target {
        name: "core",
        run: broker::run,
    },
    Target {
        name: "device",
        run: device::run,
    },
    Target {
        name: "round-trip",
        run: round_trip::run,
    },
    Target {
        name: "session",
        run: session::run,
    },
    Target {
        name: "topics",
        run: topics::run,
    },
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}

/// An input of up to `most` bytes, the same for the same seed; small bytes are more frequent, as they are in packets.
#[must_use]
pub fn random_input(seed: u64, most: usize) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let len = rng.below(most + 1);
    let small = rng.below(4);
    (0..len)
        .map(|_| {
            let byte = rng.next() as u8;
            if rng.below(4) < small {
                byte & 0x0f
            } else {
                byte
            }
        })
        .collect()
}
