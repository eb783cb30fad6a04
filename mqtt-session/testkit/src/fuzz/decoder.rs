//! A stream of packets from a client or a server, whole and at every cut, and written again.

use core::fmt::{self, Write};

use mqtt_codec::{
    DecodeError, Decoded, Decoder, EncodeError, FromClient, FromServer, Packet, Properties,
    Publish, RuleId, Version,
};

use super::Shape;
use super::grammar::{Grammar, push_varint};
use super::input::Input;

/// Longest packet of which every cut is tried; of longer ones those near both ends.
const EVERY_CUT: usize = 600;
/// Packets looked at in one input.
const MOST_PACKETS: u32 = 64;

/// Which side's packets are read, and how.
#[derive(Clone, Copy, Debug)]
struct Setting {
    client: bool,
    decoder: Decoder,
}

impl Setting {
    /// The setting, and which way the stream is written.
    fn read(input: &mut Input<'_>) -> (Self, u8) {
        let byte = input.byte();
        let version =
            [Version::V5, Version::V311, Version::V31, Version::V5][usize::from(byte & 3)];
        let mut decoder = Decoder::new(version);
        if byte & 0x08 != 0 {
            decoder.maximum_packet_size = 1 + u32::from(input.byte());
        }
        if byte & 0x10 != 0 {
            decoder.maximum_user_properties = u16::from(input.byte() & 3);
        }
        let setting = Self {
            client: byte & 0x04 != 0,
            decoder,
        };
        (setting, byte >> 5)
    }

    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Decoded<Packet<'a>>, DecodeError> {
        if self.client {
            let decoded: Decoded<FromClient<'a>> = self.decoder.from_client(bytes)?;
            Ok(decoded.map(Packet::from))
        } else {
            let decoded: Decoded<FromServer<'a>> = self.decoder.from_server(bytes)?;
            Ok(decoded.map(Packet::from))
        }
    }
}

/// Reads the input as one setting and a stream of bytes: as they are, as packets whose length is set right, or out of the [`grammar`].
///
/// [`grammar`]: super::grammar
///
/// # Panics
/// When the codec breaks one of its promises.
pub fn run(bytes: &[u8]) -> Shape {
    let mut input = Input::new(bytes);
    let (setting, way) = Setting::read(&mut input);
    let stream = match way {
        0..=2 => input.rest().to_vec(),
        3 | 4 => frames(&mut input),
        _ => packets(&setting, &mut input, way == 7),
    };
    let mut shape = Shape::default();
    let mut rest = &stream[..];
    while !rest.is_empty() && shape.steps < MOST_PACKETS {
        let whole = setting.decode(rest);
        cuts(&setting, rest, &whole);
        match whole {
            Ok(Decoded::Complete { packet, len }) => {
                shape.decodes = true;
                shape.steps += 1;
                complete(&setting, rest, &packet, len);
                rest = &rest[len..];
            }
            Ok(Decoded::NeedMore(_)) | Err(_) => break,
        }
    }
    shape
}

/// Packets: a first byte, the length of the body, the body. Lengths from 0xf0 on add bytes that need no input.
fn frames(input: &mut Input<'_>) -> Vec<u8> {
    let mut stream = Vec::new();
    while !input.is_empty() && stream.len() < 1 << 17 {
        stream.push(input.byte());
        let len = input.byte();
        let padding = len
            .checked_sub(0xf0)
            .map_or(0, |power| 1_usize << power.min(14));
        let body = input.take(usize::from(len));
        push_varint(&mut stream, body.len() + padding);
        stream.extend_from_slice(body);
        stream.resize(stream.len() + padding, b'a');
    }
    stream
}

/// Packets of the grammar, as they are or with one byte changed.
fn packets(setting: &Setting, input: &mut Input<'_>, damaged: bool) -> Vec<u8> {
    let grammar = Grammar {
        version: setting.decoder.version,
        client: setting.client,
        awaited: &[1, 2, 0xffff],
    };
    let damage = damaged.then(|| (input.short(), input.byte()));
    let mut stream = Vec::new();
    while !input.is_empty() && stream.len() < 1 << 13 {
        if input.byte() & 7 == 0 {
            grammar.hello(input, &mut stream);
        } else {
            grammar.packet(input, &mut stream);
        }
    }
    if let Some((at, change)) = damage {
        let at = usize::from(at).checked_rem(stream.len()).unwrap_or(0);
        if let Some(byte) = stream.get_mut(at) {
            *byte ^= change;
        }
    }
    stream
}

