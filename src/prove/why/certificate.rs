//! What a server has against a client's certificate in the handshake, before any account is
//! looked at: in the order in which OpenSSL looks (`X509_verify_cert`).

use openssl::x509::{CrlStatus, X509, X509Crl};

use super::{Attempt, Case, Cause, Kind, cure};
use crate::facts::{Crl, Facts, Holds, ServerFiles};
use crate::printable::printable;
use crate::x509::Certificate;
use crate::x509::chain::{Purpose, VerifyFault, verify};

/// `X509_V_ERR_INVALID_PURPOSE`.
const INVALID_PURPOSE: i32 = 26;

/// Everything that is wrong with it, as far as this can be known here.
pub fn faults(facts: &Facts, attempt: &Attempt) -> Vec<Cause> {
    let Some(leaf) = attempt.shown.first() else { return Vec::new() };
    let mut found = Vec::new();
    let files = facts.files.read();
    if let Some(files) = files.filter(|files| files.trusted().next().is_some()) {
        found.extend(chain(facts, files, &attempt.shown));
    }
    let has = |kind: Kind, found: &[Cause]| found.iter().any(|cause| cause.kind == kind);
    let other_use = leaf.purposes.as_ref().is_some_and(|purposes| !purposes.client);
    if other_use && !has(Kind::CertificatePurpose, &found) {
        found.push(purpose(leaf));
    }
    if let Some(files) = files {
        found.extend(revocation(facts, files, &attempt.shown));
    }
    if facts.at > leaf.not_after {
        let what = "the certificate has expired";
        found.push(Cause::new(Kind::CertificateExpired, what).saw("until", day(leaf.not_after)));
    } else if facts.at < leaf.not_before {
        let what = "the certificate is not valid yet, by the clock of this host";
        let cause =
            Cause::new(Kind::CertificateNotYetValid, what).saw("from", day(leaf.not_before));
        found.push(cause.advise("compare the clocks of the two hosts, or wait until then"));
    }
    found.into_iter().map(|cause| renewed(facts, attempt, cause)).collect()
}

/// What an alert says, where nothing of the server is known but that.
pub fn by_alert(facts: &Facts, attempt: &Attempt, alert: &str) -> Option<Cause> {
    let (kind, what) = match alert {
        "unknown ca" => (
            Kind::CertificateUntrusted,
            "the server does not trust the CA of this certificate, or lacks its revocation list",
        ),
        "certificate expired" => (
            Kind::CrlExpired,
            "the certificate is in date, so it is the server's revocation list, or a CA between, that is out of date; or the server's clock is wrong",
        ),
        "certificate revoked" => {
            (Kind::CertificateRevoked, "the certificate is on the server's revocation list")
        }
        "unsupported certificate" => {
            (Kind::CertificatePurpose, "the certificate is not for clients")
        }
        _ => return None,
    };
    Some(renewed(facts, attempt, Cause::new(kind, what).saw("the server's alert", alert)))
}

/// With what gets the account a certificate that fits, where that is the way.
fn renewed(facts: &Facts, attempt: &Attempt, cause: Cause) -> Cause {
    match cause.kind {
        Kind::CrlExpired | Kind::CrlMissing => cause.cured(cure::revocation_list(facts)).advise(
            "renew the list (a CA of mytls: mytls ca crl), put it where ssl_crl says, and reload",
        ),
        Kind::ChainIncomplete => cause,
        _ => {
            let advice = if cause.advice.is_empty() {
                "get a new certificate for the account from the CA that the server trusts"
            } else {
                cause.advice.as_str()
            };
            let advice = advice.to_owned();
            cause.cured(cure::certificate(facts, &attempt.user)).advise(advice)
        }
    }
}

fn chain(facts: &Facts, files: &ServerFiles, shown: &[Certificate]) -> Option<Cause> {
    let openssl = |all: Vec<&Certificate>| -> Vec<X509> {
        all.into_iter().filter_map(Certificate::to_openssl).collect()
    };
    let (trusted, sent) = (openssl(files.trusted().collect()), openssl(shown.iter().collect()));
    let (leaf, rest) = sent.split_first()?;
    let fault = verify(leaf, rest, &trusted, Purpose::Client).err()?;
    if fault.code == INVALID_PURPOSE {
        return Some(purpose(&shown[0]));
    }
    let last = shown.last()?;
    let between = known(files).find(|ca| {
        let path = [rest, openssl(vec![*ca]).as_slice()].concat();
        last.is_signed_by(ca) && verify(leaf, &path, &trusted, Purpose::Client).is_ok()
    });
    if let Some(ca) = between {
        let what =
            "the certificate comes without the CA between it and the one that the server trusts";
        let cause = Cause::new(Kind::ChainIncomplete, what)
            .saw("issued by", last.issuer.display())
            .advise("put the certificate of that CA below the client's own, into the same file");
        return Some(cause.cured(cure::chain(facts, files, ca)));
    }
    Some(untrusted(files, last, &fault))
}

