//! Hands over messages of QoS 1 and 2, has the broker send them back, and judges itself: what every fault is tried with.

use embedded_io::{Read, ReadReady, Write};
use firmware_board::Board;
use mqtt_device::blocking::Client;
use mqtt_device::modem::{Engine, Modem, SIM800, Settings};
use mqtt_device::profile::V3;
use mqtt_device::{
    Connect, Device, Dial, Event, Instant, Outgoing, QoS, Ring, Subscription, SubscriptionOptions,
    TopicFilter, TopicName, Version,
};

use crate::Line;

const TOPIC: TopicName<'static> = TopicName::from_static("matrix/loop");
const MESSAGES: usize = 6;
/// A conversation that has not ended after this many milliseconds never will.
const PATIENCE_MS: u64 = 120_000;
/// How long a message that is sent twice may take, in milliseconds.
const SETTLE_MS: u64 = 300;

/// Some messages did not arrive, or were not acknowledged, in time.
pub const TOO_LATE: u8 = 9;
/// A message of QoS 2 came twice; its number is added.
pub const TWICE: u8 = 20;

const SUBSCRIPTIONS: &[Subscription] = &[(
    TopicFilter::from_static("matrix/loop"),
    SubscriptionOptions::new(QoS::ExactlyOnce),
)];

/// Learns of a loss by silence only, and so is quick to think of one: thousands of runs shall end today.
#[derive(Debug)]
struct Hasty;

impl Device for Hasty {
    type Profile = V3;
    const SUBSCRIPTIONS: &'static [Subscription] = SUBSCRIPTIONS;
    const ANSWER_TIMEOUT_MS: u32 = 1_500;
    const RETRY_MS: u32 = 64;
}

/// Is told of a loss by its modem, which may take seconds for every packet.
#[derive(Debug)]
struct Patient;

impl Device for Patient {
    type Profile = V3;
    const SUBSCRIPTIONS: &'static [Subscription] = SUBSCRIPTIONS;
    const ANSWER_TIMEOUT_MS: u32 = 20_000;
    const RETRY_MS: u32 = 64;
}

const fn qos_of(message: usize) -> QoS {
    if message & 1 == 0 {
        QoS::AtLeastOnce
    } else {
        QoS::ExactlyOnce
    }
}

fn connect(keep_alive: u16) -> Connect<'static> {
    Connect {
        clean_start: false,
        keep_alive,
        ..Connect::new(Version::V311, "matrix")
    }
}

/// The UART is the connection.
pub fn raw<B: Board, U: Read + Write + ReadReady>(board: &B, uart: U) -> u8 {
    run::<Hasty, _, _>(board, Line::new(board, uart), || connect(1))
}

/// Over a SIM800.
pub fn modem<B: Board, U: Read + Write + ReadReady>(board: &B, uart: U) -> u8 {
    const SETTINGS: Settings<'static> = Settings {
        host: "broker",
        port: 1883,
        network: "internet",
        user: "",
        password: "",
        pin: "",
    };
    let mut memory = [0; 128];
    let engine = Engine::new(SIM800, &SETTINGS, &mut memory);
    let clock = (|| board.now(), |until| board.idle(until));
    let modem = Modem::new(uart, clock, engine);
    run::<Patient, _, _>(board, modem, || connect(20))
}

/// Gives 0 when everything has arrived and been acknowledged, and nothing of QoS 2 twice.
fn run<D: Device, B: Board, C>(board: &B, dial: C, identity: impl Fn() -> Connect<'static>) -> u8
where
    C: Dial<Connection: Read + Write + ReadReady>,
{
    let (mut receive, mut queue) = ([0; 320], [0; 256]);
    let queue = Ring::new(&mut queue);
    let mut client = Client::<D, _, _, _>::new(identity, &mut receive, queue, dial, board.random());
    let (mut handed, mut acknowledged, mut received) = (0, 0, [0_u8; MESSAGES]);
    let end = board.now().plus_millis(PATIENCE_MS);
    let (mut subscribed, mut settled): (bool, Option<Instant>) = (false, None);
    loop {
        let now = board.now();
        match client.poll(now) {
            Event::Subscribed(_, code) => subscribed = !code.is_error(),
            Event::Acknowledged(_, reason) if !reason.is_error() => acknowledged += 1,
            Event::Message => {
                let message = client.message();
                if let [digit, ..] = *message.payload
                    && let Some(count) = received.get_mut(usize::from(digit.wrapping_sub(b'0')))
                {
                    *count = count.saturating_add(1);
                }
            }
            Event::Waiting => {
                // What is handed over before would not come back.
                if subscribed && handed < MESSAGES {
                    let payload = [b'0' + handed as u8; 12];
                    let message = Outgoing {
                        qos: qos_of(handed),
                        ..Outgoing::new(TOPIC, &payload)
                    };
                    handed += usize::from(client.publish(&message).is_ok());
                }
                let all = acknowledged >= MESSAGES && received.iter().all(|count| *count > 0);
                if all && settled.is_none() {
                    settled = Some(now.plus_millis(SETTLE_MS));
                }
                if settled.is_some_and(|settled| settled <= now) {
                    return judge(&received);
                }
                if end <= now {
                    return TOO_LATE;
                }
                let mut until = settled.unwrap_or(end);
                if let Some(deadline) = client.deadline(now) {
                    until = until.min(deadline);
                }
                if !subscribed || handed == MESSAGES {
                    board.idle(Some(until));
                }
            }
            _ => {}
        }
    }
}

fn judge(received: &[u8; MESSAGES]) -> u8 {
    for (message, count) in received.iter().enumerate() {
        if qos_of(message) == QoS::ExactlyOnce && *count > 1 {
            return TWICE + message as u8;
        }
    }
    0
}
