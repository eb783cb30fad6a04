//! Packets as a program builds them: written, read again as equal, written again in the same bytes; and what cannot be written.
//!
//! The `decoder` target begins with bytes; this one begins with packets whose properties and filters are lists, so that what the
//! encoder checks and measures is judged by what the decoder says. A writer of a few lines that checks nothing (`naive`) puts the same
//! packet into bytes: the encoder has to write exactly these, and has to refuse exactly what the decoder refuses in them.

mod head;
mod naive;
mod sent;

use mqtt_codec::{DecodeError, Decoded, Decoder, EncodeError, Packet, RuleId, Version};

use super::Shape;
use super::input::Input;
use sent::{Parts, Sent};

/// Packets looked at in one input.
const MOST_PACKETS: u32 = 16;
/// Bytes that they have together before the next one is begun: of packets of two megabytes one is enough.
const MOST_BYTES: usize = 1 << 18;
/// What lies in a buffer before something is written to it.
const UNTOUCHED: u8 = 0xee;

/// Reads the input as packets to write, some of them damaged once they are bytes.
///
/// # Panics
/// When the codec breaks one of its promises.
pub fn run(bytes: &[u8]) -> Shape {
    let mut input = Input::new(bytes);
    let mut shape = Shape::default();
    let mut total = 0;
    while !input.is_empty() && shape.steps < MOST_PACKETS && total < MOST_BYTES {
        let way = input.byte();
        let version = [Version::V5, Version::V311, Version::V31, Version::V5][usize::from(way & 3)];
        let pieces = 1 + usize::from(input.byte());
        let mut parts = Parts::default();
        parts.read(version, &mut input);
        let sent = Sent::read(version, &parts, &mut input);
        shape.steps += 1;
        let Some(written) = written(version, &sent, pieces) else {
            continue;
        };
        shape.decodes = true;
        total += written.len();
        if way & 0xc0 == 0xc0 {
            let at = usize::from(input.short()) % written.len();
            let mut damaged = written;
            damaged[at] ^= input.byte();
            read(version, &damaged);
        }
    }
    shape
}

/// Writes the packet and reads it again; its bytes, if it can be written.
fn written(version: Version, sent: &Sent<'_>, pieces: usize) -> Option<Vec<u8>> {
    let naive = naive::write(version, sent);
    let announced = sent.encoded_len(version);
    let mut buffer = vec![UNTOUCHED; announced.saturating_add(8)];
    let result = sent.encode(version, &mut buffer);
    if let Sent::Packet(Packet::Publish(publish)) = sent {
        head::check(version, publish, result);
    }
    let len = match result {
        Ok(len) => len,
        Err(error) => {
            refused(version, sent, error, naive.as_deref());
            return None;
        }
    };
    assert_eq!(len, announced, "announced for {sent:?}");
    let (packet, behind) = buffer.split_at(len);
    assert_eq!(behind, [UNTOUCHED; 8], "behind the packet");
    assert_eq!(Some(packet), naive.as_deref(), "{sent:?}");
    too_small(version, sent, packet, pieces);
    let read = decoded(version, packet);
    let expected = sent.as_read(version);
    assert!(expected.is(&read), "{expected:?} was read as {read:?}");
    again(version, &read, Some(packet));
    in_pieces(version, packet, pieces);
    Some(packet.to_vec())
}

/// What cannot be written is what the decoder would refuse, if it can be put into bytes at all.
fn refused(version: Version, sent: &Sent<'_>, error: EncodeError, naive: Option<&[u8]>) {
    let Some(bytes) = naive else {
        return;
    };
    assert_ne!(error, EncodeError::TooLong, "{sent:?}");
    let result = Decoder::new(version).any(bytes);
    if result.is_err() || judged_elsewhere(version, error) {
        return;
    }
    panic!("{sent:?} is not written ({error}), but read: {result:?}");
}

/// What the encoder refuses and the decoder takes.
fn judged_elsewhere(version: Version, error: EncodeError) -> bool {
    match error {
        // Before 5.0 a topic of no characters is mqtt-topic's to refuse.
        EncodeError::EmptyTopic => !version.is_v5(),
        // Section 2.1 of MQTT 3.1 does not say that the flag is checked.
        EncodeError::DupAtMostOnce => version == Version::V31,
        _ => false,
    }
}

