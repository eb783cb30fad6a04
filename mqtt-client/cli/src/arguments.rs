//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand};
use mqtt_client::Version;

use crate::property::{self, Property};

const AFTER: &str = "\
Examples:
  mqtt sub -v -t 'greenhouse/#'                      print every message below greenhouse/
  mqtt pub -t greenhouse/3/temperature -m 21.5       publish one message

`mqtt pub --help` and `mqtt sub --help` show all options and the exit codes.";

const PUB_AFTER: &str = "\
Examples:
  mqtt pub -t greenhouse/3/temperature -m 21.5
      one message, QoS 0
  mqtt pub -h broker.example -u me -P secret -q 1 -r -t greenhouse/3/state -m on
      with a password, at least once, kept by the server for later subscribers
  mqtt pub -t greenhouse/3/state -r -n
      an empty retained message: the server forgets the one it kept
  sensor | mqtt pub -q 1 -l -t greenhouse/3/temperature
      a message for each line of another program's output
  mqtt pub -t jobs -f photo.jpg -D publish content-type image/jpeg -D publish user-property camera 2
      a file, with properties (MQTT 5.0)

Exit codes:
  0        every message was taken (QoS 1 and 2: acknowledged) by the server
  1        wrong arguments, no connection, or a message that could not be sent
  2..5     the server refused the connection: the return code of MQTT 3.1 and 3.1.1
  128..    the server refused the connection or a message: the reason code of MQTT 5.0
  130      interrupted";

const SUB_AFTER: &str = "\
Examples:
  mqtt sub -v -t 'greenhouse/#'
      every message below greenhouse/, with its topic
  mqtt sub -t 'greenhouse/+/temperature' -C 1 -W 10
      one message, or exit code 27 after ten seconds
  mqtt sub -c -i logger -q 1 -t 'greenhouse/#'
      a session that the server keeps: what is published meanwhile arrives at the next start
  mqtt sub -t 'greenhouse/#' -F '%I %t %p'
      time, topic and payload in a format of your own
  mqtt sub -t '$share/workers/jobs' -q 1
      share the messages with the other workers

Formats (-F):
  %t topic       %p payload            %l its length      %q QoS          %r retained, 0 or 1
  %x payload in hexadecimal, lower case (%X upper case)   %j everything as one line of JSON
  %I time, ISO 8601 in UTC             %U time, seconds since 1970        %% a percent sign
  MQTT 5.0: %C content type  %R response topic  %D correlation data  %E seconds to expiry
            %F payload format indicator         %P user properties
  \\n \\r \\t \\a \\0 \\e \\\\ as usual

Exit codes:
  0        the messages that -C asked for came, or it was interrupted
  1        wrong arguments, or no connection
  2..5     the server refused the connection: the return code of MQTT 3.1 and 3.1.1
  27       the time of -W was over
  128..    the server refused the connection or every subscription: the reason code of MQTT 5.0";

/// Publishes and subscribes over MQTT 3.1, 3.1.1 and 5.0, with the options of mosquitto_pub and mosquitto_sub.
#[derive(Debug, Parser)]
#[command(name = "mqtt", version, after_help = AFTER, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Publish a message, a file, or the lines of standard input
    #[command(visible_alias = "publish", after_help = PUB_AFTER, disable_help_flag = true, disable_version_flag = true)]
    Pub(Publish),
    /// Subscribe to topics and print the messages
    #[command(visible_alias = "subscribe", after_help = SUB_AFTER, disable_help_flag = true, disable_version_flag = true)]
    Sub(Subscribe),
}

impl Command {
    pub(crate) const fn connection(&self) -> &Connection {
        match self {
            Self::Pub(publish) => &publish.connection,
            Self::Sub(subscribe) => &subscribe.connection,
        }
    }
}

