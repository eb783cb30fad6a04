//! No modem at all: the serial line is the connection, with the faults of one.
//!
//! Nobody can tell the device over a bare line that its connection is over, or hang up for it. So a connection begins where an MQTT
//! CONNECT begins; what comes before is swallowed.

use crate::emulator::{Emulator, Link};

/// First byte of a CONNECT.
const CONNECT: u8 = 0x10;

/// What follows a CONNECT's length: the protocol's name, of MQTT 3.1.1 and 5.0, and of 3.1.
const NAMES: [&[u8]; 2] = [b"\0\x04MQTT", b"\0\x06MQIsdp"];

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Without a connection: what may be the front of a CONNECT.
    front: Vec<u8>,
    /// With one, or while it is being opened: what has to be sent.
    unsent: Vec<u8>,
    frame: Frame,
}

/// Where packets begin in what the device sends.
#[derive(Clone, Copy, Debug, Default)]
enum Frame {
    #[default]
    Start,
    /// In the length: what it is so far, and how far to shift what comes.
    Length(u32, u32),
    /// So many bytes are left.
    Body(u32),
}

impl Frame {
    const fn after(self, byte: u8) -> Self {
        match self {
            Self::Start => Self::Length(0, 0),
            Self::Length(len, shift) => {
                let len = len | ((byte & 0x7f) as u32) << shift;
                match byte & 0x80 {
                    0 if len == 0 => Self::Start,
                    0 => Self::Body(len),
                    _ if shift < 21 => Self::Length(len, shift + 7),
                    // No packet is so long; where the next one begins cannot be known.
                    _ => Self::Body(u32::MAX),
                }
            }
            Self::Body(1) => Self::Start,
            Self::Body(left) => Self::Body(left - 1),
        }
    }
}

/// Whether bytes are the front of a CONNECT; `None` if they are not, otherwise whether that is certain.
fn begins(bytes: &[u8]) -> Option<bool> {
    let (first, rest) = bytes.split_first()?;
    if *first != CONNECT {
        return None;
    }
    let len = rest.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    if len > 4 {
        return None;
    }
    let name = rest.get(len..).unwrap_or_default();
    let fits = |whole: &&[u8]| whole.starts_with(name) || name.starts_with(whole);
    let whole = NAMES.into_iter().find(|whole| fits(whole))?;
    Some(name.len() >= whole.len())
}

pub(crate) fn serial_in(modem: &mut Emulator, bytes: &[u8]) {
    for &byte in bytes {
        if modem.link != Link::Down {
            let begins = matches!(modem.raw.frame, Frame::Start)
                || cfg!(mutation = "emulator-connect-in-a-payload");
            if byte != CONNECT || !begins {
                modem.raw.frame = modem.raw.frame.after(byte);
                modem.raw.unsent.push(byte);
                continue;
            }
            // The device begins again.
            send(modem);
            modem.hang_up();
        }
        look_for_connect(modem, byte);
    }
    send(modem);
}

fn look_for_connect(modem: &mut Emulator, byte: u8) {
    let front = &mut modem.raw.front;
    front.push(byte);
    while !front.is_empty() && begins(front).is_none() {
        front.remove(0);
    }
    if begins(front) != Some(true) {
        return;
    }
    modem.raw.unsent = core::mem::take(front);
    let bytes = modem.raw.unsent.iter();
    modem.raw.frame = bytes.fold(Frame::Start, |frame, &byte| frame.after(byte));
    // What the last connection has brought is not for this one.
    if !cfg!(mutation = "emulator-bytes-of-the-last-connection") {
        modem.forget_answers();
    }
    modem.connect("", 0);
}

pub(crate) fn connected(modem: &mut Emulator) {
    if modem.link == Link::Up {
        send(modem);
    } else {
        modem.raw = State::default();
    }
}

/// Sends what has to be sent, in as many pieces as there have to be.
fn send(modem: &mut Emulator) {
    let most = modem.mtu(usize::MAX);
    while modem.link == Link::Up && !modem.raw.unsent.is_empty() {
        let count = most.min(modem.raw.unsent.len());
        let piece = modem.raw.unsent.drain(..count).collect();
        modem.send(piece);
        if modem.link == Link::Down {
            modem.raw = State::default();
        }
    }
}

/// Bytes from the network, for the device; a millisecond for every piece, if there have to be pieces.
pub(crate) fn received(modem: &mut Emulator, bytes: &[u8]) {
    let most = modem.mtu(usize::MAX);
    for (piece, ms) in bytes.chunks(most).zip(0..) {
        modem.answer_after(ms, piece);
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, begins};

    #[test]
    fn a_connect_is_known_by_its_first_bytes() {
        assert_eq!(begins(b"\x10"), Some(false));
        assert_eq!(begins(b"\x10\x0c\0\x04MQT"), Some(false));
        assert_eq!(begins(b"\x10\x0c\0\x04MQTT"), Some(true));
        assert_eq!(begins(b"\x10\x80\x01\0\x06MQIsdp"), Some(true));
        assert_eq!(begins(b"\x10\x0c\0\x05MQTT"), None);
        assert_eq!(begins(b"\x10\xff\xff\xff\xff"), None);
        assert_eq!(begins(b"\xc0"), None);
    }

    #[test]
    fn packets_are_followed() {
        let mut frame = Frame::Start;
        let mut starts = Vec::new();
        for (at, &byte) in b"\xc0\0\x30\x03\0\x01a\x30\x80\x01".iter().enumerate() {
            if matches!(frame, Frame::Start) {
                starts.push(at);
            }
            frame = frame.after(byte);
        }
        assert_eq!(starts, [0, 2, 7]);
        assert!(matches!(frame, Frame::Body(128)));
    }
}
