//! What can be wrong with a sandbox: data, under `assets/faults`, one file each.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::SandboxError;
use super::odd::{OddCertificate, OddKey};
use super::rewrite::Form;
use super::series::{Series, Servers};
use crate::ca::KeyKind;

/// A way in which a server's TLS is broken, and what is to be found of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The name of its file: `mismatched-key`.
    #[serde(skip)]
    pub name: String,
    /// One line: `the private key belongs to another certificate`.
    pub title: String,
    /// What happened, as it would be told of a real server.
    pub description: String,
    /// The servers that can have it; all of them when nothing is said.
    #[serde(default)]
    pub servers: Servers,
    #[serde(default)]
    pub stage: Stage,
    /// The rule that names it first; `None` for what is no error.
    #[serde(default)]
    pub first: Option<String>,
    /// Where another rule names it: `first_on = { "mysql-5.6" = "key-format" }`.
    #[serde(default)]
    pub first_on: BTreeMap<Series, String>,
    /// Other rules that may speak up because of it.
    #[serde(default)]
    pub may_follow: Vec<String>,
    /// Servers, or families of them, that do not start with this fault:
    /// `server_starts = { mariadb = false, "mysql-9.7" = true }`. All others do.
    #[serde(default)]
    pub server_starts: BTreeMap<Servers, bool>,
    /// It takes root's rights to make it.
    #[serde(default)]
    pub needs_root: bool,
    /// What is done to a healthy server, in order.
    #[serde(default)]
    pub changes: Vec<Step>,
}

/// When the server is broken. Its accounts are changed while it runs in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The server is stopped, broken, and started with the fault.
    #[default]
    BeforeStart,
    /// It goes on running: what it has loaded and what lies on the disk may differ.
    WhileRunning,
}

/// One step of the damage, and the servers on which it is taken: all when nothing is said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Step {
    #[serde(default)]
    pub on: Servers,
    #[serde(flatten)]
    pub change: Change,
}

/// What a step does. Files are named as they lie in the sandbox's `tls` folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// Another certificate and key for the server, in place of `server-cert.pem`, `server-key.pem`.
    IssueServer {
        /// By default of the kind that the sandbox uses on this server.
        #[serde(default)]
        key: Option<KeyKind>,
        /// Who signs it.
        #[serde(default = "issuing")]
        by: Holder,
        /// Whose name stands in it.
        #[serde(default = "server")]
        subject: Holder,
        /// Whether it says by which key it was signed (the authority key identifier).
        #[serde(default = "yes")]
        authority_key: bool,
        /// First and last day of validity, counted from today.
        #[serde(default)]
        days: Option<[i32; 2]>,
        /// The hosts that it names; by default every name that this host has for itself.
        #[serde(default)]
        sans: Option<Vec<String>>,
    },
    /// A certificate and key for the server in which something is odd, in place of
    /// `server-cert.pem` and `server-key.pem`.
    IssueOdd {
        #[serde(default = "issuing")]
        by: Holder,
        certificate: OddCertificate,
    },
    /// A key that belongs to nothing here.
    NewKey {
        file: String,
        #[serde(default)]
        key: Option<OddKey>,
    },
    /// These certificates, in this order.
    WriteCertificates {
        file: String,
        certificates: Vec<Holder>,
    },
    /// The key in this file, protected by a passphrase.
    EncryptKey {
        file: String,
        passphrase: String,
        /// In the form from before PKCS#8, with `DEK-Info`.
        #[serde(default)]
        traditional: bool,
    },
    /// The private key of a CA.
    WriteAuthorityKey {
        file: String,
        of: Holder,
    },
    /// The same file in another form, or what is left of it.
    Rewrite {
        file: String,
        to: Form,
    },
    Remove {
        file: String,
    },
    /// Permission bits, in octal: `0644`.
    Chmod {
        file: String,
        mode: String,
    },
    /// The key in this file, in another form of PEM.
    KeyForm {
        file: String,
        form: KeyForm,
    },
    /// This text before what is in the file.
    Prepend {
        file: String,
        text: String,
    },
    /// This text after all of my.cnf; `{folder}` is the sandbox's folder.
    AppendConfig {
        text: String,
    },
    /// A CA of this name (`policy` or `other`), below another one or as a root, with its faults.
    MakeAuthority {
        name: Holder,
        #[serde(default)]
        by: Option<Holder>,
        /// Whose subject it takes.
        #[serde(default)]
        subject: Option<Holder>,
        /// By default of the kind that the sandbox uses on this server.
        #[serde(default)]
        key: Option<KeyKind>,
        /// Whether it says that it is a CA.
        #[serde(default = "yes")]
        ca: bool,
        /// Whether its key usage lets it sign certificates.
        #[serde(default = "yes")]
        may_sign: bool,
        /// How many further CAs there may be below it.
        #[serde(default)]
        path_length: Option<u8>,
        #[serde(default)]
        days: Option<[i32; 2]>,
    },
    /// Revocation lists with nothing in them, one after the other.
    WriteCrls {
        file: String,
        crls: Vec<CrlOf>,
    },
    /// A folder of CAs as for `ssl_capath`; `hashed`: with the links that OpenSSL looks for.
    WriteFolder {
        folder: String,
        certificates: Vec<Holder>,
        hashed: bool,
    },
    Copy {
        from: String,
        to: String,
    },
    /// A symbolic link.
    Link {
        file: String,
        to: String,
    },
    /// Takes the server's right to read this file, or to enter this folder.
    DenyServer {
        file: String,
    },
    /// An option that names a file: this one.
    PointOption {
        name: String,
        file: String,
    },
    /// A line of `[mysqld]` in my.cnf, in place of the one there is.
    SetOption {
        name: String,
        value: String,
    },
    /// No such lines in my.cnf.
    RemoveOptions {
        names: Vec<String>,
    },
    /// A statement, run as root.
    Sql {
        statement: String,
        /// The server refuses it, which is the point.
        #[serde(default)]
        refused: bool,
    },
    /// The certificate of `app@%` with this subject, from the issuing CA, in place of the one there is.
    IssueClient {
        /// Short names and values: `[["O", "A/B"], ["CN", "app"]]`.
        subject: Vec<[String; 2]>,
    },
    /// The CA `of` once more, with its name and key, signed by another: `name` from now on.
    CrossSign {
        name: Holder,
        of: Holder,
        by: Holder,
    },
    /// A CA that this host's system trusts, for all the world, after what is in the file.
    AppendPublicCa {
        file: String,
    },
    /// These files, one after the other, as one; a key's mode and owner stay with it.
    AppendFiles {
        files: Vec<String>,
        to: String,
    },
    /// Keeps this folder out of the server's sight, as systemd does it: with an empty one mounted
    /// over it, where the server alone sees it. The unit that says so has to be written beside it.
    HideFolder {
        folder: String,
    },
    /// A text file; `{folder}` is the sandbox's folder. Its own folder is made when it is missing.
    WriteFile {
        file: String,
        text: String,
    },
    /// What an account needs to log in, `X509` for example, said as this server wants it said.
    Require {
        /// The account `user@%`.
        user: String,
        require: String,
    },
}

