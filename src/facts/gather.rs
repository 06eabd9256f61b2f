//! Reading all sources of one target.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::files::Sought;
use super::session::{Route, Tls};
use super::{
    Confinement, Facts, HostNames, Listener, ServerConfig, ServerFacts, ServerFiles, Source,
    Target, Transport, UnreadKind,
};
use crate::printable::printable;
use crate::wire::{self, Endpoint, Limits, TlsOffer, Trust, WireFacts};

/// Where the families' packages put the socket.
pub(super) const SOCKETS: [&str; 4] = [
    "/run/mysqld/mysqld.sock",
    "/var/run/mysqld/mysqld.sock",
    "/var/lib/mysql/mysql.sock",
    "/tmp/mysql.sock",
];

/// One thing that gathering does, for the eye of whoever waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// `read the server's options`, `connect`, `TLS handshake`, `log in`, …
    pub stage: &'static str,
    pub state: ProgressState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgressState {
    Started,
    /// With a few words of result.
    Done(String),
    Failed(String),
}

/// Told to stop; looked at between stages.
#[derive(Debug, Default)]
pub struct Cancel(AtomicBool);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// For whoever looks at it between one connection and the next.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }
}

/// Reads everything there is to read about the target. Never fails: what could not be read says
/// so in the facts. Takes at most about half a minute, whatever the other end does.
pub fn gather(target: &Target, cancel: &Cancel, progress: &mut dyn FnMut(Progress)) -> Facts {
    let mut gathering = Gathering {
        target: target.clone(),
        cancel,
        progress,
        ca_dir_is_ours: target.ca_dir.is_none(),
    };
    if gathering.ca_dir_is_ours {
        gathering.target.ca_dir = default_ca_dir(target, None);
    }
    gathering.run()
}

/// One folder a server, in the user's data folder.
fn default_ca_dir(target: &Target, server: Option<&ServerFacts>) -> Option<PathBuf> {
    let project = directories::ProjectDirs::from("", "", "mytls")?;
    let host = target.host.as_deref().unwrap_or("localhost");
    let host: String =
        host.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let running = server.and_then(|server| server.variable("port")?.parse().ok());
    let port = target.port.or(running).unwrap_or(Target::DEFAULT_PORT);
    Some(project.data_dir().join("ca").join(format!("{host}-{port}")))
}

struct Gathering<'a> {
    target: Target,
    cancel: &'a Cancel,
    progress: &'a mut dyn FnMut(Progress),
    /// Nobody named the folder of the private CA, so it goes by the server's port.
    ca_dir_is_ours: bool,
}

