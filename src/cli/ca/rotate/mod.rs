//! `mytls ca rotate`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Parser;

pub use self::args::RotateArgs;
use self::args::{NextArgs, RotateCommand, StartArgs};
use super::create::{self, CreateArgs};
use super::{Done, FINDINGS, Format, StoreArgs, now, shown, tell, waiting};
use crate::apply::journal;
use crate::apply::rotate::{Pair, Prepared, carry_out, look, prepare};
use crate::ca::crl::Update;
use crate::ca::rotate::{
    Client, Held, Seen, State, Step, awaits_restart, both_file, clients, holds, position,
};
use crate::ca::{CaError, Catalog, Store, Validity};
use crate::cli::Failure;
use crate::cli::target::TargetArgs;
use crate::facts::gather::{Cancel, gather};
use crate::facts::{Facts, Target};
use crate::printable::printable_lines;
use crate::remedy::{Effect, shell};

mod args;
mod new;
mod show;

pub fn run(args: &RotateArgs) -> Result<Done, Failure> {
    match &args.command {
        RotateCommand::Start(args) => start(args),
        RotateCommand::Next(args) => next(args),
        RotateCommand::Status(args) => {
            let (to, state) = begun(&args.to)?;
            Ok(match args.format {
                Format::Text => show::status(&to, &state),
                Format::Json => show::status_json(&to, &state),
            }
            .into())
        }
    }
}

fn start(args: &StartArgs) -> Result<Done, Failure> {
    let from = args.target.ca_dir.as_deref();
    let from = from.ok_or_else(|| Failure::usage("name the folder of the old CA with --ca-dir"))?;
    let (from, to) = (absolute(from), absolute(&args.to));
    if State::read(&to)?.is_some() {
        return Err(Failure::usage(format!(
            "a rotation to {} was begun already; mytls ca rotate status --to {} says where it \
             stands",
            shown(&to),
            shell::path(&to)
        )));
    }
    let old = Catalog::read(&from)?;
    if !args.yes {
        return Ok(show::overview(&old, &to, &new::name(args.name.as_ref(), &old)?).into());
    }
    let mut text = String::new();
    if !Store::exists(&to) {
        text = create::run(&CreateArgs {
            target: TargetArgs { ca_dir: Some(to.clone()), ..TargetArgs::default() },
            name: new::name(args.name.as_ref(), &old)?,
            key: Some(args.key.unwrap_or_else(|| new::key(&old))),
            product: None,
            days: 3650,
            intermediate: args.intermediate,
            if_missing: true,
            passphrase_stdin: args.passphrase_stdin,
            no_passphrase: args.no_passphrase,
        })?
        .text;
    }
    let new = Catalog::read(&to)?;
    new::refuse_alike(&old, &new)?;
    let held = Held::take(&to, waiting)?;
    held.write_both(&old.ca_pem(), &new.ca_pem())?;
    let mut state = State::new(&from, now());
    state.server = args.target.words();
    state.enter(Step::NewCa, now());
    held.write(&state)?;
    let _ =
        writeln!(text, "  {}       both CAs, for the time of the rotation", shown(&both_file(&to)));
    let _ = write!(text, "\n{}", show::where_next(&to, &state));
    Ok(text.into())
}

fn begun(to: &Path) -> Result<(PathBuf, State), Failure> {
    let to = absolute(to);
    let state = State::read(&to)?;
    let state = state.ok_or_else(|| {
        Failure::usage(format!(
            "no rotation to {} was begun; begin one: mytls ca rotate start --ca-dir OLD --to {}",
            shown(&to),
            shell::path(&to)
        ))
    })?;
    Ok((to, state))
}

/// A rotation taken in hand, with all that is to be known of it.
struct Underway {
    to: PathBuf,
    state: State,
    target: Target,
    old: Catalog,
    new: Store,
}

