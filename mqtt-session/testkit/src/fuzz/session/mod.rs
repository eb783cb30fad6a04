//! Operations on one session, client or server, of every profile, whose peer sends what it likes.

mod client;
mod drive;
mod ledger;
mod server;

use mqtt_session::profile::{Full, V3, V3QoS1, V3V5};
use mqtt_session::storage::{Fixed, Heap};
use mqtt_session::{Client, Server};

use super::Shape;
use super::input::Input;
use crate::owners::{FixedOwner, HeapOwner, Heaped, Kind, Small, Stored};
use drive::Drive;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $profile:ty, $storage:ty, $owner:ty, $room:expr, $aliases:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        struct $name;

        impl Kind for $name {
            type Profile = $profile;
            type Storage = $storage;
            type Owner = $owner;
            const NAME: &'static str = stringify!($name);
            const ROOM: u16 = $room;
            const ALIASES: u16 = $aliases;
        }
    )+};
}

kinds! {
    /// The smallest device.
    Thermometer: V3QoS1, Fixed<2, 2, 1, 0, 0>, FixedOwner<4, 16, 160>, 2, 0;
    /// A device that knows QoS 2.
    Meter: V3, Fixed<3, 2, 2, 0, 0>, FixedOwner<8, 16, 160>, 2, 0;
    /// A device of both versions.
    Tracker: V3V5, Fixed<2, 3, 2, 0, 0>, FixedOwner<8, 16, 160>, 3, 0;
    /// A table of one place for everything.
    Narrow: Full, Fixed<1, 1, 1, 1, 8>, FixedOwner<4, 16, 160>, 1, 1;
    /// The older versions on the heap.
    Old: V3, Heap, HeapOwner, u16::MAX, 0;
}

/// Reads the input as a kind of session, its limits, and operations.
///
/// # Panics
/// When the session does what it must not, whatever its peer did.
pub fn run(bytes: &[u8]) -> Shape {
    let mut input = Input::new(bytes);
    match input.byte() % 16 {
        0 | 1 => Drive::<Server, Stored>::run(input),
        2 | 3 => Drive::<Server, Heaped>::run(input),
        4 => Drive::<Server, Small>::run(input),
        5 => Drive::<Server, Old>::run(input),
        6 => Drive::<Server, Tracker>::run(input),
        7 => Drive::<Server, Narrow>::run(input),
        8 | 9 => Drive::<Client, Stored>::run(input),
        10 => Drive::<Client, Heaped>::run(input),
        11 => Drive::<Client, Small>::run(input),
        12 => Drive::<Client, Thermometer>::run(input),
        13 => Drive::<Client, Meter>::run(input),
        14 => Drive::<Client, Tracker>::run(input),
        _ => Drive::<Client, Narrow>::run(input),
    }
}
