//! Finds the foreign clients, and says how to install the ones that are missing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::Tool;

const INSTALL_MOSQUITTO: &str = "apt-get install -y mosquitto mosquitto-clients";

const INSTALL_JQ: &str = "apt-get install -y jq";

const INSTALL_STRACE: &str = "apt-get install -y strace";

fn install_python() -> String {
    let folder = installed().join("python");
    let folder = folder.display();
    format!("python3 -m venv {folder} && {folder}/bin/pip install 'paho-mqtt>=2,<3'")
}

fn install_node() -> String {
    let folder = installed().join("node");
    format!(
        "apt-get install -y nodejs npm && npm install --prefix {} mqtt@5",
        folder.display()
    )
}

/// Says that `test` was skipped and how to have it run, on standard error and in the file that `MQTT_TEST_SKIPS` names.
pub(crate) fn note_skip(test: &str, install: &str) {
    // The thread of a test has its name, which tells more than a function that several tests share.
    let thread = std::thread::current();
    let test = match (thread.name(), test.split_once("::")) {
        (Some(name), Some((file, _))) if name != "main" => format!("{file}::{name}"),
        _ => test.to_owned(),
    };
    let line = format!("SKIPPED {test}: {install}");
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("MQTT_TEST_SKIPS") {
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path);
        // One write, so that lines of tests that end together do not mix.
        file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .expect("MQTT_TEST_SKIPS names a writable file");
    }
}

/// The folder that holds this package's foreign client scripts.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

