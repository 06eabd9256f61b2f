//! The wizard, walked by keys and looked at, on an engine made of literals.

mod common;

use common::fake::{Fake, app, authority, target};
use common::svg;
use common::walker::Walker;
use mytls::facts::gather::{Progress, ProgressState};
use mytls::facts::{AccountName, UnreadKind};
use mytls::rules::Step;
use mytls::secret::Secret;
use mytls::tui::state::{Msg, Outcome, Place, Told};
use ratatui::style::{Color, Modifier};

fn broken() -> Walker<Fake> {
    Walker::new(Fake::new(|_| ()), Some(target()))
}

fn mended() -> Walker<Fake> {
    Walker::new(Fake::new(|does| does.key_matches = true), Some(target()))
}

/// With a CA that has issued a few certificates.
fn with_ca() -> Walker<Fake> {
    let fake = Fake::new(|does| {
        does.key_matches = true;
        does.authority = Some(authority());
    });
    Walker::new(fake, Some(target()))
}

/// The whole walk: from a server whose TLS is off to an account that is proven.
#[test]
fn from_a_broken_server_to_a_proven_account() {
    let mut w = broken();
    w.sees("✗ Key").sees("checked: 2 errors");
    w.walk("n").sees("▶ ✗ the key belongs to another certificate").sees("└ ✗ TLS is off");
    w.walk("<enter>").sees("Fix 1  point ssl_key").sees("Fix 2  make a new pair in your own CA");
    // the second fix is the workshop's: it leads there, and back
    w.walk("2<enter>").sees("A private CA").sees("db1.example, 127.0.0.1");
    w.walk("<down><down><down><down><down><enter>");
    w.sees("This will be written, and nothing else.").sees("4 files, 1 restart");
    w.sees("/etc/mysql/tls/server-key.pem   0640 root:mysql").sees("P-256 key, never shown");
    w.sees("13 -ssl_cert = /etc/mysql/server.pem").sees("the server is restarted");
    assert!(!w.engine.does.lock().unwrap().key_matches, "nothing is written yet");
    w.walk("<enter>").sees("This will be written");
    // the outcome stays until it is read, the step checked again beneath it
    w.walk("w").sees("done: a private CA").sees("wrote /etc/mysql/tls/ca.pem");
    w.sees("✓ Key & certificate").sees("checked: 1 error").sees("Enter go on");
    w.walk("n5").sees("done: a private CA").walk("<enter>").sees("Do key and certificate belong");
    assert_eq!(w.state.place, Place::Step(Step::Key), "back where it was opened");

    w.walk("5").sees("✗ app@10.0.% may log in without TLS");
    w.walk("<down><enter>").sees("now REQUIRE NONE").sees("▶ (•) SUBJECT + ISSUER");
    w.sees("SUBJECT '/CN=app'").sees("ALTER USER for MariaDB 10.11.19");
    w.sees("would be refused from now on: 10.0.3.7");
    w.walk("a").sees("This will be done, and nothing else.").sees("w do it");
    w.walk("w").sees("done: app@10.0.%").walk("<enter>");
    w.sees("now REQUIRE SUBJECT + ISSUER").sees("✓ Accounts");
    w.walk("p").sees("✓ Proved. 5 of 5 logins went as they must.").sees("unknown ca");
    w.walk("<esc>n").sees("nothing that is known of");
    w.sees("✓ Report").sees("app@10.0.%  proved: 5 of 5").sees("wrote /etc/mysql/tls/ca.pem");

    let last = mytls::tui::screen::report::last_words(&w.state).join("\n");
    assert!(last.contains("✓ Accounts") && last.contains("to take it back:"), "{last}");
    assert!(w.walk("q").quit);
}

#[test]
fn what_was_proven_before_a_change_is_not_proven_after_it() {
    let mut w = mended();
    w.walk("5<down><enter>p").sees("Proved.").walk("<esc>").sees("✓ proved: 5 of 5");
    w.walk("aw<esc>").sees("? tried before the last change").does_not_see("proved: 5 of 5");
    // the report that is written holds no proof of what is no more
    w.walk("6").sees("? app@10.0.%  tried before the last change");
}

#[test]
fn a_proof_that_does_not_hold_says_so() {
    let mut w = mended();
    w.engine.change(|does| does.refuses_right_certificate = true);
    w.walk("5<down>p").sees("✗ Not proved. 4 of 5").sees("let in   ✗ refused");
    // why, in the server's words, and where the two names begin to differ
    w.sees("the server's own words").sees("^ “\\” where the account has “/”");
    insta::assert_snapshot!("proof_not_proved_80x24", w.screen());
    w.walk("<esc>").sees("▶ ✗ app@10.0.%").sees("not proved");

    // neither the step nor the report call it good
    w.engine.change(|does| does.require = mytls::facts::Require::Ssl);
    w.walk("rp<esc>").sees("▶ ✗ app@10.0.%").sees("✗ Accounts").walk("r").sees("checked: 1 error");
    w.walk("6").sees("✗ app@10.0.% does not get in with its certificate").sees("· Report");
    w.does_not_see("nothing that is known of");
    let last = mytls::tui::screen::report::last_words(&w.state).join("\n");
    assert!(last.contains("✗ Accounts"), "{last}");
}

#[test]
fn a_password_that_is_not_known_is_asked_for_once() {
    let mut w = mended();
    w.engine.change(|does| does.password = None);
    w.walk("5<down>p").sees("Password of app@10.0.%");
    w.walk("<esc>").sees("Who has to show a certificate").does_not_see("login with");

    w.walk("p'wrong'<enter>").sees("not proved: the server refuses this password");
    w.walk("p").sees("Password of app");
    w.walk("'secre?'").sees("******").does_not_see("secre");
    w.walk("<backspace>'t'<enter>").sees("Proved.");
    w.walk("<esc>p").sees("Proved.");
    assert!(!format!("{:?}", w.state).contains("secret"));
}