/// The length of the frame at the front, as section 1.5.5 says it; `None` while its header is not there, or wrong.
fn frame(bytes: &[u8]) -> Option<usize> {
    let mut len = 0;
    for (index, &byte) in bytes.iter().skip(1).take(4).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let shortest = index == 0 || byte != 0;
            return (shortest && bytes[0] >> 4 != 0).then_some(2 + index + len);
        }
    }
    None
}

/// Every beginning of the packet asks for more or is judged like the whole.
fn cuts(setting: &Setting, bytes: &[u8], whole: &Result<Decoded<Packet<'_>>, DecodeError>) {
    let end = match whole {
        Ok(Decoded::Complete { len, .. }) => *len,
        Ok(Decoded::NeedMore(_)) | Err(_) => {
            frame(bytes).map_or(bytes.len(), |len| len.min(bytes.len()))
        }
    };
    let near = |cut: &usize| end <= EVERY_CUT || *cut < 200 || *cut + 100 > end;
    for cut in (0..end).filter(near) {
        let head = &bytes[..cut];
        match setting.decode(head) {
            Ok(Decoded::NeedMore(needed)) => {
                assert!(needed > cut, "{needed} needed of {cut}");
                if let Some(len) = frame(head) {
                    assert_eq!(needed, len, "the length is known after {cut}");
                } else {
                    assert!(needed <= 5, "{needed} for a fixed header");
                }
            }
            Ok(Decoded::Complete { .. }) => panic!("complete after {cut} of {end}"),
            early => assert_eq!(early, *whole, "after {cut} of {end}"),
        }
    }
    if let Some(len) = frame(bytes) {
        match whole {
            Ok(Decoded::Complete { len: took, .. }) => {
                assert_eq!(*took, len, "the length of the frame");
                assert!(len <= setting.decoder.maximum_packet_size as usize);
            }
            Ok(Decoded::NeedMore(needed)) => {
                assert_eq!((*needed, len > bytes.len()), (len, true));
                assert!(len <= setting.decoder.maximum_packet_size as usize);
            }
            Err(error) => refused(setting, error, len),
        }
    } else if let Err(error) = whole {
        assert!(error.at < 5, "{error} in a fixed header");
    }
    if bytes.first().is_some_and(|first| first >> 4 == 3) {
        heads(setting, bytes, end, whole);
    }
}

/// What a broken rule says about itself.
fn refused(setting: &Setting, error: &DecodeError, len: usize) {
    assert!(error.at as usize <= len, "{error} in {len} bytes");
    if len > setting.decoder.maximum_packet_size as usize {
        assert_eq!((error.rule, error.at), (RuleId::PacketTooLarge, 1));
    } else {
        assert_ne!(error.rule, RuleId::PacketTooLarge);
    }
    assert!(!error.rule.sentence().is_empty());
    assert!(!error.rule.statement(setting.decoder.version).is_empty());
    let _ = error.rule.reason_code();
    let _ = write!(Sink, "{error} {error:?}");
}

/// The head of a PUBLISH is that of the whole, as soon as it is there, and the payload is what followed.
fn heads(
    setting: &Setting,
    bytes: &[u8],
    end: usize,
    whole: &Result<Decoded<Packet<'_>>, DecodeError>,
) {
    let read = |bytes| {
        if setting.client {
            setting.decoder.publish_head_from_client(bytes)
        } else {
            setting.decoder.publish_head(bytes)
        }
    };
    let near = |cut: &usize| end <= EVERY_CUT || *cut < 200 || *cut + 100 > end;
    let mut begun = false;
    for cut in (0..=end).filter(near) {
        match read(&bytes[..cut]) {
            Ok(Decoded::NeedMore(needed)) => {
                assert!(!begun, "the head was there before {cut}");
                assert!(needed > cut, "{needed} needed of {cut}");
            }
            Ok(Decoded::Complete { packet: part, len }) => {
                begun = true;
                assert_eq!(len, cut);
                let total = cut + part.missing as usize;
                let Some(frame_len) = frame(bytes) else {
                    panic!("a head without a header")
                };
                assert_eq!(total, frame_len);
                if let Ok(Decoded::Complete {
                    packet: Packet::Publish(publish),
                    ..
                }) = whole
                {
                    let head = frame_len - publish.payload.len();
                    let payload = &publish.payload[..cut - head];
                    assert_eq!(
                        part.publish,
                        Publish {
                            payload,
                            ..*publish
                        }
                    );
                } else {
                    assert!(whole.is_ok(), "a head of what is refused");
                }
            }
            Err(error) => match whole {
                Err(expected) => assert_eq!(error, *expected),
                Ok(_) => assert!(
                    frame(bytes).is_some_and(|len| len > bytes.len()),
                    "a head is refused of what is read: {error}"
                ),
            },
        }
    }
}

