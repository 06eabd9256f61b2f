use crate::facts::Facts;
use crate::remedy::certificates::{effect_of_files, reissue, take_effect};
use crate::remedy::{Action, Remedy, shell};
use crate::rules::key::openssl_form;
use crate::rules::{Answer, files, place, rule};
use crate::x509::pem::Defect;

rule! {
    /// The private key is protected by a passphrase.
    ///
    /// ## What it checks
    /// Whether the key file is encrypted, in the PKCS#8 form or the old one with `DEK-Info`.
    ///
    /// ## Why it matters
    /// A server that starts without a terminal cannot ask for a passphrase. It answers "Unable to
    /// get private key"; started by hand, it may wait for one for ever. Only MariaDB 12 has an
    /// option for it (`ssl_passphrase`).
    ///
    /// ## How to fix
    /// Take the passphrase off, and protect the file by its permissions instead.
    ///
    /// ## Source
    /// MySQL manual, "Creating SSL Certificates and Keys Using openssl"; MariaDB, "ssl_passphrase".
    pub static KEY_ENCRYPTED = {
        id: "key-encrypted",
        step: Key,
        severity: Error,
        passes_as: "the key needs no passphrase",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let Some(file) = &files.key else {
        return Answer::not_applicable("no ssl_key is set");
    };
    let form = match &file.content {
        Ok(_) => return Answer::pass(),
        Err(Defect::Encrypted { form }) => form,
        Err(_) => return Answer::not_applicable("the key file holds no key"),
    };
    let passphrase = facts.config.read().and_then(|config| config.get("ssl_passphrase"));
    if passphrase.is_some() {
        return Answer::Pass("ssl_passphrase is set".into());
    }
    let finding = KEY_ENCRYPTED
        .finding(
            "the private key is protected by a passphrase",
            "the server cannot ask for it when it starts, so it cannot load the key",
        )
        .saw("ssl_key", place(file))
        .saw("encrypted as", form);
    let key = shell::path(&file.path);
    let [plain, kept] =
        ["plain", "encrypted"].map(|end| shell::word(&format!("{}.{end}", file.path.display())));
    let form = openssl_form(facts);
    let command = format!(
        "openssl pkey -in {key}{form} -out {plain} &&\n\
         chown --reference={key} {plain} && chmod --reference={key} {plain} &&\n\
         mv {key} {kept} && mv {plain} {key}"
    );
    let effect = effect_of_files(facts);
    let mut actions = vec![Action::shell(format!("umask 077 &&\n{command}"), effect).that_asks()];
    actions.extend(take_effect(facts, effect));
    let decrypt = Remedy::new("take the passphrase off the key", actions)
        .with_note("openssl asks for the passphrase; the encrypted key is kept beside the new one");
    Answer::fail(finding.remedy([decrypt]).remedy(reissue(facts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn encrypted() -> Facts {
        testing::with_files(|files| {
            files.key.as_mut().unwrap().content = Err(Defect::Encrypted { form: "PKCS#8".into() });
        })
    }

    #[test]
    fn a_plain_key_passes() {
        assert_eq!(judge(&testing::healthy()), Answer::pass());
    }

    #[test]
    fn an_encrypted_key_is_decrypted_in_place_and_kept() {
        let Answer::Fail(findings) = judge(&encrypted()) else { panic!() };
        let text = &findings[0].remedies[0].actions[0].text;
        assert!(text.contains("openssl pkey -in /etc/mysql/tls/server-key.pem"));
        assert!(
            text.contains(
                "mv /etc/mysql/tls/server-key.pem /etc/mysql/tls/server-key.pem.encrypted"
            )
        );
    }

    #[test]
    fn with_a_passphrase_option_it_is_no_fault() {
        let mut facts = encrypted();
        testing::set_option(&mut facts, "ssl_passphrase", "file:/etc/mysql/pass");
        assert!(matches!(judge(&facts), Answer::Pass(_)));
    }

    #[test]
    fn a_missing_key_is_not_encrypted() {
        let facts =
            testing::with_files(|files| files.key.as_mut().unwrap().content = Err(Defect::Missing));
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
