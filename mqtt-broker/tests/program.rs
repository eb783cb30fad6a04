//! The program: what it says about its command line and its configuration, and with which status it ends.

mod support;

use core::time::Duration;
use std::net::TcpListener;
use std::process::{Command, Output};

use mqtt_codec::{QoS, Version};
use support::{Broker, Client, not_for_mosquitto};

fn run(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_mqtt-broker");
    Command::new(program)
        .args(args)
        .output()
        .expect("the program runs")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs with a configuration file of this text, only to check it.
fn check(text: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("broker.toml");
    std::fs::write(&file, text).expect("it is writable");
    let output = run(&["--check-config", "--config", file.to_str().expect("UTF-8")]);
    let said = error(&output).replace(file.to_str().expect("UTF-8"), "broker.toml");
    (output.status.code(), said)
}

#[test]
fn a_valid_configuration_is_called_valid() {
    let text = "listen = ['127.0.0.1:0']\nlog = 'off'\n[limits]\nqueue_messages = 100\n";
    assert_eq!(check(text), (Some(0), String::new()));
}

/// What a start would refuse, the check refuses: addresses included.
#[test]
fn addresses_are_checked_with_the_configuration() {
    let (status, said) = check("listen = ['0.0.0.0:0']\n");
    assert_eq!(status, Some(2));
    assert!(said.contains("allow_anonymous = true"), "{said}");
    let (status, said) = check("listen = ['nowhere:x']\n");
    assert_eq!(status, Some(2));
    assert!(said.contains("`nowhere:x` is no address"), "{said}");
    let open = "listen = ['0.0.0.0:0']\nallow_anonymous = true\n";
    assert_eq!(check(open), (Some(0), String::new()));
}

/// What counts with a data directory only is not passed over in silence: status 2, wherever it was said and wherever the directory is not.
#[test]
fn what_needs_a_data_directory_is_refused_without_one() {
    let (status, said) = check("listen = ['127.0.0.1:0']\n\ndurability = 'fsync'\n");
    assert_eq!(status, Some(2), "{said}");
    assert!(
        said.contains("error: `durability` (broker.toml:3) counts with a data directory only"),
        "{said}"
    );
    for (args, named) in [
        (&["--durability", "fsync"][..], "--durability"),
        (&["--repair"], "--repair"),
    ] {
        for only_check in [&[][..], &["--check-config"]] {
            let output = run(&[&["--listen", "127.0.0.1:0"], args, only_check].concat());
            let said = error(&output);
            assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
            let said_so = format!("error: {named} counts with a data directory only");
            assert!(said.contains(&said_so), "{args:?}: {said}");
        }
    }
    // What the file says and what the command line says count together.
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("broker.toml");
    let file = file.to_str().expect("UTF-8");
    let common = [
        "--check-config",
        "--listen",
        "127.0.0.1:0",
        "--config",
        file,
    ];
    for (text, args) in [
        ("durability = 'os'\n", &["--data-dir", "data"][..]),
        ("data_dir = 'data'\n", &["--durability", "none", "--repair"]),
    ] {
        std::fs::write(file, text).expect("it is writable");
        let output = run(&[&common[..], args].concat());
        assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    }
}

/// An unknown or ill-typed key: file, line, the nearest valid key, status 2.
#[test]
fn a_wrong_key_is_refused_with_file_line_and_the_nearest_key() {
    let (status, said) = check("[limits]\nqueue_mesages = 100\nreceive_maximum = \"many\"\n");
    assert_eq!(status, Some(2));
    assert_eq!(
        said,
        "error: broker.toml:2: there is no key `limits.queue_mesages`; the nearest one is `limits.queue_messages`\n\
         error: broker.toml:3: `limits.receive_maximum` takes a number 1..=65_535, not the string \"many\"\n"
    );
}

#[test]
fn an_address_that_others_reach_needs_a_word() {
    let output = run(&["--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(2));
    let said = error(&output);
    assert!(
        said.contains("allow_anonymous = true") && said.contains("--allow-anonymous"),
        "{said}"
    );
}

#[test]
fn a_port_in_use_is_explained() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let output = run(&["--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let said = error(&output);
    assert!(
        said.contains(&format!("{address} is in use")) && said.contains("--listen 127.0.0.1:"),
        "{said}"
    );
}

#[test]
fn mistakes_on_the_command_line_end_with_status_2() {
    for args in [
        &["--lisen", "x"][..],
        &["--log", "loud"],
        &["--listen", "nowhere:x"],
        &["--config", "/nowhere/broker.toml"],
    ] {
        let output = run(args);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            error(&output)
        );
        assert!(!output.stderr.is_empty());
    }
}

/// Every key of the configuration is in the long help.
#[test]
fn help_lists_options_and_keys() {
    let output = run(&["--help"]);
    let help = String::from_utf8_lossy(&output.stdout);
    for word in [
        "--listen",
        "--config",
        "--check-config",
        "--allow-anonymous",
        "--log",
        "[limits]",
        "queue_messages = 10_000",
    ] {
        assert!(help.contains(word), "{word} in {help}");
    }
}

/// The first signal waits for clients to take their goodbye; a second one does not.
#[test]
fn a_second_interrupt_ends_at_once() {
    not_for_mosquitto!("it ends at the first one");
    let mut broker = Broker::start();
    let _deaf = Client::subscribed(&broker, Version::V311, "deaf", "t", QoS::AtMostOnce);
    let mut publisher = Client::connect(&broker, Version::V5, "publisher");
    // More than the buffers of two sockets and of the broker: the goodbye of the subscriber cannot be written.
    let payload = "x".repeat(500_000);
    for _ in 0..60 {
        publisher.publish("t", &payload, QoS::AtLeastOnce);
    }
    broker.process().signal("INT");
    broker.process().wait_for("stopping");
    broker.process().signal("INT");
    let status = broker.process().wait(Duration::from_secs(4));
    assert_eq!(status.code(), Some(130));
}
