//! The option files of the server that was asked, and of no other on its host.
//!
//! What is found here is edited later. So where it is not known whose the files in the usual places
//! are, none is read, and whoever knows is asked to name them.

use std::path::{Path, PathBuf};

use super::config::{self, Started};
use super::gather::SOCKETS;
use super::process::{self, Process, same_place};
use super::{Flavor, ServerConfig, ServerFacts, Source, Target, UnreadKind, Version, log};
use crate::printable::printable;

const NAME_IT: &str = "name the server's option file with --server-config";

/// Of a server that answers and runs on this host: the files named by the user, or those that its
/// process was started with, or those in the usual places where they say what the server says.
pub fn of(target: &Target, server: &ServerFacts) -> Source<ServerConfig> {
    let version = Some((server.flavor, server.version));
    let read = |files: Files| match persisted_too(&files, version) {
        Ok(config) => Source::Read(config),
        Err(why) => unread(why),
    };
    if let Some(named) = &target.server_config {
        return read(Files::Named(named)); // whoever named it knows
    }
    match process::of(server) {
        Some(process) => match started(&process) {
            Ok(started) => read(Files::Started(&started)),
            Err(why) => unread(why),
        },
        None => match by_its_files(server).map_or_else(|| read(Files::Usual), Source::Read) {
            Source::Read(config) => match contradiction(&config, server, &this_host()) {
                None => Source::Read(config),
                Some(why) => unread(why),
            },
            unread @ Source::Unread(_) => unread,
        },
    }
}

/// To a user who may not see what is whose: the files of the one process that was started with a file
/// of its own which says what the server says.
fn by_its_files(server: &ServerFacts) -> Option<ServerConfig> {
    let version = Some((server.flavor, server.version));
    let of = |process: Process| {
        let started = started(&process).ok().filter(Started::is_only)?;
        let config = persisted_too(&Files::Started(&started), version).ok()?;
        let told = config.get("datadir").is_some() || process.option("datadir").is_some();
        (told && contradiction(&config, server, &this_host()).is_none()).then_some(config)
    };
    let candidates = process::all().into_iter().filter(|one| one.agrees(server) != Some(false));
    let mut found: Vec<ServerConfig> = candidates.filter_map(of).collect();
    let one = found.pop()?;
    found.is_empty().then_some(one)
}

/// Of a server that lets nobody in: the files named, or those of the process behind its socket, or
/// those in the usual places unless they are of a server with another socket. The error log knows the
/// version.
pub fn of_silent(target: &Target) -> Source<ServerConfig> {
    let read = |files: Files| persisted_too(&files, None);
    if let Some(named) = &target.server_config {
        return read(Files::Named(named)).map_or_else(unread, Source::Read);
    }
    let socket = target.socket.as_ref().map(|path| path.display().to_string());
    let found = match socket.as_deref().and_then(process::behind) {
        Some(process) => started(&process).and_then(|started| read(Files::Started(&started))),
        None => read(Files::Usual).and_then(|config| match &socket {
            Some(socket) => has_socket(&config, socket).map(|()| config),
            None => Ok(config),
        }),
    };
    found.map_or_else(unread, Source::Read)
}

/// Whether a server of these files would have this socket; the error says why not.
fn has_socket(config: &ServerConfig, socket: &str) -> Result<(), String> {
    let set = config.get("socket").filter(|set| set.starts_with('/'));
    let fits = match set {
        Some(set) => same_place(set, socket),
        None => SOCKETS.iter().any(|usual| same_place(usual, socket)),
    };
    if fits {
        return Ok(());
    }
    let file = printable(&config.main_file.display().to_string()).into_owned();
    let its = set.map_or("one in a usual place".into(), printable);
    Err(format!("{file} is another server's: its socket is {its}, and not {}", printable(socket)))
}

fn unread(why: String) -> Source<ServerConfig> {
    Source::unread(UnreadKind::Failed, why, NAME_IT)
}

enum Files<'a> {
    Named(&'a Path),
    Started(&'a Started),
    Usual,
}

impl Files<'_> {
    fn read(&self, server: Option<(Flavor, Version)>) -> Result<ServerConfig, String> {
        match self {
            Self::Named(file) => config::read(Some(file), server),
            Self::Started(started) => started.read(server),
            Self::Usual => config::read(None, server),
        }
    }
}

/// The option files, and what is persisted in the data folder.
fn persisted_too(files: &Files, server: Option<(Flavor, Version)>) -> Result<ServerConfig, String> {
    let mut config = files.read(server)?;
    let data = config.get("datadir").map(PathBuf::from);
    let log = config.get("log_error").map(|log| data.clone().unwrap_or_default().join(log));
    let logged = log.filter(|_| server.is_none()).and_then(|log| log::version(&log));
    if logged.is_some() {
        config = files.read(logged)?;
    }
    let mysql = server.or(logged).is_none_or(|(flavor, _)| flavor == Flavor::MySql);
    if let Some(data) = data.filter(|_| mysql) {
        config::read_persisted(&data, &mut config);
    }
    Ok(config)
}

