//! Several workers, and a reader that has to wait: nothing is lost, repeated or reordered on the way into the core.

mod support;

use core::time::Duration;
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use mqtt_broker::{
    Broker, BrokerHandle, Decision, Hooks, Identity, SubscribeAnswer, SubscribeRequest,
};
use mqtt_codec::{
    Connect, Filters, FromServer, Properties, QoS, Subscribe, SubscribeFilter, Version,
};
use support::frame::{Encode, VERSIONS, at, packet_id, publish};
use support::{Client, eventually};

fn start(hooks: impl Hooks, workers: u16) -> BrokerHandle {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let builder = Broker::builder().listen_on(socket).hooks(hooks);
    builder
        .workers(workers)
        .start_blocking()
        .expect("the broker starts")
}

fn connected(broker: &BrokerHandle, version: Version, client_id: &str) -> Client {
    let mut client = Client::open_at(broker.local_addrs()[0], version);
    client.send(&Connect::new(version, client_id));
    client.receive().conn_ack();
    client
}

fn subscribe(version: Version, filter: &str) -> Vec<u8> {
    let filters = [SubscribeFilter {
        filter,
        options: at(QoS::ExactlyOnce),
    }];
    let packet = Subscribe {
        packet_id: packet_id(1),
        properties: Properties::EMPTY,
        filters: Filters::List(&filters),
    };
    packet.bytes(version)
}

#[derive(Debug)]
struct Everybody;
impl Hooks for Everybody {}

/// Connections are accepted by one worker and served by the one that their client id names; none is lost on the way.
#[test]
fn clients_find_their_worker() {
    let broker = start(Everybody, 4);
    let mut clients: Vec<(Client, String)> = (0..40)
        .map(|n| {
            let name = format!("client-{n}");
            let mut client = connected(&broker, VERSIONS[n % VERSIONS.len()], &name);
            client.subscribe(&[(&name, at(QoS::ExactlyOnce))]);
            (client, name)
        })
        .collect();
    assert_eq!(broker.metrics().connections.get(), 40);
    let names: Vec<String> = clients.iter().map(|(_, name)| name.clone()).collect();
    for (place, (client, _)) in clients.iter_mut().enumerate() {
        client.publish(&names[(place + 1) % names.len()], "hello", QoS::ExactlyOnce);
    }
    for (client, name) in &mut clients {
        assert_eq!(client.take_text(), format!("{name}|2|0|hello"));
    }
    drop(clients);
    eventually("the connections are gone", || {
        broker.metrics().connections.get() == 0
    });
}

/// What follows CONNECT at once goes with the connection to its worker, unfinished packets too. [MQTT-3.1.4-5]
#[test]
fn bytes_behind_connect_follow_it_to_its_worker() {
    let broker = start(Everybody, 4);
    let payload = "x".repeat(100_000);
    for n in 0..24 {
        let version = VERSIONS[n % VERSIONS.len()];
        let name = format!("client-{n}");
        let mut bytes = Connect::new(version, &name).bytes(version);
        bytes.extend(subscribe(version, &name));
        bytes.extend(publish(&name, &payload).bytes(version));
        let mut client = Client::open_at(broker.local_addrs()[0], version);
        client.send_bytes(&bytes);
        client.receive().conn_ack();
        client.receive().sub_ack();
        assert_eq!(client.take().publish().payload, payload.as_bytes());
    }
}

/// Gives the questions about subscriptions to the test.
#[derive(Debug)]
struct Slow(Sender<SubscribeAnswer>);

impl Hooks for Slow {
    fn subscribe(&self, _client: Identity<'_>, _filter: &str, _qos: QoS) -> Decision {
        Decision::Ask
    }

    fn subscribe_later(&self, _request: SubscribeRequest, answer: SubscribeAnswer) {
        self.0.send(answer).expect("the test waits for it");
    }
}

/// While a question is open nothing more is read; then everything goes on where it stood, whole packets and parts of them.
#[test]
fn a_client_that_has_to_wait_loses_nothing() {
    for workers in [1, 2] {
        let (questions, asked) = channel();
        let broker = start(Slow(questions), workers);
        for version in VERSIONS {
            let name = format!("c{version}");
            let mut client = connected(&broker, version, &name);
            let mut bytes = subscribe(version, &name);
            for n in 0..300 {
                let payload = format!("{n:0width$}", width = 1 + n * 7);
                bytes.extend(publish(&name, &payload).bytes(version));
            }
            client.send_bytes(&bytes);
            let answer = asked.recv().expect("the broker asks");
            answer.with([Decision::Accept]);
            let granted = client.receive();
            assert!(
                matches!(granted.packet(), FromServer::SubAck(_)),
                "{granted:?}"
            );
            for n in 0..300 {
                let expected = format!("{n:0width$}", width = 1 + n * 7);
                assert_eq!(client.take().publish().payload, expected.as_bytes(), "{n}");
            }
        }
    }
}

/// Stands still in the worker of whoever publishes to `still`, until the test lets it go.
#[derive(Debug)]
struct Still {
    reached: Sender<()>,
    go: Mutex<Receiver<()>>,
}

impl Hooks for Still {
    fn publish(&self, _client: Identity<'_>, topic: &str, _qos: QoS, _retain: bool) -> bool {
        if topic == "still" {
            self.reached.send(()).expect("the test waits for it");
            let go = self.go.lock().expect("nobody has panicked");
            go.recv().expect("the test lets it go");
        }
        true
    }
}

/// One worker is far behind, and the clients of another one publish to its clients: they are slowed down. All that they sent was
/// taken, and piled up between the workers without a limit.
#[test]
fn a_worker_that_is_behind_slows_publishers_of_others_down() {
    let ((reached, standing), (go, wait)) = (channel(), channel());
    let broker = start(
        Still {
            reached,
            go: Mutex::new(wait),
        },
        2,
    );
    let version = Version::V5;
    // As many as it takes to have some at each of the two.
    let subscribers: Vec<Client> = (0..16)
        .map(|n| {
            let mut client = connected(&broker, version, &format!("subscriber-{n}"));
            client.subscribe(&[("flood", at(QoS::AtMostOnce))]);
            client
        })
        .collect();
    let publishers: Vec<Client> = (0..8)
        .map(|n| connected(&broker, version, &format!("publisher-{n}")))
        .collect();
    let mut blocker = connected(&broker, version, "blocker");
    blocker.send_bytes(&publish("still", "").bytes(version));
    standing.recv().expect("a worker stands still");
    let message = publish("flood", &"x".repeat(4_000))
        .bytes(version)
        .repeat(16);
    for mut publisher in publishers {
        publisher.set_write_patience(Duration::from_millis(200));
        let sent = (0..1_000).position(|_| publisher.try_send_bytes(&message).is_err());
        assert!(sent.is_some(), "64 MB were taken");
    }
    go.send(()).expect("the worker waits");
    blocker.ping();
    drop(subscribers);
    eventually("all but one have gone", || {
        broker.metrics().connections.get() == 1
    });
}
