//! The packed files in the hands of real clients, on real servers: the settings of README.txt, word for
//! word, log in as an account that needs exactly this certificate; with another CA, with the
//! certificate of another account, and with none at all they do not.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::lab::{self, Program, Server};
use mytls::ca::pack::driver;
use mytls::sandbox::{Fault, Series};

/// The account's statement says REQUIRE SUBJECT AND ISSUER: see the sandbox.
const ACCOUNT: &str = "app@%";
/// What a pack is tried with first, and on the odd ones only whether it works at all.
const KEYS: [&str; 4] = ["p256", "p384", "ed25519", "rsa2048"];

/// A client as `scripts/clients` brings it.
struct Client {
    /// As it is listed, and the folder in which its settings are laid.
    name: &'static str,
    /// Which settings of the README: the name of a file of `assets/clients`.
    settings: &'static str,
    /// Its line in the `versions` of its folder.
    version: &'static str,
    program: &'static str,
    how: How,
}

/// How the settings are carried out.
#[derive(Clone, Copy)]
enum How {
    /// They are an option file.
    Options,
    /// They are a part of a program that is read by the one under `tests/clients`.
    Script(&'static str),
    Go,
    /// With this driver.
    Java(&'static str),
}

const CLIENTS: &[Client] = &[
    Client {
        name: "mysql",
        settings: "mysql",
        version: "mysql",
        program: "mysql/mysql",
        how: How::Options,
    },
    Client {
        name: "mariadb 10.11",
        settings: "mariadb",
        version: "mariadb 10",
        program: "mariadb/10.11",
        how: How::Options,
    },
    Client {
        name: "mariadb 11.8",
        settings: "mariadb",
        version: "mariadb 11",
        program: "mariadb/11.8",
        how: How::Options,
    },
    Client {
        name: "PyMySQL",
        settings: "pymysql",
        version: "PyMySQL",
        program: "python/python3",
        how: How::Script("run.py"),
    },
    Client {
        name: "mysql-connector-python",
        settings: "mysql-connector-python",
        version: "mysql-connector-python",
        program: "python/python3",
        how: How::Script("run.py"),
    },
    Client {
        name: "mysql2 (Node.js)",
        settings: "mysql2",
        version: "mysql2 (node)",
        program: "node/node",
        how: How::Script("run.js"),
    },
    Client {
        name: "mariadb (Node.js)",
        settings: "node-mariadb",
        version: "mariadb (node)",
        program: "node/node",
        how: How::Script("run.js"),
    },
    Client {
        name: "go-sql-driver/mysql",
        settings: "go",
        version: "go-sql-driver/mysql",
        program: "go/go",
        how: How::Go,
    },
    Client {
        name: "MariaDB Connector/J 2.7",
        settings: "mariadb-connector-j-2",
        version: "MariaDB Connector/J 2",
        program: "java/mariadb-2.7.jar",
        how: How::Java("mariadb-2.7.jar"),
    },
    Client {
        name: "MariaDB Connector/J 3",
        settings: "mariadb-connector-j",
        version: "MariaDB Connector/J 3",
        program: "java/mariadb-3.jar",
        how: How::Java("mariadb-3.jar"),
    },
];

/// A server, and the folders from which clients start.
struct Stage {
    server: Server,
    series: Series,
    password: String,
}

/// What a client is given, and what has to come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// A pack with a key of this kind.
    Packed(&'static str),
    AnotherCa,
    AnotherAccount,
    NoCertificate,
}

#[test]
fn packed_files_let_their_client_in_and_no_other() {
    let clients: Vec<&Client> = CLIENTS.iter().filter(|client| is_here(client)).collect();
    // No client that is still made speaks the TLS 1.0 of MySQL 5.6.
    let programs = lab::servers();
    let programs: Vec<Program> =
        programs.into_iter().filter(|program| program.series != Series::MySql56).collect();
    if clients.is_empty() || programs.is_empty() {
        return;
    }
    let stages = lab::side_by_side(&programs, |program| Stage::set(program, &clients));
    let jobs: Vec<(&Stage, &Client, Case)> = stages
        .iter()
        .flat_map(|stage| clients.iter().map(move |client| (stage, *client)))
        .flat_map(|(stage, client)| {
            client.cases().into_iter().map(move |case| (stage, client, case))
        })
        .collect();
    let paths: Vec<Job> =
        jobs.iter().map(|(stage, client, case)| Job::new(stage, client, *case)).collect();
    let results = lab::side_by_side(&paths, Job::run);

    let mut wrong = Vec::new();
    let mut worked: BTreeMap<(&str, Series), Vec<&str>> = BTreeMap::new();
    for ((stage, client, case), result) in jobs.iter().zip(results) {
        match (result, case) {
            (Ok(()), Case::Packed(key)) => {
                worked.entry((client.name, stage.series)).or_default().push(key);
            }
            (Ok(()), _) => {}
            (Err(why), case) => {
                wrong.push(format!("{} on {}, {case:?}: {why}", client.name, stage.series))
            }
        }
    }
    for ((client, series), keys) in &worked {
        println!("{client:<26} {series:<14} {}", keys.join(" "));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), jobs.len(), wrong.join("\n"));
    write_page(&clients, &programs, &worked);
}

impl Client {
    fn cases(&self) -> Vec<Case> {
        let mut cases: Vec<Case> = KEYS.into_iter().map(Case::Packed).collect();
        cases.extend([Case::AnotherCa, Case::AnotherAccount]);
        // What is compiled would have to be compiled once more.
        if matches!(self.how, How::Options | How::Script(_)) {
            cases.push(Case::NoCertificate);
        }
        cases
    }

