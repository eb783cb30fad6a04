//! Ctrl-C and SIGTERM: the first stops in good order, the second at once.

use core::sync::atomic::AtomicBool;
use std::io;
use std::sync::Arc;
use std::thread;

use mqtt_broker::BrokerHandle;
use signal_hook::consts::TERM_SIGNALS;
use signal_hook::flag::{register, register_conditional_shutdown};
use signal_hook::iterator::Signals;

/// The exit status of an impatient end: 128 and the number of SIGINT, as shells have it.
const IMPATIENT: i32 = 130;

/// A file that must not grow further (`ulimit -f`) is a full disk, and no reason to die.
///
/// # Errors
/// If the system refuses a handler.
pub(crate) fn outlive_file_limits() -> io::Result<()> {
    #[cfg(unix)]
    register(signal_hook::consts::SIGXFSZ, Arc::default())?;
    Ok(())
}

/// Stops `broker` on the first signal.
///
/// # Errors
/// If the system refuses a handler or a thread.
pub(crate) fn stop_on_signal(broker: &BrokerHandle) -> io::Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in TERM_SIGNALS {
        // In this order: what a signal sets is looked at by the next one.
        register_conditional_shutdown(*signal, IMPATIENT, Arc::clone(&asked))?;
        register(*signal, Arc::clone(&asked))?;
    }
    let mut signals = Signals::new(TERM_SIGNALS)?;
    let broker = broker.clone();
    let wait = move || {
        if signals.forever().next().is_some() {
            tracing::info!("stopping: clients are told; once more to stop at once");
            broker.stop();
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)
        .map(drop)
}
