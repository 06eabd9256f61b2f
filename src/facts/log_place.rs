//! Where a running server's error log really goes, whatever its options seem to say.
//!
//! MySQL manual, "The Error Log" and "Error Log Configuration"; MariaDB, "Error Log". Without
//! `log_error` a server writes to its standard error, and where that leads is the business of
//! whoever started it: a file, the journal, a pipe, or `/dev/null`.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Flavor, ServerFacts, Source, UnreadKind};
use crate::bounded;
use crate::printable::printable;

/// Where the lines of the error log end up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogPlace {
    /// A file; `by_stderr`: no option names it, the server's standard error was led into it.
    File { path: PathBuf, by_stderr: bool },
    /// systemd's journal, by way of the standard error of this process.
    Journal { pid: u32 },
    /// The system's log, as an option says.
    Syslog,
    /// A pipe, and the program that reads its other end, where that could be seen.
    Pipe { reader: Option<String> },
    /// A terminal.
    Terminal,
    /// Nobody will ever read it.
    Nowhere { how: String },
}

impl LogPlace {
    /// For people; printable.
    pub fn describe(&self) -> String {
        match self {
            Self::File { path, .. } => printable(&path.display().to_string()).into_owned(),
            Self::Journal { .. } => "the system's journal".to_owned(),
            Self::Syslog => "the system's log".to_owned(),
            Self::Pipe { reader: Some(reader) } => format!("a pipe to {}", printable(reader)),
            Self::Pipe { reader: None } => "a pipe".to_owned(),
            Self::Terminal => "a terminal".to_owned(),
            Self::Nowhere { how } => format!("nowhere: {how}"),
        }
    }
}

/// Where this server's log goes; `here`: it runs on this host, so that its processes and files can be
/// looked at.
pub fn of(server: &ServerFacts, here: bool) -> Source<LogPlace> {
    if let Some(services) = server.variables.get("log_error_services") {
        // the server itself insists on one that writes
        let mut sinks = services.split([';', ',']).map(str::trim).filter(|s| s.contains("_sink_"));
        if sinks.all(|sink| sink == "log_sink_syseventlog") {
            return Source::Read(LogPlace::Syslog);
        }
    }
    if server.flavor == Flavor::MySql && server.is_on("log_syslog") {
        return Source::Read(LogPlace::Syslog); // 5.7
    }
    let Some(log) = server.variables.get("log_error") else {
        return unknown("the server does not say where it writes its error log");
    };
    match log.as_str() {
        "" | "stderr" if here => by_stderr(server),
        "" | "stderr" => unknown(
            "the error log goes to the server's standard error, and where that leads can be seen \
             on its own host only",
        ),
        log => {
            let folder = server.variable("datadir").unwrap_or_default();
            Source::Read(named(&Path::new(folder).join(log), here))
        }
    }
}

fn named(path: &Path, here: bool) -> LogPlace {
    if path == Path::new("/dev/null") {
        return LogPlace::Nowhere { how: "log_error is /dev/null".to_owned() };
    }
    let real = here.then(|| path.canonicalize().ok()).flatten();
    if real.is_some_and(|real| real == Path::new("/dev/null")) {
        let shown = printable(&path.display().to_string()).into_owned();
        return LogPlace::Nowhere { how: format!("{shown} is a link to /dev/null") };
    }
    LogPlace::File { path: path.to_owned(), by_stderr: false }
}

/// What the server's process has for its standard error.
fn by_stderr(server: &ServerFacts) -> Source<LogPlace> {
    let Some(pid) = process(server) else {
        return unknown(
            "the error log goes to the server's standard error, and its process was not found here",
        );
    };
    let link = format!("/proc/{pid}/fd/2");
    match fs::read_link(&link) {
        Ok(end) => Source::Read(led_to(&end, pid)),
        Err(error) => Source::unread(
            UnreadKind::Refused,
            format!("where the server's standard error leads could not be seen ({link}: {error})"),
            "run mytls as root or as the server's user",
        ),
    }
}

/// What the link of a process's standard error says.
fn led_to(end: &Path, pid: u32) -> LogPlace {
    let text = end.to_string_lossy();
    let how = |how: &str| LogPlace::Nowhere { how: how.to_owned() };
    if text == "/dev/null" {
        return how("its standard error is /dev/null, and no log_error is set");
    }
    if text.ends_with(" (deleted)") {
        return how("its standard error is a file that was removed, and no log_error is set");
    }
    if text.starts_with("socket:[") {
        return LogPlace::Journal { pid };
    }
    if text.starts_with("pipe:[") {
        return match reader(end, pid) {
            // mysqld_safe --syslog
            Some(name) if name == "logger" => LogPlace::Syslog,
            reader => LogPlace::Pipe { reader },
        };
    }
    let is_terminal = text.starts_with("/dev/pts/") || text.starts_with("/dev/tty");
    if is_terminal || text == "/dev/console" {
        return LogPlace::Terminal;
    }
    match fs::metadata(end) {
        Ok(about) if about.file_type().is_char_device() => how("its standard error is a device"),
        _ => LogPlace::File { path: end.to_owned(), by_stderr: true },
    }
}

