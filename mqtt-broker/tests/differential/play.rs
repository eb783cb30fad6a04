//! Plays traces against both brokers, compares, shrinks what differs without a judgement, and counts.

use core::fmt;
use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use mqtt_codec::Version;

use crate::generate::generate;
use crate::judge::{Case, DIFFERENCES, Verdict, judge};
use crate::opinion::objection;
use crate::past::Past;
use crate::run::World;
use crate::support::raw::let_pass;
use crate::support::{Broker, Client, PATIENCE};
use crate::trace::{SOON_S, Step, Trace};
use crate::view::{Event, View};

/// Traces that are played before time passes once for all of them.
const BATCH: usize = 100;
/// More than [`SOON_S`] by what clocks that count in seconds may lose.
const WAIT: Duration = Duration::from_millis(SOON_S as u64 * 1000 + 2200);
/// Our workers are two, so that messages cross from one to the other.
const CONFIGURATION: &str = "workers = 2\n";
/// Without it, every second answer waits for an acknowledgement of TCP.
const MOSQUITTO: &str = "set_tcp_nodelay true";
/// Little, for thousands of traces; the line that says it is running is information.
const MOSQUITTO_LOG: &str = "log_type notice\nlog_type information\nconnection_messages false";
/// Clients that answer for all workers, whichever those of a trace are with.
const SENTINELS: usize = 6;
/// Rounds of PINGREQ until a message that crosses workers has arrived: the publisher's worker sends it, the other worker takes it, and
/// writes it after the PINGRESP of the same round.
const OUR_ROUNDS: usize = 3;
/// Mosquitto has one thread.
const THEIR_ROUNDS: usize = 2;
/// Kinds of differences that are shrunk and reported, at most.
const REPORTS: usize = 6;
/// Traces that are played to shrink one, at most.
const SHRINKING: usize = 600;

/// Both brokers.
#[derive(Debug)]
pub(crate) struct Brokers {
    ours: Broker,
    theirs: Broker,
    runs: usize,
}

/// What a run has seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    traces: usize,
    steps: usize,
    compared: usize,
    /// By rule: steps, and traces that ended with it.
    rules: Vec<(usize, usize)>,
    time: Duration,
}

/// The first difference of a trace that no rule explains.
#[derive(Debug)]
struct Unexplained {
    at: usize,
    ours: View,
    theirs: View,
    /// What is left after the rules.
    left: (View, View),
}

/// What came of comparing a trace.
#[derive(Debug, Default)]
struct Outcome {
    rules: Vec<usize>,
    ended_by: Vec<usize>,
    compared: usize,
    unexplained: Option<Unexplained>,
}

impl Brokers {
    /// Starts both.
    pub(crate) fn start() -> Self {
        Self {
            ours: Broker::configured(CONFIGURATION, MOSQUITTO),
            theirs: Broker::mosquitto_logging(MOSQUITTO, MOSQUITTO_LOG),
            runs: 0,
        }
    }

    /// Plays the traces of these seeds.
    ///
    /// # Panics
    /// If there are differences that no rule explains: with one shrunk trace for each kind, and all that is needed to understand it.
    pub(crate) fn compare(&mut self, seeds: Range<u64>) -> Tally {
        let start = Instant::now();
        let mut tally = Tally {
            rules: vec![(0, 0); DIFFERENCES.len()],
            ..Tally::default()
        };
        let mut found: Vec<(Trace, Unexplained)> = Vec::new();
        let seeds: Vec<u64> = seeds.collect();
        for batch in seeds.chunks(BATCH) {
            let traces: Vec<Trace> = batch.iter().map(|&seed| generate(seed)).collect();
            let views = self.play(&traces);
            for (trace, (ours, theirs)) in traces.iter().zip(&views) {
                let outcome = compare(trace, ours, theirs);
                tally.add(trace, &outcome);
                if let Some(unexplained) = outcome.unexplained {
                    let known = |(_, other): &(_, Unexplained)| {
                        kinds(&other.left) == kinds(&unexplained.left)
                    };
                    if !found.iter().any(known) {
                        found.push((trace.clone(), unexplained));
                    }
                }
            }
            if found.len() >= REPORTS {
                break;
            }
        }
        tally.time = start.elapsed();
        if !found.is_empty() {
            let reports: Vec<String> = found
                .into_iter()
                .take(REPORTS)
                .map(|(trace, unexplained)| self.report(&trace, unexplained))
                .collect();
            panic!("{}\n{tally}", reports.join("\n"));
        }
        tally
    }

