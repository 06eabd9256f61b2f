//! A rotation in words: where it stands, what is next, what that changes.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::super::shown;
use crate::apply::rotate::Prepared;
use crate::apply::{Content, DiffKind, Plan, describe};
use crate::ca::rotate::{Client, Position, Seen, State, Step, Tried, both_file};
use crate::ca::{Catalog, Entry, Kind, PlainName, Store};
use crate::facts::{Account, Facts, Require};
use crate::printable::{printable, printable_lines};
use crate::remedy::{Effect, shell};
use crate::x509::Certificate;

/// `mytls ca rotate next --to DIR`, to be typed as it stands.
pub fn command(to: &Path) -> String {
    format!("mytls ca rotate next --to {}", shell::path(to))
}

/// All of it, before anything is made.
pub fn overview(old: &Catalog, to: &Path, name: &PlainName) -> String {
    let own = old.chain[0].subject.display();
    let mut text = format!("{own} is to be replaced, so that no login fails on the way:\n\n");
    steps(&mut text, |_| "");
    let there = Store::exists(to);
    let what = if there { "the CA that is there" } else { name.as_str() };
    let _ = writeln!(
        text,
        "\nThe new CA: {what}, in {}.\nNothing was done. Begin with the same command and --yes.",
        shown(to)
    );
    text
}

pub fn status(to: &Path, state: &State) -> String {
    let mut text = format!("from {} to {}\n\n", shown(&state.from), shown(to));
    let next = first_open(state);
    steps(&mut text, |step| match step {
        step if state.under_way == Some(step) => "under way",
        step if state.is_done(step) => "done",
        step if next == Some(step) => "next",
        _ => "",
    });
    let _ = write!(text, "\n{}", where_next(to, state));
    text
}

/// The same for machines; times are seconds since 1970, UTC.
pub fn status_json(to: &Path, state: &State) -> String {
    #[derive(Serialize)]
    struct One {
        step: Step,
        stage: u8,
        title: &'static str,
        by_people: bool,
        /// `None`: not done.
        done_at: Option<i64>,
    }
    #[derive(Serialize)]
    struct Whole<'a> {
        schema: u32,
        from: &'a Path,
        to: &'a Path,
        begun_at: i64,
        finished: bool,
        under_way: Option<Step>,
        next: Option<Step>,
        /// `None`: it is over.
        next_command: Option<String>,
        steps: Vec<One>,
        accounts: &'a [crate::ca::rotate::Bound],
    }
    let next = first_open(state);
    let done_at = |step| state.done.iter().find(|done| done.step == step).map(|done| done.at);
    let steps = Step::ALL.map(|step| One {
        step,
        stage: step.stage(),
        title: step.title(),
        by_people: step.is_by_people(),
        done_at: done_at(step),
    });
    let whole = Whole {
        schema: 1,
        from: &state.from,
        to,
        begun_at: state.begun,
        finished: next.is_none(),
        under_way: state.under_way,
        next,
        next_command: next.map(|_| command(to)),
        steps: steps.into(),
        accounts: &state.accounts,
    };
    // plain strings and numbers: there is nothing in it that could not be written
    serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n"
}

/// What is to be typed now.
pub fn where_next(to: &Path, state: &State) -> String {
    match first_open(state) {
        None => finished(to, state),
        Some(step) => format!(
            "next, stage {} of {}: {}\n  {}\n",
            step.stage(),
            Step::STAGES,
            step.title(),
            command(to)
        ),
    }
}

pub fn finished(to: &Path, state: &State) -> String {
    format!(
        "the rotation is over: {} is the CA now.\n  \
         Keep {} in a safe place for as long as its backups may be needed, then delete its key.\n",
        shown(to),
        shown(&state.from)
    )
}

/// What a look at the server showed, where that is not what was noted.
pub fn seen(state: &State, seen: &Seen, found: &Position) -> String {
    let mut text = String::new();
    for step in &found.so_already {
        let _ = writeln!(text, "so already: {}", step.title());
    }
    if let (Some(step), Some(why)) = (found.next, &found.undone) {
        let _ = writeln!(text, "to be done again: {}: {why}", step.title());
    }
    if let Some(step) = state.under_way.filter(|step| found.next == Some(*step)) {
        let _ = writeln!(text, "under way, and not seen on the running server: {}", step.title());
    }
    for (which, tried) in [("old", &seen.takes_old), ("new", &seen.takes_new)] {
        if let Tried::NotTried(why) = tried {
            let why = printable(why);
            let _ =
                writeln!(text, "no certificate of the {which} CA was tried on the server: {why}");
        }
    }
    text
}

