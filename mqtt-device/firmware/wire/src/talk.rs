//! The conversations: the application `solar` sends a pack, or a client sends its readings one by one.

use firmware_apps::solar::{self, Solar};
use firmware_board::Board;
use host::{Host, Tcp};
use mqtt_device::blocking::Client;
use mqtt_device::profile::{V3QoS1, V3V5};
use mqtt_device::{Connect, Device, Dialler, Event, Identity, Outgoing, Pack, Ring, Version};

use crate::model::{Case, Form, READING};

/// The application in 5.0: only what it speaks is another.
#[derive(Debug)]
struct Solar5;

impl Device for Solar5 {
    type Profile = V3V5;
    const SESSION_EXPIRY: u32 = 0;
    const EARLY: bool = Solar::EARLY;
    const DIAGNOSES: bool = Solar::DIAGNOSES;
}

/// Sends as many PUBLISH as there are readings, without waiting in between.
#[derive(Debug)]
struct Each;

impl Device for Each {
    type Profile = V3QoS1;
    const WINDOW: u16 = 60;
    const EARLY: bool = true;
    const DIAGNOSES: bool = false;
}

/// The same in 5.0.
#[derive(Debug)]
struct Each5;

impl Device for Each5 {
    type Profile = V3V5;
    const SESSION_EXPIRY: u32 = 0;
    const WINDOW: u16 = Each::WINDOW;
    const EARLY: bool = true;
    const DIAGNOSES: bool = false;
}

const fn connect5() -> Connect<'static> {
    Connect {
        version: Version::V5,
        ..solar::connect()
    }
}

/// A reading of ten bytes: a minute and a temperature.
fn reading(minute: usize) -> Vec<u8> {
    let text = format!("{minute:05} {:2}.{}", 20 + minute / 10, minute % 10);
    debug_assert_eq!(text.len(), READING);
    text.into_bytes()
}

/// Has the conversation; whether the broker has acknowledged everything.
pub(crate) fn talk(case: Case, address: &str) -> bool {
    let board = Host::new();
    let mut dial = Dialler::new(|| board.dial(address));
    let readings: Vec<_> = (0..case.readings).map(reading).collect();
    match (case.form, case.version) {
        (Form::Packed, version) => {
            let mut memory = vec![0; case.readings * (READING + 1)];
            let mut pack = Pack::new(&mut memory, b'\n');
            let fits = readings.iter().all(|reading| pack.push(reading).is_ok());
            fits && if version == Version::V5 {
                solar::send::<Solar5, _, _>(&board, &mut dial, connect5, pack.payload())
            } else {
                solar::send::<Solar, _, _>(&board, &mut dial, solar::connect, pack.payload())
            }
        }
        (Form::Each, Version::V5) => each::<Each5, _>(&board, dial, connect5, &readings),
        (Form::Each, _) => each::<Each, _>(&board, dial, solar::connect, &readings),
    }
}

fn each<D: Device, F: FnMut() -> std::io::Result<Tcp>>(
    board: &Host,
    dial: Dialler<F, Tcp, std::io::Error>,
    identity: impl Identity,
    readings: &[Vec<u8>],
) -> bool {
    let (mut receive, mut queue) = ([0; 512], [0; 4_096]);
    let queue = Ring::new(&mut queue);
    let mut client = Client::<D, _, _, _>::new(identity, &mut receive, queue, dial, board.random());
    let mut waiting = 0;
    for reading in readings {
        if client
            .publish(&Outgoing::new(solar::TOPIC, reading))
            .is_err()
        {
            return false;
        }
        waiting += 1;
    }
    let end = board.now().plus_millis(10_000);
    while board.now() < end {
        match client.poll(board.now()) {
            Event::Acknowledged(..) => {
                waiting -= 1;
                if waiting == 0 {
                    client.disconnect();
                }
            }
            Event::Lost => return waiting == 0,
            Event::Waiting => {
                let due = client.deadline(board.now());
                board.idle(Some(due.map_or(end, |due| due.min(end))));
            }
            _ => {}
        }
    }
    false
}
