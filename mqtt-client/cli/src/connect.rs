//! What both commands do with their connection options: connect, tell what happens, end in order.

use core::time::Duration;

use mqtt_client::{Client, DisconnectError, Event, Events, Limits, Message, Options, QoS, Version};

use crate::arguments::Connection;
use crate::failure::{Failure, report, with_sources};
use crate::property::{self, span};

/// The largest packet that there can be, in bytes: a tool takes what comes.
const ANY_SIZE: u32 = 268_435_460;

/// The version to speak: what was asked for, or what the other options need.
pub(crate) fn version(connection: &Connection) -> Version {
    let needs_v5 =
        !connection.properties.is_empty() || connection.session_expiry_interval.is_some();
    connection
        .protocol_version
        .unwrap_or(if needs_v5 { Version::V5 } else { Version::V311 })
}

/// The QoS that the command line has checked to be 0, 1 or 2.
pub(crate) fn qos(number: u8) -> QoS {
    QoS::from_u8(number).unwrap_or_default()
}

/// The options of the client.
pub(crate) fn options(
    connection: &Connection,
    change: impl FnOnce(&mut Limits),
) -> Result<Options, Failure> {
    let version = version(connection);
    if version != Version::V5 {
        let what = match connection {
            it if !it.properties.is_empty() => Some("-D"),
            it if it.session_expiry_interval.is_some() => Some("-x"),
            _ => None,
        };
        if let Some(what) = what {
            return Err(Failure::new(1, format!("{what} needs MQTT 5.0")).hint("add -V 5"));
        }
    }
    let id = match &connection.id_prefix {
        Some(prefix) => Some(format!("{prefix}{}", std::process::id())),
        None => connection.id.clone(),
    };
    if connection.disable_clean_session && id.is_none() {
        return Err(
            Failure::new(1, "-c keeps the session of a client id, which is missing")
                .hint("add -i ID"),
        );
    }
    if connection.password.is_some() && connection.username.is_none() && version != Version::V5 {
        return Err(
            Failure::new(1, "before MQTT 5.0 a password needs a user name").hint("add -u NAME"),
        );
    }
    let mut options = Options::new((&*connection.host, connection.port))
        .version(version)
        .keep_alive(Duration::from_secs(connection.keepalive.into()))
        .clean_start(!connection.disable_clean_session);
    let for_ever = if connection.disable_clean_session {
        u32::MAX
    } else {
        0
    };
    let expiry = connection.session_expiry_interval.unwrap_or(for_ever);
    options = options.session_expiry(span(expiry));
    if let Some(id) = id {
        options = options.client_id(id);
    }
    if let Some(name) = &connection.username {
        options = options.user_name(&**name);
    }
    if let Some(password) = &connection.password {
        options = options.password(password.clone());
    }
    let will = connection.will_topic.as_ref().map(|topic| {
        let payload = connection.will_payload.clone().unwrap_or_default();
        Message::new(&**topic, payload)
            .qos(qos(connection.will_qos))
            .retain(connection.will_retain)
    });
    if let Some(will) = property::will(&connection.properties, will)? {
        options = options.will(will);
    }
    options = options.limits(|limits| {
        limits.maximum_packet_size = ANY_SIZE;
        change(limits);
    });
    Ok(property::connect(&connection.properties, options))
}

/// Connects; a first attempt that fails is a failure, later ones are made again and told.
pub(crate) async fn connect(connection: &Connection, options: Options) -> Result<Client, Failure> {
    let client = Client::connect(options)
        .await
        .map_err(|error| Failure::connection(&error, version(connection)))?;
    if connection.debug {
        report(
            "debug",
            "2",
            &format!(
                "connected to {}:{} with MQTT {}",
                connection.host,
                connection.port,
                version(connection)
            ),
        );
    }
    let (quiet, debug) = (connection.quiet, connection.debug);
    tokio::spawn(tell(client.events(), quiet, debug));
    Ok(client)
}

async fn tell(mut events: Events, quiet: bool, debug: bool) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Disconnected {
                error,
                retry_in: Some(wait),
            } if !quiet => {
                let text = format!(
                    "{}; trying again in {:.1} s",
                    with_sources(&error),
                    wait.as_secs_f64()
                );
                report("warning", "33", &text);
            }
            Event::SubscriptionLost { filter, reason } if !quiet => {
                report(
                    "warning",
                    "33",
                    &format!("the server no longer grants {filter}: {reason}"),
                );
            }
            Event::Connected(accepted) if debug => {
                let text = format!("connected, session present: {}", accepted.session_present());
                report("debug", "2", &text);
            }
            _ => {}
        }
    }
}

/// Says goodbye.
pub(crate) async fn disconnect(client: &Client, connection: &Connection) -> Result<(), Failure> {
    let goodbye = property::disconnect(&connection.properties);
    match client.disconnect_with(goodbye).await {
        Ok(()) => {
            if connection.debug {
                report("debug", "2", "disconnected");
            }
            Ok(())
        }
        // The client has ended before: by then the reason was told.
        Err(DisconnectError::Closed) => Ok(()),
        Err(error) => Err(Failure::new(1, with_sources(&error))),
    }
}

/// Ctrl-C, and the signal that asks a program to end. Made once, so that none is missed between two waits.
#[derive(Debug)]
pub(crate) struct Interrupts {
    #[cfg(unix)]
    signals: Option<[tokio::signal::unix::Signal; 2]>,
}

impl Interrupts {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(unix)]
            signals: {
                use tokio::signal::unix::{SignalKind, signal};
                let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
                // Without a handler the system ends the program by itself.
                match kinds.map(signal) {
                    [Ok(interrupt), Ok(terminate)] => Some([interrupt, terminate]),
                    _ => None,
                }
            },
        }
    }

    /// Waits for the next one.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) {
        match &mut self.signals {
            Some([interrupt, terminate]) => tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            },
            None => core::future::pending().await,
        }
    }

    /// Waits for the next one.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            core::future::pending::<()>().await;
        }
    }
}
