//! A broker inside a program: its handle, its hooks, its end.

#[path = "../examples/embed.rs"]
#[expect(dead_code, reason = "its `main` is for those who run it")]
mod example;
mod support;

use core::net::SocketAddr;
use core::time::Duration;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use futures::executor::block_on;
use futures::{FutureExt, StreamExt};
use mqtt_broker::{
    Broker, BrokerError, BrokerHandle, ConnectAnswer, ConnectRequest, Decision, Hooks, Identity,
    LocalError, Peer, PublishOptions, SubscribeAnswer, SubscribeRequest,
};
use mqtt_codec::{Connect, QoS, ReasonCode, Version};
use support::frame::{VERSIONS, at};
use support::{Client, eventually};

fn start(hooks: impl Hooks, workers: u16) -> BrokerHandle {
    Broker::builder()
        .listen("127.0.0.1:0")
        .hooks(hooks)
        .workers(workers)
        .start_blocking()
        .expect("the broker starts")
}

fn address(broker: &BrokerHandle) -> SocketAddr {
    broker.local_addrs()[0]
}

/// Connects and gives the reason in CONNACK.
fn connect(broker: &BrokerHandle, connect: &Connect<'_>) -> (Client, ReasonCode) {
    let mut client = Client::open_at(address(broker), connect.version);
    client.send(connect);
    let reason = client.receive().conn_ack().reason;
    (client, reason)
}

fn connected(broker: &BrokerHandle, version: Version, client_id: &str) -> Client {
    let (client, reason) = connect(broker, &Connect::new(version, client_id));
    assert_eq!(reason, ReasonCode::SUCCESS);
    client
}

#[derive(Debug)]
struct Everybody;
impl Hooks for Everybody {}

/// A start reads what is stored, and the executor that waits for it serves others meanwhile.
#[test]
fn a_start_holds_no_executor_up() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    // A thread may be as quick as its start is looked at once; not every time.
    let waited = (0..20).any(|_| {
        let mut start = Box::pin(
            Broker::builder()
                .listen("127.0.0.1:0")
                .data_dir(folder.path())
                .start(),
        );
        let at_once = start.as_mut().now_or_never();
        let waited = at_once.is_none();
        let broker = at_once.unwrap_or_else(|| block_on(start));
        broker.expect("the broker starts").shutdown_blocking();
        waited
    });
    assert!(waited);
}

/// The example lets in whom it knows, keeps what they send, and ends by telling them.
#[test]
fn the_example_works() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    let server = thread::spawn(move || block_on(example::serve(socket, 2)).expect("it ends well"));

    let mut stranger = Client::open_at(address, Version::V5);
    stranger.send(&Connect::new(Version::V5, "stranger"));
    let refused = stranger.receive().conn_ack().reason;
    assert_eq!(refused, ReasonCode::BAD_USER_NAME_OR_PASSWORD);

    let mut thermometer = Client::open_at(address, Version::V5);
    let mut hello = Connect::new(Version::V5, "t1");
    hello.user_name = Some("thermometer");
    thermometer.send(&hello);
    assert_eq!(thermometer.receive().conn_ack().reason, ReasonCode::SUCCESS);
    thermometer.subscribe(&[("site/+/latest", at(QoS::AtLeastOnce))]);
    thermometer.publish("site/7/temperature", "21.5", QoS::AtLeastOnce);
    assert_eq!(thermometer.take_text(), "site/7/latest|0|0|21.5");
    thermometer.publish("site/7/temperature", "22", QoS::AtLeastOnce);
    assert_eq!(thermometer.take_text(), "site/7/latest|0|0|22");
    thermometer.expect_end_with(ReasonCode::SERVER_SHUTTING_DOWN);
    server.join().expect("it did not panic");
}

