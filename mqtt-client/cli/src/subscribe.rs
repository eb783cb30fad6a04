//! `mqtt sub`.

use core::time::Duration;
use std::io::{ErrorKind, Write as _};

use mqtt_client::{Acknowledge, Client, Publication, SubscribeOptions, Subscription};
use mqtt_topic::{ParsedFilter, TopicName};
use tokio::time::Instant;

use crate::arguments::Subscribe;
use crate::connect::{Interrupts, connect, disconnect, options, qos, version};
use crate::failure::{Failure, TIMED_OUT, report};
use crate::format::Format;
use crate::property;

/// QoS 0 messages that wait for slow output; QoS 1 and 2 wait at the server.
const CAPACITY: usize = 100_000;

pub(crate) async fn run(arguments: Subscribe) -> Result<(), Failure> {
    let mut interrupts = Interrupts::new();
    let connection = &arguments.connection;
    let format = match &arguments.format {
        Some(text) => Some(Format::parse(text)?),
        None => None,
    };
    for filter in arguments.topic.iter().chain(&arguments.unsubscribe) {
        check(filter)?;
    }
    for filter in &arguments.filter_out {
        check(filter)?;
    }
    let options = options(connection, |_| {})?;
    let deadline = arguments
        .timeout
        .and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
    let timed_out = || Failure::new(TIMED_OUT, "timed out");
    let client = tokio::select! {
        client = connect(connection, options) => client?,
        () = interrupts.next() => return Ok(()),
        () = at(deadline) => return Err(timed_out()),
    };
    // It outlives the goodbye: dropped earlier it would unsubscribe, and acknowledge what was not printed.
    let mut subscription = None;
    let result = tokio::select! {
        result = receive(&client, &arguments, format.as_ref(), &mut subscription) => result,
        () = interrupts.next() => Ok(()),
        () = at(deadline) => Err(timed_out()),
    };
    let goodbye = tokio::select! {
        goodbye = disconnect(&client, connection) => goodbye,
        () = interrupts.next() => Ok(()),
    };
    if let Some(missed) = subscription
        .map(|it| it.missed())
        .filter(|missed| *missed > 0)
    {
        report(
            "warning",
            "33",
            &format!(
                "{missed} messages of QoS 0 came faster than they could be printed, and were lost"
            ),
        );
    }
    result.and(goodbye)
}

fn check(filter: &str) -> Result<(), Failure> {
    match ParsedFilter::parse(filter) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(
            1,
            format!("{filter:?} is not a topic filter: {error}"),
        )
        .hint("+ stands for one whole level, # for all that follow and comes last: 'site/+/state', 'site/#'")),
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => core::future::pending().await,
    }
}

/// Subscribes, and prints messages until there is a reason to end.
async fn receive(
    client: &Client,
    arguments: &Subscribe,
    format: Option<&Format>,
    place: &mut Option<Subscription>,
) -> Result<(), Failure> {
    let connection = &arguments.connection;
    if !arguments.unsubscribe.is_empty() {
        let filters = arguments.unsubscribe.iter().map(String::as_str);
        let codes = client
            .unsubscribe_with(filters, property::unsubscribe(&connection.properties))
            .await
            .map_err(|error| Failure::subscription(&error))?;
        if connection.debug {
            report("debug", "2", &format!("unsubscribed: {codes:?}"));
        }
    }
    let Some((first, more)) = arguments.topic.split_first() else {
        return Ok(());
    };
    let mut options = SubscribeOptions::new(&**first)
        .qos(qos(arguments.qos))
        .capacity(CAPACITY)
        .acknowledge(Acknowledge::WhenTaken);
    for filter in more {
        options = options.filter(&**filter);
    }
    let options = property::subscribe(&connection.properties, options);
    let subscription = place.insert(
        client
            .subscribe(options)
            .await
            .map_err(|error| Failure::subscription(&error))?,
    );
    for (filter, code) in arguments.topic.iter().zip(subscription.granted()) {
        if code.is_error() && !connection.quiet {
            report(
                "warning",
                "33",
                &format!("the server refused the subscription to {filter}: {code}"),
            );
        } else if connection.debug {
            report("debug", "2", &format!("subscribed to {filter}: {code}"));
        }
    }
    if arguments.exit_after_subscribe {
        return Ok(());
    }
    let mut left = arguments.count;
    while let Some(publication) = subscription.recv().await {
        if arguments.retained_only && !publication.is_retained() {
            return Ok(());
        }
        if is_hidden(arguments, &publication) {
            continue;
        }
        let printed = print(arguments, format, &publication);
        if let Err(error) = printed {
            // Whoever read the output has seen enough.
            return match error.kind() {
                ErrorKind::BrokenPipe => Ok(()),
                _ => Err(Failure::new(
                    1,
                    format!("cannot write to standard output: {error}"),
                )),
            };
        }
        if let Some(left) = &mut left {
            *left -= 1;
            if *left == 0 {
                return Ok(());
            }
        }
    }
    match client.ended().await {
        Ok(()) => Ok(()),
        Err(error) => Err(Failure::connection(&error, version(connection))),
    }
}

fn is_hidden(arguments: &Subscribe, publication: &Publication) -> bool {
    if arguments.no_retain && publication.is_retained() {
        return true;
    }
    let Ok(name) = TopicName::new(publication.topic()) else {
        return false;
    };
    arguments
        .filter_out
        .iter()
        .any(|filter| ParsedFilter::parse(filter).is_ok_and(|parsed| parsed.filter.matches(&name)))
}

/// Prints a message, byte for byte as mosquitto_sub does.
fn print(
    arguments: &Subscribe,
    format: Option<&Format>,
    publication: &Publication,
) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(publication.payload().len() + 64);
    let payload = publication.payload();
    if let Some(format) = format {
        format.write(publication, &mut bytes);
    } else if arguments.verbose && !payload.is_empty() {
        bytes.extend_from_slice(publication.topic().as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(payload);
    } else if arguments.verbose && !arguments.no_eol {
        bytes.extend_from_slice(publication.topic().as_bytes());
        bytes.extend_from_slice(b" (null)");
    } else {
        bytes.extend_from_slice(payload);
    }
    // An empty message prints nothing at all, unless its topic is printed.
    if !arguments.no_eol && (format.is_some() || !bytes.is_empty()) {
        bytes.push(b'\n');
    }
    let mut output = std::io::stdout().lock();
    output.write_all(&bytes)?;
    output.flush()
}
