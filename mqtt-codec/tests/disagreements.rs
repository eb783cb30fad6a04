//! Where other decoders were right and ours was not: found by comparing them on the same bytes.

use mqtt_codec::*;

fn read(bytes: &[u8]) -> Result<Decoded<Packet<'_>>, DecodeError> {
    Decoder::new(Version::V5).any(bytes)
}

/// AUTH of one byte was read as "success" without properties, as a DISCONNECT of one byte is. For AUTH section 3.15.2.1 lets the
/// length of the properties go with the reason code only, so that it is missing here.
#[test]
#[cfg_attr(small, ignore = "offsets and the finer rules are not told there")]
fn auth_of_one_byte_lacks_its_properties() {
    let rule = RuleId::Truncated;
    assert_eq!(read(b"\xf0\x01\0"), Err(DecodeError { rule, at: 3 }));
    let auth = Auth {
        reason: ReasonCode::SUCCESS,
        properties: Properties::EMPTY,
    };
    for (bytes, len) in [(&b"\xf0\0"[..], 2), (b"\xf0\x02\0\0", 4)] {
        let packet = Packet::Auth(auth);
        assert_eq!(read(bytes), Ok(Decoded::Complete { packet, len }));
    }
    let disconnect = Packet::Disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION));
    let expected = Decoded::Complete {
        packet: disconnect,
        len: 3,
    };
    assert_eq!(read(b"\xe0\x01\0"), Ok(expected));
}

/// A CONNACK with authentication data and without a method was refused, and its reason code with it. That is a protocol error in
/// CONNECT (section 3.1.2.11.10) and impossible in AUTH; a CONNACK has to repeat the method only if it accepts [MQTT-4.12.0-5].
#[test]
fn a_connack_may_carry_data_without_naming_the_method() {
    let properties = [Property::AuthenticationData(b"why")];
    let connack = ConnAck {
        session_present: false,
        reason: ReasonCode::NOT_AUTHORIZED,
        properties: (&properties).into(),
    };
    let mut buffer = [0; 20];
    let len = connack.encode(Version::V5, &mut buffer).expect("allowed");
    assert_eq!(buffer[..len], *b"\x20\x09\0\x87\x06\x16\0\x03why");
    let packet = Packet::ConnAck(connack);
    assert_eq!(read(&buffer[..len]), Ok(Decoded::Complete { packet, len }));
    let auth = Auth {
        reason: ReasonCode::CONTINUE_AUTHENTICATION,
        properties: (&properties).into(),
    };
    let refused = auth.encode(Version::V5, &mut buffer);
    assert_eq!(refused, Err(EncodeError::InvalidProperty));
}
