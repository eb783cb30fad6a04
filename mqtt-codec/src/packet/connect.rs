//! CONNECT: written from a struct, read as a checked view. It carries its own version.

use core::fmt;

use super::Will;
use crate::encode::{self, Layout};
use crate::frame::Context;
use crate::place;
use crate::property::Spot;
use crate::sink::Sink;
use crate::wire::{Broken, Reader};
use crate::{AnyVersion, EncodeError, PacketType, Properties, QoS, RuleId, Version};

const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_QOS: u8 = 0x18;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;
/// Set in the protocol level by a bridge.
const BRIDGE: u8 = 0x80;

/// CONNECT, to be sent. `Debug` leaves the password out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The version of the connection.
    pub version: Version,
    /// Whether an earlier session is dropped; Clean Session in MQTT 3.1 and 3.1.1.
    pub clean_start: bool,
    /// Seconds between two packets of the client at most; 0 is no limit.
    pub keep_alive: u16,
    /// Names the session; empty to be given one by the server.
    pub client_id: &'a str,
    /// What to publish when the client is gone.
    pub will: Option<Will<'a>>,
    /// The user name.
    pub user_name: Option<&'a str>,
    /// The password; in MQTT 3.1 and 3.1.1 only beside a user name [3.1.1:MQTT-3.1.2-22].
    pub password: Option<&'a [u8]>,
    /// Empty in MQTT 3.1 and 3.1.1.
    pub properties: Properties<'a>,
    /// Marks the client as a bridge, by bit 7 of the protocol level: an extension that Mosquitto
    /// brought, of MQTT 3.1 and 3.1.1 only.
    pub bridge: bool,
}

impl<'a> Connect<'a> {
    /// A CONNECT of this version with a clean start, a keep-alive of 60 seconds and nothing else.
    pub const fn new(version: Version, client_id: &'a str) -> Self {
        Self {
            version,
            clean_start: true,
            keep_alive: 60,
            client_id,
            will: None,
            user_name: None,
            password: None,
            properties: Properties::EMPTY,
            bridge: false,
        }
    }

    /// Bytes that [`encode`](Self::encode) writes, exactly, for a packet that can be written.
    pub fn encoded_len(&self) -> usize {
        encode::encoded_len(self, self.version)
    }

    /// Writes the packet to the front of `buffer` and gives its length in bytes.
    ///
    /// # Errors
    /// A buffer that is too small, and contents that this version cannot carry, see [`EncodeError`].
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        encode::encode(self, self.version, buffer)
    }

    /// Bytes that [`encode_only`](Self::encode_only) writes.
    pub fn encoded_len_only(&self, version: impl AnyVersion) -> usize {
        encode::encoded_len(self, version)
    }

    /// Writes the packet as [`encode`](Self::encode) does, in a program that is compiled for one version.
    ///
    /// # Errors
    /// As there, and [`EncodeError::NotInVersion`] for a packet of another version.
    #[inline(always)]
    pub fn encode_only(
        &self,
        version: impl AnyVersion,
        buffer: &mut [u8],
    ) -> Result<usize, EncodeError> {
        if self.version == version.version() {
            encode::encode_fields(self, version, buffer)
        } else {
            Err(EncodeError::NotInVersion)
        }
    }

    /// Appends the packet to `buffer` and gives its length in bytes.
    ///
    /// # Errors
    /// As for [`encode`](Self::encode); nothing is written then.
    #[cfg(feature = "bytes")]
    pub fn encode_to(&self, buffer: &mut impl bytes::BufMut) -> Result<usize, EncodeError> {
        encode::encode_to(self, self.version, buffer)
    }

    #[inline(always)]
    fn flags(&self) -> u8 {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let will = self.will.map_or(0, |will| {
            WILL | (will.qos as u8) << 3 | flag(will.retain, WILL_RETAIN)
        });
        will | flag(self.clean_start, CLEAN_START)
            | flag(self.password.is_some(), PASSWORD)
            | flag(self.user_name.is_some(), USER_NAME)
    }
}

impl Layout for Connect<'_> {
    fn first_byte(&self) -> u8 {
        (PacketType::Connect as u8) << 4
    }

    #[inline(always)]
    fn check<V: AnyVersion>(&self, version: V) -> Result<(), EncodeError> {
        if let Some(will) = &self.will {
            will.check(version)?;
        }
        if version.is_v5() {
            self.properties
                .check(&const { Spot::new(place::CONNECT) })?;
        }
        let password_alone = self.password.is_some() && self.user_name.is_none();
        let fits = if version.is_v5() {
            !self.bridge
        } else {
            !password_alone
        };
        if fits {
            Ok(())
        } else {
            Err(EncodeError::NotInVersion)
        }
    }

    #[inline(always)]
    fn body<S: Sink, V: AnyVersion>(&self, version: V, sink: &mut S) {
        // The name of the protocol, its length in front.
        match version.version() {
            Version::V31 => sink.bytes(b"\0\x06MQIsdp"),
            Version::V311 | Version::V5 => sink.bytes(b"\0\x04MQTT"),
        }
        sink.u8(version.version().level() | if self.bridge { BRIDGE } else { 0 });
        sink.u8(self.flags());
        sink.u16(self.keep_alive);
        if version.is_v5() {
            self.properties.write_with_len(sink);
        }
        sink.string(self.client_id);
        if let Some(will) = &self.will {
            will.write(version, sink);
        }
        if let Some(name) = self.user_name {
            sink.string(name);
        }
        if let Some(password) = self.password {
            sink.binary(password);
        }
    }
}

