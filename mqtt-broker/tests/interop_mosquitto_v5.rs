//! What MQTT 5.0 added, with Mosquitto's command-line tools against the broker binary.

mod support;
use support::{Broker, foreign, need};

const QOS: [&str; 3] = ["0", "1", "2"];

/// `mosquitto_rr` asks with a response topic and correlation data and gets its answer. [MQTT-3.3.2-15] [MQTT-3.3.2-16]
#[test]
fn mosquitto_rr_gets_its_answer() {
    let tools = need!(foreign::mosquitto_tools());
    let broker = Broker::start();
    let port = broker.port();
    let mut server =
        tools.start_subscribe(port, &["-V", "mqttv5", "-t", "ask", "-F", "REQ %R|%D|%p"]);
    server.wait_for("Subscribed (mid");
    let data = ["-D", "publish", "correlation-data", "case-7"];
    let mut asker = tools.start_request(
        port,
        &[
            &[
                "-V",
                "mqttv5",
                "-t",
                "ask",
                "-e",
                "answers/1",
                "-m",
                "how much?",
            ],
            &data[..],
        ]
        .concat(),
    );
    assert_eq!(server.line_after("REQ "), "answers/1|case-7|how much?");
    tools.publish(
        port,
        &[
            &["-V", "mqttv5", "-t", "answers/1", "-m", "forty-two"],
            &data[..],
        ]
        .concat(),
    );
    asker.wait_for("forty-two");
    asker.succeed();
}

/// The properties of a message reach a 5.0 subscriber unaltered and in order, and a 3.1.1 subscriber gets it without them.
/// [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20] [MQTT-3.3.4-3]
#[test]
fn mosquitto_tools_carry_the_properties_of_a_message() {
    let tools = need!(foreign::mosquitto_tools());
    let broker = Broker::start();
    let port = broker.port();
    let format = "MSG %t|%q|%p|%C|%R|%D|%F|%E|%S|%P";
    let identifier = ["-D", "subscribe", "subscription-identifier", "268435455"];
    let mut modern = tools.subscribe(
        port,
        &[
            &["-V", "mqttv5", "-q", "1", "-t", "p", "-F", format],
            &identifier[..],
        ]
        .concat(),
    );
    let mut old = tools.subscribe(port, &["-V", "mqttv311", "-q", "1", "-t", "p"]);
    let properties = [
        ["-D", "publish", "content-type", "text/plain"],
        ["-D", "publish", "response-topic", "back"],
        ["-D", "publish", "correlation-data", "c0"],
        ["-D", "publish", "payload-format-indicator", "1"],
        ["-D", "publish", "message-expiry-interval", "3600"],
    ];
    let users = [
        ["-D", "publish", "user-property", "b", "2"],
        ["-D", "publish", "user-property", "a", "1"],
        ["-D", "publish", "user-property", "b", "1"],
    ];
    let arguments = [
        &["-V", "mqttv5", "-q", "1", "-t", "p", "-m", "hello"],
        properties.as_flattened(),
        users.as_flattened(),
    ]
    .concat();
    tools.publish(port, &arguments);
    assert_eq!(
        modern.line_after("MSG "),
        "p|1|hello|text/plain|back|c0|1|3600|268435455|b:2 a:1 b:1"
    );
    assert_eq!(old.line_after("MSG "), "p|1|0|hello");
}

/// A topic alias that `mosquitto_pub` sets stands for the topic in the following messages. [MQTT-3.3.2-12]
#[test]
fn mosquitto_pub_may_use_a_topic_alias() {
    let tools = need!(foreign::mosquitto_tools());
    let broker = Broker::start();
    let port = broker.port();
    let mut subscriber = tools.subscribe(port, &["-V", "mqttv5", "-q", "2", "-t", "alias/#"]);
    for qos in QOS {
        let topic = format!("alias/{qos}");
        let alias = ["-D", "publish", "topic-alias", "10"];
        let repeat = [
            "-V",
            "mqttv5",
            "-q",
            qos,
            "-t",
            &topic,
            "-m",
            "again",
            "--repeat",
            "5",
            "--repeat-delay",
            "0.01",
        ];
        tools.publish(port, &[&repeat[..], &alias].concat());
        for _ in 0..5 {
            assert_eq!(
                subscriber.line_after("MSG "),
                format!("alias/{qos}|{qos}|0|again")
            );
        }
    }
}

/// A subscriber with a Receive Maximum of 1 still gets a hundred queued messages, one at a time. [MQTT-3.3.4-9] [MQTT-4.9.0-2]
#[test]
fn mosquitto_sub_with_receive_maximum_1_gets_everything() {
    let tools = need!(foreign::mosquitto_tools());
    let broker = Broker::start();
    let port = broker.port();
    for qos in ["1", "2"] {
        let one = ["-D", "connect", "receive-maximum", "1"];
        let mut subscriber = tools.subscribe(
            port,
            &[&["-V", "mqttv5", "-q", qos, "-t", "flow"], &one[..]].concat(),
        );
        let mut publisher =
            tools.start_publish(port, &["-V", "mqttv5", "-q", qos, "-t", "flow", "-l"]);
        publisher.feed(&(0..100).map(|n| format!("{n}\n")).collect::<String>());
        publisher.succeed();
        for n in 0..100 {
            assert_eq!(subscriber.line_after("MSG "), format!("flow|{qos}|0|{n}"));
        }
    }
}

/// A will with a delay comes after the delay and not before; the message of another client overtakes it. [MQTT-3.1.2-8]
#[test]
fn mosquitto_sub_will_waits_for_its_delay() {
    let tools = need!(foreign::mosquitto_tools());
    let broker = Broker::start();
    let port = broker.port();
    let mut watcher = tools.subscribe(port, &["-V", "mqttv5", "-q", "1", "-t", "late/#"]);
    let delay = [
        "--will-topic",
        "late/will",
        "--will-payload",
        "gone",
        "-D",
        "will",
        "will-delay-interval",
        "2",
    ];
    let mut client = tools.subscribe(
        port,
        &[
            &[
                "-V", "mqttv5", "-c", "-i", "sleeper", "-x", "60", "-t", "nothing",
            ],
            &delay[..],
        ]
        .concat(),
    );
    let killed = std::time::Instant::now();
    client.kill();
    tools.publish(
        port,
        &["-V", "mqttv5", "-q", "1", "-t", "late/other", "-m", "first"],
    );
    assert_eq!(watcher.line_after("MSG "), "late/other|1|0|first");
    assert_eq!(watcher.line_after("MSG "), "late/will|0|0|gone");
    assert!(
        killed.elapsed().as_secs_f32() > 1.9,
        "{:?}",
        killed.elapsed()
    );
}
