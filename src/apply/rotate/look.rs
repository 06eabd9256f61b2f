//! What is true of the running server: what its files hold, and what it makes of certificates.

use super::{Pair, naming, old_name, unbound};
use crate::ca::rotate::{self, Seen, Signer, State, Tried, Trusted};
use crate::ca::{Catalog, Issued, KeyKind, Kind, Store, Validity};
use crate::facts::{Facts, ServerFiles};
use crate::secret::Secret;
use crate::wire::{ClientIdentity, Endpoint, Limits, Login, Outcome, Tls, Trust, WireError, login};
use crate::x509::Certificate;

/// Nobody has this account, so that nothing can come of it: what counts is how far it gets.
const NOBODY: &str = "mytls-rotation";

/// Looks at the server in all the ways that a rotation depends on. For this it shows the server one
/// certificate of each CA: the old one's from the files of a client, the new one's made for it and
/// good for a day, and tries to log in as somebody who does not exist. A server that trusts the CA
/// refuses the login, and one that does not, the certificate.
pub fn look(facts: &Facts, state: &State, pair: &Pair<'_>, now: i64) -> Result<Seen, String> {
    let new: Vec<Certificate> =
        pair.new.authority().path().iter().map(|ca| Certificate::from_openssl(ca)).collect();
    let theirs = Catalog::read(pair.new.dir()).map_err(|error| error.to_string())?;
    let clients = rotate::clients(pair.old, &theirs, now);
    let without = clients.iter().filter(|client| !client.has_new && !client.by_request);
    let certificate = facts.handshake().and_then(|seen| seen.chain.first()).map(|leaf| {
        let by = |ca: Option<&Certificate>| ca.is_some_and(|ca| leaf.is_signed_by(ca));
        match (by(pair.old.chain.first()), by(new.first())) {
            (true, _) => Signer::Old,
            (_, true) => Signer::New,
            (false, false) => Signer::Other,
        }
    });
    // No secret is told to whoever answers; verified, it is asked to its end, which counts against
    // nobody, where breaking off would count against this host.
    let trust = match certificate {
        Some(Signer::Old | Signer::New) => {
            let all = pair.old.chain.iter().chain(&new);
            Trust::Only(all.filter_map(Certificate::to_openssl).collect())
        }
        _ => Trust::Unverified,
    };
    let tried = |own: ClientIdentity| show(facts, &trust, &own);
    let uptime = facts.server.read().and_then(|server| server.status.get("Uptime")?.parse().ok());
    Ok(Seen {
        started: uptime.map(|uptime: i64| facts.at - uptime),
        file: facts.files.read().and_then(|files| trusted(files, &pair.old.chain, &new)),
        takes_old: old_identity(pair.old, now).map_or_else(Tried::NotTried, tried),
        takes_new: new_identity(pair.new, now).map_or_else(Tried::NotTried, tried),
        certificate,
        naming_old: naming(facts, old_name(pair))
            .map(|accounts| accounts.iter().map(|account| account.name.to_string()).collect()),
        unbound: unbound(facts, state, pair),
        without: without.map(|client| client.entry.names.join(", ")).collect(),
        unlisted: unlisted(facts, &pair.old.chain, &new, state.drops_old()),
    })
}

/// The CAs whose lists the server needs and has not in its `ssl_crl`.
fn unlisted(
    facts: &Facts,
    old: &[Certificate],
    new: &[Certificate],
    drops_old: bool,
) -> Vec<String> {
    let crl = facts.files.read().and_then(|files| files.crl.as_ref());
    let Some(Ok(lists)) = crl.map(|file| &file.content) else { return Vec::new() };
    let old = old.iter().filter(|_| !drops_old);
    let without = old.chain(new).filter(|ca| !lists.iter().any(|list| list.is_of(ca)));
    let mut names: Vec<String> = without.map(|ca| ca.subject.short()).collect();
    names.dedup();
    names
}

/// What the file of `ssl_ca` holds; `None` when it cannot be read here.
fn trusted(files: &ServerFiles, old: &[Certificate], new: &[Certificate]) -> Option<Trusted> {
    let file = files.ca.as_ref()?.content.as_ref().ok()?;
    let holds = |ca: &Certificate| file.iter().any(|there| there.sha256 == ca.sha256);
    Some(Trusted { old: old.iter().any(holds), new: new.iter().all(holds) })
}

/// A certificate of the old CA with its key: a client's, or where the CA's own key is at hand, one
/// made for this.
fn old_identity(old: &Catalog, now: i64) -> Result<ClientIdentity, String> {
    let usable = old
        .entries
        .iter()
        .filter(|entry| entry.kind == Kind::Client && entry.is_current() && entry.not_after > now);
    for entry in usable {
        let [certificate, key, ..] = entry.files.as_slice() else { continue };
        let [certificate, key] = [certificate, key].map(|file| old.dir.join(file));
        let Ok(identity) = ClientIdentity::load(&certificate, &key) else { continue };
        let leaf = Certificate::from_openssl(&identity.chain[0]);
        if leaf.is_signed_by(&old.chain[0]) {
            return Ok(identity);
        }
    }
    let store = Store::open(&old.dir).map_err(|_| {
        "no client's key of the old CA is here, and its own cannot be opened".to_owned()
    })?;
    new_identity(&store, now)
}

/// A certificate that this CA makes for a look at the server. It is entered nowhere: its key never
/// leaves this process.
fn new_identity(ca: &Store, now: i64) -> Result<ClientIdentity, String> {
    let made = || -> Result<Issued, crate::ca::CaError> {
        let authority = ca.authority();
        // what knows no other keys than RSA has none of the other CAs either
        let key = match authority.key.id() {
            openssl::pkey::Id::RSA => KeyKind::Rsa2048,
            _ => KeyKind::P256,
        };
        let validity = Validity::From { now, days: 1 };
        authority.issue_client(&authority.client_spec(&NOBODY.parse()?, key, validity)?)
    };
    let issued = made().map_err(|error| error.to_string())?;
    let above = issued.chain.iter().filter(|ca| !Certificate::from_openssl(ca).self_signed);
    let chain = std::iter::once(&issued.certificate).chain(above).cloned().collect();
    Ok(ClientIdentity { chain, key: issued.key })
}

/// Shows the server this certificate.
fn show(facts: &Facts, trust: &Trust, identity: &ClientIdentity) -> Tried {
    let Some(wire) = facts.wire.read() else {
        let why = facts.wire.reason().map_or("nothing was seen of it", |unread| &unread.why);
        return Tried::NotTried(why.to_owned());
    };
    let mut password = [0; 16];
    if openssl::rand::rand_bytes(&mut password).is_err() {
        return Tried::NotTried("no password could be made up".to_owned());
    }
    let password = Secret::new(crate::x509::certificate::hex(&password));
    let tls = Tls { identity: Some(identity), check_host: false, ..Tls::new(trust) };
    let attempt = Login { user: NOBODY, password: &password, tls: Some(tls) };
    match login(&Endpoint::new(wire.host.clone(), wire.port), &attempt, Limits::default()) {
        Ok(Outcome::LetIn { .. } | Outcome::Refused { .. })
        | Err(WireError::PasswordKept { .. } | WireError::Plugin { .. }) => Tried::Taken,
        Ok(Outcome::HandshakeRefused { reason }) => Tried::Refused(reason),
        Err(error) => Tried::NotTried(error.why()),
    }
}