/// What a step is, and all that it changes.
pub fn step(step: Step, to: &Path, prepared: &Prepared, clients: &[Client]) -> String {
    let mut text = format!("stage {} of {}: {}\n", step.stage(), Step::STAGES, step.title());
    let both = shown(&both_file(to));
    let new = shown(&to.join(Store::CA_FILE));
    let folder = shown(&to.join("clients"));
    let paragraph = match step {
        Step::NewCa | Step::ServerTrustsBoth => String::new(),
        Step::ClientsTrustBoth => format!(
            "  Give every client this file in the place of its ssl-ca, and have it connect anew:\n    \
             {both}\n  A client that is passed over cannot log in after the next step."
        ),
        Step::ServerCertificate => {
            "  For the same names, with a new key. Clients that trust both CAs see no difference."
                .to_owned()
        }
        Step::AccountsLoosened => {
            "  REQUIRE names one issuer only, so an account that names it would have to change at \
             the\n  very moment at which its client does. Until all have changed, these are held to \
             their\n  SUBJECT alone, which stays the same; at the end they name the new issuer."
                .to_owned()
        }
        Step::ClientCertificates => {
            "  Under the same subjects, so that REQUIRE SUBJECT holds for both; with new keys. The \
             old\n  ones go on working."
                .to_owned()
        }
        Step::ClientsSwitched => format!(
            "  Carry each account's folder to its client, and have it connect anew; one after the \
             other,\n  in any order. Nothing in {folder} is to be seen by anybody else."
        ),
        Step::AccountsBound => {
            "  A client that still shows a certificate of the old CA cannot log in after this."
                .to_owned()
        }
        Step::ServerDropsOld => {
            "  From now on the server refuses every certificate of the old CA.".to_owned()
        }
        Step::ClientsDropOld => format!(
            "  Give every client this file in the place of the one with both; those in {folder} have \
             it:\n    {new}"
        ),
    };
    if !paragraph.is_empty() {
        let _ = writeln!(text, "{paragraph}");
    }
    if matches!(step, Step::ClientCertificates | Step::ClientsSwitched) {
        list_clients(&mut text, step, clients);
    }
    plan(&mut text, &prepared.plan);
    text
}

fn list_clients(text: &mut String, step: Step, clients: &[Client]) {
    let name = |client: &Client| printable(&client.entry.names.join(", ")).into_owned();
    let shown =
        |client: &&Client| !client.by_request && (step == Step::ClientsSwitched || !client.has_new);
    let own: Vec<String> = clients.iter().filter(shown).map(name).collect();
    if !own.is_empty() {
        let _ = writeln!(text, "  {}: {}", own.len(), own.join(", "));
    }
    for client in clients.iter().filter(|client| client.by_request && !client.has_new) {
        let _ = writeln!(
            text,
            "  {} handed in a request, and has the key: sign it again with mytls ca sign",
            name(client)
        );
    }
}

/// Every file and statement; a key is never shown.
fn plan(text: &mut String, plan: &Plan) {
    for write in &plan.writes {
        let path = shown(&write.path);
        let about = if write.replaces { ", a backup is kept" } else { "" };
        let _ = writeln!(
            text,
            "  write {path} ({:04o}{about}): {}",
            write.mode,
            printable(&write.what)
        );
        if matches!(write.content, Content::Text(_)) {
            for line in &write.diff {
                let mark = match line.kind {
                    DiffKind::Kept => ' ',
                    DiffKind::Removed => '-',
                    DiffKind::Added => '+',
                };
                let _ = writeln!(text, "    {mark} {}", line.text);
            }
        }
    }
    for statement in &plan.statements {
        let sql = printable_lines(&statement.sql).replace('\n', "\n    ");
        let _ = writeln!(text, "  send {sql};");
    }
    for warning in &plan.warnings {
        let _ = writeln!(text, "  note: {}", printable_lines(warning));
    }
    match (plan.effect, &plan.reload) {
        (Effect::None, _) => {}
        (effect, Some(reload)) => {
            let _ = writeln!(text, "  then {}: {reload}", describe(effect));
        }
        (effect, None) => {
            let _ = writeln!(text, "  then {}, by you: {}", describe(effect), shell::RESTART);
        }
    }
}

