//! Edits of option files: the line where it takes effect, and nothing else.

use super::{Action, ActionKind, Effect, Remedy, shell};
use crate::facts::{self, Facts, Origin, ServerConfig};

/// What every server with TLS 1.2 takes, MySQL's fixed list included, for keys of either kind.
pub const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
                           ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

/// What yaSSL and clients of today share: its DH groups are too short for them.
pub const CIPHERS_OF_YASSL: &str = "AES256-SHA:AES128-SHA";

/// The line that sets an option, written anew where it stands: for options of which a server looks
/// at each value, also one that a later line replaces. `None` where no file sets it.
pub fn replaced_line(config: &ServerConfig, option: &str, value: &str) -> Option<Action> {
    let Origin { file, line } = config.origin(option)?;
    let command = format!(
        "sed -i.bak --follow-symlinks '{line}s/.*/{option} = {value}/' {}",
        shell::path(file)
    );
    Some(Action::shell(command, Effect::Restart))
}

/// Lets the lines that a remedy writes count: what was persisted with `SET PERSIST` goes before every
/// option file, and is taken back first.
pub fn unpersist(facts: &Facts, remedy: &mut Remedy) {
    let Some(config) = facts.config.read().filter(|config| !config.persisted.is_empty()) else {
        return;
    };
    let lines = remedy.actions.iter().filter(|action| action.kind == ActionKind::Config);
    let written = lines.flat_map(|action| action.text.lines());
    let names = written.filter_map(|line| Some(line.split_once('=')?.0.trim()));
    let back: Vec<String> = names
        .filter(|name| config.persisted.contains_key(*name))
        .map(|name| format!("RESET PERSIST {name};"))
        .collect();
    if back.is_empty() {
        return;
    }
    if facts.server.read().is_some() {
        remedy.actions.insert(0, Action::sql(back.join("\n")));
    } else {
        if !remedy.note.is_empty() {
            remedy.note.push_str("; ");
        }
        remedy.note.push_str("mysqld-auto.cnf sets it, too, and goes before: take it out there");
    }
}

