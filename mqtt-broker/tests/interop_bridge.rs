//! A Mosquitto bridge with the broker binary as its remote end, in both directions.

mod support;

use support::{Broker, Tool, foreign, need};

/// A Mosquitto whose bridge to `remote` is up, with `topics` as its `topic` lines.
fn bridge(remote: &Broker, protocol: &str, try_private: bool, topics: &[&str]) -> Broker {
    let topics: String = topics
        .iter()
        .map(|topic| format!("topic {topic}\n"))
        .collect();
    let mut local = Broker::mosquitto(&format!(
        "connection cloud\naddress 127.0.0.1:{}\nbridge_protocol_version {protocol}\ntry_private {try_private}\n\
         remote_clientid bridge\ncleansession false\nnotifications false\nrestart_timeout 1\n{topics}",
        remote.port()
    ));
    local.process().rewind();
    for _ in 0..topics.matches(" in ").count() + topics.matches(" both ").count() {
        local.process().wait_for("Received SUBACK");
    }
    local
}

/// The next messages of `watcher` up to one whose payload is `end`, without that one.
fn up_to_end(watcher: &mut Tool) -> Vec<String> {
    core::iter::repeat_with(|| watcher.line_after("MSG "))
        .take_while(|message| !message.ends_with("|end"))
        .collect()
}

/// Everything that is published on one side appears exactly once on both, under the other prefix, with its QoS; nothing goes round.
fn both_ways_without_a_loop(protocol: &str, try_private: bool, topics: &[&str]) {
    let tools = need!(foreign::mosquitto_tools());
    need!(foreign::mosquitto_broker());
    let remote = Broker::start();
    let local = bridge(&remote, protocol, try_private, topics);
    let mut at_remote = tools.subscribe(remote.port(), &["-q", "2", "-t", "cloud/#"]);
    let mut at_local = tools.subscribe(local.port(), &["-q", "2", "-t", "house/#"]);
    let expected =
        |prefix: &str| ["0", "1", "2"].map(|qos| format!("{prefix}/{qos}|{qos}|0|m{qos}"));
    for (from, source, target) in [(&local, "house", "cloud"), (&remote, "cloud", "house")] {
        for qos in ["0", "1", "2"] {
            tools.publish(
                from.port(),
                &[
                    "-q",
                    qos,
                    "-t",
                    &format!("{source}/{qos}"),
                    "-m",
                    &format!("m{qos}"),
                ],
            );
        }
        tools.publish(
            from.port(),
            &["-q", "2", "-t", &format!("{source}/turn"), "-m", "end"],
        );
        for (watcher, prefix) in [(&mut at_remote, "cloud"), (&mut at_local, "house")] {
            let mut got = up_to_end(watcher);
            // QoS 2 is shown when its PUBREL comes.
            got.sort();
            assert_eq!(
                got,
                expected(prefix),
                "from {source} to {target}, seen under {prefix}"
            );
        }
    }
    // A copy that went round would be on its way before these.
    for (from, source) in [(&local, "house"), (&remote, "cloud")] {
        tools.publish(
            from.port(),
            &["-q", "2", "-t", &format!("{source}/close"), "-m", "end"],
        );
        assert_eq!(up_to_end(&mut at_remote), [""; 0]);
        assert_eq!(up_to_end(&mut at_local), [""; 0]);
    }
}

/// A bridge in 3.1.1 with bit 0x80 in its protocol level is accepted, and its own messages do not come back to it.
#[test]
fn bridge_in_3_1_1_with_the_bridge_bit_goes_both_ways_without_a_loop() {
    both_ways_without_a_loop("mqttv311", true, &["# both 2 house/ cloud/"]);
}

/// A bridge in 3.1 with bit 0x80 in its protocol level is accepted, and its own messages do not come back to it.
#[test]
fn bridge_in_3_1_with_the_bridge_bit_goes_both_ways_without_a_loop() {
    both_ways_without_a_loop("mqttv31", true, &["# both 2 house/ cloud/"]);
}

