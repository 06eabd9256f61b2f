//! Who would be refused, said beforehand, and what happens then: sessions of all kinds on real
//! servers, before and after the change.

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use common::lab::{self, Server};
use mysql::prelude::Queryable as _;
use mytls::facts::gather::{Cancel, gather};
use mytls::facts::session::{self, Route, Session, SessionError, Tls};
use mytls::facts::{Account, AccountName, Facts, OtherSession, Require, Source, Target};
use mytls::prove::why;
use mytls::remedy::lockout::{Forecast, Group, Proposal, forecast};
use mytls::sandbox::{Fault, Series};
use mytls::secret::Secret;
use mytls::wire::Trust;
use mytls::x509::pem;

const PASSWORD: &str = "correct horse battery";

/// An account, how its client comes in, and whether it shows a certificate.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Plain,
    Tls,
    Certificate,
    Socket,
}

const SESSIONS: [(&str, Way); 14] = [
    ("plain", Way::Plain),
    ("plain", Way::Plain),
    ("plain", Way::Tls),
    ("plain", Way::Certificate),
    ("net", Way::Plain),
    ("net", Way::Tls),
    ("narrow", Way::Plain),
    ("narrow", Way::Socket),
    ("sock", Way::Socket),
    ("bound", Way::Certificate),
    ("ssl", Way::Tls),
    ("other", Way::Plain),
    ("ghost", Way::Plain),
    ("ghost", Way::Tls),
];

/// Of `net` and `narrow` only the second answers the sessions from this host's own network.
const ACCOUNTS: [(&str, &str, &str); 9] = [
    ("plain", "%", "NONE"),
    ("net", "%", "NONE"),
    ("net", "127.0.0.0/255.0.0.0", "NONE"),
    ("narrow", "%", "NONE"),
    ("narrow", "127.0.%", "NONE"),
    ("sock", "localhost", "NONE"),
    ("bound", "%", "X509"),
    ("ssl", "%", "SSL"),
    ("other", "%", "NONE"),
];

struct Stage {
    server: Server,
    target: Target,
}

impl Stage {
    fn route(&self, way: Way) -> Route {
        let ca = std::fs::read(self.target.ssl_ca.as_ref().unwrap()).unwrap();
        let trust = Trust::Only(pem::certificates(&ca).unwrap());
        let tls = match way {
            Way::Socket => return Route::Socket(self.target.socket.clone().unwrap()),
            Way::Plain => Tls::Off,
            Way::Tls | Way::Certificate => Tls::Verified { trust, check_host: false },
        };
        Route::Tcp { host: "127.0.0.1".into(), port: self.target.port.unwrap(), tls }
    }

    fn log_in(&self, (user, way): (&str, Way)) -> Result<Session, SessionError> {
        let file = |name: &str| -> PathBuf { self.server.dir().join("client").join(name) };
        let shows = way == Way::Certificate;
        let target = Target {
            user: Some(user.to_owned()),
            password: Some(Secret::new(PASSWORD)),
            ssl_cert: shows.then(|| file("app-cert.pem")),
            ssl_key: shows.then(|| file("app-key.pem")),
            ..self.target.clone()
        };
        session::open(&target, &self.route(way))
    }

    fn facts(&self) -> Facts {
        gather(&self.target, &Cancel::default(), &mut |_| ())
    }

    /// Compares what was said with what happens. Gives back the sessions that were lost.
    fn hold_to(&self, forecast: &Forecast, ids: &[u64], what: &str) -> BTreeSet<usize> {
        let at = |groups: &[Group]| -> BTreeSet<usize> {
            let said = groups.iter().flat_map(|group| &group.sessions);
            said.filter_map(|id| ids.iter().position(|known| known == id)).collect()
        };
        let (refused, unclear) = (at(&forecast.refused), at(&forecast.unclear));
        let mut lost = BTreeSet::new();
        for (number, session) in SESSIONS.iter().enumerate() {
            match self.log_in(*session) {
                Ok(_) => {}
                Err(SessionError::Denied { code: 1045 | 3159, .. }) => {
                    lost.insert(number);
                }
                // MariaDB says so before the login
                Err(SessionError::Failed { why, .. }) if why.contains("3159") => {
                    lost.insert(number);
                }
                Err(error) => panic!("{what}: {session:?}: {error:?}"),
            }
        }
        let name =
            |set: BTreeSet<usize>| -> Vec<_> { set.iter().map(|at| SESSIONS[*at]).collect() };
        assert_eq!(name(&refused - &lost), [], "{what}: announced, and came back");
        let silent = &(&lost - &refused) - &unclear;
        assert_eq!(name(silent), [], "{what}: lost, and not announced");
        lost
    }
}

