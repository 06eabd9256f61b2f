use std::path::Path;

use crate::facts::{Facts, Holds, Lost, Origin, ServerConfig, ServerFiles};
use crate::remedy::{Action, Effect, Remedy, shell};
use crate::rules::{Answer, files, rule};
use crate::wire::TlsOffer;
use crate::x509::{Certificate, PublicKey};

rule! {
    /// A setting that was right is replaced by one that is read later.
    ///
    /// ## What it checks
    /// While TLS does not work: whether `ssl_key` or `ssl_cert` is set twice, and the file named by
    /// the setting that lost fits where that of the one that won does not.
    ///
    /// ## Why it matters
    /// The last setting wins, and files of an `!includedir` are read in the order of their names.
    /// Whoever looks into `my.cnf` finds the right file there and looks no further.
    ///
    /// ## How to fix
    /// Take the later line out.
    ///
    /// ## Source
    /// MySQL manual, "Using Option Files" (the last instance takes precedence); `my_print_defaults`.
    pub static OPTION_OVERRIDDEN = {
        id: "option-overridden",
        step: Server,
        severity: Error,
        passes_as: "no setting for TLS replaces a better one",
        explained_by: ["config-refused"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let Some(config) = facts.config.read() else {
        return Answer::not_applicable("the server's option files were not read");
    };
    let works = facts.wire.read().is_some_and(|wire| matches!(wire.tls, TlsOffer::Established(_)));
    if works || fit(files.leaf(), files.private_key().map(|key| &key.public)) {
        return Answer::pass();
    }
    let replaced = ["ssl_key", "ssl_cert"].map(|option| replaced(config, option));
    let key = replaced[0]
        .and_then(|lost| key_in(files, lost))
        .or_else(|| files.private_key().map(|key| &key.public));
    let leaf = replaced[1].and_then(|lost| leaf_in(files, lost)).or_else(|| files.leaf());
    if !fit(leaf, key) {
        return Answer::pass();
    }
    let mut finding = OPTION_OVERRIDDEN.finding(
        "a setting that was right is replaced by one that is read later",
        "the last one counts, and what it names does not fit",
    );
    let mut actions = Vec::new();
    for lost in replaced.into_iter().flatten() {
        let Some(origin) = config.origin(&lost.name) else { continue };
        let (before, now) = (lost.value.as_deref(), config.get(&lost.name));
        finding = finding
            .saw(&lost.name, format!("{}  ({})", before.unwrap_or_default(), lost.origin))
            .saw("replaced by", format!("{}  ({origin})", now.unwrap_or_default()));
        actions.push(taken_out(origin));
    }
    Answer::fail(finding.remedy([Remedy::new("take the later line out", actions)]))
}

fn taken_out(Origin { file, line }: &Origin) -> Action {
    Action::shell(
        format!("sed -i.bak --follow-symlinks '{line}s/^/# /' {}", shell::path(file)),
        Effect::Restart,
    )
}

fn fit(leaf: Option<&Certificate>, key: Option<&PublicKey>) -> bool {
    leaf.zip(key).is_some_and(|(leaf, key)| leaf.certifies(key))
}

/// The setting that counted before the last one.
fn replaced<'a>(config: &'a ServerConfig, option: &str) -> Option<&'a Lost> {
    config.lost.iter().rfind(|lost| lost.group.is_none() && lost.name == option)
}

fn key_in<'a>(files: &'a ServerFiles, lost: &Lost) -> Option<&'a PublicKey> {
    match holds(files, lost)? {
        Holds::Key(key) => Some(&key.public),
        Holds::Certificates(_) => None,
    }
}

fn leaf_in<'a>(files: &'a ServerFiles, lost: &Lost) -> Option<&'a Certificate> {
    match holds(files, lost)? {
        Holds::Certificates(certificates) => certificates.first(),
        Holds::Key(_) => None,
    }
}

/// A relative path counts from the data folder, so that its end is what there is to go by.
fn holds<'a>(files: &'a ServerFiles, lost: &Lost) -> Option<&'a Holds> {
    let path = Path::new(lost.value.as_deref()?);
    let end = path.strip_prefix("./").unwrap_or(path);
    files.nearby.iter().find(|near| near.path.ends_with(end)).map(|near| &near.holds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Nearby, Source, UnreadKind};
    use crate::rules::testing;
    use crate::x509::PrivateKey;

    /// Down, with the right key in `my.cnf` and another one in a file that is read later.
    fn overridden() -> Facts {
        let mut facts = testing::with_files(|files| {
            let right = files.private_key().unwrap().clone();
            let other = crate::x509::testing::root("other").key;
            let other = PrivateKey::from_openssl(&other, "PRIVATE KEY");
            files.key.as_mut().unwrap().content = Ok(other);
            let path = "/etc/mysql/tls/server-key.pem".into();
            files.nearby.push(Nearby { path, holds: Holds::Key(right) });
        });
        facts.wire = Source::unread(UnreadKind::Unreachable, "", "");
        testing::set_option(&mut facts, "ssl_key", "/old/server-key.pem");
        let Source::Read(config) = &mut facts.config else { panic!() };
        config.lost.push(Lost {
            name: "ssl_key".into(),
            value: Some("/etc/mysql/tls/server-key.pem".into()),
            origin: Origin { file: "/etc/mysql/my.cnf".into(), line: 14 },
            group: None,
        });
        facts
    }

    #[test]
    fn the_later_line_is_taken_out() {
        let Answer::Fail(findings) = judge(&overridden()) else { panic!() };
        assert_eq!(
            findings[0].remedies[0].actions[0].text,
            "sed -i.bak --follow-symlinks '20s/^/# /' /etc/mysql/my.cnf"
        );
        assert_eq!(
            findings[0].evidence[0].value,
            "/etc/mysql/tls/server-key.pem  (/etc/mysql/my.cnf:14)"
        );
    }

    #[test]
    fn a_setting_that_lost_and_is_no_better_is_nobodys_business() {
        let mut facts = overridden();
        let Source::Read(files) = &mut facts.files else { panic!() };
        files.nearby.clear();
        assert_eq!(judge(&facts), Answer::pass());
    }

    #[test]
    fn while_it_works_the_last_one_may_win() {
        let mut facts = overridden();
        facts.wire = testing::healthy().wire;
        assert_eq!(judge(&facts), Answer::pass());
        facts.config = Source::unread(UnreadKind::NotAsked, "", "");
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
