//! Properties of a PUBLISH to be sent, in wire form: written at run time, or while compiling.

use super::table::{Property, Spot, USER_PROPERTY};
use super::{Properties, WireProperties};
use crate::place;
use crate::sink::{Count, Writer};
use crate::{EncodeError, PayloadFormat};

impl Properties<'_> {
    /// Writes the properties of a client's PUBLISH in wire form, for a sender that keeps packets as they are sent.
    ///
    /// ```
    /// use mqtt_codec::{Properties, Property};
    ///
    /// let list = [Property::MessageExpiryInterval(3_600), Property::CorrelationData(&[7, 7])];
    /// let mut memory = [0; 16];
    /// let written = Properties::List(&list).write_publish(&mut memory)?;
    /// assert_eq!(written.as_bytes(), b"\x02\x00\x00\x0e\x10\x09\x00\x02\x07\x07");
    /// # Ok::<(), mqtt_codec::EncodeError>(())
    /// ```
    ///
    /// # Errors
    /// `TooSmall` when the buffer is; for a list also `InvalidProperty`, `TooLong` and `NulInString`.
    pub fn write_publish<'b>(
        &self,
        buffer: &'b mut [u8],
    ) -> Result<WireProperties<'b>, EncodeError> {
        self.check(&const { Spot::new(place::PUBLISH_FROM_CLIENT) })?;
        let mut count = Count::default();
        self.write(&mut count);
        let needed = count.0;
        let room = buffer.get_mut(..needed);
        let room = room.ok_or(EncodeError::TooSmall { needed })?;
        let mut writer = Writer::new(room);
        self.write(&mut writer);
        writer.finish()?;
        Ok(WireProperties {
            bytes: buffer.get(..needed).unwrap_or_default(),
        })
    }
}

