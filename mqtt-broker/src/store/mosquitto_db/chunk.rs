//! One chunk of the file: its fixed fields, and what stands behind them.
//!
//! Numbers are in network order, but those that Mosquitto writes as its processor has them: the number of a message, and points in time.

use core::str;

use mqtt_codec::{Properties, QoS};

/// What is wrong with a chunk.
pub(super) type Wrong = String;

/// The fields of a chunk, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize, what: &str) -> Result<&'a [u8], Wrong> {
        let Some((taken, rest)) = self.0.split_at_checked(len) else {
            let left = self.0.len();
            return Err(format!(
                "{what} should take {len} bytes, and {left} are left"
            ));
        };
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Wrong> {
        let taken = self.take(N, what)?;
        taken
            .try_into()
            .map_err(|_| format!("{what} does not take {N} bytes"))
    }

    fn u8(&mut self, what: &str) -> Result<u8, Wrong> {
        Ok(u8::from_be_bytes(self.array(what)?))
    }

    fn u16(&mut self, what: &str) -> Result<u16, Wrong> {
        Ok(u16::from_be_bytes(self.array(what)?))
    }

    fn u32(&mut self, what: &str) -> Result<u32, Wrong> {
        Ok(u32::from_be_bytes(self.array(what)?))
    }

    /// In the order of the processor, which must be little-endian.
    fn native(&mut self, what: &str) -> Result<u64, Wrong> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    fn text(&mut self, len: u16, what: &str) -> Result<&'a str, Wrong> {
        let bytes = self.take(usize::from(len), what)?;
        let text = str::from_utf8(bytes).map_err(|_| format!("{what} is not UTF-8"))?;
        if text.contains('\0') {
            return Err(format!("{what} holds the character U+0000"));
        }
        Ok(text)
    }

    fn qos(&mut self) -> Result<QoS, Wrong> {
        let number = self.u8("the QoS")?;
        QoS::from_u8(number).ok_or_else(|| format!("{number} is no QoS"))
    }

    /// Properties of a PUBLISH, their length in front; none at the end of a chunk.
    fn properties(&mut self) -> Result<Properties<'a>, Wrong> {
        if self.0.is_empty() {
            return Ok(Properties::EMPTY);
        }
        let mut len = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8("the length of the properties")?;
            len |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let bytes = self.take(len, "the properties")?;
        let checked = Properties::checked_publish(bytes);
        checked.map_err(|error| format!("the properties of the message: {error}"))
    }

    fn end(&self) -> Result<(), Wrong> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(format!("{left} bytes are left behind its last field")),
        }
    }
}

/// A time as seconds of the epoch, 0 for none.
fn time(seconds: u64, what: &str) -> Result<Option<u64>, Wrong> {
    match i64::try_from(seconds) {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(seconds)),
        Err(_) => Err(format!("{what} lies before 1970")),
    }
}

/// How the file was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// The number of the latest message.
    pub(super) last_id: [u8; 8],
    /// It was written when Mosquitto stopped, not while it ran.
    pub(super) stopped: bool,
    /// Bytes of the number of a message.
    pub(super) id_size: u8,
}

impl Config {
    /// On machines whose 64-bit numbers begin at multiples of 8 bytes; 32-bit x86 has no such rule.
    pub(super) const LEN: usize = 16;

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Wrong> {
        let mut fields = Fields(bytes);
        let config = Self {
            last_id: fields.array("the number of the latest message")?,
            stopped: fields.u8("the mark of a clean stop")? != 0,
            id_size: fields.u8("the size of a message's number")?,
        };
        fields.take(6, "padding")?;
        fields.end()?;
        Ok(config)
    }
}

/// A message, whoever it is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    pub(super) id: u64,
    /// Seconds of the epoch.
    pub(super) expires: Option<u64>,
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) properties: Properties<'a>,
}

