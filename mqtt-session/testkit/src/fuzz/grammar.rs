//! Packets out of an input, most of them valid; written byte by byte, so that our own encoder is not its own judge.

use mqtt_codec::Version;

use super::input::Input;

/// Topic names; the last ones are none, or not a client's to publish to.
const TOPICS: [&str; 12] = [
    "a", "b", "a/b", "a/c", "b/c/d", "a", "/", "a/b/c/d", "$SYS/a", "a/+", "#", "",
];
/// Topic filters, some of them shared, the last ones not valid.
const FILTERS: [&str; 18] = [
    "a",
    "#",
    "a/+",
    "b",
    "+",
    "+/+",
    "a/#",
    "a/b",
    "$share/g/a",
    "$share/g/#",
    "$share/h/a/+",
    "$share/g/a",
    "/",
    "$SYS/#",
    "$share/g",
    "a/#/b",
    "$share/+/a",
    "",
];
/// Client ids.
const CLIENTS: [&str; 6] = ["c", "d", "e", "c", "", "longer-than-23-characters-it-is"];
/// Properties of each packet that carries some, the frequent ones first.
const CONNECT: [u8; 8] = [0x11, 0x21, 0x22, 0x27, 0x17, 0x19, 0x15, 0x26];
const WILL: [u8; 8] = [0x18, 0x02, 0x01, 0x03, 0x08, 0x09, 0x26, 0x26];
const CONNACK: [u8; 16] = [
    0x21, 0x22, 0x27, 0x11, 0x13, 0x12, 0x24, 0x25, 0x28, 0x29, 0x2a, 0x15, 0x1a, 0x1c, 0x1f, 0x26,
];
const PUBLISH: [u8; 8] = [0x23, 0x02, 0x01, 0x26, 0x03, 0x08, 0x09, 0x26];
const PUBLISH_OF_SERVER: [u8; 8] = [0x23, 0x0b, 0x02, 0x26, 0x0b, 0x01, 0x08, 0x09];
const SUBSCRIBE: [u8; 2] = [0x0b, 0x26];
const ANSWER: [u8; 2] = [0x1f, 0x26];
const DISCONNECT: [u8; 4] = [0x11, 0x1f, 0x26, 0x1c];
const AUTH: [u8; 4] = [0x15, 0x16, 0x1f, 0x26];
const UNSUBSCRIBE: [u8; 2] = [0x26, 0x26];
/// From which byte on CONNECT and CONNACK have properties: often, for they decide about all that follows.
const ANNOUNCE: u8 = 0x30;
/// Reason codes of acknowledgements.
const ACK_REASONS: [u8; 8] = [0, 0, 0, 0, 0x10, 0x80, 0x87, 0x97];
const RELEASE_REASONS: [u8; 4] = [0, 0, 0, 0x92];
const DISCONNECT_REASONS: [u8; 8] = [0, 0x04, 0x80, 0x81, 0x8b, 0x8e, 0x93, 0x82];
const CONNACK_REASONS: [u8; 4] = [0x80, 0x87, 0x95, 0x9f];
const CONNACK_CODES: [u8; 4] = [1, 2, 5, 3];

/// Who sends the packets, to whom.
#[derive(Clone, Copy, Debug)]
pub struct Grammar<'a> {
    /// The version of the connection.
    pub version: Version,
    /// Whether a client sends.
    pub client: bool,
    /// Packet ids that mean something to the receiver: acknowledgements choose among them.
    pub awaited: &'a [u16],
}

/// A packet under construction.
struct Draft {
    body: Vec<u8>,
    v5: bool,
}

impl Draft {
    fn byte(&mut self, byte: u8) {
        self.body.push(byte);
    }

    fn short(&mut self, value: u16) {
        self.body.extend_from_slice(&value.to_be_bytes());
    }

    fn long(&mut self, value: u32) {
        self.body.extend_from_slice(&value.to_be_bytes());
    }

