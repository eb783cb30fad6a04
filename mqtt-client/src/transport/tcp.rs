//! TCP.

use tokio::net::TcpStream;

use super::{Connecting, Connector, Transport};
use crate::address::Address;

/// Plain TCP, with Nagle's algorithm off: what is written together already leaves together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Connector for Tcp {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        Box::pin(async move {
            let stream = TcpStream::connect((address.host(), address.port())).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }
}
