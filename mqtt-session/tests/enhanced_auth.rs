//! Enhanced authentication and re-authentication (5.0).

use mqtt_codec::{Auth, Connect, Properties, Property, QoS, ReasonCode, Version};
use mqtt_session::{HandshakeText, Misuse};
use mqtt_testkit::owners::{Heaped, Message, TestOwner};
use mqtt_testkit::packets::{connack, disconnect, filter, publish};
use mqtt_testkit::script::{ClientScript, ServerScript};

const METHOD: [Property<'static>; 1] = [Property::AuthenticationMethod("m")];
const OTHER: [Property<'static>; 1] = [Property::AuthenticationMethod("other")];
const TEXT: HandshakeText<'static> = HandshakeText {
    assigned_client_id: None,
    response_information: None,
    authentication_method: Some("m"),
    authentication_data: Some(b"d"),
    server_reference: None,
    reason_string: None,
};

fn auth<'a>(reason: ReasonCode, list: &'a [Property<'a>]) -> Auth<'a> {
    Auth {
        reason,
        properties: Properties::List(list),
    }
}

fn connect() -> Connect<'static> {
    Connect {
        properties: Properties::List(&METHOD),
        ..Connect::new(Version::V5, "c")
    }
}

fn server() -> ServerScript<Heaped> {
    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    server.answers = false;
    server.owner.text.method = Some("m".into());
    server.send(&connect());
    server.happened();
    server
}

fn challenge(server: &mut ServerScript<Heaped>) -> Vec<u8> {
    let mut tx = vec![];
    let limits = server.owner.limits.clone();
    server
        .session
        .challenge(&mut tx, server.now, &limits, TEXT)
        .expect("it was asked");
    tx
}

/// AUTH 0x18 asks for more [MQTT-4.12.0-2] and is answered; AUTH and CONNACK repeat the method [MQTT-4.12.0-5].
#[test]
fn an_exchange_ends_in_connack() {
    let mut server = server();
    for _ in 0..2 {
        assert_eq!(
            challenge(&mut server),
            b"\xF0\x0A\x18\x08\x15\0\x01m\x16\0\x01d"
        );
        assert!(server.session.wants_input());
        server.send(&auth(ReasonCode::CONTINUE_AUTHENTICATION, &METHOD));
        assert_eq!(server.happened(), ["auth 0x18"]);
    }
    server.accept();
    assert!(server.sent()[0].contains("AuthenticationMethod(\"m\")"));
    assert!(server.session.is_connected());
}

/// A failed exchange is told in CONNACK, then the connection closes [MQTT-4.12.0-4].
#[test]
fn a_failed_exchange_closes() {
    let mut server = server();
    challenge(&mut server);
    server.send(&auth(ReasonCode::CONTINUE_AUTHENTICATION, &METHOD));
    server.session.refuse(ReasonCode::NOT_AUTHORIZED).unwrap();
    assert_eq!(server.sent(), ["CONNACK 0x87", "close"]);
}

/// Nothing but AUTH comes between CONNECT and CONNACK [MQTT-3.1.2-30].
#[test]
fn nothing_but_auth_comes_before_connack() {
    let mut server = server();
    challenge(&mut server);
    server.send(&publish("early"));
    assert_eq!(server.happened(), ["violation Rule(UnexpectedPacket)"]);
    assert_eq!(server.sent(), ["CONNACK 0x82", "close"]);

    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.owner.text.method = Some("m".into());
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        client.owner.publish(&Message::new("t", qos, b"early"));
    }
    client.connect(&connect());
    client.send(&auth(ReasonCode::CONTINUE_AUTHENTICATION, &METHOD));
    client.after(9_000);
    assert!(client.sent().is_empty());
    let filters = [filter("a", QoS::AtMostOnce)];
    let refused = client
        .session
        .subscribe(&filters, Properties::EMPTY, &mut vec![], client.now);
    assert_eq!(refused, Err(Misuse::NotNow));
}

