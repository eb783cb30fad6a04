//! The raw line, in virtual time: when it connects, what it passes on, and what it swallows.

use mqtt_at_modem::{Dialect, Emulator, Options, Wish};

const CONNECT: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a";
const PUBLISH: &[u8] = b"\x30\x05\0\x01t\x10\x10";

fn modem(options: Options) -> Emulator {
    Emulator::new(Options {
        dialect: Dialect::Raw,
        ..options
    })
}

/// What the modem does next, with every dial answered.
fn done(modem: &mut Emulator, now: u64) -> Vec<String> {
    let mut done = Vec::new();
    while let Some(wish) = modem.wish() {
        match wish {
            Wish::Connect { .. } => {
                done.push("connect".to_owned());
                modem.connected(true, now);
            }
            Wish::Send(bytes) => done.push(bytes.escape_ascii().to_string()),
            Wish::Close => done.push("close".to_owned()),
        }
    }
    done
}

fn sent(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[test]
fn a_connection_begins_with_connect_however_it_comes() {
    for piece in 1..CONNECT.len() {
        let mut modem = modem(Options::default());
        let noise = b"\x10\x02\0\x04\xc0\x00MQ";
        for bytes in [&noise[..], CONNECT].concat().chunks(piece) {
            modem.serial_in(bytes, 0);
        }
        let mut all = done(&mut modem, 0);
        assert_eq!(all.remove(0), "connect");
        assert_eq!(all.concat(), sent(CONNECT), "in pieces of {piece}");
    }
}

#[test]
fn bytes_pass_both_ways() {
    let mut modem = modem(Options {
        latency: 5,
        ..Options::default()
    });
    modem.serial_in(&[CONNECT, PUBLISH].concat(), 0);
    assert_eq!(
        done(&mut modem, 0),
        ["connect", &sent(&[CONNECT, PUBLISH].concat())]
    );
    modem.received(b"\x20\x02\0\0", 10);
    assert_eq!(modem.deadline(), Some(15));
    assert_eq!(modem.serial_out(15), b"\x20\x02\0\0");
}

/// Cut at every byte, in either direction: nothing crosses any more until the next CONNECT.
#[test]
fn a_cut_swallows_everything_up_to_the_next_connect() {
    let first = [CONNECT, PUBLISH].concat();
    for cut in 1..=first.len() + 4 {
        let mut modem = modem(Options {
            cut: Some(cut as u64),
            ..Options::default()
        });
        modem.serial_in(&first, 0);
        let mut all = done(&mut modem, 0);
        modem.received(b"\x20\x02\0\0", 1);
        all.extend(done(&mut modem, 1));
        let crossed = cut.min(first.len());
        assert_eq!(
            all,
            ["connect", &sent(&first[..crossed]), "close"],
            "cut at {cut}"
        );
        assert_eq!(modem.serial_out(1).len(), cut - crossed, "cut at {cut}");
        modem.serial_in(PUBLISH, 2);
        modem.serial_in(b"\xc0\0", 2);
        assert_eq!(done(&mut modem, 2), [""; 0], "cut at {cut}");
        modem.serial_in(&first, 3);
        assert_eq!(done(&mut modem, 3), ["connect", &sent(&first)]);
    }
}

#[test]
fn a_device_that_begins_again_gets_a_new_connection_and_nothing_of_the_old() {
    let mut modem = modem(Options::default());
    modem.serial_in(CONNECT, 0);
    assert_eq!(done(&mut modem, 0), ["connect", &sent(CONNECT)]);
    modem.received(b"\x20\x02\0\0", 0);
    // A CONNECT in a message is none.
    modem.serial_in(&[b"\x30\x12\0\x01t", CONNECT].concat(), 1);
    assert_eq!(done(&mut modem, 1).len(), 1);
    modem.serial_in(&[b"\xe0\0", CONNECT].concat(), 2);
    assert_eq!(
        done(&mut modem, 2),
        [&sent(b"\xe0\0"), "close", "connect", &sent(CONNECT)]
    );
    assert_eq!(modem.serial_out(2), b"");
}

#[test]
fn a_refused_dial_and_a_broker_that_closes_are_silence() {
    let mut modem = modem(Options {
        refuse: 1,
        ..Options::default()
    });
    modem.serial_in(CONNECT, 0);
    assert_eq!(done(&mut modem, 0), [""; 0]);
    modem.serial_in(CONNECT, 1);
    assert_eq!(done(&mut modem, 1), ["connect", &sent(CONNECT)]);
    modem.closed(2);
    modem.serial_in(PUBLISH, 3);
    assert_eq!(done(&mut modem, 3), [""; 0]);
    assert_eq!(modem.serial_out(3), b"");
}

#[test]
fn pieces_are_as_small_as_is_asked_for() {
    let mut modem = modem(Options {
        mtu: Some(1),
        ..Options::default()
    });
    modem.serial_in(CONNECT, 0);
    assert_eq!(done(&mut modem, 0).len(), 1 + CONNECT.len());
    modem.received(b"\x20\x02\0\0", 0);
    for (now, byte) in b"\x20\x02\0\0".iter().enumerate() {
        assert_eq!(modem.serial_out(now as u64), [*byte]);
    }
}
