//! The network of the computer as something that is dialled again and again.

use std::io;

use mqtt_device::Dial;

use crate::{Host, Tcp};

/// TCP connections to one address; says on standard error what becomes of each.
#[derive(Debug)]
pub struct Network<'h> {
    board: &'h Host,
    address: String,
    connection: Option<Tcp>,
}

impl<'h> Network<'h> {
    /// Connections to `HOST:PORT`.
    #[must_use]
    pub const fn new(board: &'h Host, address: String) -> Self {
        Self {
            board,
            address,
            connection: None,
        }
    }
}

impl Dial for Network<'_> {
    type Connection = Tcp;
    type Error = io::Error;

    fn dial(&mut self) -> io::Result<()> {
        self.connection = None;
        let connection = self.board.dial(&self.address);
        match &connection {
            Ok(_) => eprintln!("connected to {}", self.address),
            Err(error) => eprintln!("{}: {error}", self.address),
        }
        self.connection = Some(connection?);
        Ok(())
    }

    fn connection(&mut self) -> Option<&mut Tcp> {
        self.connection.as_mut()
    }

    fn hang_up(&mut self) {
        if self.connection.take().is_some() {
            eprintln!("disconnected");
        }
    }
}
