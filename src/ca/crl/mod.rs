//! Lists of what was revoked.
//!
//! A server with `ssl_crl` set asks for a list of *every* CA of a chain, and refuses everybody when one
//! is missing or past its next update: so they are made together and kept in one file.

use std::path::{Path, PathBuf};

use openssl::x509::{X509, X509Crl, X509KeyUsage};
use rcgen::{CertificateRevocationListParams, RevocationReason, RevokedCertParams, SerialNumber};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use deploy::{hand_over, may_replace};

use super::authority::serial;
use super::store::{Event, Revoked, Work, read, with_key};
use super::{Authority, CaError, Store};
use crate::disk::{self, Meta};
use crate::x509::certificate::{hex_upper, unix_seconds};

mod deploy;

/// Why a certificate was revoked (RFC 5280 §5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Not said.
    #[default]
    Unspecified,
    /// Somebody else may have the key.
    KeyCompromise,
    /// Another certificate took its place.
    Superseded,
    /// Its account or server is no more.
    CessationOfOperation,
    /// Its owner may no longer do what it was for.
    PrivilegeWithdrawn,
}

impl Reason {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }

    /// `None` for one that is not said: the extension is to be left out then.
    fn code(self) -> Option<RevocationReason> {
        match self {
            Self::Unspecified => None,
            Self::KeyCompromise => Some(RevocationReason::KeyCompromise),
            Self::Superseded => Some(RevocationReason::Superseded),
            Self::CessationOfOperation => Some(RevocationReason::CessationOfOperation),
            Self::PrivilegeWithdrawn => Some(RevocationReason::PrivilegeWithdrawn),
        }
    }
}

/// How the lists are to be signed anew.
#[derive(Clone, Debug)]
pub struct Update {
    /// Seconds since 1970, UTC.
    pub now: i64,
    /// Days until the next update of the CA's own list; `None`: as the last, or [`Self::DAYS`].
    pub days: Option<u32>,
    /// The same for the list of a root that is kept apart; or [`Self::ROOT_DAYS`].
    pub root_days: Option<u32>,
    /// Where `ca.pem` and `ca-key.pem` of the root are; `None`: in the store, if they are.
    pub root: Option<PathBuf>,
}

/// What became of the list of each CA of the chain; their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    pub signed: Vec<String>,
    /// Its key is not here, and its list stays as it was.
    pub kept: Vec<String>,
    /// Its key is not here, and there is no list: servers would refuse everybody.
    pub missing: Vec<String>,
}

impl Update {
    /// Of the CA that issues: its key is at hand.
    pub const DAYS: u32 = 30;
    /// Of a root that is offline: somebody has to fetch its key.
    pub const ROOT_DAYS: u32 = 365;
}

impl Default for Update {
    fn default() -> Self {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        Self { now, days: None, root_days: None, root: None }
    }
}

impl Store {
    /// Signs the lists of all CAs of the chain whose keys are at hand, into `crl.pem`.
    pub fn sign_lists(&self, update: &Update) -> Result<Signed, CaError> {
        self.begin()?.sign_lists(update)
    }

    /// Revokes these serial numbers, which are in the list of the CA, and signs the lists.
    pub fn revoke(
        &self,
        serials: &[String],
        reason: Reason,
        update: &Update,
    ) -> Result<Signed, CaError> {
        let work = self.begin()?;
        let missing = serials.iter().find(|serial| work.index.get(serial).is_none());
        if let Some(serial) = missing {
            return Err(CaError::NoSuchCertificate { sought: serial.clone() });
        }
        work.revoke(serials, reason, update)
    }

    /// Revokes serial numbers that the CA gave with another tool, and signs the lists. They are
    /// upper-case hexadecimal, as [`hex`] writes them; what was revoked before stays as it was.
    pub fn revoke_elsewhere(
        &self,
        serials: &[String],
        reason: Reason,
        update: &Update,
    ) -> Result<Signed, CaError> {
        self.begin()?.revoke(serials, reason, update)
    }
}

