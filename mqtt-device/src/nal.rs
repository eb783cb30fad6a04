//! Dialling by a TCP stack of `embedded-nal-async`.

use core::net::SocketAddr;

use embedded_nal_async::TcpConnect;

use crate::asynchronous::Dial;

/// Connections of a stack (embassy-net, a Wi-Fi driver, the computer at hand) to one address.
#[derive(Debug)]
pub struct Nal<'s, S: TcpConnect> {
    stack: &'s S,
    /// Where to; a name is resolved by the caller, who may change it between dials.
    pub broker: SocketAddr,
    connection: Option<S::Connection<'s>>,
}

impl<'s, S: TcpConnect> Nal<'s, S> {
    /// Dials this address by this stack.
    pub const fn new(stack: &'s S, broker: SocketAddr) -> Self {
        Self {
            stack,
            broker,
            connection: None,
        }
    }
}

impl<'s, S: TcpConnect> Dial for Nal<'s, S> {
    type Connection = S::Connection<'s>;
    type Error = S::Error;

    async fn dial(&mut self) -> Result<(), S::Error> {
        self.connection = None;
        self.connection = Some(self.stack.connect(self.broker).await?);
        Ok(())
    }

    fn connection(&mut self) -> Option<&mut S::Connection<'s>> {
        self.connection.as_mut()
    }

    fn hang_up(&mut self) {
        self.connection = None;
    }
}
