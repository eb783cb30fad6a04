//! Messages a second through one publisher and one persistent subscriber, beside other brokers and plain files.

use core::time::Duration;
use std::io;

use mqtt_crash::Durability;

use crate::contender::{Contender, fresh};
use crate::load::{End, Load};
use crate::process::Usage;
use crate::report::{Bar, Limit, Table};
use crate::{Bench, floor, syncs};

/// Messages in flight.
const WINDOWS: [u64; 3] = [16, 256, 1000];
/// Where the bars are.
const JUDGED: u64 = 256;
const PAYLOAD: usize = 200;
const TOPIC: &str = "bench/rate";

/// One contender with one window.
#[derive(Clone, Debug, Default)]
struct Cell {
    rate: Vec<f64>,
    /// Microseconds of processor time for each message.
    cpu: Vec<f64>,
    /// Bytes written to the device for each byte of payload.
    device: Vec<f64>,
    /// Bytes of log for each message.
    log: Vec<f64>,
}

/// Everybody with one window.
#[derive(Clone, Debug)]
struct Row {
    window: u64,
    cells: Vec<Cell>,
    /// Messages that share a sync of ours, and whether that was counted.
    shared: f64,
    counted: bool,
    append: Vec<f64>,
    overwrite: Vec<f64>,
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Runs it.
pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let contenders = contenders(bench);
    let mut rows = Vec::new();
    let shared = count_syncs(bench)?;
    for (window, shared) in WINDOWS.into_iter().zip(shared) {
        rows.push(Row {
            window,
            cells: vec![Cell::default(); contenders.len()],
            // Without strace: as if each window was one batch, which is the most it can be.
            shared: shared.unwrap_or(window as f64),
            counted: shared.is_some(),
            append: Vec::new(),
            overwrite: Vec::new(),
        });
    }
    let mut given_up = vec![false; contenders.len()];
    for round in 0..bench.rounds {
        for turn in 0..contenders.len() {
            // Each round begins with another one.
            let place = (turn + round) % contenders.len();
            let contender = &contenders[place];
            let text = format!(
                "rate, round {} of {}: {}",
                round + 1,
                bench.rounds,
                contender.name()
            );
            bench.progress.step(&text);
            if given_up[place] {
                continue;
            }
            if let Err(error) = sample(bench, contender, place, &mut rows) {
                if matches!(contender, Contender::Ours(..)) {
                    let name = contender.name();
                    return Err(io::Error::new(error.kind(), format!("{name}: {error}")));
                }
                given_up[place] = true;
                bench.note(format!("SKIPPED {}: {error}", contender.name()));
            }
        }
    }
    report(bench, &contenders, &rows);
    Ok(())
}

fn contenders(bench: &Bench) -> Vec<Contender> {
    use Durability::{Fsync, Memory, None, Os};
    let ours = [Fsync, Os, None, Memory].map(|it| Contender::Ours(bench.broker.clone(), it));
    let mosquitto = bench.mosquitto.clone().map(Contender::Mosquitto);
    let nats = bench.nats.clone().map(Contender::Nats);
    ours.into_iter().chain(mosquitto).chain(nats).collect()
}

/// Messages for each sync of ours with each window.
fn count_syncs(bench: &mut Bench) -> io::Result<Vec<Option<f64>>> {
    bench.progress.step("rate: counting syncs");
    if !syncs::can_count() {
        bench.note(
            "SKIPPED counting syncs: apt-get install -y strace; the floor syncs once a window"
                .into(),
        );
        return Ok(WINDOWS.map(|_| None).to_vec());
    }
    let folder = bench.folder.join("syncs");
    fresh(&folder)?;
    let ours = Contender::Ours(bench.broker.clone(), Durability::Fsync);
    let time = bench.sample;
    let (spans, times) = syncs::watch(&ours, &folder, |broker| {
        let mut load = connected(broker.address)?;
        WINDOWS
            .into_iter()
            .map(|window| {
                load.publish(window, End::After(time / 4))?;
                let (from, before) = (syncs::now(), load.done());
                load.publish(window, End::After(time))?;
                Ok((from, syncs::now(), load.done() - before))
            })
            .collect::<io::Result<Vec<_>>>()
    })?;
    let shared = spans.into_iter().map(|(from, to, messages)| {
        let syncs = times.iter().filter(|it| (from..to).contains(it)).count();
        (syncs > 0).then(|| messages as f64 / syncs as f64)
    });
    Ok(shared.collect())
}

fn connected(address: core::net::SocketAddr) -> io::Result<Load> {
    let mut load = Load::new(&[TOPIC.to_owned()], PAYLOAD)?;
    load.subscriber(address, "bench-subscriber", Some(TOPIC))?;
    load.publisher(address)?;
    Ok(load)
}

