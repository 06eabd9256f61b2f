//! The list of all keys.

use ratatui::crossterm::event::KeyCode;

use super::{Action, Binding, Context, Key};
use crate::ca::list::Status;
use crate::ca::tree::Order;
use crate::rules::Step;
use crate::tui::engine::Level;
use crate::tui::form::{Entry, Form};
use crate::tui::rows::Row;
use crate::tui::state::{Doing, Overlay, Place, State};

/// All keys. Within a context the first that matches and exists now is meant; the order is that of
/// the footer.
pub static BINDINGS: &[Binding] = &[
    bind(&[ESC], 1, EVERYWHERE, Action::Stop, |_| "stop", "stop what is under way").when(can_stop),
    bind(
        &[UP, DOWN],
        2,
        &[Context::Palette],
        Action::Move,
        |_| "choose",
        "choose another of those found",
    ),
    // forms
    bind(
        &[ENTER],
        1,
        FORMS,
        Action::Submit,
        submit_label,
        "the next field; on the last one, go on",
    ),
    bind(
        &[UP, DOWN, Key::Code(KeyCode::Tab), Key::Code(KeyCode::BackTab)],
        2,
        &[Context::Connect, Context::Workshop, Context::Ask],
        Action::Move,
        |_| "field",
        "another field",
    )
    .when(several_fields),
    bind(
        &[Key::Code(KeyCode::Left), Key::Code(KeyCode::Right)],
        2,
        FORMS,
        Action::Turn,
        |state| if on_choice(state) { "choose" } else { "" },
        "move within the field; where it is a choice, choose",
    ),
    bind(
        &[ESC],
        1,
        &[Context::Connect],
        Action::Close,
        |_| "back",
        "back to what was found; what was typed is kept",
    )
    .when(|state| state.exam.is_some()),
    bind(
        &[ESC],
        1,
        &[Context::Workshop, Context::Ask, Context::Palette],
        Action::Close,
        |_| "back",
        "back; nothing is done",
    ),
    // lists
    bind(
        &[UP, DOWN, Key::Char('k'), Key::Char('j')],
        2,
        LISTS,
        Action::Move,
        |_| "select",
        "select a line",
    ),
    bind(
        &[ENTER],
        1,
        LISTS,
        Action::Open,
        open_label,
        "open the line: the ways to mend it, its cause, or the account's statement",
    )
    .unless(|state| match state.selected_row() {
        Some(Row::Account { .. } | Row::Finding { .. }) => None,
        Some(_) => Some("nothing to mend here"),
        None => Some("the list is empty"),
    }),
    bind(
        &[UP, DOWN, Key::Char('k'), Key::Char('j')],
        2,
        &[Context::Account],
        Action::Move,
        |_| "choose",
        "choose how much the account must show",
    ),
    bind(
        &[Key::Char('a')],
        1,
        &[Context::Account],
        Action::Apply,
        |_| "apply…",
        "review the statement, then send it",
    )
    .unless(no_offer),
    bind(
        &[Key::Char('p')],
        1,
        &[Context::Account, Context::Accounts, Context::Done],
        Action::Prove,
        |state| if is_for_none(state) { "" } else { "prove" },
        "try the logins that must work and those that must not",
    )
    .unless(no_account),
    bind(
        &[ESC],
        1,
        &[Context::Accounts],
        Action::Close,
        |_| "show all",
        "look for nothing any more; the selected line stays selected",
    )
    .when(|state| !state.roster.sought().is_empty()),
    bind(
        &[Key::Char('/')],
        1,
        &[Context::Accounts],
        Action::Filter,
        |state| if state.roster.sought().is_empty() { "find" } else { "" },
        "show only accounts with these words: of the name, REQUIRE, plugin, sessions, state; and what is \
         wrong with them",
    ),
    bind(
        &[Key::Char('/')],
        1,
        &[Context::List, Context::Account, Context::Report],
        Action::Filter,
        |_| "",
        "look for an account, among those of step 5",
    ),
    bind(
        &[Key::Char(' ')],
        1,
        &[Context::Accounts],
        Action::Mark,
        |state| if on_account(state) { "mark" } else { "" },
        "mark the account, or take its mark away; Enter then is for all that are marked",
    )
    .unless(|state| (!is_markable(state)).then_some("only accounts are marked")),
    bind(
        &[Key::Char('m')],
        1,
        &[Context::Accounts],
        Action::MarkShown,
        |_| "",
        "mark all accounts that are shown; once more takes the marks away",
    )
    .unless(|state| (state.roster.counts().0 == 0).then_some("no account is shown")),
    bind(
        &[Key::Char('s')],
        1,
        &[Context::Accounts],
        Action::Sort,
        |_| "",
        "sort: by name, the weakest REQUIRE first, sessions without TLS first",
    ),
    bind(
        &[Key::Ctrl('f'), Key::Ctrl('b')],
        2,
        &[Context::Accounts],
        Action::Page,
        |_| "",
        "a page of lines down or up",
    ),
    bind(
        &[Key::Char('t')],
        1,
        &[Context::Account],
        Action::ToggleForm,
        |state| if state.knows_both_forms() { "ALTER/GRANT" } else { "" },
        "write it as ALTER USER or as GRANT, where the server knows both",
    )
    .unless(|state| (!state.knows_both_forms()).then_some("this server knows one form alone")),
    bind(
        &[Key::Char('c')],
        1,
        &[Context::Account, Context::Accounts],
        Action::Certificate,
        |state| {
            let here = Context::of(state) == Context::Account && !is_for_none(state);
            if here { "certificate…" } else { "" }
        },
        "make a client certificate for this account in the private CA",
    )
    .unless(no_account),
    bind(
        &[Key::Char('x')],
        1,
        &[Context::Account],
        Action::Cipher,
        |_| "cipher…",
        "ask for a cipher suite as well, or no longer",
    )
    .unless(|state| {
        (state.level == Level::None).then_some("NONE asks for no TLS, and so for no cipher")
    }),
    bind(
        &[Key::Char('d')],
        1,
        &[Context::Account, Context::Accounts],
        Action::WhyDenied,
        |state| if is_for_none(state) { "" } else { "why denied…" },
        "why the account cannot log in: its client's login is tried, and led back to the reason",
    )
    .unless(no_account),
    bind(
        &[Key::Char('s')],
        1,
        &[Context::List],
        Action::Scan,
        |_| "scan",
        "on the step Encryption: scan what the server offers, every version, suite and group",
    )
    .when(|state| state.step() == Step::Encryption),
    bind(&[Key::Char('s')], 1, &[Context::Scan], Action::Scan, |_| "again", "scan it again")
        .when(|state| !state.is_doing(Doing::Scanning)),
    bind(
        &[Key::Char('c')],
        1,
        &[Context::Proof],
        Action::Certificate,
        |_| "certificate…",
        "make a client certificate for this account in the private CA",
    )
    .when(|state| matches!(state.top(), Some(Overlay::Proof(view)) if view.failed())),
    bind(
        &[Key::Char('n'), Key::Code(KeyCode::Right), Key::Code(KeyCode::Tab)],
        1,
        &[Context::List, Context::Accounts, Context::Account],
        Action::Next,
        |_| "next",
        "the next step",
    ),
    bind(
        &[Key::Char('w')],
        1,
        &[Context::Report],
        Action::SaveReport,
        |_| "write to a file…",
        "write the report to a file",
    ),
    bind(
        &[UP, DOWN, Key::Char('k'), Key::Char('j')],
        2,
        &[
            Context::Report,
            Context::Text,
            Context::Done,
            Context::Applying,
            Context::Proof,
            Context::Denied,
            Context::Scan,
        ],
        Action::Scroll,
        |_| "scroll",
        "scroll",
    ),
    // the private CA
    bind(
        &[UP, DOWN, Key::Char('k'), Key::Char('j')],
        2,
        &[Context::Authority],
        Action::Move,
        |_| "select",
        "select a line",
    ),
    bind(&[UP, DOWN], 2, &[Context::Filter], Action::Move, |_| "select", "select a line"),
    bind(
        &[ENTER],
        1,
        &[Context::Filter],
        Action::Open,
        |_| "keep",
        "keep these lines, and go through them",
    ),
    bind(
        &[ESC],
        1,
        &[Context::Filter],
        Action::Close,
        |_| "show all",
        "look for nothing any more; the selected line stays selected",
    ),
    bind(
        &[ENTER],
        1,
        &[Context::Authority],
        Action::Open,
        |_| "card",
        "all of the certificate, as a page of its own",
    ),
    bind(
        &[Key::Char('r')],
        1,
        &[Context::Authority],
        Action::Renew,
        |_| "renew…",
        "issue another certificate in its place, with a new key or the same one",
    )
    .unless(not_renewable),
    bind(
        &[Key::Char('x')],
        1,
        &[Context::Authority],
        Action::Revoke,
        |_| "revoke…",
        "revoke the certificate; it is asked twice, for it cannot be taken back",
    )
    .unless(not_revocable),
    bind(
        &[Key::Char('m')],
        1,
        &[Context::Authority],
        Action::Make,
        |_| "make…",
        "make new certificates in this CA",
    ),
    bind(
        &[Key::Char('/')],
        1,
        &[Context::Authority],
        Action::Filter,
        |_| "find",
        "show only lines with what is typed: a name, a serial, a kind of key, a state, a date",
    ),
    bind(
        &[Key::Char('s')],
        1,
        &[Context::Authority],
        Action::Sort,
        sort_label,
        "what expires next on top, or by name",
    ),
    bind(
        &[Key::Char('a')],
        1,
        &[Context::Authority],
        Action::ShowAll,
        all_label,
        "also what was replaced or never handed out, or not",
    ),
    bind(
        &[Key::Code(KeyCode::PageUp), Key::Code(KeyCode::PageDown)],
        2,
        &[Context::Authority, Context::Filter],
        Action::Page,
        |_| "",
        "a page of lines up or down",
    ),
    bind(
        &[ESC, Key::Code(KeyCode::Left)],
        1,
        &[Context::Authority],
        Action::Close,
        |state| if is_filtered(state) { "show all" } else { "back" },
        "look for nothing any more; then back to where it was opened",
    ),
    // overlays
    bind(
        &[UP, DOWN, Key::Char('k'), Key::Char('j')],
        2,
        &[Context::Ways],
        Action::Move,
        |_| "choose",
        "choose one",
    ),
    bind(
        &[Key::Digit],
        1,
        &[Context::Ways],
        Action::ChooseNumber,
        |_| "",
        "choose the one with this number",
    ),
    bind(
        &[ENTER],
        1,
        &[Context::Ways],
        Action::Open,
        |_| "see what it would write…",
        "see what it would write; nothing is written yet",
    ),
    bind(
        &[UP, DOWN, Key::Char('k'), Key::Char('j')],
        2,
        &[Context::Fix],
        Action::Move,
        |_| "choose",
        "choose a way to mend it",
    ),
    bind(
        &[Key::Digit],
        1,
        &[Context::Fix],
        Action::ChooseNumber,
        |_| "",
        "choose the way with this number",
    ),
    bind(
        &[ENTER],
        1,
        &[Context::Fix],
        Action::Open,
        |_| "see what it would write…",
        "see what it would write; nothing is written yet",
    )
    .unless(|state| match state.top() {
        Some(Overlay::Fix(fix)) if fix.remedy().is_none() => Some("there is nothing to choose"),
        _ => None,
    }),
    bind(
        &[Key::Char('w')],
        1,
        &[Context::Review],
        Action::Write,
        |state| match state.top() {
            Some(Overlay::Review(plan)) if plan.asked_again.is_some() => "go on…",
            Some(Overlay::Review(plan)) if plan.writes.is_empty() => "do it",
            _ => "write",
        },
        "write and do all of this, and nothing else",
    ),
    bind(
        &[UP, DOWN, Key::Char('k'), Key::Char('j')],
        2,
        &[Context::Review],
        Action::Scroll,
        |_| "scroll",
        "scroll",
    ),
    bind(
        &[Key::Char('p')],
        1,
        &[Context::Proof],
        Action::Prove,
        |_| "again",
        "try the logins again",
    ),
    // common to places
    bind(
        &[Key::Char('y')],
        1,
        &[
            Context::List,
            Context::Accounts,
            Context::Account,
            Context::Report,
            Context::Authority,
            Context::Fix,
            Context::Review,
            Context::Done,
            Context::Proof,
            Context::Denied,
            Context::Scan,
        ],
        Action::Copy,
        |_| "copy",
        "copy the fix, the statement, the certificate or the text",
    ),
    bind(
        &[Key::Char('e')],
        1,
        &[Context::List, Context::Accounts, Context::Fix],
        Action::Explain,
        |state| if on_rule(state) { "explain" } else { "" },
        "explain the rule: what it checks, why it matters",
    )
    .unless(|state| (!on_rule(state)).then_some("there is no rule on this line")),
    bind(
        &[Key::Char('g')],
        1,
        &[Context::List, Context::Accounts, Context::Report],
        Action::OpenAuthority,
        |_| "own CA",
        "the private CA and what it issued; where there is none, make one",
    ),
    bind(
        &[Key::Char('t')],
        1,
        &[Context::List],
        Action::EditTarget,
        |_| "other server",
        "on the first step: change the address or the login",
    )
    .when(|state| state.step() == Step::Server),
    bind(
        &[Key::Char('r')],
        1,
        WALKING,
        Action::Recheck,
        |_| "check again",
        "check everything again",
    ),
    bind(&[ESC], 1, &[Context::Account], Action::Back, |_| "back", "back to the list"),
    bind(&[ENTER], 1, &[Context::Done], Action::Close, |_| "go on", "on to the step, as it is now"),
    bind(
        &[ESC, Key::Char('q')],
        1,
        &[Context::Fix, Context::Review, Context::Ways],
        Action::Close,
        |_| "back",
        "back; nothing is done",
    ),
    bind(
        &[ESC, Key::Char('q')],
        1,
        &[Context::Done],
        Action::Close,
        |_| "",
        "the same: what is done stays done",
    ),
    bind(
        &[ESC, Key::Char('q')],
        1,
        &[Context::Proof, Context::Text, Context::Denied, Context::Scan],
        Action::Close,
        |_| "back",
        "back",
    ),
    bind(
        &[Key::Code(KeyCode::PageUp), Key::Code(KeyCode::PageDown)],
        2,
        READING,
        Action::Scroll,
        |_| "",
        "scroll the details",
    ),
    bind(
        &[Key::Code(KeyCode::Home), Key::Code(KeyCode::End)],
        2,
        ENDS,
        Action::Ends,
        |_| "",
        "to the first or the last line",
    ),
    bind(&[Key::Digit], 1, WALKING, Action::Jump, |_| "", "go to the step with this number"),
    bind(
        &[Key::Code(KeyCode::Left), Key::Code(KeyCode::BackTab)],
        1,
        &[Context::Accounts],
        Action::Back,
        |_| "",
        "the step before; always possible",
    ),
    bind(
        &[ESC, Key::Code(KeyCode::Left), Key::Code(KeyCode::BackTab)],
        2,
        &[Context::List, Context::Report],
        Action::Back,
        |_| "",
        "the step before; always possible",
    ),
    // who gives up a search once too often stays where the accounts are
    bind(&[ESC], 1, &[Context::Accounts], Action::Close, |_| "", "look for nothing any more")
        .unless(|_| Some("nothing is looked for; ← is the step before")),
    // everywhere
    bind(
        &[Key::Char('q')],
        1,
        &[
            Context::Waiting,
            Context::List,
            Context::Accounts,
            Context::Account,
            Context::Report,
            Context::Authority,
        ],
        Action::Quit,
        |_| "quit",
        "quit",
    ),
    bind(&[Key::Ctrl('c')], 1, EVERYWHERE, Action::Quit, quit_label, "quit").unless(|state| {
        state
            .is_doing(Doing::Applying)
            .then_some("still writing: it can be left when that has ended")
    }),
    bind(&[Key::Ctrl('l')], 1, EVERYWHERE, Action::Redraw, |_| "", "draw the screen anew"),
    bind(&[Key::Ctrl('z')], 1, EVERYWHERE, Action::Suspend, |_| "", "suspend; `fg` comes back"),
    bind(
        &[Key::Char('?'), Key::Code(KeyCode::F(1))],
        2,
        HELPED,
        Action::Help,
        |_| "",
        "the keys of this screen",
    ),
    bind(
        &[Key::Char(':')],
        1,
        HELPED,
        Action::Palette,
        |_| "",
        "look for what can be done here by its words, and do it",
    ),
    bind(&[Key::Code(KeyCode::F(1))], 1, TYPING, Action::Help, |_| "", "the keys of this screen"),
];

