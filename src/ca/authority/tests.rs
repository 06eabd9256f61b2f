use super::*;
use crate::x509::chain::{Purpose, verify};
use crate::x509::{KeyAlgorithm, OneLine};

const KINDS: [KeyKind; 4] = [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519, KeyKind::Rsa2048];

fn root(key: KeyKind) -> Authority {
    let name = "Example CA".parse().unwrap();
    Authority::create(&AuthoritySpec { key, ..AuthoritySpec::named(&name) }).unwrap()
}

fn client(ca: &Authority, subject: Subject) -> Issued {
    let spec = ClientSpec { subject, key: KeyKind::P256, validity: Validity::LEAF };
    ca.issue_client(&spec).unwrap()
}

#[test]
fn every_kind_of_key_signs_every_kind() {
    for ca_key in KINDS {
        let ca = root(ca_key);
        for key in KINDS {
            let sans = ["db1.example".parse().unwrap()];
            let spec = ca.server_spec(&sans, key, Validity::LEAF).unwrap();
            let leaf = ca.issue_server(&spec).unwrap();
            let trusted = verify(&leaf.certificate, &[], &leaf.chain, Purpose::Server);
            assert_eq!(trusted, Ok(()), "{key:?} signed by {ca_key:?}");
            assert!(leaf.summary().certifies(&PublicKey::from_openssl(&leaf.key)));
        }
    }
}

#[test]
fn a_leaf_is_for_its_purpose_alone() {
    let ca = root(KeyKind::P256);
    let spec = ca.server_spec(&["db1".parse().unwrap()], KeyKind::Rsa2048, Validity::LEAF);
    let mut spec = spec.unwrap();
    let check =
        |issued: &Issued, purpose| verify(&issued.certificate, &[], &issued.chain, purpose).is_ok();
    let server = ca.issue_server(&spec).unwrap();
    assert_eq!((check(&server, Purpose::Server), check(&server, Purpose::Client)), (true, false));
    assert_eq!(server.summary().public_key.unwrap().algorithm, KeyAlgorithm::Rsa);
    spec.also_client = true;
    assert!(check(&ca.issue_server(&spec).unwrap(), Purpose::Client));
    let account = client(&ca, ca.subject_for(&"app".parse().unwrap()).unwrap());
    assert_eq!((check(&account, Purpose::Server), check(&account, Purpose::Client)), (false, true));
}

#[test]
fn an_intermediate_issues_leaves_and_no_cas() {
    let root = root(KeyKind::P256);
    let spec = AuthoritySpec::named(&"Issuing".parse().unwrap());
    let issuing = root.issue_authority(&spec).unwrap();
    let leaf = client(&issuing, issuing.subject_for(&"app".parse().unwrap()).unwrap());
    assert_eq!(leaf.chain.len(), 2);
    let whole = verify(&leaf.certificate, &leaf.chain[..1], &leaf.chain[1..], Purpose::Client);
    assert_eq!(whole, Ok(()));
    let pem = leaf.certificate_pem().unwrap();
    assert_eq!(pem.matches("BEGIN").count(), 2, "leaf and intermediate, without the root");
    assert_eq!(leaf.ca_pem().unwrap().matches("BEGIN").count(), 2, "intermediate and root");

    let spec = AuthoritySpec::named(&"Third".parse().unwrap());
    let third = issuing.issue_authority(&spec).unwrap();
    let too_deep = client(&third, Subject::common_name(&"x".parse().unwrap()));
    let (last, others) = too_deep.chain.split_last().unwrap();
    let trusted =
        verify(&too_deep.certificate, others, std::slice::from_ref(last), Purpose::Client);
    assert!(trusted.is_err(), "the path length is held");
}

#[test]
fn exact_subjects_come_out_as_they_went_in() {
    let ca = root(KeyKind::P256);
    let parts = [("C", "UA"), ("O", "Böcker/Söhne"), ("CN", "o'brien+1"), ("emailAddress", "a@b")];
    let subject = Subject::exact(parts).unwrap();
    let name = client(&ca, subject).summary().subject;
    assert_eq!(
        name.oneline(OneLine::OpenSsl3),
        r"/C=UA/O=B\xC3\xB6cker\/S\xC3\xB6hne/CN=o'brien\+1/emailAddress=a@b"
    );
}

#[test]
fn a_ca_with_an_umlaut_and_two_letters_can_issue() {
    let subject = Subject::exact([("C", "DE"), ("O", "Müller"), ("CN", "Müller CA")]).unwrap();
    let spec = AuthoritySpec { subject, ..AuthoritySpec::named(&"x".parse().unwrap()) };
    let ca = Authority::create(&spec).unwrap();
    let leaf = client(&ca, Subject::common_name(&"app".parse().unwrap()));
    let trusted = verify(&leaf.certificate, &[], &leaf.chain, Purpose::Client);
    assert_eq!(trusted, Ok(()));
}

