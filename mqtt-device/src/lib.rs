//! MQTT for firmware: a whole client in a few kB of flash. no_std, no allocator, memory from the caller.
//!
//! It dials, connects, sends what is queued, receives, keeps alive, and dials again after a pause; what was queued is sent until the
//! broker has it. [`blocking::Client`] is for a bare loop, `asynchronous::Client` (feature `async`) for embassy, RTIC or any other
//! executor; both are thin, and drive [`compact`], the client's end of `mqtt-session` for devices. [`modem`] makes a TCP
//! connection out of a UART with a SIM800 or an ESP32 behind it.
//!
//! ```text
//!  mqtt-broker        mqtt-client       ▶ mqtt-device
//!        \                 |               /
//!         +--------- mqtt-session --------+        the protocol of one connection, sans-IO
//!                    /          \
//!              mqtt-codec     mqtt-topic
//! ```
//!
//! A thermometer that publishes every minute, and takes commands:
//!
//! ```
//! use embedded_io::{Read, ReadReady, Write};
//! use mqtt_device::{
//!     Connect, Device, Dialler, Event, Instant, Outgoing, QoS, Ring, Subscription, SubscriptionOptions, TopicFilter,
//!     TopicName, Version, blocking::Client, profile::V3,
//! };
//!
//! const TEMPERATURE: TopicName<'static> = TopicName::from_static("plant1/sensor4/temperature");
//!
//! #[derive(Debug)]
//! struct Thermometer;
//!
//! impl Device for Thermometer {
//!     type Profile = V3;
//!     const SUBSCRIPTIONS: &'static [Subscription] =
//!         &[(TopicFilter::from_static("plant1/sensor4/set"), SubscriptionOptions::new(QoS::AtLeastOnce))];
//! }
//!
//! fn run<C: Read + Write + ReadReady>(
//!     open: impl FnMut() -> Result<C, C::Error>, // a TCP connection, from whatever stack
//!     mut now: impl FnMut() -> Instant,
//!     mut temperature: impl FnMut() -> &'static [u8],
//!     mut sleep: impl FnMut(Instant), // until bytes come, or until then
//! ) -> ! {
//!     let (mut receive, mut queue) = ([0; 320], [0; 256]);
//!     let identity = || Connect { clean_start: false, ..Connect::new(Version::V311, "sensor4") };
//!     let mut client = Client::<Thermometer, _, _, _>::new(identity, &mut receive, Ring::new(&mut queue), Dialler::new(open), 4);
//!     let mut next = now();
//!     loop {
//!         match client.poll(now()) {
//!             Event::Message => { /* client.message().payload says what to do */ }
//!             Event::Waiting => {
//!                 if next <= now() {
//!                     next = next.plus_seconds(60);
//!                     // A full queue keeps the older readings: this one is lost, and the next may have room.
//!                     let _ = client.publish(&Outgoing::new(TEMPERATURE, temperature()));
//!                 }
//!                 // At once, where something can be sent.
//!                 sleep(client.deadline(now()).map_or(next, |deadline| deadline.min(next)));
//!             }
//!             _ => {}
//!         }
//!     }
//! }
//! ```
//!
//! # What is smaller than what
//!
//! The type in front of the client is a [`Device`]: a profile of the protocol, or a type of your own that names one and says
//! what is fixed when the firmware is compiled. What it rules out is not linked.
//!
//! | profile | speaks | QoS | topic aliases |
//! |---|---|---|---|
//! | [`profile::V3QoS1`] | 3.1.1 | 0, 1 | |
//! | [`profile::V3`] | 3.1.1 | 0, 1, 2 | |
//! | [`profile::V3V5`] | 3.1, 3.1.1, 5.0 | 0, 1, 2 | |
//! | [`profile::Full`] | 3.1, 3.1.1, 5.0 | 0, 1, 2 | yes |
//!
//! # What saves bytes and battery
//!
//! For a topic of 18 bytes and readings of 10, over IPv4 and TCP without options (40 bytes a segment). On the wire, counted from SYN to the
//! last acknowledgement, 60 readings packed into one PUBLISH take 19.6 bytes each in 3.1.1 and 20.0 in 5.0; the README has the table.
//!
//! | | saves |
//! |---|---|
//! | [`Pack`]: readings packed into one PUBLISH | 138 of 158 bytes a reading, when 60 travel together |
//! | [`Device::EARLY`]: messages in one flight with CONNECT | one round trip; and a segment of 40 bytes, where the broker answers both in one, too |
//! | `clean_start: false`: the session goes on, and nobody subscribes again | SUBSCRIBE and SUBACK, 20 bytes and more, in two segments of 40 |
//! | [`keep_alive_for`]: as rare as the network lets it be, none while asleep | 124 bytes a ping; 5.2 MB in 30 days between every minute and every 29 |
//! | [`Outgoing::alias`]: a number instead of the topic (5.0) | all of the topic less 3 bytes, from the second message of a connection |
//! | [`Device::HOLD_MS`]: acknowledgements ride with the next packet | 40 bytes each, and one transmission of the radio |
//! | pauses between dials that double and differ | the dials that a fleet would make at once |
//! | [`Gather`], async in `asynchronous::Gather`: what is written leaves at the flush, where the connection would send each piece by itself, as a modem does | a segment of 40 bytes for every packet with a body |
//! | [`Lent`]: a payload sent from where it is | RAM: no copy of it in the queue |
//!
//! # What a message says of itself
//!
//! In 5.0 a message may carry its expiry, what its payload is, where an answer goes, and pairs of your own: [`Outgoing::properties`]. Those that
//! are known while compiling cost their bytes; on a connection of 3.1.1 they are left out. The broker's Maximum Packet Size counts
//! them in: a message that is too large for it is not sent, and comes back in [`Event::Acknowledged`] as refused.
//!
//! ```
//! use mqtt_device::{Outgoing, PayloadFormat, Properties, Property, TopicName, WireProperties, publish_properties};
//!
//! // For whoever reads it in the next hour.
//! const OF_A_READING: WireProperties<'static> = publish_properties![
//!     Property::MessageExpiryInterval(3_600),
//!     Property::PayloadFormatIndicator(PayloadFormat::Utf8),
//!     Property::UserProperty("unit", "°C"),
//! ];
//! let temperature = TopicName::from_static("plant1/sensor4/temperature");
//! let reading = Outgoing { properties: OF_A_READING, ..Outgoing::new(temperature, b"21.5") };
//!
//! // Known when it runs: the answer to a request names it.
//! fn answer<'m>(request: &mqtt_device::Message<'_>, memory: &'m mut [u8]) -> Option<WireProperties<'m>> {
//!     let list = [Property::CorrelationData(request.properties.correlation_data()?)];
//!     Properties::List(&list).write_publish(memory).ok()
//! }
//! # let _ = (reading, answer);
//! ```
//!
//! # What it does not do
//!
//! * TLS: user name, password and messages travel in the clear. A TLS stream with the traits of `embedded-io` or `embedded-io-async` can be
//!   the connection; none was tried.
//! * Enhanced authentication, and several filters in one SUBSCRIBE.
//! * A dial that hangs is waited for: its time-out is that of the connection's own stack.
//!
//! # What is kept
//!
//! * A queue is offline queue and resend buffer in one: [`Ring`] in RAM, or another [`Queue`]. A message of QoS 1 arrives at least once,
//!   one of QoS 2 exactly once, over any number of lost connections; a restart of the device forgets what is in RAM.
//! * A message that is larger than the receive buffer comes in parts ([`Event::Part`]); one whose very topic does not fit is skipped,
//!   acknowledged and reported ([`Event::Skipped`]): it never comes again and again.
//! * Whatever a broker sends ends in an event or a closed connection: there is no panic in here, and no growth.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `async` | no | `asynchronous::Client`, `modem::AsyncModem`, the `Timer` trait and one over `embedded-hal-async` |
//! | `embassy-time` | no | a `Timer` over embassy's global clock |
//! | `nal` | no | dialling by a TCP stack of `embedded-nal-async` |
#![no_std]

#[cfg(feature = "async")]
pub mod asynchronous;
mod backoff;
pub mod blocking;
mod dial;
#[cfg(feature = "async")]
mod first;
mod gather;
mod lent;
pub mod modem;
#[cfg(feature = "nal")]
mod nal;
mod pack;
mod requests;
mod ring;
#[cfg(feature = "async")]
mod timer;

pub use dial::{Dial, Dialler, Identity, keep_alive_for};
pub use gather::Gather;
pub use lent::Lent;
pub use mqtt_codec::{
    Connect, PacketId, PayloadFormat, Properties, Property, QoS, ReasonCode, SubscriptionOptions,
    TopicAlias, Version, Will, WireProperties, publish_properties,
};
pub use mqtt_session::compact::{
    self, Device, Event, Full, Message, Outgoing, Queue, Subscription,
};
pub use mqtt_session::{Instant, profile};
pub use mqtt_topic::{TopicFilter, TopicName};
#[cfg(feature = "nal")]
pub use nal::Nal;
pub use pack::Pack;
pub use ring::Ring;
#[cfg(feature = "embassy-time")]
pub use timer::EmbassyTimer;
#[cfg(feature = "async")]
pub use timer::{DelayTimer, Timer};

/// The examples of the README are tested with those of the crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
