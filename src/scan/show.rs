//! A scan as text, and as metrics.

use std::fmt::Write as _;

use super::between;
use super::force::InForce;
use super::result::{Scan, TlsScan};
use crate::printable::printable;

pub use super::metrics::Metrics;

/// One server, from the greeting to the policies.
pub fn text(scan: &Scan) -> String {
    let mut out = String::new();
    let mut line = |name: &str, words: String| {
        // writing to a String cannot fail
        let _ = writeln!(out, "  {name:<14} {}", printable(&words));
    };
    line("server", scan.greeting.describe());
    if let Some(tls) = &scan.tls {
        version_lines(tls, &mut line);
    }
    rest_lines(scan, &mut line);
    if let Some(tls) = &scan.tls {
        for verdict in &tls.policies {
            let words = if verdict.fits {
                "fits".to_owned()
            } else {
                format!("no: {}", verdict.faults.join("; "))
            };
            line("policy", format!("{}: {words}", verdict.title));
        }
    }
    format!("{}:{}\n{out}", scan.host, scan.port)
}

/// All but versions, suites and policies, as names and words; the words are not printable yet.
pub fn rest(scan: &Scan) -> Vec<(String, String)> {
    let mut all = Vec::new();
    rest_lines(scan, &mut |name, words| all.push((name.to_owned(), words)));
    all
}

fn rest_lines(scan: &Scan, line: &mut impl FnMut(&str, String)) {
    match &scan.tls {
        None => {
            line("TLS", "not offered: every session, password exchange and row can be read".into());
        }
        Some(tls) => {
            tls_lines(tls, line);
            for (at, words) in between::noticed(tls).into_iter().enumerate() {
                line(if at == 0 { "in the middle" } else { "" }, words);
            }
        }
    }
    let cost = &scan.cost;
    let resets = if cost.resets > 0 { ", and a login set the count back" } else { "" };
    line(
        "cost",
        format!(
            "{} connections, {} of them given up before a login{resets}; {} ms",
            cost.connections, cost.given_up, cost.milliseconds
        ),
    );
    if let Some(in_force) = &scan.in_force {
        in_force_lines(in_force, line);
    }
    for why in &scan.left_out {
        line("left out", why.clone());
    }
}

fn version_lines(tls: &TlsScan, line: &mut impl FnMut(&str, String)) {
    for version in &tls.versions {
        let name = version.protocol.name();
        if !version.offered {
            let word = if version.complete { "not offered" } else { "not asked about to the end" };
            line(name, word.to_owned());
            continue;
        }
        let order = match version.order.as_str() {
            "server" => "in the server's order",
            "client" => "the client's order counts",
            _ => "",
        };
        let part = if version.complete { "" } else { "; there may be more" };
        let count = version.suites.len();
        let plural = if count == 1 { "suite" } else { "suites" };
        let order = if order.is_empty() { String::new() } else { format!(", {order}") };
        line(name, format!("{count} {plural}{order}{part}"));
        for suite in &version.suites {
            line("", suite.name.clone());
        }
    }
}

/// Of a chain; no honest one is longer.
const SHOWN: usize = 10;