    /// Plays all traces against both brokers at the same time.
    fn play(&mut self, traces: &[Trace]) -> Vec<(Vec<View>, Vec<View>)> {
        let first = self.runs;
        self.runs += traces.len();
        let (ours, theirs) = (self.ours.address(), self.theirs.address());
        let (ours, theirs) = thread::scope(|scope| {
            let ours = scope.spawn(|| play(ours, first, traces, SENTINELS, OUR_ROUNDS));
            let theirs = play(theirs, first, traces, 0, THEIR_ROUNDS);
            (ours.join(), theirs)
        });
        let ours = ours.unwrap_or_else(|cause| std::panic::resume_unwind(cause));
        self.ours.assert_running();
        self.theirs.assert_running();
        ours.into_iter().zip(theirs).collect()
    }

    /// Shrinks a trace and shows how it ends.
    fn report(&mut self, trace: &Trace, unexplained: Unexplained) -> String {
        let (trace, unexplained) = self.shrink(trace, unexplained);
        let Unexplained {
            at,
            ours,
            theirs,
            left,
        } = unexplained;
        format!(
            "seed {seed}: our broker and Mosquitto differ at the last step, and no rule of differential/judge.rs says why\n{trace}\
             ours:\n{}theirs:\n{}not explained, ours:\n{}not explained, theirs:\n{}\
             repeat it with: MQTT_SEED={seed} cargo test -p mqtt-broker --test differential\n(step {at})",
            show(&ours),
            show(&theirs),
            show(&left.0),
            show(&left.1),
            seed = trace.seed,
        )
    }

    /// Leaves out steps as long as the last one is seen differently in the same way.
    fn shrink(&mut self, trace: &Trace, unexplained: Unexplained) -> (Trace, Unexplained) {
        let mut trace = trace.without(unexplained.at + 1..usize::MAX);
        let mut best = unexplained;
        let mut played = 0;
        let mut size = trace.steps.len() / 2;
        let start = Instant::now();
        while size > 0 && played < SHRINKING && start.elapsed() < PATIENCE {
            let last = trace.steps.len() - 1;
            let starts = (0..last).step_by(size).rev();
            let candidates: Vec<Trace> = starts
                .map(|start| trace.without(start..(start + size).min(last)))
                .collect();
            played += candidates.len();
            let views = self.play(&candidates);
            let outcomes = candidates.into_iter().zip(views);
            let smaller = outcomes.filter_map(|(candidate, (ours, theirs))| {
                let found = compare(&candidate, &ours, &theirs).unexplained?;
                (found.at + 1 == candidate.steps.len() && alike(&found.left, &best.left))
                    .then_some((candidate, found))
            });
            match smaller.into_iter().next() {
                Some(smaller) => (trace, best) = smaller,
                None => size /= 2,
            }
            size = size.min(trace.steps.len() / 2);
        }
        (trace, best)
    }
}

/// Plays all traces against one broker: each up to where time passes, then time passes, then the rest of each.
fn play(
    broker: SocketAddr,
    first: usize,
    traces: &[Trace],
    sentinels: usize,
    rounds: usize,
) -> Vec<Vec<View>> {
    let sentinel = |number| {
        Client::connect(
            &broker,
            Version::V311,
            &format!("sentinel-{first}-{number}"),
        )
    };
    let mut sentinels: Vec<Client> = (0..sentinels).map(sentinel).collect();
    let mut waiting = Vec::new();
    let mut views = Vec::new();
    for (number, trace) in traces.iter().enumerate() {
        let mut world = World::new(broker, first + number, trace.clients, rounds);
        let before_wait = trace.steps.iter().take_while(|step| **step != Step::Wait);
        let seen: Vec<View> = before_wait
            .map(|step| world.step(step, &mut sentinels))
            .collect();
        if seen.len() < trace.steps.len() {
            waiting.push((number, world));
        }
        views.push(seen);
    }
    if !waiting.is_empty() {
        let_pass(WAIT);
    }
    for (number, mut world) in waiting {
        let done = views[number].len();
        let rest = traces[number].steps[done..].iter();
        let seen: Vec<View> = rest.map(|step| world.step(step, &mut sentinels)).collect();
        views[number].extend(seen);
    }
    views
}

