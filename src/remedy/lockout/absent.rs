//! Who is not among the sessions: mytls itself, and clients that come from time to time.

use super::proposed::{Proposed, fulfils};
use super::{Accounts, Outcome};
use crate::facts::{Account, Carrier, Facts, OtherSession, Require, ServerFacts, Transport};
use crate::printable::printable;
use crate::remedy::statement::Dialect;
use crate::x509::{Certificate, pem};

/// What would become of mytls' own account on its next login.
pub(super) fn own(
    facts: &Facts,
    server: &ServerFacts,
    accounts: &Accounts,
    proposed: &Proposed,
) -> Option<String> {
    let tls = !server.session.cipher.is_empty();
    if proposed.secure_transport {
        return (!tls && server.session.over == Transport::Tcp).then(|| {
            "this very session comes in over the network without TLS, and could not come back"
                .to_owned()
        });
    }
    let mine = proposed.require.iter().find(|(name, _)| {
        printable(&format!("{}@{}", name.user, name.host)) == server.current_user
    });
    let (name, then) = mine?;
    let now = accounts.find(name).map_or(&Require::None, |account| &account.require);
    let carrier = match (tls, server.session.over) {
        (true, _) => Carrier::Tls,
        (false, Transport::Socket) => Carrier::Local,
        (false, Transport::Tcp) => Carrier::Tcp,
    };
    match fulfils(then, now, carrier) {
        Outcome::In => None,
        Outcome::Out(_) => Some(format!(
            "this very session is of {name} and comes in {}: it could not come back",
            carrier.words()
        )),
        // what mytls itself shows is known
        Outcome::Unclear(_) if **then == Require::X509 && facts.target.ssl_cert.is_some() => None,
        Outcome::Unclear(_) if shows(facts, server, then) => None,
        Outcome::Unclear(_) if facts.target.ssl_cert.is_none() => Some(format!(
            "this very session is of {name} and shows no certificate: it could not come back"
        )),
        Outcome::Unclear(_) => Some(format!(
            "this very session is of {name}, and whether its certificate is the one required was not \
             looked at: it might not come back"
        )),
    }
}

/// Whether the certificate of mytls' own login is the one that this asks for.
fn shows(facts: &Facts, server: &ServerFacts, then: &Require) -> bool {
    const LARGEST: u64 = 1 << 20;
    let Require::Specified { subject, issuer, cipher } = then else { return false };
    let dialect = Dialect::of(server);
    let leaf = facts.target.ssl_cert.as_ref().and_then(|path| {
        let bytes = crate::bounded::read(path, LARGEST).ok()?;
        pem::certificates(&bytes).ok()?.into_iter().next()
    });
    let Some(leaf) = leaf.map(|x509| Certificate::from_openssl(&x509)) else { return false };
    let is = |asked: &str, name| {
        asked.is_empty() || dialect.written(name).is_ok_and(|written| written == asked)
    };
    dialect.names_known
        && !(subject.is_empty() && issuer.is_empty())
        && is(subject, &leaf.subject)
        && is(issuer, &leaf.issuer)
        && (cipher.is_empty() || *cipher == server.session.cipher)
}

/// Words in the names of accounts whose clients come from time to time. A guess, and told as one.
const MONITORS: [&str; 11] = [
    "exporter", "monitor", "proxysql", "zabbix", "nagios", "icinga", "pmm", "datadog", "telegraf",
    "maxscale", "haproxy",
];

pub(super) fn absent(
    accounts: &Accounts,
    proposed: &Proposed,
    sessions: &[OtherSession],
) -> Vec<String> {
    let here: std::collections::HashSet<&str> =
        sessions.iter().map(|session| session.user.as_str()).collect();
    let concerned = |account: &&Account| {
        if account.locked || here.contains(account.name.user.as_str()) {
            return false;
        }
        if proposed.secure_transport {
            return account.is_for_the_network() && account.require == Require::None;
        }
        let then = proposed.require.get(&account.name);
        then.is_some_and(|then| **then != Require::None && **then != account.require)
    };
    let mut out: Vec<String> = accounts
        .all()
        .filter(concerned)
        .filter_map(|account| {
            let user = account.name.user.to_ascii_lowercase();
            let name = &account.name;
            if MONITORS.iter().any(|word| user.contains(word)) {
                return Some(format!(
                    "{name} has no session now; by its name a monitor or proxy comes in with it from time to time"
                ));
            }
            // an administrator holds every privilege, a replica's account this one
            let replicates = account.more.may_replicate && user != "root";
            replicates.then(|| {
                format!("{name} has no session now, and may replicate: a replica that is away comes in with it")
            })
        })
        .collect();
    out.sort();
    out
}
