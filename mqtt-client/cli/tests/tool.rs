//! The tool beside Mosquitto's own tools and broker: same flags, same bytes, same exit codes.

use std::process::Command;

#[path = "../../tests/support/process.rs"]
mod process;
use process::{Finished, Mosquitto, Process, messages};

const VERSIONS: [&str; 3] = ["31", "mqttv311", "5"];

fn mqtt(arguments: &[&str]) -> Process {
    Process::start(Command::new(env!("CARGO_BIN_EXE_mqtt")).args(arguments))
}

/// The tool pointed at a broker.
fn at(broker: &Mosquitto, command: &str, arguments: &[&str]) -> Process {
    let port = broker.port.to_string();
    let connection = ["-h", "127.0.0.1", "-p", &port];
    mqtt(&[&[command][..], &connection, arguments].concat())
}

/// `mqtt sub`, once it has subscribed.
fn subscriber(broker: &Mosquitto, arguments: &[&str]) -> Process {
    let process = at(broker, "sub", &[&["-d"], arguments].concat());
    process.complains("subscribed to");
    process
}

fn run(arguments: &[&str]) -> Finished {
    mqtt(arguments).finish()
}

/// Both commands at the broker of this workspace.
#[test]
fn our_own_broker_is_understood() {
    let broker = mqtt_broker::Broker::builder()
        .listen("127.0.0.1:0")
        .start_blocking()
        .unwrap();
    let port = broker.local_addrs()[0].port().to_string();
    for version in VERSIONS {
        for qos in ["0", "1", "2"] {
            let common = [
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-V",
                version,
                "-q",
                qos,
                "-t",
                "a/b",
            ];
            let sub = mqtt(&[&["sub", "-d", "-v", "-C", "2"][..], &common].concat());
            sub.complains("subscribed to");
            let mut publish = mqtt(&[&["pub", "-l"][..], &common].concat());
            publish.feed(b"one\ntwo\n");
            publish.finish().ok();
            assert_eq!(sub.finish().ok().text(), "a/b one\na/b two\n");
        }
    }
    broker.shutdown_blocking();
}

/// Starts Mosquitto, or ends the test with a note.
macro_rules! broker {
    ($test:literal) => {
        broker!($test, "")
    };
    ($test:literal, $lines:expr) => {
        match Mosquitto::start($test, $lines) {
            Some(broker) => broker,
            None => return,
        }
    };
}

/// What we publish arrives at mosquitto_sub in every version at every QoS.
#[test]
fn mosquitto_sub_gets_what_we_publish() {
    let broker = broker!("mosquitto_sub_gets_what_we_publish");
    let subscriber = broker.subscriber(&["-t", "t/#", "-q", "2", "-C", "9"]);
    let mut expected = Vec::new();
    for version in VERSIONS {
        for qos in ["0", "1", "2"] {
            at(
                &broker,
                "pub",
                &["-V", version, "-q", qos, "-t", "t/1", "-m", version],
            )
            .finish()
            .ok();
            expected.push(format!("t/1|{qos}|0|{version}"));
        }
    }
    // mosquitto_sub prints a QoS 2 message at the end of its handshake only.
    let mut received = messages(&subscriber.finish().ok().stdout);
    received.sort_unstable();
    expected.sort_unstable();
    assert_eq!(received, expected);
}

/// What mosquitto_pub publishes is printed as mosquitto_sub prints it, byte for byte.
#[test]
fn our_output_is_that_of_mosquitto_sub() {
    let broker = broker!("our_output_is_that_of_mosquitto_sub");
    let file = broker.folder().join("payload");
    std::fs::write(&file, [0, 255, b'\n', 13, 0xC3, 0x28]).unwrap();
    for flags in [
        &["-v"][..],
        &[],
        &["-N"],
        &["-v", "-N"],
        &["-F", "%t\\t%p|%q|%r|%l|%x|%X|%%"],
    ] {
        for version in VERSIONS {
            let theirs = [
                "-d",
                "-V",
                if version == "31" { "mqttv31" } else { version },
            ];
            let common = [&["-q", "2", "-t", "a/+", "-t", "b"][..], flags].concat();
            let ours = subscriber(&broker, &[&["-V", version][..], &common].concat());
            let theirs = broker.tool("mosquitto_sub", &[&theirs[..], &common].concat());
            theirs.says("Subscribed (mid");
            // What -d says goes away by starting again without it: the session of a kept id has the messages.
            drop(theirs);
            let theirs = broker.tool(
                "mosquitto_sub",
                &[
                    &["-V", "mqttv311", "-c", "-i", "theirs"][..],
                    &common,
                    &["-E"],
                ]
                .concat(),
            );
            theirs.finish().ok();
            let path = file.to_str().unwrap();
            broker.publish(&["-t", "a/1", "-m", "hello", "-q", "1"]);
            broker.publish(&["-t", "a/2", "-n", "-q", "1"]);
            broker.publish(&["-t", "b", "-f", path, "-q", "1"]);
            broker.publish(&["-t", "b", "-m", "end", "-q", "1"]);
            let theirs = broker.tool(
                "mosquitto_sub",
                &[
                    &["-V", "mqttv311", "-c", "-i", "theirs", "-C", "4"][..],
                    &common,
                ]
                .concat(),
            );
            let theirs = theirs.finish().ok().stdout;
            ours.says("end");
            ours.signal("INT");
            let ours = ours.finish().ok().stdout;
            assert_eq!(
                String::from_utf8_lossy(&ours),
                String::from_utf8_lossy(&theirs),
                "{flags:?} in {version}"
            );
            assert_eq!(ours, theirs);
        }
    }
}