#[test]
fn the_first_screen_asks_for_the_server() {
    let mut w = Walker::new(Fake::new(|_| ()), None);
    w.sees("Which server?").sees("host          localhost").sees("user          root");
    // the focus is on the likely answer, letters are letters, and F1 helps
    w.walk("'?q n'").sees("****").walk("<f1>").sees("Keys: Which server").walk("<esc>");
    w.walk("<up><up><up><up><up>'x'").sees("a number: digits only");
    w.walk("<backspace><up>").does_not_see("digits only");
    assert!(w.state.exam.is_none() && !w.quit);
    w.walk("<c-u>'db9.example'<enter><enter><enter><enter><enter><enter><enter>");
    w.sees("db9.example:3306").sees("What is known of the server");
    w.walk("t").sees("host          db9.example").walk("<esc>").sees("What is known of the server");
}

#[test]
fn an_address_is_pasted_as_it_is() {
    let mut w = Walker::new(Fake::new(|_| ()), None);
    w.take(Msg::Paste("mysql://dba:s3cr%26t@db7.example:3307/\n".into()));
    w.sees("db7.example").sees("3307").sees("dba").does_not_see("s3cr");
    w.walk("<enter>").sees("db7.example:3307").sees("What is known of the server");
    let password = w.state.target.as_ref().unwrap().password.as_ref().unwrap();
    assert_eq!(password.expose(), "s3cr&t");
}

#[test]
fn a_server_that_cannot_be_reached_leads_back_to_the_field() {
    let fake = Fake::new(|does| does.unreachable = Some(UnreadKind::Unreachable));
    let mut w = Walker::new(fake, None);
    w.walk("<up><up><up><up><up><up><c-u>'db1.example'");
    w.walk("<down><down><down><down><down><down>'x'<enter>");
    w.sees("Which server?").sees("✗ nothing listens on db1.example:3306").sees("check the address");
    assert_eq!(w.state.connect.as_ref().unwrap().focus, 0, "the host");

    w.engine.change(|does| does.unreachable = Some(UnreadKind::Refused));
    w.walk("<tab><tab><tab><tab><tab><tab><tab><enter>").sees("✗ the server refuses root");
    assert_eq!(w.state.connect.as_ref().unwrap().focus, 6, "the password");
    w.engine.change(|does| does.unreachable = None);
    w.walk("<enter>").sees("What is known of the server");
}

#[test]
fn what_was_stopped_says_nothing_any_more() {
    let mut w = broken();
    w.held = Some(Vec::new());
    w.walk("r");
    w.take(Msg::Tick);
    w.sees("/ checking").sees("Esc stops").walk("<esc>").sees("stopped");
    w.engine.change(|does| does.key_matches = true);
    w.let_go(); // the job ends all the same, too late
    w.sees("✗ Key").does_not_see("checking");
}

#[test]
fn the_first_look_is_shown_stage_by_stage_and_can_be_stopped() {
    let mut w = Walker::new(Fake::new(|_| ()), None);
    w.held = Some(Vec::new());
    w.walk("'x'<enter>").sees("Looking at localhost");
    let id = w.state.last_job;
    let tell = |stage, state| Msg::Told(id, Told::Progress(Progress { stage, state }));
    w.take(tell("log in", ProgressState::Started));
    w.take(tell("log in", ProgressState::Done("MariaDB 10.11".into())));
    w.take(tell("TLS handshake", ProgressState::Failed("alert\x1b[31m".into())));
    w.sees("✓ log in         MariaDB 10.11").sees("✗ TLS handshake  alert\\x1B[31m");
    w.walk("<esc>").sees("Which server?").sees("user          root");
}

#[test]
fn a_write_that_fails_says_what_was_done_and_what_not() {
    let mut w = broken();
    w.engine.change(|does| does.write_fails = true);
    w.walk("ng<tab><tab><tab><tab><tab><enter>w");
    w.sees("not done: a private CA").sees("✗ /etc/mysql/tls: No space left on device");
    w.sees("done all the same")
        .sees("wrote /etc/mysql/tls/ca.pem")
        .sees("rm /etc/mysql/tls/ca.pem");
    // it stays until it was read; the answers are still there
    w.walk("n").sees("No space left").walk("<esc>").sees("name of the CA");
}

#[test]
fn what_has_to_be_done_by_hand_is_shown_whole() {
    let mut w = broken();
    w.engine.change(|does| does.by_hand = true);
    w.walk("n<enter><enter>").sees("This one is for you to do: the file is on another host");
    w.sees("add to the end of /etc/mysql/my.cnf").sees("ssl_key = /etc/mysql/old/server.key");
    w.walk("y");
    assert_eq!(w.copied.last().unwrap(), "[mysqld]\nssl_key = /etc/mysql/old/server.key\n");
}

#[test]
fn a_plan_that_cannot_be_made_says_why() {
    let mut w = broken();
    w.walk("ng<c-u>'taken'<tab><tab><tab><tab><tab><enter>").sees("choose another name");
    w.walk("<esc>").sees("taken"); // what was typed is kept
}

#[test]
fn a_restart_that_nobody_here_can_do_is_asked_for() {
    let fake = Fake::new(|does| does.can_restart = false);
    let mut w = Walker::new(fake, Some(target()));
    w.walk("ng<tab><tab><tab><tab><tab><enter>").sees("a restart by you");
    w.sees("needs you afterwards: run `systemctl restart mariadb`");
}

/// However long the list of files, who is left behind is read before it.
#[test]
fn what_follows_stands_before_the_files() {
    let mut w = broken();
    w.walk("ng<tab><tab><tab><tab><tab><enter>").resize(60, 16).sees("2 sessions are open now");
    let screen = w.sees("afterwards the server is restarted").screen();
    let (follows, files) = (screen.find("is restarted").unwrap(), screen.find("ca.pem").unwrap());
    assert!(follows < files, "{screen}");
}

#[test]
fn the_way_out_stands_on_every_step_even_where_there_is_little_room() {
    let mut w = broken();
    for columns in [60, 80] {
        for step in ["1", "2", "3", "4", "5", "6"] {
            w.resize(columns, 24).walk(step).sees("q quit  ? help");
        }
    }
}

#[test]
fn what_none_means_hangs_on_whether_the_server_asks_for_tls() {
    let mut w = mended();
    w.walk("5<down><enter>").sees("anyone with the password, readable on the way");
    let exam = std::sync::Arc::get_mut(w.state.exam.as_mut().unwrap()).unwrap();
    let mytls::facts::Source::Read(server) = &mut exam.facts.server else { panic!() };
    server.variables.insert("require_secure_transport".into(), "ON".into());
    w.sees("anyone with the password; the server wants TLS").does_not_see("readable on the way");
}

