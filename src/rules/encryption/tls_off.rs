use crate::facts::{Facts, Flavor, Version};
use crate::remedy::certificates::reissue;
use crate::remedy::{Action, Remedy};
use crate::rules::key::certificate_expired::CERTIFICATE_EXPIRED;
use crate::rules::key::certificate_not_yet_valid::CERTIFICATE_NOT_YET_VALID;
use crate::rules::{Answer, KEEPS_TLS_OFF, Rule, rule};
use crate::wire::TlsOffer;

rule! {
    /// The server offers no TLS.
    ///
    /// ## What it checks
    /// Whether the server's greeting offers TLS, and what the server says of `have_ssl`.
    ///
    /// ## Why it matters
    /// Everything travels in the clear, passwords of some kinds included. Clients that merely
    /// prefer TLS, which is the default, connect without it and say nothing.
    ///
    /// ## How to fix
    /// Mend what keeps the server from loading its key and certificate; where none are set, make
    /// them and name them with `ssl_ca`, `ssl_cert` and `ssl_key`.
    ///
    /// ## Source
    /// MySQL protocol, `CLIENT_SSL`; MySQL manual, "have_ssl"; MariaDB, "Secure Connections".
    pub static TLS_OFF = {
        id: "tls-off",
        step: Encryption,
        severity: Error,
        passes_as: "the server offers TLS",
        explained_by: KEEPS_TLS_OFF,
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if facts.server.read().is_some_and(crate::facts::ServerFacts::is_off_the_network) {
        return Answer::not_applicable("the server does not listen on the network");
    }
    let have_ssl = facts.server.read().and_then(|server| server.variable("have_ssl"));
    let finding = match facts.wire.read().map(|wire| &wire.tls) {
        Some(TlsOffer::Established(handshake)) => {
            return Answer::Pass(format!("{} {}", handshake.version, handshake.cipher));
        }
        Some(TlsOffer::Failed { reason }) => {
            let finding = TLS_OFF
                .finding(
                    "the TLS handshake with the server fails",
                    "clients that need TLS cannot connect",
                )
                .saw("reason", reason);
            match out_of_date(facts) {
                Some(rule) => finding.explained_by(rule),
                None => finding,
            }
        }
        Some(TlsOffer::NotOffered) => TLS_OFF
            .finding(
                "TLS is off",
                "everything travels in the clear; clients that only prefer TLS say nothing of it",
            )
            .saw("greeting", "does not offer TLS"),
        None => match (have_ssl, facts.wire.reason()) {
            (Some("YES"), _) => return Answer::Pass("have_ssl = YES".into()),
            (Some(_), _) => TLS_OFF.finding(
                "TLS is off",
                "everything travels in the clear; clients that only prefer TLS say nothing of it",
            ),
            (None, Some(unread)) => return Answer::unknown(unread),
            (None, None) => return Answer::not_applicable("nobody asked"),
        },
    };
    let finding = match have_ssl {
        Some(value) => finding.saw("have_ssl", value),
        None => finding,
    };
    let switched_off = facts.config.read().and_then(|config| {
        let value = config.get("ssl")?.to_ascii_lowercase();
        matches!(value.as_str(), "0" | "off" | "false").then_some("ssl")
    });
    let protocols_off = facts.server.read().is_some_and(|server| {
        server.flavor == Flavor::MySql
            && server.version >= Version(8, 0, 16)
            && server.variables.get("tls_version").is_some_and(String::is_empty)
    });
    let finding = match switched_off {
        Some(option) => finding.saw("option", format!("{option} is switched off")),
        None if protocols_off => finding.saw("tls_version", "is empty, which switches TLS off"),
        None => finding,
    };
    let shut = facts.server.read().is_some_and(|server| server.is_on("require_secure_transport"));
    let finding = if shut {
        finding.saw("require_secure_transport", "is ON, so nobody gets in over the network")
    } else {
        finding
    };
    let switch_on = switched_on_again(facts, switched_off, protocols_off);
    let has_files =
        facts.files.read().is_some_and(|files| files.key.is_some() && files.certificate.is_some());
    let make = if has_files && switch_on.is_some() { None } else { reissue(facts) };
    Answer::fail(finding.remedy(switch_on).remedy(make))
}

/// yaSSL breaks off every handshake while its own certificate is out of date; OpenSSL does not mind.
fn out_of_date(facts: &Facts) -> Option<&'static Rule> {
    let leaf = facts.served_leaf().filter(|_| facts.is_yassl())?;
    if leaf.not_before > facts.at {
        return Some(&CERTIFICATE_NOT_YET_VALID);
    }
    (leaf.not_after < facts.at).then_some(&CERTIFICATE_EXPIRED)
}

