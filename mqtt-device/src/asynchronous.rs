//! The client over `embedded-io-async`, for embassy, RTIC or any other executor.
//!
//! A thermometer under embassy, over whatever network has `TcpConnect` of `embedded-nal-async`: of embassy-net that is its `TcpClient`
//! (give it a time-out by `set_timeout`, for it has none of its own, and a dial is waited for as long as it lasts).
//!
#![cfg_attr(all(feature = "embassy-time", feature = "nal"), doc = "```")]
#![cfg_attr(not(all(feature = "embassy-time", feature = "nal")), doc = "```ignore")]
//! use core::net::SocketAddr;
//! use embassy_time::{Duration, Instant, with_deadline};
//! use embedded_nal_async::TcpConnect;
//! use mqtt_device::{
//!     Connect, EmbassyTimer, Event, Nal, Outgoing, Ring, TopicName, Version, asynchronous::Client, keep_alive_for,
//!     profile::V3,
//! };
//!
//! const TEMPERATURE: TopicName<'static> = TopicName::from_static("plant1/sensor4/temperature");
//!
//! async fn run(network: &impl TcpConnect, broker: SocketAddr, random: u32, temperature: impl Fn() -> [u8; 4]) -> ! {
//!     let (mut receive, mut queue) = ([0; 320], [0; 256]);
//!     let identity = || Connect {
//!         clean_start: false,
//!         keep_alive: keep_alive_for(300),
//!         ..Connect::new(Version::V311, "sensor4")
//!     };
//!     let dial = Nal::new(network, broker);
//!     let mut client = Client::<V3, _, _, _>::new(identity, &mut receive, Ring::new(&mut queue), dial, random);
//!     let mut next = Instant::now();
//!     loop {
//!         match with_deadline(next, client.next(&mut EmbassyTimer)).await {
//!             Ok(Event::Message) => { /* client.message().payload says what to do */ }
//!             Ok(_) => {}
//!             // Time to measure: the future was dropped, and nothing is lost by that.
//!             Err(_) => {
//!                 next += Duration::from_secs(60);
//!                 // A full queue keeps the older readings.
//!                 let _ = client.publish(&Outgoing::new(TEMPERATURE, &temperature()));
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! [`Client::next`] borrows the client for as long as it waits; to publish, drop its future and make another. Its own state survives that,
//! a dial does not: the next one begins at its beginning. So let the client wait for longer than a dial takes, or wait
//! for readings beside it (an `embassy_sync` channel and `select`) rather than look for them every second. Only a dial over
//! [`AsyncModem`](crate::modem::AsyncModem) goes on where it was.
//!
//! Without embassy's clock, [`DelayTimer`](crate::DelayTimer) makes a [`Timer`] of any `DelayNs`, such as an RTIC monotonic, and a function
//! that tells the time. Without `embedded-nal-async`, a [`Dialler`] makes a [`Dial`] of an async closure. A packet with a body is written in
//! two pieces or more and flushed once: in front of what sends each piece by itself, as a modem does, put a [`Gather`].

mod gather;

pub use gather::Gather;

use core::fmt;
use core::future::{Future, pending};

use embedded_io_async::{Read, Write};
use mqtt_session::Instant;
use mqtt_session::compact::{Compact, Device, Event, Queue};

use crate::backoff::Backoff;
use crate::first::first;
use crate::requests::requests;
use crate::{Identity, Timer};

/// Opens connections to the broker, again and again.
pub trait Dial {
    /// A byte stream to the broker.
    type Connection;
    /// Why there is none.
    type Error;

    /// Opens a connection; an earlier one is given up. It may be dropped and called again.
    fn dial(&mut self) -> impl Future<Output = Result<(), Self::Error>>;

    /// The connection, from a successful [`dial`](Self::dial) to [`hang_up`](Self::hang_up).
    fn connection(&mut self) -> Option<&mut Self::Connection>;

    /// Gives the connection up.
    fn hang_up(&mut self);

