//! Where a broker listens: addresses as people write them, and the check of who could come.

mod tcp;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use std::io;
use std::net::ToSocketAddrs;

use mio::net::TcpListener;

use crate::error::BrokerError;

/// The port of MQTT without encryption.
const PORT: u16 = 1883;

/// A socket that accepts connections.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) address: SocketAddr,
}

/// What to listen on.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// `HOST[:PORT]` or `PORT`, in order.
    pub(crate) addresses: Vec<String>,
    /// Sockets that the embedding program has bound.
    pub(crate) sockets: Vec<std::net::TcpListener>,
    /// Whether clients may come from other machines without being checked.
    pub(crate) open_to_all: bool,
}

impl Wanted {
    /// Binds everything; with nothing wanted, the loopback addresses.
    pub(crate) fn bind(self) -> Result<Vec<Listener>, BrokerError> {
        if self.addresses.is_empty() && self.sockets.is_empty() {
            return loopback();
        }
        let (given, addresses) = self.addresses()?;
        let mut listeners = Vec::new();
        for (socket, address) in self.sockets.into_iter().zip(given) {
            listeners.push(
                tcp::adopt(socket).map_err(|source| BrokerError::Listen { address, source })?,
            );
        }
        for address in addresses {
            listeners.push(listen(address)?);
        }
        Ok(listeners)
    }

    /// The addresses of the sockets, and those to bind; nobody comes unchecked to any of them against the operator's will.
    pub(crate) fn addresses(&self) -> Result<(Vec<SocketAddr>, Vec<SocketAddr>), BrokerError> {
        let mut addresses = Vec::new();
        for text in &self.addresses {
            addresses.extend(resolve(text)?);
        }
        let mut given = Vec::new();
        for socket in &self.sockets {
            let address = socket
                .local_addr()
                .map_err(|source| BrokerError::Worker { source })?;
            given.push(address);
        }
        if !self.open_to_all {
            let mut all = addresses.iter().chain(&given);
            if let Some(&address) = all.find(|address| !address.ip().is_loopback()) {
                return Err(BrokerError::Anonymous { address });
            }
        }
        Ok((given, addresses))
    }
}

/// 127.0.0.1 in any case, and `[::1]` when the machine has it.
fn loopback() -> Result<Vec<Listener>, BrokerError> {
    let mut listeners = vec![listen(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)))?];
    match listen(SocketAddr::from((Ipv6Addr::LOCALHOST, PORT))) {
        Ok(listener) => listeners.push(listener),
        Err(error @ BrokerError::InUse { .. }) => return Err(error),
        Err(error) => tracing::debug!(%error, "no IPv6 loopback"),
    }
    Ok(listeners)
}

fn listen(address: SocketAddr) -> Result<Listener, BrokerError> {
    tcp::bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BrokerError::InUse { address },
        _ => BrokerError::Listen { address, source },
    })
}

/// `HOST:PORT`, `HOST` or `PORT`; a name gives all its addresses.
fn resolve(text: &str) -> Result<Vec<SocketAddr>, BrokerError> {
    let trimmed = text.trim();
    if let Ok(address) = trimmed.parse::<SocketAddr>() {
        return Ok(vec![address]);
    }
    let bare = trimmed.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, PORT)]);
    }
    if let Ok(port) = trimmed.parse::<u16>() {
        return Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]);
    }
    let no_address = |source| BrokerError::Address {
        text: text.to_owned(),
        source,
    };
    let (name, port) = match trimmed.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().map_err(|_| no_address(None))?),
        None => (trimmed, PORT),
    };
    if name.is_empty() || name.contains(':') {
        return Err(no_address(None));
    }
    let mut found: Vec<SocketAddr> = (name, port)
        .to_socket_addrs()
        .map_err(|error| no_address(Some(error)))?
        .collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        return Err(no_address(None));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, address) in [
            ("127.0.0.1:1884", "127.0.0.1:1884"),
            ("127.0.0.1", "127.0.0.1:1883"),
            ("[::1]:7", "[::1]:7"),
            ("::1", "[::1]:1883"),
            ("[::1]", "[::1]:1883"),
            ("1884", "127.0.0.1:1884"),
            (" 0.0.0.0:0 ", "0.0.0.0:0"),
        ] {
            let expected: SocketAddr = address.parse().unwrap();
            assert_eq!(resolve(text).expect(text), [expected], "{text}");
        }
        for text in ["", ":1883", "127.0.0.1:x", "127.0.0.1:65536", "a:b:c"] {
            assert!(
                matches!(resolve(text), Err(BrokerError::Address { .. })),
                "{text}"
            );
        }
    }

    fn wanted(address: &str, open_to_all: bool) -> Wanted {
        Wanted {
            addresses: vec![address.to_owned()],
            sockets: Vec::new(),
            open_to_all,
        }
    }

    #[test]
    fn an_address_that_others_reach_needs_a_word() {
        let error = wanted("0.0.0.0:0", false).bind().expect_err("refused");
        assert!(error.to_string().contains("allow_anonymous = true"));
        assert_eq!(wanted("0.0.0.0:0", true).bind().expect("allowed").len(), 1);
        assert_eq!(
            wanted("127.0.0.1:0", false).bind().expect("loopback").len(),
            1
        );
    }

    #[test]
    fn a_port_in_use_is_named_with_the_way_out() {
        let first = wanted("127.0.0.1:0", false).bind().expect("a free port");
        let address = first[0].address;
        let error = wanted(&address.to_string(), false)
            .bind()
            .expect_err("taken");
        let said = error.to_string();
        assert!(said.contains(&format!("{address} is in use")), "{said}");
        assert!(said.contains("--listen 127.0.0.1:"), "{said}");
    }

    #[test]
    fn a_bound_socket_is_adopted() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let wanted = Wanted {
            sockets: vec![socket],
            ..Wanted::default()
        };
        assert_eq!(wanted.bind().expect("adopted")[0].address, address);
    }
}
