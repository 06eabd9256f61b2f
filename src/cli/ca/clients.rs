//! `mytls ca clients`

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::client::{copy_out, no_longer};
use super::{Done, StoreArgs, day, now, shown};
use crate::ca::batch::Row;
use crate::ca::{Catalog, KeyKind, PlainName};
use crate::cli::Failure;
use crate::cli::target::TargetArgs;
use crate::facts::gather::{Cancel, gather};
use crate::facts::{Account, AccountName, Facts};
use crate::printable::printable;
use crate::remedy::key_kinds::key_kinds;

/// Issue a certificate for each account of a server
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls ca clients --ca-dir ~/db-ca -S /run/mysqld/mysqld.sock\n  \
    mytls ca clients --ca-dir ~/db-ca -S /run/mysqld/mysqld.sock --yes\n\n\
    The accounts that somebody can use over the network. They are listed first; with --yes each\n\
    gets its files in clients/NAME of the CA's folder, and those that have a good certificate\n\
    are passed over. No account is changed: mytls grant writes the statement for that."
)]
pub struct ClientsArgs {
    /// Only accounts of this user; may be given more than once
    #[arg(long, value_name = "USER")]
    only: Vec<String>,
    /// Also accounts that can be used from the server's own host alone
    #[arg(long)]
    local: bool,
    /// Also copy them there, each into a folder of its own
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Kind of their keys; without it the best for this server
    #[arg(long, value_enum)]
    key: Option<KeyKind>,
    /// How long they are valid
    #[arg(long, default_value_t = 397, value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
    /// Read the passphrase of the CA's key from standard input
    #[arg(long, conflicts_with = "password_stdin")]
    passphrase_stdin: bool,
    /// Issue them
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// The accounts of a server: those for which a certificate can be issued, and the others.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sorted {
    rows: Vec<Row>,
    /// With the reason, half a sentence.
    left_out: Vec<(AccountName, String)>,
}

pub fn run(args: &ClientsArgs) -> Result<Done, Failure> {
    let dir = args.target.ca_dir.clone();
    let ca_dir = dir.ok_or_else(|| Failure::usage("name the folder of the CA with --ca-dir"))?;
    let facts = gather(&args.target.resolve()?, &Cancel::default(), &mut |_| ());
    let sorted = sort(accounts(&facts)?, args);
    let kinds = key_kinds(&facts);
    let key = kinds.choose(args.key).map_err(Failure::usage)?;
    kinds.check_chain(&Catalog::read(&ca_dir)?.chain).map_err(Failure::usage)?;
    let mut text = String::new();
    // writing to a String cannot fail
    for (account, why) in &sorted.left_out {
        let _ = writeln!(text, "– {account}: {why}");
    }
    if sorted.rows.is_empty() {
        text.push_str("there is no account to issue a certificate for\n");
        return Ok(text.into());
    }
    if !args.yes {
        for row in &sorted.rows {
            let _ = writeln!(text, "  {}", row.name);
        }
        let _ = writeln!(
            text,
            "{} would get a certificate ({}), valid for {} days; --yes issues them",
            accounts_in_words(sorted.rows.len()),
            key.describe(),
            args.days
        );
        return Ok(text.into());
    }
    let store = StoreArgs { ca_dir, passphrase_stdin: args.passphrase_stdin }.open()?;
    let batch = store.issue_clients(&sorted.rows, key, args.days, now())?;
    for (name, until) in &batch.had {
        let _ = writeln!(text, "{name} has a certificate until {}: left as it is", day(*until));
    }
    if let Some(out) = &args.out {
        copy_out(&store, &sorted.rows, out)?;
    }
    let folder = args.out.clone().unwrap_or_else(|| store.dir().join("clients"));
    let _ = writeln!(
        text,
        "{} got a certificate ({}), each in {}/NAME",
        accounts_in_words(batch.issued.len()),
        key.describe(),
        shown(&folder)
    );
    text.push_str(&no_longer(&store, &batch.issued));
    Ok(text.into())
}

fn accounts(facts: &Facts) -> Result<&[Account], Failure> {
    let unread = |unread: Option<&crate::facts::Unread>| {
        let (why, advice) = unread.map_or(("", ""), |unread| (&unread.why, &unread.advice));
        let advice = if advice.is_empty() { String::new() } else { format!("; {advice}") };
        Failure::not_examined(format!("the server's accounts cannot be read: {why}{advice}"))
    };
    let server = facts.server.read().ok_or_else(|| unread(facts.server.reason()))?;
    let accounts = server.accounts.read().ok_or_else(|| unread(server.accounts.reason()))?;
    Ok(accounts)
}

