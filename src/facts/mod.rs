//! What is known about a server: plain, serialisable structs, and one gatherer per source.
//!
//! Gathering is the only reading I/O of the engine. A source that could not be read leaves the
//! reason behind ([`Source::Unread`]); no field ever reads as "fine" because nobody looked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::wire::{Handshake, TlsOffer, WireFacts};
use crate::x509::chain::VerifyFault;
use crate::x509::pem::Defect;
use crate::x509::{Certificate, PrivateKey};

pub mod account;
mod account_text;
pub mod config;
pub mod confinement;
pub mod exposure;
pub mod files;
pub mod folder;
pub mod gather;
pub mod host;
mod inventory;
pub mod log;
pub mod log_place;
pub mod network;
#[cfg(test)]
pub mod noise;
mod own_account;
mod proxy;
mod rank;
pub mod server;
pub mod session;
pub mod target;
pub mod trust;

pub use account::{Account, AccountName, Carrier, More, OtherSession, Require, is_loopback};
pub use account_text::NoAccount;
pub use confinement::Confinement;
pub use exposure::{Client, Listener, Port};
pub use host::HostNames;
pub use log_place::LogPlace;
pub use proxy::ActsAs;
pub use rank::{Rank, has_length, knows_lengths};
pub use target::Target;
pub use trust::{CaEntry, CaFolder, Crl, NearbyCrls};

/// Everything that was found out. Saved as JSON it can be judged again anywhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// The version of this layout.
    pub schema: u32,
    /// When it was gathered, in seconds since 1970 UTC. Rules know no other clock.
    pub at: i64,
    pub target: Target,
    /// The server's option files.
    pub config: Source<ServerConfig>,
    /// Key, certificate and CA on this host.
    pub files: Source<ServerFiles>,
    /// What a client sees from outside.
    pub wire: Source<WireFacts>,
    /// The server's own word, over SQL.
    pub server: Source<ServerFacts>,
    /// The last TLS and start-up lines of the error log.
    pub log: Source<Vec<String>>,
    /// What systemd and AppArmor keep from the server; looked at only where TLS does not work.
    #[serde(default = "Source::not_asked")]
    pub confinement: Source<Confinement>,
    /// What this host is called, where the server runs on it.
    #[serde(default)]
    pub host: HostNames,
    /// What the server listens on, as the system of its host says.
    #[serde(default = "Source::not_asked")]
    pub listeners: Source<Vec<Listener>>,
    /// Where its error log goes.
    #[serde(default = "Source::not_asked")]
    pub log_place: Source<LogPlace>,
}

impl Facts {
    pub const SCHEMA: u32 = 1;

    /// The server's own certificate: from its file, or as it was presented.
    pub fn served_leaf(&self) -> Option<&Certificate> {
        let from_file = self.files.read().and_then(ServerFiles::leaf);
        from_file.or_else(|| self.handshake()?.chain.first())
    }

    /// The TLS handshake, where one came about.
    pub fn handshake(&self) -> Option<&Handshake> {
        match &self.wire.read()?.tls {
            TlsOffer::Established(handshake) => Some(handshake),
            TlsOffer::NotOffered | TlsOffer::Failed { .. } => None,
        }
    }

    /// Whether the server's TLS comes from yaSSL, as far as the server or its greeting tells.
    pub fn is_yassl(&self) -> bool {
        match (self.server.read(), self.wire.read().map(|wire| &wire.greeting)) {
            (Some(server), _) => server.is_yassl(),
            (None, Some(greeting)) => {
                let version = greeting.version;
                greeting.flavor == Flavor::MySql
                    && version.is_some_and(|version| version < ServerFacts::NO_YASSL)
            }
            (None, None) => false,
        }
    }

    /// Whether the server is known to be up: it answered on one of the two ways.
    pub fn is_running(&self) -> bool {
        self.server.read().is_some()
            || self.wire.read().is_some()
            || self.server.reason().is_some_and(|unread| unread.kind == UnreadKind::Refused)
    }
}

/// A source of facts: what it said, or why it said nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source<T> {
    Read(T),
    Unread(Unread),
}

/// Why a source was not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    pub kind: UnreadKind,
    /// One sentence, made printable.
    pub why: String,
    /// What to do about it; empty where there is nothing to do.
    pub advice: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreadKind {
    /// Nobody asked for it, or it does not exist for this target (files of a remote server).
    NotAsked,
    /// Nothing listens there: the server is down, or the address is wrong.
    Unreachable,
    /// Something answered and refused us.
    Refused,
    /// Anything else: a timeout, a broken answer, a file that cannot be read.
    Failed,
}

impl<T> Source<T> {
    pub fn unread(kind: UnreadKind, why: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Unread(Unread { kind, why: why.into(), advice: advice.into() })
    }

