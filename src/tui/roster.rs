//! The accounts as the wizard goes through them: which lines there are, which one is selected, what
//! is looked for, which are marked.
//!
//! A server may have a hundred thousand of them. So what can be looked for is written down once, in
//! the order of the list, and each key goes through that text; a line is built when it is drawn.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use memchr::memmem;

use super::form::{Field, Form};
use super::rows::{self, Row, RowKey};
use crate::checklist::Examination;
use crate::facts::{Account, AccountName, Carrier, Require};
use crate::remedy::arrivals::Arrivals;

/// What is kept of the list; the accounts themselves are those of the examination.
#[derive(Debug)]
pub struct Roster {
    /// What is wrong and what is not known, with what can be looked for of each, in lower case.
    findings: Vec<(Row, Option<String>)>,
    /// Those of them that fit: on top.
    head: Vec<Row>,
    /// What holds, at the end.
    tail: Vec<Row>,
    pub arrivals: Arrivals,
    pub by: By,
    /// What is looked for: one field.
    pub filter: Form,
    /// Whether letters go into it.
    pub typing: bool,
    /// The accounts in the order of the list.
    order: Vec<u32>,
    /// What can be looked for of each, in that order, a line each, in lower case.
    text: String,
    /// Where each line begins, and where the last one ends.
    starts: Vec<usize>,
    /// Those that fit, as places in `order`, ascending.
    shown: Vec<u32>,
    /// What `shown` was chosen by.
    applied: String,
    marked: BTreeSet<u32>,
    position: usize,
    /// Somebody went to the selected line; else it is the first, whatever that is.
    chosen: bool,
}

/// What the accounts are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Those first that can be reached from elsewhere.
    #[default]
    Name,
    /// The weakest first.
    Require,
    /// Those with sessions without TLS first.
    Sessions,
}

impl By {
    pub fn words(self) -> &'static str {
        match self {
            Self::Name => "by name",
            Self::Require => "the weakest first",
            Self::Sessions => "sessions without TLS first",
        }
    }

    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Name => Self::Require,
            Self::Require => Self::Sessions,
            Self::Sessions => Self::Name,
        }
    }
}

impl Default for Roster {
    fn default() -> Self {
        Self {
            findings: Vec::new(),
            head: Vec::new(),
            tail: Vec::new(),
            arrivals: Arrivals::default(),
            by: By::default(),
            filter: Form::new(vec![Field::text("filter", "", "")]),
            typing: false,
            order: Vec::new(),
            text: String::new(),
            starts: vec![0],
            shown: Vec::new(),
            applied: String::new(),
            marked: BTreeSet::new(),
            position: 0,
            chosen: false,
        }
    }
}

/// The accounts of an examination.
pub fn accounts(exam: &Examination) -> &[Account] {
    let server = exam.facts.server.read();
    server.and_then(|server| server.accounts.read()).map_or(&[], Vec::as_slice)
}

impl Roster {
    /// Takes in what was found now: filter, order and marks stay, and the selected line, if it is
    /// still there.
    pub fn read_again(&mut self, before: Option<&Examination>, exam: &Examination) {
        let old = before.map_or(&[][..], accounts);
        let selected = self.row(old).map(|row| row.key()).filter(|_| self.chosen);
        let names = self.marked_names(old);
        let names: HashSet<&AccountName> = names.iter().collect();
        let all = accounts(exam);
        let (findings, tail) = rows::around_accounts(exam);
        self.findings = findings.into_iter().map(|row| (row.clone(), said(exam, &row))).collect();
        self.tail = tail;
        self.arrivals = exam.facts.server.read().map(Arrivals::of).unwrap_or_default();
        self.marked = BTreeSet::new();
        if !names.is_empty() {
            let kept = (0..).zip(all).filter(|(_, account)| names.contains(&account.name));
            self.marked = kept.map(|(at, _)| at).collect();
        }
        self.sort_out(all);
        match selected {
            Some(key) => self.select(all, &key),
            None => self.position = 0,
        }
    }

