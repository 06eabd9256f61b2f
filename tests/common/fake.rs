//! An engine made of literals: a MariaDB whose key belongs to another certificate, and what becomes
//! of it as the wizard mends it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use mytls::apply::accounts::{AccountPlan, Change, Raw};
use mytls::apply::{Applied, Content, DiffKind, DiffLine, Plan, Statement, Write};
use mytls::ca::{Catalog, Entry, Kind, Revoked};
use mytls::checklist::{Examination, Outcome};
use mytls::facts::gather::{Cancel, Progress, ProgressState};
use mytls::facts::session::Route;
use mytls::facts::{
    Access, Account, AccountName, ConfigValue, Facts, FileFacts, Flavor, More, Origin,
    OtherSession, Readable, Require, ServerConfig, ServerFacts, ServerFiles, Session, Source,
    Target, Transport, UnreadKind, Version,
};
use mytls::prove::why::{Attempt, Ended, examine};
use mytls::prove::{self, Corrected, Mismatch, Part};
use mytls::remedy::lockout::Forecast;
use mytls::remedy::{Action, Effect, Remedy};
use mytls::rules::{self, Answer, Evidence, Finding, Severity, Step};
use mytls::scan::result::{Cost, SuiteSeen, TlsScan, VersionScan};
use mytls::scan::{Protocol, Scan, names, policy};
use mytls::secret::Secret;
use mytls::tui::engine::{
    AuthorityForm, ClientLogin, Denial, Engine, KeyKind, KeyKinds, Level, NotPlanned, Offer, Proof,
    ProofRow, Reason, StatementForm,
};
use mytls::wire::{Greeting, Handshake, TlsOffer, WireFacts};
use mytls::x509::chain::VerifyFault;
use mytls::x509::name::Attribute;
use mytls::x509::{Certificate, KeyAlgorithm, Name, PrivateKey, PublicKey};

/// 2026-11-22, noon.
const NOW: i64 = 1_795_348_800;
const DAY: i64 = 86_400;

pub struct Fake {
    pub does: Mutex<Does>,
}

/// How the server stands, and what the engine is to do.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Does {
    pub key_matches: bool,
    pub chain_in_order: bool,
    pub require: Require,
    pub can_restart: bool,
    pub password: Option<&'static str>,
    /// Writing fails after its first step.
    pub write_fails: bool,
    pub unreachable: Option<UnreadKind>,
    pub by_hand: bool,
    pub refuses_right_certificate: bool,
    pub certificate_name: &'static str,
    /// A note is found, too.
    pub notes: bool,
    /// The private CA there is.
    pub authority: Option<Catalog>,
    /// So many `tenant00000@10.1.%` besides.
    pub more_accounts: usize,
    /// The server is MySQL 9.7, and not MariaDB.
    pub mysql: bool,
    /// What opens its key.
    pub passphrase: Option<Secret>,
}

impl Default for Does {
    fn default() -> Self {
        Self {
            key_matches: false,
            chain_in_order: true,
            require: Require::None,
            can_restart: true,
            password: Some("secret"),
            write_fails: false,
            unreachable: None,
            by_hand: false,
            refuses_right_certificate: false,
            certificate_name: "db1.example",
            notes: false,
            authority: None,
            more_accounts: 0,
            mysql: false,
            passphrase: None,
        }
    }
}

impl Fake {
    pub fn new(change: impl FnOnce(&mut Does)) -> Self {
        let mut does = Does::default();
        change(&mut does);
        Self { does: Mutex::new(does) }
    }

    pub fn change(&self, change: impl FnOnce(&mut Does)) {
        change(&mut self.does.lock().unwrap());
    }
}

pub fn target() -> Target {
    Target {
        host: Some("db1.example".into()),
        port: Some(3306),
        user: Some("root".into()),
        ..Target::default()
    }
}

pub fn app() -> AccountName {
    AccountName::new("app", "10.0.%")
}

impl Engine for Fake {
    fn examine(&self, target: &Target, _: &Cancel, told: &mut dyn FnMut(Progress)) -> Examination {
        let done = [("read the server's options", "/etc/mysql/my.cnf"), ("log in", "MariaDB")];
        for (stage, words) in done {
            told(Progress { stage, state: ProgressState::Started });
            told(Progress { stage, state: ProgressState::Done(words.into()) });
        }
        examination(&self.does.lock().unwrap(), target)
    }

    fn authority_form(&self, _: &Examination, user: Option<&str>) -> AuthorityForm {
        let healthy = user.is_some() && self.does.lock().unwrap().key_matches;
        AuthorityForm {
            ca_name: "db1.example private CA".into(),
            key: KeyKind::P256,
            server_names: if healthy { "" } else { "db1.example, 127.0.0.1" }.into(),
            client_account: user.unwrap_or("app").into(),
            folder: "/etc/mysql/tls".into(),
            is_new: self.does.lock().unwrap().authority.is_none(),
            passphrase: None,
        }
    }

