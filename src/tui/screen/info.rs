//! What the sources said, for whoever wants to see it all.

use ratatui::style::Style;
use ratatui::text::Line;

use super::list::Cells;
use super::{certificate, chain};
use crate::checklist::Examination;
use crate::facts::{Facts, Source, Transport, Unread, UnreadKind};
use crate::printable::printable;
use crate::tui::rows::Info;
use crate::tui::text::{pairs, paragraph};
use crate::tui::theme;
use crate::wire::TlsOffer;

pub fn cells(info: Info, exam: &Examination) -> Cells {
    let facts = &exam.facts;
    let (text, right) = match info {
        Info::Server => (
            "what the server says",
            summary(&facts.server, |server| format!("{} {}", server.flavor.name(), server.version)),
        ),
        Info::Wire => (
            "what a client meets",
            summary(&facts.wire, |wire| match &wire.tls {
                TlsOffer::NotOffered => "no TLS".to_owned(),
                TlsOffer::Failed { .. } => "TLS fails".to_owned(),
                TlsOffer::Established(handshake) => {
                    printable(&format!("{}, {}", handshake.version, handshake.cipher)).into_owned()
                }
            }),
        ),
        Info::Config => (
            "the server's option files",
            summary(&facts.config, |config| {
                printable(&config.main_file.display().to_string()).into_owned()
            }),
        ),
        Info::Files => (
            "key, certificate and CA",
            summary(&facts.files, |files| {
                let there = [files.key.is_some(), files.certificate.is_some(), files.ca.is_some()];
                match there.into_iter().filter(|there| *there).count() {
                    0 => "none is set".to_owned(),
                    3 => "all three".to_owned(),
                    n => format!("{n} of 3 set"),
                }
            }),
        ),
        Info::Log => (
            "the error log",
            summary(&facts.log, |lines| match lines.len() {
                0 => "nothing about TLS".to_owned(),
                1 => "1 line about TLS".to_owned(),
                n => format!("{n} lines about TLS"),
            }),
        ),
        Info::Certificate => ("the server's certificate", {
            Ok(facts.served_leaf().map_or_else(String::new, |c| c.subject.short()))
        }),
        Info::Chain => (
            "the chain",
            Ok(match chain::sent(facts).len() {
                1 => "1 certificate".to_owned(),
                n => format!("{n} certificates"),
            }),
        ),
        Info::Session => (
            "this session",
            summary(&facts.server, |server| {
                match (server.session.over, server.session.tls_version.as_str()) {
                    (Transport::Socket, "") => "over the socket".to_owned(),
                    (Transport::Tcp, "") => "over TCP, without TLS".to_owned(),
                    (_, version) => printable(version).into_owned(),
                }
            }),
        ),
        Info::NoAccounts => ("the accounts", accounts(facts)),
    };
    let (sign, style, right) = match right {
        Ok(right) => (theme::OPEN, theme::quiet(), right),
        Err(unread) if unread.kind == UnreadKind::NotAsked => {
            (theme::NOT_APPLICABLE, theme::quiet(), "not asked".to_owned())
        }
        Err(_) => (theme::UNKNOWN, theme::unknown(), "not read".to_owned()),
    };
    Cells { sign, style, text: text.to_owned(), right, follows: false, quiet: false }
}

fn summary<'a, T>(
    source: &'a Source<T>,
    words: impl FnOnce(&T) -> String,
) -> Result<String, &'a Unread> {
    match source {
        Source::Read(facts) => Ok(words(facts)),
        Source::Unread(unread) => Err(unread),
    }
}

fn accounts(facts: &Facts) -> Result<String, &Unread> {
    match &facts.server {
        Source::Unread(unread) => Err(unread),
        Source::Read(server) => summary(&server.accounts, |list| format!("{}", list.len())),
    }
}

pub fn detail(info: Info, exam: &Examination, columns: usize) -> Vec<Line<'static>> {
    let facts = &exam.facts;
    let reason = match info {
        Info::Server | Info::Session => facts.server.reason(),
        Info::Wire => facts.wire.reason(),
        Info::Config => facts.config.reason(),
        Info::Files => facts.files.reason(),
        Info::Log => facts.log.reason(),
        Info::NoAccounts => accounts(facts).err(),
        Info::Certificate | Info::Chain => None,
    };
    if let Some(unread) = reason {
        let mut out = paragraph(&unread.why, columns, 0, Style::new());
        if !unread.advice.is_empty() {
            out.push(Line::default());
            out.extend(paragraph(&unread.advice, columns, 0, Style::new()));
        }
        return out;
    }
    match info {
        Info::Certificate => certificate::lines(facts, columns),
        Info::Chain => chain::lines(facts, columns),
        Info::Log => {
            let lines = facts.log.read().map_or(&[][..], Vec::as_slice);
            lines.iter().flat_map(|l| paragraph(&printable(l), columns, 0, Style::new())).collect()
        }
        _ => {
            let owned = known(info, facts);
            let shown: Vec<(String, String)> = owned
                .into_iter()
                .map(|(label, value)| {
                    (printable(&label).into_owned(), printable(&value).into_owned())
                })
                .collect();
            let shown = shown.iter().map(|(label, value)| (label.as_str(), value.as_str()));
            pairs(shown, columns, theme::quiet())
        }
    }
}

