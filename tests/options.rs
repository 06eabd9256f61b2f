//! The server's option files, read by mytls and by the families' own programs: `my_print_defaults`
//! over many generated files, and the servers themselves for what names and groups mean.

mod common;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::lab::{in_ci, program_of, servers};
use mytls::facts::{Flavor, ServerConfig, Version, config};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Generated files per program.
const CASES: u32 = 1000;
const GROUPS: [&str; 2] = ["mysqld", "server"];

/// One `my_print_defaults`, and whose it is.
struct Printer {
    command: Vec<PathBuf>,
    server: (Flavor, Version),
}

impl Printer {
    /// That of this host, and those that came with the servers that `scripts/servers` brought.
    fn all() -> Vec<Self> {
        let mut printers = Vec::new();
        for (series, flavor) in [("mariadb-11.8", Flavor::MariaDb), ("mysql-9.7", Flavor::MySql)] {
            let Some(command) = program_of(series, "usr/bin/my_print_defaults") else { continue };
            let number = series.split_once('-').unwrap().1;
            let server = (flavor, Version::parse(number).unwrap().1);
            printers.push(Self { command, server });
        }
        let host = Command::new("my_print_defaults").arg("--version").output();
        match host.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()) {
            // MariaDB's counts itself (Ver 1.8); MySQL's has the server's version.
            Ok(said) => {
                let number = said.split("Ver ").nth(1).unwrap_or_default();
                let (_, version) = Version::parse(number).expect("it tells its version");
                let mariadb = version.0 < 5;
                let server = if mariadb {
                    (Flavor::MariaDb, Version(10, 11, 0))
                } else {
                    (Flavor::MySql, version)
                };
                printers.push(Self { command: vec!["my_print_defaults".into()], server });
            }
            Err(error) => {
                assert!(!in_ci(), "in CI there has to be a my_print_defaults: {error}");
                eprintln!("skipped: there is no my_print_defaults here; make setup installs one");
            }
        }
        printers
    }

    /// What it prints for the groups; `None` where it gives up.
    fn print(&self, file: &Path) -> Option<String> {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).arg(format!("--defaults-file={}", file.display()));
        let Output { status, stdout, stderr } =
            command.args(GROUPS).env("HOME", "/nonexistent").output().unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert!(status.success() || said.contains("atal error in defaults handling"), "{said}");
        status.success().then(|| String::from_utf8_lossy(&stdout).into_owned())
    }
}

/// The same by mytls.
fn ours(file: &Path, server: (Flavor, Version)) -> Option<String> {
    let arguments = config::arguments(file, &GROUPS, server).ok()?;
    let lines: Vec<String> = arguments.iter().map(|argument| format!("{argument}\n")).collect();
    Some(lines.concat())
}

/// A folder whose files a generated file may include.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path("conf.d")).unwrap();
        fs::create_dir(folder.path("conf.d/folder.cnf")).unwrap();
        for (name, text) in [
            ("conf.d/b.cnf", "[server]\nfrom-b = 1\n"),
            ("conf.d/a.b.cnf", "[mysqld]\nfrom-a-b\n[client]\nnever"),
            ("conf.d/.cnf", "[mysqld]\nhidden\n"),
            ("conf.d/Z.cnf", "[mysqld]\nfrom-z = '#'\n[broken\nnever\n"),
            ("conf.d/no.txt", "[mysqld]\nnever\n"),
            ("conf.d/no.CNF", "[mysqld]\nnever\n"),
            ("one.cnf", "[MySQLd]\r\none = 1 # not two\r\n"),
            ("no-group.cnf", "never\n[mysqld]\nnever\n"),
            ("closed.cnf", "[mysqld]\nnever\n"),
        ] {
            fs::write(folder.path(name), text).unwrap();
        }
        fs::set_permissions(folder.path("closed.cnf"), fs::Permissions::from_mode(0o666)).unwrap();
        let circle = format!("[mysqld]\nround\n!include {}\n", folder.path("circle.cnf").display());
        fs::write(folder.path("circle.cnf"), circle).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes the file, with `@` for this folder.
    fn write(&self, text: &[u8]) -> PathBuf {
        let here = self.0.path().to_str().unwrap().as_bytes();
        let bytes: Vec<u8> = text
            .iter()
            .flat_map(|byte| if *byte == b'@' { here.to_vec() } else { vec![*byte] })
            .collect();
        let file = self.path("my.cnf");
        fs::write(&file, bytes).unwrap();
        file
    }
}

