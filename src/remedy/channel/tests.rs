use super::*;

fn source(channel: &str, encrypted: bool, verifies_name: bool, ca: &str) -> Channels {
    let source = Source {
        channel: channel.into(),
        host: "db1".into(),
        port: "3306".into(),
        encrypted,
        verifies_name,
        ca: ca.into(),
        ..Source::default()
    };
    let variables = [("ssl_ca".to_owned(), "/etc/mysql/tls/ca.pem".to_owned())].into();
    Channels { sources: vec![source], variables, ..Channels::default() }
}

#[test]
fn each_dialect_of_replication_has_its_statement() {
    for (flavor, version, channel, statement) in [
        (
            Flavor::MySql,
            Version(9, 7, 4),
            "c'1",
            "CHANGE REPLICATION SOURCE TO SOURCE_SSL = 1, SOURCE_SSL_CA = '/etc/mysql/tls/ca.pem', \
             SOURCE_SSL_VERIFY_SERVER_CERT = 1 FOR CHANNEL 'c''1';",
        ),
        (
            Flavor::MySql,
            Version(8, 0, 22),
            "",
            "CHANGE MASTER TO MASTER_SSL = 1, MASTER_SSL_CA = '/etc/mysql/tls/ca.pem', \
             MASTER_SSL_VERIFY_SERVER_CERT = 1;",
        ),
        (
            Flavor::MariaDb,
            Version(10, 11, 19),
            "c1",
            "CHANGE MASTER 'c1' TO MASTER_SSL = 1, MASTER_SSL_CA = '/etc/mysql/tls/ca.pem', \
             MASTER_SSL_VERIFY_SERVER_CERT = 1;",
        ),
    ] {
        let all = judge(&source(channel, false, false, ""), flavor, version);
        assert_eq!(all[0].statements[1], statement);
        assert!(!all[0].is_good());
    }
}

#[test]
fn what_is_encrypted_to_anybody_is_not_good() {
    let of = |encrypted, name, ca: &str| {
        judge(&source("", encrypted, name, ca), Flavor::MySql, Version(9, 7, 4)).remove(0)
    };
    assert!(of(true, true, "/ca").is_good());
    assert!(of(true, true, "/ca").statements.is_empty());
    assert!(of(true, true, "").note.contains("anybody may play"));
    assert!(of(true, false, "/ca").note.contains("any server of this CA"));
}

#[test]
fn a_router_that_ends_tls_is_told_from_one_that_lets_it_pass() {
    let route = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        router(&[Routing { section: "routing:rw".into(), options: pairs.collect() }])
    };
    let usual = route(&[]);
    assert!(usual[0].note.contains("cannot log in through it"));
    assert_eq!(usual[1].statements[1], "server_ssl_mode=REQUIRED");
    let through = route(&[("client_ssl_mode", "PASSTHROUGH")]);
    assert!(through.iter().all(Channel::is_good));
}

#[test]
fn galera_and_group_replication_are_seen_where_they_run() {
    let mut found = Channels::default();
    assert!(judge(&found, Flavor::MySql, Version(9, 7, 4)).is_empty());
    found.plugins.push("GROUP_REPLICATION".into());
    let group = judge(&found, Flavor::MySql, Version(9, 7, 4));
    assert_eq!(group.len(), 2);
    assert!(group[0].statements[0].contains("VERIFY_IDENTITY"));
    let mut found = Channels::default();
    for (name, value) in [
        ("wsrep_on", "ON"),
        ("wsrep_provider_options", "a = 1; socket.ssl = YES; socket.ssl_ca = /ca"),
    ] {
        found.variables.insert(name.into(), value.into());
    }
    assert!(judge(&found, Flavor::MariaDb, Version(10, 11, 0))[0].is_good());
}
