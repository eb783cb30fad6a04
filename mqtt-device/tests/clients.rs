//! Both clients against a broker in memory: cut at every byte, in pieces of one byte, with futures dropped at every point.

#[path = "clients/broker.rs"]
mod broker;

use core::cell::RefCell;
use std::rc::Rc;

use broker::{Broker, Line, Wire};
use mqtt_codec::{Connect, QoS, SubscriptionOptions, Version};
use mqtt_device::profile::{Full, V3, V3V5};
use mqtt_device::{
    Device, Dialler, Event, Instant, Lent, Outgoing, Queue, Ring, Subscription, TopicAlias,
    TopicFilter, TopicName, blocking,
};

const TOPIC: TopicName<'static> = TopicName::from_static("plant1/sensor4/temperature");
const COMMANDS: TopicFilter<'static> = TopicFilter::from_static("plant1/sensor4/set");
/// What the device hands over in each test, one QoS after the other.
const READINGS: [&[u8]; 6] = [b"20.0", b"20.1", b"20.2", b"20.3", b"20.4", b"20.5"];

fn identity(version: Version) -> Connect<'static> {
    Connect {
        clean_start: false,
        ..Connect::new(version, "sensor4")
    }
}

const SUBSCRIPTIONS: &[Subscription] = &[(COMMANDS, SubscriptionOptions::new(QoS::ExactlyOnce))];

/// The profiles, with a subscription.
#[derive(Debug)]
struct Speaks3;
#[derive(Debug)]
struct Speaks5;

impl Device for Speaks3 {
    type Profile = V3;
    const SUBSCRIPTIONS: &'static [Subscription] = SUBSCRIPTIONS;
}

impl Device for Speaks5 {
    type Profile = V3V5;
    const SUBSCRIPTIONS: &'static [Subscription] = SUBSCRIPTIONS;
}

fn qos_of(index: usize) -> QoS {
    if index.is_multiple_of(2) {
        QoS::AtLeastOnce
    } else {
        QoS::ExactlyOnce
    }
}

/// Hands over all readings, connection by connection, until the broker has everything and the device has both commands.
fn converse<D: Device>(version: Version, line: &Rc<RefCell<Line>>, broker: &mut Broker) {
    let (mut receive, mut queue) = ([0; 200], [0; 120]);
    let dial = Dialler::new(|| Wire::open(line));
    let mut client = blocking::Client::<D, _, _, _>::new(
        identity(version),
        &mut receive,
        Ring::new(&mut queue),
        dial,
        7,
    );
    let (mut now, mut handed, mut commands) = (Instant::ZERO, 0, Vec::new());
    for _ in 0..100_000 {
        match client.poll(now) {
            Event::Message => {
                assert_eq!(client.message().topic, COMMANDS.as_str());
                commands.push(client.message().payload.to_vec());
            }
            Event::Waiting => {
                if handed < READINGS.len() {
                    let message = Outgoing {
                        qos: qos_of(handed),
                        ..Outgoing::new(TOPIC, READINGS[handed])
                    };
                    handed += usize::from(client.publish(&message).is_ok());
                }
                broker.serve(&mut line.borrow_mut());
                let quiet = line.borrow().is_quiet();
                let done = handed == READINGS.len()
                    && client.queue().get(client.queue().start()).is_none();
                if done && broker.is_settled() && quiet {
                    let once = commands.iter().filter(|command| **command == b"every 20");
                    assert_eq!(once.count(), 1, "QoS 2: {commands:?}");
                    assert!(commands.contains(&b"every 10".to_vec()), "{commands:?}");
                    return;
                }
                if quiet && let Some(deadline) = client.deadline(now) {
                    now = now.max(deadline);
                }
            }
            Event::Broken => panic!("{:?}", client.violation()),
            _ => {}
        }
    }
    panic!("it does not come to an end: {handed} handed over, {broker:?}, {client:?}");
}

/// What was handed over with QoS 1 arrives at least once, with QoS 2 exactly once, in this order at first.
fn judge(broker: &Broker) {
    let mut first = Vec::new();
    for payload in &broker.received {
        if !first.contains(payload) {
            first.push(payload.clone());
        }
    }
    assert_eq!(first, READINGS.map(<[u8]>::to_vec), "{:?}", broker.received);
    for (index, reading) in READINGS.iter().enumerate() {
        let count = broker
            .received
            .iter()
            .filter(|payload| payload == reading)
            .count();
        assert!(
            count == 1 || qos_of(index) == QoS::AtLeastOnce,
            "{count} × {index}"
        );
    }
}

