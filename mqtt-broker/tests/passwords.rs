//! User names and passwords: what clients see, what the worker does meanwhile, and what the operator types.

mod support;

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params};
use mqtt_broker::{
    Broker as Library, BrokerHandle, ConnectAnswer, ConnectRequest, Decision, Hooks,
    PasswordSettings, Users,
};
use mqtt_codec::{Auth, Connect, Properties, Property, QoS, ReasonCode, Version};
use support::frame::{Encode as _, VERSIONS, at};
use support::{Broker, Client, Tool, eventually, foreign, need, not_for_mosquitto};

const RIGHT: ReasonCode = ReasonCode::SUCCESS;
const WRONG: ReasonCode = ReasonCode::BAD_USER_NAME_OR_PASSWORD;
const NOTHING: ReasonCode = ReasonCode::NOT_AUTHORIZED;

/// A hash that takes seconds to check, of a password that nobody knows.
const SLOW: &str =
    "$argon2id$v=19$m=131072,t=8,p=1$c2FsdHNhbHQ$3HwBd1eILDq8Pyo8aFI3BDN3CK1sZ8gYAfUkYmvbpQE";

/// A hash that takes no time to check.
fn quick(password: &[u8]) -> String {
    let parameters = Params::new(8, 1, 1, None).expect("valid parameters");
    let hasher = Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, parameters);
    let hash = hasher.hash_password(password);
    hash.expect("a hash").to_string()
}

/// Alice has the password `secret`, bob has one that is not text.
fn users() -> Users {
    let mut users = Users::new();
    for (name, password) in [("alice", &b"secret"[..]), ("bob", b"\xff\x00")] {
        users.insert(name, &quick(password)).expect("a hash");
    }
    users
}

/// The same users in a file, after some lines.
fn file(lines: &str) -> String {
    let (alice, bob) = (quick(b"secret"), quick(b"\xff\x00"));
    format!("{lines}\n[users]\nalice = \"{alice}\"\nbob = '{bob}'\n")
}

fn hello<'a>(version: Version, name: Option<&'a str>, password: Option<&'a [u8]>) -> Connect<'a> {
    Connect {
        user_name: name,
        password,
        ..Connect::new(version, "client")
    }
}

/// Connects, and gives the reason in CONNACK, after which a refused client's connection is closed.
#[track_caller]
fn answer(broker: &Broker, connect: &Connect<'_>) -> ReasonCode {
    let (mut client, frame) = Client::try_connect(broker, connect);
    let reason = frame.conn_ack().reason;
    if reason == RIGHT {
        client.ping();
    } else {
        client.expect_end();
    }
    reason
}

/// Right ones are let in; everybody else gets a CONNACK with the code of the version, then the end. [MQTT-3.1.4-2] [MQTT-3.1.4-5]
/// [3.1.1:MQTT-3.2.2-5]
#[test]
fn only_a_right_name_and_password_get_in() {
    not_for_mosquitto!("another file of users");
    let broker = Broker::configured(&file(""), "");
    for version in VERSIONS {
        for (name, password, reason) in [
            (Some("alice"), Some(&b"secret"[..]), RIGHT),
            (Some("bob"), Some(b"\xff\x00"), RIGHT),
            (Some("alice"), Some(b"Secret"), WRONG),
            (Some("alice"), Some(b"secret "), WRONG),
            (Some("alice"), Some(b""), WRONG),
            (Some("alice"), Some(b"\xff\x00"), WRONG),
            (Some("Alice"), Some(b"secret"), WRONG),
            (Some(""), Some(b"secret"), WRONG),
            (Some("mallory"), Some(b"secret"), WRONG),
            (Some("alice"), None, WRONG),
            (None, None, NOTHING),
        ] {
            let got = answer(&broker, &hello(version, name, password));
            assert_eq!(got, reason, "{version}: {name:?} {password:?}");
        }
    }
    // Only 5.0 can say a password alone.
    let alone = hello(Version::V5, None, Some(b"secret"));
    assert_eq!(answer(&broker, &alone), WRONG);

    // The numbers on the wire.
    for (version, wrong, nothing) in [(Version::V311, 4, 5), (Version::V5, 0x86, 0x87)] {
        for (connect, code) in [
            (hello(version, Some("alice"), Some(b"")), wrong),
            (hello(version, None, None), nothing),
        ] {
            let (_, frame) = Client::try_connect(&broker, &connect);
            assert_eq!(frame.bytes[3], code);
        }
    }
}

