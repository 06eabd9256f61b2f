//! A CA and what it issued, for people and for machines.

use std::fmt::Write as _;

use serde::Serialize;

use super::error::day;
use super::store::{Catalog, Entry, Kind};
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
            Entry { not_after, .. } if *not_after < now => Self::Expired,
            _ => Self::Valid,
        }
    }
}

/// The tree: each CA under the one that signed it, servers and clients under the last, what expires
/// next on top; beside each its lifetime, all on one time line with today marked.
pub fn text(catalog: &Catalog, now: i64, look: Look) -> String {
    let mut rows = Vec::new();
    for (depth, ca) in catalog.chain.iter().rev().enumerate() {
        rows.push(Row::of_ca(ca, depth));
    }
    let depth = catalog.chain.len();
    let mut left_out = 0;
    for (kind, title) in [(Kind::Server, "servers"), (Kind::Client, "clients")] {
        let mut entries: Vec<(Status, &Entry)> = (catalog.entries.iter())
            .filter(|entry| entry.kind == kind)
            .map(|entry| (Status::of(entry, now), entry))
            .filter(|(status, _)| {
                let shown = look.all || matches!(status, Status::Valid | Status::Expired);
                left_out += usize::from(!shown);
                shown
            })
            .collect();
        if entries.is_empty() {
            continue;
        }
        entries.sort_by(|(one, a), (other, b)| {
            let order = |status, entry: &Entry| (status != Status::Valid, entry.not_after);
            order(*one, a).cmp(&order(*other, b)).then_with(|| a.names.cmp(&b.names))
        });
        rows.push(Row::title(title, entries.len(), depth));
        rows.extend(entries.iter().map(|(status, entry)| Row::of(*status, entry, depth + 1)));
    }
    let mut text = String::new();
    // writing to a String cannot fail
    if let Some(next) = watch::next(catalog, now) {
        let _ = writeln!(text, "next: {}\n", next.sentence(now));
    }
    draw(&mut text, &rows, now, look);
    for list in &catalog.lists {
        let name = catalog.chain.get(list.of).map_or(String::new(), |ca| ca.subject.short());
        let (name, count, until) = (printable(&name), list.serials.len(), day(list.next_update));
        let _ = writeln!(text, "\nCRL of {name}: {count} revoked, next update by {until}");
    }
    if catalog.entries.is_empty() {
        text.push_str("\nnothing was issued yet\n");
    }
    if left_out > 0 {
        let _ = writeln!(text, "\n{left_out} revoked or replaced: --all shows them");
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
                revoked: &list.serials,
            })
            .collect(),
        under_way: &catalog.under_way,
    };
    // plain strings and numbers: there is nothing in it that could not be written
    let json = serde_json::to_string_pretty(&whole).unwrap_or_default();
    crate::printable::printable_json(&json) + "\n"
}

/// A line of the tree.
struct Row {
    depth: usize,
    what: String,
    /// From when until when; `None` for a title.
    life: Option<(i64, i64)>,
    /// What else there is to say.
    more: String,
}

impl Row {
    fn of_ca(ca: &Certificate, depth: usize) -> Self {
        let what = printable(&ca.subject.short()).into_owned();
        let more = if ca.self_signed { "root CA" } else { "CA" };
        Self { depth, what, life: Some((ca.not_before, ca.not_after)), more: more.to_owned() }
    }

    fn title(title: &str, count: usize, depth: usize) -> Self {
        Self { depth, what: format!("{title} ({count})"), life: None, more: String::new() }
    }

    fn of(status: Status, entry: &Entry, depth: usize) -> Self {
        let mut more = match status {
            Status::Valid => String::new(),
            Status::Expired => "expired  ".to_owned(),
            Status::Replaced => "replaced  ".to_owned(),
            Status::Dropped => "never handed out  ".to_owned(),
            Status::Revoked => entry.revoked.map_or(String::new(), |revoked| {
                format!("revoked {} ({})  ", day(revoked.at), revoked.reason.name())
            }),
        };
        more.push_str(&entry.serial);
        let what = printable(&entry.names.join(", ")).into_owned();
        Self { depth, what, life: Some((entry.not_before, entry.not_after)), more }
    }
}

fn draw(text: &mut String, rows: &[Row], now: i64, look: Look) {
    const WIDEST: usize = 44;
    let lives = || rows.iter().filter_map(|row| row.life);
    let from = lives().map(|(from, _)| from).min().unwrap_or(now).min(now);
    let until = lives().map(|(_, until)| until).max().unwrap_or(now).max(now + 1);
    let glyphs = if look.ascii { ["|- ", "`- ", "|  "] } else { ["├─ ", "└─ ", "│  "] };
    let width = |row: &Row| row.depth * 3 + row.what.chars().count();
    let alive = rows.iter().filter(|row| row.life.is_some());
    let widest = alive.map(width).max().unwrap_or(0).min(WIDEST);
    // for each depth, whether something of that depth follows before the tree goes up again
    let mut follows = vec![false; rows.iter().map(|row| row.depth + 1).max().unwrap_or(1)];
    let mut lasts = vec![Vec::new(); rows.len()];
    for (at, row) in rows.iter().enumerate().rev() {
        follows.truncate(row.depth + 1);
        lasts[at].clone_from(&follows);
        follows[row.depth] = true;
        follows.resize(follows.len().max(row.depth + 2), false);
    }
    for (row, follows) in rows.iter().zip(&lasts) {
        let mut name = String::new();
        for follows in follows.iter().take(row.depth).skip(1) {
            name.push_str(if *follows { glyphs[2] } else { "   " });
        }
        if row.depth > 0 {
            name.push_str(if follows.get(row.depth) == Some(&true) {
                glyphs[0]
            } else {
                glyphs[1]
            });
        }
        name.push_str(&row.what);
        let Some(life) = row.life else {
            let _ = writeln!(text, "{name}");
            continue;
        };
        let bar = bar(life, (from, until), now, look.ascii);
        let whole = format!("{name:<widest$}  {bar}  until {}  {}", day(life.1), row.more);
        let _ = writeln!(text, "{}", whole.trim_end());
    }
}

/// A lifetime on the time line, today marked.
fn bar(life: (i64, i64), whole: (i64, i64), now: i64, ascii: bool) -> String {
    let column = |at: i64| {
        let span = i128::from((whole.1 - whole.0).max(1));
        let place = i128::from(at - whole.0) * (LINE as i128 - 1) / span;
        usize::try_from(place.clamp(0, LINE as i128 - 1)).unwrap_or(0)
    };
    let (from, until, today) = (column(life.0), column(life.1), column(now));
    let [full, empty, mark] = if ascii { ['=', '.', '|'] } else { ['━', '·', '┃'] };
    (0..LINE)
        .map(|at| match at {
            at if at == today => mark,
            at if (from..=until).contains(&at) => full,
            _ => empty,
        })
        .collect()
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
            "next: client app expires on 2027-02-14, in 30 days

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
    }

    #[test]
    fn machines_get_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let now = 1_800_000_000;
        let catalog = catalog(folder.path(), now);
        let value: serde_json::Value = serde_json::from_str(&json(&catalog, now)).unwrap();
        assert_eq!(value["cas"][1]["subject"], "/CN=Example Root");
        assert_eq!(value["certificates"][3]["status"], "revoked");
        assert_eq!(value["certificates"][3]["revoked"]["reason"], "superseded");
        assert_eq!(value["certificates"][2]["names"][0], "app");
        assert_eq!(value["crls"][0]["revoked"][0], value["certificates"][3]["serial"]);
    }
}
