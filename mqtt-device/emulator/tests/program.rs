//! The program `at-modem`: its port, its connections, its end.

use core::net::SocketAddr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// The program, killed when a test ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str], to: SocketAddr) -> (Program, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_at-modem"))
        .args(["--serial", "127.0.0.1:0", "--to", &to.to_string()])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("the program says where it is");
    let port = line.trim().strip_prefix("serial ").expect("the first line");
    (Program(child), port.parse().expect("an address"))
}

/// Says it, and reads until the answer ends so.
fn say(serial: &mut TcpStream, text: &str, end: &str) {
    serial.write_all(text.as_bytes()).expect("it listens");
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(end.as_bytes()) {
        serial.read_exact(&mut byte).unwrap_or_else(|error| {
            panic!("{error} in the answer to {text}: {}", answer.escape_ascii())
        });
        answer.push(byte[0]);
    }
}

const CONNECT: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a";

/// Opens a connection through the modem and sends a CONNECT, in every dialect.
fn connect(dialect: &str, serial: &mut TcpStream) {
    match dialect {
        "sim800" => {
            say(serial, "AT+CIPRXGET=1\r", "OK\r\n");
            say(serial, "AT+CSTT=\"a\"\r", "OK\r\n");
            say(serial, "AT+CIICR\r", "OK\r\n");
            say(serial, "AT+CIFSR\r", "10.64.0.2\r\n");
            say(serial, "AT+CIPSTART=\"TCP\",\"b\",1\r", "CONNECT OK\r\n");
            say(serial, "AT+CIPSEND=15\r", "> ");
        }
        "esp-at" => {
            say(serial, "AT+CWJAP=\"a\",\"b\"\r\n", "OK\r\n");
            say(serial, "AT+CIPSTART=\"TCP\",\"b\",1\r\n", "OK\r\n");
            say(serial, "AT+CIPSEND=15\r\n", ">");
        }
        _ => {}
    }
    serial.write_all(CONNECT).expect("it listens");
}

#[test]
fn every_dialect_serves_one_device_after_the_other() {
    for dialect in ["sim800", "esp-at", "raw"] {
        let broker = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = broker.local_addr().expect("it is bound");
        let (_program, port) = start(&["--dialect", dialect], address);
        for round in 0..3 {
            let mut serial = TcpStream::connect(port).expect("the program listens");
            connect(dialect, &mut serial);
            let (mut peer, _) = broker.accept().expect("a connection");
            let mut packet = [0; CONNECT.len()];
            peer.read_exact(&mut packet).expect("the CONNECT");
            assert_eq!(packet, CONNECT, "{dialect}, device {round}");
            peer.write_all(b"\x20\x02\0\0").expect("it is connected");
            if dialect == "raw" {
                let mut answer = [0; 4];
                serial.read_exact(&mut answer).expect("the CONNACK");
                assert_eq!(&answer, b"\x20\x02\0\0");
            }
            // A device that is switched off takes its connection along.
            drop(serial);
            let mut rest = Vec::new();
            let end = peer.read_to_end(&mut rest);
            assert!(rest.is_empty(), "{dialect}, device {round}: {end:?}");
        }
    }
}

#[test]
fn once_is_enough_if_it_is_asked_for() {
    let broker = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = broker.local_addr().expect("it is bound");
    let (mut program, port) = start(&["--once"], address);
    drop(TcpStream::connect(port).expect("the program listens"));
    assert!(program.0.wait().expect("it ends").success());
}

#[test]
fn flags_that_a_dialect_does_not_have_are_refused() {
    for arguments in [
        &["--dialect", "raw", "--to", "127.0.0.1:1", "--chatter"][..],
        &["--dialect", "raw"],
        &["--dialect", "esp-at", "--pin", "1"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_at-modem"))
            .args(arguments)
            .output()
            .expect("the program starts");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
