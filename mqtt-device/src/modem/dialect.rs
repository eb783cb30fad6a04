//! What modems differ in, as tables: a new modem is a new [`Dialect`], not new code.
//!
//! A command is a text with places for values: `$h` host, `$n` the number that the command is about (port, length or seconds),
//! `$a` APN or network name, `$u` user, `$w` password, `$i` PIN. An answer is a pattern: a line answers if it begins with one of the
//! alternatives that `|` separates; `#` stands for a digit, `*` for anything up to the character that follows it.
//!
//! A step with the PIN is one that fails ([`Otherwise::Fail`]), and comes behind one that sees that the card asks for it: refused once, it
//! is not given again.

/// What to do with a step that does not end as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// The whole operation has failed.
    Fail,
    /// An error is as good as success.
    Ignore,
    /// Ask again every two seconds, until the step's time is over.
    Repeat,
    /// Not a condition but a question: if the wanted line came, leave out so many steps after this one, otherwise none.
    Skip(u8),
}

/// A command and what ends it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The command, with places for values; the dialect's line end is added.
    pub command: &'static str,
    /// The line with which it is done, mostly `OK`.
    pub end: &'static str,
    /// The line that must have come before the end; empty if there is none.
    pub want: &'static str,
    /// Time for the answer, in seconds, 1 to 120; all repetitions together, up to 255, for [`Otherwise::Repeat`].
    pub seconds: u8,
    /// What happens if it does not end so.
    pub otherwise: Otherwise,
}

impl Step {
    /// A command that is answered with OK or fails.
    #[must_use]
    pub const fn new(command: &'static str, seconds: u8) -> Self {
        Self {
            command,
            end: "OK",
            want: "",
            seconds,
            otherwise: Otherwise::Fail,
        }
    }

    /// The same with another last line.
    #[must_use]
    pub const fn until(mut self, end: &'static str) -> Self {
        self.end = end;
        self
    }

    /// The same with a line that must come before the end.
    #[must_use]
    pub const fn wants(mut self, want: &'static str) -> Self {
        self.want = want;
        self
    }

    /// The same with something other than failure.
    #[must_use]
    pub const fn or(mut self, otherwise: Otherwise) -> Self {
        self.otherwise = otherwise;
        self
    }
}

/// A family of modems.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// What ends a command line.
    pub line_end: &'static str,
    /// From whatever state to a TCP connection. The first step finds out whether the modem answers at all, the last opens the connection
    /// or fails.
    pub dial: &'static [Step],
    /// Ends the TCP connection.
    pub close: &'static [Step],
    /// Saves power from now on.
    pub sleep: &'static [Step],
    /// Ends that.
    pub wake: &'static [Step],
    /// Asks for the signal: one step, behind the wanted line of which the number stands.
    pub signal: &'static [Step],
    /// Whether the number is in dBm; otherwise it is the 0 to 31 of 3GPP TS 27.007, `+CSQ`.
    pub signal_in_dbm: bool,
    /// Announces `$n` bytes; the modem asks for them with `>`.
    pub send: Step,
    /// Ends a send; its time is that of the last answer.
    pub sent: Step,
    /// What stands before the number of bytes that the modem took, if it says so.
    pub accepted: &'static str,
    /// Most bytes that can be announced at once.
    pub max_send: u16,
    /// Asks for at most `$n` bytes that the modem has received; the wanted line has their number.
    pub receive: Step,
    /// The byte between that number's line or list and the bytes themselves.
    pub received_end: u8,
    /// Most bytes that can be asked for at once.
    pub max_receive: u16,
    /// Says, unasked, that there are bytes to ask for; their number may follow.
    pub notice: &'static str,
    /// Says, unasked, that the connection is over.
    pub closed: &'static str,
    /// Ends a command that failed.
    pub failed: &'static str,
}