/// Compares step by step, up to a difference that ends it.
fn compare(trace: &Trace, ours: &[View], theirs: &[View]) -> Outcome {
    let mut past = Past::new(trace);
    let mut outcome = Outcome::default();
    let mut owed = Vec::new();
    for (at, (step, (ours, theirs))) in trace.steps.iter().zip(ours.iter().zip(theirs)).enumerate()
    {
        outcome.compared = at + 1;
        if let Some(objection) = objection(step, &past, ours) {
            outcome.unexplained = Some(Unexplained {
                at,
                ours: ours.clone(),
                theirs: theirs.clone(),
                left: (vec![vec![Event::Strange(objection)]], Vec::new()),
            });
            break;
        }
        if ours != theirs || !owed.is_empty() {
            let mut case = Case {
                step,
                past: &past,
                ours: ours.clone(),
                theirs: theirs.clone(),
                owed: core::mem::take(&mut owed),
            };
            let Verdict {
                rules,
                explained,
                goes_on,
            } = judge(&mut case);
            if !explained {
                outcome.unexplained = Some(Unexplained {
                    at,
                    ours: ours.clone(),
                    theirs: theirs.clone(),
                    left: (case.ours, case.theirs),
                });
                break;
            }
            owed = case.owed;
            outcome.rules.extend(&rules);
            if !goes_on {
                outcome.ended_by = rules;
                break;
            }
        }
        past.add(step, ours);
    }
    outcome
}

/// Whether two differences are of the same kind, whichever client and message they are about.
fn alike(one: &(View, View), other: &(View, View)) -> bool {
    kinds(one) == kinds(other)
}

fn kinds((ours, theirs): &(View, View)) -> Vec<String> {
    let mut kinds = Vec::new();
    let clients = ours.len().max(theirs.len());
    let at = |view: &View, client: usize| view.get(client).cloned().unwrap_or_default();
    for client in 0..clients {
        let (ours, theirs) = (&at(ours, client), &at(theirs, client));
        for (mark, these, those) in [("+", ours, theirs), ("-", theirs, ours)] {
            for event in these.iter().filter(|event| !those.contains(event)) {
                let text = format!("{event:?}");
                let name = text.split(|c: char| !c.is_alphanumeric()).next();
                kinds.push(format!("{mark}{}", name.unwrap_or_default()));
            }
        }
    }
    kinds.sort();
    kinds.dedup();
    kinds
}

fn show(view: &View) -> String {
    let mut text = String::new();
    for (client, seen) in view.iter().enumerate() {
        for event in seen {
            text += &format!("  client {client}: {event}\n");
        }
    }
    if text.is_empty() {
        text += "  nothing\n";
    }
    text
}

impl Tally {
    /// How many traces were played.
    pub(crate) fn traces(&self) -> u64 {
        self.traces as u64
    }

    /// The rules that explained nothing.
    pub(crate) fn never(&self) -> Vec<&'static str> {
        let rules = DIFFERENCES.iter().zip(&self.rules);
        let never = rules.filter(|(_, (steps, _))| *steps == 0);
        never.map(|(rule, _)| rule.name).collect()
    }

    fn add(&mut self, trace: &Trace, outcome: &Outcome) {
        self.traces += 1;
        self.steps += trace.steps.len();
        self.compared += outcome.compared;
        for &rule in &outcome.rules {
            self.rules[rule].0 += 1;
        }
        for &rule in &outcome.ended_by {
            self.rules[rule].1 += 1;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} traces in {:.1} s, {} of {} steps compared",
            self.traces,
            self.time.as_secs_f64(),
            self.compared,
            self.steps
        )?;
        for (rule, (steps, ended)) in DIFFERENCES.iter().zip(&self.rules) {
            writeln!(
                f,
                "  {steps:6} steps, {ended:5} traces ended: {}{}",
                rule.name,
                if *steps == 0 { " (NEVER)" } else { "" }
            )?;
        }
        Ok(())
    }
}
