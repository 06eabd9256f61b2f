//! The workshop's form: a private CA, a server certificate, a client certificate.

use std::path::PathBuf;

use crate::secret::Secret;
use crate::tui::engine::{AuthorityForm, KeyKind, KeyKinds};
use crate::tui::form::{Field, Form};

const NAME: usize = 0;
const KEY: usize = 1;
pub const NAMES: usize = 2;
const ACCOUNT: usize = 3;
const FOLDER: usize = 4;
const PASSPHRASE: usize = 5;
const AGAIN: usize = 6;
const PASSPHRASE_LABEL: &str = "its passphrase";

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
    let mut fields = vec![
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
    ];
    if defaults.is_new {
        let (help, none) =
            ("for the CA's key; Enter: none, and its file is the key", Secret::default());
        fields.push(Field::secret(PASSPHRASE_LABEL, help, none.clone()));
        fields.push(Field::secret("the same again", "nobody can replace it once it is lost", none));
    }
    Form::new(fields)
}

/// Whether this is where the passphrase goes, and there is none.
pub fn is_no_passphrase(field: &Field) -> bool {
    field.label == PASSPHRASE_LABEL && field.secret_value().is_none()
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
    let secret = |at: usize| form.fields.get(at).and_then(Field::secret_value);
    let (passphrase, again) = (secret(PASSPHRASE), secret(AGAIN));
    if passphrase != again {
        form.fail(AGAIN, "the two differ: type the same in both, or nothing");
        return None;
    }
    let chosen = form.value(KEY);
    Some(AuthorityForm {
        ca_name: form.value(NAME).to_owned(),
        key: ALL_KINDS.into_iter().find(|kind| kind.describe() == chosen).unwrap_or_default(),
        server_names: form.value(NAMES).to_owned(),
        client_account: form.value(ACCOUNT).to_owned(),
        folder,
        is_new: form.fields.len() > PASSPHRASE,
        passphrase,
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
            ..AuthorityForm::default()
        };
        assert_eq!(answers(&mut form(&defaults)), Some(defaults));
    }

    #[test]
    fn a_new_ca_may_have_a_passphrase_typed_twice() {
        let mut form = form(&AuthorityForm {
            ca_name: "Example CA".into(),
            client_account: "app".into(),
            is_new: true,
            ..AuthorityForm::default()
        });
        assert_eq!(answers(&mut form).unwrap().passphrase, None);
        form.fields[PASSPHRASE].set("correct horse");
        assert_eq!(answers(&mut form), None, "it was typed once");
        assert_eq!((form.focus, form.fields[AGAIN].error.is_some()), (AGAIN, true));
        form.fields[AGAIN].set("correct horse");
        let answers = answers(&mut form).unwrap();
        assert_eq!(answers.passphrase, Some(Secret::new("correct horse")));
        assert!(!format!("{answers:?} {form:?}").contains("horse"));
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
