//! Metrics of many servers, in Prometheus' text format.

use std::fmt::Write as _;

use super::result::Scan;
use crate::printable::printable;

/// Name and help of each, all of them gauges.
const NAMES: [(&str, &str); 6] = [
    ("up", "Whether the server could be scanned."),
    ("whole", "Whether everything could be asked about."),
    ("tls", "Whether it offers TLS."),
    ("version", "Whether it offers this version."),
    ("not_after_seconds", "When its certificate ends."),
    ("policy", "Whether it fits this policy."),
];

/// The samples so far: those of a metric have to stand together.
#[derive(Default)]
pub struct Metrics {
    samples: [String; NAMES.len()],
}

impl Metrics {
    /// What is known of one server; `None`: it could not be scanned.
    pub fn add(&mut self, target: &str, scan: Option<&Scan>) {
        self.sample("up", target, None, i64::from(scan.is_some()));
        let Some(scan) = scan else { return };
        self.sample("whole", target, None, i64::from(scan.left_out.is_empty()));
        self.sample("tls", target, None, i64::from(scan.tls.is_some()));
        let Some(tls) = &scan.tls else { return };
        for version in &tls.versions {
            let label = ("version", version.protocol.name());
            self.sample("version", target, Some(label), i64::from(version.offered));
        }
        if let Some(leaf) = tls.handshake.as_ref().and_then(|shaken| shaken.chain.first()) {
            self.sample("not_after_seconds", target, None, leaf.not_after);
        }
        for verdict in &tls.policies {
            let label = ("policy", verdict.policy.as_str());
            self.sample("policy", target, Some(label), i64::from(verdict.fits));
        }
    }

    pub fn text(&self) -> String {
        let metric = |((name, help), samples): (&(&str, &str), &String)| {
            format!("# HELP mytls_scan_{name} {help}\n# TYPE mytls_scan_{name} gauge\n{samples}")
        };
        NAMES.iter().zip(&self.samples).map(metric).collect()
    }

    fn sample(&mut self, name: &str, target: &str, label: Option<(&str, &str)>, value: i64) {
        let at = NAMES.iter().position(|(known, _)| *known == name);
        let Some(samples) = at.and_then(|at| self.samples.get_mut(at)) else { return };
        let quoted = |text: &str| printable(text).replace('\\', "\\\\").replace('"', "\\\"");
        let label = label.map(|(key, text)| format!(",{key}=\"{}\"", quoted(text)));
        // writing to a String cannot fail
        let _ = writeln!(
            samples,
            "mytls_scan_{name}{{target=\"{}\"{}}} {value}",
            quoted(target),
            label.unwrap_or_default()
        );
    }
}