fn predicted(series: Series) {
    let Some(program) = lab::servers().into_iter().find(|program| program.series == series) else {
        return;
    };
    let server = program.start(&Fault::none()).unwrap();
    for (user, host, require) in ACCOUNTS.into_iter().chain([("", "%", "NONE")]) {
        let made =
            format!("CREATE USER '{user}'@'{host}' IDENTIFIED BY '{PASSWORD}' REQUIRE {require}");
        server.sql(&made).unwrap();
    }
    // the sandbox's own server is sound
    server.sql("SET GLOBAL require_secure_transport = OFF").unwrap();
    let target = server.sandbox.target();
    let stage = Stage { server, target };
    // over TLS first, so that caching_sha2_password knows the passwords
    for (user, _) in SESSIONS {
        let way = if user == "sock" { Way::Socket } else { Way::Certificate };
        drop(stage.log_in((user, way)));
    }
    let mut sessions: Vec<Session> = SESSIONS
        .iter()
        .map(|session| {
            stage.log_in(*session).unwrap_or_else(|error| panic!("{session:?}: {error}"))
        })
        .collect();
    let ids: Vec<u64> = sessions
        .iter_mut()
        .map(|session| session.query_first("SELECT CONNECTION_ID()").unwrap().unwrap())
        .collect();

    let orders = |require: &Require| -> Vec<(AccountName, Require)> {
        let changed = ACCOUNTS.into_iter().filter(|(user, ..)| *user != "other");
        let changed = changed.chain([("", "%", "")]);
        changed.map(|(user, host, _)| (AccountName::new(user, host), require.clone())).collect()
    };
    let put = |require: &str| {
        for (name, _) in orders(&Require::Ssl) {
            let (user, host) = (&name.user, &name.host);
            stage.server.sql(&format!("ALTER USER '{user}'@'{host}' REQUIRE {require}")).unwrap();
        }
    };
    let put_back = || {
        put("NONE");
        stage.server.sql("ALTER USER 'bound'@'%' REQUIRE X509").unwrap();
        stage.server.sql("ALTER USER 'ssl'@'%' REQUIRE SSL").unwrap();
    };
    for (require, clause) in [(Require::Ssl, "SSL"), (Require::X509, "X509")] {
        let said = forecast(&stage.facts(), Proposal::Require(&orders(&require)));
        assert!(said.refused.iter().any(|group| {
            group.to_string().starts_with("2 sessions of `plain` come in without TLS from ")
        }));
        put(clause);
        let lost = stage.hold_to(&said, &ids, clause);
        assert!(lost.len() >= 6 && lost.len() < SESSIONS.len(), "{clause}: {lost:?}");
        // whether there is TLS the server tells, so nothing is left open
        assert!(require != Require::Ssl || said.unclear.is_empty(), "{:?}", said.unclear);
        put_back();
    }
    // one of two accounts of a name: only the sessions that it answers
    let narrow = [(AccountName::new("net", "%"), Require::Ssl)];
    let said = forecast(&stage.facts(), Proposal::Require(&narrow));
    assert_eq!(said.refused, [], "the account with the netmask answers them");
    stage.server.sql("ALTER USER 'net'@'%' REQUIRE SSL").unwrap();
    assert_eq!(stage.hold_to(&said, &ids, "net@%"), BTreeSet::new());
    put_back();

    let said = forecast(&stage.facts(), Proposal::SecureTransport);
    stage.server.sql("SET GLOBAL require_secure_transport = ON").unwrap();
    let lost = stage.hold_to(&said, &ids, "require_secure_transport");
    assert!(lost.len() >= 5, "{lost:?}");
    assert!(said.unclear.is_empty());
    stage.server.sql("SET GLOBAL require_secure_transport = OFF").unwrap();
    drop(sessions);
}

#[test]
fn mariadb_refuses_whom_the_forecast_names_and_nobody_else() {
    predicted(Series::MariaDb1011);
}

#[test]
fn mysql_refuses_whom_the_forecast_names_and_nobody_else() {
    predicted(Series::MySql97);
}

