//! What lies over a step: help, explanations, fixes, the review, the proof.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{detail, heading, proof, register, review, rule};
use crate::apply::Applied;
use crate::facts::AccountName;
use crate::facts::gather::ProgressState;
use crate::printable::{printable, printable_lines};
use crate::remedy::{ActionKind, Effect, Remedy};
use crate::tui::keys;
use crate::tui::state::{Fix, Overlay, State};
use crate::tui::text::{clip, clip_start, fit, paragraph, width, wrap_verbatim};
use crate::tui::theme;

/// The page of an overlay that is read, not typed into.
pub fn lines(state: &State, over: &Overlay, columns: usize) -> Vec<Line<'static>> {
    match over {
        Overlay::Help => help(state, columns),
        Overlay::Explain(rule) => explain(rule, columns),
        Overlay::Fix(fix) => self::fix(fix, columns),
        Overlay::Review(plan) => review::lines(state, plan, columns),
        Overlay::Applying { plan, lines } => applying(state, &plan.title, lines, columns),
        Overlay::Done { title, done, failed } => ended(title, done, failed.as_deref(), columns),
        Overlay::Proof(view) => proof::lines(state, view, columns),
        Overlay::Ways(ways) => register::ways(ways, columns),
        Overlay::Denied { account, answer } => {
            super::denied::lines(state, account, answer.as_ref(), columns)
        }
        Overlay::Scan { so_far, answer } => {
            super::scan::lines(state, so_far, answer.as_ref(), columns)
        }
        Overlay::Card => register::page_of_card(state, columns),
        Overlay::Password { .. }
        | Overlay::Passphrase { .. }
        | Overlay::ProofKey { .. }
        | Overlay::Save(_)
        | Overlay::Palette(_)
        | Overlay::Cipher(_)
        | Overlay::AskWhy { .. }
        | Overlay::Sure { .. } => Vec::new(),
    }
}

fn help(state: &State, columns: usize) -> Vec<Line<'static>> {
    // the keys of what lies beneath the help
    let beneath = match state.layers.len() {
        0 | 1 => None,
        n => state.layers.get(n - 2),
    };
    let context = keys::Context::beneath(state, beneath.map(|layer| &layer.over));
    let bindings: Vec<_> = keys::in_context(state, context).collect();
    let names: Vec<String> = bindings.iter().map(|b| b.all_names(state.ascii)).collect();
    let widest = names.iter().map(|name| width(name)).max().unwrap_or(0);
    let mut out = vec![rule(&format!("Keys: {}", context.title()), columns), Line::default()];
    for (binding, name) in bindings.iter().zip(&names) {
        let refused = (binding.refused)(state);
        let mut doc = binding.doc.to_owned();
        if let Some(why) = refused {
            doc = format!("{doc} (now: {why})");
        }
        let room = columns.saturating_sub(widest + 4);
        for (at, line) in crate::tui::text::wrap(&doc, room).into_iter().enumerate() {
            let name = if at == 0 { fit(name, widest) } else { " ".repeat(widest) };
            out.push(Line::from(vec![
                Span::styled(format!("  {name}  "), theme::strong()),
                Span::raw(line),
            ]));
        }
    }
    out.push(Line::default());
    out.push(heading("Signs"));
    let signs = [
        (theme::GOOD, theme::good(), "good"),
        (theme::WARNING, theme::warning(), "works, and is unsafe or will stop working"),
        (theme::BAD, theme::bad(), "broken, or TLS is not what it promises"),
        (theme::UNKNOWN, theme::unknown(), "not known; the details say why"),
        (theme::NOT_APPLICABLE, theme::quiet(), "does not apply here, or was not asked"),
        (theme::OPEN, theme::quiet(), "not judged, only shown"),
    ];
    for (sign, style, text) in signs {
        out.push(Line::from(vec![
            Span::raw("  "),
            Span::styled(sign, style),
            Span::raw(format!("  {text}")),
        ]));
    }
    out
}

fn explain(explained: &crate::rules::Rule, columns: usize) -> Vec<Line<'static>> {
    let mut out = vec![rule(explained.id, columns)];
    let mut text = String::new();
    let flush = |text: &mut String, out: &mut Vec<Line<'static>>| {
        if !text.is_empty() {
            out.extend(paragraph(text, columns, 2, Style::new()));
            text.clear();
        }
    };
    for line in explained.doc.lines().map(str::trim) {
        if let Some(title) = line.strip_prefix('#') {
            flush(&mut text, &mut out);
            if out.last().is_some_and(|line| line.width() > 0) {
                out.push(Line::default());
            }
            out.push(heading(title.trim_start_matches('#').trim()));
        } else if line.is_empty() {
            flush(&mut text, &mut out);
            out.push(Line::default());
        } else if line.starts_with("- ") || line.starts_with("* ") {
            flush(&mut text, &mut out);
            out.extend(paragraph(line, columns, 2, Style::new()));
        } else {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(line);
        }
    }
    flush(&mut text, &mut out);
    out
}

