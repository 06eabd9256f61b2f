use std::fmt::Write as _;

use crate::facts::Facts;
use crate::remedy::{Action, Effect, Remedy, access, shell};
use crate::rules::server::{out_of_sight, works};
use crate::rules::{Answer, rule};

rule! {
    /// The server's AppArmor profile does not let it read its key or certificate.
    ///
    /// ## What it checks
    /// While TLS does not work, AppArmor is on and the server's profile is in force: whether a rule
    /// of the profile, or of what it includes, lets the server read `ssl_key`, `ssl_cert` and `ssl_ca`.
    ///
    /// ## Why it matters
    /// Debian's and Ubuntu's profile for MySQL allows `/etc/mysql` and the data folder. Keys under
    /// `/etc/ssl/private` or `/etc/letsencrypt` are denied although their owner and mode are right, and
    /// the log says only "Unable to get private key"; the kernel's has `apparmor="DENIED"`.
    ///
    /// ## How to fix
    /// Keep the files under `/etc/mysql`, or allow them in the profile's local additions.
    ///
    /// ## Source
    /// apparmor.d(5); Debian's `usr.sbin.mysqld`.
    pub static FILES_DENIED_BY_APPARMOR = {
        id: "files-denied-by-apparmor",
        step: Server,
        severity: Error,
        passes_as: "AppArmor lets the server read its files",
        explained_by: ["config-refused", "option-in-other-group"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if works(facts) {
        return Answer::pass();
    }
    let Some(profile) = facts.confinement.read().and_then(|found| found.apparmor.as_ref()) else {
        return Answer::not_applicable("no profile of AppArmor is in force for this server");
    };
    let denied = out_of_sight(facts, |path| !profile.allows(path));
    if denied.is_empty() {
        return Answer::Pass(profile.file.display().to_string());
    }
    let mut finding = FILES_DENIED_BY_APPARMOR.finding(
        "AppArmor does not let the server read its files",
        "the kernel refuses what the permissions would allow",
    );
    let (mut rules, local) = (String::new(), profile.local());
    for (option, path) in &denied {
        finding = finding.saw(option, path.display().to_string());
        // writing to a String cannot fail
        let _ = write!(rules, " {}", shell::word(&format!("  \"{}\" r,", path.display())));
    }
    let command = format!(
        "printf '%s\\n'{rules} >> {} &&\napparmor_parser -r {}",
        shell::path(&local),
        shell::path(&profile.file)
    );
    let allow = Remedy::new(
        "allow them in the profile's local additions",
        vec![Action::shell(command, Effect::Restart)],
    );
    let finding = finding.saw("profile", profile.file.display().to_string());
    Answer::fail(finding.remedy([allow]).remedy(access::moved(facts, &denied)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::confinement::{Confinement, Profile};
    use crate::facts::{Source, UnreadKind};
    use crate::rules::testing;

    fn allowing(pattern: &str) -> Facts {
        let mut facts = testing::with_files(|files| {
            files.key.as_mut().unwrap().path = "/home/dba/server-key.pem".into();
        });
        facts.wire = Source::unread(UnreadKind::Unreachable, "", "");
        facts.server = Source::unread(UnreadKind::Unreachable, "", "");
        let file = "/etc/apparmor.d/usr.sbin.mysqld".into();
        let profile = Profile { file, allowed: vec![pattern.into()], denied: Vec::new() };
        facts.confinement = Source::Read(Confinement { unit: None, apparmor: Some(profile) });
        facts
    }

    #[test]
    fn what_is_denied_is_added_to_the_local_rules() {
        let Answer::Fail(findings) = judge(&allowing("/etc/mysql/**")) else { panic!() };
        let text = &findings[0].remedies[0].actions[0].text;
        assert!(text.contains("/etc/apparmor.d/local/usr.sbin.mysqld"), "{text}");
        assert!(text.contains(r#"'  "/home/dba/server-key.pem" r,'"#), "{text}");
        assert!(text.ends_with("apparmor_parser -r /etc/apparmor.d/usr.sbin.mysqld"), "{text}");
    }

    #[test]
    fn what_is_allowed_passes_and_so_does_a_server_with_tls() {
        assert!(matches!(judge(&allowing("/{etc/mysql,home}/**")), Answer::Pass(_)));
        assert_eq!(judge(&testing::healthy()), Answer::pass());
    }

    #[test]
    fn without_a_profile_there_is_nothing_to_say() {
        let mut facts = allowing("/etc/mysql/**");
        facts.confinement = Source::unread(UnreadKind::NotAsked, "", "");
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
