//! How much an account can ask of a connection, and what each step of it keeps out.

use thiserror::Error;

use super::cipher::Cipher;
use super::statement::Dialect;
use crate::facts::{Facts, Flavor, Require};
use crate::printable::printable;
use crate::x509::{Certificate, Name, OneLine, Unwritable};

/// How much is asked of a connection, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    None,
    Ssl,
    X509,
    /// Any certificate of one CA.
    Issuer,
    /// One certificate.
    SubjectAndIssuer,
}

/// Whose certificates a server takes for its clients'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// Those of the CAs in `ssl_ca`, of which none is public as far as the file could be read.
    Own,
    /// A public CA is among those in `ssl_ca`.
    Public,
    /// Neither `ssl_ca` nor `ssl_capath` is set, and OpenSSL falls back on the system's CAs.
    System,
    Unknown,
}

/// Why a level cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    #[error("this level names a certificate, and none was given")]
    NoCertificate,
    #[error("the {part} of the certificate cannot be required here: {why}")]
    Name { part: &'static str, why: Unwritable },
    #[error(
        "X509 alone would let in anybody here: {0}. Require SUBJECT and ISSUER, or give the server a CA of your own in ssl_ca"
    )]
    Anybody(&'static str),
    #[error("CIPHER asks for TLS, which the level none does not: choose another")]
    CipherOfNone,
    #[error(
        "MariaDB has no way to ask for any certificate and a cipher at once (CIPHER alone asks for no certificate): take the level issuer or subject-issuer"
    )]
    CipherOfX509,
}

impl Level {
    pub const ALL: [Self; 5] =
        [Self::None, Self::Ssl, Self::X509, Self::Issuer, Self::SubjectAndIssuer];

    /// What it asks for, of a certificate whose names are written as this server's library does.
    ///
    /// # Errors
    /// Why it must not be asked for.
    pub fn require(
        self,
        dialect: Dialect,
        certificate: Option<&Certificate>,
        cipher: Option<&Cipher>,
    ) -> Result<Require, Refused> {
        self.require_as(dialect, dialect.names, certificate, cipher)
    }

    /// The same with the names written in the way of another library.
    pub fn require_as(
        self,
        dialect: Dialect,
        names: OneLine,
        certificate: Option<&Certificate>,
        cipher: Option<&Cipher>,
    ) -> Result<Require, Refused> {
        let dialect = Dialect { names, ..dialect };
        let written = |part, name: fn(&Certificate) -> &Name| {
            let name = name(certificate.ok_or(Refused::NoCertificate)?);
            dialect.written(name).map_err(|why| Refused::Name { part, why })
        };
        let issuer = || written("issuer", |certificate| &certificate.issuer);
        let (subject, issuer) = match self {
            Self::None if cipher.is_some() => return Err(Refused::CipherOfNone),
            Self::X509 if cipher.is_some() && dialect.flavor == Flavor::MariaDb => {
                return Err(Refused::CipherOfX509);
            }
            Self::None => return Ok(Require::None),
            Self::Ssl if cipher.is_none() => return Ok(Require::Ssl),
            Self::X509 if cipher.is_none() => return Ok(Require::X509),
            Self::Ssl | Self::X509 => (String::new(), String::new()),
            Self::Issuer => (String::new(), issuer()?),
            Self::SubjectAndIssuer => {
                (written("subject", |certificate| &certificate.subject)?, issuer()?)
            }
        };
        let cipher = cipher.map_or_else(String::new, |cipher| cipher.name().to_owned());
        Ok(Require::Specified { subject, issuer, cipher })
    }

    /// # Errors
    /// Why this level keeps nobody out of a server that trusts these.
    pub fn check(self, trusted: Trusted) -> Result<(), Refused> {
        match (self, trusted) {
            (Self::X509, Trusted::System) => Err(Refused::Anybody(
                "neither ssl_ca nor ssl_capath is set, so the server takes the certificates of every \
                 public CA that the system trusts, and those anybody can have",
            )),
            (Self::X509, Trusted::Public) => Err(Refused::Anybody(
                "ssl_ca holds a public CA, whose certificates anybody can have",
            )),
            _ => Ok(()),
        }
    }

