//! What was on the wire of one TCP connection: every segment, from the first SYN to the acknowledgement of the last FIN.

use core::fmt;

/// The largest packet of the network; a longer one was put together by a network card, and is not what would be sent.
const MTU: usize = 1_500;

/// Which way a segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Client,
    Server,
}

/// One TCP segment in its IPv4 packet.
#[derive(Clone, Copy, Debug)]
struct Segment {
    from: From,
    /// Bytes of the whole packet.
    bytes: usize,
    /// Bytes of the stream in it.
    payload: usize,
    fin: bool,
    reset: bool,
    /// Position in the stream behind this segment.
    end: u32,
    /// Up to where the other stream was received.
    acknowledged: Option<u32>,
}

impl Segment {
    /// Reads a packet that begins with its IP header; `None` for what is no TCP over IPv4 from or to that port of a server.
    fn parse(packet: &[u8], server: u16) -> Option<Self> {
        let first = *packet.first()?;
        let bytes = usize::from(u16_at(packet, 2)?);
        let header = usize::from(first & 0x0f) * 4;
        if first >> 4 != 4 || packet.get(9) != Some(&6) || bytes > packet.len() {
            return None;
        }
        let tcp = packet.get(header..bytes)?;
        let from = match (u16_at(tcp, 0)?, u16_at(tcp, 2)?) {
            (source, _) if source == server => From::Server,
            (_, to) if to == server => From::Client,
            _ => return None,
        };
        let data = usize::from(tcp.get(12)? >> 4) * 4;
        let flags = *tcp.get(13)?;
        let has = |flag: u8| flags & flag != 0;
        let (fin, syn) = (has(0x01), has(0x02));
        let payload = tcp.len().checked_sub(data)?;
        let length = u32::try_from(payload).ok()? + u32::from(fin) + u32::from(syn);
        Some(Self {
            from,
            bytes,
            payload,
            fin,
            reset: has(0x04),
            end: u32_at(tcp, 4)?.wrapping_add(length),
            acknowledged: if has(0x10) { u32_at(tcp, 8) } else { None },
        })
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

/// The end of one direction.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    /// Position behind FIN.
    at: Option<u32>,
    acknowledged: bool,
}

/// The count for one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Bytes of all packets, IP headers included.
    pub(crate) bytes: usize,
    /// Packets.
    pub(crate) segments: usize,
    /// Bytes of both streams.
    pub(crate) payload: usize,
    /// Bytes of the client's stream.
    pub(crate) sent: usize,
    /// Bytes of it, and segments with some, that left before the server had said anything.
    pub(crate) first_flight: (usize, usize),
    answered: bool,
    was_reset: bool,
    client: End,
    server: End,
}

/// A packet that no wire carries: what segments there would have been cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong(usize);

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a packet of {} bytes: segmentation is left to the network card",
            self.0
        )
    }
}

impl core::error::Error for TooLong {}

impl Tally {
    /// Counts a packet that begins with its IP header, if it belongs to a connection with that port.
    pub(crate) fn count(&mut self, packet: &[u8], server: u16) -> Result<(), TooLong> {
        let Some(segment) = Segment::parse(packet, server) else {
            return Ok(());
        };
        if segment.bytes > MTU {
            return Err(TooLong(segment.bytes));
        }
        self.bytes += segment.bytes;
        self.segments += 1;
        self.payload += segment.payload;
        self.was_reset |= segment.reset;
        let (own, other) = match segment.from {
            From::Client => (&mut self.client, &mut self.server),
            From::Server => (&mut self.server, &mut self.client),
        };
        if segment.fin {
            own.at = Some(segment.end);
        }
        other.acknowledged |= other.at.is_some() && segment.acknowledged == other.at;
        if segment.from == From::Client {
            self.sent += segment.payload;
        }
        match segment.from {
            From::Server => self.answered |= segment.payload > 0,
            From::Client if !self.answered && segment.payload > 0 => {
                self.first_flight.0 += segment.payload;
                self.first_flight.1 += 1;
            }
            From::Client => {}
        }
        Ok(())
    }

    /// Whether both directions are closed and acknowledged, so that nothing more can come.
    pub(crate) const fn is_over(&self) -> bool {
        self.was_reset || (self.client.acknowledged && self.server.acknowledged)
    }

    /// Whether it was broken off instead of closed.
    pub(crate) const fn was_reset(&self) -> bool {
        self.was_reset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: u16 = 1_883;
    const CLIENT: u16 = 40_000;
    const FIN: u8 = 0x01;
    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    const ACK: u8 = 0x10;

    /// A packet with so many bytes of options and payload, and what a capture has behind it.
    fn packet(
        ports: (u16, u16),
        flags: u8,
        (seq, ack): (u32, u32),
        options: usize,
        payload: usize,
    ) -> Vec<u8> {
        let len = 40 + options + payload;
        let mut packet = vec![0; len];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&u16::try_from(len).expect("short").to_be_bytes());
        packet[9] = 6;
        packet[20..22].copy_from_slice(&ports.0.to_be_bytes());
        packet[22..24].copy_from_slice(&ports.1.to_be_bytes());
        packet[24..28].copy_from_slice(&seq.to_be_bytes());
        packet[28..32].copy_from_slice(&ack.to_be_bytes());
        packet[32] = u8::try_from((20 + options) / 4).expect("small") << 4;
        packet[33] = flags;
        packet
    }