    fn key_kinds(&self, exam: &Examination) -> KeyKinds {
        mytls::remedy::key_kinds::key_kinds(&exam.facts)
    }

    fn authority(&self, _: &Examination) -> Result<Option<Catalog>, String> {
        Ok(self.does.lock().unwrap().authority.clone())
    }

    fn issued(&self, _: &Examination, serial: &str) -> Result<Certificate, String> {
        let does = self.does.lock().unwrap();
        let catalog = does.authority.as_ref().ok_or("there is no CA")?;
        let entry = catalog.entries.iter().find(|entry| entry.serial == serial);
        let entry = entry.ok_or("there is no such file")?;
        let server = entry.kind == Kind::Server;
        Ok(Certificate {
            dns_names: if server { entry.names.clone() } else { Vec::new() },
            serial: entry.serial.clone(),
            sha256: entry.sha256.clone(),
            not_before: entry.not_before,
            not_after: entry.not_after,
            is_ca: Some(false),
            ..certificate(&entry.names[0], "Example CA", "e5")
        })
    }

    fn plan_renewal(
        &self,
        exam: &Examination,
        serial: &str,
        same_key: bool,
    ) -> Result<Plan, NotPlanned> {
        let opens = self.does.lock().unwrap().passphrase.clone();
        let given = &exam.facts.target.ca_passphrase;
        if opens.is_some() && *given != opens {
            let dir = "/root/ca".into();
            return Err(NotPlanned::Locked { dir, wrong: given.is_some() });
        }
        Ok(register_plan(
            &format!("renew {serial}, {} key", if same_key { "the same" } else { "a new" }),
            &[("clients/app/client-cert.pem", 0o644), ("clients/app/client-key.pem", 0o600)],
        ))
    }

    fn plan_revocation(
        &self,
        _: &Examination,
        serial: &str,
        reason: Reason,
    ) -> Result<Plan, NotPlanned> {
        let files = [("crl.pem", 0o644), ("index.jsonl", 0o600)];
        let title = format!("revoke {serial}: {}", reason.name());
        Ok(Plan { asked_again: Some("revoke"), ..register_plan(&title, &files) })
    }

    fn plan_authority(&self, _: &Examination, form: &AuthorityForm) -> Result<Plan, NotPlanned> {
        if form.ca_name == "taken" {
            return Err("there is a CA of this name in /root/ca; choose another name".into());
        }
        let write = |file: &str, mode, what: &str, key: bool| Write {
            path: form.folder.join(file),
            content: if key {
                Content::Key(Secret::new("-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n"))
            } else {
                Content::Text("-----BEGIN CERTIFICATE-----\nMIIB\n".into())
            },
            mode,
            owner: Some(("root".into(), "mysql".into())),
            what: what.into(),
            diff: Vec::new(),
            replaces: false,
            seen: None,
        };
        let line = |number, kind, text: &str| DiffLine { number, kind, text: text.into() };
        let config = Write {
            path: "/etc/mysql/my.cnf".into(),
            content: Content::Text("[mysqld]\n".into()),
            mode: 0o644,
            owner: Some(("root".into(), "root".into())),
            what: "the server's options".into(),
            diff: vec![
                line(13, DiffKind::Removed, "ssl_cert = /etc/mysql/server.pem"),
                line(13, DiffKind::Added, "ssl_cert = /etc/mysql/tls/server-cert.pem"),
                line(14, DiffKind::Removed, "ssl_key  = /etc/mysql/server.key"),
                line(14, DiffKind::Added, "ssl_key  = /etc/mysql/tls/server-key.pem"),
            ],
            replaces: true,
            seen: None,
        };
        Ok(Plan {
            title: "a private CA, and certificates from it".into(),
            writes: vec![
                write("ca.pem", 0o644, "the CA's certificate", false),
                write("server-cert.pem", 0o644, "server certificate and its chain", false),
                write("server-key.pem", 0o640, "P-256 key, never shown", true),
                config,
            ],
            effect: Effect::Restart,
            warnings: vec!["2 sessions are open now; the restart ends them".into()],
            ..Plan::default()
        })
    }

    fn plan_remedy(&self, _: &Examination, remedy: &Remedy) -> Result<Plan, NotPlanned> {
        if remedy.title.contains("own CA") {
            return Err(NotPlanned::NeedsCertificate);
        }
        if self.does.lock().unwrap().by_hand {
            return Err(NotPlanned::ByHand("the file is on another host".into()));
        }
        Ok(Plan { title: remedy.title.clone(), ..statement_plan("SET GLOBAL x = 1", "") })
    }

