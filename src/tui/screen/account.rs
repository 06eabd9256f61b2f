//! Accounts: their line in the list, and the panel in which one is made to require a certificate.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::list::Cells;
use crate::facts::{Account, AccountName, Require};
use crate::printable::{printable, printable_lines};
use crate::tui::engine::{Level, Offer};
use crate::tui::state::State;
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
    let proved = match proof {
        Some((proof, true)) if proof.holds() => ", proved",
        Some((_, true)) => ", not as it must be",
        _ => "",
    };
    let right = if account.locked {
        "locked".to_owned()
    } else {
        format!("REQUIRE {}{proved}", account.require.describe())
    };
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
        ("logs in with", printable(&account.plugin).into_owned()),
        ("sessions now", sessions(state, &account.name)),
    ];
    if let Require::Specified { subject, issuer, cipher } = &account.require {
        for (label, value) in [("subject", subject), ("issuer", issuer), ("cipher", cipher)] {
            if !value.is_empty() {
                known.push((label, printable(value).into_owned()));
            }
        }
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

/// The panel of one account: how much it is to require, and the statement for it.
pub fn panel(state: &State, name: &AccountName, columns: usize) -> Vec<Line<'static>> {
    let account = state.account(name);
    let now = account.map_or_else(|| "?".to_owned(), |account| account.require.describe());
    let left = format!("{name}   now REQUIRE {now}");
    let right = sessions(state, name);
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
            if state.level >= Level::Issuer {
                out.push(Line::default());
                let text = "c makes a certificate for it, in your own CA.";
                out.extend(paragraph(text, columns, 2, Style::new()));
            }
        }
        Some(Ok(offer)) => out.extend(statement(state, offer, columns)),
    }
    if let Some((proof, current)) = state.proof(name) {
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
    let key = (account.name.clone(), level, state.statement_form);
    let (Some(Ok(offer)), Require::Specified { subject, issuer, .. }) =
        (state.offers.get(&key), &account.require)
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

fn statement(state: &State, offer: &Offer, columns: usize) -> Vec<Line<'static>> {
    let server = state.exam.as_ref().and_then(|exam| exam.facts.server.read());
    let dialect = server.map_or_else(String::new, |server| {
        format!(" for {} {}", server.flavor.name(), server.version)
    });
    let form = state.statement_form;
    let mut out = vec![Line::from(vec![
        Span::styled(format!("{}{dialect}", form.title()), theme::strong()),
        Span::styled(format!("   (t: as {})", form.other().title()), theme::quiet()),
        // nothing to take back: nothing would change
        Span::raw(if offer.undo.is_empty() { "  as it is now" } else { "" }),
    ])];
    let code = wrap_verbatim(&printable_lines(&offer.statement), columns.saturating_sub(2));
    out.extend(code.into_iter().map(|line| Line::styled(format!("  {line}"), theme::code())));
    let mut known: Vec<(&str, String)> = Vec::new();
    if let Some(certificate) = &offer.certificate {
        let path = printable(&certificate.display().to_string()).into_owned();
        known.push(("certificate", clip_start(&path, columns.saturating_sub(13))));
    }
    if !offer.undo.is_empty() {
        known.push(("undo", printable_lines(&offer.undo)));
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

/// `3 sessions, 1 of them without TLS`
fn sessions(state: &State, name: &AccountName) -> String {
    let server = state.exam.as_ref().and_then(|exam| exam.facts.server.read());
    let Some(sessions) = server.and_then(|server| server.sessions.read()) else {
        return "sessions not known".to_owned();
    };
    let own: Vec<_> = sessions.iter().filter(|session| session.user == name.user).collect();
    let plain = own.iter().filter(|session| session.connection_type == "TCP/IP").count();
    let all = match own.len() {
        0 => return format!("no session of {}", printable(&name.user)),
        1 => "1 session".to_owned(),
        n => format!("{n} sessions"),
    };
    match plain {
        0 => format!("{all} of {}", printable(&name.user)),
        n => format!("{all} of {}, {n} without TLS", printable(&name.user)),
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
