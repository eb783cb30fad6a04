//! The async client of mqtt-device doing the same job.

use core::hint::black_box;

use embedded_io_async::{Read, Write};
use firmware_board::{Board, Clock, block_on};
use mqtt_device::asynchronous::{Client, Dialler};
use mqtt_device::profile::V3;
use mqtt_device::{Connect, Event, Outgoing, QoS, Ring, SubscriptionOptions, Version};

use crate::{FILTER, PAYLOAD, TOPIC, receive_memory};

/// MQTT 3.1.1, every QoS.
pub fn v311<B: Board, C: Read + Write>(board: &B, connection: C) -> u8 {
    let clock = Clock::new(board);
    block_on(&clock, job(board, &clock, connection))
}

async fn job<B: Board, C: Read + Write>(board: &B, clock: &Clock<'_, B>, connection: C) -> u8 {
    let (mut receive, mut queue) = ([0; receive_memory::<V3>()], [0; 256]);
    let mut connection = Some(connection);
    let dial = Dialler::new(async || connection.take().ok_or(()));
    let identity = || Connect::new(Version::V311, "sensor");
    let queue = Ring::new(&mut queue);
    let mut client =
        Client::<V3, _, _, _>::new(identity, &mut receive, queue, dial, board.random());
    let mut timer = clock;
    let (mut acknowledged, mut received) = (false, false);
    loop {
        match client.next(&mut timer).await {
            Event::Connected { resumed: false, .. } => {
                let options = SubscriptionOptions::new(QoS::AtLeastOnce);
                let Ok(_) = client.subscribe(FILTER, options) else {
                    return 2;
                };
            }
            Event::Subscribed(_, code) if !code.is_error() => {
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
            Event::Lost => return u8::from(!(acknowledged && received)),
            _ => {}
        }
        if acknowledged && received {
            client.disconnect();
        }
    }
}
