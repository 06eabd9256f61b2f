//! The CA and what it issued, as the wizard goes through it: which lines there are, which one is
//! selected, what is looked for.

use std::sync::Arc;

use super::form::{Field, Form};
use crate::ca::list::{self, Status};
use crate::ca::tree::{Branch, Order, TimeLine, Tree, What};
use crate::ca::{Catalog, Entry, watch};
use crate::x509::Certificate;

/// What was read of the CA, and how it is looked at.
#[derive(Debug)]
pub struct Register {
    pub catalog: Arc<Catalog>,
    /// When the server was looked at: seconds since 1970, UTC.
    pub now: i64,
    /// What expires first of all that is in use.
    pub next: Option<watch::Due>,
    pub tree: Tree,
    /// The measure of the bars.
    pub time: TimeLine,
    pub order: Order,
    /// Also what was replaced, or never handed out.
    pub all: bool,
    /// What is looked for: one field.
    pub filter: Form,
    /// Whether letters go into it.
    pub typing: bool,
    /// The certificate of the line under the cursor, once it was read.
    pub card: Option<(String, Result<Certificate, String>)>,
    /// It was changed since it was read.
    pub stale: bool,
    selected: Selected,
    /// What the lines were last chosen by.
    applied: String,
}

/// A line, whatever stands above it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Selected {
    Ca(usize),
    /// By its serial number.
    Entry(String),
}

impl Register {
    pub fn new(catalog: Catalog, now: i64) -> Self {
        let filter = Form::new(vec![Field::text("filter", "", "")]);
        let mut register = Self {
            catalog: Arc::new(catalog),
            now,
            next: None,
            tree: Tree::default(),
            time: TimeLine::default(),
            order: Order::default(),
            all: false,
            filter,
            typing: false,
            card: None,
            stale: false,
            selected: Selected::Ca(0),
            applied: String::new(),
        };
        register.next = watch::next(&register.catalog, now);
        register.grow();
        // the first thing that somebody may want to do something about
        register.select_first_entry();
        register
    }

    /// Read again: the same lines stay, and the same one selected if it is still there.
    pub fn read_again(&mut self, catalog: Catalog) {
        let before = self.position();
        self.catalog = Arc::new(catalog);
        (self.stale, self.card) = (false, None);
        self.next = watch::next(&self.catalog, self.now);
        self.grow();
        self.hold(before);
    }

    pub fn at(&mut self, now: i64) {
        if now != self.now {
            self.now = now;
            self.next = watch::next(&self.catalog, now);
            self.grow();
        }
    }

    pub fn sort(&mut self) {
        self.order = match self.order {
            Order::Expiry => Order::Name,
            Order::Name => Order::Expiry,
        };
        self.grow();
    }

    pub fn toggle_all(&mut self) {
        let before = self.position();
        self.all = !self.all;
        self.grow();
        self.hold(before);
    }

    /// Takes in what was typed into the filter since.
    pub fn settle(&mut self) {
        if self.sought() != self.applied {
            self.grow();
            self.select_first_entry();
        }
    }

    pub fn clear_filter(&mut self) {
        self.typing = false;
        if let Some(field) = self.filter.fields.first_mut() {
            field.set("");
        }
        self.grow(); // the line under the cursor stays
    }

    pub fn sought(&self) -> String {
        self.filter.value(0).to_lowercase()
    }

    /// The line under the cursor; 0 when there is none.
    pub fn position(&self) -> usize {
        let is_it = |line: &Branch| match (line.what, &self.selected) {
            (What::Ca(at), Selected::Ca(selected)) => at == *selected,
            (What::Entry(at, _), Selected::Entry(serial)) => {
                self.catalog.entries.get(at).is_some_and(|entry| entry.serial == *serial)
            }
            _ => false,
        };
        self.tree.lines.iter().position(is_it).unwrap_or(0)
    }

    pub fn line(&self) -> Option<&Branch> {
        self.tree.lines.get(self.position())
    }

    /// The entry under the cursor.
    pub fn entry(&self) -> Option<(&Entry, Status)> {
        match self.line()?.what {
            What::Entry(at, status) => Some((self.catalog.entries.get(at)?, status)),
            _ => None,
        }
    }

    /// The CA under the cursor.
    pub fn ca(&self) -> Option<&Certificate> {
        match self.line()?.what {
            What::Ca(at) => self.catalog.chain.get(at),
            _ => None,
        }
    }

    /// The certificate under the cursor, if it was read and could be.
    pub fn certificate(&self) -> Option<&Certificate> {
        let Some((entry, _)) = self.entry() else { return self.ca() };
        let (serial, card) = self.card.as_ref()?;
        card.as_ref().ok().filter(|_| *serial == entry.serial)
    }

