//! `mytls ca revoke` and `mytls ca crl`

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Done, FINDINGS, StoreArgs, days, now, shown, tell};
use crate::ca::crl::{Reason, Signed, Update, hand_over, hex};
use crate::ca::{CaError, Catalog, Entry, Store};
use crate::cli::Failure;
use crate::printable::printable;
use crate::remedy::shell;

/// Revoke certificates and sign the lists that servers read
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  \
    mytls ca revoke --ca-dir ~/db-ca app --reason key-compromise\n  \
    mytls ca revoke --ca-dir ~/db-ca app --deploy /etc/mysql/tls/crl.pem\n  \
    mytls ca revoke --ca-dir ~/db-ca --serial 5C654963B18AC02CA4FB6A53E0D537B6\n\n\
    It counts for a server once crl.pem is its ssl_crl and it has reloaded. Exit status 1: a list of\n\
    a CA above is missing, or a file of --deploy could not be written; what was revoked stays so."
)]
pub struct RevokeArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The account or server, all its certificates
    #[arg(value_name = "NAME", required_unless_present = "serial", conflicts_with = "serial")]
    name: Option<String>,
    /// This certificate alone
    #[arg(long, value_name = "HEX")]
    serial: Option<String>,
    /// The CA issued it with another tool, so it is in no list here
    #[arg(long, requires = "serial")]
    issued_elsewhere: bool,
    /// Why: key-compromise, superseded, cessation-of-operation or privilege-withdrawn
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    reason: Reason,
    #[command(flatten)]
    lists: ListArgs,
}

/// Sign the lists of revoked certificates anew
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls ca crl --ca-dir ~/db-ca --next-update 30d\n\n\
    A server with ssl_crl refuses everybody once a list is past its next update: do this in time,\n\
    for instance from cron, and copy crl.pem to the servers."
)]
pub struct CrlArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    lists: ListArgs,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// How long servers take the list; as the last time, or 30d
    #[arg(long, value_name = "TIME", value_parser = days)]
    next_update: Option<u32>,
    /// The same for the list of the root; as the last time, or 365d
    #[arg(long, value_name = "TIME", value_parser = days)]
    root_next_update: Option<u32>,
    /// Where the folder root/ is, if it is not in the CA's
    #[arg(long, value_name = "DIR")]
    root_dir: Option<PathBuf>,
    /// Also lay crl.pem into this file, which a server reads as ssl_crl; may be given more than once
    #[arg(long, value_name = "FILE")]
    deploy: Vec<PathBuf>,
}

impl ListArgs {
    fn update(&self) -> Update {
        let (days, root_days) = (self.next_update, self.root_next_update);
        Update { now: now(), days, root_days, root: self.root_dir.clone() }
    }

    /// The lists are signed by now: a file that cannot be written takes nothing of that back, nor
    /// of the files after it. What `said` tells is done is said whatever comes of them; status 1 is
    /// for work that is left.
    fn deploy(&self, store: &Store, said: String) -> Done {
        let mut done = Done::from(said);
        let mut laid = 0;
        for file in &self.deploy {
            let line = match hand_over(store.dir(), file) {
                Ok(Some(backup)) => format!("  {} (before: {})", shown(file), shown(&backup)),
                Ok(None) => format!("  {}", shown(file)),
                Err(error) => {
                    done.code = FINDINGS;
                    tell(format_args!("mytls: not laid there: {error}\n"));
                    continue;
                }
            };
            laid += 1;
            done.text.push_str(&line);
            done.text.push('\n');
        }
        if laid > 0 {
            done.text.push_str(
                "it counts once the server has reloaded: ALTER INSTANCE RELOAD TLS or FLUSH SSL\n",
            );
        }
        if done.code == FINDINGS {
            let crl = shown(&store.dir().join(Store::CRL_FILE));
            tell(format_args!(
                "mytls: the lists are signed, in {crl}; lay it there when that is mended: mytls ca crl \
                 --ca-dir {} --deploy FILE\n",
                shell::word(&shown(store.dir()))
            ));
        }
        done
    }
}

