//! The review: all that is going to be written, before any of it is.

use ratatui::text::{Line, Span};

use super::account::warned;
use super::overlay::code;
use super::{heading, rule};
use crate::apply::accounts::AccountPlan;
use crate::apply::{Content, DiffKind, Plan, Write};
use crate::facts::{Flavor, Source};
use crate::printable::printable;
use crate::remedy::Effect;
use crate::tui::state::State;
use crate::tui::text::{clip, clip_start, fit, width, wrap_verbatim};
use crate::tui::theme;

/// Everything that is going to be written: what follows, files, options, statements.
pub fn lines(state: &State, plan: &Plan, columns: usize) -> Vec<Line<'static>> {
    let mut out = vec![rule(&printable(&plan.title), columns)];
    let counted = count(state, plan);
    let promise = if plan.writes.is_empty() {
        "This will be done, and nothing else."
    } else {
        "This will be written, and nothing else."
    };
    let gap = columns.saturating_sub(width(promise) + width(&counted));
    let promise = if gap >= 2 { promise } else { "" };
    let gap = columns.saturating_sub(width(promise) + width(&counted));
    out.push(Line::from(vec![
        Span::raw(promise),
        Span::styled(format!("{}{counted}", " ".repeat(gap)), theme::quiet()),
    ]));
    out.push(Line::default());
    // what it does to others comes first: a long list of files would push it out of sight
    let consequences = consequences(state, plan, columns);
    if !consequences.is_empty() {
        out.extend(consequences);
        out.push(Line::default());
    }
    out.extend(files(&plan.writes, columns));
    if let Some(accounts) = &plan.accounts {
        out.extend(self::accounts(accounts, columns));
    }
    if !plan.commands.is_empty() {
        section(&mut out, "commands, on this host");
        for command in &plan.commands {
            out.extend(code(&command.text, columns, theme::code()));
            undo(&mut out, &command.undo, columns);
        }
    }
    if !plan.statements.is_empty() {
        section(&mut out, "SQL");
        for statement in &plan.statements {
            out.extend(code(&format!("{};", statement.sql), columns, theme::code()));
            undo(&mut out, &statement.undo, columns);
        }
    }
    out
}

/// So many accounts are shown one by one; `y` copies the statements of all.
const SHOWN: usize = 50;

/// What each account requires now and then, the statements, and what takes them back.
fn accounts(plan: &AccountPlan, columns: usize) -> Vec<Line<'static>> {
    let mut out = vec![heading("accounts")];
    let shown = plan.changes.len().min(SHOWN);
    for line in plan.changes.iter().take(SHOWN).flat_map(|change| change.diff(0)) {
        let (sign, style) = match line.kind {
            DiffKind::Kept => (" ", theme::strong()),
            DiffKind::Removed => ("-", theme::bad()),
            DiffKind::Added => ("+", theme::good()),
        };
        let text = wrap_verbatim(&format!("{sign} {}", printable(&line.text)), columns);
        out.extend(text.into_iter().map(|line| Line::styled(line, style)));
    }
    let more = plan.changes.len() - shown;
    if more > 0 {
        let text = format!("  … and {} more", super::roster::grouped(more));
        out.push(Line::styled(text, theme::quiet()));
    }
    if !plan.unchanged.is_empty() {
        let n = super::roster::grouped(plan.unchanged.len());
        out.push(Line::styled(
            format!("  as asked for already, and left alone: {n}"),
            theme::quiet(),
        ));
    }
    section(&mut out, "SQL");
    for statement in plan.statements.iter().take(SHOWN) {
        out.extend(code(&format!("{statement};"), columns, theme::code()));
    }
    for statement in plan.undo.iter().take(SHOWN) {
        undo(&mut out, statement, columns);
    }
    if plan.statements.len() > SHOWN {
        let text = format!(
            "  … {} statements in all, y copies them; mytls undo takes them back",
            super::roster::grouped(plan.statements.len())
        );
        out.push(Line::styled(clip(&text, columns), theme::quiet()));
    }
    out
}

/// Who is left behind, and what becomes of the running server.
fn consequences(state: &State, plan: &Plan, columns: usize) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    for warning in &plan.warnings {
        out.extend(warned(warning, columns));
    }
    match plan.effect {
        Effect::None => {}
        Effect::Reload => {
            out.push(Line::raw("afterwards the server reads its files again; no session ends"));
        }
        Effect::Restart if state.can_restart => {
            out.extend(warned("afterwards the server is restarted: every session ends", columns));
        }
        Effect::Restart => {
            let text = format!("needs you afterwards: {}", restart_command(state));
            out.extend(warned(&text, columns));
        }
    }
    out
}

/// A heading, apart from what stands above it.
fn section(out: &mut Vec<Line<'static>>, title: &str) {
    if out.last().is_some_and(|line| line.width() > 0) {
        out.push(Line::default());
    }
    out.push(heading(title));
}