/// What a client sends right behind its CONNECT waits for the verdict, and is forgotten with a refusal. [MQTT-3.1.4-6]
#[test]
fn what_comes_behind_connect_waits_for_the_password() {
    not_for_mosquitto!("another file of users");
    let broker = Broker::configured(&file(""), "");
    let mut watcher = Client::connect_with(
        &broker,
        &Connect {
            user_name: Some("alice"),
            password: Some(b"secret"),
            ..Connect::new(Version::V5, "watcher")
        },
    )
    .0;
    watcher.subscribe(&[("#", at(QoS::AtMostOnce))]);
    for (password, payload) in [(&b"wrong"[..], "bad"), (b"secret", "good")] {
        let mut client = Client::open(&broker, Version::V5);
        let mut bytes = hello(Version::V5, Some("alice"), Some(password)).bytes(Version::V5);
        bytes.extend(support::frame::publish("t", payload).bytes(Version::V5));
        client.send_bytes(&bytes);
        let reason = client.receive().conn_ack().reason;
        assert_eq!(reason == RIGHT, payload == "good");
    }
    assert_eq!(watcher.take_text(), "t|0|0|good");
}

/// `allow_anonymous` lets in who gives no name; a name is checked all the same.
#[test]
fn nobody_in_particular_may_be_allowed_beside_the_users() {
    not_for_mosquitto!("another file of users");
    let broker = Broker::configured(&file("allow_anonymous = true"), "");
    for version in VERSIONS {
        for (name, password, reason) in [
            (None, None, RIGHT),
            (Some("alice"), Some(&b"secret"[..]), RIGHT),
            (Some("alice"), Some(b"wrong"), WRONG),
            (Some("alice"), None, WRONG),
            (Some("mallory"), Some(b"secret"), WRONG),
        ] {
            let got = answer(&broker, &hello(version, name, password));
            assert_eq!(got, reason, "{version}: {name:?} {password:?}");
        }
    }
}

