//! Where in a packet reading stopped, and why.

#[cfg(any(test, target_os = "none"))]
mod coarse;
#[cfg(any(test, not(target_os = "none")))]
mod exact;

#[cfg(target_os = "none")]
pub(crate) use coarse::{Broken, Trace};
#[cfg(not(target_os = "none"))]
pub(crate) use exact::{Broken, Trace};