    /// Nobody looked, and nobody needs to know.
    fn not_asked() -> Self {
        Self::unread(UnreadKind::NotAsked, "", "")
    }

    pub fn read(&self) -> Option<&T> {
        match self {
            Self::Read(facts) => Some(facts),
            Self::Unread(_) => None,
        }
    }

    pub fn reason(&self) -> Option<&Unread> {
        match self {
            Self::Read(_) => None,
            Self::Unread(unread) => Some(unread),
        }
    }
}

/// Which family the server belongs to; the dialects differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavor {
    #[serde(rename = "MySQL")]
    MySql,
    #[serde(rename = "MariaDB")]
    MariaDb,
}

impl Flavor {
    pub fn name(self) -> &'static str {
        match self {
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
        }
    }
}

/// A server's version: `10.11.19`, `9.7.4`, `26.7.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u16, pub u16, pub u16);

impl Version {
    /// Reads `5.5.5-10.11.19-MariaDB-deb12`, `9.7.4`, `8.0.36-0ubuntu0`: the numbers, and whose.
    pub fn parse(text: &str) -> Option<(Flavor, Self)> {
        let flavor = if text.to_ascii_lowercase().contains("mariadb") {
            Flavor::MariaDb
        } else {
            Flavor::MySql
        };
        // MariaDB up to 10.x says 5.5.5- first, so that old replicas take it for a MySQL.
        let text = match flavor {
            Flavor::MariaDb => text.strip_prefix("5.5.5-").unwrap_or(text),
            Flavor::MySql => text,
        };
        let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
        let mut numbers = text[..end].split('.').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some((flavor, Self(next()?, next()?, next().unwrap_or(0))))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The effective options of the server's option files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerConfig {
    /// The file that was named, or the first of the search order that exists.
    pub main_file: PathBuf,
    /// Every file that was read, in order.
    pub files: Vec<PathBuf>,
    /// Those of them that another includes: a line at which the server gives up ends only them.
    #[serde(default)]
    pub included: Vec<PathBuf>,
    /// Option name with underscores, without `loose_`; the last value wins, as for the server.
    pub options: BTreeMap<String, ConfigValue>,
    /// What `SET PERSIST` wrote (MySQL 8.0 and later): goes before the option files.
    #[serde(default)]
    pub persisted: BTreeMap<String, ConfigValue>,
    /// Settings about TLS that do not count.
    #[serde(default)]
    pub lost: Vec<Lost>,
    /// Why a file, or the rest of one, was not read.
    #[serde(default)]
    pub defects: Vec<ConfigDefect>,
}

/// A setting that does not count: a later one replaced it, or it stands in a group that this
/// server does not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    pub name: String,
    pub value: Option<String>,
    pub origin: Origin,
    /// The group that is not read; `None` for a setting that was replaced.
    pub group: Option<String>,
}

/// What is wrong with the option files themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigDefect {
    /// An option (or a byte order mark) before the first group: the server does not start; where
    /// the file is [included](ServerConfig::included), it passes over the rest of that file. So
    /// with the next two.
    NoGroup { at: Origin },
    /// A line that is none, such as a group without its `]`: the server does not start.
    Broken { at: Origin },
    /// `!includedir` of a folder that is not there: the server does not start.
    NoFolder { at: Origin, path: PathBuf },
    /// `!include` of a file that cannot be read: passed over.
    NotThere { at: Origin, path: PathBuf },
    /// Everybody may write to the file, so the server passes it over.
    WorldWritable { file: PathBuf },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigValue {
    /// Without quotes; `None` for an option without `=`.
    pub value: Option<String>,
    pub origin: Origin,
}

/// Where an option's effective value stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

impl ServerConfig {
    /// The value of an option that is set and not empty.
    pub fn get(&self, option: &str) -> Option<&str> {
        let value = self.persisted.get(option).or_else(|| self.options.get(option))?;
        value.value.as_deref().filter(|value| !value.is_empty())
    }

    /// Where the value that counts stands: in an option file, or persisted.
    pub fn effective_origin(&self, option: &str) -> Option<&Origin> {
        let persisted = self.persisted.get(option).map(|value| &value.origin);
        persisted.or_else(|| self.origin(option))
    }

    /// Where an option file sets it, for whoever edits that; never [`Self::persisted`].
    pub fn origin(&self, option: &str) -> Option<&Origin> {
        self.options.get(option).map(|value| &value.origin)
    }
}