/// Mosquitto's tools with -u and -P, in all versions.
#[test]
fn mosquitto_pub_gives_user_and_password() {
    not_for_mosquitto!("another file of users");
    let tools = need!(foreign::mosquitto_tools());
    let broker = Broker::configured(&file(""), "");
    let mut subscriber = tools.subscribe(
        broker.port(),
        &["-t", "t", "-u", "alice", "-P", "secret", "-C", "3"],
    );
    for version in ["31", "311", "5"] {
        let said = ["-V", version, "-t", "t", "-m", version, "-q", "1"];
        let with = |more: &[&'static str]| [&said, more].concat();
        tools.publish(broker.port(), &with(&["-u", "alice", "-P", "secret"]));
        subscriber.wait_for(&format!("MSG t|0|0|{version}"));
        for (wrong, told) in [
            (
                &["-u", "alice", "-P", "Secret"][..],
                "bad user name or password",
            ),
            (&["-u", "alice", "-P", ""], "bad user name or password"),
            (
                &["-u", "mallory", "-P", "secret"],
                "bad user name or password",
            ),
            (&["-u", "alice"], "bad user name or password"),
            (&[], "not authori"),
        ] {
            let mut tool = tools.start_publish(broker.port(), &with(wrong));
            tool.find(told, |line| {
                line.to_ascii_lowercase().contains(told).then_some(())
            });
            assert!(!tool.wait(Duration::from_secs(15)).success());
        }
    }
}

/// A password takes seconds to check, and the only worker serves others as if nothing was; a right password does not wait for a wrong one.
#[test]
fn the_worker_goes_on_serving_others_meanwhile() {
    not_for_mosquitto!("another file of users");
    let alice = quick(b"secret");
    let toml = format!(
        "workers = 1\npasswords.threads = 2\n[users]\nalice = '{alice}'\nslow = '{SLOW}'\n"
    );
    let broker = Broker::configured(&toml, "");
    let mut other = Client::connect_with(
        &broker,
        &Connect {
            client_id: "other",
            ..hello(Version::V5, Some("alice"), Some(b"secret"))
        },
    )
    .0;
    let mut slow = TcpStream::connect(broker.address()).expect("it listens");
    let connect = hello(Version::V5, Some("slow"), Some(b"wrong"));
    slow.write_all(&connect.bytes(Version::V5))
        .expect("it reads");
    other.subscribe(&[("t", at(QoS::AtLeastOnce))]);
    for _ in 0..10 {
        other.publish("t", "m", QoS::AtLeastOnce);
        other.take();
        other.ping();
    }
    assert_eq!(
        answer(
            &broker,
            &hello(Version::V311, Some("alice"), Some(b"wrong"))
        ),
        WRONG
    );
    slow.set_nonblocking(true).expect("a socket");
    let early = slow.peek(&mut [0]);
    assert_eq!(
        early.map_err(|error| error.kind()),
        Err(ErrorKind::WouldBlock),
        "it was answered before the others"
    );
    let mut connack = [0];
    eventually("the slow one is answered", || {
        slow.peek(&mut connack).is_ok()
    });
    assert_eq!(connack, [0x20]);
}

/// Only so many may wait; the others are told at once that the server is busy: 0x89, or 3 before 5.0. [MQTT-3.1.4-2]
#[test]
fn more_than_can_wait_are_told_that_the_server_is_busy() {
    let mut users = users();
    // As slow as is allowed: nobody waits for it.
    let slowest = SLOW.replace("t=8", "t=32");
    users.insert("slow", &slowest).expect("a hash");
    let broker = start(
        |settings| {
            settings.threads = 1;
            settings.queue = 1;
        },
        users,
    );
    let counters = broker.metrics();
    let slow = || {
        let mut client = Client::open_at(broker.local_addrs()[0], Version::V5);
        client.send(&hello(Version::V5, Some("slow"), Some(b"wrong")));
        client
    };
    let _checked = slow();
    eventually("one is being checked", || {
        counters.passwords_checked.get() == 1
    });
    let _waiting = [slow(), slow(), slow()];
    eventually("one waits, which leaves two", || {
        counters.passwords_unchecked.get() == 2
    });
    for (version, code) in VERSIONS.into_iter().zip([3, 3, 0x89]) {
        let mut client = Client::open_at(broker.local_addrs()[0], version);
        client.send(&hello(version, Some("alice"), Some(b"secret")));
        let frame = client.receive();
        assert_eq!(frame.bytes[3], code, "{frame:?}");
        client.expect_end();
    }
    assert_eq!(counters.passwords_unchecked.get(), 5);
}

fn start(passwords: impl FnOnce(&mut PasswordSettings), users: Users) -> BrokerHandle {
    Library::builder()
        .listen("127.0.0.1:0")
        .users(users)
        .passwords(passwords)
        .start_blocking()
        .expect("the broker starts")
}

fn ask(broker: &BrokerHandle, connect: &Connect<'_>) -> ReasonCode {
    let mut client = Client::open_at(broker.local_addrs()[0], connect.version);
    client.send(connect);
    client.receive().conn_ack().reason
}

/// Who waited too long is told so instead of being checked.
#[test]
fn a_password_that_waited_too_long_is_not_checked() {
    let mut users = users();
    users.insert("slow", SLOW).expect("a hash");
    let broker = start(
        |settings| {
            settings.threads = 1;
            settings.wait = Duration::from_millis(1);
        },
        users,
    );
    let counters = broker.metrics();
    // On a busy machine the first ones may come too late themselves.
    let mut slow = loop {
        let mut slow = Client::open_at(broker.local_addrs()[0], Version::V5);
        let before = counters.passwords_unchecked.get();
        slow.send(&hello(Version::V5, Some("slow"), Some(b"wrong")));
        eventually("it is being checked, or is late", || {
            counters.passwords_checked.get() == 1 || counters.passwords_unchecked.get() > before
        });
        if counters.passwords_checked.get() == 1 {
            break slow;
        }
        assert_eq!(slow.receive().conn_ack().reason, ReasonCode::SERVER_BUSY);
    };
    let before = counters.passwords_unchecked.get();
    let late = hello(Version::V5, Some("alice"), Some(b"secret"));
    assert_eq!(ask(&broker, &late), ReasonCode::SERVER_BUSY);
    assert_eq!(counters.passwords_unchecked.get(), before + 1);
    assert_eq!(slow.receive().conn_ack().reason, WRONG);
}

/// A storm of clients of known users costs one check each user; a wrong password and an unknown name are checked every time.
#[test]
fn a_right_password_is_remembered_and_a_wrong_one_is_not() {
    let broker = start(|_| {}, users());
    let right = hello(Version::V5, Some("alice"), Some(b"secret"));
    for _ in 0..50 {
        assert_eq!(ask(&broker, &right), RIGHT);
    }
    let counters = broker.metrics();
    assert_eq!(counters.passwords_checked.get(), 1);
    for name in ["alice", "mallory"] {
        let wrong = hello(Version::V5, Some(name), Some(b"wrong"));
        for _ in 0..3 {
            assert_eq!(ask(&broker, &wrong), WRONG);
        }
    }
    assert_eq!(counters.passwords_checked.get(), 7);
    assert_eq!(counters.passwords_wrong.get(), 6);
    assert_eq!(ask(&broker, &right), RIGHT);
    assert_eq!(counters.passwords_checked.get(), 7);
    assert_eq!(counters.passwords_unchecked.get(), 0);
}

/// A hundred clients of one user that come at once need few checks, and all get in.
#[test]
fn a_storm_of_one_user_is_let_in() {
    let broker = start(|settings| settings.threads = 1, users());
    let names: Vec<_> = (0..100).map(|number| format!("c{number}")).collect();
    let mut clients: Vec<_> = names
        .iter()
        .map(|name| {
            let mut client = Client::open_at(broker.local_addrs()[0], Version::V5);
            client.send(&Connect {
                client_id: name,
                ..hello(Version::V5, Some("alice"), Some(b"secret"))
            });
            client
        })
        .collect();
    for client in &mut clients {
        assert_eq!(client.receive().conn_ack().reason, RIGHT);
    }
    assert_eq!(broker.metrics().passwords_checked.get(), 1);
}

#[test]
fn with_zero_nothing_is_remembered() {
    let broker = start(|settings| settings.remember = Duration::ZERO, users());
    for _ in 0..3 {
        let right = hello(Version::V311, Some("alice"), Some(b"secret"));
        assert_eq!(ask(&broker, &right), RIGHT);
    }
    assert_eq!(broker.metrics().passwords_checked.get(), 3);
}

/// Nobody is known: nobody with a name gets in, at once.
#[test]
fn without_any_user_nobody_gets_in() {
    let broker = start(|_| {}, Users::new());
    for (name, reason) in [(Some("alice"), WRONG), (None, NOTHING)] {
        let connect = hello(Version::V5, name, name.map(|_| &b"secret"[..]));
        assert_eq!(ask(&broker, &connect), reason);
    }
}

/// Counts the questions, knows only the client ids that begin with `c`, and has a method `twice` of two steps.
#[derive(Debug, Default)]
struct Counting {
    asked: Arc<AtomicUsize>,
}

impl Hooks for Counting {
    fn connect(&self, request: &ConnectRequest) -> Decision {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if request.authentication_method.is_some() {
            return match request.authentication_step {
                0 => Decision::Challenge(Box::from(*b"again")),
                _ => Decision::Accept,
            };
        }
        match &*request.client_id {
            "later" => Decision::Ask,
            id if id.starts_with('c') => Decision::Accept,
            _ => Decision::Refuse(ReasonCode::BANNED),
        }
    }

    fn connect_later(&self, request: ConnectRequest, answer: ConnectAnswer) {
        assert_eq!(request.password.as_deref(), Some(&b"secret"[..]));
        answer.with(Decision::Accept);
    }
}

fn with_hooks() -> (BrokerHandle, Arc<AtomicUsize>) {
    let hooks = Counting::default();
    let asked = Arc::clone(&hooks.asked);
    let broker = Library::builder()
        .listen("127.0.0.1:0")
        .users(users())
        .hooks(hooks)
        .start_blocking()
        .expect("the broker starts");
    (broker, asked)
}

/// Hooks are asked about those whose password was right, and about nobody else; remembered ones included.
#[test]
fn hooks_are_asked_after_the_password_was_right() {
    let (broker, asked) = with_hooks();
    for (id, password, reason, questions) in [
        ("client", Some(&b"wrong"[..]), WRONG, 0),
        ("client", None, WRONG, 0),
        ("client", Some(b"secret"), RIGHT, 1),
        ("client", Some(b"secret"), RIGHT, 2),
        ("stranger", Some(b"secret"), ReasonCode::BANNED, 3),
        ("later", Some(b"secret"), RIGHT, 4),
        ("later", Some(b"wrong"), WRONG, 4),
    ] {
        let connect = Connect {
            client_id: id,
            ..hello(Version::V5, Some("alice"), password)
        };
        assert_eq!(ask(&broker, &connect), reason, "{id} {password:?}");
        assert_eq!(asked.load(Ordering::Relaxed), questions);
    }
    let nobody = Connect::new(Version::V5, "client");
    assert_eq!(ask(&broker, &nobody), NOTHING);
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

/// Enhanced authentication comes on top: its CONNECT needs the password, its AUTH packets do not, nor does doing it again later.
/// [MQTT-4.12.0-2] [MQTT-4.12.1-1]
#[test]
fn enhanced_authentication_does_not_get_around_the_password() {
    let (broker, asked) = with_hooks();
    let method = [Property::AuthenticationMethod("twice")];
    let begin = |password| Connect {
        properties: Properties::List(&method),
        ..hello(Version::V5, Some("alice"), Some(password))
    };
    assert_eq!(ask(&broker, &begin(b"wrong")), WRONG);
    assert_eq!(asked.load(Ordering::Relaxed), 0);

    let mut client = Client::open_at(broker.local_addrs()[0], Version::V5);
    client.send(&begin(b"secret"));
    let challenge = client.receive();
    assert_eq!(challenge.auth().reason, ReasonCode::CONTINUE_AUTHENTICATION);
    let mut step = |reason| {
        client.send(&Auth {
            reason,
            properties: Properties::List(&method),
        });
        client.receive()
    };
    let connack = step(ReasonCode::CONTINUE_AUTHENTICATION);
    assert_eq!(connack.conn_ack().reason, RIGHT);
    let again = step(ReasonCode::RE_AUTHENTICATE);
    assert_eq!(again.auth().reason, RIGHT);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mqtt-broker"))
}

fn hash_password(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = program()
        .arg("hash-password")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut pipe = child.stdin.take().expect("piped");
    pipe.write_all(input).expect("it reads");
    drop(pipe);
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("UTF-8")
}

/// One line in a pipe gives the hash on standard output, the line for the file on standard error, and the file lets its user in.
#[test]
fn hash_password_makes_the_line_that_lets_its_user_in() {
    not_for_mosquitto!("another file of users");
    let output = hash_password(&["site/7"], b"open sesame\n");
    assert!(output.status.success());
    let hash = text(&output.stdout);
    assert!(
        hash.starts_with("$argon2id$") && hash.ends_with('\n'),
        "{hash}"
    );
    let line = format!("\"site/7\" = \"{}\"", hash.trim_end());
    let said = text(&output.stderr);
    assert_eq!(said.lines().last(), Some(&*line));
    assert!(!said.contains("sesame"));

    let broker = Broker::configured(&format!("[users]\n{line}\n"), "");
    for (password, reason) in [(&b"open sesame"[..], RIGHT), (b"open sesame\n", WRONG)] {
        let connect = hello(Version::V311, Some("site/7"), Some(password));
        assert_eq!(answer(&broker, &connect), reason);
    }
}

#[test]
fn hash_password_refuses_what_is_no_password() {
    for (input, told) in [
        (&b""[..], "1 to 65,535 bytes"),
        (b"\n", "1 to 65,535 bytes"),
        (&[b'a'; 65_537], "1 to 65,535 bytes"),
        (b"two\nlines\n", "more than one line"),
    ] {
        let output = hash_password(&[], input);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert!(text(&output.stderr).contains(told), "{told}");
    }
}

#[test]
fn the_help_says_how_to_make_a_user() {
    let help = |arguments: &[&str]| {
        let output = program().args(arguments).output().expect("it runs");
        assert!(output.status.success());
        text(&output.stdout).to_owned()
    };
    let all = help(&["--help"]);
    assert!(
        all.contains("hash-password") && all.contains("[users]"),
        "{all}"
    );
    let one = help(&["hash-password", "--help"]);
    assert!(
        one.contains("without showing it") && one.contains("pipe"),
        "{one}"
    );
}

/// A file whose hashes are none is refused with file, line and what to do, and what stands there is not repeated.
#[test]
fn a_file_with_a_password_in_it_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("broker.toml");
    let hash = quick(b"secret");
    for (toml, line, told) in [
        (
            "[users]\nalice = 'hunter2'\n".to_owned(),
            2,
            "hash-password",
        ),
        (
            format!("[users]\nalice = '{hash}'\nbob = 1\n"),
            3,
            "hash-password",
        ),
        (
            format!("[users]\na = '{hash}'\n[users]\nb = '{hash}'\n"),
            3,
            "duplicate",
        ),
        (
            format!("[users]\na = '{hash}'\na = '{hash}'\n"),
            3,
            "duplicate",
        ),
        ("users = 'hunter2'\n".to_owned(), 1, "[users]"),
        (
            "[passwords]\nthread = 2\n".to_owned(),
            2,
            "passwords.threads",
        ),
    ] {
        std::fs::write(&file, &toml).expect("it is writable");
        let output = program()
            .args(["--check-config", "--config"])
            .arg(&file)
            .output()
            .expect("it runs");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let place = format!("{}:{line}: ", file.display());
        assert!(
            said.contains(&place) && said.contains(told),
            "{toml}: {said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
    }
}

/// With users, an address that others reach needs no further word; without, the refusal names the way.
#[test]
fn users_open_addresses_that_others_reach() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("broker.toml");
    let mut command = program();
    command
        .args(["--listen", "0.0.0.0:0", "--config"])
        .arg(&path);

    std::fs::write(&path, "").expect("it is writable");
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("hash-password"));

    std::fs::write(&path, file("")).expect("it is writable");
    let mut broker = Tool::spawn(&mut command);
    broker.wait_for("listening on 0.0.0.0:");
    broker.signal("TERM");
    assert!(broker.wait(Duration::from_secs(15)).success());
}

/// Whatever is logged, passwords and hashes are not in it.
#[test]
fn no_log_shows_a_password() {
    not_for_mosquitto!("another log");
    let toml = file("log = 'trace'");
    let mut broker = Broker::configured(&toml, "");
    for password in [&b"secret"[..], b"s3cr3t-but-wrong"] {
        answer(&broker, &hello(Version::V5, Some("alice"), Some(password)));
    }
    let process = broker.process();
    process.signal("TERM");
    process.wait(Duration::from_secs(15));
    process.rewind();
    let log = process.rest().join("\n");
    assert!(log.contains("alice") && log.contains("refused"), "{log}");
    for never in ["secret", "s3cr3t", "argon2"] {
        assert!(!log.contains(never), "{log}");
    }
}
