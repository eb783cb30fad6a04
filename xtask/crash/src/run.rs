//! Rounds: load, kill, start, judge; on one store that lives through all of them.

use core::time::Duration;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use crate::broker::{Opened, Program, Running};
use crate::judge::{Promise, Tally};
use crate::plan::{LEAST, Plan};
use crate::rng::Rng;
use crate::world::{Waited, World};

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Kills under load.
    pub rounds: u32,
    /// Where every decision comes from.
    pub seed: u64,
    /// What has not come when nothing has happened for so long does not come.
    pub patience: Duration,
    /// End with the first round in which a promise is broken.
    pub stop_at_first: bool,
    /// Cut all connections instead of killing the broker: then nothing may be lost, with a store or without.
    pub spare: bool,
    /// A folder for this run alone; the store is in it, and copies of the store when a promise was broken.
    pub folder: PathBuf,
}

/// What a kill met with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kill {
    /// Messages that were accepted in the round before it.
    pub accepted: u64,
    /// Messages that were sent to the broker and not accepted when it was killed.
    pub unaccepted: usize,
    /// Those of them that it had not answered either: no acknowledgement was on its way back.
    pub unanswered: usize,
    /// Acknowledgements that subscribers owed to the broker.
    pub owed: usize,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The broker.
    pub name: String,
    /// Rounds that were run.
    pub rounds: u32,
    /// Each kill under load.
    pub kills: Vec<Kill>,
    /// Kills during a start.
    pub kills_starting: u32,
    /// Those of them that fell before the broker listened.
    pub kills_before_listening: u32,
    /// Kills while sessions were resumed.
    pub kills_resuming: u32,
    /// Ends by SIGTERM, at rest.
    pub stops: u32,
    /// Messages that were accepted.
    pub accepted: u64,
    /// Messages that came to subscriptions.
    pub received: u64,
    /// Messages that came after they had been given up.
    pub late: u64,
    /// Promises that were broken.
    pub tally: Tally,
    /// From each start to the first connection that could be made.
    pub opens: Vec<Duration>,
    /// How long the run took.
    pub took: Duration,
    /// Where copies of the store are, from before the restarts of the first round in which a promise was broken.
    pub copy: Option<PathBuf>,
}

impl Report {
    /// Rounds that show nothing, because too little was acknowledged or nothing was on its way.
    #[must_use]
    pub fn idle_kills(&self) -> usize {
        let idle = |kill: &&Kill| kill.accepted < LEAST || kill.unaccepted == 0;
        self.kills.iter().filter(idle).count()
    }
}

/// Kills a broker under load, again and again. `progress` hears of every round.
///
/// # Errors
/// When the folder cannot be used, or the broker's program is not there. A broker that does not start again is no error, but a promise
/// that is broken.
pub fn run(
    program: &Program,
    options: &Options,
    progress: &mut dyn FnMut(&Report),
) -> io::Result<Report> {
    let start = Instant::now();
    // What an earlier run has left would be taken for this one's.
    match fs::remove_dir_all(&options.folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(&options.folder)?,
    }
    let mut run = Run {
        program,
        options,
        world: World::new(options.patience, matches!(program, Program::Ours(..)))?,
        report: Report {
            name: program.name(),
            ..Report::default()
        },
        copies: 0,
    };
    if let Some(mut broker) = run.first_start()? {
        for round in 1..=options.rounds {
            let goes_on = run.round(&mut broker, round)?;
            run.note(start);
            progress(&run.report);
            if !goes_on || (options.stop_at_first && run.report.tally.total() > 0) {
                break;
            }
        }
    }
    run.note(start);
    Ok(run.report)
}

struct Run<'a> {
    program: &'a Program,
    options: &'a Options,
    world: World,
    report: Report,
    /// Copies of the store in this round.
    copies: u32,
}

