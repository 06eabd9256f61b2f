//! The examination as one JSON object: the contract of `mytls check --format json`.

use serde::Serialize;

use super::record::Record;
use super::words::open;
use crate::checklist::{Examination, Verdict};
use crate::facts::Facts;
use crate::printable::printable_json;
use crate::rules::{Finding, Step};

/// The version of this layout; grows when a field changes its meaning or goes.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    tool: Tool,
    /// RFC 3339, UTC.
    at: String,
    target: Target,
    server: Option<Server<'a>>,
    steps: Vec<StepVerdict>,
    findings: &'a [Finding],
    unknown: Vec<Unknown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<&'a Facts>,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Target {
    display: String,
    host: Option<String>,
    port: Option<u16>,
    socket: Option<String>,
    server_config: Option<String>,
}

#[derive(Serialize)]
struct Server<'a> {
    flavor: &'static str,
    version: String,
    version_text: &'a str,
    tls_library: Option<&'a str>,
}

#[derive(Serialize)]
struct StepVerdict {
    id: Step,
    verdict: Verdict,
}

#[derive(Serialize)]
struct Unknown<'a> {
    rule: &'static str,
    why: &'a str,
}

/// The object, indented; with the facts themselves when asked for, so that they can be replayed.
///
/// # Errors
/// Never in practice: everything in it is strings, numbers and lists.
pub fn json(examination: &Examination, with_facts: bool) -> serde_json::Result<String> {
    let facts = &examination.facts;
    let path =
        |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let report = Report {
        schema: SCHEMA,
        tool: Tool { name: "mytls", version: env!("CARGO_PKG_VERSION") },
        at: rfc3339(facts.at),
        target: Target {
            display: facts.target.display(),
            host: facts.target.host.clone(),
            port: facts.target.port,
            socket: path(&facts.target.socket),
            server_config: path(&facts.target.server_config),
        },
        server: server(facts),
        steps: Step::ALL[..5]
            .iter()
            .map(|step| StepVerdict { id: *step, verdict: examination.verdict(*step) })
            .collect(),
        findings: &examination.findings,
        unknown: examination.unknown().map(|(rule, why)| Unknown { rule: rule.id, why }).collect(),
        facts: with_facts.then_some(facts),
    };
    Ok(printable_json(&serde_json::to_string_pretty(&report)?))
}

/// The same with what was changed and what was proven: `mytls report --format json`.
///
/// # Errors
/// Never in practice, as [`json`].
pub fn json_with(examination: &Examination, record: &Record) -> serde_json::Result<String> {
    let mut object: serde_json::Value = serde_json::from_str(&json(examination, false)?)?;
    for (key, value) in [
        ("by", serde_json::to_value(&record.by)?),
        ("proofs", serde_json::to_value(&record.proofs)?),
        ("changes", serde_json::to_value(&record.changes)?),
        ("left", serde_json::to_value(&record.left)?),
        ("open", serde_json::to_value(open(examination, record))?),
    ] {
        object[key] = value;
    }
    Ok(printable_json(&serde_json::to_string_pretty(&object)?))
}

fn server(facts: &Facts) -> Option<Server<'_>> {
    if let Some(server) = facts.server.read() {
        return Some(Server {
            flavor: server.flavor.name(),
            version: server.version.to_string(),
            version_text: &server.version_text,
            tls_library: server.tls_library.as_deref(),
        });
    }
    let greeting = &facts.wire.read()?.greeting;
    Some(Server {
        flavor: greeting.flavor.name(),
        version: greeting.version.map(|version| version.to_string()).unwrap_or_default(),
        version_text: &greeting.version_text,
        tls_library: None,
    })
}

/// `2026-11-22T13:05:00Z`
pub fn rfc3339(seconds: i64) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp(seconds).ok();
    let text = time.and_then(|t| t.format(&time::format_description::well_known::Rfc3339).ok());
    text.unwrap_or_else(|| seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    #[test]
    fn the_contract_holds() {
        let facts = testing::with_files(|files| files.under_ca = Some(Err(testing::no_issuer())));
        let text = json(&Examination::judge(facts), true).unwrap();
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["schema"], 1);
        assert_eq!(object["tool"]["name"], "mytls");
        assert_eq!(object["server"]["flavor"], "MariaDB");
        assert_eq!(object["steps"][2], serde_json::json!({"id": "chain", "verdict": "error"}));
        let finding = &object["findings"][0];
        assert_eq!(
            (&finding["rule"], &finding["severity"]),
            (&"ca-mismatch".into(), &"error".into())
        );
        let action = &finding["remedies"][0]["actions"][0];
        assert_eq!((&action["where"], &action["kind"]), (&"server-host".into(), &"shell".into()));
        // what was saved is what `check --facts` reads again
        serde_json::from_value::<Facts>(object["facts"].clone()).unwrap();
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
    }
}
