//! The packed files in the hands of real clients, on real servers: the settings of README.txt, word for
//! word, log in as an account that needs exactly this certificate; with another CA, with the
//! certificate of another account, and with none at all they do not.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::lab::{self, Program, Server};
use mytls::ca::pack::driver;
use mytls::sandbox::{Fault, Series};

#[path = "clients/carry.rs"]
mod carry;
#[path = "clients/known.rs"]
mod known;
#[path = "clients/page.rs"]
mod page;

use carry::{Ready, ok};
use known::{CLIENTS, Client, How};

/// The account's statement says REQUIRE SUBJECT AND ISSUER: see the sandbox.
const ACCOUNT: &str = "app@%";

/// Kinds of the client's key that a server takes; what else is tried is tried with the last.
fn keys(series: Series) -> &'static [&'static str] {
    match series {
        Series::MySql56 => &["rsa2048"],
        _ => &["rsa2048", "p384", "ed25519", "p256"],
    }
}

/// A server, and the folders from which clients start.
struct Stage {
    server: Server,
    series: Series,
    password: String,
    /// By the client's name.
    ready: BTreeMap<&'static str, Ready>,
}

/// What a client is given, and what has to come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// A pack with a key of this kind.
    Packed(&'static str),
    AnotherCa,
    AnotherAccount,
    NoCertificate,
    /// A good pack, and a server that shows a certificate for another host.
    AnotherHost,
}

#[test]
fn packed_files_let_their_client_in_and_no_other() {
    let clients: Vec<&Client> = CLIENTS.iter().filter(|client| client.is_here()).collect();
    let programs = lab::servers();
    if clients.is_empty() || programs.is_empty() {
        return;
    }
    let stages = lab::side_by_side(&programs, |program| Stage::set(program, &clients));
    let jobs = |cases: fn(&Stage, &Client) -> Vec<Case>| -> Vec<Job<'_>> {
        let pairs =
            stages.iter().flat_map(|stage| clients.iter().map(move |client| (stage, client)));
        let pairs = pairs.filter(|(stage, client)| client.speaks_to(stage.series));
        let jobs = pairs.flat_map(|(stage, client)| {
            cases(stage, client).into_iter().map(move |case| Job::new(stage, client, case))
        });
        jobs.collect()
    };
    let mut done = start(jobs(cases));
    lab::side_by_side(&stages, Stage::show_another_host);
    done.extend(start(jobs(|stage, _| match stage.series {
        Series::MySql56 => Vec::new(), // it takes no certificate while it runs
        _ => vec![Case::AnotherHost],
    })));

    let mut wrong = Vec::new();
    let mut worked: BTreeMap<(&str, Series), Vec<&str>> = BTreeMap::new();
    for (job, result) in &done {
        match (result, job.case) {
            (Ok(()), Case::Packed(key)) => {
                worked.entry((job.client, job.series)).or_default().push(key);
            }
            (Ok(()), _) => {}
            (Err(why), case) => {
                wrong.push(format!("{} on {}, {case:?}: {why}", job.client, job.series));
            }
        }
    }
    for ((client, series), keys) in &worked {
        println!("{client:<26} {series:<14} {}", keys.join(" "));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), done.len(), wrong.join("\n"));
    page::write(&clients, &programs, &worked);
}

/// Each job with what came of it.
fn start(jobs: Vec<Job<'_>>) -> Vec<(Job<'_>, Result<(), String>)> {
    let results = lab::side_by_side(&jobs, Job::run);
    jobs.into_iter().zip(results).collect()
}

#[test]
fn settings_are_called_tried_where_a_client_carries_them_out() {
    for driver in driver::all() {
        let known = CLIENTS.iter().any(|client| client.settings == driver.name);
        assert_eq!(driver.tried, known, "{}", driver.name);
    }
}

fn cases(stage: &Stage, client: &Client) -> Vec<Case> {
    let mut cases: Vec<Case> = keys(stage.series).iter().map(|key| Case::Packed(key)).collect();
    cases.extend([Case::AnotherCa, Case::AnotherAccount]);
    // What is compiled would have to be compiled once more.
    if matches!(client.how, How::Options | How::Script(_)) {
        cases.push(Case::NoCertificate);
    }
    cases
}

