//! The client's end: CONNECT, SUBSCRIBE, UNSUBSCRIBE, AUTH and PINGREQ.

use mqtt_codec::{
    AnyVersion, Connect, DecodeError, Decoded, Decoder, Disconnect, Packet, Properties, Property,
    QoS, ReasonCode, ReceiveMaximum, Version, Will,
};
use mqtt_session::{Client, ClientEvent, Misuse, Violation};

use super::drive::{Drive, Happened, Question, Side};
use crate::fuzz::input::Input;
use crate::owners::{Kind, TestOwner};
use crate::packets::filter;

impl Side for Client {
    const CLIENT: bool = true;

    fn open<K: Kind>(drive: &mut Drive<Self, K>, input: &mut Input<'_>) {
        let choice = input.byte();
        let limits = drive.owner.limits_mut().clone();
        let most = ReceiveMaximum::new(limits.receive_maximum.min(K::ROOM));
        let list = [
            Property::ReceiveMaximum(most.expect("at least 1")),
            Property::TopicAliasMaximum(limits.topic_alias_maximum),
            Property::SessionExpiryInterval([0, 60, u32::MAX, 1][usize::from(choice >> 2 & 3)]),
            Property::AuthenticationMethod("x"),
        ];
        let properties = match (drive.version, choice >= 0xc0) {
            (Version::V5, true) => Properties::List(&list),
            (Version::V5, false) => Properties::List(&list[..3]),
            (Version::V31 | Version::V311, _) => Properties::EMPTY,
        };
        let connect = Connect {
            clean_start: choice & 1 == 1,
            keep_alive: [10, 0, 1, 60][usize::from(choice >> 4 & 3)],
            will: (choice & 2 != 0).then_some(Will {
                topic: "w",
                payload: b"gone",
                qos: QoS::AtMostOnce,
                retain: false,
                properties: Properties::EMPTY,
            }),
            properties,
            ..Connect::new(drive.version, "c")
        };
        let mut tx = Vec::new();
        let connected = drive
            .session
            .connect(&connect, &mut tx, drive.now, &mut drive.owner);
        assert_eq!(connected, Ok(()), "{connect:?}");
        if connect.clean_start {
            drive.ledger.forget();
        }
        drive.wrote(&tx, None);
        let again = drive
            .session
            .connect(&connect, &mut tx, drive.now, &mut drive.owner);
        assert_eq!(again, Err(Misuse::NotNow));
    }

    fn decode<'a>(
        decoder: &Decoder<impl AnyVersion>,
        bytes: &'a [u8],
    ) -> Result<Decoded<Packet<'a>>, DecodeError> {
        Ok(decoder.from_server(bytes)?.map(Packet::from))
    }

    fn decode_own<'a>(
        decoder: &Decoder<impl AnyVersion>,
        bytes: &'a [u8],
    ) -> Result<Decoded<Packet<'a>>, DecodeError> {
        Ok(decoder.from_client(bytes)?.map(Packet::from))
    }

    fn handle<K: Kind>(
        drive: &mut Drive<Self, K>,
        bytes: &[u8],
        part: bool,
    ) -> Result<Happened, Violation> {
        let limits = drive.owner.limits_mut().clone();
        let decoder = drive.session.decoder(&limits);
        let event = if part {
            let Ok(Decoded::Complete { packet, .. }) = decoder.publish_head(bytes) else {
                panic!("the head of a packet that is whole")
            };
            drive
                .session
                .handle_part(&packet, drive.now, &mut drive.owner)?
        } else {
            let Ok(Decoded::Complete { packet, .. }) = decoder.from_server(bytes) else {
                panic!("a packet that was whole")
            };
            drive.session.handle(&packet, drive.now, &mut drive.owner)?
        };
        Ok(match event {
            ClientEvent::Publication(publication) => {
                Happened::Message(publication.delivery, drive.resolve(&publication))
            }
            ClientEvent::Connected(connack) => {
                if !connack.session_present && drive.version != Version::V31 {
                    drive.ledger.forget();
                }
                Happened::Nothing
            }
            ClientEvent::Nothing
            | ClientEvent::Refused(_)
            | ClientEvent::Auth(_)
            | ClientEvent::Subscribed(..)
            | ClientEvent::Unsubscribed(..)
            | ClientEvent::Disconnect(_) => Happened::Nothing,
        })
    }

    fn command<K: Kind>(drive: &mut Drive<Self, K>, input: &mut Input<'_>) {
        let choice = input.byte();
        let limits = drive.owner.limits_mut().clone();
        let mut tx = Vec::new();
        let (session, now) = (&mut drive.session, drive.now);
        let done = match choice % 8 {
            0..=2 => {
                let filters = [
                    filter("a", QoS::AtMostOnce),
                    filter("$share/g/#", QoS::AtLeastOnce),
                ];
                let count = 1 + usize::from(choice >> 7);
                session
                    .subscribe(&filters[..count], Properties::EMPTY, &mut tx, now)
                    .map(drop)
            }
            3 | 4 => session
                .unsubscribe(&["a", "b"], Properties::EMPTY, &mut tx, now)
                .map(drop),
            5 => {
                session.ping(now, &limits);
                Ok(())
            }
            6 => {
                let reason = if choice & 8 == 0 {
                    ReasonCode::RE_AUTHENTICATE
                } else {
                    ReasonCode::CONTINUE_AUTHENTICATION
                };
                let method = [Property::AuthenticationMethod("x")];
                let properties = Properties::List(&method);
                session.authenticate(reason, properties, &mut tx, now, &drive.owner)
            }
            _ => {
                let expiry = [Property::SessionExpiryInterval(u32::from(choice >> 3))];
                let packet = Disconnect {
                    reason: ReasonCode::NORMAL_DISCONNECTION,
                    properties: if drive.version.is_v5() {
                        Properties::List(&expiry)
                    } else {
                        Properties::EMPTY
                    },
                };
                session.disconnect_with(&packet, &mut tx)
            }
        };
        assert!(done.is_ok() || tx.is_empty(), "{done:?} and bytes");
        drive.wrote(&tx, None);
    }

    fn answer<K: Kind>(_drive: &mut Drive<Self, K>, question: Question, _input: &mut Input<'_>) {
        panic!("a client is asked nothing: {question:?}");
    }
}