    /// What somebody who has the password could still do.
    pub fn leaves_open(self, trusted: Trusted, asks_everybody: bool) -> &'static str {
        match self {
            Self::None if asks_everybody => {
                "the password is enough, from anywhere its host pattern allows; over TLS only while \
                 require_secure_transport is ON"
            }
            Self::None => {
                "the password is enough, from anywhere its host pattern allows, readable on the way"
            }
            Self::Ssl => "the password is enough, from anywhere its host pattern allows",
            Self::X509 if trusted == Trusted::System => {
                "without ssl_ca the server trusts the system's CAs: the password and any certificate \
                 that a public CA ever issued are enough"
            }
            Self::X509 => "the password and any certificate of a CA in ssl_ca are enough",
            Self::Issuer if matches!(trusted, Trusted::System | Trusted::Public) => {
                "the password and any certificate of this one CA are enough; of a public CA anybody \
                 can have one"
            }
            Self::Issuer => "the password and any certificate of this one CA are enough",
            Self::SubjectAndIssuer => {
                "only the password together with the one certificate's key opens it"
            }
        }
    }

    /// What names in it cannot tell apart or will not outlive: sentences, none where all is well.
    pub fn cautions(self, dialect: Dialect, certificate: &Certificate) -> Vec<String> {
        let mut words = Vec::new();
        let names: &[(&str, &Name)] = match self {
            Self::SubjectAndIssuer => {
                &[("subject", &certificate.subject), ("issuer", &certificate.issuer)]
            }
            Self::Issuer => &[("issuer", &certificate.issuer)],
            _ => return words,
        };
        if dialect.names_known && names.iter().any(|(_, name)| name.differs_between_libraries()) {
            words.push(
                "OpenSSL 3 and older TLS libraries write this name differently: an upgrade of the \
                 server from one to the other would lock the account out"
                    .to_owned(),
            );
        }
        for (part, name) in names {
            let overlooked: Vec<String> = name
                .overlooked(dialect.names)
                .iter()
                .map(|attribute| printable(&attribute.key).into_owned())
                .collect();
            if !overlooked.is_empty() {
                words.push(format!(
                    "yaSSL does not look at {} of the {part}: certificates of this CA that differ in \
                     nothing else get in as well",
                    overlooked.join(", ")
                ));
            }
            if name.has_twins(dialect.names) {
                words.push(format!(
                    "another name can come to the same text as this {part} ({}): a CA that signs \
                     whatever name it is asked for could be made to sign that one",
                    match dialect.names {
                        OneLine::OpenSsl3 => r"\xC3 typed out, and the byte C3",
                        OneLine::OpenSsl1 =>
                            r"CN=a/O=b, and CN=a with O=b; \xC3 typed out, and the byte C3",
                        OneLine::YaSsl => "CN=a/O=b, and CN=a with O=b",
                    }
                ));
            }
        }
        words
    }
}

impl Level {
    /// What would have to be required instead, should the server's library be another than thought:
    /// a sentence for each that may be.
    pub fn otherwise(
        self,
        dialect: Dialect,
        certificate: &Certificate,
        require: &Require,
    ) -> Vec<String> {
        let Require::Specified { subject, issuer, .. } = require else { return Vec::new() };
        let others = dialect.other_names().into_iter().filter_map(|names| {
            let other = self.require_as(dialect, names, Some(certificate), None);
            let instead = match &other {
                Ok(Require::Specified { subject: s, issuer: i, .. }) => {
                    if (s, i) == (subject, issuer) {
                        return None;
                    }
                    let parts = [("SUBJECT", s), ("ISSUER", i)];
                    let parts = parts.into_iter().filter(|(_, name)| !name.is_empty());
                    let parts = parts.map(|(part, name)| format!("{part} '{}'", printable(name)));
                    format!("it would be {}", parts.collect::<Vec<_>>().join(" "))
                }
                Ok(_) => return None,
                Err(why) => format!("it could not be: {why}"),
            };
            Some(format!(
                "it is not known with which TLS library this server was built; this is for {}, and with \
                 {} {instead}: prove it at once, the login decides",
                dialect.names.label(),
                names.label(),
            ))
        });
        others.collect()
    }
}

impl Trusted {
    pub fn of(facts: &Facts) -> Self {
        if facts.is_yassl() {
            return Self::Own; // it has no CAs of a system to fall back on
        }
        if let Some(files) = facts.files.read() {
            if !files.public_cas.is_empty() {
                return Self::Public;
            }
            if files.ca.as_ref().is_some_and(|ca| ca.content.is_ok()) {
                return Self::Own;
            }
        }
        match facts.server.read() {
            Some(server) if !server.variables.contains_key("ssl_ca") => Self::Unknown,
            Some(server)
                if server.variable("ssl_ca").is_none()
                    && server.variable("ssl_capath").is_none() =>
            {
                Self::System
            }
            _ => Self::Unknown,
        }
    }
}

