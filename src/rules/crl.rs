//! What the rules about revocation lists have in common.

use super::{Answer, files};
use crate::facts::{Crl, Facts, FileFacts, Origin, ServerConfig};
use crate::remedy::certificates::{effect_of_files, take_effect};
use crate::remedy::{Action, Effect, Remedy, shell};
use crate::x509::Certificate;

type Sought<'a> = (&'a FileFacts<Vec<Crl>>, &'a [Crl], Vec<&'a Certificate>);

/// The file of `ssl_crl`, its lists, and the CAs that need one; or why the question does not arise.
pub(super) fn sought(facts: &Facts) -> Result<Sought<'_>, Answer> {
    if facts.is_yassl() {
        return Err(Answer::not_applicable("yaSSL reads no revocation lists"));
    }
    let files = files(facts)?;
    let Some(file) = &files.crl else {
        return Err(Answer::not_applicable("no ssl_crl is set"));
    };
    if files.crlpath.is_some() {
        return Err(Answer::Unknown(
            "there may be more lists in ssl_crlpath, which is not read".into(),
        ));
    }
    let lists = match &file.content {
        Ok(lists) => lists.as_slice(),
        Err(defect) => return Err(Answer::Unknown(format!("ssl_crl could not be read: {defect}"))),
    };
    let cas: Vec<&Certificate> = files.trusted().filter(|ca| ca.is_ca != Some(false)).collect();
    if cas.is_empty() {
        return Err(Answer::not_applicable("no CA is set"));
    }
    Ok((file, lists, cas))
}

/// The lists that these CAs need, where fresh ones lie nearby; else to do without for now.
pub(super) fn remedies(facts: &Facts, cas: &[&Certificate]) -> Vec<Remedy> {
    let Some(files) = facts.files.read() else { return Vec::new() };
    let Some(file) = &files.crl else { return Vec::new() };
    let here = file.content.as_ref().ok().into_iter().flatten();
    let known: Vec<&Crl> =
        here.chain(files.nearby_crls.iter().flat_map(|near| &near.crls)).collect();
    let fresh = |ca: &&&Certificate| {
        let of_ca = known.iter().filter(|list| list.is_of(ca));
        let newest = of_ca.max_by_key(|list| list.this_update)?;
        newest.next_update.is_none_or(|until| until > facts.at).then_some(newest.pem.as_str())
    };
    let whole: Option<Vec<&str>> = cas.iter().map(|ca| fresh(&ca)).collect();
    if let Some(whole) = whole {
        let effect = effect_of_files(facts);
        let mut actions = vec![Action::file(&file.path, whole.concat(), effect)];
        actions.extend(take_effect(facts, effect));
        return vec![Remedy::new(
            "write the lists of all CAs, which lie nearby, into ssl_crl",
            actions,
        )];
    }
    let Some(action) = facts.config.read().and_then(|config| disable(config, "ssl_crl")) else {
        return Vec::new();
    };
    let note = "until the list is there, revoked certificates are accepted; ask the CA for it (a CA \
                of mytls signs one with mytls ca crl)";
    vec![Remedy::new("do without revocation lists for now", vec![action]).with_note(note)]
}

/// Makes comments of the lines that set this option for the server, of each one.
pub(super) fn disable(config: &ServerConfig, option: &str) -> Option<Action> {
    let last = config.origin(option)?;
    let before = config.lost.iter().filter(|lost| lost.group.is_none() && lost.name == option);
    let lines = before.map(|lost| &lost.origin).chain([last]);
    let commands = lines.map(|Origin { file, line }| {
        format!("sed -i.bak --follow-symlinks '{line}s/^/# /' {}", shell::path(file))
    });
    Some(Action::shell(commands.collect::<Vec<_>>().join(" &&\n"), Effect::Restart))
}

#[cfg(test)]
pub(super) mod testing {
    use crate::ca::{Authority, AuthoritySpec};
    use crate::facts::{Crl, Facts, FileFacts, Origin};
    use crate::rules::testing;
    use crate::x509::Certificate;

    pub fn root(name: &str) -> Authority {
        Authority::create(&AuthoritySpec::named(&name.parse().unwrap())).unwrap()
    }

    /// A list that counts for so many more days.
    pub fn list(of: &Authority, days: i64) -> Crl {
        let at = testing::healthy().at;
        let crl = of.crl(at - 9 * 86_400, at + days * 86_400).unwrap();
        let text = crl.to_pem().unwrap();
        crate::facts::trust::crls(&text).remove(0)
    }

    /// A server that trusts one CA and has these lists.
    pub fn with_lists(lists: impl FnOnce(&Authority) -> Vec<Crl>) -> Facts {
        let root = root("Root");
        let mut facts = testing::with_files(|files| {
            let ca = Certificate::from_openssl(&root.certificate);
            files.ca.as_mut().unwrap().content = Ok(vec![ca]);
            files.crl = Some(FileFacts {
                byte_order_mark: false,
                option: "ssl_crl".into(),
                path: "/etc/mysql/tls/crl.pem".into(),
                origin: Some(Origin { file: "/etc/mysql/my.cnf".into(), line: 15 }),
                access: None,
                content: Ok(lists(&root)),
            });
        });
        testing::set_option(&mut facts, "ssl_crl", "/etc/mysql/tls/crl.pem");
        facts
    }
}