/// What both commands need to connect.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// Host name or IP address of the broker
    #[arg(short = 'h', long, default_value = "localhost")]
    pub(crate) host: String,
    /// Its port
    #[arg(short, long, default_value_t = 1883, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// User name
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// Password
    #[arg(
        short = 'P',
        long = "pw",
        value_name = "PASSWORD",
        allow_hyphen_values = true
    )]
    pub(crate) password: Option<String>,
    /// Client id [default: a random one]
    #[arg(short, long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Client id: this prefix and the process id
    #[arg(short = 'I', long, value_name = "PREFIX", conflicts_with = "id")]
    pub(crate) id_prefix: Option<String>,
    /// Protocol version: 31, 311 or 5, also mqttv31, mqttv311, mqttv5 [default: 311; 5 when -D or -x is given]
    #[arg(short = 'V', long, value_name = "VERSION", value_parser = version)]
    pub(crate) protocol_version: Option<Version>,
    /// Keep-alive in seconds; 0 switches it off
    #[arg(short, long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) keepalive: u16,
    /// Keep the session: the server remembers subscriptions and messages of this client id (-i)
    #[arg(short = 'c', long)]
    pub(crate) disable_clean_session: bool,
    /// Seconds that the server keeps the session, -1 for ever (MQTT 5.0) [default: for ever with -c, else 0]
    #[arg(short = 'x', long, value_name = "SECONDS", allow_hyphen_values = true, value_parser = expiry)]
    pub(crate) session_expiry_interval: Option<u32>,
    /// A property (MQTT 5.0): COMMAND is connect, publish, subscribe, unsubscribe, disconnect or will; may be repeated
    #[arg(
        short = 'D',
        long = "property",
        value_name = "COMMAND NAME VALUE",
        value_parser = property::parse,
        action = ArgAction::Append,
        allow_hyphen_values = true
    )]
    pub(crate) properties: Vec<Property>,
    /// Say what happens, on standard error
    #[arg(short, long)]
    pub(crate) debug: bool,
    /// Print no errors
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Print this help
    #[arg(long, action = ArgAction::HelpLong)]
    help: Option<bool>,
    /// Topic of the will: the message that the server publishes when this client is gone without a goodbye
    #[arg(long, value_name = "TOPIC", help_heading = "Will")]
    pub(crate) will_topic: Option<String>,
    /// Payload of the will [default: empty]
    #[arg(
        long,
        value_name = "PAYLOAD",
        requires = "will_topic",
        allow_hyphen_values = true,
        help_heading = "Will"
    )]
    pub(crate) will_payload: Option<String>,
    /// QoS of the will
    #[arg(long, default_value_t = 0, value_name = "QOS", value_parser = clap::value_parser!(u8).range(0..=2), help_heading = "Will")]
    pub(crate) will_qos: u8,
    /// Have the server keep the will for later subscribers
    #[arg(long, requires = "will_topic", help_heading = "Will")]
    pub(crate) will_retain: bool,
}

/// `mqtt pub`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").required(true).multiple(false))]
pub(crate) struct Publish {
    /// Topic to publish to
    #[arg(short, long, value_name = "TOPIC")]
    pub(crate) topic: String,
    /// Publish this text
    #[arg(
        short,
        long,
        value_name = "TEXT",
        group = "source",
        allow_hyphen_values = true
    )]
    pub(crate) message: Option<OsString>,
    /// Publish the contents of a file
    #[arg(short, long, value_name = "FILE", group = "source")]
    pub(crate) file: Option<PathBuf>,
    /// Publish every line of standard input as a message
    #[arg(short = 'l', long, group = "source")]
    pub(crate) stdin_line: bool,
    /// Publish all of standard input as one message
    #[arg(short = 's', long, group = "source")]
    pub(crate) stdin_file: bool,
    /// Publish an empty message
    #[arg(short, long, group = "source")]
    pub(crate) null_message: bool,
    /// QoS: 0 at most once, 1 at least once, 2 exactly once
    #[arg(short, long, default_value_t = 0, value_name = "QOS", value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(crate) qos: u8,
    /// Have the server keep the message for later subscribers
    #[arg(short, long)]
    pub(crate) retain: bool,
    /// Publish so many times (not with -l)
    #[arg(
        long,
        default_value_t = 1,
        value_name = "N",
        conflicts_with = "stdin_line"
    )]
    pub(crate) repeat: u32,
    /// Seconds between two of them, with a fraction
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) repeat_delay: f64,
    /// Messages of QoS 1 and 2 in flight at once
    #[arg(short = 'M', long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_inflight: u16,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `mqtt sub`.
#[derive(Debug, Args)]
pub(crate) struct Subscribe {
    /// Topic filter, with the wildcards + and #; may be repeated
    #[arg(
        short,
        long,
        value_name = "FILTER",
        required_unless_present = "unsubscribe"
    )]
    pub(crate) topic: Vec<String>,
    /// QoS to subscribe with
    #[arg(short, long, default_value_t = 0, value_name = "QOS", value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(crate) qos: u8,
    /// Print the topic before the payload
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Print no end of line behind a payload
    #[arg(short = 'N', long = "no-eol")]
    pub(crate) no_eol: bool,
    /// Print in this format, see below
    #[arg(
        short = 'F',
        long,
        value_name = "FORMAT",
        allow_hyphen_values = true,
        conflicts_with = "verbose"
    )]
    pub(crate) format: Option<String>,
    /// End after so many messages
    #[arg(short = 'C', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End after so many seconds, with exit code 27
    #[arg(short = 'W', long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
    /// End when the server has answered the subscriptions
    #[arg(short = 'E', long)]
    pub(crate) exit_after_subscribe: bool,
    /// Print no retained messages
    #[arg(short = 'R', long)]
    pub(crate) no_retain: bool,
    /// Print retained messages only, and end with the first other one
    #[arg(long, conflicts_with = "no_retain")]
    pub(crate) retained_only: bool,
    /// Leave out messages of topics that match this filter; may be repeated
    #[arg(short = 'T', long, value_name = "FILTER")]
    pub(crate) filter_out: Vec<String>,
    /// Unsubscribe from this filter; may be repeated
    #[arg(short = 'U', long, value_name = "FILTER")]
    pub(crate) unsubscribe: Vec<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

