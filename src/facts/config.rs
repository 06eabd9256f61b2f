//! The server's option files, read as the server reads them.
//!
//! Source: MySQL manual, "Using Option Files"; MariaDB knowledge base, "Configuring MariaDB with
//! Option Files"; `mysys/my_default.c` of both.

use std::path::{Path, PathBuf};

use super::{ConfigValue, Origin, ServerConfig};

/// No option file is this large; a device or a log named by mistake might be.
const LARGEST: u64 = 1 << 20;
/// Both servers give up on circles of `!include` at this depth.
const DEEPEST: usize = 10;
/// Where both families look, in this order.
const SEARCHED: [&str; 3] = ["/etc/my.cnf", "/etc/mysql/my.cnf", "/usr/etc/my.cnf"];
/// Groups that either family's server reads, whatever its version.
const GROUPS: [&str; 5] = ["mysqld", "server", "mariadb", "mariadbd", "galera"];

/// Reads the server's groups of one named file and what it includes, or of the usual places.
///
/// # Errors
/// A sentence, when the named file cannot be read or is not the server's, or no file was found.
pub fn read(named: Option<&Path>) -> Result<ServerConfig, String> {
    let searched: Vec<PathBuf> = match named {
        Some(file) => vec![file.to_owned()],
        None => SEARCHED.iter().map(PathBuf::from).filter(|file| file.exists()).collect(),
    };
    let Some(main_file) = searched.first().cloned() else {
        return Err(format!("no option file at {}", SEARCHED.join(", ")));
    };
    let config = read_groups(main_file, &searched, &GROUPS)?;
    if let (Some(file), true) = (named, config.options.is_empty()) {
        return Err(format!(
            "{} says nothing to the server: no option stands under [mysqld], [server] or [mariadb]",
            crate::printable::printable(&file.display().to_string())
        ));
    }
    Ok(config)
}

/// Reads a client's groups of one named file, or of the usual places and the user's own file;
/// no file at all is an empty answer.
///
/// # Errors
/// A sentence, when a file that is there cannot be read.
pub fn read_client(named: Option<&Path>) -> Result<ServerConfig, String> {
    const CLIENT: [&str; 4] = ["client", "mysql", "client-mariadb", "mariadb-client"];
    let own = std::env::home_dir().map(|home| home.join(".my.cnf"));
    let searched: Vec<PathBuf> = match named {
        Some(file) => vec![file.to_owned()],
        None => {
            SEARCHED.iter().map(PathBuf::from).chain(own).filter(|file| file.is_file()).collect()
        }
    };
    read_groups(searched.first().cloned().unwrap_or_default(), &searched, &CLIENT)
}

fn read_groups(
    main_file: PathBuf,
    files: &[PathBuf],
    groups: &[&str],
) -> Result<ServerConfig, String> {
    let mut config = ServerConfig { main_file, ..ServerConfig::default() };
    for file in files {
        read_file(file, groups, &mut config, 0)?;
    }
    Ok(config)
}

fn read_file(
    file: &Path,
    groups: &[&str],
    config: &mut ServerConfig,
    depth: usize,
) -> Result<(), String> {
    let shown = crate::printable::printable(&file.display().to_string()).into_owned();
    let failed = |why: &dyn std::fmt::Display| format!("{shown} could not be read: {why}");
    let about = std::fs::metadata(file).map_err(|error| failed(&error))?;
    if about.is_dir() {
        return Err(format!("{shown} is a folder, not an option file"));
    }
    if !about.is_file() || about.len() > LARGEST {
        return Err(format!("{shown} is no option file: a text file of at most 1 MiB is expected"));
    }
    let bytes = std::fs::read(file).map_err(|error| failed(&error))?;
    config.files.push(file.to_owned());
    let text = String::from_utf8_lossy(&bytes);
    let mut ours = false;
    for (index, line) in text.lines().enumerate() {
        match parse_line(line.trim_start_matches('\u{feff}')) {
            Line::Group(name) => ours = groups.contains(&name.as_str()),
            Line::Include(path) if depth < DEEPEST => {
                read_file(&beside(file, &path), groups, config, depth + 1)?;
            }
            Line::IncludeDir(path) if depth < DEEPEST => {
                for included in option_files(&beside(file, &path)) {
                    read_file(&included, groups, config, depth + 1)?;
                }
            }
            Line::Option { name, value } if ours => {
                let origin = Origin { file: file.to_owned(), line: index + 1 };
                config.options.insert(name, ConfigValue { value, origin });
            }
            // not ours, or a circle of files
            Line::Nothing | Line::Option { .. } | Line::Include(_) | Line::IncludeDir(_) => {}
        }
    }
    Ok(())
}

enum Line {
    Nothing,
    Group(String),
    Include(String),
    IncludeDir(String),
    Option { name: String, value: Option<String> },
}