/// The properties of a client's PUBLISH in wire form, written while compiling: of [`Property`] values that are known then it makes
/// [`WireProperties`], which take no more than their bytes.
///
/// What a client may not send does not compile, nor does a topic alias, which belongs to a connection.
///
/// ```
/// use mqtt_codec::{Property, WireProperties, publish_properties};
///
/// const HOUR: WireProperties<'static> = publish_properties![Property::MessageExpiryInterval(3_600), Property::ContentType("text/csv")];
/// assert_eq!(HOUR.as_bytes(), b"\x02\x00\x00\x0e\x10\x03\x00\x08text/csv");
/// ```
///
/// ```compile_fail
/// # use mqtt_codec::{Property, publish_properties};
/// let _ = publish_properties![Property::ContentType("a"), Property::ContentType("b")];
/// ```
///
/// ```compile_fail
/// # use mqtt_codec::{Property, publish_properties};
/// let _ = publish_properties![Property::ResponseTopic("a/+")];
/// ```
///
/// ```compile_fail
/// # use mqtt_codec::{Property, TopicAlias, publish_properties};
/// let _ = publish_properties![Property::TopicAlias(TopicAlias::MIN)];
/// ```
#[macro_export]
macro_rules! publish_properties {
    ($($property:expr),* $(,)?) => {{
        const LIST: &[$crate::Property<'static>] = &[$($property),*];
        const BYTES: [u8; $crate::constant::len(LIST)] = $crate::constant::bytes(LIST);
        $crate::WireProperties::stored(&BYTES)
    }};
}

/// What [`publish_properties`](crate::publish_properties) calls while compiling.
#[doc(hidden)]
pub mod constant {
    use super::*;

    /// The fields of a property: a number of one or four bytes, or one or two fields with their length in front.
    enum Fields<'a> {
        Byte(u8),
        Number(u32),
        Field(&'a [u8]),
        Pair(&'a [u8], &'a [u8]),
    }

    const fn fields<'a>(property: &Property<'a>) -> Fields<'a> {
        match *property {
            Property::PayloadFormatIndicator(format) => {
                Fields::Byte(matches!(format, PayloadFormat::Utf8) as u8)
            }
            Property::MessageExpiryInterval(seconds) => Fields::Number(seconds),
            Property::ContentType(kind) => Fields::Field(text(kind)),
            Property::ResponseTopic(topic) => Fields::Field(topic_name(topic)),
            Property::CorrelationData(data) => Fields::Field(data),
            Property::UserProperty(name, value) => Fields::Pair(text(name), text(value)),
            _ => panic!("no property of a message that a client publishes"),
        }
    }

    const fn text(text: &str) -> &[u8] {
        let mut rest = text.as_bytes();
        while let [byte, behind @ ..] = rest {
            assert!(*byte != 0, "a string holds the character U+0000");
            rest = behind;
        }
        text.as_bytes()
    }

    const fn topic_name(topic: &str) -> &[u8] {
        assert!(!topic.is_empty(), "a response topic is not empty");
        let mut rest = topic.as_bytes();
        while let [byte, behind @ ..] = rest {
            assert!(
                !matches!(*byte, b'+' | b'#'),
                "a response topic has no wildcards"
            );
            rest = behind;
        }
        text(topic)
    }

    /// Bytes of these properties.
    #[must_use]
    pub const fn len(list: &[Property<'_>]) -> usize {
        let (mut len, mut rest) = (0, list);
        while let [property, behind @ ..] = rest {
            len += 1 + match fields(property) {
                Fields::Byte(_) => 1,
                Fields::Number(_) => 4,
                Fields::Field(field) => 2 + field.len(),
                Fields::Pair(name, value) => 4 + name.len() + value.len(),
            };
            rest = behind;
        }
        len
    }

    /// Puts `from` there, and gives the index behind it.
    const fn put<const N: usize>(to: &mut [u8; N], at: usize, from: &[u8]) -> usize {
        let (mut at, mut rest) = (at, from);
        while let [byte, behind @ ..] = rest {
            #[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
            {
                to[at] = *byte;
            }
            at += 1;
            rest = behind;
        }
        at
    }

    const fn field<const N: usize>(to: &mut [u8; N], at: usize, field: &[u8]) -> usize {
        assert!(
            field.len() <= u16::MAX as usize,
            "a field is longer than its length can say"
        );
        let at = put(to, at, &(field.len() as u16).to_be_bytes());
        put(to, at, field)
    }

    /// These properties in wire form; `N` is their [`len`].
    #[must_use]
    pub const fn bytes<const N: usize>(list: &[Property<'_>]) -> [u8; N] {
        let (mut bytes, mut at, mut rest, mut seen) = ([0; N], 0, list, 0_u64);
        while let [property, behind @ ..] = rest {
            let id = property.id();
            assert!(
                id == USER_PROPERTY || seen & (1 << id) == 0,
                "a property is there twice"
            );
            seen |= 1 << id;
            at = put(&mut bytes, at, &[id]);
            at = match fields(property) {
                Fields::Byte(byte) => put(&mut bytes, at, &[byte]),
                Fields::Number(number) => put(&mut bytes, at, &number.to_be_bytes()),
                Fields::Field(value) => field(&mut bytes, at, value),
                Fields::Pair(name, value) => {
                    let at = field(&mut bytes, at, name);
                    field(&mut bytes, at, value)
                }
            };
            rest = behind;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Property<'static>] = &[
        Property::UserProperty("a", "1"),
        Property::PayloadFormatIndicator(PayloadFormat::Utf8),
        Property::MessageExpiryInterval(0x0102_0304),
        Property::ContentType("text/plain"),
        Property::ResponseTopic("r/1"),
        Property::CorrelationData(&[0, 1]),
        Property::UserProperty("a", ""),
    ];
    const WRITTEN: WireProperties<'static> = {
        const BYTES: [u8; constant::len(ALL)] = constant::bytes(ALL);
        WireProperties::stored(&BYTES)
    };

    /// Both ways give the same bytes, which a receiver takes for the same properties.
    #[test]
    fn written_while_compiling_or_later() {
        let mut memory = [0; 64];
        let written = Properties::List(ALL).write_publish(&mut memory);
        assert_eq!(written, Ok(WRITTEN));
        assert_eq!(
            Properties::checked_publish(WRITTEN.as_bytes()),
            Ok(Properties::List(ALL))
        );
        let needed = WRITTEN.as_bytes().len();
        let mut short = [0; 64];
        let result = Properties::List(ALL).write_publish(&mut short[..needed - 1]);
        assert_eq!(result, Err(EncodeError::TooSmall { needed }));
    }

    #[test]
    fn what_a_client_may_not_send_is_refused() {
        let id = crate::SubscriptionId::MIN;
        for wrong in [
            Property::SubscriptionIdentifier(id),
            Property::ResponseTopic("#"),
            Property::ReasonString("x"),
        ] {
            let result = Properties::List(&[wrong]).write_publish(&mut [0; 16]).err();
            assert_eq!(result, Some(EncodeError::InvalidProperty), "{wrong:?}");
        }
        let mut memory = [0; 16];
        let result = Properties::List(&[Property::ContentType("\0")]).write_publish(&mut memory);
        assert_eq!(result, Err(EncodeError::NulInString));
    }
}
