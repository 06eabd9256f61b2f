//! `mytls scan`: what servers offer of TLS, seen from outside.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use mysql::prelude::Queryable as _;
use serde::{Deserialize, Serialize};

use super::target::TargetArgs;
use super::{FINDINGS, Failure, NOT_EXAMINED, print, tell};
use crate::bounded;
use crate::facts::{Target, session};
use crate::printable::{printable, printable_json};
use crate::scan::{self, How, Ledger, Scan, compare, show, targets};
use crate::secret::Secret;
use crate::wire::{self, ClientIdentity, Endpoint, Limits, Login, Outcome, Tls, Trust};

/// No saved scan is larger.
const SAVED_LIMIT: u64 = 256 << 20;

/// See what servers offer of TLS.
///
/// Every version, cipher suite and key exchange group, the chain and the policies it fits, found in a few
/// connections. A connection that is given up before a login counts towards the server's max_connect_errors;
/// from another host than the server's own, as few as possible are, and never so many that it blocks this host. With
/// a login (-u) the count is set back.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls scan db1.example\n  mytls scan db1.example:3307 -u monitor -p --ssl-ca ca.pem\n  \
                  mytls scan --targets hosts.txt --format json > today.ndjson\n  \
                  mytls scan db1.example --compare yesterday.json\n\n\
                  Exit status: 0 scanned, 1 a --policy does not fit or something changed, 2 bad usage, 3 a server could not be scanned."
)]
pub struct ScanArgs {
    /// Servers: HOST, HOST:PORT or NETWORK/BITS
    #[arg(value_name = "HOST[:PORT]")]
    hosts: Vec<String>,
    /// Servers from a file, - for standard input: one a line, or the JSON of ansible-inventory --list
    #[arg(long, value_name = "FILE")]
    targets: Option<PathBuf>,
    /// How to print; JSON is one object for one server, one a line for many
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// One connection at a time, with pauses
    #[arg(long)]
    polite: bool,
    /// So many connections may be given up at a server where there is no login, over all scans until one
    #[arg(long, value_name = "N", default_value_t = 8)]
    give_up: u32,
    /// The server's max_connect_errors, where it is known and cannot be asked
    #[arg(long, value_name = "N")]
    max_connect_errors: Option<u32>,
    /// Servers at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512))]
    parallel: u16,
    /// Seconds for one connection
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// Connect from this address
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,
    /// Say what changed since this scan, saved as JSON
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Leave out servers that were scanned in this file, written with --format json, and append nothing to it
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Exit with 1 where a server does not fit this policy
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Prometheus,
}

/// One line of NDJSON.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    target: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    scan: Option<Scan>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    changes: Vec<String>,
}

pub fn run(args: &ScanArgs) -> Result<ExitCode, Failure> {
    let target = args.target.resolve()?;
    let trust = session::trust(&target, None).map_err(Failure::usage)?;
    let with_login = args.target.user.is_some() || args.target.defaults_file.is_some();
    let mut endpoints = endpoints(args, &target)?;
    let many = endpoints.len() > 1;
    if let Some(file) = &args.resume {
        let done = saved(file)?;
        endpoints.retain(|endpoint| !done.contains_key(&endpoint.to_string()));
    }
    let before = args.compare.as_deref().map(saved).transpose()?;
    let identity = identity(&target)?;
    let ledger = Ledger::usual();
    let job = Job { args, target: &target, trust: &trust, identity, ledger, with_login };
    let mut lines: Vec<Line> = Vec::new();
    let mut failure = None;
    let watched = many && std::io::stderr().is_terminal();
    let total = endpoints.len();
    job.all(&endpoints, &mut |endpoint, result| {
        let name = endpoint.to_string();
        let (scan, error) = match result {
            Ok(scan) => (Some(scan), None),
            Err(why) => (None, Some(why)),
        };
        let old = before.as_ref().and_then(|before| before.get(&name));
        let changes = match (&scan, old) {
            (Some(now), Some(old)) => compare::changes(old, now),
            _ => Vec::new(),
        };
        let line = Line { target: name, scan, error, changes };
        if failure.is_none() {
            failure = emit(&line, args.format, many).err();
        }
        lines.push(line);
        if watched {
            tell(format_args!("\r{} of {total}", lines.len()));
        }
    });
    if watched {
        tell(format_args!("\n"));
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    end(&mut lines, args, many)
}

/// What comes at the end: the table or the metrics, and the exit status.
fn end(lines: &mut [Line], args: &ScanArgs, many: bool) -> Result<ExitCode, Failure> {
    lines.sort_by(|one, other| one.target.cmp(&other.target));
    match args.format {
        Format::Prometheus => {
            let scans = lines.iter().map(|line| (line.target.as_str(), line.scan.as_ref()));
            print(&show::prometheus(scans))?;
        }
        Format::Text if many => {
            let row = |line: &Line| match (&line.scan, &line.error) {
                (Some(scan), _) => show::row(&line.target, Ok(scan)),
                (None, why) => show::row(&line.target, Err(why.as_deref().unwrap_or("?"))),
            };
            print(&lines.iter().map(row).collect::<String>())?;
        }
        Format::Text | Format::Json => {}
    }
    if !many && let Some(why) = lines.first().and_then(|line| line.error.clone()) {
        return Err(Failure::not_examined(why));
    }
    let unfit = |scan: &Scan| match (&args.policy, &scan.tls) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(name), Some(tls)) => {
            !tls.policies.iter().any(|verdict| &verdict.policy == name && verdict.fits)
        }
    };
    if lines.iter().any(|line| !line.changes.is_empty() || line.scan.as_ref().is_some_and(unfit)) {
        return Ok(ExitCode::from(FINDINGS));
    }
    let failed = lines.iter().any(|line| line.error.is_some());
    Ok(if failed { ExitCode::from(NOT_EXAMINED) } else { ExitCode::SUCCESS })
}

