//! Certificates whose names servers, clients and statements trip over, on a real server: what is
//! written lets in the one certificate, by whichever way it is sent, and no other.

mod common;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use common::lab::{self, Server, server};
use mytls::apply::{self, Plan, Statement};
use mytls::ca::{
    Authority, AuthoritySpec, ClientSpec, Issued, KeyKind, Subject as CaSubject, Validity,
};
use mytls::facts::gather::{Cancel, gather};
use mytls::facts::{AccountName, Facts, Require};
use mytls::prove::{self, Case, Happened, Subject, Witness};
use mytls::remedy::offer::{Level, Offer, Wish, offer};
use mytls::remedy::statement::{Dialect, Form, reload};
use mytls::secret::Secret;
use mytls::wire::{ClientIdentity, Endpoint, Limits, Login, Outcome, Tls, Trust, login};
use mytls::x509::pem;

/// Each a common name, of which some stand for the same letters in another spelling.
const NAMES: [(&str, &str); 8] = [
    ("an umlaut", "Jörg"),
    ("a slash", "app/web"),
    ("an apostrophe", "o'neil"),
    ("a plus", "app+web"),
    ("a backslash at its end", r"app\"),
    ("what looks like an escape", r"J\xC3\xB6rg"),
    ("quotes", "\"app\" `web`"),
    ("all of them", r#"Jörg/o'neil+1 \"a\" %_;-- "#),
];

/// The last two are what statements are parsed by in many a shop.
const MODES: [&str; 4] = [
    "STRICT_TRANS_TABLES",
    "ANSI_QUOTES",
    "NO_BACKSLASH_ESCAPES",
    "ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
];

#[test]
fn what_is_written_lets_in_the_one_certificate_and_no_other() {
    let Some(shop) = Shop::open() else { return };
    let issued: Vec<Issued> = NAMES.iter().map(|(_, name)| shop.issue(name)).collect();
    let facts = shop.facts();
    let mut proven = 0;
    for (at, (what, _)) in NAMES.iter().enumerate() {
        let other = &issued[(at + 1) % issued.len()];
        for form in shop.forms() {
            let offer = shop.offer(&facts, &issued[at], form);
            let sql = offer.written.sql();
            for (mode_at, mode) in MODES.iter().enumerate() {
                // so that nothing of the case before can be taken for success
                let forget = "ALTER USER 'app'@'%' REQUIRE SUBJECT '/CN=nobody'";
                shop.server.sql(&format!("SET GLOBAL sql_mode = '{mode}'; {forget}")).unwrap();
                // every name goes both ways, every mode goes both ways
                let pasted = (at + mode_at) % 2 == 0;
                let context = format!("{what}, {mode}, pasted: {pasted}: {sql}");
                if pasted {
                    paste(&shop.server, &sql);
                } else {
                    drop(run(&facts, &offer));
                }
                assert!(is_let_in(&shop.try_login(&issued[at])), "{context}");
                let refused = shop.try_login(other);
                let by_account = matches!(refused, Outcome::Refused { code: 1045, .. });
                assert!(by_account, "{context}: {refused:?}");
                proven += 1;
            }
        }
    }
    println!("{}: {proven} statements proven", shop.server.sandbox.server());
}

#[test]
fn every_promise_about_an_odd_name_is_proven() {
    let Some(shop) = Shop::open() else { return };
    let (_, name) = NAMES[NAMES.len() - 1];
    let right = shop.issue(name);
    for form in shop.forms() {
        let offer = shop.offer(&shop.facts(), &right, form);
        paste(&shop.server, &offer.written.sql());
        // what the server says that the account requires is what was meant
        assert_eq!(shop.require(), offer.orders[0].1);
        let matrix = prove::matrix(
            &shop.subject(&right, &offer.orders[0].1),
            &mut Witness::deaf(""),
            &mut |_| {},
            &|| false,
        );
        assert!(matrix.proved(), "{form:?}: {matrix:#?}");
        let other = &matrix.row(Case::OtherSubject).unwrap().happened;
        assert!(matches!(other, Happened::Refused { code: 1045, .. }), "{other:?}");
    }
}

#[test]
fn a_change_from_one_odd_name_to_another_can_be_taken_back() {
    let Some(shop) = Shop::open() else { return };
    for mode in MODES {
        shop.server.sql(&format!("SET GLOBAL sql_mode = '{mode}'")).unwrap();
        let (first, second) = (shop.issue(r"o'neil/Jörg\"), shop.issue("a+b"));
        paste(&shop.server, &shop.offer(&shop.facts(), &first, Form::Alter).written.sql());
        assert!(is_let_in(&shop.try_login(&first)), "{mode}");
        let facts = shop.facts();
        let undo = run(&facts, &shop.offer(&facts, &second, Form::Alter));
        assert!(is_let_in(&shop.try_login(&second)), "{mode}");
        paste(&shop.server, &undo.join("\n"));
        assert!(is_let_in(&shop.try_login(&first)), "{mode}: {undo:?}");
        assert!(!is_let_in(&shop.try_login(&second)), "{mode}: {undo:?}");
    }
}

/// A server that trusts a CA whose own name is odd, too.
struct Shop {
    server: Server,
    ca: Authority,
    account: AccountName,
    password: Secret,
}

impl Shop {
    fn open() -> Option<Self> {
        let server = server("none")?;
        let subject = CaSubject::exact([("O", "Böcker/Söhne"), ("CN", "o'hara + sons CA")]);
        let spec = AuthoritySpec {
            subject: subject.unwrap(),
            key: KeyKind::default(),
            validity: Validity::CA,
        };
        let ca = Authority::create(&spec).unwrap();
        let trusted = server.dir().join("tls/ca.pem");
        let before = fs::read_to_string(&trusted).unwrap();
        fs::write(&trusted, before + &ca.ca_pem().unwrap()).unwrap();
        let (account, password) = server.sandbox.accounts().remove(0);
        let shop = Self { server, ca, account, password };
        let facts = shop.facts();
        let about = facts.server.read().unwrap();
        shop.server.sql(reload(about.flavor, about.version).unwrap()).unwrap();
        Some(shop)
    }

    fn issue(&self, name: &str) -> Issued {
        let subject = CaSubject::exact([("C", "UA"), ("CN", name)]).unwrap();
        let spec = ClientSpec { subject, key: KeyKind::default(), validity: Validity::LEAF };
        self.ca.issue_client(&spec).unwrap()
    }

    fn facts(&self) -> Facts {
        gather(&self.server.sandbox.target(), &Cancel::default(), &mut |_| {})
    }

    fn forms(&self) -> Vec<Form> {
        let facts = self.facts();
        let forms = Dialect::of(facts.server.read().unwrap()).forms();
        // CREATE USER IF NOT EXISTS leaves an account that exists as it is
        forms.iter().copied().filter(|form| *form != Form::Create).collect()
    }

    fn offer(&self, facts: &Facts, issued: &Issued, form: Form) -> Offer {
        let certificate = issued.summary();
        let wish = Wish { level: Level::SubjectAndIssuer, cipher: None, form };
        let accounts = std::slice::from_ref(&self.account);
        offer(facts, accounts, wish, &|_| Some(certificate.clone())).unwrap()
    }

    fn require(&self) -> Require {
        let facts = self.facts();
        let accounts = facts.server.read().unwrap().accounts.read().unwrap();
        accounts.iter().find(|account| account.name == self.account).unwrap().require.clone()
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::new("127.0.0.1", self.server.sandbox.target().port())
    }

    fn trust(&self) -> Trust {
        let ca = fs::read(self.server.sandbox.target().ssl_ca.unwrap()).unwrap();
        Trust::Only(pem::certificates(&ca).unwrap())
    }

    fn subject<'a>(&'a self, issued: &Issued, require: &'a Require) -> Subject<'a> {
        Subject {
            endpoint: self.endpoint(),
            flavor: self.server.sandbox.flavor(),
            dialect: None,
            crls: Vec::new(),
            old_tls: false,
            around: prove::Around::default(),
            account: self.account.clone(),
            password: Some(&self.password),
            require,
            transport_enforced: true,
            trust: self.trust(),
            identity: identity(issued),
            ca: Some((self.ca.certificate.clone(), self.ca.key.clone())),
        }
    }

    fn try_login(&self, issued: &Issued) -> Outcome {
        let (trust, identity) = (self.trust(), identity(issued));
        let tls = Tls { identity: Some(&identity), ..Tls::new(&trust) };
        let how = Login { user: &self.account.user, password: &self.password, tls: Some(tls) };
        login(&self.endpoint(), &how, Limits::default()).unwrap()
    }
}

fn identity(issued: &Issued) -> ClientIdentity {
    ClientIdentity { chain: vec![issued.certificate.clone()], key: issued.key.clone() }
}

fn is_let_in(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::LetIn { account, .. } if account == "app@%")
}

/// As the wizard sends it; the way back.
fn run(facts: &Facts, offer: &Offer) -> Vec<String> {
    let last = offer.written.change_at();
    let undo = offer.undo.sql().trim_end_matches(';').to_owned();
    let statements = offer.written.statements.iter().enumerate().map(|(at, sql)| Statement {
        sql: sql.clone(),
        undo: if at == last { undo.clone() } else { String::new() },
    });
    let plan = Plan {
        statements: statements.collect(),
        session: Plan::session_of(facts),
        ..Plan::default()
    };
    apply::run(&plan, None, &mut |_| {}).unwrap().undo
}

/// As a DBA pastes it: into the client program, which reads quotes and backslashes, too.
fn paste(server: &Server, sql: &str) {
    let mut client = Command::new(lab::client())
        .arg(format!("--defaults-file={}", server.dir().join("client.cnf").display()))
        .args(["--batch", "--default-character-set=utf8mb4"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(format!("{sql}\n").as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{sql}\n{said}");
}
