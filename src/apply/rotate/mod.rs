//! The part of replacing a CA that touches the server: what is true of it, and what each step
//! changes. The plan itself is [`crate::ca::rotate`]'s.

use std::path::{Path, PathBuf};

use super::{Applied, ApplyError, Plan, Restart, Statement, Write};
use crate::ca::rotate::{Bound, State, Step};
use crate::ca::{Catalog, Destination, Issued, Store, Validity};
use crate::facts::{Account, AccountName, Crl, Facts, Require, ServerFacts, Source};
use crate::printable::printable;
use crate::remedy::Effect;
use crate::remedy::rotation::{afterwards, change, meanwhile, names_issuer};
use crate::remedy::statement::{self, Dialect};
use crate::secret::Secret;
use crate::x509::{Certificate, Name, pem};

mod look;

pub use look::look;

/// The two CAs.
pub struct Pair<'a> {
    pub old: &'a Catalog,
    pub new: &'a Store,
}

/// A step on the server, complete, before any of it is done.
#[derive(Default)]
pub struct Prepared {
    pub plan: Plan,
    /// What is entered in the new CA's list when the plan is run.
    issued: Option<(Issued, Vec<String>, Destination)>,
    /// What the accounts `REQUIRE` that this changes; remembered before they are.
    pub accounts: Vec<Bound>,
}

/// What a step would change. Reads the server's files, makes the keys it needs in memory, writes
/// nothing. A step that is done elsewhere has an empty plan.
///
/// # Errors
/// A sentence that says why it cannot be done from here, and what to do instead.
pub fn prepare(
    step: Step,
    facts: &Facts,
    state: &State,
    pair: &Pair<'_>,
) -> Result<Prepared, String> {
    let mut prepared = match step {
        Step::ServerTrustsBoth => trust(facts, pair, true)?,
        Step::ServerDropsOld => trust(facts, pair, false)?,
        Step::ServerCertificate => certificate(facts, pair)?,
        Step::AccountsLoosened => loosen(facts, pair)?,
        Step::AccountsBound => bind(facts, state, pair)?,
        _ => Prepared::default(),
    };
    let plan = &mut prepared.plan;
    plan.title = format!("CA rotation: {}", step.title());
    if !plan.is_empty() {
        plan.session = Plan::session_of(facts);
    }
    Ok(prepared)
}

/// Does it, telling each thing as it is done; as [`super::run`].
pub fn carry_out(
    prepared: &Prepared,
    new: &Store,
    restart: Option<&dyn Restart>,
    told: &mut dyn FnMut(&str),
) -> Result<Applied, Box<(Applied, ApplyError)>> {
    if let Some((issued, names, to)) = &prepared.issued {
        let recorded = new.record_server(issued, names.clone(), to);
        recorded.map_err(|error| Box::new((Applied::default(), error.into())))?;
    }
    super::run(&prepared.plan, restart, told)
}

/// The server's `ssl_ca` with the new CA beside whatever it holds, or without the old one.
fn trust(facts: &Facts, pair: &Pair<'_>, both: bool) -> Result<Prepared, String> {
    let path = file(facts, "ssl_ca")?;
    let shown = printable(&path.display().to_string()).into_owned();
    let bytes = std::fs::read(&path).map_err(|error| format!("{shown}: {error}"))?;
    let there = pem::certificates(&bytes).map_err(|defect| format!("{shown}: {defect}"))?;
    let there: Vec<Certificate> = there.iter().map(|ca| Certificate::from_openssl(ca)).collect();
    let is_in = |ca: &Certificate, cas: &[Certificate]| cas.iter().any(|c| c.sha256 == ca.sha256);
    let new: Vec<Certificate> =
        pair.new.authority().path().iter().map(|ca| Certificate::from_openssl(ca)).collect();
    let mut wanted: Vec<Certificate> = there.clone();
    if !both {
        wanted.retain(|ca| !is_in(ca, &pair.old.chain) || is_in(ca, &new));
    }
    let missing: Vec<Certificate> = new.iter().filter(|ca| !is_in(ca, &wanted)).cloned().collect();
    wanted.extend(missing);
    let mut prepared = Prepared::default();
    if wanted != there {
        let names: Vec<String> = wanted.iter().map(|ca| ca.subject.short()).collect();
        let text: String = wanted.iter().map(|ca| ca.pem.as_str()).collect();
        let what = format!("ssl_ca, then of: {}", names.join(", "));
        prepared.plan.writes.push(Write::text(&path, text, 0o644, what));
    }
    lists(facts, pair, both, &new, &mut prepared.plan)?;
    reload(facts, &mut prepared.plan);
    Ok(prepared)
}