impl Gathering<'_> {
    fn run(mut self) -> Facts {
        let target = &self.target;
        let mut local =
            !target.is_tcp() || target.server_config.is_some() || target.socket.is_some();
        let mut config = self.config(local, None);
        let socket = self.socket(&config);

        if let Some(socket) = &socket {
            self.target.socket = Some(socket.clone());
        }
        let mut server = match socket {
            Some(socket) => self.log_in(&Route::Socket(socket), Transport::Socket),
            None if self.target.is_tcp() => not_asked("the wire is looked at first"),
            None => Source::unread(
                UnreadKind::Unreachable,
                format!("no server socket at {}", SOCKETS.join(", ")),
                "name the socket with -S, or host and port with -h and -P; for a server that is \
                 down, name its option file with --server-config",
            ),
        };
        if let Some(told) = server.read() {
            // Which files are its own, and which of their groups count, is known only now.
            config = super::own_config::of(&self.target, told);
        }
        if self.ca_dir_is_ours {
            self.target.ca_dir = default_ca_dir(&self.target, server.read());
        }
        let mut files = self.files(local, &config, &server);
        let trust = super::session::trust(&self.target, files.read());
        let wire = self.wire(&config, &server, trust.clone());
        if server.reason().is_some_and(|unread| unread.kind == UnreadKind::NotAsked) {
            server = self.log_in_over_tcp(&wire, trust);
            let here = server.read().is_some_and(|server| self.is_this_host(server));
            if here && !local {
                local = true;
                config = self.config(local, server.read());
            }
            if local {
                files = self.files(local, &config, &server);
            }
        }
        let log = self.log(local, &config, &server, &wire);
        let confinement = self.confinement(&config, &wire);
        // what runs in a container is called otherwise than the host
        let named_here = local && self.target.system_root.is_none();
        let host = if named_here { super::host::read() } else { HostNames::default() };
        let listeners = listeners(named_here, &config, &server);
        let log_place = match &server {
            Source::Read(server) => super::log_place::of(server, local),
            Source::Unread(_) => not_asked("the server says where its error log goes"),
        };
        Facts {
            schema: Facts::SCHEMA,
            at: now(),
            target: self.target,
            config,
            files,
            wire,
            server,
            log,
            confinement,
            host,
            listeners,
            log_place,
        }
    }

    fn stage<T>(
        &mut self,
        stage: &'static str,
        work: impl FnOnce(&Target) -> Source<T>,
        done: impl FnOnce(&T) -> String,
    ) -> Source<T> {
        if self.cancel.is_cancelled() {
            return not_asked("cancelled");
        }
        (self.progress)(Progress { stage, state: ProgressState::Started });
        let source = work(&self.target);
        let outcome = match &source {
            Source::Read(facts) => ProgressState::Done(done(facts)),
            Source::Unread(unread) => ProgressState::Failed(unread.why.clone()),
        };
        (self.progress)(Progress { stage, state: outcome });
        source
    }

    fn config(&mut self, local: bool, server: Option<&ServerFacts>) -> Source<ServerConfig> {
        if !local {
            return not_asked("the server's option files are not on this host");
        }
        self.stage(
            "read the server's options",
            |target| match server {
                Some(server) => super::own_config::of(target, server),
                None => super::own_config::of_silent(target),
            },
            |config| config.main_file.display().to_string(),
        )
    }

    /// The socket to log in over; `None` for a server across the network.
    fn socket(&self, config: &Source<ServerConfig>) -> Option<PathBuf> {
        if let Some(socket) = &self.target.socket {
            return Some(socket.clone());
        }
        if self.target.is_tcp() {
            return None;
        }
        let configured = config.read().and_then(|config| config.get("socket")).map(PathBuf::from);
        configured.or_else(|| SOCKETS.iter().map(PathBuf::from).find(|socket| socket.exists()))
    }

    fn log_in(&mut self, route: &Route, over: Transport) -> Source<ServerFacts> {
        self.stage(
            "log in",
            |target| {
                let mut conn = match super::session::open(target, route) {
                    Ok(conn) => conn,
                    Err(error) => {
                        return Source::unread(error.kind(), error.to_string(), error.advice());
                    }
                };
                super::server::read(&mut conn, over).map_or_else(
                    |error| {
                        let why = format!(
                            "the server stopped answering: {}",
                            super::session::words(&error)
                        );
                        Source::unread(UnreadKind::Failed, why, "try again, and read its error log")
                    },
                    Source::Read,
                )
            },
            |server| {
                format!("{} {} as {}", server.flavor.name(), server.version, server.current_user)
            },
        )
    }

    /// Over TCP only to a server that verifies, unless the user said otherwise. What was seen just
    /// now says whether it is worth a try; the session looks again, under the same CAs.
    fn log_in_over_tcp(
        &mut self,
        wire: &Source<WireFacts>,
        trust: Result<Trust, String>,
    ) -> Source<ServerFacts> {
        let wire = match wire {
            Source::Read(wire) => wire,
            Source::Unread(unread) => return Source::Unread(unread.clone()),
        };
        let tls = match (&wire.tls, self.target.insecure_login) {
            (TlsOffer::Established(seen), _) => {
                let trusted = seen.faults.as_ref().is_some_and(Vec::is_empty);
                match Tls::with(&self.target, seen, trust.ok()) {
                    Some(tls) => tls,
                    None if trusted => return misnamed(&wire.host),
                    None => return unverified(),
                }
            }
            (TlsOffer::Failed { .. } | TlsOffer::NotOffered, true) => Tls::Off,
            (TlsOffer::Failed { .. }, false) => {
                return Source::unread(
                    UnreadKind::Refused,
                    "not logged in, because the TLS handshake with the server failed",
                    "log in on the server itself with -S",
                );
            }
            (TlsOffer::NotOffered, false) => {
                return Source::unread(
                    UnreadKind::Refused,
                    "not logged in, because the server offers no TLS and the session would travel in the clear",
                    "log in on the server itself with -S, or accept the risk with --insecure-login",
                );
            }
        };
        let route = Route::Tcp { host: wire.host.clone(), port: wire.port, tls };
        self.log_in(&route, Transport::Tcp)
    }

    fn is_this_host(&self, server: &ServerFacts) -> bool {
        let host = self.target.host.as_deref().and_then(|host| host.parse::<IpAddr>().ok());
        let ours = nix::unistd::gethostname().ok();
        // A loopback address may be the end of a tunnel: the server must say that it is here.
        host.is_some_and(|ip| ip.is_loopback())
            && ours.is_some_and(|ours| server.variable("hostname") == ours.to_str())
            && server.variable("datadir").is_some_and(|folder| Path::new(folder).exists())
    }

    fn files(
        &mut self,
        local: bool,
        config: &Source<ServerConfig>,
        server: &Source<ServerFacts>,
    ) -> Source<ServerFiles> {
        if !local {
            return not_asked("the server's files are not on this host");
        }
        let server = server.read();
        if server.is_none() && config.read().is_none() {
            return not_asked("neither the server nor an option file says which files are meant");
        }
        let configured = |option: &str| config.read().and_then(|config| config.get(option));
        let data_folder = server.and_then(|server| server.variable("datadir"));
        let data_folder = data_folder.or(configured("datadir")).map(PathBuf::from);
        let mut sought = Sought::new(
            |option| server.and_then(|server| in_use(server, option)).map(str::to_owned),
            server.is_some(),
            config.read(),
            data_folder.as_deref(),
        );
        sought.ca_dir = self.target.ca_dir.clone();
        self.stage(
            "read key, certificate and CA",
            |_| Source::Read(super::files::read(&sought)),
            |files| {
                let named = [files.key.is_some(), files.certificate.is_some(), files.ca.is_some()];
                format!("{} files", named.iter().filter(|there| **there).count())
            },
        )
    }

    fn wire(
        &mut self,
        config: &Source<ServerConfig>,
        server: &Source<ServerFacts>,
        trust: Result<Trust, String>,
    ) -> Source<WireFacts> {
        let variable = |name: &str| {
            let running = server.read().and_then(|server| server.variable(name));
            running.or_else(|| config.read().and_then(|config| config.get(name))).map(str::to_owned)
        };
        if server.read().is_some_and(|server| server.is_on("skip_networking")) {
            return not_asked("the server does not listen on the network (skip_networking)");
        }
        let bound = variable("bind_address").and_then(|address| address.parse::<IpAddr>().ok());
        let bound =
            bound.filter(|address| !address.is_unspecified()).map(|address| address.to_string());
        let host = self.target.host.clone().filter(|_| self.target.is_tcp());
        let host = host.or(bound).unwrap_or_else(|| "127.0.0.1".to_owned());
        let port = self.target.port.or_else(|| variable("port")?.parse().ok());
        let endpoint = Endpoint::new(host, port.unwrap_or(Target::DEFAULT_PORT));
        let trust = match trust {
            Ok(trust) => trust,
            Err(why) => {
                let advice = "give a PEM file with the CA's certificate to --ssl-ca";
                return Source::unread(UnreadKind::Failed, why, advice);
            }
        };
        let own_ca = matches!(trust, Trust::Only(_));
        self.stage(
            "look at it from outside",
            |target| match wire::probe(&endpoint, &trust, Limits::default(), &mut |_| {}) {
                Ok(mut wire) => {
                    // The system's CAs were asked for the login below; they judge no private CA.
                    if let (TlsOffer::Established(handshake), false) = (&mut wire.tls, own_ca) {
                        let public = handshake.faults.as_ref().is_some_and(Vec::is_empty);
                        if !public && target.ssl_ca.is_none() {
                            handshake.faults = None;
                        }
                    }
                    Source::Read(wire)
                }
                Err(error) => {
                    let kind = if error.is_unreachable() {
                        UnreadKind::Unreachable
                    } else {
                        UnreadKind::Failed
                    };
                    Source::unread(kind, error.why(), error.advice())
                }
            },
            |wire| match &wire.tls {
                TlsOffer::Established(handshake) => handshake.version.clone(),
                TlsOffer::NotOffered => "no TLS".to_owned(),
                TlsOffer::Failed { .. } => "the handshake fails".to_owned(),
            },
        )
    }

    /// Only where something is wrong, and the server is the one that the system starts: units and
    /// profiles say nothing about others.
    fn confinement(
        &mut self,
        config: &Source<ServerConfig>,
        wire: &Source<WireFacts>,
    ) -> Source<Confinement> {
        let well = wire.read().is_some_and(|wire| matches!(wire.tls, TlsOffer::Established(_)));
        let systems = config.read().is_some_and(|config| {
            config.main_file.starts_with("/etc") && self.target.server_config.is_none()
        }) || self.target.system_root.is_some();
        if well || !systems {
            return not_asked("TLS works, or the system does not start this server");
        }
        self.stage(
            "read the unit and the profile",
            |target| {
                let root = target.system_root.as_deref().unwrap_or(Path::new("/"));
                Source::Read(Confinement::read(root))
            },
            |found| {
                let unit = found.unit.as_ref().map_or("no unit", |unit| unit.name.as_str());
                let profile = if found.apparmor.is_some() { "a profile" } else { "no profile" };
                format!("{unit}, {profile}")
            },
        )
    }

    /// Only where something is wrong, and the log is here.
    fn log(
        &mut self,
        local: bool,
        config: &Source<ServerConfig>,
        server: &Source<ServerFacts>,
        wire: &Source<WireFacts>,
    ) -> Source<Vec<String>> {
        let well = wire.read().is_some_and(|wire| matches!(wire.tls, TlsOffer::Established(_)));
        if well {
            return not_asked("TLS works, so its error log was not read");
        }
        let value = |name: &str| {
            let running = server.read().and_then(|server| server.variable(name));
            running.or_else(|| config.read().and_then(|config| config.get(name))).map(str::to_owned)
        };
        let path = value("log_error").filter(|path| path != "stderr");
        let (true, Some(path)) = (local, path) else {
            return not_asked("it is not known where the server writes its error log");
        };
        let path = PathBuf::from(value("datadir").unwrap_or_default()).join(path);
        self.stage(
            "read the error log",
            |_| match super::log::read(&path) {
                Ok(lines) => Source::Read(lines),
                Err(why) => Source::unread(
                    UnreadKind::Failed,
                    why,
                    "run mytls as root or as the server's user",
                ),
            },
            |lines| format!("{} telling lines", lines.len()),
        )
    }
}