/// A value as an option file needs it: quoted where a comment or blanks would end it.
pub fn quote(value: &str) -> String {
    let plain = !value.contains(['#', '\'', '"', '\\']) && value.trim() == value;
    if plain {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What [`quote`] wrote, as it was before.
pub fn unquote(value: &str) -> String {
    match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => value.to_owned(),
    }
}

/// The text with these options set in the server's group. Where `line_of` names the line (from 1)
/// that sets an option now, the value in it is changed: its indentation, its spelling, the blanks about the
/// `=` and the comment behind it stay. Otherwise the option is added at the end, under a `[mysqld]` of its
/// own. Every other byte stays as it is.
pub fn set(
    text: &str,
    options: &[(&str, &str)],
    line_of: impl Fn(&str) -> Option<usize>,
) -> String {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let mut added = Vec::new();
    for (name, value) in options {
        let line = line_of(name).and_then(|number| lines.get_mut(number.checked_sub(1)?));
        match line {
            Some(line) => *line = changed(line, name, value),
            None => added.push(format!("{name} = {}{end}", quote(value))),
        }
    }
    if !added.is_empty() {
        if let Some(last) = lines.last_mut() {
            if !last.ends_with('\n') {
                last.push_str(end);
            }
            if !last.trim().is_empty() {
                lines.push(end.to_owned());
            }
        }
        lines.push(format!("[mysqld]{end}"));
        lines.append(&mut added);
    }
    lines.concat()
}

/// One line with a new value. What stands before the value stays, and what stands behind it.
fn changed(line: &str, name: &str, value: &str) -> String {
    let content = line.trim_end_matches(['\r', '\n']);
    let end = &line[content.len()..];
    let setting = facts::config::without_comment(content);
    let comment = &content[setting.len()..];
    let written = setting.trim_end();
    // blanks before the comment; where there is none they were at the line's end, for nothing
    let gap = if comment.is_empty() { "" } else { &setting[written.len()..] };
    let head = match written.find('=') {
        Some(at) => {
            let behind = &written[at + 1..];
            let blanks = behind.len() - behind.trim_start().len();
            written[..=at + blanks].to_owned()
        }
        None => format!("{} = ", if written.trim().is_empty() { name } else { written }),
    };
    format!("{head}{}{gap}{comment}{end}", quote(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Source;
    use crate::rules::testing;

    #[test]
    fn what_was_persisted_is_taken_back_before_a_line_is_written() {
        let mut facts = testing::healthy();
        let Source::Read(config) = &mut facts.config else { panic!() };
        config.persisted = config.options.clone();
        config.persisted.remove("ssl_ca");
        let action = |name| Action::config(std::path::Path::new("/etc/my.cnf"), &[(name, "/x")]);
        let mut remedy = Remedy::new("", vec![action("ssl_key"), action("ssl_ca")]);
        unpersist(&facts, &mut remedy);
        assert_eq!(remedy.actions[0].text, "RESET PERSIST ssl_key;");
        let mut other = Remedy::new("", vec![action("ssl_ca")]);
        unpersist(&facts, &mut other);
        assert_eq!(other.actions.len(), 1);
    }

    #[test]
    fn the_line_in_effect_is_changed_and_the_rest_untouched() {
        let before = "# mine\n[mysqld]\n  ssl-key=/old.pem\nport = 3306\n";
        let after = set(before, &[("ssl_key", "/new.pem")], |_| Some(3));
        assert_eq!(after, "# mine\n[mysqld]\n  ssl-key=/new.pem\nport = 3306\n");
    }

    #[test]
    fn a_line_keeps_everything_but_its_value() {
        for (line, new) in [
            ("ssl-key=/old.pem", "ssl-key=/new.pem"),
            ("\tSSL_KEY  =  /old.pem  # since May\r\n", "\tSSL_KEY  =  /new.pem  # since May\r\n"),
            ("ssl-key = '/o#d.pem' # mine # and mine\n", "ssl-key = /new.pem # mine # and mine\n"),
            ("loose-ssl-key=/old.pem   \n", "loose-ssl-key=/new.pem\n"),
            ("ssl-key\n", "ssl-key = /new.pem\n"),
            ("ssl-key=\n", "ssl-key=/new.pem\n"),
        ] {
            // line ends of both kinds, a blank at an end, no end at the end: none of it is touched
            let (before, after) = ("a = 1 \r\n[mysqld]\n", "b\u{a0}= 2\r\n\n  # the end");
            let line = if line.ends_with('\n') { line.to_owned() } else { format!("{line}\n") };
            let new = if new.ends_with('\n') { new.to_owned() } else { format!("{new}\n") };
            let text = format!("{before}{line}{after}");
            let set = set(&text, &[("ssl_key", "/new.pem")], |_| Some(3));
            assert_eq!(set, format!("{before}{new}{after}"));
        }
    }

    #[test]
    fn what_is_not_set_yet_is_added_at_the_end_where_it_wins() {
        let after = set("[client]\r\nport=1", &[("ssl_ca", "/a b#c.pem")], |_| None);
        assert_eq!(after, "[client]\r\nport=1\r\n\r\n[mysqld]\r\nssl_ca = \"/a b#c.pem\"\r\n");
        assert_eq!(set("", &[("x", "1")], |_| None), "[mysqld]\nx = 1\n");
    }

    #[test]
    fn what_is_written_is_read_back_as_it_was() {
        for value in
            ["/plain/path.pem", "/with space.pem", "/has#hash", "/has\"quote", "C:\\dir", "/it's"]
        {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("my.cnf");
            std::fs::write(&file, set("", &[("ssl_ca", value)], |_| None)).unwrap();
            let config = facts::config::read(Some(&file), None).unwrap();
            assert_eq!(config.get("ssl_ca"), Some(value));
        }
    }

    #[test]
    fn a_line_that_is_gone_is_no_panic() {
        assert_eq!(set("", &[("x", "1")], |_| Some(99)), "[mysqld]\nx = 1\n");
    }
}