fn next(args: &NextArgs) -> Result<Done, Failure> {
    let (to, _) = begun(&args.to)?;
    // It is waited for whoever is at it, and only then is it read.
    let held = Held::take(&to, waiting)?;
    let (to, mut state) = begun(&to)?;
    let target = target(args, &mut state, &to)?;
    let old = Catalog::read(&state.from)?;
    let store = StoreArgs { ca_dir: to.clone(), passphrase_stdin: args.passphrase_stdin };
    let mut at = Underway { to, state, target, old, new: store.open()? };

    let (facts, seen) = at.examine()?;
    let found = position(&at.state, &seen);
    let mut text = show::seen(&at.state, &seen, &found);
    if args.yes || args.clients_ready {
        // What was begun when mytls was stopped turns out to be done: nothing else was shown and
        // agreed to.
        let resumed = at.state.under_way.is_some_and(|step| found.so_already.contains(&step));
        for step in &found.so_already {
            at.state.enter(*step, now());
        }
        held.write(&at.state)?;
        if resumed {
            let _ = write!(text, "\n{}", show::where_next(&at.to, &at.state));
            return Ok(text.into());
        }
    }
    let Some(step) = found.next else {
        text.push_str(&show::finished(&at.to, &at.state));
        return Ok(text.into());
    };
    if awaits_restart(&at.state, &seen, step) {
        let _ = writeln!(
            text,
            "restart the server: {}\n  then: {}",
            shell::RESTART,
            show::command(&at.to)
        );
        return Ok(Done { text, code: FINDINGS });
    }
    let reads_lists = facts.files.read().is_some_and(|files| files.crl.is_some());
    if step == Step::ServerTrustsBoth && reads_lists && args.yes {
        let signed = at.new.sign_lists(&Update::default())?;
        if !signed.missing.is_empty() {
            return Err(Failure::usage(format!(
                "the server reads ssl_crl, and there is no list of {}: it would refuse everybody; sign \
                 it where the root's key is: mytls ca crl --ca-dir {} --root-dir DIR",
                signed.missing.join(", "),
                shown(&at.to)
            )));
        }
    }
    let prepared = prepare(step, &facts, &at.state, &at.pair()).map_err(|why| Failure {
        code: FINDINGS,
        message: format!("{} ({}): {why}", step.title(), show::command(&at.to)),
    })?;
    let clients = at.clients()?;
    text.push_str(&show::step(step, &at.to, &prepared, &clients));
    text.push_str(&show::others(step, &at.old, &facts));
    text.push_str(&show::accounts_not_listed(step, &at.to, &clients, &facts));
    let said = if step.is_by_people() { args.clients_ready } else { args.yes };
    if !said {
        text.push_str(&show::how_to_do(step, &at.to));
        // Asked to do what only people can say of: it is not done.
        let code = if args.yes || args.clients_ready { FINDINGS } else { 0 };
        return Ok(Done { text, code });
    }
    at.state.under_way = Some(step);
    if prepared.plan.effect == Effect::Restart && !prepared.plan.writes.is_empty() {
        at.state.restart_due = Some(now());
    }
    for account in &prepared.accounts {
        at.state.remember(account.clone());
    }
    held.write(&at.state)?;
    text.push_str(&at.do_it(step, &prepared, &clients).map_err(|message| Failure {
        code: FINDINGS,
        message: format!(
            "{message}\n  when that is mended, go on: {} --yes",
            show::command(&at.to)
        ),
    })?);
    if !step.is_by_people() {
        let (_, seen) = at.examine()?;
        if let Err(why) = holds(step, &at.state, &seen) {
            let again = show::command(&at.to);
            let _ = writeln!(text, "\nnot yet: {why}\n  look again: {again}");
            return Ok(Done { text, code: FINDINGS });
        }
        if step != Step::ClientCertificates {
            let _ = writeln!(text, "  seen on the running server: {}", step.title());
        }
    }
    at.state.enter(step, now());
    held.write(&at.state)?;
    let _ = write!(text, "\n{}", show::where_next(&at.to, &at.state));
    Ok(text.into())
}

