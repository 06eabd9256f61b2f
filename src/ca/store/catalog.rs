//! A store as one looks at it: no key is read, no lock is taken, nothing is written.

use std::path::{Path, PathBuf};

use openssl::x509::X509Crl;

use super::index::Index;
use super::{Elsewhere, Entry, Revoked, Store, pending, read_chain};
use crate::ca::CaError;
use crate::ca::crl::{hex, lists_in};
use crate::x509::Certificate;
use crate::x509::certificate::unix_seconds;

/// What there is to know of a CA without its key.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    pub dir: PathBuf,
    /// The CA itself first, the root last.
    pub chain: Vec<Certificate>,
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// What was revoked here and issued with another tool; oldest first.
    pub elsewhere: Vec<Elsewhere>,
    /// One of each CA of the chain that has one.
    pub lists: Vec<RevocationList>,
    /// Serial numbers of what was being issued when mytls was stopped, or is being issued now.
    pub under_way: Vec<String>,
    /// The last line of the list is cut off: mytls was stopped while it wrote it.
    pub torn: bool,
}

/// A list of revoked certificates, from the file.
#[derive(Clone, Debug)]
pub struct RevocationList {
    /// Whose it is: the place of the CA in [`Catalog::chain`].
    pub of: usize,
    /// Seconds since 1970, UTC.
    pub this_update: i64,
    /// The last second in which servers take it.
    pub next_update: i64,
    /// Upper-case hexadecimal.
    pub serials: Vec<String>,
}

impl Catalog {
    pub fn read(dir: &Path) -> Result<Self, CaError> {
        super::place::resume(dir)?;
        let chain = read_chain(dir)?;
        let index = Index::read(dir)?;
        let crls = std::fs::read(dir.join(Store::CRL_FILE)).unwrap_or_default();
        let lists = lists_in(&crls);
        let lists = lists.iter().filter_map(|crl| RevocationList::of(crl, &chain)).collect();
        Ok(Self {
            dir: dir.to_owned(),
            chain: chain.iter().map(|ca| Certificate::from_openssl(ca)).collect(),
            entries: index.entries,
            elsewhere: index.elsewhere,
            lists,
            under_way: pending::serials(dir),
            torn: index.torn.is_some(),
        })
    }
}

impl Catalog {
    /// The certificate of an entry, from the copy that was kept of it.
    pub fn certificate(&self, serial: &str) -> Result<openssl::x509::X509, CaError> {
        super::copy_of(&self.dir, serial)
    }

    /// Whether, when and why it revoked this certificate, whichever tool issued that.
    pub fn revoked(&self, certificate: &Certificate) -> Option<Revoked> {
        let own = self.entries.iter().find(|entry| entry.sha256 == certificate.sha256);
        if let Some(entry) = own {
            return entry.revoked;
        }
        let bare = |serial: &str| serial.trim_start_matches('0').to_owned();
        let other = || self.elsewhere.iter().find(|o| bare(&o.serial) == bare(&certificate.serial));
        let issued_here = self.chain.first().is_some_and(|ca| ca.subject == certificate.issuer);
        issued_here.then(other).flatten().map(|other| other.revoked)
    }

    /// When the CA, or the first of those above it, expires, and nothing that it issued is taken any
    /// more: seconds since 1970, UTC.
    pub fn ends(&self) -> i64 {
        self.chain.iter().map(|ca| ca.not_after).min().unwrap_or(i64::MAX)
    }

    /// The CA and those above it, as servers and clients are to have it.
    pub fn ca_pem(&self) -> String {
        self.chain.iter().map(|ca| ca.pem.as_str()).collect()
    }
}

impl RevocationList {
    /// `None` when no CA of the chain signed it.
    pub(in crate::ca) fn of(crl: &X509Crl, chain: &[openssl::x509::X509]) -> Option<Self> {
        let signed_by = |ca: &openssl::x509::X509| {
            let same = ca.subject_name().try_cmp(crl.issuer_name());
            same.is_ok_and(std::cmp::Ordering::is_eq)
                && ca.public_key().is_ok_and(|key| crl.verify(&key).unwrap_or(false))
        };
        let of = chain.iter().position(signed_by)?;
        let revoked = crl.get_revoked().into_iter().flatten();
        let serials = revoked.filter_map(|one| Some(hex(&*one.serial_number().to_bn().ok()?)));
        Some(Self {
            of,
            this_update: unix_seconds(crl.last_update()),
            next_update: crl.next_update().map_or(i64::MAX, unix_seconds),
            serials: serials.collect(),
        })
    }
}