impl Work<'_> {
    fn revoke(
        mut self,
        serials: &[String],
        reason: Reason,
        update: &Update,
    ) -> Result<Signed, CaError> {
        // whatever would keep the list from being signed is said before anything is entered
        self.look(update)?;
        self.announce_lists()?;
        let at = update.now;
        let event = |serial: &String| Event::Revoked { serial: serial.clone(), at, reason };
        self.append(serials.iter().map(event).collect())?;
        self.sign_lists(update)
    }

    /// Whether the lists can be signed.
    fn look(&self, update: &Update) -> Result<(), CaError> {
        super::authority::refuse_clock(update.now)?;
        let path = self.store.authority().path();
        for (at, ca) in path.iter().enumerate() {
            if self.holder(at, &path, update.root.as_deref())?.is_some() {
                may_sign_lists(ca)?;
            }
        }
        match (&update.root, path.len()) {
            (Some(folder), 1) => {
                let why = "this CA is a root itself: there is none above it".to_owned();
                Err(CaError::NotAccepted { path: folder.clone(), why })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn sign_lists(&mut self, update: &Update) -> Result<Signed, CaError> {
        self.look(update)?;
        let path = self.store.authority().path();
        let file = self.store.dir().join(Store::CRL_FILE);
        let old = std::fs::read(&file).unwrap_or_default();
        let old = lists_in(&old);
        // a store that came from an older backup does not give a number twice
        let number = old.iter().filter_map(number_of).max().unwrap_or(0);
        let number = number.max(self.index.crl_number) + 1;
        let mut done = Signed::default();
        let mut pem = Vec::new();
        for (at, ca) in path.iter().enumerate() {
            let name = crate::x509::Name::from_openssl(ca.subject_name()).short();
            let key = ca.public_key()?;
            let old = old.iter().find(|crl| crl.verify(&key).unwrap_or(false));
            let Some(authority) = self.holder(at, &path, update.root.as_deref())? else {
                match old {
                    Some(old) => {
                        pem.extend(old.to_pem()?);
                        done.kept.push(name);
                    }
                    None => done.missing.push(name),
                }
                continue;
            };
            let revoked = if at == 0 { self.revoked(update.now)? } else { revoked_before(old)? };
            let days = match at {
                0 => update.days.or_else(|| lifetime(old?)).unwrap_or(Update::DAYS),
                _ => update.root_days.or_else(|| lifetime(old?)).unwrap_or(Update::ROOT_DAYS),
            };
            let edition = Edition {
                number,
                this_update: update.now - 300,
                next_update: update.now + i64::from(days) * 86_400,
            };
            pem.extend(authority.revocation_list(edition, &revoked)?.to_pem()?);
            done.signed.push(name);
        }
        self.append(vec![Event::Crl { number }])?;
        disk::overwrite(&file, &pem, Meta::mode(0o644))?;
        self.lists_are_signed()?;
        Ok(done)
    }

    /// The CA at this place of the path with its key, if that is at hand.
    fn holder(
        &self,
        at: usize,
        path: &[X509],
        root: Option<&Path>,
    ) -> Result<Option<Authority>, CaError> {
        if at == 0 {
            return Ok(Some(self.store.authority().clone()));
        }
        let folder = root.map_or_else(|| self.store.dir().join(Store::ROOT), Path::to_owned);
        let (certificate, key) = (folder.join(Store::CA_FILE), folder.join(Store::KEY_FILE));
        // somebody who names a folder means it
        let no = |why: &str| match root {
            Some(_) => Err(CaError::NotAccepted { path: folder.clone(), why: why.to_owned() }),
            None => Ok(None),
        };
        if !certificate.exists() || !key.exists() {
            return no("there is no ca.pem with its ca-key.pem in it");
        }
        let found = crate::x509::pem::certificates(&read(&certificate)?);
        let found = found.map_err(|defect| CaError::File { path: certificate, defect })?;
        if found[0].to_der()? != path[at].to_der()? {
            return no("its CA is not the one above this CA");
        }
        match with_key(path[at..].to_vec(), &key, self.store.passphrase()) {
            // under another passphrase it is as good as not here
            Err(CaError::Passphrase { .. } | CaError::KeyEncrypted { .. }) if root.is_none() => {
                Ok(None)
            }
            held => held.map(Some),
        }
    }

    /// Whatever was revoked and would still be valid, or of which nobody knows until when it is.
    fn revoked(&self, now: i64) -> Result<Vec<RevokedSerial>, CaError> {
        let valid = self.index.entries.iter().filter(|entry| entry.not_after >= now);
        let own = valid.filter_map(|entry| Some((&entry.serial, entry.revoked?)));
        let others = self.index.elsewhere.iter().map(|one| (&one.serial, one.revoked));
        let line = |(serial, revoked): (&String, Revoked)| {
            let serial = openssl::bn::BigNum::from_hex_str(serial)?.to_vec();
            Ok(RevokedSerial { serial, at: revoked.at, reason: revoked.reason })
        };
        own.chain(others).map(line).collect()
    }
}

fn may_sign_lists(ca: &X509) -> Result<(), CaError> {
    if ca.key_usage().is_some_and(|usage| !usage.contains(X509KeyUsage::CRL_SIGN)) {
        let name = crate::x509::Name::from_openssl(ca.subject_name()).short();
        return Err(CaError::MayNotSignLists { name });
    }
    Ok(())
}

/// A serial number as lists are compared by: upper-case hexadecimal, no leading zero bytes.
pub fn hex(serial: &openssl::bn::BigNumRef) -> String {
    hex_upper(&serial.to_vec())
}

pub(super) fn number_of(list: &X509Crl) -> Option<u64> {
    let (_, number) = list.extension::<openssl::x509::CrlNumber>().ok()??;
    number.to_bn().ok()?.to_dec_str().ok()?.parse().ok()
}

/// The lists of a file that mytls wrote.
pub(super) fn lists_in(bytes: &[u8]) -> Vec<X509Crl> {
    const BEGIN: &str = "-----BEGIN X509 CRL-----";
    let text = String::from_utf8_lossy(bytes);
    let blocks = text.split(BEGIN).skip(1);
    blocks.filter_map(|rest| X509Crl::from_pem(format!("{BEGIN}{rest}").as_bytes()).ok()).collect()
}

/// What a list said before, for a CA whose certificates are not kept here.
fn revoked_before(old: Option<&X509Crl>) -> Result<Vec<RevokedSerial>, CaError> {
    let revoked = old.and_then(|crl| crl.get_revoked()).into_iter().flatten();
    let line = |one: &openssl::x509::X509RevokedRef| {
        let serial = one.serial_number().to_bn()?.to_vec();
        let at = unix_seconds(one.revocation_date());
        Ok(RevokedSerial { serial, at, reason: reason_of(one) })
    };
    revoked.map(line).collect()
}

/// What another tool revoked, and the number of its list, for the list of a new store.
pub(super) fn earlier(list: &X509Crl) -> Result<Vec<Event>, CaError> {
    let revoked = list.get_revoked().into_iter().flatten();
    let event = |one: &openssl::x509::X509RevokedRef| {
        let serial = hex(&*one.serial_number().to_bn()?);
        let at = unix_seconds(one.revocation_date());
        Ok(Event::Revoked { serial, at, reason: reason_of(one) })
    };
    let mut events: Vec<Event> = revoked.map(event).collect::<Result<_, CaError>>()?;
    events.extend(number_of(list).map(|number| Event::Crl { number }));
    Ok(events)
}

/// Of those that mytls gives; any other is one that is not said.
fn reason_of(one: &openssl::x509::X509RevokedRef) -> Reason {
    let code = one.extension::<openssl::x509::ReasonCode>().ok().flatten();
    match code.and_then(|(_, code)| code.get_i64().ok()) {
        Some(1) => Reason::KeyCompromise,
        Some(4) => Reason::Superseded,
        Some(5) => Reason::CessationOfOperation,
        Some(9) => Reason::PrivilegeWithdrawn,
        _ => Reason::Unspecified,
    }
}

/// For how many days it was meant to be taken.
fn lifetime(crl: &X509Crl) -> Option<u32> {
    let seconds = unix_seconds(crl.next_update()?) - unix_seconds(crl.last_update());
    u32::try_from(seconds / 86_400).ok().filter(|days| *days > 0)
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedSerial {
    /// Big-endian.
    pub serial: Vec<u8>,
    /// Seconds since 1970, UTC.
    pub at: i64,
    pub reason: Reason,
}

/// What a list is to say besides what is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edition {
    /// Greater with every list of this CA (RFC 5280 §5.2.3).
    pub number: u64,
    /// Seconds since 1970, UTC.
    pub this_update: i64,
    /// The last second in which servers take it.
    pub next_update: i64,
}

impl Authority {
    /// Its list of revoked certificates.
    pub fn revocation_list(
        &self,
        edition: Edition,
        revoked: &[RevokedSerial],
    ) -> Result<X509Crl, CaError> {
        let number = SerialNumber::from(edition.number);
        self.list(number, edition.this_update, edition.next_update, revoked)
    }

    /// A list of nothing, valid from and until these seconds since 1970: for the sandbox.
    pub(crate) fn crl(&self, this_update: i64, next_update: i64) -> Result<X509Crl, CaError> {
        self.list(SerialNumber::from(serial()?), this_update, next_update, &[])
    }

    fn list(
        &self,
        crl_number: SerialNumber,
        this_update: i64,
        next_update: i64,
        revoked: &[RevokedSerial],
    ) -> Result<X509Crl, CaError> {
        let press = self.press()?;
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| CaError::Dates);
        let line = |one: &RevokedSerial| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from(one.serial.clone()),
                revocation_time: at(one.at)?,
                reason_code: one.reason.code(),
                invalidity_date: None,
            })
        };
        let list = CertificateRevocationListParams {
            this_update: at(this_update)?,
            next_update: at(next_update)?,
            crl_number,
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(line).collect::<Result<_, CaError>>()?,
            key_identifier_method: press.identifier(),
        };
        Ok(X509Crl::from_der(&press.list(&list)?)?)
    }
}