/// A server that reads lists of what is revoked wants one of every CA, or it refuses everybody: those of
/// the new CA come beside what its `ssl_crl` holds, and those of the old one go with the old one.
fn lists(
    facts: &Facts,
    pair: &Pair<'_>,
    both: bool,
    new: &[Certificate],
    plan: &mut Plan,
) -> Result<(), String> {
    let Some(file) = facts.files.read().and_then(|files| files.crl.as_ref()) else { return Ok(()) };
    let there = file
        .content
        .as_ref()
        .map_err(|defect| format!("{}: {defect}", printable(&file.path.display().to_string())))?;
    let own = pair.new.dir().join(Store::CRL_FILE);
    let own = crate::facts::trust::crls(&std::fs::read(own).unwrap_or_default());
    let is_new = |list: &Crl| new.iter().any(|ca| list.is_of(ca));
    let is_old = |list: &Crl| pair.old.chain.iter().any(|ca| list.is_of(ca));
    let mut wanted: Vec<&Crl> =
        there.iter().filter(|list| !is_new(list) && (both || !is_old(list))).collect();
    wanted.extend(own.iter().filter(|list| is_new(list)));
    let listed = |ca: &&Certificate| !own.iter().any(|list| list.is_of(ca));
    let missing: Vec<String> = new.iter().filter(listed).map(|ca| ca.subject.short()).collect();
    if !missing.is_empty() {
        plan.warnings.push(format!(
            "the server reads ssl_crl: the lists of {} are signed first, and joined into {}",
            printable(&missing.join(", ")),
            printable(&file.path.display().to_string())
        ));
    }
    let text: String = wanted.iter().map(|list| list.pem.trim_end().to_owned() + "\n").collect();
    let held: String = there.iter().map(|list| list.pem.trim_end().to_owned() + "\n").collect();
    if text != held {
        let what = if both { "ssl_crl, then of both CAs" } else { "ssl_crl, without the old CA" };
        plan.writes.push(Write::text(&file.path, text, 0o644, what));
    }
    Ok(())
}

/// The server's certificate and key, for the same names, from the new CA.
fn certificate(facts: &Facts, pair: &Pair<'_>) -> Result<Prepared, String> {
    let said = |error: crate::ca::CaError| error.to_string();
    let (certificate, key) = (file(facts, "ssl_cert")?, file(facts, "ssl_key")?);
    let mut prepared = Prepared::default();
    // What the running server shows: of its files one may have been replaced when mytls was stopped.
    let leaf = facts.handshake().and_then(|seen| seen.chain.first());
    let leaf = leaf.ok_or("the running server shows no certificate")?;
    if pair.old.chain.first().is_some_and(|old| leaf.is_signed_by(old)) {
        let old = leaf.to_openssl().ok_or("the server's certificate cannot be read")?;
        let issued = pair.new.issue_like(&old, Validity::LEAF).map_err(said)?;
        let what = "the server's certificate, of the new CA";
        let text = issued.certificate_pem().map_err(said)?;
        let yassl = facts.server.read().is_some_and(ServerFacts::is_yassl);
        let own_key = server_key(&issued, yassl)?;
        let plan = &mut prepared.plan;
        plan.writes.push(Write::key(&key, own_key, 0o600, "its key, never shown"));
        plan.writes.push(Write::text(&certificate, text, 0o644, what));
        let copy = format!("issued/{}.pem", issued.summary().serial);
        let copy = pair.new.dir().join(copy);
        plan.writes.push(Write::by_store(&copy, 0o644, "a copy for the new CA's list"));
        let to = Destination { files: vec![certificate, key], deployed: true };
        let names = leaf.host_names();
        prepared.issued = Some((issued, names, to));
    }
    reload(facts, &mut prepared.plan);
    Ok(prepared)
}

/// The key as the server's library reads it: yaSSL knows PKCS#1 alone.
fn server_key(issued: &Issued, yassl: bool) -> Result<Secret, String> {
    if !yassl {
        return issued.key_pem().map_err(|error| error.to_string());
    }
    let pem = issued.key.rsa().and_then(|rsa| rsa.private_key_to_pem());
    let pem = pem.map(zeroize::Zeroizing::new);
    pem.map(|pem| Secret::new(String::from_utf8_lossy(&pem)))
        .map_err(|_| "this server's TLS library reads RSA keys alone".to_owned())
}

/// Accounts that name the old issuer, held to their subject for a while.
fn loosen(facts: &Facts, pair: &Pair<'_>) -> Result<Prepared, String> {
    let server = facts.server.read().ok_or("there is no session with the server")?;
    let dialect = Dialect::of(server);
    let mut prepared = Prepared::default();
    for account in naming(facts, old_name(pair))? {
        let to = meanwhile(&account.require);
        add(&mut prepared.plan, &account.name, &account.require, &to, dialect);
        if to == Require::X509 {
            prepared.plan.warnings.push(format!(
                "{} names no SUBJECT: for the time of the rotation it takes any certificate that \
                 the server trusts",
                account.name
            ));
        }
        if let Require::Specified { subject, issuer, cipher } = account.require {
            let AccountName { user, host } = account.name;
            prepared.accounts.push(Bound { user, host, subject, issuer, cipher });
        }
    }
    Ok(prepared)
}

