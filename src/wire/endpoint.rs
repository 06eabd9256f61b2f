//! Where a server listens, and how a connection gets there in bounded time.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::sync::mpsc;
use std::thread;

use socket2::{Domain, Socket, Type};
use thiserror::Error;

use super::stream::Deadline;
use super::{Stage, WireError};
use crate::printable::printable;

/// A host and a port. The host is a name or an address, as it was typed: certificates are checked
/// against it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    /// The own address to connect from; any when `None`.
    pub bind: Option<IpAddr>,
}

/// Why a text is no `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EndpointError {
    #[error("the host is missing; write host or host:port")]
    NoHost,
    #[error("“{0}” is no host name or address; write host, host:port or [address]:port")]
    Host(String),
    #[error("“{0}” is no port; write a number from 1 to 65535")]
    Port(String),
}

impl Endpoint {
    pub const DEFAULT_PORT: u16 = 3306;

    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, bind: None }
    }

    /// The host as an address, where it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Connects to the first of the host's addresses that answers.
    pub(crate) fn connect(
        &self,
        deadline: Deadline,
        told: &mut dyn FnMut(Stage),
    ) -> Result<TcpStream, WireError> {
        told(Stage::Resolve);
        let addresses = self.resolve(deadline)?;
        told(Stage::Connect);
        let mut last = WireError::Resolve {
            host: self.to_string(),
            why: "it has no address of the family that was asked for".to_owned(),
        };
        for (i, address) in addresses.iter().enumerate() {
            match self.connect_to(*address, deadline.share(addresses.len() - i)) {
                Ok(tcp) => return Ok(tcp),
                Err(error) => last = self.connect_error(&error),
            }
        }
        Err(last)
    }

    fn connect_to(&self, address: SocketAddr, deadline: Deadline) -> io::Result<TcpStream> {
        let left = deadline.left().ok_or(io::ErrorKind::TimedOut)?;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if let Some(own) = self.bind {
            socket.bind(&SocketAddr::new(own, 0).into())?;
        }
        socket.connect_timeout(&address.into(), left)?;
        let tcp = TcpStream::from(socket);
        tcp.set_nodelay(true)?;
        Ok(tcp)
    }

    fn connect_error(&self, error: &io::Error) -> WireError {
        let at = self.to_string();
        match error.kind() {
            io::ErrorKind::ConnectionRefused => WireError::Refused { at },
            io::ErrorKind::TimedOut => WireError::TimedOut { at, stage: Stage::Connect },
            _ => WireError::Unreachable { at, why: error.to_string() },
        }
    }

    /// The addresses, in the order in which the system prefers them. The look-up runs in a thread
    /// of its own, because nothing can interrupt it; when it is too slow, it is left behind.
    fn resolve(&self, deadline: Deadline) -> Result<Vec<SocketAddr>, WireError> {
        if let Some(ip) = self.ip() {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        let (sender, receiver) = mpsc::channel();
        let (host, port) = (self.host.clone(), self.port);
        let spawned = thread::Builder::new().name("look-up".to_owned()).spawn(move || {
            let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            // nobody listens any more when it took too long
            let _ = sender.send(found);
        });
        let failed = |why: String| WireError::Resolve { host: self.host.clone(), why };
        spawned.map_err(|error| failed(error.to_string()))?;
        let found = receiver.recv_timeout(deadline.left().unwrap_or_default());
        let timed_out =
            |_| WireError::TimedOut { at: printable(&self.host).into(), stage: Stage::Resolve };
        let mut addresses =
            found.map_err(timed_out)?.map_err(|error| failed(look_up_error(&error)))?;
        if let Some(own) = self.bind {
            addresses.retain(|address| address.is_ipv4() == own.is_ipv4());
        }
        Ok(addresses)
    }
}

/// `failed to lookup address information: Name or service not known`, without the first half.
fn look_up_error(error: &io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}

/// `host:port`, as it can be typed again; made printable.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = printable(&self.host);
        if self.host.contains(':') {
            write!(f, "[{host}]:{}", self.port)
        } else {
            write!(f, "{host}:{}", self.port)
        }
    }
}

/// Reads `host`, `host:port`, `192.0.2.7:3307`, `::1`, `[::1]` and `[::1]:3306`.
impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Err(EndpointError::NoHost);
        }
        let wrong = || EndpointError::Host(printable(text).into_owned());
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            if !is_ipv6(host) {
                return Err(wrong());
            }
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(wrong()),
            }
        } else if is_ipv6(text) {
            (text, None)
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        if host.is_empty() {
            return Err(EndpointError::NoHost);
        }
        let fits = |c: char| !c.is_whitespace() && !c.is_control() && !"/@:,".contains(c);
        if !is_ipv6(host) && (host.len() > 253 || !host.chars().all(fits)) {
            return Err(wrong());
        }
        let port = match port {
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(EndpointError::Port(printable(port).into_owned())),
            },
            None => Self::DEFAULT_PORT,
        };
        Ok(Self::new(host, port))
    }
}

/// An IPv6 address, with a zone (`fe80::1%eth0`) or without.
fn is_ipv6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_endpoint_is_read_and_written_back() {
        for (text, host, port, shown) in [
            ("db1", "db1", 3306, "db1:3306"),
            (" db1.example:3307 ", "db1.example", 3307, "db1.example:3307"),
            ("192.0.2.7:1", "192.0.2.7", 1, "192.0.2.7:1"),
            ("::1", "::1", 3306, "[::1]:3306"),
            ("[::1]", "::1", 3306, "[::1]:3306"),
            ("[fe80::1%eth0]:33", "fe80::1%eth0", 33, "[fe80::1%eth0]:33"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port), "{text}");
            assert_eq!(endpoint.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_endpoint_says_why() {
        let fault = |text: &str| text.parse::<Endpoint>().unwrap_err();
        assert_eq!(fault(" "), EndpointError::NoHost);
        assert_eq!(fault(":3306"), EndpointError::NoHost);
        assert_eq!(fault("db1:0"), EndpointError::Port("0".into()));
        assert_eq!(fault("db1:70000"), EndpointError::Port("70000".into()));
        assert_eq!(fault("db1:"), EndpointError::Port(String::new()));
        for text in
            ["mysql://db1", "a b", "[db1]:3306", "[::1", "[::1]3306", "root@db1", "a\x1b[2J"]
        {
            assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
        }
        assert_eq!(fault("a\x1bb"), EndpointError::Host("a\\x1Bb".into()));
    }
}
