//! What is tried.

use core::fmt;

use super::BrokerKind;

/// What is between the firmware and the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The UART is the connection.
    Raw,
    /// A SIM800 at the UART.
    Modem,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every answer comes later, in milliseconds.
    Latency(u32),
    /// The connection ends at this byte, both directions counted, once.
    Cut(u64),
    /// The first dials fail.
    Refuse(u32),
    /// One byte at a time.
    Mtu1,
    /// Lines that nobody asked for come between those of answers.
    Chatter,
    /// Every so many commands one is answered with ERROR and not done.
    Error(u32),
    /// Every so many commands one is neither answered nor done.
    Silent(u32),
}

impl Fault {
    /// The flags that make `at-modem` do so.
    #[must_use]
    pub fn flags(self) -> Vec<String> {
        let flag = |name: &str, value: u64| vec![format!("--{name}"), value.to_string()];
        match self {
            Self::None => Vec::new(),
            Self::Latency(ms) => flag("latency", ms.into()),
            Self::Cut(at) => flag("cut", at),
            Self::Refuse(count) => flag("refuse", count.into()),
            Self::Mtu1 => flag("mtu", 1),
            Self::Chatter => vec!["--chatter".to_owned()],
            Self::Error(every) => flag("error", every.into()),
            Self::Silent(every) => flag("silent", every.into()),
        }
    }

    /// What a table calls its kind.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::None => "clean",
            Self::Latency(_) => "latency",
            Self::Cut(_) => "cut",
            Self::Refuse(_) => "refused dials",
            Self::Mtu1 => "MTU 1",
            Self::Chatter => "unsolicited lines",
            Self::Error(_) => "ERROR",
            Self::Silent(_) => "silence",
        }
    }
}

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// What is in between.
    pub transport: Transport,
    /// What goes wrong.
    pub fault: Fault,
    /// What is at the other end.
    pub broker: BrokerKind,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Raw => "raw UART",
            Transport::Modem => "AT modem",
        };
        let broker = self.broker.name();
        write!(f, "{transport}, {broker}, {}", self.fault.kind())?;
        let flags = self.fault.flags();
        if flags.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", flags.join(" "))
        }
    }
}

/// All of them, with a cut at every byte of a conversation of this length.
#[must_use]
pub fn cases(conversation: u64) -> Vec<Case> {
    let mut faults = vec![
        Fault::None,
        Fault::Latency(20),
        Fault::Latency(300),
        Fault::Refuse(1),
        Fault::Refuse(3),
        Fault::Mtu1,
        Fault::Chatter,
        Fault::Error(37),
        Fault::Silent(41),
    ];
    faults.extend((0..conversation).map(Fault::Cut));
    let mut cases = Vec::new();
    for fault in faults {
        for transport in [Transport::Raw, Transport::Modem] {
            // A bare line has no commands.
            let commands = matches!(fault, Fault::Chatter | Fault::Error(_) | Fault::Silent(_));
            if commands && transport == Transport::Raw {
                continue;
            }
            for broker in [BrokerKind::Ours, BrokerKind::Mosquitto] {
                cases.push(Case {
                    transport,
                    fault,
                    broker,
                });
            }
        }
    }
    cases
}