#[test]
fn dates_end_with_the_ca_unless_they_are_exact() {
    let name = "Short CA".parse().unwrap();
    let spec = AuthoritySpec { validity: Validity::Days(10), ..AuthoritySpec::named(&name) };
    let ca = Authority::create(&spec).unwrap();
    let issue = |validity| {
        let sans = ["db1".parse().unwrap()];
        let spec = ca.server_spec(&sans, KeyKind::P256, validity).unwrap();
        ca.issue_server(&spec).unwrap().summary()
    };
    assert_eq!(issue(Validity::Days(397)).not_after, ca.summary().not_after);
    let exact = issue(Validity::Exact { not_before: 1_000_000_000, not_after: 4_000_000_000 });
    assert_eq!((exact.not_before, exact.not_after), (1_000_000_000, 4_000_000_000));
    let now = OffsetDateTime::now_utc().unix_timestamp();
    assert!((now - issue(Validity::LEAF).not_before - 300).abs() < 60, "five minutes back");
}

#[test]
fn serials_are_random_positive_and_of_16_bytes() {
    let ca = root(KeyKind::P256);
    let serial = || client(&ca, Subject::common_name(&"x".parse().unwrap())).summary().serial;
    let (one, two) = (serial(), serial());
    assert_ne!(one, two);
    assert_eq!((one.len(), two.len()), (32, 32));
}

#[test]
fn a_host_name_too_long_for_a_common_name_is_still_certified() {
    let ca = root(KeyKind::P256);
    let long = format!("db.{}.example.org", "x".repeat(60));
    let sans = [long.parse().unwrap()];
    let spec = ca.server_spec(&sans, KeyKind::P256, Validity::LEAF).unwrap();
    let summary = ca.issue_server(&spec).unwrap().summary();
    assert_eq!(summary.dns_names, [long]);
    assert_eq!(summary.subject.oneline(OneLine::OpenSsl3), "/O=Example CA/CN=db");
}

#[test]
fn a_clock_that_is_wrong_is_noticed_before_anything_is_issued() {
    let spec = |now| AuthoritySpec {
        validity: Validity::From { now, days: 10 },
        ..AuthoritySpec::named(&"Example CA".parse().unwrap())
    };
    let said = |error: CaError| error.to_string();
    let at_1970 = said(Authority::create(&spec(0)).err().unwrap());
    assert!(at_1970.contains("this machine's clock says 1970-01-01"), "{at_1970}");

    let now = 1_800_000_000;
    let ca = Authority::create(&spec(now)).unwrap();
    let issue = |now| {
        let validity = Validity::From { now, days: 1 };
        let spec = ca.client_spec(&"app".parse().unwrap(), KeyKind::P256, validity).unwrap();
        ca.issue_client(&spec).map(|issued| issued.summary())
    };
    let day = 86_400;
    let before = said(issue(now - day).unwrap_err());
    assert!(before.contains("the CA is valid from 2027-01-15 on"), "{before}");
    let after = said(issue(now + 11 * day).unwrap_err());
    assert!(after.contains("the CA Example CA expired on 2027-01-25"), "{after}");
    let issued = issue(now).unwrap();
    assert_eq!((issued.not_before, issued.not_after), (now - 300, now + day));
}

#[test]
fn nothing_outlives_any_ca_above_it() {
    let now = 1_800_000_000;
    let day = 86_400;
    let spec = |name: &str, from, days| AuthoritySpec {
        validity: Validity::Exact { not_before: now + from * day, not_after: now + days * day },
        ..AuthoritySpec::named(&name.parse().unwrap())
    };
    // as others make them: the root ends before the CA below it
    let root = Authority::create(&spec("Old Root", -400, 50)).unwrap();
    let ca = root.issue_authority(&spec("Example CA", -10, 300)).unwrap();
    assert_eq!(ca.ends(), now + 50 * day);
    let issue = |at, days| {
        let validity = Validity::From { now: at, days };
        ca.issue_client(&ca.client_spec(&"app".parse().unwrap(), KeyKind::P256, validity).unwrap())
    };
    let issued = issue(now, 100).unwrap();
    assert_eq!((issued.summary().not_after, issued.ends_with_ca()), (ca.ends(), true));
    assert!(!issue(now, 49).unwrap().ends_with_ca());
    let why = issue(now + 60 * day, 1).err().unwrap().to_string();
    assert!(why.starts_with("the CA Old Root expired on "), "{why}");
}
