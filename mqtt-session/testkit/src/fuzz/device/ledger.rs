//! What a client of devices may write, whatever its server sends.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_codec::{ConnAck, FromClient, Property, QoS, Version};

/// A message as the application handed it over; its payload begins with its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handed {
    pub(super) topic: &'static str,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) properties: &'static [Property<'static>],
}

/// Notes what was asked for and what was written.
#[derive(Debug)]
pub(super) struct Ledger {
    version: Version,
    /// The server's limits count only for what leaves behind its CONNACK.
    early: bool,
    handed: Vec<Handed>,
    /// Messages that the application has not heard the end of.
    pub(super) published: BTreeSet<u16>,
    /// Those that ended with a session, perhaps without a word.
    perhaps: BTreeSet<u16>,
    /// SUBSCRIBE and UNSUBSCRIBE without an answer.
    pub(super) asked: BTreeSet<u16>,
    /// Sent on this connection, and not over.
    pub(super) flight: BTreeSet<u16>,
    /// Sent on any.
    sent: BTreeSet<u16>,
    window: usize,
    largest: usize,
    aliases: u16,
    taught: BTreeMap<u16, String>,
    /// Messages of QoS 1 that the application has seen, or not, and PUBACKs for them.
    pub(super) taken: usize,
    thanked: usize,
    /// CONNECT and CONNACK have passed; DISCONNECT has.
    greeted: bool,
    pub(super) connected: bool,
    said_goodbye: bool,
    /// The session of this connection may be a new one.
    renewed: bool,
}

impl Ledger {
    pub(super) const fn new(version: Version, early: bool) -> Self {
        Self {
            version,
            early,
            handed: Vec::new(),
            published: BTreeSet::new(),
            perhaps: BTreeSet::new(),
            asked: BTreeSet::new(),
            flight: BTreeSet::new(),
            sent: BTreeSet::new(),
            window: 0,
            largest: usize::MAX,
            aliases: 0,
            taught: BTreeMap::new(),
            taken: 0,
            thanked: 0,
            greeted: false,
            connected: false,
            said_goodbye: false,
            renewed: false,
        }
    }

    /// A connection begins.
    pub(super) fn open(&mut self, window: u16) {
        self.flight.clear();
        self.taught.clear();
        self.window = window.into();
        self.largest = usize::MAX;
        self.aliases = 0;
        self.greeted = false;
        self.connected = false;
        self.said_goodbye = false;
        self.renewed = false;
    }

    /// The number of the next message.
    pub(super) const fn next(&self) -> usize {
        self.handed.len()
    }

    pub(super) fn hand(&mut self, message: Handed, id: Option<u16>) {
        self.handed.push(message);
        if let Some(id) = id {
            assert!(self.published.insert(id), "id {id} is in use");
            self.perhaps.remove(&id);
            self.sent.remove(&id);
        }
    }

    /// The session is gone: what is not in the queue any more may have ended without a word.
    pub(super) fn forget(&mut self, queued: &BTreeSet<u16>) {
        self.renewed = true;
        let gone: Vec<u16> = self.published.difference(queued).copied().collect();
        for id in gone {
            self.published.remove(&id);
            self.perhaps.insert(id);
        }
    }

    /// The server has accepted the connection, and says this.
    pub(super) fn connected(&mut self, connack: &ConnAck<'_>) {
        self.connected = true;
        let properties = connack.properties;
        self.aliases = properties.topic_alias_maximum().unwrap_or(0);
        if self.early || !self.version.is_v5() {
            return;
        }
        let window = properties
            .receive_maximum()
            .map_or(u16::MAX, |most| most.get());
        self.window = self.window.min(window.into());
        self.largest = properties
            .maximum_packet_size()
            .map_or(usize::MAX, |most| most.get() as usize);
    }

    /// The application has heard the end of a message.
    pub(super) fn ended(&mut self, id: u16) {
        let known = self.published.remove(&id) || self.perhaps.remove(&id);
        assert!(known, "nobody waits for {id}");
        self.flight.remove(&id);
    }

    /// The application has heard the end of a request.
    pub(super) fn answered(&mut self, id: u16) {
        assert!(self.asked.remove(&id), "nobody has asked with {id}");
    }

    /// A whole packet of so many bytes was written.
    pub(super) fn wrote(&mut self, packet: &FromClient<'_>, len: usize) {
        assert!(!self.said_goodbye, "behind DISCONNECT: {packet:?}");
        let is_connect = matches!(packet, FromClient::Connect(_));
        assert_ne!(is_connect, self.greeted, "{packet:?}");
        self.greeted = true;
        assert!(
            is_connect || self.connected || self.early,
            "before CONNACK: {packet:?}"
        );
        if !matches!(
            packet,
            FromClient::Connect(_) | FromClient::Disconnect(_) | FromClient::PingReq
        ) {
            assert!(len <= self.largest, "{len} bytes: {packet:?}");
        }
        match packet {
            FromClient::Publish(publish) => self.message(publish),
            FromClient::PubAck(_) => {
                self.thanked += 1;
                assert!(self.thanked <= self.taken, "PUBACK for nothing");
            }
            FromClient::Disconnect(_) => self.said_goodbye = true,
            FromClient::Auth(_) => panic!("nobody has asked for {packet:?}"),
            _ => {}
        }
    }

    fn message(&mut self, publish: &mqtt_codec::Publish<'_>) {
        let digits = publish.payload.split(|byte| *byte == b' ').next();
        let number = digits.and_then(|digits| core::str::from_utf8(digits).ok());
        let number: usize = number
            .and_then(|digits| digits.parse().ok())
            .expect("a number");
        let handed = *self.handed.get(number).expect("a message that there is");
        assert_eq!(
            (publish.delivery.qos(), publish.retain),
            (handed.qos, handed.retain)
        );
        let mut topic = publish.topic.to_owned();
        let mut rest: Vec<_> = publish.properties.iter().collect();
        if let Some(alias) = publish.properties.topic_alias() {
            let alias = alias.get();
            assert!(alias <= self.aliases, "alias {alias} of {}", self.aliases);
            rest.retain(|property| !matches!(property, Property::TopicAlias(_)));
            if topic.is_empty() {
                topic.clone_from(self.taught.get(&alias).expect("a topic that was taught"));
            } else {
                self.taught.insert(alias, topic.clone());
            }
        }
        assert_eq!(topic, handed.topic);
        let said = if self.version.is_v5() {
            handed.properties
        } else {
            &[]
        };
        assert_eq!(rest, said);
        let Some(id) = publish.delivery.packet_id() else {
            return;
        };
        let id = id.get();
        let again = !self.sent.insert(id);
        // To a server that does not know it, it is new.
        assert!(
            publish.dup == again || (again && self.renewed),
            "DUP {} of {id}",
            publish.dup
        );
        self.flight.insert(id);
        assert!(
            self.flight.len() <= self.window,
            "{:?} are more than {}",
            self.flight,
            self.window
        );
    }
}