/// Messages pass between the program and clients of every version in both directions, at the lower QoS, on one worker and on several.
#[test]
fn the_program_publishes_and_subscribes_without_a_socket() {
    for workers in [1, 3] {
        let broker = start(Everybody, workers);
        let mut inside = block_on(broker.subscribe("#", QoS::AtLeastOnce)).expect("it is a filter");
        for version in VERSIONS {
            let name = format!("c{version}");
            let mut client = connected(&broker, version, &name);
            client.subscribe(&[("to/clients", at(QoS::ExactlyOnce))]);
            let options = PublishOptions::new().qos(QoS::AtLeastOnce);
            block_on(broker.publish("to/clients", &name, options)).expect("it is routed");
            assert_eq!(client.take_text(), format!("to/clients|1|0|{name}"));
            let message = block_on(inside.next()).expect("the broker runs");
            assert_eq!(
                (message.topic(), message.payload()),
                ("to/clients", name.as_bytes())
            );

            client.publish("from/clients", &name, QoS::ExactlyOnce);
            let message = block_on(inside.next()).expect("the broker runs");
            assert_eq!(
                (message.topic(), message.payload()),
                ("from/clients", name.as_bytes())
            );
            assert_eq!(
                (message.qos(), message.is_retained()),
                (QoS::AtLeastOnce, false)
            );
        }
        assert_eq!(inside.missed(), 0);
    }
}

/// What is retained comes first, with its properties, marked as retained. [MQTT-3.3.1-9]
#[test]
fn a_subscription_of_the_program_begins_with_what_is_retained() {
    let broker = start(Everybody, 1);
    let options = PublishOptions::new()
        .retained()
        .content_type("text/plain")
        .user_property("unit", "°C");
    block_on(broker.publish("r/1", "kept", options)).expect("it is routed");
    let mut inside = block_on(broker.subscribe("r/+", QoS::AtMostOnce)).expect("it is a filter");
    let message = block_on(inside.next()).expect("the broker runs");
    assert_eq!(
        (message.payload(), message.is_retained()),
        (&b"kept"[..], true)
    );
    assert_eq!(message.properties().content_type(), Some("text/plain"));
    let user: Vec<_> = message.properties().user_properties().collect();
    assert_eq!(user, [("unit", "°C")]);

    let removal = PublishOptions::new().retained();
    block_on(broker.publish("r/1", "", removal)).expect("it is routed");
    let mut late = block_on(broker.subscribe("r/+", QoS::AtMostOnce)).expect("it is a filter");
    assert!(late.next().now_or_never().is_none());
}

/// A dropped subscription is gone; a slow one loses messages and knows how many.
#[test]
fn a_slow_subscription_of_the_program_is_bounded() {
    let broker = start(Everybody, 1);
    let mut slow = block_on(broker.subscribe("t", QoS::AtMostOnce)).expect("it is a filter");
    for n in 0..10_100_u32 {
        block_on(broker.publish("t", n.to_string(), PublishOptions::new())).expect("it is routed");
    }
    let mut taken = 0;
    while let Some(Some(message)) = slow.next().now_or_never() {
        assert_eq!(message.payload(), taken.to_string().as_bytes());
        taken += 1;
    }
    assert!((10_000..10_010).contains(&taken), "{taken}");
    assert_eq!(slow.missed() + taken, 10_100);
    let subscriptions = || broker.metrics().subscriptions.get();
    let before = subscriptions();
    drop(slow);
    assert!(subscriptions() <= before);
    block_on(broker.publish("t", "nobody", PublishOptions::new())).expect("it is routed");
}

/// What is not valid is refused where it is said.
#[test]
fn the_program_is_told_its_mistakes() {
    let broker = start(Everybody, 1);
    let publish = |topic: &str, payload: &[u8]| {
        block_on(broker.publish(topic, payload, PublishOptions::new()))
    };
    assert!(matches!(publish("a/+", b""), Err(LocalError::TopicName(_))));
    assert!(matches!(
        publish("t", &[0; 1_000_001]),
        Err(LocalError::TooLarge)
    ));
    let subscribe = |filter| block_on(broker.subscribe(filter, QoS::AtMostOnce)).map(drop);
    assert!(matches!(
        subscribe("a/#/b"),
        Err(LocalError::TopicFilter(_))
    ));
    assert!(matches!(subscribe("$share/g/a"), Err(LocalError::Shared)));
    let long = PublishOptions::new().content_type("x".repeat(70_000));
    assert!(matches!(
        block_on(broker.publish("t", "", long)),
        Err(LocalError::Property)
    ));
}

