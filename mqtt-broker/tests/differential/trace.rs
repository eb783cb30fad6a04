//! What a trace is made of: the steps of several clients, each of which means something whatever went before it.
//!
//! Topics and client ids have no prefix here; the driver adds one for each run, so that runs share a broker without meeting.

use core::fmt;

use mqtt_codec::{QoS, ReasonCode, RetainHandling, SubscriptionOptions, Version};

/// Steps of several clients, in order.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// What it was made from.
    pub(crate) seed: u64,
    /// How many clients there are.
    pub(crate) clients: usize,
    /// What they do.
    pub(crate) steps: Vec<Step>,
}

impl Trace {
    /// The same without these steps.
    pub(crate) fn without(&self, dropped: core::ops::Range<usize>) -> Self {
        let kept = |&(index, _): &(usize, &Step)| !dropped.contains(&index);
        let steps = self.steps.iter().enumerate().filter(kept);
        Self {
            steps: steps.map(|(_, step)| step.clone()).collect(),
            ..*self
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {number:2}  {step}")?;
        }
        Ok(())
    }
}

/// What one client does, or time. A step that its client cannot do (a PUBLISH without a connection) is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Connects, resumes, or takes its own connection over.
    Connect(usize, Hello),
    /// One SUBSCRIBE with these filters and this subscription identifier.
    Subscribe(usize, Vec<(String, SubscriptionOptions)>, Option<u32>),
    /// One UNSUBSCRIBE.
    Unsubscribe(usize, Vec<String>),
    /// One PUBLISH.
    Publish(usize, Message, After),
    /// Answers from now on in this manner, beginning with what it had not answered.
    Answer(usize, Manner),
    /// Sends the PUBRELs that were held back.
    Release(usize),
    /// The connection breaks.
    Cut(usize),
    /// DISCONNECT with this reason and session expiry (5.0).
    Disconnect(usize, ReasonCode, Option<u32>),
    /// PINGREQ.
    Ping(usize),
    /// Time passes: more than [`SOON_S`] seconds.
    Wait,
}

/// Seconds of what expires during [`Step::Wait`].
pub(crate) const SOON_S: u32 = 2;
/// Seconds of what does not expire.
pub(crate) const LATE_S: u32 = 1000;

/// A CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The version of the connection.
    pub(crate) version: Version,
    /// Clean Start, or Clean Session.
    pub(crate) clean: bool,
    /// Session Expiry Interval (5.0).
    pub(crate) expiry: Option<u32>,
    /// The will and its delay (5.0).
    pub(crate) will: Option<(Message, Option<u32>)>,
    /// Receive Maximum (5.0).
    pub(crate) receive_maximum: Option<u16>,
    /// Maximum Packet Size (5.0).
    pub(crate) maximum_packet_size: Option<u32>,
    /// Topic Alias Maximum (5.0).
    pub(crate) topic_alias_maximum: Option<u16>,
    /// Request Problem Information (5.0).
    pub(crate) problem_information: Option<bool>,
    /// How it answers.
    pub(crate) manner: Manner,
}

/// A message, as it is published or left as a will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its topic.
    pub(crate) topic: String,
    /// Its payload, of which there is one in a trace; empty to remove a retained message.
    pub(crate) payload: String,
    /// Its QoS.
    pub(crate) qos: QoS,
    /// Whether it is to be retained.
    pub(crate) retain: bool,
    /// Message Expiry Interval (5.0).
    pub(crate) expiry: Option<u32>,
    /// Whether it has the properties that go through unchanged (5.0).
    pub(crate) properties: bool,
    /// The topic alias to use (5.0, not for a will).
    pub(crate) alias: Option<u16>,
}

/// What becomes of a PUBLISH of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Its handshake is completed.
    Complete,
    /// PUBREL is held back until [`Step::Release`] or the next connection.
    Hold,
    /// The connection breaks, and the broker's answers are lost.
    Lose,
}