/// A buffer that is too small is told how large it must be, and nothing is written outside of it.
fn too_small(version: Version, sent: &Sent<'_>, packet: &[u8], pieces: usize) {
    let needed = packet.len();
    for short in [0, 1, needed / 2, needed - pieces.min(needed), needed - 1] {
        if short < needed {
            let mut buffer = vec![UNTOUCHED; needed];
            let result = sent.encode(version, &mut buffer[..short]);
            assert_eq!(result, Err(EncodeError::TooSmall { needed }), "{sent:?}");
            assert!(buffer[short..].iter().all(|&byte| byte == UNTOUCHED));
        }
    }
    let mut buffer = vec![UNTOUCHED; needed];
    assert_eq!(sent.encode(version, &mut buffer), Ok(needed), "{sent:?}");
    assert_eq!(buffer, packet, "into a buffer that just fits");
}

fn decoded(version: Version, bytes: &[u8]) -> Packet<'_> {
    match Decoder::new(version).any(bytes) {
        Ok(Decoded::Complete { packet, len }) if len == bytes.len() => packet,
        other => panic!("{bytes:02x?} was written: {other:?}"),
    }
}

/// A packet that was read is written, in these bytes if they are given, and read again as equal.
fn again(version: Version, packet: &Packet<'_>, bytes: Option<&[u8]>) {
    let len = packet.encoded_len(version);
    let mut buffer = vec![UNTOUCHED; len];
    match packet.encode(version, &mut buffer) {
        Ok(written) => assert_eq!(written, len, "{packet:?}"),
        Err(error) if judged_elsewhere(version, error) => return,
        Err(error) => panic!("{packet:?} was read and cannot be written: {error}"),
    }
    if let Some(bytes) = bytes {
        assert_eq!(buffer, bytes, "written again");
    }
    let read = decoded(version, &buffer);
    assert!(same(packet, &read), "{packet:?} was read as {read:?}");
}

/// Bytes of any origin: what is read of them can be written and is read as equal.
fn read(version: Version, bytes: &[u8]) {
    let decoder = Decoder::new(version);
    let results = [
        decoder.any(bytes),
        decoder.from_client(bytes).map(|it| it.map(Packet::from)),
        decoder.from_server(bytes).map(|it| it.map(Packet::from)),
    ];
    for result in &results {
        if let Ok(Decoded::Complete { packet, .. }) = result {
            again(version, packet, None);
        }
    }
    let [any, client, server] = results;
    // What one side may send is what anyone reads.
    for side in [client, server] {
        match side {
            Ok(_) => assert_eq!(side, any),
            Err(DecodeError { rule, .. }) => {
                let of_a_side = matches!(
                    rule,
                    RuleId::PacketFromWrongSide
                        | RuleId::SubscriptionIdFromClient
                        | RuleId::SessionExpiryFromServer
                        | RuleId::PropertyNotAllowed
                        | RuleId::DisconnectReason
                        | RuleId::AuthReason
                );
                assert!(of_a_side || any == side, "{any:?}, but {side:?}");
            }
        }
    }
}

/// Fed to the decoder in pieces, with something behind it, it is the same packet.
fn in_pieces(version: Version, bytes: &[u8], pieces: usize) {
    let decoder = Decoder::new(version);
    let whole = decoder.any(bytes);
    let behind = [bytes, &[0xff; 5]].concat();
    assert_eq!(decoder.any(&behind), whole, "with bytes behind it");
    // As much as is asked for, and not a byte more.
    let (mut have, mut asked) = (0, 0);
    while let Ok(Decoded::NeedMore(needed)) = decoder.any(&bytes[..have]) {
        assert!(
            needed > have && needed <= bytes.len(),
            "{needed} after {have}"
        );
        have = needed;
        asked += 1;
    }
    assert!(have == bytes.len() && asked <= 5, "{have} after {asked}");
    let step = pieces.max(bytes.len() / 64);
    let mut have = 0;
    loop {
        let result = decoder.any(&bytes[..have]);
        if have == bytes.len() {
            assert_eq!(result, whole, "in pieces of {step}");
            return;
        }
        assert!(
            matches!(result, Ok(Decoded::NeedMore(needed)) if needed > have),
            "{result:?} after {have} of {}",
            bytes.len()
        );
        have = (have + step).min(bytes.len());
    }
}

/// Equal, also in what a CONNECT keeps to itself.
fn same(one: &Packet<'_>, other: &Packet<'_>) -> bool {
    match (one, other) {
        (Packet::Connect(one), Packet::Connect(other)) => one.to_connect() == other.to_connect(),
        _ => one == other,
    }
}
