//! Questions: who may connect, subscribe, publish; answers that come late or never.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use mqtt_codec::{
    Auth, Connect, Packet, Properties, Property, QoS, ReasonCode, SubscriptionOptions, Version,
    Will,
};

use super::client::Seen;
use super::net::{Net, Setup};
use crate::core::{ConnectRequest, Decision, Identity, Peer, Policy, Question};

/// What the tests' policy decides about CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Ask,
    Refuse(ReasonCode),
    Exchange,
    Challenge,
}

#[derive(Clone, Debug)]
struct Strict {
    mode: Mode,
    log: Arc<Mutex<Vec<String>>>,
}

impl Policy for Strict {
    fn connect(&self, request: &ConnectRequest) -> Decision {
        let data = request.authentication_data.as_deref();
        match (self.mode, data) {
            (Mode::Ask, _) => Decision::Ask,
            (Mode::Refuse(reason), _) => Decision::Refuse(reason),
            (Mode::Challenge, _) => Decision::Challenge((*b"again").into()),
            (Mode::Exchange, Some(b"first")) => Decision::Challenge((*b"second").into()),
            (Mode::Exchange, Some(b"third")) => Decision::AcceptWith((*b"fourth").into()),
            (Mode::Exchange, Some(_)) => Decision::Refuse(ReasonCode::NOT_AUTHORIZED),
            (Mode::Exchange, None) => Decision::Accept,
        }
    }

    fn subscribe(&self, _: Identity<'_>, filter: &str, _: QoS) -> Decision {
        match filter {
            "refused" => Decision::Refuse(ReasonCode::NOT_AUTHORIZED),
            "odd" => Decision::Refuse(ReasonCode::SUCCESS),
            "asked" => Decision::Ask,
            _ => Decision::Accept,
        }
    }

    fn publish(&self, _: Identity<'_>, topic: &str, _: QoS, _: bool) -> bool {
        topic != "refused"
    }

    fn connected(&self, client: Identity<'_>, _: &Peer) {
        self.log
            .lock()
            .unwrap()
            .push(format!("+{}", client.client_id));
    }

    fn disconnected(&self, client: Identity<'_>) {
        self.log
            .lock()
            .unwrap()
            .push(format!("-{}", client.client_id));
    }

    fn wants_messages(&self) -> bool {
        true
    }

    fn message(&self, client: Option<Identity<'_>>, topic: &str, _: &[u8], _: QoS, _: bool) {
        let who = client.map_or("broker", |client| client.client_id);
        self.log.lock().unwrap().push(format!("{who}:{topic}"));
    }
}

fn net(mode: Mode) -> (Net, Arc<Mutex<Vec<String>>>) {
    let policy = Strict {
        mode,
        log: Arc::default(),
    };
    let log = Arc::clone(&policy.log);
    (Net::with(Setup::default(), policy), log)
}

