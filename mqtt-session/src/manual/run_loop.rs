//! The loop: what a driver does, in which order, and what it must not do.
//!
//! # One connection
//!
//! A client or a device has one connection and waits for whatever comes first:
//!
//! ```text
//! loop {
//!     while let Wrote | Publish = session.poll_output(&mut tx, now, &mut owner) {}
//!     wait for the first of
//!         the transport takes bytes of tx
//!         the transport has bytes, if session.wants_input():
//!             session.heard(now)
//!             for each complete packet: session.handle(&packet, now, &mut owner)?
//!         a commit of the owner's store
//!         a command: the owner queues a message, session.subscribe(…), session.disconnect(…)
//!         session.deadline(): session.timeout(now, &limits)
//! }
//! ```
//!
//! # Rounds
//!
//! A broker's worker has many: it reads all that is ready and hands it in, commits once, then polls every session that was touched and
//! flushes each once. The session does not know the difference.
//!
//! # Input
//!
//! * Take a new [`decoder`](crate::Session::decoder) for each packet: CONNECT decides the version.
//! * Bytes that are no packet go to [`malformed`](crate::Session::malformed), then poll as always.
//! * While [`wants_input`](crate::Session::wants_input) is false hand nothing in, and better do not read: a question is open, or answers
//!   have to leave first. The peer's keep-alive stands still meanwhile, and starts afresh when reading goes on.
//! * An event borrows the packet only. Copy what you keep, or share it, before the next read.
//! * A message that is larger than your buffer comes by `handle_part`: hand the payload over piece by piece, call
//!   [`payload_complete`](crate::Session::payload_complete) after the last one, and settle then. If the connection is cut in the middle, the
//!   message was never received.
//!
//! # Output
//!
//! * [`Wrote`](crate::Output::Wrote): call again. It may have written nothing, when it ended messages that cannot be sent.
//! * [`Publish`](crate::Output::Publish): the head is in the buffer, the payload follows from you before the next call.
//! * [`Full`](crate::Output::Full): write out, then call again. Nothing is lost and nothing is written twice.
//! * [`Close`](crate::Output::Close): write out, then close. After a [`Violation`](crate::Violation) the DISCONNECT or CONNACK that
//!   answers it comes first.
//! * A buffer must hold the largest packet but for payloads: the head of your longest topic, and your largest SUBSCRIBE.
//!
//! # Questions
//!
//! CONNECT, SUBSCRIBE, UNSUBSCRIBE and AUTH end in a question on the server. Answer at once or later; until then nothing is read, and
//! writing goes on. A message is a question, too: [`settle`](crate::Session::settle) it, in any order, or, when there is no
//! place for it now, [`abandon`](crate::Session::abandon) it. Acknowledgements leave in the order
//! in which the messages came.
//!
//! # The end
//!
//! When the transport is gone, for whatever reason, call [`close`](crate::Session::close): it says when the will is due and when the session
//! ends. What was in flight waits for the next connection.
