//! Both clients against brokers and networks that do not do as they should: how long it takes to find out, and when the next dial comes.

use core::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use mqtt_device::profile::V3;
use mqtt_device::{Connect, Device, Dialler, Event, Instant, Ring, Version, blocking};
use mqtt_session::Misuse;

/// What follows CONNACK on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broker {
    /// Nothing, for ever.
    Silent,
    /// The end.
    Closes,
    /// These bytes, and then the end.
    Serves(&'static [u8]),
}

/// A network, the time, and a broker somewhere in it.
#[derive(Debug)]
struct Net {
    now: Cell<u64>,
    broker: Cell<Broker>,
    version: Version,
    /// How long a dial takes, and whether it fails then.
    dial_takes: Cell<u64>,
    dial_fails: Cell<bool>,
    /// When each dial began.
    dials: RefCell<Vec<u64>>,
    /// Bytes for the device.
    to_device: RefCell<VecDeque<u8>>,
    /// No write, or no flush, of this connection ever ends.
    write_stalls: Cell<bool>,
    flush_stalls: Cell<bool>,
}

impl Net {
    fn new(version: Version, broker: Broker) -> Rc<Self> {
        Rc::new(Self {
            now: Cell::new(0),
            broker: Cell::new(broker),
            version,
            dial_takes: Cell::new(0),
            dial_fails: Cell::new(false),
            dials: RefCell::default(),
            to_device: RefCell::default(),
            write_stalls: Cell::new(false),
            flush_stalls: Cell::new(false),
        })
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.now.get())
    }

    fn dial(self: &Rc<Self>) -> Result<Wire, ErrorKind> {
        self.dials.borrow_mut().push(self.now.get());
        self.now.set(self.now.get() + self.dial_takes.get());
        if self.dial_fails.get() {
            return Err(ErrorKind::TimedOut);
        }
        self.write_stalls.set(false);
        self.flush_stalls.set(false);
        let mut bytes = self.to_device.borrow_mut();
        bytes.clear();
        bytes.extend(match self.version {
            Version::V5 => &[0x20, 3, 0, 0, 0][..],
            _ => &[0x20, 2, 0, 0],
        });
        if let Broker::Serves(more) = self.broker.get() {
            bytes.extend(more);
        }
        Ok(Wire(Rc::clone(self)))
    }

    /// The pauses between the end of a dial and the beginning of the next.
    fn pauses(&self) -> Vec<u64> {
        let dials = self.dials.borrow();
        let pairs = dials.iter().zip(dials.iter().skip(1));
        pairs
            .map(|(one, next)| next - one - self.dial_takes.get())
            .collect()
    }
}

/// A connection.
#[derive(Debug)]
struct Wire(Rc<Net>);

impl ErrorType for Wire {
    type Error = ErrorKind;
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut bytes = self.0.to_device.borrow_mut();
        let count = bytes.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(bytes.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }
}

impl ReadReady for Wire {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        let ends = self.0.broker.get() != Broker::Silent;
        Ok(ends || !self.0.to_device.borrow().is_empty())
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

fn identity(version: Version) -> Connect<'static> {
    Connect {
        keep_alive: 10,
        ..Connect::new(version, "sensor4")
    }
}

/// What a client of either kind says, one event after the other; what waits for time gets it.
type Events = Box<dyn FnMut() -> Event>;

/// A blocking client with so much memory to receive in.
fn blocking<D: Device + 'static>(net: &Rc<Net>, receive: usize) -> Events {
    let (receive, queue) = (vec![0; receive].leak(), vec![0; 64].leak());
    let (net, network) = (Rc::clone(net), Rc::clone(net));
    let dial = Dialler::new(move || network.dial());
    let mut client = blocking::Client::<D, _, _, _>::new(
        identity(net.version),
        receive,
        Ring::new(queue),
        dial,
        7,
    );
    Box::new(move || {
        for _ in 0..1_000 {
            match client.poll(net.now()) {
                Event::Nothing => {}
                Event::Waiting => {
                    let due = client.deadline(net.now()).expect("something is due");
                    net.now.set(net.now.get().max(due.as_millis()));
                }
                event => return event,
            }
        }
        panic!("no event: {client:?}");
    })
}

