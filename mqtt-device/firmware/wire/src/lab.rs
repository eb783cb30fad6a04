//! Two network namespaces with a cable between them, and a broker in one: nothing else is on that wire, and nothing outside changes.

use core::fmt;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Where the broker listens: an address for documentation, which is nobody's.
pub(crate) const ADDRESS: &str = "192.0.2.2";
/// Its port.
pub(crate) const PORT: u16 = 1_883;
const CLIENT: &str = "192.0.2.1";
const DEVICE: &str = "wire0";

/// How TCP is set in both namespaces: no timestamps; and no segment sent a second time because its acknowledgement takes milliseconds,
/// which on a wire without latency looks like a loss, and is only a busy computer.
const SETTINGS: [(&str, u8); 2] = [("tcp_timestamps", 0), ("tcp_early_retrans", 0)];

/// Why there is no such network here.
#[derive(Debug)]
pub(crate) struct Unavailable(String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The client's and the broker's namespace; taken away when dropped, the cable with them.
#[derive(Debug)]
pub(crate) struct Lab {
    names: [String; 2],
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in &self.names {
            // One that was never made cannot be deleted.
            let _ = ip(&["netns", "del", name]);
        }
    }
}

impl Lab {
    /// Makes them; it takes root and iproute2.
    pub(crate) fn new() -> Result<Self, Unavailable> {
        let id = std::process::id();
        let lab = Self {
            names: [format!("wire-{id}-client"), format!("wire-{id}-broker")],
        };
        let [near, far] = &lab.names;
        ip(&["netns", "add", near])?;
        ip(&["netns", "add", far])?;
        ip(&[
            "link", "add", DEVICE, "netns", near, "type", "veth", "peer", "name", DEVICE, "netns",
            far,
        ])?;
        for (name, address) in [(near, CLIENT), (far, ADDRESS)] {
            let address = format!("{address}/24");
            ip(&["-n", name, "address", "add", &address, "dev", DEVICE])?;
            // One segment a packet, as a modem sends them.
            ip(&["-n", name, "link", "set", DEVICE, "gso_max_segs", "1", "up"])?;
            for (setting, value) in SETTINGS {
                let set = format!("echo {value} > /proc/sys/net/ipv4/{setting}");
                ip(&["netns", "exec", name, "sh", "-c", &set])?;
            }
        }
        Ok(lab)
    }

    /// A program at the client's end.
    pub(crate) fn client(&self, program: &Path) -> Command {
        inside(&self.names[0], program)
    }

    /// A program at the broker's end, stopped when dropped; it accepts connections when this returns.
    ///
    /// `ready` tells the line by which it says so, on standard output or standard error.
    pub(crate) fn broker(
        &self,
        program: &Path,
        args: &[&str],
        ready: impl Fn(&str) -> bool,
    ) -> io::Result<Broker> {
        // One pipe for both outputs.
        let mut child = inside(&self.names[1], Path::new("sh"))
            .args(["-c", "exec \"$0\" \"$@\" 2>&1"])
            .arg(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let broker = Broker(child);
        let mut lines = BufReader::new(stdout.ok_or(io::ErrorKind::BrokenPipe)?).lines();
        let mut said = String::new();
        while let Some(line) = lines.next().transpose()? {
            if ready(&line) {
                // What it says later is read, so that it never waits for a reader.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(broker);
            }
            said.push_str(&line);
            said.push('\n');
        }
        Err(io::Error::other(format!(
            "{} has ended: {said}",
            program.display()
        )))
    }
}

/// A running broker.
#[derive(Debug)]
pub(crate) struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn inside(namespace: &str, program: &Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

fn ip(args: &[&str]) -> Result<(), Unavailable> {
    let said = |why: &dyn fmt::Display| Unavailable(format!("ip {}: {why}", args.join(" ")));
    let output = Command::new("ip")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| said(&error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(said(&String::from_utf8_lossy(&output.stderr).trim()))
}
