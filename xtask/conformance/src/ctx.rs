//! What a case works with: the broker's address, names that nobody else uses, and ways to connect.

use core::net::SocketAddr;
use core::time::Duration;
use std::net::TcpStream;
use std::rc::Rc;
use std::time::Instant;

use mqtt_codec::{Connect, Properties, Property, QoS, ReasonCode, Version};

use crate::announced::Announced;
use crate::client::{Client, Limits, hex};
use crate::failure::{Step, Stop, failed, same};
use crate::frame::{Encode, Frame, publish};
use crate::trace::Trace;

/// Seconds that a kept session lasts in 5.0, if the case says nothing else.
const KEPT_S: u32 = 120;

/// The surroundings of one run of a case in one version.
#[derive(Debug)]
pub(crate) struct Ctx {
    address: SocketAddr,
    /// The version of the run.
    pub(crate) version: Version,
    /// What the broker says of itself in 5.0.
    pub(crate) announced: Announced,
    /// Letters and digits that no other case, version or run of the suite uses.
    unique: String,
    prefix: String,
    limits: Limits,
    trace: Rc<Trace>,
}

impl Ctx {
    /// Surroundings whose names begin with `unique`, at most 14 letters and digits.
    pub(crate) fn new(
        address: SocketAddr,
        version: Version,
        announced: Announced,
        unique: String,
        limits: Limits,
    ) -> Self {
        let prefix = format!("conformance/{unique}/");
        Self {
            address,
            version,
            announced,
            unique,
            prefix,
            limits,
            trace: Rc::default(),
        }
    }

    /// What happened so far.
    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Whether this is a run in 5.0.
    pub(crate) fn is_v5(&self) -> bool {
        self.version.is_v5()
    }

    /// A client identifier of this run: letters and digits, 23 at most for names of up to 9.
    pub(crate) fn id(&self, name: &str) -> String {
        format!("{}{name}", self.unique)
    }

    /// A topic or filter below the prefix of this run.
    pub(crate) fn topic(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }

    /// Opens a connection and sends nothing.
    #[track_caller]
    pub(crate) fn open(&self, name: &str) -> Step<Client> {
        match TcpStream::connect_timeout(&self.address, self.limits.patience) {
            Ok(stream) => Ok(Client::new(
                name,
                self.version,
                stream,
                self.limits,
                Rc::clone(&self.trace),
                &self.prefix,
            )),
            Err(error) => failed("the broker accepts connections", error.to_string()),
        }
    }