#[cfg(feature = "async")]
mod with_futures {
    use core::future::{Future, pending};
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    use mqtt_device::profile::V3V5;
    use mqtt_device::{Outgoing, Queue, Timer, TopicName, asynchronous};

    use super::*;

    /// A wait is over at once, and the time then there.
    struct Clock<'n>(&'n Net);

    impl Timer for Clock<'_> {
        fn now(&mut self) -> Instant {
            self.0.now()
        }

        async fn until(&mut self, deadline: Instant) {
            self.0.now.set(self.0.now.get().max(deadline.as_millis()));
        }
    }

    impl embedded_io_async::Read for Wire {
        async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
            match ReadReady::read_ready(self)? {
                true => Read::read(self, buffer),
                false => pending().await,
            }
        }
    }

    impl embedded_io_async::Write for Wire {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
            if self.0.write_stalls.get() {
                pending::<()>().await;
            }
            Ok(bytes.len())
        }

        async fn flush(&mut self) -> Result<(), ErrorKind> {
            if self.0.flush_stalls.get() {
                pending::<()>().await;
            }
            Ok(())
        }
    }

    /// The output of a future that is ready.
    fn ready<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it waits for ever"),
        }
    }

    /// An async client with so much memory to receive in.
    pub(super) fn asynchronous<D: Device + 'static>(net: &Rc<Net>, receive: usize) -> Events {
        let (receive, queue) = (vec![0; receive].leak(), vec![0; 64].leak());
        let (net, network) = (Rc::clone(net), Rc::clone(net));
        let dial = asynchronous::Dialler::new(async move || network.dial());
        let mut client = asynchronous::Client::<D, _, _, _>::new(
            identity(net.version),
            receive,
            Ring::new(queue),
            dial,
            7,
        );
        Box::new(move || ready(client.next(&mut Clock(&net))))
    }

    /// What the program does when its connection has stalled.
    #[derive(Clone, Copy, Debug)]
    enum Then {
        Publishes,
        SaysGoodbye,
    }

    /// A connection that takes nothing any more, as that of a TCP stack without time-outs, ends all the same.
    #[test]
    fn a_connection_that_stalls_is_given_up() {
        for version in [Version::V311, Version::V5] {
            for write in [false, true] {
                for then in [Then::Publishes, Then::SaysGoodbye] {
                    stall(version, write, then);
                }
            }
        }
    }

    fn stall(version: Version, write: bool, then: Then) {
        let case = format!("{version:?}, write {write}, {then:?}");
        let net = Net::new(version, Broker::Silent);
        let (mut receive, mut queue) = ([0; 256], [0; 64]);
        // A client may be lent what it dials with.
        let mut dial = asynchronous::Dialler::new(async || net.dial());
        let mut client = asynchronous::Client::<V3V5, _, _, _>::new(
            identity(version),
            &mut receive,
            Ring::new(&mut queue),
            &mut dial,
            7,
        );
        let mut clock = Clock(&net);
        let connected = ready(client.next(&mut clock));
        assert!(matches!(connected, Event::Connected { .. }), "{case}");
        net.write_stalls.set(write);
        net.flush_stalls.set(!write);
        let begun = net.now.get();
        let message = Outgoing::new(TopicName::from_static("a/b"), b"x");
        client.publish(&message).expect("room");
        let answer = u64::from(V3V5::ANSWER_TIMEOUT_MS);
        let bound = match then {
            Then::Publishes => 10_000 + 2 * answer,
            Then::SaysGoodbye => {
                client.disconnect();
                answer
            }
        };
        assert_eq!(ready(client.next(&mut clock)), Event::Lost, "{case}");
        let took = net.now.get() - begun;
        assert!(took <= bound, "{case}: {took} ms");
        let connected = ready(client.next(&mut clock));
        assert!(matches!(connected, Event::Connected { .. }), "{case}");
        assert_eq!(net.dials.borrow().len(), 2, "{case}");
        let waits = client.queue();
        assert!(waits.get(waits.start()).is_some(), "{case}: it is kept");
    }
}

