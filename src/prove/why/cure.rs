//! What lets the account in again, to be run as it stands.

use super::{Account, Case};
use crate::facts::{AccountName, Facts, Require, ServerFiles};
use crate::prove::log::{Mismatch, Part};
use crate::remedy::certificates::{effect_of_files, take_effect, trusted_own_ca};
use crate::remedy::statement::{Dialect, Form, account as quoted};
use crate::remedy::{Action, Effect, Place, Remedy, shell};
use crate::x509::Certificate;

/// Asks the account for what this certificate says, and the server saw; every other part stays.
pub(super) fn require(case: &Case, account: &Account, told: Option<&Mismatch>) -> Option<Remedy> {
    let dialect = Dialect::of(case.facts.server.read()?);
    let mut wanted = account.require.clone();
    let Require::Specified { subject, issuer, cipher } = &mut wanted else { return None };
    let nothing = [&*subject, &*issuer, &*cipher].iter().all(|part| part.is_empty());
    for (part, value) in [(Part::Subject, subject), (Part::Issuer, issuer), (Part::Cipher, cipher)]
    {
        let named = nothing && part != Part::Cipher;
        if value.is_empty() && !named {
            continue;
        }
        let told = told.filter(|told| told.part == part && !told.cut);
        *value = told.map_or_else(|| case.expected(part), |told| Some(told.server_saw.clone()))?;
    }
    let names = std::slice::from_ref(&account.name);
    let written = dialect.require(names, &wanted, Form::Alter);
    let undo = dialect.require(names, &account.require, Form::Alter).sql();
    let mut notes =
        vec!["if it is not this certificate that the account is meant for, give the client the other one instead".to_owned()];
    notes.extend(written.warnings.iter().cloned());
    let action = Action::sql(written.sql()).with_undo(undo);
    Some(
        Remedy::new("ask the account for this certificate", vec![action])
            .with_note(notes.join("; ")),
    )
}

/// The same of one account that the other asks for.
pub(super) fn as_other(case: &Case, account: &Account, other: &Account) -> Option<Remedy> {
    let dialect = Dialect::of(case.facts.server.read()?);
    let names = std::slice::from_ref(&account.name);
    let sql = dialect.require(names, &other.require, Form::Alter).sql();
    let undo = dialect.require(names, &account.require, Form::Alter).sql();
    let title = format!("ask {} for what {} asks for", account.name, other.name);
    Some(Remedy::new(title, vec![Action::sql(sql).with_undo(undo)]))
}

/// Removes an account that stands in the way.
pub(super) fn drop(case: &Case, account: &Account) -> Option<Remedy> {
    case.facts.server.read()?;
    let action = Action::sql(format!("DROP USER {};", quoted(&account.name)));
    let note = "whoever logs in without a name from there no longer can";
    Some(Remedy::new("remove the anonymous account", vec![action]).with_note(note))
}

/// Lets the account come from the host that it was tried from.
pub(super) fn rename(account: &AccountName, host: &str) -> Remedy {
    let there = AccountName::new(account.user.clone(), host);
    let rename = |one: &AccountName, other: &AccountName| {
        format!("RENAME USER {} TO {};", quoted(one), quoted(other))
    };
    let action = Action::sql(rename(account, &there)).with_undo(rename(&there, account));
    let note = format!(
        "it can then come from {host} and no longer from {}; to keep both, create a second account",
        account.host
    );
    Remedy::new("let the account come from this host", vec![action])
        .with_note(crate::printable::printable(&note))
}

/// One statement and its undo.
pub(super) fn sql(title: &str, sql: impl Into<String>, undo: impl Into<String>) -> Remedy {
    Remedy::new(title, vec![Action::sql(sql).with_undo(undo)])
}

/// A new certificate for the account from the CA of mytls, where the server trusts that.
pub(super) fn certificate(facts: &Facts, user: &str) -> Option<Remedy> {
    let files = facts.files.read()?;
    let own = files.own_ca.as_ref().filter(|_| trusted_own_ca(files))?;
    user.parse::<crate::ca::PlainName>().ok()?;
    let folder = own.dir.join("handed-out").join(format!("{user}-{}", facts.at));
    let command = format!(
        "mytls ca client --ca-dir {} --user {} --out {}",
        shell::path(&own.dir),
        shell::word(user),
        shell::path(&folder)
    );
    let mut action = Action::shell(command, Effect::None);
    action.place = Place::DbaHost;
    let note = format!(
        "the client needs client-cert.pem and client-key.pem of {}; where the account names another subject, mytls grant writes the statement",
        folder.display()
    );
    Some(
        Remedy::new("issue it a certificate of the CA that the server trusts", vec![action])
            .with_note(note),
    )
}

/// A fresh list from the CA of mytls into the file of `ssl_crl`.
pub(super) fn revocation_list(facts: &Facts) -> Option<Remedy> {
    let files = facts.files.read()?;
    let own = files.own_ca.as_ref().filter(|_| trusted_own_ca(files))?;
    let file = files.crl.as_ref()?;
    let effect = effect_of_files(facts);
    let command = format!(
        "mytls ca crl --ca-dir {} && cat {} > {}",
        shell::path(&own.dir),
        shell::path(&own.dir.join("crl.pem")),
        shell::path(&file.path)
    );
    let mut actions = vec![Action::shell(command, effect)];
    actions.extend(take_effect(facts, effect));
    Some(Remedy::new("sign a new list and put it in the place of the old", actions))
}

/// Makes the server send for the missing CA itself: what is in `ssl_ca` no client has to bring.
pub(super) fn chain(facts: &Facts, files: &ServerFiles, ca: &Certificate) -> Option<Remedy> {
    let file = files.ca.as_ref()?;
    if files.is_combined("ssl_ca") {
        return None;
    }
    let effect = effect_of_files(facts);
    let all = files.ca_certificates().iter().chain([ca]).map(|ca| ca.pem.as_str());
    let mut actions = vec![Action::file(&file.path, all.collect::<String>(), effect)];
    actions.extend(take_effect(facts, effect));
    let note = "or put it into the client's own file, below its certificate: then the server trusts no more than before";
    Some(Remedy::new("let ssl_ca hold the CA between, too", actions).with_note(note))
}
