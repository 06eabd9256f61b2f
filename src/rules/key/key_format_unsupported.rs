use crate::facts::Facts;
use crate::remedy::certificates::{effect_of_files, take_effect};
use crate::remedy::{Action, Remedy, shell};
use crate::rules::{Answer, files, place, rule};
use crate::x509::KeyAlgorithm;

rule! {
    /// The private key is in a form that this server cannot read.
    ///
    /// ## What it checks
    /// Whether a server built with yaSSL is given a key in PKCS#8 (`BEGIN PRIVATE KEY`).
    ///
    /// ## Why it matters
    /// yaSSL reads PKCS#1 alone (`BEGIN RSA PRIVATE KEY`). It says "Unable to get private key", as
    /// for a wrong key, and goes on with TLS off. OpenSSL has written PKCS#8 by default since 1.0.
    ///
    /// ## How to fix
    /// Write the key in the old form: `openssl rsa -in KEY -traditional -out NEWKEY`.
    ///
    /// ## Source
    /// MySQL manual 5.6, "Creating SSL Certificates and Keys Using openssl"; RFC 8017 appendix A.1.
    pub static KEY_FORMAT_UNSUPPORTED = {
        id: "key-format-unsupported",
        step: Key,
        severity: Error,
        passes_as: "the key is in a form that this server reads",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    if !facts.is_yassl() {
        return Answer::not_applicable("OpenSSL reads every form");
    }
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let (Some(file), Some(key)) = (&files.key, files.private_key()) else {
        return Answer::not_applicable("there is no key");
    };
    if key.public.algorithm != KeyAlgorithm::Rsa {
        return Answer::not_applicable("it is no RSA key");
    }
    if key.label == "RSA PRIVATE KEY" {
        return Answer::Pass("PKCS#1".into());
    }
    let finding = KEY_FORMAT_UNSUPPORTED
        .finding(
            "the key is in PKCS#8, which yaSSL cannot read",
            "the server says \"Unable to get private key\" and goes on without TLS",
        )
        .saw("ssl_key", place(file))
        .saw("it begins with", format!("-----BEGIN {}-----", key.label))
        .saw("yaSSL reads", "-----BEGIN RSA PRIVATE KEY-----");
    let path = shell::path(&file.path);
    let [new, kept] =
        ["pkcs1", "pkcs8"].map(|end| shell::word(&format!("{}.{end}", file.path.display())));
    // before 3.0 openssl rsa knew no -traditional, and wrote nothing else
    let command = format!(
        "umask 077 &&\n\
         {{ openssl rsa -in {path} -traditional -out {new} || openssl rsa -in {path} -out {new}; }} &&\n\
         chown --reference={path} {new} && chmod --reference={path} {new} &&\n\
         mv {path} {kept} && mv {new} {path}"
    );
    let effect = effect_of_files(facts);
    let mut actions = vec![Action::shell(command, effect)];
    actions.extend(take_effect(facts, effect));
    let convert = Remedy::new("write the key in the form that yaSSL reads", actions)
        .with_note("the key stays the same, and the old file is kept beside it");
    Answer::fail(finding.remedy([convert]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Source;
    use crate::rules::testing;

    fn yassl(label: &str) -> Facts {
        let mut facts = testing::with_files(|files| {
            let key = files.key.as_mut().unwrap().content.as_mut().unwrap();
            key.public.algorithm = KeyAlgorithm::Rsa;
            key.label = label.into();
        });
        let Source::Read(server) = &mut facts.server else { panic!() };
        server.tls_library = Some("YaSSL".into());
        facts
    }

    #[test]
    fn pkcs8_is_converted_for_yassl() {
        let Answer::Fail(findings) = judge(&yassl("PRIVATE KEY")) else { panic!() };
        assert!(findings[0].remedies[0].actions[0].text.contains("-traditional"));
    }

    #[test]
    fn pkcs1_passes_and_openssl_is_not_asked() {
        assert_eq!(judge(&yassl("RSA PRIVATE KEY")), Answer::Pass("PKCS#1".into()));
        assert!(matches!(judge(&testing::healthy()), Answer::NotApplicable(_)));
    }
}