    /// Whether a write that was dropped has to be repeated with the same bytes before the next [`dial`](Self::dial): then the client gives
    /// it some seconds more before it hangs up. Not so for a connection that ends when it is dropped.
    fn is_midway(&self) -> bool {
        false
    }
}

impl<D: Dial> Dial for &mut D {
    type Connection = D::Connection;
    type Error = D::Error;

    fn dial(&mut self) -> impl Future<Output = Result<(), D::Error>> {
        (**self).dial()
    }

    fn connection(&mut self) -> Option<&mut D::Connection> {
        (**self).connection()
    }

    fn hang_up(&mut self) {
        (**self).hang_up();
    }

    fn is_midway(&self) -> bool {
        (**self).is_midway()
    }
}

/// An async function that opens a connection, and the connection, which is dropped to close it.
pub struct Dialler<F, C, E> {
    open: F,
    connection: Option<C>,
    error: Option<E>,
}

impl<F, C: fmt::Debug, E: fmt::Debug> fmt::Debug for Dialler<F, C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialler")
            .field("connection", &self.connection)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<C, E, F: AsyncFnMut() -> Result<C, E>> Dialler<F, C, E> {
    /// Opens connections by this function.
    pub const fn new(open: F) -> Self {
        Self {
            open,
            connection: None,
            error: None,
        }
    }

    /// Why the last dial failed, if it did: what [`Event::Lost`] does not say.
    pub const fn error(&self) -> Option<&E> {
        self.error.as_ref()
    }
}

impl<C, E, F: AsyncFnMut() -> Result<C, E>> Dial for Dialler<F, C, E> {
    type Connection = C;
    /// [`error`](Self::error) has it.
    type Error = ();

    async fn dial(&mut self) -> Result<(), ()> {
        self.connection = None;
        let opened = (self.open)().await;
        let opened = opened.map_err(|error| self.error = Some(error));
        self.connection = Some(opened?);
        self.error = None;
        Ok(())
    }

    fn connection(&mut self) -> Option<&mut C> {
        self.connection.as_mut()
    }

    fn hang_up(&mut self) {
        self.connection = None;
    }
}

/// A client that dials, sends what is queued, receives, keeps alive, and dials again.
///
/// Half a packet read or written lies in here and in the caller's memory, never in a future: each may be dropped at any point, and
/// nothing is lost or sent twice. That asks of the connection what embassy's sockets and buffered UARTs promise: a read or write that
/// was dropped has taken or given nothing.
#[derive(Debug)]
pub struct Client<'m, D: Device, C, I, Q> {
    machine: Compact<'m, D, Q>,
    identity: I,
    dial: C,
    backoff: Backoff,
    /// Bytes were written that the connection may still hold.
    unflushed: bool,
    /// The last bytes are on their way, which the connection takes until the time of `backoff`, or not at all.
    ending: bool,
    /// That time is over, but for a write that has to be ended.
    overdue: bool,
}

/// Milliseconds for a write that has to be ended: a modem asks for the bytes within five seconds, or not at all.
const TO_THE_END_MS: u32 = 8_000;

/// What there is to do next.
enum Step {
    Dial,
    Write,
    Flush,
    HangUp,
    /// Nothing but to wait for bytes or the deadline.
    Read,
}

