//! The properties that travel with a message from its publisher to its subscribers.

use super::iter::value_len;
use super::table::Property;
use super::{Properties, WireProperties};
use crate::EncodeError;
use crate::sink::{Count, Sink, Writer};

/// What a server keeps of the properties of a PUBLISH: payload format, content type, response topic,
/// correlation data and user properties, unaltered and in their order ([MQTT-3.3.2-4],
/// [MQTT-3.3.2-15] to [MQTT-3.3.2-20]). Topic alias, message expiry and subscription identifiers
/// belong to one hop and are left out.
impl Properties<'_> {
    /// Bytes that [`write_forwarded`](Self::write_forwarded) writes.
    pub fn forwarded_len(&self) -> usize {
        let mut count = Count::default();
        self.forward(&mut count);
        count.0
    }

    /// Writes the forwarded properties in wire form, for [`Properties::stored`], and gives their length.
    ///
    /// # Errors
    /// `TooSmall` when the buffer is shorter than [`forwarded_len`](Self::forwarded_len); for a list
    /// also `TooLong` and `NulInString`.
    pub fn write_forwarded(&self, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        let needed = self.forwarded_len();
        let Some(room) = buffer.get_mut(..needed) else {
            return Err(EncodeError::TooSmall { needed });
        };
        let mut writer = Writer::new(room);
        self.forward(&mut writer);
        writer.finish().map(|()| needed)
    }

    fn forward<S: Sink>(&self, sink: &mut S) {
        match self {
            Self::Wire(WireProperties { bytes }) => forward_runs(bytes, sink),
            Self::List(list) => list
                .iter()
                .filter(|property| Property::is_forwarded(property.id()))
                .for_each(|property| property.write(sink)),
        }
    }
}

/// Hands over every longest run of forwarded properties.
fn forward_runs<S: Sink>(bytes: &[u8], sink: &mut S) {
    let mut run = bytes;
    let mut run_len = 0;
    let mut rest = bytes;
    while let Some((&id, value)) = rest.split_first() {
        let Some(behind) = value_len(id, value).and_then(|len| value.get(len..)) else {
            break;
        };
        if Property::is_forwarded(id) {
            run_len += rest.len() - behind.len();
        } else {
            sink.bytes(run.get(..run_len).unwrap_or_default());
            run = behind;
            run_len = 0;
        }
        rest = behind;
    }
    sink.bytes(run.get(..run_len).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PayloadFormat, SubscriptionId, TopicAlias};

    /// User properties keep their order and all end-to-end properties their value [MQTT-3.3.2-17]
    /// [MQTT-3.3.2-18]; what belongs to one hop stays behind.
    #[test]
    fn only_the_properties_of_the_message_are_forwarded() {
        let all = [
            Property::UserProperty("a", "1"),
            Property::TopicAlias(TopicAlias::MIN),
            Property::PayloadFormatIndicator(PayloadFormat::Utf8),
            Property::ContentType("text/plain"),
            Property::MessageExpiryInterval(7),
            Property::SubscriptionIdentifier(SubscriptionId::MIN),
            Property::ResponseTopic("r"),
            Property::CorrelationData(&[0, 1]),
            Property::UserProperty("a", "0"),
        ];
        let kept = [all[0], all[2], all[3], all[6], all[7], all[8]];
        let mut wire = [0; 99];
        let mut writer = Writer::new(&mut wire);
        Properties::List(&all).write(&mut writer);
        let mut count = Count::default();
        Properties::List(&all).write(&mut count);
        let wire = Properties::checked_publish(&wire[..count.0]).expect("valid properties");
        for properties in [Properties::List(&all), wire] {
            let mut stored = [0; 99];
            let len = properties
                .write_forwarded(&mut stored)
                .expect("room for all");
            assert_eq!(len, properties.forwarded_len());
            assert_eq!(Properties::stored(&stored[..len]), Properties::List(&kept));
            let error = properties.write_forwarded(&mut stored[..len - 1]);
            assert_eq!(error, Err(EncodeError::TooSmall { needed: len }));
        }
    }
}
