//! Accounts: their line in the list, and the panel in which one is made to require a certificate.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::list::Cells;
use super::roster::grouped;
use crate::facts::{Account, AccountName, Carrier, Require};
use crate::printable::{printable, printable_lines};
use crate::tui::engine::{Level, Offer};
use crate::tui::roster;
use crate::tui::state::{OfferKey, State};
use crate::tui::text::{clip, clip_start, fit, pairs, paragraph, width, wrap_verbatim};
use crate::tui::theme;

pub fn cells(state: &State, index: usize) -> Cells {
    let Some(account) = state.accounts().get(index) else {
        let (sign, style) = (theme::OPEN, theme::quiet());
        let (text, right) = (String::new(), String::new());
        return Cells { sign, style, text, right, follows: false, quiet: true };
    };
    let proof = state.proof(&account.name);
    let (sign, style) = match proof {
        Some((proof, true)) if proof.holds() => (theme::GOOD, theme::good()),
        Some((_, true)) => (theme::BAD, theme::bad()),
        _ => (theme::OPEN, theme::quiet()),
    };
    // what it requires and how its sessions come in have columns of their own
    let right = match (proof, roster::state(account)) {
        (Some((_, true)), "") if sign == theme::GOOD => "proved",
        (Some((_, true)), "") => "not proved",
        (_, state) => state,
    };
    let right = right.to_owned();
    Cells {
        sign,
        style,
        text: account.name.to_string(),
        right,
        follows: false,
        quiet: account.locked,
    }
}

/// What the list says of the account under the cursor.
pub fn detail(state: &State, index: usize, columns: usize) -> Vec<Line<'static>> {
    let Some(account) = state.accounts().get(index) else { return Vec::new() };
    let mut known = vec![
        ("requires", account.require.describe()),
        ("logs in with", plugins(account)),
        ("sessions now", sessions(state, std::slice::from_ref(&account.name))),
    ];
    if let Require::Specified { subject, issuer, cipher } = &account.require {
        for (label, value) in [("subject", subject), ("issuer", issuer), ("cipher", cipher)] {
            if !value.is_empty() {
                known.push((label, printable(value).into_owned()));
            }
        }
    }
    if account.more.password_expired {
        known.push(("password", "expired: it has to be changed before anything else".to_owned()));
    }
    if !account.more.roles.is_empty() {
        known.push(("roles", printable(&account.more.roles.join(", ")).into_owned()));
    }
    if let Some((proof, current)) = state.proof(&account.name) {
        known.push(("proof", proof_words(proof, *current)));
    }
    let mut out = pairs(known.iter().map(|(l, v)| (*l, v.as_str())), columns, theme::quiet());
    out.push(Line::default());
    let next = if account.locked {
        "Nobody can log in with it while it is locked."
    } else {
        "Enter shows the statement that makes it require its certificate; p proves that it does."
    };
    out.extend(paragraph(next, columns, 0, Style::new()));
    out
}

fn plugins(account: &Account) -> String {
    let first = std::iter::once(&account.plugin);
    let all: Vec<&str> = first.chain(&account.more.or_plugins).map(String::as_str).collect();
    printable(&all.join(" or ")).into_owned()
}

/// The panel of accounts: how much they are to require, and the statements for it.
pub fn panel(state: &State, names: &[AccountName], columns: usize) -> Vec<Line<'static>> {
    let one = match names {
        [one] => Some(one),
        _ => None,
    };
    let account = one.and_then(|name| state.account(name));
    let left = match one {
        Some(name) => {
            let now = account.map_or_else(|| "?".to_owned(), |account| account.require.describe());
            format!("{name}   now REQUIRE {now}")
        }
        None => format!("{} accounts: {}", grouped(names.len()), some(names)),
    };
    let right = sessions(state, names);
    let gap = columns.saturating_sub(width(&left) + width(&right));
    let mut out = Vec::new();
    if gap >= 2 {
        out.push(Line::from(vec![
            Span::styled(left, theme::strong()),
            Span::styled(format!("{}{right}", " ".repeat(gap)), theme::quiet()),
        ]));
    } else {
        out.push(Line::styled(clip(&left, columns), theme::strong()));
        out.push(Line::styled(clip(&right, columns), theme::quiet()));
    }
    out.push(Line::default());
    out.extend(LEVELS.iter().map(|level| level_line(state, account, *level, columns)));
    out.push(Line::default());
    match state.offer() {
        None => out.push(Line::styled("writing the statement…", theme::quiet())),
        Some(Err(why)) => {
            out.extend(warned(why, columns));
            if state.level >= Level::Issuer && one.is_some() {
                out.push(Line::default());
                let text = "c makes a certificate for it, in your own CA.";
                out.extend(paragraph(text, columns, 2, Style::new()));
            }
        }
        Some(Ok(offer)) => out.extend(statement(state, offer, columns)),
    }
    if let Some((proof, current)) = one.and_then(|name| state.proof(name)) {
        out.push(Line::default());
        out.push(Line::from(vec![
            theme::holds(if *current { Some(proof.holds_but_for_key()) } else { None }),
            Span::raw(format!(" {}", proof_words(proof, *current))),
        ]));
    }
    out
}

