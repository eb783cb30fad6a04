//! Persistence: how an owner with a store survives a crash without losing or doubling a message.
//!
//! # Changes and gates
//!
//! During a call the session hands over what a resumed session must remember, as a [`Change`](crate::Change) to
//! [`Owner::record`](crate::Owner::record), and gets a gate back. Whatever promises the change to the peer is withheld until the gate is open,
//! that is until [`Owner::committed`](crate::Owner::committed) has come so far:
//!
//! | withheld | until it is durable that |
//! |---|---|
//! | PUBACK | the owner has its copy (the gate given to `settle`) |
//! | PUBREC | the copy and the id are kept; a refusing one: that the id is free |
//! | PUBREL | the peer has the message |
//! | PUBCOMP | the id is free |
//! | PUBLISH with QoS 2 | the id belongs to this message |
//! | SUBACK, UNSUBACK, CONNACK | what they say (the gate given with the answer) |
//!
//! Reading, QoS 0, QoS 1 and pings go on meanwhile, and messages behind a gate get their ids, so that one commit serves many.
//!
//! # What the store must do
//!
//! * Changes become durable in the order in which they were recorded.
//! * What the owner notes because of an event or a callback belongs into one atomic batch with the change of the same call: the copy of
//!   a QoS 2 message with [`Received`](crate::Change::Received), the end of a message ([`done`](crate::Outbox::done)) with the change
//!   before it.
//! * Places in the outbox ([`Seq`](crate::Seq)) are never used again, not even after a crash that lost the message.
//! * QoS 0 messages are not restored: whether they were sent is not known.
//!
//! # After a crash
//!
//! Replay the changes into an empty [`SessionState`](crate::SessionState) with [`restore`](crate::SessionState::restore), in order, and give
//! the outbox the messages that had not ended. Messages that have their id are not pulled again; QoS 1 messages start anew. A
//! received message counts as settled with success: the owner has its copy. [`changes`](crate::SessionState::changes) gives the shortest
//! log that leads to a state.
//!
//! A client subscribes only when its [`Reset`](crate::Change::Reset) is durable. One that crashes before that cannot know that its session
//! is new, and asks for a clean start.
//!
//! # Without a store
//!
//! `type Gate = ()`: every gate is open, and no code is compiled for them.
