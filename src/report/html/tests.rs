use super::super::record::Login;
use super::*;
use crate::facts::Source;
use crate::rules::testing;

#[test]
fn a_page_has_verdicts_findings_proofs_changes_and_what_is_open() {
    let facts = testing::with_files(|files| files.under_ca = Some(Err(testing::no_issuer())));
    let login = Login {
        with: "no TLS".into(),
        must: "refused".into(),
        was: "let in".into(),
        holds: Some(false),
        server_said: vec!["Access denied".into()],
        ..Login::default()
    };
    let proof = Proof {
        account: "app@%".into(),
        rows: vec![login],
        summary: "Not proved: app@% gets in.".into(),
        ..Proof::default()
    };
    let deed = Deed {
        id: "417a9c03d2".into(),
        at: Some(0),
        by: "anna on dba1".into(),
        title: "a private CA".into(),
        done: vec!["wrote ca.pem".into()],
        undo: vec!["mytls undo 417a9c03d2".into()],
        ..Deed::default()
    };
    let mut record = Record {
        by: "berta on dba2".into(),
        changes: vec![deed],
        proofs: vec![proof],
        left: vec!["restart the server".into()],
        throwaway: false,
    };
    let examination = Examination::judge(facts);
    let page = html(&examination, &record);
    for part in [
        "by berta on dba2, logged in as",
        "<code>ca-mismatch</code>",
        "Not proved: app@% gets in.",
        "the server: <code>Access denied</code>",
        "1970-01-01T00:00:00Z, anna on dba1, number 417a9c03d2",
        "<pre>mytls undo 417a9c03d2</pre>",
        "<li>left to you, unless it is done by now: restart the server</li>",
        "Lifetimes",
        "The chain",
    ] {
        assert!(page.contains(part), "{part} is missing from\n{page}");
    }
    record.throwaway = true;
    let page = html(&examination, &record);
    assert!(page.contains("the server was a sandbox") && !page.contains("<pre>mytls undo"));
}

#[test]
fn what_came_from_outside_stays_text() {
    const EVIL: &str = "</td><script>alert('x')</script>\x1b[2J\u{202E}\" onload=\"x";
    let mut facts = testing::with_files(|files| {
        let ca = files.ca.as_mut().unwrap();
        ca.content.as_mut().unwrap()[0].subject.rdns[0][0].text = EVIL.into();
        let own = files.certificate.as_mut().unwrap();
        for rdn in &mut own.content.as_mut().unwrap()[0].subject.rdns {
            rdn[0].text = EVIL.into();
        }
        files.under_ca = Some(Err(testing::no_issuer()));
    });
    let Source::Read(server) = &mut facts.server else { panic!() };
    server.current_user = EVIL.into();
    server.tls_library = Some(EVIL.into());
    server.accounts = Source::Read(vec![testing::account(EVIL, EVIL, Require::None)]);
    let deed = Deed { title: EVIL.into(), done: vec![EVIL.into()], ..Deed::default() };
    let proof = Proof { account: EVIL.into(), summary: EVIL.into(), ..Proof::default() };
    let record = Record {
        by: EVIL.into(),
        changes: vec![deed],
        proofs: vec![proof],
        left: vec![EVIL.into()],
        throwaway: false,
    };
    let page = html(&Examination::judge(facts), &record);
    assert!(page.contains("&lt;script&gt;"), "the names are to be seen");
    assert!(!page.contains("<script") && !page.contains('\x1b') && !page.contains('\u{202E}'));
    assert!(!page.contains("\" onload=\""), "no attribute of theirs");
    // nothing is fetched from anywhere
    for address in ["src=", "href=", "url(", "@import"] {
        let found = page.matches(address).count();
        assert_eq!(found, 0, "{address} in\n{page}");
    }
}
