//! `mqtt pub`.

use core::time::Duration;
use std::io::ErrorKind;

use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use mqtt_client::{Client, Delivery, Message, PublishError};
use mqtt_topic::TopicName;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Stdin, stdin};

use crate::arguments::Publish;
use crate::connect::{Interrupts, connect, disconnect, options, qos};
use crate::failure::{Failure, INTERRUPTED, report, with_sources};
use crate::property;

/// Where payloads come from.
enum Source {
    /// One payload, and how often.
    Once(Bytes, u32),
    /// Each line is one.
    Lines(BufReader<Stdin>),
}

impl Source {
    async fn open(arguments: &Publish) -> Result<Self, Failure> {
        if arguments.stdin_line {
            return Ok(Self::Lines(BufReader::new(stdin())));
        }
        let payload = if let Some(text) = &arguments.message {
            text.clone().into_encoded_bytes()
        } else if let Some(path) = &arguments.file {
            std::fs::read(path).map_err(|error| {
                let failure = Failure::new(1, format!("cannot read {}: {error}", path.display()));
                match error.kind() {
                    ErrorKind::NotFound => failure.hint("check the name given with -f"),
                    _ => failure,
                }
            })?
        } else if arguments.stdin_file {
            let mut all = Vec::new();
            stdin().read_to_end(&mut all).await.map_err(unreadable)?;
            all
        } else {
            Vec::new()
        };
        Ok(Self::Once(payload.into(), arguments.repeat))
    }

    /// The next payload. Cancelled only when the program ends.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        match self {
            Self::Once(payload, times) => {
                let left = times.checked_sub(1);
                *times = left.unwrap_or(0);
                Ok(left.map(|_| payload.clone()))
            }
            Self::Lines(input) => {
                let mut line = Vec::new();
                if input
                    .read_until(b'\n', &mut line)
                    .await
                    .map_err(unreadable)?
                    == 0
                {
                    return Ok(None);
                }
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                Ok(Some(line.into()))
            }
        }
    }
}

fn unreadable(error: std::io::Error) -> Failure {
    Failure::new(1, format!("cannot read standard input: {error}"))
}

pub(crate) async fn run(arguments: Publish) -> Result<(), Failure> {
    let mut interrupts = Interrupts::new();
    let connection = &arguments.connection;
    // A file that is not there is told before anybody is bothered.
    let mut source = Source::open(&arguments).await?;
    let most = arguments.max_inflight;
    let options = options(connection, |limits| {
        limits.send_maximum = most;
        limits.unannounced_send_maximum = most;
    })?;
    if let Err(error) = TopicName::new(&arguments.topic) {
        let failure = Failure::new(1, format!("{:?} is not a topic: {error}", arguments.topic));
        return Err(failure.hint("publish to one topic; wildcards are for `mqtt sub`"));
    }
    let client = tokio::select! {
        client = connect(connection, options) => client?,
        () = interrupts.next() => return Err(Failure::new(INTERRUPTED, "interrupted")),
    };
    let sent = tokio::select! {
        sent = send_all(&client, &arguments, &mut source) => sent,
        () = interrupts.next() => Err(Failure::new(INTERRUPTED, "interrupted")),
    };
    // Whatever happened, what was taken is still delivered and the server is told goodbye; a second signal stops that.
    let goodbye = tokio::select! {
        goodbye = disconnect(&client, connection) => goodbye,
        () = interrupts.next() => Err(Failure::new(INTERRUPTED, "interrupted")),
    };
    sent.and(goodbye)
}

/// Publishes everything and waits for every acknowledgement; gives the first failure.
async fn send_all(
    client: &Client,
    arguments: &Publish,
    source: &mut Source,
) -> Result<(), Failure> {
    let mut pending = FuturesUnordered::<Delivery>::new();
    let mut worst = None;
    let delay = Duration::from_secs_f64(arguments.repeat_delay);
    let mut first = true;
    while let Some(payload) = source.next().await? {
        if !first && !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        first = false;
        let len = payload.len();
        let message = Message::new(&*arguments.topic, payload)
            .qos(qos(arguments.qos))
            .retain(arguments.retain);
        let message = property::publish(&arguments.connection.properties, message);
        match client.enqueue(message).await {
            Ok(delivery) => pending.push(delivery),
            Err(error) => return Err(failed(client, &error, arguments).await),
        }
        if arguments.connection.debug {
            report("debug", "2", &format!("publishing {len} bytes"));
        }
        while let Some(Some(result)) = pending.next().now_or_never() {
            note(client, result, arguments, &mut worst).await;
        }
    }
    while let Some(result) = pending.next().await {
        note(client, result, arguments, &mut worst).await;
    }
    worst.map_or(Ok(()), Err)
}

async fn note(
    client: &Client,
    result: Result<mqtt_client::Ack, PublishError>,
    arguments: &Publish,
    worst: &mut Option<Failure>,
) {
    match result {
        Ok(ack) if arguments.connection.debug => {
            report("debug", "2", &format!("delivered: {}", ack.reason));
        }
        Ok(_) => {}
        Err(error) => {
            let failure = failed(client, &error, arguments).await;
            worst.get_or_insert(failure);
        }
    }
}

async fn failed(client: &Client, error: &PublishError, arguments: &Publish) -> Failure {
    match error {
        PublishError::Refused(reason) => Failure::new(reason.0, error.to_string())
            .hint("may this user (-u) publish to this topic?"),
        PublishError::Closed => match client.ended().await {
            Err(why) => Failure::connection(&why, crate::connect::version(&arguments.connection)),
            Ok(()) => Failure::new(1, error.to_string()),
        },
        other => Failure::new(1, with_sources(other)),
    }
}
