//! The report as one page: nothing is fetched, nothing runs, and what came from outside stays text.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::record::{Deed, Proof, Record};
use super::text::{describe, server_line, summary};
use super::words::{answered, examined, weight, when_and_who};
use crate::checklist::{Examination, Verdict};
use crate::facts::Require;
use crate::printable::{printable, printable_lines};
use crate::rules::{Finding, Step};

mod pictures;

/// The page's only style. Colours are for light and dark, and everything that they say stands there
/// as a sign and a word.
const STYLE: &str = include_str!("../../../assets/report.css");

/// Should a browser be made to take something for code or for an address, it may not use it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The whole report as one HTML file; ends with a line feed.
pub fn html(examination: &Examination, record: &Record) -> String {
    let facts = &examination.facts;
    let title = format!("TLS of {}", shown(&facts.target.display()));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                p.quiet { (shown(&server_line(examination))) }
                p.quiet { (examined(examination, record)) }
                p.summary.(class(examination.verdict(Step::Report))) { (summary(examination)) }
                (steps(examination))
                (pictures::chain(facts))
                (pictures::lifetimes(facts))
                (pictures::sessions(facts))
                (findings(examination))
                (accounts(examination))
                (proofs(&record.proofs))
                (changes(record))
                (open(examination, record))
                (checked(examination))
                footer { "Written by mytls " (env!("CARGO_PKG_VERSION")) "; it holds no password and no private key." }
            }
        }
    };
    page.into_string() + "\n"
}

fn steps(examination: &Examination) -> Markup {
    html! {
        table {
            tr { th { "step" } th { "verdict" } }
            @for step in &Step::ALL[..5] {
                @let verdict = examination.verdict(*step);
                tr {
                    td { (step.title()) }
                    td.(class(verdict)) { (signed(verdict)) (verdict.word()) }
                }
            }
        }
    }
}

fn findings(examination: &Examination) -> Markup {
    html! {
        @if !examination.findings.is_empty() {
            h2 { "Findings" }
            @for finding in &examination.findings { (one_finding(finding)) }
        }
    }
}

fn one_finding(finding: &Finding) -> Markup {
    let verdict = weight(finding.severity);
    html! {
        article.(class(verdict)) {
            h3 { (signed(verdict)) (shown(&finding.title)) }
            p.quiet {
                (finding.severity.word()) " in " (finding.step.title()) ", " code { (finding.rule) }
                @if let Some(rule) = finding.because_of { ", because of " code { (rule) } }
            }
            p { (shown(&finding.cause)) }
            dl.evidence {
                @for seen in &finding.evidence {
                    dt { (shown(&seen.label)) }
                    dd { code { (shown(&seen.value)) } }
                }
            }
            @for remedy in &finding.remedies {
                p { "To " (shown(&remedy.title)) ":" }
                @for action in &remedy.actions {
                    p.quiet { (shown(&describe(action))) }
                    pre { (printable_lines(&action.text)) }
                }
                @if !remedy.note.is_empty() { p.quiet { (shown(&remedy.note)) } }
            }
        }
    }
}

/// Who may log in with what: what an auditor asks first.
fn accounts(examination: &Examination) -> Markup {
    /// Of more the page says how many there are.
    const MOST: usize = 500;
    let server = examination.facts.server.read();
    let accounts = server.and_then(|server| server.accounts.read()).map_or(&[][..], Vec::as_slice);
    html! {
        @if !accounts.is_empty() {
            h2 { "Accounts" }
            table {
                tr { th { "account" } th { "REQUIRE" } th { "plugin" } th {} }
                @for account in accounts.iter().take(MOST) {
                    tr {
                        td { code { (account.name) } }
                        td { (account.require.describe()) (asked(&account.require)) }
                        td { (shown(&account.plugin)) }
                        td { @if account.locked { "locked" } }
                    }
                }
            }
            @if accounts.len() > MOST {
                p.quiet { (accounts.len() - MOST) " more are not listed here; mytls accounts lists them all." }
            }
        }
    }
}