/// The server's process on this host: that of its `pid_file`, where it is a server at all.
fn process(server: &ServerFacts) -> Option<u32> {
    let folder = server.variable("datadir").unwrap_or_default();
    let file = Path::new(folder).join(server.variable("pid_file")?);
    let text = bounded::read(&file, 64).ok()?;
    let pid: u32 = String::from_utf8_lossy(&text).trim().parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    // a pid file that was left behind may name anybody
    ["mysqld", "mariadbd", "ld-linux"].iter().any(|s| name.starts_with(s)).then_some(pid)
}

/// The name of a process that holds the other end of this pipe.
fn reader(pipe: &Path, writer: u32) -> Option<String> {
    const MOST: usize = 5_000;
    let processes = fs::read_dir("/proc").ok()?.flatten().take(MOST);
    let of = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in of.filter(|pid| *pid != writer) {
        // it reads from its standard input, or holds the pipe as any other file
        let held = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let reads = |fd: &fs::DirEntry| {
            let about = format!("/proc/{pid}/fdinfo/{}", fd.file_name().to_string_lossy());
            let flags = fs::read_to_string(about).unwrap_or_default();
            // O_RDONLY: the last octal digit is 0
            flags.lines().any(|line| line.starts_with("flags:") && line.ends_with('0'))
        };
        let mut ends =
            held.take(MOST).filter(|fd| fs::read_link(fd.path()).is_ok_and(|e| e == pipe));
        if ends.any(|fd| reads(&fd)) {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            return Some(name.trim().to_owned());
        }
    }
    None
}

fn unknown(why: &str) -> Source<LogPlace> {
    Source::unread(UnreadKind::NotAsked, why, "")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::rules::testing;

    fn place(variables: &[(&str, &str)], here: bool) -> Source<LogPlace> {
        let facts = testing::with_server(|server| {
            let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            server.variables.extend(variables);
        });
        of(facts.server.read().unwrap(), here)
    }

    fn read(variables: &[(&str, &str)]) -> LogPlace {
        place(variables, true).read().unwrap().clone()
    }

    #[test]
    fn options_say_where_it_goes() {
        let file = read(&[("log_error", "db1.err"), ("datadir", "/var/lib/mysql/")]);
        assert_eq!(file.describe(), "/var/lib/mysql/db1.err");
        let nowhere = read(&[("log_error", "/dev/null")]);
        assert_eq!(nowhere.describe(), "nowhere: log_error is /dev/null");
        let services =
            |services| read(&[("log_error", "stderr"), ("log_error_services", services)]);
        assert_eq!(services("log_filter_internal; log_sink_syseventlog"), LogPlace::Syslog);
        assert!(place(&[("log_error", "")], false).reason().is_some());
    }

    #[test]
    fn a_link_to_nowhere_is_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("error.log");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        let place = read(&[("log_error", link.to_str().unwrap())]);
        assert!(place.describe().ends_with("is a link to /dev/null"), "{place:?}");
    }

    /// Processes that are no servers, with every kind of standard error that there is.
    #[test]
    fn a_process_shows_where_its_standard_error_leads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("err");
        let led = |stderr: Stdio| {
            let mut child = Command::new("sleep").arg("60").stderr(stderr).spawn().unwrap();
            let end = fs::read_link(format!("/proc/{}/fd/2", child.id())).unwrap();
            let place = led_to(&end, child.id());
            child.kill().unwrap();
            child.wait().unwrap();
            place
        };
        assert!(matches!(led(Stdio::null()), LogPlace::Nowhere { .. }));
        let file = fs::File::create(&path).unwrap();
        assert_eq!(
            led(file.try_clone().unwrap().into()),
            LogPlace::File { path: path.canonicalize().unwrap(), by_stderr: true }
        );
        fs::remove_file(&path).unwrap();
        assert!(matches!(led(file.into()), LogPlace::Nowhere { .. }));
        let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let into = cat.stdin.take().unwrap();
        assert_eq!(led(into.into()), LogPlace::Pipe { reader: Some("cat".into()) });
        cat.wait().unwrap();
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let socket: std::os::fd::OwnedFd = one.into();
        assert!(matches!(led(socket.into()), LogPlace::Journal { .. }));
    }
}