/// The same accounts, held to the new issuer.
fn bind(facts: &Facts, state: &State, pair: &Pair<'_>) -> Result<Prepared, String> {
    let server = facts.server.read().ok_or("there is no session with the server")?;
    let dialect = Dialect::of(server);
    let new = pair.new.authority().summary().subject;
    let accounts = read_accounts(facts)?;
    let mut prepared = Prepared::default();
    for bound in &state.accounts {
        let Some(account) = find(&accounts, bound) else { continue };
        let wanted = afterwards(&required(bound), &new, dialect);
        if account.require == wanted {
            continue;
        }
        if account.require != meanwhile(&required(bound)) {
            prepared.plan.warnings.push(format!(
                "{} was changed by somebody else meanwhile (REQUIRE {}); this sets it as well",
                account.name,
                account.require.describe()
            ));
        }
        add(&mut prepared.plan, &account.name, &account.require, &wanted, dialect);
    }
    Ok(prepared)
}

fn add(plan: &mut Plan, account: &AccountName, from: &Require, to: &Require, dialect: Dialect) {
    let (there, back) = change(account, from, to, dialect);
    plan.warnings.extend(there.warnings.iter().cloned());
    // What takes it back goes with the one that changes the account.
    let last = there.change_at();
    for (at, sql) in there.statements.into_iter().enumerate() {
        let undo = if at == last { back.statements.join(";\n") } else { String::new() };
        plan.statements.push(Statement { sql, undo });
    }
}

/// What an account is to `REQUIRE` that was remembered.
fn required(bound: &Bound) -> Require {
    let Bound { subject, issuer, cipher, .. } = bound.clone();
    Require::Specified { subject, issuer, cipher }
}

fn find<'a>(accounts: &'a [Account], bound: &Bound) -> Option<&'a Account> {
    accounts.iter().find(|a| a.name.user == bound.user && a.name.host == bound.host)
}

/// The accounts that were loosened and do not name the new issuer yet; those that are gone need not.
fn unbound(facts: &Facts, state: &State, pair: &Pair<'_>) -> Vec<String> {
    let name = |bound: &Bound| AccountName::new(&bound.user, &bound.host).to_string();
    let (Some(server), Ok(accounts)) = (facts.server.read(), read_accounts(facts)) else {
        return state.accounts.iter().map(name).collect();
    };
    let (dialect, new) = (Dialect::of(server), pair.new.authority().summary().subject);
    let is_unbound = |bound: &&Bound| {
        let wanted = afterwards(&required(bound), &new, dialect);
        find(&accounts, bound).is_some_and(|account| account.require != wanted)
    };
    state.accounts.iter().filter(is_unbound).map(name).collect()
}

fn naming(facts: &Facts, issuer: &Name) -> Result<Vec<Account>, String> {
    let mut accounts = read_accounts(facts)?;
    accounts.retain(|account| names_issuer(account, issuer));
    Ok(accounts)
}

fn read_accounts(facts: &Facts) -> Result<Vec<Account>, String> {
    let server = match &facts.server {
        Source::Read(server) => server,
        Source::Unread(unread) => return Err(unread.why.clone()),
    };
    match &server.accounts {
        Source::Read(accounts) => Ok(accounts.clone()),
        Source::Unread(unread) => Err(unread.why.clone()),
    }
}

/// The name of the CA that issued: a catalog has it first.
fn old_name<'a>(pair: &'a Pair<'_>) -> &'a Name {
    &pair.old.chain[0].subject
}

/// The file of an option, to be written over.
fn file(facts: &Facts, option: &str) -> Result<PathBuf, String> {
    let files = facts.files.read().ok_or(
        "the server's files are not on this host: run this there, with --server-config where \
         several servers run",
    )?;
    let path: Option<&Path> = match option {
        "ssl_ca" => files.ca.as_ref().map(|file| file.path.as_path()),
        "ssl_cert" => files.certificate.as_ref().map(|file| file.path.as_path()),
        _ => files.key.as_ref().map(|file| file.path.as_path()),
    };
    let path = path
        .ok_or_else(|| format!("the server has no {option}: set it first; mytls check says how"))?;
    if files.is_combined(option) {
        return Err(format!(
            "{} holds something else besides what {option} is for: give each option a file of its \
             own first",
            printable(&path.display().to_string())
        ));
    }
    Ok(path.to_owned())
}

/// What the server needs to read its files again.
fn reload(facts: &Facts, plan: &mut Plan) {
    let running = facts.server.read();
    let reload = running.and_then(|server| statement::reload(server.flavor, server.version));
    plan.reload = reload.map(str::to_owned);
    plan.effect = if reload.is_some() { Effect::Reload } else { Effect::Restart };
}

#[cfg(test)]
mod tests;
