//! The diagnostics: one rule per file, each a pure function from [`Facts`] to an [`Answer`].

use serde::Serialize;

use crate::facts::{Facts, FileFacts, ServerFiles, Unread};
use crate::printable::printable;
use crate::remedy::Remedy;

mod accounts;
mod chain;
mod crl;
pub(crate) mod encryption;
mod key;
pub mod messages;
mod server;
#[cfg(test)]
pub mod testing;

/// Every rule, in the order in which it is shown.
pub static ALL: &[&Rule] = &[
    &server::not_running::SERVER_NOT_RUNNING,
    &server::config_refused::CONFIG_REFUSED,
    &server::option_in_other_group::OPTION_IN_OTHER_GROUP,
    &server::option_overridden::OPTION_OVERRIDDEN,
    &server::tls_options_incomplete::TLS_OPTIONS_INCOMPLETE,
    &server::files_hidden_by_systemd::FILES_HIDDEN_BY_SYSTEMD,
    &server::files_denied_by_apparmor::FILES_DENIED_BY_APPARMOR,
    &server::tls_options_refused::TLS_OPTIONS_REFUSED,
    &server::open_to_all::OPEN_TO_ALL_ADDRESSES,
    &server::error_log_goes_nowhere::ERROR_LOG_GOES_NOWHERE,
    &key::swapped::CERTIFICATE_AND_KEY_SWAPPED,
    &key::key_is_certificate::KEY_IS_CERTIFICATE,
    &key::key_unusable::KEY_UNUSABLE,
    &key::key_unreadable::KEY_UNREADABLE,
    &key::key_encrypted::KEY_ENCRYPTED,
    &key::byte_order_mark::BYTE_ORDER_MARK,
    &key::key_format_unsupported::KEY_FORMAT_UNSUPPORTED,
    &key::key_type_unsupported::KEY_TYPE_UNSUPPORTED,
    &key::key_weak::KEY_WEAK,
    &key::key_mismatch::KEY_MISMATCH,
    &key::certificate_unusable::CERTIFICATE_UNUSABLE,
    &key::certificate_weak_signature::CERTIFICATE_WEAK_SIGNATURE,
    &key::certificate_wrong_purpose::CERTIFICATE_WRONG_PURPOSE,
    &key::auto_generated::CERTIFICATE_AUTO_GENERATED,
    &key::certificate_expired::CERTIFICATE_EXPIRED,
    &key::certificate_not_yet_valid::CERTIFICATE_NOT_YET_VALID,
    &key::certificate_expiring::CERTIFICATE_EXPIRING,
    &key::certificate_version_1::CERTIFICATE_VERSION_1,
    &key::certificate_ip_as_name::CERTIFICATE_IP_AS_NAME,
    &key::certificate_name_missing::CERTIFICATE_NAME_MISSING,
    &key::certificate_name_mismatch::CERTIFICATE_NAME_MISMATCH,
    &key::certificate_is_ca::CERTIFICATE_IS_CA,
    &key::key_world_readable::KEY_WORLD_READABLE,
    &key::key_next_to_ca_key::KEY_NEXT_TO_CA_KEY,
    &chain::ca_unusable::CA_UNUSABLE,
    &chain::wrong_order::CHAIN_WRONG_ORDER,
    &chain::same_subject_as_ca::SAME_SUBJECT_AS_CA,
    &chain::ca_type_unsupported::CA_TYPE_UNSUPPORTED,
    &chain::ca_not_a_ca::CA_NOT_A_CA,
    &chain::ca_may_not_sign::CA_MAY_NOT_SIGN,
    &chain::path_length_exceeded::PATH_LENGTH_EXCEEDED,
    &chain::ca_remade::CA_REMADE,
    &chain::ca_only_intermediate::CA_ONLY_INTERMEDIATE,
    &chain::ca_mismatch::CA_MISMATCH,
    &chain::incomplete::CHAIN_INCOMPLETE,
    &chain::ca_expired::CA_EXPIRED,
    &chain::intermediate_expired::INTERMEDIATE_EXPIRED,
    &chain::capath_without_hashes::CAPATH_WITHOUT_HASHES,
    &chain::capath_alone::CAPATH_ALONE,
    &chain::ca_not_set::CA_NOT_SET,
    &chain::public_ca::PUBLIC_CA_TRUSTED_FOR_CLIENTS,
    &chain::crl_of_another_ca::CRL_OF_ANOTHER_CA,
    &chain::crl_missing_for_ca::CRL_MISSING_FOR_CA,
    &chain::crl_expired::CRL_EXPIRED,
    &chain::crl_not_read::CRL_NOT_READ,
    &chain::has_stranger::CHAIN_HAS_STRANGER,
    &chain::not_in_ca::CHAIN_NOT_IN_CA,
    &encryption::no_common_cipher::NO_COMMON_CIPHER,
    &encryption::tls_off::TLS_OFF,
    &encryption::certificate_not_loaded::CERTIFICATE_NOT_LOADED,
    &encryption::paths_not_loaded::PATHS_NOT_LOADED,
    &encryption::old_protocols::OLD_PROTOCOLS,
    &encryption::session_not_encrypted::SESSION_NOT_ENCRYPTED,
    &encryption::transport_not_enforced::TRANSPORT_NOT_ENFORCED,
    &accounts::without_require::ACCOUNT_WITHOUT_REQUIRE,
    &accounts::issuer_not_trusted::ISSUER_NOT_TRUSTED,
    &accounts::subject_never_matches::SUBJECT_NEVER_MATCHES,
    &accounts::issuer_is_root::ISSUER_IS_ROOT,
    &accounts::cipher_of_old_protocol::CIPHER_OF_OLD_PROTOCOL,
    &accounts::subject_empty::SUBJECT_EMPTY,
];

