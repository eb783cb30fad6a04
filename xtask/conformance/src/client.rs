//! A client that shows every packet on the wire: it sends what it is told, and answers nothing by itself.

use core::time::Duration;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::time::Instant;

use mqtt_codec::{Decoded, Decoder, FromServer, PINGREQ, PacketId, ReasonCode, Version};

use crate::failure::{Step, failed, same};
use crate::frame::{Encode, Frame, packet_id};
use crate::trace::Trace;

/// How long the suite waits for something that must come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For one packet.
    pub(crate) patience: Duration,
    /// The end of the case.
    pub(crate) deadline: Instant,
}

/// A connection to the broker.
#[derive(Debug)]
pub(crate) struct Client {
    name: String,
    version: Version,
    stream: TcpStream,
    limits: Limits,
    trace: Rc<Trace>,
    /// What the topics of the case begin with; left out where messages are shown.
    prefix: String,
    buffer: Vec<u8>,
    /// Packets that came while another one was waited for.
    set_aside: VecDeque<Frame>,
    next_id: u16,
    /// What the last write met with, shown when nothing comes.
    write_error: Option<String>,
}

impl Client {
    /// A client on an open connection, that sends nothing yet; answers are read as those of `version`.
    pub(crate) fn new(
        name: &str,
        version: Version,
        stream: TcpStream,
        limits: Limits,
        trace: Rc<Trace>,
        prefix: &str,
    ) -> Self {
        // Neither is needed for a right verdict: small packets leave earlier, and a full socket does not hang the suite.
        stream.set_nodelay(true).ok();
        stream.set_write_timeout(Some(limits.patience)).ok();
        Self {
            name: name.to_owned(),
            version,
            stream,
            limits,
            trace,
            prefix: prefix.to_owned(),
            buffer: Vec::new(),
            set_aside: VecDeque::new(),
            next_id: 1,
            write_error: None,
        }
    }

    /// What the topics of the case begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A packet identifier that this connection has not used before.
    pub(crate) fn fresh_id(&mut self) -> PacketId {
        let id = packet_id(self.next_id);
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        id
    }

    /// Sends a packet. A broker that does not read shows when an answer is waited for.
    pub(crate) fn send(&mut self, packet: &impl Encode) {
        packet.note(&self.trace);
        self.trace.add(&self.name, ">", &packet.text());
        self.write(&packet.bytes(self.version));
    }

