//! Everything that can be chosen before a client starts.

use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use mqtt_codec::{Connect, Properties, Property, ReceiveMaximum, Version};
use mqtt_session::profile::Full;
use mqtt_session::storage::Heap;
use mqtt_session::{ClientSession, Limits, Misuse, Tx};
use mqtt_topic::TopicName;

use crate::address::Address;
use crate::error::{OptionsError, PublishError};
use crate::message::Message;
use crate::outbox::SessionOwner;
use crate::reconnect::Reconnect;
use crate::transport::{Connector, Tcp};

/// What happens to a message that finds the outgoing queue full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// [`publish`](crate::Client::publish) waits for room; [`try_publish`](crate::Client::try_publish) refuses.
    #[default]
    Wait,
    /// The oldest message that was not yet sent gives way, and its publisher is told
    /// [`PublishError::Dropped`]: for readings of which only the latest count.
    DropOldest,
}

/// The message that the server publishes when the client is gone without a goodbye.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    message: Message,
    delay: Option<u32>,
}

impl Will {
    /// This message, at once.
    #[must_use]
    pub const fn new(message: Message) -> Self {
        Self {
            message,
            delay: None,
        }
    }

    /// How long the server waits for the client to come back, in whole seconds (5.0).
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(seconds(delay));
        self
    }
}

/// A password: never printed.
#[derive(Clone, PartialEq, Eq)]
struct Password(Bytes);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Where random numbers come from.
#[derive(Clone)]
pub(crate) struct Randomness(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Randomness {
    pub(crate) fn next(&self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Randomness")
    }
}

/// How a client connects and behaves: start with [`Options::new`], change what you need.
///
/// ```
/// use core::time::Duration;
/// use mqtt_client::{Message, Options, Version, Will};
///
/// let options = Options::new(("broker.example", 1883))
///     .version(Version::V5)
///     .client_id("greenhouse-3")
///     .clean_start(false)
///     .session_expiry(Duration::from_secs(86_400))
///     .keep_alive(Duration::from_secs(30))
///     .user_name("greenhouse")
///     .password("secret")
///     .will(Will::new(Message::new("greenhouse/3/state", "gone").retain(true)));
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) address: Address,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) version: Version,
    client_id: Option<Box<str>>,
    pub(crate) clean_start: bool,
    session_expiry: u32,
    keep_alive: u16,
    will: Option<Will>,
    user_name: Option<Box<str>>,
    password: Option<Password>,
    user_properties: Vec<(Box<str>, Box<str>)>,
    request_response_information: bool,
    pub(crate) limits: Limits,
    pub(crate) queue_messages: u32,
    pub(crate) queue_bytes: u32,
    pub(crate) when_full: WhenFull,
    pub(crate) reconnect: Reconnect,
    pub(crate) connect_timeout: Duration,
    pub(crate) flush_timeout: Duration,
    pub(crate) random: Randomness,
}

impl Options {
    /// The defaults that every method names, and a server at `address`: `("host", port)`, or a parsed [`Address`].
    pub fn new(address: impl Into<Address>) -> Self {
        Self {
            address: address.into(),
            connector: Arc::new(Tcp),
            version: Version::V5,
            client_id: None,
            clean_start: true,
            session_expiry: 0,
            keep_alive: 60,
            will: None,
            user_name: None,
            password: None,
            user_properties: Vec::new(),
            request_response_information: false,
            limits: default_limits(),
            queue_messages: 10_000,
            queue_bytes: 10_000_000,
            when_full: WhenFull::Wait,
            reconnect: Reconnect::default(),
            connect_timeout: Duration::from_secs(10),
            flush_timeout: Duration::from_secs(10),
            random: Randomness(Arc::new(operating_system)),
        }
    }

