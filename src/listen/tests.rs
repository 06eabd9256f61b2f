use super::*;

fn met(part: Part, did: Did) -> Met {
    Met { part, from: [127, 0, 0, 1].into(), did, applicant: None, certificate: None }
}

fn refused() -> Did {
    Did::Refused { how: "in the handshake".to_owned() }
}

fn login() -> Did {
    Did::LoginInTls { version: "TLSv1.3".to_owned(), cipher: "TLS_AES_128_GCM_SHA256".to_owned() }
}

/// A grid in which every wrong server was refused, and the right one was met so.
fn careful(right: &Did) -> Grid {
    let mut grid = Grid::empty(&Part::ALL);
    for part in Part::ALL {
        grid.add(met(part, if part == Part::Right { right.clone() } else { refused() }));
    }
    grid
}

#[test]
fn only_a_control_that_worked_makes_refusals_a_proof() {
    assert_eq!(careful(&login()).verdict(), Verdict::Verifies);
    assert_eq!(careful(&refused()).verdict(), Verdict::RefusesTheRight);
    let silent = Did::Silent { stage: "after the greeting".to_owned() };
    assert_eq!(careful(&silent).verdict(), Verdict::Unfinished);
    assert_eq!(Grid::empty(&Part::ALL).verdict(), Verdict::Unfinished);
}

#[test]
fn one_login_to_a_wrong_server_is_enough_and_one_in_the_clear_is_worse() {
    for part in [Part::UnknownCa, Part::OtherHost, Part::Expired, Part::ClientOnly] {
        let mut grid = careful(&login());
        grid.add(met(part, login()));
        assert_eq!(grid.verdict(), Verdict::DoesNotVerify, "{part:?}");
        grid.add(met(part, refused()));
        assert_eq!(grid.verdict(), Verdict::DoesNotVerify, "a later refusal heals nothing");
        assert_eq!((grid.row(part).unwrap().connections, grid.row(part).unwrap().mark()), (3, '✗'));
        grid.add(met(Part::NoTls, Did::LoginInClear));
        assert_eq!(grid.verdict(), Verdict::SendsInClear);
    }
    let mut grid = careful(&login());
    grid.add(met(Part::Right, Did::LoginInClear));
    assert_eq!(grid.verdict(), Verdict::SendsInClear, "TLS was offered, and it did not ask for it");
}

#[test]
fn who_only_looks_in_answers_nothing() {
    let mut grid = Grid::empty(&Part::ALL);
    for did in [
        Did::CameAndWent,
        Did::Silent { stage: String::new() },
        Did::NotMySql { sent: "GET /".to_owned() },
        Did::NoHandshake { why: "no shared cipher".to_owned() },
    ] {
        grid.add(met(Part::NoTls, did));
        assert!(!grid.answered(Part::NoTls));
    }
    grid.add(met(Part::NoTls, refused()));
    assert!(grid.answered(Part::NoTls));
}
