//! What stands around every body: header, stepper, status and keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::printable::printable;
use crate::rules::Step;
use crate::tui::keys::{self, Action, Binding};
use crate::tui::state::{Doing, State};
use crate::tui::text::{clip, clip_start, width};
use crate::tui::theme;

pub fn header(state: &State, area: Rect, frame: &mut Frame) {
    let columns = usize::from(area.width);
    let server = state.exam.as_ref().and_then(|exam| exam.facts.server.read());
    let greeting = state.exam.as_ref().and_then(|exam| exam.facts.wire.read()).map(|w| &w.greeting);
    let right = server.map_or_else(String::new, |s| format!("as {}", printable(&s.current_user)));
    let mut left = vec![Span::styled("mytls", theme::strong())];
    let mut room = columns.saturating_sub(5 + width(&right) + 2);
    let mut add = |text: String, shorten: bool| {
        let text = if shorten { clip_start(&text, room.saturating_sub(2)) } else { text };
        if text.is_empty() {
            return;
        }
        if width(&text) + 2 <= room {
            room -= width(&text) + 2;
            left.push(Span::raw(format!("  {text}")));
        } else {
            room = 0; // what comes later matters less
        }
    };
    if let Some(title) = &state.title {
        add(clip(&printable(title), 30), false);
    }
    // before there is an answer, the form says where one is going
    let known = state.exam.is_some() || state.is_doing(Doing::Examining);
    if let Some(target) = state.target.as_ref().filter(|_| known) {
        add(target.display(), true);
    }
    if let Some(server) = server {
        add(format!("{} {}", server.flavor.name(), server.version), false);
        if let Some(library) = &server.tls_library {
            // `OpenSSL 3.0.19 27 Jan 2026`: the date is for the details
            let short: Vec<&str> = library.split_whitespace().take(2).collect();
            add(clip(&printable(&short.join(" ")), 20), false);
        }
    } else if let Some(greeting) = greeting
        && let Some(version) = greeting.version
    {
        add(format!("{} {version}", greeting.flavor.name()), false);
    }
    frame.render_widget(Paragraph::new(Line::from(left)), area);
    frame.render_widget(Paragraph::new(Line::styled(right, theme::quiet()).right_aligned()), area);
}

/// Every step with its sign, the current one reversed; shorter names where there is no room.
pub fn stepper(state: &State, area: Rect, frame: &mut Frame) {
    let columns = usize::from(area.width);
    let full = |step: Step, _here: bool| step.title();
    let mixed = |step: Step, here: bool| if here { step.title() } else { short(step) };
    let brief = |step: Step, _here: bool| short(step);
    let only = |step: Step, here: bool| if here { step.title() } else { "" };
    let line = stepper_line(state, full);
    let line = if line.width() <= columns { line } else { stepper_line(state, mixed) };
    let line = if line.width() <= columns { line } else { stepper_line(state, brief) };
    let line = if line.width() <= columns { line } else { stepper_line(state, only) };
    frame.render_widget(Paragraph::new(line), area);
}

fn stepper_line(state: &State, name: impl Fn(Step, bool) -> &'static str) -> Line<'static> {
    let mut spans = Vec::new();
    for step in Step::ALL {
        let here = step == state.step();
        if step != Step::ALL[0] {
            spans.push(Span::styled(" ─ ", theme::quiet()));
        }
        let (sign, style) = if state.stale.contains(&step) {
            (theme::UNKNOWN, theme::unknown())
        } else {
            let (sign, style, _) = theme::verdict(state.verdict(step));
            (sign, style)
        };
        spans.push(Span::styled(sign, style));
        let name = name(step, here);
        if !name.is_empty() {
            spans.push(Span::raw(" "));
            let style = if here { theme::here() } else { ratatui::style::Style::new() };
            spans.push(Span::styled(name, style));
        }
    }
    Line::from(spans)
}

fn short(step: Step) -> &'static str {
    match step {
        Step::Key => "Key",
        Step::Chain => "Chain",
        other => other.title(),
    }
}

/// A line that also says what is under way, or what the last key came to.
pub fn status(state: &State, area: Rect, frame: &mut Frame) {
    let columns = usize::from(area.width);
    let text = match (&state.job, &state.toast) {
        // what is over in a moment is not worth a word
        (Some(job), _) if job.ticks > 0 => {
            let at = match job.what {
                Doing::Examining => state.under_way(),
                _ => None,
            };
            let at = at.map_or_else(String::new, |stage| format!(": {stage}"));
            let seconds = job.ticks / 10;
            let seconds = if seconds >= 3 { format!("  {seconds} s") } else { String::new() };
            let stops = if job.what.can_be_stopped() { "  Esc stops" } else { "" };
            let wheel = theme::spinner(job.ticks);
            Some(format!("{wheel} {}{at}{seconds}{stops}", job.what.title()))
        }
        (_, Some(toast)) => Some(printable(toast).into_owned()),
        (_, None) if !state.stale.is_empty() && state.job.is_none() => {
            Some("changed since it was checked; r checks again".to_owned())
        }
        _ => None,
    };
    let line = match text {
        None => Line::styled("─".repeat(columns), theme::quiet()),
        Some(text) => {
            let text = clip(&text, columns.saturating_sub(4));
            let rest = columns.saturating_sub(width(&text) + 3);
            Line::from(vec![
                Span::styled("─ ", theme::quiet()),
                Span::styled(text, theme::strong()),
                Span::styled(format!(" {}", "─".repeat(rest)), theme::quiet()),
            ])
        }
    };
    frame.render_widget(Paragraph::new(line), area);
}

/// The keys that work now, as many as fit; the way out and how to get help are never cut.
pub fn footer(state: &State, area: Rect, frame: &mut Frame) {
    let mut room = usize::from(area.width);
    let mut keep = |spans: &mut Vec<Span<'static>>, added: Vec<Span<'static>>| {
        let needed: usize = added.iter().map(Span::width).sum();
        let fits = needed <= room;
        if fits {
            room -= needed;
            spans.extend(added);
        }
        fits
    };
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let help = vec![
        Span::styled(keys::help_key(state), theme::strong()),
        Span::styled(" help", theme::quiet()),
    ];
    keep(&mut last, help);
    let named = |binding: &&Binding| !(binding.label)(state).is_empty();
    let quits = |binding: &&Binding| binding.action == Action::Quit;
    if let Some(quit) = keys::here(state).filter(named).find(quits) {
        let mut before = Vec::new();
        keep(&mut before, key(state, quit));
        last.splice(0..0, before);
    }
    for binding in keys::here(state).filter(named).filter(|binding| !quits(binding)) {
        if !keep(&mut first, key(state, binding)) {
            break;
        }
    }
    frame.render_widget(Paragraph::new(Line::from(first)), area);
    frame.render_widget(Paragraph::new(Line::from(last).right_aligned()), area);
}

/// `Enter mend…  `
fn key(state: &State, binding: &Binding) -> Vec<Span<'static>> {
    let refused = (binding.refused)(state).is_some();
    let style = if refused { theme::quiet() } else { theme::strong() };
    let label = format!(" {}  ", (binding.label)(state));
    vec![Span::styled(binding.key_names(state.ascii), style), Span::styled(label, theme::quiet())]
}