    fn binary(&mut self, bytes: &[u8]) {
        self.short(bytes.len() as u16);
        self.body.extend_from_slice(bytes);
    }

    fn string(&mut self, text: &str) {
        self.binary(text.as_bytes());
    }

    fn text(&mut self, input: &mut Input<'_>) {
        let text = input.pick(&[
            "x",
            "",
            "why",
            "k",
            "\u{e9}",
            "0123456789abcdef0123456789abcdef",
        ]);
        self.string(text);
    }

    /// The properties that a mask chooses among `ids`; rarely any other.
    fn properties(&mut self, input: &mut Input<'_>, ids: &[u8]) {
        self.properties_from(0x80, input, ids);
    }

    /// There are some if a byte is no less than `some_from`.
    fn properties_from(&mut self, some_from: u8, input: &mut Input<'_>, ids: &[u8]) {
        if !self.v5 {
            return;
        }
        let some = input.byte();
        let mask = if some >= some_from { input.byte() } else { 0 };
        let mut list = Self {
            body: Vec::new(),
            v5: true,
        };
        if mask != 0 {
            for (at, &id) in ids.iter().enumerate() {
                // The bits of a longer list stand for two properties each; the last one brings in the second.
                let bit = 1 << (at % 8);
                if mask & bit != 0 && (at < 8 || mask & 0x80 != 0) {
                    list.property(input, id);
                }
            }
            if some >= 0xf8 {
                let id = input.byte() & 0x3f;
                list.property(input, id);
            }
        }
        push_varint(&mut self.body, list.body.len());
        self.body.append(&mut list.body);
    }

    fn property(&mut self, input: &mut Input<'_>, id: u8) {
        self.byte(id);
        match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2a => self.byte(input.byte() & 1),
            0x02 | 0x18 => self.long(u32::from(input.byte() & 0x0f)),
            0x11 => {
                let seconds = input.pick(&[0, 5, 60, u32::MAX]);
                self.long(seconds);
            }
            0x27 => {
                let bytes = input.pick(&[1_000, 60, 24, 5]);
                self.long(bytes);
            }
            0x13 => {
                let seconds = input.pick(&[0, 1, 10, 60]);
                self.short(seconds);
            }
            0x21 => {
                let most = input.pick(&[1, 2, 3, 4, 5, 10, 65_535, 4]);
                self.short(most);
            }
            0x22 => {
                let most = input.pick(&[1, 2, 0, 3, 10, 65_535]);
                self.short(most);
            }
            0x23 => {
                let alias = input.pick(&[1, 2, 3, 1, 2, 64, 65, 0]);
                self.short(alias);
            }
            0x0b => push_varint(&mut self.body, 1 + usize::from(input.byte())),
            0x08 => {
                let topic = input.pick(&TOPICS);
                self.string(topic);
            }
            0x09 | 0x16 => {
                let len = input.below(8);
                self.binary(input.take(len));
            }
            0x26 => {
                self.text(input);
                self.text(input);
            }
            0x15 => {
                let method = input.pick(&["x", "x", "x", "k"]);
                self.string(method);
            }
            // The other string properties, and identifiers that do not exist.
            _ => self.text(input),
        }
    }

    fn finish(self, first: u8, out: &mut Vec<u8>) {
        out.push(first);
        push_varint(out, self.body.len());
        out.extend_from_slice(&self.body);
    }
}

/// Appends a Variable Byte Integer.
pub(super) fn push_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

