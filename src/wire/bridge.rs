//! A session of another library over a connection of ours.
//!
//! The `mysql` crate speaks SQL, but its TLS trusts more than it was told to. So it gets a private
//! unix socket, and this carries its packets over the one connection that was verified: nothing of
//! a login goes to a server that was not.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use openssl::ssl::{ErrorCode, SslStream, SslVersion};
use zeroize::Zeroizing;

use super::greeting::{self, Hello, Until};
use super::login::{TlsFault, start_tls};
use super::packet::{Connection, ServerError, capability};
use super::stream::{Broken, Channel, Timed};
use super::{ClientIdentity, Endpoint, Limits, Stage, Tls, Trust, WireError};

/// How long a server may leave what was sent to it unread.
const UNREAD: Duration = Duration::from_secs(15);

/// What a session needs of TLS; as [`Tls`], but its own, because it outlives the call.
#[derive(Clone, Debug)]
pub struct Secured {
    /// The server's certificate has to hold under this, or nothing of the login is sent.
    pub trust: Trust,
    /// Whether it has to be for the host of the endpoint, too.
    pub check_host: bool,
    pub identity: Option<ClientIdentity>,
    /// The newest version to speak; any when `None`.
    pub max_version: Option<SslVersion>,
}

/// One connection to a server, and the socket over which one client may use it. When this is
/// dropped it waits a moment for the last words of the client to be sent: drop the client first.
#[derive(Debug)]
pub struct Bridge {
    socket: PathBuf,
    /// Disconnected when all is over.
    told: Receiver<WireError>,
}

impl Bridge {
    /// Connects, reads the greeting, and waits for the client at [`Self::socket`]. The limits are
    /// for all that happens until the client is logged in.
    pub fn open(endpoint: &Endpoint, tls: Secured, limits: Limits) -> Result<Self, WireError> {
        let at = endpoint.to_string();
        let (server, hello) = greeting::open(endpoint, Until::new(limits), &mut |_| ())?;
        if let Some(old) = greeting::too_old(&hello) {
            return Err(WireError::broken(old, at, Stage::Greeting));
        }
        let failed = |error: io::Error| WireError::Io {
            at: at.clone(),
            stage: Stage::Login,
            why: format!("no private socket could be made for the session: {error}"),
        };
        let (folder, listener) = Folder::listen().map_err(failed)?;
        let (tell, told) = mpsc::channel();
        let socket = folder.socket();
        let crossing =
            Crossing { endpoint: endpoint.clone(), tls, patience: limits.total, hello, tell };
        thread::Builder::new()
            .name("session".to_owned())
            .spawn(move || crossing.run(server, folder, &listener))
            .map_err(failed)?;
        Ok(Self { socket, told })
    }

    /// Where the client connects, once.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Why the login could not go on, when it was not the server's own answer.
    pub fn fault(&self) -> Option<WireError> {
        self.told.try_recv().ok()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        const LAST_WORDS: Duration = Duration::from_secs(1);
        let _ = self.told.recv_timeout(LAST_WORDS);
    }
}

const SOCKET: &str = "session.sock";

/// A folder for one socket, open to this user only; gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn listen() -> io::Result<(Self, UnixListener)> {
        // sun_path of sockaddr_un, less the NUL
        const LONGEST: usize = 107;
        let name = format!("mytls-{}-{}", std::process::id(), unique());
        let mut path = std::env::temp_dir().join(&name);
        if path.as_os_str().len() + "/".len() + SOCKET.len() > LONGEST {
            path = Path::new("/tmp").join(&name);
        }
        // Fails when there is one: nobody has put a folder of his there before.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        let folder = Self(path);
        let listener = UnixListener::bind(folder.socket())?;
        Ok((folder, listener))
    }

    fn socket(&self) -> PathBuf {
        self.0.join(SOCKET)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing can be done about a folder that does not go; it is open to its owner only.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| u64::from(since.subsec_nanos()));
    now << 16 | NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What carries one session over.
struct Crossing {
    endpoint: Endpoint,
    tls: Secured,
    patience: Duration,
    hello: Hello,
    tell: Sender<WireError>,
}

impl Crossing {
    fn run(self, server: Connection, folder: Folder, listener: &UnixListener) {
        let Ok(client) = accept(listener, self.patience) else { return };
        drop(folder); // nobody else is to come
        let mut client = Connection::new(client);
        match self.log_in(&mut client, server) {
            Ok(Some(server)) => {
                // Both ends learn of the end of the other by being closed.
                let _ = copy(client.channel, server);
            }
            Ok(None) => {}
            // told before the client is hung up on, so that whoever asks then finds it
            Err(error) => drop(self.tell.send(error)),
        }
    }