    /// The settings as they stand in a README.
    fn settings_in(&self, readme: &str) -> String {
        let drivers = driver::all();
        let driver = drivers.iter().find(|driver| driver.name == self.settings).unwrap();
        let (_, after) = readme.split_once(&format!("=== {}\n", driver.title)).unwrap();
        let block = after.trim_start_matches('\n').lines();
        let block = block.take_while(|line| line.is_empty() || line.starts_with("    "));
        let lines: Vec<&str> = block.map(|line| line.strip_prefix("    ").unwrap_or("")).collect();
        lines.join("\n") + "\n"
    }
}

impl Stage {
    /// Starts a server, packs for its clients, and compiles what has to be compiled.
    fn set(program: &Program, clients: &[&Client]) -> Self {
        let server = program.start(&Fault::named("none").unwrap()).unwrap();
        let options = fs::read_to_string(server.dir().join("app.cnf")).unwrap();
        let password = options.lines().find_map(|line| line.strip_prefix("password = ")).unwrap();
        let stage = Self { series: program.series, password: password.to_owned(), server };
        let own = stage.server.dir().join("ca");
        for key in KEYS {
            stage.issue(&own, "app", key);
            stage.pack(&own, "app", &stage.folder(key), None);
        }
        stage.issue(&own, "other", "p256");
        stage.pack(&own, "other", &stage.folder("other"), None);

        // The same, but for the CAs to trust: those of somebody else.
        let (stranger, wrong) = (stage.folder("stranger"), stage.folder("wrong"));
        ok(lab::mytls().args(["ca", "create", "--name", "Stranger", "--ca-dir"]).arg(&stranger));
        stage.issue(&stranger, "app", "p256");
        let store_password = fs::read_to_string(stage.folder("p256").join("password.txt")).unwrap();
        stage.pack(&stranger, "app", &wrong, Some(&store_password));
        let keep = ["ca.pem", "truststore.p12"];
        copy(&stage.folder("p256"), &wrong, |name| !keep.contains(&name));
        // And without what belongs to the client.
        let none = stage.folder("none");
        fs::create_dir(&none).unwrap();
        copy(&stage.folder("p256"), &none, |name| keep.contains(&name));

        let readme = fs::read_to_string(stage.folder("p256").join("README.txt")).unwrap();
        for client in clients {
            stage.prepare(client, &client.settings_in(&readme));
        }
        stage
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.server.base().join("packs").join(name)
    }