/// Which option files a process was started with, where they are files of this host.
fn started(process: &Process) -> Result<Started, String> {
    let pid = process.pid;
    if process.is_elsewhere() == Some(true) {
        return Err(format!(
            "the server runs in a container or chroot (process {pid}): its option files are there"
        ));
    }
    let started = Started::with(&process.arguments);
    if started.none {
        return Err(format!(
            "the server was started with --no-defaults (process {pid}): it reads no option file"
        ));
    }
    match started.relative() {
        Some(file) => Err(format!(
            "the server was started with the option file {} (process {pid}), and nobody can say in \
             which folder",
            printable(&file.display().to_string())
        )),
        None => Ok(started),
    }
}

/// What a server on this host calls it; empty where the system does not say.
fn this_host() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default()
}

/// Why the option files in the usual places are not those of a server whose process was not found;
/// `None` where nothing speaks against it and something for it.
fn contradiction(config: &ServerConfig, server: &ServerFacts, host: &str) -> Option<String> {
    let file = printable(&config.main_file.display().to_string()).into_owned();
    if let Some(its) = server.variable("hostname").filter(|its| *its != host) {
        let (its, host) = (printable(its), printable(host));
        return Some(format!(
            "the server says that it runs on {its}, and this host is {host}: {file} is another's"
        ));
    }
    for option in ["datadir", "socket", "port"] {
        let (Some(set), Some(runs)) = (config.get(option), server.variable(option)) else {
            continue;
        };
        if !same_place(set, runs) {
            let (set, runs) = (printable(set), printable(runs));
            return Some(format!(
                "{file} is another server's: its {option} is {set}, this one's {runs}"
            ));
        }
    }
    // servers of any folder have the usual port, and the same one at different times
    let told = ["datadir", "socket"].iter().any(|option| config.get(option).is_some());
    let folder = server.variable("datadir").unwrap_or("/var/lib/mysql");
    (!told && !same_place(folder, "/var/lib/mysql")).then(|| {
        format!(
            "{file} names no data folder, and this server's is {}: it is another's",
            printable(folder)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing;

    fn told(text: &str, variables: &[(&str, &str)]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my.cnf");
        std::fs::write(&file, format!("[mysqld]\nssl_ca=/ca.pem\n{text}")).unwrap();
        let config = config::read(Some(&file), None).unwrap();
        let facts = testing::with_server(|server| {
            server.variables.clear();
            let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            server.variables.extend(variables);
        });
        contradiction(&config, facts.server.read().unwrap(), "db1")
    }

    #[test]
    fn files_in_the_usual_places_are_another_servers_where_anything_says_so() {
        let usual = [("datadir", "/var/lib/mysql/"), ("port", "3306"), ("hostname", "db1")];
        assert_eq!(told("", &usual), None);
        assert_eq!(told("datadir=/var/lib/mysql\nport=3306\n", &usual), None);
        assert!(told("port=3307\n", &usual).unwrap().contains("its port is 3307, this one's 3306"));
        let elsewhere = [("datadir", "/srv/two/"), ("port", "3306"), ("hostname", "db1")];
        assert!(told("", &elsewhere).unwrap().contains("names no data folder"));
        assert!(told("port=3306\n", &elsewhere).unwrap().contains("names no data folder"));
        assert_eq!(told("datadir=/srv/two\n", &elsewhere), None);
        let contained = [("datadir", "/var/lib/mysql/"), ("hostname", "4f1d20c1a9aa")];
        assert!(told("", &contained).unwrap().contains("runs on 4f1d20c1a9aa"), "a container's");
    }

    #[test]
    fn a_socket_tells_servers_apart_that_let_nobody_in() {
        let of = |text: &str, socket: &str| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("my.cnf");
            std::fs::write(&file, format!("[mysqld]\nssl_ca=/ca.pem\n{text}")).unwrap();
            has_socket(&config::read(Some(&file), None).unwrap(), socket)
        };
        assert_eq!(of("socket=/srv/two.sock\n", "/srv/two.sock"), Ok(()));
        assert!(of("socket=/srv/two.sock\n", "/tmp/mysql.sock").unwrap_err().contains("/srv/two"));
        assert_eq!(of("", "/tmp/mysql.sock"), Ok(()));
        assert!(of("", "/srv/two.sock").unwrap_err().contains("in a usual place"));
    }

    #[test]
    fn a_process_without_option_files_has_none_and_a_relative_one_is_nowhere() {
        let of = |word: &str| started(&Process { pid: 1, arguments: vec![word.to_owned()] });
        assert!(of("--no-defaults").unwrap_err().contains("it reads no option file"));
        assert!(of("--defaults-file=my.cnf").unwrap_err().contains("in which folder"));
    }
}
