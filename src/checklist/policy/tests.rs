use super::*;
use crate::rules::{self, testing};

fn policy(name: &str) -> Policy {
    name.parse().unwrap()
}

#[test]
fn every_policy_is_read_and_names_rules_that_exist() {
    for policy in Policy::ALL {
        assert_eq!(policy.name().parse::<Policy>().unwrap().0, policy.0);
        let text = &TEXTS[policy.0];
        assert!(!text.item.is_empty() && !text.source.is_empty());
        for item in &text.item {
            if let Check::Rules { rules } = &item.check {
                for id in rules {
                    assert!(rules::find(id).is_some(), "{id}");
                }
            }
        }
    }
    assert!("x".parse::<Policy>().unwrap_err().contains("mozilla-modern"));
}

#[test]
fn what_is_not_met_has_lines_with_which_it_is() {
    for (flavor, version) in
        [(Flavor::MySql, Version(9, 7, 4)), (Flavor::MariaDb, Version(10, 11, 19))]
    {
        for policy in Policy::ALL {
            let mut facts = testing::with_server(|server| {
                (server.flavor, server.version) = (flavor, version);
                for name in ["tls_version", "ssl_cipher", "tls_ciphersuites"] {
                    server.variables.remove(name);
                }
                server.variables.insert("require_secure_transport".into(), "OFF".into());
            });
            let lines = policy.lines(&facts);
            let crate::facts::Source::Read(server) = &mut facts.server else { panic!() };
            for (name, value) in &lines {
                assert!(TlsOption::find(name).unwrap().is_in(flavor, version), "{name}");
                server.variables.insert(name.clone(), value.clone());
            }
            assert_eq!(policy.lines(&facts), Lines::new(), "{} {lines:?}", policy.name());
        }
    }
}

#[test]
fn a_weaker_value_is_named_and_another_servers_policy_is_not_for_it() {
    let facts = testing::with_server(|server| {
        server.variables.insert("tls_version".into(), "TLSv1.1,TLSv1.2".into());
    });
    let judged = policy("mozilla-intermediate").judge(&facts, None);
    assert_eq!(judged[0].answer, Met::No("tls_version lets TLSv1.1 in".into()));
    let judged = policy("cis-mysql-8").judge(&facts, None);
    assert!(judged.iter().all(|one| matches!(one.answer, Met::NotApplicable(_))));
}

#[test]
fn an_old_library_is_told_no_suites_that_it_does_not_know() {
    let facts = testing::with_server(|server| {
        (server.flavor, server.version) = (Flavor::MySql, Version(5, 6, 24));
        server.tls_library = Some("YaSSL 2.3.7".to_owned());
        for name in ["tls_version", "ssl_cipher", "require_secure_transport"] {
            server.variables.remove(name);
        }
    });
    for policy in Policy::ALL {
        assert_eq!(policy.lines(&facts), Lines::new(), "{}", policy.name());
    }
}
