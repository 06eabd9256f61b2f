//! What the wizard does to a terminal, and that it gives it back: `run` in a pty, on an engine made
//! of literals.

#![cfg(target_os = "linux")]

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::fake::{Fake, target};
use common::pty::Pty;
use mytls::apply::{Applied, Plan};
use mytls::ca::Catalog;
use mytls::checklist::Examination;
use mytls::facts::gather::{Cancel, Progress};
use mytls::facts::{AccountName, Require, Target};
use mytls::remedy::Remedy;
use mytls::scan::Scan;
use mytls::secret::Secret;
use mytls::tui::engine::{
    AuthorityForm, ClientLogin, Denial, Engine, KeyKinds, Level, NotPlanned, Offer, Proof,
    ProofRow, Reason, StatementForm,
};
use mytls::tui::{Start, run};
use mytls::x509::Certificate;
use nix::sys::signal::Signal;
use portable_pty::CommandBuilder;

/// Which wizard the child is to run; only set for the child.
const WHICH: &str = "MYTLS_TEST_WIZARD";

/// Not a test of its own: what the tests below start in a pty.
#[test]
fn child() {
    let Ok(which) = std::env::var(WHICH) else { return };
    let engine = Odd { fake: Fake::new(|_| ()), which: which.clone() };
    let asked = which == "asks";
    let start = Start { target: (!asked).then(target), ..Start::default() };
    let ended = run(Arc::new(engine), start);
    println!("it ended: {:?}", ended.map(|ended| ended.signal));
}

fn wizard(which: &str, columns: u16, rows: u16) -> Pty {
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]);
    command.env(WHICH, which);
    command.env("RUST_BACKTRACE", "0");
    Pty::start(command, columns, rows)
}

#[test]
fn it_gives_the_terminal_back_and_says_where_the_server_stands() {
    let mut pty = wizard("plain", 80, 24);
    pty.sees("What is known of the server");
    assert!(pty.vt100().alternate_screen() && pty.vt100().bracketed_paste());
    assert!(pty.is_restored().is_err());
    pty.keys("2").sees("▶ ✗ the key belongs to another certificate").keys("q").ends();
    assert_eq!(pty.is_restored(), Ok(()));
    let screen = pty.screen();
    assert!(screen.contains("✗ Key & certificate   error"), "{screen}");
    assert!(screen.contains("it ended: Ok(None)"), "{screen}");
}

#[test]
fn every_signal_that_asks_to_end_leaves_a_whole_terminal() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let mut pty = wizard("plain", 80, 24);
        pty.sees("What is known of the server");
        pty.signal(signal);
        pty.ends();
        assert_eq!(pty.is_restored(), Ok(()), "{signal}");
        let screen = pty.screen();
        assert!(screen.contains(&format!("it ended: Ok(Some({}))", signal as i32)), "{screen}");
    }
}

#[test]
fn a_panic_leaves_a_whole_terminal_and_its_message() {
    let mut pty = wizard("panics", 80, 24);
    let status = pty.ends();
    assert_eq!(pty.is_restored(), Ok(()));
    assert_ne!(status, 0);
    let screen = pty.screen();
    assert!(screen.contains("the screen's own thread"), "{screen}");
}

#[test]
fn a_job_that_panics_takes_nothing_with_it() {
    let mut pty = wizard("job panics", 80, 24);
    pty.sees("a fault in mytls itself: the job's thread");
    assert!(pty.vt100().alternate_screen(), "the wizard goes on");
    pty.sees("Which server?").keys("\x03").ends();
    assert_eq!(pty.is_restored(), Ok(()));
}

#[test]
fn a_job_that_never_answers_is_stopped_and_does_not_hold_the_exit() {
    let mut pty = wizard("job hangs", 80, 24);
    pty.sees("Looking at db1.example:3306").sees("checking  3 s  Esc stops");
    pty.keys("\x1b").sees("Which server?").keys("\x03").ends();
    assert_eq!(pty.is_restored(), Ok(()));
}

#[test]
fn copying_goes_through_the_terminal() {
    let mut pty = wizard("plain", 80, 24);
    pty.sees("What is known").keys("2").sees("▶ ✗ the key belongs").keys("y");
    pty.sees("sent to the terminal's clipboard (OSC 52)");
    // "[mysqld]\nssl_key = /etc/mysql/old/server.key\n"
    let expected = "W215c3FsZF0Kc3NsX2tleSA9IC9ldGMvbXlzcWwvb2xkL3NlcnZlci5rZXkK";
    assert_eq!(pty.clipboard(), Some(expected));
}

#[test]
fn what_is_pasted_arrives_as_one_piece() {
    let mut pty = wizard("asks", 80, 24);
    pty.sees("root").keys("\x1b[200~mysql://dba@db7.example:3307/\nq\n\x1b[201~");
    pty.sees("db7.example").sees("3307").sees("dba").sees("Which server?");
}

