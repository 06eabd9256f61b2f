use crate::facts::Facts;
use crate::remedy::{Action, Effect, Remedy, shell};
use crate::rules::{Answer, files, place, rule};

rule! {
    /// Everybody on the server's host may read its private key.
    ///
    /// ## What it checks
    /// Whether the permission bits of the key file, and of every folder above it, let any user read
    /// it.
    ///
    /// ## Why it matters
    /// Whoever has the key can pass for the server. No server looks at the permissions or warns.
    ///
    /// ## How to fix
    /// Leave it to the group of the server's user: `0640 root:mysql`. A key that was open for long is
    /// best replaced.
    ///
    /// ## Source
    /// MySQL manual, "Creating SSL and RSA Certificates and Keys using MySQL" (key files are 0600).
    pub static KEY_WORLD_READABLE = {
        id: "key-world-readable",
        step: Key,
        severity: Warning,
        passes_as: "the key is closed to others",
        explained_by: [],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let files = match files(facts) {
        Ok(files) => files,
        Err(answer) => return answer,
    };
    let (Some(file), Some(_)) = (&files.key, files.private_key()) else {
        return Answer::not_applicable("there is no plain key to protect");
    };
    let Some(access) = &file.access else {
        return Answer::not_applicable("the permissions could not be read");
    };
    if !access.open_to_others {
        return Answer::Pass(access.describe());
    }
    let finding = KEY_WORLD_READABLE
        .finding(
            "everybody on the server's host may read its private key",
            "whoever has the key can pass for the server",
        )
        .saw("ssl_key", place(file))
        .saw("file", access.describe());
    let path = shell::path(&file.path);
    let command = match &files.server_user {
        // read by the others' bits alone until now: it has to be let in by its group first
        Some(user) if *user != access.owner => {
            format!("chgrp \"$(id -gn {})\" {path} && chmod 0640 {path}", shell::word(user))
        }
        _ => format!("chmod o-rwx {path}"),
    };
    let action = Action::shell(command, Effect::None);
    Answer::fail(finding.remedy([Remedy::new("close it to others", vec![action])]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn open(owner: &str) -> Facts {
        testing::with_files(|files| {
            let access = files.key.as_mut().unwrap().access.as_mut().unwrap();
            (access.mode, access.open_to_others) = (0o644, true);
            access.owner = owner.into();
        })
    }

    #[test]
    fn a_closed_key_passes() {
        assert_eq!(judge(&testing::healthy()), Answer::Pass("0640 root:mysql".into()));
    }

    #[test]
    fn an_open_one_is_closed_without_shutting_the_server_out() {
        let command = |facts: &Facts| {
            let Answer::Fail(findings) = judge(facts) else { panic!() };
            findings[0].remedies[0].actions[0].text.clone()
        };
        assert_eq!(command(&open("mysql")), "chmod o-rwx /etc/mysql/tls/server-key.pem");
        assert!(command(&open("root")).starts_with("chgrp \"$(id -gn mysql)\""));
    }

    #[test]
    fn a_folder_that_is_closed_protects_the_key_in_it() {
        let facts = testing::with_files(|files| {
            files.key.as_mut().unwrap().access.as_mut().unwrap().mode = 0o644;
        });
        assert!(matches!(judge(&facts), Answer::Pass(_)));
    }
}