/// What a file holds; shown as text.
#[derive(Clone)]
struct Text(Vec<u8>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// A file of lines that are almost always right, each somehow spoilt now and then.
fn file() -> impl Strategy<Value = Text> {
    let head = prop_oneof![30 => Just("[mysqld]\n"), 4 => Just("# x\n[server]\n"), 1 => Just(""), 1 => Just("\u{feff}")];
    let lines = prop::collection::vec(line(), 0..14);
    let last = select(vec!["\n", "\n", "", "\n\n", "\r\n"]);
    (head, lines, last).prop_map(|(head, lines, last)| {
        let lines: Vec<Vec<u8>> = lines.into_iter().filter(|line| is_defined(line)).collect();
        Text([head.as_bytes(), &lines.concat(), b"[mysqld]\nlast = 1", last.as_bytes()].concat())
    })
}

/// Before a `=` without a name the programs read whatever stood in memory.
fn is_defined(line: &[u8]) -> bool {
    let space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b || *byte == 0xa0;
    line.iter().find(|byte| !space(byte)) != Some(&b'=')
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let name = select(vec!["ssl-ca", "SSL_CERT", "loose-x", "skip-y", "port", "a.b", "é", "x y"]);
    let equals = select(vec!["=", " = ", "=\t", " =", "==", "", " "]);
    let option = (blank(), name, equals, value(), blank(), comment());
    let option = option.prop_map(|(before, name, equals, value, after, comment)| {
        [&before, name.as_bytes(), equals.as_bytes(), &value, &after, &comment].concat()
    });
    let group = select(vec![
        "mysqld",
        "mysqld",
        "MYSQLD",
        "server",
        "client",
        "mysqld ",
        " mysqld",
        "mysqld-9.7",
        "",
        "mysqld]",
        "mysqld,",
        "my\u{a0}",
    ]);
    let closing = prop_oneof![30 => Just("]"), 4 => Just("] # x"), 4 => Just("]]"), 1 => Just("")];
    let group = (blank(), group, closing).prop_map(|(before, group, close)| {
        [&before, b"[" as &[u8], group.as_bytes(), close.as_bytes()].concat()
    });
    let word =
        select(vec!["include", "include", "includedir", "includedir", "included", "Include"]);
    let path = prop_oneof![
        10 => select(vec!["@/one.cnf", "@/conf.d", "@/conf.d/", "@/circle.cnf"]),
        4 => select(vec!["@/none.cnf", "@/no-group.cnf", "@/closed.cnf", "@/conf.d/a.b.cnf"]),
        1 => select(vec!["@/none.d", ""]),
    ];
    let directive = (blank(), blank(), word, blank(), path, blank());
    let directive = directive.prop_map(|(before, inner, word, between, path, after)| {
        let parts: [&[u8]; 7] =
            [&before, b"!", &inner, word.as_bytes(), &between, path.as_bytes(), &after];
        parts.concat()
    });
    let long = (4000..4200usize, value()).prop_map(|(length, tail)| {
        let tail: Vec<u8> = tail.into_iter().filter(|byte| *byte != b'=').collect();
        [b"long=" as &[u8], &vec![b'x'; length], &tail].concat()
    });
    let noise = prop::collection::vec(select(PIECES.to_vec()), 0..9)
        .prop_map(|all| all.concat().into_bytes());
    let end = select(vec!["\n", "\n", "\n", "\r\n", " \n"]);
    let text = prop_oneof![
        12 => option, 4 => group, 2 => directive, 1 => long, 3 => noise, 1 => comment(), 1 => blank(),
    ];
    (text, end).prop_map(|(text, end)| [&text, end.as_bytes()].concat())
}

const PIECES: [&str; 28] = [
    "ssl-ca", "ssl_cert", "=", " = ", "\"", "'", "\\", "#", ";", " ", "\t", "a", "/x/y.pem", "\\s",
    "\\q", "\\\"", "\\'", "é", "[", "]", "loose-", "=\"a b\"", "='a # b'", "\r", "\\\\", ",", "!",
    "à",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::collection::vec(select(PIECES.to_vec()), 0..7);
    let quote = select(vec!["", "", "\"", "'"]);
    let bytes = prop_oneof![6 => Just(Vec::new()), 1 => prop::collection::vec(128u8.., 1..4)];
    (quote, pieces, bytes, quote_end()).prop_map(|(open, pieces, bytes, close)| {
        let close = close.unwrap_or(open);
        [open.as_bytes(), pieces.concat().as_bytes(), &bytes, close.as_bytes()].concat()
    })
}

/// The quote that opened, mostly.
fn quote_end() -> impl Strategy<Value = Option<&'static str>> {
    select(vec![None, None, None, Some(""), Some("'"), Some("\\\"")])
}