/// Every source of payloads: text, file, lines, all of standard input, nothing, repeated.
#[test]
fn payloads_come_from_where_they_are_told_to() {
    let broker = broker!("payloads_come_from_where_they_are_told_to");
    let subscriber = subscriber(&broker, &["-q", "1", "-t", "t", "-F", "<%p>", "-C", "11"]);
    let file = broker.folder().join("file");
    std::fs::write(&file, "from a file\nof two lines").unwrap();
    let publish = |arguments: &[&str], input: &[u8]| {
        let mut process = at(
            &broker,
            "pub",
            &[&["-q", "1", "-t", "t"], arguments].concat(),
        );
        if !input.is_empty() {
            process.feed(input);
        }
        process.finish().ok();
    };
    publish(&["-m", "-5"], b"");
    publish(&["-f", file.to_str().unwrap()], b"");
    publish(&["-l"], b"one\n\nthree\r\nlast");
    publish(&["-s"], b"all\nof it\n");
    publish(&["-n"], b"");
    publish(&["-m", "again", "--repeat", "3"], b"");
    assert_eq!(
        subscriber.finish().ok().text(),
        "<-5>\n<from a file\nof two lines>\n<one>\n<>\n<three\r>\n<last>\n<all\nof it\n>\n<>\n<again>\n<again>\n<again>\n"
    );
}

/// Lines are published as they come, not at the end of the input.
#[test]
fn lines_are_published_as_they_come() {
    let broker = broker!("lines_are_published_as_they_come");
    let subscriber = subscriber(&broker, &["-t", "t"]);
    let mut publisher = at(&broker, "pub", &["-l", "-t", "t"]);
    publisher.feed(b"first\n");
    subscriber.says("first");
    publisher.feed(b"second\n");
    subscriber.says("second");
    publisher.finish().ok();
}

/// Properties of 5.0 both ways, and as JSON.
#[test]
fn properties_are_sent_and_printed() {
    let broker = broker!("properties_are_sent_and_printed");
    let theirs = broker.tool(
        "mosquitto_sub",
        &[
            "-V",
            "5",
            "-d",
            "-t",
            "t",
            "-C",
            "1",
            "-F",
            "MSG %C|%R|%D|%E|%P",
        ],
    );
    theirs.says("Subscribed (mid");
    let ours = subscriber(
        &broker,
        &[
            "-V",
            "5",
            "-t",
            "t",
            "-C",
            "1",
            "-F",
            "%C|%R|%D|%E|%P|%F %j",
        ],
    );
    at(
        &broker,
        "pub",
        &[
            "-t",
            "t",
            "-m",
            "x\"y",
            "-D",
            "publish",
            "user-property",
            "k",
            "-v",
            "-D",
            "publish",
            "user-property",
            "k2",
            "v2",
            "-D",
            "publish",
            "content-type",
            "text/x",
            "-D",
            "publish",
            "response-topic",
            "r",
            "-D",
            "publish",
            "correlation-data",
            "c",
            "-D",
            "publish",
            "message-expiry-interval",
            "50",
            "-D",
            "publish",
            "payload-format-indicator",
            "1",
        ],
    )
    .finish()
    .ok();
    assert_eq!(
        messages(&theirs.finish().ok().stdout),
        ["text/x|r|c|50|k:-v k2:v2"]
    );
    let ours = ours.finish().ok();
    let text = ours.text();
    assert!(
        text.starts_with("text/x|r|c|50|k:-v k2:v2|1 {\"tst\":\"2"),
        "{text}"
    );
    let rest = "\"topic\":\"t\",\"qos\":0,\"retain\":0,\"payloadlen\":3,\"properties\":{\"user-properties\":{\"k\":\"-v\",\"k2\":\"v2\"},\
                \"content-type\":\"text/x\",\"response-topic\":\"r\",\"correlation-data\":\"c\",\"payload-format-indicator\":1,\
                \"message-expiry-interval\":50},\"payload\":\"x\\\"y\"}\n";
    assert!(text.ends_with(rest), "{text}");
}

