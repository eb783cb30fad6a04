//! Controls of the suite: brokers that do next to nothing must fail it, ours must pass it, and Mosquitto must fail where it is known to.

mod support;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeSet;

use mqtt_broker::{Broker, BrokerBuilder, QoS};
use mqtt_conformance::report::{Totals, text};
use mqtt_conformance::{Options, Report, Verdict, cases, run};

use support::mosquitto::Mosquitto;
use support::note_skip;
use support::stub::Stub;

/// The cases that ask for nothing but an acknowledgement, which a broker that acknowledges everything can give; with the reason.
const ACKNOWLEDGED: &str = include_str!("acknowledged.txt");

/// Where Mosquitto 2.0.11 departs from the specification, and how.
const MOSQUITTO: &str = include_str!("mosquitto.txt");

/// Version and name of each line of a list that is no comment; the version `both` stands for both.
fn listed(list: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in list.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        let (version, name) = words.next().zip(words.next()).expect("version and name");
        assert!(words.next().is_some(), "`{line}` gives no reason");
        if version == "both" {
            names.insert(format!("3.1.1 {name}"));
            names.insert(format!("5.0 {name}"));
        } else {
            names.insert(format!("{version} {name}"));
        }
    }
    names
}

fn names(reports: &[Report], wanted: impl Fn(&Verdict) -> bool) -> BTreeSet<String> {
    reports
        .iter()
        .filter(|report| wanted(&report.verdict))
        .map(|report| format!("{} {}", report.case.version_name(), report.case.name()))
        .collect()
}

fn passed(reports: &[Report]) -> BTreeSet<String> {
    names(reports, |verdict| *verdict == Verdict::Passed)
}

fn lines(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    names
        .into_iter()
        .map(|name| format!("  {}\n", name.as_ref()))
        .collect()
}

fn run_stub(stub: Stub, patience: Duration) -> Vec<Report> {
    let options = Options {
        jobs: 128,
        patience,
        ..Options::default()
    };
    let reports = run(stub.start(), &cases(), &options, |_| ());
    eprintln!("{stub:?}: {:?}", Totals::of(&reports));
    let left_out = names(&reports, |verdict| {
        matches!(verdict, Verdict::NotApplicable(_))
    });
    assert!(
        left_out.is_empty(),
        "a stub lacks nothing, so that every case applies to it:\n{}",
        lines(left_out)
    );
    reports
}

/// No case passes against a broker that accepts connections and says nothing.
#[test]
fn silence_passes_nothing() {
    let passed = passed(&run_stub(Stub::Silent, Duration::from_millis(200)));
    assert!(
        passed.is_empty(),
        "these cases pass without a word of the broker, and prove nothing:\n{}",
        lines(passed)
    );
}

/// No case passes against a broker that sends every byte back.
#[test]
fn an_echo_passes_nothing() {
    let passed = passed(&run_stub(Stub::Echoing, Duration::from_millis(500)));
    assert!(
        passed.is_empty(),
        "these cases pass when the broker sends back what it gets:\n{}",
        lines(passed)
    );
}

/// No case passes against a broker that closes every connection as soon as something comes.
#[test]
fn closing_everything_passes_nothing() {
    let passed = passed(&run_stub(Stub::Closing, Duration::from_millis(500)));
    assert!(
        passed.is_empty(),
        "these cases pass when the broker refuses everything; let them show that it works for others:\n{}",
        lines(passed)
    );
}

/// Only the listed cases pass against a broker that acknowledges everything and does nothing.
#[test]
fn acknowledging_everything_passes_only_what_asks_for_nothing_else() {
    let passed = passed(&run_stub(Stub::Acknowledging, Duration::from_secs(3)));
    let listed = listed(ACKNOWLEDGED);
    let more: Vec<_> = passed.difference(&listed).collect();
    let less: Vec<_> = listed.difference(&passed).collect();
    assert!(
        more.is_empty(),
        "these cases pass against a broker that acknowledges whatever comes and does nothing; let them look at what the broker does, or list them in tests/acknowledged.txt with the reason:\n{}",
        lines(more)
    );
    assert!(
        less.is_empty(),
        "these cases stand in tests/acknowledged.txt, but do not pass there (any more), or are gone:\n{}",
        lines(less)
    );
}