/// How a client answers PUBLISH and PUBREL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// At once, with success.
    AtOnce,
    /// Not at all, until the next connection or [`Step::Answer`].
    Withhold,
    /// PUBREC at once, PUBACK and PUBCOMP not.
    Halfway,
    /// At once, with an error (5.0; with success before).
    Refuse,
}

impl Step {
    /// Whose step it is.
    pub(crate) fn client(&self) -> Option<usize> {
        match *self {
            Self::Connect(client, _)
            | Self::Subscribe(client, ..)
            | Self::Unsubscribe(client, _)
            | Self::Publish(client, ..)
            | Self::Answer(client, _)
            | Self::Release(client)
            | Self::Cut(client)
            | Self::Disconnect(client, ..)
            | Self::Ping(client) => Some(client),
            Self::Wait => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(client) = self.client() {
            write!(f, "client {client}: ")?;
        }
        match self {
            Self::Connect(_, hello) => hello.fmt(f),
            Self::Subscribe(_, filters, id) => {
                f.write_str("SUBSCRIBE")?;
                for (filter, options) in filters {
                    write!(f, " {filter}({})", show_options(options))?;
                }
                show(f, "id", id)
            }
            Self::Unsubscribe(_, filters) => write!(f, "UNSUBSCRIBE {}", filters.join(" ")),
            Self::Publish(_, message, after) => {
                write!(f, "PUBLISH {message}")?;
                match after {
                    After::Complete => Ok(()),
                    After::Hold => f.write_str(", holds PUBREL back"),
                    After::Lose => f.write_str(", answers are lost"),
                }
            }
            Self::Answer(_, manner) => write!(f, "answers {manner:?}"),
            Self::Release(_) => f.write_str("sends the PUBRELs it held back"),
            Self::Cut(_) => f.write_str("breaks off"),
            Self::Disconnect(_, reason, expiry) => {
                write!(f, "DISCONNECT {reason:?}")?;
                show(f, "expiry", expiry)
            }
            Self::Ping(_) => f.write_str("PINGREQ"),
            Self::Wait => f.write_str("time passes"),
        }
    }
}

fn show(f: &mut fmt::Formatter<'_>, name: &str, value: &Option<impl fmt::Display>) -> fmt::Result {
    value
        .as_ref()
        .map_or(Ok(()), |value| write!(f, " {name}={value}"))
}

fn show_options(options: &SubscriptionOptions) -> String {
    let mut text = format!("QoS {}", options.qos as u8);
    for (set, name) in [
        (options.no_local, "no local"),
        (options.retain_as_published, "retain as published"),
    ] {
        if set {
            text += ", ";
            text += name;
        }
    }
    match options.retain_handling {
        RetainHandling::SendAtSubscribe => {}
        RetainHandling::SendIfNew => text += ", retain handling 1",
        RetainHandling::DoNotSend => text += ", retain handling 2",
    }
    text
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CONNECT {}", self.version)?;
        if self.clean {
            f.write_str(" clean")?;
        }
        show(f, "expiry", &self.expiry)?;
        show(f, "receive-maximum", &self.receive_maximum)?;
        show(f, "maximum-packet-size", &self.maximum_packet_size)?;
        show(f, "topic-alias-maximum", &self.topic_alias_maximum)?;
        show(f, "problem-information", &self.problem_information)?;
        if let Some((message, delay)) = &self.will {
            write!(f, " will[{message}")?;
            show(f, "delay", delay)?;
            f.write_str("]")?;
        }
        if self.manner == Manner::AtOnce {
            Ok(())
        } else {
            write!(f, ", answers {:?}", self.manner)
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = short(&self.payload);
        write!(f, "{} {payload:?} QoS {}", self.topic, self.qos as u8)?;
        if payload.len() < self.payload.len() {
            write!(f, " ({} bytes)", self.payload.len())?;
        }
        if self.retain {
            f.write_str(" retain")?;
        }
        if self.properties {
            f.write_str(" properties")?;
        }
        show(f, "expiry", &self.expiry)?;
        show(f, "alias", &self.alias)
    }
}

/// A payload without what only makes it long.
pub(crate) fn short(payload: &str) -> &str {
    payload.trim_end_matches('.')
}