fn blank() -> impl Strategy<Value = Vec<u8>> {
    let blanks = select(vec![&b""[..], b"", b"", b" ", b"\t", b"  ", b"\r", b"\x0b", b"\xa0"]);
    blanks.prop_map(<[u8]>::to_vec)
}

fn comment() -> impl Strategy<Value = Vec<u8>> {
    select(vec!["", "", "# why", "#", "; why", "# 'a"]).prop_map(|text| text.as_bytes().to_vec())
}

#[test]
fn a_thousand_files_are_read_as_my_print_defaults_reads_them() {
    for printer in Printer::all() {
        let folder = Folder::new();
        let [read, refused] = [const { Cell::new(0) }; 2];
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        // the same files each time
        let mut runner =
            TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::XorShift));
        let result = runner.run(&file(), |Text(text)| {
            let file = folder.write(&text);
            let theirs = printer.print(&file);
            let count = if theirs.is_some() { &read } else { &refused };
            count.set(count.get() + 1);
            prop_assert_eq!(ours(&file, printer.server), theirs, "{:?}", printer.server);
            Ok(())
        });
        result.unwrap_or_else(|why| panic!("{why}"));
        let (read, refused) = (read.get(), refused.get());
        eprintln!("{:?}: {read} files read alike, {refused} refused alike", printer.server);
        assert!(read > refused && refused > CASES / 50, "the files are too sound, or too broken");
    }
}

// --- what the servers themselves make of names and groups ---

/// Options whose values a server tells when it is asked for its help.
const TOLD: [&str; 12] = [
    "ssl",
    "ssl_ca",
    "ssl_capath",
    "ssl_cert",
    "ssl_cipher",
    "ssl_crl",
    "ssl_crlpath",
    "ssl_key",
    "require_secure_transport",
    "tls_version",
    "port",
    "socket",
];

