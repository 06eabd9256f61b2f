//! A CA and what it issued, for people and for machines.

use std::fmt::Write as _;

use serde::Serialize;

use super::authority::refuse_clock;
pub use super::error::day;
use super::store::{Catalog, Elsewhere, Entry};
use super::tree::{Branch, Order, Tree, What};
use super::watch;
use crate::printable::printable;
use crate::x509::{Certificate, OneLine};

/// Columns of the time line.
const LINE: usize = 24;

/// How to draw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    pub ascii: bool,
    /// Also what was replaced, revoked, expired or never handed out.
    pub all: bool,
}

/// What is in the list of an entry, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Valid,
    Expired,
    Revoked,
    Replaced,
    Dropped,
}

impl Status {
    pub fn of(entry: &Entry, now: i64) -> Self {
        match entry {
            Entry { dropped: true, .. } => Self::Dropped,
            Entry { revoked: Some(_), .. } => Self::Revoked,
            Entry { replaced_by: Some(_), .. } => Self::Replaced,
            Entry { not_after, .. } => Self::until(*not_after, now),
        }
    }

    /// Of something that is valid up to and with this second.
    pub fn until(not_after: i64, now: i64) -> Self {
        if not_after < now { Self::Expired } else { Self::Valid }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Replaced => "replaced",
            Self::Dropped => "never handed out",
        }
    }
}

/// The tree: each CA under the one that signed it, servers and clients under the last, what expires
/// next on top; beside each its lifetime, all on one time line with today marked.
pub fn text(catalog: &Catalog, now: i64, look: Look) -> String {
    let tree = Tree::grow(catalog, now, Order::Expiry, |_, status| {
        look.all || matches!(status, Status::Valid | Status::Expired)
    });
    let mut text = String::new();
    // writing to a String cannot fail
    if refuse_clock(now).is_err() {
        let _ = writeln!(
            text,
            "this machine's clock says {}, so nothing below is right about what has expired: set it\n",
            day(now)
        );
    }
    if let Some(next) = watch::next(catalog, now) {
        let _ = writeln!(text, "{}\n", next.headline(now));
    }
    draw(&mut text, catalog, &tree, look);
    for list in &catalog.lists {
        let name = catalog.chain.get(list.of).map_or(String::new(), |ca| ca.subject.short());
        let (name, count, until) = (printable(&name), list.serials.len(), day(list.next_update));
        let by = if list.next_update < now { "was due by" } else { "by" };
        let _ = writeln!(text, "\nCRL of {name}: {count} revoked, next update {by} {until}");
    }
    elsewhere(&mut text, catalog, look);
    if catalog.entries.is_empty() {
        text.push_str("\nnothing was issued yet\n");
    }
    if tree.left_out > 0 {
        let _ = writeln!(text, "\n{} revoked or replaced: --all shows them", tree.left_out);
    }
    if !catalog.under_way.is_empty() {
        let count = catalog.under_way.len();
        let _ = writeln!(
            text,
            "\n{count} being issued now, or when mytls was stopped: the next command that issues \
             ends it"
        );
    }
    if catalog.torn {
        text.push_str("\nthe last line of index.jsonl is cut off: it was never promised\n");
    }
    text
}