fn undo(out: &mut Vec<Line<'static>>, text: &str, columns: usize) {
    if !text.is_empty() {
        out.extend(code(&format!("undo: {text}"), columns, theme::quiet()));
    }
}

/// A line for each file; below it what changes inside.
fn files(writes: &[Write], columns: usize) -> Vec<Line<'static>> {
    let facts = |write: &Write| {
        let verb = match (write.replaces, write.diff.is_empty()) {
            (false, _) => "new",
            (true, _) if matches!(write.content, Content::ByStore) => "changed",
            (true, true) => "replaced, backup kept",
            (true, false) => "changed, backup kept",
        };
        let owner = write.owner.as_ref();
        let owner = owner.map_or_else(String::new, |(user, group)| format!(" {user}:{group}"));
        (verb, format!("{:04o}{owner}", write.mode & 0o7777))
    };
    let paths: Vec<String> = writes
        .iter()
        .map(|write| printable(&write.path.display().to_string()).into_owned())
        .collect();
    let path = paths.iter().map(|path| width(path)).max().unwrap_or(0);
    let mode = writes.iter().map(|write| width(&facts(write).1)).max().unwrap_or(0);
    let verb = writes.iter().map(|write| width(facts(write).0)).max().unwrap_or(0);
    let what = writes.iter().map(|write| width(&write.what)).max().unwrap_or(0);
    // in one line where that fits, else what it is goes below
    let one_line = 2 + path + 2 + mode + 2 + verb + 2 + what <= columns;
    let path = path.min(columns.saturating_sub(2 + 2 + mode));
    let mut out = Vec::new();
    for (write, shown) in writes.iter().zip(&paths) {
        let (how, access) = facts(write);
        let sign = if write.replaces { "~" } else { "+" };
        let style = if write.replaces { theme::warning() } else { theme::good() };
        let name = fit(&clip_start(shown, path), path);
        let mut spans = vec![
            Span::styled(format!("{sign} "), style),
            Span::styled(format!("{name}  "), theme::strong()),
            Span::raw(fit(&access, mode)),
        ];
        let what = printable(&write.what).into_owned();
        if one_line {
            spans.push(Span::raw(format!("  {}", fit(how, verb))));
            spans.push(Span::styled(format!("  {what}"), theme::quiet()));
            out.push(Line::from(spans));
        } else {
            out.push(Line::from(spans));
            let text = clip(&format!("    {how}: {what}"), columns);
            out.push(Line::styled(text, theme::quiet()));
        }
        for line in &write.diff {
            let (sign, style) = match line.kind {
                DiffKind::Kept => (" ", theme::quiet()),
                DiffKind::Removed => ("-", theme::bad()),
                DiffKind::Added => ("+", theme::good()),
            };
            let text = format!("{:>6} {sign}{}", line.number, printable(&line.text));
            let text = wrap_verbatim(&text, columns);
            out.extend(text.into_iter().map(|line| Line::styled(line, style)));
        }
    }
    out
}

fn count(state: &State, plan: &Plan) -> String {
    let plural = |n: usize, word: &str| match n {
        0 => None,
        1 => Some(format!("1 {word}")),
        n => Some(format!("{} {word}s", super::roster::grouped(n))),
    };
    let effect = match (plan.effect, state.can_restart) {
        (Effect::None, _) => None,
        (Effect::Reload, _) => Some("1 reload".to_owned()),
        (Effect::Restart, true) => Some("1 restart".to_owned()),
        (Effect::Restart, false) => Some("a restart by you".to_owned()),
    };
    let parts = [
        plural(plan.writes.len(), "file"),
        plural(plan.commands.len(), "command"),
        plural(plan.accounts.as_ref().map_or(0, |plan| plan.changes.len()), "account"),
        plural(plan.statements.len(), "statement"),
        effect,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What restarts this server where systemd runs it, which is nearly everywhere.
fn restart_command(state: &State) -> &'static str {
    let server = state.exam.as_ref().map(|exam| &exam.facts.server);
    match server {
        Some(Source::Read(server)) if server.flavor == Flavor::MySql => {
            "run `systemctl restart mysql`"
        }
        _ => "run `systemctl restart mariadb`",
    }
}

/// The review as text, for the clipboard: keys are not in it.
pub fn text(plan: &Plan) -> String {
    let mut out = Vec::new();
    for write in &plan.writes {
        out.push(format!("# {} ({:04o})", write.path.display(), write.mode & 0o7777));
        match &write.content {
            Content::Text(text) => out.push(text.trim_end().to_owned()),
            Content::Key(_) => out.push("# a private key, never shown".to_owned()),
            Content::ByStore => out.push(format!("# {}", write.what)),
        }
    }
    out.extend(plan.commands.iter().map(|command| command.text.clone()));
    out.extend(plan.statements.iter().map(|statement| format!("{};", statement.sql)));
    let accounts = plan.accounts.iter().flat_map(|plan| &plan.statements);
    out.extend(accounts.map(|statement| format!("{statement};")));
    out.join("\n")
}