    /// A CONNECT of this run's version with a clean start; give it `&ctx.id(name)`.
    pub(crate) fn clean<'a>(&self, client_id: &'a str) -> Connect<'a> {
        Connect::new(self.version, client_id)
    }

    /// A CONNECT that resumes a session and leaves it behind: for two minutes in 5.0.
    pub(crate) fn keeping<'a>(&self, client_id: &'a str) -> Connect<'a> {
        const EXPIRY: &[Property<'_>] = &[Property::SessionExpiryInterval(KEPT_S)];
        Connect {
            clean_start: false,
            properties: if self.is_v5() {
                Properties::List(EXPIRY)
            } else {
                Properties::EMPTY
            },
            ..Connect::new(self.version, client_id)
        }
    }

    /// Sends `connect` over a new connection and gives the CONNACK, whatever it says.
    #[track_caller]
    pub(crate) fn try_connect(&self, name: &str, connect: &Connect<'_>) -> Step<(Client, Frame)> {
        let mut client = self.open(name)?;
        client.send(connect);
        let answer = client.receive()?;
        answer.conn_ack()?;
        Ok((client, answer))
    }

    /// Sends `connect` over a new connection; gives the CONNACK, which must accept it.
    #[track_caller]
    pub(crate) fn connect_with(&self, name: &str, connect: &Connect<'_>) -> Step<(Client, Frame)> {
        let (client, answer) = self.try_connect(name, connect)?;
        let reason = answer.conn_ack()?.reason;
        same("code of CONNACK", reason, ReasonCode::SUCCESS)?;
        Ok((client, answer))
    }

    /// Connects with a clean start and nothing else; the session ends with the connection.
    #[track_caller]
    pub(crate) fn connect(&self, name: &str) -> Step<Client> {
        let id = self.id(name);
        Ok(self.connect_with(name, &self.clean(&id))?.0)
    }

    /// Connects with a kept session, see [`Self::keeping`]; tells whether one was there.
    #[track_caller]
    pub(crate) fn connect_keeping(&self, name: &str) -> Step<(Client, bool)> {
        let id = self.id(name);
        let (client, answer) = self.connect_with(name, &self.keeping(&id))?;
        Ok((client, answer.conn_ack()?.session_present))
    }

    /// Connects with a clean start and one subscription.
    #[track_caller]
    pub(crate) fn subscribed(&self, name: &str, filter: &str, qos: QoS) -> Step<Client> {
        let mut client = self.connect(name)?;
        client.subscribe_at(filter, qos)?;
        Ok(client)
    }

    /// Sends `bytes` in place of a CONNECT. The broker must close the connection; a CONNACK with one of `codes`, or 0x80 or 0x83,
    /// without a session, may come before in 5.0. Afterwards a valid CONNECT must be accepted.
    #[track_caller]
    pub(crate) fn refused(&self, bytes: &[u8], codes: &[ReasonCode]) -> Step<Option<ReasonCode>> {
        let mut client = self.open("c")?;
        client.send_bytes(bytes);
        let Some(answer) = client.receive_or_end()? else {
            self.connect("c")?.ping()?;
            return Ok(None);
        };
        let ack = answer.conn_ack()?;
        let general = [
            ReasonCode::UNSPECIFIED_ERROR,
            ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR,
        ];
        // Before 5.0 there is a number for few of them.
        let tellable: Vec<_> = codes
            .iter()
            .filter(|code| self.is_v5() || code.connect_return_code().is_some())
            .collect();
        let told = tellable.contains(&&ack.reason) || self.is_v5() && general.contains(&ack.reason);
        if !told {
            let expected = if tellable.is_empty() {
                "the end of the connection, without CONNACK".to_owned()
            } else {
                format!("the end of the connection, or CONNACK with one of {tellable:?} before")
            };
            return failed(expected, format!("{answer:?}"));
        }
        same("session present in a refusal", ack.session_present, false)?;
        client.end()?;
        self.connect("c")?.ping()?;
        Ok(Some(ack.reason))
    }

    /// Sends `bytes` in place of a CONNECT; they have a protocol name or level that there is not. The broker must close the connection;
    /// tells whether it said before that it does not speak that; afterwards a valid CONNECT must be accepted. Which version's CONNACK says so is not specified.
    #[track_caller]
    pub(crate) fn refused_version(&self, bytes: &[u8]) -> Step<bool> {
        let mut client = self.open("c")?;
        client.send_bytes(bytes);
        let answer = client.receive_bytes_to_the_end()?;
        let told = match *answer {
            [] => false,
            [0x20, 2, 0, 1] | [0x20, _, 0, 0x84, ..] => true,
            _ => return failed("CONNACK 0x01 or 0x84, or nothing", hex(&answer)),
        };
        self.connect("c")?.ping()?;
        Ok(told)
    }

    /// Connects, sends `bytes`, and waits for the end of the connection; in 5.0 a DISCONNECT with one of `reasons` may come before,
    /// see [`Client::end_for`].
    #[track_caller]
    pub(crate) fn broken(&self, bytes: &[u8], reasons: &[ReasonCode]) -> Step<Option<ReasonCode>> {
        let mut client = self.connect("c")?;
        // Shows that the broker answers on this connection before the rule is broken.
        client.ping()?;
        client.send_bytes(bytes);
        client.end_for(reasons)
    }

    /// A CONNECT as bytes, to be changed and sent with [`Client::send_bytes`].
    pub(crate) fn bytes(&self, packet: &impl Encode) -> Vec<u8> {
        packet.bytes(self.version)
    }

    /// Lets time pass that the broker measures. For slow cases only.
    pub(crate) fn wait(&self, time: Duration) {
        self.trace.add("suite", "waits", &format!("{time:?}"));
        std::thread::sleep(time);
    }

    /// Ends the case as not applicable unless the broker takes retained messages.
    pub(crate) fn needs_retain(&self) -> Step {
        self.needs(self.announced.retain_available, "retained messages")
    }

    /// Ends the case as not applicable unless the broker takes publications of this QoS.
    pub(crate) fn needs_qos(&self, qos: QoS) -> Step {
        self.needs(
            self.announced.maximum_qos >= qos,
            &format!("QoS {}", qos as u8),
        )
    }

    /// Ends the case as not applicable unless the broker has what `name` names.
    pub(crate) fn needs(&self, available: bool, name: &str) -> Step {
        if available {
            Ok(())
        } else {
            Err(Stop::NotApplicable(format!(
                "the broker announces that it has no {name}"
            )))
        }
    }

    /// Removes what the case has left with the broker, as far as that can be done.
    pub(crate) fn tidy_up(&mut self) {
        self.limits.deadline = Instant::now() + self.limits.patience;
        let (topics, sessions) = self.trace.leftovers();
        for client_id in sessions {
            let gone = self.connect_with("suite", &self.clean(&client_id));
            drop(gone.and_then(|(client, _)| client.disconnect()));
        }
        if topics.is_empty() {
            return;
        }
        let Ok(mut client) = self.connect("suite") else {
            return;
        };
        for topic in topics {
            client.send(&mqtt_codec::Publish {
                retain: true,
                ..publish(&topic, "")
            });
        }
        drop(client.disconnect());
    }
}