    /// The version to speak; default 5.0.
    #[must_use]
    pub const fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// The client id, which names the session at the server. Default: a random one, so give one when the session shall be found again
    /// by a later run of the program. An empty one asks the server to choose (not in 3.1); it is then kept for reconnects.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<Box<str>>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// Whether an earlier session of this client id is thrown away at the first connection; default yes.
    ///
    /// With `false` a program that is started again gets what it has missed. Which QoS 2 messages an earlier run had received, and not yet
    /// acknowledged to the end, it does not know: those may come again.
    ///
    /// Before 5.0 this is Clean Session, and `false` also keeps the session when the client ends. In 5.0 that is
    /// [`session_expiry`](Self::session_expiry).
    #[must_use]
    pub const fn clean_start(mut self, clean: bool) -> Self {
        self.clean_start = clean;
        self
    }

    /// How long the server keeps the session after a connection has ended (5.0), in whole seconds; `Duration::MAX` is for ever. Default 0.
    ///
    /// With 0 a lost connection is a lost session: messages that were on their way are sent again, QoS 2 ones too, and what others
    /// published meanwhile is missed.
    #[must_use]
    pub fn session_expiry(mut self, time: Duration) -> Self {
        self.session_expiry = seconds(time);
        self
    }

    /// How long the connection may be silent before the client asks whether the server is there, in whole seconds up to 65,535; zero
    /// switches it off. Default 60 seconds.
    #[must_use]
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.keep_alive = u16::try_from(time.as_secs()).unwrap_or(u16::MAX);
        self
    }

    /// What the server publishes when this client is gone without a goodbye; default nothing.
    #[must_use]
    pub fn will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    /// The user name; default none.
    #[must_use]
    pub fn user_name(mut self, name: impl Into<Box<str>>) -> Self {
        self.user_name = Some(name.into());
        self
    }

    /// The password; default none. It never appears in `Debug` output. Before 5.0 it needs a user name.
    #[must_use]
    pub fn password(mut self, password: impl Into<Bytes>) -> Self {
        self.password = Some(Password(password.into()));
        self
    }

    /// A name and a value of your own for CONNECT (5.0); may be repeated.
    #[must_use]
    pub fn user_property(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.user_properties.push((name.into(), value.into()));
        self
    }

    /// Asks the server for a basis of response topics (5.0): [`Event::Connected`](crate::Event::Connected) brings it. Default no.
    #[must_use]
    pub const fn request_response_information(mut self, ask: bool) -> Self {
        self.request_response_information = ask;
        self
    }

    /// What the server is held to, and the windows: Receive Maximum, Maximum Packet Size, topic aliases, time-outs.
    ///
    /// The default is that of [`Limits`], but for a server that cannot announce its Receive Maximum (before 5.0): it gets no more than
    /// 20 messages of QoS 1 and 2 at once, since some lose what comes on top.
    #[must_use]
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// How much may wait to be sent or acknowledged: messages (default 10,000) and bytes of topics, payloads and properties (default
    /// 10,000,000). At least 1 each; a single message larger than `bytes` is taken when nothing else waits.
    #[must_use]
    pub fn queue(mut self, messages: u32, bytes: u32) -> Self {
        let most = u32::try_from(tokio::sync::Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        self.queue_messages = messages.clamp(1, most);
        self.queue_bytes = bytes.clamp(1, most);
        self
    }

    /// What happens when the queue is full; default [`WhenFull::Wait`].
    #[must_use]
    pub const fn when_full(mut self, policy: WhenFull) -> Self {
        self.when_full = policy;
        self
    }

    /// When to connect again; default for ever, with growing waits.
    #[must_use]
    pub const fn reconnect(mut self, policy: Reconnect) -> Self {
        self.reconnect = policy;
        self
    }

    /// How long opening the transport may take; default 10 seconds. CONNACK has
    /// [`Limits::connect_timeout_ms`].
    #[must_use]
    pub const fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time;
        self
    }

    /// How long a client that ends waits for the acknowledgement of its messages; default 10 seconds.
    #[must_use]
    pub const fn flush_timeout(mut self, time: Duration) -> Self {
        self.flush_timeout = time;
        self
    }

    /// What opens transports; default [`Tcp`].
    #[must_use]
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.connector = Arc::new(connector);
        self
    }

    /// Where random numbers come from (jitter, client id, hash seed); default the operating system. For tests and simulations.
    #[must_use]
    pub fn randomness(mut self, source: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.random = Randomness(Arc::new(source));
        self
    }

    /// The client id to begin with: the chosen one, or a random one of the 23 characters that every server takes [MQTT-3.1.3-5].
    pub(crate) fn first_client_id(&self) -> Box<str> {
        self.client_id
            .clone()
            .unwrap_or_else(|| format!("mqtt-{:016x}", self.random.next()).into())
    }

    /// Writes CONNECT through `session`.
    pub(crate) fn connect<T: Tx>(
        &self,
        session: &mut ClientSession<Full, Heap>,
        client_id: &str,
        clean_start: bool,
        tx: &mut T,
        now: mqtt_session::Instant,
        owner: &mut SessionOwner<'_>,
    ) -> Result<(), Misuse> {
        let will_properties = self.will.as_ref().map(will_properties).unwrap_or_default();
        let will = self.will.as_ref().map(|will| mqtt_codec::Will {
            topic: will.message.topic(),
            payload: will.message.payload(),
            qos: will.message.quality(),
            retain: will.message.is_retained(),
            properties: Properties::List(&will_properties),
        });
        let properties = self.properties();
        let connect = Connect {
            version: self.version,
            clean_start,
            keep_alive: self.keep_alive,
            client_id,
            will,
            user_name: self.user_name.as_deref(),
            password: self.password.as_ref().map(|password| &*password.0),
            properties: Properties::List(&properties),
            bridge: false,
        };
        session.connect(&connect, tx, now, owner)
    }

    /// The properties of CONNECT; those with their default value are left out.
    fn properties(&self) -> Vec<Property<'_>> {
        let limits = &self.limits;
        let receive_maximum =
            ReceiveMaximum::new(limits.receive_maximum).filter(|it| *it != ReceiveMaximum::MAX);
        let packet_size =
            NonZeroU32::new(limits.maximum_packet_size).filter(|size| size.get() < LARGEST_PACKET);
        let mut list = Vec::with_capacity(5 + self.user_properties.len());
        let expiry = self.session_expiry;
        list.extend((expiry != 0).then_some(Property::SessionExpiryInterval(expiry)));
        list.extend(receive_maximum.map(Property::ReceiveMaximum));
        list.extend(packet_size.map(Property::MaximumPacketSize));
        let aliases = limits.topic_alias_maximum;
        list.extend((aliases != 0).then_some(Property::TopicAliasMaximum(aliases)));
        list.extend(
            self.request_response_information
                .then_some(Property::RequestResponseInformation(true)),
        );
        list.extend(
            self.user_properties
                .iter()
                .map(|(name, value)| Property::UserProperty(name, value)),
        );
        list
    }

    /// Whether a CONNECT with these options can be written: tried on a session that is thrown away.
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        if let Some(will) = &self.will {
            TopicName::new(will.message.topic()).map_err(OptionsError::WillTopic)?;
            if let Err(PublishError::Properties(error)) = will.message.check() {
                return Err(OptionsError::WillProperties(error));
            }
        }
        let mut outbox = crate::outbox::Outbox::default();
        let mut owner = SessionOwner {
            outbox: &mut outbox,
            limits: &self.limits,
        };
        self.connect(
            &mut ClientSession::new(),
            &self.first_client_id(),
            self.clean_start,
            &mut Vec::new(),
            mqtt_session::Instant::ZERO,
            &mut owner,
        )
        .map_err(OptionsError::Connect)
    }
}

