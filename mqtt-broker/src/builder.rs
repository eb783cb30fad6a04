//! Puts a broker together.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use futures::channel::oneshot;

use crate::auth::{PasswordSettings, Users};
use crate::broker::{self, BrokerHandle, Entry};
use crate::config::Config;
use crate::core::{Settings, WORKERS_MAX};
use crate::error::BrokerError;
use crate::hooks::{Hooks, NoHooks};
use crate::listener::Wanted;
use crate::store;

/// The entry to the library: [`Broker::builder`].
#[derive(Clone, Copy, Debug)]
pub struct Broker;

impl Broker {
    /// A broker with defaults: loopback addresses, port 1883, one worker for each core.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder {
            config: Config::default(),
            sockets: Vec::new(),
            hooks: None,
        }
    }
}

/// What a broker will be like; [`start`](Self::start) makes it run.
#[must_use]
pub struct BrokerBuilder {
    config: Config,
    sockets: Vec<TcpListener>,
    hooks: Option<Arc<dyn Hooks>>,
}

impl core::fmt::Debug for BrokerBuilder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("BrokerBuilder")
            .field("config", &self.config)
            .field("sockets", &self.sockets)
            .field("hooks", &self.hooks.is_some())
            .finish()
    }
}

impl BrokerBuilder {
    /// Replaces everything that was set so far but hooks and sockets.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Listens on an address, `HOST[:PORT]`; port 0 lets the system choose. May be called again.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.config.listen.push(address.into());
        self
    }

    /// Listens on a socket that is bound already. May be called again.
    pub fn listen_on(mut self, socket: TcpListener) -> Self {
        self.sockets.push(socket);
        self
    }

    /// Lets in clients with a right user name and password, and no others; any address may be listened on then.
    ///
    /// Clients without a user name are let in as well if [`allow_anonymous`](Self::allow_anonymous) says so.
    pub fn users(mut self, users: Users) -> Self {
        self.config.users = Some(users);
        self
    }

    /// Changes how passwords are checked.
    pub fn passwords(mut self, change: impl FnOnce(&mut PasswordSettings)) -> Self {
        change(&mut self.config.passwords);
        self
    }

    /// Lets in clients without a user name: from other machines when there are no users, and beside them when there are; default no.
    pub const fn allow_anonymous(mut self, allow: bool) -> Self {
        self.config.allow_anonymous = allow;
        self
    }

    /// The number of worker threads; 0, the default, is one for each core that the process may use.
    pub const fn workers(mut self, number: u16) -> Self {
        self.config.workers = number;
        self
    }

    /// Keeps sessions, queues and retained messages in this directory over restarts; it is made if it is not there. What was acknowledged
    /// is on disk then, and comes back.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.data_dir = Some(path.into());
        self
    }

    /// Changes how the store in the [directory](Self::data_dir) is kept.
    pub fn store(mut self, change: impl FnOnce(&mut store::Options)) -> Self {
        change(&mut self.config.store);
        self
    }

    /// Changes limits and defaults of the protocol.
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.config.settings);
        self
    }

    /// Who may do what, and who wants to know of it. With hooks, any address is allowed: they say who may come.
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks = Some(Arc::new(hooks));
        self
    }

    /// Starts the broker; its workers are threads of their own, and no async runtime is needed.
    ///
    /// # Errors
    /// If an address is not one, is taken, or can be reached from other machines without anybody checking who comes; if the store in
    /// the [directory](Self::data_dir) cannot be read, is damaged, or is open elsewhere; if something was said about the store and there is no
    /// directory; or if the system refuses a thread.
    pub async fn start(self) -> Result<BrokerHandle, BrokerError> {
        let (sender, started) = oneshot::channel();
        // Reading what is stored takes its time, and is not for the thread of an executor.
        let start = move || {
            // Whoever does not wait any more drops the handle, and with it the broker.
            let _ = sender.send(self.launch());
        };
        let thread = thread::Builder::new().name("mqtt-start".to_owned());
        let spawned = thread.spawn(start);
        spawned.map_err(|source| BrokerError::Worker { source })?;
        started.await.unwrap_or(Err(BrokerError::Failed))
    }

    /// [`start`](Self::start) for programs without async code.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_blocking(self) -> Result<BrokerHandle, BrokerError> {
        self.launch()
    }

    /// Whether the addresses are some that a broker may listen on, without listening.
    ///
    /// # Errors
    /// As [`start`](Self::start), but for what only shows when the broker listens.
    pub fn check(mut self) -> Result<(), BrokerError> {
        self.has_data_dir()?;
        self.wanted().addresses().map(drop)
    }

    /// Whether there is a data directory where something was said that needs one.
    fn has_data_dir(&self) -> Result<(), BrokerError> {
        match self.config.without_data_dir() {
            Some(what) => Err(BrokerError::NoDataDir { what: what.into() }),
            None => Ok(()),
        }
    }

    fn wanted(&mut self) -> Wanted {
        Wanted {
            addresses: core::mem::take(&mut self.config.listen),
            sockets: core::mem::take(&mut self.sockets),
            open_to_all: self.config.allow_anonymous
                || self.config.users.is_some()
                || self.hooks.is_some(),
        }
    }

    fn launch(mut self) -> Result<BrokerHandle, BrokerError> {
        self.has_data_dir()?;
        let listeners = self.wanted().bind()?;
        let config = self.config;
        let workers = match config.workers {
            0 => thread::available_parallelism()
                .map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(WORKERS_MAX)),
            number => number,
        };
        let hooks = self.hooks.unwrap_or_else(|| Arc::new(NoHooks));
        let workers = workers.min(WORKERS_MAX);
        let entry = Entry {
            users: config.users,
            passwords: config.passwords,
            allow_anonymous: config.allow_anonymous,
        };
        let store = config.data_dir.as_deref().map(|path| (path, &config.store));
        broker::launch(listeners, workers, config.settings, store, hooks, entry)
    }
}