/// The method must stay that of CONNECT [MQTT-4.12.1-1], and AUTH needs one: a client that sends it without is cut off
/// [MQTT-4.12.0-7], and a server has none to send [MQTT-4.12.0-6].
#[test]
fn the_method_stays() {
    let mut server = server();
    challenge(&mut server);
    server.send(&auth(ReasonCode::CONTINUE_AUTHENTICATION, &OTHER));
    assert_eq!(server.happened(), ["violation Rule(AuthMethodChanged)"]);
    let mut server = ServerScript::<Heaped>::connected(Version::V5);
    server.send(&auth(ReasonCode::RE_AUTHENTICATE, &METHOD));
    assert_eq!(server.happened(), ["violation Rule(AuthUnexpected)"]);
    assert_eq!(server.sent(), ["DISCONNECT 0x82", "close"]);

    let mut server = ServerScript::<Heaped>::opened(Version::V5);
    server.answers = false;
    server.send(&Connect::new(Version::V5, "c"));
    let limits = server.owner.limits.clone();
    let mut tx = vec![];
    let refused = server.session.challenge(&mut tx, server.now, &limits, TEXT);
    assert_eq!(refused, Err(Misuse::NotNow));
    server.accept();
    server.sent();
    let refused = server.session.challenge(&mut tx, server.now, &limits, TEXT);
    assert_eq!(refused, Err(Misuse::NotNow));
    let refused = server.session.reauthenticated(&mut tx, TEXT);
    assert_eq!(refused, Err(Misuse::NotNow));
    assert!(tx.is_empty());
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.owner.text.method = Some("m".into());
    client.connect(&Connect::new(Version::V5, "c"));
    client.send(&auth(ReasonCode::CONTINUE_AUTHENTICATION, &METHOD));
    assert_eq!(client.happened(), ["violation Rule(AuthUnexpected)"]);
}

/// Re-authentication is a question while the connection is up; its failure closes [MQTT-4.12.1-2]. A CONTINUE without it is refused, and
/// another method than that of CONNECT [MQTT-4.12.1-1].
#[test]
fn a_client_authenticates_again() {
    let connected = || {
        let mut server = server();
        server.accept();
        server.sent();
        server
    };
    let mut server = connected();
    server.send(&auth(ReasonCode::RE_AUTHENTICATE, &METHOD));
    assert_eq!(server.happened(), ["auth 0x19"]);
    assert!(!server.session.wants_input());
    let mut tx = vec![];
    server.session.reauthenticated(&mut tx, TEXT).unwrap();
    assert_eq!(tx[..3], [0xF0, 10, 0]);
    assert!(server.session.wants_input());

    let mut server = connected();
    server.send(&auth(ReasonCode::RE_AUTHENTICATE, &METHOD));
    server.session.refuse(ReasonCode::NOT_AUTHORIZED).unwrap();
    assert_eq!(server.sent(), ["DISCONNECT 0x87", "close"]);

    let mut server = connected();
    server.send(&auth(ReasonCode::CONTINUE_AUTHENTICATION, &METHOD));
    assert_eq!(server.happened(), ["violation Rule(AuthUnexpected)"]);

    let mut server = connected();
    server.send(&auth(ReasonCode::RE_AUTHENTICATE, &OTHER));
    assert_eq!(server.happened(), ["violation Rule(AuthMethodChanged)"]);
    assert_eq!(server.sent(), ["DISCONNECT 0x82", "close"]);
}

/// The client's side: it goes on with AUTH 0x18 [MQTT-4.12.0-3], and its other steps fit the exchange or are its own misuse
/// [MQTT-4.12.0-7].
#[test]
fn a_clients_steps_fit_the_exchange() {
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.owner.text.method = Some("m".into());
    client.connect(&connect());
    let step = |client: &mut ClientScript<Heaped>, reason| {
        let properties = Properties::List(&METHOD);
        let mut tx = vec![];
        let result =
            client
                .session
                .authenticate(reason, properties, &mut tx, client.now, &client.owner);
        let written: &[u8] = if result.is_ok() {
            &[0xF0, 6, reason.0, 4, 0x15, 0, 1, b'm']
        } else {
            &[]
        };
        assert_eq!(tx, written);
        result
    };
    assert_eq!(
        step(&mut client, ReasonCode::RE_AUTHENTICATE),
        Err(Misuse::NotNow)
    );
    client.send(&auth(ReasonCode::CONTINUE_AUTHENTICATION, &METHOD));
    assert_eq!(
        step(&mut client, ReasonCode::CONTINUE_AUTHENTICATION),
        Ok(())
    );
    client.send(&connack(false));
    assert_eq!(client.happened(), ["auth 0x18", "connected"]);
    assert_eq!(
        step(&mut client, ReasonCode::CONTINUE_AUTHENTICATION),
        Err(Misuse::NotNow)
    );
    assert_eq!(step(&mut client, ReasonCode::RE_AUTHENTICATE), Ok(()));
    client.send(&auth(ReasonCode::SUCCESS, &METHOD));
    assert_eq!(client.happened(), ["auth 0x00"]);
    client.send(&auth(ReasonCode::CONTINUE_AUTHENTICATION, &METHOD));
    assert_eq!(client.happened(), ["violation Rule(AuthUnexpected)"]);
    let mut plain = ClientScript::<Heaped>::connected(Version::V5);
    assert_eq!(
        step(&mut plain, ReasonCode::RE_AUTHENTICATE),
        Err(Misuse::NotNow)
    );
}