fn fix(fix: &Fix, columns: usize) -> Vec<Line<'static>> {
    let mut out = vec![rule(&printable(&fix.finding.title), columns)];
    if fix.finding.remedies.is_empty() {
        out.push(Line::default());
        out.push(Line::raw("There is no remedy of its own: mend its cause, and it is gone."));
        out.extend(paragraph(&printable_lines(&fix.finding.cause), columns, 0, Style::new()));
        return out;
    }
    out.push(Line::styled("Choose one; it is shown in full before it is written.", theme::quiet()));
    out.push(Line::default());
    out.extend(detail::remedies(&fix.finding.remedies, Some(fix.chosen), columns));
    let Some(remedy) = fix.remedy() else { return out };
    out.push(Line::default());
    if let Some(why) = &fix.by_hand {
        out.extend(super::account::warned(&format!("This one is for you to do: {why}"), columns));
        out.push(Line::default());
    }
    if !remedy.note.is_empty() {
        out.extend(paragraph(&printable_lines(&remedy.note), columns, 0, Style::new()));
        out.push(Line::default());
    }
    out.extend(actions(remedy, columns));
    out
}

/// The exact text of a remedy, with where each part goes.
fn actions(remedy: &Remedy, columns: usize) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    for action in &remedy.actions {
        let file =
            action.file.as_ref().map(|file| printable(&file.display().to_string()).into_owned());
        let verb = match (action.kind, file) {
            (ActionKind::Shell, _) => "run".to_owned(),
            (ActionKind::Sql, _) => "SQL".to_owned(),
            (ActionKind::Config, Some(file)) => format!("add to the end of {file}"),
            (ActionKind::Config, None) => "add to the server's option file".to_owned(),
            (ActionKind::File, Some(file)) => format!("write {file}"),
            (ActionKind::File, None) => "write a file".to_owned(),
        };
        let place = match action.kind {
            ActionKind::Sql => "",
            _ => detail::place(action.place),
        };
        let effect = match action.effect {
            Effect::None => "",
            Effect::Reload => "then a reload",
            Effect::Restart => "then a restart",
        };
        let parts: Vec<&str> = [place, effect].into_iter().filter(|p| !p.is_empty()).collect();
        let right = parts.join(", ");
        let verb = clip_start(&verb, columns);
        let fits = width(&verb) + 2 + width(&right) <= columns;
        let mut head = vec![Span::styled(verb, theme::strong())];
        if fits {
            head.push(Span::styled(format!("  {right}"), theme::quiet()));
        }
        out.push(Line::from(head));
        if !fits {
            out.push(Line::styled(clip(&right, columns), theme::quiet()));
        }
        out.extend(code(&action.text, columns, theme::code()));
        out.push(Line::default());
    }
    out.pop();
    out
}

fn applying(state: &State, title: &str, done: &[String], columns: usize) -> Vec<Line<'static>> {
    let mut out = vec![rule(&printable(title), columns), Line::default()];
    for line in done {
        out.push(Line::from(vec![
            Span::styled(theme::GOOD, theme::good()),
            Span::raw(format!(" {}", clip(&printable(line), columns.saturating_sub(2)))),
        ]));
    }
    if let Some(job) = &state.job {
        out.push(Line::raw(format!("{} …", theme::spinner(job.ticks))));
    }
    out.push(Line::default());
    out.push(Line::styled("This cannot be stopped half-way.", theme::quiet()));
    out
}

/// What was done and what is left to do, or why it ended early.
fn ended(title: &str, done: &Applied, failed: Option<&str>, columns: usize) -> Vec<Line<'static>> {
    let mut out = vec![rule(&printable(title), columns), Line::default()];
    if let Some(why) = failed {
        let lines = crate::tui::text::wrap(&printable_lines(why), columns.saturating_sub(2));
        for (at, line) in lines.into_iter().enumerate() {
            let sign = if at == 0 { Span::styled(theme::BAD, theme::bad()) } else { " ".into() };
            out.push(Line::from(vec![sign, Span::raw(format!(" {line}"))]));
        }
        out.push(Line::default());
    }
    for left in &done.left {
        out.extend(super::account::warned(left, columns));
    }
    if !done.left.is_empty() {
        out.push(Line::raw("When that is done, r checks again."));
        out.push(Line::default());
    }
    if done.done.is_empty() {
        out.push(Line::raw("Nothing was changed."));
        return out;
    }
    out.push(heading(if failed.is_some() { "done all the same" } else { "done" }));
    for line in &done.done {
        out.extend(paragraph(&printable(line), columns, 2, Style::new()));
    }
    if !done.undo.is_empty() {
        out.push(Line::default());
        out.push(heading("to take it back, in this order"));
        for line in &done.undo {
            out.extend(undo(line, columns));
        }
    }
    out
}