impl<'a> Stored<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Wrong> {
        let mut fields = Fields(bytes);
        let id = fields.native("the number of the message")?;
        let expires = time(fields.native("the expiry")?, "the expiry of the message")?;
        let payload_len = fields.u32("the length of the payload")?;
        fields.u16("the packet id of the publisher")?;
        let source_len = fields.u16("the length of the publisher's client id")?;
        let user_len = fields.u16("the length of the publisher's user name")?;
        let topic_len = fields.u16("the length of the topic")?;
        fields.u16("the port of the publisher")?;
        let qos = fields.qos()?;
        let retain = fields.u8("the RETAIN flag")? != 0;
        // Whoever it was, his message is what counts.
        fields.take(usize::from(source_len), "the publisher's client id")?;
        fields.take(usize::from(user_len), "the publisher's user name")?;
        let topic = fields.text(topic_len, "the topic")?;
        let payload_len = usize::try_from(payload_len).unwrap_or(usize::MAX);
        let payload = fields.take(payload_len, "the payload")?;
        let properties = fields.properties()?;
        fields.end()?;
        Ok(Self {
            id,
            expires,
            topic,
            payload,
            qos,
            retain,
            properties,
        })
    }
}

/// A session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client<'a> {
    pub(super) client_id: &'a str,
    /// When the session ends, as seconds of the epoch; `None` while it has a connection, and for one that never ends.
    pub(super) ends: Option<u64>,
    /// In seconds; `u32::MAX` is for ever.
    pub(super) expiry: u32,
    /// The port of the listener to which it was connected last; 0 when that was before the last start of Mosquitto, and for its own bridges.
    pub(super) listener: u16,
    /// As it stands there: see [`UserNames`](super::user_names::UserNames).
    pub(super) user_name: &'a [u8],
}

impl<'a> Client<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Wrong> {
        let mut fields = Fields(bytes);
        let ends = time(fields.native("the end")?, "the end of the session")?;
        let expiry = fields.u32("the expiry of the session")?;
        fields.u16("the latest packet id")?;
        let id_len = fields.u16("the length of the client id")?;
        let listener = fields.u16("the port of the listener")?;
        let user_len = fields.u16("the length of the user name")?;
        fields.take(4, "padding")?;
        let client_id = fields.text(id_len, "the client id")?;
        let user_name = fields.take(usize::from(user_len), "the user name")?;
        fields.end()?;
        Ok(Self {
            client_id,
            ends,
            expiry,
            listener,
            user_name,
        })
    }
}

/// A message of one client: on its way to it, or from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientMessage<'a> {
    pub(super) client_id: &'a str,
    pub(super) message: u64,
    /// 0 when it has none.
    pub(super) packet_id: u16,
    pub(super) qos: QoS,
    pub(super) state: u8,
    pub(super) retain: bool,
    pub(super) outgoing: bool,
    /// Those of this copy, which are its subscription identifiers.
    pub(super) properties: Properties<'a>,
}

impl<'a> ClientMessage<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Wrong> {
        let mut fields = Fields(bytes);
        let message = fields.native("the number of the message")?;
        let packet_id = fields.u16("the packet id")?;
        let id_len = fields.u16("the length of the client id")?;
        let qos = fields.qos()?;
        let state = fields.u8("the state")?;
        let retain = fields.u8("the flags")? & 0xf0 != 0;
        let outgoing = match fields.u8("the direction")? {
            0 => false,
            1 => true,
            other => return Err(format!("{other} is no direction")),
        };
        let client_id = fields.text(id_len, "the client id")?;
        let properties = fields.properties()?;
        fields.end()?;
        Ok(Self {
            client_id,
            message,
            packet_id,
            qos,
            state,
            retain,
            outgoing,
            properties,
        })
    }
}

/// A subscription.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscribed<'a> {
    pub(super) client_id: &'a str,
    pub(super) filter: &'a str,
    /// The subscription identifier; 0 for none.
    pub(super) id: u32,
    pub(super) qos: QoS,
    /// As in the byte of a SUBSCRIBE, without the QoS.
    pub(super) options: u8,
}

impl<'a> Subscribed<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Wrong> {
        let mut fields = Fields(bytes);
        let id = fields.u32("the subscription identifier")?;
        let id_len = fields.u16("the length of the client id")?;
        let filter_len = fields.u16("the length of the filter")?;
        let qos = fields.qos()?;
        let options = fields.u8("the options")?;
        fields.take(2, "padding")?;
        let client_id = fields.text(id_len, "the client id")?;
        let filter = fields.text(filter_len, "the filter")?;
        fields.end()?;
        Ok(Self {
            client_id,
            filter,
            id,
            qos,
            options,
        })
    }
}

/// The number of a retained message.
pub(super) fn retained(bytes: &[u8]) -> Result<u64, Wrong> {
    let mut fields = Fields(bytes);
    let message = fields.native("the number of the message")?;
    fields.end()?;
    Ok(message)
}
