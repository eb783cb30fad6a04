//! Reading: one pass over the bytes, everything borrowed.

use super::text::is_utf8;

/// A packet of a client.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the bench only looks at them as a whole")
)]
pub(super) enum Packet<'a> {
    Connect(Connect<'a>),
    Publish(Publish<'a>),
    /// PUBACK, PUBREC, PUBREL, PUBCOMP.
    Ack(Ack<'a>),
    Subscribe(Subscribe<'a>),
    PingReq,
}

/// What a server looks at first, and the rest as it was checked.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the bench only looks at them as a whole")
)]
pub(super) struct Connect<'a> {
    pub(super) flags: u8,
    pub(super) keep_alive: u16,
    pub(super) properties: &'a [u8],
    /// UTF-8.
    pub(super) client_id: &'a [u8],
    /// Will, user name and password.
    pub(super) rest: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Publish<'a> {
    pub(super) first: u8,
    pub(super) id: u16,
    /// How many bytes of `rest` are properties.
    pub(super) properties: u32,
    /// UTF-8.
    pub(super) topic: &'a [u8],
    /// Properties and payload.
    pub(super) rest: &'a [u8],
}

impl<'a> Publish<'a> {
    pub(super) fn properties(&self) -> &'a [u8] {
        &self.rest[..self.properties as usize]
    }

    pub(super) fn payload(&self) -> &'a [u8] {
        &self.rest[self.properties as usize..]
    }
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the bench only looks at them as a whole")
)]
pub(super) struct Ack<'a> {
    pub(super) first: u8,
    pub(super) reason: u8,
    pub(super) id: u16,
    pub(super) properties: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the bench only looks at them as a whole")
)]
pub(super) struct Subscribe<'a> {
    pub(super) id: u16,
    pub(super) properties: &'a [u8],
    pub(super) filters: &'a [u8],
}

const _: () = assert!(size_of::<Packet<'_>>() <= 64);

/// Why there is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// So many bytes are needed in all.
    Missing(usize),
    Malformed,
}

use Stop::{Malformed, Missing};

/// What is there, or the end: unlike `?` on an `Option` in between, it leaves the packet where it is put together.
macro_rules! get {
    ($found:expr) => {
        match $found {
            Some(found) => found,
            None => return Err(Malformed),
        }
    };
}

/// A packet and its length.
type Read<'a> = Result<(Packet<'a>, usize), Stop>;

/// The packet at the front, and its length.
///
/// Each kind is put together where it is returned: a packet that is moved costs as much as a short one to read.
#[inline(always)]
pub(super) fn decode<const V5: bool>(bytes: &[u8]) -> Read<'_> {
    let (first, body, len) = frame(bytes)?;
    match first {
        0x30..=0x3f => publish::<V5>(first, body, len),
        0x40 | 0x50 | 0x62 | 0x70 => ack::<V5>(first, body, len),
        0xc0 if body.is_empty() => Ok((Packet::PingReq, len)),
        0x82 => subscribe::<V5>(body, len),
        0x10 => connect::<V5>(body, len),
        _ => Err(Malformed),
    }
}

/// First byte, body and length of the frame.
#[inline(always)]
pub(super) fn frame(bytes: &[u8]) -> Result<(u8, &[u8], usize), Stop> {
    let [first, len, rest @ ..] = bytes else {
        return Err(Missing(2));
    };
    if *len < 0x80 {
        let len = usize::from(*len);
        let body = rest.get(..len).ok_or(Missing(2 + len))?;
        return Ok((*first, body, 2 + len));
    }
    let (len, used) = long_varint(*len, rest).ok_or(if rest.len() < 3 {
        Missing(bytes.len() + 1)
    } else {
        Malformed
    })?;
    let body = rest.get(used..used + len).ok_or(Missing(2 + used + len))?;
    Ok((*first, body, 2 + used + len))
}

/// The value of an integer of two to four bytes, and how many of them follow the first.
#[inline]
fn long_varint(first: u8, rest: &[u8]) -> Option<(usize, usize)> {
    let low = usize::from(first & 0x7f);
    // Not canonical: a last byte of zero.
    match *rest {
        [a @ 1..0x80, ..] => Some((low | usize::from(a) << 7, 1)),
        [a @ 0x80..=0xff, b @ 1..0x80, ..] => {
            Some((low | usize::from(a & 0x7f) << 7 | usize::from(b) << 14, 2))
        }
        [a @ 0x80..=0xff, b @ 0x80..=0xff, c @ 1..0x80, ..] => Some((
            low | usize::from(a & 0x7f) << 7 | usize::from(b & 0x7f) << 14 | usize::from(c) << 21,
            3,
        )),
        _ => None,
    }
}

