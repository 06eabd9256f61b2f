//! `mytls config reload`, and whether the server shows what lies on the disk.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Args;

use super::{edit, look, tell_tried};
use crate::apply::Plan;
use crate::apply::config::Live;
use crate::cli::target::TargetArgs;
use crate::cli::{FINDINGS, Failure, print, tell};
use crate::facts::{Facts, session};
use crate::printable::{printable, shown};
use crate::trial;
use crate::wire::{self, Endpoint, Limits, TlsOffer, Trust};
use crate::x509::Certificate;

/// How long a server may take to come up again.
const PATIENCE: Duration = Duration::from_secs(90);

/// Make the running server read its certificate anew, and see on the wire that it did
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Example:\n  mytls config reload -S /run/mysqld/mysqld.sock\n\n\
    The files are tried first. What the server refuses changes nothing, and sessions stay open.\n\
    Exit status: 0 it shows what is on the disk, 1 it does not, or the files are no good, 2 bad usage,\n\
    3 the server could not be asked."
)]
pub struct ReloadArgs {
    /// Do it without trying the files first
    #[arg(long)]
    untried: bool,
    /// The server's own program, for the dry start; without it, the one that runs
    #[arg(long, value_name = "PROGRAM")]
    server: Option<std::path::PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
}

pub fn run(args: &ReloadArgs) -> Result<ExitCode, Failure> {
    let facts = look(&args.target)?;
    let server = crate::cli::accounts::server(&facts)?;
    let not = |message: String| Failure { code: FINDINGS, message };
    let live = Live::reload(server).ok_or_else(|| {
        not(format!(
            "{} {} reads its files at a start alone (MySQL reloads since 8.0.16, MariaDB since 10.4): restart it",
            server.flavor.name(),
            server.version
        ))
    })?;
    let same = edit(&facts, &[], false);
    match same {
        _ if args.untried => tell(format_args!("not tried, as was wished\n")),
        Ok(same) => {
            let tried = trial::try_out(&facts, &same, args.server.as_deref(), &mut |_| ());
            if !tell_tried(&tried) {
                return Err(not(format!(
                    "the server was not asked, and keeps the certificate it has. {}",
                    warning(&facts)
                )));
            }
        }
        Err(error) => tell(format_args!("not tried: {}\n", printable(&error.to_string()))),
    }
    let (target, route) = Plan::session_of(&facts)
        .ok_or_else(|| Failure::not_examined("there is no session with the server"))?;
    let mut conn =
        session::open(&target, &route).map_err(|error| Failure::not_examined(error.to_string()))?;
    let switched = live
        .before(&mut conn)
        .map_err(|error| session::words(&error))
        .and_then(|before| live.switch(&mut conn, &before).map_err(|error| error.to_string()));
    if let Err(why) = switched {
        return Err(not(format!(
            "{why}\n  the certificate it has stays in use, and so do its sessions. {}",
            warning(&facts)
        )));
    }
    for statement in live.statements() {
        print(&format!("sent {statement}\n"))?;
    }
    let certificate = facts.files.read().and_then(|files| files.certificate.as_ref());
    let shown = serves(&facts, certificate.map(|file| file.path.as_path()));
    print(&format!("{}\n", shown.words()))?;
    Ok(if shown.is_wrong() { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS })
}

/// What the next start is going to be like.
fn warning(facts: &Facts) -> &'static str {
    match facts.server.read().map(|server| server.flavor) {
        Some(crate::facts::Flavor::MariaDb) => {
            "Mend the files before its next start: with these it does not start at all"
        }
        _ => "Mend the files before its next start: with these it comes up without TLS",
    }
}

/// What the server shows, held against the file.
pub(super) enum Served {
    /// The leaf of this file.
    Same(String),
    Another(String),
    /// It could not be seen.
    Unseen(String),
}

impl Served {
    pub(super) fn words(&self) -> String {
        match self {
            Self::Same(words) => words.clone(),
            Self::Another(why) | Self::Unseen(why) => why.clone(),
        }
    }

    pub(super) fn is_wrong(&self) -> bool {
        matches!(self, Self::Another(_))
    }
}

/// Looks from outside, and holds the leaf that is shown against that in the file.
pub(super) fn serves(facts: &Facts, certificate: Option<&Path>) -> Served {
    let Some(path) = certificate else {
        return Served::Unseen("no option names a certificate to compare with".to_owned());
    };
    let Some(written) = trial::first_certificate(path) else {
        return Served::Unseen(format!("{} holds no certificate to compare with", shown(path)));
    };
    let Some(seen) = facts.wire.read() else {
        let why = facts.wire.reason().map_or("", |unread| unread.why.as_str());
        return Served::Unseen(format!("what it shows could not be seen from outside: {why}"));
    };
    shown_at(&seen.host, seen.port, path, &written)
}

/// The same on the port for administration, where the server has one; `certificate` is what
/// `admin_ssl_cert` names.
pub(super) fn serves_admin(facts: &Facts, certificate: &Path) -> Option<Served> {
    let server = facts.server.read()?;
    let host = server.variable("admin_address")?;
    let port = server.variable("admin_port")?.parse().ok()?;
    let data = Path::new(server.variable("datadir").unwrap_or_default());
    let path = data.join(certificate);
    let Some(written) = trial::first_certificate(&path) else {
        let why = format!("{} holds no certificate to compare with", shown(&path));
        return Some(Served::Unseen(why));
    };
    Some(shown_at(host, port, &path, &written))
}

fn shown_at(host: &str, port: u16, path: &Path, written: &Certificate) -> Served {
    let endpoint = Endpoint::new(host.to_owned(), port);
    let place = format!("{}:{port}", printable(host));
    match wire::probe(&endpoint, &Trust::Unverified, Limits::default(), &mut |_| ()).map(|w| w.tls)
    {
        Ok(TlsOffer::Established(handshake)) => match handshake.chain.first() {
            Some(leaf) if leaf.sha256 == written.sha256 => Served::Same(format!(
                "{place} shows the certificate of {}: {}, {}",
                shown(path),
                printable(&leaf.subject.short()),
                handshake.version
            )),
            _ => Served::Another(format!(
                "{place} shows another certificate than that of {}: something stands between, or another server \
                 answers there",
                shown(path)
            )),
        },
        Ok(TlsOffer::NotOffered) => Served::Another(format!("{place} offers no TLS")),
        Ok(TlsOffer::Failed { reason }) => {
            Served::Another(format!("{place} offers TLS, and no handshake comes about: {reason}"))
        }
        Err(error) => Served::Unseen(format!("{place} could not be looked at: {}", error.why())),
    }
}

/// Runs the command that restarts it, and waits until it shows this certificate; without one, until it
/// answers.
pub(super) fn up_again(
    command: &str,
    facts: &Facts,
    certificate: Option<&Path>,
) -> Result<Served, String> {
    const GLANCE: Duration = Duration::from_millis(250);
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let status = output.status;
    let said = crate::printable::printable_lines(&String::from_utf8_lossy(&output.stderr));
    if !status.success() {
        return Err(format!("{} ({status})", said.trim()));
    }
    let Some(path) = certificate.filter(|_| facts.wire.read().is_some()) else {
        return Ok(Served::Unseen("it was restarted; from outside it is not seen".to_owned()));
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let served = serves(facts, Some(path));
        match served {
            Served::Same(_) => return Ok(served),
            // it answers, and so it will go on
            Served::Another(why) => return Err(why),
            Served::Unseen(why) if Instant::now() > deadline => return Err(why),
            Served::Unseen(_) => std::thread::sleep(GLANCE),
        }
    }
}