/// Patterns that all fit a client from 127.0.0.1.
const FITTING: [&str; 14] = [
    "%",
    "127.%",
    "127.0.%",
    "127.0.0.%",
    "127.0.0._",
    "1_7.0.0.1",
    "_27.0.0.1",
    "%.0.0.1",
    "12_.%",
    "1%7.0.%1",
    "127.0.0.1",
    "127.0.0.0/255.0.0.0",
    "127.0.0.0/255.255.0.0",
    "127.0.0.0/255.255.255.252",
];

/// Which of several accounts that fit answers is foretold as the server then decides.
fn answered(series: Series) {
    let Some(program) = lab::servers().into_iter().find(|program| program.series == series) else {
        return;
    };
    let server = program.start(&Fault::none()).unwrap();
    if series != Series::MySql56 {
        server.sql("SET GLOBAL require_secure_transport = OFF").unwrap();
    }
    let target = server.sandbox.target();
    let mut root = session::open(&target, &Route::Socket(target.socket.clone().unwrap())).unwrap();
    let mut facts = gather(&target, &Cancel::default(), &mut |_| ());
    let tcp = Route::Tcp { host: "127.0.0.1".into(), port: target.port.unwrap(), tls: Tls::Off };
    let guest = Target {
        user: Some("rk".into()),
        password: Some(Secret::new("")),
        ssl_ca: None,
        ..target.clone()
    };
    let mut patterns = FITTING.to_vec();
    // to others than MySQL 8.0.23 and later a name that no host has
    patterns.extend(["127.0.0.0/8", "127.0.0.0/30"]);
    let fits = |host: &str| series == Series::MySql97 || !mytls::facts::has_length(host);
    // one server's tables come with anonymous accounts
    for host in &patterns {
        let _ = root.query_drop(format!("DROP USER ''@'{host}'"));
    }
    let mut seed = 20_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let mut certain = 0;
    for _ in 0..80 {
        let mut names = BTreeSet::new();
        for _ in 0..2 + random(4) {
            let user = if random(4) == 0 { "" } else { "rk" };
            names.insert(AccountName::new(user, patterns[random(patterns.len())]));
        }
        if !names.iter().any(|name| fits(&name.host)) {
            continue;
        }
        for AccountName { user, host } in &names {
            root.query_drop(format!("CREATE USER '{user}'@'{host}'")).unwrap();
        }
        let mut session = session::open(&guest, &tcp).unwrap();
        let answers: String = session.query_first("SELECT CURRENT_USER()").unwrap().unwrap();
        drop(session);
        let account = |name: &AccountName| Account { name: name.clone(), ..Account::default() };
        let Source::Read(known) = &mut facts.server else { panic!("no facts") };
        known.accounts = Source::Read(names.iter().map(account).collect());
        known.sessions = Source::Read(vec![OtherSession {
            id: 1,
            user: "rk".into(),
            host: "127.0.0.1".into(),
            connection_type: "TCP/IP".into(),
            command: String::new(),
        }]);
        let refused: Vec<String> = names
            .iter()
            .filter(|name| {
                let orders = [((*name).clone(), Require::Ssl)];
                !forecast(&facts, Proposal::Require(&orders)).refused.is_empty()
            })
            .map(|name| format!("{}@{}", name.user, name.host))
            .collect();
        let known = facts.server.read().unwrap();
        let candidates = why::answering::candidates(known, "rk", Some("127.0.0.1"));
        let first = known.first(&candidates);
        let name = |account: &Account| format!("{}@{}", account.name.user, account.name.host);
        if first.len() > 1 {
            // side by side, as the server made them: then nobody is named
            assert_eq!(series, Series::MySql56, "{names:?}");
            assert!(first.iter().any(|account| name(account) == answers), "{answers}: {names:?}");
            assert_eq!(refused, Vec::<String>::new(), "{series}: {names:?}");
        } else {
            certain += 1;
            assert_eq!(refused, std::slice::from_ref(&answers), "{series}: {names:?}");
            assert_eq!(name(candidates[0]), answers);
        }
        for AccountName { user, host } in &names {
            root.query_drop(format!("DROP USER '{user}'@'{host}'")).unwrap();
        }
    }
    assert!(certain >= 40, "{series}: {certain}");
}

#[test]
fn overlapping_patterns_are_ordered_as_mysql_does() {
    answered(Series::MySql97);
    answered(Series::MySql56);
}

#[test]
fn overlapping_patterns_are_ordered_as_mariadb_does() {
    answered(Series::MariaDb1011);
    answered(Series::MariaDb118);
}