fn authenticating<'a>(list: &'a [Property<'a>]) -> Connect<'a> {
    Connect {
        properties: Properties::List(list),
        ..Connect::new(Version::V5, "c")
    }
}

const FIRST: [Property<'static>; 2] = [
    Property::AuthenticationMethod("M"),
    Property::AuthenticationData(b"first"),
];

fn auth(net: &mut Net, client: usize, reason: ReasonCode, data: &[u8]) {
    let properties = [
        Property::AuthenticationMethod("M"),
        Property::AuthenticationData(data),
    ];
    net.packet(
        client,
        &Packet::Auth(Auth {
            reason,
            properties: Properties::List(&properties),
        }),
    );
}

/// An exchange with a challenge, then a second one while connected; the last data reaches the client in CONNACK and in AUTH 0x00, which
/// no decision could bring [MQTT-4.12.0-2], [MQTT-4.12.0-5], [MQTT-4.12.1-1].
#[test]
fn an_exchange_and_a_second_one() {
    let (mut net, _) = net(Mode::Exchange);
    let client = net.connect_with(&authenticating(&FIRST));
    let again = Seen::Auth(ReasonCode::CONTINUE_AUTHENTICATION, b"second".to_vec());
    assert_eq!(net.seen(client), core::slice::from_ref(&again));
    auth(
        &mut net,
        client,
        ReasonCode::CONTINUE_AUTHENTICATION,
        b"third",
    );
    let connected = net.connack(client);
    assert_eq!(
        connected.authentication,
        Some(("M".to_owned(), b"fourth".to_vec()))
    );
    auth(&mut net, client, ReasonCode::RE_AUTHENTICATE, b"first");
    net.ping(client);
    assert_eq!(net.seen(client), [again, Seen::PingResp]);
    auth(
        &mut net,
        client,
        ReasonCode::CONTINUE_AUTHENTICATION,
        b"third",
    );
    assert_eq!(
        net.seen(client),
        [Seen::Auth(ReasonCode::SUCCESS, b"fourth".to_vec())]
    );
    // A failure ends the connection [MQTT-4.12.1-2].
    auth(&mut net, client, ReasonCode::RE_AUTHENTICATE, b"wrong");
    assert_eq!(
        net.seen(client),
        [Seen::Disconnect(ReasonCode::NOT_AUTHORIZED), Seen::Closed]
    );
}

/// A method that nobody knows is refused with 0x8C, and the connection closed [MQTT-4.12.0-1].
#[test]
fn an_unknown_method_is_refused() {
    let mut net = Net::new(1);
    let client = net.connect_with(&authenticating(&FIRST));
    let refused = net.connack(client);
    assert_eq!(refused.reason, ReasonCode::BAD_AUTHENTICATION_METHOD);
    assert!(!net.is_open(client));
    assert_eq!(net.gauges(), [0; 7]);
}

/// A challenge that fails, one that is never answered, and one to a client that named no method, which was left without an answer for
/// ever [MQTT-4.12.0-4], [MQTT-4.12.0-6].
#[test]
fn an_exchange_that_fails() {
    let (mut strict, _) = net(Mode::Exchange);
    let client = strict.connect_with(&authenticating(&FIRST));
    auth(
        &mut strict,
        client,
        ReasonCode::CONTINUE_AUTHENTICATION,
        b"wrong",
    );
    strict.seen(client).remove(0);
    assert!(!strict.is_open(client));
    let silent = strict.connect_with(&authenticating(&FIRST));
    strict.advance(10_000);
    assert!(!strict.is_open(silent));
    assert_eq!(strict.gauges(), [0; 7]);

    let (mut strict, _) = net(Mode::Challenge);
    for version in [Version::V311, Version::V5] {
        let client = strict.connect_with(&Connect::new(version, "c"));
        assert!(!strict.is_open(client), "{version:?}");
    }
    assert_eq!(strict.shared.counters().refused_connections.get(), 2);
}

/// A refusal is told in CONNACK and closes; one that says "success" is none the less a refusal [MQTT-3.2.2-7], [3.1.1:MQTT-3.2.2-5].
#[test]
fn a_refusal_is_told_and_closes() {
    for reason in [ReasonCode::BAD_USER_NAME_OR_PASSWORD, ReasonCode::SUCCESS] {
        let (mut net, log) = net(Mode::Refuse(reason));
        for version in [Version::V31, Version::V311, Version::V5] {
            let client = net.connect_with(&Connect::new(version, "c"));
            let told = net.connack(client).reason;
            assert!(told.is_error(), "{version:?}: {told:?}");
            assert!(!net.is_open(client));
        }
        assert!(log.lock().unwrap().is_empty());
        assert_eq!(net.gauges(), [0; 7]);
    }
}

/// A question that nobody answers keeps its connection as long as a handshake may take, and no longer.
#[test]
fn an_answer_that_never_comes_closes() {
    let (mut net, _) = net(Mode::Ask);
    let client = net.connect("c");
    net.advance(10_000);
    assert!(!net.is_open(client));
    assert_eq!(net.gauges(), [0; 7]);
}

/// The client waits for a late answer; a second answer to the same question, and one for a client that has gone, change nothing. A
/// second one threw the client out.
#[test]
fn an_answer_counts_once() {
    let (mut net, log) = net(Mode::Ask);
    let client = net.connect("c");
    let gone = net.connect("gone");
    net.ping(client);
    net.cut(gone);
    // As long as a handshake may take.
    net.advance(9_000);
    assert_eq!(net.seen(client), []);
    let questions = core::mem::take(&mut net.questions);
    assert_eq!(questions.len(), 2);
    let now = net.now;
    for _ in 0..3 {
        for (worker, id, question) in &questions {
            assert!(matches!(question, Question::Connect(_)));
            net.cores[*worker].answer_connect(*id, Decision::Accept, now);
        }
    }
    net.run();
    for (worker, id, _) in &questions {
        net.cores[*worker].answer_connect(*id, Decision::Refuse(ReasonCode::BANNED), now);
    }
    net.run();
    let seen = net.seen(client);
    assert!(
        matches!(&seen[..], [Seen::ConnAck(_), Seen::PingResp]),
        "{seen:?}"
    );
    assert_eq!(*log.lock().unwrap(), ["+c"]);
    // Whoever is asked has to know.
    let third = net.connect("third");
    let (worker, id, _) = net.questions.pop().unwrap();
    net.cores[worker].answer_connect(id, Decision::Ask, now);
    net.run();
    assert_eq!(net.connack(third).reason, ReasonCode::SERVER_UNAVAILABLE);
}

/// The broker was told to stop while somebody thought about a CONNECT: the answer that came in the same round made a session for a
/// connection that was closing, and reported a client that was never told so.
#[test]
fn an_answer_to_a_connection_that_is_closing_does_nothing() {
    let (mut net, log) = net(Mode::Ask);
    let client = net.connect("c");
    let (worker, id, _) = net.questions.pop().unwrap();
    let now = net.now;
    net.cores[worker].shutdown(now);
    net.cores[worker].answer_connect(id, Decision::Accept, now);
    net.run();
    assert_eq!(net.seen(client), [Seen::Closed]);
    assert_eq!(net.shared.counters().sessions.get(), 0);
    assert_eq!(*log.lock().unwrap(), [""; 0]);
}

/// SUBACK has a code for each filter in their order, also when one of them has to be asked about; nothing is read meanwhile, and an
/// answer for a connection that was taken over does nothing [MQTT-3.8.4-6], [MQTT-3.9.3-1].
#[test]
fn subscriptions_are_judged_one_by_one() {
    let (mut net, _) = net(Mode::Exchange);
    let client = net.connect("c");
    let options = SubscriptionOptions::new(QoS::AtLeastOnce);
    let (granted, refused) = (ReasonCode::GRANTED_QOS_1, ReasonCode::NOT_AUTHORIZED);
    let codes = net.subscribe_with(client, &["a", "refused", "odd", "b"], options, None);
    assert_eq!(codes, [granted, refused, refused, granted]);
    assert_eq!(net.shared.counters().subscriptions.get(), 2);
    net.seen(client);
    assert_eq!(
        net.subscribe_with(client, &["x", "asked", "y"], options, None),
        []
    );
    net.ping(client);
    assert_eq!(net.seen(client), []);
    let (worker, id, question) = net.questions.pop().unwrap();
    match question {
        Question::Subscribe { filters, .. } => assert_eq!(filters.len(), 3),
        Question::Connect(_) => unreachable!(),
    }
    let now = net.now;
    let verdicts = [
        Decision::Accept,
        Decision::Refuse(ReasonCode::QUOTA_EXCEEDED),
    ];
    for _ in 0..2 {
        net.cores[worker].answer_subscribe(id, &verdicts, now);
    }
    net.run();
    let codes = vec![granted, ReasonCode::QUOTA_EXCEEDED, refused];
    assert_eq!(net.seen(client), [Seen::SubAck(2, codes), Seen::PingResp]);
    assert_eq!(net.shared.counters().subscriptions.get(), 3);

    net.subscribe_with(client, &["asked"], options, None);
    let (worker, id, _) = net.questions.pop().unwrap();
    let second = net.connect("c");
    net.cores[worker].answer_subscribe(id, &[Decision::Accept], now);
    net.run();
    assert_eq!(net.shared.counters().subscriptions.get(), 0);
    assert_eq!(net.seen(second).len(), 1);
}

/// A second answer to a question that is over is no answer to the next one of the same client: that would let in what nobody judged.
#[test]
fn an_answer_to_an_earlier_question_does_not_count() {
    let (mut net, _) = net(Mode::Exchange);
    let client = net.connect("c");
    net.seen(client);
    let options = SubscriptionOptions::new(QoS::AtLeastOnce);
    let now = net.now;
    net.subscribe_with(client, &["asked"], options, None);
    let (worker, first, _) = net.questions.pop().unwrap();
    net.cores[worker].answer_subscribe(first, &[Decision::Accept], now);
    net.run();
    let granted = Seen::SubAck(1, vec![ReasonCode::GRANTED_QOS_1]);
    assert_eq!(net.seen(client), [granted]);
    net.subscribe_with(client, &["asked"], options, None);
    let (_, second, _) = net.questions.pop().unwrap();
    net.cores[worker].answer_subscribe(first, &[Decision::Accept], now);
    net.run();
    assert_eq!(net.seen(client), []);
    let refused = ReasonCode::NOT_AUTHORIZED;
    net.cores[worker].answer_subscribe(second, &[Decision::Refuse(refused)], now);
    net.run();
    assert_eq!(net.seen(client), [Seen::SubAck(2, vec![refused])]);
}

/// A client of 5.0 is told that it may not publish, before 5.0 the message is acknowledged and dropped; nobody gets it, and it is not
/// retained [3.1.1:MQTT-3.3.5-2], [MQTT-4.3.3-9].
#[test]
fn a_publication_that_is_not_allowed() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let (mut net, _) = net(Mode::Exchange);
        let sub = net.connect("sub");
        net.subscribe(sub, "#", QoS::ExactlyOnce);
        net.seen(sub);
        let publisher = net.connect_with(&Connect::new(version, "pub"));
        net.seen(publisher);
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            net.retain(publisher, "refused", "x", qos);
        }
        let expected = if version == Version::V5 {
            vec![
                Seen::PubAck(1, ReasonCode::NOT_AUTHORIZED),
                Seen::PubRec(2, ReasonCode::NOT_AUTHORIZED),
            ]
        } else {
            vec![
                Seen::PubAck(1, ReasonCode::SUCCESS),
                Seen::PubRec(2, ReasonCode::SUCCESS),
                Seen::PubComp(2, ReasonCode::SUCCESS),
            ]
        };
        assert_eq!(net.seen(publisher), expected, "{version:?}");
        assert_eq!(net.seen(sub), []);
        assert_eq!(net.shared.counters().retained.get(), 0);
    }
}

