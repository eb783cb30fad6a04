//! The blocking client of mqtt-device: the job with a queue that keeps what was not acknowledged, dialling again, and keep-alive.

use core::hint::black_box;

use embedded_io::{Read, ReadReady, Write};
use firmware_board::Board;
use mqtt_device::blocking::Client;
use mqtt_device::modem::{Engine, Modem, SIM800};
use mqtt_device::profile::{V3, V3QoS1, V3V5};
use mqtt_device::{
    Connect, Device, Dial, Dialler, Event, Outgoing, Properties, QoS, Ring, SubscriptionOptions,
    Version, Will,
};

use crate::modem::{LINES, SETTINGS};
use crate::{FILTER, PAYLOAD, TOPIC, receive_memory};

/// MQTT 3.1.1, QoS 0 and 1.
pub fn v311_qos1<B: Board, C: Read + Write + ReadReady>(board: &B, connection: C) -> u8 {
    run::<V3QoS1, _, _>(
        board,
        once(connection),
        &mut [0; receive_memory::<V3QoS1>()],
        || Connect::new(Version::V311, "sensor"),
    )
}

/// MQTT 3.1.1, every QoS.
pub fn v311<B: Board, C: Read + Write + ReadReady>(board: &B, connection: C) -> u8 {
    every_qos(board, once(connection))
}

/// MQTT 3.1.1, every QoS, over a SIM800, which is dialled as often as it takes.
pub fn modem_v311<B: Board, C: Read + Write + ReadReady>(board: &B, uart: C) -> u8 {
    let mut memory = [0; LINES];
    let engine = Engine::new(SIM800, &SETTINGS, &mut memory);
    every_qos(board, Modem::new(uart, || board.now(), engine))
}

#[inline(always)]
fn every_qos<B: Board>(board: &B, dial: impl Dial<Connection: Read + Write + ReadReady>) -> u8 {
    run::<V3, _, _>(board, dial, &mut [0; receive_memory::<V3>()], || {
        Connect::new(Version::V311, "sensor")
    })
}

/// MQTT 3.1.1 and 5.0, every QoS, and a will; which version it is, is not known before the program runs.
pub fn v311_v5<B: Board, C: Read + Write + ReadReady>(board: &B, connection: C) -> u8 {
    let version = if black_box(true) {
        Version::V5
    } else {
        Version::V311
    };
    run::<V3V5, _, _>(
        board,
        once(connection),
        &mut [0; receive_memory::<V3V5>()],
        move || Connect {
            will: Some(OFFLINE),
            ..Connect::new(version, "sensor")
        },
    )
}

/// What the broker says when the connection is lost.
const OFFLINE: Will<'static> = Will {
    topic: "status",
    payload: b"offline",
    qos: QoS::AtLeastOnce,
    retain: true,
    properties: Properties::EMPTY,
};

/// The one connection that there is.
fn once<C>(connection: C) -> impl Dial<Connection = C> {
    let mut connection = Some(connection);
    Dialler::new(move || connection.take().ok_or(()))
}

/// The job.
#[inline(always)]
fn run<D: Device, B: Board, C: Dial<Connection: Read + Write + ReadReady>>(
    board: &B,
    dial: C,
    receive: &mut [u8],
    identity: impl Fn() -> Connect<'static>,
) -> u8 {
    job::<D, B, C>(board, dial, receive, &mut [0; 256], identity)
}

/// In a frame without the buffers on AVR: what lies behind them takes four instructions more at every access.
#[cfg_attr(target_arch = "avr", inline(never))]
#[cfg_attr(not(target_arch = "avr"), inline(always))]
fn job<D: Device, B: Board, C: Dial<Connection: Read + Write + ReadReady>>(
    board: &B,
    dial: C,
    receive: &mut [u8],
    queue: &mut [u8],
    identity: impl Fn() -> Connect<'static>,
) -> u8 {
    let mut client =
        Client::<D, _, _, _>::new(identity, receive, Ring::new(queue), dial, board.random());
    let (mut acknowledged, mut received) = (false, false);
    loop {
        match client.poll(board.now()) {
            Event::Connected { resumed: false, .. } => {
                let options = SubscriptionOptions::new(QoS::AtLeastOnce);
                let Ok(_) = client.subscribe(FILTER, options) else {
                    return 2;
                };
            }
            Event::Subscribed(_, code) if !code.is_error() => {
                // Which QoS it is, is not known before the program runs.
                let message = Outgoing {
                    qos: black_box(QoS::AtLeastOnce),
                    ..Outgoing::new(TOPIC, PAYLOAD)
                };
                let Ok(_) = client.publish(&message) else {
                    return 3;
                };
            }
            Event::Acknowledged(_, code) => acknowledged = !code.is_error(),
            Event::Message => {
                let message = client.message();
                received = message.topic == TOPIC.as_str() && message.payload == PAYLOAD;
            }
            Event::Waiting if acknowledged && received => client.disconnect(),
            Event::Waiting => board.idle(client.deadline(board.now())),
            Event::Lost => return u8::from(!(acknowledged && received)),
            _ => {}
        }
    }
}