impl Stage {
    /// Starts a server, packs for its clients, and compiles what has to be compiled.
    fn set(program: &Program, clients: &[&Client]) -> Self {
        let server = program.start(&Fault::named("none").unwrap()).unwrap();
        let options = fs::read_to_string(server.dir().join("app.cnf")).unwrap();
        let password = options.lines().find_map(|line| line.strip_prefix("password = ")).unwrap();
        let (series, password, ready) = (program.series, password.to_owned(), BTreeMap::new());
        let mut stage = Self { server, series, password, ready };
        let own = stage.server.dir().join("ca");
        for key in keys(stage.series) {
            stage.issue(&own, "app", key);
            stage.pack(&own, "app", &stage.folder(key), None);
        }
        let good = stage.folder(stage.key());
        stage.issue(&own, "other", stage.key());
        stage.pack(&own, "other", &stage.folder("other"), None);

        // The same, but for the CAs to trust: those of somebody else.
        let (stranger, wrong) = (stage.folder("stranger"), stage.folder("wrong"));
        ok(lab::mytls()
            .args(["ca", "create", "--no-passphrase", "--name", "Stranger", "--ca-dir"])
            .arg(&stranger));
        stage.issue(&stranger, "app", stage.key());
        let store_password = fs::read_to_string(good.join("password.txt")).unwrap();
        stage.pack(&stranger, "app", &wrong, Some(&store_password));
        let keep = ["ca.pem", "truststore.p12"];
        copy(&good, &wrong, |name| !keep.contains(&name));
        // And without what belongs to the client.
        let none = stage.folder("none");
        fs::create_dir(&none).unwrap();
        copy(&good, &none, |name| keep.contains(&name));

        let readme = fs::read_to_string(good.join("README.txt")).unwrap();
        for client in clients.iter().filter(|client| client.speaks_to(stage.series)) {
            let ready = stage.prepare(client, &client.settings_in(&readme));
            stage.ready.insert(client.name, ready);
        }
        stage
    }

    /// The server gets a certificate of the same CA, for a name that nobody here types.
    fn show_another_host(&self) {
        if self.series == Series::MySql56 {
            return;
        }
        let tls = self.server.dir().join("tls");
        let mut mytls = lab::mytls();
        mytls.args(["ca", "server", "--san", "db7.example.org", "--ca-dir"]);
        mytls.arg(self.server.dir().join("ca"));
        mytls.arg("--cert-file").arg(tls.join("server-cert.pem"));
        ok(mytls.arg("--key-file").arg(tls.join("server-key.pem")));
        let reload = match self.series {
            Series::MariaDb1011 | Series::MariaDb118 => "FLUSH SSL",
            _ => "ALTER INSTANCE RELOAD TLS",
        };
        self.server.sql(reload).unwrap();
    }

    /// The kind of key with which everything but the kinds of keys is tried.
    fn key(&self) -> &'static str {
        keys(self.series).last().unwrap()
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
        if out.ends_with("p384") {
            mytls.args(["--p12", "aes256"]); // one in the other form, for Java
        }
        mytls.arg("--ca-dir").arg(ca).arg("--out").arg(out);
        let Some(password) = password else { return ok(&mut mytls) };
        mytls.arg("--password-stdin").stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = mytls.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, password.as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }

    /// Lays the settings into a folder of the client's own, compiled if need be.
    fn prepare(&self, client: &Client, settings: &str) -> Ready {
        let folder = client.name.replace(['/', ' '], "-");
        let place = self.server.base().join("clients").join(folder);
        let ready = Ready::make(client, place.clone(), settings);
        // where the CA stands in the same line, that is to stay
        let without = settings.replace("'client-key.pem', 'client-cert.pem'", "null, null");
        let without: Vec<&str> = without
            .lines()
            .filter(|line| !line.contains("client-") && !line.contains("client."))
            .collect();
        fs::write(place.join("settings-without"), without.join("\n")).unwrap();
        ready
    }
}

/// One start of a client.
struct Job<'a> {
    client: &'static str,
    series: Series,
    case: Case,
    ready: &'a Ready,
    /// Where it is started.
    pack: PathBuf,
    password: &'a str,
}

impl<'a> Job<'a> {
    fn new(stage: &'a Stage, client: &Client, case: Case) -> Self {
        let pack = stage.folder(match case {
            Case::Packed(key) => key,
            Case::AnotherHost => stage.key(),
            Case::AnotherCa => "wrong",
            Case::AnotherAccount => "other",
            Case::NoCertificate => "none",
        });
        Self {
            client: client.name,
            series: stage.series,
            case,
            ready: &stage.ready[client.name],
            pack,
            password: &stage.password,
        }
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
            [ACCOUNT, cipher] if cipher.contains("AES") => Ok(()),
            _ => Err(format!("{said} {complaint}")),
        }
    }

    fn command(&self) -> Command {
        let settings = match self.case {
            Case::NoCertificate => "settings-without",
            _ => "settings",
        };
        self.ready.command(settings, self.password, self.series == Series::MySql56)
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
            // the command-line clients do not say what they found wrong with the certificate
            Self::AnotherHost => any(&[
                "hostname",
                "host name",
                "altnames",
                "is valid for",
                "did not match expected",
                "certificate verify failed",
                "validation of ssl server certificate failed",
            ]),
        }
    }
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
