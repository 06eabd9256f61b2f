//! What will stop working when nobody does anything.

use serde::Serialize;

use super::error::day;
use super::store::{Catalog, Entry, RevocationList};
use crate::printable::printable;

const DAY: i64 = 86_400;

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Due {
    pub what: What,
    /// The account, the server's names, or the name of the CA.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// When it stops working: seconds since 1970, UTC; in the past if it has.
    pub on: i64,
    /// The command that takes care of it, without `--ca-dir`; `None` for a CA, which takes more than
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    Ca,
    Server,
    Client,
    /// A list of revoked certificates: past its date, servers refuse everybody.
    Crl,
    /// There are lists, and none of this CA: servers refuse everybody.
    #[serde(rename = "no-crl")]
    NoCrl,
    /// Something was revoked that the list does not say yet.
    Revocation,
}

impl What {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ca => "CA",
            Self::Server => "server",
            Self::Client => "client",
            Self::Crl => "CRL",
            Self::NoCrl => "no CRL",
            Self::Revocation => "revocation",
        }
    }
}

impl Due {
    /// `client app expires on 2027-12-24, in 30 days`
    pub fn sentence(&self, now: i64) -> String {
        let (what, name) = (self.what.name(), printable(&self.name));
        let verb = match (self.what, self.on < now) {
            (What::Revocation, _) => {
                return format!(
                    "{name} was revoked on {} and the CRL does not say so",
                    day(self.on)
                );
            }
            (What::NoCrl, _) => {
                return format!(
                    "there is no CRL of {name}: with those of the others, servers refuse everybody"
                );
            }
            (What::Crl, true) => "was to be renewed by",
            (What::Crl, false) => "has to be renewed by",
            (_, true) => "expired on",
            (_, false) => "expires on",
        };
        let days = (self.on - now).div_euclid(DAY);
        let when = match days {
            0 => "today".to_owned(),
            1 => "tomorrow".to_owned(),
            2.. => format!("in {days} days"),
            _ if self.on >= now - DAY => "within the last day".to_owned(),
            _ => format!("{} days ago", (now - self.on) / DAY),
        };
        format!("{what} {name} {verb} {}, {when}", day(self.on))
    }
}

/// All that is due within so many seconds of `now`, the most urgent first. Of a list of revoked
/// certificates only the last third of its life counts as well: it is short by nature.
pub fn due(catalog: &Catalog, now: i64, within: i64) -> Vec<Due> {
    let mut due = Vec::new();
    for ca in catalog.chain.iter().filter(|ca| ca.not_after < now + within) {
        let remedy = None;
        let (name, on) = (ca.subject.short(), ca.not_after);
        due.push(Due { what: What::Ca, name, serial: Some(ca.serial.clone()), on, remedy });
    }
    let current = catalog.entries.iter().filter(|entry| entry.is_current());
    due.extend(current.filter(|entry| entry.not_after < now + within).map(certificate));
    for list in &catalog.lists {
        let life = list.next_update.saturating_sub(list.this_update);
        if list.next_update < now + within.min(life / 3) {
            due.push(list_of(catalog, list));
        }
    }
    // some are there, so servers read them, and they want one of every CA
    for (at, ca) in catalog.chain.iter().enumerate().filter(|_| !catalog.lists.is_empty()) {
        if catalog.lists.iter().all(|list| list.of != at) {
            let remedy = Some("mytls ca crl --root-dir DIR".to_owned());
            due.push(Due {
                what: What::NoCrl,
                name: ca.subject.short(),
                serial: None,
                on: now,
                remedy,
            });
        }
    }
    let own = catalog.lists.iter().find(|list| list.of == 0);
    for entry in catalog.entries.iter().filter(|entry| entry.not_after >= now) {
        let said = || own.is_some_and(|list| list.serials.contains(&entry.serial));
        if let Some(revoked) = entry.revoked.filter(|_| !said()) {
            let (name, serial) = (entry.names.join(", "), Some(entry.serial.clone()));
            let remedy = Some("mytls ca crl".to_owned());
            due.push(Due { what: What::Revocation, name, serial, on: revoked.at, remedy });
        }
    }
    due.sort_by(|a, b| (a.on, &a.name).cmp(&(b.on, &b.name)));
    due
}

/// What expires first of all that is in use, the CAs and lists among it.
pub fn next(catalog: &Catalog, now: i64) -> Option<Due> {
    const EVER: i64 = i64::MAX / 4;
    let mut all = due(catalog, now, EVER);
    // however short its life: servers refuse everybody after it
    all.extend(catalog.lists.iter().map(|list| list_of(catalog, list)));
    all.into_iter().filter(|due| due.on >= now).min_by_key(|due| due.on)
}

fn list_of(catalog: &Catalog, list: &RevocationList) -> Due {
    let name = catalog.chain.get(list.of).map_or(String::new(), |ca| ca.subject.short());
    let remedy = Some("mytls ca crl".to_owned());
    Due { what: What::Crl, name, serial: None, on: list.next_update, remedy }
}

fn certificate(entry: &Entry) -> Due {
    let kind = entry.kind.name();
    let first = entry.names.first().map_or("", String::as_str);
    Due {
        what: if kind == "server" { What::Server } else { What::Client },
        name: entry.names.join(", "),
        serial: Some(entry.serial.clone()),
        on: entry.not_after,
        remedy: Some(format!("mytls ca renew --{kind} {}", word(first))),
    }
}

/// As one word of a shell.
fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@%:".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::crl::{Reason, Update};
    use crate::ca::{AuthoritySpec, KeyKind, Store, Validity};

    #[test]
    fn certificates_lists_and_the_ca_become_due_and_what_is_revoked_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let spec = AuthoritySpec::named(&"Example CA".parse().unwrap());
        let store = Store::create(&folder.path().join("ca"), &spec).unwrap();
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        for (name, days) in [("soon", 20), ("late", 300), ("gone", 10)] {
            let validity = Validity::From { now, days };
            store.issue_client(&name.parse().unwrap(), KeyKind::P256, validity).unwrap();
        }
        let gone = store.list().unwrap()[2].serial.clone();
        let update = Update { now, ..Update::default() };
        store.revoke(std::slice::from_ref(&gone), Reason::KeyCompromise, &update).unwrap();
        let due_at = |now: i64, days: i64| -> Vec<(What, String)> {
            let catalog = Catalog::read(store.dir()).unwrap();
            due(&catalog, now, days * DAY).into_iter().map(|due| (due.what, due.name)).collect()
        };
        let named = |what, name: &str| (what, name.to_owned());
        assert_eq!(due_at(now, 5), []);
        assert_eq!(due_at(now, 30), [named(What::Client, "soon")]);
        let soon = named(What::Client, "soon");
        let list = named(What::Crl, "Example CA");
        assert_eq!(due_at(now + 21 * DAY, 30), [soon.clone(), list.clone()]);
        let catalog = Catalog::read(store.dir()).unwrap();
        let after_soon = next(&catalog, now + 21 * DAY).unwrap();
        assert_eq!(after_soon.what, What::Crl, "though a list is due in its last third alone");
        let all = due_at(now + 3640 * DAY, 30);
        assert_eq!(all.last(), Some(&named(What::Ca, "Example CA")));

        std::fs::remove_file(store.dir().join("crl.pem")).unwrap();
        let catalog = Catalog::read(store.dir()).unwrap();
        let first = due(&catalog, now, 5 * DAY);
        assert_eq!(first[0].what, What::Revocation);
        assert!(first[0].sentence(now).contains("gone was revoked on"), "{first:?}");
        assert_eq!(next(&catalog, now).unwrap().name, "gone");
    }
}
