//! Scripts: one session, and a peer that is nothing but the packets of a test.

use mqtt_codec::{Connect, Decoded, Properties, ReasonCode, Version};
use mqtt_session::{
    Accept, Client, ClientEvent, Closed, DeliveryId, Instant, Limits, Output, Publication, Role,
    Server, ServerEvent, Session, Topic,
};

use crate::owners::{Kind, TestOwner};
use crate::packets::{Raw, connack};
use crate::text::describe_all;

/// The gate of a kind of owner.
pub type GateOf<K> = <<K as Kind>::Owner as mqtt_session::Owner>::Gate;

/// A session under test. Packets go in with [`send`](Script::send), and [`sent`](Script::sent) says what the session wrote since.
#[derive(Debug)]
pub struct Script<R: Role, K: Kind> {
    /// The session.
    pub session: Session<R, K::Profile, K::Storage>,
    /// Its owner.
    pub owner: K::Owner,
    /// The virtual clock.
    pub now: Instant,
    /// What happened, one line an event: `publish q1 t hello`, `connect c`, `violation …`.
    pub events: Vec<String>,
    /// Messages that are not settled.
    pub unsettled: Vec<DeliveryId>,
    /// Answer everything at once: accept, grant, settle with success.
    pub answers: bool,
    /// What an accepted CONNECT finds.
    pub session_present: bool,
    /// How many bytes the session may write before its buffer is full.
    pub room: usize,
    rx: Vec<u8>,
    version: Version,
}

/// A server session under test.
pub type ServerScript<K> = Script<Server, K>;
/// A client session under test.
pub type ClientScript<K> = Script<Client, K>;

/// A buffer that takes so many bytes.
pub(crate) struct Bounded<'v> {
    pub(crate) bytes: &'v mut Vec<u8>,
    pub(crate) room: usize,
}

impl mqtt_session::Tx for Bounded<'_> {
    fn claim(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.bytes.len() + len > self.room {
            return None;
        }
        self.bytes.claim(len)
    }

    fn retract(&mut self, len: usize) {
        self.bytes.retract(len);
    }
}

impl<R: Role, K: Kind> Script<R, K> {
    fn new(version: Version) -> Self {
        Self {
            session: Session::new(),
            owner: K::Owner::default(),
            now: Instant::from_millis(1_000),
            events: vec![],
            unsettled: vec![],
            answers: true,
            session_present: false,
            room: usize::MAX,
            rx: vec![],
            version,
        }
    }

    /// What the session wrote since the last time: a line for each packet, and `close` when the connection ends.
    pub fn sent(&mut self) -> Vec<String> {
        let mut bytes = vec![];
        let mut closed = false;
        loop {
            let mut tx = Bounded {
                room: self.room,
                bytes: &mut bytes,
            };
            match self.session.poll_output(&mut tx, self.now, &mut self.owner) {
                Output::Wrote => {}
                Output::Publish { seq, last_use } => {
                    self.owner.payload(seq, &mut bytes);
                    if last_use {
                        self.owner.written(seq);
                    }
                }
                Output::Idle | Output::Full => break,
                Output::Close => {
                    closed = true;
                    break;
                }
            }
        }
        let mut lines = describe_all(self.session.version(), &bytes);
        if closed {
            lines.push("close".to_owned());
        }
        lines
    }

    /// Lets time pass and the deadline act.
    pub fn after(&mut self, ms: u64) {
        self.now = self.now.plus_millis(ms);
        let limits = self.owner.limits_mut().clone();
        if let Err(violation) = self.session.timeout(self.now, &limits) {
            self.events.push(format!("violation {violation:?}"));
        }
    }

    /// Milliseconds until the deadline.
    pub fn deadline(&self) -> Option<u64> {
        let deadline = self.session.deadline()?;
        Some(deadline.millis_since(self.now))
    }

    /// Takes the events since the last time.
    pub fn happened(&mut self) -> Vec<String> {
        core::mem::take(&mut self.events)
    }

    /// Ends the connection; what had not been read is lost.
    pub fn cut(&mut self) -> Closed {
        self.rx.clear();
        self.session.close(self.now)
    }

