//! The process of a running server on this host: what it was started with says which option files
//! are its own. A host may run several, and files in the usual places are then those of one of them.
//!
//! Source: proc(5); "Command-Line Options that Affect Option-File Handling" of the manual.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{ServerFacts, exposure};
use crate::bounded;

/// More processes than this are not looked at.
const MOST: usize = 50_000;
/// A command line may be this long, in bytes.
const LONGEST: u64 = 1 << 20;
/// As the programs are called; the packages' scripts around them are none of these.
const PROGRAMS: [&str; 4] = ["mysqld", "mariadbd", "mysqld-debug", "mysqld-max"];

/// A server's process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// What follows the program's name.
    pub arguments: Vec<String>,
}

/// The process that is this server, where one can be told for certain: it holds the port or the
/// socket that the server says it has, or its pid file names it; or, to a user who may not see that,
/// its command line says so and that of no other does.
pub fn of(server: &ServerFacts) -> Option<Process> {
    let all = all();
    let number = |name: &str| server.variable(name)?.parse::<u16>().ok();
    let port = number("port").filter(|port| *port != 0 && !server.is_off_the_network());
    let port = port.map(exposure::inodes_on).unwrap_or_default();
    let socket = server.variable("socket").map(|path| in_data_folder(server, path));
    let socket = socket.map(|path| inodes_at(&path)).unwrap_or_default();
    let pid = by_pid_file(server).into_iter().collect();
    let proofs = [holders(&all, &port), holders(&all, &socket), pid];
    choose(all, &proofs, server)
}

/// The one server that listens on this socket; to a user who may not see that, none.
pub fn behind(socket: &str) -> Option<Process> {
    let mut all = all();
    let holders = holders(&all, &inodes_at(socket));
    all.retain(|one| holders.contains(&one.pid));
    let one = all.pop()?;
    all.is_empty().then_some(one)
}

/// All servers on this host.
pub fn all() -> Vec<Process> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten().take(MOST);
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(Process::read).collect()
}

/// Those that have one of these sockets.
fn holders(all: &[Process], inodes: &BTreeSet<u64>) -> BTreeSet<u32> {
    if inodes.is_empty() {
        return BTreeSet::new();
    }
    let holds = |one: &&Process| !exposure::sockets_of(one.pid).is_disjoint(inodes);
    all.iter().filter(holds).map(|one| one.pid).collect()
}

/// Each proof holds for some processes; one that holds for none of those left proves nothing, as
/// this user may not be allowed to see it.
fn choose(all: Vec<Process>, proofs: &[BTreeSet<u32>], server: &ServerFacts) -> Option<Process> {
    let mut left = all;
    left.retain(|one| one.agrees(server) != Some(false));
    let mut proven = false;
    for proof in proofs {
        if left.iter().any(|one| proof.contains(&one.pid)) {
            left.retain(|one| proof.contains(&one.pid));
            proven = true;
        }
    }
    if !proven {
        left.retain(|one| one.agrees(server) == Some(true));
    }
    let one = left.pop()?;
    left.is_empty().then_some(one)
}

fn by_pid_file(server: &ServerFacts) -> Option<u32> {
    let file = in_data_folder(server, server.variable("pid_file")?);
    let text = bounded::read(Path::new(&file), 64).ok()?;
    String::from_utf8_lossy(&text).trim().parse().ok()
}

/// A relative path counts from the data folder.
fn in_data_folder(server: &ServerFacts, path: &str) -> String {
    let folder = Path::new(server.variable("datadir").unwrap_or_default());
    folder.join(path).display().to_string()
}

/// The inodes of Unix sockets that somebody listens on at this path (`/proc/net/unix`).
fn inodes_at(path: &str) -> BTreeSet<u64> {
    /// `__SO_ACCEPTCON`, as its flags have it.
    const LISTENS: &str = "00010000";
    let text = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let of = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (flags, inode) = (fields.get(3)?, fields.get(6)?);
        let at = line.find(" /").map(|at| &line[at + 1..])?;
        (*flags == LISTENS && same_place(at, path)).then(|| inode.parse().ok())?
    };
    text.lines().filter_map(of).collect()
}

/// Whether two paths lead to the same place.
pub(super) fn same_place(one: &str, other: &str) -> bool {
    let bare = |path: &str| path.trim_end_matches('/').to_owned();
    let real = |path: &str| fs::canonicalize(path).ok();
    bare(one) == bare(other) || real(one).is_some_and(|one| real(other) == Some(one))
}

impl Process {
    /// `None` when it is gone, may not be seen, or is no server.
    fn read(pid: u32) -> Option<Self> {
        let file = fs::File::open(format!("/proc/{pid}/cmdline")).ok()?;
        let mut text = Vec::new();
        // its length is not told beforehand
        file.take(LONGEST).read_to_end(&mut text).ok()?;
        Self::parse(pid, &String::from_utf8_lossy(&text))
    }