#[inline(always)]
fn u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (value, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*value), rest))
}

/// An identifier that is not zero.
#[inline(always)]
fn id(bytes: &[u8]) -> Option<(u16, &[u8])> {
    u16(bytes).filter(|(id, _)| *id != 0)
}

#[inline(always)]
fn binary(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = u16(bytes)?;
    rest.split_at_checked(usize::from(len))
}

/// A string, as the bytes that were checked.
#[inline(always)]
fn topic(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    binary(bytes).filter(|(text, _)| is_utf8(text))
}

/// The same, called: CONNECT is read faster so.
#[inline(never)]
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    topic(bytes)
}

#[inline(always)]
fn skip_string(bytes: &[u8]) -> Option<&[u8]> {
    topic(bytes).map(|(_, rest)| rest)
}

#[inline(always)]
fn publish<const V5: bool>(first: u8, body: &[u8], len: usize) -> Read<'_> {
    // DUP needs a QoS, and QoS 3 does not exist.
    const VALID: u16 = 0b0011_1100_0011_1111;
    if VALID >> (first & 0x0f) & 1 == 0 {
        return Err(Malformed);
    }
    let (topic, rest) = get!(topic(body));
    let (id, rest) = if first & 0x06 == 0 {
        (0, rest)
    } else {
        get!(id(rest))
    };
    let (properties, rest) = match rest {
        _ if !V5 => (0, rest),
        [0, rest @ ..] => (0, rest),
        _ => {
            let (len, rest) = get!(counted(rest));
            if !rest.get(..len).is_some_and(check::<PUBLISH>) {
                return Err(Malformed);
            }
            (len as u32, rest)
        }
    };
    let publish = Publish {
        first,
        id,
        properties,
        topic,
        rest,
    };
    Ok((Packet::Publish(publish), len))
}

#[inline(always)]
fn ack<const V5: bool>(first: u8, body: &[u8], len: usize) -> Read<'_> {
    let Some((id, rest)) = id(body) else {
        return Err(Malformed);
    };
    if rest.is_empty() {
        let ack = Ack {
            first,
            reason: 0,
            id,
            properties: rest,
        };
        return Ok((Packet::Ack(ack), len));
    }
    if V5 && let Some((reason, properties)) = long_ack(first, rest) {
        let ack = Ack {
            first,
            reason,
            id,
            properties,
        };
        return Ok((Packet::Ack(ack), len));
    }
    Err(Malformed)
}

/// With a reason, and perhaps with properties.
#[inline(never)]
fn long_ack(first: u8, rest: &[u8]) -> Option<(u8, &[u8])> {
    let (&reason, rest) = rest.split_first()?;
    let known = match first >> 4 {
        4 | 5 => matches!(
            reason,
            0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99
        ),
        _ => matches!(reason, 0x00 | 0x92),
    };
    let (properties, end) = if rest.is_empty() {
        (rest, rest)
    } else {
        checked::<ACK>(rest)?
    };
    (known && end.is_empty()).then_some((reason, properties))
}

#[inline(always)]
fn subscribe<const V5: bool>(body: &[u8], len: usize) -> Read<'_> {
    let (id, rest) = get!(id(body));
    let (properties, filters) = if V5 {
        get!(checked::<SUBSCRIBE>(rest))
    } else {
        (&[][..], rest)
    };
    let mut rest = filters;
    if rest.is_empty() {
        return Err(Malformed);
    }
    while !rest.is_empty() {
        let (&options, later) = get!(get!(skip_string(rest)).split_first());
        let valid = if V5 {
            options < 0x30 && options & 3 != 3
        } else {
            options < 3
        };
        if !valid {
            return Err(Malformed);
        }
        rest = later;
    }
    let subscribe = Subscribe {
        id,
        properties,
        filters,
    };
    Ok((Packet::Subscribe(subscribe), len))
}