/// What a server has these options set to, having read this text; `None` where it gives up.
fn told(program: &Path, text: &str, file: &Path) -> Option<BTreeMap<String, String>> {
    fs::write(file, text).unwrap();
    let output = Command::new(program)
        .arg(format!("--defaults-file={}", file.display()))
        .args(["--verbose", "--help", "--user=root"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut values = BTreeMap::new();
    for line in said.lines() {
        let Some((name, value)) = line.split_once(' ') else { continue };
        let name = name.replace('-', "_");
        // the list of options itself stands before, and is indented or says how each is spelled
        if TOLD.contains(&name.as_str()) {
            let value = value.trim();
            values.insert(name, if value == "(No default value)" { "" } else { value }.to_owned());
        }
    }
    let unknown = String::from_utf8_lossy(&output.stderr).contains("[ERROR] Aborting");
    (!values.is_empty() && !unknown).then_some(values)
}

fn version_of(program: &Path) -> (Flavor, Version) {
    let said = Command::new(program).arg("--version").output().unwrap().stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    Version::parse(said.split("Ver ").nth(1).unwrap()).unwrap()
}

/// The changes that the options make to what a server has without any.
fn changed(
    with: &BTreeMap<String, String>,
    without: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let changed = with.iter().filter(|(name, value)| without.get(*name) != Some(*value));
    changed.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Files of an option or a few; `conf_d` is a folder with one that sets the port.
fn texts(conf_d: &str) -> Vec<String> {
    let option = |line: &str| format!("[mysqld]\n{line}\n");
    let mut texts: Vec<String> = [
        "ssl_key=/k",
        "ssl-key = /k",
        "SSL_KEY=/k",
        "Ssl-Key=/k",
        "loose-ssl-key=/k",
        "LOOSE_ssl_key=/k",
        "loose-loose-ssl_key=/k",
        "ssl-ke=/k",
        "ssl-ce=/c",
        "ssl_cap=/p",
        "ssl_ci=AES",
        "ssl-crlp=/r",
        "ssl-crl=/r",
        "ssl-ca=/a",
        "tls-v=TLSv1.2",
        "tls_version=TLSv1.2",
        "req=1",
        "require_secure_transport=1",
        "soc=/s",
        "port=77",
        "socket=/s",
        "PORT=77",
        "loose-port=77",
        "skip-loose-port=77",
        "port='77'",
        "port = \"77\" # why",
        "-port=77",
        "ssl_key=/a b/k",
        "ssl_key='/a # b/k'",
        "ssl_key=/a # b/k",
        "ssl_key=/a\\sb\\\\k",
        "ssl_key=/1\nssl-key=/2\nloose_ssl_key=/3",
        "socket=/1\n[server]\nsocket=/2\n[client]\nsocket=/3",
    ]
    .map(option)
    .to_vec();
    texts.extend([format!("!includedir {conf_d}"), format!("!includedir {conf_d}X")]);
    texts.extend([format!("!includedir {conf_d}\n"), format!("!include {conf_d}/a.cnf\r\n")]);
    texts.extend(
        [
            "mysqld",
            "MySQLd",
            "server",
            "mariadb",
            "mariadbd",
            "galera",
            "client-server",
            "client",
            "mysqld-9.7",
            "mysqld-9",
            "mysqld-9.7.4",
            "mysqld-5.6",
            "mysqld-5",
            "mysqld-11",
            "mysqld-10",
            "mysqld-10.11",
            "mysqld-11.8",
            "mariadb-10.11",
            "mariadb-10",
            "mariadb-11.8",
            "mariadb-11",
            "mariadbd-10.11",
            "mariadbd-11.8",
            "mariadbd-11",
            "mysqld1",
            "mysqld_safe",
            "mysql",
            " mysqld",
            "mysqld ",
        ]
        .map(|group| format!("[{group}]\nport = 77\n")),
    );
    for switch in [
        "skip-ssl",
        "disable_ssl",
        "enable-ssl",
        "loose-skip-ssl",
        "skip-ssl=0",
        "ssl=0",
        "skip-ssl=1",
        "enable-ssl=0",
        "skip-loose-ssl",
        "ssl=OFF",
        "ssl",
    ] {
        // so that it is not as it was: a server with any other option has it on
        texts.push(option(&format!("ssl_key=/k\n{switch}")));
        texts.push(option(&format!("ssl=0\n{switch}")));
    }
    texts
}

/// The same by mytls: the options that change what the server has without any.
fn changed_by_ours(
    read: &ServerConfig,
    server: (Flavor, Version),
    without: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    // built with yaSSL, it takes the two and forgets them
    let forgotten = |name: &str| server.1 < Version(5, 7, 0) && name.starts_with("ssl_crl");
    let mut ours = BTreeMap::new();
    for name in TOLD.into_iter().filter(|name| without.contains_key(*name) && !forgotten(name)) {
        let Some(value) = read.options.get(name) else { continue };
        let value = value.value.clone().unwrap_or_else(|| "1".to_owned());
        let switch = matches!(name, "ssl" | "require_secure_transport");
        let value = match value.to_ascii_lowercase().as_str() {
            "0" | "off" if switch => "FALSE".to_owned(),
            "1" | "on" if switch => "TRUE".to_owned(),
            _ => value,
        };
        if without[name] != value {
            ours.insert(name.to_owned(), value);
        }
    }
    ours
}

#[test]
fn names_groups_and_what_counts_last_are_as_the_servers_have_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.cnf");
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    fs::write(folder.path().join("conf.d/a.cnf"), "[mysqld]\nport = 77\n").unwrap();
    let texts = texts(folder.path().join("conf.d").to_str().unwrap());
    for program in servers() {
        let path = program.path();
        let without = told(&path, "", &file).expect("a server says what it can do");
        let version = version_of(&path);
        let mut compared = 0;
        for text in &texts {
            let Some(with) = told(&path, text, &file) else { continue };
            compared += 1;
            let theirs = changed(&with, &without);
            let read = config::read(Some(&file), Some(version)).unwrap_or_default();
            let mut ours = changed_by_ours(&read, version, &without);
            // named in no option, and on because another one is
            if theirs.contains_key("ssl") && !read.options.contains_key("ssl") {
                ours.insert("ssl".to_owned(), theirs["ssl"].clone());
            }
            assert_eq!(ours, theirs, "{:?} with {text:?}", program.series);
        }
        eprintln!("{:?}: {compared} of {} files read alike", program.series, texts.len());
        assert!(compared > texts.len() / 2, "it hardly starts: {compared}");
    }
}