    const OUT: (u16, u16) = (CLIENT, SERVER);
    const IN: (u16, u16) = (SERVER, CLIENT);

    /// A conversation: CONNECT and PUBLISH of 100 bytes, 8 bytes of answer, goodbye of 2. The first position wraps on the way.
    fn conversation() -> Vec<Vec<u8>> {
        let start = u32::MAX - 50;
        let at = |count: u32| start.wrapping_add(count);
        vec![
            packet(OUT, SYN, (start, 0), 12, 0),
            packet(IN, SYN | ACK, (9, at(1)), 12, 0),
            packet(OUT, ACK, (at(1), 10), 0, 0),
            packet(OUT, ACK, (at(1), 10), 0, 100),
            packet(IN, ACK, (10, at(101)), 0, 8),
            packet(OUT, ACK, (at(101), 18), 0, 2),
            packet(OUT, FIN | ACK, (at(103), 18), 0, 0),
            packet(IN, FIN | ACK, (18, at(104)), 0, 0),
            packet(OUT, ACK, (at(104), 19), 0, 0),
        ]
    }

    fn counted<'p>(packets: impl IntoIterator<Item = &'p Vec<u8>>) -> Tally {
        let mut tally = Tally::default();
        for packet in packets {
            tally.count(packet, SERVER).expect("short packets");
        }
        tally
    }

    #[test]
    fn every_segment_counts_from_syn_to_the_last_acknowledgement() {
        let packets = conversation();
        let tally = counted(&packets);
        assert_eq!((tally.segments, tally.payload, tally.sent), (9, 110, 102));
        assert_eq!(tally.bytes, 9 * 40 + 24 + 110);
        assert_eq!(tally.first_flight, (100, 1));
        assert!(tally.is_over() && !tally.was_reset());
    }

    #[test]
    fn it_is_over_with_the_last_packet_and_not_before() {
        let packets = conversation();
        for count in 0..packets.len() {
            assert!(!counted(&packets[..count]).is_over(), "{count}");
        }
    }

    #[test]
    fn a_flight_ends_when_the_server_says_something() {
        let mut packets = conversation();
        // PUBLISH that waits for CONNACK, and one that does not but is a segment of its own.
        packets.insert(5, packet(OUT, ACK, (0, 0), 0, 30));
        assert_eq!(counted(&packets).first_flight, (100, 1));
        packets.insert(4, packet(OUT, ACK, (0, 0), 0, 30));
        assert_eq!(counted(&packets).first_flight, (130, 2));
    }

    #[test]
    fn what_is_sent_twice_counts_twice() {
        let mut packets = conversation();
        packets.insert(4, packets[3].clone());
        assert_eq!(counted(&packets).bytes, 9 * 40 + 24 + 110 + 140);
    }

    #[test]
    fn a_reset_ends_it() {
        let packets = [packet(OUT, RST, (5, 0), 0, 0)];
        let tally = counted(&packets);
        assert!(tally.is_over() && tally.was_reset());
    }

    #[test]
    fn others_do_not_count() {
        let mut udp = packet(OUT, ACK, (0, 0), 0, 5);
        udp[9] = 17;
        let mut six = packet(OUT, ACK, (0, 0), 0, 5);
        six[0] = 0x65;
        let elsewhere = packet((CLIENT, SERVER + 1), ACK, (0, 0), 0, 5);
        let arp = vec![0, 1, 8, 0, 6, 4, 0, 1];
        let tally = counted(&[udp, six, elsewhere, arp, Vec::new()]);
        assert_eq!((tally.segments, tally.bytes), (0, 0));
    }

    #[test]
    fn what_is_cut_short_is_no_panic() {
        let whole = packet(OUT, ACK, (0, 0), 12, 5);
        for len in 0..whole.len() {
            assert_eq!(counted(&[whole[..len].to_vec()]).segments, 0, "{len}");
        }
        // Padding of the link behind the packet is none of it.
        let mut padded = whole.clone();
        padded.extend([0; 9]);
        assert_eq!(counted(&[padded]).bytes, whole.len());
        let mut bad_offset = whole;
        bad_offset[32] = 0xf0;
        assert_eq!(counted(&[bad_offset]).segments, 0);
    }

    #[test]
    fn a_packet_that_no_wire_carries_is_refused() {
        let mut tally = Tally::default();
        let long = packet(OUT, ACK, (0, 0), 0, 1_461);
        assert_eq!(tally.count(&long, SERVER), Err(TooLong(1_501)));
    }
}