/// The same for machines; times are seconds since 1970, UTC.
pub fn json(catalog: &Catalog, now: i64) -> String {
    #[derive(Serialize)]
    struct Ca<'a> {
        subject: String,
        serial: &'a str,
        not_before: i64,
        not_after: i64,
        /// Valid or expired.
        status: Status,
        sha256: &'a str,
    }
    #[derive(Serialize)]
    struct One<'a> {
        status: Status,
        #[serde(flatten)]
        entry: &'a Entry,
    }
    #[derive(Serialize)]
    struct List<'a> {
        ca: String,
        this_update: i64,
        next_update: i64,
        /// Expired: servers that read it refuse everybody.
        status: Status,
        revoked: &'a [String],
    }
    #[derive(Serialize)]
    struct Whole<'a> {
        schema: u32,
        at: i64,
        /// The CA that issues first, the root last.
        cas: Vec<Ca<'a>>,
        certificates: Vec<One<'a>>,
        crls: Vec<List<'a>>,
        /// What was revoked here and issued with another tool.
        revoked_elsewhere: &'a [Elsewhere],
        under_way: &'a [String],
    }
    let subject = |ca: &Certificate| ca.subject.oneline(OneLine::OpenSsl3);
    let whole = Whole {
        schema: 1,
        at: now,
        cas: catalog
            .chain
            .iter()
            .map(|ca| Ca {
                subject: subject(ca),
                serial: &ca.serial,
                not_before: ca.not_before,
                not_after: ca.not_after,
                status: Status::until(ca.not_after, now),
                sha256: &ca.sha256,
            })
            .collect(),
        certificates: catalog
            .entries
            .iter()
            .map(|entry| One { status: Status::of(entry, now), entry })
            .collect(),
        crls: catalog
            .lists
            .iter()
            .map(|list| List {
                ca: catalog.chain.get(list.of).map(subject).unwrap_or_default(),
                this_update: list.this_update,
                next_update: list.next_update,
                status: Status::until(list.next_update, now),
                revoked: &list.serials,
            })
            .collect(),
        revoked_elsewhere: &catalog.elsewhere,
        under_way: &catalog.under_way,
    };
    // plain strings and numbers: there is nothing in it that could not be written
    let json = serde_json::to_string_pretty(&whole).unwrap_or_default();
    crate::printable::printable_json(&json) + "\n"
}

/// What the CA revoked of what another tool issued.
fn elsewhere(text: &mut String, catalog: &Catalog, look: Look) {
    let count = catalog.elsewhere.len();
    // writing to a String cannot fail
    let _ = match (count, look.all) {
        (0, _) => Ok(()),
        (_, false) => {
            writeln!(text, "\n{count} revoked that another tool issued: --all shows them")
        }
        (_, true) => writeln!(text, "\nrevoked, and issued with another tool"),
    };
    for Elsewhere { serial, revoked } in catalog.elsewhere.iter().filter(|_| look.all) {
        let _ = writeln!(text, "  {serial}  {} ({})", day(revoked.at), revoked.reason.name());
    }
}

/// The tree, beside each line its lifetime and what else there is to say.
fn draw(text: &mut String, catalog: &Catalog, tree: &Tree, look: Look) {
    const WIDEST: usize = 44;
    let name = |line: &Branch| line.trunk(look.ascii) + &name(catalog, line);
    let alive = tree.lines.iter().filter(|line| line.life(catalog).is_some());
    let widest = alive.map(|line| name(line).chars().count()).max().unwrap_or(0).min(WIDEST);
    for line in &tree.lines {
        let name = name(line);
        // writing to a String cannot fail
        let _ = match line.life(catalog) {
            None => writeln!(text, "{name}"),
            Some(life) => {
                let bar = tree.time.bar(life, LINE, look.ascii);
                let (until, more) = (day(life.1), more(catalog, line, tree.time.now));
                let whole = format!("{name:<widest$}  {bar}  until {until}  {more}");
                writeln!(text, "{}", whole.trim_end())
            }
        };
    }
}

/// What a line is about: a CA, the kind of what stands below, or an account or server.
pub fn name(catalog: &Catalog, line: &Branch) -> String {
    match line.what {
        What::Ca(at) => printable(&catalog.chain[at].subject.short()).into_owned(),
        What::Title(kind, count) => format!("{}s ({count})", kind.name()),
        What::Entry(at, _) => printable(&catalog.entries[at].names.join(", ")).into_owned(),
    }
}

