//! One connection: bytes in, packets to the session, packets and payloads out. No rule of the protocol is kept here.

use core::time::Duration;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use mqtt_codec::{Decoded, Disconnect, FixedHeader, Properties, Property};
use mqtt_session::{ClientEvent, Output, Publication as Incoming, Rule, Topic, Violation};
use mqtt_topic::TopicName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout};

use crate::driver::{Driver, until};
use crate::error::ConnectionError;
use crate::event::{Accepted, Event, State};
use crate::message::Publication;
use crate::outbox::SessionOwner;
use crate::queue::locked;
use crate::send_buffer::SendBuffer;
use crate::subscription::Hold;
use crate::transport::Transport;

/// Room to read into.
const READ: usize = 8 * 1024;
/// Payloads and properties up to this length are copied out of the input buffer, so that a short one does not keep all of it alive.
const COPIED: usize = 1024;
/// How long a server may take to close its end after DISCONNECT.
const LINGER: Duration = Duration::from_secs(1);

type Io = Box<dyn Transport>;

/// What ends with the connection.
struct Wire {
    reader: ReadHalf<Io>,
    writer: WriteHalf<Io>,
    rx: BytesMut,
    tx: SendBuffer,
    /// Something was written and not yet flushed.
    unflushed: bool,
    /// Why the connection ends, once that is known.
    cause: Option<ConnectionError>,
    /// DISCONNECT was written because the client is to end.
    goodbye: bool,
}

impl Driver {
    /// Runs a connection to its end; `Ok` when the client is to end.
    pub(crate) async fn converse(&mut self, transport: Io) -> Result<(), ConnectionError> {
        let (reader, writer) = tokio::io::split(transport);
        let mut wire = Wire {
            reader,
            writer,
            rx: BytesMut::new(),
            tx: SendBuffer::default(),
            unflushed: false,
            cause: None,
            goodbye: false,
        };
        let result = match self.open(&mut wire) {
            Ok(()) => self.exchange(&mut wire).await,
            Err(error) => Err(error),
        };
        wire.tx.lost();
        if wire.goodbye {
            return Ok(());
        }
        // What the server said tells more than that the transport failed afterwards.
        match (wire.cause.take(), result) {
            (Some(cause), _) => Err(cause),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(ConnectionError::Ended),
        }
    }

    /// Writes CONNECT. A session that ends with its connection needs no server that remembers it.
    fn open(&mut self, wire: &mut Wire) -> Result<(), ConnectionError> {
        let clean_start = if self.accepted == 0 {
            self.options.clean_start
        } else {
            self.session.state().session_expiry() == 0
        };
        let mut outbox = locked(&self.shared.outbox);
        let mut owner = SessionOwner {
            outbox: &mut outbox,
            limits: &self.options.limits,
        };
        self.options
            .connect(
                &mut self.session,
                &self.client_id,
                clean_start,
                &mut wire.tx,
                self.shared.now(),
                &mut owner,
            )
            .map_err(|misuse| crate::error::OptionsError::Connect(misuse).into())
    }

    async fn exchange(&mut self, wire: &mut Wire) -> Result<(), ConnectionError> {
        let broke = |error| ConnectionError::Io(Arc::new(error));
        loop {
            for delivery in self.shared.take_taken() {
                // One from an earlier connection is not this one's business: the server sends the message again.
                self.session
                    .settle(delivery, mqtt_codec::ReasonCode::SUCCESS, ());
            }
            self.receive(wire);
            // What is owed, acknowledgements above all, goes before a goodbye.
            let mut closing = self.transmit(wire);
            if self.say_goodbye(wire) {
                closing = self.transmit(wire);
            }
            if closing && !wire.tx.has_remaining() {
                return self.close(wire).await;
            }
            let reading = !closing && self.session.wants_input();
            let writing = wire.tx.has_remaining() || wire.unflushed;
            let deadline = self.next_deadline();
            let Wire {
                reader,
                writer,
                rx,
                tx,
                unflushed,
                ..
            } = wire;
            if rx.capacity() - rx.len() < READ / 2 {
                rx.reserve(READ);
            }
            tokio::select! {
                written = write(writer, tx, unflushed), if writing => written.map_err(broke)?,
                read = reader.read_buf(rx), if reading => {
                    if read.map_err(broke)? == 0 {
                        return Ok(());
                    }
                    self.session.heard(self.shared.now());
                }
                command = self.commands.recv(), if !self.orphaned => self.command(command),
                () = self.shared.wake.notified() => {}
                () = until(deadline), if deadline.is_some() => self.tick(wire),
            }
        }
    }

    /// The next instant at which there is something to do without anybody else doing something.
    fn next_deadline(&self) -> Option<Instant> {
        let session = self.session.deadline().and_then(|at| self.shared.at(at));
        let ending = self.ending.as_ref().map(|ending| ending.deadline);
        [session, ending].into_iter().flatten().min()
    }

