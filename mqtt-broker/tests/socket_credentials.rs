//! Refusals by a program that embeds the broker and says who may do what, as clients see them on the wire.

mod support;

use core::net::SocketAddr;

use mqtt_broker::{Broker, BrokerHandle, ConnectAnswer, ConnectRequest, Decision, Hooks, Identity};
use mqtt_codec::{Auth, Connect, Properties, Property, QoS, ReasonCode, Version};
use support::frame::{VERSIONS, at, publish};
use support::{Client, foreign, need};

/// Lets in `ann` with her password and the method `echo`; everybody may use what is below `open`.
struct Guards;

impl Hooks for Guards {
    fn connect(&self, request: &ConnectRequest) -> Decision {
        if request.authentication_method.as_deref() == Some("echo") {
            return match request.authentication_data.as_deref() {
                Some(b"hello") => Decision::Challenge(Box::from(*b"say it again")),
                Some(b"hello again") => Decision::AcceptWith(Box::from(*b"welcome")),
                _ => Decision::Refuse(ReasonCode::NOT_AUTHORIZED),
            };
        }
        match (request.user_name.as_deref(), request.password.as_deref()) {
            (Some("ann"), Some(b"secret")) => Decision::Accept,
            (Some("bob"), _) => Decision::Ask,
            (Some("eve"), _) => Decision::Refuse(ReasonCode::NOT_AUTHORIZED),
            _ => Decision::Refuse(ReasonCode::BAD_USER_NAME_OR_PASSWORD),
        }
    }

    fn connect_later(&self, request: ConnectRequest, answer: ConnectAnswer) {
        std::thread::spawn(move || {
            let known = request.password.as_deref() == Some(b"patience");
            answer.with(if known {
                Decision::Accept
            } else {
                Decision::Refuse(ReasonCode::BAD_USER_NAME_OR_PASSWORD)
            });
        });
    }

    fn subscribe(&self, _: Identity<'_>, filter: &str, _: QoS) -> Decision {
        if filter.starts_with("open") {
            Decision::Accept
        } else {
            Decision::Refuse(ReasonCode::NOT_AUTHORIZED)
        }
    }

    fn publish(&self, _: Identity<'_>, topic: &str, _: QoS, _: bool) -> bool {
        topic.starts_with("open")
    }
}

/// A guarded broker in this process; it ends when it is dropped.
struct Guarded(BrokerHandle);

impl Guarded {
    fn start() -> Self {
        let builder = Broker::builder().listen("127.0.0.1:0").hooks(Guards);
        Self(builder.start_blocking().expect("the broker starts"))
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addrs()[0]
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.shutdown_blocking();
    }
}

fn as_user<'a>(version: Version, user_name: &'a str, password: &'a str) -> Connect<'a> {
    Connect {
        user_name: Some(user_name),
        password: Some(password.as_bytes()),
        ..Connect::new(version, "c")
    }
}

/// Wrong credentials get a CONNACK before the close: 4 in 3.1 and 3.1.1, 0x86 in 5.0; a client that may not come 5 or 0x87, whether
/// the answer is known at once or later. [3.1.1:MQTT-3.2.2-5] [MQTT-3.1.4-2] [MQTT-3.2.2-7]
#[test]
fn refused_credentials_get_a_connack_before_the_close() {
    let broker = Guarded::start();
    for version in VERSIONS {
        for (user, password, old, new) in [
            ("ann", "wrong", 4, 0x86),
            ("nobody", "secret", 4, 0x86),
            ("bob", "impatience", 4, 0x86),
            ("eve", "secret", 5, 0x87),
        ] {
            let connect = as_user(version, user, password);
            let (mut client, answer) = Client::try_connect(&broker.address(), &connect);
            let code = if version.is_v5() { new } else { old };
            assert_eq!(
                answer.bytes[2..4],
                [0, code],
                "{version} {user}: {answer:?}"
            );
            client.expect_end();
        }
        let (mut client, answer) =
            Client::try_connect(&broker.address(), &Connect::new(version, "c"));
        assert_eq!(
            answer.bytes[3],
            if version.is_v5() { 0x86 } else { 4 },
            "{version} without credentials"
        );
        client.expect_end();
        for (user, password) in [("ann", "secret"), ("bob", "patience")] {
            let (mut client, _) =
                Client::connect_with(&broker.address(), &as_user(version, user, password));
            client.expect_silence();
        }
    }
}

