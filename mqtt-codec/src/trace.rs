//! Where in a packet reading stopped, and why.

#[cfg(any(test, small, target_os = "none"))]
mod coarse;
#[cfg(any(test, not(any(small, target_os = "none"))))]
mod exact;

#[cfg(any(small, target_os = "none"))]
pub(crate) use coarse::{Broken, Trace};
#[cfg(not(any(small, target_os = "none")))]
pub(crate) use exact::{Broken, Trace};