#[test]
fn no_key_is_ever_copied_or_shown() {
    let mut w = broken();
    w.walk("ng<tab><tab><tab><tab><tab><enter>y");
    let copied = w.copied.last().unwrap();
    assert!(copied.contains("server-key.pem") && !copied.contains("MIGHAgEA"), "{copied}");
    w.does_not_see("MIGHAgEA");
    assert!(!format!("{:?}", w.state).contains("MIGHAgEA"));
}

#[test]
fn what_is_copied_works_as_it_stands() {
    let mut w = mended();
    w.walk("5<down><enter>yty");
    assert_eq!(
        w.copied,
        ["ALTER USER", "GRANT USAGE ON *.* TO"].map(|verb| format!(
            "{verb} 'app'@'10.0.%' REQUIRE\n  SUBJECT '/CN=app'\n  AND ISSUER \
             '/CN=db1.example private CA';"
        ))
    );
    w.walk("<esc>2y");
    assert!(w.copied.last().unwrap().starts_with("-----BEGIN CERTIFICATE"));
}

#[test]
fn a_statement_that_cannot_be_written_says_why_and_what_helps() {
    let mut w = mended();
    w.walk("5<down><down><enter>").sees("! no certificate was made for web yet; c makes one");
    w.walk("a").sees("there is no statement yet");
    w.walk("<up><up>").sees("ALTER USER 'web'@'10.0.%' REQUIRE X509;");
    w.walk("<up>").sees("as it is now").does_not_see("undo").walk("<down>").sees("undo");
    w.walk("c").sees("client's user   web").sees("it keeps its certificate");
    w.walk("<down><down><down><down><down><enter>").sees("This will be written");
    w.walk("<esc><esc>").sees("web@10.0.%   now REQUIRE SSL");
}

#[test]
fn back_always_works_and_keeps_what_was_typed() {
    let mut w = broken();
    w.walk("ng<tab><tab><c-u>").walk("<esc>").sees("Do key and certificate belong together");
    w.walk("g<tab><tab><c-u>").sees("A private CA").walk("<esc><esc>");
    w.sees("What is known").walk("<esc>").sees("this is the first step; q quits");
    w.walk("g")
        .does_not_see("db1.example, 127.0.0.1")
        .walk("'CA'<enter><enter><enter><enter><enter>");
    w.sees("This will be written");
    w.walk("<esc><up><up><up><up><up><c-u><enter><enter><enter><enter><enter><enter>");
    w.sees("a CA needs a name");
}

/// A proof that cannot begin says which key helps, and leads there.
#[test]
fn without_a_certificate_the_proof_leads_to_one() {
    let mut w = mended();
    w.engine.change(|does| does.password = Some("no"));
    w.walk("5<down>p").sees("! not proved: ").does_not_see("trying the logins");
    w.sees("c certificate…").walk("c").sees("client's user   app");
    w.walk("<esc>").sees("Who has to show a certificate");
    w.walk("c").sees("client's user   app");
}

#[test]
fn a_sandbox_needs_no_undo() {
    let mut w = mended();
    w.state.throwaway = true;
    w.walk("5<down><enter>aw<esc>6").sees("the sandbox goes when you quit").sees("sent ALTER USER");
    w.does_not_see("take it back, in");
    let last = mytls::tui::screen::report::last_words(&w.state).join("\n");
    assert!(
        last.ends_with("The sandbox is gone, and with it all that was changed in it."),
        "{last}"
    );
    assert!(!last.contains("to take it back"), "{last}");
}

#[test]
fn what_holds_is_not_described_as_broken() {
    let mut w = mended();
    w.walk("2<down>").sees("── the server's user may read").sees("What it checks");
    w.does_not_see("does not hold").does_not_see("# ");
}

#[test]
fn notes_are_still_open_too() {
    let mut w = mended();
    w.engine.change(|does| does.notes = true);
    w.walk("r6").sees("✗ app@10.0.%").sees("· clear text is still possible");
    w.engine.change(|does| does.require = mytls::facts::Require::X509);
    w.walk("r").sees("· clear text is still possible").does_not_see("nothing that is known of");
}

#[test]
fn nothing_is_said_yes_to_that_cannot_be_seen() {
    let mut w = mended();
    w.walk("5<down><enter>").resize(30, 8).walk("a").resize(80, 24).sees("now REQUIRE NONE");
    w.walk("a").resize(30, 8).walk("w").resize(80, 24).sees("This will be done");
    assert!(w.state.done.is_empty());
    w.walk("w").sees("sent ALTER USER");
}

#[test]
fn what_takes_it_back_is_broken_between_words_and_says_where_it_goes() {
    let mut w = mended();
    w.walk("5<down><enter>aw").resize(60, 24).sees("sql: ALTER USER 'app'@'10.0.%' REQUIRE NONE;");
    let mut w = broken();
    w.walk("ng<tab><tab><tab><tab><tab><enter>w").sees("sh:  rm /etc/mysql/tls/ca.pem");
}

#[test]
fn forms_tell_their_keys() {
    let mut w = broken();
    w.walk("ng<f1>").sees("Tab Shift-Tab").sees("another field").sees("←→  ");
    w.walk("<esc><down>").sees("←→ choose").walk("<right>").sees("EC P-384");
    w.walk("<left><left>").sees("RSA 4096").walk("<up>").does_not_see("←→ choose");
    w.walk("<esc>5<down>").does_not_see("e explain").walk("<up>").sees("e explain");
}

#[test]
fn the_first_field_is_the_first_that_is_not_known() {
    let focus = |suggested: mytls::facts::Target| {
        let mut w = broken();
        w.state = mytls::tui::state::State::new(None, false);
        w.held = Some(Vec::new());
        w.take(Msg::Start);
        w.take(Msg::Ended(w.state.last_job, Outcome::Suggested(suggested)));
        w.state.connect.as_ref().unwrap().focus
    };
    let user = mytls::facts::Target { user: Some("root".into()), ..Default::default() };
    assert_eq!(focus(user.clone()), 0, "the host: nothing says where the server is");
    let socket = Some("/run/mysqld/mysqld.sock".into());
    assert_eq!(focus(mytls::facts::Target { socket, ..user }), 6, "the password");
}