fn level_line(
    state: &State,
    account: Option<&Account>,
    level: Level,
    columns: usize,
) -> Line<'static> {
    let chosen = state.level == level;
    let now = account.filter(|account| level_of(&account.require) == Some(level));
    let mark = if chosen { "(•)" } else { "( )" };
    let pointer = if chosen { theme::POINTER } else { " " };
    let style = if chosen { theme::strong() } else { Style::new() };
    let note = match (now, level) {
        (Some(account), _) if names_another(state, account, level) => "now, but another one",
        (Some(_), _) => "now",
        (None, Level::SubjectAndIssuer) => "recommended",
        _ => "",
    };
    let room = columns.saturating_sub(2 + 4 + 18 + 2 + width(note));
    let means = if columns >= 70 {
        fit(means(level, asks_everybody(state)), room.min(46))
    } else {
        String::new()
    };
    Line::from(vec![
        Span::styled(format!("{pointer} {mark} "), style),
        Span::styled(fit(title(level), 18), style),
        Span::raw(format!("{means}  ")),
        Span::styled(note, theme::quiet()),
    ])
}

/// Whether the account names a certificate or a CA, and not the one that it is offered.
fn names_another(state: &State, account: &Account, level: Level) -> bool {
    let key = state.offer_key().map(|key| OfferKey { level, ..key });
    let (Some(Ok(offer)), Require::Specified { subject, issuer, .. }) =
        (key.and_then(|key| state.offers.get(&key)), &account.require)
    else {
        return false;
    };
    (subject, issuer) != (&offer.subject, &offer.issuer)
}

/// Weakest first.
pub const LEVELS: [Level; 5] =
    [Level::None, Level::Ssl, Level::X509, Level::Issuer, Level::SubjectAndIssuer];

/// A level as the statement names it.
fn title(level: Level) -> &'static str {
    match level {
        Level::None => "NONE",
        Level::Ssl => "SSL",
        Level::X509 => "X509",
        Level::Issuer => "ISSUER",
        Level::SubjectAndIssuer => "SUBJECT + ISSUER",
    }
}

/// Whether the server itself asks for TLS, so that no password travels in the clear.
fn asks_everybody(state: &State) -> bool {
    let server = state.exam.as_ref().and_then(|exam| exam.facts.server.read());
    server.is_some_and(|server| server.is_on("require_secure_transport"))
}

/// Who gets in.
fn means(level: Level, asks_everybody: bool) -> &'static str {
    match level {
        Level::None if asks_everybody => "anyone with the password; the server wants TLS",
        Level::None => "anyone with the password, readable on the way",
        Level::Ssl => "anyone with the password, over TLS",
        Level::X509 => "… and any certificate the server trusts",
        Level::Issuer => "… and any certificate of this one CA",
        Level::SubjectAndIssuer => "… and the one certificate made for it",
    }
}

/// The level that an account is at; `None` for a mixture that mytls does not write.
pub fn level_of(require: &Require) -> Option<Level> {
    match require {
        Require::None => Some(Level::None),
        Require::Ssl => Some(Level::Ssl),
        Require::X509 => Some(Level::X509),
        Require::Specified { subject, issuer, cipher } => {
            match (subject.is_empty(), issuer.is_empty(), cipher.is_empty()) {
                (false, false, true) => Some(Level::SubjectAndIssuer),
                (true, false, true) => Some(Level::Issuer),
                _ => None,
            }
        }
    }
}

/// So many lines of statements are shown; `y` copies all, and the review has them, too.
const SHOWN: usize = 40;

