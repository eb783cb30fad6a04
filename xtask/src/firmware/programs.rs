//! The table of programs, bars and peers: `mqtt-device/firmware/programs.toml`.

use toml::de::{DeTable, DeValue};

use super::boards::{BOARDS, Board};
use crate::shell::Result;
use crate::workspace::{at, parse, strings};

/// The table, relative to the root.
pub(super) const TABLE: &str = "mqtt-device/firmware/programs.toml";

/// What the table says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// What is built and measured.
    pub(super) programs: Vec<Program>,
    /// What is held.
    pub(super) bars: Vec<Bar>,
    /// What others take.
    pub(super) peers: Vec<Peer>,
}

/// A program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) boards: Vec<&'static Board>,
    pub(super) run: Run,
    /// Whether no panic may be left; then it does not even link with one.
    pub(super) no_panics: bool,
}

/// How a program is run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// Its UART joined to Mosquitto.
    Broker,
    /// Its UART joined to the emulator of a modem, with Mosquitto behind it.
    Modem,
    /// Fed with bytes.
    Bytes(String),
    /// By tests of its own and by `--app`, for it never ends.
    App {
        /// What the emulator at its UART is.
        dialect: &'static str,
    },
}

/// The most that a program may take on a board.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) board: &'static Board,
    pub(super) program: String,
    pub(super) about: String,
    pub(super) flash: Option<u32>,
    pub(super) ram: Option<u32>,
}

/// Another client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) flash: u32,
    pub(super) ram: Option<u32>,
}

impl Table {
    /// Reads the table.
    ///
    /// # Errors
    /// If it is no TOML, or a row lacks something or names a board that does not exist.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let table = parse(text)?;
        Ok(Self {
            programs: rows(&table, "program", program)?,
            bars: rows(&table, "bar", bar)?,
            peers: rows(&table, "peer", peer)?,
        })
    }
}

/// The rows of one kind.
fn rows<T>(
    table: &DeTable<'_>,
    kind: &str,
    row: impl Fn(&DeTable<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let rows = at(table, &[kind]).and_then(DeValue::as_array);
    rows.into_iter()
        .flat_map(|rows| rows.iter())
        .map(|value| {
            let fields = value.get_ref().as_table();
            row(fields.ok_or_else(|| format!("{TABLE}: `{kind}` is no table"))?)
                .map_err(|error| format!("{TABLE}: [[{kind}]]: {error}").into())
        })
        .collect()
}

fn program(row: &DeTable<'_>) -> Result<Program> {
    let name = text(row, "name")?;
    let run = match text(row, "run")?.split_once(' ') {
        Some(("bytes", bytes)) => Run::Bytes(bytes.to_owned()),
        Some(("app", "line")) => Run::App { dialect: "raw" },
        Some(("app", "modem")) => Run::App { dialect: "sim800" },
        None if text(row, "run")? == "broker" => Run::Broker,
        None if text(row, "run")? == "modem" => Run::Modem,
        _ => {
            return Err(format!(
                "{name}: run is \"broker\", \"modem\", \"bytes TEXT\", \"app line\" or \"app modem\""
            )
            .into());
        }
    };
    let no_panics = match text(row, "panics")?.as_str() {
        "none" => true,
        "listed" => false,
        _ => return Err(format!("{name}: panics is \"none\" or \"listed\"").into()),
    };
    let boards = strings(at(row, &["boards"]));
    Ok(Program {
        about: text(row, "about")?,
        boards: boards
            .iter()
            .map(|name| board(name))
            .collect::<Result<_>>()?,
        run,
        no_panics,
        name,
    })
}

fn bar(row: &DeTable<'_>) -> Result<Bar> {
    Ok(Bar {
        board: board(&text(row, "board")?)?,
        program: text(row, "program")?,
        about: text(row, "about")?,
        flash: number(row, "flash")?,
        ram: number(row, "ram")?,
    })
}

fn peer(row: &DeTable<'_>) -> Result<Peer> {
    Ok(Peer {
        name: text(row, "name")?,
        about: text(row, "about")?,
        flash: number(row, "flash")?.ok_or("`flash` is missing")?,
        ram: number(row, "ram")?,
    })
}

fn text(row: &DeTable<'_>, key: &str) -> Result<String> {
    let value = at(row, &[key]).and_then(DeValue::as_str);
    Ok(value
        .ok_or_else(|| format!("`{key}` is missing, or no text"))?
        .to_owned())
}

fn number(row: &DeTable<'_>, key: &str) -> Result<Option<u32>> {
    at(row, &[key])
        .map(|value| {
            let digits = value.as_integer().map(|integer| integer.as_str());
            digits
                .and_then(|digits| digits.parse().ok())
                .ok_or_else(|| format!("`{key}` is no number of bytes").into())
        })
        .transpose()
}

fn board(name: &str) -> Result<&'static Board> {
    let board = BOARDS.iter().find(|board| board.name == name);
    board.ok_or_else(|| format!("there is no board `{name}`").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        [[program]]
        name = "hello"
        about = "echoes"
        boards = ["uno", "lm3s6965evb"]
        run = "bytes abc"
        panics = "none"
        [[bar]]
        board = "uno"
        program = "client"
        about = "all"
        flash = 8192
        [[peer]]
        name = "theirs"
        about = "less"
        flash = 5000
        ram = 900
    "#;

    #[test]
    fn rows_are_read() {
        let table = Table::parse(TEXT).expect("a table");
        let program = &table.programs[0];
        assert_eq!(program.run, Run::Bytes("abc".to_owned()));
        assert!(program.no_panics);
        let boards: Vec<_> = program.boards.iter().map(|board| board.name).collect();
        assert_eq!(boards, ["uno", "lm3s6965evb"]);
        assert_eq!((table.bars[0].flash, table.bars[0].ram), (Some(8192), None));
        assert_eq!(
            (table.peers[0].flash, table.peers[0].ram),
            (5000, Some(900))
        );
    }

    #[test]
    fn what_is_wrong_with_a_row_is_said() {
        for (from, to, said) in [
            ("\"uno\", ", "\"due\", ", "no board `due`"),
            ("bytes abc", "loud", "run is"),
            ("\"none\"", "\"some\"", "panics is"),
            ("8192", "\"much\"", "`flash` is no number"),
            ("flash = 5000", "", "`flash` is missing"),
            ("about = \"less\"", "", "`about` is missing"),
        ] {
            let error = Table::parse(&TEXT.replacen(from, to, 1)).expect_err(said);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