    pub fn sort(&mut self, all: &[Account]) {
        let selected = self.row(all).map(|row| row.key());
        self.by = self.by.next();
        self.sort_out(all);
        if let Some(key) = selected {
            self.select(all, &key);
        }
    }

    /// Puts the accounts in their order, and writes down what can be looked for.
    fn sort_out(&mut self, all: &[Account]) {
        let mut order: Vec<u32> = (0..).take(all.len()).collect();
        let named = |a: &Account, b: &Account| {
            let key = |account: &Account| (account.locked, account.name.is_local());
            key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
        };
        let arrivals = &self.arrivals;
        let come = |account: &Account| {
            let count = |carrier| arrivals.count(&account.name, carrier);
            let all = arrivals.by(&account.name).map_or(0, |counts| counts.values().sum());
            Reverse((count(Carrier::Tcp), all))
        };
        let at = |index: &u32| &all[*index as usize];
        match self.by {
            By::Name => order.sort_by(|a, b| named(at(a), at(b))),
            By::Require => order.sort_by(|a, b| {
                let key = |account: &Account| (account.locked, strength(&account.require));
                key(at(a)).cmp(&key(at(b))).then_with(|| named(at(a), at(b)))
            }),
            By::Sessions => order
                .sort_by(|a, b| come(at(a)).cmp(&come(at(b))).then_with(|| named(at(a), at(b)))),
        }
        self.text.clear();
        self.starts.clear();
        for index in &order {
            self.starts.push(self.text.len());
            write_down(&mut self.text, at(index), arrivals);
        }
        self.starts.push(self.text.len());
        self.order = order;
        self.applied = self.sought();
        self.shown = self.find(&self.applied, None);
        self.put_on_top();
    }

    /// Those findings that have every word. What is always to be seen fits whatever is looked for.
    fn put_on_top(&mut self) {
        let words: Vec<&str> = self.applied.split_whitespace().collect();
        let fits = |text: &Option<String>| {
            text.as_ref().is_none_or(|text| words.iter().all(|word| text.contains(word)))
        };
        let fitting = self.findings.iter().filter(|(_, text)| fits(text));
        self.head = fitting.map(|(row, _)| row.clone()).collect();
    }

    /// What is looked for, in lower case.
    pub fn sought(&self) -> String {
        self.filter.value(0).to_lowercase()
    }

    /// Takes in what was typed since. What is only longer is looked for among what was found.
    pub fn settle(&mut self) {
        let sought = self.sought();
        if sought == self.applied {
            return;
        }
        let longer = !self.applied.is_empty() && sought.starts_with(&self.applied);
        let shown = std::mem::take(&mut self.shown);
        self.shown = self.find(&sought, longer.then_some(&shown));
        self.applied = sought;
        self.put_on_top();
        self.chosen = true;
        self.position = self.head.len(); // the first account that fits
        self.hold();
    }

    pub fn clear_filter(&mut self, all: &[Account]) {
        self.typing = false;
        if self.applied.is_empty() {
            return;
        }
        let selected = self.row(all).map(|row| row.key());
        if let Some(field) = self.filter.fields.first_mut() {
            field.set("");
        }
        self.applied = String::new();
        self.shown = self.find("", None);
        self.put_on_top();
        if let Some(key) = selected {
            self.select(all, &key); // the line under the cursor stays
        }
    }

    /// The lines in which every word stands.
    fn find(&self, sought: &str, within: Option<&[u32]>) -> Vec<u32> {
        /// A line each is looked at more dearly than the whole text in one go: where more than
        /// a fourth of the lines are left, that is what is done.
        const FEW: usize = 4;
        let mut words: Vec<&str> = sought.split_whitespace().collect();
        // the longest is in the fewest
        words.sort_by_key(|word| Reverse(word.len()));
        let Some((first, rest)) = words.split_first() else {
            return (0..).take(self.order.len()).collect();
        };
        let mut found = match within {
            Some(lines) if lines.len() < self.order.len() / FEW => self.among(first, lines),
            _ => self.scan(first),
        };
        for word in rest {
            found = self.among(word, &found);
        }
        found
    }