/// What takes something back, with what it is to be given to.
pub fn undo(text: &str, columns: usize) -> Vec<Line<'static>> {
    const SQL: [&str; 6] = ["ALTER ", "GRANT ", "REVOKE ", "SET ", "FLUSH ", "CREATE "];
    let is_sql = SQL.iter().any(|verb| text.starts_with(verb)) && text.trim_end().ends_with(';');
    let label = match text.starts_with('#') {
        true => "     ", // words
        false if is_sql => "sql: ",
        false => "sh:  ",
    };
    let lines = wrap_verbatim(&printable_lines(text), columns.saturating_sub(2 + label.len()));
    let line = |(at, line): (usize, String)| {
        let label = if at == 0 { label } else { "     " };
        Line::from(vec![
            Span::styled(format!("  {label}"), theme::quiet()),
            Span::styled(line, theme::code()),
        ])
    };
    lines.into_iter().enumerate().map(line).collect()
}

/// Text to be run as it stands, each of its lines indented.
pub fn code(text: &str, columns: usize, style: Style) -> Vec<Line<'static>> {
    let lines = wrap_verbatim(&printable_lines(text), columns.saturating_sub(2));
    lines.into_iter().map(|line| Line::styled(format!("  {line}"), style)).collect()
}

/// The first examination, stage by stage.
pub fn waiting(state: &State, columns: usize) -> Vec<Line<'static>> {
    let target = state.target.as_ref().map_or_else(String::new, crate::facts::Target::display);
    let mut out = vec![
        Line::raw(clip(&format!("Looking at {target}. Nothing is changed by looking."), columns)),
        Line::default(),
    ];
    let widest = state.progress.iter().map(|p| width(p.stage)).max().unwrap_or(0).min(columns / 2);
    for progress in &state.progress {
        let ticks = state.job.as_ref().map_or(0, |job| job.ticks);
        let (sign, words) = match &progress.state {
            ProgressState::Started => (Span::raw(theme::spinner(ticks)), String::new()),
            ProgressState::Done(words) => (Span::styled(theme::GOOD, theme::good()), words.clone()),
            ProgressState::Failed(why) => (Span::styled(theme::BAD, theme::bad()), why.clone()),
        };
        let room = columns.saturating_sub(4 + widest + 2);
        out.push(Line::from(vec![
            Span::raw("  "),
            sign,
            Span::raw(format!(" {}  ", fit(progress.stage, widest))),
            Span::styled(clip(&printable(&words), room), theme::quiet()),
        ]));
    }
    out
}

pub fn password(account: &AccountName, columns: usize) -> Vec<Line<'static>> {
    let text = format!(
        "The proof logs in as {account}, with and without its certificate. A refusal that comes \
         from a wrong password proves nothing, so it has to be the right one."
    );
    let mut out = vec![rule(&format!("Password of {account}"), columns)];
    out.extend(paragraph(&text, columns, 0, Style::new()));
    out.push(Line::default());
    out
}

pub fn passphrase(columns: usize) -> Vec<Line<'static>> {
    let text = "The key of the private CA is under a passphrase. It is kept until this change is \
                written or given up, and wiped then.";
    let mut out = vec![rule("Passphrase of the private CA", columns)];
    out.extend(paragraph(text, columns, 0, Style::new()));
    out.push(Line::default());
    out
}

pub fn proof_key(account: &AccountName, columns: usize) -> Vec<Line<'static>> {
    let text = format!(
        "Some of the logins as {account} come with a certificate that is made for the proof alone and \
         signed with the key of the private CA: of another subject, or expired. That key is under a \
         passphrase. It is kept until the logins were tried, and wiped then; Enter alone leaves them \
         out."
    );
    let mut out = vec![rule("Passphrase of the private CA", columns)];
    out.extend(paragraph(&text, columns, 0, Style::new()));
    out.push(Line::default());
    out
}

pub fn cipher(columns: usize) -> Vec<Line<'static>> {
    let text = "A suite belongs either to TLS 1.3 or to what was before it, so the clause always \
                shuts out one of the two. What ciphers are spoken is better said for the whole \
                server.";
    let mut out = vec![rule("A cipher suite as well", columns)];
    out.extend(paragraph(text, columns, 0, Style::new()));
    out.push(Line::default());
    out
}

pub fn save(columns: usize) -> Vec<Line<'static>> {
    let text = "Verdicts, findings, what was done and how to take it back. No passwords, no keys.";
    let mut out = vec![rule("Write the report", columns)];
    out.extend(paragraph(text, columns, 0, Style::new()));
    out.push(Line::default());
    out
}
