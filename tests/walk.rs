//! The whole walk as a person takes it: the real program in a terminal, on a real server that does
//! not start because its key is another certificate's, to an account that is proven.
//!
//! With `UPDATE=1` the pictures of the documents are drawn on the way.

#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};

use common::pty::{Pty, one_blank_each};
use common::svg::svg_from_vt100;
use nix::sys::signal::Signal;
use portable_pty::CommandBuilder;

/// The sandbox under the wizard, in a folder where what is left behind is seen; `None` where there
/// is no server, which fails under CI.
fn sandbox(fault: &str) -> Option<(Pty, tempfile::TempDir)> {
    use mytls::sandbox::{Fault, Sandbox, SandboxError, SandboxOptions};
    use std::os::unix::fs::PermissionsExt as _;
    let base = tempfile::Builder::new().prefix("w").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // A folder that is not there: this fails at once, and before that says when no server is here.
    let options = SandboxOptions {
        fault: Fault::named("none").unwrap(),
        server: None,
        keep: false,
        base_dir: Some("/nonexistent/folder".into()),
    };
    let none = matches!(Sandbox::start(&options, &mut |_| ()), Err(SandboxError::NoServer));
    if none {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "there is no server here");
        eprintln!("skipped: there is no MariaDB or MySQL server here; make setup installs one");
        return None;
    }
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_mytls"));
    command.args(["sandbox", "--fault", fault]);
    if let Some(server) = std::env::var_os("MYTLS_TEST_SERVER") {
        command.arg("--server");
        command.arg(server);
    }
    command.env("TMPDIR", base.path());
    command.env("HOME", base.path());
    Some((Pty::start(command, 80, 24), base))
}

/// A picture of the documents.
struct Picture {
    name: &'static str,
    title: &'static str,
    /// What is on this screen and on no other picture.
    shows: &'static str,
    /// The whole last row.
    footer: &'static str,
}

const PICTURES: [Picture; 9] = [
    Picture {
        name: "server",
        title: "mytls: the server is down, and why",
        shows: "nothing answers at",
        footer: "↑↓ select Enter to its cause n next y copy e explain q quit ? help",
    },
    Picture {
        name: "key",
        title: "mytls: the key belongs to another certificate",
        shows: "matches this certificate",
        footer: "↑↓ select Enter mend… n next y copy e explain g own CA q quit ? help",
    },
    Picture {
        name: "workshop",
        title: "mytls: a private CA",
        shows: "client's user",
        footer: "Enter next ↑↓ field Esc back Ctrl-C quit F1 help",
    },
    Picture {
        name: "review",
        title: "mytls: everything that will be written",
        shows: "This will be written, and nothing else.",
        footer: "w write ↑↓ scroll y copy Esc back ? help",
    },
    Picture {
        name: "chain",
        title: "mytls: the chain as a tree",
        shows: "in ssl_ca",
        footer: "↑↓ select n next y copy g own CA r check again q quit ? help",
    },
    Picture {
        name: "account",
        title: "mytls: the statement for this server",
        shows: "(•) SUBJECT + ISSUER",
        footer: "↑↓ choose a apply… p prove t ALTER/GRANT c certificate… q quit ? help",
    },
    Picture {
        name: "proof",
        title: "mytls: what was proven",
        shows: "6 of 6 logins went as they must.",
        footer: "↑↓ scroll p again y copy Esc back ? help",
    },
    Picture {
        name: "report",
        title: "mytls: the report",
        shows: "nothing that is known of",
        footer: "w write to a file… ↑↓ scroll y copy g own CA r check again q quit ? help",
    },
    Picture {
        name: "ca",
        title: "mytls: the private CA, and what it issued",
        shows: "(key-compromise)",
        footer: "↑↓ select Enter card r renew… x revoke… m make… / find q quit ? help",
    },
];

