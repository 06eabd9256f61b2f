//! What is to be proven, from what is known about the server.

use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

use super::Subject;
use crate::facts::session::trust;
use crate::facts::{Account, Facts};
use crate::remedy::statement::Dialect;
use crate::secret::Secret;
use crate::wire::{ClientIdentity, Endpoint};

impl<'a> Subject<'a> {
    /// The matrix of this account against the server that these facts are of. The error says what is
    /// missing for it.
    pub fn of(
        facts: &Facts,
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
        let lists = facts.files.read().and_then(|files| files.crl.as_ref());
        let lists = lists.and_then(|file| file.content.as_ref().ok());
        Ok(Self {
            endpoint: Endpoint::new(wire.host.clone(), wire.port),
            flavor: server.flavor,
            dialect: Some(Dialect::of(server)),
            account: account.name.clone(),
            password,
            require: &account.require,
            transport_enforced: server.is_on("require_secure_transport"),
            trust: trust(&facts.target, facts.files.read())?,
            identity,
            ca,
            crls: lists.cloned().unwrap_or_default(),
            old_tls: facts.is_yassl(),
        })
    }
}
