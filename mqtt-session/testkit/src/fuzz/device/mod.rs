//! The client of devices: a server that sends anything, damaged bytes among it, an application that asks for anything, and in the end a
//! healthy server, with which everything that was queued must come to its end.

mod drive;
mod ledger;

use mqtt_session::compact::Device;
use mqtt_session::profile::{Full, V3, V3QoS1, V3V5};

use super::Shape;
use super::input::Input;
use drive::Drive;

/// Sends before CONNACK.
#[derive(Debug)]
struct Eager;
impl Device for Eager {
    type Profile = Full;
    const EARLY: bool = true;
}

/// Little of everything, and acknowledgements wait.
#[derive(Debug)]
struct Narrow;
impl Device for Narrow {
    type Profile = Full;
    const WINDOW: u16 = 2;
    const RECEIVE_MAXIMUM: u16 = 2;
    const HOLD_MS: u32 = 700;
}

/// Runs one input.
///
/// # Panics
/// When the client does what it must not.
#[must_use]
pub fn run(bytes: &[u8]) -> Shape {
    let mut input = Input::new(bytes);
    match input.byte() % 8 {
        0 | 6 => Drive::<Full>::run(input),
        1 => Drive::<V3V5>::run(input),
        2 => Drive::<V3>::run(input),
        3 => Drive::<V3QoS1>::run(input),
        4 | 7 => Drive::<Narrow>::run(input),
        _ => Drive::<Eager>::run(input),
    }
}
