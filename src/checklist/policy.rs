//! Named policies, held against a server: what is met, what is not, and the lines that would meet it. The
//! policies are data, one file each under `assets/policies/`.

use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Examination;
use crate::apply::config::version;
use crate::facts::channels::Channels;
use crate::facts::{Facts, Flavor, Version};
use crate::printable::printable;
use crate::remedy::channel;
use crate::remedy::options::{self, TlsOption};
use crate::rules::Answer;

/// One of the policies.
#[derive(Clone, Copy, Debug)]
pub struct Policy(usize);

/// What came of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judged {
    pub title: String,
    #[serde(flatten)]
    pub answer: Met,
    /// The options that would meet it, with their values.
    pub lines: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "answer", content = "why")]
pub enum Met {
    Yes(String),
    No(String),
    /// Not for this server.
    NotApplicable(String),
    Unknown(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    title: String,
    source: String,
    flavor: Option<Flavor>,
    item: Vec<Item>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    title: String,
    check: Check,
}

/// What is looked at; one of these.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Check {
    /// No other version in `tls_version`.
    Versions { versions: Vec<String> },
    /// No other suite in `ssl_cipher`; `write` is the list that is written, where that is another.
    Ciphers {
        ciphers: Vec<String>,
        #[serde(default)]
        write: Vec<String>,
    },
    /// Parts of names that no suite of `ssl_cipher` may have.
    Never { never: Vec<String>, write: Vec<String> },
    /// No other suite in `tls_ciphersuites`.
    Suites { suites: Vec<String> },
    /// This switch is on.
    On { on: String },
    /// These options are set.
    Set { set: Vec<String> },
    /// None of these rules finds anything.
    Rules { rules: Vec<String> },
    /// Every source of replication is encrypted and verified.
    Replication { replication: bool },
}

const NAMES: [&str; 5] =
    ["mozilla-intermediate", "mozilla-modern", "pci-dss-4", "cis-mysql-8", "cis-mariadb-10"];

static TEXTS: LazyLock<Vec<Text>> = LazyLock::new(|| {
    let texts = [
        include_str!("../../assets/policies/mozilla-intermediate.toml"),
        include_str!("../../assets/policies/mozilla-modern.toml"),
        include_str!("../../assets/policies/pci-dss-4.toml"),
        include_str!("../../assets/policies/cis-mysql-8.toml"),
        include_str!("../../assets/policies/cis-mariadb-10.toml"),
    ];
    let parse = |text: &str| toml::from_str(text);
    texts
        .into_iter()
        .map(|text| parse(text).expect("the files are part of the program, and a test reads them"))
        .collect()
});

impl FromStr for Policy {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let at = NAMES.iter().position(|known| *known == name);
        at.map(Self).ok_or_else(|| {
            format!("there is no policy of this name; there are {}", NAMES.join(", "))
        })
    }
}

impl Policy {
    pub const ALL: [Self; 5] = [Self(0), Self(1), Self(2), Self(3), Self(4)];

    pub fn name(self) -> &'static str {
        NAMES[self.0]
    }

    pub fn title(self) -> &'static str {
        &TEXTS[self.0].title
    }

    /// Where it is written.
    pub fn source(self) -> &'static str {
        &TEXTS[self.0].source
    }

    /// Every item with what came of it; `channels` where they were looked at.
    pub fn judge(self, facts: &Facts, channels: Option<&Channels>) -> Vec<Judged> {
        let text = &TEXTS[self.0];
        let server = version(facts);
        let other = text.flavor.zip(server).filter(|(meant, (flavor, _))| meant != flavor);
        let mut examined = None;
        let judge = |item: &Item| {
            let (answer, lines) = match (&other, server) {
                (Some((meant, _)), _) => {
                    (Met::NotApplicable(format!("it is for {}", meant.name())), Vec::new())
                }
                (None, None) => {
                    (Met::Unknown("the server's version is not known".to_owned()), Vec::new())
                }
                (None, Some(server)) => item.check.judge(facts, server, channels, &mut examined),
            };
            Judged { title: item.title.clone(), answer, lines }
        };
        text.item.iter().map(judge).collect()
    }

    /// The options that would meet what options can meet.
    pub fn lines(self, facts: &Facts) -> Vec<(String, String)> {
        self.judge(facts, None).into_iter().flat_map(|judged| judged.lines).collect()
    }
}