    fn issue(&self, ca: &Path, user: &str, key: &str) {
        let out = self.server.base().join("issued").join(user);
        let mut mytls = lab::mytls();
        mytls.args(["ca", "client", "--user", user, "--key", key, "--ca-dir"]).arg(ca);
        ok(mytls.arg("--out").arg(out));
    }

    fn pack(&self, ca: &Path, name: &str, out: &Path, password: Option<&str>) {
        let port = self.server.sandbox.target().port.unwrap().to_string();
        let mut mytls = lab::mytls();
        mytls.args(["ca", "pack", name, "--host", "localhost", "--port", &port, "--user", "app"]);
        mytls.arg("--ca-dir").arg(ca).arg("--out").arg(out);
        let Some(password) = password else { return ok(&mut mytls) };
        let mut child = mytls.arg("--password-stdin").stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, password.as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }

    /// Lays the settings into a folder of the client's own, compiled if need be.
    fn prepare(&self, client: &Client, settings: &str) {
        let folder = self.place(client);
        fs::create_dir_all(&folder).unwrap();
        let without: Vec<&str> = settings
            .lines()
            .filter(|line| !line.contains("client-") && !line.contains("client."))
            .collect();
        fs::write(folder.join("settings"), settings).unwrap();
        fs::write(folder.join("settings-without"), without.join("\n")).unwrap();
        match client.how {
            How::Options | How::Script(_) => {}
            How::Go => {
                fs::write(folder.join("open.go"), settings).unwrap();
                fs::copy(source("run.go"), folder.join("run.go")).unwrap();
                let mut go = Command::new(brought("go/go"));
                ok(go.current_dir(&folder).args(["build", "-o", "run", "run.go", "open.go"]));
            }
            How::Java(_) => {
                fs::write(folder.join("Database.java"), settings).unwrap();
                let mut javac = Command::new("javac");
                ok(javac
                    .current_dir(&folder)
                    .args(["-d", ".", "Database.java"])
                    .arg(source("Run.java")));
            }
        }
    }

    fn place(&self, client: &Client) -> PathBuf {
        self.server.base().join("clients").join(client.name.replace(['/', ' '], "-"))
    }
}

/// One start of a client.
struct Job {
    case: Case,
    how: How,
    program: PathBuf,
    /// The client's own folder.
    place: PathBuf,
    /// Where it is started.
    pack: PathBuf,
    password: String,
}

impl Job {
    fn new(stage: &Stage, client: &Client, case: Case) -> Self {
        let pack = stage.folder(match case {
            Case::Packed(key) => key,
            Case::AnotherCa => "wrong",
            Case::AnotherAccount => "other",
            Case::NoCertificate => "none",
        });
        let (place, password) = (stage.place(client), stage.password.clone());
        Self { case, how: client.how, program: brought(client.program), place, pack, password }
    }

    fn run(&self) -> Result<(), String> {
        let output = self.command().current_dir(&self.pack).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let (said, complaint) = (text(&output.stdout), text(&output.stderr));
        let Case::Packed(_) = self.case else {
            return match output.status.success() {
                true => Err(format!("it got in: {said}")),
                false if self.case.explains(&complaint) => Ok(()),
                false => Err(format!("refused for another reason: {complaint}")),
            };
        };
        let words: Vec<&str> =
            said.split_whitespace().filter(|word| *word != "Ssl_cipher").collect();
        match words[..] {
            [ACCOUNT, cipher] if cipher.contains("AES") || cipher.contains("CHACHA20") => Ok(()),
            _ => Err(format!("{said} {complaint}")),
        }
    }