impl Run<'_> {
    fn note(&mut self, start: Instant) {
        let deliveries = &self.world.judge.deliveries;
        self.report.accepted = deliveries.accepted;
        self.report.received = deliveries.received;
        self.report.late = deliveries.late;
        self.report.tally = self.world.judge.tally.clone();
        self.report.took = start.elapsed();
    }

    fn folder(&self) -> &Path {
        &self.options.folder
    }

    fn first_start(&mut self) -> io::Result<Option<Running>> {
        let mut broker = Running::start(self.program, self.folder())?;
        if !self.wait(&mut broker) {
            return Ok(None);
        }
        self.world.draw(self.options.seed, 0);
        if self.world.gather() != Waited::Met {
            let judge = &mut self.world.judge;
            judge.report(
                Promise::Serving,
                "clients and subscriptions are not accepted",
            );
            return Ok(None);
        }
        Ok(Some(broker))
    }

    /// Waits until the broker listens; says whether it does.
    fn wait(&mut self, broker: &mut Running) -> bool {
        let why = match broker.wait() {
            Opened::Listens(address, time) => {
                self.report.opens.push(time);
                self.world.moved(address);
                return true;
            }
            Opened::NotYet => "does not listen after a minute".to_owned(),
            Opened::Ended(said) => format!("does not start: {said}"),
        };
        let judge = &mut self.world.judge;
        judge.report(Promise::Serving, format!("the broker {why}"));
        false
    }

    /// One round; says whether there can be another.
    fn round(&mut self, broker: &mut Running, round: u32) -> io::Result<bool> {
        let plan = Plan::of(self.options.seed, round, round == self.options.rounds);
        let broken_before = self.world.judge.tally.total();
        self.report.rounds = round;
        self.world.draw(self.options.seed, round);
        self.copies = 0;
        let accepted = self.world.judge.deliveries.accepted;
        if self.world.load(plan.accepted, plan.delay) != Waited::Met {
            let judge = &mut self.world.judge;
            let text = format!(
                "the load stands still after {} acknowledged messages",
                judge.deliveries.accepted - accepted
            );
            judge.report(Promise::Serving, text);
        }
        if broker.has_ended() {
            let text = format!("the broker has ended: {}", broker.said());
            self.world.judge.report(Promise::Serving, text);
        }
        let (unaccepted, owed) = self.world.in_flight();
        self.kill(broker);
        let (unanswered, _) = self.world.in_flight();
        self.report.kills.push(Kill {
            accepted: self.world.judge.deliveries.accepted - accepted,
            unaccepted,
            unanswered,
            owed,
        });
        let started = self.restart(broker, &plan)?;
        self.keep_copy(round, broken_before)?;
        Ok(started)
    }

    /// Starts the broker on what the kill left, and lets everybody come back; says whether it started.
    fn restart(&mut self, broker: &mut Running, plan: &Plan) -> io::Result<bool> {
        if let Some(share) = plan.again.filter(|_| !self.options.spare) {
            self.copy_store()?;
            let usual = self.report.opens.last().copied().unwrap_or_default();
            *broker = Running::start(self.program, self.folder())?;
            let end = Instant::now() + usual.mul_f64(share);
            self.report.kills_starting += 1;
            match broker.wait_until(end) {
                Opened::NotYet => self.report.kills_before_listening += 1,
                // It would have been asked anyway: the time decides when it is killed.
                Opened::Listens(..) => thread::sleep(end.saturating_duration_since(Instant::now())),
                Opened::Ended(said) => {
                    let judge = &mut self.world.judge;
                    judge.report(
                        Promise::Serving,
                        format!("the broker does not start: {said}"),
                    );
                    return Ok(false);
                }
            }
            broker.kill();
        }
        let mut resuming = plan.resuming;
        let mut stops = plan.stops && !self.options.spare;
        loop {
            if self.options.spare {
                self.world.came_back();
            } else {
                self.copy_store()?;
                *broker = Running::start(self.program, self.folder())?;
                if !self.wait(broker) {
                    return Ok(false);
                }
            }
            let end = resuming.take().map(|time| Instant::now() + time);
            if self.world.recover(plan, end) == Waited::Over {
                self.kill(broker);
                self.report.kills_resuming += 1;
            } else if core::mem::take(&mut stops) {
                if !broker.stop()? {
                    let judge = &mut self.world.judge;
                    judge.report(Promise::Serving, "the broker does not end on SIGTERM");
                    broker.kill();
                }
                self.world.killed();
                self.report.stops += 1;
            } else {
                return Ok(true);
            }
        }
    }

    /// Ends the broker, or only its connections, without a word.
    fn kill(&mut self, broker: &mut Running) {
        if !self.options.spare {
            broker.kill();
            return self.world.killed();
        }
        self.world.cut_off();
    }

    fn copies_folder(&self) -> PathBuf {
        self.folder().join("copies")
    }

    /// Copies the store as the broker finds it.
    fn copy_store(&mut self) -> io::Result<()> {
        let copies = self.copies_folder();
        if self.report.copy.is_some() {
            return Ok(());
        }
        if self.copies == 0 && copies.exists() {
            fs::remove_dir_all(&copies)?;
        }
        self.copies += 1;
        copy(
            &self.folder().join("store"),
            &copies.join(self.copies.to_string()),
        )
    }

    /// Keeps the copies of a round in which a promise was broken for the first time.
    fn keep_copy(&mut self, round: u32, broken_before: usize) -> io::Result<()> {
        let broken = self.world.judge.tally.total() > broken_before;
        if broken && self.report.copy.is_none() && self.copies > 0 {
            let kept = self.folder().join(format!("broken-in-round-{round}"));
            fs::rename(self.copies_folder(), &kept)?;
            self.report.copy = Some(kept);
        }
        Ok(())
    }
}

/// Copies the files of a folder, which has no folders in it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// A seed that the clock gives.
#[must_use]
pub fn seed_of_the_moment() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.map_or(0, |time| time.as_nanos() as u64);
    Rng::of(nanos, &[u64::from(std::process::id())]).below(1_000_000_000)
}