    /// Settles the oldest message that is not settled.
    ///
    /// # Panics
    /// When there is none.
    pub fn settle(&mut self, reason: ReasonCode, kept: GateOf<K>) -> bool {
        let delivery = self.unsettled.remove(0);
        self.session.settle(delivery, reason, kept)
    }

    /// Gives up the oldest message that is not settled.
    ///
    /// # Panics
    /// When there is none.
    pub fn abandon(&mut self, reason: ReasonCode) -> bool {
        let delivery = self.unsettled.remove(0);
        self.session.abandon(delivery, reason, &mut self.owner)
    }

    fn publication(&mut self, publication: Publication<'_>) -> String {
        let topic = match publication.topic {
            Topic::Name(name) => name.as_str().to_owned(),
            Topic::Alias(alias) => self
                .session
                .topic(alias)
                .expect("the session knows it")
                .to_owned(),
        };
        if let Some(delivery) = publication.delivery {
            if self.answers {
                assert!(
                    self.session
                        .settle(delivery, ReasonCode::SUCCESS, GateOf::<K>::default())
                );
            } else {
                self.unsettled.push(delivery);
            }
        }
        let payload = String::from_utf8_lossy(publication.payload);
        format!("publish q{} {topic} {payload}", publication.qos as u8)
    }
}

impl<K: Kind> Script<Server, K> {
    /// A server at the beginning of a connection.
    #[must_use]
    pub fn opened(version: Version) -> Self {
        let mut script = Self::new(version);
        script.open();
        script
    }

    /// A server whose client has connected cleanly.
    #[must_use]
    pub fn connected(version: Version) -> Self {
        let mut script = Self::opened(version);
        script.send(&Connect::new(version, "c"));
        let sent = script.sent();
        assert!(sent[0].starts_with("CONNACK"), "{sent:?}");
        script.events.clear();
        script
    }

    /// The next connection is there.
    pub fn open(&mut self) {
        let limits = self.owner.limits_mut().clone();
        self.session.open(self.now, &limits);
    }

    /// Sends packets to the server, and answers what it asks if [`answers`](Self::answers) is set.
    pub fn send<P: Raw + ?Sized>(&mut self, packet: &P) {
        self.rx.extend(packet.bytes(self.version));
        self.read();
    }

    /// Reads on, as far as the session wants input.
    pub fn read(&mut self) {
        let bytes = core::mem::take(&mut self.rx);
        let mut rest = &bytes[..];
        let limits = self.owner.limits_mut().clone();
        while self.session.wants_input() {
            let decoder = self.session.decoder(&limits);
            let (packet, len) = match decoder.from_client(rest) {
                Ok(Decoded::Complete { packet, len }) => (packet, len),
                Ok(Decoded::NeedMore(_)) => break,
                Err(error) => {
                    let violation = self.session.malformed(error);
                    self.events.push(format!("violation {violation:?}"));
                    break;
                }
            };
            rest = &rest[len..];
            let line = match self.session.handle(&packet, self.now, &mut self.owner) {
                Ok(ServerEvent::Nothing) => continue,
                Ok(ServerEvent::Publication(publication)) => self.publication(publication),
                Ok(ServerEvent::Connect(connect)) => {
                    let line = format!("connect {}", connect.client_id());
                    if self.answers {
                        self.accept();
                    }
                    line
                }
                Ok(ServerEvent::Auth(auth)) => format!("auth 0x{:02x}", auth.reason.0),
                Ok(ServerEvent::Subscribe(subscribe)) => {
                    let (mut line, mut codes) = ("subscribe".to_owned(), vec![]);
                    for entry in subscribe.filters.iter() {
                        line += &format!(" {} q{}", entry.filter, entry.options.qos as u8);
                        codes.push(ReasonCode(entry.options.qos as u8));
                    }
                    if self.answers {
                        self.session
                            .answer_subscribe(codes, GateOf::<K>::default())
                            .expect("it was asked");
                    }
                    line
                }
                Ok(ServerEvent::Unsubscribe(unsubscribe)) => {
                    let filters: Vec<&str> = unsubscribe.filters.iter().collect();
                    if self.answers {
                        let codes = filters.iter().map(|_| ReasonCode::SUCCESS);
                        self.session
                            .answer_unsubscribe(codes, GateOf::<K>::default())
                            .expect("it was asked");
                    }
                    format!("unsubscribe {}", filters.join(" "))
                }
                Ok(ServerEvent::Disconnect(packet)) => {
                    format!("disconnect 0x{:02x}", packet.reason.0)
                }
                Err(violation) => format!("violation {violation:?}"),
            };
            self.events.push(line);
        }
        self.rx = rest.to_vec();
    }