    /// Carries the login over, packet by packet: with the request for TLS the server has counted
    /// one more than the client. `None` when the client has left.
    fn log_in(
        &self,
        client: &mut Connection<UnixStream>,
        server: Connection,
    ) -> Result<Option<SslStream<Timed>>, WireError> {
        let at = || self.endpoint.to_string();
        let broken = |broken| WireError::broken(broken, at(), Stage::Login);
        let patient = client.channel.set_read_timeout(Some(self.patience));
        if patient.is_err() || client.write(&self.hello.without_tls()).is_err() {
            return Ok(None);
        }
        let Ok(mut login) = client.read_any().map(Zeroizing::new) else { return Ok(None) };
        let [_, flags, _, _] = capability::SSL.to_le_bytes();
        let Some(header) = login.first_chunk_mut::<32>() else { return Ok(None) };
        header[1] |= flags;
        // A server goes by the flags of this and looks at those of the login no more.
        let request = *header;
        let tls = Tls {
            identity: self.tls.identity.as_ref(),
            check_host: self.tls.check_host,
            max_version: self.tls.max_version,
            ..Tls::new(&self.tls.trust)
        };
        let started = start_tls(server, &self.hello, &request, &self.endpoint, tls);
        let mut server = started.map_err(|fault| match fault {
            TlsFault::Told(error) => error,
            TlsFault::Broken(broken) => WireError::broken(broken, at(), Stage::Handshake),
        })?;
        let mut sent = server.write(&login);
        loop {
            // Even when it could not be sent, why may be waiting to be read.
            let packet = match (sent, server.read()) {
                (_, Ok(packet)) => packet,
                (Err(why), Err(Broken::Closed)) | (_, Err(why)) => return Err(broken(why)),
            };
            if client.write(&packet).is_err() {
                return Ok(None);
            }
            sent = match packet.as_slice() {
                [0x00 | ServerError::MARK, ..] => break,
                // caching_sha2_password: the server remembers the password, and says more
                [0x01, 3] => Ok(()),
                _ => match client.read_any().map(Zeroizing::new) {
                    Ok(answer) => server.write(&answer),
                    Err(_) => return Ok(None),
                },
            };
        }
        match server.channel {
            Channel::Tls(stream) => Ok(Some(*stream)),
            Channel::Plain(_) => Ok(None), // start_tls returns no such
        }
    }
}

/// The one client, if it comes in time.
fn accept(listener: &UnixListener, patience: Duration) -> io::Result<UnixStream> {
    wait(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], Some(patience))?;
    Ok(listener.accept()?.0)
}

/// Copies in both directions until either end has left.
fn copy(mut client: UnixStream, mut server: SslStream<Timed>) -> io::Result<()> {
    const CHUNK: usize = 16 * 1024; // what a TLS record holds
    client.set_read_timeout(None)?;
    server.get_mut().never_wait()?;
    // statements with passwords in them pass through
    let mut buffer = Zeroizing::new(vec![0; CHUNK]);
    loop {
        match server.ssl_read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                client.write_all(&buffer[..length])?;
                continue;
            }
            Err(error) if error.code() == ErrorCode::WANT_READ => {}
            Err(_) => break,
        }
        let mut ends = [
            PollFd::new(client.as_fd(), PollFlags::POLLIN),
            PollFd::new(server.get_ref().as_fd(), PollFlags::POLLIN),
        ];
        wait(&mut ends, None)?;
        if ends[0].any().unwrap_or(true) {
            match client.read(&mut buffer)? {
                0 => break,
                length => send(&mut server, &buffer[..length])?,
            }
        }
    }
    // Whoever has left already does not matter.
    let _ = server.shutdown();
    let _ = client.shutdown(Shutdown::Both);
    Ok(())
}

fn send(server: &mut SslStream<Timed>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let flags = match server.ssl_write(bytes) {
            Ok(length) => {
                bytes = &bytes[length..];
                continue;
            }
            Err(error) if error.code() == ErrorCode::WANT_WRITE => PollFlags::POLLOUT,
            Err(error) if error.code() == ErrorCode::WANT_READ => PollFlags::POLLIN,
            Err(error) => return Err(io::Error::other(error)),
        };
        wait(&mut [PollFd::new(server.get_ref().as_fd(), flags)], Some(UNREAD))?;
    }
    Ok(())
}

/// Waits until one of these is ready; without a limit, however long that takes.
fn wait(ends: &mut [PollFd<'_>], limit: Option<Duration>) -> io::Result<()> {
    let limit = limit.map_or(PollTimeout::NONE, |limit| {
        PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)
    });
    loop {
        match poll(ends, limit) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
