//! The checklist as text: for a terminal, a mail from cron, a log of CI.

use std::fmt::Write as _;

use crate::checklist::{Examination, Verdict};
use crate::printable::{printable, printable_lines};
use crate::remedy::{Action, ActionKind, Effect, Place, Remedy};
use crate::rules::{Answer, Finding, Severity, Step};

/// How the text is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// With ANSI colours.
    pub color: bool,
    /// Without any character that is not ASCII.
    pub ascii: bool,
}

/// The whole report; ends with a line feed.
pub fn text(examination: &Examination, look: Look) -> String {
    let mut out = String::new();
    let pen = Pen { out: &mut out, look };
    pen.write(examination);
    if look.ascii { to_ascii(&out) } else { out }
}

/// What the server is, in one line: `MariaDB 10.11.19, OpenSSL 3.0.19`; empty when unknown.
pub fn server_line(examination: &Examination) -> String {
    let facts = &examination.facts;
    if let Some(server) = facts.server.read() {
        let library = server.tls_library.as_deref().unwrap_or("TLS library unknown");
        // the date of its release tells a DBA nothing
        let library = printable(library);
        let library: Vec<&str> = library.split_whitespace().take(2).collect();
        return format!("{} {}, {}", server.flavor.name(), server.version, library.join(" "));
    }
    let greeting = facts.wire.read().map(|wire| &wire.greeting);
    greeting.map(crate::wire::Greeting::describe).unwrap_or_default()
}

struct Pen<'a> {
    out: &'a mut String,
    look: Look,
}