    fn offer(
        &self,
        _: &Examination,
        accounts: &[AccountName],
        level: Level,
        form: StatementForm,
        cipher: Option<&str>,
    ) -> Result<Offer, String> {
        let [account] = accounts else { return Ok(offer_of_many(accounts, level)) };
        if account.user == "web" && level >= Level::Issuer {
            return Err("no certificate was made for web yet; c makes one".into());
        }
        let (user, host) = (&account.user, &account.host);
        let verb = match form {
            StatementForm::Alter => format!("ALTER USER '{user}'@'{host}'"),
            StatementForm::Grant => format!("GRANT USAGE ON *.* TO '{user}'@'{host}'"),
        };
        let require = match level {
            Level::None => "NONE".to_owned(),
            Level::Ssl => "SSL".to_owned(),
            Level::X509 => "X509".to_owned(),
            Level::Issuer => "ISSUER '/CN=db1.example private CA'".to_owned(),
            Level::SubjectAndIssuer => {
                format!("\n  SUBJECT '/CN={user}'\n  AND ISSUER '/CN=db1.example private CA'")
            }
        };
        let statement = format!("{verb} REQUIRE {require}").replace("REQUIRE \n", "REQUIRE\n");
        let statement = match cipher {
            Some(cipher) => format!("{statement}\n  AND CIPHER '{cipher}'"),
            None => statement,
        };
        let undo = format!("{verb} REQUIRE NONE");
        // nothing would change, so there is nothing to take back
        let undo = if user == "web" && level == Level::Ssl { String::new() } else { undo };
        Ok(Offer {
            statement: format!("{statement};"),
            undo: if undo.is_empty() { String::new() } else { format!("{undo};") },
            subject: format!("/CN={user}"),
            issuer: "/CN=db1.example private CA".into(),
            certificate: Some("/etc/mysql/tls/app-cert.pem".into()),
            explain: "Whoever has the password still needs this one certificate and its key."
                .into(),
            warnings: vec!["would be refused from now on: 10.0.3.7, 1 session without TLS".into()],
            orders: vec![(
                account.clone(),
                match level {
                    Level::None => Require::None,
                    Level::Ssl => Require::Ssl,
                    Level::X509 => Require::X509,
                    Level::Issuer | Level::SubjectAndIssuer => Require::Specified {
                        subject: format!("/CN={user}"),
                        issuer: "/CN=db1.example private CA".into(),
                        cipher: String::new(),
                    },
                },
            )],
        })
    }

    fn plan_accounts(
        &self,
        _: &Examination,
        orders: &[(AccountName, Require)],
        _: StatementForm,
    ) -> Result<Plan, NotPlanned> {
        let changes = orders.iter().map(|(name, _)| Change {
            name: name.clone(),
            before: Raw::default(),
            after: Raw { kind: "ANY".into(), ..Raw::default() },
        });
        let sql = |of: &dyn Fn(&AccountName, &Require) -> String| {
            let of = |(name, require): &(AccountName, Require)| {
                let (user, host) = (&name.user, &name.host);
                format!("ALTER USER '{user}'@'{host}' REQUIRE {}", of(name, require))
            };
            orders.iter().map(of).collect::<Vec<_>>()
        };
        let own = orders.iter().any(|(name, _)| name.user == "root");
        let own = own.then(|| "this very session is of root@localhost".to_owned());
        let accounts = AccountPlan {
            title: String::new(),
            changes: changes.collect(),
            unchanged: Vec::new(),
            statements: sql(&|name, require| match require {
                Require::Specified { issuer, .. } => {
                    format!("SUBJECT '/CN={}' AND ISSUER '{issuer}'", name.user)
                }
                other => other.describe(),
            }),
            undo: sql(&|_, _| "NONE".to_owned()),
            warnings: Vec::new(),
            forecast: Forecast { own: own.clone(), ..Forecast::default() },
            server: String::new(),
            session: (target(), Route::Socket("/run/mysqld.sock".into())),
        };
        let title = match orders {
            [(one, _)] => format!("{one} has to show its certificate"),
            more => format!("what {} accounts require", more.len()),
        };
        Ok(Plan {
            title,
            asked_again: own.is_some().then_some("lockout"),
            warnings: accounts.forecast.warnings(),
            accounts: Some(std::sync::Arc::new(accounts)),
            ..Plan::default()
        })
    }

