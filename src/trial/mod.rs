//! What a change of the server's options would do, tried before it is made: by the rules, by the
//! server's own check of its options, and by a dry start of its program.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::apply::config::{Edit, version};
use crate::facts::{Facts, Flavor, ServerConfig, Source, Version};
use crate::printable::{printable, shown};
use crate::remedy::options::{self, Kind, TlsOption};
use crate::sandbox::{self, dry};
use crate::wire::{TlsOffer, Trust};
use crate::x509::{Certificate, pem};

mod foresee;

pub use foresee::{Foreseen, errors, foresee};

/// One way in which it was tried, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// `rules`, `validate-config` or `dry-start`.
    pub how: &'static str,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome", content = "said")]
pub enum Outcome {
    Good(Vec<String>),
    /// What would go wrong.
    Bad(Vec<String>),
    /// Why it could not be tried so.
    Skipped(String),
}

impl Tried {
    fn new(how: &'static str, outcome: Outcome) -> Self {
        Self { how, outcome }
    }

    pub fn is_bad(&self) -> bool {
        matches!(self.outcome, Outcome::Bad(_))
    }
}

/// Tries the edit in every way there is on this host; `program` is the server's own, where that
/// is known better than by looking. An empty edit tries the files as they lie now, before a reload.
pub fn try_out(
    facts: &Facts,
    edit: &Edit,
    program: Option<&Path>,
    told: &mut dyn FnMut(&str),
) -> Vec<Tried> {
    let foreseen = match foresee(facts, edit) {
        Ok(foreseen) => foreseen,
        Err(why) => return vec![Tried::new("rules", Outcome::Bad(vec![why]))],
    };
    told("trying it by the rules");
    let mut all = vec![by_rules(facts, &foreseen, edit)];
    let server = match own_program(facts, program) {
        Ok(server) => server,
        Err(why) => {
            all.push(Tried::new("dry-start", Outcome::Skipped(why)));
            return all;
        }
    };
    told("trying it by the server's own check and a dry start");
    all.push(by_validating(facts, &foreseen, &server));
    all.push(by_starting(&foreseen, &server));
    all
}

/// What is wrong now already is no reason against a change that does not touch it; where key,
/// certificate or CA are read anew, it is.
fn by_rules(now: &Facts, then: &Foreseen, edit: &Edit) -> Tried {
    let before = errors(now);
    let touches = edit.is_empty()
        || edit.changed.iter().any(|(name, _)| {
            TlsOption::find(name).is_some_and(|o| matches!(o.kind, Kind::File | Kind::Folder))
        });
    let bad: Vec<String> = errors(&then.facts)
        .into_iter()
        .filter(|found| touches || !before.contains(found))
        .map(|(rule, words)| format!("{words} ({rule})"))
        .collect();
    if bad.is_empty() {
        let named = then.facts.files.read().map_or(0, |files| {
            [files.key.is_some(), files.certificate.is_some(), files.ca.is_some()]
                .iter()
                .filter(|named| **named)
                .count()
        });
        let words =
            format!("no rule finds an error in the options and the {named} files they name");
        return Tried::new("rules", Outcome::Good(vec![words]));
    }
    Tried::new("rules", Outcome::Bad(bad))
}

fn by_validating(facts: &Facts, then: &Foreseen, program: &Path) -> Tried {
    let how = "validate-config";
    match version(facts) {
        Some((Flavor::MySql, version)) if version >= Version(8, 0, 16) => {}
        Some((flavor, version)) => {
            let why = format!("{} {version} has no --validate-config", flavor.name());
            return Tried::new(how, Outcome::Skipped(why));
        }
        None => return Tried::new(how, Outcome::Skipped("the version is not known".into())),
    }
    // what it says is to come here, and not into the server's log
    let options = then.arguments.iter().filter_map(|argument| argument.strip_prefix("--"));
    let is_log = |line: &&str| line.replace('-', "_").starts_with("log_error");
    let text: String = options.filter(|line| !is_log(line)).map(config_line).collect();
    let user = then.facts.files.read().and_then(|files| files.server_user.as_deref());
    Tried::new(
        how,
        match dry::validate(program, &format!("[mysqld]\n{text}"), user) {
            Ok(said) if said.is_empty() => {
                Outcome::Good(vec!["the server's own check takes the options".to_owned()])
            }
            Ok(said) => Outcome::Bad(said),
            Err(error) => Outcome::Skipped(error.to_string()),
        },
    )
}

/// `name=value` as a line, so that what stands in the value means itself.
fn config_line(option: &str) -> String {
    match option.split_once('=') {
        Some((name, value)) => format!("{name} = {}\n", crate::remedy::config::quote(value)),
        None => format!("{option}\n"),
    }
}

fn by_starting(then: &Foreseen, program: &Path) -> Tried {
    let how = "dry-start";
    let Some(config) = then.facts.config.read() else {
        return Tried::new(how, Outcome::Skipped("the options are not known".into()));
    };
    let root = then.facts.target.system_root.as_deref().unwrap_or(Path::new("/"));
    if crate::facts::Confinement::read(root).apparmor.is_some() && root == Path::new("/") {
        return Tried::new(
            how,
            Outcome::Skipped("its AppArmor profile lets it write in its own folders alone".into()),
        );
    }
    let options = about_tls(&then.facts, config);
    let files = then.facts.files.read();
    let cas: Vec<_> = files
        .map(|files| files.ca_certificates().iter().filter_map(Certificate::to_openssl).collect())
        .unwrap_or_default();
    let trust = if cas.is_empty() { Trust::Unverified } else { Trust::Only(cas) };
    let user = files.and_then(|files| files.server_user.as_deref());
    let dry = dry::DryStart { program, options: &options, user, trust: &trust };
    Tried::new(
        how,
        match dry::start(&dry) {
            Ok(shown) => as_whom(judge(shown, &options), user),
            Err(error) => Outcome::Skipped(error.to_string()),
        },
    )
}

