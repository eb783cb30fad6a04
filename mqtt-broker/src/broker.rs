//! A running broker, and the handle to it.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::{thread, time};

use futures::FutureExt;
use futures::channel::oneshot;
use futures::executor::block_on;
use futures::future::Shared as SharedFuture;
use mqtt_codec::QoS;
use mqtt_session::Instant;

use crate::auth::{PasswordSettings, Passwords, Users};
use crate::core::{Core, Counters, Memory, Settings, Shared, Store, Subscriber};
use crate::error::BrokerError;
use crate::hooks::{Hooks, Policed};
use crate::listener::Listener;
use crate::local::{LocalError, Locals, PublishOptions, Subscription};
use crate::store::{self, Log};
use crate::worker::{Clock, Inbox, Item, Site, Surroundings, Worker};

/// A running broker. Cheap to clone; the broker stops with [`shutdown`](Self::shutdown), or when the last handle is dropped.
///
/// The async methods run on any executor.
#[derive(Clone, Debug)]
pub struct BrokerHandle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    locals: Arc<Locals>,
    inboxes: Arc<[Arc<Inbox>]>,
    clock: Clock,
    life: Arc<Life>,
    ended: SharedFuture<oneshot::Receiver<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        stop(&self.inboxes);
    }
}

fn stop(inboxes: &[Arc<Inbox>]) {
    for inbox in inboxes {
        inbox.send(Item::Stop);
    }
}

/// How many workers are left, and whether one went against everybody's will.
#[derive(Debug)]
struct Life {
    workers: AtomicUsize,
    failed: AtomicBool,
    ended: Mutex<Option<oneshot::Sender<()>>>,
}

/// Held by a worker's thread for as long as it runs; a panic lets go of it, too.
struct Alive {
    life: Arc<Life>,
    inboxes: Arc<[Arc<Inbox>]>,
    locals: Arc<Locals>,
    number: usize,
    finished: bool,
}

impl Alive {
    /// The end that was wished for.
    fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if !self.finished {
            // A broker without one of its workers would serve some clients and not others.
            self.life.failed.store(true, Ordering::Release);
            stop(&self.inboxes);
        }
        if let Some(inbox) = self.inboxes.get(self.number) {
            inbox.close();
        }
        if self.life.workers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.locals.close();
            let ended = &self.life.ended;
            let sender = ended.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(sender) = sender {
                // Nobody has to be waiting.
                let _ = sender.send(());
            }
        }
    }
}

/// Who is let in before the hooks are asked.
pub(crate) struct Entry {
    /// `None`: the hooks alone decide.
    pub(crate) users: Option<Users>,
    pub(crate) passwords: PasswordSettings,
    /// Whether clients without a user name are let in, although there are users.
    pub(crate) allow_anonymous: bool,
}

/// Opens the store, and says what was found.
fn open(path: &Path, options: &store::Options) -> Result<Log, BrokerError> {
    let begin = time::Instant::now();
    let (log, report) = Log::open_directory(path, options, store::wall())?;
    for note in &report.notes {
        tracing::warn!("store: {note}");
    }
    for lost in &report.lost {
        tracing::error!("store: {lost}");
    }
    tracing::info!(
        path = %path.display(),
        durability = options.durability.name(),
        sessions = report.sessions,
        messages = report.messages,
        seconds = begin.elapsed().as_secs_f64(),
        "the store is open"
    );
    Ok(log)
}