fn parse_line(line: &str) -> Line {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', ';']) {
        return Line::Nothing;
    }
    if let Some(directive) = line.strip_prefix('!') {
        let mut words = directive.splitn(2, char::is_whitespace);
        let (word, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        return match word {
            "include" => Line::Include(path.trim().to_owned()),
            "includedir" => Line::IncludeDir(path.trim().to_owned()),
            _ => Line::Nothing,
        };
    }
    if let Some(group) = line.strip_prefix('[') {
        return Line::Group(group.split(']').next().unwrap_or_default().trim().to_owned());
    }
    let line = without_comment(line);
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (name, Some(unquote(value.trim()))),
        None => (line, None),
    };
    let name = name.trim().replace('-', "_").to_ascii_lowercase();
    let name = name.strip_prefix("loose_").unwrap_or(&name).to_owned();
    Line::Option { name, value }
}

/// Up to a `#` that stands in no quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' | '"' if quote == Some(c) => quote = None,
            '\'' | '"' if quote.is_none() => quote = Some(c),
            '#' if quote.is_none() => return line[..at].trim_end(),
            _ => {}
        }
    }
    line
}

/// Strips one pair of quotes, and resolves the escapes that option files know.
fn unquote(value: &str) -> String {
    let inner = ['\'', '"'].iter().find_map(|quote| {
        let inner = value.strip_prefix(*quote)?.strip_suffix(*quote)?;
        Some(inner)
    });
    let value = inner.unwrap_or(value);
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('s') => out.push(' '),
            Some(c @ ('\\' | '"' | '\'')) => out.push(c),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("/")).join(path)
}

/// The `.cnf` files of a folder, by name; an empty or missing folder is no fault to the servers.
fn option_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cnf"))
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> ServerConfig {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my.cnf");
        std::fs::write(&file, text).unwrap();
        read(Some(&file)).unwrap()
    }

    #[test]
    fn spellings_quotes_and_comments_are_read_as_the_server_reads_them() {
        let config = config(
            "\u{feff}[client]\nssl-ca=/not/ours\n[mysqld]\n# comment\n; another\n\
             ssl-ca = '/a b/ca#1.pem' # the CA\nSSL_CERT=\"/c\\\\d.pem\"\nloose-ssl_key=/k.pem\nskip-ssl\n",
        );
        assert_eq!(config.get("ssl_ca"), Some("/a b/ca#1.pem"));
        assert_eq!(config.get("ssl_cert"), Some("/c\\d.pem"));
        assert_eq!(config.get("ssl_key"), Some("/k.pem"));
        assert_eq!(config.options["skip_ssl"].value, None);
        assert_eq!(config.origin("ssl_ca").unwrap().line, 6);
    }

    #[test]
    fn the_last_value_wins_across_groups_and_included_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("conf.d")).unwrap();
        std::fs::write(
            path("my.cnf"),
            "[server]\nssl_key=/one\n!includedir conf.d\n[mariadb]\nssl_ca=/last\n",
        )
        .unwrap();
        std::fs::write(path("conf.d/b.cnf"), "[mysqld]\nssl_key=/three\n").unwrap();
        std::fs::write(path("conf.d/a.cnf"), "[mysqld]\nssl_key=/two\nssl_ca=/first\n").unwrap();
        std::fs::write(path("conf.d/c.txt"), "[mysqld]\nssl_key=/never\n").unwrap();
        let config = read(Some(&path("my.cnf"))).unwrap();
        assert_eq!(config.get("ssl_key"), Some("/three"));
        assert_eq!(config.get("ssl_ca"), Some("/last"));
        assert_eq!(config.origin("ssl_key").unwrap().file, path("conf.d/b.cnf"));
        assert_eq!(config.files.len(), 3);
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my.cnf");
        std::fs::write(&file, "!include my.cnf\n[mysqld]\nport=1\n").unwrap();
        assert_eq!(read(Some(&file)).unwrap().get("port"), Some("1"));
    }

    #[test]
    fn a_folder_a_missing_file_and_a_device_are_refused_in_words() {
        assert!(read(Some(Path::new("/"))).unwrap_err().contains("is a folder"));
        assert!(read(Some(Path::new("/no/such.cnf"))).unwrap_err().contains("/no/such.cnf"));
        assert!(read(Some(Path::new("/dev/zero"))).unwrap_err().contains("no option file"));
    }

    #[test]
    fn a_named_file_that_is_empty_or_a_clients_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "[client]\nssl-ca=/ca.pem\n"] {
            let file = folder.path().join("my.cnf");
            std::fs::write(&file, text).unwrap();
            assert!(
                read(Some(&file)).unwrap_err().contains("says nothing to the server"),
                "{text}"
            );
        }
    }
}