    fn apply(
        &self,
        _: &Target,
        plan: &Plan,
        told: &mut dyn FnMut(&str),
    ) -> Result<Applied, (Applied, String)> {
        let mut does = self.does.lock().unwrap();
        let mut applied = Applied::default();
        if let (Some(rest), Some(catalog)) =
            (plan.title.strip_prefix("revoke "), does.authority.as_mut())
        {
            let serial = rest.split(':').next().unwrap();
            let revoked = catalog.entries.iter_mut().find(|entry| entry.serial == serial).unwrap();
            revoked.revoked = Some(Revoked { at: NOW, reason: Reason::KeyCompromise });
        }
        for write in &plan.writes {
            let line = format!("wrote {}", write.path.display());
            told(&line);
            applied.undo.insert(0, format!("rm {}", write.path.display()));
            applied.done.push(line);
            if does.write_fails {
                return Err((applied, "/etc/mysql/tls: No space left on device".into()));
            }
        }
        let accounts = plan.accounts.iter().flat_map(|plan| plan.statements.iter().zip(&plan.undo));
        let accounts =
            accounts.map(|(sql, undo)| Statement { sql: sql.clone(), undo: undo.clone() });
        for statement in plan.statements.iter().cloned().chain(accounts) {
            applied.done.push(format!("sent {}", statement.sql.replace('\n', " ")));
            applied.undo.insert(0, format!("{};", statement.undo));
            does.require = Require::Specified {
                subject: "/CN=app".into(),
                issuer: "/CN=db1.example private CA".into(),
                cipher: String::new(),
            };
        }
        if !plan.writes.is_empty() {
            does.key_matches = true;
            does.chain_in_order = true;
        }
        Ok(applied)
    }

    fn can_restart(&self) -> bool {
        self.does.lock().unwrap().can_restart
    }

    fn locked_key(&self, exam: &Examination, _: &AccountName) -> Option<bool> {
        let opens = self.does.lock().unwrap().passphrase.clone()?;
        let given = exam.facts.target.ca_passphrase.as_ref();
        (given != Some(&opens)).then_some(given.is_some())
    }

    fn prove(
        &self,
        exam: &Examination,
        account: &AccountName,
        password: &Secret,
        _: &Cancel,
        told: &mut dyn FnMut(ProofRow),
    ) -> Result<Proof, String> {
        if password.expose() != "secret" {
            return Err(
                "the server refuses this password, so no refusal would prove anything".into()
            );
        }
        let broken = self.does.lock().unwrap().refuses_right_certificate;
        let row = |case: &str, expected_in: bool, was_in: bool, detail: &str| ProofRow {
            case: case.into(),
            expected_in,
            happened: if was_in { "let in" } else { "refused" }.into(),
            holds: Some(expected_in == was_in),
            detail: detail.into(),
            reason: (!was_in).then(|| match case {
                "same CA, other subject" => mismatch("/CN=app", "/CN=web"),
                "the right certificate" => mismatch("/O=A/B/CN=app", r"/O=A\/B/CN=app"),
                _ => prove::Reason::default(),
            }),
        };
        let opened = self.locked_key(exam, account).is_none();
        let forged = row("same CA, other subject", false, false, "");
        let untried =
            ProofRow { holds: None, detail: prove::TAKES_CA_KEY.into(), ..forged.clone() };
        let rows = vec![
            row("the right certificate", true, !broken, "TLSv1.3"),
            row("no TLS", false, false, ""),
            row("TLS, no certificate", false, false, ""),
            row("same subject, other CA", false, false, "unknown ca"),
            if opened { forged } else { untried },
        ];
        rows.iter().cloned().for_each(told);
        Ok(Proof {
            account: account.clone(),
            against: "db1.example:3306".into(),
            rows,
            seconds: 0.42,
            heard: Ok("performance_schema.error_log".into()),
            corrected: broken.then(|| Corrected {
                statement: r"ALTER USER 'app'@'%' REQUIRE SUBJECT '/O=A\/B/CN=app';".into(),
                undo: String::new(),
                warnings: Vec::new(),
            }),
        })
    }

    fn client_files(&self, _: &Examination, account: &AccountName) -> Option<(PathBuf, PathBuf)> {
        let dir = Path::new("/root/ca/clients").join(&account.user);
        (account.user == "app").then(|| (dir.join("client-cert.pem"), dir.join("client-key.pem")))
    }

    fn why_denied(
        &self,
        exam: &Examination,
        account: &AccountName,
        login: &ClientLogin,
    ) -> Result<Denial, String> {
        if login.password.as_ref().is_none_or(|password| password.expose() != "secret") {
            return Err("the server cannot be reached".into());
        }
        // as the real one does, of a login that the server refused
        Ok(examine(
            &exam.facts,
            &Attempt {
                user: account.user.clone(),
                account: Some(account.clone()),
                tls: login.tls,
                shown: Vec::new(),
                without_key: false,
                password_given: true,
                ended: Ended::Refused {
                    code: 3159,
                    message: "Connections using insecure transport are prohibited".into(),
                },
                from: Some("10.0.3.7".into()),
                password_fits: false,
                cipher: None,
                mismatch: None,
                lines: vec!["[Warning] Access denied\u{1b}[2J".into()],
                heard_in: Some("/var/log/mysql/error.log".into()),
                unheard: None,
                would_hear: true,
                connect_errors: None,
            },
        ))
    }