    fn among(&self, word: &str, lines: &[u32]) -> Vec<u32> {
        let finder = memmem::Finder::new(word);
        let fits = |line: &&u32| finder.find(self.line(**line).as_bytes()).is_some();
        lines.iter().filter(fits).copied().collect()
    }

    /// Goes through the text once; after a hit, on with the next line.
    fn scan(&self, word: &str) -> Vec<u32> {
        let finder = memmem::Finder::new(word);
        let (bytes, mut found) = (self.text.as_bytes(), Vec::new());
        let (mut line, mut from) = (0_usize, 0_usize);
        while let Some(hit) = finder.find(&bytes[from..]) {
            let at = from + hit;
            while self.starts[line + 1] <= at {
                line += 1;
            }
            found.extend(u32::try_from(line));
            line += 1;
            from = self.starts[line];
        }
        found
    }

    fn line(&self, at: u32) -> &str {
        let at = at as usize;
        &self.text[self.starts[at]..self.starts[at + 1]]
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.head.len() + self.shown.len() + self.below().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// While something is looked for, only what is found stands below the findings.
    fn below(&self) -> &[Row] {
        if self.applied.is_empty() { &self.tail } else { &[] }
    }

    /// How many accounts are shown, and how many there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.shown.len(), self.order.len())
    }

    /// What stands above the accounts.
    pub fn above(&self) -> &[Row] {
        &self.head
    }

    pub fn position(&self) -> usize {
        self.position
    }

    /// The line at this place.
    pub fn row_at(&self, at: usize, all: &[Account]) -> Option<Row> {
        if let Some(row) = self.head.get(at) {
            return Some(row.clone());
        }
        let at = at - self.head.len();
        match self.shown.get(at) {
            Some(place) => {
                let index = *self.order.get(*place as usize)? as usize;
                Some(Row::Account { index, name: all.get(index)?.name.clone() })
            }
            None => self.below().get(at - self.shown.len()).cloned(),
        }
    }

    /// The line under the cursor.
    pub fn row(&self, all: &[Account]) -> Option<Row> {
        self.row_at(self.position, all)
    }

    pub fn step(&mut self, to: impl Fn(usize, usize) -> usize) {
        self.chosen = true;
        self.position = to(self.position, self.len().saturating_sub(1));
        self.hold();
    }

    fn hold(&mut self) {
        self.position = self.position.min(self.len().saturating_sub(1));
    }

    /// Selects a line by what it is about; where it is gone, the one in its place.
    pub fn select(&mut self, all: &[Account], key: &RowKey) {
        self.chosen = true;
        let among = |rows: &[Row]| rows.iter().position(|row| row.key() == *key);
        let found = match key {
            RowKey::Account(name) => self
                .shown
                .iter()
                .position(|place| all[self.order[*place as usize] as usize].name == *name)
                .map(|at| self.head.len() + at),
            _ => among(&self.head)
                .or_else(|| among(self.below()).map(|at| self.head.len() + self.shown.len() + at)),
        };
        self.position = found.unwrap_or(self.position);
        self.hold();
    }

    pub fn is_marked(&self, index: usize) -> bool {
        u32::try_from(index).is_ok_and(|index| self.marked.contains(&index))
    }

    pub fn marked(&self) -> usize {
        self.marked.len()
    }

    pub fn marked_names(&self, all: &[Account]) -> Vec<AccountName> {
        let accounts = self.marked.iter().filter_map(|index| all.get(*index as usize));
        accounts.map(|account| account.name.clone()).collect()
    }

