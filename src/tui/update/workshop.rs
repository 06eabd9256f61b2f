//! The workshop's form: a private CA, a server certificate, a client certificate.

use std::path::PathBuf;

use crate::tui::engine::{AuthorityForm, KeyKind, KeyKinds};
use crate::tui::form::{Field, Form};

const NAME: usize = 0;
const KEY: usize = 1;
pub const NAMES: usize = 2;
const ACCOUNT: usize = 3;
const FOLDER: usize = 4;

const ALL_KINDS: [KeyKind; 6] = [
    KeyKind::P256,
    KeyKind::P384,
    KeyKind::Ed25519,
    KeyKind::Rsa2048,
    KeyKind::Rsa3072,
    KeyKind::Rsa4096,
];

/// The form, with the kinds of keys that the server can use.
pub fn form(defaults: &AuthorityForm, offered: &KeyKinds) -> Form {
    let kind = offered.kinds.iter().position(|kind| *kind == defaults.key).unwrap_or(0);
    let kinds: Vec<&str> = offered.kinds.iter().map(|kind| kind.describe()).collect();
    Form::new(vec![
        Field::text("name of the CA", "stands as issuer in every certificate", &defaults.ca_name),
        Field::choice(
            "kind of keys",
            format!("← → choose; old clients may need RSA ({})", offered.why),
            kinds,
            kind,
        ),
        Field::text(
            "server's names",
            "every name and address that clients type; empty: the server keeps its certificate",
            &defaults.server_names,
        ),
        Field::text(
            "client's user",
            "the account the client certificate is made for",
            &defaults.client_account,
        ),
        Field::text(
            "folder",
            "where the server reads its key, certificate and CA",
            defaults.folder.display().to_string(),
        ),
    ])
}

/// What the form says; errors are left under their fields.
pub fn answers(form: &mut Form) -> Option<AuthorityForm> {
    // without names only a client certificate is made
    let empty = [
        (NAME, "a CA needs a name, such as Example CA"),
        (ACCOUNT, "the user that is to have a certificate"),
    ];
    for (at, error) in empty {
        if form.value(at).trim_matches([',', ' ']).is_empty() {
            form.fail(at, error);
            return None;
        }
    }
    let folder = PathBuf::from(form.value(FOLDER));
    let used = !form.value(NAMES).trim_matches([',', ' ']).is_empty();
    if used && !folder.is_absolute() {
        form.fail(FOLDER, "the whole path, such as /etc/mysql/tls");
        return None;
    }
    let chosen = form.value(KEY);
    Some(AuthorityForm {
        ca_name: form.value(NAME).to_owned(),
        key: ALL_KINDS.into_iter().find(|kind| kind.describe() == chosen).unwrap_or_default(),
        server_names: form.value(NAMES).to_owned(),
        client_account: form.value(ACCOUNT).to_owned(),
        folder,
    })
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyCode;

    use super::*;

    fn form(defaults: &AuthorityForm) -> Form {
        let offered = KeyKinds { kinds: ALL_KINDS.to_vec(), why: "no others" };
        super::form(defaults, &offered)
    }

    #[test]
    fn only_what_the_server_can_use_is_offered_and_it_says_why() {
        let offered = KeyKinds { kinds: vec![KeyKind::Rsa2048], why: "yaSSL knows RSA alone" };
        let mut form = super::form(&AuthorityForm::default(), &offered);
        assert_eq!(form.value(KEY), "RSA 2048");
        assert!(form.fields[KEY].help.contains("yaSSL knows RSA alone"));
        form.focus = KEY;
        form.key(KeyCode::Right.into());
        assert_eq!(form.value(KEY), "RSA 2048", "there is nothing else");
    }

    #[test]
    fn answers_come_back_as_they_were() {
        let defaults = AuthorityForm {
            ca_name: "Example CA".into(),
            key: KeyKind::Rsa3072,
            server_names: "db1.example, 127.0.0.1".into(),
            client_account: "app".into(),
            folder: "/etc/mysql/tls".into(),
        };
        assert_eq!(answers(&mut form(&defaults)), Some(defaults));
    }

    #[test]
    fn without_names_the_server_keeps_its_certificate() {
        let mut form = form(&AuthorityForm {
            ca_name: "Example CA".into(),
            client_account: "app".into(),
            folder: "/etc/mysql/tls".into(),
            ..AuthorityForm::default()
        });
        assert_eq!(answers(&mut form).unwrap().server_names, "");
    }

    #[test]
    fn an_empty_answer_says_what_is_wanted() {
        let mut form = form(&AuthorityForm::default());
        assert_eq!(answers(&mut form), None);
        assert_eq!((form.focus, form.fields[NAME].error.is_some()), (NAME, true));
    }
}