    fn scan(
        &self,
        exam: &Examination,
        _: &Cancel,
        told: &(dyn Fn(&str) + Sync),
    ) -> Result<Scan, String> {
        told("12 connections so far");
        let Some(wire) = exam.facts.wire.read() else {
            return Err("nothing answers at db1.example:3306".into());
        };
        Ok(scan(wire))
    }

    fn known_password(&self, _: &AccountName) -> Option<Secret> {
        self.does.lock().unwrap().password.map(Secret::new)
    }

    fn report(
        &self,
        exam: &Examination,
        done: &[Applied],
        proofs: &[Proof],
        _: mytls::report::Form,
    ) -> String {
        format!(
            "# {} findings, {} changes, {} proofs\n",
            exam.findings.len(),
            done.len(),
            proofs.len()
        )
    }

    fn suggest_target(&self) -> Target {
        Target { host: Some("localhost".into()), user: Some("root".into()), ..Target::default() }
    }
}

fn register_plan(title: &str, files: &[(&str, u32)]) -> Plan {
    let write = |(file, mode): &(&str, u32)| Write {
        path: Path::new("/root/ca").join(file),
        content: Content::ByStore,
        mode: *mode,
        owner: Some(("root".into(), "root".into())),
        what: "written by the CA".into(),
        diff: Vec::new(),
        replaces: true,
        seen: None,
    };
    Plan { title: title.into(), writes: files.iter().map(write).collect(), ..Plan::default() }
}

/// A root, an issuing CA, and what that has issued: some good, one about to expire, one expired, one
/// revoked, one replaced.
pub fn authority() -> Catalog {
    let ca = |name: &str, issuer: &str, id: &str, years: i64| Certificate {
        not_before: NOW - 200 * DAY,
        not_after: NOW + years * 365 * DAY,
        serial: id.repeat(16).to_uppercase(),
        is_ca: Some(true),
        self_signed: name == issuer,
        public_key: Some(PublicKey {
            algorithm: KeyAlgorithm::Ec("prime256v1".into()),
            bits: 256,
            ..public_key(id)
        }),
        ..certificate(name, issuer, id)
    };
    let entry = |kind, names: &str, id: &str, from: i64, until: i64| Entry {
        serial: id.repeat(16).to_uppercase(),
        kind,
        subject: format!("/O=Example CA/CN={names}"),
        names: names.split(", ").map(str::to_owned).collect(),
        not_before: NOW - from * DAY,
        not_after: NOW + until * DAY,
        sha256: id.repeat(32),
        key: "EC P-256".into(),
        files: Vec::new(),
        deployed: false,
        revoked: None,
        instead_of: None,
        replaced_by: None,
        dropped: false,
    };
    let client = |name: &str, id: &str, from, until| Entry {
        files: ["client-cert.pem", "client-key.pem", "ca.pem"]
            .map(|file| format!("clients/{name}/{file}").into())
            .to_vec(),
        ..entry(Kind::Client, name, id, from, until)
    };
    let served = Entry {
        files: vec![
            "/etc/mysql/tls/server-cert.pem".into(),
            "/etc/mysql/tls/server-key.pem".into(),
        ],
        deployed: true,
        key: "RSA 2048".into(),
        ..entry(Kind::Server, "db1.example, 10.0.0.5", "5c", 100, 297)
    };
    let revoked = Some(Revoked { at: NOW - 3 * DAY, reason: Reason::PrivilegeWithdrawn });
    let entries = vec![
        Entry { replaced_by: Some("77".repeat(16)), ..client("app", "70", 390, 7) },
        served,
        client("app", "77", 5, 392),
        client("billing", "b1", 385, 12),
        client("etl", "e0", 420, -23),
        Entry { revoked, ..client("intern", "1a", 60, 337) },
        client("web", "3e", 150, 247),
    ];
    Catalog {
        dir: "/root/ca".into(),
        chain: vec![
            ca("Example CA", "Example Root", "ca", 5),
            ca("Example Root", "Example Root", "a0", 10),
        ],
        entries,
        ..Catalog::default()
    }
}

fn offer_of_many(accounts: &[AccountName], level: Level) -> Offer {
    let sql = |require: &str| {
        let of = |name: &AccountName| {
            format!("ALTER USER '{}'@'{}' REQUIRE {require};", name.user, name.host)
        };
        accounts.iter().map(of).collect::<Vec<_>>().join("\n")
    };
    let require = if level == Level::None { "NONE" } else { "SSL" };
    Offer {
        statement: sql(require),
        undo: sql("NONE"),
        explain: "the password is enough, from anywhere its host pattern allows".into(),
        orders: accounts.iter().map(|name| (name.clone(), Require::Ssl)).collect(),
        ..Offer::default()
    }
}