#[test]
fn the_same_line_stays_selected_when_it_is_checked_again() {
    let mut w = broken();
    w.walk("5<down><down>").sees("▶ · web@10.0.%").walk("r").sees("▶ · web@10.0.%");
    w.walk("<end>")
        .sees("▶ ✓ no account asks for an empty name")
        .walk("<home>")
        .sees("▶ ✗ app@10.0.%");
}

#[test]
fn an_earlier_answer_that_changes_has_the_later_steps_checked_again() {
    let mut w = broken();
    w.held = Some(Vec::new());
    w.walk("t<down><down><down><down><down>'2'<enter><enter>");
    w.sees("? Key").walk("<esc>").sees("? Accounts");
    w.take(Msg::Tick);
    w.walk("6").sees("check again").sees("changed since it was checked; r checks again");
    w.held = None;
    w.walk("r").does_not_see("check again ─").sees("✗ Key");
}

#[test]
fn a_consequence_points_to_its_cause() {
    let mut w = broken();
    w.walk("4").sees("└ ✗ TLS is off").sees("follows from Key & certificate");
    w.sees("It follows from: the key belongs to another certificate (step 2");
    // Enter leads to it, however it might be mended alone
    w.sees("Enter to its cause");
    w.walk("<enter>").sees("▶ ✗ the key belongs to another certificate");
    w.sees("this follows from step 2; mend that first").does_not_see("Choose one");
    w.walk("<down>").sees("▶ └ ✗ TLS is off").walk("<enter>").sees("▶ ✗ the key belongs");
    w.walk("<enter>").sees("Fix 1  point ssl_key at the key that matches");
}

#[test]
fn a_chain_out_of_order_is_drawn_beside_the_right_one() {
    let fake = Fake::new(|does| {
        does.key_matches = true;
        does.chain_in_order = false;
    });
    let mut w = Walker::new(fake, Some(target()));
    w.walk("3").sees("as it stands in ssl_cert").sees("as it must be");
    w.sees("✗ must be number 2").sees("1  db1.example  ◀ the server's").sees("in ssl_ca");
    insta::assert_snapshot!("chain_80x24", w.screen());
}

#[test]
fn a_signal_ends_it_but_not_in_the_middle_of_a_write() {
    let mut w = broken();
    w.take(Msg::Signal(15));
    assert!(w.quit);

    let mut w = mended();
    w.walk("5<down><enter>a");
    w.held = Some(Vec::new());
    w.walk("w").sees("This cannot be stopped half-way.");
    w.walk("<esc><c-c>").sees("still writing");
    w.take(Msg::Signal(15));
    assert!(!w.quit);
    w.let_go();
    assert!(w.quit && !w.state.done.is_empty(), "it was written whole, and noted");
}

#[test]
fn a_job_that_breaks_leaves_the_wizard_whole() {
    let mut w = mended();
    w.walk("5<down><enter>");
    w.held = Some(Vec::new());
    w.walk("p");
    let id = w.state.last_job;
    w.take(Msg::Ended(id, Outcome::Broken("a fault in mytls itself: boom".into())));
    w.sees("not proved: a fault in mytls itself: boom").walk("<esc>").sees("now REQUIRE NONE");
}

#[test]
fn the_report_is_written_where_it_is_asked_for_and_over_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.md");
    let mut w = mended();
    w.walk("6w").sees("mytls-report-db1.example.html");
    w.walk(&format!("<c-u>'{}'<enter>", path.display())).sees("written to");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "# 1 findings, 0 changes, 0 proofs\n");
    w.walk(&format!("w<c-u>'{}'<enter>", path.display())).sees("choose another");
}

#[test]
fn a_hostile_name_is_drawn_as_text() {
    let fake = Fake::new(|does| does.certificate_name = "db\x1b]0;owned\x07\u{202E}gro.live");
    let mut w = Walker::new(fake, Some(target()));
    for step in ["2", "3"] {
        w.walk(step).walk("<down><down>");
        let buffer = w.buffer();
        let shown = buffer.content.iter().flat_map(|cell| cell.symbol().chars());
        assert!(!shown.into_iter().any(|c| c.is_control() || c == '\u{202E}'));
    }
    w.walk("2").sees("db\\x1B]0;owned\\x07\\u{202E}gro.live");
}

#[test]
fn wide_characters_keep_the_columns() {
    let fake = Fake::new(|does| does.certificate_name = "東京データベース");
    let mut w = Walker::new(fake, Some(target()));
    w.walk("2<down><down>").sees("CN=東京データベース");
    for (columns, rows) in [(60, 16), (41, 12), (43, 13)] {
        w.resize(columns, rows);
        let screen = w.screen();
        let widest = screen.lines().map(|line| ratatui::text::Span::raw(line).width()).max();
        assert!(widest.unwrap() <= usize::from(columns), "{screen}");
    }
}

#[test]
fn help_is_never_cut_and_shows_the_keys_of_its_screen() {
    let mut w = broken();
    for columns in [40, 47, 60, 80, 120] {
        w.resize(columns, 24);
        for keys in ["1", "2", "5", "6"] {
            let screen = w.walk(keys).screen();
            assert!(screen.trim_end().ends_with("? help"), "{screen}");
        }
    }
    w.resize(80, 40).walk("5<down><enter>a?").sees("Keys: Before anything is written");
    w.sees("write and do all of this, and nothing else").walk("<esc>").sees("This will be done");
}

#[test]
fn a_rule_is_explained() {
    let mut w = broken();
    w.walk("ne").sees("key-mismatch").sees("What it checks");
    w.walk("<end>").sees("Source").sees("end, PgUp scrolls back");
    w.walk("<up>").does_not_see("end, PgUp").walk("q").sees("Do key and certificate");
    assert!(!w.quit, "q closes what is read; only then does it quit");
}

