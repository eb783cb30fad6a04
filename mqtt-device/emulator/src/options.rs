//! What the modem is, and what is wrong with it.

/// Which modem to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Dialect {
    /// SIM800, SIM808, FONA.
    #[default]
    Sim800,
    /// ESP32 and ESP8266 with Espressif's AT firmware.
    EspAt,
    /// None: the line is the connection.
    Raw,
}

/// What the modem is, and what is wrong with it. Counts begin with 1; `None` is never.
#[derive(Clone, Debug, PartialEq, Eq, Default, clap::Args)]
pub struct Options {
    /// Which modem to be
    #[arg(long, value_enum, default_value_t)]
    pub dialect: Dialect,
    /// Where random choices begin; the same seed, commands and times give the same answers
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Milliseconds before every answer
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub latency: u64,
    /// Drop the TCP link at this byte of the conversation, both directions counted; once
    #[arg(long, value_name = "N")]
    pub cut: Option<u64>,
    /// Refuse the first N dials
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub refuse: u32,
    /// Most bytes that one command sends or returns, or one piece has with the dialect raw
    #[arg(long, value_name = "N")]
    pub mtu: Option<u16>,
    /// Unsolicited lines before, between and after the lines of answers
    #[arg(long)]
    pub chatter: bool,
    /// Answer every K-th command with ERROR, without doing it
    #[arg(long, value_name = "K")]
    pub error: Option<u32>,
    /// Ignore every K-th command
    #[arg(long, value_name = "K")]
    pub silent: Option<u32>,
    /// PIN of the SIM card; none is asked for without it
    #[arg(long)]
    pub pin: Option<String>,
}

impl Options {
    /// What of this the dialect does not have, as a sentence.
    #[must_use]
    pub fn contradiction(&self) -> Option<&'static str> {
        let is_command = self.chatter || self.error.is_some() || self.silent.is_some();
        match self.dialect {
            Dialect::Raw if is_command => {
                Some("a raw line has no commands: --chatter, --error and --silent are for modems")
            }
            Dialect::EspAt | Dialect::Raw if self.pin.is_some() => {
                Some("only a modem with a SIM card asks for --pin")
            }
            _ => None,
        }
    }
}