/// Clients are told 0x8B, streams end, nothing can be published any more; a second shutdown does no harm.
#[test]
fn shutdown_tells_everybody() {
    let broker = start(Everybody, 2);
    let mut clients: Vec<Client> = VERSIONS
        .iter()
        .map(|version| connected(&broker, *version, &format!("c{version}")))
        .collect();
    let mut inside = block_on(broker.subscribe("t", QoS::AtMostOnce)).expect("it is a filter");
    let closing = broker.clone();
    let closer = thread::spawn(move || closing.shutdown_blocking());
    for client in &mut clients {
        client.expect_end_with(ReasonCode::SERVER_SHUTTING_DOWN);
    }
    drop(clients);
    closer.join().expect("shutdown returns");
    broker.stopped_blocking().expect("it was asked to stop");
    assert!(block_on(inside.next()).is_none());
    let late = block_on(broker.publish("t", "", PublishOptions::new()));
    assert!(matches!(late, Err(LocalError::Stopped)));
    let late = block_on(broker.subscribe("t", QoS::AtMostOnce));
    assert!(matches!(late, Err(LocalError::Stopped)));
    broker.shutdown_blocking();
}

/// The last handle stops the broker; one that is left keeps it.
#[test]
fn the_last_handle_stops_the_broker() {
    let broker = start(Everybody, 1);
    let mut client = connected(&broker, Version::V5, "c");
    let other = broker.clone();
    drop(broker);
    client.ping();
    drop(other);
    client.expect_end_with(ReasonCode::SERVER_SHUTTING_DOWN);
}

/// An address that others reach needs hooks, or a word that everybody may come.
#[test]
fn an_open_address_needs_somebody_who_checks() {
    let open = || Broker::builder().listen("0.0.0.0:0");
    assert!(matches!(
        open().start_blocking(),
        Err(BrokerError::Anonymous { .. })
    ));
    open()
        .hooks(Everybody)
        .start_blocking()
        .expect("the hooks check");
    open()
        .allow_anonymous(true)
        .start_blocking()
        .expect("it is wished");
}

/// Remembers what it is told, and answers some questions later, from another thread.
#[derive(Clone, Debug, Default)]
struct Register {
    seen: Arc<Mutex<Vec<String>>>,
}

impl Register {
    fn note(&self, line: String) {
        self.seen.lock().expect("no test panics with it").push(line);
    }

    fn has(&self, line: &str) -> bool {
        self.seen
            .lock()
            .expect("no test panics with it")
            .iter()
            .any(|seen| seen == line)
    }
}

impl Hooks for Register {
    fn connect(&self, request: &ConnectRequest) -> Decision {
        match &*request.client_id {
            "refused" => Decision::Refuse(ReasonCode::BANNED),
            id if id.starts_with("later") => Decision::Ask,
            _ => Decision::Accept,
        }
    }

    fn connect_later(&self, request: ConnectRequest, answer: ConnectAnswer) {
        thread::spawn(
            move || match (&*request.client_id, request.password.as_deref()) {
                ("later-lost", _) => drop(answer),
                (_, Some(b"right")) => answer.with(Decision::Accept),
                _ => answer.with(Decision::Refuse(ReasonCode::BAD_USER_NAME_OR_PASSWORD)),
            },
        );
    }

    fn subscribe(&self, _client: Identity<'_>, filter: &str, _qos: QoS) -> Decision {
        match filter {
            "secret" => Decision::Refuse(ReasonCode::NOT_AUTHORIZED),
            "later" => Decision::Ask,
            _ => Decision::Accept,
        }
    }

