//! The server's end: questions and their answers, take-over.

use mqtt_codec::{AnyVersion, DecodeError, Decoded, Decoder, Packet, ReasonCode};
use mqtt_session::{Accept, HandshakeText, Misuse, Server, ServerEvent, Session, Violation};

use super::drive::{Drive, Happened, Question, Side};
use crate::fuzz::input::Input;
use crate::owners::{Kind, Note, TestOwner};

/// What the owner knows for CONNACK and AUTH.
const TEXT: HandshakeText<'_> = HandshakeText {
    assigned_client_id: None,
    response_information: None,
    authentication_method: Some("x"),
    authentication_data: Some(b"data"),
    server_reference: None,
    reason_string: None,
};

impl Side for Server {
    const CLIENT: bool = false;

    fn open<K: Kind>(drive: &mut Drive<Self, K>, _input: &mut Input<'_>) {
        let limits = drive.owner.limits_mut().clone();
        drive.session.open(drive.now, &limits);
    }

    fn decode<'a>(
        decoder: &Decoder<impl AnyVersion>,
        bytes: &'a [u8],
    ) -> Result<Decoded<Packet<'a>>, DecodeError> {
        Ok(decoder.from_client(bytes)?.map(Packet::from))
    }

    fn decode_own<'a>(
        decoder: &Decoder<impl AnyVersion>,
        bytes: &'a [u8],
    ) -> Result<Decoded<Packet<'a>>, DecodeError> {
        Ok(decoder.from_server(bytes)?.map(Packet::from))
    }

    fn handle<K: Kind>(
        drive: &mut Drive<Self, K>,
        bytes: &[u8],
        part: bool,
    ) -> Result<Happened, Violation> {
        let limits = drive.owner.limits_mut().clone();
        let decoder = drive.session.decoder(&limits);
        let event = if part {
            let Ok(Decoded::Complete { packet, .. }) = decoder.publish_head_from_client(bytes)
            else {
                panic!("the head of a packet that is whole")
            };
            drive
                .session
                .handle_part(&packet, drive.now, &mut drive.owner)?
        } else {
            let Ok(Decoded::Complete { packet, .. }) = decoder.from_client(bytes) else {
                panic!("a packet that was whole")
            };
            drive.session.handle(&packet, drive.now, &mut drive.owner)?
        };
        Ok(match event {
            ServerEvent::Nothing | ServerEvent::Disconnect(_) => Happened::Nothing,
            ServerEvent::Connect(connect) => {
                drive.version = connect.version();
                Happened::Connect(connect.clean_start())
            }
            ServerEvent::Auth(_) => Happened::Auth,
            ServerEvent::Publication(publication) => {
                Happened::Message(publication.delivery, drive.resolve(&publication))
            }
            ServerEvent::Subscribe(subscribe) => {
                Happened::Subscribe(subscribe.filters.iter().count())
            }
            ServerEvent::Unsubscribe(unsubscribe) => {
                Happened::Unsubscribe(unsubscribe.filters.iter().count())
            }
        })
    }

    fn command<K: Kind>(drive: &mut Drive<Self, K>, input: &mut Input<'_>) {
        if input.flag() {
            // Another connection takes the session over; this one says goodbye.
            let (state, _) = drive.session.detach(drive.now);
            drive.session.disconnect(ReasonCode::SESSION_TAKEN_OVER);
            drive.ledger.detached();
            drive.question = None;
            drive.poll(usize::MAX);
            drive.cut_detached();
            drive.session = Session::new();
            drive.session.replace_state(state);
            Self::open(drive, input);
            return;
        }
        // Answers that nobody asked for are the caller's mistake and change nothing.
        if drive.question.is_none() {
            let limits = drive.owner.limits_mut().clone();
            let kept = Default::default();
            let accept = Accept {
                session_present: true,
                server_keep_alive: None,
                session_expiry: None,
                kept,
            };
            let mut tx = Vec::new();
            let session = &mut drive.session;
            assert_eq!(session.accept(accept), Err(Misuse::NotNow));
            assert_eq!(
                session.answer_subscribe([ReasonCode(0)], kept),
                Err(Misuse::NotNow)
            );
            assert_eq!(
                session.answer_unsubscribe([ReasonCode(0)], kept),
                Err(Misuse::NotNow)
            );
            assert_eq!(session.reauthenticated(&mut tx, TEXT), Err(Misuse::NotNow));
            let challenged = session.challenge(&mut tx, drive.now, &limits, TEXT);
            assert_eq!(challenged, Err(Misuse::NotNow));
            assert_eq!(
                session.refuse(ReasonCode::NOT_AUTHORIZED),
                Err(Misuse::NotNow)
            );
            assert!(tx.is_empty());
        }
    }

    fn answer<K: Kind>(drive: &mut Drive<Self, K>, question: Question, input: &mut Input<'_>) {
        if !matches!(
            question,
            Question::Subscribe(..) | Question::Unsubscribe(..)
        ) {
            return decide(drive, question, input);
        }
        let kept = drive.owner.keep(Note::Subscribed);
        let position = drive.position();
        let session = &mut drive.session;
        let (id, count, answered) = match question {
            Question::Subscribe(id, count) => {
                let code = input.pick(&[0, 1, 2, 0x80, 0x87]);
                let codes = |count| core::iter::repeat_n(ReasonCode(code), count);
                let wrong = session.answer_subscribe(codes(count + 1), kept);
                assert!(
                    matches!(wrong, Err(Misuse::Count | Misuse::Exhausted)),
                    "{wrong:?}"
                );
                (id, count, session.answer_subscribe(codes(count), kept))
            }
            Question::Unsubscribe(id, count) => {
                let codes = core::iter::repeat_n(ReasonCode(0x11), count);
                (id, count, session.answer_unsubscribe(codes, kept))
            }
            Question::Connect { .. } | Question::Auth => return,
        };
        match answered {
            Ok(()) => drive.ledger.answers.push_back((id, count, position)),
            // The question stays, until there is room.
            Err(Misuse::Exhausted) => drive.question = Some(question),
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// CONNECT and AUTH: accept, refuse or ask for more.
fn decide<K: Kind>(drive: &mut Drive<Server, K>, question: Question, input: &mut Input<'_>) {
    let choice = input.byte();
    let limits = drive.owner.limits_mut().clone();
    if choice >= 0xf0 {
        let mut tx = Vec::new();
        let challenged = drive.session.challenge(&mut tx, drive.now, &limits, TEXT);
        drive.wrote(&tx, None);
        if challenged.is_ok() {
            return;
        }
    }
    if choice >= 0xe8 {
        let reason = [ReasonCode::NOT_AUTHORIZED, ReasonCode::QUOTA_EXCEEDED];
        let refused = drive.session.refuse(reason[usize::from(choice & 1)]);
        assert_eq!(refused, Ok(()));
        drive.ledger.ending();
        return;
    }
    if drive.session.is_connected() {
        let mut tx = Vec::new();
        match drive.session.reauthenticated(&mut tx, TEXT) {
            Ok(()) => drive.wrote(&tx, None),
            Err(Misuse::TooLarge) => drive.question = Some(question),
            Err(other) => panic!("{other:?}"),
        }
        return;
    }
    let clean = matches!(question, Question::Connect { clean: true });
    let present = drive.exists && !clean && choice & 1 == 0;
    if !present {
        drive.forget_session();
    }
    let kept = drive.owner.keep(Note::Created { kept: true });
    drive.exists = true;
    drive.ledger.greeting = Some(drive.position());
    let accept = Accept {
        session_present: present,
        server_keep_alive: (choice & 2 != 0).then_some(5),
        session_expiry: (choice & 4 != 0).then_some(10),
        kept,
    };
    assert_eq!(drive.session.accept(accept), Ok(()));
    if choice & 8 == 0 {
        // CONNACK leaves at once.
        drive.commit(usize::MAX);
        drive.poll(usize::MAX);
    }
}