#[inline(always)]
fn connect<const V5: bool>(body: &[u8], len: usize) -> Read<'_> {
    let level = if V5 { 5 } else { 4 };
    let (start, rest) = get!(body.split_first_chunk());
    let &[0, 4, b'M', b'Q', b'T', b'T', version, flags] = start else {
        return Err(Malformed);
    };
    let will = flags & 0x04 != 0;
    let will_flags = if will {
        flags & 0x18 == 0x18
    } else {
        flags & 0x38 != 0
    };
    if version != level || flags & 1 != 0 || will_flags || (!V5 && flags & 0xc0 == 0x40) {
        return Err(Malformed);
    }
    let (keep_alive, rest) = get!(u16(rest));
    let (properties, rest) = if V5 {
        get!(checked::<CONNECT>(rest))
    } else {
        (&[][..], rest)
    };
    let (client_id, rest) = get!(string(rest));
    let mut left = rest;
    if will {
        if V5 {
            left = get!(checked::<WILL>(left)).1;
        }
        left = get!(string(left)).1;
        left = get!(binary(left)).1;
    }
    if flags & 0x80 != 0 {
        left = get!(string(left)).1;
    }
    if flags & 0x40 != 0 {
        left = get!(binary(left)).1;
    }
    if !left.is_empty() {
        return Err(Malformed);
    }
    let connect = Connect {
        flags,
        keep_alive,
        properties,
        client_id,
        rest,
    };
    Ok((Packet::Connect(connect), len))
}

/// Which identifiers a packet may carry, one bit each.
const fn set(ids: &[u8]) -> u64 {
    let mut set = 0;
    let mut at = 0;
    while at < ids.len() {
        set |= 1 << ids[at];
        at += 1;
    }
    set
}

const PUBLISH: u64 = set(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23, 0x26]);
const CONNECT: u64 = set(&[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]);
const WILL: u64 = set(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]);
const SUBSCRIBE: u64 = set(&[0x0b, 0x26]);
const ACK: u64 = set(&[0x1f, 0x26]);

/// An integer of one to four bytes, and what follows it.
#[inline(always)]
fn counted(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let (len, used) = long_varint(first, rest)?;
    Some((len, &rest[used..]))
}

/// The properties, checked, and what follows them.
#[inline(always)]
fn checked<const ALLOWED: u64>(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = counted(bytes)?;
    let (properties, rest) = rest.split_at_checked(len)?;
    check::<ALLOWED>(properties).then_some((properties, rest))
}

#[inline]
fn check<const ALLOWED: u64>(mut bytes: &[u8]) -> bool {
    while let [id, rest @ ..] = bytes {
        if *id >= 64 || ALLOWED >> id & 1 == 0 {
            return false;
        }
        let rest = match id {
            0x26 => skip_string(rest).and_then(skip_string),
            0x01 | 0x17 | 0x19 => rest.get(1..),
            0x21..=0x23 => rest.get(2..),
            0x02 | 0x11 | 0x18 | 0x27 => rest.get(4..),
            0x03 | 0x08 | 0x15 | 0x1f => skip_string(rest),
            0x09 | 0x16 => binary(rest).map(|(_, rest)| rest),
            0x0b => match rest {
                [..=0x7f, rest @ ..] => Some(rest),
                [first, rest @ ..] => long_varint(*first, rest).map(|(_, used)| &rest[used..]),
                [] => None,
            },
            _ => None,
        };
        match rest {
            Some(rest) => bytes = rest,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
pub(super) mod tests {
    use mqtt_cases::codec::PacketCase;
    use mqtt_cases::packets::Outgoing;

    use super::*;

    /// Whether what the floor has read is the case.
    pub(in super::super) fn is(packet: &Packet<'_>, case: &PacketCase) -> bool {
        let ends = |slice: &[u8]| slice.is_empty() || case.wire.ends_with(slice);
        match (packet, &case.packet) {
            (Packet::Connect(read), Outgoing::Connect(sent)) => {
                read.client_id == sent.client_id.as_bytes()
                    && read.keep_alive == sent.keep_alive
                    && (read.flags & 4 != 0) == sent.will.is_some()
                    && read.properties.is_empty() == sent.properties.is_empty()
                    && ends(read.rest)
            }
            (Packet::Publish(read), Outgoing::Publish(sent)) => {
                let id = sent
                    .delivery
                    .packet_id()
                    .map_or(0, mqtt_codec::PacketId::get);
                read.topic == sent.topic.as_bytes()
                    && read.payload() == sent.payload
                    && read.id == id
                    && read.first >> 1 & 3 == sent.delivery.qos() as u8
                    && (read.properties == 0) == sent.properties.is_empty()
            }
            (Packet::Ack(read), Outgoing::PubAck(sent)) => {
                (read.first, read.reason) == (0x40, 0)
                    && read.id == sent.packet_id.get()
                    && read.properties.is_empty()
            }
            (Packet::Subscribe(read), Outgoing::Subscribe(sent)) => {
                read.id == sent.packet_id.get() && !read.properties.is_empty() && ends(read.filters)
            }
            (Packet::PingReq, Outgoing::PingReq) => true,
            _ => false,
        }
    }
}