impl Pen<'_> {
    fn write(mut self, examination: &Examination) {
        let server = server_line(examination);
        self.line(&format!("{}  {server}", examination.facts.target.display()));
        self.line("");
        for step in &Step::ALL[..5] {
            self.step(examination, *step);
        }
        for finding in examination.findings.iter().filter(|finding| finding.because_of.is_none()) {
            self.line("");
            self.finding(finding);
            let rule = finding.rule;
            let consequences = examination.findings.iter().filter(|f| f.because_of == Some(rule));
            let first = examination.findings.iter().find(|f| f.rule == rule);
            if first.is_some_and(|first| std::ptr::eq(first, finding)) {
                for consequence in consequences {
                    self.line(&format!("    └ {}: {}", consequence.rule, consequence.title));
                    let log = consequence.evidence.iter().filter(|seen| seen.label == "error log");
                    for seen in log {
                        self.line(&format!("        {}", seen.value));
                    }
                }
            }
            for (number, remedy) in finding.remedies.iter().enumerate() {
                self.remedy(number + 1, remedy);
            }
        }
        self.line("");
        self.line(&summary(examination));
        // A server that is down hides much, and the finding says what to do about it.
        let down = examination.findings.iter().any(|finding| finding.rule == "server-not-running");
        if examination.unknown().next().is_some() && !down {
            for advice in examination.advice() {
                self.line(&format!("to see more: {}", printable(advice)));
            }
        }
    }

    fn step(&mut self, examination: &Examination, step: Step) {
        let verdict = examination.verdict(step);
        let glyph = self.glyph(verdict);
        self.line(&format!("{glyph} {:<18}  {}", step.title(), verdict.word()));
        let mut unknown: Vec<(String, Vec<&str>)> = Vec::new();
        // What holds is shown where there is something to see, and counted where there is not.
        let (mut shown, mut more): (Vec<&str>, usize) = (Vec::new(), 0);
        for outcome in examination.outcomes.iter().filter(|outcome| outcome.rule.step == step) {
            match &outcome.answer {
                Answer::Pass(seen) if seen.is_empty() || shown.contains(&seen.as_str()) => {
                    more += 1;
                }
                Answer::Pass(seen) => {
                    shown.push(seen);
                    let seen = printable(seen);
                    self.line(&format!(
                        "    {} {}: {seen}",
                        self.glyph(Verdict::Good),
                        outcome.rule.passes_as
                    ));
                }
                Answer::Unknown(why) => match unknown.iter_mut().find(|(known, _)| known == why) {
                    Some((_, rules)) => rules.push(outcome.rule.id),
                    None => unknown.push((why.clone(), vec![outcome.rule.id])),
                },
                Answer::Fail(findings) => {
                    for finding in findings {
                        let glyph = self.severity_glyph(finding.severity);
                        self.line(&format!("    {glyph} {}", finding.title));
                    }
                }
                Answer::NotApplicable(_) => {}
            }
        }
        if more > 0 {
            let glyph = self.glyph(Verdict::Good);
            let more = match (more, shown.is_empty()) {
                (1, true) => "1 check holds".to_owned(),
                (more, true) => format!("{more} checks hold"),
                (1, false) => "and 1 more holds".to_owned(),
                (more, false) => format!("and {more} more hold"),
            };
            self.line(&format!("    {glyph} {more}"));
        }
        for (why, rules) in unknown {
            let why = printable(&why);
            self.line(&format!("    {} {}: {why}", self.glyph(Verdict::Unknown), rules.join(", ")));
        }
    }

    fn finding(&mut self, finding: &Finding) {
        let glyph = self.severity_glyph(finding.severity);
        self.line(&format!("{glyph} {}: {}", finding.rule, finding.title));
        let width =
            finding.evidence.iter().map(|seen| seen.label.chars().count()).max().unwrap_or(0);
        for seen in &finding.evidence {
            self.line(&format!("    {:<width$}  {}", seen.label, seen.value));
        }
        self.line(&format!("    {}", finding.cause));
    }

    fn remedy(&mut self, number: usize, remedy: &Remedy) {
        self.line(&format!("    fix {number}: {}", remedy.title));
        for action in &remedy.actions {
            self.line(&format!("      {}", describe(action)));
            for line in printable_lines(&action.text).lines() {
                self.line(&format!("        {line}"));
            }
        }
        if remedy.effect() == Effect::Restart {
            self.line("      then restart the server");
        }
        if !remedy.note.is_empty() {
            self.line(&format!("      note: {}", printable(&remedy.note)));
        }
    }

    fn line(&mut self, text: &str) {
        // writing to a String cannot fail
        let _ = writeln!(self.out, "{}", text.trim_end());
    }

    fn glyph(&self, verdict: Verdict) -> String {
        let (glyph, color) = match verdict {
            Verdict::Good => ("✓", "32"),
            Verdict::Warning => ("!", "33"),
            Verdict::Error => ("✗", "31"),
            Verdict::NotApplicable => ("–", "90"),
            Verdict::Unknown => ("?", "36"),
        };
        self.painted(glyph, color)
    }

    fn severity_glyph(&self, severity: Severity) -> String {
        match severity {
            Severity::Error => self.glyph(Verdict::Error),
            Severity::Warning => self.glyph(Verdict::Warning),
            Severity::Note => self.painted("i", "34"),
        }
    }

    fn painted(&self, text: &str, color: &str) -> String {
        if self.look.color { format!("\x1b[{color}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// What an action is, above its text.
pub fn describe(action: &Action) -> String {
    let place = match action.place {
        Place::ServerHost => "on the server's host",
        Place::ClientHost => "on the client's host",
        Place::ServerSql => "in a session with the server",
        Place::DbaHost => "on this host",
    };
    let file = action.file.as_ref().map(|file| printable(&file.display().to_string()).into_owned());
    match (action.kind, file) {
        (ActionKind::Config, Some(file)) => format!("append to {file} {place}:"),
        (ActionKind::File, Some(file)) => format!("write {file} {place}:"),
        (ActionKind::Sql, _) => format!("{place}:"),
        _ => format!("run {place}:"),
    }
}

/// `1 error, 2 warnings; 3 questions open`
pub fn summary(examination: &Examination) -> String {
    let count = |severity| {
        let causes = examination.findings.iter().filter(|finding| finding.because_of.is_none());
        causes.filter(|finding| finding.severity == severity).count()
    };
    let counted = |count: usize, what: &str| match count {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let errors = counted(count(Severity::Error), "error");
    let warnings = counted(count(Severity::Warning), "warning");
    let consequences =
        examination.findings.iter().filter(|finding| finding.because_of.is_some()).count();
    let hanging = match consequences {
        0 => String::new(),
        count => format!(" ({})", counted(count, "consequence")),
    };
    let unknown = match examination.unknown().count() {
        0 => String::new(),
        count => format!("; {} open", counted(count, "question")),
    };
    format!("{errors}{hanging}, {warnings}{unknown}")
}

/// The few signs this program draws with, in ASCII; what else is not becomes `?`.
fn to_ascii(text: &str) -> String {
    let replaced = text.chars().map(|c| match c {
        '✓' => "ok".into(),
        '✗' => "X".into(),
        '–' => "-".into(),
        '└' => "`-".into(),
        '←' => "<-".into(),
        '≠' => "!=".into(),
        '…' => "...".into(),
        c if c.is_ascii() => c.to_string(),
        _ => "?".into(),
    });
    replaced.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;
    use crate::x509::PrivateKey;

    fn broken() -> Examination {
        Examination::judge(testing::with_files(|files| {
            let key = crate::x509::testing::root("other").key;
            files.key.as_mut().unwrap().content = Ok(PrivateKey::from_openssl(&key, "PRIVATE KEY"));
        }))
    }

    #[test]
    fn a_finding_is_named_shown_and_mended() {
        let text = text(&broken(), Look::default());
        assert!(text.contains("✗ key-mismatch: the key belongs to another certificate"), "{text}");
        assert!(text.contains("fix 1: make a private CA"), "{text}");
        assert!(text.ends_with("1 error, no warning\n"), "{text}");
    }

    #[test]
    fn what_holds_and_shows_nothing_is_counted() {
        let text = text(&Examination::judge(testing::healthy()), Look::default());
        let key =
            text.split("Key & certificate").nth(1).unwrap().split("CA & chain").next().unwrap();
        assert!(key.contains("✓ the key belongs to the certificate: EC P-256"), "{key}");
        assert!(key.contains("more hold\n"), "{key}");
        assert!(!key.contains("no byte order mark"), "{key}");
    }

    #[test]
    fn ascii_is_ascii_and_plain_has_no_escapes() {
        let ascii = text(&broken(), Look { ascii: true, color: false });
        assert!(ascii.is_ascii(), "{ascii}");
        assert!(!text(&broken(), Look::default()).contains('\x1b'));
        assert!(text(&broken(), Look { color: true, ascii: false }).contains("\x1b[31m✗\x1b[0m"));
    }

    #[test]
    fn a_hostile_name_reaches_no_terminal_raw() {
        let mut facts = testing::healthy();
        let crate::facts::Source::Read(files) = &mut facts.files else { panic!() };
        let ca = &mut files.ca.as_mut().unwrap().content.as_mut().unwrap()[0];
        ca.subject.rdns[0][0].text = "evil\x1b[2J\u{202E}CA".into();
        let text = text(&Examination::judge(facts), Look::default());
        assert!(text.contains("evil\\x1B[2J\\u{202E}CA") && !text.contains('\x1b'), "{text}");
    }
}