pub const EVERYWHERE: &[Context] = &Context::ALL;
const READING: &[Context] = &[
    Context::Waiting,
    Context::List,
    Context::Accounts,
    Context::Account,
    Context::Report,
    Context::Fix,
    Context::Review,
    Context::Applying,
    Context::Done,
    Context::Proof,
    Context::Text,
    Context::Denied,
    Context::Scan,
];
/// The same, and the CA, where pages are of lines.
const ENDS: &[Context] = &[
    Context::Waiting,
    Context::List,
    Context::Accounts,
    Context::Account,
    Context::Report,
    Context::Authority,
    Context::Fix,
    Context::Review,
    Context::Applying,
    Context::Done,
    Context::Proof,
    Context::Text,
    Context::Denied,
    Context::Scan,
];
const HELPED: &[Context] = &[
    Context::Waiting,
    Context::List,
    Context::Accounts,
    Context::Account,
    Context::Report,
    Context::Authority,
    Context::Fix,
    Context::Ways,
    Context::Review,
    Context::Applying,
    Context::Done,
    Context::Proof,
    Context::Text,
    Context::Denied,
    Context::Scan,
];
const WALKING: &[Context] = &[Context::List, Context::Accounts, Context::Account, Context::Report];
const LISTS: &[Context] = &[Context::List, Context::Accounts];
const FORMS: &[Context] = &[Context::Connect, Context::Workshop, Context::Ask, Context::Palette];
const TYPING: &[Context] =
    &[Context::Connect, Context::Workshop, Context::Filter, Context::Ask, Context::Palette];

