//! What the sources said, for whoever wants to see it all.

use ratatui::style::Style;
use ratatui::text::Line;

use super::list::Cells;
use super::{certificate, chain};
use crate::checklist::Examination;
use crate::facts::{
    Access, Facts, FileFacts, ServerConfig, ServerFacts, ServerFiles, Source, Transport, Unread,
    UnreadKind,
};
use crate::printable::printable;
use crate::tui::rows::Info;
use crate::tui::text::{pairs, paragraph};
use crate::tui::theme;
use crate::wire::{TlsOffer, WireFacts};

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
            Ok(match crate::report::chain::sent(facts).len() {
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

fn summary<T>(source: &Source<T>, words: impl FnOnce(&T) -> String) -> Result<String, &Unread> {
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
            let printed = |text: &String| printable(text).into_owned();
            let shown: Known = known(info, facts)
                .iter()
                .map(|(label, value)| (printed(label), printed(value)))
                .collect();
            let shown = shown.iter().map(|(label, value)| (label.as_str(), value.as_str()));
            pairs(shown, columns, theme::quiet())
        }
    }
}

type Known = Vec<(String, String)>;

/// Labels and values of a source that was read; what is empty is left out.
fn known(info: Info, facts: &Facts) -> Known {
    let known = match info {
        Info::Server => facts.server.read().map(of_server),
        Info::Session => facts.server.read().map(of_session),
        Info::Wire => facts.wire.read().map(of_wire),
        Info::Config => facts.config.read().map(of_config),
        Info::Files => facts.files.read().map(of_files),
        _ => None,
    };
    let known = known.unwrap_or_default().into_iter();
    known.filter(|(_, value)| !value.is_empty()).collect()
}

fn pair(label: &str, value: impl Into<String>) -> (String, String) {
    (label.to_owned(), value.into())
}

fn of_server(server: &ServerFacts) -> Known {
    let mut out = vec![
        pair("version", &server.version_text),
        pair("TLS library", server.tls_library.clone().unwrap_or_default()),
        pair("logged in as", &server.current_user),
    ];
    let shown = ["have_ssl", "tls_version", "require_secure_transport", "hostname"];
    out.extend(shown.map(|name| pair(name, server.variable(name).unwrap_or_default())));
    out
}

fn of_session(server: &ServerFacts) -> Known {
    let session = &server.session;
    let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
    let over = match session.over {
        Transport::Socket => "the socket",
        Transport::Tcp => "TCP",
    };
    let mut out = vec![
        pair("connected over", over),
        pair("TLS version", or_none(&session.tls_version)),
        pair("cipher suite", or_none(&session.cipher)),
    ];
    let about_tls =
        |name: &str| ["ssl", "tls", "secure_transport"].iter().any(|w| name.contains(w));
    let variables = server.variables.iter().filter(|(name, _)| about_tls(name));
    out.extend(variables.map(|(name, value)| pair(name, value)));
    out
}

fn of_wire(wire: &WireFacts) -> Known {
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    let mut out = vec![
        pair("address", format!("{}:{}", wire.host, wire.port)),
        pair("greeting", &wire.greeting.version_text),
        pair("offers TLS", yes(wire.greeting.offers_tls)),
    ];
    match &wire.tls {
        TlsOffer::NotOffered => {}
        TlsOffer::Failed { reason } => out.push(pair("TLS fails", reason)),
        TlsOffer::Established(handshake) => {
            let trusted = match &handshake.faults {
                None => "not asked: no CA was given".to_owned(),
                Some(faults) if faults.is_empty() => "yes, under the CA given".to_owned(),
                Some(faults) => {
                    let texts: Vec<&str> = faults.iter().map(|fault| fault.text.as_str()).collect();
                    format!("no: {}", texts.join("; "))
                }
            };
            out.extend([
                pair("TLS version", &handshake.version),
                pair("cipher suite", &handshake.cipher),
                pair("for this host", yes(handshake.name_matches)),
                pair("trusted", trusted),
            ]);
        }
    }
    out
}

fn of_config(config: &ServerConfig) -> Known {
    let mut out: Known =
        config.files.iter().map(|file| pair("file", file.display().to_string())).collect();
    let about_tls = |name: &str| ["ssl", "tls", "secure"].iter().any(|word| name.contains(word));
    let options = config.options.iter().filter(|(name, _)| about_tls(name));
    out.extend(options.map(|(name, option)| {
        let value = option.value.as_deref().unwrap_or("(set)");
        pair(name, format!("{value}  ({})", option.origin))
    }));
    out
}

fn of_files(files: &ServerFiles) -> Known {
    let mut out = vec![pair("server's user", files.server_user.clone().unwrap_or_default())];
    out.extend(files.key.as_ref().map(of_file));
    out.extend([&files.certificate, &files.ca].into_iter().flatten().map(of_file));
    out
}

/// `/etc/mysql/server.key  0640 root:mysql`, and what is wrong with it.
fn of_file<T>(file: &FileFacts<T>) -> (String, String) {
    let mut value = file.path.display().to_string();
    let access = file.access.as_ref().map(Access::describe);
    let defect = file.content.as_ref().err().map(ToString::to_string);
    for more in [access, defect].into_iter().flatten() {
        value = format!("{value}  {more}");
    }
    pair(&file.option, value)
}