    /// Accepts a CONNECT.
    ///
    /// # Panics
    /// When there was none.
    pub fn accept(&mut self) {
        self.session
            .accept(Accept {
                session_present: self.session_present,
                server_keep_alive: None,
                session_expiry: None,
                kept: GateOf::<K>::default(),
            })
            .expect("it was asked");
    }
}

impl<K: Kind> Script<Client, K> {
    /// A client before its first connection.
    #[must_use]
    pub fn offline(version: Version) -> Self {
        Self::new(version)
    }

    /// A client that has connected cleanly.
    #[must_use]
    pub fn connected(version: Version) -> Self {
        let mut script = Self::new(version);
        script.connect(&Connect::new(version, "c"));
        script.send(&connack(false));
        script.events.clear();
        script
    }

    /// Connects, and gives the line of its CONNECT.
    ///
    /// # Panics
    /// When the session refuses.
    pub fn connect(&mut self, connect: &Connect<'_>) -> String {
        let mut tx = vec![];
        self.session
            .connect(connect, &mut tx, self.now, &mut self.owner)
            .expect("a CONNECT that can be sent");
        describe_all(connect.version, &tx).remove(0)
    }

    /// Connects again to a session that is kept, and finds it or not.
    pub fn reconnect(&mut self, session_present: bool) {
        let expiry = [mqtt_codec::Property::SessionExpiryInterval(600)];
        let connect = Connect {
            clean_start: false,
            properties: if self.version.is_v5() {
                Properties::List(&expiry)
            } else {
                Properties::EMPTY
            },
            ..Connect::new(self.version, "c")
        };
        self.connect(&connect);
        self.send(&connack(session_present));
    }

    /// Sends packets to the client.
    pub fn send<P: Raw + ?Sized>(&mut self, packet: &P) {
        self.rx.extend(packet.bytes(self.version));
        self.read();
    }

    /// Reads on, as far as the session wants input.
    pub fn read(&mut self) {
        let bytes = core::mem::take(&mut self.rx);
        let mut rest = &bytes[..];
        let limits: Limits = self.owner.limits_mut().clone();
        while self.session.wants_input() {
            let decoder = self.session.decoder(&limits);
            let (packet, len) = match decoder.from_server(rest) {
                Ok(Decoded::Complete { packet, len }) => (packet, len),
                Ok(Decoded::NeedMore(_)) => break,
                Err(error) => {
                    let violation = self.session.malformed(error);
                    self.events.push(format!("violation {violation:?}"));
                    break;
                }
            };
            rest = &rest[len..];
            let line = match self.session.handle(&packet, self.now, &mut self.owner) {
                Ok(ClientEvent::Nothing) => continue,
                Ok(ClientEvent::Publication(publication)) => self.publication(publication),
                Ok(ClientEvent::Connected(_)) => "connected".to_owned(),
                Ok(ClientEvent::Refused(packet)) => format!("refused 0x{:02x}", packet.reason.0),
                Ok(ClientEvent::Auth(packet)) => format!("auth 0x{:02x}", packet.reason.0),
                Ok(ClientEvent::Subscribed(id, codes, _)) => {
                    let codes: Vec<u8> = codes.iter().map(|code| code.0).collect();
                    format!("subscribed {} {codes:02x?}", id.get())
                }
                Ok(ClientEvent::Unsubscribed(id, codes, _)) => {
                    let codes: Vec<u8> = codes.iter().map(|code| code.0).collect();
                    format!("unsubscribed {} {codes:02x?}", id.get())
                }
                Ok(ClientEvent::Disconnect(packet)) => {
                    format!("disconnect 0x{:02x}", packet.reason.0)
                }
                Err(violation) => format!("violation {violation:?}"),
            };
            self.events.push(line);
        }
        self.rx = rest.to_vec();
    }
}
