use std::path::Path;

use crate::facts::Facts;
use crate::remedy::certificates::{effect_of_files, reissue, take_effect};
use crate::remedy::{Action, Remedy, shell};
use crate::rules::key::key_mismatch::key_nearby;
use crate::rules::key::swapped::is_certificate;
use crate::rules::key::{openssl_form, option_file};
use crate::rules::{Answer, files, place, rule};
use crate::x509::pem::Defect;

rule! {
    /// The private key file holds no usable key.
    ///
    /// ## What it checks
    /// That the file of `ssl_key` exists and holds a private key in PEM form.
    ///
    /// ## Why it matters
    /// Servers answer a missing, empty, binary or damaged key with the same "Unable to get private
    /// key". MySQL then starts without TLS and says so only in its log; MariaDB does not start.
    ///
    /// ## How to fix
    /// Point `ssl_key` at the key that belongs to the certificate, convert it to PEM
    /// (`openssl pkey -inform DER -in KEY -out KEY.pem`), or issue a new key and certificate.
    ///
    /// ## Source
    /// MySQL manual, "Configuring MySQL to Use Encrypted Connections"; `vio/viosslfactories.cc`,
    /// `vio_set_cert_stuff()`.
    pub static KEY_UNUSABLE = {
        id: "key-unusable",
        step: Key,
        severity: Error,
        passes_as: "the key file holds a private key",
        explained_by: ["option-overridden"],
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
    let defect = match &file.content {
        Ok(key) => {
            let access = file.access.as_ref().map(|access| format!(", {}", access.describe()));
            return Answer::Pass(format!(
                "{}{}",
                key.public.describe(),
                access.unwrap_or_default()
            ));
        }
        Err(Defect::Encrypted { .. }) => return Answer::not_applicable("the key is encrypted"),
        Err(defect) if is_certificate(defect) => {
            return Answer::not_applicable("the file holds a certificate");
        }
        Err(Defect::Denied) => {
            return Answer::Unknown(format!(
                "mytls may not read {}; run it as root or as the server's user",
                crate::printable::printable(&file.path.display().to_string())
            ));
        }
        Err(defect) => defect,
    };
    let finding = KEY_UNUSABLE
        .finding(
            "the key file holds no usable private key",
            "the server cannot load its key, so it cannot offer TLS",
        )
        .saw("ssl_key", place(file))
        .saw("problem", defect.to_string());
    let nearby = key_nearby(facts).map(|path| {
        Remedy::new(
            "point ssl_key at the key that matches the certificate",
            vec![Action::config(
                option_file(facts, "ssl_key"),
                &[("ssl_key", &path.display().to_string())],
            )],
        )
    });
    let convert = (*defect == Defect::Der).then(|| from_der(facts, &file.path));
    Answer::fail(finding.remedy(convert).remedy(nearby).remedy(reissue(facts)))
}

/// The same key as text, in the place of the binary one.
fn from_der(facts: &Facts, key: &Path) -> Remedy {
    let [pem, kept] = ["pem", "der"].map(|end| shell::word(&format!("{}.{end}", key.display())));
    let key = shell::path(key);
    let form = openssl_form(facts);
    let command = format!(
        "umask 077 &&\n\
         openssl pkey -inform DER -in {key}{form} -out {pem} &&\n\
         chown --reference={key} {pem} && chmod --reference={key} {pem} &&\n\
         mv {key} {kept} && mv {pem} {key}"
    );
    let effect = effect_of_files(facts);
    let mut actions = vec![Action::shell(command, effect)];
    actions.extend(take_effect(facts, effect));
    Remedy::new("convert the key to PEM", actions).with_note("the binary file is kept beside it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    #[test]
    fn a_good_key_passes_with_its_kind() {
        assert_eq!(judge(&testing::healthy()), Answer::Pass("EC P-256, 0640 root:mysql".into()));
    }

    #[test]
    fn each_defect_is_named() {
        for defect in [Defect::Missing, Defect::Empty, Defect::Der, Defect::Directory] {
            let facts = testing::with_files(|files| {
                files.key.as_mut().unwrap().content = Err(defect.clone());
            });
            let Answer::Fail(findings) = judge(&facts) else { panic!() };
            assert_eq!(findings[0].evidence[1].value, defect.to_string());
            assert!(!findings[0].remedies.is_empty());
        }
    }

    #[test]
    fn a_binary_key_is_converted_and_kept() {
        let facts =
            testing::with_files(|files| files.key.as_mut().unwrap().content = Err(Defect::Der));
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        let text = &findings[0].remedies[0].actions[0].text;
        assert!(text.contains("openssl pkey -inform DER -in /etc/mysql/tls/server-key.pem"));
        assert!(
            text.contains("mv /etc/mysql/tls/server-key.pem /etc/mysql/tls/server-key.pem.der")
        );
    }

    #[test]
    fn what_mytls_may_not_read_is_unknown_not_broken() {
        let facts =
            testing::with_files(|files| files.key.as_mut().unwrap().content = Err(Defect::Denied));
        assert!(matches!(judge(&facts), Answer::Unknown(why) if why.contains("run it as root")));
    }

    #[test]
    fn no_key_at_all_is_for_tls_off_to_say() {
        let facts = testing::with_files(|files| files.key = None);
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