fn tls_lines(tls: &TlsScan, line: &mut impl FnMut(&str, String)) {
    let missing =
        |words: &[String]| if words.is_empty() { "?".to_owned() } else { words.join(", ") };
    line("groups", missing(&tls.groups));
    if !tls.signs_with.is_empty() {
        line("signs with", tls.signs_with.join(", "));
    }
    if let Some(why) = &tls.handshake_failed {
        line("handshake", format!("this host's library did not agree with it: {why}"));
    }
    if let Some(shaken) = &tls.handshake {
        for (depth, certificate) in shaken.chain.iter().take(SHOWN).enumerate() {
            let key = certificate
                .public_key
                .as_ref()
                .map_or("?".to_owned(), crate::x509::PublicKey::describe);
            let word = if depth == 0 { "certificate" } else { "chain" };
            line(
                word,
                format!(
                    "{} ({key}, until {})",
                    certificate.subject.display(),
                    day(certificate.not_after)
                ),
            );
        }
        if shaken.chain.len() > SHOWN {
            line("", format!("and {} more", shaken.chain.len() - SHOWN));
        }
        if let Some(faults) = &shaken.faults {
            let texts: Vec<&str> = faults.iter().map(|fault| fault.text.as_str()).collect();
            line("CA given", if texts.is_empty() { "it holds".into() } else { texts.join("; ") });
        }
        let name =
            if shaken.name_matches { "it is for this host" } else { "it is not for this host" };
        line("host name", name.to_owned());
    }
    if let Some(faults) = &tls.system_faults {
        line("system's CAs", if faults.is_empty() { "it holds".into() } else { faults.join("; ") });
    }
    let yes = |value: Option<bool>| value.map_or("?", |value| if value { "yes" } else { "no" });
    line("asks client", format!("for a certificate: {}", yes(tls.asks_certificate)));
    if !tls.client_cas.is_empty() {
        line("", tls.client_cas.join(", "));
    }
    line(
        "sessions",
        format!(
            "by number: {}, tickets: {}, compression: {}, secure renegotiation: {}",
            yes(tls.session_ids),
            yes(tls.tickets),
            yes(tls.compression),
            yes(tls.secure_renegotiation)
        ),
    );
    if let Some(bits) = tls.dh_bits {
        line("DH group", format!("{bits} bits"));
    }
}

fn in_force_lines(in_force: &InForce, line: &mut impl FnMut(&str, String)) {
    let session = match in_force.session_version.as_str() {
        "" => "without TLS".to_owned(),
        version => format!("{version}, {}", in_force.session_cipher),
    };
    line("in force", format!("the login's session: {session}"));
    for (name, value) in &in_force.variables {
        line("", format!("{name} = {value}"));
    }
    for difference in &in_force.differences {
        line("differs", difference.clone());
    }
    match in_force.plain_sessions.as_deref() {
        None => {}
        Some([]) => line("sessions now", "over TCP none is without TLS".to_owned()),
        Some(plain) => {
            for one in plain {
                let (user, from, seconds) = (&one.user, &one.from, one.for_seconds);
                line("without TLS", format!("{user} from {from}, {seconds} s in what it does now"));
            }
        }
    }
    for channel in &in_force.channels {
        let how = match (channel.encrypted, channel.verified) {
            (false, _) => "not encrypted",
            (true, false) => "encrypted; nobody looks at the source's certificate",
            (true, true) => "encrypted and verified",
        };
        line("replicates", format!("from {}: {how}", channel.source));
    }
    for sentence in &in_force.beside {
        line("beside", sentence.clone());
    }
    for why in &in_force.unseen {
        line("not seen", why.clone());
    }
}

fn day(seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| "?".to_owned(), |time| time.date().to_string())
}

/// One line of the table of many servers.
pub fn row(target: &str, scan: Result<&Scan, &str>) -> String {
    let words = match scan {
        Err(why) => why.to_owned(),
        Ok(scan) => match &scan.tls {
            None => format!("{}  no TLS", scan.greeting.describe()),
            Some(tls) => {
                let versions = tls.versions.iter().rev().filter(|version| version.offered);
                let versions: Vec<&str> = versions.map(|version| version.protocol.name()).collect();
                let suites: usize = tls.versions.iter().map(|version| version.suites.len()).sum();
                let leaf = tls.handshake.as_ref().and_then(|shaken| shaken.chain.first());
                let end = leaf.map_or("?".to_owned(), |leaf| day(leaf.not_after));
                format!(
                    "{}  {}  {suites} suites  until {end}",
                    scan.greeting.describe(),
                    versions.join(" ")
                )
            }
        },
    };
    format!("{:<30}  {}\n", printable(target), printable(&words))
}