/// Waits until this screen stands, and draws it for the documents, when asked to.
#[track_caller]
fn picture(pty: &mut Pty, name: &str) {
    let picture = PICTURES.iter().find(|picture| picture.name == name).unwrap();
    pty.sees(picture.shows).settles(picture.footer).sees(picture.shows);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(pictures()).unwrap();
        let file = pictures().join(format!("{name}.svg"));
        std::fs::write(file, svg_from_vt100(pty.vt100(), picture.title)).unwrap();
    }
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots")
}

/// No picture is of half a screen and half of the one before it.
#[test]
fn every_picture_has_the_footer_of_its_screen() {
    for picture in &PICTURES {
        let file = pictures().join(format!("{}.svg", picture.name));
        let rows = rows_of(&std::fs::read_to_string(file).unwrap());
        assert_eq!(rows[23], picture.footer, "{}", picture.name);
        for other in &PICTURES {
            let shown = rows.iter().any(|row| row.contains(other.shows));
            let name = picture.name;
            assert_eq!(shown, other.name == name, "{name}: {:?} in\n{rows:#?}", other.shows);
        }
    }
    assert_eq!(std::fs::read_dir(pictures()).unwrap().count(), PICTURES.len());
}

/// The text of a picture by rows, strokes left out.
fn rows_of(svg: &str) -> Vec<String> {
    let mut rows = vec![String::new(); 24];
    for line in svg.lines().filter(|line| line.starts_with("<text x=") && line.contains("xml:")) {
        let (head, text) = line.trim_end_matches("</text>").split_once('>').unwrap();
        let y = head.split(" y=\"").nth(1).unwrap().split('"').next().unwrap();
        let row = y.parse::<f32>().unwrap();
        // a title of 28 units, rows of 18
        let at = (0..24_u8).find(|at| {
            (f32::from(*at) * 18.0 + 28.0..).contains(&row) && row < f32::from(*at) * 18.0 + 46.0
        });
        let row = &mut rows[usize::from(at.unwrap())];
        row.push(' ');
        row.push_str(text);
    }
    rows.iter().map(|row| one_blank_each(row)).collect()
}