    fn subscribe_later(&self, request: SubscribeRequest, answer: SubscribeAnswer) {
        thread::spawn(move || answer.with(request.filters.iter().map(|_| Decision::Accept)));
    }

    fn publish(&self, _client: Identity<'_>, topic: &str, _qos: QoS, _retain: bool) -> bool {
        topic != "secret"
    }

    fn connected(&self, client: Identity<'_>, peer: &Peer) {
        assert!(peer.address.is_some());
        self.note(format!("+{}", client.client_id));
    }

    fn disconnected(&self, client: Identity<'_>) {
        self.note(format!("-{}", client.client_id));
    }

    fn wants_messages(&self) -> bool {
        true
    }

    fn message(
        &self,
        client: Option<Identity<'_>>,
        topic: &str,
        payload: &[u8],
        _qos: QoS,
        _retain: bool,
    ) {
        let who = client.map_or("", |client| client.client_id);
        self.note(format!(
            "{who}>{topic}:{}",
            String::from_utf8_lossy(payload)
        ));
    }
}

/// Hooks decide at once about connecting, subscribing and publishing, and watch.
#[test]
fn hooks_decide_and_watch() {
    let register = Register::default();
    let broker = start(register.clone(), 1);
    let (_, reason) = connect(&broker, &Connect::new(Version::V5, "refused"));
    assert_eq!(reason, ReasonCode::BANNED);

    let mut client = connected(&broker, Version::V5, "c");
    assert!(register.has("+c"));
    let codes = client.subscribe(&[
        ("open", at(QoS::AtLeastOnce)),
        ("secret", at(QoS::AtLeastOnce)),
    ]);
    assert_eq!(codes, [ReasonCode(1), ReasonCode::NOT_AUTHORIZED]);
    client.publish("open", "x", QoS::AtLeastOnce);
    assert_eq!(client.take_text(), "open|1|0|x");
    assert!(register.has("c>open:x"));
    let refused = client.publish("secret", "x", QoS::AtLeastOnce);
    assert_eq!(refused, ReasonCode::NOT_AUTHORIZED);
    assert!(!register.has("c>secret:x"));
    drop(client);
    eventually("the hooks learn that the client has gone", || {
        register.has("-c")
    });
}

/// A question that takes time is answered from another thread; without an answer the client is refused.
#[test]
fn hooks_may_answer_later() {
    let broker = start(Register::default(), 2);
    for (client_id, password, expected) in [
        ("later", &b"right"[..], ReasonCode::SUCCESS),
        ("later", b"wrong", ReasonCode::BAD_USER_NAME_OR_PASSWORD),
        ("later-lost", b"right", ReasonCode::SERVER_UNAVAILABLE),
    ] {
        let mut hello = Connect::new(Version::V5, client_id);
        hello.user_name = Some("somebody");
        hello.password = Some(password);
        let (_client, reason) = connect(&broker, &hello);
        assert_eq!(reason, expected, "{client_id}");
    }
    let mut client = connected(&broker, Version::V311, "c");
    let codes = client.subscribe(&[("later", at(QoS::ExactlyOnce))]);
    assert_eq!(codes, [ReasonCode(2)]);
}

/// Nothing of the handle waits when the broker has nothing to do.
#[test]
fn an_idle_broker_stops_at_once() {
    let broker = start(Everybody, 3);
    let began = std::time::Instant::now();
    broker.shutdown_blocking();
    assert!(began.elapsed() < Duration::from_secs(3));
}

/// Whoever has waited for the end of a broker can start another one on its data.
#[test]
fn a_broker_leaves_its_data_behind_when_it_ends() {
    let place = tempfile::tempdir().expect("a folder");
    for _ in 0..5 {
        let builder = Broker::builder()
            .listen("127.0.0.1:0")
            .data_dir(place.path());
        let broker = builder.start_blocking().expect("nobody else has it open");
        block_on(broker.shutdown());
    }
}
