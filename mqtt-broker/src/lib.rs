//! An MQTT broker to run or to embed: MQTT 3.1, 3.1.1 and 5.0 on one port, without configuration.
//!
//! ```text
//!   the program mqtt-broker      your program
//!               \                 /
//!    mqtt-broker  ──────────────────────────────     <- you are here
//!      workers      sockets, clocks, threads          one event loop for each core
//!      core         rules about several sessions      routing, retained, wills, takeover, queues; sans-IO
//!    ───────────────────────────────────────────
//!               mqtt-session                          the rules of one connection
//!                /        \
//!          mqtt-codec   mqtt-topic                    packets; topics
//! ```
//!
//! # A broker in your program
//!
//! ```
//! use futures::StreamExt;
//! use mqtt_broker::{Broker, PublishOptions, QoS};
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! # futures::executor::block_on(async {
//! // Port 0: the system chooses. Without `listen`: 127.0.0.1:1883 and [::1]:1883.
//! let broker = Broker::builder().listen("127.0.0.1:0").start().await?;
//! println!("clients connect to {}", broker.local_addrs()[0]);
//!
//! // The program takes part without a socket.
//! let mut readings = broker.subscribe("site/+/temperature", QoS::AtLeastOnce).await?;
//! broker.publish("site/7/temperature", "21.5", PublishOptions::new().retained()).await?;
//! let reading = readings.next().await.expect("the broker runs");
//! assert_eq!((reading.topic(), reading.payload()), ("site/7/temperature", &b"21.5"[..]));
//!
//! // Tells every client that the server is shutting down, and closes.
//! broker.shutdown().await;
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! [`Hooks`] decide who may connect, subscribe and publish, and watch who comes and goes. Workers are threads of their own; the
//! async methods run on any executor, and each has a blocking twin where a program without async code needs it.
//!
//! # A broker to run
//!
//! `cargo run --release -p mqtt-broker` serves this machine on port 1883. `--help` lists options and the keys of the configuration
//! file; [`Config`] reads the same file for a program that embeds the broker.
//!
//! # Where a rule lives
//!
//! | rule about | place |
//! |---|---|
//! | bytes of a packet | `mqtt-codec` |
//! | what a topic may look like, what matches | `mqtt-topic` |
//! | one connection: handshakes, QoS, windows, keep-alive | `mqtt-session` |
//! | several sessions: routing, retained messages, wills, takeover, expiry, shared groups, queues | [`core`] |
//! | sockets, timers, threads, addresses, files | the other modules of this crate; none of them knows a packet |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `cli` | on | the program `mqtt-broker`; switch it off when you embed the library, and four dependencies go |

pub mod core;
pub mod store;

mod auth;
mod broker;
mod builder;
mod config;
mod error;
mod hooks;
mod listener;
mod local;
mod worker;

pub use mqtt_codec::{QoS, ReasonCode, Version};

pub use crate::auth::{PasswordSettings, UserError, Users, hash_password};
pub use crate::broker::BrokerHandle;
pub use crate::builder::{Broker, BrokerBuilder};
pub use crate::config::{Config, ConfigError, LogLevel};
pub use crate::core::{ConnectRequest, Counters, Decision, Identity, Peer, Settings};
pub use crate::error::BrokerError;
pub use crate::hooks::{ConnectAnswer, Hooks, SubscribeAnswer, SubscribeRequest};
pub use crate::local::{LocalError, LocalMessage, PublishOptions, Subscription};
