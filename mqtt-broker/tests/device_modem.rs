//! A whole device in front of a real broker: mqtt-device's client, over its modem engine and an emulated modem or over a raw line, with
//! faults, over a real socket. What it hands over with QoS 1 arrives at least once and with QoS 2 exactly once, with our broker and with Mosquitto.

mod support;

use core::cell::RefCell;
use core::convert::Infallible;
use core::net::SocketAddr;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::rc::Rc;
use std::thread;
use std::time::Instant;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use mqtt_at_modem::{Dialect, Emulator, Options, Wish};
use mqtt_codec::{Connect, QoS, Version};
use mqtt_device::modem::{ESP_AT, Engine, Modem, SIM800, Settings, Signal};
use mqtt_device::{
    Device, Dial, Dialler, Event, Gather, Outgoing, Queue, Ring, TopicName, blocking::Client,
    profile::V3,
};
use support::{Broker, PATIENCE, foreign, need};

/// The device's and the modem's milliseconds in one of ours: their time-outs are made for real networks.
const SPEED: u128 = 10;

/// The modem, its socket, and the time.
struct Desk {
    modem: Emulator,
    /// Where it calls, whatever it is told to.
    to: SocketAddr,
    network: Option<TcpStream>,
    /// Said by the modem, not yet read by the device.
    wire: VecDeque<u8>,
    start: Instant,
    /// Nothing has happened since the time was asked for.
    idle: bool,
}

impl Desk {
    fn now(&self) -> u64 {
        (self.start.elapsed().as_millis() * SPEED) as u64
    }

    /// Moves what can be moved.
    fn pump(&mut self) {
        let now = self.now();
        while let Some(wish) = self.modem.wish() {
            self.idle = false;
            match wish {
                Wish::Connect { .. } => {
                    let stream = TcpStream::connect(self.to).ok();
                    if let Some(stream) = &stream {
                        stream.set_nonblocking(true).expect("a socket can do that");
                    }
                    self.modem.connected(stream.is_some(), now);
                    self.network = stream;
                }
                Wish::Send(bytes) => {
                    if let Some(stream) = &mut self.network
                        && stream.write_all(&bytes).is_err()
                    {
                        self.modem.closed(now);
                    }
                }
                Wish::Close => self.network = None,
            }
        }
        let mut buffer = [0; 256];
        let read = self.network.as_mut().map(|stream| stream.read(&mut buffer));
        match read {
            Some(Ok(count @ 1..)) => {
                self.idle = false;
                self.modem.received(&buffer[..count], now);
            }
            Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => {}
            Some(_) => {
                self.network = None;
                self.modem.closed(now);
            }
            None => {}
        }
        let said = self.modem.serial_out(now);
        self.idle &= said.is_empty();
        self.wire.extend(said);
    }
}

/// The serial line to it.
#[derive(Clone)]
struct Uart(Rc<RefCell<Desk>>);

impl Uart {
    /// The time; who asks for it again although nothing has happened gives the processor away first.
    fn clock(&self) -> impl FnMut() -> mqtt_device::Instant + use<> {
        let desk = Rc::clone(&self.0);
        move || {
            let mut desk = desk.borrow_mut();
            if desk.idle {
                thread::park_timeout(core::time::Duration::from_micros(500));
            }
            desk.idle = true;
            desk.pump();
            mqtt_device::Instant::from_millis(desk.now())
        }
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let desk = &mut *self.0.borrow_mut();
        Ok(desk.wire.read(buffer).unwrap_or(0))
    }
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.borrow().wire.is_empty())
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let desk = &mut *self.0.borrow_mut();
        let now = desk.now();
        desk.modem.serial_in(bytes, now);
        desk.idle = false;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[derive(Debug)]
struct Tracker;

impl Device for Tracker {
    type Profile = V3;
    const RETRY_MS: u32 = 512;
}

const TOPIC: TopicName<'static> = TopicName::from_static("truck/position");

static SETTINGS: Settings<'static> = Settings {
    host: "broker.example",
    port: 1_883,
    network: "net",
    user: "",
    password: "",
    pin: "",
};

/// Runs a client until the broker has all messages, with QoS 1 and 2 in turn.
fn deliver<C: Dial<Connection: Read + Write + ReadReady>>(
    dial: C,
    id: &'static str,
    messages: &[String],
    mut clock: impl FnMut() -> mqtt_device::Instant,
    case: &str,
) {
    let (mut receive, mut queue) = ([0; 128], [0; 512]);
    // A raw line says nothing of a cut: the ping that is not answered does.
    let identity = move || Connect {
        clean_start: false,
        keep_alive: 5,
        ..Connect::new(Version::V311, id)
    };
    let ring = Ring::new(&mut queue);
    let mut client = Client::<Tracker, _, _, _>::new(identity, &mut receive, ring, dial, 4);
    for (text, qos) in messages
        .iter()
        .zip([QoS::AtLeastOnce, QoS::ExactlyOnce].into_iter().cycle())
    {
        let message = Outgoing {
            qos,
            ..Outgoing::new(TOPIC, text.as_bytes())
        };
        client.publish(&message).expect("there is room for six");
    }
    let deadline = Instant::now() + 2 * PATIENCE;
    while client.queue().get(client.queue().start()).is_some() {
        assert!(Instant::now() < deadline, "not delivered: {case}");
        let event = client.poll(clock());
        assert_ne!(event, Event::Broken, "{:?}, {case}", client.violation());
    }
}

