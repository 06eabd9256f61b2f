//! What `make bench` measures: how soon the wizard stands on the screen, how long a whole check
//! takes beside the same checklist done by hand, how long a folder of a thousand keys and
//! certificates takes beside a loop over the `openssl` command, and how much memory it needs.
//!
//! Everything runs as a user runs it: the release build as a process, in a real terminal (80x24),
//! against a real server. Each figure is the median of [`RUNS`] runs, with the quartiles beside it;
//! what is compared takes turns (A B A B), so that a busy machine slows both.

use std::fs;
use std::io::{self, BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

#[path = "figures/pairs.rs"]
mod pairs;
#[path = "figures/statements.rs"]
mod statements;

const RUNS: usize = 15;
/// Memory hardly differs from one run to the next.
const MEMORY_RUNS: usize = 9;
/// After this long without the end of what is measured, there is nothing to measure.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the wizard's first whole screen ends with.
const LAST_WORDS: &str = "F1 help";
/// `MariaDB [(none)]>` or `mysql>`; nothing before it holds one.
const PROMPT: &str = ">";

fn main() {
    let server = Server::start();
    let client = client();

    let mut started = [const { Vec::new() }; 3];
    for _ in 0..RUNS {
        started[0].push(wizard(&server.home).drawn);
        started[1].push(in_terminal(named(client, &["--version"]), "Ver", &server.home).drawn);
        started[2].push(in_terminal(server.prompt(client), PROMPT, &server.home).drawn);
    }
    let [first_frame, version, prompt] = started.map(Figure::of);
    table(
        "from start to what is seen, in a terminal of 80x24",
        "ms",
        &[
            ("mytls: the wizard's first whole screen", first_frame, None),
            (&format!("{client} --version"), version, Some(first_frame)),
            (&format!("{client}: its prompt, logged in"), prompt, Some(first_frame)),
        ],
    );

    let mut checked = [const { Vec::new() }; 2];
    server.expect_good(); // and both warm
    for _ in 0..RUNS {
        checked[0].push(timed(server.check()));
        checked[1].push(timed(server.by_hand()));
    }
    let [check, by_hand] = checked.map(Figure::of);
    table(
        "the whole checklist on a live server, nothing wrong with it",
        "ms",
        &[
            ("mytls check", check, None),
            (&format!("the same by hand: openssl and {client}"), by_hand, Some(check)),
        ],
    );
    println!(
        "mytls check is {:.1} times as fast as the checklist by hand",
        by_hand.median / check.median
    );

    statements::measure();
    pairs::measure();

    let mut memory = [const { Vec::new() }; 4];
    for _ in 0..MEMORY_RUNS {
        memory[0].push(peak_while_it_writes(server.check()));
        memory[1].push(peak_while_it_writes(server.query(client)));
        memory[2].push(wizard(&server.home).peak);
        memory[3].push(in_terminal(server.prompt(client), PROMPT, &server.home).peak);
    }
    let [check, query, idle, prompt] = memory.map(Figure::of);
    table(
        "peak memory (VmHWM)",
        "MB",
        &[
            ("mytls check", check, None),
            (&format!("{client} -e 'SHOW GLOBAL VARIABLES'"), query, Some(check)),
            ("mytls: the wizard, waiting", idle, None),
            (&format!("{client}: at its prompt"), prompt, Some(idle)),
        ],
    );
}

/// Median, and the quartiles around it.
#[derive(Clone, Copy)]
struct Figure {
    median: f64,
    low: f64,
    high: f64,
    runs: usize,
}

impl Figure {
    fn of(mut runs: Vec<f64>) -> Self {
        runs.sort_by(f64::total_cmp);
        let at = |quarter: usize| runs[(runs.len() - 1) * quarter / 4];
        Self { median: at(2), low: at(1), high: at(3), runs: runs.len() }
    }
}

/// Each peer with its ratio to the figure that it stands beside.
fn table(title: &str, unit: &str, rows: &[(&str, Figure, Option<Figure>)]) {
    println!("\n{title}");
    for (name, figure, beside) in rows {
        let ratio = beside.map(|own| format!("  {:.1}x", figure.median / own.median));
        println!(
            "  {name:<48} {:>7.1} {unit}  ({:.1} to {:.1}, {} runs){}",
            figure.median,
            figure.low,
            figure.high,
            figure.runs,
            ratio.unwrap_or_default()
        );
    }
}

/// A healthy sandbox, as `mytls sandbox --headless` starts it; ended with this.
struct Server {
    sandbox: Child,
    dir: PathBuf,
    port: String,
    /// A home with nothing in it.
    home: PathBuf,
}

impl Server {
    fn start() -> Self {
        let home = std::env::temp_dir().join("home");
        fs::create_dir_all(&home).expect("TMPDIR is there and writable");
        let mut sandbox = Command::new(MYTLS)
            .args(["sandbox", "--headless"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("mytls was built before this ran");
        let said = sandbox.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(said).lines().map_while(Result::ok);
        let mut server = Self { sandbox, dir: PathBuf::new(), port: String::new(), home };
        let said: Vec<String> =
            lines.by_ref().take_while(|line| !line.contains("Ctrl-C")).collect();
        let after = |mark: &str, end: char| {
            let line = said.iter().find_map(|line| line.split_once(mark));
            let (_, rest) = line.unwrap_or_else(|| panic!("no {mark} in {said:?}"));
            rest.split(end).next().unwrap_or_default().to_owned()
        };
        println!("server: {}", said.first().map_or("", String::as_str));
        server.port = after("127.0.0.1:", ' ');
        server.dir = PathBuf::from(after("--defaults-file=", ' ')).parent().expect("a file").into();
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn check(&self) -> Command {
        let mut command = Command::new(MYTLS);
        command.args(["check", "-h", "127.0.0.1", "-P", &self.port]);
        for (option, file) in [
            ("--defaults-file", "client.cnf"),
            ("-S", "run/mysqld.sock"),
            ("--ssl-ca", "client/ca.pem"),
            ("--server-config", "my.cnf"),
            ("--ca-dir", "ca"),
        ] {
            command.arg(option).arg(self.path(file));
        }
        self.at_home(command)
    }

    fn by_hand(&self) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/checklist.sh");
        let mut command = Command::new(script);
        command.args([self.path("client.cnf"), self.path("my.cnf")]);
        command.args(["127.0.0.1", &self.port]);
        command.args([self.path("run/mysqld.sock"), self.path("client/ca.pem")]);
        self.at_home(command)
    }

    fn query(&self, client: &str) -> Command {
        let mut command = Command::new(client);
        command.arg(format!("--defaults-file={}", self.path("client.cnf").display()));
        command.args(["-e", "SHOW GLOBAL VARIABLES"]);
        self.at_home(command)
    }

    fn prompt(&self, client: &str) -> CommandBuilder {
        named(client, &[&format!("--defaults-file={}", self.path("client.cnf").display())])
    }

    fn at_home(&self, mut command: Command) -> Command {
        command.env("HOME", &self.home).env_remove("MYSQL_PWD").stdin(Stdio::null());
        command
    }

    /// Neither way may find anything wrong, or they would not do the same work.
    fn expect_good(&self) {
        for mut command in [self.check(), self.by_hand()] {
            let output = command.output().expect("it starts");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && !said.contains('✗'), "{command:?}:\n{said}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, so that it takes its server and its folder along
        let pid = self.sandbox.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.sandbox.wait();
    }
}

const MYTLS: &str = env!("CARGO_BIN_EXE_mytls");

fn client() -> &'static str {
    let there = |name| Command::new(name).arg("--version").output().is_ok();
    if there("mariadb") { "mariadb" } else { "mysql" }
}

fn named(program: &str, arguments: &[&str]) -> CommandBuilder {
    let mut command = CommandBuilder::new(program);
    command.args(arguments);
    command
}

/// Milliseconds from its start to its end, its output read by nobody.
fn timed(mut command: Command) -> f64 {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status().expect("it started before");
    let took = milliseconds(started);
    assert!(status.success(), "{command:?}");
    took
}

/// What was seen of a program in a terminal.
struct Seen {
    /// Milliseconds until the words stood on the screen.
    drawn: f64,
    /// MB at most until then; 0 if it has ended.
    peak: f64,
}

fn wizard(home: &Path) -> Seen {
    in_terminal(named(MYTLS, &[]), LAST_WORDS, home)
}

/// Starts a program in a terminal of its own, waits for the words, and ends it.
fn in_terminal(mut command: CommandBuilder, words: &str, home: &Path) -> Seen {
    let (rows, cols) = (24, 80);
    command.env("LANG", "C.UTF-8");
    command.env("TERM", "xterm-256color");
    command.env("HOME", home);
    for unwanted in ["TMUX", "NO_COLOR", "LC_ALL", "LC_CTYPE", "MYSQL_PWD", "MYSQL_HISTFILE"] {
        command.env_remove(unwanted);
    }
    let pty = native_pty_system()
        .openpty(PtySize { rows, cols, ..PtySize::default() })
        .expect("this machine has pseudo-terminals");
    let mut reader = pty.master.try_clone_reader().expect("a pty can be read");
    let (give, from) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = reader.read(&mut buffer) {
            if give.send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    let size = |n| NonZeroU16::new(n).expect("neither is 0");
    let mut parser = vt100::Parser::new(size(rows), size(cols), 0);

    let started = Instant::now();
    let mut child = pty.slave.spawn_command(command).expect("it starts");
    drop(pty.slave);
    while !parser.screen().contents().contains(words) {
        match from.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
            Ok(bytes) => parser.process(&bytes),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                panic!("no {words:?} on the screen:\n{}", parser.screen().contents())
            }
        }
    }
    let drawn = milliseconds(started);
    let peak = child.process_id().and_then(high_water_mark).unwrap_or_default();
    // `kill` is what it says; the terminal goes with it
    let _ = child.kill();
    let _ = child.wait();
    Seen { drawn, peak }
}

/// MB at most, of a program that has done all its work and waits to be rid of what it has to say:
/// the pipe that it writes to is full.
fn peak_while_it_writes(mut command: Command) -> f64 {
    let (mut reader, full) = full_pipe().expect("a pipe can be filled");
    let mut child = command.stdout(full).stderr(Stdio::null()).spawn().expect("it started before");
    drop(command); // it holds the pipe's other end
    let mut peak = 0.0;
    let waits = Instant::now() + Duration::from_millis(250);
    while Instant::now() < waits {
        peak = high_water_mark(child.id()).unwrap_or(peak);
        thread::sleep(Duration::from_millis(10));
    }
    let ended_early = child.try_wait().expect("it is ours").is_some();
    io::copy(&mut reader, &mut io::sink()).expect("a pipe can be read");
    let status = child.wait().expect("it is ours");
    assert!(status.success() && !ended_early, "it has something to say");
    peak
}

fn full_pipe() -> io::Result<(PipeReader, PipeWriter)> {
    use nix::fcntl::{FcntlArg, fcntl};
    let (reader, mut writer) = io::pipe()?;
    let room = fcntl(&writer, FcntlArg::F_GETPIPE_SZ)?;
    writer.write_all(&vec![b'\n'; usize::try_from(room).unwrap_or_default()])?;
    Ok((reader, writer))
}

/// MB that a process had resident at most, as long as it lives.
fn high_water_mark(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