/// A client keeps the method of its CONNECT [MQTT-4.12.1-1]: with another one, or none, it could start a re-authentication, since nobody
/// looked at what its caller passed.
#[test]
fn a_client_keeps_its_method() {
    let mut client = ClientScript::<Heaped>::offline(Version::V5);
    client.owner.text.method = Some("m".into());
    client.connect(&connect());
    client.send(&connack(false));
    for list in [&OTHER[..], &[]] {
        let mut tx = vec![];
        let refused = client.session.authenticate(
            ReasonCode::RE_AUTHENTICATE,
            Properties::List(list),
            &mut tx,
            client.now,
            &client.owner,
        );
        assert_eq!((refused, tx.len()), (Err(Misuse::NotSupported), 0));
    }
}

/// A client may give up in the middle of the exchange: DISCONNECT is an event, not a violation.
#[test]
fn a_client_may_leave_before_connack() {
    let mut server = server();
    challenge(&mut server);
    server.send(&disconnect(ReasonCode::NORMAL_DISCONNECTION));
    assert_eq!(server.happened(), ["disconnect 0x00"]);
    assert_eq!(server.sent(), ["close"]);
}

/// A re-authentication begins once the connection is up, and none begins within another.
#[test]
fn a_re_authentication_begins_in_peace() {
    let mut early = server();
    challenge(&mut early);
    early.send(&auth(ReasonCode::RE_AUTHENTICATE, &METHOD));
    assert_eq!(early.happened(), ["violation Rule(AuthUnexpected)"]);

    let mut server = server();
    server.accept();
    server.sent();
    assert_eq!(
        server.session.refuse(ReasonCode::NOT_AUTHORIZED),
        Err(Misuse::NotNow),
        "nothing was asked"
    );
    server.send(&auth(ReasonCode::RE_AUTHENTICATE, &METHOD));
    challenge(&mut server);
    server.send(&auth(ReasonCode::RE_AUTHENTICATE, &METHOD));
    assert_eq!(
        server.happened(),
        ["auth 0x19", "violation Rule(AuthUnexpected)"]
    );
}

/// A client goes on with a re-authentication as long as the server asks, and takes no end of one that it did not begin.
#[test]
fn a_clients_re_authentication_may_take_several_steps() {
    let connected = || {
        let mut client = ClientScript::<Heaped>::offline(Version::V5);
        client.owner.text.method = Some("m".into());
        client.connect(&connect());
        client.send(&connack(false));
        client.happened();
        client
    };
    let mut client = connected();
    for reason in [
        ReasonCode::RE_AUTHENTICATE,
        ReasonCode::CONTINUE_AUTHENTICATION,
        ReasonCode::CONTINUE_AUTHENTICATION,
    ] {
        let (properties, mut tx) = (Properties::List(&METHOD), vec![]);
        client
            .session
            .authenticate(reason, properties, &mut tx, client.now, &client.owner)
            .unwrap();
        client.send(&auth(ReasonCode::CONTINUE_AUTHENTICATION, &METHOD));
        assert_eq!(client.happened(), ["auth 0x18"]);
    }
    client.send(&auth(ReasonCode::SUCCESS, &METHOD));
    assert_eq!(client.happened(), ["auth 0x00"]);

    let mut client = connected();
    client.send(&auth(ReasonCode::SUCCESS, &METHOD));
    assert_eq!(client.happened(), ["violation Rule(AuthUnexpected)"]);
}
