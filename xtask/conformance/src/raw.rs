//! Packets built byte by byte, for what no encoder would write.

use mqtt_codec::Version;

/// Flag bit of CONNECT: Clean Start, or Clean Session.
pub(crate) const CLEAN: u8 = 0x02;

/// A packet with this first byte and body, its Remaining Length right and in its shortest form.
pub(crate) fn packet(first: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let mut bytes = vec![first];
    bytes.extend(varint(body.len()));
    bytes.extend(body);
    bytes
}

/// A Variable Byte Integer in its shortest form.
pub(crate) fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value % 0x80) as u8;
        value /= 0x80;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// Bytes behind their length in two bytes: a string, whether or not it is UTF-8, or binary data.
pub(crate) fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut out = (bytes.len() as u16).to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// Properties behind their length in 5.0; nothing before.
pub(crate) fn properties(version: Version, bytes: &[u8]) -> Vec<u8> {
    if !version.is_v5() {
        return Vec::new();
    }
    let mut out = varint(bytes.len());
    out.extend_from_slice(bytes);
    out
}

/// The parts of a CONNECT, each of which a case may change.
#[derive(Clone, Debug)]
pub(crate) struct RawConnect {
    /// The first byte.
    pub(crate) first: u8,
    /// Protocol name.
    pub(crate) name: Vec<u8>,
    /// Protocol level.
    pub(crate) level: u8,
    /// Connect flags.
    pub(crate) flags: u8,
    /// Properties without their length, of 5.0 only.
    pub(crate) properties: Vec<u8>,
    /// Everything from the client identifier on.
    pub(crate) payload: Vec<u8>,
    /// The version whose form it has, whatever the level says.
    pub(crate) version: Version,
}

impl RawConnect {
    /// A valid CONNECT with a clean start and no keep-alive.
    pub(crate) fn new(version: Version, client_id: &str) -> Self {
        Self {
            first: 0x10,
            name: b"MQTT".to_vec(),
            level: version.level(),
            flags: CLEAN,
            properties: Vec::new(),
            payload: string(client_id),
            version,
        }
    }

    /// The packet.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        packet(
            self.first,
            &[
                &string(&self.name),
                &[self.level, self.flags, 0, 0],
                &properties(self.version, &self.properties),
                &self.payload,
            ],
        )
    }
}
