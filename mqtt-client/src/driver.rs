//! The background task: makes connections, runs them, and makes them again.

use core::pin::pin;
use std::sync::Arc;

use mqtt_session::ClientSession;
use mqtt_session::profile::Full;
use mqtt_session::storage::Heap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::command::{Command, Goodbye};
use crate::error::{ConnectionError, DisconnectError};
use crate::event::{Event, State};
use crate::options::Options;
use crate::queue::locked;
use crate::reconnect::is_final;
use crate::registry::Registry;
use crate::shared::Shared;

/// A disconnect that was asked for.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) deadline: Instant,
    pub(crate) goodbye: Goodbye,
    /// What the goodbye could not say.
    pub(crate) misuse: Option<mqtt_session::Misuse>,
    waiters: Vec<oneshot::Sender<Result<(), DisconnectError>>>,
}

/// Everything that is the task's alone.
pub(crate) struct Driver {
    pub(crate) options: Options,
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: ClientSession<Full, Heap>,
    pub(crate) registry: Registry,
    pub(crate) client_id: Box<str>,
    /// A connection was accepted before, and how many.
    pub(crate) accepted: u64,
    pub(crate) ending: Option<Ending>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    /// All handles are gone.
    pub(crate) orphaned: bool,
    first: Option<oneshot::Sender<Result<(), ConnectionError>>>,
}

impl Driver {
    pub(crate) fn new(
        options: Options,
        shared: Arc<Shared>,
        commands: mpsc::UnboundedReceiver<Command>,
        first: Option<oneshot::Sender<Result<(), ConnectionError>>>,
    ) -> Self {
        Self {
            client_id: options.first_client_id(),
            registry: Registry::new(options.random.next()),
            options,
            shared,
            session: ClientSession::new(),
            accepted: 0,
            ending: None,
            commands,
            orphaned: false,
            first,
        }
    }

    /// The task.
    pub(crate) async fn run(mut self) {
        let error = self.live().await;
        let unsent = locked(&self.shared.outbox).len();
        self.registry.close();
        self.shared.end(error);
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            // Asked for too late: dropping the answer's sender says that the client has ended.
            drop(command);
        }
        if let Some(ending) = self.ending {
            for waiter in ending.waiters {
                let result = match ending.misuse {
                    _ if unsent > 0 => Err(DisconnectError::Unsent(unsent)),
                    Some(misuse) => Err(DisconnectError::NotPossible(misuse)),
                    None => Ok(()),
                };
                let _ = waiter.send(result);
            }
        }
    }

    /// One connection after the other; gives the error that is not tried again, or `None` when the client was asked to end.
    async fn live(&mut self) -> Option<ConnectionError> {
        let mut attempt = 0;
        loop {
            let accepted = self.accepted;
            self.shared.state.send_replace(State::Connecting);
            let result = self.connection().await;
            self.session.close(self.shared.now());
            self.registry.lost();
            let Err(error) = result else { return None };
            tracing::info!(%error, "no connection to {}", self.options.address);
            if let Some(first) = self.first.take() {
                let _ = first.send(Err(error.clone()));
                return Some(error);
            }
            if self.accepted > accepted {
                attempt = 0;
            }
            let policy = &self.options.reconnect;
            let delay = policy
                .delay(attempt, self.options.random.next())
                .filter(|_| !is_final(&error));
            attempt = attempt.saturating_add(1);
            self.shared.state.send_replace(State::Waiting);
            self.shared.emit(&Event::Disconnected {
                error: error.clone(),
                retry_in: delay,
            });
            let Some(delay) = delay else {
                return Some(error);
            };
            self.offline(tokio::time::sleep(delay)).await?;
        }
    }

    /// Opens a transport and runs a connection over it; `Ok` when the client is to end.
    async fn connection(&mut self) -> Result<(), ConnectionError> {
        let connector = Arc::clone(&self.options.connector);
        let address = self.options.address.clone();
        let opening = timeout(self.options.connect_timeout, connector.connect(&address));
        match self.offline(opening).await {
            None => Ok(()),
            Some(Err(_)) => Err(ConnectionError::TimedOut { address }),
            Some(Ok(Err(source))) => Err(ConnectionError::Connect {
                address: address.clone(),
                source: Arc::new(source),
            }),
            Some(Ok(Ok(transport))) => self.converse(transport).await,
        }
    }

    /// Waits for `future` and serves the handles meanwhile; `None` when the client is to end first.
    async fn offline<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        loop {
            if let Some(ending) = &self.ending
                && (Instant::now() >= ending.deadline || locked(&self.shared.outbox).len() == 0)
            {
                return None;
            }
            let deadline = self.ending.as_ref().map(|ending| ending.deadline);
            tokio::select! {
                output = &mut future => return Some(output),
                command = self.commands.recv(), if !self.orphaned => self.command(command),
                () = until(deadline), if deadline.is_some() => {}
            }
        }
    }

    /// A handle asks for something; `None` says that there are no handles any more.
    pub(crate) fn command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Subscribe {
                stream,
                queue,
                options,
                done,
            }) if self.ending.is_none() => {
                self.registry.subscribe(stream, queue, options, done);
            }
            Some(Command::Release {
                stream,
                unsubscribe,
                done,
            }) => self.registry.release(stream, unsubscribe, done),
            Some(Command::Unsubscribe {
                filters,
                user_properties,
                done,
            }) if self.ending.is_none() => {
                self.registry.unsubscribe(filters, user_properties, done);
            }
            // Too late: dropping the answer's sender says so.
            Some(Command::Subscribe { .. } | Command::Unsubscribe { .. }) => {}
            Some(Command::Disconnect { goodbye, done }) => self.end(goodbye, Some(done)),
            None => {
                self.orphaned = true;
                self.end(Goodbye::new(), None);
            }
        }
    }

    fn end(
        &mut self,
        goodbye: Goodbye,
        waiter: Option<oneshot::Sender<Result<(), DisconnectError>>>,
    ) {
        locked(&self.shared.outbox).closed = true;
        let wait = goodbye.flush_timeout.unwrap_or(self.options.flush_timeout);
        let now = Instant::now();
        let ending = self.ending.get_or_insert_with(|| Ending {
            deadline: now.checked_add(wait).unwrap_or(now),
            goodbye,
            misuse: None,
            waiters: Vec::new(),
        });
        ending.waiters.extend(waiter);
    }

    /// The server accepted the connection.
    pub(crate) fn tell_first(&mut self) {
        if let Some(first) = self.first.take()
            && first.send(Ok(())).is_err()
        {
            // Nobody waits for this client any more: its handle is gone too, which `commands` tells.
            tracing::debug!("the client was dropped while it connected");
        }
    }
}

/// Waits for an instant; for ever when there is none.
pub(crate) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => core::future::pending().await,
    }
}