    /// Sends bytes as they are.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.trace.add(&self.name, ">", &hex(bytes));
        self.write(bytes);
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes) {
            self.write_error = Some(error.to_string());
        }
    }

    /// Closes the connection without a DISCONNECT.
    pub(crate) fn cut(self) {
        self.trace.add(&self.name, ">", "closes the connection");
        // An error means that it is closed already.
        self.stream.shutdown(Shutdown::Both).ok();
    }

    /// Closes this side of the connection, as a client does after DISCONNECT, and waits for the other side to close.
    #[track_caller]
    pub(crate) fn leave(mut self) -> Step {
        self.stream.shutdown(Shutdown::Write).ok();
        // Messages that crossed the DISCONNECT are no fault.
        while self.receive_or_end()?.is_some() {}
        Ok(())
    }

    /// Waits for the next packet.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Step<Frame> {
        match self.receive_or_end()? {
            Some(frame) => Ok(frame),
            None => failed("a packet", "the broker closed the connection"),
        }
    }

    /// Waits for the next packet, or for the end of the connection.
    #[track_caller]
    pub(crate) fn receive_or_end(&mut self) -> Step<Option<Frame>> {
        match self.set_aside.pop_front() {
            Some(frame) => Ok(Some(frame)),
            None => self.read("a packet, or the end of the connection"),
        }
    }

    /// Waits for the next packet that `wanted` accepts; others stay for later.
    #[track_caller]
    pub(crate) fn receive_where(
        &mut self,
        what: &str,
        wanted: impl Fn(&FromServer<'_>) -> bool,
    ) -> Step<Frame> {
        let found = self
            .set_aside
            .iter()
            .position(|frame| wanted(&frame.packet()));
        if let Some(frame) = found.and_then(|index| self.set_aside.remove(index)) {
            return Ok(frame);
        }
        loop {
            let Some(frame) = self.read(what)? else {
                return failed(what, "the broker closed the connection");
            };
            if wanted(&frame.packet()) {
                return Ok(frame);
            }
            self.set_aside.push_back(frame);
        }
    }

    #[track_caller]
    fn read(&mut self, what: &str) -> Step<Option<Frame>> {
        let until = (Instant::now() + self.limits.patience).min(self.limits.deadline);
        loop {
            match Decoder::new(self.version).from_server(&self.buffer) {
                Ok(Decoded::Complete { len, .. }) => {
                    let rest = self.buffer.split_off(len);
                    let frame = Frame {
                        version: self.version,
                        bytes: core::mem::replace(&mut self.buffer, rest),
                    };
                    self.trace.add(&self.name, "<", &format!("{frame:?}"));
                    return Ok(Some(frame));
                }
                Ok(Decoded::NeedMore(_)) => {}
                Err(error) => return failed(what, format!("{}: {error}", hex(&self.buffer))),
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return failed(what, self.nothing());
            }
            // Fails for a duration of zero only.
            self.stream.set_read_timeout(Some(left)).ok();
            let mut chunk = [0; 16_384];
            match self.stream.read(&mut chunk) {
                Ok(0) => return self.ended(what),
                Ok(read) => self.buffer.extend_from_slice(&chunk[..read]),
                Err(error) => match error.kind() {
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => return self.ended(what),
                    ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                    _ => return failed(what, error.to_string()),
                },
            }
        }
    }

    fn nothing(&self) -> String {
        let mut text = format!("nothing within {:?}", self.limits.patience);
        if !self.buffer.is_empty() {
            text += &format!(" but a part of a packet: {}", hex(&self.buffer));
        }
        if let Some(error) = &self.write_error {
            text += &format!(" (sending had failed: {error})");
        }
        text
    }

    #[track_caller]
    fn ended(&self, what: &str) -> Step<Option<Frame>> {
        self.trace.add(&self.name, "<", "the end of the connection");
        if self.buffer.is_empty() {
            Ok(None)
        } else {
            failed(
                what,
                format!("the end in the middle of {}", hex(&self.buffer)),
            )
        }
    }

    /// Everything up to the end of the connection, not read as packets.
    #[track_caller]
    pub(crate) fn receive_bytes_to_the_end(&mut self) -> Step<Vec<u8>> {
        let mut bytes = core::mem::take(&mut self.buffer);
        self.stream
            .set_read_timeout(Some(self.limits.patience))
            .ok();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(_) => {
                let got = format!("{}, then {}", hex(&bytes), self.nothing());
                return failed("the end of the connection", got);
            }
        }
        self.trace
            .add(&self.name, "<", &format!("{} and the end", hex(&bytes)));
        Ok(bytes)
    }

    /// From now on waits for `time` longer for each packet: the broker's clock has to get there first.
    pub(crate) fn wait_longer(&mut self, time: Duration) {
        self.limits.patience += time;
    }

    /// Waits for the end of the connection; any packet before it is a failure.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Step {
        match self.receive_or_end()? {
            None => Ok(()),
            Some(frame) => failed("the end of the connection", format!("{frame:?}")),
        }
    }

    /// Waits for the end of the connection after a rule was broken. In 5.0 a DISCONNECT may announce it, with one of `reasons` or
    /// 0x80 (unspecified) or 0x83 (implementation specific); before 5.0 nothing may.
    #[track_caller]
    pub(crate) fn end_for(&mut self, reasons: &[ReasonCode]) -> Step<Option<ReasonCode>> {
        let expected = || {
            let codes: Vec<_> = reasons
                .iter()
                .map(|code| format!("0x{:02X}", code.0))
                .collect();
            format!(
                "the end of the connection, after DISCONNECT {} or none",
                codes.join("/")
            )
        };
        let Some(frame) = self.receive_or_end()? else {
            return Ok(None);
        };
        let FromServer::Disconnect(disconnect) = frame.packet() else {
            return failed(expected(), format!("{frame:?}"));
        };
        let general = [
            ReasonCode::UNSPECIFIED_ERROR,
            ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR,
        ];
        if !reasons.contains(&disconnect.reason) && !general.contains(&disconnect.reason) {
            return failed(expected(), format!("{frame:?}"));
        }
        match self.receive_or_end()? {
            None => Ok(Some(disconnect.reason)),
            Some(more) => failed("nothing after DISCONNECT", format!("{more:?}")),
        }
    }

    /// Sends PINGREQ and waits for its answer, twice: what the broker had for this client before is there then, set aside. Twice,
    /// since a broker with several threads may have a message on its way between two of them at the first.
    #[track_caller]
    pub(crate) fn ping(&mut self) -> Step {
        for _ in 0..2 {
            self.trace.add(&self.name, ">", "PingReq");
            self.write(&PINGREQ);
            self.receive_where("PINGRESP", |packet| matches!(packet, FromServer::PingResp))?;
        }
        Ok(())
    }

    /// The first packet that was set aside.
    pub(crate) fn waiting(&mut self) -> Option<Frame> {
        self.set_aside.pop_front()
    }

    /// Shows that nothing came up to now, by a barrier of pings.
    #[track_caller]
    pub(crate) fn silence(&mut self) -> Step {
        self.ping()?;
        same(
            "packets that came unasked",
            &self.set_aside,
            &VecDeque::new(),
        )
    }
}

/// Bytes as a failure shows them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 48;
    let mut text = String::from("bytes");
    for byte in bytes.iter().take(SHOWN) {
        text += &format!(" {byte:02x}");
    }
    if bytes.len() > SHOWN {
        text += &format!(" … ({} in all)", bytes.len());
    }
    text
}