fn cut_everywhere<D: Device>(version: Version) {
    for piece in [1, 7, usize::MAX] {
        let run = |cut_at| {
            let line = Line::new(piece, cut_at);
            let mut broker = Broker::new(version);
            converse::<D>(version, &line, &mut broker);
            judge(&broker);
            let line = line.borrow();
            (line.passed, line.dials)
        };
        let (whole, dials) = run(None);
        assert!(
            whole > 200 && dials == 1,
            "{whole} bytes are a conversation"
        );
        for at in 0..whole {
            assert_eq!(run(Some(at)).1, 2, "cut at {at}");
        }
    }
}

/// [MQTT-4.3.2-1], [MQTT-4.3.3-1], [MQTT-4.4.0-1]
#[test]
fn nothing_is_lost_or_doubled_wherever_the_line_is_cut_in_3_1_1() {
    cut_everywhere::<Speaks3>(Version::V311);
}

/// [MQTT-4.3.2-1], [MQTT-4.3.3-1], [MQTT-4.4.0-1]
#[test]
fn nothing_is_lost_or_doubled_wherever_the_line_is_cut_in_5() {
    cut_everywhere::<Speaks5>(Version::V5);
}

/// The topic goes out once a connection, and everything arrives under it all the same.
#[test]
fn an_alias_saves_the_topic_from_the_second_message_on() {
    for takes in [0, 8] {
        let line = &Line::new(usize::MAX, None);
        let mut broker = Broker::new(Version::V5);
        broker.topic_alias_maximum = takes;
        let (mut receive, mut queue) = ([0; 200], [0; 200]);
        let dial = Dialler::new(|| Wire::open(line));
        let mut client = blocking::Client::<Full, _, _, _>::new(
            identity(Version::V5),
            &mut receive,
            Ring::new(&mut queue),
            dial,
            7,
        );
        let message = Outgoing {
            alias: TopicAlias::new(1),
            ..Outgoing::new(TOPIC, b"20.0")
        };
        let mut lengths = Vec::new();
        let mut handed = false;
        for _ in 0..200 {
            match client.poll(Instant::ZERO) {
                Event::Connected { .. } => handed = true,
                Event::Acknowledged(..) => {
                    lengths.push(line.borrow().passed);
                }
                Event::Broken => panic!("{:?}", client.violation()),
                Event::Waiting => {
                    broker.serve(&mut line.borrow_mut());
                    if handed
                        && lengths.len() < 3
                        && client.queue().get(client.queue().start()).is_none()
                    {
                        client.publish(&message).expect("room for one");
                    }
                }
                _ => {}
            }
        }
        assert_eq!(broker.received, [b"20.0", b"20.0", b"20.0"]);
        let topic = TOPIC.as_str().len();
        let second = lengths[1] - lengths[0];
        // 2 of header, 2 of a topic's length, the topic, 2 of packet id, 1 or 4 of properties, the payload; and 4 of PUBACK.
        let expected = if takes == 0 {
            2 + 2 + topic + 2 + 1 + 4 + 4
        } else {
            2 + 2 + 2 + 4 + 4 + 4
        };
        assert_eq!(second, expected, "{takes} aliases");
        assert_eq!(lengths[2] - lengths[1], second);
    }
}

