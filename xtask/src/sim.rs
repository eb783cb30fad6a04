//! `cargo xtask sim`: the simulations over as many seeds as one likes.

use crate::shell::{Error, Program, Result};
use crate::workspace::Workspace;

/// The help of the command.
pub(crate) const HELP: &str = "\
The simulations over many seeds: connections that are delayed, cut and resumed, against a model of the protocol

Usage: cargo xtask sim [OPTIONS]

Builds mqtt-testkit's program `mqtt-sim` with optimization and with all assertions, and runs it on all cores. Prints
seeds, steps, time, and how often each interesting thing happened. A seed that fails is printed with the command that
repeats it; MQTT_TRACE=1 in the environment then prints every packet. Above 5,000 seeds it is a failure when one of the
interesting things never happened.

Options:
      --seeds <N>    How many seeds of each simulation [default: 10800]
      --first <N>    The first of them [default: 0]
      --seed <N>     Only this seed
      --steps <N>    Steps of each run [default: what the simulation's tests do]
      --only <NAME>  Only this simulation: `session` (a client and a server joined by a link), `broker` (clients and
                     workers around the broker's core) or `store` (the same on its store, on a simulated disk)
  -h, --help         Print this help
";

/// The cargo profile: optimized, with assertions.
pub(crate) const PROFILE: &str = "sim";
/// The features of mqtt-testkit that bring in the program and every simulation.
pub(crate) const FEATURES: &str = "cli,broker";

/// Builds the program and runs it with these arguments.
///
/// # Errors
/// If it cannot be built, or a simulation fails.
pub(crate) fn main(ws: &Workspace, arguments: &[String]) -> Result<()> {
    Program::cargo(&ws.root)
        .args(["build", "--quiet", "--profile", PROFILE])
        .args(["-p", "mqtt-testkit", "--features", FEATURES])
        .args(["--bin", "mqtt-sim"])
        .run()?;
    let program = ws.target.join(PROFILE).join("mqtt-sim");
    let run = Program::new(program, &ws.root).args(arguments).run();
    // It has said itself what is wrong.
    run.map_err(|_| Error::Told)
}