/// Foreign clients tell their users why they were refused.
#[test]
fn mosquitto_pub_says_why_it_was_refused() {
    let tools = need!(foreign::mosquitto_tools());
    let broker = Guarded::start();
    let port = broker.address().port();
    for (version, user, reason) in [
        ("mqttv31", "nobody", "bad user name or password"),
        ("mqttv311", "nobody", "bad user name or password"),
        ("mqttv311", "eve", "not authorised"),
        ("mqttv5", "nobody", "Bad User Name or Password"),
        ("mqttv5", "eve", "Not authorized"),
    ] {
        let arguments = [
            "-V", version, "-u", user, "-P", "x", "-t", "open", "-m", "m",
        ];
        let mut publisher = tools.start_publish(port, &arguments);
        publisher.wait_for(reason);
        assert!(!publisher.wait(support::PATIENCE).success());
    }
    tools.publish(
        port,
        &[
            "-u", "ann", "-P", "secret", "-q", "1", "-t", "open", "-m", "m",
        ],
    );
}

/// A subscription that is not allowed is refused with 0x87 in 5.0 and 0x80 before, beside those that are. [MQTT-3.8.4-7] [3.1.1:MQTT-3.9.3-2]
#[test]
fn refused_subscriptions_are_told_in_suback() {
    let broker = Guarded::start();
    for version in [Version::V311, Version::V5] {
        let (mut client, _) =
            Client::connect_with(&broker.address(), &as_user(version, "ann", "secret"));
        let codes = client.subscribe(
            &["open/a", "closed", "open/b"].map(|filter| (filter, at(QoS::AtLeastOnce))),
        );
        let refused = ReasonCode(if version.is_v5() { 0x87 } else { 0x80 });
        assert_eq!(codes, [ReasonCode(1), refused, ReasonCode(1)]);
    }
}

/// A message that may not be published reaches nobody: 5.0 is told with 0x87, before it is acknowledged and dropped. [3.1.1:MQTT-3.3.5-2]
#[test]
fn refused_messages_reach_nobody() {
    let broker = Guarded::start();
    for version in VERSIONS {
        let (mut client, _) =
            Client::connect_with(&broker.address(), &as_user(version, "ann", "secret"));
        client.subscribe(&[("open/#", at(QoS::ExactlyOnce))]);
        client.send(&publish("closed", "m"));
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let code = client.publish("closed", "m", qos);
            assert_eq!(
                code,
                if version.is_v5() {
                    ReasonCode::NOT_AUTHORIZED
                } else {
                    ReasonCode::SUCCESS
                }
            );
        }
        client.expect_silence();
        client.publish("open/x", "m", QoS::ExactlyOnce);
        assert_eq!(client.take_text(), "open/x|2|0|m");
    }
}

/// Enhanced authentication: the challenge and its answer in AUTH, the method repeated, the last data in CONNACK.
/// [MQTT-4.12.0-2] [MQTT-4.12.0-3] [MQTT-4.12.0-4] [MQTT-4.12.0-5]
#[test]
fn enhanced_authentication() {
    let broker = Guarded::start();
    for (answer, accepted) in [("hello again", true), ("hello wrong", false)] {
        let hello = [
            Property::AuthenticationMethod("echo"),
            Property::AuthenticationData(b"hello"),
        ];
        let mut client = Client::open_at(broker.address(), Version::V5);
        client.send(&Connect {
            properties: Properties::List(&hello),
            ..Connect::new(Version::V5, "c")
        });
        let challenge = client.receive();
        let auth = challenge.auth();
        assert_eq!(auth.reason, ReasonCode::CONTINUE_AUTHENTICATION);
        assert_eq!(auth.properties.authentication_method(), Some("echo"));
        assert_eq!(
            auth.properties.authentication_data(),
            Some(&b"say it again"[..])
        );
        let properties = [
            Property::AuthenticationMethod("echo"),
            Property::AuthenticationData(answer.as_bytes()),
        ];
        client.send(&Auth {
            reason: ReasonCode::CONTINUE_AUTHENTICATION,
            properties: Properties::List(&properties),
        });
        let end = client.receive();
        let connack = end.conn_ack();
        if accepted {
            assert_eq!(connack.reason, ReasonCode::SUCCESS);
            assert_eq!(connack.properties.authentication_method(), Some("echo"));
            assert_eq!(
                connack.properties.authentication_data(),
                Some(&b"welcome"[..])
            );
            client.expect_silence();
        } else {
            assert_eq!(connack.reason, ReasonCode::NOT_AUTHORIZED);
            client.expect_end();
        }
    }
}
