//! What a firmware program asks of the board that it runs on, and what boards have in common.
//!
//! An application is a function that is generic over [`Board`] and over its connection: it knows no register. A board is a crate that
//! implements the trait, and starts the application.
#![no_std]

mod decimal;
mod executor;
mod received;

pub use decimal::Decimal;
pub use executor::{Clock, block_on};
pub use received::Received;

use mqtt_session::Instant;

/// The services of a board beside its connection. A board is its own state: methods take `&self`, so that parts of a program can share it.
pub trait Board {
    /// Time since the start.
    fn now(&self) -> Instant;

    /// A number that differs from call to call and from start to start: for jitter and client ids, not for secrets.
    fn random(&self) -> u32;

    /// Temperature in tenths of a degree Celsius.
    fn temperature(&self) -> i16;

    /// Sleeps until the connection has a byte or an end to read, or until that instant; without one, however long that takes.
    ///
    /// May return earlier: the caller looks again what there is to do.
    fn idle(&self, until: Option<Instant>);

    /// The most bytes that the stack has held since the start; `None` on a board that does not paint its stack.
    fn stack_peak(&self) -> Option<usize>;

    /// Ends the program; 0 is success. Tells who watches: each board says how.
    fn exit(&self, code: u8) -> !;
}
