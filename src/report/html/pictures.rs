//! What people would rather look at than read: the chain, the lifetimes, the sessions.

use maud::{Markup, html};

use super::super::chain::drawing;
use super::shown;
use crate::facts::{Carrier, Facts};
use crate::x509::Certificate;

/// From the server's certificate up to the CA, each under what it signed.
pub fn chain(facts: &Facts) -> Markup {
    let Some(drawing) = drawing(facts) else { return html! {} };
    let as_it_is = drawing.must.iter().copied().eq(0..drawing.certificates.len());
    html! {
        h2 { "The chain" }
        p.quiet { (drawing.from) @if !as_it_is { "; drawn as it must be, which it is not" } }
        ol.chain {
            @for (place, at) in drawing.must.iter().enumerate() {
                li {
                    (drawing.certificates[*at].subject.short())
                    @if place == 0 { span.quiet { " the server's" } }
                    @if *at != place { span.error { " ✗ stands at place " (at + 1) } }
                }
            }
            @if let Some((name, where_)) = &drawing.top {
                li.outside { (shown(name)) span.quiet { " " (where_) } }
            }
        }
    }
}

/// Every certificate on one time line, today marked.
pub fn lifetimes(facts: &Facts) -> Markup {
    let all = certificates(facts);
    let from = all.iter().map(|(_, certificate)| certificate.not_before).min();
    let until = all.iter().map(|(_, certificate)| certificate.not_after).max();
    let (Some(from), Some(until)) = (from, until) else { return html! {} };
    let (from, until) = (from.min(facts.at), until.max(facts.at));
    html! {
        h2 { "Lifetimes" }
        table {
            tr { th { "certificate" } th { (day(from)) " to " (day(until)) } th { "until" } }
            @for (what, certificate) in all {
                @let (class, left) = remaining(certificate.not_after, facts.at);
                @let start = percent(certificate.not_before, from, until);
                @let end = percent(certificate.not_after, from, until);
                tr {
                    td { (certificate.subject.short()) br; span.quiet { (what) } }
                    td {
                        div.life.(class) {
                            span.valid style={ "left:" (start) "%;width:" (end - start) "%" } {}
                            span.today style={ "left:" (percent(facts.at, from, until)) "%" } {}
                        }
                    }
                    td { (day(certificate.not_after)) br; span.(class) { (left) } }
                }
            }
        }
    }
}

/// What the server has in its files, else what it sent; each once.
fn certificates(facts: &Facts) -> Vec<(&'static str, &Certificate)> {
    let mut out: Vec<(&'static str, &Certificate)> = Vec::new();
    let own = super::super::chain::sent(facts).iter().map(|found| ("in the server's chain", found));
    let files = facts.files.read();
    let trusted = files.map_or(&[][..], |files| files.ca_certificates());
    // the system's store is no CA of this server's
    let trusted = if trusted.len() > 20 { &[][..] } else { trusted };
    for (what, found) in own.chain(trusted.iter().map(|found| ("in ssl_ca", found))) {
        if !out.iter().any(|(_, known)| known.sha256 == found.sha256) {
            out.push((what, found));
        }
    }
    out
}

/// How the sessions of this moment travel.
pub fn sessions(facts: &Facts) -> Markup {
    let server = facts.server.read();
    let Some(sessions) = server.and_then(|server| server.sessions.read()) else {
        return html! {};
    };
    let ways = [
        ("tls", "with TLS", Carrier::Tls),
        ("clear", "over the network without TLS", Carrier::Tcp),
        ("local", "on the server's own host", Carrier::Local),
        ("unsaid", "the server does not say how", Carrier::Unknown),
    ];
    let count = |way| sessions.iter().filter(|session| session.carrier() == way).count();
    html! {
        @if !sessions.is_empty() {
            h2 { "Sessions at that moment" }
            div.share {
                @for (class, _, way) in ways { span.(class) style={ "flex:" (count(way)) } {} }
            }
            ul {
                @for (_, words, way) in ways {
                    @if count(way) > 0 { li { (count(way)) " " (words) } }
                }
            }
        }
    }
}

/// Where a moment lies between two, from 0 to 100.
fn percent(at: i64, from: i64, until: i64) -> i64 {
    let whole = i128::from(until) - i128::from(from);
    if whole <= 0 {
        return 0;
    }
    let part = (i128::from(at) - i128::from(from)) * 100 / whole;
    i64::try_from(part.clamp(0, 100)).unwrap_or(0)
}

fn remaining(not_after: i64, now: i64) -> (&'static str, String) {
    let days = (not_after - now).div_euclid(86_400);
    match days {
        ..0 => ("error", "✗ expired".to_owned()),
        0..30 => ("warning", format!("! {days} days left")),
        _ => ("good", format!("{days} days left")),
    }
}

fn day(seconds: i64) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.map_or_else(|| seconds.to_string(), |time| time.date().to_string())
}
