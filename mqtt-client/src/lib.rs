//! An async MQTT client that looks after itself.
//!
//! A [`Client`] is a cheap handle on a background task: there is no loop to poll. [`publish`](Client::publish) returns when the
//! server has acknowledged the message, [`subscribe`](Client::subscribe) gives a stream of its own messages, and a lost connection is
//! made again, with its subscriptions and with what was on its way. MQTT 3.1, 3.1.1 and 5.0 by the same calls.
//!
//! ```text
//!   mqtt-broker     mqtt-client     mqtt-device     <- mqtt-client: tokio, sockets, clocks, queues; you are here
//!         \              |              /
//!          +------- mqtt-session -----+             <- every rule of the protocol, without input and output
//!                  /           \
//!            mqtt-codec     mqtt-topic
//! ```
//!
//! # Publish, subscribe, and end in order
//!
//! ```no_run
//! use mqtt_client::{Client, Message, Options, QoS};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(Options::new(("localhost", 1883)).client_id("greenhouse-3")).await?;
//!
//! let mut commands = client.subscribe("greenhouse/3/set/#").await?;
//! let reading = Message::new("greenhouse/3/temperature", "21.5").qos(QoS::AtLeastOnce);
//! client.publish(reading).await?; // returns with PUBACK
//!
//! if let Some(command) = commands.recv().await {
//!     println!("{}: {:?}", command.topic(), command.text());
//! }
//! client.disconnect().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What happens when
//!
//! | | |
//! |---|---|
//! | the connection is lost | the client connects again after a growing, jittered wait ([`Reconnect`]); [`Client::events`] tells |
//! | the server has lost the session | filters are subscribed to again, messages on their way are sent again as new ones |
//! | there is no connection | messages wait in a bounded queue ([`Options::queue`]), or expire ([`Message::expires_after`]) |
//! | that queue is full | [`publish`](Client::publish) waits, [`try_publish`](Client::try_publish) refuses, or the oldest goes ([`WhenFull`]) |
//! | a stream is not read | its own bounded queue gives up the oldest message and counts it, or holds acknowledgements back ([`Acknowledge`]) |
//! | messages of a kept session come before their subscription | up to 500 wait for it, unacknowledged |
//! | a future is dropped | every async function says what that means |
//! | all handles are dropped | as after [`Client::disconnect`]: what was published is still sent |
//!
//! A future that waits never keeps the background task from reading: publishing from the task that reads a stream is fine, also when
//! the window is full.
//!
//! # Transports
//!
//! Bytes come and go through [`Transport`], anything that is `AsyncRead + AsyncWrite`; a [`Connector`] opens one for every attempt.
//! [`Tcp`] is the one that comes with the library.

mod address;
mod client;
mod command;
mod connection;
mod delivery;
mod driver;
mod error;
mod event;
mod message;
mod options;
mod outbox;
mod queue;
mod reconnect;
mod registry;
mod send_buffer;
mod shared;
mod subscription;
mod transport;

pub use address::{Address, AddressError};
pub use client::Client;
pub use command::Goodbye;
pub use delivery::{Ack, Delivery};
pub use error::{ConnectionError, DisconnectError, OptionsError, PublishError, SubscribeError};
pub use event::{Accepted, Event, Events, State};
pub use message::{Message, Publication};
pub use mqtt_codec::{
    PayloadFormat, Properties, Property, QoS, ReasonCode, RetainHandling, Version,
};
pub use mqtt_session::Limits;
pub use options::{Options, WhenFull, Will};
pub use reconnect::Reconnect;
pub use subscription::{Acknowledge, SubscribeOptions, Subscription};
pub use transport::{Connecting, Connector, Tcp, Transport};

/// The examples of the README are tested with those of the crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
