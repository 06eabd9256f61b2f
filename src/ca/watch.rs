//! What will stop working when nobody does anything.

use std::collections::HashMap;

use serde::Serialize;

use super::error::day;
use super::store::{Catalog, Elsewhere, Entry, Kind, RevocationList};
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
    /// What else there is to know of it, as the end of a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
    /// The command that takes care of it, without `--ca-dir`; `None` for what ends with its CA, which
    /// is due then, too.
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
    fn new(what: What, name: String, on: i64, remedy: &str) -> Self {
        Self { what, name, serial: None, on, note: None, remedy: Some(remedy.to_owned()) }
    }

    /// The sentence for the top of a list: what comes next, or what keeps everybody out by now.
    pub fn headline(&self, now: i64) -> String {
        let sentence = self.sentence(now);
        match self.what {
            What::Ca if self.on < now => format!("{sentence}: whatever is below it is refused"),
            What::Crl if self.on < now => {
                format!("{sentence}: servers that read it refuse everybody")
            }
            _ => format!("next: {sentence}"),
        }
    }

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
        format!("{what} {name} {verb} {}, {when}{}", day(self.on), self.note.unwrap_or_default())
    }
}

/// All that is due within so many seconds of `now`, the most urgent first. Of a list of revoked
/// certificates only the last third of its life counts as well: it is short by nature.
pub fn due(catalog: &Catalog, now: i64, within: i64) -> Vec<Due> {
    let mut due = Vec::new();
    for ca in catalog.chain.iter().filter(|ca| ca.not_after < now + within) {
        let serial = Some(ca.serial.clone());
        let remedy = "mytls ca rotate start --to DIR";
        due.push(Due { serial, ..Due::new(What::Ca, ca.subject.short(), ca.not_after, remedy) });
    }
    let ends = catalog.ends();
    let expiring = expiring(&catalog.entries, now, within);
    due.extend(expiring.map(|(entry, place)| certificate(entry, place, ends)));
    for list in &catalog.lists {
        let life = list.next_update.saturating_sub(list.this_update);
        if list.next_update < now + within.min(life / 3) {
            due.push(list_of(catalog, list));
        }
    }
    // some are there, so servers read them, and they want one of every CA
    for (at, ca) in catalog.chain.iter().enumerate().filter(|_| !catalog.lists.is_empty()) {
        if catalog.lists.iter().all(|list| list.of != at) {
            let remedy = "mytls ca crl --root-dir DIR";
            due.push(Due::new(What::NoCrl, ca.subject.short(), now, remedy));
        }
    }
    let own = catalog.lists.iter().find(|list| list.of == 0);
    let said = |serial: &String| own.is_some_and(|list| list.serials.contains(serial));
    let unsaid = |name: String, serial: &String, at: i64| Due {
        serial: Some(serial.clone()),
        ..Due::new(What::Revocation, name, at, "mytls ca crl")
    };
    for entry in catalog.entries.iter().filter(|entry| entry.not_after >= now) {
        if let Some(revoked) = entry.revoked.filter(|_| !said(&entry.serial)) {
            due.push(unsaid(entry.names.join(", "), &entry.serial, revoked.at));
        }
    }
    for Elsewhere { serial, revoked } in &catalog.elsewhere {
        if !said(serial) {
            due.push(unsaid(format!("serial number {serial}"), serial, revoked.at));
        }
    }
    due.sort_by(|a, b| (a.on, &a.name).cmp(&(b.on, &b.name)));
    due
}

/// What expires first of all that is in use, the CAs and lists among it; and before that a CA or a list
/// that is past its end, for nobody gets in.
pub fn next(catalog: &Catalog, now: i64) -> Option<Due> {
    const EVER: i64 = i64::MAX / 4;
    let mut all = due(catalog, now, EVER);
    // however short its life: servers refuse everybody after it
    all.extend(catalog.lists.iter().map(|list| list_of(catalog, list)));
    let counts = |due: &Due| due.on >= now || matches!(due.what, What::Ca | What::Crl);
    all.into_iter().filter(counts).min_by_key(|due| due.on)
}

/// Whether a certificate is the one that its account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Newest,
    /// It was issued before another that is in use, perhaps elsewhere.
    Older,
}