const UP: Key = Key::Code(KeyCode::Up);
const DOWN: Key = Key::Code(KeyCode::Down);
const ENTER: Key = Key::Code(KeyCode::Enter);
const ESC: Key = Key::Code(KeyCode::Esc);

/// A binding that can always be used where it stands.
const fn bind(
    keys: &'static [Key],
    shown: usize,
    contexts: &'static [Context],
    action: Action,
    label: fn(&State) -> &'static str,
    doc: &'static str,
) -> Binding {
    Binding { keys, shown, contexts, action, label, doc, only_when: None, refused: |_| None }
}

impl Binding {
    const fn when(mut self, when: fn(&State) -> bool) -> Self {
        self.only_when = Some(when);
        self
    }

    const fn unless(mut self, refused: fn(&State) -> Option<&'static str>) -> Self {
        self.refused = refused;
        self
    }
}

fn can_stop(state: &State) -> bool {
    // what was done is dismissed, not the check that goes on beneath it
    let reads = matches!(state.top(), Some(Overlay::Done { .. }));
    !reads && state.job.as_ref().is_some_and(|job| job.what.can_be_stopped())
}

fn on_choice(state: &State) -> bool {
    let field = state.form().and_then(Form::focused);
    field.is_some_and(|field| matches!(field.entry, Entry::Choice { .. }))
}

