//! Reason codes, all 256 in every packet that has one, against the tables of the specifications.

use mqtt_codec::*;

const CONNACK: &[u8] = &[
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97,
    0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
];
const PUBACK: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const PUBREL: &[u8] = &[0x00, 0x92];
const SUBACK: &[u8] = &[
    0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2,
];
const UNSUBACK: &[u8] = &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91];
const DISCONNECT_CLIENT: &[u8] = &[
    0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
];
/// 0x00 is in the table as a client's code; from a server it is read, for it says nothing wrong. 0x8C is missing in the table of
/// section 3.14.2.1 and there in the one of section 2.4.
const DISCONNECT_SERVER: &[u8] = &[
    0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95,
    0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
];

/// The property that AUTH has to have.
const METHOD: &[u8] = &[4, 0x15, 0, 1, b'm'];

/// A packet's name, its bytes before and behind the code, and the codes of its table.
type Row = (&'static str, &'static [u8], &'static [u8], &'static [u8]);

/// The codes with which these bytes are read, from a client or from a server.
fn read(version: Version, client: bool, before: &[u8], behind: &[u8]) -> Vec<u8> {
    let decoder = Decoder::new(version);
    let reads = |code: &u8| {
        let bytes = [before, &[*code], behind].concat();
        if client {
            decoder.from_client(&bytes).is_ok()
        } else {
            decoder.from_server(&bytes).is_ok()
        }
    };
    (0..=u8::MAX).filter(reads).collect()
}

/// A code is read in the packets whose table has it, and in no other: CONNACK [MQTT-3.2.2-8], PUBACK [MQTT-3.4.2-1],
/// PUBREC [MQTT-3.5.2-1], PUBREL [MQTT-3.6.2-1], PUBCOMP [MQTT-3.7.2-1], SUBACK [MQTT-3.9.3-2], UNSUBACK
/// [MQTT-3.11.3-2], DISCONNECT [MQTT-3.14.2-1], AUTH [MQTT-3.15.2-1].
#[test]
fn codes_are_read_where_the_tables_have_them() {
    let both: [Row; 4] = [
        ("PUBACK", &[0x40, 3, 0, 1], &[], PUBACK),
        ("PUBREC", &[0x50, 3, 0, 1], &[], PUBACK),
        ("PUBREL", &[0x62, 3, 0, 1], &[], PUBREL),
        ("PUBCOMP", &[0x70, 3, 0, 1], &[], PUBREL),
    ];
    for (name, before, behind, table) in both {
        for client in [true, false] {
            assert_eq!(read(Version::V5, client, before, behind), table, "{name}");
        }
    }
    let server: [Row; 5] = [
        ("CONNACK", &[0x20, 3, 0], &[0], CONNACK),
        ("SUBACK", &[0x90, 4, 0, 1, 0], &[], SUBACK),
        ("UNSUBACK", &[0xb0, 4, 0, 1, 0], &[], UNSUBACK),
        ("DISCONNECT", &[0xe0, 1], &[], DISCONNECT_SERVER),
        ("AUTH", &[0xf0, 6], METHOD, &[0x00, 0x18]),
    ];
    for (name, before, behind, table) in server {
        assert_eq!(read(Version::V5, false, before, behind), table, "{name}");
    }
    let client: [Row; 2] = [
        ("DISCONNECT", &[0xe0, 1], &[], DISCONNECT_CLIENT),
        ("AUTH", &[0xf0, 6], METHOD, &[0x18, 0x19]),
    ];
    for (name, before, behind, table) in client {
        assert_eq!(read(Version::V5, true, before, behind), table, "{name}");
    }
}

/// Older versions have six codes of CONNACK and four of SUBACK [3.1.1:MQTT-3.9.3-2].
#[test]
fn older_versions_have_few_codes() {
    for version in [Version::V31, Version::V311] {
        let connack = read(version, false, &[0x20, 2, 0], &[]);
        assert_eq!(connack, [0, 1, 2, 3, 4, 5]);
        let suback = read(version, false, &[0x90, 3, 0, 1], &[]);
        assert_eq!(suback, [0, 1, 2, 0x80]);
    }
}

/// A code is written in the packets whose table has it, and in no other: CONNACK [MQTT-3.2.2-8], PUBACK [MQTT-3.4.2-1],
/// PUBREC [MQTT-3.5.2-1], PUBREL [MQTT-3.6.2-1], PUBCOMP [MQTT-3.7.2-1], SUBACK [MQTT-3.9.3-2], UNSUBACK
/// [MQTT-3.11.3-2], DISCONNECT [MQTT-3.14.2-1], AUTH [MQTT-3.15.2-1].
#[test]
fn codes_are_written_where_the_tables_have_them() {
    let id = PacketId::MIN;
    let properties = Properties::EMPTY;
    let method = [Property::AuthenticationMethod("m")];
    let check = |table: &[u8], packet: &dyn Fn(ReasonCode) -> Packet<'static>| {
        for code in 0..=u8::MAX {
            let packet = packet(ReasonCode(code));
            let written = packet.encode(Version::V5, &mut [0; 32]);
            assert_eq!(written.is_ok(), table.contains(&code), "{packet:?}");
        }
    };
    check(CONNACK, &|reason| {
        Packet::ConnAck(ConnAck {
            session_present: false,
            reason,
            properties,
        })
    });
    check(PUBACK, &|reason| {
        Packet::PubAck(PubAck {
            reason,
            ..PubAck::new(id)
        })
    });
    check(PUBACK, &|reason| {
        Packet::PubRec(PubRec {
            reason,
            ..PubRec::new(id)
        })
    });
    check(PUBREL, &|reason| {
        Packet::PubRel(PubRel {
            reason,
            ..PubRel::new(id)
        })
    });
    check(PUBREL, &|reason| {
        Packet::PubComp(PubComp {
            reason,
            ..PubComp::new(id)
        })
    });
    let all: Vec<u8> = [DISCONNECT_CLIENT, DISCONNECT_SERVER].concat();
    check(&all, &|reason| Packet::Disconnect(Disconnect::new(reason)));
    for code in 0..=u8::MAX {
        let codes = [0, code];
        let codes = ReasonCodes::new(&codes);
        let suback = Packet::SubAck(SubAck {
            packet_id: id,
            properties,
            codes,
        });
        let unsuback = Packet::UnsubAck(UnsubAck {
            packet_id: id,
            properties,
            codes,
        });
        let auth = Packet::Auth(Auth {
            reason: ReasonCode(code),
            properties: Properties::List(&method),
        });
        for (packet, table) in [
            (suback, SUBACK),
            (unsuback, UNSUBACK),
            (auth, &[0x00, 0x18, 0x19]),
        ] {
            let written = packet.encode(Version::V5, &mut [0; 32]);
            assert_eq!(written.is_ok(), table.contains(&code), "{packet:?}");
        }
    }
}