/// Retained messages: -R hides them, --retained-only ends with the first other one.
#[test]
fn retained_messages_are_told_apart() {
    let broker = broker!("retained_messages_are_told_apart");
    for topic in ["a", "b"] {
        at(
            &broker,
            "pub",
            &["-r", "-q", "1", "-t", topic, "-m", "kept"],
        )
        .finish()
        .ok();
    }
    let only = subscriber(&broker, &["-v", "-t", "#", "--retained-only"]);
    only.says("b kept");
    let live = subscriber(&broker, &["-v", "-t", "#", "-R", "-T", "b", "-C", "1"]);
    at(&broker, "pub", &["-t", "b", "-m", "hidden"])
        .finish()
        .ok();
    at(&broker, "pub", &["-t", "c", "-m", "live"]).finish().ok();
    assert_eq!(only.finish().ok().text(), "a kept\nb kept\n");
    assert_eq!(live.finish().ok().text(), "c live\n");
}

/// A session kept with -c and -i has what was published meanwhile, until -U takes the subscription away.
#[test]
fn a_kept_session_brings_what_was_missed() {
    let broker = broker!("a_kept_session_brings_what_was_missed");
    for version in VERSIONS {
        let kept = ["-V", version, "-c", "-i", "keeper", "-q", "1"];
        let sub = |more: &[&str]| at(&broker, "sub", &[&kept, more].concat());
        sub(&["-t", "k", "-E"]).finish().ok();
        broker.publish(&["-t", "k", "-q", "1", "-m", "one"]);
        broker.publish(&["-t", "k", "-q", "1", "-m", "two"]);
        // Stopped after the first, the second is still the server's.
        assert_eq!(sub(&["-t", "k", "-C", "1"]).finish().ok().text(), "one\n");
        assert_eq!(
            sub(&["-t", "k", "-C", "1", "-W", "20"])
                .finish()
                .ok()
                .text(),
            "two\n"
        );
        sub(&["-U", "k"]).finish().ok();
        broker.publish(&["-t", "k", "-q", "1", "-m", "three"]);
        let none = sub(&["-t", "other", "-W", "1"]).finish();
        assert_eq!((none.code, none.text()), (Some(27), ""));
    }
}

/// The will is published when the tool is killed.
#[test]
fn the_will_is_published() {
    let broker = broker!("the_will_is_published");
    let watcher = broker.subscriber(&["-t", "w", "-q", "1", "-C", "1"]);
    let will = [
        "--will-topic",
        "w",
        "--will-payload",
        "gone",
        "--will-qos",
        "1",
    ];
    let process = subscriber(&broker, &[&["-t", "x"][..], &will].concat());
    process.signal("KILL");
    assert_eq!(messages(&watcher.finish().ok().stdout), ["w|1|0|gone"]);
}

/// Exit codes: 27 for a time that is over, those of CONNACK, and of SUBACK and PUBACK in 5.0.
#[test]
fn exit_codes_tell_what_happened() {
    let broker = broker!("exit_codes_tell_what_happened", "allow_anonymous false");
    for (version, code) in [("31", 5), ("311", 5), ("5", 0x87)] {
        let refused = at(&broker, "pub", &["-V", version, "-t", "t", "-m", "x"]).finish();
        assert_eq!(refused.code, Some(code));
        assert!(
            refused
                .stderr
                .contains("help: are user name and password right? They are given with -u and -P"),
            "{refused:?}"
        );
        let quiet = at(&broker, "sub", &["-V", version, "-t", "t", "--quiet"]).finish();
        assert_eq!((quiet.code, &*quiet.stderr), (Some(code), ""));
    }
    let acl = broker!("exit_codes_tell_what_happened", "acl_file /dev/null");
    let denied = at(&acl, "pub", &["-V", "5", "-q", "1", "-t", "t", "-m", "x"]).finish();
    assert_eq!(denied.code, Some(0x87), "{denied:?}");
    let broker = broker!("exit_codes_tell_what_happened");
    let nothing = at(&broker, "sub", &["-t", "t", "-W", "1"]).finish();
    assert_eq!(nothing.code, Some(27));
    assert!(nothing.stderr.contains("timed out"));
}