/// How a private key is written in PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// `BEGIN RSA PRIVATE KEY`.
    Pkcs1,
    /// `BEGIN EC PRIVATE KEY`.
    Sec1,
    /// `BEGIN PRIVATE KEY`.
    Pkcs8,
}

/// A CA's revocation list, valid from and to these days, counted from today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrlOf {
    pub of: Holder,
    #[serde(default = "a_month")]
    pub days: [i32; 2],
}

/// Whose certificate, or name, is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// The server's, as it is at that moment.
    Server,
    /// The CA that issued it and the accounts' certificates.
    Issuing,
    /// Another below the same root, with an RSA key.
    OldIssuing,
    /// The CA above that.
    Root,
    /// A CA that has nothing to do with this server.
    Stranger,
    /// A CA between root and issuing CA, or a second one below the root; made by `make-authority`.
    Policy,
    /// Another CA, made by `make-authority`.
    Other,
}

impl Fault {
    /// Every fault there is, the healthy server (`none`) first.
    pub fn all() -> Vec<Self> {
        FILES.iter().map(|(name, text)| Self::parse(name, text)).collect()
    }

    pub fn named(name: &str) -> Result<Self, SandboxError> {
        let file = FILES.iter().find(|(file, _)| *file == name);
        let file = file.ok_or_else(|| SandboxError::NoSuchFault { name: name.to_owned() })?;
        Ok(Self::parse(file.0, file.1))
    }

    /// The healthy server.
    pub fn none() -> Self {
        Self::parse(FILES[0].0, FILES[0].1)
    }

    /// The rule that names it on this server.
    pub fn first(&self, series: Series) -> Option<&str> {
        self.first_on.get(&series).or(self.first.as_ref()).map(String::as_str)
    }

    pub fn server_starts(&self, series: Series) -> bool {
        let mut said = self.server_starts.iter().filter(|(servers, _)| servers.contain(series));
        said.all(|(_, starts)| *starts)
    }

    /// Reads one from a text like those of `assets/faults`.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, toml::de::Error> {
        Ok(Self { name: name.to_owned(), ..toml::from_str(text)? })
    }

    fn parse(name: &str, text: &str) -> Self {
        match Self::from_toml(name, text) {
            Ok(fault) => fault,
            // the files are part of the program, and a test reads every one
            Err(error) => panic!("assets/faults/{name}.toml: {error}"),
        }
    }
}

