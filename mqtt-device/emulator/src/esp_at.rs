//! The commands of ESP-AT, after the "ESP-AT User Guide"; chapters are of that.

use crate::emulator::{Emulator, Link, tcp_target};

/// Most bytes that one `AT+CIPSEND` takes ("TCP/IP AT Commands").
const BLOCK: usize = 2_048;

/// What such a modem says by itself ("AT Messages").
pub(crate) const CHATTER: &[&str] = &[
    "busy p...",
    "WIFI GOT IP",
    "+STA_CONNECTED:\"aa:bb:cc:dd:ee:ff\"",
    "+DIST_STA_IP:\"aa:bb:cc:dd:ee:ff\",\"192.168.4.2\"",
];

pub(crate) fn command(modem: &mut Emulator, command: &str) {
    let (name, value) = command.split_once('=').unwrap_or((command, ""));
    match name {
        "" | "+CWMODE" | "+CIPRECVMODE" | "+CIPDINFO" => modem.say(&["OK"]),
        "+CIPMUX" if modem.link != Link::Down => modem.say(&["link is builded", "ERROR"]),
        "+CIPMUX" => modem.say(&["OK"]),
        "+CWJAP?" if modem.joined => modem.say(&[
            "+CWJAP:\"home, sweet\",\"aa:bb:cc:dd:ee:ff\",6,-54,0,0,0,0",
            "OK",
        ]),
        "+CWJAP?" => modem.say(&["No AP", "OK"]),
        "+CWJAP" => {
            modem.joined = true;
            modem.say(&["WIFI CONNECTED", "WIFI GOT IP", "OK"]);
        }
        "+CIPSTATE?" if modem.link == Link::Up => {
            modem.say(&["+CIPSTATE:0,\"TCP\",\"192.168.1.2\",1883,50000,0", "OK"]);
        }
        "+CIPSTATE?" => modem.say(&["OK"]),
        "+CIPSTART" => start(modem, value),
        "+CIPSEND" => send(modem, value),
        "+CIPRECVDATA" => fetch(modem, value),
        "+CIPRECVLEN?" => modem.say(&[
            &format!("+CIPRECVLEN:{},0,0,0,0", modem.received.len()),
            "OK",
        ]),
        "+CIPCLOSE" if modem.link == Link::Up => {
            modem.hang_up();
            modem.say(&["CLOSED", "OK"]);
        }
        // Deep sleep forgets everything but the time ("Basic AT Commands").
        "+GSLP" => {
            modem.say(&["OK"]);
            modem.hang_up();
            modem.joined = false;
            modem.echo = true;
        }
        _ => modem.say(&["ERROR"]),
    }
}

fn start(modem: &mut Emulator, value: &str) {
    let Some((host, port)) = tcp_target(value) else {
        return modem.say(&["ERROR"]);
    };
    if modem.link != Link::Down {
        modem.say(&["ALREADY CONNECTED", "ERROR"]);
    } else if modem.joined {
        modem.connect(host, port);
    } else {
        modem.say(&["no ip", "ERROR"]);
    }
}

pub(crate) fn connected(modem: &mut Emulator) {
    if modem.link == Link::Up {
        modem.say(&["CONNECT", "OK"]);
    } else {
        modem.say(&["CLOSED", "ERROR"]);
    }
}

fn send(modem: &mut Emulator, value: &str) {
    match value.parse() {
        Ok(len @ 1..=BLOCK) if modem.link == Link::Up => {
            modem.say(&["OK"]);
            modem.answer(b"\r\n>");
            modem.ask_for_block(len);
        }
        Ok(_) if modem.link == Link::Down => modem.say(&["link is not valid", "ERROR"]),
        _ => modem.say(&["ERROR"]),
    }
}

/// The announced block is here.
pub(crate) fn sent(modem: &mut Emulator, announced: usize, accepted: Option<usize>) {
    modem.say(&[&format!("Recv {} bytes", accepted.unwrap_or(announced))]);
    modem.say(&[if accepted.is_some() {
        "SEND OK"
    } else {
        "SEND FAIL"
    }]);
}

fn fetch(modem: &mut Emulator, value: &str) {
    match value.parse::<usize>() {
        Ok(len @ 1..) if !modem.received.is_empty() => {
            let bytes = modem.fetch(len);
            let mut answer = format!("\r\n+CIPRECVDATA:{},", bytes.len()).into_bytes();
            answer.extend(bytes);
            modem.answer(&answer);
            modem.say(&["OK"]);
            modem.tell_closed();
        }
        _ => modem.say(&["ERROR"]),
    }
}
