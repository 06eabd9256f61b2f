//! What a server offers: scanned as `mytls scan` does it, with the login of the wizard.

use crate::facts::gather::Cancel;
use crate::facts::{Facts, session};
use crate::prove::why;
use crate::scan::{AT_A_TIME, Access, GIVE_UP, Ledger, Scan};
use crate::wire::{ClientIdentity, Limits};

pub fn scan(facts: &Facts, cancel: &Cancel, told: &(dyn Fn(&str) + Sync)) -> Result<Scan, String> {
    let target = &facts.target;
    let trust = session::trust(target, facts.files.read())?;
    let identity = match &target.ssl_cert {
        None => None,
        Some(certificate) => {
            let key = target.ssl_key.as_ref().unwrap_or(certificate);
            Some(ClientIdentity::load(certificate, key).map_err(|why| why.to_string())?)
        }
    };
    let access = Access {
        target,
        trust: &trust,
        identity,
        ledger: Ledger::usual(),
        // over a socket root is somebody else
        with_login: target.is_tcp() && facts.server.read().is_some(),
        give_up: GIVE_UP,
        max_connect_errors: None,
        polite: false,
        at_a_time: AT_A_TIME,
        timeout: Limits::default().total,
    };
    let so_far = |connections: u32| told(&format!("{connections} connections so far"));
    access.scan(&why::endpoint(facts), cancel.flag(), &so_far)
}
