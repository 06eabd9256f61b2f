use super::*;
use crate::facts::{Flavor, Source};
use crate::rules::testing;

fn session(id: u64, user: &str, host: &str, kind: &str) -> OtherSession {
    OtherSession {
        id,
        user: user.into(),
        host: host.into(),
        connection_type: kind.into(),
        command: "Sleep".into(),
    }
}

fn facts(accounts: Vec<Account>, sessions: Vec<OtherSession>) -> Facts {
    testing::with_server(|server| {
        server.accounts = Source::Read(accounts);
        server.sessions = Source::Read(sessions);
    })
}

fn ids(groups: &[Group]) -> Vec<u64> {
    let mut ids: Vec<u64> = groups.iter().flat_map(|group| group.sessions.clone()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn sessions_without_tls_are_named_with_where_they_come_from() {
    let app = testing::account("app", "10.0.%", Require::None);
    let sessions = (1..=3).map(|id| session(id, "app", "10.0.3.7", "TCP/IP")).collect();
    let facts = facts(vec![app.clone()], sessions);
    let orders = [(app.name, Require::Ssl)];
    let forecast = forecast(&facts, Proposal::Require(&orders));
    let said = forecast.refused[0].to_string();
    assert!(said.starts_with("3 sessions of `app` come in without TLS from 10.0.3.7: "), "{said}");
    assert_eq!(forecast.own, None);
}

#[test]
fn the_most_precise_account_is_the_one_that_counts() {
    let wide = testing::account("app", "%", Require::None);
    let narrow = testing::account("app", "10.0.0.0/255.255.0.0", Require::None);
    let nobody = testing::account("", "10.0.3.7", Require::None);
    let sessions = vec![
        session(1, "app", "10.0.3.7", "TCP/IP"),
        session(2, "app", "10.0.9.9", "TCP/IP"),
        session(3, "app", "192.168.0.1", "TCP/IP"),
        session(4, "app", "10.0.9.9", "SSL/TLS"),
    ];
    let facts = testing::with_server(|server| {
        (server.flavor, server.version) = (Flavor::MySql, crate::facts::Version(9, 7, 4));
        server.accounts = Source::Read(vec![wide.clone(), narrow.clone(), nobody.clone()]);
        server.sessions = Source::Read(sessions);
    });
    let refused = |name: &AccountName| {
        let orders = [(name.clone(), Require::Ssl)];
        ids(&forecast(&facts, Proposal::Require(&orders)).refused)
    };
    assert_eq!(refused(&wide.name), [3]);
    assert_eq!(refused(&narrow.name), [2]);
    assert_eq!(refused(&nobody.name), [1]);
    assert_eq!(ids(&forecast(&facts, Proposal::SecureTransport).refused), [1, 2, 3]);
}

#[test]
fn a_certificate_that_nobody_sees_is_not_claimed_to_be_there_or_away() {
    let free = testing::account("free", "%", Require::Ssl);
    let bound = testing::account("bound", "%", Require::X509);
    let sessions =
        vec![session(1, "free", "10.0.3.7", "SSL/TLS"), session(2, "bound", "10.0.3.7", "SSL/TLS")];
    let facts = facts(vec![free.clone(), bound.clone()], sessions);
    let orders = [(free.name, Require::X509), (bound.name, Require::X509)];
    let forecast = forecast(&facts, Proposal::Require(&orders));
    assert_eq!((ids(&forecast.refused), ids(&forecast.unclear)), (vec![], vec![1]));
}

#[test]
fn the_session_that_asks_and_the_socket_trap_are_said() {
    let root = testing::account("root", "localhost", Require::None);
    let facts = facts(vec![root.clone()], Vec::new());
    let orders = [(root.name, Require::Ssl)];
    let forecast = forecast(&facts, Proposal::Require(&orders));
    assert!(forecast.own.unwrap().contains("over the socket"), "the facts' session is one");
    assert!(forecast.notes.iter().any(|note| note.contains("--ssl-mode=REQUIRED")));
}

#[test]
fn monitors_and_replicas_that_are_away_are_thought_of() {
    let exporter = testing::account("mysqld_exporter", "%", Require::None);
    let mut replica = testing::account("repl", "%", Require::None);
    replica.more.may_replicate = true;
    let plain = testing::account("plain", "%", Require::None);
    let facts = facts(vec![exporter, replica, plain], Vec::new());
    let absent = forecast(&facts, Proposal::SecureTransport).absent;
    assert!(absent[0].contains("by its name") && absent[1].contains("may replicate"));
    assert_eq!(absent.len(), 2);
}