fn our_broker(broker: BrokerBuilder) -> Vec<Report> {
    // What the broker publishes about itself is retained too.
    let broker = broker
        .settings(|settings| settings.sys_interval_ms = 0)
        .listen("127.0.0.1:0")
        .start_blocking()
        .expect("a free port on the loopback interface");
    let reports = run_all(broker.local_addrs()[0]);
    // The last connections may still be closing: now they are closed, and what was to end with them has ended.
    broker.shutdown_blocking();
    let metrics = broker.metrics();
    assert_eq!(
        (
            metrics.sessions.get(),
            metrics.retained.get(),
            metrics.subscriptions.get()
        ),
        (0, 0, 0),
        "sessions, retained messages and subscriptions that cases left behind"
    );
    let totals = Totals::of(&reports);
    assert_eq!(totals.failed, 0, "our broker fails:\n{}", text(&reports));
    reports
}

fn run_all(address: SocketAddr) -> Vec<Report> {
    let reports = run(address, &cases(), &Options::default(), |_| ());
    eprintln!("{:?}", Totals::of(&reports));
    reports
}

/// Every case passes against our broker, with one worker.
#[test]
fn our_broker_passes_everything() {
    let reports = our_broker(Broker::builder().workers(1));
    assert_eq!(passed(&reports).len(), reports.len(), "{}", text(&reports));
}

/// Every case passes against our broker when its clients are spread over three workers.
#[test]
fn our_broker_passes_everything_with_three_workers() {
    let reports = our_broker(Broker::builder().workers(3));
    assert_eq!(passed(&reports).len(), reports.len(), "{}", text(&reports));
}

/// Our broker with less than everything on offer passes what still applies: the statements about that are shown nowhere else.
#[test]
fn our_broker_with_narrow_limits_fails_nothing() {
    let reports = our_broker(Broker::builder().settings(|settings| {
        settings.keep_alive_maximum = 300;
        let limits = &mut settings.limits;
        limits.maximum_qos = QoS::AtLeastOnce;
        limits.retain_available = false;
        limits.receive_maximum = 3;
        limits.topic_alias_maximum = 2;
        limits.maximum_packet_size = 70_000;
    }));
    let left_out = names(&reports, |verdict| {
        matches!(verdict, Verdict::NotApplicable(_))
    });
    assert!(
        !left_out.is_empty() && left_out.len() * 3 < reports.len(),
        "most cases apply to such a broker, but not all:\n{}",
        lines(left_out)
    );
}

/// Mosquitto fails exactly the cases that are listed.
#[test]
fn mosquitto_fails_what_is_listed() {
    let mosquitto = match Mosquitto::start() {
        Ok(mosquitto) => mosquitto,
        Err(install) => return note_skip("controls::mosquitto_fails_what_is_listed", &install),
    };
    let reports = run_all(mosquitto.address());
    let failed = names(&reports, |verdict| matches!(verdict, Verdict::Failed(_)));
    let listed = listed(MOSQUITTO);
    let more: Vec<_> = failed.difference(&listed).collect();
    assert!(
        more.is_empty(),
        "Mosquitto fails these cases, which tests/mosquitto.txt does not list: either the case asks for more than the specification does, or the list lacks a line with the reason:\n{}\n{}",
        lines(more),
        text(&reports)
    );
    let less: Vec<_> = listed.difference(&failed).collect();
    assert!(
        less.is_empty(),
        "tests/mosquitto.txt says that Mosquitto fails these cases, but it passes, or they are gone: does the case still see what it is about?\n{}",
        lines(less)
    );
}

/// A case without a sentence says nothing in a report.
#[test]
fn every_case_says_what_it_is_about() {
    let cases = cases();
    let mut seen = BTreeSet::new();
    for case in &cases {
        assert!(
            case.about().ends_with('.') && case.about().len() > 10,
            "{} says too little: `{}`",
            case.name(),
            case.about()
        );
        assert!(
            seen.insert((case.version_name(), case.name())),
            "{} is there twice",
            case.name()
        );
    }
}
