//! A device that answers requests, in front of the real broker: what mqtt-device says of its messages arrives (5.0).

mod support;

use core::cell::RefCell;
use core::convert::Infallible;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::rc::Rc;
use std::time::Instant;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use mqtt_device::profile::Full;
use mqtt_device::{
    Connect, Device, Dialler, Event, Outgoing, PayloadFormat, Properties, Property, QoS, Ring,
    Subscription, SubscriptionOptions, TopicAlias, TopicFilter, TopicName, Version, WireProperties,
    blocking::Client, publish_properties,
};
use support::frame::publish;
use support::{Broker, PATIENCE};

#[derive(Debug)]
struct Thermometer;

impl Device for Thermometer {
    type Profile = Full;
    const SUBSCRIPTIONS: &'static [Subscription] = &[(
        TopicFilter::from_static("sensor4/ask"),
        SubscriptionOptions::new(QoS::AtLeastOnce),
    )];
}

const READINGS: TopicName<'static> = TopicName::from_static("sensor4/temperature");
const OF_A_READING: WireProperties<'static> = publish_properties![
    Property::MessageExpiryInterval(3_600),
    Property::PayloadFormatIndicator(PayloadFormat::Utf8),
    Property::ContentType("text/plain"),
    Property::UserProperty("unit", "°C"),
];

/// A socket; the cell shows it to whoever waits for bytes.
#[derive(Debug)]
struct Tcp(Rc<RefCell<Option<TcpStream>>>);

impl Tcp {
    fn with<T>(&self, with: impl FnOnce(&mut TcpStream) -> std::io::Result<T>) -> Option<T> {
        self.0
            .borrow_mut()
            .as_mut()
            .and_then(|stream| with(stream).ok())
    }

    /// Waits for a byte or the end, but not long.
    fn wait(&self) {
        self.with(|stream| stream.peek(&mut [0]));
    }
}

impl ErrorType for Tcp {
    type Error = Infallible;
}

impl Read for Tcp {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(self.with(|stream| stream.read(buffer)).unwrap_or(0))
    }
}

impl Write for Tcp {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(self.with(|stream| stream.write(bytes)).unwrap_or(0))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl ReadReady for Tcp {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        let ready = self.with(|stream| {
            stream.set_nonblocking(true)?;
            let ready = match stream.peek(&mut [0]) {
                Err(error) => error.kind() != ErrorKind::WouldBlock,
                Ok(_) => true,
            };
            stream.set_nonblocking(false)?;
            Ok(ready)
        });
        Ok(ready.unwrap_or(true))
    }
}

/// Answers every request until there have been so many.
fn answer(broker: SocketAddr, requests: usize) {
    let (mut receive, mut queue) = ([0; 320], [0; 512]);
    let socket = Rc::new(RefCell::new(None));
    let dial = Dialler::new(|| {
        let stream = TcpStream::connect(broker)?;
        stream.set_read_timeout(Some(Duration::from_millis(100)))?;
        *socket.borrow_mut() = Some(stream);
        Ok::<_, std::io::Error>(Tcp(Rc::clone(&socket)))
    });
    let start = Instant::now();
    let now = || mqtt_device::Instant::from_millis(start.elapsed().as_millis() as u64);
    let identity = Connect::new(Version::V5, "sensor4");
    let ring = Ring::new(&mut queue);
    let mut client = Client::<Thermometer, _, _, _>::new(identity, &mut receive, ring, dial, 4);
    let mut left = requests;
    while left > 0 || client.queue().used() > 0 {
        assert!(start.elapsed() < PATIENCE, "{left} to come: {client:?}");
        match client.poll(now()) {
            Event::Subscribed(..) => {
                // That it is there, which is retained; the second has no topic.
                for text in ["21.5", "21.7"] {
                    let message = Outgoing {
                        retain: true,
                        alias: TopicAlias::new(3),
                        properties: OF_A_READING,
                        ..Outgoing::new(READINGS, text.as_bytes())
                    };
                    client.publish(&message).expect("there is room");
                }
            }
            Event::Message => {
                let request = client.message();
                assert_eq!(request.properties.content_type(), Some("question"));
                let (mut topic, mut memory) = ([0; 32], [0; 32]);
                let to = request.properties.response_topic().expect("where to");
                let topic = topic.get_mut(..to.len()).expect("a short one");
                topic.copy_from_slice(to.as_bytes());
                let to = core::str::from_utf8(topic).expect("a copy of a text");
                let data = request.properties.correlation_data().expect("of what");
                let list = [Property::CorrelationData(data)];
                let properties = Properties::List(&list).write_publish(&mut memory);
                let message = Outgoing {
                    properties: properties.expect("room"),
                    ..Outgoing::new(TopicName::new(to).expect("a topic"), b"21.6")
                };
                client.publish(&message).expect("there is room");
                left -= 1;
            }
            Event::Waiting => Tcp(Rc::clone(&socket)).wait(),
            Event::Broken => panic!("{:?}", client.violation()),
            _ => {}
        }
    }
    client.disconnect();
    assert_eq!(client.poll(now()), Event::Lost);
}

/// [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-20]: content type, response topic, correlation data and user properties
/// come out as they went in; the expiry, less the time that passed.
#[test]
fn a_device_answers_and_says_what_its_messages_are() {
    let broker = Broker::start();
    let mut asking = support::Client::subscribed(
        &broker,
        Version::V5,
        "asking",
        "sensor4/temperature",
        QoS::AtLeastOnce,
    );
    let options = support::frame::at(QoS::AtLeastOnce);
    asking.subscribe(&[("answers/+", options)]);
    let address = broker.address();
    std::thread::scope(|scope| {
        let device = scope.spawn(|| answer(address, 2));
        for text in ["21.5", "21.7"] {
            let frame = asking.take();
            let publish = frame.publish();
            assert_eq!(
                (publish.topic, publish.payload),
                (READINGS.as_str(), text.as_bytes())
            );
            let properties = publish.properties;
            let expiry = properties.message_expiry_interval().unwrap_or_default();
            assert!((3_500..=3_600).contains(&expiry), "{expiry}");
            assert_eq!(
                properties.payload_format_indicator(),
                Some(PayloadFormat::Utf8)
            );
            assert_eq!(properties.content_type(), Some("text/plain"));
            let users: Vec<_> = properties.user_properties().collect();
            assert_eq!(users, [("unit", "°C")]);
        }
        for data in [b"first", b"other"] {
            let list = [
                Property::ResponseTopic("answers/asking"),
                Property::ContentType("question"),
                Property::CorrelationData(data),
            ];
            asking.send(&mqtt_codec::Publish {
                properties: Properties::List(&list),
                ..publish("sensor4/ask", "now")
            });
            let frame = asking.take();
            let answer = frame.publish();
            assert_eq!(
                (answer.topic, answer.payload),
                ("answers/asking", &b"21.6"[..])
            );
            let properties = answer.properties;
            assert_eq!(properties.correlation_data(), Some(&data[..]));
            assert_eq!(properties.iter().count(), 1, "{properties:?}");
        }
        device.join().expect("it has answered");
    });
    asking.disconnect();
}