#[test]
fn states_are_told_without_colour() {
    let mut w = broken();
    w.walk("n");
    let screen = w.screen();
    for line in
        ["✗ the key belongs to another certificate", "✓ the server's user may read", "error"]
    {
        assert!(screen.contains(line), "{screen}");
    }
    // and colours are the terminal's own sixteen, on its own background
    for cell in w.buffer().content() {
        assert!(!matches!(cell.fg, Color::Rgb(..) | Color::Indexed(_)), "{cell:?}");
        assert_eq!(cell.bg, Color::Reset, "{cell:?}");
    }
    let here =
        w.buffer().content().iter().filter(|c| c.modifier.contains(Modifier::REVERSED)).count();
    assert_eq!(here, "Key & certificate".len(), "where one is, is reversed");
}

#[test]
fn ascii_is_enough() {
    let mut w = broken();
    w.state.ascii = true;
    for keys in ["", "n", "<enter>", "<enter>", "?", "<esc><esc><esc>", "5<down><enter>", "p"] {
        let screen = w.walk(keys).screen();
        assert!(screen.is_ascii(), "{screen}");
    }
    let mut ca = with_ca();
    ca.state.ascii = true;
    for keys in ["5g", "<down>", "/'x'", "<esc>r", "<esc>x", "<esc><enter>"] {
        let screen = ca.walk(keys).screen();
        assert!(screen.is_ascii(), "{screen}");
    }
    let mut accounts = mended();
    accounts.state.ascii = true;
    for keys in ["5", "<down><space><space>", "<enter>", "<esc>/'app'"] {
        let screen = accounts.walk(keys).screen();
        assert!(screen.is_ascii(), "{screen}");
    }
    accounts.sees("*. app@10.0.%");
    ca.walk("<esc>").sees("`- Example CA").sees("==|====>");
    w.walk("<esc><esc>2").sees("> x the key belongs to another certificate");
    w.walk("4<end>").sees("/ the server presents").sees(" - x Key");
}

#[test]
fn the_ca_is_shown_as_it_is_what_expires_next_on_top() {
    let mut w = with_ca();
    w.resize(120, 40).walk("5g").sees("! next: client billing expires on 2026-12-04, in 12 days");
    w.sees("✓ Example Root").sees("✓ └─ Example CA").sees("├─ servers (1)");
    w.sees("└─ clients (5)").sees("! ").sees("12 days").sees("✗       ├─ etl").sees("expired");
    w.sees("revoked").does_not_see("replaced   ");
    // the cursor is on the first that was issued, its card below
    w.sees("── server db1.example, 10.0.0.5").sees("subject    /CN=db1.example");
    w.sees("for hosts").sees("in the files of a server");
    w.walk("<down>").sees("── client billing").walk("<up>").sees("── server db1.example");
    w.walk("<end>").sees("── client intern").sees("revoked 2026-11-19 (privilege-withdrawn)");
    w.walk("<home>").sees("── root CA Example Root").sees("none: nothing of it was revoked yet");
    w.resize(80, 24).walk("<pgdn>").sees("── client app");
    w.walk("<esc>").sees("Who has to show a certificate");
    assert_eq!(w.state.place, Place::Step(Step::Accounts), "back where it was opened");
}

#[test]
fn what_is_looked_for_is_found_as_it_is_typed() {
    let mut w = with_ca();
    w.walk("5g/").sees("find  ").walk("'q'").sees("nothing like it");
    w.walk("<backspace>'RSA'").sees("1 line").sees("db1.example").does_not_see("─ billing");
    w.walk("<c-u>'EXPIRED'").sees("── client etl").walk("<up><down><enter>");
    // now letters are keys again
    w.walk("x").sees("it has expired: nobody takes it any more").sees("find  EXPIRED");
    w.walk("<esc>").does_not_see("find  EXPIRED").sees("── client etl").sees("billing");
    w.walk("/'web'<esc>").does_not_see("find  web").sees("── client web").walk("<esc>");
    w.sees("Who has to show a certificate");
    assert!(!w.quit, "a q that is typed quits nothing");
}

#[test]
fn the_list_is_sorted_and_shows_all_on_request() {
    let mut w = with_ca();
    let order = |w: &Walker<Fake>| {
        let screen = w.screen();
        let at = |name: &str| screen.find(&format!("─ {name} ")).unwrap_or(usize::MAX);
        at("billing") < at("app")
    };
    w.resize(120, 40).walk("5g").sees("1 replaced left out, a shows all");
    assert!(order(&w), "billing expires first");
    w.walk("s").sees("by name");
    assert!(!order(&w));
    w.walk("a").sees("– ").sees("replaced").walk("a").does_not_see("– ");
}

#[test]
fn a_certificate_is_renewed_with_the_key_that_was_chosen() {
    let mut w = with_ca();
    w.walk("5g<down>r").sees("Renew client billing").sees("▶ 1  a new key");
    w.walk("<enter>").sees("a new key").sees("This will be written").sees("0600 root:root");
    w.walk("<esc><down><enter>").sees("the same key").walk("<esc>2<enter>").sees("the same key");
    w.walk("w").sees("done: renew").walk("<enter>").sees("── client billing");
    assert!(matches!(w.state.place, Place::Authority(_)));
    w.walk("<home>r").sees("mytls ca rotate");
}

#[test]
fn the_passphrase_of_the_ca_is_asked_for_and_forgotten_with_the_plan() {
    let mut w = with_ca();
    w.engine.change(|does| does.passphrase = Some(Secret::new("correct horse")));
    w.walk("5g<down>r<enter>")
        .sees("Passphrase of the private CA")
        .sees("is kept until this change");
    w.walk("<enter>").sees("the passphrase; Esc leaves everything as it is");
    w.walk("'wrong'").does_not_see("wrong").walk("<enter>").sees("this does not open the key");
    w.walk("'correct horse'").does_not_see("horse").walk("<enter>").sees("This will be written");
    assert!(!format!("{:?}", w.state).contains("horse"));
    w.walk("<esc>").sees("Renew client billing");
    w.walk("<enter>").sees("Passphrase of the private CA");
    w.walk("<esc>").sees("Renew client billing").walk("<esc>").sees("── client billing");
}

#[test]
fn an_expired_ca_stands_on_top_of_its_screen() {
    let mut w = with_ca();
    w.engine.change(|does| {
        let catalog = does.authority.as_mut().unwrap();
        catalog.chain[0].not_after = 1_795_348_800 - 3 * 86_400;
    });
    w.walk("5g").sees("✗ CA Example CA expired on 2026-11-19, 3 days ago: whatever is below");
    w.walk("<home>").sees("expired");
}