/// A client with so much memory to receive in.
type Make = fn(&Rc<Net>, usize) -> Events;

/// Both clients.
fn clients<D: Device + 'static>() -> Vec<Make> {
    vec![
        blocking::<D>,
        #[cfg(feature = "async")]
        with_futures::asynchronous::<D>,
    ]
}

/// The time for CONNACK begins when CONNECT can be written: a mobile network takes minutes to be there.
#[test]
fn a_long_dial_is_a_connection() {
    for client in clients::<V3>() {
        let net = Net::new(Version::V311, Broker::Silent);
        net.dial_takes.set(6 * u64::from(V3::ANSWER_TIMEOUT_MS));
        let mut next = client(&net, 256);
        assert!(matches!(next(), Event::Connected { .. }));
        assert_eq!(net.dials.borrow().len(), 1);
    }
}

/// The pause begins when the dial has failed, not when it began.
#[test]
fn a_dial_that_fails_late_is_followed_by_a_whole_pause() {
    for client in clients::<V3>() {
        let net = Net::new(Version::V311, Broker::Silent);
        net.dial_takes.set(180_000);
        net.dial_fails.set(true);
        let mut next = client(&net, 256);
        for _ in 0..6 {
            assert_eq!(next(), Event::Lost);
        }
        let mut least = V3::RETRY_MS.into();
        for pause in net.pauses() {
            assert!((least..2 * least).contains(&pause), "{pause} ms");
            least *= 2;
        }
    }
}

/// A mistake of the program's does not look like a dead network, nor does it make dials without a pause.
#[test]
fn a_connect_that_cannot_be_sent_is_told() {
    let mistakes = [
        (Version::V5, 256, Misuse::NotSupported),
        // 70 bytes of it are for other things.
        (Version::V311, 80, Misuse::Encode),
        (Version::V311, 10, Misuse::Encode),
    ];
    for (version, memory, misuse) in mistakes {
        for client in clients::<V3>() {
            let net = Net::new(version, Broker::Silent);
            let mut next = client(&net, memory);
            for _ in 0..4 {
                assert_eq!(next(), Event::Misuse(misuse), "{version:?}, {memory} bytes");
            }
            let pauses = net.pauses();
            assert!(
                pauses.iter().all(|pause| *pause >= V3::RETRY_MS.into()),
                "{pauses:?}"
            );
        }
    }
}

/// Two devices with one name, or a broker that does not like what it is sent: dials that lead nowhere become rare.
#[test]
fn a_broker_that_accepts_and_closes_is_dialled_less_and_less() {
    for client in clients::<V3>() {
        let net = Net::new(Version::V311, Broker::Closes);
        let mut next = client(&net, 256);
        while net.now.get() < 3_600_000 {
            assert!(matches!(next(), Event::Connected { .. }));
            assert_eq!(next(), Event::Lost);
        }
        let dials = net.dials.borrow().len();
        assert!(dials <= 24, "{dials} in an hour");
    }
}

/// The pauses begin anew once something has gone through: a message, or the answer to a ping.
#[test]
fn a_connection_that_serves_is_dialled_again_soon() {
    // PUBLISH to `a` of QoS 0; PINGRESP, and nothing behind it.
    for served in [&[0x30, 3, 0, 1, b'a'][..], &[0xd0, 0]] {
        for client in clients::<V3>() {
            let net = Net::new(Version::V311, Broker::Closes);
            let mut next = client(&net, 256);
            let mut lose = || while next() != Event::Lost {};
            for _ in 0..5 {
                lose();
            }
            net.broker.set(Broker::Serves(served));
            lose();
            net.broker.set(Broker::Closes);
            lose();
            let pauses = net.pauses();
            let (long, short) = (pauses[4], pauses[5]);
            assert!(long >= 16 * 1_024 && short < 2 * 1_024, "{pauses:?}");
        }
    }
}
