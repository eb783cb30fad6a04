//! The application `solar` on this computer, against a broker that is a script.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};

use mqtt_codec::{Decoded, Decoder, FromClient, OnlyV311};

const PATIENCE: Duration = Duration::from_secs(60);

/// The program, stopped when dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What came in one flight, while nothing was answered.
struct Flight {
    wire: TcpStream,
    /// The packet id of the PUBLISH.
    id: u16,
    readings: String,
    /// Reads until both packets were there.
    reads: usize,
}

fn flight(listener: &TcpListener) -> Flight {
    let (mut wire, _) = listener.accept().expect("it dials");
    wire.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let (mut bytes, mut reads) = (Vec::new(), 0);
    loop {
        let mut chunk = [0; 2_048];
        let count = wire.read(&mut chunk).expect("it sends");
        assert_ne!(count, 0, "it hangs up after {}", bytes.escape_ascii());
        bytes.extend_from_slice(&chunk[..count]);
        reads += 1;
        let Some((id, readings)) = publish_behind_connect(&bytes) else {
            continue;
        };
        return Flight {
            wire,
            id,
            readings,
            reads,
        };
    }
}

fn publish_behind_connect(bytes: &[u8]) -> Option<(u16, String)> {
    let decoder = Decoder::new(OnlyV311);
    let Decoded::Complete { packet, len } = decoder.from_client(bytes).expect("a CONNECT") else {
        return None;
    };
    let FromClient::Connect(connect) = packet else {
        panic!("no CONNECT: {packet:?}");
    };
    assert_eq!(connect.keep_alive(), 0);
    match decoder.from_client(&bytes[len..]).expect("a PUBLISH") {
        Decoded::Complete {
            packet: FromClient::Publish(publish),
            ..
        } => Some((
            publish.delivery.packet_id().expect("QoS 1").get(),
            core::str::from_utf8(publish.payload)
                .expect("text")
                .to_owned(),
        )),
        Decoded::Complete { packet, .. } => panic!("no PUBLISH: {packet:?}"),
        Decoded::NeedMore(_) => None,
    }
}

/// All readings travel behind CONNECT before the broker has said a word; what it does not acknowledge comes again with the next.
#[test]
fn all_readings_come_in_one_flight_until_they_are_acknowledged() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let program = Command::new(env!("CARGO_BIN_EXE_solar"))
        .arg(address)
        .spawn()
        .expect("it was built");
    let _program = Program(program);

    let first = flight(&listener);
    assert_eq!(first.readings.lines().count(), 6, "{}", first.readings);
    assert_eq!(first.reads, 1, "one segment");
    // This network loses the answers.
    drop(first.wire);

    let mut second = flight(&listener);
    assert!(
        second
            .readings
            .starts_with(&(first.readings.clone() + "\n")),
        "{} and then {}",
        first.readings,
        second.readings
    );
    assert_eq!(second.readings.lines().count(), 12, "{}", second.readings);
    let [high, low] = second.id.to_be_bytes();
    second
        .wire
        .write_all(&[0x20, 2, 0, 0, 0x40, 2, high, low])
        .expect("it listens");
    let mut goodbye = Vec::new();
    second
        .wire
        .read_to_end(&mut goodbye)
        .expect("it ends in order");
    assert_eq!(goodbye, [0xE0, 0], "DISCONNECT, and the end");

    let third = flight(&listener);
    let new = third.readings.lines().count();
    assert_eq!(new, 6, "{} after {}", third.readings, second.readings);
}