/// Only root may try it as somebody else.
fn as_whom(outcome: Outcome, user: Option<&str>) -> Outcome {
    let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|me| me.name);
    match (outcome, user, me) {
        (Outcome::Good(mut said), Some(user), Some(me)) if me != user && me != "root" => {
            said.push(format!(
                "it was started as {}: whether {} may read the files, the rules say",
                printable(&me),
                printable(user)
            ));
            Outcome::Good(said)
        }
        (outcome, ..) => outcome,
    }
}

fn judge(shown: dry::Shown, options: &[(String, String)]) -> Outcome {
    let mut said = Vec::new();
    if let Some(why) = shown.failed {
        said.push(format!("the server's program does not start with these options ({why})"));
        said.extend(shown.log);
        return Outcome::Bad(said);
    }
    let wanted = options.iter().find(|(name, _)| name == "ssl_cert").map(|(_, path)| path);
    match (shown.wire.map(|wire| wire.tls), wanted) {
        (Some(TlsOffer::Established(handshake)), Some(path)) => {
            let served = handshake.chain.first().map(|leaf| leaf.sha256.clone());
            let written = first_certificate(Path::new(path)).map(|leaf| leaf.sha256);
            if served.is_none() || served != written {
                said.push(format!(
                    "it starts, and shows another certificate than that of {}",
                    printable(path)
                ));
                said.extend(shown.log);
                return Outcome::Bad(said);
            }
            said.push(format!(
                "the server's program starts, speaks {} with {}, and shows the certificate of {}",
                handshake.version,
                handshake.cipher,
                printable(path)
            ));
            // it may be meant: the CA for clients need not be that of the server
            if let Some(fault) = handshake.faults.iter().flatten().next() {
                said.push(format!("note: it does not verify under ssl_ca ({})", fault.text));
            }
            Outcome::Good(said)
        }
        (Some(TlsOffer::Established(_) | TlsOffer::NotOffered), None) => {
            said.push("the server's program starts with these options".to_owned());
            Outcome::Good(said)
        }
        (Some(TlsOffer::Failed { reason }), _) => {
            said.push(format!("it starts, and no handshake comes about: {reason}"));
            said.extend(shown.log);
            Outcome::Bad(said)
        }
        (Some(TlsOffer::NotOffered) | None, _) => {
            said.push("it starts without TLS".to_owned());
            said.extend(shown.log);
            Outcome::Bad(said)
        }
    }
}

/// The first certificate of a file: the one that a server shows.
pub fn first_certificate(path: &Path) -> Option<Certificate> {
    let bytes = crate::facts::files::bytes(path).ok()?;
    pem::certificates(&bytes).ok()?.first().map(|leaf| Certificate::from_openssl(leaf))
}

/// The options about TLS with the values that are going to count, files by absolute paths.
fn about_tls(facts: &Facts, config: &ServerConfig) -> Vec<(String, String)> {
    let running = facts.server.read();
    let data = running.and_then(|server| server.variable("datadir")).or(config.get("datadir"));
    let data = PathBuf::from(data.unwrap_or_default());
    let seen = version(facts);
    options::ALL
        .iter()
        .filter(|option| seen.is_none_or(|(flavor, version)| option.is_in(flavor, version)))
        // the other ports are not opened in a dry start
        .filter(|option| !option.name.starts_with("mysqlx_") && !option.name.starts_with("admin_"))
        .filter_map(|option| {
            let written = config.get(option.name);
            let found = || running.and_then(|server| server.variable(option.name));
            let is_path = matches!(option.kind, Kind::File | Kind::Folder);
            // what it found by itself is where it says, and what it takes by itself it takes again
            let value = written.or_else(|| found().filter(|_| is_path))?;
            let value =
                if is_path { data.join(value).display().to_string() } else { value.to_owned() };
            Some((option.name.to_owned(), value))
        })
        .collect()
}

/// The server's own program: the one that is named, that which runs, or this host's, as long as it
/// is of the same version.
fn own_program(facts: &Facts, named: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    if matches!(facts.files, Source::Unread(_)) {
        return Err("the server is not on this host".to_owned());
    }
    let wanted = version(facts).ok_or("the server's version is not known")?;
    let mut candidates: Vec<PathBuf> = running_program(facts).into_iter().collect();
    candidates.extend(
        ["/usr/sbin/mariadbd", "/usr/sbin/mysqld", "/usr/libexec/mysqld"].map(PathBuf::from),
    );
    let fits = |path: &&PathBuf| {
        path.is_file() && sandbox::version_of(path).is_ok_and(|version| version == wanted)
    };
    candidates.iter().find(fits).cloned().ok_or_else(|| {
        format!(
            "no program of {} {} was found on this host; name the server's own with --server",
            wanted.0.name(),
            wanted.1
        )
    })
}

/// What runs, when it is a server's program and no script's.
fn running_program(facts: &Facts) -> Option<PathBuf> {
    let server = facts.server.read()?;
    let data = PathBuf::from(server.variable("datadir").unwrap_or_default());
    let file = data.join(server.variable("pid_file")?);
    let pid: u32 = std::fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = shown(Path::new(program.file_name()?));
    matches!(name.as_str(), "mariadbd" | "mysqld").then_some(program)
}
