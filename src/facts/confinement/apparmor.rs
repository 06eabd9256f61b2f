//! The server's AppArmor profile: which files it lets the server read.
//!
//! Source: apparmor.d(5), "File rules" and "Globbing".

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::text;

const FOLDER: &str = "etc/apparmor.d";
const NAMES: [&str; 2] = ["usr.sbin.mysqld", "usr.sbin.mariadbd"];
/// How deep includes may go, and how many rules are kept: far more than any profile has.
const DEEPEST: usize = 6;
const MOST_RULES: usize = 5_000;
/// How many ways the alternatives of one pattern may be combined.
const MOST_WAYS: usize = 200;

/// A profile that is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub file: PathBuf,
    /// Patterns of the files that may be read.
    pub allowed: Vec<String>,
    /// Patterns of those that may not, whatever else allows them.
    pub denied: Vec<String>,
}

impl Profile {
    /// Whether the server may read this file.
    pub fn allows(&self, file: &Path) -> bool {
        let file = file.to_string_lossy();
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, &file));
        any(&self.allowed) && !any(&self.denied)
    }

    /// The file for additions of one's own, which updates leave alone.
    pub fn local(&self) -> PathBuf {
        let name = self.file.file_name().unwrap_or_default();
        self.file.with_file_name("local").join(name)
    }
}

pub(super) fn read(root: &Path) -> Option<Profile> {
    let enabled = text(&root.join("sys/module/apparmor/parameters/enabled"))?;
    if !enabled.starts_with('Y') {
        return None;
    }
    let folder = root.join(FOLDER);
    let name = NAMES.iter().find(|name| {
        let has_a_profile = text(&folder.join(name)).is_some_and(|text| has_header(&text));
        has_a_profile && !folder.join("disable").join(name).exists()
    })?;
    let file = folder.join(name);
    let body = text(&file)?;
    if body.lines().any(|line| !is_comment(line) && line.contains("complain")) {
        return None; // it only writes down what it would have denied
    }
    let mut profile = Profile { file, ..Profile::default() };
    profile.rules(&folder, &body, 0);
    Some(profile)
}

/// Debian's profile for MariaDB is a file of comments.
fn has_header(text: &str) -> bool {
    text.lines().any(|line| !is_comment(line) && line.contains('{') && line.contains('/'))
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('#') && !line.starts_with("#include")
}

impl Profile {
    fn rules(&mut self, folder: &Path, text: &str, depth: usize) {
        for line in text.lines().filter(|line| !is_comment(line)) {
            if let Some(included) = included(line) {
                let path = folder.join(included);
                if depth < DEEPEST {
                    let text = super::text(&path).unwrap_or_default();
                    self.rules(folder, &text, depth + 1);
                }
            } else if let Some((denied, pattern)) = rule(line)
                && self.allowed.len() + self.denied.len() < MOST_RULES
            {
                if denied { self.denied.push(pattern) } else { self.allowed.push(pattern) }
            }
        }
    }
}

/// `#include <abstractions/base>`, `include if exists <local/usr.sbin.mysqld>`
fn included(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches('#');
    let rest = line.strip_prefix("include")?;
    let (_, rest) = rest.split_once(['<', '"'])?;
    rest.split(['>', '"']).next()
}

/// Whether it denies, and the pattern of a rule that is about reading.
fn rule(line: &str) -> Option<(bool, String)> {
    let line = line.split(" #").next().unwrap_or_default().trim().strip_suffix(',')?;
    let mut denied = false;
    let mut words = line.split_whitespace().skip_while(|word| {
        denied |= *word == "deny";
        matches!(*word, "deny" | "allow" | "owner" | "audit" | "file")
    });
    let (first, second) = (words.next()?, words.next()?);
    let is_path = |word: &str| word.trim_start_matches('"').starts_with(['/', '@']);
    // the permissions may stand on either side
    let (pattern, permissions) = if is_path(first) {
        (first, second)
    } else if is_path(second) {
        (second, first)
    } else {
        return None;
    };
    permissions.contains('r').then(|| (denied, pattern.trim_matches('"').to_owned()))
}

