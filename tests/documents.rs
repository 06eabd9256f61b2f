//! What the documents say is what the program does. `UPDATE=1` writes the parts anew.

mod common;

use std::path::{Path, PathBuf};

use common::lab::server;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Replaces what stands between `<!-- NAME: … -->` and `<!-- /NAME -->`, or says that it differs.
fn hold(file: &str, name: &str, wanted: &str) {
    let file = root().join(file);
    let text = std::fs::read_to_string(&file).unwrap();
    let start = text.find(&format!("<!-- {name}:")).unwrap();
    let start = start + text[start..].find("-->\n").unwrap() + "-->\n".len();
    let end = start + text[start..].find(&format!("<!-- /{name} -->")).unwrap();
    let wanted = format!("{}\n", wanted.trim_end());
    if std::env::var_os("UPDATE").is_some() {
        let text = format!("{}{wanted}{}", &text[..start], &text[end..]);
        std::fs::write(&file, text).unwrap();
        return;
    }
    assert_eq!(
        &text[start..end],
        wanted,
        "the part {name} of {} is out of date: UPDATE=1 cargo test --test documents",
        file.display()
    );
}

#[test]
fn the_keys_that_the_wizard_takes_are_listed() {
    hold("docs/keys.md", "keys", &mytls::tui::key_table_markdown());
}

#[test]
fn every_rule_has_its_place_in_the_page_of_rules() {
    use mytls::rules::{ALL, Rule, Step};
    use std::fmt::Write as _;
    let mut page = String::new();
    for step in Step::ALL {
        let rules: Vec<&&Rule> = ALL.iter().filter(|rule| rule.step == step).collect();
        if !rules.is_empty() {
            writeln!(page, "## {}\n", step.title()).unwrap();
        }
        for rule in rules {
            let severity = format!("{:?}", rule.severity).to_lowercase();
            let title = rule.doc.lines().next().unwrap().trim();
            writeln!(page, "### {}\n\n**{severity}**: {title}\n", rule.id).unwrap();
            for heading in Rule::SECTIONS {
                writeln!(page, "*{heading}.* {}\n", rule.section(heading).unwrap()).unwrap();
            }
        }
    }
    hold("docs/rules.md", "rules", &page);
}

/// The README's example is real output: only folder, port and sums, which are new each time, are
/// replaced.
#[test]
fn the_readme_shows_what_check_prints() {
    let Some(server) = server("mismatched-key") else { return };
    if server.sandbox.flavor() != mytls::facts::Flavor::MariaDb {
        return; // the example is a MariaDB's
    }
    let output = server.mytls("check", &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let text = text.replace(server.dir().to_str().unwrap(), "/srv/db");
    let port = server.sandbox.target().port.unwrap().to_string();
    let text = text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:3306");
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let text = text.replace(&format!(",{host},"), ",db1,").replace(&format!(" {host},"), " db1,");
    let text = text.replace(&format!("{host},localhost"), "db1,localhost");
    let mut sums = Vec::new();
    let steady: Vec<String> = text.lines().map(|line| steady(line, &mut sums)).collect();
    let shown = format!(
        "```console\n$ mytls check --server-config /srv/db/my.cnf …\n{}\n```",
        steady.join("\n")
    );
    hold("README.md", "check", &shown);
    assert_eq!(output.status.code(), Some(1));
}

/// A line without what changes from run to run and from host to host: sums, dates, users.
fn steady(line: &str, sums: &mut Vec<String>) -> String {
    const SUMS: [&str; 2] =
        ["6aff357be896cf0dc1f562c3028a7e96", "01e68a8cdedf79e380f9fa92b0125c26"];
    let mut out: Vec<String> = Vec::new();
    for word in line.split(' ') {
        let bare = word.trim_end_matches(',');
        let is_sum = bare.len() == 32 && bare.chars().all(|c| c.is_ascii_hexdigit());
        let is_date = bare.len() == 10 && bare.chars().filter(|c| *c == '-').count() == 2;
        // MariaDB writes the hours before ten with one digit, and a blank more before it
        let is_time =
            matches!(bare.len(), 7 | 8) && bare.chars().filter(|c| *c == ':').count() == 2;
        let shown = if is_sum {
            if !sums.iter().any(|known| known == bare) {
                sums.push(bare.to_owned());
            }
            let at = sums.iter().position(|known| known == bare).unwrap();
            SUMS[at % 2].to_owned()
        } else if is_date {
            word.replace(bare, "2030-01-01")
        } else if is_time {
            word.replace(bare, "12:00:00")
        } else if out.last().is_some_and(|mode| is_key_mode(mode)) && bare.contains(':') {
            // the owner is whoever runs the server here
            out.pop();
            out.push("0640".to_owned());
            word.replace(bare, "root:mysql")
        } else {
            word.to_owned()
        };
        out.push(shown);
    }
    let line = out.join(" ").replace("-01  12:00", "-01 12:00").replace("396 days", "397 days");
    let cut = |from: &str, put: &str| line.find(from).map(|at| format!("{}{put}", &line[..at]));
    cut("read the key: as ", "read the key: as mysql").unwrap_or(line.clone())
}

/// `0600`, `0640`
fn is_key_mode(word: &str) -> bool {
    word.len() == 4 && word.starts_with("06") && word.chars().all(|c| c.is_digit(8))
}

/// The rule of the house: nothing below the wizard names a terminal crate.
#[test]
fn only_the_wizard_knows_the_terminal() {
    let mut sinners = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("tui") {
                    folders.push(path);
                }
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            if ["ratatui", "crossterm", "tui_input"].iter().any(|name| text.contains(name)) {
                sinners.push(path);
            }
        }
    }
    assert_eq!(sinners, Vec::<PathBuf>::new());
}

/// Rooms in the order of the house, the lowest first; nobody imports from above.
#[test]
fn imports_run_downwards() {
    let levels: &[&[&str]] = &[
        &["bounded", "printable", "secret"],
        &["x509"],
        &["disk"],
        &["wire", "ca", "facts"],
        &["remedy", "listen", "scan"],
        &["prove", "apply", "rules"],
        &["checklist"],
        &["sandbox", "report"],
        &["tui"],
        &["cli"],
    ];
    let level = |room: &str| levels.iter().position(|rooms| rooms.contains(&room));
    let mut wrong = Vec::new();
    for room in levels.concat() {
        let folder = root().join("src").join(room);
        let mut files = vec![root().join("src").join(format!("{room}.rs"))];
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        for file in files.into_iter().filter(|file| file.exists()) {
            let text = std::fs::read_to_string(&file).unwrap();
            // tests may borrow literals from anywhere
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            for import in text.split("crate::").skip(1) {
                let other: String =
                    import.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if level(&other).is_some_and(|other| Some(other) > level(room)) {
                    wrong.push(format!("{} imports {other}", file.display()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