/// The rule of this id.
pub fn find(id: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.id == id).copied()
}

/// A rule as one static: its doc comment is the rustdoc and what `mytls explain` prints.
macro_rules! rule {
    (
        $(#[doc = $doc:expr])+
        $vis:vis static $name:ident = {
            id: $id:literal,
            step: $step:ident,
            severity: $severity:ident,
            passes_as: $passes_as:literal,
            explained_by: $explained_by:expr,
        }
        $judge:expr
    ) => {
        $(#[doc = $doc])+
        $vis static $name: $crate::rules::Rule = $crate::rules::Rule {
            id: $id,
            step: $crate::rules::Step::$step,
            severity: $crate::rules::Severity::$severity,
            passes_as: $passes_as,
            explained_by: &$explained_by,
            doc: concat!($($doc, "\n",)+),
            file: file!(),
            judge: $judge,
        };
    };
}
use rule;

/// The rules of what keeps a server from having TLS, or from starting: what they find explains that
/// it has none.
const KEEPS_TLS_OFF: [&str; 23] = [
    "config-refused",
    "option-in-other-group",
    "option-overridden",
    "tls-options-incomplete",
    "tls-options-refused",
    "files-hidden-by-systemd",
    "files-denied-by-apparmor",
    "capath-alone",
    "key-unusable",
    "key-unreadable",
    "key-encrypted",
    "key-is-certificate",
    "key-format-unsupported",
    "key-type-unsupported",
    "key-weak",
    "key-mismatch",
    "byte-order-mark",
    "certificate-and-key-swapped",
    "certificate-unusable",
    "certificate-weak-signature",
    "chain-wrong-order",
    "ca-unusable",
    "no-common-cipher",
];

/// A step of the checklist, in the order in which it is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Server,
    Key,
    Chain,
    Encryption,
    Accounts,
    Report,
}

impl Rule {
    /// The text of one `## heading` of the explanation, with its line breaks.
    pub fn section(&self, heading: &str) -> Option<String> {
        let lines = self.doc.lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
        let body: Vec<&str> = lines
            .skip_while(|line| line.strip_prefix("## ") != Some(heading))
            .skip(1)
            .take_while(|line| !line.starts_with("## "))
            .collect();
        let body = body.join("\n").trim().to_owned();
        (!body.is_empty()).then_some(body)
    }

    /// The sections every explanation has, in order.
    pub const SECTIONS: [&'static str; 4] =
        ["What it checks", "Why it matters", "How to fix", "Source"];

    /// A finding of this rule, at its own severity.
    fn finding(&self, title: impl Into<String>, cause: impl Into<String>) -> Finding {
        Finding {
            rule: self.id,
            step: self.step,
            severity: self.severity,
            title: title.into(),
            evidence: Vec::new(),
            cause: cause.into(),
            remedies: Vec::new(),
            because_of: None,
        }
    }
}

impl Finding {
    /// Adds a line of evidence; the value is made printable.
    #[must_use]
    fn saw(mut self, label: &str, value: impl AsRef<str>) -> Self {
        let value = printable(value.as_ref()).into_owned();
        self.evidence.push(Evidence { label: label.to_owned(), value });
        self
    }

    #[must_use]
    fn remedy(mut self, remedy: impl IntoIterator<Item = Remedy>) -> Self {
        self.remedies.extend(remedy);
        self
    }

    #[must_use]
    fn at(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Names the rule that explains it here, beyond those that always do ([`Rule::explained_by`]).
    #[must_use]
    fn explained_by(mut self, rule: &'static Rule) -> Self {
        self.because_of = Some(rule.id);
        self
    }
}

impl Answer {
    fn fail(finding: Finding) -> Self {
        Self::Fail(vec![finding])
    }

    fn pass() -> Self {
        Self::Pass(String::new())
    }

    fn unknown(unread: &Unread) -> Self {
        Self::Unknown(unread.why.clone())
    }

    fn not_applicable(why: &str) -> Self {
        Self::NotApplicable(why.to_owned())
    }
}

/// Where an option is set, or at least which file it names: `/etc/mysql/server.pem  my.cnf:13`.
fn place<T>(file: &FileFacts<T>) -> String {
    let path = file.path.display();
    match &file.origin {
        Some(origin) => {
            let name = origin.file.file_name().unwrap_or_default().to_string_lossy();
            format!("{path}  ({} in {name}:{})", file.option, origin.line)
        }
        None => path.to_string(),
    }
}

/// The server's files, or the answer that says why there are none to look at.
fn files(facts: &Facts) -> Result<&ServerFiles, Answer> {
    facts.files.read().ok_or_else(|| match facts.files.reason() {
        Some(unread) => Answer::unknown(unread),
        None => Answer::not_applicable("no files"),
    })
}

/// `2026-11-22`
fn day(seconds: i64) -> String {
    let date = time::OffsetDateTime::from_unix_timestamp(seconds).map(time::OffsetDateTime::date);
    date.map_or_else(|_| format!("{seconds} s since 1970"), |date| date.to_string())
}

impl Step {
    pub const ALL: [Self; 6] =
        [Self::Server, Self::Key, Self::Chain, Self::Encryption, Self::Accounts, Self::Report];

    /// Counted from 1, as the digit keys are.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Key => "Key & certificate",
            Self::Chain => "CA & chain",
            Self::Encryption => "Encryption",
            Self::Accounts => "Accounts",
            Self::Report => "Report",
        }
    }
}

/// How bad it is. The order is that of growing weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// It works, and is unsafe or will stop working.
    Warning,
    /// Clients or the server fail, or the promise of TLS is broken.
    Error,
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A rule: what it is about, its explanation, and its judgement.
#[derive(Debug)]
pub struct Rule {
    /// Kebab-case, states what is wrong, stable for ever.
    pub id: &'static str,
    pub step: Step,
    /// The heaviest severity its findings have.
    pub severity: Severity,
    /// What holds when the rule passes: `the key belongs to the certificate`.
    pub passes_as: &'static str,
    /// Rules whose errors explain this one: then it is a consequence, not a cause.
    pub explained_by: &'static [&'static str],
    /// The doc comment, with its sections.
    pub doc: &'static str,
    /// The source file, for the test that every file is listed.
    pub file: &'static str,
    pub judge: fn(&Facts) -> Answer,
}

