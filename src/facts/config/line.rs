//! One line of an option file.

use super::dialect::Dialect;

#[derive(Debug, PartialEq, Eq)]
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

/// Reads a line with its line end.
pub(super) fn parse(line: &[u8], dialect: Dialect) -> Line {
    let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let line = trim_start(line);
    if line.is_empty() || line.starts_with(b"#") || line.starts_with(b";") {
        return Line::Nothing;
    }
    if let Some(directive) = line.strip_prefix(b"!") {
        return self::directive(trim_start(directive), dialect);
    }
    if let Some(group) = line.strip_prefix(b"[") {
        return match group.iter().position(|byte| *byte == b']') {
            Some(end) => Line::Group(text(trim_end(&group[..end]))),
            None => Line::Broken,
        };
    }
    let line = without_comment(line);
    let (name, value) = match line.iter().position(|byte| *byte == b'=') {
        Some(at) => (&line[..at], Some(unquote(trim_end(trim_start(&line[at + 1..]))))),
        None => (line, None),
    };
    Line::Option { name: text(trim_end(name)), value }
}

fn directive(line: &[u8], dialect: Dialect) -> Line {
    type Make = fn(String) -> Line;
    let known: [(&[u8], Make); 2] =
        [(b"includedir", Line::IncludeDir), (b"include", Line::Include)];
    let found = known.into_iter().find_map(|(word, make)| {
        let rest = line.strip_prefix(word)?;
        rest.first().is_some_and(|byte| is_space(*byte)).then_some((rest, make))
    });
    let Some((rest, make)) = found else { return Line::Nothing };
    let path = trim_start(rest);
    let path = match dialect.cuts_lines {
        Some(_) => &path[..path.len().saturating_sub(1)],
        None => path,
    };
    match trim_end(path) {
        [] => Line::Broken,
        path => make(text(path)),
    }
}

/// Space in Latin-1, as which the servers read: the last byte of an `à` in UTF-8 is one.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r' | 0xa0)
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !is_space(*byte)).unwrap_or(bytes.len());
    &bytes[start..]
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
    &bytes[..end]
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Up to a `#` that stands in no quotes; a backslash counts inside of quotes only.
pub(super) fn without_comment(line: &[u8]) -> &[u8] {
    let mut quote = None;
    let mut escaped = false;
    for (at, byte) in line.iter().enumerate() {
        if matches!(byte, b'\'' | b'"') && !escaped {
            match quote {
                None => quote = Some(byte),
                Some(open) if open == byte => quote = None,
                Some(_) => {}
            }
        }
        if quote.is_none() && *byte == b'#' {
            return &line[..at];
        }
        escaped = quote.is_some() && *byte == b'\\' && !escaped;
    }
    line
}

/// Strips one pair of quotes, and resolves the escapes that option files know.
fn unquote(value: &[u8]) -> String {
    let value = match value {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => value,
    };
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        match bytes.next() {
            Some(b'b') => out.push(8),
            Some(b't') => out.push(b'\t'),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b's') => out.push(b' '),
            Some(byte @ (b'\\' | b'"' | b'\'')) => out.push(*byte),
            Some(other) => out.extend([b'\\', *other]),
            None => out.push(b'\\'),
        }
    }
    text(&out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Flavor, Version};

    fn of(line: &[u8]) -> Line {
        parse(line, Dialect::of(None))
    }

    fn option(name: &str, value: Option<&str>) -> Line {
        Line::Option { name: name.into(), value: value.map(str::to_owned) }
    }

    #[test]
    fn quotes_escapes_and_comments_are_those_of_the_servers() {
        let value = |value: &str| match of(format!("x = {value}\r\n").as_bytes()) {
            Line::Option { value: Some(value), .. } => value,
            other => panic!("{other:?}"),
        };
        for (written, read) in [
            ("'/a b/ca#1.pem' # the CA", "/a b/ca#1.pem"),
            (r#""c\\d""#, r"c\d"),
            (r"C:\ssl\new", "C: sl\new"),
            (r"a\", r"a\"),
            (r"\q", r"\q"),
            ("\"", "\""),
            ("''", ""),
            ("'a\"", "'a\""),
            ("a ; b", "a ; b"),
            ("# nothing", ""),
        ] {
            assert_eq!(value(written), read, "{written}");
        }
        assert_eq!(of(b"skip-ssl # off\n"), option("skip-ssl", None));
        assert_eq!(of(b" ; x\n"), Line::Nothing);
    }

    #[test]
    fn the_last_byte_of_a_letter_may_be_a_space() {
        assert_eq!(of("x=/é/à\n".as_bytes()), option("x", Some("/é/\u{fffd}")));
    }

    #[test]
    fn groups_and_directives_are_read_to_the_letter() {
        let group = |name: &str| Line::Group(name.into());
        assert_eq!(of(b"[mysqld ] x\n"), group("mysqld"));
        assert_eq!(of(b"[ mysqld]]\n"), group(" mysqld"));
        assert_eq!(of(b"[mysqld\n"), Line::Broken);
        assert_eq!(of(b"! include\t/a b \n"), Line::Include("/a b".into()));
        assert_eq!(of(b"!includedir /a"), Line::IncludeDir("/a".into()));
        assert_eq!(of(b"!include\n"), Line::Broken);
        assert_eq!(of(b"!include"), Line::Nothing, "no space after it");
        assert_eq!(of(b"!includes /a\n"), Line::Nothing);
    }

    #[test]
    fn a_last_line_without_its_end_loses_a_letter_where_servers_lose_it() {
        for (server, folder) in [
            ((Flavor::MariaDb, Version(11, 8, 8)), "/etc/conf."),
            ((Flavor::MySql, Version(5, 6, 51)), "/etc/conf."),
            ((Flavor::MySql, Version(9, 7, 4)), "/etc/conf.d"),
        ] {
            let dialect = Dialect::of(Some(server));
            let read = parse(b"!includedir /etc/conf.d", dialect);
            assert_eq!(read, Line::IncludeDir(folder.into()), "{server:?}");
            let read = parse(b"!includedir /etc/conf.d\n", dialect);
            assert_eq!(read, Line::IncludeDir("/etc/conf.d".into()), "{server:?}");
        }
    }

    #[test]
    fn long_lines_go_on_as_lines_of_their_own_where_servers_cut_them() {
        let file = [&b"[mysqld]\na="[..], &[b'x'; 4092], b"b=2\n"].concat();
        let of = |server| {
            let dialect = Dialect::of(Some(server));
            dialect.lines(&file).map(|(number, line)| (number, line.len())).collect::<Vec<_>>()
        };
        assert_eq!(of((Flavor::MariaDb, Version(10, 11, 19))), [(1, 9), (2, 4094), (2, 4)]);
        assert_eq!(of((Flavor::MySql, Version(9, 7, 4))), [(1, 9), (2, 4098)]);
    }
}
