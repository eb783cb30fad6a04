//! The commands of SIM800, after "SIM800 Series AT Command Manual" V1.09; section numbers are of that.

use crate::emulator::{Emulator, Link, tcp_target};
use crate::options::Options;

/// Most bytes that one `AT+CIPSEND` or `AT+CIPRXGET=2` takes.
const BLOCK: usize = 1_460;

/// What such a modem says by itself: section 1.5 on calls and messages, chapter 19 on unsolicited result codes.
pub(crate) const CHATTER: &[&str] = &[
    "RING",
    "+CMTI: \"SM\",3",
    "Call Ready",
    "SMS Ready",
    "+CREG: 1",
    "*PSUTTZ: 2026,3,1,12,30,5,\"+4\",0",
    "UNDER-VOLTAGE WARNNING",
    // Texts of the network are as long as it likes (11.1, "AT+CUSD").
    "+CUSD: 0,\"ERROR OK CLOSED ERROR OK CLOSED ERROR OK CLOSED ERROR OK CLOSED ERROR OK CLOSED ERROR OK CLOSED ERROR OK CLOSED ERROR OK\",15",
];

/// Where the bearer is (8.2.2, "state").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bearer {
    Initial,
    Start,
    GprsAct,
    Status,
}

#[derive(Debug)]
pub(crate) struct State {
    bearer: Bearer,
    locked: bool,
    quick: bool,
}

impl State {
    pub(crate) const fn new(options: &Options) -> Self {
        Self {
            bearer: Bearer::Initial,
            locked: options.pin.is_some(),
            quick: false,
        }
    }
}

pub(crate) fn command(modem: &mut Emulator, command: &str) {
    let (name, value) = command.split_once('=').unwrap_or((command, ""));
    match name {
        "" | "Z" | "&F" | "+CSCLK" | "+CIPMUX" | "+CGATT" | "+CREG" | "+CFUN" => modem.say(&["OK"]),
        "+CPIN?" if modem.sim.locked => modem.say(&["+CPIN: SIM PIN", "OK"]),
        "+CPIN?" => modem.say(&["+CPIN: READY", "OK"]),
        "+CPIN" if modem.options.pin.as_deref() == Some(value.trim_matches('"')) => {
            modem.sim.locked = false;
            modem.say(&["OK", "+CPIN: READY"]);
        }
        "+CPIN" => modem.say(&["+CME ERROR: incorrect password"]),
        "+CREG?" | "+CGREG?" => {
            let state = if modem.sim.locked { 0 } else { 1 };
            modem.say(&[&format!("{}: 0,{state}", name.trim_end_matches('?')), "OK"]);
        }
        "+CGATT?" => modem.say(&["+CGATT: 1", "OK"]),
        "+CSQ" => modem.say(&["+CSQ: 17,0", "OK"]),
        "+CIPQSEND" => {
            modem.sim.quick = value == "1";
            modem.say(&["OK"]);
        }
        "+CIPSHUT" => {
            modem.hang_up();
            modem.sim.bearer = Bearer::Initial;
            modem.say(&["SHUT OK"]);
        }
        "+CSTT" => bring_up(modem, Bearer::Initial, Bearer::Start, "OK"),
        "+CIICR" => bring_up(modem, Bearer::Start, Bearer::GprsAct, "OK"),
        "+CIFSR" if modem.sim.bearer == Bearer::Status => modem.say(&["10.64.0.2"]),
        "+CIFSR" => bring_up(modem, Bearer::GprsAct, Bearer::Status, "10.64.0.2"),
        "+CIPSTART" => start(modem, value),
        "+CIPSEND" => send(modem, value),
        "+CIPRXGET" => fetch(modem, value),
        "+CIPCLOSE" if modem.link == Link::Up => {
            modem.hang_up();
            modem.say(&["CLOSE OK"]);
        }
        _ => modem.say(&["ERROR"]),
    }
}

fn bring_up(modem: &mut Emulator, from: Bearer, to: Bearer, answer: &str) {
    if modem.sim.bearer == from && !modem.sim.locked {
        modem.sim.bearer = to;
        modem.say(&[answer]);
    } else {
        modem.say(&["ERROR"]);
    }
}

/// `AT+CIPSTART="TCP","host",port` (8.2.2): only in IP INITIAL, where it brings the bearer up by itself, or IP STATUS.
fn start(modem: &mut Emulator, value: &str) {
    let Some((host, port)) = tcp_target(value) else {
        return modem.say(&["ERROR"]);
    };
    if modem.link != Link::Down {
        return modem.say(&["ERROR", "ALREADY CONNECT"]);
    }
    if matches!(modem.sim.bearer, Bearer::Start | Bearer::GprsAct) {
        return modem.say(&["ERROR"]);
    }
    modem.say(&["OK"]);
    modem.connect(host, port);
}

pub(crate) fn connected(modem: &mut Emulator) {
    if modem.link == Link::Up {
        modem.say(&["CONNECT OK"]);
    } else {
        modem.say(&["STATE: TCP CLOSED", "CONNECT FAIL"]);
    }
}

/// `AT+CIPSEND=<length>` (8.2.3).
fn send(modem: &mut Emulator, value: &str) {
    match value.parse() {
        Ok(len @ 1..=BLOCK) if modem.link == Link::Up => {
            modem.answer(b"\r\n> ");
            modem.ask_for_block(len);
        }
        _ => modem.say(&["ERROR"]),
    }
}

/// The announced block is here; `DATA ACCEPT` or `SEND OK` by `AT+CIPQSEND` (8.2.4).
pub(crate) fn sent(modem: &mut Emulator, accepted: Option<usize>) {
    match accepted {
        Some(count) if modem.sim.quick => modem.say(&[&format!("DATA ACCEPT:{count}")]),
        Some(_) => modem.say(&["SEND OK"]),
        None => modem.say(&["SEND FAIL"]),
    }
}

/// `AT+CIPRXGET=<mode>[,<length>]`: 1 switches to fetching, 2 fetches, 4 asks how much there is.
fn fetch(modem: &mut Emulator, value: &str) {
    let (mode, len) = value.split_once(',').unwrap_or((value, ""));
    let nothing = modem.link != Link::Up && modem.received.is_empty();
    match (mode, len.parse::<usize>()) {
        ("1", _) => modem.say(&["OK"]),
        ("4", _) if !nothing => {
            modem.say(&[&format!("+CIPRXGET: 4,{}", modem.received.len()), "OK"]);
        }
        ("2", Ok(len @ 1..=BLOCK)) if !nothing => {
            let bytes = modem.fetch(len);
            let mut answer = format!(
                "\r\n+CIPRXGET: 2,{},{}\r\n",
                bytes.len(),
                modem.received.len()
            )
            .into_bytes();
            answer.extend(bytes);
            modem.answer(&answer);
            modem.say(&["OK"]);
        }
        _ => modem.say(&["ERROR"]),
    }
}