fn untrusted(files: &ServerFiles, last: &Certificate, fault: &VerifyFault) -> Cause {
    let names: Vec<String> = files.trusted().map(|ca| ca.subject.display()).collect();
    let namesake = files.trusted().any(|ca| ca.subject == last.issuer && !last.is_signed_by(ca));
    let what = if namesake {
        "the certificate comes from another CA of the same name as the one that the server trusts"
    } else {
        "the server does not trust the CA of this certificate"
    };
    Cause::new(Kind::CertificateUntrusted, what)
        .saw("issued by", last.issuer.display())
        .saw("ssl_ca holds", names.join("; "))
        .saw("OpenSSL", &fault.text)
}

/// Certificates of CAs that are known from files here.
fn known(files: &ServerFiles) -> impl Iterator<Item = &Certificate> {
    let nearby = files.nearby.iter().flat_map(|near| match &near.holds {
        Holds::Certificates(certificates) => certificates.as_slice(),
        Holds::Key(_) => &[],
    });
    let own = files.own_ca.iter().flat_map(|own| own.above.iter().chain([&own.certificate]));
    files.certificates().iter().chain(nearby).chain(own)
}

fn purpose(leaf: &Certificate) -> Cause {
    Cause::new(Kind::CertificatePurpose, "the certificate is not for clients")
        .saw("certificate", leaf.subject.display())
        .saw("extended key usage", "without clientAuth")
}

fn revocation(facts: &Facts, files: &ServerFiles, shown: &[Certificate]) -> Option<Cause> {
    let file = files.crl.as_ref().filter(|_| !facts.is_yassl())?;
    let lists = file.content.as_ref().ok()?;
    let path = printable(&file.path.display().to_string()).into_owned();
    let list_of = |name: &Certificate| -> Option<&Crl> {
        let of = |list: &&Crl| list.issuer == name.issuer;
        lists.iter().filter(of).max_by_key(|list| list.this_update)
    };
    for certificate in shown {
        if certificate.is_self_issued() {
            continue;
        }
        let Some(list) = list_of(certificate) else {
            let what = "the server has no revocation list of the CA of this certificate, and then takes none of its certificates";
            let cause = Cause::new(Kind::CrlMissing, what).saw("ssl_crl", &path);
            return Some(cause.saw("of", certificate.issuer.display()));
        };
        if list.next_update.is_some_and(|until| until < facts.at) {
            let what = "the server's revocation list is out of date, and with it every certificate of that CA";
            let until = list.next_update.map_or_else(String::new, day);
            let cause = Cause::new(Kind::CrlExpired, what).saw("ssl_crl", &path);
            return Some(cause.saw("of", list.issuer.display()).saw("until", until));
        }
        let (x509, crl) = (certificate.to_openssl()?, X509Crl::from_pem(list.pem.as_bytes()).ok()?);
        if matches!(crl.get_by_cert(&x509), CrlStatus::Revoked(_)) {
            let what = "the certificate was revoked: it is on the server's list";
            let cause = Cause::new(Kind::CertificateRevoked, what).saw("ssl_crl", &path);
            return Some(cause.saw("serial number", &certificate.serial));
        }
    }
    None
}

fn day(seconds: i64) -> String {
    crate::ca::day(seconds)
}

impl Case<'_> {
    /// The server has no TLS to offer.
    pub(super) fn tls_off(&self) -> Cause {
        let what = "TLS is off: the server offers none, so no account that asks for it gets in";
        let mut cause = Cause::new(Kind::TlsOff, what)
            .advise("mytls check says what is wrong with its key, certificate or CA");
        for name in ["have_ssl", "ssl_cert", "ssl_key", "tls_version"] {
            let value = self.facts.server.read().and_then(|server| server.variable(name));
            if let Some(value) = value {
                cause = cause.saw(name, value);
            }
        }
        cause
    }
}