impl fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("user_name", &self.user_name)
            .field("password", &self.password.map(|_| format_args!("…")))
            .field("properties", &self.properties)
            .field("bridge", &self.bridge)
            .finish()
    }
}

/// CONNECT as received: checked, with an accessor for each field. `Debug` leaves the password out.
#[derive(Clone, Copy)]
pub struct ConnectView<'a> {
    client_id: &'a str,
    properties: &'a [u8],
    /// The payload behind the client identifier.
    rest: &'a [u8],
    keep_alive: u16,
    flags: u8,
    version: Version,
    bridge: bool,
}

const _: () = assert!(size_of::<ConnectView<'_>>() <= 56);

impl<'a> ConnectView<'a> {
    /// Reads what follows the fixed header; the version in the packet counts, not that of `cx`.
    #[inline(always)]
    pub(crate) fn decode(
        reader: &mut Reader<'a>,
        cx: Context<impl AnyVersion>,
    ) -> Result<Self, Broken> {
        let (version, bridge) = decode_protocol(reader)?;
        let cx = cx.with_version(version);
        let start = reader.rest();
        let flags = reader.u8()?;
        if !are_allowed(flags, version)
            && let Some(rule) = broken_flags(flags, version)
        {
            return Err(reader.broken_at(rule, start));
        }
        let keep_alive = reader.u16()?;
        let properties = match cx.properties(reader, &const { Spot::new(place::CONNECT) })? {
            Properties::Wire(properties) => properties.as_bytes(),
            Properties::List(_) => &[],
        };
        let client_id = reader.string()?;
        let rest = reader.rest();
        if flags & WILL != 0 {
            cx.properties(reader, &const { Spot::new(place::WILL) })?;
            reader.skip_string()?;
            reader.binary()?;
        }
        // MQTT 3.1, section 3.1: the length of the packet takes precedence over these two flags.
        let optional = version == Version::V31;
        if flags & USER_NAME != 0 && !(optional && reader.is_empty()) {
            reader.skip_string()?;
        }
        if flags & PASSWORD != 0 && !(optional && reader.is_empty()) {
            reader.binary()?;
        }
        Ok(Self {
            client_id,
            properties,
            rest,
            keep_alive,
            flags,
            version,
            bridge,
        })
    }

    /// The version of the connection.
    #[inline]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Whether an earlier session is dropped; Clean Session in MQTT 3.1 and 3.1.1.
    #[inline]
    pub const fn clean_start(&self) -> bool {
        self.flags & CLEAN_START != 0
    }

    /// Seconds between two packets of the client at most; 0 is no limit.
    #[inline]
    pub const fn keep_alive(&self) -> u16 {
        self.keep_alive
    }

    /// Names the session. May be empty in any version, and longer than MQTT 3.1 allows.
    #[inline]
    pub const fn client_id(&self) -> &'a str {
        self.client_id
    }

    /// The properties of the connection; empty in MQTT 3.1 and 3.1.1.
    #[inline]
    pub const fn properties(&self) -> Properties<'a> {
        Properties::stored(self.properties)
    }

    /// Whether the client says that it is a bridge, see [`Connect::bridge`].
    #[inline]
    pub const fn is_bridge(&self) -> bool {
        self.bridge
    }

    /// What to publish when the client is gone.
    pub fn will(&self) -> Option<Will<'a>> {
        self.payload().0
    }

    /// The user name. An MQTT 3.1 client may announce one and leave it out: that is `None`.
    pub fn user_name(&self) -> Option<&'a str> {
        self.payload().1
    }

    /// The password. An MQTT 3.1 client may announce one and leave it out: that is `None`.
    pub fn password(&self) -> Option<&'a [u8]> {
        self.payload().2
    }

    /// The same packet, to be sent.
    pub fn to_connect(&self) -> Connect<'a> {
        let (will, user_name, password) = self.payload();
        Connect {
            version: self.version,
            clean_start: self.clean_start(),
            keep_alive: self.keep_alive,
            client_id: self.client_id,
            will,
            user_name,
            password,
            properties: self.properties(),
            bridge: self.bridge,
        }
    }

    /// The fields behind the client identifier, which `decode` has checked.
    fn payload(&self) -> (Option<Will<'a>>, Option<&'a str>, Option<&'a [u8]>) {
        let mut reader = Reader::new(self.rest, self.rest.len());
        let mut will = None;
        if self.flags & WILL != 0 {
            will = self.read_will(&mut reader);
        }
        let user_name = (self.flags & USER_NAME != 0)
            .then(|| reader.string().ok())
            .flatten();
        let password = (self.flags & PASSWORD != 0)
            .then(|| reader.binary().ok())
            .flatten();
        (will, user_name, password)
    }

    fn read_will(&self, reader: &mut Reader<'a>) -> Option<Will<'a>> {
        let mut properties = Properties::EMPTY;
        if self.version.is_v5() {
            let len = reader.varint().ok()?;
            properties = Properties::stored(reader.part(len).ok()?.rest());
        }
        Some(Will {
            topic: reader.string().ok()?,
            payload: reader.binary().ok()?,
            qos: QoS::from_u8((self.flags & WILL_QOS) >> 3)?,
            retain: self.flags & WILL_RETAIN != 0,
            properties,
        })
    }
}