fn yes() -> bool {
    true
}

fn a_month() -> [i32; 2] {
    [-1, 30]
}

fn issuing() -> Holder {
    Holder::Issuing
}

fn server() -> Holder {
    Holder::Server
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../assets/faults/", $name, ".toml")))),+]
    };
}

/// In the order in which they are listed.
const FILES: &[(&str, &str)] = files![
    "none",
    "mismatched-key",
    "mismatched-key-ec",
    "mismatched-key-ed25519",
    "key-unreadable",
    "key-encrypted",
    "key-missing",
    "key-folder-closed",
    "key-world-readable",
    "key-encrypted-traditional",
    "key-der",
    "key-is-certificate",
    "certificate-and-key-swapped",
    "key-rsa1024",
    "key-dsa",
    "key-secp256k1",
    "key-ed448",
    "key-pkcs8",
    "key-byte-order-mark",
    "key-ec-on-yassl",
    "ca-key-in-data-folder",
    "certificate-missing",
    "certificate-cut",
    "certificate-der",
    "certificate-html",
    "certificate-empty",
    "certificate-byte-order-mark",
    "certificate-not-yet-valid",
    "certificate-name-missing",
    "certificate-name-mismatch",
    "certificate-wildcard-mismatch",
    "certificate-ip-as-name",
    "certificate-without-server-purpose",
    "client-certificate-on-server",
    "certificate-sha1",
    "certificate-md5",
    "certificate-version-1",
    "certificate-is-ca",
    "wrong-chain-order",
    "chain-incomplete",
    "clients-lack-intermediate",
    "wrong-ca",
    "same-subject-as-ca",
    "intermediates-swapped",
    "chain-with-stranger",
    "chain-with-duplicate",
    "chain-not-in-ca",
    "ca-missing",
    "ca-empty",
    "ca-without-certificate",
    "ca-not-a-ca",
    "ca-ec-on-yassl",
    "ca-may-not-sign",
    "path-length-exceeded",
    "ca-expired",
    "intermediate-expired",
    "ca-remade",
    "ca-only-intermediate",
    "capath-without-hashes",
    "capath-alone",
    "ca-not-set",
    "system-ca-trusted",
    "crl-missing-for-ca",
    "crl-expired",
    "crl-of-another-ca",
    "crl-not-read",
    "error-log-goes-nowhere",
    "expired-server-certificate",
    "expiring-server-certificate",
    "no-tls",
    "account-without-require",
    "transport-not-enforced",
    "include-folder-missing",
    "options-in-other-group",
    "cipher-list-invalid",
    "old-protocols",
    "paths-not-loaded",
    "account-subject-rfc2253",
    "account-subject-display-form",
    "account-subject-trailing-space",
    "account-issuer-is-root",
    "account-cipher-of-old-protocol",
    "account-subject-empty",
    "certificate-auto-generated",
    "certificate-self-made",
    "public-ca-trusted",
    "auto-detection-off",
    "certificate-and-key-not-set",
    "key-option-missing",
    "option-overridden",
    "tls-version-invalid",
    "no-common-cipher",
    "ciphers-of-short-groups",
    "files-not-reloaded",
    "transport-enforced-without-tls",
    "account-subject-umlaut",
    "account-subject-slash",
    "files-hidden-by-systemd",
    "persisted-key",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_and_can_be_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/faults");
        let files = std::fs::read_dir(folder).unwrap();
        let mut on_disk: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .map(|file| file.strip_suffix(".toml").expect("only .toml files here").to_owned())
            .collect();
        let mut listed: Vec<String> = Fault::all().into_iter().map(|fault| fault.name).collect();
        assert_eq!(listed[0], "none");
        assert_eq!(Fault::none().changes, []);
        on_disk.sort();
        listed.sort();
        assert_eq!(on_disk, listed);
    }

    #[test]
    fn every_fault_says_what_it_is_in_a_line_and_what_it_should_raise() {
        for fault in Fault::all() {
            let name = &fault.name;
            assert!(fault.title.len() <= 70 && !fault.title.ends_with('.'), "{name}");
            assert!(fault.description.trim_end().ends_with('.'), "{name}");
            assert_eq!(fault.first.is_none(), name == "none", "{name}");
            assert!(Series::ALL.iter().any(|series| fault.servers.contain(*series)), "{name}");
            let all_meant = fault.server_starts.keys().all(|said| fault.servers.meet(said));
            assert!(all_meant, "{name}: server_starts of a server that it is not for");
        }
    }

    #[test]
    fn an_unknown_fault_is_answered_with_where_the_list_is() {
        let error = Fault::named("mismatched-kye").unwrap_err().to_string();
        assert!(error.contains("mytls sandbox --list"), "{error}");
    }
}
