use super::*;
use crate::facts::{Require, Source};
use crate::prove::log::Part;
use crate::rules::testing::{account, healthy, with_server};
use crate::x509::testing;

/// A login as app, with a certificate of the CA that the healthy server trusts; the account asks
/// for this.
fn denied(require: Require) -> (Facts, Attempt) {
    let root = testing::root("Example Root");
    let leaf = Certificate::from_openssl(&root.issue_ca("app").certificate);
    let mut facts = with_server(|server| {
        server.accounts = Source::Read(vec![account("app", "%", require)]);
    });
    let Source::Read(files) = &mut facts.files else { panic!() };
    files.ca.as_mut().unwrap().content = Ok(vec![Certificate::from_openssl(&root.certificate)]);
    let attempt = Attempt {
        connect_errors: None,
        user: "app".into(),
        account: None,
        tls: true,
        shown: vec![leaf],
        without_key: false,
        password_given: true,
        ended: Ended::Refused {
            code: 1045,
            message: "Access denied for user 'app'@'10.0.3.7' (using password: YES)".into(),
        },
        from: Some("10.0.3.7".into()),
        password_fits: false,
        cipher: Some("TLS_AES_256_GCM_SHA384".into()),
        mismatch: None,
        lines: Vec::new(),
        heard_in: Some("the log".into()),
        unheard: None,
        would_hear: true,
    };
    (facts, attempt)
}

fn subject(subject: &str) -> Require {
    let subject = subject.to_owned();
    Require::Specified { subject, issuer: String::new(), cipher: String::new() }
}

fn kinds(facts: &Facts, attempt: &Attempt) -> Vec<Kind> {
    examine(facts, attempt).causes.iter().map(|cause| cause.kind).collect()
}

#[test]
fn a_name_that_does_not_fit_is_the_reason_only_where_the_server_says_so_or_cannot() {
    let (facts, mut attempt) = denied(subject("/CN=web"));
    // silence of a log that would have told: the server came no further than the password
    assert_eq!(kinds(&facts, &attempt), [Kind::Password, Kind::Subject]);
    attempt.would_hear = false;
    assert_eq!(kinds(&facts, &attempt), [Kind::Subject]);
    attempt.would_hear = true;
    attempt.password_fits = true;
    let denial = examine(&facts, &attempt);
    assert_eq!(denial.causes[0].kind, Kind::Subject);
    assert!(denial.causes[0].remedies[0].actions[0].text.contains("SUBJECT '/CN=app'"));
    assert!(denial.text().contains("^ “a” where the account has “w”"), "{}", denial.text());
}

#[test]
fn the_servers_own_words_go_before_what_was_expected() {
    let (facts, mut attempt) = denied(subject("/CN=web"));
    attempt.mismatch = Some(Mismatch {
        part: Part::Subject,
        account_says: "/CN=web".into(),
        server_saw: r"/CN=ap\/p".into(),
        cut: false,
    });
    attempt.password_fits = true;
    let denial = examine(&facts, &attempt);
    assert!(denial.causes[0].remedies[0].actions[0].text.contains(r"SUBJECT '/CN=ap\/p'"));
}

#[test]
fn nothing_wrong_with_the_certificate_leaves_the_password() {
    let (facts, mut attempt) = denied(Require::X509);
    assert_eq!(kinds(&facts, &attempt), [Kind::Password]);
    attempt.shown.clear();
    assert_eq!(kinds(&facts, &attempt), [Kind::CertificateMissing]);
    attempt.tls = false;
    assert_eq!(kinds(&facts, &attempt), [Kind::TlsNotUsed]);
}

#[test]
fn without_an_administrator_what_is_not_known_is_said() {
    let (mut facts, mut attempt) = denied(Require::X509);
    facts.server = Source::unread(crate::facts::UnreadKind::Refused, "root was refused", "");
    attempt.would_hear = false;
    let denial = examine(&facts, &attempt);
    assert_eq!(denial.causes, []);
    assert!(denial.open[0].contains("root was refused"), "{:?}", denial.open);
    // what the handshake says, it says to everybody
    attempt.ended = Ended::HandshakeRefused { alert: "certificate revoked".into() };
    assert_eq!(kinds(&facts, &attempt), [Kind::CertificateRevoked]);
}

#[test]
fn a_certificate_without_its_key_is_looked_at() {
    let (facts, mut attempt) = denied(subject("/CN=web"));
    (attempt.ended, attempt.without_key, attempt.from) = (Ended::NotTried, true, None);
    let denial = examine(&facts, &attempt);
    assert_eq!(denial.causes[0].kind, Kind::Subject);
    assert!(denial.open.iter().any(|open| open.contains("--key")), "{:?}", denial.open);
    attempt.shown[0].not_after = facts.at - 1;
    assert_eq!(kinds(&facts, &attempt)[0], Kind::CertificateExpired);
}

#[test]
fn whatever_was_said_is_shown_tamed() {
    let (facts, mut attempt) = denied(subject("/CN=\u{1b}[2J"));
    attempt.user = "a\u{1b}[2Jb".into();
    attempt.lines = vec!["x".into()];
    let text = examine(&facts, &attempt).text();
    assert!(!text.contains('\u{1b}'), "{text}");
    let healthy = healthy();
    attempt.user = "app".into();
    let json = serde_json::to_string(&examine(&healthy, &attempt)).unwrap();
    assert!(!json.contains('\u{1b}'));
}
