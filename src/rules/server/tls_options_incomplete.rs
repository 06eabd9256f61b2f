use std::path::Path;

use crate::facts::{Facts, Flavor, Holds, ServerFiles};
use crate::remedy::certificates::reissue;
use crate::remedy::{Action, Remedy};
use crate::rules::{Answer, rule};
use crate::wire::TlsOffer;
use crate::x509::Certificate;

/// With any one of these set, MySQL looks for nothing in its data folder.
const OPTIONS: [&str; 6] =
    ["ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_crl", "ssl_crlpath"];

rule! {
    /// Some of the options for TLS are set, and the key or the certificate is not among them.
    ///
    /// ## What it checks
    /// While TLS does not work: whether one of `ssl_ca`, `ssl_capath`, `ssl_cert`, `ssl_key`,
    /// `ssl_crl`, `ssl_crlpath` is set, and `ssl_cert` or `ssl_key` is not.
    ///
    /// ## Why it matters
    /// MySQL finds `ca.pem`, `server-cert.pem` and `server-key.pem` in its data folder by itself, until
    /// any of the six options is set: then it looks for nothing and makes nothing, and comes up without
    /// TLS. A key that is not named is looked for in the file of the certificate, and the other way
    /// round; MariaDB ends when it is not there.
    ///
    /// ## How to fix
    /// Set all three: `ssl_ca`, `ssl_cert`, `ssl_key`.
    ///
    /// ## Source
    /// MySQL manual, "Configuring MySQL to Use Encrypted Connections"; `sql/ssl_acceptor_context_data.cc`,
    /// `do_auto_cert_generation()`.
    pub static TLS_OPTIONS_INCOMPLETE = {
        id: "tls-options-incomplete",
        step: Server,
        severity: Error,
        passes_as: "key and certificate are both named",
        explained_by: ["config-refused", "option-in-other-group"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if matches!(facts.wire.read().map(|wire| &wire.tls), Some(TlsOffer::Established(_))) {
        return Answer::pass();
    }
    let server = facts.server.read();
    if facts.wire.read().is_none()
        && server.is_some_and(|server| server.variable("have_ssl") == Some("YES"))
    {
        return Answer::pass();
    }
    let value = |option: &str| match server {
        Some(server) => server.variable(option),
        None => facts.config.read().and_then(|config| config.get(option)),
    };
    if server.is_none() && facts.config.read().is_none() {
        return Answer::not_applicable("the server's option files were not read");
    }
    let (set, unset): (Vec<&str>, Vec<&str>) =
        OPTIONS.iter().partition(|option| value(option).is_some());
    let missing: Vec<&str> =
        ["ssl_cert", "ssl_key"].into_iter().filter(|option| unset.contains(option)).collect();
    if set.is_empty() || missing.is_empty() {
        return Answer::pass();
    }
    let mysql = server.is_some_and(|server| server.flavor == Flavor::MySql);
    let cause = match &*missing {
        ["ssl_cert", "ssl_key"] if mysql => {
            "with one of these options set the server looks for no certificate by itself, and has none"
        }
        ["ssl_cert", "ssl_key"] => "the server has no certificate to show",
        ["ssl_key"] => {
            "the server looks for the key in the file of the certificate, where it is not"
        }
        _ => "the server looks for the certificate in the file of the key, where it is not",
    };
    let be = if missing.len() == 1 { "is" } else { "are" };
    let title = format!("{} {be} not set, though {} is", missing.join(" and "), set.join(", "));
    let mut finding = TLS_OPTIONS_INCOMPLETE.finding(title, cause);
    for option in &set {
        finding = finding.saw(option, value(option).unwrap_or_default());
    }
    for option in &missing {
        finding = finding.saw(option, "not set");
    }
    let complete = facts.files.read().and_then(|files| {
        let config = facts.config.read()?;
        let (certificate, key) = pair(files)?;
        let paths = [certificate.display().to_string(), key.display().to_string()];
        let options: Vec<(&str, &str)> = missing
            .iter()
            .map(|option| (*option, paths[usize::from(*option == "ssl_key")].as_str()))
            .collect();
        let title = format!("name {}, as found here", missing.join(" and "));
        Some(Remedy::new(title, vec![Action::config(&config.main_file, &options)]))
    });
    Answer::fail(finding.remedy(complete).remedy(reissue(facts)))
}

/// A certificate for servers and its key, either of which may be named already.
fn pair(files: &ServerFiles) -> Option<(&Path, &Path)> {
    let keys = files.nearby.iter().filter_map(|near| match &near.holds {
        Holds::Key(key) => Some((near.path.as_path(), &key.public)),
        Holds::Certificates(_) => None,
    });
    let named_key = files.key.as_ref().zip(files.private_key());
    let keys: Vec<_> = named_key
        .map(|(file, key)| (file.path.as_path(), &key.public))
        .into_iter()
        .chain(keys)
        .collect();
    let certificates = files.nearby.iter().filter_map(|near| match &near.holds {
        Holds::Certificates(certificates) => Some((near.path.as_path(), certificates.first()?)),
        Holds::Key(_) => None,
    });
    let named = files.certificate.as_ref().zip(files.leaf());
    let named = named.map(|(file, leaf)| (file.path.as_path(), leaf));
    let certificates: Vec<_> = match named {
        Some(named) => vec![named],
        None => certificates.filter(|(_, leaf)| is_for_a_server(leaf)).collect(),
    };
    certificates.iter().find_map(|(path, leaf)| {
        let (key, _) = keys.iter().find(|(_, key)| leaf.certifies(key))?;
        Some((*path, *key))
    })
}

fn is_for_a_server(leaf: &Certificate) -> bool {
    leaf.is_ca != Some(true) && leaf.purposes.is_none_or(|purposes| purposes.server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Nearby, Source, UnreadKind};
    use crate::rules::testing;

    /// Down, and only these of the three options are set.
    fn set_alone(options: &[&str]) -> Facts {
        let mut facts = testing::with_files(|files| {
            let (key, certificate) = (files.key.take().unwrap(), files.certificate.take().unwrap());
            let holds = Holds::Key(key.content.clone().unwrap());
            files.nearby.push(Nearby { path: "/var/lib/mysql/server-key.pem".into(), holds });
            let holds = Holds::Certificates(certificate.content.clone().unwrap());
            files.nearby.push(Nearby { path: "/var/lib/mysql/server-cert.pem".into(), holds });
            files.key = Some(key).filter(|_| options.contains(&"ssl_key"));
            files.certificate = Some(certificate).filter(|_| options.contains(&"ssl_cert"));
        });
        facts.wire = Source::unread(UnreadKind::Unreachable, "", "");
        facts.server = Source::unread(UnreadKind::Unreachable, "", "");
        let Source::Read(config) = &mut facts.config else { panic!() };
        config.options.retain(|name, _| options.contains(&name.as_str()));
        facts
    }

    #[test]
    fn what_lies_there_is_named() {
        let Answer::Fail(findings) = judge(&set_alone(&["ssl_ca"])) else { panic!() };
        assert_eq!(findings[0].title, "ssl_cert and ssl_key are not set, though ssl_ca is");
        assert_eq!(
            findings[0].remedies[0].actions[0].text,
            "[mysqld]\nssl_cert = /var/lib/mysql/server-cert.pem\nssl_key = /var/lib/mysql/server-key.pem\n"
        );
        let Answer::Fail(findings) = judge(&set_alone(&["ssl_ca", "ssl_cert"])) else { panic!() };
        assert_eq!(
            findings[0].remedies[0].actions[0].text,
            "[mysqld]\nssl_key = /var/lib/mysql/server-key.pem\n"
        );
    }

    #[test]
    fn all_or_none_is_no_matter_of_this_rule() {
        assert_eq!(judge(&set_alone(&["ssl_ca", "ssl_cert", "ssl_key"])), Answer::pass());
        assert_eq!(judge(&set_alone(&[])), Answer::pass());
    }

    #[test]
    fn a_server_with_tls_has_what_it_needs() {
        let mut facts = set_alone(&["ssl_cert"]);
        facts.wire = testing::healthy().wire;
        assert_eq!(judge(&facts), Answer::pass());
        facts = set_alone(&["ssl_cert"]);
        facts.config = Source::unread(UnreadKind::NotAsked, "", "");
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