fn misnamed(host: &str) -> Source<ServerFacts> {
    Source::unread(
        UnreadKind::Refused,
        format!(
            "not logged in, because the server's certificate is not for {}, and CAs that serve \
             everybody vouch for names only",
            printable(host)
        ),
        "connect by a name that the certificate is for, or give the server's own CA with --ssl-ca",
    )
}

/// Only of a server on this host.
fn listeners(
    here: bool,
    config: &Source<ServerConfig>,
    server: &Source<ServerFacts>,
) -> Source<Vec<Listener>> {
    let Some(server) = server.read().filter(|_| here) else {
        return not_asked("the server is not on this host, or does not answer");
    };
    let configured = config.read().and_then(|config| config.get("pid_file"));
    let pid_file = server.variable("pid_file").or(configured).map(PathBuf::from);
    let datadir = server.variable("datadir").map(PathBuf::from).unwrap_or_default();
    let pid_file = pid_file.map(|file| datadir.join(file));
    match super::exposure::listeners(pid_file.as_deref(), &super::exposure::ports(server)) {
        Ok(listeners) => Source::Read(listeners),
        Err(why) => Source::unread(UnreadKind::Failed, why, "run mytls as root"),
    }
}

/// The file that is in use, which need not be the one that the variable names.
fn in_use<'a>(server: &'a ServerFacts, option: &str) -> Option<&'a str> {
    let active = option.replace("ssl_", "Current_tls_");
    let active = server.status.get(&active).map(String::as_str).filter(|path| !path.is_empty());
    active.or_else(|| server.variable(option))
}

fn unverified() -> Source<ServerFacts> {
    Source::unread(
        UnreadKind::Refused,
        "not logged in, because nobody vouches for the server: its certificate does not verify",
        "give its CA with --ssl-ca, log in on the server itself with -S, or accept the risk with --insecure-login",
    )
}

fn not_asked<T>(why: &str) -> Source<T> {
    Source::unread(UnreadKind::NotAsked, why, "")
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    i64::try_from(since).unwrap_or(i64::MAX)
}