    fn tick(&mut self, wire: &mut Wire) {
        if let Err(violation) = self
            .session
            .timeout(self.shared.now(), &self.options.limits)
        {
            wire.cause = Some(self.violated(violation));
        }
    }

    fn violated(&self, violation: Violation) -> ConnectionError {
        match violation {
            Violation::Rule(Rule::ConnectTimeout) => ConnectionError::TimedOut {
                address: self.options.address.clone(),
            },
            violation => ConnectionError::Violation(violation),
        }
    }

    /// Hands every packet that is there to the session, while it takes them.
    fn receive(&mut self, wire: &mut Wire) {
        while self.session.wants_input() && !wire.rx.is_empty() {
            let decoder = self.session.decoder(&self.options.limits);
            let whole = match FixedHeader::decode(&wire.rx) {
                Ok(Decoded::Complete { packet, .. }) => Some(packet.frame_len()),
                _ => None,
            };
            let Some(len) = whole.filter(|len| *len <= wire.rx.len()) else {
                match decoder.from_server(&wire.rx) {
                    Ok(Decoded::NeedMore(len)) => {
                        wire.rx.reserve(len.saturating_sub(wire.rx.len()));
                    }
                    Ok(Decoded::Complete { .. }) => {}
                    Err(error) => {
                        let violation = self.session.malformed(error);
                        wire.cause = Some(self.violated(violation));
                    }
                }
                return;
            };
            let frame = wire.rx.split_to(len).freeze();
            let packet = match decoder.from_server(&frame) {
                Ok(Decoded::Complete { packet, .. }) => packet,
                // The frame is there in full.
                Ok(Decoded::NeedMore(_)) => return,
                Err(error) => {
                    let violation = self.session.malformed(error);
                    wire.cause = Some(self.violated(violation));
                    return;
                }
            };
            let event = {
                let mut outbox = locked(&self.shared.outbox);
                let mut owner = SessionOwner {
                    outbox: &mut outbox,
                    limits: &self.options.limits,
                };
                let event = self.session.handle(&packet, self.shared.now(), &mut owner);
                owner.outbox.cursor = self.session.state().cursor();
                event
            };
            match event {
                Ok(event) => self.event(event, &frame, wire),
                Err(violation) => wire.cause = Some(self.violated(violation)),
            }
        }
    }

    fn event(&mut self, event: ClientEvent<'_>, frame: &Bytes, wire: &mut Wire) {
        match event {
            ClientEvent::Publication(publication) => self.deliver(&publication, frame),
            ClientEvent::Connected(connack) => {
                if let Some(id) = connack.properties.assigned_client_identifier() {
                    self.client_id = id.into();
                }
                // 3.1 does not tell whether there was a session, so not asking for a clean one is what counts.
                let resumes = self.accepted == 0 && !self.options.clean_start;
                self.registry.connected(connack.session_present, resumes);
                self.accepted += 1;
                tracing::info!(
                    session_present = connack.session_present,
                    "connected to {}",
                    self.options.address
                );
                self.shared.state.send_replace(State::Connected);
                self.shared.emit(&Event::Connected(Accepted {
                    session_present: connack.session_present,
                    client_id: self.client_id.clone(),
                    properties: kept(frame, wire_bytes(connack.properties)),
                }));
                self.tell_first();
            }
            ClientEvent::Refused(connack) => {
                wire.cause = Some(ConnectionError::Refused {
                    reason: connack.reason,
                    text: connack.properties.reason_string().map(Into::into),
                    server_reference: connack.properties.server_reference().map(Into::into),
                });
            }
            ClientEvent::Disconnect(disconnect) => {
                wire.cause = Some(ConnectionError::Disconnected {
                    reason: disconnect.reason,
                    text: disconnect.properties.reason_string().map(Into::into),
                    server_reference: disconnect.properties.server_reference().map(Into::into),
                });
            }
            ClientEvent::Subscribed(id, codes, _) | ClientEvent::Unsubscribed(id, codes, _) => {
                if let Some((filter, reason)) = self.registry.answered(id, codes) {
                    self.shared
                        .emit(&Event::SubscriptionLost { filter, reason });
                }
            }
            // Nothing to do; AUTH does not come, as CONNECT names no method.
            ClientEvent::Auth(_) | ClientEvent::Nothing => {}
        }
    }