/// A whole packet: its fields can be looked at, and it is written and read again as the same.
fn complete(setting: &Setting, bytes: &[u8], packet: &Packet<'_>, len: usize) {
    let bytes = &bytes[..len];
    let version = setting.decoder.version;
    assert_eq!(packet.packet_type() as u8, bytes[0] >> 4);
    let users = usize::from(setting.decoder.maximum_user_properties);
    assert!(walk(packet, users) <= len, "more than there is room for");
    let _ = write!(Sink, "{packet:?}");
    // Whoever sent it, it is this packet.
    let any = setting.decoder.any(bytes);
    assert_eq!(
        any,
        Ok(Decoded::Complete {
            packet: *packet,
            len
        })
    );
    let announced = packet.encoded_len(version);
    assert!(announced <= len, "{announced} bytes instead of {len}");
    let mut buffer = vec![0xee; announced];
    match packet.encode(version, &mut buffer) {
        Ok(written) => assert_eq!(written, announced),
        Err(error) => return unwritable(packet, version, error),
    }
    let short = announced - 1;
    assert_eq!(
        packet.encode(version, &mut buffer.clone()[..short]),
        Err(EncodeError::TooSmall { needed: announced })
    );
    let again = match setting.decode(&buffer) {
        Ok(Decoded::Complete { packet, len }) if len == announced => packet,
        other => panic!("{packet:?} was written as {buffer:02x?}: {other:?}"),
    };
    assert_eq!(again, *packet, "written and read again");
    if let (Packet::Connect(first), Packet::Connect(second)) = (packet, &again) {
        assert_eq!(first.to_connect(), second.to_connect());
    }
    let mut twice = vec![0; announced];
    assert_eq!(again.encode(version, &mut twice), Ok(announced));
    assert_eq!(twice, buffer, "written twice");
}

/// What the decoder takes and the encoder refuses: what is judged a layer above.
fn unwritable(packet: &Packet<'_>, version: Version, error: EncodeError) {
    let expected = match packet {
        // Before 5.0 a topic of no characters is mqtt-topic's to refuse.
        Packet::Publish(publish) if !version.is_v5() => {
            publish.topic.is_empty() && error == EncodeError::EmptyTopic
        }
        _ => false,
    };
    assert!(expected, "{packet:?} cannot be written: {error}");
}

/// Goes through everything that is iterated, and gives a count that its bytes bound.
fn walk(packet: &Packet<'_>, most_users: usize) -> usize {
    let count = |properties: &Properties<'_>| {
        let users = properties.user_properties().count();
        let all = properties.iter().count();
        assert!(users <= all.min(most_users), "{users} user properties");
        let mut forwarded = vec![0; properties.forwarded_len()];
        assert_eq!(
            properties.write_forwarded(&mut forwarded),
            Ok(forwarded.len())
        );
        all
    };
    match packet {
        Packet::Connect(view) => {
            let connect = view.to_connect();
            assert_eq!(connect.client_id, view.client_id());
            assert_eq!(connect.user_name, view.user_name());
            assert_eq!(connect.password, view.password());
            assert_eq!(connect.will, view.will());
            let will = connect.will.map_or(0, |will| count(&will.properties));
            will + count(&connect.properties)
        }
        Packet::ConnAck(packet) => count(&packet.properties),
        Packet::Publish(packet) => count(&packet.properties),
        Packet::PubAck(packet) => count(&packet.properties),
        Packet::PubRec(packet) => count(&packet.properties),
        Packet::PubRel(packet) => count(&packet.properties),
        Packet::PubComp(packet) => count(&packet.properties),
        Packet::Subscribe(packet) => packet.filters.iter().count() + count(&packet.properties),
        Packet::SubAck(packet) => {
            assert_eq!(packet.codes.iter().count(), packet.codes.len());
            packet.codes.len() + count(&packet.properties)
        }
        Packet::Unsubscribe(packet) => packet.filters.iter().count() + count(&packet.properties),
        Packet::UnsubAck(packet) => packet.codes.iter().count() + count(&packet.properties),
        Packet::PingReq | Packet::PingResp => 0,
        Packet::Disconnect(packet) => count(&packet.properties),
        Packet::Auth(packet) => count(&packet.properties),
    }
}

/// Takes text and keeps nothing.
struct Sink;

impl Write for Sink {
    fn write_str(&mut self, _text: &str) -> fmt::Result {
        Ok(())
    }
}