/// Other servers with certificates of the old CA: this rotation sees one.
pub fn others(step: Step, old: &Catalog, facts: &Facts) -> String {
    let advice = match step {
        Step::ServerTrustsBoth => "give them the file with both CAs as ssl_ca, too",
        Step::ServerCertificate => "issue theirs as well: mytls ca server",
        Step::ServerDropsOld => "the same goes for them",
        _ => return String::new(),
    };
    let own = facts.handshake().and_then(|seen| seen.chain.first());
    let own = own.map(Certificate::host_names).unwrap_or_default();
    let is_other = |entry: &&Entry| {
        let same = entry.names.iter().any(|name| own.contains(name));
        entry.kind == Kind::Server && entry.is_current() && entry.not_after > facts.at && !same
    };
    let names: Vec<String> =
        old.entries.iter().filter(is_other).map(|entry| entry.names.join(", ")).collect();
    if names.is_empty() {
        return String::new();
    }
    let names = printable(&names.join("; ")).into_owned();
    format!("  other servers have certificates of the old CA: {names}; {advice}\n")
}

/// Accounts whose clients show certificates of which the old CA's list says nothing: nothing was
/// issued for them, and they would be locked out without a word.
pub fn accounts_not_listed(step: Step, to: &Path, clients: &[Client], facts: &Facts) -> String {
    if !matches!(step, Step::ClientsSwitched | Step::AccountsBound | Step::ServerDropsOld) {
        return String::new();
    }
    let server = facts.server.read();
    let accounts = server.and_then(|server| server.accounts.read()).map_or(&[][..], Vec::as_slice);
    let listed = |account: &&Account| {
        let (user, whole) = (&account.name.user, account.name.to_string());
        clients
            .iter()
            .flat_map(|client| &client.entry.names)
            .any(|name| *name == *user || *name == whole)
    };
    let wants_certificate = |account: &&Account| match &account.require {
        Require::X509 => true,
        Require::Specified { subject, issuer, .. } => !(subject.is_empty() && issuer.is_empty()),
        Require::None | Require::Ssl => false,
    };
    let mut text = String::new();
    let found = accounts.iter().filter(|account| !account.locked);
    for account in found.filter(wants_certificate).filter(|account| !listed(account)) {
        let name = printable(&account.name.to_string()).into_owned();
        let require = account.require.describe();
        let _ = writeln!(
            text,
            "  ! {name} (REQUIRE {require}) is in no list of the old CA: if its client shows a \
             certificate of\n    that, perhaps another account's, it is locked out in stage 5. See to it \
             first:\n    mytls ca client --ca-dir {} --user {} --out DIR",
            shell::path(to),
            shell::word(&account.name.user)
        );
    }
    text
}

pub fn how_to_do(step: Step, to: &Path) -> String {
    let command = command(to);
    if step.is_by_people() {
        return format!("\nWhen all of them are as far: {command} --clients-ready\n");
    }
    format!("\nNothing was done. Do it: {command} --yes\n")
}

fn steps(text: &mut String, word: impl Fn(Step) -> &'static str) {
    let mut stage = 0;
    for step in Step::ALL {
        let number =
            if step.stage() == stage { "  ".to_owned() } else { format!("{}.", step.stage()) };
        stage = step.stage();
        let line = format!("  {number} {:<52}{}", step.title(), word(step));
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// By what was noted; whether it still holds only the server can say.
fn first_open(state: &State) -> Option<Step> {
    Step::ALL.into_iter().find(|step| !state.is_done(*step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{account, with_server};

    #[test]
    fn accounts_that_no_list_knows_are_named_before_they_are_locked_out() {
        let facts = with_server(|server| {
            let subject = |subject: &str| Require::Specified {
                subject: subject.to_owned(),
                issuer: String::new(),
                cipher: String::new(),
            };
            let accounts = vec![
                account("web", "%", Require::X509),
                account("old", "%", subject("/CN=old")),
                account("tls", "%", Require::Ssl),
                account("any", "%", Require::None),
            ];
            server.accounts = crate::facts::Source::Read(accounts);
        });
        let said = |step| accounts_not_listed(step, Path::new("/to"), &[], &facts);
        for step in [Step::ClientsSwitched, Step::AccountsBound, Step::ServerDropsOld] {
            let said = said(step);
            assert!(said.contains("! web@% (REQUIRE X509)"), "{said}");
            assert!(said.contains("! old@%") && said.contains("--user web"), "{said}");
            assert!(!said.contains("tls@%") && !said.contains("any@%"), "{said}");
        }
        assert_eq!(said(Step::NewCa), "");
    }
}