/// Labels and values of a source that was read.
fn known(info: Info, facts: &Facts) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut add = |label: &str, value: String| {
        if !value.is_empty() {
            out.push((label.to_owned(), value));
        }
    };
    match (info, facts.server.read(), facts.wire.read(), facts.config.read(), facts.files.read()) {
        (Info::Server, Some(server), ..) => {
            add("version", server.version_text.clone());
            add("TLS library", server.tls_library.clone().unwrap_or_default());
            add("logged in as", server.current_user.clone());
            for name in ["have_ssl", "tls_version", "require_secure_transport", "hostname"] {
                add(name, server.variable(name).unwrap_or_default().to_owned());
            }
        }
        (Info::Session, Some(server), ..) => {
            let session = &server.session;
            let over = match session.over {
                Transport::Socket => "the socket",
                Transport::Tcp => "TCP",
            };
            add("connected over", over.to_owned());
            let or_none =
                |text: &str| if text.is_empty() { "none".to_owned() } else { text.into() };
            add("TLS version", or_none(&session.tls_version));
            add("cipher suite", or_none(&session.cipher));
            for (name, value) in &server.variables {
                if name.contains("ssl") || name.contains("tls") || name.contains("secure_transport")
                {
                    add(name, value.clone());
                }
            }
        }
        (Info::Wire, _, Some(wire), ..) => {
            add("address", format!("{}:{}", wire.host, wire.port));
            add("greeting", wire.greeting.version_text.clone());
            add("offers TLS", if wire.greeting.offers_tls { "yes" } else { "no" }.to_owned());
            match &wire.tls {
                TlsOffer::NotOffered => {}
                TlsOffer::Failed { reason } => add("TLS fails", reason.clone()),
                TlsOffer::Established(handshake) => {
                    add("TLS version", handshake.version.clone());
                    add("cipher suite", handshake.cipher.clone());
                    let names = if handshake.name_matches { "yes" } else { "no" };
                    add("certificate is for this name", names.to_owned());
                    add(
                        "trusted",
                        match &handshake.faults {
                            None => "not asked: no CA was given".to_owned(),
                            Some(faults) if faults.is_empty() => {
                                "yes, under the CA given".to_owned()
                            }
                            Some(faults) => {
                                let texts = faults.iter().map(|fault| fault.text.as_str());
                                format!("no: {}", texts.collect::<Vec<_>>().join("; "))
                            }
                        },
                    );
                }
            }
        }
        (Info::Config, _, _, Some(config), _) => {
            for file in &config.files {
                add("file", file.display().to_string());
            }
            for (name, value) in &config.options {
                if name.starts_with("ssl") || name.starts_with("tls") || name.contains("secure") {
                    let text = value.value.as_deref().unwrap_or("(set)");
                    add(name, format!("{text}  ({})", value.origin));
                }
            }
        }
        (Info::Files, _, _, _, Some(files)) => {
            add("server's user", files.server_user.clone().unwrap_or_default());
            let mut file =
                |option: &str, path: &std::path::Path, access: Option<String>, defect| {
                    let access = access.map_or_else(String::new, |access| format!("  {access}"));
                    let defect: Option<String> = defect;
                    let defect = defect.map_or_else(String::new, |defect| format!("  {defect}"));
                    add(option, format!("{}{access}{defect}", path.display()));
                };
            let describe = |access: &Option<crate::facts::Access>| {
                access.as_ref().map(crate::facts::Access::describe)
            };
            if let Some(key) = &files.key {
                let defect = key.content.as_ref().err().map(ToString::to_string);
                file(&key.option, &key.path, describe(&key.access), defect);
            }
            for certificates in [&files.certificate, &files.ca].into_iter().flatten() {
                let defect = certificates.content.as_ref().err().map(ToString::to_string);
                file(
                    &certificates.option,
                    &certificates.path,
                    describe(&certificates.access),
                    defect,
                );
            }
        }
        _ => {}
    }
    out
}