#[test]
fn a_proof_asks_for_the_passphrase_of_the_ca_or_does_without_its_key() {
    let mut w = with_ca();
    w.engine.change(|does| does.passphrase = Some(Secret::new("correct horse")));
    w.walk("5<down>p").sees("Passphrase of the private CA").sees("Enter alone leaves them");
    w.walk("<esc>").does_not_see("Passphrase of the private CA");
    assert!(w.state.layers.is_empty(), "without an answer there is no proof to look at");
    w.walk("p'wrong'<enter>").sees("this does not open the key").does_not_see("wrong");
    w.walk("'correct horse'").does_not_see("horse").walk("<enter>").sees("Proved.");
    assert!(!format!("{:?}", w.state).contains("horse"));
    // asked again, since it was wiped; Enter alone tries what needs no key
    w.walk("p")
        .sees("Passphrase of the private CA")
        .walk("<enter>")
        .sees("it takes the key of the CA");
}

#[test]
fn what_cannot_be_taken_back_is_asked_twice() {
    let mut w = with_ca();
    w.walk("5g<end><up>").sees("── client etl").walk("<home><pgdn>").sees("── client app");
    w.walk("x").sees("Revoke client app").sees("That cannot").sees("be taken back");
    w.walk("2<enter>").sees("key-compromise").sees("/root/ca/crl.pem").sees("w go on…");
    w.walk("w").sees("Type revoke and press Enter");
    assert!(w.state.done.is_empty());
    w.walk("<enter>").sees("type revoke, or Esc to leave it as it is");
    w.walk("'w'<enter>").sees("type revoke, or Esc");
    w.walk("<esc>").sees("This will be written").walk("<esc>").sees("Revoke client app");
    assert!(w.state.done.is_empty(), "nothing is done that was not said yes to twice");
    w.walk("<enter>w'revoke'<enter>").sees("done: revoke").walk("<enter>");
    // the list was read again, the same line is selected
    w.sees("── client app").sees("revoked 2026-11-22 (key-compromise)");
    w.walk("x").sees("it is revoked already");
}

#[test]
fn new_ones_are_made_from_there_and_back_leads_there() {
    let mut w = with_ca();
    w.walk("5gm").sees("name of the CA").walk("<esc>").sees("── server db1.example");
    w.walk("<enter>").sees("its copy").sees("/root/ca/issued/5C5C").walk("q<esc>");
    w.sees("Who has to show a certificate");

    // also while what the form begins with is still being looked for
    let mut w = with_ca();
    w.walk("5g").held = Some(Vec::new());
    w.walk("m<esc>").sees("stopped").sees("── server db1.example");
    w.walk("<esc>").sees("Who has to show a certificate");
}

#[test]
fn the_certificate_is_copied_and_no_key() {
    let mut w = with_ca();
    w.walk("5gy");
    assert!(w.copied.last().unwrap().starts_with("-----BEGIN CERTIFICATE"));
    w.walk("<home>y");
    assert!(w.copied.last().unwrap().starts_with("-----BEGIN CERTIFICATE"));
}

#[test]
fn a_ca_that_cannot_be_read_says_why() {
    let mut w = with_ca();
    w.walk("5g");
    w.walk("<esc>");
    w.held = Some(Vec::new());
    w.walk("g");
    let why = "line 3 of the CA's list cannot be read".to_owned();
    w.take(Msg::Ended(w.state.last_job, Outcome::Authority(Err(why))));
    w.sees("the private CA cannot be read").sees("line 3 of the CA's list");
}

/// With so many accounts more.
fn with_accounts(more: usize) -> Walker<Fake> {
    let fake = Fake::new(|does| {
        does.key_matches = true;
        does.more_accounts = more;
    });
    Walker::new(fake, Some(target()))
}

#[test]
fn accounts_are_found_as_one_types_and_the_findings_stay_in_reach() {
    let mut w = with_accounts(25);
    w.walk("5").sees("29 accounts, by name").sees("✗ app@10.0.% may log in without TLS");
    w.walk("/'tenant0002'").sees("find  tenant0002").sees("5 of 29").sees("▶ · tenant00020@10.1.%");
    // letters are letters while one types, and every word has to fit
    w.walk("' ssl'").sees("1 of 29").sees("tenant00020").does_not_see("tenant00021@");
    w.walk("<down><up><enter>").sees("Esc show all").sees("tenant00020");
    let mut w = with_accounts(25);
    w.walk("5/'nobody'").sees("none of 29").sees("nothing has these words");
    w.does_not_see("may log in without TLS").walk("<enter>m").sees("no account is shown");
    w.walk("<esc>").sees("29 accounts").sees("/ find");
    // scrolled away, what is wrong is counted, and Home leads to it
    w.walk("<end>").sees("✗ 1 error  Home").does_not_see("may log in without TLS");
    w.walk("<home>").sees("▶ ✗ app@10.0.% may log in without TLS").does_not_see("1 error");
    w.walk("<c-f><c-f>").sees("tenant").walk("<c-b><c-b>").sees("▶ ✗ app");
    // the line under the cursor stays when nothing is looked for any more
    w.walk("/'00017'<enter><esc>").sees("▶ · tenant00017@10.1.%").sees("29 accounts");
    // a finding is found like an account, and those about others are out of the way
    w.walk("/'app@'").sees("✗ app@10.0.% may log in without TLS").sees("1 of 29");
    w.does_not_see("tenant").walk("<esc>");
    // once too often is no other step; and there one looks for accounts all the same
    w.walk("<esc>").sees("← is the step before").sees("29 accounts");
    w.walk("<left>").sees("Is TLS on").walk("/'web'").sees("find  web").sees("▶ · web@10.0.%");
}

/// The heads of the columns stand above what they are for.
#[test]
fn the_columns_are_named_where_the_accounts_begin() {
    let mut w = with_accounts(25);
    let screen = w.walk("5").screen();
    let line = |text: &str| screen.lines().position(|line| line.contains(text)).unwrap();
    assert!(line("✗ app@10.0.% may log in") < line("sessions now"), "{screen}");
    assert!(line("sessions now") < line("· app@10.0.%"), "{screen}");
}