impl Grammar<'_> {
    const fn draft(&self) -> Draft {
        Draft {
            body: Vec::new(),
            v5: self.version.is_v5(),
        }
    }

    /// An id that is new more often than not.
    fn new_id(&self, input: &mut Input<'_>) -> u16 {
        match input.byte() {
            255 => input.short(),
            byte => u16::from(byte & 7) + 1,
        }
    }

    /// An id that is awaited, if there is one.
    fn awaited_id(&self, input: &mut Input<'_>) -> u16 {
        let byte = usize::from(input.byte());
        match byte.checked_rem(self.awaited.len()) {
            Some(at) if byte < 0xf0 => self.awaited[at],
            Some(_) | None => (byte & 7) as u16 + 1,
        }
    }

    /// Appends a packet of any kind that this side sends, CONNECT and CONNACK rarely.
    pub fn packet(&self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        let kind = input.byte();
        match kind % 16 {
            0..=3 => self.publish(input, out),
            4 | 5 => self.ack(input, 4, out),
            6 => self.ack(input, 5, out),
            7 => self.ack(input, 6, out),
            8 => self.ack(input, 7, out),
            9 | 10 => self.subscribe_or_answer(input, out),
            11 => self.unsubscribe_or_answer(input, out),
            12 => out.extend_from_slice(if self.client { &[0xc0, 0] } else { &[0xd0, 0] }),
            13 => self.disconnect(input, out),
            14 => self.auth(input, out),
            _ if kind < 0x40 => self.hello(input, out),
            // Bytes as they are, or a packet with one of them changed.
            _ if kind < 0x80 => {
                let len = input.below(24);
                out.extend_from_slice(input.take(len));
            }
            _ => self.damaged(input, out),
        }
    }

    fn damaged(&self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        let begin = out.len();
        let (at, change) = (input.byte(), input.byte());
        self.publish(input, out);
        let packet = &mut out[begin..];
        let at = usize::from(at) % packet.len().max(1);
        if let Some(byte) = packet.get_mut(at) {
            *byte ^= change;
        }
    }

    /// The packet that begins a connection.
    pub fn hello(&self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        if self.client {
            self.connect(input, out);
        } else {
            self.connack(input, out);
        }
    }

    fn connect(&self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        let mut draft = self.draft();
        let choice = input.byte();
        match self.version {
            Version::V31 => draft.string("MQIsdp"),
            Version::V311 | Version::V5 => draft.string("MQTT"),
        }
        draft.byte(self.version as u8);
        let clean = choice & 1;
        let will = choice & 2 != 0;
        let name = choice & 4 != 0;
        let will_bits = if will {
            0x04 | (choice >> 3 & 7) << 3
        } else {
            0
        };
        let password = choice & 0xc0 == 0xc0;
        draft.byte(clean << 1 | will_bits | u8::from(name) << 7 | u8::from(password) << 6);
        let keep_alive = input.pick(&[0, 10, 1, 60, 10, 65_535]);
        draft.short(keep_alive);
        draft.properties_from(ANNOUNCE, input, &CONNECT);
        let client = input.pick(&CLIENTS);
        draft.string(client);
        if will {
            draft.properties(input, &WILL);
            let topic = TOPICS[(usize::from(input.byte()) / 20).min(TOPICS.len() - 1)];
            draft.string(topic);
            let len = input.below(8);
            draft.binary(input.take(len));
        }
        if name {
            draft.text(input);
        }
        if password {
            draft.text(input);
        }
        draft.finish(0x10, out);
    }

    fn connack(&self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        let mut draft = self.draft();
        let choice = input.byte();
        let refused = choice >= 0xf0;
        draft.byte(u8::from(choice & 1 == 1 && !refused));
        draft.byte(match (refused, draft.v5) {
            (false, _) => 0,
            (true, true) => CONNACK_REASONS[usize::from(choice >> 1 & 3)],
            (true, false) => CONNACK_CODES[usize::from(choice >> 1 & 3)],
        });
        draft.properties_from(ANNOUNCE, input, &CONNACK);
        draft.finish(0x20, out);
    }

    fn publish(&self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        let mut draft = self.draft();
        let choice = input.byte();
        let qos = [2, 1, 0, 2][usize::from(choice & 3)];
        let topic = TOPICS[usize::from(choice >> 4) % TOPICS.len()];
        let (retain, dup) = (choice >> 2 & 1, choice >> 3 & u8::from(qos > 0));
        draft.string(topic);
        if qos > 0 {
            let id = self.new_id(input);
            draft.short(id);
        }
        let of_server = [&PUBLISH, &PUBLISH_OF_SERVER][usize::from(!self.client)];
        draft.properties(input, of_server);
        let len = input.byte();
        let padding = match len {
            0..0xf0 => 0,
            0xf0..0xfc => usize::from(len - 0xef) * 64,
            0xfc => 9_000,
            // From here on the remaining length takes three bytes.
            0xfd.. => 16_400,
        };
        draft
            .body
            .extend_from_slice(input.take(usize::from(len & 0x0f)));
        draft.body.resize(draft.body.len() + padding, b'x');
        draft.finish(0x30 | dup << 3 | qos << 1 | retain, out);
    }

    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    pub fn ack(&self, input: &mut Input<'_>, kind: u8, out: &mut Vec<u8>) {
        let mut draft = self.draft();
        let id = self.awaited_id(input);
        draft.short(id);
        if draft.v5 {
            let choice = input.byte();
            if choice != 0 {
                draft.byte(if kind == 4 || kind == 5 {
                    ACK_REASONS[usize::from(choice & 7)]
                } else {
                    RELEASE_REASONS[usize::from(choice & 3)]
                });
                if choice & 0x80 != 0 {
                    draft.properties(input, &ANSWER);
                }
            }
        }
        draft.finish(kind << 4 | if kind == 6 { 2 } else { 0 }, out);
    }

    fn subscribe_or_answer(&self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        let mut draft = self.draft();
        if self.client {
            let id = self.new_id(input);
            draft.short(id);
            draft.properties(input, &SUBSCRIBE);
            for _ in 0..=input.byte() >> 6 {
                let filter = input.pick(&FILTERS);
                draft.string(filter);
                let options = input.byte();
                let qos = [0, 1, 2, 1][usize::from(options & 3)];
                let handling = [0, 1, 2, 0][usize::from(options >> 4 & 3)];
                draft.byte(if draft.v5 {
                    qos | options & 0x0c | handling << 4
                } else {
                    qos
                });
            }
            return draft.finish(0x82, out);
        }
        let id = self.awaited_id(input);
        draft.short(id);
        draft.properties(input, &ANSWER);
        for _ in 0..=input.byte() >> 6 {
            let code = input.pick(&[0, 1, 2, 0x80]);
            draft.byte(code);
        }
        draft.finish(0x90, out);
    }

    fn unsubscribe_or_answer(&self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        let mut draft = self.draft();
        if self.client {
            let id = self.new_id(input);
            draft.short(id);
            draft.properties(input, &UNSUBSCRIBE);
            for _ in 0..=input.byte() >> 6 {
                let filter = input.pick(&FILTERS);
                draft.string(filter);
            }
            return draft.finish(0xa2, out);
        }
        let id = self.awaited_id(input);
        draft.short(id);
        if draft.v5 {
            draft.properties(input, &ANSWER);
            for _ in 0..=input.byte() >> 6 {
                let code = input.pick(&[0, 0x11, 0x80]);
                draft.byte(code);
            }
        }
        draft.finish(0xb0, out);
    }

    fn disconnect(&self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        let mut draft = self.draft();
        if draft.v5 {
            let choice = input.byte();
            if choice != 0 {
                draft.byte(DISCONNECT_REASONS[usize::from(choice & 7)]);
                if choice & 0x80 != 0 {
                    draft.properties(input, &DISCONNECT);
                }
            }
        }
        draft.finish(0xe0, out);
    }

    fn auth(&self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        let mut draft = self.draft();
        if draft.v5 {
            let choice = input.byte();
            let reason = [0x18, 0x19, 0][usize::from(choice) % 3];
            draft.byte(reason);
            draft.properties(input, &AUTH);
        }
        draft.finish(0xf0, out);
    }
}
