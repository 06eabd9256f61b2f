//! What is to be proven, from what is known about the server.

use openssl::bn::BigNum;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Crl};

use super::{Around, Budget, Subject, is_account};
use crate::facts::session::trust;
use crate::facts::{Account, AccountName, ActsAs, Facts, ServerFacts, has_length};
use crate::remedy::statement::Dialect;
use crate::secret::Secret;
use crate::wire::{ClientIdentity, Endpoint};
use crate::x509::Certificate;

impl<'a> Subject<'a> {
    /// The matrix of this account against the server that these facts are of. The error says what is
    /// missing for it.
    pub fn of(
        facts: &'a Facts,
        account: &'a Account,
        password: Option<&'a Secret>,
        identity: ClientIdentity,
        ca: Option<(X509, PKey<Private>)>,
    ) -> Result<Self, String> {
        let server = facts.server.read().ok_or("the server has to answer first")?;
        let wire = facts.wire.read().ok_or_else(|| {
            let why = facts.wire.reason().map_or("", |unread| unread.why.as_str());
            format!("the server cannot be reached over the network from here: {why}")
        })?;
        if !account.more.factors.is_empty() {
            return Err(format!(
                "{} asks for more than one factor ({}), and mytls logs in with a password alone",
                account.name,
                crate::printable::printable(&account.more.factors.join(", "))
            ));
        }
        let acts_as = server.acts_as(account);
        let require = match &acts_as {
            ActsAs::Other(proxied) => &proxied.require,
            ActsAs::Itself | ActsAs::Perhaps(_) => &account.require,
        };
        let lists = facts.files.read().and_then(|files| files.crl.as_ref());
        let lists = lists.and_then(|file| file.content.as_ref().ok());
        Ok(Self {
            endpoint: Endpoint::new(wire.host.clone(), wire.port),
            flavor: server.flavor,
            dialect: Some(Dialect::of(server)),
            account: account.name.clone(),
            password,
            require,
            transport_enforced: server.is_on("require_secure_transport"),
            trust: trust(&facts.target, facts.files.read())?,
            identity,
            ca,
            crls: lists.cloned().unwrap_or_default(),
            old_tls: facts.is_yassl(),
            around: around(server, account, &acts_as),
        })
    }
}

impl Subject<'_> {
    /// Whether `CURRENT_USER()` names this account, or one whose rights it was given.
    pub(super) fn is_meant(&self, current_user: &str) -> bool {
        is_account(current_user, &self.account)
            || self.around.proxies.iter().any(|proxied| is_account(current_user, proxied))
    }

    /// Whether a client there may come to this account.
    pub(super) fn admits(&self, account: &AccountName, host: &str) -> bool {
        let is_network = self.around.lengths || !has_length(&account.host);
        is_network && account.admits(host)
    }

    pub(super) fn has_crl(&self) -> bool {
        !self.crls.is_empty() && !self.old_tls
    }

    /// A serial number that this CA has revoked, as the server's list says.
    pub(super) fn revoked_serial(&self, ca: &X509) -> Option<BigNum> {
        let ca = Certificate::from_openssl(ca);
        let list = self.crls.iter().find(|list| list.is_of(&ca))?;
        let list = X509Crl::from_pem(list.pem.as_bytes()).ok()?;
        let revoked = list.get_revoked()?;
        revoked.into_iter().next()?.serial_number().to_bn().ok()
    }
}

fn around(server: &ServerFacts, account: &Account, acts_as: &ActsAs<'_>) -> Around {
    let rank = server.rank(&account.name);
    let others = server.accounts.read().into_iter().flatten().map(|other| &other.name);
    let before = others
        .filter(|other| other.user == account.name.user || other.user.is_empty())
        .filter(|other| **other != account.name && server.rank(other) > rank);
    let name = &account.name;
    let mut notes = Vec::new();
    if account.more.is_role && account.locked {
        notes.push(format!(
            "{name} is a role, and nobody logs in as one: name an account that has it"
        ));
    } else if account.locked {
        notes.push(format!(
            "{name} is locked: whatever it is shown, nobody gets in (ACCOUNT UNLOCK)"
        ));
    }
    notes.extend(proxy_note(name, acts_as));
    Around {
        before: before.cloned().collect(),
        proxies: account.more.proxies.clone(),
        is_role: account.more.is_role,
        lengths: server.knows_lengths(),
        notes,
        budget: Budget::of(Some(server)),
    }
}

/// What somebody should know of an account whose logins are given another's rights.
pub(super) fn proxy_note(name: &AccountName, acts_as: &ActsAs<'_>) -> Option<String> {
    match acts_as {
        ActsAs::Itself => None,
        ActsAs::Other(proxied) => Some(format!(
            "{name} answers, and its logins are given the rights of {} (PROXY): the server looks at the \
             REQUIRE of that one, and at the password and the lock of {name}",
            proxied.name
        )),
        ActsAs::Perhaps(several) => Some(format!(
            "logins of {name} may be given the rights of another account (PROXY: {}): then that one's \
             REQUIRE counts, and which it is shows only when somebody is let in",
            several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        )),
    }
}
