//! Named policies, and what of a server does not fit them. The policies are data.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::hello::Protocol;
use super::result::TlsScan;
use crate::x509::Certificate;

/// Whether a server fits a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub policy: String,
    pub title: String,
    pub fits: bool,
    /// What does not fit, in words.
    pub faults: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Policies {
    policy: Vec<Policy>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    name: String,
    title: String,
    /// No other version may be offered.
    versions: Vec<Protocol>,
    /// No other suite may be offered; OpenSSL's names. Empty: see `never`.
    #[serde(default)]
    suites: Vec<String>,
    /// Parts of IANA's names that no suite may have.
    #[serde(default)]
    never: Vec<String>,
    rsa_bits: u32,
    ec_bits: u32,
    dh_bits: usize,
    #[serde(default)]
    post_quantum: bool,
}

static POLICIES: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let parsed: Policies = toml::from_str(include_str!("../../assets/scan/policies.toml"))
        .expect("the file is part of the program, and a test reads it");
    parsed.policy
});

pub fn judge(scan: &TlsScan) -> Vec<Verdict> {
    POLICIES.iter().map(|policy| policy.judge(scan)).collect()
}

impl Policy {
    fn judge(&self, scan: &TlsScan) -> Verdict {
        let mut faults = Vec::new();
        for version in scan.versions.iter().filter(|version| version.offered) {
            let name = version.protocol.name();
            if !self.versions.contains(&version.protocol) {
                faults.push(format!("{name} is offered"));
                continue;
            }
            let wrong = |suite: &&super::result::SuiteSeen| {
                (!self.suites.is_empty() && !self.suites.contains(&suite.name))
                    || self.never.iter().any(|part| suite.iana.contains(part.as_str()))
            };
            let wrong: Vec<&str> =
                version.suites.iter().filter(wrong).map(|suite| suite.name.as_str()).collect();
            if !wrong.is_empty() {
                faults.push(format!("{name} has {}", wrong.join(", ")));
            }
        }
        if let Some(leaf) = scan.handshake.as_ref().and_then(|shake| shake.chain.first()) {
            faults.extend(self.key(leaf));
        }
        if let Some(bits) = scan.dh_bits.filter(|bits| *bits < self.dh_bits) {
            faults.push(format!("a Diffie-Hellman group of {bits} bits is used"));
        }
        if self.post_quantum && !scan.post_quantum {
            faults.push("no key exchange group withstands a quantum computer".to_owned());
        }
        if faults.is_empty() && !scan.versions.iter().all(|version| version.complete) {
            faults.push("not everything could be asked about".to_owned());
        }
        let (policy, title) = (self.name.clone(), self.title.clone());
        Verdict { policy, title, fits: faults.is_empty(), faults }
    }

    fn key(&self, leaf: &Certificate) -> Option<String> {
        let key = leaf.public_key.as_ref()?;
        let words = key.describe();
        let least = if words.starts_with("RSA") { self.rsa_bits } else { self.ec_bits };
        (key.bits < least).then(|| format!("the key is {words}"))
    }
}