fn statement_plan(sql: &str, undo: &str) -> Plan {
    let statement = Statement { sql: sql.into(), undo: undo.into() };
    Plan { statements: vec![statement], ..Plan::default() }
}

fn examination(does: &Does, target: &Target) -> Examination {
    let facts = facts(does, target);
    let mut findings = Vec::new();
    if !does.key_matches {
        findings.push(key_mismatch());
        findings.push(Finding {
            because_of: Some("key-mismatch"),
            remedies: vec![Remedy::new(
                "start the server",
                vec![Action::shell("systemctl start mariadb", Effect::Restart)],
            )],
            ..finding("tls-off", "TLS is off", "the server started without TLS")
        });
    }
    if !does.chain_in_order {
        findings.push(finding(
            "chain-wrong-order",
            "the chain file is in the wrong order",
            "the server takes the first certificate for its own, and it is not",
        ));
    }
    if does.require == Require::None {
        findings.push(finding(
            "account-without-require",
            "app@10.0.% may log in without TLS",
            "whoever reads along has its password's hash, and everything it reads",
        ));
    }
    if does.notes {
        findings.push(Finding {
            severity: Severity::Note,
            ..finding("transport-not-enforced", "clear text is still possible", "it is")
        });
    }
    let outcomes = rules::ALL
        .iter()
        .map(|rule| {
            let own: Vec<Finding> =
                findings.iter().filter(|finding| finding.rule == rule.id).cloned().collect();
            let answer = match rule.id {
                _ if !own.is_empty() => Answer::Fail(own),
                "key-unreadable" => Answer::Pass("0640 root:mysql".into()),
                "certificate-expiring" => Answer::Pass("12 months left".into()),
                "certificate-not-loaded" if !does.key_matches => {
                    Answer::NotApplicable("TLS is off, so no certificate is presented".into())
                }
                "transport-not-enforced" if !does.key_matches => {
                    Answer::Unknown("the server has no variable of this name".into())
                }
                _ => Answer::Pass(String::new()),
            };
            Outcome { rule, answer }
        })
        .collect();
    Examination { facts, outcomes, findings }
}

fn finding(rule: &'static str, title: &str, cause: &str) -> Finding {
    let rule = rules::find(rule).expect("the rule exists");
    Finding {
        rule: rule.id,
        step: rule.step,
        severity: rule.severity,
        title: title.into(),
        evidence: Vec::new(),
        cause: cause.into(),
        remedies: Vec::new(),
        because_of: None,
    }
}

fn key_mismatch() -> Finding {
    let saw = |label: &str, value: &str| Evidence { label: label.into(), value: value.into() };
    Finding {
        step: Step::Key,
        severity: Severity::Error,
        evidence: vec![
            saw("certificate", "/etc/mysql/server.pem (my.cnf:13)"),
            saw("", "modulus md5 7be0a41c2c9d11c2"),
            saw("key", "/etc/mysql/server.key (my.cnf:14)"),
            saw("", "modulus md5 d1f90c7e55aa0a77  ≠"),
            saw("key found", "/etc/mysql/old/server.key matches this certificate"),
        ],
        remedies: vec![
            Remedy::new(
                "point ssl_key at the key that matches",
                vec![Action::config(
                    "/etc/mysql/my.cnf".as_ref(),
                    &[("ssl_key", "/etc/mysql/old/server.key")],
                )],
            ),
            Remedy::new(
                "make a new pair in your own CA",
                vec![Action::shell("mytls ca server --out /etc/mysql/tls", Effect::Reload)],
            ),
        ],
        ..finding(
            "key-mismatch",
            "the key belongs to another certificate",
            "the server cannot prove that the certificate is its own, so it cannot offer TLS",
        )
    }
}

