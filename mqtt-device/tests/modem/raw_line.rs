//! The emulator's raw line against a model of it: which bytes reach which connection, and which the device.

use mqtt_at_modem::{Dialect, Emulator, Options, Wish};

use super::Random;

const CONNECT: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a";
const PUBLISH: &[u8] = b"\x30\x06\0\x01t\x10\x10\x10";
/// Its payload is a CONNECT: only without a cut can it be known for a payload.
const TRAP: &[u8] = b"\x30\x12\0\x01t\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a";
const PING: &[u8] = b"\xc0\0";

/// A connection, as its peer sees it.
#[derive(Default)]
struct Peer {
    got: Vec<u8>,
    sent: u8,
}

pub(crate) fn run(random: &mut Random) {
    let cut = random.sometimes(2, 200);
    let mut modem = Emulator::new(Options {
        dialect: Dialect::Raw,
        cut,
        mtu: random.sometimes(2, 20).map(|mtu| mtu as u16),
        latency: random.sometimes(2, 50).unwrap_or(0),
        ..Options::default()
    });
    let mut peers: Vec<Peer> = Vec::new();
    // What the device has sent in each of its conversations, and how many bytes went before the cut.
    let mut conversations: Vec<Vec<u8>> = Vec::new();
    let mut crossed = 0;
    for now in 0..60 {
        let packet = match random.below(6) {
            0 => CONNECT,
            1..=3 if cut.is_none() => TRAP,
            1..=3 => PUBLISH,
            _ => PING,
        };
        let packet = if now == 0 { CONNECT } else { packet };
        if packet == CONNECT {
            conversations.push(Vec::new());
        }
        let conversation = conversations.last_mut().expect("a CONNECT came first");
        conversation.extend_from_slice(packet);
        let mut rest = packet;
        while !rest.is_empty() {
            let count = 1 + random.below(rest.len() as u64) as usize;
            modem.serial_in(&rest[..count], now);
            rest = &rest[count..];
            while let Some(wish) = modem.wish() {
                match wish {
                    Wish::Connect { .. } => {
                        peers.push(Peer::default());
                        modem.connected(true, now);
                    }
                    Wish::Send(bytes) => {
                        crossed += bytes.len() as u64;
                        let peer = peers.last_mut().expect("it was dialled");
                        peer.got.extend(bytes);
                    }
                    Wish::Close => {}
                }
            }
        }
        // The peer sends the number of its connection.
        let number = peers.len() as u8;
        if cut.is_none() && random.below(3) == 0 {
            modem.received(&[number], now);
            peers.last_mut().expect("it was dialled").sent += 1;
        }
        for byte in modem.serial_out(now) {
            assert_eq!(byte, number, "bytes of an old connection reach the device");
        }
    }
    let mut cut_short = 0;
    assert_eq!(peers.len(), conversations.len(), "connections");
    for (peer, conversation) in peers.iter().zip(&conversations) {
        if peer.got != *conversation {
            cut_short += 1;
            assert!(
                conversation.starts_with(&peer.got),
                "a connection carries something else"
            );
        }
    }
    let due = usize::from(cut.is_some_and(|cut| cut <= crossed));
    assert!(cut_short <= due, "bytes got lost");
}