/// Whether a pattern of AppArmor's fits a path.
fn matches(pattern: &str, path: &str) -> bool {
    alternatives(&variables(pattern)).iter().any(|pattern| {
        let mut pattern: Vec<char> = pattern.chars().collect();
        // a variable ends with a slash, and another may follow
        pattern.dedup_by(|one, before| *one == '/' && *before == '/');
        let path: Vec<char> = path.chars().collect();
        fits(&pattern, &path)
    })
}

/// A variable that is not known stands for anything: better to say nothing than something wrong.
fn variables(pattern: &str) -> String {
    let mut text = pattern.replace("@{HOME}", "{/root/,/home/*/}");
    text = text.replace("@{HOMEDIRS}", "/home/").replace("@{run}", "{/run,/var/run}");
    text = text.replace("@{PROC}", "/proc/").replace("@{etc_ro}", "{/usr/etc/,/etc/}");
    while let Some((before, rest)) = text.split_once("@{") {
        let after = rest.split_once('}').map_or("", |(_, after)| after);
        text = format!("{before}**{after}");
    }
    text
}

/// `{a,b}` as two patterns.
fn alternatives(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    while let Some(pattern) = open.pop() {
        let innermost = pattern.find('}').and_then(|end| Some((pattern[..end].rfind('{')?, end)));
        match innermost {
            Some((start, end)) if done.len() + open.len() < MOST_WAYS => {
                let (before, after) = (&pattern[..start], &pattern[end + 1..]);
                let ways = pattern[start + 1..end].split(',');
                open.extend(ways.map(|way| format!("{before}{way}{after}")));
            }
            _ => done.push(pattern),
        }
    }
    done
}

/// `*` stops at a slash, `**` does not, `?` is one character, `[…]` one of some. All places of the
/// pattern that the path may have come to are followed at once, so that no pattern takes long.
fn fits(pattern: &[char], path: &[char]) -> bool {
    let pieces = pieces(pattern);
    let mut here = vec![false; pieces.len() + 1];
    here[0] = true;
    pass_stars(&pieces, &mut here);
    for c in path {
        let mut next = vec![false; pieces.len() + 1];
        for (at, piece) in pieces.iter().enumerate().filter(|(at, _)| here[*at]) {
            match piece {
                Piece::Star { deep } if *deep || *c != '/' => next[at] = true,
                Piece::Star { .. } => {}
                Piece::Any => next[at + 1] |= *c != '/',
                Piece::OneOf(inside) => next[at + 1] |= one_of(inside, *c),
                Piece::Exactly(wanted) => next[at + 1] |= wanted == c,
            }
        }
        pass_stars(&pieces, &mut next);
        here = next;
    }
    here[pieces.len()]
}

enum Piece<'a> {
    Star { deep: bool },
    Any,
    OneOf(&'a [char]),
    Exactly(char),
}