    /// The words of a command line, each ended by a zero; a loader may stand before the program.
    fn parse(pid: u32, cmdline: &str) -> Option<Self> {
        let mut words = cmdline.trim_end_matches('\0').split('\0');
        words.find(|word| {
            let name = Path::new(word).file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| PROGRAMS.contains(&name))
        })?;
        Some(Self { pid, arguments: words.map(str::to_owned).collect() })
    }

    /// The value of an option on the command line; the last counts.
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut pairs = self.arguments.iter().rev().filter_map(|word| word.split_once('='));
        let is_it =
            |said: &str| said.strip_prefix("--").is_some_and(|said| said.replace('_', "-") == name);
        pairs.find(|(said, _)| is_it(said)).map(|(_, value)| value)
    }

    /// Whether what its command line says is what the server says; `None` where it says nothing.
    pub fn agrees(&self, server: &ServerFacts) -> Option<bool> {
        let said = ["datadir", "socket", "port", "pid-file"].into_iter().filter_map(|name| {
            let said = self.option(name)?;
            let runs = server.variable(&name.replace('-', "_"))?;
            // a relative path counts from where it was started, which is not known
            (name == "port" || said.starts_with('/')).then(|| same_place(said, runs))
        });
        said.reduce(|all, one| all && one)
    }

    /// Whether it has another root than this program: a container's, or a chroot's. `None` to a user
    /// who may not see that.
    pub fn is_elsewhere(&self) -> Option<bool> {
        let of = |path: &str| fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
        Some(of(&format!("/proc/{}/root/", self.pid))? != of("/")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    const DATA: &str = "/srv/one/data/";

    fn server() -> ServerFacts {
        let facts = testing::with_server(|server| {
            let variables = [("datadir", DATA), ("port", "3307"), ("socket", "/srv/one/s.sock")];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            server.variables.extend(variables);
        });
        facts.server.read().unwrap().clone()
    }

    fn process(pid: u32, arguments: &[&str]) -> Process {
        Process { pid, arguments: arguments.iter().map(|word| (*word).to_owned()).collect() }
    }

    #[test]
    fn a_command_line_is_a_servers_behind_its_loader_too_and_a_script_is_none() {
        let of = |words: &[&str]| Process::parse(7, &(words.join("\0") + "\0"));
        let loaded = ["/x/ld-linux-x86-64.so.2", "--library-path", "/l", "/x/mysqld", "--port=1"];
        assert_eq!(of(&loaded), Some(process(7, &["--port=1"])));
        assert_eq!(of(&["/usr/sbin/mariadbd"]), Some(process(7, &[])));
        assert_eq!(of(&["/bin/sh", "/usr/bin/mysqld_safe", "--port=1"]), None);
        assert_eq!(of(&[""]), None);
        let twice = process(7, &["--pid_file=/a", "--pid-file=/b", "--skip-ssl"]);
        assert_eq!((twice.option("pid-file"), twice.option("skip-ssl")), (Some("/b"), None));
    }

    #[test]
    fn one_that_is_proven_goes_before_one_that_says_so() {
        let says = process(1, &["--datadir=/srv/one/data"]);
        let (other, bare) = (process(2, &["--datadir=/srv/two"]), process(3, &[]));
        let all = || vec![says.clone(), other.clone(), bare.clone()];
        let set = |pids: &[u32]| pids.iter().copied().collect::<BTreeSet<u32>>();
        let chosen = |proofs: &[BTreeSet<u32>]| choose(all(), proofs, &server()).map(|p| p.pid);
        assert_eq!(chosen(&[]), Some(1), "its command line alone says so");
        assert_eq!(chosen(&[set(&[3]), set(&[])]), Some(3));
        assert_eq!(
            chosen(&[set(&[1, 3]), set(&[3])]),
            Some(3),
            "another listens on another address"
        );
        assert_eq!(
            chosen(&[set(&[3]), set(&[1])]),
            Some(3),
            "a pid file of the same path elsewhere"
        );
        assert_eq!(chosen(&[set(&[2])]), Some(1), "what contradicts it is not it");
        assert_eq!(chosen(&[set(&[1, 3])]), None, "two are none");
        assert_eq!(choose(vec![bare.clone()], &[], &server()), None, "nothing says that it is it");
    }

    #[test]
    fn the_listener_at_a_path_is_found_by_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let found = inodes_at(path.to_str().unwrap());
        assert_eq!(found.len(), 1);
        assert!(!exposure::sockets_of(std::process::id()).is_disjoint(&found));
        drop(listener);
        assert!(inodes_at("/no/such.sock").is_empty());
    }
}