#[test]
fn a_small_terminal_says_so_and_grows_back() {
    let mut pty = wizard("plain", 38, 10);
    pty.sees("terminal too small: 38x10, need 40x12");
    // what is found out ends with its own screen: keys count from then on
    pty.resize(80, 24).sees("checked:").resize(38, 10).sees("terminal too small");
    // a key that arrives in the moment of a new size may wait for the next one to be read; this one
    // means nothing
    pty.keys("2").resize(80, 24).keys("z").sees("Do key and certificate belong together");
    pty.resize(40, 12).sees("? help").keys("q").ends();
    assert_eq!(pty.is_restored(), Ok(()));
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again() {
    let mut shell = CommandBuilder::new("bash");
    shell.args(["--norc", "--noprofile", "-i"]);
    shell.env(WHICH, "plain");
    shell.env("PS1", "ready> ");
    let mut pty = Pty::start(shell, 80, 24);
    let wizard = std::env::current_exe().unwrap();
    pty.sees("ready>").keys(&format!("{} --exact child --nocapture\r", wizard.display()));
    pty.sees("What is known of the server").keys("2").sees("Do key and certificate");
    pty.keys("\x1a").sees("Stopped").sees("ready>");
    assert!(!pty.vt100().alternate_screen() && !pty.vt100().hide_cursor());
    pty.keys("fg\r").sees("Do key and certificate").sees("▶ ✗ the key belongs");
    assert!(pty.vt100().alternate_screen() && pty.vt100().bracketed_paste());
    pty.keys("\x0c").sees("▶ ✗ the key belongs");
    pty.keys("q").sees("it ended: Ok(None)");
}

/// The engine of literals, with one oddity.
struct Odd {
    fake: Fake,
    which: String,
}

impl Engine for Odd {
    fn examine(
        &self,
        target: &Target,
        cancel: &Cancel,
        told: &mut dyn FnMut(Progress),
    ) -> Examination {
        match self.which.as_str() {
            "job panics" => panic!("the job's thread"),
            "job hangs" => std::thread::sleep(std::time::Duration::from_secs(600)),
            _ => {}
        }
        self.fake.examine(target, cancel, told)
    }

    // asked on the thread that draws, when the terminal is taken already
    fn can_restart(&self) -> bool {
        assert!(self.which != "panics", "the screen's own thread");
        self.fake.can_restart()
    }

    fn authority_form(&self, exam: &Examination, user: Option<&str>) -> AuthorityForm {
        self.fake.authority_form(exam, user)
    }

    fn key_kinds(&self, exam: &Examination) -> KeyKinds {
        self.fake.key_kinds(exam)
    }

    fn authority(&self, exam: &Examination) -> Result<Option<Catalog>, String> {
        self.fake.authority(exam)
    }

    fn issued(&self, exam: &Examination, serial: &str) -> Result<Certificate, String> {
        self.fake.issued(exam, serial)
    }

    fn plan_renewal(
        &self,
        exam: &Examination,
        serial: &str,
        same_key: bool,
    ) -> Result<Plan, NotPlanned> {
        self.fake.plan_renewal(exam, serial, same_key)
    }

    fn plan_revocation(
        &self,
        exam: &Examination,
        serial: &str,
        reason: Reason,
    ) -> Result<Plan, NotPlanned> {
        self.fake.plan_revocation(exam, serial, reason)
    }

    fn plan_authority(&self, exam: &Examination, form: &AuthorityForm) -> Result<Plan, NotPlanned> {
        self.fake.plan_authority(exam, form)
    }

    fn plan_remedy(&self, exam: &Examination, remedy: &Remedy) -> Result<Plan, NotPlanned> {
        self.fake.plan_remedy(exam, remedy)
    }

    fn offer(
        &self,
        exam: &Examination,
        accounts: &[AccountName],
        level: Level,
        form: StatementForm,
        cipher: Option<&str>,
    ) -> Result<Offer, String> {
        self.fake.offer(exam, accounts, level, form, cipher)
    }

    fn plan_accounts(
        &self,
        exam: &Examination,
        orders: &[(AccountName, Require)],
        form: StatementForm,
    ) -> Result<Plan, NotPlanned> {
        self.fake.plan_accounts(exam, orders, form)
    }

    fn locked_key(&self, exam: &Examination, account: &AccountName) -> Option<bool> {
        self.fake.locked_key(exam, account)
    }

    fn client_files(
        &self,
        exam: &Examination,
        account: &AccountName,
    ) -> Option<(PathBuf, PathBuf)> {
        self.fake.client_files(exam, account)
    }

    fn why_denied(
        &self,
        exam: &Examination,
        account: &AccountName,
        login: &ClientLogin,
    ) -> Result<Denial, String> {
        self.fake.why_denied(exam, account, login)
    }

    fn apply(
        &self,
        target: &Target,
        plan: &Plan,
        told: &mut dyn FnMut(&str),
    ) -> Result<Applied, (Applied, String)> {
        self.fake.apply(target, plan, told)
    }

    fn prove(
        &self,
        exam: &Examination,
        account: &AccountName,
        password: &Secret,
        cancel: &Cancel,
        told: &mut dyn FnMut(ProofRow),
    ) -> Result<Proof, String> {
        self.fake.prove(exam, account, password, cancel, told)
    }

    fn scan(
        &self,
        exam: &Examination,
        cancel: &Cancel,
        told: &(dyn Fn(&str) + Sync),
    ) -> Result<Scan, String> {
        self.fake.scan(exam, cancel, told)
    }

    fn known_password(&self, account: &AccountName) -> Option<Secret> {
        self.fake.known_password(account)
    }

    fn report(
        &self,
        exam: &Examination,
        done: &[Applied],
        proofs: &[Proof],
        form: mytls::report::Form,
    ) -> String {
        self.fake.report(exam, done, proofs, form)
    }

    fn suggest_target(&self) -> Target {
        self.fake.suggest_target()
    }
}
