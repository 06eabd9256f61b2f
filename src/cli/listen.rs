//! `mytls listen`: whether an application verifies whom it talks to.

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::check::Format;
use super::{FINDINGS, Failure, NOT_EXAMINED, ca, print, tell};
use crate::ca::{KeyKind, San};
use crate::facts::Flavor;
use crate::listen::{Grid, Part, Parts, Play, Signer, Stage, Told, Verdict};
use crate::printable::{printable_json, shown};

/// See whether an application verifies whom it talks to.
///
/// Opens a port that plays six servers to the application, one after the other: five that it must refuse
/// and, as the control, one that it must not. Point the application at the port and start it, until every
/// part was met. Nobody is let in, and no password is kept.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls listen                       a CA of its own, which the application has to trust\n  \
                  mytls listen --ca-dir /srv/db-ca   the CA that the application trusts already\n  \
                  mytls listen --bind 0.0.0.0 --name db1.example --ca-dir /srv/db-ca\n\n\
                  Exit status: 0 it verifies, 1 it does not, 2 bad usage, 3 not found out."
)]
pub struct ListenArgs {
    /// The port; 0 takes any that is free
    #[arg(long, value_name = "PORT", default_value_t = 3307)]
    port: u16,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// A name or address by which the application reaches the port; may be given more than once
    #[arg(long, value_name = "NAME")]
    name: Vec<San>,
    /// Sign with the CA of this folder; without it one is made up for the day
    #[arg(long, value_name = "DIR")]
    ca_dir: Option<PathBuf>,
    /// Where the CA that was made up is written for the application to trust
    #[arg(long, value_name = "FILE", conflicts_with = "ca_dir")]
    ca_out: Option<PathBuf>,
    /// As what it greets
    #[arg(long = "as", value_name = "FAMILY", value_enum, default_value = "mysql")]
    family: Family,
    /// Play only these
    #[arg(long, value_name = "PART", value_enum, value_delimiter = ',')]
    only: Vec<PartName>,
    /// The kind of the certificates' keys
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    key: KeyKind,
    /// How long one connection may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Family {
    Mysql,
    Mariadb,
}

/// [`Part`] as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PartName {
    NoTls,
    UnknownCa,
    OtherHost,
    Expired,
    ClientOnly,
    Right,
}

#[derive(Serialize)]
struct Json<'a> {
    schema: u32,
    tool: Tool,
    /// RFC 3339, UTC.
    at: String,
    listening: SocketAddr,
    /// Names in the certificates that are for this port.
    names: Vec<String>,
    /// The CA that the application had to trust.
    ca: String,
    verdict: Verdict,
    #[serde(flatten)]
    grid: &'a Grid,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

pub fn run(args: &ListenArgs) -> Result<ExitCode, Failure> {
    let stopped = until_stopped()?;
    let at = SocketAddr::new(args.bind, args.port);
    let stage = Stage::open(at).map_err(|error| Failure::not_examined(error.to_string()))?;
    let own = args.ca_dir.as_deref().map(ca::authority).transpose()?;
    let names = names(args);
    let signer = own.as_ref().map_or(Signer::Fresh, Signer::Own);
    let now = OffsetDateTime::now_utc();
    let parts = Parts::make(&signer, &wanted(&args.only), &names, args.key, now.unix_timestamp())
        .map_err(|error| Failure::usage(error.to_string()))?;

    let ca = match &args.ca_dir {
        Some(dir) => CaFile::Theirs(dir.join("ca.pem")),
        None => CaFile::written(args.ca_out.as_deref(), stage.at().port(), &parts.ca_pem)?,
    };
    introduce(&stage, &names, ca.path());
    let watched = std::io::stderr().is_terminal();
    let deadline = args.wait.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let over = || {
        stopped.load(Ordering::Relaxed)
            || deadline.is_some_and(|deadline| Instant::now() > deadline)
    };
    let flavor = match args.family {
        Family::Mysql => Flavor::MySql,
        Family::Mariadb => Flavor::MariaDb,
    };
    let play = Play { flavor, patience: Duration::from_secs(args.patience), ..Play::default() };
    let mut told = |what: Told<'_>| {
        if watched {
            progress(&what);
        }
    };
    let grid = stage
        .play(parts, play, &mut told, &over)
        .map_err(|error| Failure::not_examined(error.to_string()))?;
    let verdict = grid.verdict();
    let text = match args.format {
        Format::Text => grid.text(),
        Format::Json => json(&stage, &names, ca.path(), now, &grid),
    };
    print(&text)?;
    Ok(ExitCode::from(match verdict {
        Verdict::Verifies => 0,
        Verdict::DoesNotVerify | Verdict::SendsInClear => FINDINGS,
        Verdict::RefusesTheRight | Verdict::Unfinished => NOT_EXAMINED,
    }))
}