pub fn run(args: &RevokeArgs) -> Result<Done, Failure> {
    let store = args.store.open()?;
    let (update, reason) = (args.lists.update(), args.reason);
    let mut text = String::new();
    let signed = match chosen(&store, args)? {
        Chosen::Listed(entries) => {
            let serials: Vec<String> = entries.iter().map(|entry| entry.serial.clone()).collect();
            for entry in &entries {
                let (kind, names) = (entry.kind.name(), entry.names.join(", "));
                // writing to a String cannot fail
                let _ = writeln!(
                    text,
                    "revoked the {kind} certificate of {} ({})",
                    printable(&names),
                    entry.serial
                );
            }
            store.revoke(&serials, reason, &update)?
        }
        Chosen::Elsewhere(serial) => {
            let _ = writeln!(
                text,
                "revoked the serial number {serial}, of which nothing else is known here"
            );
            store.revoke_elsewhere(&[serial], reason, &update)?
        }
    };
    finish(text, &store, &signed, &args.lists)
}

pub fn crl(args: &CrlArgs) -> Result<Done, Failure> {
    let store = args.store.open()?;
    let signed = store.sign_lists(&args.lists.update())?;
    finish(String::new(), &store, &signed, &args.lists)
}

/// Lists that would lock everybody out are no success, and are laid nowhere.
fn finish(
    mut text: String,
    store: &Store,
    signed: &Signed,
    lists: &ListArgs,
) -> Result<Done, Failure> {
    text += &said(store, signed)?;
    if !signed.missing.is_empty() {
        return Ok(Done { text, code: FINDINGS });
    }
    Ok(lists.deploy(store, text))
}

fn said(store: &Store, signed: &Signed) -> Result<String, CaError> {
    let file = shown(&store.dir().join(Store::CRL_FILE));
    let first = Catalog::read(store.dir())?.lists.iter().map(|list| list.next_update).min();
    let until = first.map(super::day).unwrap_or_default();
    let names = |names: &[String]| printable(&names.join(", ")).into_owned();
    let mut text = format!("signed the CRL of {}, next update by {until}\n", names(&signed.signed));
    if !signed.kept.is_empty() {
        let _ = writeln!(text, "kept the CRL of {}: its key is not here", names(&signed.kept));
    }
    if !signed.missing.is_empty() {
        let _ = writeln!(
            text,
            "there is no CRL of {}: a server that has ssl_crl needs one of every CA, or it refuses \
             everybody; name the folder with its key: mytls ca crl --root-dir DIR",
            names(&signed.missing)
        );
    }
    if signed.missing.is_empty() {
        let _ = writeln!(
            text,
            "  {file}   give this to every server as ssl_crl, then ALTER INSTANCE RELOAD TLS or FLUSH SSL"
        );
    }
    Ok(text)
}

enum Chosen {
    Listed(Vec<Entry>),
    /// Issued with another tool: its serial number is all there is.
    Elsewhere(String),
}

/// What is to be revoked: whatever of that name would still be accepted.
fn chosen(store: &Store, args: &RevokeArgs) -> Result<Chosen, Failure> {
    let sought = args.name.as_ref().or(args.serial.as_ref()).cloned().unwrap_or_default();
    let catalog = Catalog::read(store.dir())?;
    let mut entries = catalog.entries;
    let already =
        || Failure::usage(format!("{} is revoked or expired already", printable(&sought)));
    let serial = args
        .serial
        .as_deref()
        .map(|text| whole_serial(text, &entries, args.issued_elsewhere))
        .transpose()?;
    let serial = serial.unwrap_or_default();
    entries.retain(|entry| match &args.serial {
        Some(_) => entry.serial == serial,
        None => entry.names.contains(&sought),
    });
    if entries.is_empty() && args.issued_elsewhere {
        let serial = serial_number(&serial).ok_or_else(|| {
            Failure::usage(format!(
                "{} is no serial number: that is up to 40 hexadecimal digits, as openssl x509 -serial \
                 prints them",
                printable(&sought)
            ))
        })?;
        if catalog.elsewhere.iter().any(|one| one.serial == serial) {
            return Err(already());
        }
        return Ok(Chosen::Elsewhere(serial));
    }
    if entries.is_empty() {
        let why = CaError::NoSuchCertificate { sought };
        return Err(if args.serial.is_some() {
            Failure::usage(format!(
                "{why}. If the CA issued it with another tool, or before it was taken over, add \
                 --issued-elsewhere"
            ))
        } else {
            why.into()
        });
    }
    entries.retain(super::is_accepted);
    if entries.is_empty() { Err(already()) } else { Ok(Chosen::Listed(entries)) }
}

