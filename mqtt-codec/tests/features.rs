//! What the optional features add.

/// `encode_to` appends what `encode` writes, and nothing when there is no room.
#[cfg(feature = "bytes")]
#[test]
fn a_packet_is_appended_to_a_bufmut() {
    use mqtt_codec::{Connect, EncodeError, PacketId, PubAck, Version};

    let mut appended: Vec<u8> = b"before".to_vec();
    let packet = PubAck::new(PacketId::MIN);
    assert_eq!(packet.encode_to(Version::V5, &mut appended), Ok(4));
    let connect = Connect::new(Version::V5, "id");
    let mut written = [0; 99];
    let len = connect.encode(&mut written).unwrap();
    assert_eq!(connect.encode_to(&mut appended), Ok(len));
    assert_eq!(
        appended,
        [b"before\x40\x02\x00\x01", &written[..len]].concat()
    );

    let mut room = &mut [0; 3][..];
    assert_eq!(
        packet.encode_to(Version::V5, &mut room),
        Err(EncodeError::TooSmall { needed: 4 })
    );
    assert_eq!(room.len(), 3);
}

/// Numbers outside their range are refused when they are read.
#[cfg(feature = "serde")]
#[test]
fn values_are_serialised_as_numbers() {
    use mqtt_codec::{PacketId, ReasonCode, SubscriptionId};
    use serde::de::value::{Error, U16Deserializer, U32Deserializer};
    use serde::de::{Deserialize, IntoDeserializer};

    let u16 = |value: u16| -> U16Deserializer<Error> { value.into_deserializer() };
    let u32 = |value: u32| -> U32Deserializer<Error> { value.into_deserializer() };
    assert_eq!(PacketId::deserialize(u16(7)), Ok(PacketId::new(7).unwrap()));
    assert!(PacketId::deserialize(u16(0)).is_err());
    assert_eq!(
        SubscriptionId::deserialize(u32(7)),
        Ok(SubscriptionId::new(7).unwrap())
    );
    assert!(SubscriptionId::deserialize(u32(268_435_456)).is_err());
    assert_eq!(
        ReasonCode::deserialize(u16(0x87)),
        Ok(ReasonCode::NOT_AUTHORIZED)
    );
}
