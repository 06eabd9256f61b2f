use crate::facts::{Facts, Readable};
use crate::remedy::certificates::{effect_of_files, take_effect};
use crate::remedy::{Action, Remedy, shell};
use crate::rules::{Answer, files, place, rule};

rule! {
    /// The server's user may not read the private key.
    ///
    /// ## What it checks
    /// The permission bits of the key file and of every folder above it, for the user the server
    /// runs as.
    ///
    /// ## Why it matters
    /// The key is read after the server has given up root. A key that only root may read gives
    /// "Unable to get private key", the same words as for a wrong one.
    ///
    /// ## How to fix
    /// Let the group of the server's user read it, and nobody else: `0640 root:mysql`.
    ///
    /// ## Source
    /// MySQL manual, "Configuring MySQL to Use Encrypted Connections"; `mysqld.cc`, where
    /// `set_user()` comes before `init_ssl()`.
    pub static KEY_UNREADABLE = {
        id: "key-unreadable",
        step: Key,
        severity: Error,
        passes_as: "the server's user may read the key",
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
    let Some(access) = &file.access else {
        return Answer::not_applicable("there is no key file to read");
    };
    let user = files.server_user.as_deref().unwrap_or("the server's user");
    let blocked_at = match &access.readable {
        Readable::Yes => return Answer::Pass(format!("as {user}")),
        Readable::Unknown => {
            return Answer::Unknown(
                "it is not known which user the server runs as; set `user` in its option file"
                    .into(),
            );
        }
        Readable::No { blocked_at } => blocked_at,
    };
    let folder = *blocked_at != file.path;
    let finding = KEY_UNREADABLE
        .finding(
            "the server may not read its private key",
            if folder {
                "a folder on the way is closed to the user the server runs as"
            } else {
                "the permissions shut out the user the server runs as"
            },
        )
        .saw("ssl_key", place(file))
        .saw("file", access.describe())
        .saw("server's user", user)
        .saw("closed at", blocked_at.display().to_string());
    let (rights, path) = if folder { ("g+x", blocked_at) } else { ("0640", &file.path) };
    let command = format!(
        "chgrp \"$(id -gn {})\" {path} && chmod {rights} {path}",
        shell::word(user),
        path = shell::path(path)
    );
    let effect = effect_of_files(facts);
    let undo = if folder {
        String::new() // the folder's own mode is not among the facts
    } else {
        format!(
            "chgrp {} {path} && chmod {:04o} {path}",
            shell::word(&access.group),
            access.mode,
            path = shell::path(path)
        )
    };
    let mut actions = vec![Action::shell(command, effect).with_undo(undo)];
    actions.extend(take_effect(facts, effect));
    Answer::fail(finding.remedy([Remedy::new(format!("let the group of {user} read it"), actions)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn blocked_at(path: &str) -> Facts {
        testing::with_files(|files| {
            let access = files.key.as_mut().unwrap().access.as_mut().unwrap();
            access.readable = Readable::No { blocked_at: path.into() };
        })
    }

    #[test]
    fn a_readable_key_passes() {
        assert_eq!(judge(&testing::healthy()), Answer::Pass("as mysql".into()));
    }

    #[test]
    fn a_closed_key_is_opened_to_the_group_only() {
        let Answer::Fail(findings) = judge(&blocked_at("/etc/mysql/tls/server-key.pem")) else {
            panic!()
        };
        assert_eq!(
            findings[0].remedies[0].actions[0].text,
            "chgrp \"$(id -gn mysql)\" /etc/mysql/tls/server-key.pem && chmod 0640 /etc/mysql/tls/server-key.pem"
        );
    }

    #[test]
    fn a_closed_folder_is_named_and_opened() {
        let Answer::Fail(findings) = judge(&blocked_at("/etc/mysql/tls")) else { panic!() };
        assert!(findings[0].remedies[0].actions[0].text.ends_with("chmod g+x /etc/mysql/tls"));
    }

    #[test]
    fn an_unknown_user_is_unknown() {
        let facts = testing::with_files(|files| {
            files.key.as_mut().unwrap().access.as_mut().unwrap().readable = Readable::Unknown;
        });
        assert!(matches!(judge(&facts), Answer::Unknown(_)));
    }
}
