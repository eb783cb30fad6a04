//! What waits, in memory; and how long a restart with it takes.

use std::io;
use std::path::Path;
use std::thread;

use mqtt_crash::Durability;

use crate::contender::{Broker, Contender, fresh};
use crate::load::{End, Load};
use crate::process::{resident, settle};
use crate::report::{Bar, Limit, Table};
use crate::{Bench, crowd};

const PAYLOAD: usize = 200;
const SESSIONS: usize = 10_000;
/// Bytes for each message that waits: 64 MB for a million.
const EACH: f64 = 64.0;
const MB: f64 = 1e6;

/// Runs it.
pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    queued(bench)?;
    idle(bench)
}

fn ours(bench: &Bench) -> Contender {
    Contender::Ours(bench.broker.clone(), Durability::Fsync)
}

/// Resident bytes when nothing happens any more.
fn rested(bench: &Bench, broker: &Broker) -> io::Result<f64> {
    settle(broker.running.id(), bench.rest)?;
    thread::sleep(bench.rest);
    Ok(resident(broker.running.id())? as f64)
}

fn queued(bench: &mut Bench) -> io::Result<()> {
    let messages = bench.queued;
    let mut table = Table::new(
        format!(
            "{messages} messages of {PAYLOAD} bytes wait: MB in memory above the empty broker, and a restart with them"
        ),
        &[
            "empty MB",
            "MB above",
            "bytes each",
            "kill: s",
            "kill: MB above",
            "stop: s",
            "stop: MB above",
            "filled/s",
            "drained/s",
        ],
    );
    for sessions in [1, 100] {
        let name = match sessions {
            1 => "in one session".to_owned(),
            _ => format!("in {sessions} sessions"),
        };
        let figures = fill(bench, &name, sessions, messages)?;
        table.row(&name, &figures.map(Some));
        bench.bar(Bar::new(
            format!("{messages} messages of {PAYLOAD} bytes {name}: MB in memory"),
            Some(figures[1]),
            Limit::AtMost(EACH * messages as f64 / MB),
        ));
    }
    bench.table(table);
    Ok(())
}

/// Fills queues, restarts the broker twice, and drains them.
fn fill(bench: &mut Bench, name: &str, sessions: usize, messages: u64) -> io::Result<[f64; 9]> {
    let folder = bench.folder.join("memory");
    fresh(&folder)?;
    let contender = ours(bench);
    let mut broker = contender.start(&folder)?;
    bench
        .progress
        .step(&format!("memory: messages are queued {name}"));
    let empty = rested(bench, &broker)?;
    let topics: Vec<String> = (0..sessions).map(|it| format!("bench/{it}")).collect();
    let client = |place: usize| format!("sleeper-{place}");
    let mut load = Load::new(&topics, PAYLOAD)?;
    for (place, topic) in topics.iter().enumerate() {
        load.subscriber(broker.address, &client(place), Some(topic))?;
        load.leave();
    }
    load.publisher(broker.address)?;
    let start = std::time::Instant::now();
    load.publish(1000, End::Messages(messages))?;
    let filled = messages as f64 / start.elapsed().as_secs_f64();
    load.end_publishing();
    let above = rested(bench, &broker)? - empty;
    bench
        .progress
        .step(&format!("memory: restarts with messages {name}"));
    broker.running.kill();
    let (killed, killed_mb) = again(bench, &contender, &folder, &mut broker)?;
    if !broker.running.stop()? {
        return Err(io::Error::other("the broker does not stop"));
    }
    let (stopped, stopped_mb) = again(bench, &contender, &folder, &mut broker)?;
    bench
        .progress
        .step(&format!("memory: messages are drained {name}"));
    let start = std::time::Instant::now();
    for place in 0..sessions {
        load.subscriber(broker.address, &client(place), None)?;
        let share = messages / sessions as u64;
        load.drain(share * (place as u64 + 1))?;
        load.leave();
    }
    let drained = messages as f64 / start.elapsed().as_secs_f64();
    Ok([
        empty / MB,
        above / MB,
        above / messages as f64,
        killed,
        (killed_mb - empty) / MB,
        stopped,
        (stopped_mb - empty) / MB,
        filled,
        drained,
    ])
}

/// Starts on what is there: seconds until it listens, and resident bytes then.
fn again(
    bench: &Bench,
    contender: &Contender,
    folder: &Path,
    broker: &mut Broker,
) -> io::Result<(f64, f64)> {
    *broker = contender.start(folder)?;
    Ok((broker.opened, rested(bench, broker)?))
}

/// Sessions that have nothing to do.
fn idle(bench: &mut Bench) -> io::Result<()> {
    let mut table = Table::new(
        format!(
            "{SESSIONS} persistent sessions with a subscription each: bytes each in memory, and a restart with them"
        ),
        &["bytes each", "kill: s", "bytes each after"],
    );
    let filter = |place: usize| format!("device/{place}/command");
    for connected in [false, true] {
        let name = if connected { "connected" } else { "away" };
        bench
            .progress
            .step(&format!("memory: 10,000 sessions, {name}"));
        let folder = bench.folder.join("idle");
        fresh(&folder)?;
        let contender = ours(bench);
        let mut broker = contender.start(&folder)?;
        let empty = rested(bench, &broker)?;
        let connections = if connected {
            crowd::arrive(broker.address, "idle", SESSIONS, filter)?
        } else {
            crowd::pass_by(broker.address, "idle", SESSIONS, filter)?;
            Vec::new()
        };
        let each = |bytes: f64| Some((bytes - empty) / SESSIONS as f64);
        let full = rested(bench, &broker)?;
        broker.running.kill();
        drop(connections);
        let (seconds, after) = again(bench, &contender, &folder, &mut broker)?;
        table.row(name, &[each(full), Some(seconds), each(after)]);
    }
    bench.table(table);
    Ok(())
}
