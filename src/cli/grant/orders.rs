//! Which account is to require what: of one certificate, or of all that a CA has issued.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::{GrantArgs, Server, some};
use crate::ca::list::Status;
use crate::ca::pack::Account as Named;
use crate::ca::{Catalog, Entry, Kind, PlainName};
use crate::cli::Failure;
use crate::facts::{Account, AccountName, Flavor, Require, files, has_length};
use crate::printable::{printable, shown};
use crate::prove::why;
use crate::remedy::cipher::Cipher;
use crate::remedy::level::Level;
use crate::remedy::statement::{Form, Order};
use crate::x509::{Certificate, OneLine, pem};

/// So many accounts share a statement at most, so that none is larger than a server takes.
const TOGETHER: usize = 500;

pub(super) struct Orders {
    list: Vec<(Vec<AccountName>, Require)>,
    pub warnings: Vec<String>,
    /// What each of a CA's certificates has in common, once it was written.
    by_this_ca: Option<Require>,
}

impl Orders {
    pub fn iter(&self) -> impl Iterator<Item = Order<'_>> {
        self.list.iter().flat_map(|(accounts, require)| {
            accounts.chunks(TOGETHER).map(move |accounts| (accounts, require))
        })
    }

    /// One by one.
    pub fn each(&self) -> Vec<(AccountName, Require)> {
        let each = self.list.iter().flat_map(|(accounts, require)| {
            accounts.iter().map(move |name| (name.clone(), require.clone()))
        });
        each.collect()
    }

    pub fn accounts(&self) -> impl Iterator<Item = &AccountName> {
        self.list.iter().flat_map(|(accounts, _)| accounts)
    }
}

/// The certificate of `--cert`.
///
/// # Errors
/// That there is none, or none that an account can need.
pub(super) fn certificate(args: &GrantArgs, level: Level) -> Result<Option<Certificate>, Failure> {
    let Some(path) = &args.cert else {
        if args.target.ca_dir.is_none() && level >= Level::Issuer {
            return Err(Failure::usage(
                "say which certificate is to get in: --cert client-cert.pem, or --ca-dir DIR for those \
                 that a CA of mytls has issued",
            ));
        }
        if args.accounts.is_empty() && args.target.ca_dir.is_none() {
            return Err(Failure::usage("say for which account: --user app@10.0.%"));
        }
        return Ok(None);
    };
    if args.accounts.is_empty() {
        return Err(Failure::usage(
            "say which account is to need the certificate: --user app@10.0.%",
        ));
    }
    let bad = |why: String| Failure::usage(format!("{} cannot be used: {why}", shown(path)));
    let read = files::bytes(path).and_then(|bytes| pem::certificates(&bytes));
    let found =
        read.map_err(|defect| bad(format!("{defect}; name the client's certificate, as PEM")))?;
    let certificate = Certificate::from_openssl(&found[0]); // there is at least one
    if certificate.is_ca == Some(true) {
        return Err(bad(format!(
            "its first certificate is that of a CA ({}); name the client's own, or put it first in \
             the file",
            certificate.subject.display()
        )));
    }
    if certificate.purposes.is_some_and(|purposes| !purposes.client) {
        return Err(bad(
            "the certificate is not for clients (its extended key usage lacks clientAuth), so every \
             server refuses it; name another"
                .to_owned(),
        ));
    }
    Ok(Some(certificate))
}

/// The same with the CAs between that stand below it.
fn chain(args: &GrantArgs) -> Vec<Certificate> {
    let bytes = args.cert.as_deref().and_then(|path| files::bytes(path).ok());
    let found = bytes.and_then(|bytes| pem::certificates(&bytes).ok()).unwrap_or_default();
    found.iter().map(|x509| Certificate::from_openssl(x509)).collect()
}

