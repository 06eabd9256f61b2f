//! The certificate under the cursor, and what is asked before it is renewed or revoked.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::apply::Plan;
use crate::ca::list::{Status, day};
use crate::ca::{Entry, Kind};
use crate::printable::printable;
use crate::remedy::statement::Dialect;
use crate::tui::register::Register;
use crate::tui::screen::account::warned;
use crate::tui::screen::certificate::left;
use crate::tui::screen::{heading, rule};
use crate::tui::state::{Changing, State, Ways};
use crate::tui::text::{clip, clip_start, fit, pairs, paragraph, width};
use crate::tui::theme;
use crate::x509::{Certificate, OneLine, PublicKey};

pub fn title(register: &Register) -> String {
    match (register.entry(), register.ca()) {
        (Some((entry, _)), _) => {
            format!("{} {}", entry.kind.name(), printable(&entry.names.join(", ")))
        }
        (None, Some(ca)) => {
            let what = if ca.self_signed { "root CA" } else { "CA" };
            format!("{what} {}", printable(&ca.subject.short()))
        }
        (None, None) => "nothing here".to_owned(),
    }
}

/// The certificate under the cursor, as a card.
pub fn card(state: &State, register: &Register, columns: usize) -> Vec<Line<'static>> {
    let mut known: Vec<(&str, String)> = Vec::new();
    let certificate = register.certificate();
    let names = names_here(state);
    let oneline = |name: &crate::x509::Name| printable(&name.oneline(names)).into_owned();
    let entry = register.entry();
    if let Some((entry, status)) = entry {
        if let Some(text) = ended(register, entry, status) {
            known.push(("state", text));
        }
        let subject = certificate.map(|certificate| oneline(&certificate.subject));
        let subject = subject.unwrap_or_else(|| printable(&entry.subject).into_owned());
        known.push(("subject", subject));
    }
    if let Some(certificate) = certificate {
        if entry.is_none() {
            known.push(("subject", oneline(&certificate.subject)));
        }
        known.push(("issuer", oneline(&certificate.issuer)));
        let hosts = certificate.host_names().join(", ");
        if !hosts.is_empty() {
            known.push(("for hosts", printable(&hosts).into_owned()));
        }
    }
    let life = entry.map(|(entry, _)| (entry.not_before, entry.not_after));
    let life = life.or_else(|| certificate.map(|one| (one.not_before, one.not_after)));
    if let Some((from, until)) = life {
        let left = left(until, register.now);
        known.push(("valid", format!("{} to {}, {left}", day(from), day(until))));
    }
    if let Some((entry, status)) = entry {
        known.extend(in_use(state, entry, status).map(|text| ("in use", text)));
        for (at, text) in files(register, entry).into_iter().enumerate() {
            let label = if at == 0 { "files" } else { "" };
            known.push((label, clip_start(&printable(&text), columns.saturating_sub(12))));
        }
    } else if let Some(ca) = certificate {
        known.extend(of_ca(register, ca));
    }
    if let Some(certificate) = certificate {
        let key = certificate.public_key.as_ref().map_or_else(|| "?".into(), PublicKey::describe);
        known.push(("key", key));
        known.push(("serial", printable(&certificate.serial).into_owned()));
        known.push(("SHA-256", certificate.sha256.clone()));
    } else if let Some((entry, _)) = entry {
        known.push(("serial", printable(&entry.serial).into_owned()));
        known.push(("SHA-256", printable(&entry.sha256).into_owned()));
    }
    let mut out = pairs(known.iter().map(|(l, v)| (*l, v.as_str())), columns, theme::quiet());
    if let (Some((serial, Err(why))), Some((entry, _))) = (&register.card, entry)
        && *serial == entry.serial
    {
        out.extend(warned(&format!("the copy that was kept of it: {why}"), columns));
    }
    out
}

/// The folder, then what is in it; whole paths where they lie in several.
fn files(register: &Register, entry: &Entry) -> Vec<String> {
    let paths: Vec<_> = entry.files.iter().map(|file| register.catalog.dir.join(file)).collect();
    let folder = paths.first().and_then(|path| path.parent());
    match folder {
        Some(folder) if paths.iter().all(|path| path.parent() == Some(folder)) => {
            let names = paths.iter().filter_map(|path| path.file_name());
            let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
            vec![format!("{}/", folder.display()), names.join(", ")]
        }
        _ => paths.iter().map(|path| path.display().to_string()).collect(),
    }
}

/// Why a certificate is not the one in use any more.
fn ended(register: &Register, entry: &Entry, status: Status) -> Option<String> {
    match status {
        Status::Valid => None,
        Status::Expired => Some("expired".to_owned()),
        Status::Dropped => Some("never handed out: its key is no more".to_owned()),
        Status::Replaced => {
            let by = entry.replaced_by.as_deref().unwrap_or("?");
            Some(format!("replaced by {}, and good until it expires", printable(by)))
        }
        Status::Revoked => entry.revoked.map(|revoked| {
            let own = register.catalog.lists.iter().find(|list| list.of == 0);
            let said = own.is_some_and(|list| list.serials.contains(&entry.serial));
            let listed = if said { "" } else { "; the list does not say so yet: mytls ca crl" };
            format!("revoked {} ({}){listed}", day(revoked.at), revoked.reason.name())
        }),
    }
}