    fn command(&self) -> Command {
        let settings = match self.case {
            Case::NoCertificate => "settings-without",
            _ => "settings",
        };
        let settings = self.place.join(settings);
        let mut command = match self.how {
            How::Options => {
                let mut command = Command::new(&self.program);
                let statements = "SELECT CURRENT_USER(); SHOW SESSION STATUS LIKE 'Ssl_cipher'";
                command.arg(format!("--defaults-file={}", settings.display()));
                command.args(["--batch", "--skip-column-names", "-e", statements]);
                command
            }
            How::Script(script) => {
                let mut command = Command::new(&self.program);
                command.arg(source(script)).arg(settings);
                command
            }
            How::Go => Command::new(self.place.join("run")),
            How::Java(_) => {
                let mut command = Command::new("java");
                // no time is spent on making it fast
                command.args(["-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp"]);
                command
                    .arg(format!("{}:{}", self.place.display(), self.program.display()))
                    .arg("Run");
                command
            }
        };
        command.env("DB_PASSWORD", &self.password).env("MYSQL_PWD", &self.password);
        command
    }
}

impl Case {
    /// Whether it is for this that a client was refused, and not for a slip of the test.
    fn explains(self, complaint: &str) -> bool {
        let complaint = complaint.to_lowercase();
        let any = |words: &[&str]| words.iter().any(|words| complaint.contains(words));
        match self {
            Self::Packed(_) => false,
            Self::AnotherCa => any(&[
                "certificate verify failed",
                "self-signed certificate",
                "self signed certificate",
                "unable to get local issuer",
                "unknown authority",
                "pkix path",
                "signature",
            ]),
            Self::AnotherAccount | Self::NoCertificate => any(&["1045", "access denied"]),
        }
    }
}

/// Whether `scripts/clients` brought it. In CI it has to be there; elsewhere it is said.
fn is_here(client: &Client) -> bool {
    let here = brought(client.program).exists();
    assert!(here || !lab::in_ci(), "in CI every client has to be there: {}", client.name);
    if !here {
        eprintln!("skipped: {}; scripts/clients brings it", client.name);
    }
    here
}

/// Where `scripts/clients` put it.
fn brought(name: &str) -> PathBuf {
    lab::cache("MYTLS_CLIENTS", "clients").join(name)
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if wanted(name.to_str().unwrap()) {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn ok(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The table of `docs/clients.md`, with UPDATE=1: the versions are those of the day.
fn write_page(
    clients: &[&Client],
    programs: &[Program],
    worked: &BTreeMap<(&str, Series), Vec<&str>>,
) {
    if std::env::var_os("UPDATE").is_none() {
        return;
    }
    assert!(clients.len() == CLIENTS.len() && programs.len() == 3, "the page tells of all of them");
    let mut table = String::from("| client | version |");
    for program in programs {
        write!(table, " {} |", program.series).unwrap();
    }
    writeln!(table, "\n|---|---|{}", "---|".repeat(programs.len())).unwrap();
    for client in clients {
        let folder = brought(client.program);
        let versions = fs::read_to_string(folder.parent().unwrap().join("versions")).unwrap();
        let version = versions.lines().find(|line| line.starts_with(client.version)).unwrap();
        let version = version.rsplit(' ').next().unwrap();
        write!(table, "| {} | {version} |", client.name).unwrap();
        for program in programs {
            let keys = worked.get(&(client.name, program.series)).map_or(&[][..], Vec::as_slice);
            let all = if keys == KEYS { "all".to_owned() } else { keys.join(", ") };
            write!(table, " {all} |").unwrap();
        }
        writeln!(table).unwrap();
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once("<!-- clients:").unwrap();
    let (mark, rest) = rest.split_once("-->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /clients -->").unwrap();
    let text = format!("{before}<!-- clients:{mark}-->\n{table}<!-- /clients -->{after}");
    fs::write(page, text).unwrap();
}
