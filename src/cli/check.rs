//! `mytls check`: the checklist once, as text or JSON.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::target::TargetArgs;
use super::{FINDINGS, Failure, print, tell};
use crate::bounded::{self, Unread};
use crate::checklist::Examination;
use crate::facts::gather::{Cancel, Progress, ProgressState, gather};
use crate::facts::{Facts, UnreadKind, folder};
use crate::printable::{printable, printable_json};
use crate::report::{json::json, text};
use crate::rules::Severity;

/// Run the checklist once and print it.
///
/// Exit status: 0 nothing at or above --fail-on; 1 findings; 2 bad usage; 3 the server could not
/// be examined.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls check -h db1.example -u root -p --ssl-ca ca.pem\n  \
                  mytls check --server-config /etc/mysql/my.cnf     a server that does not start\n  \
                  mytls check --format json | jq '.findings[].rule'"
)]
pub struct CheckArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Judge facts that were saved with `--with-facts`, instead of a server
    #[arg(long, value_name = "FILE")]
    pub facts: Option<PathBuf>,
    /// Look at a folder of keys and certificates instead: which belong together, what is wrong
    #[arg(long, value_name = "DIR", conflicts_with = "facts")]
    pub files: Option<PathBuf>,
    /// Exit with 1 from this severity on
    #[arg(long, value_name = "SEVERITY", default_value = "error")]
    pub fail_on: FailOn,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
    /// Put the facts themselves into the JSON
    #[arg(long)]
    pub with_facts: bool,
    /// Print ASCII characters only
    #[arg(long)]
    pub ascii: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    Error,
    Warning,
    Note,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

