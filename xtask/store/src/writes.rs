//! What is written: one message for ten thousand sessions, and a queue that is filled and drained.

use std::io;
use std::thread;

use mqtt_crash::Durability;

use crate::contender::{Contender, fresh};
use crate::load::{End, Load};
use crate::process::{Usage, settle};
use crate::report::{Bar, Limit, Table};
use crate::{Bench, crowd, syncs};

const SESSIONS: usize = 10_000;
const PAYLOADS: [usize; 3] = [200, 1_000, 10_000];

/// Runs it.
pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    one_for_all(bench)?;
    filled_and_drained(bench)
}

fn ours(bench: &Bench) -> Contender {
    Contender::Ours(bench.broker.clone(), Durability::Fsync)
}

/// One message to many sessions that are away.
fn one_for_all(bench: &mut Bench) -> io::Result<()> {
    const TOPIC: &str = "bench/all";
    let folder = bench.folder.join("all");
    fresh(&folder)?;
    bench
        .progress
        .step("writes: 10,000 sessions subscribe and leave");
    let broker = ours(bench).start(&folder)?;
    let id = broker.running.id();
    crowd::pass_by(broker.address, "away", SESSIONS, |_| TOPIC.to_owned())?;
    let mut table = Table::new(
        format!("Bytes written for one message to {SESSIONS} sessions that are away"),
        &[
            "to write calls",
            "to the device",
            "write_bytes",
            "until PUBACK",
            "allowed",
        ],
    );
    for payload in PAYLOADS {
        bench
            .progress
            .step(&format!("writes: {payload} bytes to 10,000 sessions"));
        let mut load = Load::new(&[TOPIC.to_owned()], payload)?;
        load.publisher(broker.address)?;
        settle(id, bench.rest)?;
        let before = Usage::on_disk(id, &folder)?;
        load.publish(1, End::Messages(1))?;
        let answered = Usage::of(id)?.since(before);
        thread::sleep(bench.minute);
        let after = Usage::on_disk(id, &folder)?.since(before);
        let allowed = 3 * payload + 24 * SESSIONS;
        table.row(
            format!("{payload} bytes"),
            &[
                after.given,
                after.device(),
                after.dirtied,
                answered.given,
                allowed as u64,
            ]
            .map(|it| Some(it as f64)),
        );
        bench.bar(Bar::new(
            format!("{payload} bytes to 10,000 sessions that are away: bytes written"),
            Some(after.given.max(after.device()) as f64),
            Limit::AtMost(allowed as f64),
        ));
    }
    bench.table(table);
    Ok(())
}

/// Many messages to one session that is away, and then comes.
fn filled_and_drained(bench: &mut Bench) -> io::Result<()> {
    const TOPIC: &str = "bench/queue";
    const PAYLOAD: usize = 200;
    const WINDOW: u64 = 256;
    let messages: u64 = bench.drained;
    let contender = ours(bench);
    let mut table = Table::new(
        format!(
            "A queue of {messages} messages of {PAYLOAD} bytes filled and drained, {WINDOW} in flight"
        ),
        &[
            "device bytes",
            "of payload",
            "write_bytes of",
            "log of payload",
            "CPU us each",
            "a second",
            "a sync",
        ],
    );
    let folder = bench.folder.join("queue");
    fresh(&folder)?;
    bench
        .progress
        .step("writes: counting the syncs of a queue that is filled");
    let shared = if syncs::can_count() {
        let ((from, to, count), times) = syncs::watch(&contender, &folder, |broker| {
            let mut load = away(broker.address, TOPIC, PAYLOAD)?;
            let from = syncs::now();
            let count = messages / 10;
            load.publish(WINDOW, End::Messages(count))?;
            Ok((from, syncs::now(), count))
        })?;
        let syncs = times.iter().filter(|it| (from..to).contains(it)).count();
        Some(count as f64 / syncs.max(1) as f64)
    } else {
        None
    };
    fresh(&folder)?;
    bench.progress.step("writes: a queue is filled and drained");
    let broker = contender.start(&folder)?;
    let id = broker.running.id();
    let mut load = away(broker.address, TOPIC, PAYLOAD)?;
    settle(id, bench.rest)?;
    let sum = (messages * PAYLOAD as u64) as f64;
    let mut row = |name: &str, usage: Usage, seconds: f64, shared: Option<f64>| {
        let cpu = usage.cpu as f64 / 1000.0 / messages as f64;
        let of = |bytes: u64| Some(bytes as f64 / sum);
        let figures = [
            Some(usage.device() as f64),
            of(usage.device()),
            of(usage.dirtied),
            of(usage.log),
            Some(cpu),
            Some(messages as f64 / seconds),
            shared,
        ];
        table.row(name, &figures);
    };
    let before = Usage::on_disk(id, &folder)?;
    let start = std::time::Instant::now();
    load.publish(WINDOW, End::Messages(messages))?;
    let (filled, took) = (start.elapsed(), Usage::on_disk(id, &folder)?);
    row("filled", took.since(before), filled.as_secs_f64(), shared);
    let start_of_drain = std::time::Instant::now();
    load.subscriber(broker.address, "bench-subscriber", None)?;
    load.drain(messages)?;
    let drained = start_of_drain.elapsed();
    settle(id, bench.rest)?;
    let after = Usage::on_disk(id, &folder)?;
    row("drained", after.since(took), drained.as_secs_f64(), None);
    let whole = after.since(before);
    row("both", whole, (filled + drained).as_secs_f64(), None);
    bench.table(table);
    bench.bar(Bar::new(
        "a queue filled and drained: device bytes for each byte of payload",
        Some(whole.device() as f64 / sum),
        Limit::AtMost(4.0),
    ));
    if let Some(shared) = shared {
        bench.bar(Bar::new(
            "… with so many messages a sync",
            Some(shared),
            Limit::AtLeast(64.0),
        ));
    }
    Ok(())
}

/// A session that is away, and who publishes to it.
fn away(address: core::net::SocketAddr, topic: &str, payload: usize) -> io::Result<Load> {
    let mut load = Load::new(&[topic.to_owned()], payload)?;
    load.subscriber(address, "bench-subscriber", Some(topic))?;
    load.leave();
    load.publisher(address)?;
    Ok(load)
}