/// A bridge in 5.0 asks for No Local instead. [MQTT-3.8.3-3]
#[test]
fn bridge_in_5_goes_both_ways_without_a_loop() {
    both_ways_without_a_loop("mqttv50", true, &["# both 2 house/ cloud/"]);
    both_ways_without_a_loop("mqttv50", false, &["# both 2 house/ cloud/"]);
}

/// A bridge that does not say it is one works with a topic for each direction.
#[test]
fn bridge_in_3_1_1_without_the_bridge_bit_goes_both_ways() {
    let tools = need!(foreign::mosquitto_tools());
    need!(foreign::mosquitto_broker());
    let remote = Broker::start();
    let local = bridge(&remote, "mqttv311", false, &["up/# out 2", "down/# in 2"]);
    let mut at_remote = tools.subscribe(remote.port(), &["-q", "2", "-t", "#"]);
    let mut at_local = tools.subscribe(local.port(), &["-q", "2", "-t", "#"]);
    for (qos, n) in [("0", 0), ("1", 1), ("2", 2)] {
        for (from, topic) in [(&local, "up/x"), (&remote, "down/x")] {
            tools.publish(from.port(), &["-q", qos, "-t", topic, "-m", &n.to_string()]);
            for watcher in [&mut at_remote, &mut at_local] {
                assert_eq!(watcher.line_after("MSG "), format!("{topic}|{qos}|0|{n}"));
            }
        }
    }
}

/// Retained messages cross the bridge and stay retained behind it (RETAIN is kept for a bridge). [MQTT-3.3.1-13]
#[test]
fn bridge_carries_retained_messages() {
    let tools = need!(foreign::mosquitto_tools());
    need!(foreign::mosquitto_broker());
    for protocol in ["mqttv311", "mqttv50"] {
        let remote = Broker::start();
        tools.publish(
            remote.port(),
            &[
                "-q",
                "1",
                "-r",
                "-t",
                "cloud/early",
                "-m",
                "before the bridge",
            ],
        );
        let local = bridge(&remote, protocol, true, &["# both 1 house/ cloud/"]);
        tools.publish(
            remote.port(),
            &[
                "-q",
                "1",
                "-r",
                "-t",
                "cloud/late",
                "-m",
                "through the bridge",
            ],
        );
        tools.publish(
            local.port(),
            &["-q", "1", "-r", "-t", "house/up", "-m", "up the bridge"],
        );
        for (broker, topic, payload) in [
            (&local, "house/early", "before the bridge"),
            (&local, "house/late", "through the bridge"),
            (&remote, "cloud/up", "up the bridge"),
        ] {
            // It may still be on its way: the first copy is then live, and only a later subscription sees it retained.
            let mut seen = String::new();
            support::eventually(&format!("{topic} is retained with {protocol}"), || {
                let arguments = ["-q", "1", "-t", topic, "-C", "1", "-W", "5"];
                let lines = tools.start_subscribe(broker.port(), &arguments).succeed();
                seen = lines
                    .iter()
                    .find_map(|line| line.strip_prefix("MSG "))
                    .unwrap_or_default()
                    .to_owned();
                seen.contains("|1|1|")
            });
            assert_eq!(seen, format!("{topic}|1|1|{payload}"));
        }
    }
}

/// What is published while the bridge is down waits for it in its session (in 5.0 Mosquitto 2.0.11 asks for none). [3.1.1:MQTT-3.1.2-5]
#[test]
fn bridge_gets_what_came_while_it_was_down() {
    let tools = need!(foreign::mosquitto_tools());
    need!(foreign::mosquitto_broker());
    let remote = Broker::start();
    let topics = ["# in 2 house/ cloud/"];
    bridge(&remote, "mqttv311", true, &topics).process().kill();
    for n in 10..20 {
        tools.publish(
            remote.port(),
            &["-q", "2", "-t", &format!("cloud/{n}"), "-m", "waiting"],
        );
    }
    let mut local = bridge(&remote, "mqttv311", true, &topics);
    local.process().rewind();
    for n in 10..20 {
        let arrival = |line: &str| {
            (line.contains("Received PUBLISH") && line.contains(&format!("/{n}'"))).then_some(())
        };
        local
            .process()
            .find(&format!("PUBLISH {n} in order"), arrival);
    }
}
