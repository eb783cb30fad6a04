//! Where a broker is.

use core::fmt;
use core::str::FromStr;

/// The port of MQTT without TLS.
pub(crate) const DEFAULT_PORT: u16 = 1883;

/// The host name or IP address of a broker, and its port.
///
/// Parsed from `host`, `host:port`, `[v6]:port`, `mqtt://host:port`, and made from `("host", port)`; the port is 1883 when absent.
///
/// ```
/// use mqtt_client::Address;
///
/// let address: Address = "[::1]:1884".parse()?;
/// assert_eq!((address.host(), address.port()), ("::1", 1884));
/// assert_eq!("broker.example".parse::<Address>()?.to_string(), "broker.example:1883");
/// # Ok::<(), mqtt_client::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    host: Box<str>,
    port: u16,
}

impl Address {
    /// The host name, or the IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl<H: Into<Box<str>>> From<(H, u16)> for Address {
    fn from((host, port): (H, u16)) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }
}

impl From<core::net::SocketAddr> for Address {
    fn from(address: core::net::SocketAddr) -> Self {
        Self::from((address.ip().to_string(), address.port()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address: expected HOST, HOST:PORT or mqtt://HOST:PORT")]
pub struct AddressError(Box<str>);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.into());
        let rest = text.strip_prefix("mqtt://").unwrap_or(text);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                match port.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if port.is_empty() => (host, None),
                    None => return Err(wrong()),
                }
            }
            // More than one colon without brackets is an IPv6 address alone.
            None if rest.matches(':').count() > 1 => (rest, None),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().map_err(|_| wrong())?,
            None => DEFAULT_PORT,
        };
        if host.is_empty() || host.contains(['/', '@']) {
            return Err(wrong());
        }
        Ok(Self::from((host, port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood() {
        for (text, host, port) in [
            ("localhost", "localhost", 1883),
            ("localhost:18", "localhost", 18),
            ("::1", "::1", 1883),
            ("[::1]", "::1", 1883),
            ("[fe80::1]:2", "fe80::1", 2),
            ("mqtt://broker:7", "broker", 7),
        ] {
            assert_eq!(text.parse(), Ok(Address::from((host, port))), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            ":1883",
            "a:b",
            "a:70000",
            "[::1",
            "[::1]x",
            "mqtts://a",
            "user@host",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
