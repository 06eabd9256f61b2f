//! The server's own certificate.

use ratatui::text::Line;

use crate::facts::Facts;
use crate::tui::text::pairs;
use crate::tui::theme;
use crate::x509::PublicKey;

pub fn lines(facts: &Facts, columns: usize) -> Vec<Line<'static>> {
    let Some(certificate) = facts.served_leaf() else { return Vec::new() };
    let names = certificate.host_names().join(", ");
    let names =
        if names.is_empty() { "none: clients that check names refuse it".into() } else { names };
    let key = certificate.public_key.as_ref().map_or_else(|| "?".into(), PublicKey::describe);
    let valid = format!(
        "{} to {}, {}",
        date(certificate.not_before),
        date(certificate.not_after),
        left(certificate.not_after, facts.at)
    );
    let rows = [
        ("subject", certificate.subject.display()),
        ("issuer", certificate.issuer.display()),
        ("for hosts", names),
        ("valid", valid),
        ("key", key),
        ("signed with", crate::printable::printable(&certificate.signature_algorithm).into_owned()),
        ("serial", certificate.serial.clone()),
        ("SHA-256", certificate.sha256.clone()),
    ];
    pairs(rows.iter().map(|(label, value)| (*label, value.as_str())), columns, theme::quiet())
}

/// `2026-11-22`, UTC; `?` for a time no calendar has.
fn date(at: i64) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let date = time::OffsetDateTime::from_unix_timestamp(at).ok();
    date.and_then(|date| date.format(format).ok()).unwrap_or_else(|| "?".to_owned())
}

pub fn left(not_after: i64, now: i64) -> String {
    match (not_after - now).div_euclid(86_400) {
        0 if not_after >= now => "ends today".to_owned(),
        1 => "1 day left".to_owned(),
        days if days > 0 => format!("{days} days left"),
        -1 => "ended a day ago".to_owned(),
        days => format!("ended {} days ago", -days),
    }
}
