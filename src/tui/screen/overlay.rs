//! What lies over a step: help, explanations, fixes, the review, the proof.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{detail, heading, rule};
use crate::apply::{Applied, Content, DiffKind, Plan, Write};
use crate::facts::AccountName;
use crate::facts::gather::ProgressState;
use crate::facts::{Flavor, Source};
use crate::printable::{printable, printable_lines};
use crate::remedy::{ActionKind, Effect, Remedy};
use crate::tui::engine::ProofRow;
use crate::tui::keys;
use crate::tui::state::{Doing, Fix, Overlay, ProofView, State};
use crate::tui::text::{clip, clip_start, fit, paragraph, width, wrap_verbatim};
use crate::tui::theme;

/// The page of an overlay that is read, not typed into.
pub fn lines(state: &State, over: &Overlay, columns: usize) -> Vec<Line<'static>> {
    match over {
        Overlay::Help => help(state, columns),
        Overlay::Explain(rule) => explain(rule, columns),
        Overlay::Fix(fix) => self::fix(fix, columns),
        Overlay::Review(plan) => review(state, plan, columns),
        Overlay::Applying { plan, lines } => applying(state, &plan.title, lines, columns),
        Overlay::Done { title, done, failed } => ended(title, done, failed.as_deref(), columns),
        Overlay::Proof(view) => proof(state, view, columns),
        Overlay::Password { .. } | Overlay::Save(_) => Vec::new(),
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
        (theme::NOT_APPLICABLE, theme::quiet(), "does not apply here"),
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
        out.push(Line::from(vec![
            Span::styled(verb, theme::strong()),
            Span::styled(format!("  {}", parts.join(", ")), theme::quiet()),
        ]));
        out.extend(code(&action.text, columns, theme::code()));
        out.push(Line::default());
    }
    out.pop();
    out
}

/// Everything that is going to be written: files, options, statements, and what follows.
pub fn review(state: &State, plan: &Plan, columns: usize) -> Vec<Line<'static>> {
    let mut out = vec![rule(&printable(&plan.title), columns)];
    let counted = count(state, plan);
    let promise = "This will be written, and nothing else.";
    let gap = columns.saturating_sub(width(promise) + width(&counted));
    let promise = if gap >= 2 { promise } else { "" };
    let gap = columns.saturating_sub(width(promise) + width(&counted));
    out.push(Line::from(vec![
        Span::raw(promise),
        Span::styled(format!("{}{counted}", " ".repeat(gap)), theme::quiet()),
    ]));
    out.push(Line::default());
    out.extend(files(&plan.writes, columns));
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
    if !plan.warnings.is_empty() || plan.effect != Effect::None {
        out.push(Line::default());
    }
    for warning in &plan.warnings {
        out.extend(super::account::warned(warning, columns));
    }
    match plan.effect {
        Effect::None => {}
        Effect::Reload => {
            out.push(Line::raw("then the server reads its files again; no session ends"));
        }
        Effect::Restart if state.can_restart => {
            out.extend(super::account::warned(
                "then the server is restarted: every session ends",
                columns,
            ));
        }
        Effect::Restart => {
            let text = format!("needs you afterwards: {}", restart_command(state));
            out.extend(super::account::warned(&text, columns));
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
        n => Some(format!("{n} {word}s")),
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
pub fn review_text(plan: &Plan) -> String {
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
    out.join("\n")
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
            out.extend(code(line, columns, theme::code()));
        }
    }
    out
}

/// Text to be run as it stands, each of its lines indented.
pub fn code(text: &str, columns: usize, style: Style) -> Vec<Line<'static>> {
    let lines = wrap_verbatim(&printable_lines(text), columns.saturating_sub(2));
    lines.into_iter().map(|line| Line::styled(format!("  {line}"), style)).collect()
}

fn proof(state: &State, view: &ProofView, columns: usize) -> Vec<Line<'static>> {
    let account = state.account(&view.account);
    let now = account.map_or_else(|| "?".to_owned(), |account| account.require.describe());
    let mut out = vec![rule(&format!("{}  REQUIRE {now}", view.account), columns)];
    let proof = match &view.ended {
        Some(Ok(proof)) => Some(proof),
        _ => None,
    };
    out.push(match proof {
        Some(proof) => Line::styled(
            format!("tried against {} in {:.1} s", printable(&proof.against), proof.seconds),
            theme::quiet(),
        ),
        None => {
            Line::styled("trying the logins that must work and those that must not", theme::quiet())
        }
    });
    out.push(Line::default());
    let rows = proof.map_or(view.rows.as_slice(), |proof| proof.rows.as_slice());
    out.extend(matrix(rows, columns));
    if view.ended.is_none() && state.is_doing(Doing::Proving) {
        let ticks = state.job.as_ref().map_or(0, |job| job.ticks);
        out.push(Line::raw(format!("  {} …", theme::spinner(ticks))));
    }
    out.push(Line::default());
    match &view.ended {
        None => {}
        Some(Err(why)) => {
            let why = printable_lines(why);
            out.extend(super::account::warned(&format!("not proved: {why}"), columns));
        }
        Some(Ok(proof)) => {
            let held = rows.iter().filter(|row| row.holds == Some(true)).count();
            let verdict =
                if proof.holds() { "Proved. ".to_owned() } else { "Not proved. ".to_owned() };
            out.push(Line::from(vec![
                theme::holds(Some(proof.holds())),
                Span::styled(format!(" {verdict}"), theme::strong()),
                Span::raw(format!("{held} of {} logins went as they must.", rows.len())),
            ]));
            if let Some(reason) = &proof.server_reason {
                out.push(Line::default());
                out.push(Line::styled("The server's own reason for a refusal:", theme::quiet()));
                out.extend(paragraph(&printable_lines(reason), columns, 2, Style::new()));
            }
        }
    }
    out
}

/// The login matrix: what was tried, what must happen, what did.
fn matrix(rows: &[ProofRow], columns: usize) -> Vec<Line<'static>> {
    let case = rows.iter().map(|row| width(&row.case)).max().unwrap_or(0).max(10);
    let case = case.min(columns / 2);
    let was = rows.iter().map(|row| width(&row.happened)).max().unwrap_or(0).max(7);
    let mut out = vec![Line::styled(
        format!("  {}  {}  was", fit("login with", case), fit("must be", 7)),
        theme::quiet(),
    )];
    for row in rows {
        let must = if row.expected_in { "let in" } else { "refused" };
        let rest = columns.saturating_sub(2 + case + 2 + 7 + 2 + 2 + was + 2);
        out.push(Line::from(vec![
            Span::raw(format!("  {}  {}  ", fit(&printable(&row.case), case), fit(must, 7))),
            theme::holds(row.holds),
            Span::raw(format!(" {}  ", fit(&printable(&row.happened), was))),
            Span::styled(clip(&printable(&row.detail), rest), theme::quiet()),
        ]));
    }
    out
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

pub fn save(columns: usize) -> Vec<Line<'static>> {
    let text = "Verdicts, findings, what was done and how to take it back. No passwords, no keys.";
    let mut out = vec![rule("Write the report", columns)];
    out.extend(paragraph(text, columns, 0, Style::new()));
    out.push(Line::default());
    out
}
