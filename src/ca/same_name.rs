//! The subject that an account's certificates had before.
//!
//! After a rotation that is not the one this CA would give it: a subject begins with the name of the CA
//! that issued first, and `REQUIRE SUBJECT` compares all of it. So it is kept.

use std::collections::HashMap;
use std::path::Path;

use openssl::x509::X509;

use super::rotate::State;
use super::{
    Authority, CaError, Catalog, Entry, Issued, KeyKind, Kind, PlainName, Store, Validity,
};
use crate::x509::{Certificate, OneLine};

impl Authority {
    /// Issues to an account of the CA in this folder: under the subject that it had before, if it had
    /// one there or with the CA that this one takes the place of.
    pub fn issue_client_in(
        &self,
        dir: &Path,
        account: &PlainName,
        key: KeyKind,
        validity: Validity,
    ) -> Result<Issued, CaError> {
        let own = if Store::exists(dir) { Catalog::read(dir)?.entries } else { Vec::new() };
        let replaced = replaced(dir);
        let mut known = HashMap::new();
        collect(&mut known, dir, &own);
        if let Some(old) = &replaced {
            collect(&mut known, &old.dir, &old.entries);
        }
        match self.other_subject(&known, account)? {
            Some(before) => self.issue_again(&before, key.generate()?, validity),
            None => self.issue_client(&self.client_spec(account, key, validity)?),
        }
    }

    /// The account's certificate whose subject is to be kept; `None` where it is the usual one.
    pub(super) fn other_subject(
        &self,
        known: &Known<'_>,
        account: &PlainName,
    ) -> Result<Option<X509>, CaError> {
        let Some((dir, entry)) = known.get(account.as_str()) else { return Ok(None) };
        if entry.subject == self.usual_subject(account) {
            return Ok(None);
        }
        super::store::copy_of(dir, &entry.serial).map(Some)
    }

    /// As OpenSSL 3 servers compare it, of an account that had no certificate before.
    fn usual_subject(&self, account: &PlainName) -> String {
        match self.house() {
            // plain names: nothing in them is escaped by any library
            Some(house) => format!("/O={house}/CN={account}"),
            None => format!("/CN={account}"),
        }
    }

    /// Whether it has another subject than an account gets that had none before.
    pub fn kept_subject(&self, account: &PlainName, issued: &Issued) -> bool {
        let subject = Certificate::from_openssl(&issued.certificate).subject;
        subject.oneline(OneLine::OpenSsl3) != self.usual_subject(account)
    }
}

/// The last certificate of each account, and the folder of the CA that issued it.
pub(super) type Known<'a> = HashMap<&'a str, (&'a Path, &'a Entry)>;

/// What an account has of the first of two CAs counts.
pub(super) fn collect<'a>(known: &mut Known<'a>, dir: &'a Path, entries: &'a [Entry]) {
    let clients = entries.iter().rev();
    for entry in clients.filter(|entry| entry.kind == Kind::Client && !entry.dropped) {
        if let Some(name) = entry.names.first() {
            known.entry(name).or_insert((dir, entry));
        }
    }
}

/// The CA that the one in this folder takes the place of, where that can still be read.
pub(super) fn replaced(dir: &Path) -> Option<Catalog> {
    Catalog::read(&State::read(dir).ok()??.from).ok()
}