pub fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    if let Some(folder) = &args.files {
        return pairs(folder, args);
    }
    let facts = match &args.facts {
        Some(file) => saved(file)?,
        None => gather(&args.target.resolve()?, &Cancel::default(), &mut progress()),
    };
    let examination = Examination::judge(facts);
    if !examination.saw_anything() {
        return Err(Failure::not_examined(why_nothing(&examination)));
    }
    show(&examination, args.format, args.with_facts, args.ascii)?;
    let failed = match args.fail_on {
        FailOn::Error => examination.worst() >= Some(Severity::Error),
        FailOn::Warning => examination.worst() >= Some(Severity::Warning),
        FailOn::Note => examination.worst() >= Some(Severity::Note),
        FailOn::Never => false,
    };
    if failed {
        return Ok(ExitCode::from(FINDINGS));
    }
    // Nothing wrong was found; that means something only if the server itself could be asked.
    match examination.facts.server.reason().filter(|_| args.fail_on != FailOn::Never) {
        Some(unread) => {
            let advice = if unread.advice.is_empty() {
                String::new()
            } else {
                format!("\n  {}", unread.advice)
            };
            Err(Failure::not_examined(format!("{}{advice}", unread.why)))
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

/// `--files`: the pairs of a folder.
fn pairs(folder: &std::path::Path, args: &CheckArgs) -> Result<ExitCode, Failure> {
    let found = folder::read(folder).map_err(Failure::not_examined)?;
    let pairs = folder::pair(&found, time::OffsetDateTime::now_utc().unix_timestamp());
    match args.format {
        Format::Json => {
            let object = serde_json::to_string_pretty(&pairs).map_err(|error| {
                Failure::not_examined(format!("the report cannot be written: {error}"))
            })?;
            print(&format!("{}\n", printable_json(&object)))?;
        }
        Format::Text => {
            let mut out = String::new();
            for problem in &pairs.problems {
                let line = format!("{}: {}", problem.path.display(), problem.what);
                // writing to a String cannot fail
                let _ = writeln!(
                    out,
                    "{} {} [{}]",
                    if args.ascii { "X" } else { "✗" },
                    printable(&line),
                    problem.rule
                );
            }
            out.push_str(&summary(&found, &pairs, args.ascii));
            print(&out)?;
        }
    }
    let failed = !pairs.problems.is_empty() && args.fail_on != FailOn::Never;
    Ok(if failed { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS })
}

/// Which files belong together, as many as one still reads, and how much of each there is.
fn summary(found: &[folder::Found], pairs: &folder::Pairs, ascii: bool) -> String {
    const SHOWN: usize = 20;
    let mark = if ascii { "+" } else { "✓" };
    let mut out = String::new();
    for pair in pairs.together.iter().take(SHOWN) {
        let (certificate, key) = (pair.certificate.display(), pair.key.display());
        let line = if pair.certificate == pair.key {
            format!("{certificate}, both in one: {}", pair.subject)
        } else {
            format!("{certificate} and {key}: {}", pair.subject)
        };
        // writing to a String cannot fail
        let _ = writeln!(out, "{mark} {}", printable(&line));
    }
    if pairs.together.len() > SHOWN {
        let more = count(pairs.together.len() - SHOWN, "more pair");
        let _ = writeln!(out, "{mark} and {more}; --format json lists them all");
    }
    // of one file, what it holds comes in a row
    let mut files: Vec<&std::path::Path> = found.iter().map(|file| file.path.as_path()).collect();
    files.dedup();
    let mut counts = vec![count(files.len(), "file"), count(pairs.together.len(), "pair")];
    if !pairs.revocation_lists.is_empty() {
        counts.push(count(pairs.revocation_lists.len(), "revocation list"));
    }
    counts.push(count(pairs.problems.len(), "problem"));
    let _ = writeln!(out, "{}", counts.join(", "));
    out
}

/// `1 pair`, `2 pairs`
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Prints an examination; also for the sandbox without a terminal.
pub fn show(
    examination: &Examination,
    format: Format,
    with_facts: bool,
    ascii: bool,
) -> Result<(), Failure> {
    match format {
        Format::Text => {
            let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            print(&text::text(examination, text::Look { color, ascii }))
        }
        Format::Json => {
            let object = json(examination, with_facts).map_err(|error| {
                Failure::not_examined(format!("the report cannot be written: {error}"))
            })?;
            print(&format!("{object}\n"))
        }
    }
}

/// Progress on stderr, and only for a person who waits.
pub fn progress() -> impl FnMut(Progress) {
    let shown = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
    move |progress| {
        if !shown {
            return;
        }
        match progress.state {
            ProgressState::Started => tell(format_args!("{} ... ", progress.stage)),
            ProgressState::Done(result) => tell(format_args!("{result}\n")),
            ProgressState::Failed(why) => tell(format_args!("{why}\n")),
        }
    }
}

const SAVE_FACTS: &str = "save them with: mytls check --format json --with-facts > FILE";

pub fn saved(file: &std::path::Path) -> Result<Facts, Failure> {
    /// Facts of a server with a hundred thousand accounts fit many times.
    const LARGEST: u64 = 256 << 20;
    let shown = printable(&file.display().to_string()).into_owned();
    let no = |why: String| Failure::not_examined(format!("{shown} {why}"));
    let bytes = bounded::read(file, LARGEST).map_err(|unread| match unread {
        Unread::Io(error) => no(format!("cannot be read: {error}")),
        other => no(format!("is no file of saved facts: {other}")),
    })?;
    let value: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|error| no(format!("is no JSON ({error}); {SAVE_FACTS}")))?;
    // Either the facts alone, or a whole report with them inside.
    let facts = value.get("facts").cloned().unwrap_or(value);
    let facts: Facts = serde_json::from_value(facts).map_err(|error| {
        let error = printable(&error.to_string()).into_owned(); // it quotes them
        no(format!("holds no facts that this version reads ({error}); {SAVE_FACTS}"))
    })?;
    if facts.schema != Facts::SCHEMA {
        let schema = facts.schema;
        return Err(no(format!("holds facts of another version of mytls (schema {schema})")));
    }
    let fits = facts.files.read().is_none_or(|f| f.signers.len() == f.certificates().len());
    if !fits {
        return Err(no("holds facts that do not fit together; were they edited?".to_owned()));
    }
    Ok(facts)
}

pub fn why_nothing(examination: &Examination) -> String {
    let facts = &examination.facts;
    let mut reasons = [facts.wire.reason(), facts.server.reason(), facts.config.reason()];
    if facts.target.server_config.is_some() {
        reasons.rotate_right(1); // what was named and cannot be read comes first
    }
    let mut told = Vec::new();
    for unread in reasons.into_iter().flatten().filter(|unread| unread.kind != UnreadKind::NotAsked)
    {
        if !told.iter().any(|line: &String| line.starts_with(&unread.why)) {
            told.push(unread.why.clone());
            if !unread.advice.is_empty() {
                told.push(format!("  {}", unread.advice));
            }
        }
    }
    format!("{} could not be examined:\n{}", facts.target.display(), told.join("\n"))
}