#[test]
fn from_a_server_that_does_not_start_to_a_proven_account() {
    let Some((mut pty, base)) = sandbox("mismatched-key") else { return };
    pty.sees("▶ └ ✗ the server is not running").sees("Unable to get private key");
    picture(&mut pty, "server");
    pty.keys("n").sees("▶ ✗ the key belongs to another certificate");
    pty.sees("matches this certificate");
    picture(&mut pty, "key");

    // the private CA: five fields, all filled in
    pty.keys("g").sees("A private CA, and certificates from it").sees("client's user   app");
    picture(&mut pty, "workshop");
    pty.keys("\r\r\r\r\r\r").sees("This will be written, and nothing else.").sees("1 restart");
    pty.sees("key, never shown");
    picture(&mut pty, "review");
    assert_eq!(std::fs::read_dir(folder_of(base.path()).join("tls")).unwrap().count(), 4);
    pty.keys("w").sees("done: ").sees("checked: 1 error").sees("(before: ").keys("\r");
    // the server is sound again, and the account still wants a certificate of the old CA
    pty.sees("✓ Server ─ ✓ Key & certificate ─ ✓ Chain ─ ✓ Encryption ─ ✗ Accounts");

    pty.keys("3").sees("│ signed by").sees("in ssl_ca");
    picture(&mut pty, "chain");
    pty.keys("4").sees("TLSv1.3");
    pty.keys("5").sees("▶ ✗ app@% requires a certificate of a CA");
    pty.keys("\x1b[B").sees("▶ · app@%").keys("\r").sees("SUBJECT '/O=mytls CA for");
    pty.sees("undo");
    picture(&mut pty, "account");
    pty.keys("a").sees("This will be done, and nothing else.").sees("1 account");
    pty.keys("w").sees("SUBJECT + ISSUER, read back").sees("checked: nothing is wrong");
    pty.keys("\r")
        .sees("now REQUIRE SUBJECT")
        .keys("p")
        .sees("✓ Proved. 6 of 6 logins went as they must.");
    for row in [
        "the right certificate   let in   ✓ let in",
        "no TLS                  refused  ✓ refused",
        "TLS, no certificate     refused  ✓ refused",
        "same subject, other CA  refused  ✓ refused  unknown ca",
        "same CA, other subject  refused  ✓ refused",
        "expired certificate     refused  ✓ refused  certificate expired",
    ] {
        pty.sees(row);
    }
    pty.sees("X509 subject mismatch: should be");
    picture(&mut pty, "proof");
    pty.keys("\x1b").sees("proved: 6 of 6").keys("6").sees("nothing that is known of");
    for step in ["Server", "Key & certificate", "CA & chain", "Encryption", "Accounts"] {
        let good = format!("✓ {step:<18}  good");
        pty.until(&good, |screen| screen.lines().any(|line| line.trim() == good.trim()));
    }
    picture(&mut pty, "report");

    // the CA as it is now; the server's certificate renewed, and read by the server without a stop
    pty.keys("g").sees("├─ servers (1)").sees("this server presents it now");
    pty.keys("r").sees("▶ 1  a new key").keys("\r").sees("5 files, 1 reload");
    pty.keys("w").sees("the server read its files again").sees("checked: nothing is wrong");
    pty.keys("\r").sees("3 issued").sees("this server presents it now");
    pty.keys("\x1b[B").sees("── client app").keys("x2\r").sees("revoked stays revoked");
    pty.keys("w").sees("Type revoke").keys("revoke\r").sees("signed the list of");
    pty.sees("checked: ").keys("\ra").sees("✗    └─ app").sees("– │  └─").sees("replaced");
    picture(&mut pty, "ca");
    pty.keys("\x1b").sees("nothing that is known of");

    assert_eq!(pty.keys("q").ends(), 0);
    assert_eq!(pty.is_restored(), Ok(()));
    let screen = pty.screen();
    assert!(screen.contains("The sandbox is gone") && !screen.contains("take it back"), "{screen}");
    nothing_is_left(base.path());
}

/// The remedy that a colleague would choose: point the option at the key that is there.
#[test]
fn the_key_that_lies_nearby_is_taken_and_the_server_starts() {
    let Some((mut pty, base)) = sandbox("mismatched-key") else { return };
    pty.sees("the server is not running").keys("2").sees("▶ ✗ the key belongs").keys("\r");
    pty.sees("point ssl_key at the key that matches").keys("\r");
    pty.sees("This will be written, and nothing else.")
        .sees(" -ssl_key =")
        .sees("tls/old/server-key");
    pty.keys("w").sees("done: ").sees("checked: nothing is wrong").keys("\r");
    pty.sees("Do key and certificate belong together");
    assert_eq!(pty.keys("q").ends(), 0);
    nothing_is_left(base.path());
}

#[test]
fn a_signal_ends_wizard_and_server_and_leaves_a_whole_terminal() {
    let Some((mut pty, base)) = sandbox("none") else { return };
    pty.sees("checked: nothing is wrong");
    pty.signal(Signal::SIGTERM);
    assert_eq!(pty.ends(), 128 + 15);
    assert_eq!(pty.is_restored(), Ok(()));
    nothing_is_left(base.path());
}

/// The folder of the one sandbox in here.
fn folder_of(base: &Path) -> PathBuf {
    let entries = std::fs::read_dir(base).unwrap().flatten().map(|entry| entry.path());
    let is_sandbox = |path: &PathBuf| path.to_string_lossy().contains("mytls-sandbox");
    entries.into_iter().find(is_sandbox).unwrap()
}

#[track_caller]
fn nothing_is_left(base: &Path) {
    let left: Vec<_> = std::fs::read_dir(base).unwrap().flatten().map(|e| e.path()).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    let here = base.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let servers = lines.filter(|line| String::from_utf8_lossy(line).contains(here)).count();
    assert_eq!(servers, 0, "a server is left behind");
}
