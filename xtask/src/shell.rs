//! Running other programs, and the few colours of the tool's own lines.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Why a command of the tool did not succeed.
#[derive(Debug)]
pub(crate) enum Error {
    /// The reader has seen the reason already: only the exit status is left to set.
    Told,
    /// To be printed.
    Message(String),
}

impl Error {
    /// Nothing is left to print.
    pub(crate) fn is_told(&self) -> bool {
        matches!(self, Self::Told)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told => f.write_str("failed"),
            Self::Message(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for Error {}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::Message(text)
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Self {
        Self::Message(text.to_owned())
    }
}

/// The result of a step or a command of the tool.
pub(crate) type Result<T> = core::result::Result<T, Error>;

/// A program to run, printed before it runs as a person would type it.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
    shown: String,
}

impl Program {
    /// A program by name or path, started in `dir`.
    pub(crate) fn new(program: impl AsRef<OsStr>, dir: &Path) -> Self {
        let mut command = Command::new(program.as_ref());
        command.current_dir(dir).stdin(Stdio::null());
        Self {
            shown: program.as_ref().to_string_lossy().into_owned(),
            command,
        }
    }

    /// The cargo that started this tool.
    pub(crate) fn cargo(dir: &Path) -> Self {
        let mut program = Self::new(
            std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            dir,
        );
        program.shown = "cargo".to_owned();
        program
    }

    /// Adds arguments.
    #[must_use]
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            self.shown.push(' ');
            self.shown.push_str(&arg.as_ref().to_string_lossy());
            self.command.arg(arg);
        }
        self
    }

    /// Sets a variable, and shows it in front of the program.
    #[must_use]
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.shown = format!("{name}={:?} {}", value.as_ref(), self.shown);
        self.command.env(name, value);
        self
    }

    /// Sets a variable that a person who repeats the line needs not know.
    #[must_use]
    pub(crate) fn quiet_env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes a variable away.
    #[must_use]
    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs with the output going where ours goes.
    ///
    /// # Errors
    /// If the program cannot be started or ends with a failure.
    pub(crate) fn run(mut self) -> Result<()> {
        self.announce();
        let status = self
            .command
            .status()
            .map_err(|error| self.unstartable(&error))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("`{}` failed ({status})", self.shown).into())
        }
    }

    /// Runs and returns the standard output; standard error goes where ours goes.
    ///
    /// # Errors
    /// If the program cannot be started or ends with a failure.
    pub(crate) fn capture(mut self) -> Result<String> {
        let output = self
            .command
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| self.unstartable(&error))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("`{}` failed ({})", self.shown, output.status).into())
        }
    }

    /// Whether the program is there and succeeds; nothing is printed.
    pub(crate) fn succeeds_silently(mut self) -> bool {
        self.command
            .output()
            .is_ok_and(|output| output.status.success())
    }

    /// Runs without passing its outputs on: `on_line` sees each line of standard output. Returns whether the program succeeded.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub(crate) fn watch_silently(mut self, on_line: impl FnMut(&str)) -> Result<bool> {
        let output = self
            .command
            .output()
            .map_err(|error| self.unstartable(&error))?;
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .for_each(on_line);
        Ok(output.status.success())
    }

    /// Runs, passing both outputs on line by line while `on_line` sees each line without its colours.
    /// Returns whether the program succeeded.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub(crate) fn watch(self, on_line: impl FnMut(&str) + Send) -> Result<bool> {
        self.follow(on_line, std::io::stdout(), std::io::stderr())
    }

    /// The same, but nothing is passed on.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub(crate) fn listen(self, on_line: impl FnMut(&str) + Send) -> Result<bool> {
        self.follow(on_line, std::io::sink(), std::io::sink())
    }

    fn follow(
        mut self,
        on_line: impl FnMut(&str) + Send,
        out: impl Write + Send,
        err: impl Write,
    ) -> Result<bool> {
        self.announce();
        let mut child = self
            .command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| self.unstartable(&error))?;
        let on_line = Mutex::new(on_line);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        std::thread::scope(|scope| {
            scope.spawn(|| pass_on(stdout, out, &on_line));
            pass_on(stderr, err, &on_line);
        });
        let status = child
            .wait()
            .map_err(|error| Error::from(format!("`{}`: {error}", self.shown)))?;
        Ok(status.success())
    }

    fn announce(&self) {
        println!("{}", dim(&format!("$ {}", self.shown)));
    }

    fn unstartable(&self, error: &std::io::Error) -> Error {
        format!("`{}` cannot be started: {error}", self.shown).into()
    }
}

fn pass_on(from: Option<impl Read>, mut to: impl Write, on_line: &Mutex<impl FnMut(&str)>) {
    let Some(from) = from else { return };
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
        // A reader of our output that went away must not stop the run that it was watching.
        let _ = to.write_all(&line);
        let text = String::from_utf8_lossy(&line);
        if let Ok(mut on_line) = on_line.lock() {
            on_line(&without_colours(text.trim_end()));
        }
        line.clear();
    }
    let _ = to.flush();
}

/// The text without its ANSI colour sequences.
pub(crate) fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after
            .split_once(|c: char| c.is_ascii_alphabetic())
            .map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain
}

/// Whether our own lines, and those of the programs we run, may be coloured.
pub(crate) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// `always` or `never`, for the `--color` flags of others.
pub(crate) fn colour_choice() -> &'static str {
    if colours() { "always" } else { "never" }
}

/// Bold on a terminal.
pub(crate) fn bold(text: &str) -> String {
    paint("1", text)
}

/// Faint on a terminal.
pub(crate) fn dim(text: &str) -> String {
    paint("2", text)
}

/// Red on a terminal.
pub(crate) fn red(text: &str) -> String {
    paint("31", text)
}

/// Green on a terminal.
pub(crate) fn green(text: &str) -> String {
    paint("32", text)
}

/// Yellow on a terminal.
pub(crate) fn yellow(text: &str) -> String {
    paint("33", text)
}

fn paint(code: &str, text: &str) -> String {
    if colours() {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_out() {
        assert_eq!(
            without_colours("\u{1b}[32;1m   Summary\u{1b}[0m [ 1s]"),
            "   Summary [ 1s]"
        );
        assert_eq!(without_colours("plain"), "plain");
    }

    #[test]
    fn a_failing_program_is_named() {
        let error = Program::new("false", Path::new("."))
            .run()
            .expect_err("false fails");
        assert!(error.to_string().contains("`false` failed"), "{error}");
    }

    #[test]
    fn both_outputs_are_watched() {
        let mut seen = Vec::new();
        let ok = Program::new("sh", Path::new("."))
            .args(["-c", "echo one; echo two >&2; exit 3"])
            .watch(|line| seen.push(line.to_owned()))
            .expect("sh starts");
        seen.sort();
        assert!(!ok);
        assert_eq!(seen, ["one", "two"]);
    }
}