fn emit(line: &Line, format: Format, many: bool) -> Result<(), Failure> {
    let text = match (format, &line.scan) {
        (Format::Json, scan) => {
            // of one server it is the scan itself, spread over lines
            let text = match scan {
                Some(scan) if !many && line.changes.is_empty() => {
                    serde_json::to_string_pretty(scan)
                }
                None if !many => return Ok(()),
                _ => serde_json::to_string(line),
            };
            let text = text.map_err(|error| {
                Failure::not_examined(format!("the result cannot be written: {error}"))
            })?;
            format!("{}\n", printable_json(&text))
        }
        (Format::Text, Some(scan)) if !many => {
            let changes = line
                .changes
                .iter()
                .map(|change| format!("  changed        {}\n", printable(change)));
            format!("{}{}", show::text(scan), changes.collect::<String>())
        }
        _ => return Ok(()),
    };
    print(&text)
}

fn endpoints(args: &ScanArgs, target: &Target) -> Result<Vec<Endpoint>, Failure> {
    let mut all = Vec::new();
    for word in &args.hosts {
        targets::one(word, &mut all).map_err(Failure::usage)?;
    }
    if let Some(file) = &args.targets {
        let bytes = if file == Path::new("-") {
            let mut bytes = Vec::new();
            let limited = std::io::stdin().lock().take(16 << 20).read_to_end(&mut bytes);
            limited.map(|_| bytes).map_err(|error| error.to_string())
        } else {
            bounded::read(file, 16 << 20).map_err(|error| error.to_string())
        };
        let bytes = bytes
            .map_err(|why| Failure::usage(format!("{} cannot be read: {why}", file.display())))?;
        let text = String::from_utf8(bytes).map_err(|_| Failure::usage("the list is not UTF-8"))?;
        all.extend(
            targets::read(&text)
                .map_err(|why| Failure::usage(format!("{}: {why}", file.display())))?,
        );
    }
    if all.is_empty() {
        let host = target.host.clone().ok_or_else(|| {
            Failure::usage("name a server: mytls scan HOST[:PORT], or a list with --targets FILE")
        })?;
        all.push(Endpoint::new(host, target.port.unwrap_or(Endpoint::DEFAULT_PORT)));
    }
    for endpoint in &mut all {
        endpoint.bind = args.bind;
    }
    Ok(all)
}

/// Scans that were saved, one object or one a line, by target.
fn saved(file: &Path) -> Result<BTreeMap<String, Scan>, Failure> {
    let failed =
        |why: String| Failure::usage(format!("{} is no saved scan: {why}", file.display()));
    let bytes = bounded::read(file, SAVED_LIMIT).map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8".to_owned()))?;
    if let Ok(scan) = serde_json::from_str::<Scan>(&text) {
        let endpoint = Endpoint::new(scan.host.clone(), scan.port);
        return Ok(BTreeMap::from([(endpoint.to_string(), scan)]));
    }
    let mut all = BTreeMap::new();
    let lines: Vec<&str> = text.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        match serde_json::from_str::<Line>(line) {
            Ok(Line { target, scan: Some(scan), .. }) => drop(all.insert(target, scan)),
            Ok(_) => {}
            // the last line of a scan that was cut off
            Err(_) if number + 1 == lines.len() && number > 0 => {}
            Err(error) => return Err(failed(format!("line {}: {error}", number + 1))),
        }
    }
    Ok(all)
}

fn identity(target: &Target) -> Result<Option<ClientIdentity>, Failure> {
    let Some(certificate) = &target.ssl_cert else { return Ok(None) };
    let key = target.ssl_key.as_ref().unwrap_or(certificate);
    ClientIdentity::load(certificate, key)
        .map(Some)
        .map_err(|error| Failure::usage(error.to_string()))
}