    pub fn unmark(&mut self) {
        self.marked.clear();
    }

    /// Marks the account under the cursor or takes its mark away, and goes on to the next line.
    pub fn mark(&mut self) {
        let Some(place) = self.position.checked_sub(self.head.len()) else { return };
        let Some(place) = self.shown.get(place) else { return };
        let index = self.order[*place as usize];
        if !self.marked.remove(&index) {
            self.marked.insert(index);
        }
        self.step(|at, last| (at + 1).min(last));
    }

    /// Marks this account or takes its mark away, and says which.
    pub fn mark_named(&mut self, all: &[Account], name: &AccountName) -> bool {
        let found = (0..).zip(all).find(|(_, account)| account.name == *name);
        let Some((index, _)) = found else { return false };
        let marks = !self.marked.remove(&index);
        if marks {
            self.marked.insert(index);
        }
        marks
    }

    /// Marks all that are shown; when they all are already, takes their marks away.
    pub fn mark_shown(&mut self) {
        let shown: Vec<u32> = self.shown.iter().map(|place| self.order[*place as usize]).collect();
        if shown.iter().all(|index| self.marked.contains(index)) {
            for index in &shown {
                self.marked.remove(index);
            }
        } else {
            self.marked.extend(shown);
        }
    }
}

/// How few get in: first by what a certificate has to be, then by the cipher.
fn strength(require: &Require) -> (u8, bool) {
    match require {
        Require::None => (0, false),
        Require::Ssl => (1, false),
        Require::X509 => (2, false),
        Require::Specified { subject, issuer, cipher } => {
            let certificate = match (subject.is_empty(), issuer.is_empty()) {
                (true, true) => 1, // MariaDB asks for none, and MySQL for any
                (true, false) => 3,
                (false, true) => 4,
                (false, false) => 5,
            };
            (certificate, !cipher.is_empty())
        }
    }
}

/// What can be looked for of a line above the accounts; `None` for one that always stands there.
fn said(exam: &Examination, row: &Row) -> Option<String> {
    let text = match row {
        Row::Finding { index, .. } => {
            let finding = &exam.findings[*index];
            let seen = finding.evidence.iter().map(|seen| seen.value.as_str());
            std::iter::once(finding.title.as_str()).chain(seen).collect::<Vec<_>>().join(" ")
        }
        Row::Outcome { rule, .. } => (*rule).to_owned(),
        Row::Info(_) | Row::Account { .. } => return None,
    };
    Some(text.to_lowercase())
}

/// What the account's line says, and its plugins, in lower case.
fn write_down(text: &mut String, account: &Account, arrivals: &Arrivals) {
    let words = [account.name.to_string(), account.require.describe(), account.plugin.clone()];
    for word in words.iter().chain(&account.more.or_plugins) {
        let shown = crate::printable::printable(word);
        if shown.is_ascii() {
            let from = text.len();
            text.push_str(&shown);
            text[from..].make_ascii_lowercase();
        } else {
            text.push_str(&shown.to_lowercase());
        }
        text.push(' ');
    }
    text.push_str(&arrivals.words(&account.name).to_lowercase());
    text.push(' ');
    text.push_str(state(account));
    text.push('\n');
}

