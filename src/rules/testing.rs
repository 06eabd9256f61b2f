//! A healthy server as literal facts, for the rules' tests to break one thing of.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::facts::{
    Access, Account, AccountName, ConfigValue, Confinement, Facts, FileFacts, Flavor, LogPlace,
    More, Origin, Readable, Require, ServerConfig, ServerFacts, ServerFiles, Session, Source,
    Target, Transport, Version,
};
use crate::wire::{Greeting, Handshake, TlsOffer, WireFacts};
use crate::x509::chain::VerifyFault;
use crate::x509::{Certificate, PrivateKey, testing};

/// MariaDB 10.11 on this host, its certificate from an intermediate of a private root.
pub fn healthy() -> Facts {
    thread_local! {
        // One set of keys for all tests of a thread: what is compared must be the same each time.
        static HEALTHY: Facts = build();
    }
    HEALTHY.with(Clone::clone)
}

pub fn with_files(change: impl FnOnce(&mut ServerFiles)) -> Facts {
    let mut facts = healthy();
    if let Source::Read(files) = &mut facts.files {
        change(files);
    }
    facts
}

pub fn with_server(change: impl FnOnce(&mut ServerFacts)) -> Facts {
    let mut facts = healthy();
    if let Source::Read(server) = &mut facts.server {
        change(server);
    }
    facts
}

/// The same server with TLS switched off.
pub fn without_tls(mut facts: Facts) -> Facts {
    if let Source::Read(wire) = &mut facts.wire {
        wire.tls = TlsOffer::NotOffered;
        wire.greeting.offers_tls = false;
    }
    if let Source::Read(server) = &mut facts.server {
        server.variables.insert("have_ssl".into(), "DISABLED".into());
    }
    facts
}

pub fn handshake(facts: &mut Facts) -> &mut Handshake {
    match &mut facts.wire {
        Source::Read(WireFacts { tls: TlsOffer::Established(handshake), .. }) => handshake,
        _ => panic!("these facts hold no handshake"),
    }
}

pub fn set_option(facts: &mut Facts, name: &str, value: &str) {
    let Source::Read(config) = &mut facts.config else { panic!("these facts hold no options") };
    let origin = Origin { file: config.main_file.clone(), line: 20 };
    let value = Some(value.to_owned()).filter(|value| !value.is_empty());
    config.options.insert(name.to_owned(), ConfigValue { value, origin });
}

pub fn account(user: &str, host: &str, require: Require) -> Account {
    let name = AccountName::new(user, host);
    Account {
        name,
        require,
        plugin: "mysql_native_password".into(),
        locked: false,
        more: More::default(),
    }
}

/// What OpenSSL says when a chain ends before its CA.
pub fn no_issuer() -> VerifyFault {
    let text = "unable to get local issuer certificate".into();
    VerifyFault { depth: 0, code: VerifyFault::UNABLE_TO_GET_ISSUER_CERT_LOCALLY, text }
}

fn build() -> Facts {
    let root = testing::root("Example Root");
    let issuing = root.issue_ca("Issuing CA");
    let server = issuing.issue_server("db1.example");
    let chain = [&server, &issuing].map(|i| Certificate::from_openssl(&i.certificate)).to_vec();
    let main_file = PathBuf::from("/etc/mysql/my.cnf");
    let options =
        [("ssl_ca", "ca.pem"), ("ssl_cert", "server-cert.pem"), ("ssl_key", "server-key.pem")];
    let options = options.into_iter().zip(12..).map(|((name, file), line)| {
        let value = Some(format!("/etc/mysql/tls/{file}"));
        let origin = Origin { file: main_file.clone(), line };
        (name.to_owned(), ConfigValue { value, origin })
    });
    Facts {
        schema: Facts::SCHEMA,
        at: testing::now() - 86_400 / 2,
        target: Target { ca_dir: Some("/var/lib/mytls/ca".into()), ..Target::default() },
        files: Source::Read(ServerFiles {
            server_user: Some("mysql".into()),
            key: Some(file(
                "ssl_key",
                "server-key.pem",
                PrivateKey::from_openssl(&server.key, "PRIVATE KEY"),
            )),
            certificate: Some(file("ssl_cert", "server-cert.pem", chain.clone())),
            ca: Some(file("ssl_ca", "ca.pem", vec![Certificate::from_openssl(&root.certificate)])),
            signers: vec![Some(1), None],
            under_ca: Some(Ok(())),
            ..ServerFiles::default()
        }),
        config: Source::Read(ServerConfig {
            files: vec![main_file.clone()],
            main_file: main_file.clone(),
            options: options.collect(),
            ..ServerConfig::default()
        }),
        wire: Source::Read(WireFacts {
            host: "127.0.0.1".into(),
            port: 3306,
            greeting: Greeting {
                version_text: "5.5.5-10.11.19-MariaDB".into(),
                flavor: Flavor::MariaDb,
                version: Some(Version(10, 11, 19)),
                offers_tls: true,
                auth_plugin: "mysql_native_password".into(),
            },
            tls: TlsOffer::Established(Handshake {
                version: "TLSv1.3".into(),
                cipher: "TLS_AES_256_GCM_SHA384".into(),
                chain,
                faults: Some(Vec::new()),
                name_matches: true,
            }),
        }),
        server: Source::Read(ServerFacts {
            flavor: Flavor::MariaDb,
            version: Version(10, 11, 19),
            version_text: "10.11.19-MariaDB".into(),
            tls_library: Some("OpenSSL 3.0.19 27 Jan 2026".into()),
            current_user: "root@localhost".into(),
            session: Session {
                over: Transport::Socket,
                cipher: String::new(),
                tls_version: String::new(),
            },
            variables: BTreeMap::from([
                ("have_ssl".to_owned(), "YES".to_owned()),
                ("require_secure_transport".to_owned(), "ON".to_owned()),
            ]),
            status: BTreeMap::new(),
            roles: Vec::new(),
            accounts: Source::Read(vec![account("app", "%", Require::X509)]),
            sessions: Source::Read(Vec::new()),
            clients: Source::Read(Vec::new()),
            processes: Vec::new(),
            unseen: Vec::new(),
            sources: Vec::new(),
            own_account: None,
        }),
        log: Source::Read(Vec::new()),
        confinement: Source::Read(Confinement::default()),
        host: crate::facts::HostNames::default(),
        listeners: Source::Read(Vec::new()),
        log_place: Source::Read(LogPlace::File {
            path: "/var/log/mysql/error.log".into(),
            by_stderr: false,
        }),
    }
}

fn file<T>(option: &str, name: &str, content: T) -> FileFacts<T> {
    FileFacts {
        option: option.to_owned(),
        path: PathBuf::from("/etc/mysql/tls").join(name),
        origin: Some(Origin { file: "/etc/mysql/my.cnf".into(), line: 12 }),
        access: Some(Access {
            mode: 0o640,
            owner: "root".into(),
            group: "mysql".into(),
            readable: Readable::Yes,
            open_to_others: false,
            real: None,
        }),
        byte_order_mark: false,
        content: Ok(content),
    }
}