fn several_fields(state: &State) -> bool {
    state.form_beneath_help().is_some_and(|form| form.fields.len() > 1)
}

fn submit_label(state: &State) -> &'static str {
    let last = state.form().is_some_and(Form::is_last);
    match (Context::of(state), last) {
        (_, false) => "next",
        (Context::Connect, _) => "check this server",
        (Context::Palette, _) => "do it",
        (Context::Workshop, _) => "see what it would write…",
        _ if matches!(state.top(), Some(Overlay::Save(_))) => "write",
        _ if matches!(state.top(), Some(Overlay::AskWhy { .. })) => "try it",
        _ if matches!(state.top(), Some(Overlay::Cipher(_))) => "see the statement",
        _ if matches!(state.top(), Some(Overlay::Sure { .. })) => "do it",
        _ => "go on",
    }
}

fn open_label(state: &State) -> &'static str {
    match state.selected_row() {
        Some(Row::Finding { .. }) if follows(state) => "to its cause",
        Some(Row::Finding { .. }) => "mend…",
        Some(Row::Account { .. }) if state.roster.marked() > 0 => "statements of the marked…",
        Some(Row::Account { .. }) => "statement…",
        _ => "",
    }
}

fn on_rule(state: &State) -> bool {
    matches!(state.selected_row(), Some(Row::Finding { .. } | Row::Outcome { .. }))
}