/// Ctrl-C says goodbye, so that no will is published, and ends `sub` with 0 and `pub` with 130.
#[test]
fn an_interrupt_ends_in_order() {
    let broker = broker!("an_interrupt_ends_in_order");
    let watcher = broker.subscriber(&["-t", "#", "-C", "1"]);
    let will = ["--will-topic", "w", "--will-payload", "no"];
    for signal in ["INT", "TERM"] {
        let sub = subscriber(&broker, &[&["-t", "none"][..], &will].concat());
        sub.signal(signal);
        assert_eq!(sub.finish().code, Some(0));
        let mut publish = at(
            &broker,
            "pub",
            &[&["-d", "-l", "-t", "none/x"][..], &will].concat(),
        );
        publish.complains("connected");
        publish.signal(signal);
        publish.complains("disconnected");
        publish.feed(b"");
        assert_eq!(publish.finish().code, Some(130));
    }
    broker.publish(&["-t", "end", "-m", "x"]);
    assert_eq!(messages(&watcher.finish().ok().stdout), ["end|0|0|x"]);
}

/// Without a broker the tool says how to start one.
#[test]
fn a_missing_broker_is_explained() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let refused = run(&["pub", "-h", "127.0.0.1", "-p", &port, "-t", "t", "-m", "x"]);
    assert_eq!(refused.code, Some(1));
    let expected = format!(
        "error: connection refused by 127.0.0.1:{port}: is a broker running?\n\
         help: start one with `cargo run --release -p mqtt-broker`, or `mosquitto`\n"
    );
    assert_eq!(refused.stderr, expected);
}

/// Wrong arguments end with 1 and a sentence that says what is right; nothing is connected to.
#[test]
fn wrong_arguments_are_explained() {
    for (arguments, part) in [
        (&["pub", "-t", "a/#", "-m", "x"][..], "publish to one topic"),
        (&["pub", "-t", "t"], "required"),
        (&["pub", "-t", "t", "-m", "x", "--retian"], "--retain"),
        (
            &["pub", "-t", "t", "-f", "/no/such/file"],
            "cannot read /no/such/file",
        ),
        (&["pub", "-t", "t", "-m", "x", "-q", "3"], "0..=2"),
        (&["pub", "-t", "t", "-m", "x", "-P", "p"], "add -u NAME"),
        (
            &["pub", "-t", "t", "-m", "x", "-V", "311", "-x", "5"],
            "add -V 5",
        ),
        (
            &[
                "pub",
                "-t",
                "t",
                "-m",
                "x",
                "-D",
                "will",
                "content-type",
                "x",
            ],
            "add --will-topic",
        ),
        (&["sub", "-t", "a/#/b"], "is not a topic filter"),
        (&["sub", "-t", "t", "-c"], "add -i ID"),
        (&["sub", "-t", "t", "-F", "%Z"], "means nothing in a format"),
        (
            &["sub", "-t", "t", "-D", "subscribe", "content-type", "x"],
            "expected one of user-property",
        ),
        (
            &["sub", "-t", "t", "-D", "subscribe", "content-type", "x"],
            "'subscribe content-type x'",
        ),
        (&["nonsense"], "unrecognized subcommand"),
    ] {
        let wrong = run(arguments);
        assert_eq!(wrong.code, Some(1), "{arguments:?}: {wrong:?}");
        assert!(
            wrong.stderr.contains(part),
            "{arguments:?}: {}",
            wrong.stderr
        );
        assert!(wrong.stdout.is_empty());
    }
}

/// Help goes to standard output, with examples and exit codes; no colours without a terminal.
#[test]
fn help_is_help() {
    for (arguments, parts) in [
        (
            &["--help"][..],
            &["Examples:", "mqtt sub -v -t 'greenhouse/#'"][..],
        ),
        (
            &["pub", "--help"],
            &[
                "-h, --host <HOST>",
                "-V, --protocol-version <VERSION>",
                "Exit codes:",
            ],
        ),
        (&["sub", "--help"], &["-F, --format <FORMAT>", "%j", "27"]),
        (&["--version"], &["mqtt 0.1.0"]),
    ] {
        let help = run(arguments).ok();
        for part in parts {
            assert!(
                help.text().contains(part),
                "{arguments:?} has no {part:?}: {}",
                help.text()
            );
        }
        assert!(!help.text().contains('\x1b'));
    }
}