/// What a client holds to when it is not told otherwise.
fn default_limits() -> Limits {
    let mut limits = Limits::default();
    limits.unannounced_send_maximum = 20;
    limits
}

/// The largest packet that there can be, in bytes.
const LARGEST_PACKET: u32 = 268_435_460;

fn will_properties(will: &Will) -> Vec<Property<'_>> {
    let mut list: Vec<_> = will.message.properties().iter().collect();
    list.extend(will.delay.map(Property::WillDelayInterval));
    let expiry = will.message.expiry().map(seconds);
    list.extend(expiry.map(Property::MessageExpiryInterval));
    list
}

/// Whole seconds as MQTT says them: the largest number is for ever.
pub(crate) fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

fn operating_system() -> u64 {
    // Without an entropy source a hasher that the standard library seeds is the next best thing.
    getrandom::u64().unwrap_or_else(|_| {
        use core::hash::{BuildHasher as _, Hasher as _};
        std::hash::RandomState::new().build_hasher().finish()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_codec::{Decoded, Decoder, FromClient};

    fn options() -> Options {
        Options::new(("localhost", 1))
    }

    #[test]
    fn a_password_is_never_printed() {
        let text = format!("{:?}", options().user_name("u").password("sesame"));
        assert!(!text.contains("sesame") && text.contains("\"u\""), "{text}");
    }

    /// A password without a user name [3.1.1:MQTT-3.1.2-22] and a will topic with a wildcard are told before anything is sent.
    #[test]
    fn options_that_no_connect_can_carry_are_refused() {
        let password = options().password("p");
        assert_eq!(password.check(), Ok(()));
        assert!(matches!(
            password.version(Version::V311).check(),
            Err(OptionsError::Connect(_))
        ));
        let will = options().will(Will::new(Message::new("a/#", "")));
        assert!(matches!(will.check(), Err(OptionsError::WillTopic(_))));
        let nul = options().user_property("a\0", "");
        assert!(matches!(nul.check(), Err(OptionsError::Connect(_))));
    }

    /// A random client id has 1 to 23 characters of those that every server takes [MQTT-3.1.3-5].
    #[test]
    fn a_random_client_id_fits_every_server() {
        let id = options().randomness(|| u64::MAX).first_client_id();
        assert_eq!(&*id, "mqtt-ffffffffffffffff");
        assert!(id.len() <= 23);
    }

    #[test]
    fn connect_announces_the_limits_and_the_will() {
        let options = options()
            .limits(|limits| {
                limits.receive_maximum = 7;
                limits.maximum_packet_size = 5_000;
            })
            .session_expiry(Duration::MAX)
            .will(Will::new(Message::new("w", "gone").text()).delay(Duration::from_secs(3)));
        let mut bytes = Vec::new();
        let mut outbox = crate::outbox::Outbox::default();
        let mut owner = SessionOwner {
            outbox: &mut outbox,
            limits: &options.limits,
        };
        let mut session = ClientSession::new();
        options
            .connect(
                &mut session,
                "me",
                false,
                &mut bytes,
                mqtt_session::Instant::ZERO,
                &mut owner,
            )
            .unwrap();
        let Ok(Decoded::Complete {
            packet: FromClient::Connect(connect),
            ..
        }) = Decoder::new(Version::V5).from_client(&bytes)
        else {
            panic!("a CONNECT");
        };
        let properties = connect.properties();
        assert_eq!(properties.session_expiry_interval(), Some(u32::MAX));
        assert_eq!(
            properties.receive_maximum().map(ReceiveMaximum::get),
            Some(7)
        );
        assert_eq!(
            properties.maximum_packet_size().map(NonZeroU32::get),
            Some(5_000)
        );
        let will = connect.will().unwrap();
        assert_eq!((will.topic, will.payload), ("w", &b"gone"[..]));
        assert_eq!(will.properties.will_delay_interval(), Some(3));
        assert!(will.properties.payload_format_indicator().is_some());
    }
}