pub(super) fn make(
    args: &GrantArgs,
    level: Level,
    form: Form,
    server: &Server,
    certificate: Option<&Certificate>,
    cipher: Option<&Cipher>,
) -> Result<Orders, Failure> {
    let mut orders = match (certificate, &args.target.ca_dir) {
        (None, Some(dir)) if level >= Level::Issuer || args.accounts.is_empty() => {
            of_ca(args, level, form, server, dir, cipher)?
        }
        _ => of_one(args, level, server, certificate, cipher)?,
    };
    for name in orders.accounts() {
        server.dialect.check(name).map_err(|why| Failure::usage(why.to_string()))?;
    }
    if form == Form::Create {
        let known = server.accounts().unwrap_or_default();
        let is_there =
            |name: &&AccountName| known.binary_search_by(|one| one.name.cmp(name)).is_ok();
        let there = some(orders.accounts().filter(is_there));
        if !there.is_empty() {
            orders.warnings.push(format!(
                "the server has {there} already, and CREATE USER fails where an account is there: leave \
                 --form out to change it"
            ));
        }
    } else {
        there(server, &orders)?;
    }
    // measured on 9.7: it looks the host up as a pattern, and finds no such account (1133)
    let is_escaped = |name: &&AccountName| name.host.contains("\\_") || name.host.contains("\\%");
    let escaped = some(orders.accounts().filter(is_escaped));
    if form == Form::Alter && server.dialect.flavor == Flavor::MySql && !escaped.is_empty() {
        orders.warnings.push(format!(
            "MySQL cannot alter an account whose host holds an escaped wildcard (error 1133): {escaped}; \
             give it another host first (RENAME USER), or make it anew (--form create)"
        ));
    }
    let of_nobody = orders.accounts().filter(|name| has_length(&name.host));
    let of_nobody = some(of_nobody.filter(|_| !server.dialect.knows_lengths()));
    if !of_nobody.is_empty() {
        orders.warnings.push(format!(
            "{} takes the host of {of_nobody} for a name, which no client has: it knows networks as \
             10.0.0.0/255.255.0.0 (MySQL 8.0.23 and later knows 10.0.0.0/16)",
            server.dialect.describe()
        ));
    }
    let known = server.accounts().unwrap_or_default();
    let is_role = |name: &&AccountName| {
        let at = known.binary_search_by(|one| one.name.cmp(name));
        at.is_ok_and(|at| known[at].more.is_role && known[at].locked)
    };
    let of_roles = some(orders.accounts().filter(is_role));
    if !of_roles.is_empty() {
        orders.warnings.push(format!(
            "{of_roles}: a role, and nobody logs in as one; what it REQUIREs binds nobody: name the accounts \
             that have it"
        ));
    }
    if let Some(why) = server.hides_accounts() {
        orders.warnings.push(format!("whether the accounts exist is not known: {why}"));
    }
    Ok(orders)
}

/// The accounts that were named, and the one certificate.
fn of_one(
    args: &GrantArgs,
    level: Level,
    server: &Server,
    certificate: Option<&Certificate>,
    cipher: Option<&Cipher>,
) -> Result<Orders, Failure> {
    let dialect = server.dialect;
    let require = level.require(dialect, certificate, cipher);
    let require = require.map_err(|why| Failure::usage(why.to_string()))?;
    let mut warnings = Vec::new();
    if let Some(certificate) = certificate {
        if level < Level::Issuer {
            warnings.push(format!(
                "--level {} looks at no name in {}: it asks for {}; to ask for this certificate leave \
                 --level out",
                args.level.name(),
                args.cert.as_deref().map(shown).unwrap_or_default(),
                match level {
                    Level::None => "nothing",
                    Level::Ssl => "TLS, and for no certificate",
                    _ => "any certificate of a CA in ssl_ca",
                }
            ));
        }
        let against = server.facts.as_ref().map(|facts| why::against(facts, &chain(args)));
        let against = against.unwrap_or_default();
        if certificate.not_after < now() && against.is_empty() {
            warnings.push("the certificate has expired: nobody gets in with it".to_owned());
        }
        warnings.extend(against.iter().map(|what| format!("nobody gets in with it: {what}")));
        warnings.extend(level.cautions(dialect, certificate));
        warnings.extend(level.otherwise(dialect, certificate, &require));
    }
    let mut seen = HashSet::new();
    let once = args.accounts.iter().filter(|name| seen.insert(*name)).cloned().collect();
    let list = vec![(once, require)];
    Ok(Orders { list, warnings, by_this_ca: None })
}

/// The accounts that a CA has valid certificates for, each with its own.
fn of_ca(
    args: &GrantArgs,
    level: Level,
    form: Form,
    server: &Server,
    dir: &Path,
    cipher: Option<&Cipher>,
) -> Result<Orders, Failure> {
    let catalog = Catalog::read(dir)?;
    let now = now();
    // the newest of each name
    let mut valid: HashMap<&str, &Entry> = HashMap::new();
    let mut names: Vec<&str> = Vec::new();
    for entry in &catalog.entries {
        let Some(name) = entry.names.first() else { continue };
        if entry.kind == Kind::Client
            && Status::of(entry, now) == Status::Valid
            && valid.insert(name, entry).is_none()
        {
            names.push(name);
        }
    }
    let list = Vec::with_capacity(names.len());
    let mut orders = Orders { list, warnings: Vec::new(), by_this_ca: None };
    let mut missing = Vec::new();
    if args.accounts.is_empty() {
        for name in names {
            let accounts = accounts_of(name, server, form);
            if accounts.is_empty() {
                let whole = if name.contains('@') { name.parse().ok() } else { None };
                missing.push(whole.unwrap_or_else(|| AccountName::new(name, "%")));
                continue;
            }
            let require = of_entry(&catalog, valid[name], level, server, cipher, &mut orders)?;
            orders.list.push((accounts, require));
        }
    } else {
        for account in &args.accounts {
            let with_host = format!("{}@{}", account.user, account.host);
            let entry = [with_host.as_str(), &account.user].iter().find_map(|name| valid.get(name));
            let Some(entry) = entry else {
                let make = match account.user.parse::<PlainName>() {
                    Ok(_) => format!(
                        "make one with mytls ca client --ca-dir {} --user {} --out FOLDER, or name another \
                         with --cert",
                        shown(dir),
                        account.user
                    ),
                    Err(_) => "it makes none for such a name; name another with --cert".to_owned(),
                };
                return Err(Failure::usage(format!(
                    "the CA in {} has no valid certificate for {account}: {make}",
                    shown(dir)
                )));
            };
            let require = of_entry(&catalog, entry, level, server, cipher, &mut orders)?;
            orders.list.push((vec![account.clone()], require));
        }
    }
    if !missing.is_empty() {
        orders.warnings.push(format!(
            "the server has no account of these names, which have a certificate; passed over: {}",
            some(missing.iter())
        ));
    }
    if orders.list.is_empty() {
        return Err(Failure::usage(format!(
            "the CA in {} has no valid certificate for any account there: make one with mytls ca client",
            shown(dir)
        )));
    }
    Ok(orders)
}

