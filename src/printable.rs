//! Text from outside, made fit for a terminal, a log or a report.
//!
//! A certificate's common name, a server's greeting and an error message are written by whoever
//! runs the other end. Escape sequences in them would move the cursor or retitle the window, and
//! bidirectional overrides would show one name and mean another. Everything that did not come from
//! this program passes through [`printable`] before it is shown.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

/// The text with control characters, bidirectional overrides and invisible characters written out
/// as `\xHH` or `\u{HHHH}`; anything else is left as it is.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            c if is_shown(c) => out.push(c),
            // writing to a String cannot fail
            c if (c as u32) < 0x100 => drop(write!(out, "\\x{:02X}", c as u32)),
            c => drop(write!(out, "\\u{{{:X}}}", c as u32)),
        }
    }
    Cow::Owned(out)
}

/// [`printable`], with the line ends of the text kept: for texts of more than one line.
pub fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// [`printable`] for bytes that are probably UTF-8; what is not becomes U+FFFD.
pub fn printable_bytes(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(bytes)).into_owned()
}

/// [`printable`], for a path.
pub fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy()).into_owned()
}

/// JSON that says the same and holds, besides its own line ends, nothing but what is shown as it
/// is: in JSON such characters stand in strings alone, where each can be written as `\uHHHH`.
pub fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || is_shown(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // writing to a String cannot fail
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// Whether a terminal shows this character as itself, and only itself.
fn is_shown(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            // zero width, joiners, direction marks, line and paragraph separators
            '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' |
            // word joiner, invisible operators, direction isolates
            '\u{2060}'..='\u{206F}' |
            // Arabic letter mark, soft hyphen, byte order mark, interlinear annotation
            '\u{061C}' | '\u{00AD}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' |
            // tag characters, which no font draws
            '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_borrowed_and_kept() {
        assert!(matches!(printable("CN=Jörg Müller, 東京"), Cow::Borrowed("CN=Jörg Müller, 東京")));
    }

    #[test]
    fn escape_sequences_reach_no_terminal() {
        assert_eq!(printable("db\x1b[2J\x07\r\n"), "db\\x1B[2J\\x07\\x0D\\x0A");
        assert_eq!(printable("\u{9b}31m"), "\\x9B31m", "the 8-bit CSI");
    }

    #[test]
    fn bidi_overrides_are_written_out() {
        assert_eq!(printable("good\u{202E}live"), "good\\u{202E}live");
    }

    #[test]
    fn json_says_the_same_in_characters_that_are_shown() {
        let value = serde_json::json!({"a": "x\u{9b}\u{202e}\u{e0041}\n", "b": ["\u{feff}"]});
        let json = printable_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(json.contains(r"x\u009b\u202e\udb40\udc41\n"), "{json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }

    #[test]
    fn lines_are_kept_and_bytes_repaired() {
        assert_eq!(printable_lines("a\x1b\nb"), "a\\x1B\nb");
        assert_eq!(printable_bytes(b"a\xffb"), "a\u{FFFD}b");
    }
}
