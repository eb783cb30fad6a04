//! Resuming: what a session keeps between connections, and what happens to it.
//!
//! # What is kept
//!
//! [`SessionState`](crate::SessionState) outlives the connection: the packet ids of messages in flight, with their places in the owner's
//! [`Outbox`](crate::Outbox); the ids of received QoS 2 messages; the place from which the outbox is pulled. Aliases, windows, unsettled
//! QoS 1 messages and unanswered SUBSCRIBEs die with the connection.
//!
//! # On the next connection
//!
//! When the other end still has the session, PUBREL goes out in the order of the PUBRECs, and PUBLISH with DUP in the order of sending, each
//! with its old id, within the Receive Maximum of the new connection. Then the outbox is pulled on.
//!
//! When it has not, a client sends what was in flight as new, with new ids, and forgets what it had received; the owner hears of it by
//! [`Change::Reset`](crate::Change::Reset), and makes its subscriptions again. MQTT 3.1 cannot tell: a 3.1 client keeps its state, unless
//! its last session was clean.
//!
//! * A client that has lost its state asks for a clean start: an empty state looks like one in which nothing was in flight, and the server's
//!   session is [believed](crate::ClientSession::connect).
//! * After a clean start ask for a clean start again until CONNACK has come. The client has forgotten its session when it asked; a server that
//!   never heard of it has not.
//! * A server should treat a session that its client has never [used](crate::SessionState::is_used) as not there: a client whose CONNACK got
//!   lost does not know that its session is new, and would go on with the old one.
//!
//! # Taking over
//!
//! A server that gets a second connection for a session [detaches](crate::Session::detach) the state from the first, which then says
//! goodbye, and [puts it](crate::Session::replace_state) into the second before it accepts. A state that is not accepted as present
//! is emptied.
//!
//! # Owners that drop messages
//!
//! An owner may drop any message at any time. One that was never sent is passed over. A QoS 2 message that was sent before is
//! released: the peer may hold its id, and would swallow the next message that gets it.
