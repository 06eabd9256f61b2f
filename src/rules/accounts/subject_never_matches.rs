use std::fmt::Write as _;

use crate::facts::{Facts, Require};
use crate::remedy::statement::{Dialect, Form};
use crate::remedy::{Action, Remedy};
use crate::rules::accounts::specified;
use crate::rules::{Answer, rule};
use crate::x509::{Certificate, OneLine};

rule! {
    /// An account asks for a subject that no certificate can have.
    ///
    /// ## What it checks
    /// The `SUBJECT` that each account REQUIREs: by its form, which has to be that of OpenSSL's
    /// one-line names (`/O=Example/CN=app`), and beside the certificates that mytls's own CA issued
    /// to clients.
    ///
    /// ## Why it matters
    /// The server compares byte by byte. `CN=app,O=Example` (RFC 2253), `O = Example, CN = app` (as
    /// `openssl x509` prints it), an umlaut where OpenSSL writes `\xC3\xBC`, a `/` inside of a value
    /// without the backslash that OpenSSL 3 puts there, a space at the end: each looks right and
    /// shuts the account with error 1045, which says nothing of names.
    ///
    /// ## How to fix
    /// Use the subject as the server writes it. The Accounts step and `mytls` write it from the
    /// certificate; the server's error log has it after "but is".
    ///
    /// ## Source
    /// `acl_check_ssl()`; OpenSSL `X509_NAME_oneline(3)`.
    pub static SUBJECT_NEVER_MATCHES = {
        id: "subject-never-matches",
        step: Accounts,
        severity: Error,
        passes_as: "every subject asked for is one that a certificate can have",
        explained_by: ["tls-off"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let clients = facts.files.read().and_then(|files| files.own_ca.as_ref());
    let clients = clients.map_or(&[][..], |own| own.clients.as_slice());
    specified(facts, |server, account, (subject, issuer, cipher)| {
        if subject.is_empty() {
            return None;
        }
        let dialect = Dialect::of(server);
        let line = |client: &Certificate| client.subject.oneline(dialect.names);
        if clients.iter().any(|client| line(client) == subject) {
            return None;
        }
        let meant = clients.iter().find(|client| parts(&line(client)) == parts(subject));
        let library = dialect.names_known.then_some(dialect.names);
        // A space at the end and another order are a name that exists, unless the one meant is here.
        let why = malformed(subject, library)
            .or_else(|| meant.map(|_| "it is another spelling of a certificate's subject"))?;
        let mut finding = SUBJECT_NEVER_MATCHES
            .finding(
                format!("{} asks for a subject that no certificate has", account.name),
                format!("{why}; the server compares byte by byte, and refuses with error 1045"),
            )
            .saw("account", account.name.to_string())
            .saw("SUBJECT", format!("'{subject}'"));
        if let Some(client) = meant {
            let right = line(client);
            finding = finding.saw("certificate", format!("'{right}'"));
            let require = Require::Specified {
                subject: right,
                issuer: issuer.to_owned(),
                cipher: cipher.to_owned(),
            };
            let names = std::slice::from_ref(&account.name);
            let sql = dialect.require(names, &require, Form::Alter).sql();
            let title = "name the certificate's subject as the server writes it";
            finding = finding.remedy([Remedy::new(title, vec![Action::sql(sql)])]);
        }
        Some(finding)
    })
}

/// Why no library ever writes a name like this; `None` when one may, or the library is not known.
fn malformed(subject: &str, library: Option<OneLine>) -> Option<&'static str> {
    if !subject.starts_with('/') {
        return Some("it does not begin with a /, as every name does in the server's form");
    }
    let attributes = split(&subject[1..]).filter_map(|part| part.split_once('='));
    if attributes.map(|(name, _)| name).any(is_misspelled) {
        return Some(
            "it has an attribute that is written with other capitals: CN, O, emailAddress",
        );
    }
    let prints = subject.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    match library? {
        OneLine::OpenSsl3 | OneLine::OpenSsl1 if !prints => {
            Some(r"it holds bytes that OpenSSL writes as \xHH")
        }
        OneLine::OpenSsl3 if !split(&subject[1..]).all(|part| part.contains('=')) => {
            Some(r"it holds a / that OpenSSL 3 writes as \/")
        }
        _ => None,
    }
}

/// The server compares `CN`, and never writes `cn`.
fn is_misspelled(attribute: &str) -> bool {
    const NAMES: [&str; 16] = [
        "C",
        "ST",
        "L",
        "O",
        "OU",
        "CN",
        "SN",
        "GN",
        "DC",
        "UID",
        "title",
        "street",
        "postalCode",
        "serialNumber",
        "emailAddress",
        "dnQualifier",
    ];
    let name = attribute.trim();
    !NAMES.contains(&name) && NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// At each `/` without a backslash before it.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c| {
        let ends = c == '/' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}

/// The attributes of a name in whatever spelling, in no order.
fn parts(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = name
        .split(['/', ',', '+'])
        .map(|part| part.split('=').map(str::trim).collect::<Vec<_>>().join("="))
        .map(|part| part.trim_end_matches('\\').to_owned())
        .map(|part| bytes_of(&part))
        .filter(|part| !part.is_empty())
        .collect();
    parts.sort();
    parts
}

/// With `ü` as `\xC3\xBC`, as OpenSSL writes it.
fn bytes_of(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b' '..=b'~' => out.push(char::from(byte)),
            // writing to a String cannot fail
            _ => drop(write!(out, "\\x{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{OwnCa, Source};
    use crate::rules::accounts::testing::with;
    use crate::x509::testing as pki;

    fn asking(subject: &str, client: &str) -> Facts {
        let mut facts = with(Require::Specified {
            subject: subject.into(),
            issuer: "/CN=Own".into(),
            cipher: String::new(),
        });
        let own = pki::root("Own");
        let client = own.issue_server(client);
        let Source::Read(files) = &mut facts.files else { panic!() };
        files.own_ca = Some(OwnCa {
            above: Vec::new(),
            dir: "/ca".into(),
            certificate: Certificate::from_openssl(&own.certificate),
            clients: vec![Certificate::from_openssl(&client.certificate)],
        });
        facts
    }

    #[test]
    fn every_other_spelling_is_corrected_from_the_certificate() {
        for subject in ["CN=app", "CN = app", "/CN=app ", "/CN = app", "app/CN=app/"] {
            let Answer::Fail(findings) = judge(&asking(subject, "app")) else {
                assert_eq!(subject, "app/CN=app/", "which is by its form alone");
                panic!()
            };
            if subject != "app/CN=app/" {
                assert_eq!(
                    findings[0].remedies[0].actions[0].text,
                    "ALTER USER 'app'@'%' REQUIRE\n  SUBJECT '/CN=app'\n  AND ISSUER '/CN=Own';",
                    "{subject}"
                );
            }
        }
        let Answer::Fail(findings) = judge(&asking("/CN=Jürgen", "Jürgen")) else { panic!() };
        assert!(findings[0].remedies[0].actions[0].text.contains(r"/CN=J\xC3\xBCrgen"));
    }

    #[test]
    fn a_slash_is_judged_by_the_library() {
        let facts = asking("/O=A/B Corp/CN=x", "app");
        assert!(matches!(judge(&facts), Answer::Fail(_)));
        let mut older = facts;
        let Source::Read(server) = &mut older.server else { panic!() };
        server.tls_library = Some("OpenSSL 1.1.1w".into());
        assert!(matches!(judge(&older), Answer::Pass(_)));
        assert!(matches!(judge(&asking(r"/O=A\/B Corp/CN=x", "app")), Answer::Pass(_)));
    }

    #[test]
    fn small_letters_are_never_written() {
        assert!(matches!(judge(&asking("/o=Other/cn=app", "somebody")), Answer::Fail(_)));
        assert!(matches!(judge(&asking("/O=Other/uid=app", "somebody")), Answer::Fail(_)));
        assert!(matches!(judge(&asking("/O=cn=app/UID=o", "somebody")), Answer::Pass(_)));
    }

    #[test]
    fn names_of_other_peoples_certificates_are_left_alone() {
        for subject in ["/CN=app", "/O=Other/CN=app", "/CN=somebody ", "/C=SE/O=A, B/CN=x"] {
            assert!(matches!(judge(&asking(subject, "app")), Answer::Pass(_)), "{subject}");
        }
        assert!(matches!(judge(&with(Require::Ssl)), Answer::NotApplicable(_)));
    }
}