/// The three files of the server's TLS, and what was found next to them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerFiles {
    /// The user the server runs as, when known: who has to be able to read the files.
    pub server_user: Option<String>,
    pub key: Option<FileFacts<PrivateKey>>,
    pub certificate: Option<FileFacts<Vec<Certificate>>>,
    pub ca: Option<FileFacts<Vec<Certificate>>>,
    /// Which of the CA file's certificates are of CAs that serve everybody: they came with this
    /// host's system.
    #[serde(default)]
    pub public_cas: Vec<usize>,
    /// For each certificate of the certificate file, which other of that file signed it.
    pub signers: Vec<Option<usize>>,
    /// The server's own certificate verified under `ssl_ca` and nothing else, dates aside;
    /// `None` when either could not be read.
    pub under_ca: Option<Result<(), VerifyFault>>,
    /// The first certificate of the file verified under `ssl_ca` and `ssl_capath`, without the rest
    /// of its file: as MySQL 8.1 and later do when TLS is reloaded.
    #[serde(default)]
    pub alone_under_ca: Option<Result<(), VerifyFault>>,
    /// The folder of `ssl_capath`.
    #[serde(default)]
    pub capath: Option<CaFolder>,
    /// The revocation lists of `ssl_crl`.
    #[serde(default)]
    pub crl: Option<FileFacts<Vec<Crl>>>,
    /// The folder of `ssl_crlpath`, which is not read.
    #[serde(default)]
    pub crlpath: Option<PathBuf>,
    #[serde(default)]
    pub nearby_crls: Vec<NearbyCrls>,
    /// Keys and certificates in the folders of the three files, for "it is over there".
    pub nearby: Vec<Nearby>,
    /// The private CA that mytls keeps for this server.
    pub own_ca: Option<OwnCa>,
    /// The options whose file is not theirs alone: another one names it too, links followed, or
    /// it holds a private key besides. Such a file is not written over: that would lose the rest.
    #[serde(default)]
    pub combined: Vec<String>,
}

impl ServerFiles {
    /// Whether the file of this option holds something else, too.
    pub fn is_combined(&self, option: &str) -> bool {
        self.combined.iter().any(|combined| combined == option)
    }

    /// The certificates of the certificate file; empty when it cannot be used.
    pub fn certificates(&self) -> &[Certificate] {
        self.certificate
            .as_ref()
            .and_then(|file| file.content.as_ref().ok())
            .map_or(&[], Vec::as_slice)
    }

    /// The certificates of the CA file; empty when it cannot be used.
    pub fn ca_certificates(&self) -> &[Certificate] {
        self.ca.as_ref().and_then(|file| file.content.as_ref().ok()).map_or(&[], Vec::as_slice)
    }

    /// Every CA that the server trusts by its options: those of `ssl_ca` and of `ssl_capath`.
    pub fn trusted(&self) -> impl Iterator<Item = &Certificate> {
        self.ca_certificates().iter().chain(self.capath.iter().flat_map(CaFolder::trusted))
    }

    pub fn private_key(&self) -> Option<&PrivateKey> {
        self.key.as_ref().and_then(|file| file.content.as_ref().ok())
    }

    /// Which of [`Self::certificates`] is the server's own.
    pub fn leaf_index(&self) -> Option<usize> {
        let key = self.private_key().map(|key| &key.public);
        crate::x509::chain::leaf(self.certificates(), key)
    }

    pub fn leaf(&self) -> Option<&Certificate> {
        self.certificates().get(self.leaf_index()?)
    }
}

/// A private CA in a folder of mytls, whose key is there too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnCa {
    pub dir: PathBuf,
    pub certificate: Certificate,
    /// The certificates it issued to clients, as far as they are still kept there.
    #[serde(default)]
    pub clients: Vec<Certificate>,
    /// The CAs above it, the root last; empty when it is a root.
    #[serde(default)]
    pub above: Vec<Certificate>,
}

/// One file that an option of the server names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileFacts<T> {
    /// `ssl_key`, `ssl_cert` or `ssl_ca`.
    pub option: String,
    /// Absolute: a relative value counts from the data folder, as for the server.
    pub path: PathBuf,
    /// Where the option is set; `None` when only the running server said so.
    pub origin: Option<Origin>,
    pub access: Option<Access>,
    /// It begins with a UTF-8 byte order mark, which OpenSSL reads past and yaSSL does not.
    #[serde(default)]
    pub byte_order_mark: bool,
    pub content: Result<T, Defect>,
}

/// Who owns a file, and whether the server's user may read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Permission bits, such as `0o640`.
    pub mode: u32,
    pub owner: String,
    pub group: String,
    pub readable: Readable,
    /// Whether any user of the host may read it: its bits and those of every folder above say so.
    #[serde(default)]
    pub open_to_others: bool,
    /// Where it really lies, links followed, when that is elsewhere.
    #[serde(default)]
    pub real: Option<PathBuf>,
}