impl<'m, D, C, I, Q> Client<'m, D, C, I, Q>
where
    D: Device,
    C: Dial<Connection: Read + Write>,
    I: Identity,
    Q: Queue,
{
    /// A client without a connection. What `receive` must hold says [`Compact::new`]; `seed` is a number that no two devices share, for
    /// the pauses between dials.
    pub fn new(identity: I, receive: &'m mut [u8], queue: Q, dial: C, seed: u32) -> Self {
        let version = identity.connect().version;
        Self {
            machine: Compact::new(receive, queue, version),
            identity,
            dial,
            backoff: Backoff::new(seed),
            unflushed: false,
            ending: false,
            overdue: false,
        }
    }

    /// Waits for the next event, and does meanwhile all there is to do; it never gives [`Event::Waiting`] or [`Event::Nothing`].
    ///
    /// It sleeps until a byte comes or something is due: there is no tick. Drop it to publish, and call it again; a connection that is
    /// lost is dialled again after a pause, and nothing that was queued is lost with it.
    pub async fn next(&mut self, timer: &mut impl Timer) -> Event {
        loop {
            let now = timer.now();
            let event = self.machine.event(now);
            self.backoff.saw(&event);
            match event {
                Event::Waiting => {}
                Event::Nothing => continue,
                _ => return event,
            }
            if let Err(event) = self.turn(timer).await {
                self.dial.hang_up();
                self.machine.close();
                self.ending = false;
                self.overdue = false;
                self.backoff.begin();
                return event;
            }
        }
    }

    fn step(&mut self, now: Instant) -> Step {
        if self.machine.is_closed() {
            return Step::Dial;
        }
        self.machine.timeout(now);
        if self.machine.is_closing() {
            if !self.ending && !cfg!(mutation = "device-stalls-for-good") {
                self.ending = true;
                self.backoff.set(D::ANSWER_TIMEOUT_MS, now);
            }
            let over = self.ending && self.backoff.left(now) == 0;
            if over || self.overdue {
                let midway = self.dial.is_midway() && !cfg!(mutation = "device-leaves-midway");
                if !midway || (over && self.overdue) {
                    return Step::HangUp;
                }
            }
            if over {
                self.overdue = true;
                self.backoff.set(TO_THE_END_MS, now);
            }
        }
        if !self.machine.output(now).is_empty() {
            Step::Write
        } else if self.unflushed {
            Step::Flush
        } else if self.machine.is_closing() {
            Step::HangUp
        } else {
            Step::Read
        }
    }

    /// Does one thing.
    ///
    /// # Errors
    /// The connection is gone, and this is the event that says so.
    async fn turn(&mut self, timer: &mut impl Timer) -> Result<(), Event> {
        let now = timer.now();
        let step = self.step(now);
        if let Step::Dial = step {
            let pause = self.backoff.pause(D::RETRY_MS, now);
            if pause > 0 {
                timer.until(now.plus_millis(pause.into())).await;
            }
            self.dial.dial().await.map_err(|_| Event::Lost)?;
            self.unflushed = false;
            let connect = self.identity.connect();
            let begun = self.machine.connect(&connect, timer.now());
            return begun.map_err(Event::Misuse);
        }
        let deadline = if self.ending {
            Some(now.plus_millis(self.backoff.left(now).into()))
        } else {
            self.machine.deadline(now)
        };
        let connection = self.dial.connection().ok_or(Event::Lost)?;
        // An answer may be overdue while the connection takes no bytes.
        let due = async {
            match deadline {
                Some(deadline) => timer.until(deadline).await,
                None => pending().await,
            }
        };
        match step {
            Step::Dial | Step::HangUp => Err(Event::Lost),
            Step::Write => {
                let write = connection.write(self.machine.output(now));
                match first(write, due).await {
                    Some(Ok(count)) if count > 0 => {
                        self.machine.written(count, now);
                        self.unflushed = true;
                        Ok(())
                    }
                    Some(_) => Err(Event::Lost),
                    None => Ok(()),
                }
            }
            Step::Flush => match first(connection.flush(), due).await {
                Some(Ok(())) => {
                    self.unflushed = false;
                    Ok(())
                }
                Some(Err(_)) => Err(Event::Lost),
                None => Ok(()),
            },
            Step::Read if self.machine.input().is_empty() => {
                due.await;
                Ok(())
            }
            Step::Read => match first(connection.read(self.machine.input()), due).await {
                Some(Ok(count)) if count > 0 => {
                    self.machine.filled(count, timer.now());
                    Ok(())
                }
                Some(_) => Err(Event::Lost),
                None => Ok(()),
            },
        }
    }
}

requests!();