/// The payload is not in the queue's memory, which is smaller than it; and it is sent again after a cut.
#[test]
fn a_lent_payload_is_sent_from_where_it_is() {
    let payload: Vec<u8> = (0..600).map(|byte| byte as u8).collect();
    for cut in [None, Some(100), Some(400), Some(660)] {
        let line = &Line::new(usize::MAX, cut);
        let mut broker = Broker::new(Version::V311);
        let (mut receive, mut queue) = ([0; 200], [0; 64]);
        let dial = Dialler::new(|| Wire::open(line));
        let queue = Lent::<'_, '_, 1>::new(&mut queue);
        let mut client = blocking::Client::<V3, _, _, _>::new(
            identity(Version::V311),
            &mut receive,
            queue,
            dial,
            7,
        );
        let message = Outgoing::new(TOPIC, &payload);
        client.publish_lent(&message).expect("the first");
        client.publish_lent(&message).expect_err("one at a time");
        let mut now = Instant::ZERO;
        let mut acknowledged = 0;
        for _ in 0..400 {
            match client.poll(now) {
                Event::Acknowledged(..) => acknowledged += 1,
                Event::Waiting => {
                    broker.serve(&mut line.borrow_mut());
                    if line.borrow().is_quiet()
                        && let Some(deadline) = client.deadline(now)
                        && acknowledged == 0
                    {
                        now = now.max(deadline);
                    }
                }
                _ => {}
            }
        }
        assert_eq!(acknowledged, 1, "cut {cut:?}");
        assert!(broker.received.iter().all(|received| *received == payload));
        assert!(!broker.received.is_empty());
        client.publish_lent(&message).expect("given back");
    }
}

/// A packet's length is counted in 16 bits: one that is longer would be sent without end.
#[test]
fn a_lent_payload_that_is_too_long_is_refused() {
    let payload = vec![7; 70_000];
    let most = 65_000 - TOPIC.as_str().len();
    let lengths = [
        (most, true),
        (most + 1, false),
        (65_536, false),
        (70_000, false),
    ];
    for (len, fits) in lengths {
        let line = &Line::new(usize::MAX, None);
        let (mut receive, mut queue) = ([0; 200], [0; 64]);
        let mut client = blocking::Client::<V3, _, _, _>::new(
            identity(Version::V311),
            &mut receive,
            Lent::<'_, '_, 1>::new(&mut queue),
            Dialler::new(|| Wire::open(line)),
            7,
        );
        let published = client.publish_lent(&Outgoing::new(TOPIC, &payload[..len]));
        assert_eq!(published.is_ok(), fits, "{len} bytes");
        let mut broker = Broker::new(Version::V311);
        for _ in 0..40 {
            let _ = client.poll(Instant::ZERO);
            broker.serve(&mut line.borrow_mut());
        }
        let received: Vec<usize> = broker.received.iter().map(Vec::len).collect();
        assert_eq!(received, if fits { vec![len] } else { vec![] });
        client
            .publish_lent(&Outgoing::new(TOPIC, b"20.0"))
            .expect("the place is free");
    }
}

/// The async client, whose futures are dropped after every number of polls.
#[cfg(feature = "async")]
mod with_futures {
    use core::cell::Cell;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    use mqtt_device::{Timer, asynchronous};

    use super::*;

