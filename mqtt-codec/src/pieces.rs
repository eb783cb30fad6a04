//! Bodies in pieces, for a sender that keeps them in a queue: the head of a frame is written when it leaves.

use crate::{AnyVersion, EncodeError, PacketId, SubscriptionOptions, TopicAlias, WireProperties};

/// Packet id, the length of the properties, and the first of them: two bytes, at most three, and three.
const BETWEEN: usize = 8;
/// The property Topic Alias.
const TOPIC_ALIAS: u8 = 0x23;

/// The body of a PUBLISH.
///
/// ```
/// use mqtt_codec::{OnlyV311, PacketId, PublishPieces, WireProperties};
///
/// let body = PublishPieces::new(OnlyV311, "t", PacketId::new(7), None, WireProperties::EMPTY, b"21.5")?;
/// assert_eq!(body.pieces().concat(), b"\x00\x01t\x00\x0721.5");
/// # Ok::<(), mqtt_codec::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PublishPieces<'a> {
    topic_len: [u8; 2],
    topic: &'a str,
    between: [u8; BETWEEN],
    between_len: u8,
    properties: &'a [u8],
    payload: &'a [u8],
}

impl<'a> PublishPieces<'a> {
    /// A body with this topic, the form of which is not looked at, and with this packet id where its QoS has one. Alias and properties
    /// are left out before 5.0; the alias is the first property.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] for a topic or properties of more than 65,535 bytes.
    #[inline]
    pub fn new(
        version: impl AnyVersion,
        topic: &'a str,
        id: Option<PacketId>,
        alias: Option<TopicAlias>,
        properties: WireProperties<'a>,
        payload: &'a [u8],
    ) -> Result<Self, EncodeError> {
        let topic_len = field_len(topic)?;
        let mut properties = properties.as_bytes();
        let (mut between, mut between_len) = ([0; BETWEEN], 0);
        if let Some(id) = id {
            [between[0], between[1]] = id.get().to_be_bytes();
            between_len = 2;
        }
        if version.is_v5() {
            between_len += 1;
            let alias_len = if alias.is_some() { 3 } else { 0 };
            let len = properties.len().saturating_add(alias_len);
            let mut len = u16::try_from(len).map_err(|_| EncodeError::TooLong)?;
            if len > 0 {
                between_len -= 1;
                let mut append = |byte| {
                    if let Some(to) = between.get_mut(usize::from(between_len)) {
                        *to = byte;
                    }
                    between_len += 1;
                };
                while len > 0x7f {
                    append(len as u8 | 0x80);
                    len >>= 7;
                }
                append(len as u8);
                if let Some(alias) = alias {
                    let [high, low] = alias.get().to_be_bytes();
                    append(TOPIC_ALIAS);
                    append(high);
                    append(low);
                }
            }
        } else {
            properties = &[];
        }
        Ok(Self {
            topic_len,
            topic,
            between,
            between_len,
            properties,
            payload,
        })
    }

    /// The pieces, one behind the other.
    #[inline]
    pub fn pieces(&self) -> [&[u8]; 5] {
        let between = self.between.get(..usize::from(self.between_len));
        [
            &self.topic_len,
            self.topic.as_bytes(),
            between.unwrap_or_default(),
            self.properties,
            self.payload,
        ]
    }
}

/// The body of a SUBSCRIBE or UNSUBSCRIBE with one filter.
#[derive(Clone, Copy, Debug)]
pub struct FilterPieces<'a> {
    head: [u8; 3],
    head_len: u8,
    filter_len: [u8; 2],
    filter: &'a str,
    options: [u8; 1],
    options_len: u8,
}

impl<'a> FilterPieces<'a> {
    /// A body with this filter, the form of which is not looked at; without options it is that of an UNSUBSCRIBE.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] for a filter of more than 65,535 bytes.
    #[inline]
    pub fn new(
        version: impl AnyVersion,
        id: PacketId,
        filter: &'a str,
        options: Option<SubscriptionOptions>,
    ) -> Result<Self, EncodeError> {
        let [high, low] = id.get().to_be_bytes();
        // Before 5.0 there are no options but the QoS.
        let mask = if version.is_v5() { 0xff } else { 0x03 };
        Ok(Self {
            head: [high, low, 0],
            head_len: if version.is_v5() { 3 } else { 2 },
            filter_len: field_len(filter)?,
            filter,
            options: [options.map_or(0, |options| options.to_byte() & mask)],
            options_len: u8::from(options.is_some()),
        })
    }

    /// The pieces, one behind the other.
    #[inline]
    pub fn pieces(&self) -> [&[u8]; 4] {
        let head = self.head.get(..usize::from(self.head_len));
        let options = self.options.get(..usize::from(self.options_len));
        [
            head.unwrap_or_default(),
            &self.filter_len,
            self.filter.as_bytes(),
            options.unwrap_or_default(),
        ]
    }
}

fn field_len(text: &str) -> Result<[u8; 2], EncodeError> {
    match u16::try_from(text.len()) {
        Ok(len) => Ok(len.to_be_bytes()),
        Err(_) => Err(EncodeError::TooLong),
    }
}