struct Job<'a> {
    args: &'a ScanArgs,
    target: &'a Target,
    trust: &'a Trust,
    identity: Option<ClientIdentity>,
    ledger: Option<Ledger>,
    with_login: bool,
}

impl Job<'_> {
    /// Scans all of them, so many at a time; each is told when it is done.
    fn all(&self, endpoints: &[Endpoint], done: &mut dyn FnMut(&Endpoint, Result<Scan, String>)) {
        let workers = usize::from(self.args.parallel).min(endpoints.len());
        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..workers {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    while let Some(endpoint) = endpoints.get(next.fetch_add(1, Ordering::Relaxed)) {
                        // nobody listens any more when the program ends
                        let _ = sender.send((endpoint, self.one(endpoint)));
                    }
                });
            }
            drop(sender);
            for (endpoint, result) in receiver {
                done(endpoint, result);
            }
        });
    }

    fn one(&self, endpoint: &Endpoint) -> Result<Scan, String> {
        let seconds = Duration::from_secs(self.args.timeout);
        let limits = Limits { connect: seconds.min(Duration::from_secs(5)), total: seconds };
        let login = || self.log_in(endpoint, limits);
        let booked = Mutex::new(None::<(String, u32)>);
        let give_up = |server: &str, assumed: u32| {
            let limit = self.args.max_connect_errors.unwrap_or(assumed);
            let most = self.args.give_up.min(limit.saturating_sub(2));
            let left = self.ledger.as_ref().map_or(most, |ledger| ledger.take(server, most));
            *booked.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((server.to_owned(), left));
            left
        };
        // well below it, however much others on this host give up meanwhile
        let most = || self.limit(endpoint) / 2;
        let login = self.with_login.then(|| (most(), &login as &(dyn Fn() -> _ + Sync)));
        let how = How {
            trust: self.trust,
            limits,
            polite: self.args.polite,
            at_a_time: 4,
            give_up: &give_up,
            login,
        };
        let result = scan::scan(endpoint, &how, &AtomicBool::new(false));
        let booked = booked.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let (Some((server, left)), Some(ledger)) = (booked, &self.ledger) {
            let used = result.as_ref().map_or(left, |scan| scan.cost.given_up);
            ledger.give_back(&server, left.saturating_sub(used));
        }
        if let (Ok(scan), Some(ledger)) = (&result, &self.ledger)
            && scan.cost.resets > 0
        {
            ledger.clear(&Endpoint::new(scan.address.clone(), endpoint.port).to_string());
        }
        result.map_err(|error| error.to_string())
    }

    /// The server's `max_connect_errors`, asked of it; the least that any version ever had where it does not
    /// say.
    fn limit(&self, endpoint: &Endpoint) -> u32 {
        const LEAST: u32 = 10;
        if let Some(limit) = self.args.max_connect_errors {
            return limit;
        }
        let target = Target {
            host: Some(endpoint.host.clone()),
            port: Some(endpoint.port),
            ..self.target.clone()
        };
        let tls = if matches!(self.trust_for_login(), Trust::Unverified) {
            session::Tls::Unverified
        } else {
            session::Tls::Verified { trust: self.trust.clone(), check_host: self.check_host() }
        };
        let route = session::Route::Tcp { host: endpoint.host.clone(), port: endpoint.port, tls };
        let asked = session::open(&target, &route).ok().and_then(|mut session| {
            session.query_first("SELECT @@max_connect_errors").ok().flatten()
        });
        asked.map_or(LEAST, |limit: u64| u32::try_from(limit).unwrap_or(u32::MAX))
    }

    fn check_host(&self) -> bool {
        self.target.ssl_ca.is_none() || self.trust.is_public()
    }

    fn trust_for_login(&self) -> &Trust {
        if self.target.insecure_login { &Trust::Unverified } else { self.trust }
    }

    /// A login that works sets the server's count back.
    fn log_in(&self, endpoint: &Endpoint, limits: Limits) -> Result<(), String> {
        let nothing = Secret::default();
        let mut tls = Tls::new(self.trust_for_login());
        tls.identity = self.identity.as_ref();
        tls.check_host = self.check_host();
        let login = Login {
            user: self.target.user.as_deref().unwrap_or_default(),
            password: self.target.password.as_ref().unwrap_or(&nothing),
            tls: Some(tls),
        };
        match wire::login(endpoint, &login, limits) {
            Ok(Outcome::LetIn { .. }) => Ok(()),
            Ok(Outcome::Refused { code, message }) => Err(format!("{message} ({code})")),
            Ok(Outcome::HandshakeRefused { reason }) => Err(reason),
            Err(error) => Err(error.to_string()),
        }
    }
}