fn more(catalog: &Catalog, line: &Branch, now: i64) -> String {
    let (entry, status) = match line.what {
        What::Ca(at) => {
            let ca = &catalog.chain[at];
            let what = if ca.self_signed { "root CA" } else { "CA" };
            return match Status::until(ca.not_after, now) {
                Status::Expired => format!("expired  {what}"),
                _ => what.to_owned(),
            };
        }
        What::Title(..) => return String::new(),
        What::Entry(at, status) => (&catalog.entries[at], status),
    };
    let state = match (status, entry.revoked) {
        (Status::Revoked, Some(revoked)) => {
            format!("revoked {} ({})  ", day(revoked.at), revoked.reason.name())
        }
        (Status::Valid, _) => String::new(),
        (status, _) => format!("{}  ", status.word()),
    };
    state + &entry.serial
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::crl::{Reason, Update};
    use crate::ca::{Authority, AuthoritySpec, KeyKind, Store, Validity};

    fn catalog(folder: &std::path::Path, now: i64) -> Catalog {
        let named = |name: &str| AuthoritySpec {
            validity: Validity::From { now, days: 3650 },
            ..AuthoritySpec::named(&name.parse().unwrap())
        };
        let root = Authority::create(&named("Example Root")).unwrap();
        let issuing = root.issue_authority(&named("Example CA")).unwrap();
        let store = Store::install(&folder.join("ca"), issuing).unwrap();
        let validity = |days| Validity::From { now, days };
        store.issue_server(&["db1".parse().unwrap()], KeyKind::P256, validity(397)).unwrap();
        for (name, days) in [("late", 3000), ("app", 30), ("gone", 365)] {
            store.issue_client(&name.parse().unwrap(), KeyKind::P256, validity(days)).unwrap();
        }
        let gone = store.list().unwrap()[3].serial.clone();
        let update = Update { now, ..Update::default() };
        store.revoke(&[gone], Reason::Superseded, &update).unwrap();
        Catalog::read(store.dir()).unwrap()
    }

    #[test]
    fn the_tree_has_everything_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let now = 1_800_000_000;
        let catalog = catalog(folder.path(), now);
        let shown = text(&catalog, now, Look::default());
        let serial = |name: &str| {
            let entry = catalog.entries.iter().find(|entry| entry.names[0] == name);
            entry.unwrap().serial.clone()
        };
        let expected = format!(
            "next: there is no CRL of Example Root: with those of the others, servers refuse everybody

Example Root   ┃━━━━━━━━━━━━━━━━━━━━━━━  until 2037-01-12  root CA
└─ Example CA  ┃━━━━━━━━━━━━━━━━━━━━━━━  until 2037-01-12  CA
   ├─ servers (1)
   │  └─ db1   ┃━━·····················  until 2028-02-16  {}
   └─ clients (2)
      ├─ app   ┃·······················  until 2027-02-14  {}
      └─ late  ┃━━━━━━━━━━━━━━━━━━·····  until 2035-04-03  {}

CRL of Example CA: 1 revoked, next update by 2027-02-14

1 revoked or replaced: --all shows them
",
            serial("db1"),
            serial("app"),
            serial("late")
        );
        assert_eq!(shown, expected);
        let all = text(&catalog, now + 40 * 86_400, Look { ascii: true, all: true });
        assert!(all.is_ascii() && all.contains("revoked 2027-01-15 (superseded)"), "{all}");
        assert!(all.contains("until 2027-02-14  expired"), "{all}");
        assert!(all.contains("next update was due by 2027-02-14"), "{all}");
        let end = text(&catalog, now + 4000 * 86_400, Look { ascii: true, all: false });
        assert!(end.contains("until 2037-01-12  expired  root CA"), "{end}");
        assert!(
            end.lines().next().unwrap().ends_with("servers that read it refuse everybody"),
            "{end}"
        );
        let epoch = text(&catalog, 7, Look::default());
        assert!(
            epoch.starts_with("this machine's clock says 1970-01-01, so nothing below"),
            "{epoch}"
        );
    }

    #[test]
    fn machines_get_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let now = 1_800_000_000;
        let catalog = catalog(folder.path(), now);
        let value: serde_json::Value = serde_json::from_str(&json(&catalog, now)).unwrap();
        assert_eq!(value["cas"][1]["subject"], "/CN=Example Root");
        assert_eq!(value["cas"][1]["status"], "valid");
        let end: serde_json::Value =
            serde_json::from_str(&json(&catalog, now + 4000 * 86_400)).unwrap();
        assert_eq!(
            (&end["cas"][0]["status"], &end["crls"][0]["status"]),
            (&"expired".into(), &"expired".into())
        );
        assert_eq!(value["certificates"][3]["status"], "revoked");
        assert_eq!(value["certificates"][3]["revoked"]["reason"], "superseded");
        assert_eq!(value["certificates"][2]["names"][0], "app");
        assert_eq!(value["crls"][0]["revoked"][0], value["certificates"][3]["serial"]);
    }
}