/// The names and the cipher suite themselves, as the server compares them.
fn asked(require: &Require) -> Markup {
    let Require::Specified { subject, issuer, cipher } = require else { return html! {} };
    html! {
        @for (what, value) in [("SUBJECT", subject), ("ISSUER", issuer), ("CIPHER", cipher)] {
            @if !value.is_empty() { p.quiet { (what) " " code { (shown(value)) } } }
        }
    }
}

fn proofs(proofs: &[Proof]) -> Markup {
    html! {
        @if !proofs.is_empty() { h2 { "Proof: logins tried on the live server" } }
        @for proof in proofs {
            h3 { (shown(&proof.account)) }
            p.quiet {
                @if !proof.require.is_empty() { "REQUIRE " (shown(&proof.require)) ", " }
                "tried against " (shown(&proof.against))
            }
            table {
                tr { th { "login with" } th.brief { "must be" } th { "was" } th {} }
                @for row in &proof.rows {
                    @let class = match row.holds { Some(true) => "good", Some(false) => "error", None => "quiet" };
                    tr {
                        td { (shown(&row.with)) }
                        td.brief { (shown(&row.must)) }
                        td.brief.(class) { span.sign { (row.mark()) } (shown(&row.was)) }
                        td {
                            (shown(&row.note))
                            @for line in &row.server_said { p.quiet { "the server: " code { (shown(line)) } } }
                        }
                    }
                }
            }
            p.(if proof.proved { "good" } else { "error" }) { (shown(&proof.summary)) }
        }
    }
}

fn changes(record: &Record) -> Markup {
    html! {
        h2 { "What was changed" }
        @if record.changes.is_empty() { p { "Nothing that mytls knows of." } }
        @for deed in &record.changes { (one_change(deed, record.throwaway)) }
        @if record.throwaway && !record.changes.is_empty() {
            p { "Nothing of it is left: the server was a sandbox, and is gone." }
        }
    }
}

fn one_change(deed: &Deed, gone: bool) -> Markup {
    html! {
        h3 { (shown(&deed.title)) @if !deed.state.is_empty() { " (" (deed.state) ")" } }
        p.quiet { (when_and_who(deed)) }
        @if !deed.done.is_empty() { ul { @for line in &deed.done { li { (shown(line)) } } } }
        @if !deed.undo.is_empty() && !gone {
            p { "To take it back, in this order:" }
            pre { (printable_lines(&deed.undo.join("\n"))) }
        }
    }
}

fn open(examination: &Examination, record: &Record) -> Markup {
    let open = super::words::open(examination, record);
    html! {
        h2 { "Still open" }
        @if open.is_empty() { p { "Nothing that is known of." } }
        ul { @for line in open { li { (line) } } }
    }
}

fn checked(examination: &Examination) -> Markup {
    html! {
        h2 { "What was checked" }
        table {
            tr { th { "check" } th { "answer" } th { "seen" } }
            @for outcome in &examination.outcomes {
                @let (verdict, word, seen) = answered(&outcome.answer);
                tr {
                    td { (outcome.rule.passes_as) br; code.quiet { (outcome.rule.id) } }
                    td.(class(verdict)) { (signed(verdict)) (word) }
                    td { (shown(seen)) }
                }
            }
        }
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Warning => "warning",
        Verdict::Error => "error",
        Verdict::Unknown => "unknown",
        Verdict::NotApplicable => "quiet",
    }
}

fn signed(verdict: Verdict) -> Markup {
    let sign = match verdict {
        Verdict::Good => "✓",
        Verdict::Warning => "!",
        Verdict::Error => "✗",
        Verdict::Unknown => "?",
        Verdict::NotApplicable => "–",
    };
    html! { span.sign { (sign) } }
}

fn shown(text: &str) -> String {
    printable(text).into_owned()
}

#[cfg(test)]
mod tests;
