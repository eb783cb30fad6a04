//! Engine and emulator over many seeds, each with faults of its own: `cargo xtask mutations` finds the bugs with this that are planted in
//! them.
//!
//! `MQTT_SEEDS` says how many (200), `MQTT_SEED` which one alone.

#[path = "modem/raw_line.rs"]
mod raw_line;
#[path = "modem/world.rs"]
mod world;

use std::env;
use std::panic::catch_unwind;

use mqtt_at_modem::{Dialect, Options};
use mqtt_device::modem::Task;
use world::{End, World};

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    /// One of `odds` times something, otherwise nothing.
    pub(crate) fn sometimes(&mut self, odds: u64, bound: u64) -> Option<u64> {
        (self.below(odds) == 0).then(|| 1 + self.below(bound))
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|text| text.parse().expect("a number"))
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "`cargo xtask mutations` reads which seed fails"
)]
fn every_seed_keeps_the_promises() {
    let seeds = match number("MQTT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MQTT_SEEDS").unwrap_or(200),
    };
    for seed in seeds {
        let result = catch_unwind(|| {
            if seed % 4 == 3 {
                raw_line::run(&mut Random(seed));
            } else {
                modem(seed);
            }
        });
        if let Err(cause) = result {
            let message = cause
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| cause.downcast_ref::<&str>().copied())
                .unwrap_or("a panic");
            let first = message.lines().next().unwrap_or_default();
            // On a line of its own, for who looks for it.
            println!("\nmodem fails at seed {seed}: {first}");
            panic!("again: MQTT_SEED={seed} cargo test -p mqtt-device --test modem_seeds");
        }
    }
}

/// Messages through a modem with faults; in the end without, when everything must come back.
fn modem(seed: u64) {
    let random = &mut Random(seed);
    let esp = random.below(2) == 0;
    let options = Options {
        dialect: if esp { Dialect::EspAt } else { Dialect::Sim800 },
        seed,
        latency: random.sometimes(2, 4_000).unwrap_or(0),
        cut: random.sometimes(3, 600),
        mtu: random.sometimes(2, 60).map(|mtu| mtu as u16),
        chatter: random.below(2) == 0,
        ..Options::default()
    };
    let mut world = World::new(options, 64 + random.below(136) as usize, seed);
    world.restless = random.below(2) == 0;
    let message: Vec<u8> = b"\r\nOK\r\n> ERROR\r\nCLOSED\r\n+CIPRXGET: 1\r\n"
        .iter()
        .copied()
        .cycle()
        .take(1 + random.below(300) as usize)
        .collect();
    for _ in 0..4 {
        // Half of what the modem says from here on does not arrive: a prompt, an answer, a notice.
        world.silent_from = random
            .sometimes(4, 400)
            .map(|bytes| world.spoken + bytes as usize);
        if world.dial().is_ok() {
            let end = world.converse(&message);
            let silent = world.silent_from.is_some();
            assert!(silent || end != End::Idle, "everybody waits for nothing");
        }
    }
    world.silent_from = None;
    // The cut may come only now, but it comes once.
    let complete = (0..2).any(|_| {
        world.dial().expect("a dial without faults");
        world.converse(&message) == End::Complete
    });
    assert!(complete, "without faults the message does not come back");
    world.run(Task::Close).expect("a close without faults");
}