/// The accounts that a certificate's name stands for: where it names no host and the server was
/// asked, all of that user.
fn accounts_of(name: &str, server: &Server, form: Form) -> Vec<AccountName> {
    let named = name.parse::<PlainName>().map(|name| Named::of(&name));
    let (user, host) = match named {
        Ok(Named { user, host }) => (user.as_str().to_owned(), host),
        Err(_) => (name.to_owned(), None),
    };
    let known = server.accounts().filter(|_| form != Form::Create);
    let Some(known) = known else {
        return vec![AccountName::new(user, host.unwrap_or_else(|| "%".to_owned()))];
    };
    let from = known.partition_point(|account| account.name.user < user);
    let theirs = known[from..].iter().take_while(|account| account.name.user == user);
    let fits = |account: &&AccountName| host.as_ref().is_none_or(|host| account.host == *host);
    theirs.map(|account| &account.name).filter(fits).cloned().collect()
}

fn of_entry(
    catalog: &Catalog,
    entry: &Entry,
    level: Level,
    server: &Server,
    cipher: Option<&Cipher>,
    orders: &mut Orders,
) -> Result<Require, Failure> {
    let dialect = server.dialect;
    let bad = |why: String| {
        let name = entry.names.first().map_or("", String::as_str);
        Failure::usage(format!("{}: {why}", printable(name)))
    };
    // In what OpenSSL escapes nowhere every library of its line agrees, and the list holds it already:
    // a hundred thousand certificates need not be read.
    let plain = !entry.subject.is_empty()
        && !entry.subject.contains(['\\', '+'])
        && dialect.names != OneLine::YaSsl
        && !dialect.other_names().contains(&OneLine::YaSsl);
    if let (true, Some(ca)) = (plain, catalog.chain.first()) {
        let require = if let Some(require) = &orders.by_this_ca {
            require.clone()
        } else {
            let stand_in = Certificate { issuer: ca.subject.clone(), ..ca.clone() };
            let require = Level::Issuer.require(dialect, Some(&stand_in), cipher);
            let require = require.map_err(|why| bad(why.to_string()))?;
            orders.warnings.extend(Level::Issuer.cautions(dialect, &stand_in));
            orders.warnings.extend(Level::Issuer.otherwise(dialect, &stand_in, &require));
            orders.by_this_ca = Some(require.clone());
            require
        };
        return Ok(match (level, require) {
            (Level::SubjectAndIssuer, Require::Specified { issuer, cipher, .. }) => {
                Require::Specified { subject: entry.subject.clone(), issuer, cipher }
            }
            (Level::Issuer, require) => require,
            (level, _) => {
                level.require(dialect, None, cipher).map_err(|why| bad(why.to_string()))?
            }
        });
    }
    let copy = catalog.certificate(&entry.serial)?;
    let certificate = Certificate::from_openssl(&copy);
    let require = level.require(dialect, Some(&certificate), cipher);
    let require = require.map_err(|why| bad(why.to_string()))?;
    for word in level.cautions(dialect, &certificate).into_iter().chain(level.otherwise(
        dialect,
        &certificate,
        &require,
    )) {
        if !orders.warnings.contains(&word) {
            orders.warnings.push(word);
        }
    }
    Ok(require)
}

/// # Errors
/// That the server has no such account.
fn there(server: &Server, orders: &Orders) -> Result<(), Failure> {
    let Some(known) = server.accounts() else { return Ok(()) };
    let is_there =
        |name: &&AccountName| known.binary_search_by(|account| account.name.cmp(name)).is_ok();
    let missing: Vec<&AccountName> = orders.accounts().filter(|name| !is_there(name)).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let roles = server.facts.as_ref().and_then(|facts| facts.server.read());
    if roles.is_some_and(|server| server.roles.contains(&first.user)) {
        return Err(Failure::usage(format!(
            "{} is a role, and nobody logs in as one: name the accounts that have it",
            printable(&first.user)
        )));
    }
    let is_like = |account: &&Account| account.name.user.eq_ignore_ascii_case(&first.user);
    let others = known.iter().filter(is_like);
    let others = some(others.map(|account| &account.name));
    let others = if others.is_empty() { String::new() } else { format!(" (there is {others})") };
    Err(Failure::usage(format!(
        "the server has no account {}{others}: name one that it has; mytls grant --form create writes \
         the statement that makes one",
        some(missing.into_iter())
    )))
}

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}