impl Access {
    /// `0640 root:mysql`
    pub fn describe(&self) -> String {
        format!("{:04o} {}:{}", self.mode & 0o7777, self.owner, self.group)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readable {
    Yes,
    /// All that shuts the server's user out, in the order in which it gets there.
    No {
        blockers: Vec<Blocker>,
    },
    /// The server's user is not known.
    Unknown,
}

/// A file, or a folder on the way to one, that is closed to the server's user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    pub path: PathBuf,
    pub is_folder: bool,
    /// Permission bits, such as `0o710`.
    pub mode: u32,
    pub owner: String,
    pub group: String,
    /// Whose permission bits count for the server's user.
    pub class: Class,
}

/// The permission bits that count for a user: the first that fits, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Owner,
    Group,
    Other,
}

/// A key or certificate lying near the server's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nearby {
    pub path: PathBuf,
    pub holds: Holds,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    Key(PrivateKey),
    Certificates(Vec<Certificate>),
}

/// What the server says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerFacts {
    pub flavor: Flavor,
    pub version: Version,
    /// `@@version` and `@@version_comment`, made printable.
    pub version_text: String,
    /// `OpenSSL 3.0.19 27 Jan 2026`, `YaSSL 2.3.7`; `None` where no variable tells.
    pub tls_library: Option<String>,
    /// `CURRENT_USER()`: the account that answered, which need not be the one typed.
    pub current_user: String,
    pub session: Session,
    /// System variables that matter, by lower-case name. A variable this server lacks is absent.
    pub variables: BTreeMap<String, String>,
    /// Status variables that matter, by their own spelling.
    pub status: BTreeMap<String, String>,
    pub accounts: Source<Vec<Account>>,
    /// MariaDB's roles, which are no accounts and have no host. Those of MySQL are among the accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Other people's sessions, with how they are connected.
    pub sessions: Source<Vec<OtherSession>>,
    /// From where clients come.
    #[serde(default = "Source::not_asked")]
    pub clients: Source<Vec<Client>>,
    /// Where [`Self::sessions`] could not be read: those of the process list, which does not tell
    /// how they are connected.
    #[serde(default)]
    pub processes: Vec<OtherSession>,
    /// What was not seen of accounts and sessions, each with the privilege that would show it.
    #[serde(default)]
    pub unseen: Vec<String>,
    /// The servers that this one replicates from, as host and port.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Where [`Self::accounts`] could not be read: the account of this login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_account: Option<Account>,
}

impl ServerFacts {
    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What tells this server from others, whichever way it is reached; empty where it does not say.
    pub fn identity(&self) -> String {
        if let Some(own) = self.variable("server_uuid") {
            return own.to_owned();
        }
        let parts = ["hostname", "port", "datadir"].map(|name| self.variable(name));
        match parts {
            [Some(host), Some(port), Some(folder)] => format!("{host}:{port}:{folder}"),
            _ => String::new(),
        }
    }

    /// The first MySQL that Oracle built with OpenSSL alone.
    pub const NO_YASSL: Version = Version(5, 6, 46);

    /// Whether TLS comes from yaSSL, as in Oracle's own binaries up to MySQL 5.6.
    pub fn is_yassl(&self) -> bool {
        self.tls_library.as_deref().is_some_and(|library| library.starts_with("YaSSL"))
    }

    /// Whether it listens on its socket alone.
    pub fn is_off_the_network(&self) -> bool {
        self.is_on("skip_networking")
    }

    pub fn is_on(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|value| matches!(value, "ON" | "1" | "YES" | "TRUE"))
    }
}

/// How mytls itself is connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub over: Transport,
    /// `Ssl_cipher` of the session; empty without TLS.
    pub cipher: String,
    /// `Ssl_version` of the session; empty without TLS.
    pub tls_version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    Socket,
    Tcp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_every_kind_are_read() {
        let parse = |text| Version::parse(text).unwrap();
        assert_eq!(parse("5.5.5-10.11.19-MariaDB-deb12"), (Flavor::MariaDb, Version(10, 11, 19)));
        assert_eq!(parse("11.8.6-MariaDB"), (Flavor::MariaDb, Version(11, 8, 6)));
        assert_eq!(parse("9.7.4"), (Flavor::MySql, Version(9, 7, 4)));
        assert_eq!(parse("26.7.0"), (Flavor::MySql, Version(26, 7, 0)));
        assert_eq!(parse("5.6.24-log"), (Flavor::MySql, Version(5, 6, 24)));
        assert_eq!(Version::parse("SSH-2.0"), None);
        assert!(Version(26, 7, 0) > Version(9, 7, 4) && Version(9, 7, 4) > Version(8, 0, 28));
    }
}