type Lines = Vec<(String, String)>;

impl Check {
    fn judge(
        &self,
        facts: &Facts,
        (flavor, version): (Flavor, Version),
        channels: Option<&Channels>,
        examined: &mut Option<Examination>,
    ) -> (Met, Lines) {
        let is_here = |name: &str| TlsOption::find(name).is_some_and(|o| o.is_in(flavor, version));
        match self {
            Self::Versions { versions } => self::versions(facts, flavor, version, versions),
            Self::Ciphers { ciphers, write } => {
                if only_new_versions(facts) {
                    return (Met::NotApplicable("TLS 1.2 is not spoken".into()), Lines::new());
                }
                let write = if write.is_empty() { ciphers } else { write };
                listed(facts, "ssl_cipher", ciphers, write)
            }
            Self::Never { never, write } => {
                if only_new_versions(facts) {
                    return (Met::NotApplicable("TLS 1.2 is not spoken".into()), Lines::new());
                }
                let weak_are_refused = flavor == Flavor::MySql && version >= Version(8, 4, 0);
                self::never(facts, weak_are_refused, never, write)
            }
            Self::Suites { .. } if !options::versions(flavor, version).contains(&"TLSv1.3") => {
                (Met::NotApplicable("TLS 1.3 is not spoken".to_owned()), Lines::new())
            }
            Self::Suites { .. } if !is_here("tls_ciphersuites") => {
                let why = "this server has the suites of its library, which are these";
                (Met::Yes(why.to_owned()), Lines::new())
            }
            Self::Suites { suites } => listed(facts, "tls_ciphersuites", suites, suites),
            Self::On { on } if !is_here(on) => {
                (Met::NotApplicable(format!("this server has no {on}")), Lines::new())
            }
            Self::On { on } => match effective(facts, on) {
                Some(now) if matches!(now.to_ascii_uppercase().as_str(), "ON" | "1" | "TRUE") => {
                    (Met::Yes(format!("{on} is ON")), Lines::new())
                }
                _ => (Met::No(format!("{on} is OFF")), line(on, "ON".to_owned())),
            },
            Self::Set { set } => {
                let is_unset = |name: &&str| effective(facts, name).is_none();
                let unset: Vec<&str> = set.iter().map(String::as_str).filter(is_unset).collect();
                if unset.is_empty() {
                    return (Met::Yes(format!("{} are set", set.join(", "))), Lines::new());
                }
                let why = format!(
                    "not set: {}; mytls ca server --out DIR makes them, --files DIR takes them",
                    unset.join(", ")
                );
                (Met::No(why), Lines::new())
            }
            Self::Rules { rules } => {
                let examined = examined.get_or_insert_with(|| Examination::judge(facts.clone()));
                (by_rules(examined, rules), Lines::new())
            }
            Self::Replication { replication: false } => {
                (Met::NotApplicable("it is not asked for".to_owned()), Lines::new())
            }
            Self::Replication { replication: true } => {
                (by_replication(channels, flavor, version), Lines::new())
            }
        }
    }
}

fn line(name: &str, value: String) -> Lines {
    vec![(name.to_owned(), value)]
}

fn versions(facts: &Facts, flavor: Flavor, version: Version, allowed: &[String]) -> (Met, Lines) {
    let name = "tls_version";
    if !TlsOption::find(name).is_some_and(|option| option.is_in(flavor, version)) {
        let why = "this server cannot be told which versions to speak".to_owned();
        return (Met::No(why), Lines::new());
    }
    let known = options::versions(flavor, version);
    let wanted: Vec<&str> =
        allowed.iter().map(String::as_str).filter(|one| known.contains(one)).collect();
    let lines = || line(name, wanted.join(","));
    match effective(facts, name) {
        None => (Met::No(format!("{name} is not set: it is left to the version")), lines()),
        Some(now) => match outside(&now, ',', allowed) {
            None => (Met::Yes(format!("{name} is {}", printable(&now))), Lines::new()),
            Some(other) => (Met::No(format!("{name} lets {other} in")), lines()),
        },
    }
}