/// Which accounts get one. The name in the certificate is the user's; where a host stands beside it
/// that is not `%`, both, so that two accounts of one user never share a subject. Where two would
/// share one all the same, it is the first one's, whichever of them is asked for.
fn sort(accounts: &[Account], args: &ClientsArgs) -> Sorted {
    let mut sorted = Sorted::default();
    let mut taken: HashMap<PlainName, &AccountName> = HashMap::new();
    for (at, account) in accounts.iter().enumerate() {
        let name = &account.name;
        let plain = plain(name).and_then(|plain| match taken.entry(plain) {
            Slot::Vacant(free) => {
                let plain = free.key().clone();
                free.insert(name);
                Ok(plain)
            }
            Slot::Occupied(taken) => Err(shared(name, taken.get(), taken.key())),
        });
        if !args.only.is_empty() && !args.only.contains(&name.user) {
            continue;
        }
        if !account.takes_logins() || (!args.local && account.name.is_local()) {
            continue; // the server's own, and those that nobody reaches
        }
        if name.user.is_empty() {
            let why = "it has no name, and lets anybody in whom no other account names";
            sorted.left_out.push((name.clone(), why.to_owned()));
            continue;
        }
        match plain {
            Ok(plain) => sorted.rows.push(Row { line: at + 1, name: plain, days: None }),
            Err(why) => sorted.left_out.push((name.clone(), why)),
        }
    }
    sorted
}

fn plain(account: &AccountName) -> Result<PlainName, String> {
    PlainName::of_account(&account.user, &account.host)
        .map_err(|error| format!("{error}; {}", another(account)))
}

/// Whoever had the one certificate would get in as the other account.
fn shared(account: &AccountName, first: &AccountName, name: &PlainName) -> String {
    let quoted = |account: &AccountName| {
        format!("'{}'@'{}'", printable(&account.user), printable(&account.host))
    };
    format!(
        "{} would be {name} in its certificate, as {} is already; {}",
        quoted(account),
        quoted(first),
        another(account)
    )
}

fn another(account: &AccountName) -> String {
    format!(
        "give it one by another name (mytls ca client --user NAME): what REQUIRE compares need not be {}",
        printable(&account.user)
    )
}

fn accounts_in_words(number: usize) -> String {
    if number == 1 { "1 account".to_owned() } else { format!("{number} accounts") }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    #[command(disable_help_flag = true)]
    struct Line {
        #[command(flatten)]
        args: ClientsArgs,
    }

    fn sorted(options: &[&str]) -> (Vec<String>, Vec<String>) {
        let account = |user: &str, host: &str, plugin: &str, locked| Account {
            name: AccountName::new(user, host),
            plugin: plugin.into(),
            locked,
            ..Account::default()
        };
        let accounts = [
            account("root", "localhost", "unix_socket", false),
            account("app", "%", "caching_sha2_password", false),
            account("app", "10.0.%", "caching_sha2_password", false),
            account("o'neil", "%", "caching_sha2_password", false),
            account("", "%", "mysql_native_password", false),
            account("old", "%", "caching_sha2_password", true),
            account("nightly", "localhost", "caching_sha2_password", false),
            account("app@10.0.%", "%", "caching_sha2_password", false),
            account("net", "10.1.0.0/255.255.0.0", "caching_sha2_password", false),
        ];
        let line = Line::try_parse_from([&["x"], options].concat()).unwrap();
        let sorted = sort(&accounts, &line.args);
        let rows = sorted.rows.iter().map(|row| row.name.to_string()).collect();
        (rows, sorted.left_out.iter().map(|(name, why)| format!("{name}: {why}")).collect())
    }

    #[test]
    fn who_comes_over_the_network_gets_one_of_his_own() {
        let (rows, left_out) = sorted(&[]);
        assert_eq!(rows, ["app", "app@10.0.%", "net@10.1.0.0_255.255.0.0"]);
        assert_eq!(left_out.len(), 3, "{left_out:?}");
        assert!(left_out[0].starts_with("o'neil@%: ") && left_out[0].contains("ca client --user"));
        assert!(left_out[1].starts_with("@%: "));
        let local = sorted(&["--local"]).0;
        assert_eq!(local[..3], ["app", "app@10.0.%", "nightly@localhost"]);
        assert_eq!(sorted(&["--only", "web"]).0, Vec::<String>::new());
    }

    #[test]
    fn two_accounts_never_share_a_name_whichever_is_asked_for() {
        for options in [&[][..], &["--only", "app@10.0.%"]] {
            let (rows, left_out) = sorted(options);
            assert!(rows.iter().filter(|row| *row == "app@10.0.%").count() < 2, "{rows:?}");
            let why = left_out.iter().find(|why| why.starts_with("app@10.0.%@%: ")).unwrap();
            assert!(why.contains("as 'app'@'10.0.%' is already"), "{why}");
            assert!(why.contains("mytls ca client --user NAME"), "{why}");
        }
    }
}