/// Ctrl-C and the like end it early, and what was met until then is printed.
fn until_stopped() -> Result<Arc<AtomicBool>, Failure> {
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stopped)).map_err(|error| {
            Failure::not_examined(format!("signals cannot be waited for: {error}"))
        })?;
    }
    Ok(stopped)
}

fn wanted(only: &[PartName]) -> Vec<Part> {
    let part = |name: &PartName| match name {
        PartName::NoTls => Part::NoTls,
        PartName::UnknownCa => Part::UnknownCa,
        PartName::OtherHost => Part::OtherHost,
        PartName::Expired => Part::Expired,
        PartName::ClientOnly => Part::ClientOnly,
        PartName::Right => Part::Right,
    };
    let only: Vec<Part> = only.iter().map(part).collect();
    Part::ALL.into_iter().filter(|part| only.is_empty() || only.contains(part)).collect()
}

/// What was typed, then what this host is called by everybody who is on it.
fn names(args: &ListenArgs) -> Vec<San> {
    let mut names = args.name.clone();
    let mut add = |name: Option<San>| {
        if let Some(name) = name.filter(|name| !names.contains(name)) {
            names.push(name);
        }
    };
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    add(San::Dns("localhost".to_owned()).into());
    add(host.and_then(|host| host.parse().ok()));
    add((!args.bind.is_unspecified()).then_some(San::Ip(args.bind)));
    for loopback in ["127.0.0.1", "::1"] {
        add(loopback.parse().ok());
    }
    names
}

/// The CA that the application has to trust, as a file.
enum CaFile {
    Theirs(PathBuf),
    /// Taken away again at the end.
    Ours(PathBuf),
}

impl CaFile {
    fn written(wanted: Option<&Path>, port: u16, pem: &str) -> Result<Self, Failure> {
        let usual = || {
            let name = format!("mytls-listen-{port}-{}-ca.pem", std::process::id());
            std::env::temp_dir().join(name)
        };
        let path = wanted.map_or_else(usual, Path::to_owned);
        // never over something that is there, nor through a link that somebody laid
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path);
        file.and_then(|mut file| file.write_all(pem.as_bytes())).map_err(|error| {
            let path = shown(&path);
            Failure::usage(format!(
                "the CA for the application to trust cannot be written to {path}: {error}; name a new \
                 file with --ca-out"
            ))
        })?;
        Ok(Self::Ours(path))
    }

    fn path(&self) -> &Path {
        let (Self::Theirs(path) | Self::Ours(path)) = self;
        path
    }
}

impl Drop for CaFile {
    fn drop(&mut self) {
        if let Self::Ours(path) = self {
            let _ = fs::remove_file(path); // a CA of a day whose key is gone already
        }
    }
}

fn introduce(stage: &Stage, names: &[San], ca: &Path) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    tell(format_args!(
        "listening on {}; reach it as {}\nthe application has to trust {}\n\
         start it once for each of the parts below, or let it try again by itself; Ctrl-C ends it\n",
        stage.at(),
        names.join(", "),
        shown(ca),
    ));
}

fn progress(told: &Told<'_>) {
    match told {
        Told::Waiting(part) => tell(format_args!("next: {} …\n", part.title())),
        Told::Met(met) => {
            let note = met.did.note();
            let note = if note.is_empty() { note } else { format!(", {note}") };
            tell(format_args!("  {} {}{note}\n", met.from, met.did.title()));
        }
    }
}

fn json(stage: &Stage, names: &[San], ca: &Path, now: OffsetDateTime, grid: &Grid) -> String {
    let json = Json {
        schema: 1,
        tool: Tool { name: "mytls", version: env!("CARGO_PKG_VERSION") },
        at: now.format(&Rfc3339).unwrap_or_default(),
        listening: stage.at(),
        names: names.iter().map(ToString::to_string).collect(),
        ca: ca.display().to_string(),
        verdict: grid.verdict(),
        grid,
    };
    // plain strings and numbers: there is nothing in it that could not be written
    printable_json(&serde_json::to_string_pretty(&json).unwrap_or_default()) + "\n"
}
