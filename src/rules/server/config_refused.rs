use crate::facts::{ConfigDefect, Facts, Origin, ServerConfig};
use crate::printable::printable;
use crate::remedy::{Action, Effect, Remedy, shell};
use crate::rules::{Answer, Finding, Severity, rule};

rule! {
    /// An option file is refused, in whole or in part.
    ///
    /// ## What it checks
    /// Whether the server gets through its option files: an option or a byte order mark before the
    /// first group, a group without its `]`, an `!includedir` of a folder that is not there; and
    /// whether everybody may write to one, which makes the server pass it over.
    ///
    /// ## Why it matters
    /// At the first of these the server gives up and does not start; in a file that another
    /// includes, it passes over the rest of that one. What it passes over may hold the very options
    /// that switch TLS on, and the server starts without them.
    ///
    /// ## How to fix
    /// Mend the line that is named, or take everybody's right to write away from the file.
    ///
    /// ## Source
    /// `mysys/my_default.c` of both families, `search_default_file_with_ext()`.
    pub static CONFIG_REFUSED = {
        id: "config-refused",
        step: Server,
        severity: Error,
        passes_as: "the option files can be read",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(config) = facts.config.read() else {
        return Answer::not_applicable("the server's option files were not read");
    };
    let running = facts.is_running();
    let findings: Vec<Finding> =
        config.defects.iter().filter_map(|defect| finding(defect, config, running)).collect();
    if findings.is_empty() {
        return Answer::Pass(format!("{} read", config.files.len()));
    }
    Answer::Fail(findings)
}

fn finding(defect: &ConfigDefect, config: &ServerConfig, running: bool) -> Option<Finding> {
    let fatal = |title: &str, at: &Origin, command: String| {
        let included = config.included.contains(&at.file);
        let cause = if included {
            "the server passes over the rest of this file, and starts without what is set there"
        } else {
            "the server gives up at this line and does not start"
        };
        let finding = CONFIG_REFUSED.finding(title, cause).saw("line", at.to_string());
        let action = Action::shell(command, Effect::Restart);
        let finding = finding.remedy([Remedy::new("mend the line", vec![action])]);
        // It runs now, and will not start again; or it starts, and something is missing.
        if running || included { finding.at(Severity::Warning) } else { finding }
    };
    Some(match defect {
        ConfigDefect::NoGroup { at } => {
            let file = shell::path(&at.file);
            let mark = r"s/^\xEF\xBB\xBF//";
            let command = if at.line == 1 {
                format!(
                    "LC_ALL=C sed -i.bak --follow-symlinks -e '1{mark}' -e '1{{/^\\[/!s/^/# /}}' {file}"
                )
            } else {
                format!("sed -i.bak --follow-symlinks '{}s/^/# /' {file}", at.line)
            };
            fatal("an option stands before the first group of its file", at, command)
        }
        ConfigDefect::Broken { at } => fatal(
            "a line of an option file is none",
            at,
            format!("sed -i.bak --follow-symlinks '{}s/^/# /' {}", at.line, shell::path(&at.file)),
        ),
        ConfigDefect::NoFolder { at, path } => {
            fatal("!includedir names a folder that is not there", at, {
                format!("mkdir -p {}", shell::path(path))
            })
            .saw("folder", path.display().to_string())
        }
        ConfigDefect::WorldWritable { file } => CONFIG_REFUSED
            .finding(
                "an option file is passed over, since everybody may write to it",
                "none of its options count, and anybody on this host can change them",
            )
            .saw("file", printable(&file.display().to_string()))
            .remedy([Remedy::new(
                "let nobody but its owner write to it",
                vec![Action::shell(format!("chmod go-w {}", shell::path(file)), Effect::Restart)],
            )]),
        // passed over without a word, on purpose as often as not
        ConfigDefect::NotThere { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Source, UnreadKind};
    use crate::rules::testing;

    fn with(defect: ConfigDefect) -> Facts {
        let mut facts = testing::healthy();
        let Source::Read(config) = &mut facts.config else { panic!() };
        config.defects.push(defect);
        facts
    }

    fn at() -> Origin {
        Origin { file: "/etc/my.cnf".into(), line: 3 }
    }

    #[test]
    fn sound_files_pass_and_a_missing_include_is_nobodys_fault() {
        assert!(matches!(judge(&testing::healthy()), Answer::Pass(_)));
        let facts = with(ConfigDefect::NotThere { at: at(), path: "/x".into() });
        assert!(matches!(judge(&facts), Answer::Pass(_)));
    }

    #[test]
    fn a_running_server_is_warned_of_its_next_start() {
        let mut facts = with(ConfigDefect::NoFolder { at: at(), path: "/etc/a b".into() });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].severity, Severity::Warning);
        assert_eq!(findings[0].remedies[0].actions[0].text, "mkdir -p '/etc/a b'");
        facts.server = Source::unread(UnreadKind::Unreachable, "", "");
        facts.wire = Source::unread(UnreadKind::Unreachable, "", "");
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].severity, Severity::Error);
    }

    #[test]
    fn in_an_included_file_it_keeps_no_server_from_starting() {
        let mut facts = with(ConfigDefect::Broken { at: at() });
        facts.server = Source::unread(UnreadKind::Unreachable, "", "");
        facts.wire = Source::unread(UnreadKind::Unreachable, "", "");
        let Source::Read(config) = &mut facts.config else { panic!() };
        config.included.push(at().file);
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(findings[0].severity, Severity::Warning);
        assert!(findings[0].cause.contains("the rest of this file"), "{}", findings[0].cause);
    }

    #[test]
    fn files_that_were_not_read_are_not_judged() {
        let mut facts = testing::healthy();
        facts.config = Source::unread(UnreadKind::NotAsked, "", "");
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
