//! The will: a message the server publishes when its client is gone.

use crate::place;
use crate::property::Spot;
use crate::sink::Sink;
use crate::{AnyVersion, EncodeError, Properties, QoS};

/// A message the server publishes when its client is gone without a normal DISCONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// The topic name; its form is not looked at.
    pub topic: &'a str,
    /// The message itself, at most 65,535 bytes.
    pub payload: &'a [u8],
    /// The QoS at which it is published.
    pub qos: QoS,
    /// Whether it is published as a retained message.
    pub retain: bool,
    /// Will delay and the properties of the message; empty in MQTT 3.1 and 3.1.1.
    pub properties: Properties<'a>,
}

impl Will<'_> {
    #[inline(always)]
    pub(super) fn check<V: AnyVersion>(&self, version: V) -> Result<(), EncodeError> {
        if version.is_v5() {
            self.properties.check(&const { Spot::new(place::WILL) })
        } else {
            Ok(())
        }
    }

    #[inline(always)]
    pub(super) fn write<S: Sink>(&self, version: impl AnyVersion, sink: &mut S) {
        if version.is_v5() {
            self.properties.write_with_len(sink);
        }
        sink.string(self.topic);
        sink.binary(self.payload);
    }
}