#[test]
fn accounts_are_sorted_by_what_they_require_and_how_they_come_in() {
    let mut w = with_accounts(25);
    w.walk("5<down><down>").sees("▶ · tenant00000").walk("s").sees("sorted the weakest first");
    w.sees("the weakest first").sees("▶ · tenant00000");
    let screen = w.walk("<home>").screen();
    let at = |name: &str| screen.find(name).unwrap_or_else(|| panic!("no {name} on {screen}"));
    assert!(at("root@localhost") < at("web@10.0.%"), "{screen}");
    w.walk("s").sees("sorted sessions without TLS first").walk("<down>").sees("▶ · app@10.0.%");
    w.walk("s").sees("sorted by name");
}

#[test]
fn marked_accounts_are_changed_together() {
    let mut w = with_accounts(25);
    // a finding that is about one account is marked as that
    w.walk("5<space>").sees("app@10.0.% is marked").sees("*· app@10.0.%").sees("1 marked");
    w.walk("<space>").sees("app@10.0.% is not marked any more").does_not_see("*·");
    w.walk("<end><space>").sees("only accounts are marked").walk("<home>");
    w.walk("<down><space>").sees("1 marked").sees("*· app@10.0.%").walk("<up><space>");
    w.does_not_see("1 marked");
    // all that are shown, and once more none of them
    w.walk("/'tenant0000'<enter>m").sees("10 of 29, 10 marked").walk("m").does_not_see("marked");
    w.walk("m<esc>").sees("29 accounts, 10 marked").walk("<enter>");
    w.sees("10 accounts: tenant00000@10.1.%").sees("and 8 more").sees("(•) SUBJECT + ISSUER");
    w.walk("p").sees("this is for one account");
    w.walk("<up><up><up>").sees("▶ (•) SSL").sees("ALTER USER 'tenant00001'@'10.1.%' REQUIRE SSL;");
    w.walk("y");
    assert_eq!(w.copied.last().unwrap().lines().count(), 10);
    w.walk("a").sees("This will be done, and nothing else.").sees("10 accounts");
    w.sees("- REQUIRE NONE").sees("+ REQUIRE SSL");
    w.walk("y").walk("w").sees("done: what 10 accounts require").walk("<enter>");
    w.sees("29 accounts, by name").does_not_see("marked");
}

/// What a server's grammar does not know is not offered.
#[test]
fn a_statement_is_written_otherwise_only_where_the_server_knows_both() {
    let mut w = mended();
    w.walk("5/'app'<enter><enter>").sees("ALTER USER for MariaDB").sees("(t: as GRANT)");
    w.walk("t").sees("GRANT for MariaDB").sees("(t: as ALTER USER)");
    let fake = Fake::new(|does| (does.key_matches, does.mysql) = (true, true));
    let mut w = Walker::new(fake, Some(target()));
    w.walk("5/'app'<enter><enter>").sees("ALTER USER for MySQL 9.7.4").does_not_see("t: as");
    w.walk("t").sees("this server knows one form alone").sees("ALTER USER for MySQL 9.7.4");
}

/// Who does it is asked for a word that nobody types ahead, and is told why.
#[test]
fn whoever_may_lock_himself_out_is_asked_twice() {
    let mut w = mended();
    w.walk("5/'root'<enter><enter>").sees("root@localhost   now REQUIRE NONE");
    w.walk("<up><up><up>a").sees("yourself: this very session").sees("w go on…");
    w.walk("w").sees("You may lock yourself out: this very session is of root@localhost");
    w.sees("Keep another way in open").walk("'yes'<enter>").sees("type lockout");
    assert!(w.state.done.is_empty(), "nothing was sent");
    w.walk("<esc>")
        .sees("yourself: this very session")
        .walk("w'lockout'<enter>")
        .sees("done: root");
}

#[test]
fn a_cipher_is_asked_for_as_well_and_only_one_that_exists() {
    let mut w = mended();
    w.walk("5<down><enter>x<c-u>'NO_SUCH'<enter>").sees("there is no cipher suite");
    w.walk("<c-u>'ecdhe-rsa-aes256-gcm-sha384'<enter>").sees("servers call it");
    w.walk("<c-u>'ECDHE-RSA-AES256-GCM-SHA384'<enter>")
        .sees("CIPHER 'ECDHE-RSA-AES256-GCM-SHA384'");
    w.walk("x<c-u><enter>").does_not_see("CIPHER").walk("<home><up><up><up><up>x");
    w.sees("NONE asks for no TLS");
}

/// A login that its client makes, tried and led back to the reason; what was typed is kept.
#[test]
fn why_an_account_is_denied_is_asked_from_its_line() {
    let mut w = mended();
    w.engine.change(|does| does.password = None);
    w.walk("5d").sees("select an account first").walk("<down>d").sees("Why is app@10.0.% denied?");
    w.sees("/root/ca/clients/app/client-cert.pem").walk("<enter><enter>'secret'");
    w.sees("******").does_not_see("secret").walk("<enter><right>").sees("without TLS");
    w.walk("<enter>").sees("✗ the reason: ").sees("the server's own words");
    w.sees("Access denied\\x1B[2J").walk("y");
    assert!(w.copied.last().unwrap().contains("the reason: "));
    assert!(!format!("{:?}", w.state).contains("secret"));
    w.walk("<esc>").sees("client-key.pem").sees("without TLS").walk("<esc>").sees("▶ · app@10.0.%");
    w.walk("<down>d<up>")
        .does_not_see("client-cert.pem")
        .walk("<down>'x.key'<enter><enter><enter>");
    w.sees("a key without its certificate shows nothing");
}

/// Nothing of a hundred thousand accounts is built but what is seen, and nothing is lost of them.
#[test]
fn a_hundred_thousand_accounts_are_found_sorted_and_marked() {
    let mut w = with_accounts(99_996);
    w.walk("5").sees("100,000 accounts").walk("<end>").sees("✗ 1 error  Home");
    w.walk("/'tenant0 x509'").sees("9,000 of 100,000").walk("<enter>m").sees("9,000 marked");
    w.walk("<esc>s").sees("100,000 accounts, 9,000 marked, the weakest first");
    w.walk("/'tenant99995'").sees("1 of 100,000").sees("▶ · tenant99995@10.1.%");
    w.walk("<backspace>").sees("6 of 100,000").walk("<enter><enter>").sees("9,000 accounts: ");
    w.walk("<up><up><up>a").sees("9,000 accounts").sees("This will be done");
    w.walk("w<enter>r").sees("6 of 100,000").does_not_see("marked");
}