/// One contender, started anew, with each window.
fn sample(bench: &Bench, contender: &Contender, place: usize, rows: &mut [Row]) -> io::Result<()> {
    let folder = bench.folder.join("rate");
    fresh(&folder)?;
    let broker = contender.start(&folder)?;
    let id = broker.running.id();
    let mut load = connected(broker.address)?;
    for row in rows {
        load.publish(row.window, End::After(bench.sample / 4))?;
        let (before, done) = (Usage::on_disk(id, &folder)?, load.done());
        let start = std::time::Instant::now();
        load.publish(row.window, End::After(bench.sample))?;
        let seconds = start.elapsed().as_secs_f64();
        let messages = load.done() - done;
        let usage = Usage::on_disk(id, &folder)?.since(before);
        let each = |sum: u64| sum as f64 / messages.max(1) as f64;
        let cell = &mut row.cells[place];
        cell.rate.push(messages as f64 / seconds);
        cell.cpu.push(each(usage.cpu) / 1000.0);
        cell.device.push(each(usage.device()) / PAYLOAD as f64);
        cell.log.push(each(usage.log));
        if place == 0 {
            // In the same minute, on the same file system: as many bytes in as many batches.
            let batch = (each(usage.log) * row.shared).round() as usize;
            let time = (bench.sample / 2).max(Duration::from_millis(200));
            row.append
                .push(floor::append(&folder, batch, time)? * row.shared);
            row.overwrite
                .push(floor::overwrite(&folder, batch, time)? * row.shared);
        }
    }
    Ok(())
}

fn report(bench: &mut Bench, contenders: &[Contender], rows: &[Row]) {
    let columns: Vec<&'static str> = contenders
        .iter()
        .map(Contender::name)
        .chain(["append+fsync", "overwrite+fsync"])
        .collect();
    let heading = |what: &str| {
        format!("{what}; QoS 1, {PAYLOAD} bytes, one publisher into one persistent subscriber")
    };
    let mut rates = Table::new(heading("Messages a second"), &columns);
    let mut cpu = Table::new(
        heading("Microseconds of the broker's CPU for each message"),
        &columns,
    );
    let mut device = Table::new(heading("Device bytes for each byte of payload"), &columns);
    let mut groups = Table::new(
        heading("What shares a sync of ours"),
        &["messages", "log bytes", "log bytes a message"],
    );
    for row in rows {
        let name = format!("{} in flight", row.window);
        let line = |of: fn(&Cell) -> &Vec<f64>| -> Vec<Option<f64>> {
            row.cells.iter().map(|cell| median(of(cell))).collect()
        };
        let mut figures = line(|cell| &cell.rate);
        figures.extend([median(&row.append), median(&row.overwrite)]);
        rates.row(&name, &figures);
        for (table, mut figures) in [
            (&mut cpu, line(|cell| &cell.cpu)),
            (&mut device, line(|cell| &cell.device)),
        ] {
            figures.extend([None, None]);
            table.row(&name, &figures);
        }
        let log = median(&row.cells[0].log);
        let shared = row.counted.then_some(row.shared);
        groups.row(&name, &[shared, log.zip(shared).map(|(a, b)| a * b), log]);
    }
    for table in [rates, cpu, device, groups] {
        bench.table(table);
    }
    if let Some(row) = rows.iter().find(|row| row.window == JUDGED) {
        judge(bench, contenders, row);
    }
}

fn judge(bench: &mut Bench, contenders: &[Contender], row: &Row) {
    let rate = |is_it: fn(&Contender) -> bool| {
        let place = contenders.iter().position(is_it)?;
        median(&row.cells[place].rate)
    };
    let ours = median(&row.cells[0].rate);
    let memory = rate(|it| matches!(it, Contender::Ours(_, Durability::Memory)));
    let least = median(&row.append).zip(memory).map(|(a, b)| a.min(b));
    let over = |other: Option<f64>| Some(ours? / other?);
    bench.bar(Bar::new(
        "256 in flight: ours with fsync over the slower of append + fsync and ours in memory",
        over(least),
        Limit::AtLeast(0.5),
    ));
    let mosquitto = rate(|it| matches!(it, Contender::Mosquitto(_)));
    let nats = rate(|it| matches!(it, Contender::Nats(_)));
    for (name, other) in [("Mosquitto", mosquitto), ("nats-server", nats)] {
        bench.bar(Bar::new(
            format!("256 in flight: ours with fsync over {name}"),
            over(other),
            Limit::AtLeast(1.0),
        ));
    }
}