fn on_account(state: &State) -> bool {
    matches!(state.selected_row(), Some(Row::Account { .. }))
}

/// An account, or a finding about one.
fn is_markable(state: &State) -> bool {
    on_account(state) || state.account_of_finding().is_some()
}

/// What is for one account, where there is none, or there are several.
fn is_for_none(state: &State) -> bool {
    match Context::of(state) {
        Context::Accounts => !on_account(state),
        Context::Account => matches!(state.place, Place::Accounts(_)),
        _ => false,
    }
}

/// Whether the finding under the cursor is a consequence, mended with its cause.
fn follows(state: &State) -> bool {
    state.selected_finding().is_some_and(|finding| finding.because_of.is_some())
}

fn quit_label(state: &State) -> &'static str {
    if Context::of(state).is_typing() { "quit" } else { "" }
}

fn sort_label(state: &State) -> &'static str {
    match state.register.as_ref().map(|register| register.order) {
        Some(Order::Name) => "by expiry",
        _ => "by name",
    }
}

fn all_label(state: &State) -> &'static str {
    if state.register.as_ref().is_some_and(|register| register.all) { "in use" } else { "all" }
}

fn is_filtered(state: &State) -> bool {
    state.register.as_ref().is_some_and(|register| !register.sought().is_empty())
}

