use crate::facts::{Facts, Holds};
use crate::remedy::certificates::reissue;
use crate::rules::{Answer, Severity, rule};
use crate::x509::Certificate;

rule! {
    /// The server uses the certificate that it made for itself.
    ///
    /// ## What it checks
    /// Whether the server's certificate is one that MySQL writes into a new data folder
    /// (`MySQL_Server_..._Auto_Generated_Server_Certificate`), or the one that MariaDB 11.4 and
    /// later make in memory at each start (`MariaDB Server`, signed by itself).
    ///
    /// ## Why it matters
    /// It encrypts, and proves nothing. It names no host, so `VERIFY_IDENTITY` can never succeed;
    /// MySQL's has the same name on every server of that version and lies beside the key of its CA,
    /// with which whoever reads the data folder can make a certificate for every account. MariaDB's
    /// is another one after each start; only clients of 11.4 and later can check it, by the password.
    ///
    /// ## How to fix
    /// Issue a certificate for this server from a CA of your own, and give that CA to the clients.
    ///
    /// ## Source
    /// MySQL manual, "Creating SSL and RSA Certificates and Keys using MySQL"; MariaDB, "Securing
    /// Connections for Client and Server", zero-configuration TLS.
    pub static CERTIFICATE_AUTO_GENERATED = {
        id: "certificate-auto-generated",
        step: Key,
        severity: Error,
        passes_as: "the certificate was made for this server",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(leaf) = facts.served_leaf() else {
        return Answer::not_applicable("there is no certificate");
    };
    let Some(maker) = maker(leaf) else { return Answer::pass() };
    // Fresh from its package a server works; it is broken for clients that were given another CA.
    let refused = facts
        .handshake()
        .and_then(|handshake| handshake.faults.as_ref())
        .is_some_and(|faults| faults.iter().any(|fault| !fault.is_about_time()));
    let given = facts.target.ssl_ca.is_some();
    let severity = match maker {
        _ if refused && given => Severity::Error,
        "MySQL" => Severity::Warning,
        _ => Severity::Note,
    };
    let mut finding = CERTIFICATE_AUTO_GENERATED
        .finding(
            format!("{maker} made this certificate for itself"),
            if severity == Severity::Error {
                "clients that trust the CA given refuse the server"
            } else {
                "it encrypts, but clients cannot make sure by it which server they talk to"
            },
        )
        .saw("certificate", leaf.subject.display())
        .at(severity);
    let files = facts.files.read();
    let ca_key = files.and_then(|files| {
        files.nearby.iter().find(|near| match &near.holds {
            Holds::Key(key) => files.ca_certificates().iter().any(|ca| ca.certifies(&key.public)),
            Holds::Certificates(_) => false,
        })
    });
    if let Some(ca_key) = ca_key {
        finding = finding.saw("the CA's key", ca_key.path.display().to_string());
    }
    Answer::fail(finding.remedy(reissue(facts)))
}

/// Which server made it, when one did.
pub(super) fn maker(leaf: &Certificate) -> Option<&'static str> {
    let name = leaf.subject.short();
    if name.starts_with("MySQL_Server_") && name.ends_with("Auto_Generated_Server_Certificate") {
        return Some("MySQL");
    }
    (name == "MariaDB Server" && leaf.self_signed).then_some("MariaDB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;
    use crate::x509::{Name, testing as x509};

    fn named(name: &str, self_signed: bool) -> Facts {
        let subject = Name::from_openssl(x509::root(name).certificate.subject_name());
        testing::with_files(|files| {
            let leaf = &mut files.certificate.as_mut().unwrap().content.as_mut().unwrap()[0];
            (leaf.subject, leaf.self_signed) = (subject, self_signed);
        })
    }

    fn severity(facts: &Facts) -> Severity {
        let Answer::Fail(findings) = judge(facts) else { panic!() };
        findings[0].severity
    }

    #[test]
    fn certificates_of_ones_own_pass_even_with_a_similar_name() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
        assert_eq!(judge(&named("MariaDB Server", false)), Answer::pass());
    }

    #[test]
    fn a_server_as_it_comes_is_no_error_unless_its_clients_were_given_a_ca() {
        let mut facts = named("MySQL_Server_9.7.4_Auto_Generated_Server_Certificate", false);
        assert_eq!(severity(&facts), Severity::Warning);
        assert_eq!(severity(&named("MariaDB Server", true)), Severity::Note);
        testing::handshake(&mut facts).faults = Some(vec![testing::no_issuer()]);
        assert_eq!(severity(&facts), Severity::Warning);
        facts.target.ssl_ca = Some("/home/dba/ca.pem".into());
        assert_eq!(severity(&facts), Severity::Error);
    }
}