impl PartialEq for ConnectView<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.to_connect() == other.to_connect()
    }
}

impl Eq for ConnectView<'_> {}

impl fmt::Debug for ConnectView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_connect().fmt(f)
    }
}

/// Protocol name and level: which version, and whether it is a bridge.
#[inline(always)]
fn decode_protocol(reader: &mut Reader<'_>) -> Result<(Version, bool), Broken> {
    let start = reader.rest();
    // What nearly all begin with, at one glance.
    if let [0, 4, b'M', b'Q', b'T', b'T', level @ (4 | 5), ..] = *start {
        reader.take(7)?;
        let version = if level == 5 {
            Version::V5
        } else {
            Version::V311
        };
        return Ok((version, false));
    }
    let is_v31 = match reader.binary()? {
        b"MQTT" => false,
        b"MQIsdp" => true,
        _ => return Err(reader.broken_at(RuleId::ProtocolName, start)),
    };
    let start = reader.rest();
    let level = reader.u8()?;
    let bridge = level & BRIDGE != 0;
    match Version::from_level(level & !BRIDGE) {
        Some(version)
            if matches!(version, Version::V31) == is_v31 && !(bridge && version.is_v5()) =>
        {
            Ok((version, bridge))
        }
        _ => Err(reader.broken_at(RuleId::ProtocolLevel, start)),
    }
}

/// Which flags are allowed: for each value of the upper seven, the lowest not being set, a bit for 3.1.1 and one for 5.0.
static FLAGS: [u8; 128] = {
    let mut table = [0; 128];
    let mut flags = 0;
    while flags < table.len() {
        let byte = (flags as u8) << 1;
        let v311 = broken_flags(byte, Version::V311).is_none() as u8;
        let v5 = broken_flags(byte, Version::V5).is_none() as u8;
        #[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
        {
            table[flags] = v311 | v5 << 1;
        }
        flags += 1;
    }
    table
};

/// Whether the flags break no rule, from the table; `false` says nothing.
#[inline(always)]
fn are_allowed(flags: u8, version: Version) -> bool {
    let bit = if version.is_v5() { 2 } else { 1 };
    let row = FLAGS.get(usize::from(flags >> 1));
    flags & 1 == 0 && row.is_some_and(|row| row & bit != 0)
}

/// The rule that the connect flags break.
const fn broken_flags(flags: u8, version: Version) -> Option<RuleId> {
    // MQTT 3.1 does not use the lowest bit, and does not say that it is checked.
    if flags & 1 != 0 && !matches!(version, Version::V31) {
        Some(RuleId::ConnectReservedFlag)
    } else if flags & WILL_QOS == WILL_QOS {
        Some(RuleId::WillQoS)
    } else if flags & WILL == 0 && flags & WILL_QOS != 0 {
        Some(RuleId::WillQoSWithoutWill)
    } else if flags & WILL == 0 && flags & WILL_RETAIN != 0 {
        Some(RuleId::WillRetainWithoutWill)
    } else if flags & (USER_NAME | PASSWORD) == PASSWORD && !version.is_v5() {
        Some(RuleId::PasswordWithoutUserName)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_the_table_allows_break_no_rule() {
        for flags in 0..=u8::MAX {
            for version in [Version::V31, Version::V311, Version::V5] {
                let right = broken_flags(flags, version).is_none();
                assert!(!are_allowed(flags, version) || right, "{flags:#04x}");
                // What only MQTT 3.1 allows is not in the table.
                assert!(version == Version::V31 || are_allowed(flags, version) == right);
            }
        }
    }
}