fn not_renewable(state: &State) -> Option<&'static str> {
    match state.register.as_ref()?.entry() {
        None => Some("a CA is not renewed here: mytls ca rotate leads through it"),
        Some((_, Status::Revoked)) => Some("it is revoked: m makes a new one"),
        Some((_, Status::Replaced)) => Some("it was replaced already: renew the one in its place"),
        Some((_, Status::Dropped)) => Some("it was never handed out: m makes a new one"),
        Some((_, Status::Valid | Status::Expired)) => None,
    }
}

fn not_revocable(state: &State) -> Option<&'static str> {
    match state.register.as_ref()?.entry() {
        None => Some("a CA is not revoked: whoever trusts it has to stop trusting it"),
        Some((_, Status::Revoked)) => Some("it is revoked already"),
        Some((_, Status::Dropped)) => Some("it was never handed out: nobody can use it"),
        Some((_, Status::Expired)) => Some("it has expired: nobody takes it any more"),
        Some((_, Status::Valid | Status::Replaced)) => None,
    }
}

fn no_account(state: &State) -> Option<&'static str> {
    let many = matches!(state.place, Place::Accounts(_));
    match state.current_account() {
        Some(_) => None,
        None if many => Some("this is for one account: go back, and select it"),
        None => Some("select an account first"),
    }
}

fn no_offer(state: &State) -> Option<&'static str> {
    match state.offer() {
        Some(Ok(_)) => None,
        Some(Err(_)) => Some("there is no statement yet; the reason stands above"),
        None => Some("the statement is still being written"),
    }
}