/// Starts the workers.
pub(crate) fn launch(
    listeners: Vec<Listener>,
    workers: u16,
    settings: Settings,
    store: Option<(&Path, &store::Options)>,
    hooks: Arc<dyn Hooks>,
    entry: Entry,
) -> Result<BrokerHandle, BrokerError> {
    let failed = |source| BrokerError::Worker { source };
    let random = || getrandom::u64().map_err(|error| failed(io::Error::other(error)));
    let workers = workers.max(1);
    let addresses = listeners.iter().map(|listener| listener.address).collect();
    let shared = Shared::new(settings, workers, random()?);
    let log = store
        .map(|(path, options)| open(path, options))
        .transpose()?;
    let start = log.as_ref().map_or(Instant::ZERO, Log::now);
    let clock = Clock::start_at(start);
    let passwords = match entry.users {
        Some(users) => Some(
            Passwords::start(
                users,
                &entry.passwords,
                entry.allow_anonymous,
                Arc::clone(&shared),
                clock,
            )
            .map_err(failed)?,
        ),
        None => None,
    };
    let hooks = Arc::new(Policed::new(hooks, passwords));
    let locals = Arc::<Locals>::default();
    let mut sites = Vec::new();
    for _ in 0..workers {
        sites.push(Site::new().map_err(failed)?);
    }
    let inboxes: Arc<[_]> = sites.iter().map(|site| Arc::clone(&site.inbox)).collect();
    let (sender, ended) = oneshot::channel();
    let life = Arc::new(Life {
        workers: AtomicUsize::new(usize::from(workers) + usize::from(log.is_some())),
        failed: AtomicBool::new(false),
        ended: Mutex::new(Some(sender)),
    });

    // The first worker accepts; the others get the connections whose sessions are theirs.
    let mut listeners = Some(listeners);
    let mut cores = Vec::new();
    for (site, number) in sites.iter().zip(0..) {
        let policy = Arc::clone(&hooks);
        let store: Box<dyn Store> = match &log {
            Some(log) => {
                let mut handle = log.handle();
                let inbox = Arc::clone(&site.inbox);
                handle.wake_with(Box::new(move || inbox.wake()));
                Box::new(handle)
            }
            None => Box::<Memory>::default(),
        };
        cores.push(Core::new(
            Arc::clone(&shared),
            number,
            store,
            policy,
            random()?,
            clock.now(),
        ));
    }
    if let Some(log) = &log {
        for lost in log.restore(&mut cores) {
            tracing::error!("{lost}; it stays in the store");
        }
    }
    let mut ready = Vec::new();
    for (site, core) in sites.into_iter().zip(cores) {
        // What the restart has left to do is done in the first round.
        site.inbox.wake();
        let surroundings = Surroundings {
            inboxes: Arc::clone(&inboxes),
            clock,
            hooks: Arc::clone(&hooks),
            locals: Arc::clone(&locals),
        };
        let doors = listeners.take().unwrap_or_default();
        ready.push(Worker::new(site, core, doors, surroundings).map_err(failed)?);
    }
    let alive = |number| Alive {
        life: Arc::clone(&life),
        inboxes: Arc::clone(&inboxes),
        locals: Arc::clone(&locals),
        number,
        finished: false,
    };
    if let Some(log) = log {
        // It ends after the workers: what they recorded last becomes durable.
        let alive = alive(usize::MAX);
        log.spawn(move || clock.now(), move || alive.finish())
            .map_err(failed)?;
    }
    for (number, worker) in ready.into_iter().enumerate() {
        let alive = alive(number);
        let thread = thread::Builder::new().name(format!("mqtt-{number}"));
        let run = move || match worker.run() {
            Ok(()) => alive.finish(),
            Err(error) => {
                tracing::error!(worker = number, %error, "a worker cannot go on");
                drop(alive);
            }
        };
        // Without a thread, `alive` is dropped with its closure, and the workers that run already stop.
        thread.spawn(run).map_err(failed)?;
    }
    let inner = Inner {
        addresses,
        shared,
        locals,
        inboxes,
        clock,
        life,
        ended: ended.shared(),
    };
    Ok(BrokerHandle {
        inner: Arc::new(inner),
    })
}

impl BrokerHandle {
    /// Where the broker listens, in the order in which it was asked to.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.inner.addresses
    }

    /// Publishes a message; returns when it is routed, and what that promises is kept: whoever is subscribed gets it, or has it waiting.
    ///
    /// Messages of one caller, each awaited, arrive in their order. To publish faster than they are routed, do not await each one.
    ///
    /// # Errors
    /// If the topic is not valid, the message too large, the store is full or has failed, or the broker has stopped.
    pub async fn publish(
        &self,
        topic: &str,
        payload: impl AsRef<[u8]>,
        options: PublishOptions,
    ) -> Result<(), LocalError> {
        let inner = &self.inner;
        let limit = inner.shared.settings().limits.maximum_packet_size;
        let mut message = options.message(topic, payload.as_ref(), limit, inner.clock.now())?;
        message.publisher = Subscriber::BROKER;
        let (sender, routed) = oneshot::channel();
        // Any worker can route it; always the same one keeps the order.
        if let Some(inbox) = inner.inboxes.last() {
            inbox.send(Item::Publish(Arc::new(message), sender));
        }
        routed.await.unwrap_or(Err(LocalError::Stopped))
    }

    /// Subscribes to a filter; messages come with at most this QoS, retained ones first.
    ///
    /// # Errors
    /// If the filter is not valid or that of a shared subscription, or the broker has stopped.
    #[expect(
        clippy::unused_async,
        reason = "part of the async face of the handle, and free to wait for a worker later"
    )]
    pub async fn subscribe(&self, filter: &str, qos: QoS) -> Result<Subscription, LocalError> {
        let inner = &self.inner;
        let now = inner.clock.now();
        inner.locals.subscribe(&inner.shared, filter, qos, now)
    }

    /// What has happened so far, and what there is now, summed over all workers.
    #[must_use]
    pub fn metrics(&self) -> &Counters {
        self.inner.shared.counters()
    }

    /// Stops: closes the listeners, tells every client (5.0: DISCONNECT with 0x8B), gives them up to five seconds to read it.
    ///
    /// Returns when everything is closed.
    pub async fn shutdown(&self) {
        self.stop();
        let _ = self.stopped().await;
    }

    /// [`shutdown`](Self::shutdown) for programs without async code.
    pub fn shutdown_blocking(&self) {
        block_on(self.shutdown());
    }

    /// Begins to stop and returns at once; safe to call again.
    pub fn stop(&self) {
        stop(&self.inner.inboxes);
    }

    /// Waits until the broker has stopped.
    ///
    /// # Errors
    /// If it stopped because a worker failed; a log line has said why.
    pub async fn stopped(&self) -> Result<(), BrokerError> {
        // The sender is dropped or used by the last worker: both say that it has gone.
        let _ = self.inner.ended.clone().await;
        if self.inner.life.failed.load(Ordering::Acquire) {
            return Err(BrokerError::Failed);
        }
        Ok(())
    }

    /// [`stopped`](Self::stopped) for programs without async code.
    ///
    /// # Errors
    /// As [`stopped`](Self::stopped).
    pub fn stopped_blocking(&self) -> Result<(), BrokerError> {
        block_on(self.stopped())
    }
}
