//! Text measured in columns of a terminal, not in bytes or characters.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// How many columns the text takes.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text in at most this many columns; what is cut off is marked with `…`.
pub fn clip(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = width(c.encode_utf8(&mut [0; 4]));
        if used + wide + 1 > columns {
            break;
        }
        out.push(c);
        used += wide;
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// [`clip`], and filled up with spaces to exactly this many columns.
pub fn fit(text: &str, columns: usize) -> String {
    let mut out = clip(text, columns);
    out.push_str(&" ".repeat(columns.saturating_sub(width(&out))));
    out
}

/// [`clip`] for paths: the end says more than the beginning.
pub fn clip_start(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept: Vec<char> = Vec::new();
    let mut used = 1;
    for c in text.chars().rev() {
        used += width(c.encode_utf8(&mut [0; 4]));
        if used > columns {
            break;
        }
        kept.push(c);
    }
    let tail: String = kept.into_iter().rev().collect();
    if columns > 0 { format!("…{tail}") } else { tail }
}

/// Broken into lines of at most this many columns, between words where it can be. Never empty.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let options = textwrap::Options::new(columns.max(1))
        // `ssl-ca` is one word: an option cut at its hyphen reads as another one
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    let lines: Vec<String> =
        textwrap::wrap(text, options).into_iter().map(std::borrow::Cow::into_owned).collect();
    if lines.is_empty() { vec![String::new()] } else { lines }
}

/// For statements and commands: broken only where the line is full, after a blank where there is
/// one, nothing dropped, so that what is read is what is meant. Continued lines are indented by two.
pub fn wrap_verbatim(text: &str, columns: usize) -> Vec<String> {
    let mut out = Vec::new();
    for line in text.lines() {
        let first = out.len();
        let mut current = String::new();
        let mut used = 0;
        for c in line.chars() {
            let wide = width(c.encode_utf8(&mut [0; 4]));
            if used + wide > columns.max(4) {
                // the word goes along to the next line, unless it is all there is
                let begin = if out.len() > first { 2 } else { 0 };
                let blank = current.rfind(' ').map(|at| at + 1).filter(|at| *at > begin);
                let is_text = |at: &usize| !current[..*at].trim().is_empty();
                let fits = |at: &usize| 2 + width(&current[*at..]) + wide <= columns.max(4);
                let at = blank.filter(is_text).filter(fits).unwrap_or(current.len());
                let rest = current.split_off(at);
                out.push(std::mem::replace(&mut current, format!("  {rest}")));
                used = width(&current);
            }
            current.push(c);
            used += wide;
        }
        out.push(current);
    }
    out
}

/// Lines of prose, indented.
pub fn paragraph(text: &str, columns: usize, indent: usize, style: Style) -> Vec<Line<'static>> {
    wrap(text, columns.saturating_sub(indent))
        .into_iter()
        .map(|line| Line::styled(format!("{}{line}", " ".repeat(indent)), style))
        .collect()
}

/// Pairs with their labels in one column; long values go on below themselves.
pub fn pairs<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    columns: usize,
    label_style: Style,
) -> Vec<Line<'static>> {
    let pairs: Vec<_> = pairs.into_iter().collect();
    let widest = pairs.iter().map(|(label, _)| width(label)).max().unwrap_or(0);
    let widest = widest.min(columns / 3).max(1);
    let mut out = Vec::new();
    for (label, value) in pairs {
        let mut label = fit(label, widest);
        for part in value.lines().flat_map(|line| wrap(line, columns.saturating_sub(widest + 2))) {
            let blank = " ".repeat(widest);
            let label = std::mem::replace(&mut label, blank);
            out.push(Line::from(vec![Span::styled(label, label_style), "  ".into(), part.into()]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_are_cut_by_their_columns() {
        assert_eq!(clip("東京サーバ", 5), "東京…");
        assert_eq!(clip("東京サーバ", 6), "東京…");
        assert_eq!(fit("東京", 6), "東京  ");
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("abc", 0), "");
        assert_eq!(clip_start("/etc/mysql/server.pem", 11), "…server.pem");
    }

    #[test]
    fn options_are_not_cut_at_their_hyphens() {
        assert_eq!(wrap("set the ssl-ca", 12), ["set the", "ssl-ca"]);
        assert_eq!(wrap("", 12), [""]);
    }

    #[test]
    fn verbatim_text_loses_nothing() {
        let sql = "ALTER USER 'app'@'%'  REQUIRE SUBJECT '/C=SE/O=A  B/CN=app';";
        let lines = wrap_verbatim(sql, 20);
        let joined: String =
            lines.iter().enumerate().map(|(i, l)| if i == 0 { l } else { &l[2..] }).collect();
        assert_eq!(joined, sql);
        assert!(lines.iter().all(|line| width(line) <= 20));
        // words stay whole where they can
        assert_eq!(wrap_verbatim("mv /etc/a.backup /etc/a", 18), ["mv /etc/a.backup ", "  /etc/a"]);
        assert_eq!(wrap_verbatim("abcdefgh", 6), ["abcdef", "  gh"]);
    }

    #[test]
    fn labels_stand_in_one_column() {
        let lines = pairs([("key", "a b"), ("certificate", "c")], 40, Style::new());
        let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["key          a b", "certificate  c"]);
    }
}
