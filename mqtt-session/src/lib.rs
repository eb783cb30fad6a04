//! The MQTT protocol as a sans-IO state machine: packets and time in; events, packets and deadlines out.
//!
//! One implementation of what MQTT 3.1, 3.1.1 and 5.0 call client and server behaviour: handshakes, QoS 0, 1 and 2 both ways, replay
//! in order, Receive Maximum, packet ids, topic aliases, Maximum Packet Size, keep-alive, wills, expiry, every reason to disconnect.
//! `no_std`, no clock, no socket, no allocator of its own, no dependency that is not part of this workspace. The broker and the async
//! client drive the same code; firmware has a smaller machine, `compact`, that decides by the same rules.
//!
//! ```text
//!   mqtt-broker     mqtt-client     mqtt-device      sockets, clocks, threads, files, randomness
//!         \              |              /
//!          +------- mqtt-session -----+              <- you are here: every rule about one connection
//!                  /           \
//!            mqtt-codec     mqtt-topic               bytes of packets; topics
//! ```
//!
//! # The loop around it
//!
//! ```text
//!            bytes in                                             bytes out
//!               |                                                     ^
//!               v                                                     |
//!      session.decoder() ------> session.handle(&packet)      session.poll_output(tx)   until Idle
//!      while wants_input()             |                              ^
//!                                      v                              |
//!                            one event: a message,           what answers it, what is due,
//!                            a question, an outcome          and messages pulled from the Outbox
//!                                      |                              ^
//!                                      v                              |
//!                       the owner: settle, accept, answer ... record(change), committed()
//!
//!      session.deadline()  -- the only timer -->  session.timeout(now)
//! ```
//!
//! A driver holds no rule of the protocol: one that needs `if qos` or `if version` has logic that belongs in here. The
//! [manual] goes through the [loop](manual::run_loop), [resuming](manual::resume) and [persistence](manual::persistence).
//!
//! # A client over byte vectors
//!
//! ```
//! use mqtt_codec::{Connect, Decoded, Properties, QoS, Version};
//! use mqtt_session::profile::Full;
//! use mqtt_session::storage::Heap;
//! use mqtt_session::{
//!     Change, ClientEvent, ClientSession, Instant, Limits, Outbox, Outcome, OutgoingMessage, Output, Owner, Seq,
//! };
//!
//! /// The owner keeps the messages, here one, and says what the limits are.
//! #[derive(Default)]
//! struct App { limits: Limits, reading: Option<Vec<u8>> }
//!
//! impl Outbox for App {
//!     fn next(&mut self, from: Seq) -> Option<Seq> {
//!         (from == Seq(0) && self.reading.is_some()).then_some(Seq(0))
//!     }
//!     fn message(&mut self, _seq: Seq) -> Option<OutgoingMessage<'_>> {
//!         let payload_len = self.reading.as_ref()?.len() as u32;
//!         Some(OutgoingMessage {
//!             topic: "site/7/temperature", qos: QoS::AtLeastOnce, retain: false, expires: None,
//!             subscription_ids: &[], properties: Properties::EMPTY, payload_len,
//!         })
//!     }
//!     fn done(&mut self, _seq: Seq, outcome: Outcome) {
//!         assert!(matches!(outcome, Outcome::Acknowledged(_)));
//!         self.reading = None;
//!     }
//! }
//!
//! impl Owner for App {
//!     type Gate = (); // no disk: nothing waits for a commit
//!     fn record(&mut self, _: Change) {}
//!     fn committed(&self) {}
//!     fn limits(&self) -> &Limits { &self.limits }
//! }
//!
//! let mut app = App { reading: Some(b"21.5".to_vec()), ..App::default() };
//! let mut session = ClientSession::<Full, Heap>::new();
//! let (mut now, mut tx) = (Instant::ZERO, Vec::new());
//! session.connect(&Connect::new(Version::V311, "thermometer"), &mut tx, now, &mut app).unwrap();
//!
//! // What the server sends: CONNACK, then PUBACK of packet id 1.
//! for received in [&[0x20, 2, 0, 0][..], &[0x40, 2, 0, 1]] {
//!     now = now.plus_millis(20);
//!     let limits = app.limits.clone();
//!     let decoded = session.decoder(&limits).from_server(received).unwrap();
//!     let Decoded::Complete { packet, .. } = decoded else { panic!("read more") };
//!     match session.handle(&packet, now, &mut app) {
//!         Ok(ClientEvent::Publication(publication)) => println!("{:?}", publication.payload),
//!         Ok(_) => {}
//!         Err(violation) => panic!("{violation}"), // still polled: the DISCONNECT that says so
//!     }
//!     loop {
//!         match session.poll_output(&mut tx, now, &mut app) {
//!             Output::Wrote => {}
//!             Output::Publish { .. } => tx.extend(app.reading.iter().flatten()),
//!             Output::Idle | Output::Full | Output::Close => break,
//!         }
//!     }
//! }
//! assert!(app.reading.is_none(), "acknowledged");
//! assert!(tx.ends_with(b"\x32\x1a\x00\x12site/7/temperature\x00\x0121.5"));
//! assert_eq!(session.deadline(), Some(Instant::from_millis(60_020)), "PINGREQ is due then");
//! ```
//!
//! # What is in it
//!
//! | feature | default | adds |
//! |---|---|---|
//! | – | always | [`ClientSession`], [`ServerSession`], the [profiles](profile), [`storage::Fixed`], [`SliceTx`] |
//! | `alloc` | off | [`storage::Heap`](storage), `Vec<u8>` as an output buffer |
//!
//! # What is promised
//!
//! * Any packets at any time end in a defined answer or a closed connection: no panic, no growth beyond [`Limits`].
//! * Nothing is promised to the peer before it is kept: see [persistence](manual::persistence).
//! * A call does a bounded amount of work, and a [`Misuse`] leaves nothing changed.
//! * An idle `ServerSession<Durable, Heap>` takes 104 bytes; its tables are made when first used and given back by
//!   [`Session::trim`].
#![no_std]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;

mod alias;
mod client;
pub mod compact;
mod event;
mod inflight;
mod keep_alive;
mod limits;
mod link;
pub mod manual;
mod output;
mod owner;
pub mod profile;
mod receive;
mod rules;
mod sealed;
mod send;
mod server;
mod session;
mod state;
pub mod storage;
mod time;
mod tx;
mod violation;

pub use client::{Client, ClientSession};
pub use event::{
    Accept, ClientEvent, Closed, DeliveryId, Expires, Output, Publication, ServerEvent, Topic,
};
pub use limits::Limits;
pub use owner::{
    Change, Commit, Gate, HandshakeText, Outbox, Outcome, OutgoingMessage, Owner, Seq,
};
pub use profile::Profile;
pub use server::{Server, ServerSession};
pub use session::{Role, Session};
pub use state::SessionState;
pub use storage::Storage;
pub use time::Instant;
pub use tx::{SliceTx, Tx};
pub use violation::{Misuse, Rule, Violation};