/// What a rule answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It holds; a few words of evidence for the eye (`RSA 2048, 0640 root:mysql`), may be empty.
    Pass(String),
    Fail(Vec<Finding>),
    /// The question does not arise here.
    NotApplicable(String),
    /// It could not be found out; says why, and what would help.
    Unknown(String),
}

/// Something wrong, with its cause and what to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub rule: &'static str,
    pub step: Step,
    pub severity: Severity,
    /// Lower case, no full stop: `the key belongs to another certificate`.
    pub title: String,
    /// What was seen, as pairs of label and value, made printable.
    pub evidence: Vec<Evidence>,
    /// What it means, in a sentence or two.
    pub cause: String,
    /// Alternatives, the best first.
    pub remedies: Vec<Remedy>,
    /// The rule whose finding explains this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because_of: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    pub label: String,
    pub value: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_is_listed_once_and_every_rule_is_explained() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut on_disk = BTreeSet::new();
        for step in ["server", "key", "chain", "encryption", "accounts"] {
            for entry in std::fs::read_dir(source.join("src/rules").join(step)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name != "mod.rs" {
                    on_disk.insert(format!("src/rules/{step}/{name}"));
                }
            }
        }
        let listed: BTreeSet<String> = ALL.iter().map(|rule| rule.file.to_owned()).collect();
        assert_eq!(listed, on_disk, "a file of src/rules is missing from ALL, or the reverse");
        assert_eq!(ALL.len(), listed.len(), "two rules in one file");

        let ids: BTreeSet<&str> = ALL.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), ALL.len(), "two rules of one id");
        for rule in ALL {
            assert!(
                rule.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{}",
                rule.id
            );
            for section in Rule::SECTIONS {
                assert!(rule.section(section).is_some(), "{} lacks `## {section}`", rule.id);
            }
            for cause in rule.explained_by {
                assert!(
                    ids.contains(cause),
                    "{} is explained by {cause}, which is no rule",
                    rule.id
                );
            }
            assert!(!rule.passes_as.ends_with('.'), "{}", rule.id);
        }
        let steps: Vec<Step> = ALL.iter().map(|rule| rule.step).collect();
        assert!(steps.is_sorted(), "the list follows the steps");
    }

    #[test]
    fn days_are_dates() {
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(i64::MAX), "9223372036854775807 s since 1970");
    }
}
