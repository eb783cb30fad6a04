//! The transports over a UART with the emulator behind it, in virtual time.

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use std::rc::Rc;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use mqtt_at_modem::{Emulator, Options, Wish};
use mqtt_device::modem::{Clock, Engine, Modem, SIM800, Settings, Signal};
use mqtt_session::Instant;

static SETTINGS: Settings<'static> = Settings {
    host: "broker.example",
    port: 1_883,
    network: "internet",
    user: "",
    password: "",
    pin: "",
};

/// A modem whose peer sends back what it gets, and the time, which passes when somebody looks at it.
struct Desk {
    modem: Emulator,
    now: u64,
    wire: Vec<u8>,
    /// The peer is a broker that answers CONNECT, and says nothing else.
    broker: bool,
}

#[derive(Clone)]
struct Uart(Rc<RefCell<Desk>>);

impl Uart {
    fn new(options: Options) -> Self {
        Self(Rc::new(RefCell::new(Desk {
            modem: Emulator::new(options),
            now: 0,
            wire: Vec::new(),
            broker: false,
        })))
    }

    fn clock(&self) -> impl FnMut() -> Instant + use<> {
        let desk = Rc::clone(&self.0);
        move || {
            let mut desk = desk.borrow_mut();
            desk.now += 1;
            Instant::from_millis(desk.now)
        }
    }

    /// Time passes in sleeps only, which a byte ends.
    fn sleeper(&self, sleeps: &Rc<Cell<u32>>) -> impl Clock + use<> {
        let (desk, uart, sleeps) = (Rc::clone(&self.0), self.clone(), Rc::clone(sleeps));
        let now = move || Instant::from_millis(desk.borrow().now);
        let sleep = move |until: Option<Instant>| {
            uart.pump();
            let desk = &mut *uart.0.borrow_mut();
            if desk.wire.is_empty() {
                let due = [until.map(Instant::as_millis), desk.modem.deadline()];
                let due = due.into_iter().flatten().min();
                let due = due.expect("something ends the sleep");
                sleeps.set(sleeps.get() + u32::from(due > desk.now));
                desk.now = desk.now.max(due);
            }
        };
        (now, sleep)
    }

    fn pump(&self) {
        let desk = &mut *self.0.borrow_mut();
        while let Some(wish) = desk.modem.wish() {
            match wish {
                Wish::Connect { .. } => desk.modem.connected(true, desk.now),
                Wish::Send(bytes) if desk.broker => {
                    if bytes.first() == Some(&0x10) {
                        desk.modem.received(&[0x20, 2, 0, 0], desk.now);
                    }
                }
                Wish::Send(bytes) => desk.modem.received(&bytes, desk.now),
                Wish::Close => {}
            }
        }
        desk.wire.extend(desk.modem.serial_out(desk.now));
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        self.pump();
        let desk = &mut *self.0.borrow_mut();
        let count = buffer.len().min(desk.wire.len()).min(5);
        buffer[..count].copy_from_slice(&desk.wire[..count]);
        desk.wire.drain(..count);
        Ok(count)
    }
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        self.pump();
        Ok(!self.0.borrow().wire.is_empty())
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let desk = &mut *self.0.borrow_mut();
        let count = bytes.len().min(3);
        desk.modem.serial_in(&bytes[..count], desk.now);
        Ok(count)
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

fn options() -> Options {
    Options {
        latency: 20,
        chatter: true,
        seed: 7,
        ..Options::default()
    }
}

#[test]
fn a_blocking_stream_carries_bytes_both_ways() {
    let uart = Uart::new(options());
    let mut memory = [0; 64];
    let mut stream = Modem::new(
        uart.clone(),
        uart.clock(),
        Engine::new(SIM800, &SETTINGS, &mut memory),
    );
    stream.dial().unwrap();
    assert_eq!(stream.signal(), Ok(Some(Signal(-79))));
    assert_eq!(stream.read_ready(), Ok(false));
    let message: Vec<u8> = (0..=255).collect();
    stream.write_all(&message).unwrap();
    let mut back = [0; 256];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back[..], message[..]);
    stream.close().unwrap();
    assert_eq!(stream.read(&mut back), Ok(0));
}

#[test]
fn a_modem_that_says_nothing_is_an_error_in_bounded_time() {
    let uart = Uart::new(Options {
        silent: Some(1),
        ..Options::default()
    });
    let mut memory = [0; 64];
    let mut stream = Modem::new(
        uart.clone(),
        uart.clock(),
        Engine::new(SIM800, &SETTINGS, &mut memory),
    );
    let error = stream.dial().unwrap_err();
    assert_eq!(error, mqtt_device::modem::ModemError::TimedOut);
    // All that came was the echo.
    let report = stream.engine().report().to_string();
    assert_eq!(report, "AT: the modem did not answer in time (\"AT\")");
    assert!(uart.0.borrow().now < 31_000);
}