/// What to ask for, and why.
pub fn recommended(trusted: Trusted) -> (Level, &'static str) {
    let why = match trusted {
        Trusted::Own => {
            "the CA is your own: one certificate for each account, and no other opens it"
        }
        Trusted::Public => "ssl_ca holds a public CA: only a name keeps strangers out",
        Trusted::System => "the server trusts every public CA: only a name keeps strangers out",
        Trusted::Unknown => "one certificate for each account, and no other opens it",
    };
    (Level::SubjectAndIssuer, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Version;
    use crate::rules::testing;
    use crate::x509::testing as pki;

    fn certificate() -> Certificate {
        Certificate::from_openssl(&pki::root("Own CA").issue_server("app").certificate)
    }

    fn dialect(flavor: Flavor) -> Dialect {
        Dialect::new(flavor, Version(10, 11, 19), Some("OpenSSL 3.0.19"))
    }

    fn require(level: Level, flavor: Flavor, cipher: Option<&str>) -> Result<Require, Refused> {
        let cipher = cipher.map(|name| Cipher::parse(name).unwrap());
        level.require(dialect(flavor), Some(&certificate()), cipher.as_ref())
    }

    fn specified(subject: &str, issuer: &str, cipher: &str) -> Require {
        let [subject, issuer, cipher] = [subject, issuer, cipher].map(str::to_owned);
        Require::Specified { subject, issuer, cipher }
    }

    #[test]
    fn each_level_asks_for_what_it_says() {
        let of = |level| require(level, Flavor::MariaDb, None);
        assert_eq!(of(Level::None), Ok(Require::None));
        assert_eq!(of(Level::Ssl), Ok(Require::Ssl));
        assert_eq!(of(Level::X509), Ok(Require::X509));
        assert_eq!(of(Level::Issuer), Ok(specified("", "/CN=Own CA", "")));
        assert_eq!(of(Level::SubjectAndIssuer), Ok(specified("/CN=app", "/CN=Own CA", "")));
        let without = Level::Issuer.require(dialect(Flavor::MariaDb), None, None);
        assert_eq!(without, Err(Refused::NoCertificate));
    }

    #[test]
    fn a_cipher_comes_on_top_where_the_server_can_say_both() {
        let name = "TLS_AES_256_GCM_SHA384";
        let of = |level, flavor| require(level, flavor, Some(name));
        assert_eq!(of(Level::Issuer, Flavor::MariaDb), Ok(specified("", "/CN=Own CA", name)));
        assert_eq!(of(Level::Ssl, Flavor::MariaDb), Ok(specified("", "", name)));
        assert_eq!(of(Level::X509, Flavor::MariaDb), Err(Refused::CipherOfX509));
        // there CIPHER alone asks for a certificate as well
        assert_eq!(of(Level::X509, Flavor::MySql), Ok(specified("", "", name)));
        assert_eq!(of(Level::None, Flavor::MySql), Err(Refused::CipherOfNone));
    }

    #[test]
    fn a_name_that_means_anyone_is_refused_with_the_part_it_is_of() {
        let mut nobody = certificate();
        nobody.subject = Name::default();
        let of = |level: Level| level.require(dialect(Flavor::MySql), Some(&nobody), None);
        let said = of(Level::SubjectAndIssuer).unwrap_err().to_string();
        assert!(said.contains("the subject") && said.contains("means anyone"), "{said}");
        assert!(of(Level::Issuer).is_ok());
    }

    #[test]
    fn x509_alone_is_refused_where_a_public_ca_is_trusted() {
        for trusted in [Trusted::System, Trusted::Public] {
            let said = Level::X509.check(trusted).unwrap_err().to_string();
            assert!(said.contains("anybody") && said.contains("SUBJECT and ISSUER"), "{said}");
            assert!(Level::Issuer.leaves_open(trusted, false).contains("anybody can have one"));
            assert_eq!(recommended(trusted).0, Level::SubjectAndIssuer);
        }
        for trusted in [Trusted::Own, Trusted::Unknown] {
            assert_eq!(Level::X509.check(trusted), Ok(()));
        }
        assert_eq!(Level::SubjectAndIssuer.check(Trusted::System), Ok(()));
    }

    #[test]
    fn whom_a_server_trusts_follows_from_its_files_or_its_own_word() {
        let mut facts = testing::with_server(|server| {
            server.variables.insert("ssl_ca".into(), String::new());
            server.variables.insert("ssl_capath".into(), String::new());
        });
        assert_eq!(Trusted::of(&facts), Trusted::Own, "its file could be read");
        let files = match &mut facts.files {
            crate::facts::Source::Read(files) => files,
            crate::facts::Source::Unread(_) => panic!(),
        };
        files.public_cas = vec![0];
        assert_eq!(Trusted::of(&facts), Trusted::Public);
        facts.files =
            crate::facts::Source::unread(crate::facts::UnreadKind::NotAsked, "elsewhere", "");
        assert_eq!(Trusted::of(&facts), Trusted::System);
    }

    #[test]
    fn what_a_library_cannot_tell_apart_is_said() {
        let mut odd = certificate();
        odd.subject.rdns[0][0].value = b"a/O=b".to_vec();
        let said = |library| {
            let dialect = Dialect::new(Flavor::MySql, Version(5, 7, 40), Some(library));
            Level::SubjectAndIssuer.cautions(dialect, &odd).join("\n")
        };
        assert!(said("OpenSSL 1.1").contains("CN=a/O=b, and CN=a with O=b"));
        assert!(
            said("OpenSSL 3.0").contains("an upgrade") && !said("OpenSSL 3.0").contains("CN=a")
        );
        odd.subject.rdns[0][0].key = "serialNumber".into();
        let dialect = Dialect::new(Flavor::MySql, Version(5, 6, 24), Some("YaSSL"));
        let said = Level::SubjectAndIssuer.cautions(dialect, &odd).join("\n");
        assert!(said.contains("yaSSL does not look at serialNumber"), "{said}");
    }
}
