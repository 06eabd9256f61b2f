//! A connection that ends in time, and what can go wrong on it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::ssl::{self, ErrorCode, SslStream};

/// A moment after which nothing is waited for any more.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    /// What is left; `None` when it has passed.
    pub fn left(self) -> Option<Duration> {
        Some(self.0.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    pub fn earlier(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// An equal share of what is left, for one of several tries.
    pub fn share(self, tries: usize) -> Self {
        let tries = u32::try_from(tries).unwrap_or(u32::MAX).max(1);
        Self::after(self.left().unwrap_or_default() / tries)
    }
}

/// A TCP stream on which every operation is given what is left until the deadline, so that a
/// server which drips a byte a second gains nothing by it.
#[derive(Debug)]
pub struct Timed {
    tcp: TcpStream,
    /// `None`: nothing is waited for at all, and "would block" is said as it is.
    deadline: Option<Deadline>,
    /// What has come since somebody wanted it kept.
    kept: Option<Vec<u8>>,
}

impl Timed {
    pub fn new(tcp: TcpStream, deadline: Deadline) -> Self {
        Self { tcp, deadline: Some(deadline), kept: None }
    }

    pub fn peer(&self) -> Option<std::net::IpAddr> {
        self.tcp.peer_addr().ok().map(|address| address.ip())
    }

    /// The other end is told that nothing more comes.
    pub fn end(&self) {
        // one that is gone already knows
        let _ = self.tcp.shutdown(std::net::Shutdown::Write);
    }

    /// From now on what comes is kept as well, as much of it as a handshake may have.
    pub fn keep(&mut self) {
        self.kept = Some(Vec::new());
    }

    /// What was kept; nothing more is.
    pub fn kept(&mut self) -> Vec<u8> {
        self.kept.take().unwrap_or_default()
    }

    /// From now on the deadline is forgotten, and nothing waits: whoever reads and writes polls.
    pub fn never_wait(&mut self) -> io::Result<()> {
        self.tcp.set_nonblocking(true)?;
        self.deadline = None;
        Ok(())
    }

    /// From now on waits no longer than this.
    pub fn hurry(&mut self, limit: Duration) {
        self.deadline = self.deadline.map(|deadline| deadline.earlier(Deadline::after(limit)));
    }
}

/// No handshake worth reading again is longer.
const MOST_KEPT: usize = 256 * 1024;

fn left(deadline: Deadline) -> io::Result<Duration> {
    deadline.left().ok_or_else(|| io::ErrorKind::TimedOut.into())
}

impl AsFd for Timed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

impl Read for Timed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(deadline) = self.deadline else { return self.tcp.read(buf) };
        self.tcp.set_read_timeout(Some(left(deadline)?))?;
        let length = self.tcp.read(buf).map_err(timed_out)?;
        if let Some(kept) = self.kept.as_mut().filter(|kept| kept.len() < MOST_KEPT) {
            kept.extend_from_slice(&buf[..length]);
        }
        Ok(length)
    }
}

impl Write for Timed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let Some(deadline) = self.deadline else { return self.tcp.write(buf) };
        self.tcp.set_write_timeout(Some(left(deadline)?))?;
        self.tcp.write(buf).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// A timeout of the socket reads as "would block", which OpenSSL would take for "try again".
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

/// The stream as it is before and after the TLS handshake.
pub enum Channel {
    Plain(Timed),
    Tls(Box<SslStream<Timed>>),
}

impl Channel {
    /// The own end, and the other.
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let tcp = match self {
            Self::Plain(stream) => &stream.tcp,
            Self::Tls(stream) => &stream.get_ref().tcp,
        };
        Some((tcp.local_addr().ok()?, tcp.peer_addr().ok()?))
    }
}

impl Read for Channel {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buf),
            Self::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buf),
            Self::Tls(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Why an exchange ended before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    TimedOut,
    /// Closed or reset by the other end.
    Closed,
    /// A TLS alert that the other end sent: its number.
    Alert(u8),
    /// A fault that our own side found in the TLS exchange.
    Tls(String),
    /// What came is not the protocol.
    Protocol(String),
    Io(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut,
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => Self::Closed,
            _ => match error.get_ref().and_then(|inner| inner.downcast_ref::<ssl::Error>()) {
                Some(tls) => Self::from(tls),
                None => Self::Io(error.to_string()),
            },
        }
    }
}

impl From<&ssl::Error> for Broken {
    fn from(error: &ssl::Error) -> Self {
        if let Some(io) = error.io_error() {
            // an io::Error cannot be cloned; its kind says all that is asked here
            return Self::from(io::Error::new(io.kind(), io.to_string()));
        }
        match error.ssl_error() {
            Some(stack) => Self::from(stack.clone()),
            None if matches!(error.code(), ErrorCode::SYSCALL | ErrorCode::ZERO_RETURN) => {
                Self::Closed
            }
            None => Self::Tls(error.to_string()),
        }
    }
}

impl From<ErrorStack> for Broken {
    fn from(stack: ErrorStack) -> Self {
        // openssl/sslerr.h: SSL_AD_REASON_OFFSET, SSL_R_UNEXPECTED_EOF_WHILE_READING
        const ALERTS: i32 = 1000;
        const UNEXPECTED_EOF: i32 = 294;
        const SSL_LIBRARY: i32 = 20;
        let errors = stack.errors();
        let first = errors.iter().find(|error| error.library_code() == SSL_LIBRARY);
        let Some(first) = first.or(errors.first()) else {
            return Self::Tls("OpenSSL gives no reason".to_owned());
        };
        match first.reason_code() {
            UNEXPECTED_EOF if first.library_code() == SSL_LIBRARY => Self::Closed,
            code if first.library_code() == SSL_LIBRARY && code >= ALERTS => {
                u8::try_from(code - ALERTS).map_or(Self::Closed, Self::Alert)
            }
            _ => Self::Tls(first.reason().unwrap_or("OpenSSL gives no reason").to_owned()),
        }
    }
}