/// A modem in front of this broker, and its serial line.
fn uart(broker: &Broker, options: Options) -> Uart {
    Uart(Rc::new(RefCell::new(Desk {
        modem: Emulator::new(options),
        to: broker.address(),
        network: None,
        wire: VecDeque::new(),
        start: Instant::now(),
        idle: false,
    })))
}

/// Six messages from a device to a subscriber, through a modem that is so.
fn track(broker: &Broker, options: Options) {
    let case = format!("{options:?}");
    let mut subscriber = support::Client::subscribed(
        broker,
        Version::V311,
        "watch",
        TOPIC.as_str(),
        QoS::ExactlyOnce,
    );
    let dialect = match options.dialect {
        Dialect::Sim800 => Some(SIM800),
        Dialect::EspAt => Some(ESP_AT),
        Dialect::Raw => None,
    };
    let uart = uart(broker, options);
    let mut memory = [0; 80];
    // Every case is another device.
    let id: &'static str = Box::leak(format!("truck{:p}", Rc::as_ptr(&uart.0)).into_boxed_str());
    let expected: Vec<String> = (0..6).map(|n| format!("{n} of {id}")).collect();
    let clock = uart.clock();
    if let Some(dialect) = dialect {
        let engine = Engine::new(dialect, &SETTINGS, &mut memory);
        let modem = Modem::new(uart.clone(), uart.clock(), engine);
        deliver(modem, id, &expected, clock, &case);
    } else {
        let line = Dialler::new(|| Ok::<_, Infallible>(uart.clone()));
        deliver(line, id, &expected, clock, &case);
    }
    // The broker has all of it; this comes behind.
    let mut last = support::Client::connect(broker, Version::V311, "last");
    last.publish(TOPIC.as_str(), "end", QoS::ExactlyOnce);
    let mut got = Vec::new();
    while got.last().is_none_or(|text| text != "end") {
        let frame = subscriber.take();
        got.push(String::from_utf8_lossy(frame.publish().payload).into_owned());
    }
    for (index, text) in expected.iter().enumerate() {
        let count = got.iter().filter(|got| *got == text).count();
        let is_once = index % 2 == 1;
        assert!(
            count >= 1 && (count == 1 || !is_once),
            "{text}: {count} times, {case}"
        );
    }
    subscriber.disconnect();
    last.disconnect();
}

/// Every fault, and a cut at every so many bytes of the conversation.
fn all_faults(start: fn() -> Broker) {
    let none = Options::default;
    let mut cases = vec![
        none(),
        Options {
            latency: 300,
            ..none()
        },
        Options {
            mtu: Some(1),
            ..none()
        },
        Options {
            chatter: true,
            ..none()
        },
        Options {
            refuse: 1,
            ..none()
        },
        Options {
            error: Some(29),
            ..none()
        },
        Options {
            silent: Some(31),
            ..none()
        },
    ];
    cases.extend((1..330).step_by(23).map(|cut| Options {
        cut: Some(cut),
        ..none()
    }));
    let cases: Vec<Options> = [Dialect::Sim800, Dialect::EspAt, Dialect::Raw]
        .into_iter()
        .flat_map(|dialect| {
            cases.iter().map(move |case| Options {
                dialect,
                ..case.clone()
            })
        })
        .filter(|case| case.contradiction().is_none())
        .collect();
    let next = core::sync::atomic::AtomicUsize::new(0);
    // They mostly wait.
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let broker = start();
                while let Some(case) =
                    cases.get(next.fetch_add(1, core::sync::atomic::Ordering::Relaxed))
                {
                    track(&broker, case.clone());
                }
            });
        }
    });
}

#[test]
fn a_tracker_reports_to_our_broker_through_every_fault() {
    all_faults(Broker::start);
}

#[test]
fn a_tracker_reports_to_mosquitto_through_every_fault() {
    need!(foreign::mosquitto_broker());
    all_faults(|| Broker::mosquitto(""));
}

/// The modem is asked for the signal while it carries the client's connection, which goes on.
#[test]
fn the_signal_is_known_while_connected() {
    let broker = Broker::start();
    let uart = uart(&broker, Options::default());
    let mut clock = uart.clock();
    let (mut lines, mut segment) = ([0; 80], [0; 64]);
    let modem = Modem::new(
        uart.clone(),
        uart.clock(),
        Engine::new(SIM800, &SETTINGS, &mut lines),
    );
    let (mut receive, mut queue) = ([0; 128], [0; 128]);
    let mut client = Client::<Tracker, _, _, _>::new(
        || Connect::new(Version::V311, "signal"),
        &mut receive,
        Ring::new(&mut queue),
        Gather::new(modem, &mut segment),
        4,
    );
    let deadline = Instant::now() + PATIENCE;
    let mut asked = 0;
    while asked < 4 {
        assert!(Instant::now() < deadline, "{asked} times");
        match client.poll(clock()) {
            Event::Connected { .. } | Event::Acknowledged(..) => {
                // Before a message leaves, and behind it.
                client
                    .publish(&Outgoing::new(TOPIC, b"where"))
                    .expect("there is room");
                let signal = client.dial_mut().dial_mut().signal();
                assert_eq!(signal, Ok(Some(Signal(-79))));
                asked += 1;
            }
            event @ (Event::Lost | Event::Broken) => panic!("{event:?}"),
            _ => {}
        }
    }
}