fn statement(state: &State, offer: &Offer, columns: usize) -> Vec<Line<'static>> {
    let server = state.exam.as_ref().and_then(|exam| exam.facts.server.read());
    let dialect = server.map_or_else(String::new, |server| {
        format!(" for {} {}", server.flavor.name(), server.version)
    });
    let form = state.form_in_effect();
    let other = state.knows_both_forms().then(|| form.other().title());
    let mut out = vec![Line::from(vec![
        Span::styled(format!("{}{dialect}", form.title()), theme::strong()),
        Span::styled(other.map_or_else(String::new, |o| format!("   (t: as {o})")), theme::quiet()),
        // nothing to take back: nothing would change
        Span::raw(if offer.undo.is_empty() { "  as it is now" } else { "" }),
    ])];
    let mut lines = offer.statement.lines();
    let text: Vec<&str> = lines.by_ref().take(SHOWN).collect();
    let code = wrap_verbatim(&printable_lines(&text.join("\n")), columns.saturating_sub(2));
    out.extend(code.into_iter().map(|line| Line::styled(format!("  {line}"), theme::code())));
    if lines.next().is_some() {
        let text =
            format!("  … for {} accounts in all; y copies them", grouped(offer.orders.len()));
        out.push(Line::styled(clip(&text, columns), theme::quiet()));
    }
    let mut known: Vec<(&str, String)> = Vec::new();
    if let Some(certificate) = &offer.certificate {
        let path = printable(&certificate.display().to_string()).into_owned();
        known.push(("certificate", clip_start(&path, columns.saturating_sub(13))));
    }
    if !offer.undo.is_empty() {
        let many = offer.orders.len() > 3;
        let text = "each gets back what it requires now; it is noted before anything is sent";
        let undo = if many { text.to_owned() } else { printable_lines(&offer.undo) };
        known.push(("undo", undo));
    }
    out.extend(pairs(known.iter().map(|(l, v)| (*l, v.as_str())), columns, theme::quiet()));
    if !offer.explain.is_empty() {
        out.push(Line::default());
        out.extend(paragraph(&printable_lines(&offer.explain), columns, 0, Style::new()));
    }
    for warning in &offer.warnings {
        out.extend(warned(warning, columns));
    }
    out
}

/// `app@%, etl@% and 3 more`
fn some(names: &[AccountName]) -> String {
    const FIRST: usize = 2;
    let first: Vec<String> = names.iter().take(FIRST).map(ToString::to_string).collect();
    match names.len().saturating_sub(FIRST) {
        0 => first.join(", "),
        more => format!("{} and {} more", first.join(", "), grouped(more)),
    }
}

/// `! text`, with what follows indented under the text.
pub fn warned(text: &str, columns: usize) -> Vec<Line<'static>> {
    let lines = crate::tui::text::wrap(&printable_lines(text), columns.saturating_sub(2));
    let line = |(at, line): (usize, String)| {
        let sign =
            if at == 0 { Span::styled(theme::WARNING, theme::warning()) } else { " ".into() };
        Line::from(vec![sign, Span::raw(format!(" {line}"))])
    };
    lines.into_iter().enumerate().map(line).collect()
}

/// `3 sessions, 1 without TLS`
fn sessions(state: &State, names: &[AccountName]) -> String {
    let server = state.exam.as_ref().and_then(|exam| exam.facts.server.read());
    if server.is_none_or(|server| server.sessions.read().is_none() && server.processes.is_empty()) {
        return "sessions not known".to_owned();
    }
    let arrivals = &state.roster.arrivals;
    let sum = |wanted: fn(Carrier) -> bool| -> usize {
        let counts = names.iter().filter_map(|name| arrivals.by(name)).flatten();
        counts.filter(|(carrier, _)| wanted(**carrier)).map(|(_, count)| count).sum()
    };
    let all = match sum(|_| true) {
        0 => return "no session now".to_owned(),
        1 => "1 session".to_owned(),
        n => format!("{} sessions", grouped(n)),
    };
    match sum(|carrier| matches!(carrier, Carrier::Tcp | Carrier::Local)) {
        0 => all,
        n => format!("{all}, {} without TLS", grouped(n)),
    }
}

pub fn proof_words(proof: &crate::tui::engine::Proof, current: bool) -> String {
    let words = proof.words();
    match (current, proof.holds(), proof.holds_but_for_key()) {
        (false, ..) => "tried before the last change; p tries again".to_owned(),
        (true, true, _) => format!("proved: {words}"),
        (true, false, true) => words,
        (true, false, false) => format!("not proved: {words}"),
    }
}