fn version(text: &str) -> Result<Version, String> {
    match text.strip_prefix("mqttv").unwrap_or(text) {
        "31" | "3.1" => Ok(Version::V31),
        "311" | "3.1.1" => Ok(Version::V311),
        "5" | "50" | "5.0" => Ok(Version::V5),
        _ => Err("expected 31, 311 or 5".to_owned()),
    }
}

fn expiry(text: &str) -> Result<u32, String> {
    match text {
        "-1" | "∞" => Ok(u32::MAX),
        _ => text
            .parse()
            .map_err(|_| "expected 0 to 4294967295, or -1 for ever".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds: &f64| (0.0..1e9).contains(seconds))
        .ok_or_else(|| "expected a number of seconds".to_owned())
}

/// Joins the two or three values behind each `-D` into one, since their number depends on the name of the property.
///
/// A `-D` that is the value of another option stays what it is.
pub(crate) fn with_properties_joined(
    arguments: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let command = Cli::command();
    let takes_value: Vec<String> = command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .filter(|argument| argument.get_action().takes_values())
        .flat_map(|argument| {
            let short = argument.get_short().map(|short| format!("-{short}"));
            let long = argument.get_long().map(|long| format!("--{long}"));
            short.into_iter().chain(long)
        })
        .collect();
    let mut joined = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let is_property = argument == "-D" || argument == "--property";
        let takes = argument
            .to_str()
            .is_some_and(|text| takes_value.iter().any(|option| option == text));
        joined.push(argument);
        if is_property {
            let mut value = OsString::new();
            let mut wanted = 3;
            let mut at = 0;
            while at < wanted {
                let Some(part) = arguments.next() else { break };
                if at == 1 && part == "user-property" {
                    wanted = 4;
                }
                if at > 0 {
                    value.push(property::SEPARATOR);
                }
                value.push(part);
                at += 1;
            }
            joined.push(value);
        } else if takes {
            joined.extend(arguments.next());
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
        let line = ["mqtt"].iter().chain(line).map(OsString::from);
        Cli::try_parse_from(with_properties_joined(line))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_mosquitto_users_type_is_understood() {
        for line in [
            &[
                "pub", "-h", "h", "-p", "18", "-t", "t", "-m", "-5", "-q", "1", "-r",
            ][..],
            &[
                "pub", "-t", "t", "-n", "-V", "mqttv5", "-x", "-1", "-i", "me", "-c",
            ],
            &["pub", "-t", "t", "-m", "-D", "-u", "u", "-P", "-p"],
            &[
                "sub", "-t", "a", "-t", "b", "-v", "-C", "3", "-W", "9", "-R", "-T", "x",
            ],
            &[
                "sub",
                "-t",
                "a",
                "-D",
                "subscribe",
                "user-property",
                "-k",
                "-v",
                "-q",
                "2",
            ],
            &["sub", "-U", "a", "-k", "0", "-N", "-d", "--quiet"],
        ] {
            if let Err(error) = parse(line) {
                panic!("{line:?}: {error}");
            }
        }
        let Ok(Cli {
            command: Command::Pub(publish),
        }) = parse(&["pub", "-t", "t", "-m", "-D"])
        else {
            panic!("a message that looks like an option");
        };
        assert_eq!(publish.message, Some("-D".into()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            &["pub", "-t", "t"][..],
            &["pub", "-m", "x"],
            &["pub", "-t", "t", "-m", "x", "-n"],
            &["pub", "-t", "t", "-m", "x", "-q", "3"],
            &["pub", "-t", "t", "-m", "x", "-V", "4"],
            &[
                "pub", "-t", "t", "-m", "x", "-D", "publish", "nonsense", "1",
            ],
            &["pub", "-t", "t", "-m", "x", "-D", "publish"],
            &["sub"],
            &["sub", "-t", "t", "--will-retain"],
            &["sub", "-t", "t", "-p", "0"],
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
