use crate::facts::{Blocker, Facts, Readable};
use crate::remedy::access;
use crate::rules::key::{blockers, show_blockers};
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
    /// Let the group of the server's user read it, and nobody else: `0640 root:mysql`. Where the
    /// key or a folder belongs to a group that others share, such as `ssl-cert`, let the server's
    /// user join it.
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
    let blocked = match &access.readable {
        Readable::Yes => return Answer::Pass(format!("as {user}")),
        Readable::Unknown => {
            return Answer::Unknown(
                "it is not known which user the server runs as; set `user` in its option file"
                    .into(),
            );
        }
        Readable::No { blockers } => blockers,
    };
    let folder = blocked.iter().any(|blocker| blocker.is_folder);
    // What shuts out the certificate or the CA as well is opened here, once.
    let others = [blockers(files.certificate.as_ref()), blockers(files.ca.as_ref())];
    let mut all: Vec<&Blocker> = blocked.iter().collect();
    for other in others.into_iter().filter(|other| other.iter().any(|one| blocked.contains(one))) {
        for one in other {
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    let mut finding = KEY_UNREADABLE
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
        .saw("server's user", user);
    finding = show_blockers(finding, &all);
    Answer::fail(finding.remedy([access::open(facts, user, &all)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Class;
    use crate::remedy::ActionKind;
    use crate::rules::testing;

    fn blocker(path: &str, mode: u32, group: &str, class: Class) -> Blocker {
        let (owner, is_folder) = (
            "root".to_owned(),
            std::path::Path::new(path).extension().is_none_or(|kind| kind != "pem"),
        );
        Blocker { path: path.into(), is_folder, mode, owner, group: group.into(), class }
    }

    /// The commands for a key that these shut out.
    fn commands(blockers: Vec<Blocker>) -> Vec<String> {
        let facts = testing::with_files(|files| {
            let access = files.key.as_mut().unwrap().access.as_mut().unwrap();
            access.readable = Readable::No { blockers };
        });
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        let actions = &findings[0].remedies[0].actions;
        let shell = actions.iter().filter(|action| action.kind == ActionKind::Shell);
        shell
            .map(|action| {
                assert!(!action.undo.is_empty(), "{action:?}");
                action.text.clone()
            })
            .collect()
    }

    #[test]
    fn a_readable_key_passes() {
        assert_eq!(judge(&testing::healthy()), Answer::Pass("as mysql".into()));
    }

    #[test]
    fn a_key_of_root_is_given_to_the_group_of_the_server() {
        let key = blocker("/tls/key.pem", 0o600, "root", Class::Other);
        assert_eq!(
            commands(vec![key]),
            ["chgrp \"$(id -gn mysql)\" /tls/key.pem && chmod g+r /tls/key.pem"]
        );
    }

    #[test]
    fn a_shared_group_keeps_what_it_has_and_is_joined_once() {
        let folder = blocker("/etc/ssl/private", 0o710, "ssl-cert", Class::Other);
        let key = blocker("/etc/ssl/private/key.pem", 0o640, "ssl-cert", Class::Other);
        assert_eq!(commands(vec![folder, key]), ["usermod -aG ssl-cert mysql"]);
    }

    #[test]
    fn what_would_let_others_in_is_not_opened_but_copied() {
        for blocker in [
            blocker("/tls/key.pem", 0o640, "sudo", Class::Other),
            blocker("/tls/key.pem", 0o600, "users", Class::Other),
            blocker("/root", 0o700, "root", Class::Other),
            blocker("/home/dba", 0o750, "dba", Class::Other),
        ] {
            let facts = testing::with_files(|files| {
                let key = files.key.as_mut().unwrap();
                key.path = "/root/key.pem".into();
                key.access.as_mut().unwrap().readable = Readable::No { blockers: vec![blocker] };
            });
            let Answer::Fail(findings) = judge(&facts) else { panic!() };
            let actions = &findings[0].remedies[0].actions;
            assert!(
                actions[0].text.contains("install -b -m 0640 -g \"$(id -gn mysql)\" /root/key.pem")
            );
            assert!(!actions.iter().any(|action| action.text.contains("usermod")), "{actions:?}");
        }
    }

    #[test]
    fn the_bits_that_count_for_the_user_are_set() {
        let own = blocker("/tls", 0o600, "mysql", Class::Owner);
        let group = blocker("/tls/key.pem", 0o600, "mysql", Class::Group);
        assert_eq!(commands(vec![own, group]), ["chmod u+x /tls", "chmod g+r /tls/key.pem"]);
    }

    #[test]
    fn a_folder_that_shuts_out_all_three_is_one_error() {
        let folder =
            || Readable::No { blockers: vec![blocker("/tls", 0o700, "root", Class::Other)] };
        let facts = testing::with_files(|files| {
            files.key.as_mut().unwrap().access.as_mut().unwrap().readable = folder();
            files.certificate.as_mut().unwrap().access.as_mut().unwrap().readable = folder();
            files.ca.as_mut().unwrap().access.as_mut().unwrap().readable = folder();
        });
        let failed =
            crate::rules::ALL.iter().filter(|r| matches!((r.judge)(&facts), Answer::Fail(_)));
        assert_eq!(failed.map(|rule| rule.id).collect::<Vec<_>>(), ["key-unreadable"]);
    }

    #[test]
    fn an_unknown_user_is_unknown() {
        let facts = testing::with_files(|files| {
            files.key.as_mut().unwrap().access.as_mut().unwrap().readable = Readable::Unknown;
        });
        assert!(matches!(judge(&facts), Answer::Unknown(_)));
    }
}