/// What keeps an account from being used, in a word or two.
pub fn state(account: &Account) -> &'static str {
    match (account.locked, account.more.is_role, account.more.password_expired) {
        (true, true, _) => "role",
        (true, false, _) => "locked",
        (false, _, true) => "expired",
        (false, ..) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn of(names: &[&str]) -> (Roster, Examination) {
        let facts = testing::with_server(|server| {
            let accounts = names.iter().map(|name| testing::account(name, "%", Require::None));
            server.accounts = crate::facts::Source::Read(accounts.collect());
        });
        let exam = Examination::judge(facts);
        let mut roster = Roster::default();
        roster.read_again(None, &exam);
        (roster, exam)
    }

    fn shown(roster: &Roster, exam: &Examination) -> Vec<String> {
        let rows = (0..roster.len()).filter_map(|at| roster.row_at(at, accounts(exam)));
        let names = rows.filter_map(|row| match row {
            Row::Account { name, .. } => Some(name.user),
            _ => None,
        });
        names.collect()
    }

    fn look_for(roster: &mut Roster, text: &str) {
        roster.filter.fields[0].set(text);
        roster.settle();
    }

    /// However it was typed, the same is found as by looking at each account by itself.
    #[test]
    fn what_is_found_does_not_hang_on_how_it_was_typed() {
        let names: Vec<String> =
            (0..500).map(|n| format!("{}{n}", ["app", "web", "etl", "Jörg"][n % 4])).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (mut roster, exam) = of(&names);
        for typed in ["p", "pp1", "pp12", "pp1", "jörg 9", "a 1", "", "nobody", "%", "12 app"] {
            look_for(&mut roster, typed);
            let fits = |name: &&&str| {
                let plugin = &accounts(&exam)[0].plugin;
                let line = format!("{}@% none {plugin}", name.to_lowercase());
                typed.split(' ').all(|word| line.contains(word))
            };
            let mut wanted: Vec<String> =
                names.iter().filter(fits).map(|name| (*name).to_owned()).collect();
            wanted.sort();
            let mut found = shown(&roster, &exam);
            found.sort();
            assert_eq!(found, wanted, "{typed}");
        }
    }

    #[test]
    fn the_weakest_are_first_down_to_the_last_part_that_is_asked_for() {
        let (mut roster, _) = of(&[]);
        let named = |subject: &str, issuer: &str, cipher: &str| Require::Specified {
            subject: subject.to_owned(),
            issuer: issuer.to_owned(),
            cipher: cipher.to_owned(),
        };
        let weakest_first = [
            Require::None,
            Require::Ssl,
            named("", "", "c"),
            Require::X509,
            named("", "/i", ""),
            named("", "/i", "c"),
            named("/s", "", ""),
            named("/s", "/i", ""),
            named("/s", "/i", "c"),
        ];
        let account = |(at, require): (usize, &Require)| {
            testing::account(&format!("u{at}"), "%", require.clone())
        };
        let mut all: Vec<Account> = weakest_first.iter().enumerate().map(account).collect();
        all.reverse();
        roster.sort(&all);
        assert_eq!(roster.by, By::Require);
        let order: Vec<&str> =
            roster.order.iter().map(|at| all[*at as usize].name.user.as_str()).collect();
        assert_eq!(order, ["u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8"]);
    }

    #[test]
    fn marks_stay_with_their_accounts_when_the_server_is_read_again() {
        let (mut roster, exam) = of(&["app", "etl", "web"]);
        for user in ["etl", "web"] {
            look_for(&mut roster, user);
            roster.mark_shown();
        }
        assert_eq!(roster.marked(), 2);
        let (_, later) = of(&["aaa", "app", "web"]);
        roster.read_again(Some(&exam), &later);
        assert_eq!(roster.marked_names(accounts(&later)), [AccountName::new("web", "%")]);
    }

    #[test]
    fn the_selected_account_stays_selected_when_sorted_and_when_all_are_shown_again() {
        let (mut roster, exam) = of(&["app", "etl", "web"]);
        let all = accounts(&exam);
        look_for(&mut roster, "web");
        let here = |roster: &Roster| match roster.row(all) {
            Some(Row::Account { name, .. }) => name.user,
            other => panic!("{other:?}"),
        };
        assert_eq!(here(&roster), "web");
        roster.sort(all);
        roster.clear_filter(all);
        assert_eq!((here(&roster).as_str(), shown(&roster, &exam).len()), ("web", 3));
        look_for(&mut roster, "nobody");
        assert!(roster.row(all).is_none_or(|row| !matches!(row, Row::Account { .. })));
    }
}