/// SIM800, SIM808 and SIM900 of SIMCom, also as Adafruit's FONA: single connection, received bytes fetched by command.
///
/// Commands, states and times as in "SIM800 Series AT Command Manual" V1.09: sections 2.2 (`ATE`), 3.2 (`+CPIN`, `+CREG`, `+CSQ`), 6.2
/// (`+CSCLK`), 7.2 (`+CGATT`) and 8.2 (`+CIP…`, `+CSTT`, `+CIICR`, `+CIFSR`). `AT+CIPSHUT` comes first, for `AT+CIPSTART` is allowed in the
/// states IP INITIAL and IP STATUS only. `AT+CIPQSEND=1`: a send is done when the modem has the bytes, and its answer says how many.
pub const SIM800_DIALECT: Dialect = Dialect {
    line_end: "\r",
    dial: &[
        Step::new("AT", 30).or(Otherwise::Repeat),
        Step::new("ATE0", 5),
        Step::new("AT+CSCLK=0", 5).or(Otherwise::Ignore),
        // A card that was just switched on is busy: only what asks for the PIN gets it.
        Step::new("AT+CPIN?", 30)
            .wants("+CPIN: READY|+CPIN: SIM PIN")
            .or(Otherwise::Repeat),
        Step::new("AT+CPIN?", 5)
            .wants("+CPIN: READY")
            .or(Otherwise::Skip(1)),
        Step::new("AT+CPIN=\"$i\"", 10),
        Step::new("AT+CREG?", 90)
            .wants("+CREG: #,1|+CREG: #,5")
            .or(Otherwise::Repeat),
        Step::new("AT+CGATT=1", 75).or(Otherwise::Repeat),
        Step::new("AT+CIPSHUT", 65).until("SHUT OK"),
        Step::new("AT+CIPMUX=0", 5),
        Step::new("AT+CIPQSEND=1", 5),
        Step::new("AT+CIPRXGET=1", 5),
        Step::new("AT+CSTT=\"$a\",\"$u\",\"$w\"", 5),
        Step::new("AT+CIICR", 85),
        Step::new("AT+CIFSR", 5).until("#"),
        Step::new("AT+CIPSTART=\"TCP\",\"$h\",$n", 75).until("CONNECT OK"),
    ],
    close: &[Step::new("AT+CIPCLOSE=1", 10)
        .until("CLOSE OK")
        .or(Otherwise::Ignore)],
    sleep: &[Step::new("AT+CSCLK=2", 5)],
    wake: &[
        Step::new("AT", 10).or(Otherwise::Repeat),
        Step::new("AT+CSCLK=0", 5),
    ],
    signal: &[Step::new("AT+CSQ", 5).wants("+CSQ: ")],
    signal_in_dbm: false,
    send: Step::new("AT+CIPSEND=$n", 5),
    sent: Step::new("", 30).until("SEND OK|DATA ACCEPT:"),
    accepted: "DATA ACCEPT:",
    max_send: 1_460,
    receive: Step::new("AT+CIPRXGET=2,$n", 5).wants("+CIPRXGET: 2,"),
    received_end: b'\n',
    max_receive: 1_460,
    notice: "+CIPRXGET: 1",
    closed: "CLOSED|+PDP",
    failed: "ERROR|+CME|SEND FAIL|CONNECT FAIL|ALREADY|+PDP",
};

/// ESP-AT of Espressif, on ESP32 and ESP8266, from version 2.0: single connection, passive receive mode.
///
/// As in "ESP-AT User Guide", chapters "Basic AT Commands" (`ATE`, `+GSLP`), "Wi-Fi AT Commands" (`+CWMODE`, `+CWJAP`) and "TCP/IP AT
/// Commands" (`+CIP…`). A network that the modem has joined already is left as it is. Version 3 calls `+CIPRECVMODE` `+CIPRECVTYPE`. In
/// `$a` and `$w`, the characters `"`, `,` and `\` need a backslash before them.
pub const ESP_AT_DIALECT: Dialect = Dialect {
    line_end: "\r\n",
    dial: &[
        Step::new("AT", 30).or(Otherwise::Repeat),
        Step::new("ATE0", 5),
        Step::new("AT+CWMODE=1", 5),
        Step::new("AT+CWJAP?", 5)
            .wants("+CWJAP:")
            .or(Otherwise::Skip(1)),
        Step::new("AT+CWJAP=\"$a\",\"$w\"", 30),
        Step::new("AT+CIPCLOSE", 5).or(Otherwise::Ignore),
        Step::new("AT+CIPMUX=0", 5),
        Step::new("AT+CIPRECVMODE=1", 5),
        Step::new("AT+CIPSTART=\"TCP\",\"$h\",$n", 30),
    ],
    close: &[Step::new("AT+CIPCLOSE", 5).or(Otherwise::Ignore)],
    sleep: &[Step::new("AT+GSLP=$n000", 5)],
    wake: &[Step::new("AT", 10).or(Otherwise::Repeat)],
    signal: &[Step::new("AT+CWJAP?", 5).wants("+CWJAP:\"*\",\"*\",*,")],
    signal_in_dbm: true,
    send: Step::new("AT+CIPSEND=$n", 5),
    sent: Step::new("", 30).until("SEND OK"),
    accepted: "Recv ",
    max_send: 2_048,
    receive: Step::new("AT+CIPRECVDATA=$n", 5).wants("+CIPRECVDATA:"),
    received_end: b',',
    max_receive: 2_048,
    notice: "+IPD,",
    closed: "CLOSED|WIFI D",
    failed: "ERROR|FAIL|SEND FAIL|ALREADY",
};
