//! One line of an option file.

pub(super) enum Line {
    Nothing,
    Group(String),
    Include(String),
    IncludeDir(String),
    /// The name as it is spelled.
    Option {
        name: String,
        value: Option<String>,
    },
    /// The server gives up here.
    Broken,
}

pub(super) fn parse(line: &str) -> Line {
    let line = line.split('\0').next().unwrap_or_default().trim_matches(is_space);
    if line.is_empty() || line.starts_with(['#', ';']) {
        return Line::Nothing;
    }
    if let Some(directive) = line.strip_prefix('!') {
        return self::directive(directive.trim_start_matches(is_space));
    }
    if let Some(group) = line.strip_prefix('[') {
        return match group.split_once(']') {
            Some((name, _)) => Line::Group(name.trim_end_matches(is_space).to_owned()),
            None => Line::Broken,
        };
    }
    let line = without_comment(line);
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (name, Some(unquote(value.trim_matches(is_space)))),
        None => (line, None),
    };
    Line::Option { name: name.trim_end_matches(is_space).to_owned(), value }
}

fn directive(text: &str) -> Line {
    let Some((word, path)) = text.split_once(is_space) else { return Line::Nothing };
    match (word, path.trim_matches(is_space)) {
        ("include" | "includedir", "") => Line::Broken,
        ("include", path) => Line::Include(path.to_owned()),
        ("includedir", path) => Line::IncludeDir(path.to_owned()),
        _ => Line::Nothing,
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

/// Up to a `#` that stands in no quotes; a backslash counts inside of quotes only.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if matches!(c, '\'' | '"') && !escaped {
            match quote {
                None => quote = Some(c),
                Some(open) if open == c => quote = None,
                Some(_) => {}
            }
        }
        if quote.is_none() && c == '#' {
            return &line[..at];
        }
        escaped = quote.is_some() && c == '\\' && !escaped;
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::Command;

    use super::*;
    use crate::facts::config::name;

    /// What `my_print_defaults` makes of the server's group, as pairs.
    fn theirs(file: &std::path::Path) -> Option<Vec<String>> {
        let mut command = Command::new("my_print_defaults");
        let output = command.arg(format!("--defaults-file={}", file.display())).arg("mysqld");
        let output = output.output().ok()?.stdout;
        Some(String::from_utf8(output).unwrap().split_terminator('\n').map(str::to_owned).collect())
    }

    fn ours(text: &str) -> Vec<String> {
        let mut out = Vec::new();
        let mut mysqld = false;
        for line in text.split('\n') {
            match parse(line) {
                Line::Group(name) => mysqld = name == "mysqld",
                Line::Option { name, value: None } if mysqld => out.push(format!("--{name}")),
                Line::Option { name, value: Some(value) } if mysqld => {
                    out.push(format!("--{name}={value}"));
                }
                _ => {}
            }
        }
        out
    }

    #[test]
    fn two_thousand_files_are_read_as_my_print_defaults_reads_them() {
        const PIECES: [&str; 30] = [
            "ssl-ca", "ssl_cert", "=", " = ", "\"", "'", "\\", "#", ";", " ", "\t", "a",
            "/x/y.pem", "\\s", "\\q", "\\\"", "\\'", "é", "[", "]", "loose-", "skip_", "=\"a b\"",
            "='a # b'", "\r", "\\\\", ",", "0", "!", "--",
        ];
        let mut random = crate::facts::noise::Noise::new(42);
        let folder = tempfile::tempdir().unwrap();
        for case in 0..2000 {
            let mut text = "[mysqld]\n".to_owned();
            for _ in 0..random.below(12) {
                let pieces = (0..random.below(9)).map(|_| PIECES[random.below(PIECES.len())]);
                let line: String = pieces.collect();
                // A group without its end, which ends everything, has a test of its own; before a
                // `=` without a name the servers read what stood in memory.
                let start = line.trim_start();
                if !(start.starts_with('[') && !line.contains(']')) && !start.starts_with('=') {
                    text += &line;
                    text.push('\n');
                }
            }
            text += "[mysqld]\nlast = 1\n";
            let file = folder.path().join("my.cnf");
            std::fs::File::create(&file).unwrap().write_all(text.as_bytes()).unwrap();
            let Some(theirs) = theirs(&file) else {
                assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no my_print_defaults");
                eprintln!("skipped: there is no my_print_defaults here");
                return;
            };
            assert_eq!(ours(&text), theirs, "case {case}: {text:?}");
        }
    }

    #[test]
    fn names_are_one_whatever_their_spelling() {
        let one = |name: &str| name::canonical(name, Some("v".into())).0;
        for spelled in ["ssl-cert", "SSL_CERT", "loose-ssl-cert", "ssl-ce", "loose_ssl_cert"] {
            assert_eq!(one(spelled), "ssl_cert", "{spelled}");
        }
        assert_eq!(one("ssl-c"), "ssl_c", "may be four options");
        assert_eq!(name::canonical("skip-ssl", None), ("ssl".into(), Some("0".into())));
        assert_eq!(name::canonical("enable_ssl", None), ("ssl".into(), Some("1".into())));
        assert_eq!(one("skip_name_resolve"), "skip_name_resolve");
    }
}