/// Nothing ticks: a sleep ends with a byte or with a time-out.
#[test]
fn a_blocking_modem_sleeps_while_it_waits() {
    for silent in [None, Some(1)] {
        let uart = Uart::new(Options {
            latency: 700,
            silent,
            ..Options::default()
        });
        let (mut memory, sleeps) = ([0; 64], Rc::default());
        let engine = Engine::new(SIM800, &SETTINGS, &mut memory);
        let mut stream = Modem::new(uart.clone(), uart.sleeper(&sleeps), engine);
        let dialled = stream.dial();
        if silent.is_some() {
            assert_eq!(dialled, Err(mqtt_device::modem::ModemError::TimedOut));
            // AT, every two seconds.
            assert_eq!(sleeps.get(), 15);
            continue;
        }
        dialled.unwrap();
        stream.write_all(b"what comes back").unwrap();
        let mut back = [0; 15];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"what comes back");
        // Each of 16 commands is answered once; a line behind its answer, and what settles, are others.
        let (sleeps, now) = (sleeps.get(), uart.0.borrow().now);
        assert!(sleeps <= 24, "{sleeps} sleeps in {now} ms");
    }
}

#[cfg(feature = "async")]
mod asynchronous {
    use core::future::{Future, poll_fn};
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use std::collections::VecDeque;

    use super::*;
    use mqtt_device::Timer;
    use mqtt_device::modem::AsyncModem;

    /// The same UART for async callers: nothing to read is a future that waits.
    struct AsyncUart(Uart);

    impl ErrorType for AsyncUart {
        type Error = Infallible;
    }

    impl embedded_io_async::Read for AsyncUart {
        async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
            poll_fn(|_| match self.0.read(buffer) {
                Ok(0) => Poll::Pending,
                result => Poll::Ready(result),
            })
            .await
        }
    }

    impl embedded_io_async::Write for AsyncUart {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
            self.0.write(bytes)
        }

        async fn flush(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }

    struct Watch(Uart);

    impl Timer for Watch {
        fn now(&mut self) -> Instant {
            Instant::from_millis(self.0.0.borrow().now)
        }

        fn until(&mut self, deadline: Instant) -> impl Future<Output = ()> {
            let desk = Rc::clone(&self.0.0);
            poll_fn(move |_| {
                if desk.borrow().now >= deadline.as_millis() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
        }
    }

    /// Polls at most so often, a millisecond apart; then the future is dropped.
    fn poll_for<T>(future: impl Future<Output = T>, uart: &Uart, times: usize) -> Option<T> {
        let mut future = pin!(future);
        for _ in 0..times {
            if let Poll::Ready(output) = future
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
            {
                return Some(output);
            }
            uart.0.borrow_mut().now += 1;
        }
        None
    }

    /// Every call is dropped over and over, in the middle of lines, answers and blocks, and repeated: nothing is lost or doubled.
    #[test]
    fn futures_that_are_dropped_lose_nothing() {
        for patience in 1..40 {
            let uart = Uart::new(options());
            let mut memory = [0; 64];
            let engine = Engine::new(SIM800, &SETTINGS, &mut memory);
            let mut stream = AsyncModem::new(AsyncUart(uart.clone()), Watch(uart.clone()), engine);
            while poll_for(stream.dial(), &uart, patience).is_none_or(|result| result.is_err()) {}
            let message: Vec<u8> = (0..200).collect();
            let mut rest: VecDeque<u8> = message.iter().copied().collect();
            let mut back = Vec::new();
            while back.len() < message.len() {
                if !rest.is_empty()
                    && let Some(result) = poll_for(
                        embedded_io_async::Write::write(&mut stream, rest.make_contiguous()),
                        &uart,
                        patience,
                    )
                {
                    rest.drain(..result.unwrap());
                }
                let mut buffer = [0; 11];
                if let Some(result) = poll_for(
                    embedded_io_async::Read::read(&mut stream, &mut buffer),
                    &uart,
                    patience,
                ) {
                    back.extend_from_slice(&buffer[..result.unwrap()]);
                }
            }
            assert_eq!(back, message, "futures dropped after {patience} polls");
        }
    }

    /// A goodbye for which the time is over while the modem waits for bytes: they are given to it, and the next dial is not in its way.
    #[test]
    fn a_client_does_not_leave_a_modem_that_waits_for_bytes() {
        use mqtt_device::{
            Connect, Event, Outgoing, Ring, TopicName, Version, asynchronous::Client, profile::V3,
        };

        // At which millisecond of the conversation the time is over.
        for after in (0..12_000).step_by(300) {
            let uart = Uart::new(Options {
                latency: 2_200,
                ..Options::default()
            });
            uart.0.borrow_mut().broker = true;
            let (mut memory, mut receive, mut queue) = ([0; 64], [0; 256], [0; 64]);
            let engine = Engine::new(SIM800, &SETTINGS, &mut memory);
            let modem = AsyncModem::new(AsyncUart(uart.clone()), Watch(uart.clone()), engine);
            let identity = Connect::new(Version::V311, "sensor4");
            let mut client =
                Client::<V3, _, _, _>::new(identity, &mut receive, Ring::new(&mut queue), modem, 7);
            let mut watch = Watch(uart.clone());
            let mut next = |client: &mut Client<'_, V3, _, _, _>, ms| {
                poll_for(client.next(&mut watch), &uart, ms)
            };
            let event = next(&mut client, 200_000);
            assert!(matches!(event, Some(Event::Connected { .. })), "{event:?}");
            let message = Outgoing::new(TopicName::from_static("a/b"), b"21.5");
            client.publish(&message).expect("room");
            assert_eq!(next(&mut client, after), None);
            client.disconnect();
            assert_eq!(next(&mut client, 30_000), Some(Event::Lost), "{after} ms");
            let event = next(&mut client, 200_000);
            let error = client.dial_mut().engine().report().failure();
            assert!(
                matches!(event, Some(Event::Connected { .. })),
                "{after} ms: {event:?}, {error}"
            );
        }
    }
}
