//! Why an account is denied: its client's login, tried and led back to the reason.

use crate::apply::Plan;
use crate::facts::{AccountName, Facts, files};
use crate::prove::Witness;
use crate::prove::why::{self, Who};
use crate::tui::engine::{ClientLogin, Denial};
use crate::wire::ClientIdentity;
use crate::x509::{Certificate, pem};

pub fn denied(facts: &Facts, account: &AccountName, login: &ClientLogin) -> Result<Denial, String> {
    let (identity, looked_at) = shown(login)?;
    let who = Who {
        user: account.user.clone(),
        account: Some(account.clone()),
        password: login.password.as_ref(),
        tls: login.tls,
        identity,
        looked_at,
    };
    let mut witness = Witness::open(facts, Plan::session_of(facts).as_ref());
    let attempt = why::try_login(facts, &who, &why::endpoint(facts), &mut witness)?;
    drop(witness); // what was changed for it is put back
    Ok(why::examine(facts, &attempt))
}

/// The certificate with its key; alone where no key is at hand.
fn shown(login: &ClientLogin) -> Result<(Option<ClientIdentity>, Vec<Certificate>), String> {
    let Some(certificate) = &login.certificate else { return Ok((None, Vec::new())) };
    let path = certificate.display();
    let bytes = files::bytes(certificate).map_err(|why| format!("{path}: {why}"))?;
    if login.key.is_some() || pem::private_key(&bytes).is_ok() {
        let key = login.key.as_deref().unwrap_or(certificate);
        let identity = ClientIdentity::load(certificate, key).map_err(|why| why.to_string())?;
        return Ok((Some(identity), Vec::new()));
    }
    let chain = pem::certificates(&bytes).map_err(|why| format!("{path}: {why}"))?;
    Ok((None, chain.iter().map(|x509| Certificate::from_openssl(x509)).collect()))
}