/// Where a certificate is, as far as this server and the list tell.
fn in_use(state: &State, entry: &Entry, status: Status) -> Option<String> {
    let facts = state.exam.as_ref().map(|exam| &exam.facts);
    let served = facts.and_then(|facts| facts.served_leaf());
    if served.is_some_and(|leaf| leaf.sha256 == entry.sha256) {
        return Some("this server presents it now".to_owned());
    }
    if status != Status::Valid {
        return None;
    }
    let text = match (entry.kind, entry.files.is_empty()) {
        (Kind::Server, _) if entry.deployed => "in the files of a server",
        (Kind::Server, false) => "to be carried to its server",
        (Kind::Client, false) => "kept here, to be carried to the client",
        (_, true) => "not known: its key is kept elsewhere",
    };
    Some(text.to_owned())
}

/// The list of what this CA revoked.
fn of_ca(register: &Register, ca: &Certificate) -> Option<(&'static str, String)> {
    let at = register.catalog.chain.iter().position(|other| other.serial == ca.serial)?;
    let list = register.catalog.lists.iter().find(|list| list.of == at);
    let text = list.map_or_else(
        || "none: nothing of it was revoked yet".to_owned(),
        |list| {
            let (count, until) = (list.serials.len(), day(list.next_update));
            let by = if list.next_update < register.now { "was due by" } else { "by" };
            format!("{count} revoked, next update {by} {until}")
        },
    );
    Some(("CRL", text))
}

/// How this server renders names when it compares them.
fn names_here(state: &State) -> OneLine {
    let server = state.exam.as_ref().and_then(|exam| exam.facts.server.read());
    server.map_or(OneLine::OpenSsl3, |server| Dialect::of(server).names)
}

/// The choice before something is renewed or revoked.
pub fn ways(ways: &Ways, columns: usize) -> Vec<Line<'static>> {
    let name = printable(&ways.name);
    let (title, text) = match ways.what {
        Changing::Renew => (
            format!("Renew {name}"),
            "Another certificate in its place: the same name, hosts and uses, a year and a month \
             from now. Nothing is written before it was shown.",
        ),
        Changing::Revoke => (
            format!("Revoke {name}"),
            "Servers that read the CA's list of what it revoked refuse it from then on. That cannot \
             be taken back. Why is it revoked? Nothing is written before it was shown.",
        ),
    };
    let mut out = vec![rule(&title, columns)];
    out.extend(paragraph(text, columns, 0, Style::new()));
    out.push(Line::default());
    let all = ways.what.ways();
    let widest = all.iter().map(|(way, _)| width(way)).max().unwrap_or(0);
    for (at, (way, means)) in all.iter().enumerate() {
        let here = at == ways.chosen;
        let style = if here { theme::strong() } else { Style::new() };
        let pointer = if here { theme::POINTER } else { " " };
        let room = columns.saturating_sub(widest + 7);
        out.push(Line::from(vec![
            Span::styled(format!("{pointer} {}  {}  ", at + 1, fit(way, widest)), style),
            Span::styled(clip(means, room), theme::quiet()),
        ]));
    }
    out
}

/// What is asked a second time.
pub fn sure(plan: &Plan, word: &str, columns: usize) -> Vec<Line<'static>> {
    let mut out = vec![rule(&printable(&plan.title), columns)];
    match plan.accounts.as_ref().and_then(|accounts| accounts.forecast.own.as_ref()) {
        Some(own) => {
            out.extend(warned(&format!("You may lock yourself out: {own}."), columns));
            let text =
                "Keep another way in open: a second session, or an account that stays as it is.";
            out.extend(paragraph(text, columns, 2, Style::new()));
        }
        None => out.extend(warned("This cannot be taken back.", columns)),
    }
    let text = format!("Type {word} and press Enter to do it; Esc leaves everything as it is.");
    out.extend(paragraph(&text, columns, 0, Style::new()));
    out.push(Line::default());
    out
}

/// The whole card, as a page.
pub fn page_of_card(state: &State, columns: usize) -> Vec<Line<'static>> {
    let Some(register) = &state.register else { return Vec::new() };
    let mut out = vec![rule(&title(register), columns), Line::default()];
    out.extend(card(state, register, columns));
    if let Some((entry, _)) = register.entry() {
        let dir = register.catalog.dir.display().to_string();
        out.push(Line::default());
        out.push(heading("its copy"));
        let copy = format!("{dir}/issued/{}.pem", entry.serial);
        out.push(Line::raw(clip_start(&printable(&copy), columns)));
    }
    out
}