/// Only what is seen is formatted: a key press in a list of 10,000 takes no longer than a blink.
#[test]
fn ten_thousand_certificates_are_gone_through_without_waiting() {
    let mut w = with_ca();
    w.engine.change(|does| {
        let catalog = does.authority.as_mut().unwrap();
        let one = catalog.entries.pop().unwrap();
        catalog.entries.extend((0..10_000).map(|at| {
            let mut entry = one.clone();
            entry.serial = format!("{at:032X}");
            entry.names = vec![format!("client{at}")];
            entry
        }));
    });
    w.walk("5g");
    for _ in 0..20 {
        w.walk("<pgdn><down>").screen();
    }
    w.walk("/'client9999'").sees("1 line").sees("── client client9999");
}

/// Every screen, in every size a terminal can have: nothing panics, and a terminal that is too
/// small says so while its keys still work.
#[test]
fn no_size_breaks_a_screen() {
    let long = AccountName::new("a".repeat(80), "%".repeat(60));
    let screens = [
        "",
        "n",
        "n<enter>",
        "n<enter><enter>",
        "ng",
        "ng<tab><tab><tab><tab><tab><enter>",
        "3",
        "4",
        "4s",
        "5",
        "5<down><enter>",
        "5<down><enter>a",
        "5/'t'",
        "5<down>d",
        "5<down>d<enter><enter>'secret'<enter><enter>",
        "5<down><space><space><enter>",
        "5<down><space><space><enter><up><up><up>a",
        "5/'root'<enter><enter>x",
        "5/'root'<enter><enter><up>aw",
        "5<down>p",
        "6",
        "6w",
        "?",
        "ne",
        "t",
        "ca 5g",
        "ca 5g/'app'",
        "ca 5g<enter>",
        "ca 5gr",
        "ca 5gx<enter>w",
        "ca 5g<end>?",
    ];
    for keys in screens {
        let mut w = if keys.starts_with("ca ") { with_ca() } else { broken() };
        w.walk(keys.trim_start_matches("ca "));
        for columns in (0..=100).step_by(11).chain([1, 39, 40, 41, 59, 60, 80]) {
            for rows in (0..=40).step_by(9).chain([1, 11, 12, 13, 16, 24]) {
                w.resize(columns, rows).screen();
            }
        }
        w.resize(38, 10).sees("terminal too small: 38x10").sees("need 40x12");
        w.walk("<pgdn><pgup><end><home>").resize(80, 24).sees("mytls");
    }
    let mut w = mended();
    w.state.place = Place::Account(long);
    for columns in 40..90 {
        w.resize(columns, 14).screen();
    }
}

#[test]
fn the_screens_at_three_sizes() {
    let places = [
        ("server", ""),
        ("key", "n"),
        ("fix", "n<enter>"),
        ("workshop", "ng"),
        ("review", "ng<tab><tab><tab><tab><tab><enter>"),
        ("encryption", "4"),
        ("scan", "4s"),
        ("accounts", "5<down>"),
        ("accounts_find", "5/'10.'"),
        ("accounts_marked", "5<down><space><space><space>"),
        ("statements", "5<down><space><space><enter><up><up><up>"),
        ("statements_review", "5<down><space><space><enter><up><up><up>a"),
        ("lockout", "5/'root'<enter><enter><up><up><up>aw"),
        ("why_denied", "5<down>d<enter><enter>'secret'<enter><right><enter>"),
        ("statement", "5<down><enter>"),
        ("proof", "5<down>p"),
        ("report", "6"),
        ("help", "n?"),
    ];
    for (name, keys) in places {
        let mut w = broken();
        w.walk(keys);
        w.state.toast = None;
        for (columns, rows) in [(80, 24), (120, 40), (60, 16)] {
            w.resize(columns, rows);
            insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), w.screen());
        }
    }
    let first = Walker::new(Fake::new(|_| ()), None);
    insta::assert_snapshot!("connect_80x24", first.screen());
    let mut done = mended();
    done.walk("5<down><enter>aw<esc>p<esc>6");
    done.state.toast = None;
    insta::assert_snapshot!("report_done_80x24", done.screen());
}

#[test]
fn what_the_server_offers_is_asked_from_the_step_and_can_be_stopped() {
    let mut w = broken();
    w.walk("3").does_not_see("scan").walk("4").sees("s scan");
    w.held = Some(Vec::new());
    w.walk("s").sees("asking").sees("Esc stop").walk("<esc>").sees("stopped").sees("Is TLS on");
    w.let_go(); // what it found comes too late
    w.held = None;
    w.does_not_see("What the server offers");
    w.walk("s").sees("What the server offers").sees("TLSv1.3").sees("no forward secrecy");
    w.sees("! AES256-SHA").sees("✗ RC4-SHA").sees("not offered: TLSv1, SSLv3");
    w.walk("y").walk("<esc>").sees("s scan");
}

#[test]
fn the_ca_at_three_sizes() {
    for (name, keys) in [("ca", "5g<down>"), ("ca_find", "5g/'b'"), ("revoke", "5g<down>x")] {
        let mut w = with_ca();
        w.walk(keys);
        w.state.toast = None;
        for (columns, rows) in [(80, 24), (120, 40), (60, 16)] {
            w.resize(columns, rows);
            insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), w.screen());
        }
    }
}

#[test]
fn a_picture_of_the_screen_holds_all_of_it() {
    let mut w = broken();
    w.walk("n");
    let picture = svg::svg(&w.buffer(), "Key <&> certificate");
    assert!(
        picture.contains("the key belongs to another certificate")
            && picture.contains("&lt;&amp;&gt;")
    );
    assert_eq!(picture, svg::svg(&w.buffer(), "Key <&> certificate"), "the same every time");
    let _ = app();
}
