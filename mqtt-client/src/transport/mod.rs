//! The boundary between the client and what carries its bytes.

mod tcp;

use core::fmt::Debug;
use core::pin::Pin;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

pub use tcp::Tcp;

use crate::address::Address;

/// Bytes both ways, in order: TCP, and whatever is laid over it. Implemented for everything that qualifies.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for T {}

/// The future of a [`Connector`].
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send + 'a>>;

/// Opens transports: called anew for every attempt to connect.
///
/// The place for TLS, WebSocket, a proxy, or a pair of pipes in a test. The time it may take is bounded by
/// [`Options::connect_timeout`](crate::Options::connect_timeout), by dropping the future.
///
/// ```
/// use mqtt_client::{Address, Connecting, Connector, Transport};
///
/// #[derive(Debug)]
/// struct UnixSocket(std::path::PathBuf);
///
/// impl Connector for UnixSocket {
///     fn connect<'a>(&'a self, _address: &'a Address) -> Connecting<'a> {
///         Box::pin(async {
///             let socket = tokio::net::UnixStream::connect(&self.0).await?;
///             Ok(Box::new(socket) as Box<dyn Transport>)
///         })
///     }
/// }
/// ```
pub trait Connector: Debug + Send + Sync + 'static {
    /// Opens a transport to `address`.
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a>;
}
