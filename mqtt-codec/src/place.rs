//! Where a property or a reason code may stand: one bit per packet, and per sender where that counts.

/// A set of places.
pub(crate) type Places = u16;

pub(crate) const CONNECT: Places = 1 << 0;
pub(crate) const WILL: Places = 1 << 1;
pub(crate) const CONNACK: Places = 1 << 2;
pub(crate) const PUBLISH_FROM_CLIENT: Places = 1 << 3;
pub(crate) const PUBLISH_FROM_SERVER: Places = 1 << 4;
pub(crate) const PUBACK: Places = 1 << 5;
pub(crate) const PUBREC: Places = 1 << 6;
pub(crate) const PUBREL: Places = 1 << 7;
pub(crate) const PUBCOMP: Places = 1 << 8;
pub(crate) const SUBSCRIBE: Places = 1 << 9;
pub(crate) const SUBACK: Places = 1 << 10;
pub(crate) const UNSUBSCRIBE: Places = 1 << 11;
pub(crate) const UNSUBACK: Places = 1 << 12;
pub(crate) const DISCONNECT_FROM_CLIENT: Places = 1 << 13;
pub(crate) const DISCONNECT_FROM_SERVER: Places = 1 << 14;
pub(crate) const AUTH: Places = 1 << 15;

pub(crate) const PUBLISH: Places = PUBLISH_FROM_CLIENT | PUBLISH_FROM_SERVER;
pub(crate) const DISCONNECT: Places = DISCONNECT_FROM_CLIENT | DISCONNECT_FROM_SERVER;
