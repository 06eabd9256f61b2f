use crate::facts::Facts;
use crate::remedy::access;
use crate::rules::server::{out_of_sight, works};
use crate::rules::{Answer, rule};

rule! {
    /// The server's systemd unit hides its key or certificate from it.
    ///
    /// ## What it checks
    /// While TLS does not work: whether `ssl_key`, `ssl_cert` or `ssl_ca` lies in a folder that the
    /// server's unit, or a drop-in of it, hides: `ProtectHome` (`/home`, `/root`), `PrivateTmp` (`/tmp`),
    /// `InaccessiblePaths`, `TemporaryFileSystem`.
    ///
    /// ## Why it matters
    /// Owner and mode are right, and the server's own user can read the file in a shell. For the
    /// service the folder is empty, and its log says only "Unable to get private key".
    ///
    /// ## How to fix
    /// Keep the files where servers keep them, under `/etc/mysql`, and name them there.
    ///
    /// ## Source
    /// systemd.exec(5), "Sandboxing".
    pub static FILES_HIDDEN_BY_SYSTEMD = {
        id: "files-hidden-by-systemd",
        step: Server,
        severity: Error,
        passes_as: "the unit lets the server see its files",
        explained_by: ["config-refused", "option-in-other-group"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if works(facts) {
        return Answer::pass();
    }
    let Some(unit) = facts.confinement.read().and_then(|found| found.unit.as_ref()) else {
        return Answer::not_applicable("no unit of systemd is known to start this server");
    };
    let hidden = out_of_sight(facts, |path| unit.hides(path).is_some());
    let Some((_, first)) = hidden.first() else { return Answer::Pass(unit.name.clone()) };
    let mut finding = FILES_HIDDEN_BY_SYSTEMD.finding(
        format!("{} hides the server's files from it", unit.name),
        "the folder is empty for the service, whatever ls says in a shell",
    );
    for (option, path) in &hidden {
        finding = finding.saw(option, path.display().to_string());
    }
    if let Some(by) = unit.hides(first) {
        finding = finding.saw("hidden by", format!("{}  ({})", by.setting, by.origin));
    }
    Answer::fail(finding.remedy(access::moved(facts, &hidden)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::confinement::{Confinement, Hidden, Unit};
    use crate::facts::{Origin, Source, UnreadKind};
    use crate::rules::testing;

    fn hiding(folder: &str) -> Facts {
        let mut facts = testing::with_files(|files| {
            files.key.as_mut().unwrap().path = "/home/dba/server-key.pem".into();
        });
        facts.wire = Source::unread(UnreadKind::Unreachable, "", "");
        facts.server = Source::unread(UnreadKind::Unreachable, "", "");
        let origin = Origin { file: "/usr/lib/systemd/system/mariadb.service".into(), line: 40 };
        let setting = "ProtectHome=true".into();
        let hidden = vec![Hidden { folder: folder.into(), setting, origin }];
        let unit = Unit { name: "mariadb.service".into(), hidden, shown: Vec::new() };
        facts.confinement = Source::Read(Confinement { unit: Some(unit), apparmor: None });
        facts
    }

    #[test]
    fn hidden_files_are_copied_to_where_they_are_seen() {
        let Answer::Fail(findings) = judge(&hiding("/home")) else { panic!() };
        assert_eq!(findings[0].title, "mariadb.service hides the server's files from it");
        let actions = &findings[0].remedies[0].actions;
        assert!(actions[0].text.contains("install -b -m 0640"), "{}", actions[0].text);
        assert!(actions[1].text.contains("ssl_key = "), "{}", actions[1].text);
    }

    #[test]
    fn a_link_is_followed_to_where_the_file_lies() {
        let mut facts = hiding("/home");
        let Source::Read(files) = &mut facts.files else { panic!() };
        let key = files.key.as_mut().unwrap();
        key.path = "/etc/mysql/server-key.pem".into();
        assert!(matches!(judge(&facts), Answer::Pass(_)));
        let Source::Read(files) = &mut facts.files else { panic!() };
        let access = files.key.as_mut().unwrap().access.as_mut().unwrap();
        access.real = Some("/home/dba/server-key.pem".into());
        assert!(matches!(judge(&facts), Answer::Fail(_)));
    }

    #[test]
    fn other_folders_and_a_server_with_tls_pass() {
        assert!(matches!(judge(&hiding("/root")), Answer::Pass(_)));
        assert_eq!(judge(&testing::healthy()), Answer::pass());
    }

    #[test]
    fn without_a_unit_there_is_nothing_to_say() {
        let mut facts = hiding("/home");
        facts.confinement = Source::Read(Confinement::default());
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