fn switched_on_again(facts: &Facts, off: Option<&str>, protocols_off: bool) -> Option<Remedy> {
    let config = facts.config.read()?;
    let (option, value) = if protocols_off {
        ("tls_version", "TLSv1.2,TLSv1.3")
    } else {
        off?;
        ("ssl", "ON")
    };
    let file =
        config.origin(off.unwrap_or(option)).map_or(&config.main_file, |origin| &origin.file);
    Some(Remedy::new("switch TLS on again", vec![Action::config(file, &[(option, value)])]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Source, UnreadKind};
    use crate::rules::testing;

    fn not_offered() -> Facts {
        let mut facts = testing::healthy();
        let Source::Read(wire) = &mut facts.wire else { panic!() };
        wire.tls = TlsOffer::NotOffered;
        facts
    }

    #[test]
    fn a_handshake_passes_with_its_protocol() {
        let answer = judge(&testing::healthy());
        assert_eq!(answer, Answer::Pass("TLSv1.3 TLS_AES_256_GCM_SHA384".into()));
    }

    #[test]
    fn a_greeting_without_tls_fails_whatever_have_ssl_says() {
        assert!(matches!(judge(&not_offered()), Answer::Fail(_)));
    }

    #[test]
    fn where_nothing_is_set_files_and_options_are_made() {
        let mut facts = not_offered();
        let Source::Read(files) = &mut facts.files else { panic!() };
        (files.key, files.certificate, files.ca, files.under_ca) = (None, None, None, None);
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        let actions = &findings[0].remedies[0].actions;
        assert!(actions[0].text.starts_with("mytls ca create"));
        assert_eq!(
            actions[1].text,
            "[mysqld]\nssl_ca = /etc/mysql/tls/ca.pem\nssl_cert = /etc/mysql/tls/server-cert.pem\nssl_key = /etc/mysql/tls/server-key.pem\n"
        );
    }

    #[test]
    fn an_option_that_switches_tls_off_is_named_and_turned() {
        let mut facts = not_offered();
        testing::set_option(&mut facts, "ssl", "0");
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert!(findings[0].evidence.iter().any(|seen| seen.value == "ssl is switched off"));
        assert_eq!(findings[0].remedies[0].actions[0].text, "[mysqld]\nssl = ON\n");
    }

    #[test]
    fn yassl_breaks_off_for_a_certificate_that_is_out_of_date_and_openssl_does_not() {
        for (library, cause) in
            [("YaSSL", Some("certificate-expired")), ("OpenSSL 3.0.19 27 Jan 2026", None)]
        {
            let mut facts = testing::with_server(|s| s.tls_library = Some(library.into()));
            let Source::Read(wire) = &mut facts.wire else { panic!() };
            wire.tls = TlsOffer::Failed { reason: "wrong version number".into() };
            facts.at += 10 * 365 * 86_400;
            let Answer::Fail(findings) = judge(&facts) else { panic!() };
            assert_eq!(findings[0].because_of, cause, "{library}");
        }
    }

    #[test]
    fn without_the_wire_the_server_is_believed() {
        let mut facts = testing::healthy();
        facts.wire = Source::unread(UnreadKind::NotAsked, "skip_networking is on", "");
        assert_eq!(judge(&facts), Answer::Pass("have_ssl = YES".into()));
        let Source::Read(server) = &mut facts.server else { panic!() };
        server.variables.insert("have_ssl".into(), "DISABLED".into());
        assert!(matches!(judge(&facts), Answer::Fail(_)));
        facts.server = Source::unread(UnreadKind::Refused, "root was refused", "");
        assert!(matches!(judge(&facts), Answer::Unknown(_)));
    }
}