fn pieces(pattern: &[char]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some((first, after)) = rest.split_first() {
        let end = after.iter().position(|c| *c == ']');
        let (piece, after) = match (first, end) {
            ('*', _) if after.first() == Some(&'*') => (Piece::Star { deep: true }, &after[1..]),
            ('*', _) => (Piece::Star { deep: false }, after),
            ('?', _) => (Piece::Any, after),
            ('[', Some(end)) => (Piece::OneOf(&after[..end]), &after[end + 1..]),
            (other, _) => (Piece::Exactly(*other), after),
        };
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// A star may stand for nothing.
fn pass_stars(pieces: &[Piece], here: &mut [bool]) {
    for (at, piece) in pieces.iter().enumerate() {
        if here[at] && matches!(piece, Piece::Star { .. }) {
            here[at + 1] = true;
        }
    }
}

fn one_of(inside: &[char], c: char) -> bool {
    let (not, inside) = match inside.split_first() {
        Some(('^', rest)) => (true, rest),
        _ => (false, inside),
    };
    let range = inside.windows(3).any(|w| w[1] == '-' && (w[0]..=w[2]).contains(&c));
    (range || inside.contains(&c)) != not
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "#include <tunables/global>\n\
        /usr/sbin/mysqld {\n  #include <abstractions/base>\n  capability dac_override,\n\
        /etc/mysql/** r,\n  /var/lib/mysql/** rwk,\n  owner /var/log/mysql.{log,err} rw,\n\
        deny /etc/mysql/secret/** r,\n  /usr/lib/mysql/plugin/*.so* mr,\n\
        include if exists <local/usr.sbin.mysqld>\n}\n";

    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let usual = [
            ("sys/module/apparmor/parameters/enabled", "Y\n"),
            ("etc/apparmor.d/usr.sbin.mysqld", PROFILE),
            ("etc/apparmor.d/abstractions/base", "  /etc/ssl/openssl.cnf r,\n"),
        ];
        for (path, text) in usual.iter().chain(files) {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn files_are_allowed_by_the_profile_what_it_includes_and_local_additions() {
        let local = ("etc/apparmor.d/local/usr.sbin.mysqld", "/etc/letsencrypt/** r,\n");
        let root = system(&[local]);
        let profile = read(root.path()).unwrap();
        let allows = |path: &str| profile.allows(Path::new(path));
        assert!(allows("/etc/mysql/tls/server-key.pem"));
        assert!(allows("/etc/letsencrypt/live/db1/privkey.pem"));
        assert!(allows("/etc/ssl/openssl.cnf"));
        assert!(allows("/var/log/mysql.err"));
        assert!(!allows("/etc/ssl/private/server-key.pem"));
        assert!(!allows("/etc/mysql/secret/key.pem"), "what is denied stays denied");
        assert_eq!(profile.local(), root.path().join("etc/apparmor.d/local/usr.sbin.mysqld"));
    }

    #[test]
    fn a_profile_that_is_not_in_force_is_none() {
        let off = system(&[("sys/module/apparmor/parameters/enabled", "N\n")]);
        assert_eq!(read(off.path()), None);
        let disabled = system(&[("etc/apparmor.d/disable/usr.sbin.mysqld", "")]);
        assert_eq!(read(disabled.path()), None);
        let complain = PROFILE.replace("mysqld {", "mysqld flags=(complain) {");
        let complaining = system(&[("etc/apparmor.d/usr.sbin.mysqld", &complain)]);
        assert_eq!(read(complaining.path()), None);
        let empty = system(&[("etc/apparmor.d/usr.sbin.mysqld", "# this file is empty / {\n")]);
        assert_eq!(read(empty.path()), None);
    }

    #[test]
    fn patterns_match_as_those_of_apparmor_do() {
        for (pattern, path, expected) in [
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/b/c", false),
            ("/a/**", "/a/b/c", true),
            ("/a/*.pem", "/a/x.pem", true),
            ("/a/**.pem", "/a/x/y.pem", true),
            ("/a/{x,y{1,2}}/k", "/a/y2/k", true),
            ("/a/{x,y}/k", "/a/z/k", false),
            ("/a/k?y", "/a/key", true),
            ("/a/k?y", "/a/k/y", false),
            ("/a/[a-c]*", "/a/cat", true),
            ("/a/[^a-c]*", "/a/cat", false),
            ("@{HOME}/.my.cnf", "/home/dba/.my.cnf", true),
            ("@{unknown}/key", "/anything/at/all/key", true),
            ("/a/*/b*c", "/a/x/bbbcbc", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
        let many = "{a,b}".repeat(60);
        assert!(!matches(&many, "/x"), "and ends");
        assert!(!matches(&format!("/{}", "*a".repeat(40)), &format!("/{}", "a".repeat(60) + "b")));
    }
}
