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
    error: Option<S::Error>,
}

impl<'s, S: TcpConnect> Nal<'s, S> {
    /// Dials this address by this stack.
    pub const fn new(stack: &'s S, broker: SocketAddr) -> Self {
        Self {
            stack,
            broker,
            connection: None,
            error: None,
        }
    }

    /// Why the last dial failed, if it did: what [`Event::Lost`](crate::Event::Lost) does not say.
    pub const fn error(&self) -> Option<&S::Error> {
        self.error.as_ref()
    }
}

impl<'s, S: TcpConnect> Dial for Nal<'s, S> {
    type Connection = S::Connection<'s>;
    /// [`error`](Self::error) has it.
    type Error = ();

    async fn dial(&mut self) -> Result<(), ()> {
        self.connection = None;
        let opened = self.stack.connect(self.broker).await;
        let opened = opened.map_err(|error| self.error = Some(error));
        self.connection = Some(opened?);
        self.error = None;
        Ok(())
    }

    fn connection(&mut self) -> Option<&mut S::Connection<'s>> {
        self.connection.as_mut()
    }

    fn hang_up(&mut self) {
        self.connection = None;
    }
}