fn installed() -> PathBuf {
    std::env::var_os("MQTT_TEST_FOREIGN").map_or_else(
        || {
            let package = Path::new(env!("CARGO_MANIFEST_DIR"));
            package.parent().unwrap_or(package).join("target/foreign")
        },
        PathBuf::from,
    )
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")]);
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The Mosquitto broker, or how to install it.
pub(crate) fn mosquitto_broker() -> Result<PathBuf, String> {
    program("mosquitto").ok_or_else(|| INSTALL_MOSQUITTO.to_owned())
}

/// The tools `mosquitto_pub` and `mosquitto_sub`, or how to install them.
pub(crate) fn mosquitto_tools() -> Result<MosquittoTools, String> {
    let found = program("mosquitto_pub").zip(program("mosquitto_sub"));
    found
        .map(|(publish, subscribe)| MosquittoTools { publish, subscribe })
        .ok_or_else(|| INSTALL_MOSQUITTO.to_owned())
}

/// Where `mosquitto_pub` and `mosquitto_sub` are.
#[derive(Debug)]
pub(crate) struct MosquittoTools {
    publish: PathBuf,
    subscribe: PathBuf,
}

impl MosquittoTools {
    /// Runs `mosquitto_pub` to its end, which must be a success; gives what it printed.
    pub(crate) fn publish(&self, port: u16, arguments: &[&str]) -> Vec<String> {
        self.start_publish(port, arguments).succeed()
    }

    /// Starts `mosquitto_pub`.
    pub(crate) fn start_publish(&self, port: u16, arguments: &[&str]) -> Tool {
        Tool::spawn(line_buffered(&self.publish, port).args(arguments))
    }

    /// Starts `mosquitto_rr`, which publishes a request and prints the answer.
    pub(crate) fn start_request(&self, port: u16, arguments: &[&str]) -> Tool {
        Tool::spawn(
            line_buffered(&self.publish.with_file_name("mosquitto_rr"), port).args(arguments),
        )
    }

    /// Starts `mosquitto_sub`, without waiting for the subscription; every message it gets is a line `MSG topic|qos|retain|payload`.
    pub(crate) fn start_subscribe(&self, port: u16, arguments: &[&str]) -> Tool {
        let format = ["-d", "-F", "MSG %t|%q|%r|%p"];
        Tool::spawn(
            line_buffered(&self.subscribe, port)
                .args(format)
                .args(arguments),
        )
    }

    /// Starts `mosquitto_sub` as [`Self::start_subscribe`] does and waits for its SUBACK.
    pub(crate) fn subscribe(&self, port: u16, arguments: &[&str]) -> Tool {
        let mut tool = self.start_subscribe(port, arguments);
        tool.wait_for("Subscribed (mid");
        tool
    }
}

/// A Mosquitto tool pointed at `port`, made to show each line as soon as it is printed.
fn line_buffered(program: &Path, port: u16) -> Command {
    let mut command = Command::new("stdbuf");
    command
        .arg("-oL")
        .arg(program)
        .args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    command
}

/// The tool `jq`, or how to install it.
pub(crate) fn jq() -> Result<PathBuf, String> {
    program("jq").ok_or_else(|| INSTALL_JQ.to_owned())
}

/// A program whose system calls fail as long as this lives.
#[derive(Debug)]
pub(crate) struct Failing(Tool);

impl Failing {
    /// Lets calls of a running process fail from now on: `pwrite64:error=ENOSPC`. Or says how to install what does that.
    pub(crate) fn calls(process: u32, what: &str) -> Result<Self, String> {
        let strace = program("strace").ok_or_else(|| INSTALL_STRACE.to_owned())?;
        let calls = what.split(':').next().unwrap_or_default();
        let mut tool = Tool::spawn(
            Command::new(strace)
                .args(["-f", "-o", "/dev/null", "-e"])
                .arg(format!("trace={calls}"))
                .arg("-e")
                .arg(format!("inject={what}"))
                .args(["-p", &process.to_string()]),
        );
        tool.wait_for("attached");
        Ok(Self(tool))
    }

    /// From now on they do what they should.
    pub(crate) fn end(mut self) {
        self.0.signal("INT");
        self.0.wait(super::PATIENCE);
    }
}

/// Starts a Python interpreter that can import paho-mqtt 2 on a script of `tests/clients`, or says how to install it.
pub(crate) fn python() -> Result<Script, String> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let check = "import paho.mqtt as p, sys; sys.exit(p.__version__.split('.')[0] != '2')";
    let usable = |interpreter: &PathBuf| {
        Command::new(interpreter)
            .args(["-c", check])
            .output()
            .is_ok_and(|out| out.status.success())
    };
    let found = FOUND.get_or_init(|| {
        let candidates = [
            installed().join("python/bin/python"),
            PathBuf::from("python3"),
        ];
        candidates.into_iter().find(usable)
    });
    let interpreter = found.clone().ok_or_else(install_python)?;
    Ok(Script {
        interpreter,
        modules: None,
    })
}

/// Starts Node.js with MQTT.js in reach on a script of `tests/clients`, or says how to install both.
pub(crate) fn node() -> Result<Script, String> {
    let modules = installed().join("node/node_modules");
    let interpreter = program("node").filter(|_| modules.join("mqtt/package.json").is_file());
    interpreter
        .map(|interpreter| Script {
            interpreter,
            modules: Some(modules),
        })
        .ok_or_else(install_node)
}

/// An interpreter that has what the scripts need.
#[derive(Debug)]
pub(crate) struct Script {
    interpreter: PathBuf,
    modules: Option<PathBuf>,
}

impl Script {
    /// Runs `tests/clients/<file> PORT <arguments>` to its end, which must be a success.
    pub(crate) fn run(&self, port: u16, file: &str, arguments: &[&str]) -> Vec<String> {
        self.start(port, file, arguments).succeed()
    }

    /// Starts `tests/clients/<file> PORT <arguments>`.
    pub(crate) fn start(&self, port: u16, file: &str, arguments: &[&str]) -> Tool {
        let mut command = Command::new(&self.interpreter);
        command
            .arg(scripts().join(file))
            .arg(port.to_string())
            .args(arguments);
        command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1");
        if let Some(modules) = &self.modules {
            command.env("NODE_PATH", modules);
        }
        Tool::spawn(&mut command)
    }
}
