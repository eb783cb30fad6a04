//! The program `hello` on this computer: the same application as on a board.

use core::net::Ipv4Addr;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

#[test]
fn it_says_hello_echoes_and_ends() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let mut program = Command::new(env!("CARGO_BIN_EXE_hello"))
        .arg(address)
        .spawn()
        .expect("it was built");
    let (mut wire, _) = listener.accept().expect("it dials");
    wire.write_all(b"abc1\x04").expect("it listens");
    let mut said = Vec::new();
    wire.read_to_end(&mut said).expect("it ends in order");
    assert_eq!(said, b"hello\nabc1");
    assert!(program.wait().expect("a child").success());
}
