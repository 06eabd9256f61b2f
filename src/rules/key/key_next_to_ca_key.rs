use std::path::Path;

use crate::facts::{Facts, Holds, ServerFiles};
use crate::remedy::{Action, Effect, Remedy, shell};
use crate::rules::key::auto_generated::maker;
use crate::rules::{Answer, files, rule};
use crate::x509::Certificate;

rule! {
    /// The private key of the CA lies beside that of the server.
    ///
    /// ## What it checks
    /// Whether a private key in the folders of the server's key, certificate and CA belongs to the
    /// CA in `ssl_ca`, or to one above the server's certificate.
    ///
    /// ## Why it matters
    /// Whoever can read the server's files, or a backup of its data folder, can issue a certificate
    /// for every account: then no REQUIRE proves anything. A server needs the CA's certificate, never
    /// its key.
    ///
    /// ## How to fix
    /// Move the CA's key off the server, to where certificates are issued. If somebody may have
    /// copied it, make a new CA.
    ///
    /// ## Source
    /// MySQL manual, "Creating SSL and RSA Certificates and Keys using MySQL" (`ca-key.pem`); NIST SP
    /// 800-57 part 1, §6.2.
    pub static KEY_NEXT_TO_CA_KEY = {
        id: "key-next-to-ca-key",
        step: Key,
        severity: Warning,
        passes_as: "no CA's key lies beside the server's",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    if files.key.is_none() {
        return Answer::not_applicable("the server has no key file");
    }
    if facts.served_leaf().is_some_and(|leaf| maker(leaf).is_some()) {
        return Answer::not_applicable("the server made its certificate and its CA for itself");
    }
    let found: Vec<(&Path, &Certificate)> = files
        .nearby
        .iter()
        // the private CA of mytls is in a folder that is closed to everybody else
        .filter(|near| !facts.target.ca_dir.as_ref().is_some_and(|own| near.path.starts_with(own)))
        .filter_map(|near| match &near.holds {
            Holds::Key(key) => {
                let ca = cas(files).find(|ca| ca.certifies(&key.public))?;
                Some((near.path.as_path(), ca))
            }
            Holds::Certificates(_) => None,
        })
        .collect();
    let Some((first, _)) = found.first() else { return Answer::pass() };
    let mut finding = KEY_NEXT_TO_CA_KEY.finding(
        "the CA's private key lies beside the server's",
        "whoever reads the server's files can issue a certificate for every account",
    );
    for (path, ca) in &found {
        finding =
            finding.saw("key", path.display().to_string()).saw("belongs to", ca.subject.display());
    }
    let away = facts.target.ca_dir.as_deref().map(|dir| format!("{}-set-aside", dir.display()));
    let away = away.unwrap_or_else(|| format!("{}.set-aside", first.display()));
    let moves = found.iter().map(|(path, _)| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (path, there) = (shell::path(path), shell::word(&format!("{away}/{name}")));
        format!("test ! -e {there} && install -m 0600 {path} {there} && rm {path}")
    });
    let command = format!(
        "umask 077 && mkdir -p {} &&\n{}",
        shell::word(&away),
        moves.collect::<Vec<_>>().join(" &&\n")
    );
    let action = Action::shell(command, Effect::None);
    let remedy = Remedy::new("take the CA's key away from the server's files", vec![action])
        .with_note(
            "then take that folder off this host; if the key may have been copied, make a new CA",
        );
    Answer::fail(finding.remedy([remedy]))
}

/// The CAs that this server, or its clients, trust.
fn cas(files: &ServerFiles) -> impl Iterator<Item = &Certificate> {
    let leaf = files.leaf_index();
    let above = files.certificates().iter().enumerate().filter(move |(at, _)| Some(*at) != leaf);
    let above = above.map(|(_, certificate)| certificate);
    // a self-signed server certificate in ssl_ca is no CA: its key may lie there
    let trusted = files.ca_certificates().iter().filter(|ca| ca.is_ca != Some(false));
    let own = files.leaf().map(|leaf| leaf.sha256.as_str());
    trusted.chain(above).filter(move |ca| Some(ca.sha256.as_str()) != own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Nearby;
    use crate::rules::testing;
    use crate::x509::PrivateKey;

    fn lying_near(of_ca: bool) -> Facts {
        testing::with_files(|files| {
            let key = crate::x509::testing::root("CA").key;
            let mut key = PrivateKey::from_openssl(&key, "PRIVATE KEY");
            if of_ca {
                key.public = files.ca_certificates()[0].public_key.clone().unwrap();
            }
            let path = "/etc/mysql/tls/ca-key.pem".into();
            files.nearby.push(Nearby { path, holds: Holds::Key(key) });
        })
    }

    #[test]
    fn other_keys_may_lie_there() {
        assert_eq!(judge(&lying_near(false)), Answer::pass());
    }

    #[test]
    fn the_cas_key_is_moved_and_never_over_another() {
        let Answer::Fail(findings) = judge(&lying_near(true)) else { panic!() };
        assert_eq!(
            findings[0].remedies[0].actions[0].text,
            "umask 077 && mkdir -p /var/lib/mytls/ca-set-aside &&\n\
             test ! -e /var/lib/mytls/ca-set-aside/ca-key.pem && \
             install -m 0600 /etc/mysql/tls/ca-key.pem /var/lib/mytls/ca-set-aside/ca-key.pem && \
             rm /etc/mysql/tls/ca-key.pem"
        );
    }

    #[test]
    fn the_private_ca_of_mytls_may_be_near() {
        let mut facts = lying_near(true);
        facts.target.ca_dir = Some("/etc/mysql/tls".into());
        assert_eq!(judge(&facts), Answer::pass());
    }

    #[test]
    fn without_a_key_file_there_is_nothing_to_lie_beside() {
        let facts = testing::with_files(|files| files.key = None);
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