fn facts(does: &Does, target: &Target) -> Facts {
    if let Some(kind) = does.unreachable {
        let why = match kind {
            UnreadKind::Refused => "the server refuses root: Access denied (error 1045)",
            _ => "nothing listens on db1.example:3306: Connection refused",
        };
        return Facts {
            schema: Facts::SCHEMA,
            at: NOW,
            target: target.clone(),
            config: Source::unread(UnreadKind::NotAsked, "the server is not this host", ""),
            files: Source::unread(UnreadKind::NotAsked, "the server is not this host", ""),
            wire: Source::unread(kind, why, "check the address"),
            server: Source::unread(kind, why, "check the address"),
            confinement: Source::unread(UnreadKind::NotAsked, "", ""),
            host: mytls::facts::HostNames::default(),
            listeners: Source::unread(UnreadKind::NotAsked, "", ""),
            log_place: Source::unread(UnreadKind::NotAsked, "it is no real server", ""),
            log: Source::unread(UnreadKind::NotAsked, "the server is not this host", ""),
        };
    }
    let own = public_key("a1");
    let name = does.certificate_name;
    let leaf = certificate(name, "Issuing CA 3", "a1");
    let issuing = certificate("Issuing CA 3", "Example Root", "b2");
    let root = certificate("Example Root", "Example Root", "c3");
    let (chain, signers) = if does.chain_in_order {
        (vec![leaf.clone(), issuing.clone()], vec![Some(1), None])
    } else {
        (vec![issuing.clone(), leaf.clone()], vec![None, Some(0)])
    };
    let key = if does.key_matches || !does.chain_in_order { own } else { public_key("ff") };
    let main_file = PathBuf::from("/etc/mysql/my.cnf");
    let options = [("ssl_ca", 12), ("ssl_cert", 13), ("ssl_key", 14)].map(|(name, line)| {
        let value = Some(format!("/etc/mysql/{name}.pem"));
        let origin = Origin { file: main_file.clone(), line };
        (name.to_owned(), ConfigValue { value, origin })
    });
    Facts {
        schema: Facts::SCHEMA,
        at: NOW,
        target: target.clone(),
        config: Source::Read(ServerConfig {
            files: vec![main_file.clone()],
            main_file,
            options: options.into_iter().collect(),
            ..ServerConfig::default()
        }),
        files: Source::Read(ServerFiles {
            server_user: Some("mysql".into()),
            key: Some(file(
                "ssl_key",
                "/etc/mysql/server.key",
                0o640,
                PrivateKey { public: key, label: "PRIVATE KEY".into() },
            )),
            certificate: Some(file("ssl_cert", "/etc/mysql/server.pem", 0o644, chain.clone())),
            ca: Some(file("ssl_ca", "/etc/mysql/ca.pem", 0o644, vec![root])),
            signers,
            under_ca: Some(Ok(())),
            ..ServerFiles::default()
        }),
        wire: Source::Read(WireFacts {
            host: "db1.example".into(),
            port: 3306,
            greeting: Greeting {
                version_text: "5.5.5-10.11.19-MariaDB".into(),
                flavor: Flavor::MariaDb,
                version: Some(Version(10, 11, 19)),
                offers_tls: does.key_matches,
                auth_plugin: "mysql_native_password".into(),
            },
            tls: if does.key_matches {
                TlsOffer::Established(Handshake {
                    version: "TLSv1.3".into(),
                    cipher: "TLS_AES_256_GCM_SHA384".into(),
                    chain,
                    faults: Some(Vec::<VerifyFault>::new()),
                    name_matches: true,
                })
            } else {
                TlsOffer::NotOffered
            },
        }),
        server: Source::Read(server(does)),
        confinement: Source::unread(UnreadKind::NotAsked, "", ""),
        host: mytls::facts::HostNames::default(),
        listeners: Source::unread(UnreadKind::NotAsked, "", ""),
        log_place: Source::unread(UnreadKind::NotAsked, "it is no real server", ""),
        log: Source::unread(UnreadKind::Failed, "mytls may not read /var/log/mysql/error.log", ""),
    }
}

fn server(does: &Does) -> ServerFacts {
    let session = |id, user: &str, kind: &str| OtherSession {
        id,
        user: user.into(),
        host: "10.0.3.7".into(),
        connection_type: kind.into(),
        command: "Sleep".into(),
        over: None,
    };
    let have_ssl = if does.key_matches { "YES" } else { "DISABLED" };
    let (flavor, version) = if does.mysql {
        (Flavor::MySql, Version(9, 7, 4))
    } else {
        (Flavor::MariaDb, Version(10, 11, 19))
    };
    ServerFacts {
        flavor,
        version,
        version_text: "10.11.19-MariaDB-deb12".into(),
        tls_library: Some("OpenSSL 3.0.19 27 Jan 2026".into()),
        current_user: "root@localhost".into(),
        session: Session {
            over: Transport::Socket,
            cipher: String::new(),
            tls_version: String::new(),
        },
        variables: BTreeMap::from([
            ("have_ssl".to_owned(), have_ssl.to_owned()),
            ("tls_version".to_owned(), "TLSv1.2,TLSv1.3".to_owned()),
        ]),
        status: BTreeMap::new(),
        roles: Vec::new(),
        accounts: Source::Read(accounts(does)),
        sessions: Source::Read(vec![session(7, "app", "TCP/IP"), session(8, "app", "SSL/TLS")]),
        clients: Source::unread(UnreadKind::NotAsked, "", ""),
        processes: Vec::new(),
        unseen: Vec::new(),
        sources: Vec::new(),
        own_account: None,
    }
}

