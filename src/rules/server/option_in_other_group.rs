use crate::facts::{Facts, Lost, ServerConfig};
use crate::remedy::{Action, Remedy};
use crate::rules::{Answer, rule};

rule! {
    /// The options for TLS stand in a group that the server does not read.
    ///
    /// ## What it checks
    /// Whether `ssl_cert` or `ssl_key` is set nowhere that counts, and is set in a group of
    /// another program or version: `[mysql]`, `[mysqld_safe]`, `[mysqld-8.0]`, `[mariadb-10.6]`.
    ///
    /// ## Why it matters
    /// The server starts as if nobody had set anything, and says nothing of it. Groups with a
    /// version fall silent with the upgrade to the next.
    ///
    /// ## How to fix
    /// Set them in `[mysqld]`, which every server reads.
    ///
    /// ## Source
    /// MySQL manual, "Using Option Files"; MariaDB, "Option Groups"; `load_default_groups` in
    /// `sql/mysqld.cc`.
    pub static OPTION_IN_OTHER_GROUP = {
        id: "option-in-other-group",
        step: Server,
        severity: Error,
        passes_as: "the options for TLS stand where the server reads them",
        explained_by: ["config-refused"],
    }
    judge
}

fn judge(facts: &Facts) -> Answer {
    let Some(config) = facts.config.read() else {
        return Answer::not_applicable("the server's option files were not read");
    };
    let missing = |option: &str| {
        let running = facts.server.read().map(|server| server.variable(option).is_some());
        config.get(option).is_none() && running != Some(true)
    };
    if !missing("ssl_key") && !missing("ssl_cert") {
        return Answer::pass();
    }
    let stray = stray(config, missing);
    let Some(first) = stray.iter().find(|lost| matches!(&*lost.name, "ssl_key" | "ssl_cert"))
    else {
        return Answer::pass();
    };
    let group = first.group.as_deref().unwrap_or_default();
    let mut finding = OPTION_IN_OTHER_GROUP.finding(
        "the options for TLS stand in a group that this server does not read",
        format!("the server reads [mysqld], and not [{}]", crate::printable::printable(group)),
    );
    for lost in &stray {
        let value = lost.value.as_deref().unwrap_or_default();
        finding = finding.saw(&lost.name, format!("{value}  ({})", lost.origin));
    }
    let options: Vec<(&str, &str)> = stray
        .iter()
        .filter_map(|lost| Some((lost.name.as_str(), lost.value.as_deref()?)))
        .collect();
    let action = Action::config(&config.main_file, &options);
    Answer::fail(finding.remedy([Remedy::new("set them in [mysqld]", vec![action])]))
}

/// The last setting of each option that is set nowhere else.
fn stray(config: &ServerConfig, missing: impl Fn(&str) -> bool) -> Vec<&Lost> {
    let mut stray: Vec<&Lost> = Vec::new();
    let lost = config.lost.iter().filter(|lost| lost.group.is_some() && lost.value.is_some());
    for lost in lost.filter(|lost| missing(&lost.name)) {
        stray.retain(|before| before.name != lost.name);
        stray.push(lost);
    }
    stray
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Origin, Source, UnreadKind};
    use crate::rules::testing;

    fn lost(name: &str) -> Lost {
        let origin = Origin { file: "/etc/my.cnf".into(), line: 3 };
        let group = Some("mysqld-8.0".to_owned());
        Lost { name: name.into(), value: Some(format!("/x/{name}.pem")), origin, group }
    }

    fn config(facts: &mut Facts) -> &mut ServerConfig {
        let Source::Read(config) = &mut facts.config else { panic!() };
        config
    }

    #[test]
    fn another_group_beside_the_right_one_is_nobodys_business() {
        let mut facts = testing::healthy();
        config(&mut facts).lost = vec![lost("ssl_key")];
        assert_eq!(judge(&facts), Answer::pass());
    }

    #[test]
    fn options_in_another_group_alone_are_moved_into_the_servers() {
        let mut facts = testing::healthy();
        config(&mut facts).options.clear();
        config(&mut facts).lost = vec![lost("ssl_cert"), lost("ssl_key")];
        let Answer::Fail(findings) = judge(&facts) else { panic!() };
        assert_eq!(
            findings[0].remedies[0].actions[0].text,
            "[mysqld]\nssl_cert = /x/ssl_cert.pem\nssl_key = /x/ssl_key.pem\n"
        );
        assert!(findings[0].cause.contains("[mysqld-8.0]"));
    }

    #[test]
    fn nothing_set_at_all_is_another_rules_matter() {
        let mut facts = testing::healthy();
        config(&mut facts).options.clear();
        assert_eq!(judge(&facts), Answer::pass());
        facts.config = Source::unread(UnreadKind::NotAsked, "", "");
        assert!(matches!(judge(&facts), Answer::NotApplicable(_)));
    }
}