/// As lists have it; `None` for what cannot be one (RFC 5280 §4.1.2.2).
fn serial_number(digits: &str) -> Option<String> {
    const LONGEST: usize = 40;
    let is_one = (1..=LONGEST).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && digits.bytes().any(|byte| byte != b'0');
    let number = is_one.then(|| openssl::bn::BigNum::from_hex_str(digits).ok()).flatten()?;
    Some(hex(&number))
}

/// A serial number as OpenSSL, a browser or the wizard shows it: with colons, spaces or `0x`, in any
/// case; the beginning of one is enough where no other begins so.
fn whole_serial(text: &str, entries: &[Entry], elsewhere: bool) -> Result<String, Failure> {
    const ENOUGH: usize = 6;
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    let digits = digits.to_ascii_uppercase();
    let digits = digits.strip_prefix("0X").unwrap_or(&digits).to_owned();
    let bare = |serial: &str| serial.trim_start_matches('0').to_owned();
    if let Some(entry) = entries.iter().find(|entry| bare(&entry.serial) == bare(&digits)) {
        return Ok(entry.serial.clone());
    }
    if elsewhere {
        return Ok(digits); // its beginning is not that of one of these
    }
    let mut alike = entries.iter().filter(|entry| entry.serial.starts_with(&digits));
    match (alike.next(), alike.next()) {
        (Some(entry), None) if digits.len() >= ENOUGH => Ok(entry.serial.clone()),
        (Some(_), _) => {
            let text = printable(text);
            Err(Failure::usage(format!(
                "{text} is only the beginning of a serial number, and not enough of it; mytls ca \
                 list shows the whole"
            )))
        }
        (None, _) => Ok(digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_taken_as_everybody_writes_them() {
        let entry = |serial: &str| -> Entry {
            let json = format!(
                r#"{{"serial":"{serial}","kind":"client","subject":"","names":[],"not_before":0,"not_after":0,"sha256":""}}"#
            );
            serde_json::from_str(&json).unwrap()
        };
        let known = [entry("76C335BB01"), entry("76C335AA02"), entry("0AB1")];
        let whole = |text| whole_serial(text, &known, false).ok();
        for text in ["76C335BB01", "0x76c335bb01", "76:c3:35:bb:01", "76C335BB"] {
            assert_eq!(whole(text).as_deref(), Some("76C335BB01"), "{text}");
        }
        assert_eq!(whole("ab1").as_deref(), Some("0AB1"));
        assert_eq!((whole("76C335"), whole("0A"), whole("")), (None, None, None));
        let elsewhere = whole_serial("76C335BB", &known, true);
        assert_eq!(elsewhere.ok().as_deref(), Some("76C335BB"), "all of it");
        assert_eq!(whole("FF").as_deref(), Some("FF"), "which is said to be unknown later");
    }

    #[test]
    fn a_serial_number_of_another_tool_is_written_as_lists_have_it() {
        for (typed, listed) in [("0AB1", "0AB1"), ("AB1", "0AB1"), ("1", "01"), ("0001", "01")] {
            assert_eq!(serial_number(typed).as_deref(), Some(listed), "{typed}");
        }
        for no in ["", "0", "XY", "-1", "AB 1", &"F".repeat(41)] {
            assert_eq!(serial_number(no), None, "{no}");
        }
    }
}