/// What is in use and expires within so many seconds of `now`, or did so lately: what expired longer
/// ago than that, and than a month, is missed by nobody.
pub fn expiring(entries: &[Entry], now: i64, within: i64) -> impl Iterator<Item = (&Entry, Place)> {
    const LATELY: i64 = 30 * DAY;
    // the files of an account lie in one place: of several certificates it has those of the last
    let mut newest: HashMap<&str, &str> = HashMap::new();
    let current = move || entries.iter().filter(|entry| entry.is_current());
    for entry in current().filter(|entry| entry.kind == Kind::Client) {
        newest.insert(entry.names.first().map_or("", String::as_str), &entry.serial);
    }
    let place = move |entry: &Entry| match entry.names.first() {
        Some(name) if entry.kind == Kind::Client && newest[name.as_str()] != entry.serial => {
            Place::Older
        }
        _ => Place::Newest,
    };
    let soon = move |entry: &&Entry| {
        entry.not_after < now + within && entry.not_after >= now - within.max(LATELY)
    };
    let placed = current().filter(soon).map(move |entry| (entry, place(entry)));
    placed.filter(move |(entry, place)| *place == Place::Newest || entry.not_after >= now)
}

fn list_of(catalog: &Catalog, list: &RevocationList) -> Due {
    let name = catalog.chain.get(list.of).map_or(String::new(), |ca| ca.subject.short());
    Due::new(What::Crl, name, list.next_update, "mytls ca crl")
}

/// `ends`: when its CA expires.
fn certificate(entry: &Entry, place: Place, ends: i64) -> Due {
    let kind = entry.kind.name();
    let first = word(entry.names.first().map_or("", String::as_str));
    let (note, remedy) = match place {
        Place::Older => (
            Some("; it has a newer one, to be carried there"),
            Some(format!("mytls ca pack {first} --out DIR")),
        ),
        Place::Newest if entry.not_after >= ends => (Some(", with its CA"), None),
        Place::Newest => (None, Some(format!("mytls ca renew --{kind} {first}"))),
    };
    Due {
        what: if kind == "server" { What::Server } else { What::Client },
        name: entry.names.join(", "),
        serial: Some(entry.serial.clone()),
        on: entry.not_after,
        note,
        remedy,
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
    #[test]
    fn what_ends_with_its_ca_is_renewed_by_no_command_and_an_expired_ca_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let spec = AuthoritySpec {
            validity: Validity::From { now, days: 20 },
            ..AuthoritySpec::named(&"Short CA".parse().unwrap())
        };
        let store = Store::create(&folder.path().join("ca"), &spec).unwrap();
        let issue = |days| {
            let validity = Validity::From { now, days };
            let issued = store.issue_client(&"app".parse().unwrap(), KeyKind::P256, validity);
            issued.unwrap().ends_with_ca()
        };
        assert!(!issue(10) && issue(397));
        let catalog = Catalog::read(store.dir()).unwrap();
        let all = due(&catalog, now, 30 * DAY);
        let said: Vec<String> = all.iter().map(|due| due.sentence(now)).collect();
        assert!(
            said[0].ends_with("in 10 days; it has a newer one, to be carried there"),
            "{said:?}"
        );
        assert_eq!(all[0].remedy.as_deref(), Some("mytls ca pack app --out DIR"));
        let rotate = all.iter().find(|due| due.what == What::Ca).unwrap();
        assert_eq!(rotate.remedy.as_deref(), Some("mytls ca rotate start --to DIR"));
        let newer = all.iter().find(|due| due.on == catalog.ends() && due.what == What::Client);
        let newer = newer.unwrap();
        assert_eq!((newer.note, &newer.remedy), (Some(", with its CA"), &None));

        let later = now + 21 * DAY;
        let first = next(&catalog, later).unwrap();
        assert_eq!(first.what, What::Ca);
        assert!(first.headline(later).starts_with("CA Short CA expired on "), "{first:?}");
        let names = |now| -> Vec<What> {
            due(&catalog, now, 30 * DAY).into_iter().map(|due| due.what).collect()
        };
        assert_eq!(names(later), [What::Ca, What::Client], "the older one counts no more");
        assert_eq!(names(now + 60 * DAY), [What::Ca], "nobody missed it for a month");
    }
}
