use super::*;

fn row(case: Case, expected: Expected, happened: Happened) -> Row {
    Row { case, expected, happened, reason: None }
}

fn let_in() -> Happened {
    let (tls, cipher) = (Some("TLSv1.3".to_owned()), Some("TLS_AES_256_GCM_SHA384".to_owned()));
    Happened::LetIn { account: "app@%".to_owned(), tls, cipher }
}

fn refused() -> Happened {
    Happened::Refused { code: 1045, message: "Access denied".to_owned() }
}

fn alert(reason: &str) -> Happened {
    Happened::HandshakeRefused { reason: reason.to_owned() }
}

fn not_tried() -> Happened {
    Happened::NotTried { why: "it takes the key of the CA".to_owned() }
}

/// An account that REQUIREs a subject and an issuer, and got what it asked for.
fn proof() -> Matrix {
    let rows = vec![
        row(Case::RightCertificate, Expected::LetIn, let_in()),
        row(Case::NoTls, Expected::Refused, refused()),
        row(Case::NoCertificate, Expected::Refused, refused()),
        row(Case::OtherCa, Expected::Refused, alert("unknown ca")),
        row(Case::OtherSubject, Expected::Refused, refused()),
        row(Case::Expired, Expected::Refused, alert("certificate expired")),
    ];
    Matrix {
        account: AccountName::new("app", "%"),
        require: "SUBJECT + ISSUER".to_owned(),
        against: "db1:3306".to_owned(),
        rows,
        seconds: 0.4,
        heard_in: None,
        unheard: None,
        corrected: None,
        connect_errors: Some(0),
        connections: 8,
        notes: Vec::new(),
    }
}

#[test]
fn a_proof_needs_every_row_that_can_be_tried() {
    assert!(proof().proved());
    assert_eq!(proof().summary(), "Proved: app@% needs its certificate.");

    let mut without_ca_key = proof();
    without_ca_key.rows[4].happened = not_tried();
    without_ca_key.rows[5].happened = not_tried();
    assert!(without_ca_key.proved());
    let said = without_ca_key.summary();
    assert!(
        said.starts_with("Proved as far as it was tried: app@% needs its certificate."),
        "{said}"
    );
    assert!(
        said.contains("Not tried: same CA, other subject; expired certificate (it takes"),
        "{said}"
    );
    // what REQUIRE lets in is not kept out for want of a try
    without_ca_key.rows[4].expected = Expected::LetIn;
    assert!(without_ca_key.summary().contains("any of this CA will do"));
    assert_eq!(
        (proof().needs(), without_ca_key.needs()),
        (Needs::ItsCertificate, Needs::Certificate)
    );

    let mut cancelled = proof();
    cancelled.rows[3].happened = not_tried();
    assert!(!cancelled.proved());
    assert_eq!(cancelled.summary(), "Not proved: not every login to app@% was tried.");

    let mut short = proof();
    short.rows.pop();
    assert!(!short.proved());
}

#[test]
fn what_came_out_otherwise_is_no_proof_and_is_named() {
    for (at, happened) in [
        (0, refused()),
        (0, Happened::OtherAccount { account: "@localhost".to_owned() }),
        (1, let_in()),
        (3, let_in()),
        (2, Happened::Failed { why: "db1:3306 does not answer".to_owned() }),
        // refused for another reason than its subject
        (4, alert("unknown ca")),
    ] {
        let mut matrix = proof();
        matrix.rows[at].happened = happened;
        assert!(!matrix.proved() && !matrix.rows[at].holds(), "{:?}", matrix.rows[at]);
        assert_eq!(matrix.rows[at].mark(), '✗');
        assert!(matrix.summary().contains(matrix.rows[at].case.title()), "{}", matrix.summary());
    }
}

#[test]
fn a_refusal_that_should_not_have_come_is_quoted() {
    let mut matrix = proof();
    assert_eq!(matrix.rows[1].note(), "");
    assert_eq!(matrix.rows[0].note(), "TLS 1.3");
    matrix.rows[0].happened = refused();
    assert_eq!(matrix.rows[0].note(), "error 1045: Access denied");
    assert_eq!(
        matrix.summary(),
        "Not proved: the login to app@% with the right certificate must be let in, and was refused \
         (error 1045: Access denied)."
    );
}

#[test]
fn the_account_that_answered_has_to_be_the_one_meant() {
    let account = AccountName::new("app", "DB.example");
    assert!(is_account("app@db.example", &account));
    assert!(!is_account("App@db.example", &account));
    assert!(!is_account("app@localhost", &account));
    assert!(!is_account("@localhost", &account));
    assert!(is_account("a@b@%", &AccountName::new("a@b", "%")));
}

#[test]
fn a_matrix_survives_being_saved() {
    let text = serde_json::to_string(&proof()).unwrap();
    assert_eq!(serde_json::from_str::<Matrix>(&text).unwrap(), proof());
}