    /// Time stands still until it is moved by hand.
    struct Clock<'c>(&'c Cell<Instant>);

    impl Timer for Clock<'_> {
        fn now(&mut self) -> Instant {
            self.0.get()
        }

        async fn until(&mut self, deadline: Instant) {
            core::future::poll_fn(|_| {
                if self.0.get() >= deadline {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }

    /// Polls `next` at most `polls` times before it is dropped and made anew; each time the broker takes a turn.
    fn converse<D: Device>(
        version: Version,
        line: &Rc<RefCell<Line>>,
        broker: &mut Broker,
        polls: usize,
    ) {
        let dial = asynchronous::Dialler::new(async || {
            broker::once_pending().await;
            Wire::open(line)
        });
        converse_by::<D, _>(dial, version, line, broker, polls);
    }

    /// The same with writes that wait in so much memory for the flush.
    fn converse_gathered<D: Device>(
        version: Version,
        line: &Rc<RefCell<Line>>,
        broker: &mut Broker,
        polls: usize,
        memory: usize,
    ) {
        let mut memory = vec![0; memory];
        let dial = asynchronous::Dialler::new(async || {
            broker::once_pending().await;
            Wire::open(line)
        });
        let dial = asynchronous::Gather::new(dial, &mut memory);
        converse_by::<D, _>(dial, version, line, broker, polls);
    }

    fn converse_by<D: Device, C>(
        dial: C,
        version: Version,
        line: &Rc<RefCell<Line>>,
        broker: &mut Broker,
        polls: usize,
    ) where
        C: asynchronous::Dial<Connection: embedded_io_async::Read + embedded_io_async::Write>
            + core::fmt::Debug,
    {
        let (mut receive, mut queue) = ([0; 200], [0; 120]);
        let mut client = asynchronous::Client::<D, _, _, _>::new(
            identity(version),
            &mut receive,
            Ring::new(&mut queue),
            dial,
            7,
        );
        let time = Cell::new(Instant::ZERO);
        let (mut handed, mut commands, mut idle) = (0, Vec::new(), 0);
        for _ in 0..100_000 {
            if handed < READINGS.len() {
                let message = Outgoing {
                    qos: qos_of(handed),
                    ..Outgoing::new(TOPIC, READINGS[handed])
                };
                handed += usize::from(client.publish(&message).is_ok());
            }
            let mut event = Event::Waiting;
            let mut clock = Clock(&time);
            {
                let mut next = pin!(client.next(&mut clock));
                for _ in 0..polls {
                    let before = line.borrow().passed;
                    match next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                        Poll::Ready(ready) => {
                            event = ready;
                            break;
                        }
                        Poll::Pending => broker.serve(&mut line.borrow_mut()),
                    }
                    let quiet = line.borrow().is_quiet() && line.borrow().passed == before;
                    idle = if quiet { idle + 1 } else { 0 };
                }
            }
            match event {
                Event::Message => {
                    idle = 0;
                    commands.push(client.message().payload.to_vec());
                }
                Event::Broken => panic!("{:?}", client.violation()),
                Event::Waiting | Event::Nothing => {}
                _ => idle = 0,
            }
            let done =
                handed == READINGS.len() && client.queue().get(client.queue().start()).is_none();
            if done && broker.is_settled() && line.borrow().is_quiet() && idle > 8 {
                let once = commands.iter().filter(|command| **command == b"every 20");
                assert_eq!(once.count(), 1, "QoS 2: {commands:?}");
                assert!(commands.contains(&b"every 10".to_vec()), "{commands:?}");
                return;
            }
            if idle > 20
                && let Some(deadline) = client.deadline(time.get())
            {
                time.set(time.get().max(deadline));
                idle = 0;
            }
        }
        panic!("it does not come to an end: {handed} handed over, {broker:?}, {client:?}");
    }

    /// Dropped futures lose nothing and send nothing twice, wherever the line is cut.
    #[test]
    fn futures_may_be_dropped_at_every_poll() {
        for polls in [2, 3, 5, 1_000] {
            for piece in [1, usize::MAX] {
                for cut_at in core::iter::once(None).chain((0..430).step_by(3).map(Some)) {
                    let line = Line::new(piece, cut_at);
                    let mut broker = Broker::new(Version::V311);
                    converse::<Speaks3>(Version::V311, &line, &mut broker, polls);
                    judge(&broker);
                }
            }
        }
    }

    /// The same with writes that gather, in memory for a piece of a packet, and for some packets.
    #[test]
    fn gathered_bytes_survive_dropped_futures() {
        for memory in [1, 7, 256] {
            for polls in [2, 3, 1_000] {
                for cut_at in core::iter::once(None).chain((0..430).step_by(7).map(Some)) {
                    let line = Line::new(usize::MAX, cut_at);
                    let mut broker = Broker::new(Version::V311);
                    converse_gathered::<Speaks3>(Version::V311, &line, &mut broker, polls, memory);
                    judge(&broker);
                }
            }
        }
    }

    /// A packet with a body is one write, and so is what is due together: each would be a segment of 40 bytes behind a modem.
    #[test]
    fn gathered_packets_are_few_writes() {
        let writes = |memory: Option<usize>| {
            let line = Line::new(usize::MAX, None);
            let mut broker = Broker::new(Version::V311);
            match memory {
                Some(memory) => {
                    converse_gathered::<Speaks3>(Version::V311, &line, &mut broker, 1_000, memory);
                }
                None => converse::<Speaks3>(Version::V311, &line, &mut broker, 1_000),
            }
            judge(&broker);
            line.borrow().writes
        };
        let (single, gathered) = (writes(None), writes(Some(256)));
        assert!(gathered * 2 <= single, "{gathered} of {single}");
    }

    /// A device that waits is asleep: until bytes come its future is polled once, and wants no time but its deadline.
    #[test]
    fn waiting_has_no_tick() {
        let line = Line::new(usize::MAX, None);
        let mut broker = Broker::new(Version::V5);
        converse::<Speaks5>(Version::V5, &line, &mut broker, 1_000);
        judge(&broker);
    }
}