/// Everything that happens is told once, in order: a will is a message of its client, what comes from the process is nobody's.
#[test]
fn life_cycle_and_messages_are_told() {
    use crate::core::Message;
    let (mut net, log) = net(Mode::Exchange);
    let client = net.connect_with(&Connect {
        will: Some(Will {
            topic: "will",
            payload: b"",
            qos: QoS::AtMostOnce,
            retain: false,
            properties: Properties::EMPTY,
        }),
        ..Connect::new(Version::V5, "c")
    });
    net.publish(client, "t", "x", QoS::AtLeastOnce);
    net.publish(client, "refused", "x", QoS::AtLeastOnce);
    net.connect("c");
    let message = Message::new("in", &[], b"", QoS::AtMostOnce, false);
    let now = net.now;
    net.cores[0].publish(&message.into(), now).unwrap();
    net.run();
    assert_eq!(
        *log.lock().unwrap(),
        ["+c", "c:t", "-c", "c:will", "+c", "broker:in"]
    );
}

/// The password is for the policy alone.
#[test]
fn the_password_shows_nowhere() {
    struct Looking(AtomicBool);
    impl Policy for Looking {
        fn connect(&self, request: &ConnectRequest) -> Decision {
            let text = format!("{request:?}");
            assert_eq!(request.password.as_deref(), Some(&b"s3cret"[..]));
            assert!(text.contains("user") && !text.contains("s3cret") && !text.contains("115, 51"));
            self.0.store(true, Ordering::Relaxed);
            Decision::Accept
        }
    }
    let mut net = Net::with(Setup::default(), Looking(false.into()));
    net.connect_with(&Connect {
        user_name: Some("user"),
        password: Some(b"s3cret"),
        ..Connect::new(Version::V5, "c")
    });
    let text = format!("{:?}", net.cores[0].conns.get(0, 0).unwrap());
    assert!(!text.contains("s3cret") && !text.contains("115, 51"));
}
