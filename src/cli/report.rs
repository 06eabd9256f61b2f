//! `mytls report`: what was checked, what was changed and what is still open, for the file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::target::TargetArgs;
use super::{Failure, check, print, tell};
use crate::apply::accounts::journal_file;
use crate::apply::journal;
use crate::bounded;
use crate::checklist::Examination;
use crate::disk::{self, DiskError, Meta};
use crate::facts::gather::{Cancel, gather};
use crate::facts::host;
use crate::printable::shown;
use crate::prove::Matrix;
use crate::report::Form;
use crate::report::record::{Deed, Proof, Record};

/// Write what was checked, what was changed, and what is still open
///
/// The server is examined as by `mytls check`; what the journal has of it is listed with the number
/// that `mytls undo` takes. Proofs come from files, because they take a login for each account:
/// `mytls prove --format json > proof.json`. No password and no private key is in a report.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls report -h db1 -u root -p --out db1.html\n  \
    mytls report --proof proof.json --format markdown\n  \
    mytls report --facts facts.json --out audit.html      a server that is elsewhere\n\n\
    Exit status: 0 written, whatever it says; 2 bad usage; 3 the server could not be examined, or\n\
    the file not be written."
)]
pub struct ReportArgs {
    /// Write to this file, which must not exist; .html, .md and .json say the form
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What to write; without it what the file's name says, else Markdown
    #[arg(long, value_name = "FORMAT")]
    format: Option<Form>,
    /// A login matrix that `mytls prove --format json` printed; more than one may be given
    #[arg(long, value_name = "FILE")]
    proof: Vec<PathBuf>,
    /// Report of facts that were saved with `mytls check --with-facts`, instead of a server
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
}

pub fn run(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let form = args.format.map_or_else(|| named(args.out.as_deref()), Ok)?;
    // said before a server is asked for nothing
    if let Some(file) = args.out.as_ref().filter(|file| file.symlink_metadata().is_ok()) {
        let path = file.clone();
        return Err(Failure::usage(DiskError::Exists { path }.to_string()));
    }
    let proofs: Vec<Vec<Proof>> =
        args.proof.iter().map(|file| proofs(file)).collect::<Result<_, _>>()?;
    let facts = match &args.facts {
        Some(file) => check::saved(file)?,
        None => gather(&args.target.resolve()?, &Cancel::default(), &mut check::progress()),
    };
    let examination = Examination::judge(facts);
    if !examination.saw_anything() {
        return Err(Failure::not_examined(check::why_nothing(&examination)));
    }
    let record = Record {
        by: host::who(),
        changes: changes(&examination)?,
        proofs: proofs.into_iter().flatten().collect(),
        ..Record::default()
    };
    let text = form
        .write(&examination, &record)
        .map_err(|error| Failure::not_examined(format!("the report cannot be written: {error}")))?;
    match &args.out {
        Some(file) => {
            disk::write_new(file, text.as_bytes(), Meta::mode(0o600))
                .map_err(|error| Failure::not_examined(error.to_string()))?;
            tell(format_args!("wrote {}, readable by its owner alone\n", shown(file)));
        }
        None => print(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The form that a file's name asks for.
fn named(file: Option<&Path>) -> Result<Form, Failure> {
    let Some(file) = file else { return Ok(Form::Markdown) };
    Form::named(file).ok_or_else(|| {
        Failure::usage(format!("{}: name it .html, .md or .json, or say --format", shown(file)))
    })
}

/// What the journal has of this server, oldest first.
fn changes(examination: &Examination) -> Result<Vec<Deed>, Failure> {
    // without a home there is no journal, and nothing was noted
    let Ok(file) = journal_file() else { return Ok(Vec::new()) };
    let entries = journal::read(&file).map_err(|error| Failure::not_examined(error.to_string()))?;
    let facts = &examination.facts;
    let here = facts.identity();
    let target = facts.target.display();
    let of_it = |entry: &&journal::Entry| entry.is_of(&here, &target);
    Ok(entries.iter().filter(of_it).filter_map(Deed::of_journal).collect())
}

/// The matrices of a file that `mytls prove` wrote.
fn proofs(file: &Path) -> Result<Vec<Proof>, Failure> {
    #[derive(serde::Deserialize)]
    struct Written {
        matrices: Vec<Matrix>,
    }
    /// Some thousand matrices.
    const LARGEST: u64 = 64 << 20;
    let no = |why: String| {
        Failure::usage(format!(
            "{} is no proof: {}\n  write one with: mytls prove --user ACCOUNT … --format json > FILE",
            shown(file),
            crate::printable::printable(&why)
        ))
    };
    let bytes = bounded::read(file, LARGEST).map_err(|error| no(error.to_string()))?;
    let written: Written = serde_json::from_slice(&bytes).map_err(|error| no(error.to_string()))?;
    Ok(written.matrices.iter().map(Proof::from).collect())
}