/// An option that lists suites, of which no other may be among them.
fn listed(facts: &Facts, name: &str, allowed: &[String], write: &[String]) -> (Met, Lines) {
    if facts.is_yassl() {
        return (Met::No("yaSSL has none of these suites".to_owned()), Lines::new());
    }
    let lines = || line(name, write.join(":"));
    match effective(facts, name) {
        None => {
            (Met::No(format!("{name} is not set: the suites are those of the library")), lines())
        }
        Some(now) => match outside(&now, ':', allowed) {
            None => (Met::Yes(format!("{name} names no other")), Lines::new()),
            Some(other) => (Met::No(format!("{name} has {other}")), lines()),
        },
    }
}

fn never(facts: &Facts, refused: bool, parts: &[String], write: &[String]) -> (Met, Lines) {
    let name = "ssl_cipher";
    if facts.is_yassl() {
        return (Met::No("yaSSL has no suite of this strength".to_owned()), Lines::new());
    }
    let Some(now) = effective(facts, name) else {
        if refused {
            let why = "MySQL 8.4 and later takes no weak suite, whatever is set";
            return (Met::Yes(why.to_owned()), Lines::new());
        }
        let why = format!("{name} is not set: the suites are those of the library");
        return (Met::No(why), line(name, write.join(":")));
    };
    let weak = |suite: &&str| parts.iter().any(|part| suite.contains(part.as_str()));
    match now.split(':').find(weak) {
        None => (Met::Yes(format!("{name} names none of the weak")), Lines::new()),
        Some(weak) => {
            (Met::No(format!("{name} has {}", printable(weak))), line(name, write.join(":")))
        }
    }
}

/// The value that counts: the running server's, else that of the option files.
fn effective(facts: &Facts, name: &str) -> Option<String> {
    let running = facts.server.read().map(|server| server.variable(name));
    let value = running.unwrap_or_else(|| facts.config.read().and_then(|config| config.get(name)));
    value.map(str::to_owned)
}

fn only_new_versions(facts: &Facts) -> bool {
    effective(facts, "tls_version").is_some_and(|versions| versions == "TLSv1.3")
}

/// The first word that is none of these.
fn outside(words: &str, between: char, allowed: &[String]) -> Option<String> {
    let words = words.split(between).map(str::trim).filter(|word| !word.is_empty());
    let mut others = words.filter(|word| !allowed.iter().any(|allowed| allowed == word));
    others.next().map(|word| printable(word).into_owned())
}

fn by_rules(examined: &Examination, ids: &[String]) -> Met {
    let mut passed = Vec::new();
    let mut unknown = None;
    for outcome in examined.outcomes.iter().filter(|one| ids.iter().any(|id| id == one.rule.id)) {
        match &outcome.answer {
            Answer::Fail(findings) => {
                let titles: Vec<&str> = findings.iter().map(|one| one.title.as_str()).collect();
                return Met::No(format!(
                    "{} (mytls explain {})",
                    titles.join("; "),
                    outcome.rule.id
                ));
            }
            Answer::Unknown(why) => unknown = Some(why.clone()),
            Answer::Pass(_) => passed.push(outcome.rule.passes_as),
            Answer::NotApplicable(_) => {}
        }
    }
    match (unknown, passed.is_empty()) {
        (Some(why), _) => Met::Unknown(why),
        (None, true) => Met::Unknown("it could not be looked at".to_owned()),
        (None, false) => Met::Yes(passed.join(", ")),
    }
}

fn by_replication(channels: Option<&Channels>, flavor: Flavor, version: Version) -> Met {
    let Some(channels) = channels else {
        return Met::Unknown("replication was not looked at".to_owned());
    };
    if !channels.unread.is_empty() {
        return Met::Unknown(channels.unread.clone());
    }
    if channels.sources.is_empty() {
        return Met::NotApplicable("this server replicates from nobody".to_owned());
    }
    let only = Channels { sources: channels.sources.clone(), ..channels.clone() };
    let bad: Vec<String> = channel::judge(&only, flavor, version)
        .into_iter()
        .filter(|one| one.name.starts_with("replication from") && !one.is_good())
        .map(|one| one.name)
        .collect();
    if bad.is_empty() {
        return Met::Yes("every source is encrypted and verified".to_owned());
    }
    Met::No(format!("not {}; mytls config channels has the statements", bad.join(", ")))
}

#[cfg(test)]
mod tests;
