//! The facts as they are going to be, for the rules.

use std::path::PathBuf;

use crate::apply::config::{Edit, version};
use crate::checklist::Examination;
use crate::facts::files::{self, Sought};
use crate::facts::{ConfigValue, Facts, Origin, Source, UnreadKind, config};
use crate::rules::{Severity, Step};

/// What holds once the edit is made and the server has read it.
pub struct Foreseen {
    pub facts: Facts,
    /// The options as the server's program is handed them, `--name=value`.
    pub arguments: Vec<String>,
}

/// Reads the files that the options are going to name.
///
/// # Errors
/// Why the option files cannot be read as they are going to be.
pub fn foresee(facts: &Facts, edit: &Edit) -> Result<Foreseen, String> {
    let seen = version(facts);
    let named = facts.target.server_config.as_deref();
    let (mut config, arguments) = config::read_with(named, seen, &edit.overlay())?;
    let mut facts = facts.clone();
    if let Source::Read(now) = &facts.config {
        config.persisted = now.persisted.clone();
    }
    for (name, value) in &edit.persisted {
        let origin = Origin { file: PathBuf::from("SET PERSIST"), line: 0 };
        let value = ConfigValue { value: Some(value.clone()), origin };
        config.persisted.insert(name.clone(), value);
    }
    if let Source::Read(server) = &mut facts.server {
        for (name, value) in &edit.wanted {
            server.variables.insert(name.clone(), value.clone());
            server.status.remove(&name.replace("ssl_", "Current_tls_"));
        }
        server.status.remove("Current_tls_version");
    }
    let running = facts.server.read();
    let data = running.and_then(|server| server.variable("datadir")).or(config.get("datadir"));
    let data = data.map(PathBuf::from);
    let value = |option: &str| {
        let written = config.get(option).map(str::to_owned);
        // found by itself, or given on the command line
        written.or_else(|| running.and_then(|server| server.variable(option)).map(str::to_owned))
    };
    let mut sought = Sought::new(value, true, Some(&config), data.as_deref());
    sought.ca_dir.clone_from(&facts.target.ca_dir);
    facts.files = Source::Read(files::read(&sought));
    facts.config = Source::Read(config);
    // what a client meets now is not what it is going to meet
    facts.wire = Source::unread(UnreadKind::NotAsked, "it is not so yet", "");
    Ok(Foreseen { facts, arguments })
}

/// What is wrong then with option files, key, certificate and CA: rule and words. What holds of
/// the running server alone is left out, since that is going to be another.
pub fn errors(facts: &Facts) -> Vec<(&'static str, String)> {
    // nothing of what runs now is looked at
    const OF_NOW: [&str; 1] = ["server-not-running"];
    let examined = Examination::judge(facts.clone());
    let is_ours = |step| matches!(step, Step::Server | Step::Key | Step::Chain);
    examined
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error && is_ours(finding.step))
        .filter(|finding| !OF_NOW.contains(&finding.rule))
        .map(|finding| (finding.rule, format!("{}: {}", finding.title, finding.cause)))
        .collect()
}