    /// The serial number of the certificate that is still to be read.
    pub fn card_wanted(&self) -> Option<&str> {
        let (entry, _) = self.entry()?;
        let has = self.card.as_ref().is_some_and(|(serial, _)| *serial == entry.serial);
        (!has).then_some(entry.serial.as_str())
    }

    /// Moves by so many lines; titles are passed over.
    pub fn step(&mut self, by: isize) {
        let last = self.tree.lines.len().saturating_sub(1);
        let to = self.position().saturating_add_signed(by).min(last);
        let is_title = |at: &usize| matches!(self.tree.lines[*at].what, What::Title(..));
        if self.tree.lines.is_empty() {
            return;
        }
        let on = (to..=last).find(|at| !is_title(at));
        let back = (0..=to).rev().find(|at| !is_title(at));
        if let Some(at) = if by < 0 { back.or(on) } else { on.or(back) } {
            self.select(at);
        }
    }

    fn select(&mut self, at: usize) {
        match self.tree.lines.get(at).map(|line| line.what) {
            Some(What::Ca(at)) => self.selected = Selected::Ca(at),
            Some(What::Entry(at, _)) => {
                let serial = self.catalog.entries.get(at).map(|entry| entry.serial.clone());
                self.selected = Selected::Entry(serial.unwrap_or_default());
            }
            _ => {}
        }
    }

    fn select_first_entry(&mut self) {
        let is_entry = |line: &Branch| matches!(line.what, What::Entry(..));
        self.select(self.tree.lines.iter().position(is_entry).unwrap_or(0));
    }

    /// Where the line is gone, the one that stands in its place now.
    fn hold(&mut self, before: usize) {
        if self.position() == 0 && before > 0 {
            self.select(before.min(self.tree.lines.len().saturating_sub(1)));
            self.step(0);
        }
    }

    fn grow(&mut self) {
        self.applied = self.sought();
        let (all, sought) = (self.all, &self.applied);
        self.tree = Tree::grow(&self.catalog, self.now, self.order, |entry, status| {
            let kept = all || !matches!(status, Status::Replaced | Status::Dropped);
            kept && matches(entry, status, sought)
        });
        self.time = self.tree.time_of_entries(&self.catalog);
    }
}

/// Whether what is looked for stands in anything that the line shows.
fn matches(entry: &Entry, status: Status, sought: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(sought);
    sought.is_empty()
        || entry.names.iter().any(|name| has(name))
        || has(&entry.serial)
        || has(&entry.subject)
        || has(&entry.key)
        || has(status.word())
        || has(&list::day(entry.not_after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::Kind;

    fn register(count: usize) -> Register {
        let entry = |at: usize| Entry {
            serial: format!("{at:032X}"),
            kind: if at == 0 { Kind::Server } else { Kind::Client },
            subject: format!("/CN=client{at}"),
            names: vec![format!("client{at}")],
            not_before: 0,
            not_after: 1_000_000 + i64::try_from(at).unwrap(),
            sha256: String::new(),
            key: "EC P-256".into(),
            files: Vec::new(),
            deployed: false,
            revoked: None,
            instead_of: None,
            replaced_by: (at == 2).then(|| "1".to_owned()),
            dropped: false,
        };
        let catalog = Catalog {
            dir: "/ca".into(),
            entries: (0..count).map(entry).collect(),
            ..Catalog::default()
        };
        Register::new(catalog, 500_000)
    }

    fn name(register: &Register) -> String {
        register.entry().map_or_else(String::new, |(entry, _)| entry.names[0].clone())
    }

    #[test]
    fn titles_are_passed_over_and_ends_hold() {
        let mut register = register(5);
        assert_eq!(name(&register), "client0");
        register.step(1);
        assert_eq!(name(&register), "client1", "over the title");
        register.step(-1);
        register.step(-1);
        assert_eq!(name(&register), "client0");
        register.step(isize::MAX);
        assert_eq!(name(&register), "client4");
    }

    #[test]
    fn the_same_line_stays_selected_and_what_is_gone_gives_way_to_its_neighbour() {
        let mut register = register(5);
        register.toggle_all();
        register.filter.fields[0].set("REPLACED");
        register.settle();
        assert_eq!(name(&register), "client2");
        register.clear_filter();
        assert_eq!(name(&register), "client2");
        register.toggle_all();
        assert_eq!(name(&register), "client4", "there is nothing below it");
        register.sort();
        assert_eq!(name(&register), "client4");
    }

    #[test]
    fn ten_thousand_are_quick_to_look_through() {
        let mut register = register(10_000);
        let begun = std::time::Instant::now();
        for text in ["client", "client9", "client99", "client999", "client9999"] {
            register.filter.fields[0].set(text);
            register.settle();
        }
        assert_eq!(name(&register), "client9999");
        // a tenth of a second for each key is what a person notices; this is a debug build
        assert!(begun.elapsed().as_millis() < 2500, "{:?}", begun.elapsed());
    }
}