    /// A message: to the queues of its streams, and settled now or when the last of them has taken it.
    fn deliver(&mut self, incoming: &Incoming<'_>, frame: &Bytes) {
        let topic = match incoming.topic {
            Topic::Name(name) => name.as_str(),
            Topic::Alias(alias) => self.session.topic(alias).unwrap_or_default(),
        };
        let Ok(name) = TopicName::new(topic) else {
            return;
        };
        let publication = Publication::new(
            topic.into(),
            kept(frame, incoming.payload),
            kept(frame, wire_bytes(incoming.properties)),
        )
        .flags(incoming.qos, incoming.retain, incoming.dup);
        let mut late = false;
        let shared = &self.shared;
        self.registry.dispatch(
            &name,
            publication,
            usize::from(self.options.limits.receive_maximum),
            || {
                let delivery = incoming.delivery?;
                late = true;
                let shared = Arc::clone(shared);
                Some(Arc::new(Hold { delivery, shared }))
            },
        );
        if let Some(delivery) = incoming.delivery.filter(|_| !late) {
            self.session
                .settle(delivery, mqtt_codec::ReasonCode::SUCCESS, ());
        }
    }

    /// Ends the connection if the client is to end and nothing is left to be done, or the time is over;
    /// says whether it did.
    fn say_goodbye(&mut self, wire: &mut Wire) -> bool {
        let Some(ending) = &mut self.ending else {
            return false;
        };
        // Before CONNACK there is nobody to say goodbye to, and a connection that is just closed would bring the will about.
        let flushed = self.session.is_connected()
            && locked(&self.shared.outbox).len() == 0
            && self.registry.is_idle();
        let due = flushed || Instant::now() >= ending.deadline;
        if wire.goodbye || self.session.is_closing() || !due {
            return false;
        }
        let goodbye = &ending.goodbye;
        let mut properties = Vec::new();
        properties.extend(goodbye.session_expiry.map(Property::SessionExpiryInterval));
        properties.extend(
            goodbye
                .user_properties
                .iter()
                .map(|(name, value)| Property::UserProperty(name, value)),
        );
        let packet = Disconnect {
            reason: goodbye.reason,
            properties: Properties::List(&properties),
        };
        match self.session.disconnect_with(&packet, &mut wire.tx) {
            Ok(()) => {}
            // What waits in the buffer goes first.
            Err(mqtt_session::Misuse::Full) if flushed => return false,
            Err(mqtt_session::Misuse::NotNow) => self.session.disconnect(goodbye.reason),
            Err(misuse) => {
                if !properties.is_empty() {
                    ending.misuse = Some(misuse);
                }
                self.session.disconnect(goodbye.reason);
            }
        }
        wire.goodbye = true;
        true
    }

    /// Writes what the session has to say, as far as there is room; `true` when the connection is to close after that.
    fn transmit(&mut self, wire: &mut Wire) -> bool {
        let now = self.shared.now();
        self.registry.send(&mut self.session, &mut wire.tx, now);
        let mut outbox = locked(&self.shared.outbox);
        let closing = loop {
            let mut owner = SessionOwner {
                outbox: &mut outbox,
                limits: &self.options.limits,
            };
            match self.session.poll_output(&mut wire.tx, now, &mut owner) {
                Output::Wrote => {}
                Output::Publish { seq, last_use } => {
                    if !last_use {
                        wire.tx.payload(outbox.payload(seq));
                    } else if let Some((payload, written)) = outbox.take(seq) {
                        wire.tx.payload(payload);
                        wire.tx.mark(written);
                    }
                }
                Output::Idle | Output::Full => break false,
                Output::Close => break true,
            }
        };
        outbox.cursor = self.session.state().cursor();
        closing
    }

    /// Everything is written: closes this end, and after a goodbye waits a moment for the other, so that nothing is cut off.
    async fn close(&mut self, wire: &mut Wire) -> Result<(), ConnectionError> {
        let closed = async {
            wire.writer.shutdown().await?;
            if wire.goodbye {
                loop {
                    wire.rx.clear();
                    wire.rx.reserve(READ);
                    if wire.reader.read_buf(&mut wire.rx).await? == 0 {
                        break;
                    }
                }
            }
            std::io::Result::Ok(())
        };
        // The connection is over either way.
        let _ = timeout(LINGER, closed).await;
        Ok(())
    }
}

/// Writes some of what waits, or flushes when nothing does. Cancel safe as far as the transport's own calls are.
async fn write(
    writer: &mut WriteHalf<Io>,
    tx: &mut SendBuffer,
    unflushed: &mut bool,
) -> std::io::Result<()> {
    if tx.has_remaining() {
        if writer.write_buf(tx).await? == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        *unflushed = true;
    } else {
        writer.flush().await?;
        *unflushed = false;
    }
    Ok(())
}

/// Bytes of a frame to be kept: shared when they are many.
fn kept(frame: &Bytes, part: &[u8]) -> Bytes {
    if part.len() <= COPIED {
        Bytes::copy_from_slice(part)
    } else {
        frame.slice_ref(part)
    }
}

/// Received properties as they stand in their packet.
const fn wire_bytes(properties: Properties<'_>) -> &[u8] {
    match properties {
        Properties::Wire(wire) => wire.as_bytes(),
        Properties::List(_) => &[],
    }
}
