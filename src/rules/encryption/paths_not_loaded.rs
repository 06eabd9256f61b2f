use crate::facts::Facts;
use crate::remedy::{Action, Remedy, statement};
use crate::rules::{Answer, rule};

rule! {
    /// The server uses other files than its variables name.
    ///
    /// ## What it checks
    /// MySQL 8.0.16 and later: whether `ssl_ca`, `ssl_cert` and `ssl_key` name the files that are
    /// in use (`Current_tls_ca`, `Current_tls_cert`, `Current_tls_key`).
    ///
    /// ## Why it matters
    /// A reload that fails leaves the old files in use and the variables on the new ones. The next
    /// reload fails too; where the values are persisted, the next start comes up without TLS.
    ///
    /// ## How to fix
    /// Set the variables back to the files in use, or mend the new files and reload.
    ///
    /// ## Source
    /// MySQL manual, "ALTER INSTANCE RELOAD TLS", and "Server Status Variables"
    /// (`Current_tls_key`).
    pub static PATHS_NOT_LOADED = {
        id: "paths-not-loaded",
        step: Encryption,
        severity: Warning,
        passes_as: "the files that the variables name are in use",
        explained_by: ["tls-off"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(server) = facts.server.read() else {
        return Answer::not_applicable("the server was not asked");
    };
    let pairs = [
        ("ssl_ca", "Current_tls_ca"),
        ("ssl_cert", "Current_tls_cert"),
        ("ssl_key", "Current_tls_key"),
    ];
    let in_use = |status: &str| server.status.get(status).filter(|path| !path.is_empty());
    if pairs.iter().all(|(_, status)| in_use(status).is_none()) {
        return Answer::not_applicable("this server does not say which files are in use");
    }
    let mut finding = PATHS_NOT_LOADED.finding(
        "the server uses other files than its variables name",
        "a reload failed, or was forgotten; the next one, or the next start, takes the other files",
    );
    let mut statements = Vec::new();
    for (option, status) in pairs {
        let named = server.variable(option).unwrap_or_default();
        if let Some(used) = in_use(status).filter(|used| *used != named) {
            finding = finding.saw(option, named).saw("in use", used);
            let quoted = statement::quote(&used.replace('\\', r"\\"));
            statements.push(format!("SET GLOBAL {option} = {quoted};"));
        }
    }
    if statements.is_empty() {
        return Answer::pass();
    }
    let remedy = Remedy::new(
        "set the variables back to the files in use",
        vec![Action::sql(statements.join("\n"))],
    );
    let note = "to have the other files instead: mend them, then ALTER INSTANCE RELOAD TLS; what \
                was set with SET PERSIST is taken back with RESET PERSIST";
    Answer::fail(finding.remedy([remedy.with_note(note)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn using(named: &str, used: &str) -> Facts {
        testing::with_server(|server| {
            server.variables.insert("ssl_key".into(), named.into());
            server.status.insert("Current_tls_key".into(), used.into());
        })
    }

    #[test]
    fn the_variable_is_set_back_to_the_file_in_use() {
        assert_eq!(judge(&using("/k.pem", "/k.pem")), Answer::pass());
        let Answer::Fail(findings) = judge(&using("/bad.pem", "/it's.pem")) else { panic!() };
        let text = &findings[0].remedies[0].actions[0].text;
        assert_eq!(text, "SET GLOBAL ssl_key = '/it''s.pem';");
    }

    #[test]
    fn other_servers_do_not_say() {
        assert!(matches!(judge(&testing::healthy()), Answer::NotApplicable(_)));
    }
}