fn accounts(does: &Does) -> Vec<Account> {
    let account = |user: &str, host: &str, require: Require, locked| Account {
        name: AccountName::new(user, host),
        require,
        plugin: "mysql_native_password".into(),
        locked,
        more: More::default(),
    };
    let mut all = vec![
        account("root", "localhost", Require::None, false),
        account("app", "10.0.%", does.require.clone(), false),
        account("web", "10.0.%", Require::Ssl, false),
        account("mariadb.sys", "localhost", Require::None, true),
    ];
    let more = (0..does.more_accounts).map(|at| {
        let require = if at % 10 == 0 { Require::Ssl } else { Require::X509 };
        account(&format!("tenant{at:05}"), "10.1.%", require, false)
    });
    all.extend(more);
    all
}

fn file<T>(option: &str, path: &str, mode: u32, content: T) -> FileFacts<T> {
    FileFacts {
        option: option.into(),
        path: path.into(),
        origin: None,
        access: Some(Access {
            mode,
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

fn public_key(id: &str) -> PublicKey {
    let algorithm = KeyAlgorithm::Rsa;
    PublicKey { algorithm, bits: 2048, spki_sha256: id.repeat(32), modulus_md5: None }
}

fn certificate(name: &str, issuer: &str, id: &str) -> Certificate {
    let is_ca = name.ends_with("CA 3") || name.ends_with("Root");
    Certificate {
        version: 3,
        subject: common_name(name),
        issuer: common_name(issuer),
        serial: "5A01".into(),
        not_before: NOW - 10 * DAY,
        not_after: NOW + 355 * DAY,
        public_key: Some(public_key(id)),
        signature_algorithm: "RSA-SHA256".into(),
        dns_names: if is_ca { Vec::new() } else { vec![name.into()] },
        ip_addresses: Vec::new(),
        is_ca: Some(is_ca),
        path_length: None,
        may_sign_certificates: None,
        purposes: None,
        sha256: id.repeat(32),
        self_signed: name == issuer,
        pem: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".into(),
    }
}

fn common_name(name: &str) -> Name {
    let attribute =
        Attribute { key: "CN".into(), value: name.as_bytes().to_vec(), text: name.into() };
    Name { rdns: vec![vec![attribute]] }
}

/// What a server says of a subject that is not the account's.
fn mismatch(account_says: &str, server_saw: &str) -> prove::Reason {
    let line = format!("X509 subject mismatch: should be '{account_says}' but is '{server_saw}'");
    let mismatch = Mismatch {
        part: Part::Subject,
        account_says: account_says.into(),
        server_saw: server_saw.into(),
        cut: false,
    };
    let meaning = "the password is right; the SUBJECT is not what the account says".into();
    prove::Reason { lines: vec![line], mismatch: Some(mismatch), meaning }
}

/// A server that still takes what nobody should.
fn scan(wire: &WireFacts) -> Scan {
    let version = |protocol, order: &str, numbers: &[u16]| VersionScan {
        protocol,
        offered: !numbers.is_empty(),
        suites: numbers
            .iter()
            .map(|number| SuiteSeen {
                number: *number,
                name: names::suite_name(*number),
                iana: names::suite(*number).unwrap().iana.to_owned(),
            })
            .collect(),
        order: order.to_owned(),
        complete: true,
    };
    let mut tls = TlsScan {
        versions: vec![
            version(Protocol::Tls13, "server", &[0x1302, 0x1303, 0x1301]),
            version(Protocol::Tls12, "server", &[0xc030, 0xc02f, 0xc028, 0x9d, 0x35, 0x0a]),
            version(Protocol::Tls11, "server", &[0x35, 0x0a, 0x05]),
            version(Protocol::Tls10, "unknown", &[]),
            version(Protocol::Ssl3, "unknown", &[]),
        ],
        groups: ["X25519", "P-256", "P-384"].map(str::to_owned).to_vec(),
        signs_with: vec!["rsa_pss_rsae_sha256".to_owned()],
        asks_certificate: Some(true),
        session_ids: Some(true),
        tickets: Some(true),
        compression: Some(false),
        secure_renegotiation: Some(true),
        ..TlsScan::default()
    };
    tls.policies = policy::judge(&tls);
    Scan {
        schema: 1,
        at: NOW,
        host: wire.host.clone(),
        port: wire.port,
        address: "10.0.3.9".to_owned(),
        greeting: wire.greeting.clone(),
        tls: Some(tls),
        cost: Cost { connections: 16, given_up: 4, resets: 0, milliseconds: 31 },
        in_force: None,
        left_out: Vec::new(),
    }
}
