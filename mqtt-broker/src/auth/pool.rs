//! The few threads that run Argon2, and the queue in front of them.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use mqtt_session::Instant;

use super::remembered::Accounts;
use super::{Finding, PasswordSettings, wipe};
use crate::core::{ConnectRequest, QuestionId, Shared};
use crate::worker::{Clock, Inbox, Item};

/// A password to check.
#[derive(Debug)]
pub(super) struct Job {
    /// Of the worker that asked.
    pub(super) inbox: Arc<Inbox>,
    pub(super) question: QuestionId,
    pub(super) request: Box<ConnectRequest>,
    pub(super) since: Instant,
}

impl Job {
    fn found(self, finding: Finding) {
        let item = Item::Checked(self.question, self.request, finding);
        self.inbox.send(item);
    }
}

/// The way to the threads; they end when it is dropped.
#[derive(Debug)]
pub(super) struct Pool {
    queue: SyncSender<Job>,
    closed: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

impl Drop for Pool {
    fn drop(&mut self) {
        // What still waits is for a broker that has gone.
        self.closed.store(true, Ordering::Release);
    }
}

impl Pool {
    pub(super) fn start(
        accounts: Arc<Accounts>,
        threads: usize,
        settings: &PasswordSettings,
        shared: Arc<Shared>,
        clock: Clock,
    ) -> io::Result<Self> {
        let length = usize::try_from(settings.queue).unwrap_or(usize::MAX).max(1);
        let (queue, jobs) = mpsc::sync_channel(length);
        let closed = Arc::new(AtomicBool::new(false));
        let checker = Arc::new(Checker {
            accounts,
            jobs: Mutex::new(jobs),
            closed: Arc::clone(&closed),
            shared: Arc::clone(&shared),
            wait: settings.wait,
            clock,
        });
        for number in 0..threads {
            let checker = Arc::clone(&checker);
            let thread = thread::Builder::new().name(format!("password-{number}"));
            // Those that run already end with the queue, which is dropped on failure.
            thread.spawn(move || checker.run())?;
        }
        Ok(Self {
            queue,
            closed,
            shared,
        })
    }

    /// Queues a job, or answers it at once when the queue is full.
    pub(super) fn take(&self, job: Job) {
        match self.queue.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                self.shared.counters().passwords_unchecked.add(1);
                job.found(Finding::Busy);
            }
        }
    }
}

struct Checker {
    accounts: Arc<Accounts>,
    jobs: Mutex<Receiver<Job>>,
    closed: Arc<AtomicBool>,
    shared: Arc<Shared>,
    wait: Duration,
    clock: Clock,
}

impl Checker {
    fn run(&self) {
        loop {
            let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            // The lock is the queue of the idle threads: one waits for the next job, the others for the lock.
            let job = jobs.recv();
            drop(jobs);
            let Ok(mut job) = job else {
                return;
            };
            if self.closed.load(Ordering::Acquire) {
                wipe(&mut job.request);
                continue;
            }
            let finding = self.find(&job);
            job.found(finding);
        }
    }

    fn find(&self, job: &Job) -> Finding {
        let counters = self.shared.counters();
        let now = self.clock.now();
        // Many clients of one user that came at once need one run together.
        if self.accounts.remembers(&job.request, now) {
            return Finding::Right;
        }
        if u128::from(now.millis_since(job.since)) > self.wait.as_millis() {
            counters.passwords_unchecked.add(1);
            return Finding::Busy;
        }
        counters.passwords_checked.add(1);
        if self.accounts.check(&job.request, now) {
            Finding::Right
        } else {
            counters.passwords_wrong.add(1);
            Finding::Wrong
        }
    }
}