/// The server that is meant: the one named now, or else the one named before. A client of it trusts
/// both CAs, unless somebody says otherwise.
fn target(args: &NextArgs, state: &mut State, to: &Path) -> Result<Target, Failure> {
    #[derive(Parser)]
    #[command(disable_help_flag = true, no_binary_name = true)]
    struct Words {
        #[command(flatten)]
        target: TargetArgs,
    }
    if args.target.ca_dir.as_deref().is_some_and(|dir| absolute(dir) != state.from) {
        let from = shown(&state.from);
        return Err(Failure::usage(format!("this is the rotation of the CA in {from}")));
    }
    let mut named = args.target.clone();
    if named.is_given() {
        state.server = named.words();
    } else {
        let words = Words::try_parse_from(&state.server)
            .map_err(|_| Failure::usage("name the server again, as at the start"))?;
        let (password, password_stdin) = (named.password, named.password_stdin);
        named = TargetArgs { password, password_stdin, ..words.target };
    }
    let mut target = named.resolve()?;
    if named.ssl_ca.is_none() {
        target.ssl_ca = Some(both_file(to));
    }
    target.ca_dir = Some(state.from.clone());
    Ok(target)
}

impl Underway {
    fn pair(&self) -> Pair<'_> {
        Pair { old: &self.old, new: &self.new }
    }

    /// Reads it all anew.
    fn examine(&self) -> Result<(Facts, Seen), Failure> {
        let facts = gather(&self.target, &Cancel::default(), &mut |_| ());
        if let Some(unread) = facts.server.reason() {
            let advice = if unread.advice.is_empty() {
                String::new()
            } else {
                format!("\n  {}", unread.advice)
            };
            return Err(Failure::not_examined(format!("{}{advice}", unread.why)));
        }
        let seen = look(&facts, &self.state, &self.pair(), now());
        Ok((facts, seen.map_err(Failure::not_examined)?))
    }

    fn clients(&self) -> Result<Vec<Client>, CaError> {
        Ok(clients(&self.old, &Catalog::read(&self.to)?, now()))
    }

    /// What the step is; returns what was done. The error holds it, too.
    fn do_it(&self, step: Step, prepared: &Prepared, clients: &[Client]) -> Result<String, String> {
        if step == Step::ClientCertificates {
            let due: Vec<&Client> =
                clients.iter().filter(|client| !client.has_new && !client.by_request).collect();
            let validity = Validity::From { now: now(), days: 397 };
            let issued = self.new.take_over(&self.old, &due, validity);
            let issued = issued.map_err(|error| error.to_string())?;
            let folder = shown(&self.to.join("clients"));
            return Ok(format!("  issued {}, each in {folder}/NAME\n", issued.len()));
        }
        let mut text = String::new();
        let result = carry_out(prepared, &self.new, None, &mut |_| ());
        let (applied, failed) = match result {
            Ok(applied) => (applied, None),
            Err(both) => (both.0, Some(both.1)),
        };
        for line in &applied.done {
            let _ = writeln!(text, "  {line}");
        }
        if !applied.undo.is_empty() {
            let _ = writeln!(text, "  to take it back:");
            for line in &applied.undo {
                let _ = writeln!(text, "    {}", printable_lines(line));
            }
        }
        for line in &applied.left {
            let _ = writeln!(text, "  left to you: {line}");
        }
        if !applied.done.is_empty()
            && let Some(file) = journal::default_file()
        {
            let entry = journal::Entry::new(self.target.display(), applied);
            if let Err(error) = journal::append(&file, &entry) {
                tell(format_args!("mytls: this could not be noted in the journal: {error}\n"));
            }
        }
        match failed {
            None => Ok(text),
            Some(error) => Err(format!("{error}\n{}", text.trim_end())),
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
