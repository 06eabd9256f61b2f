//! Words for a POSIX shell.

use std::path::Path;

/// The text as one word of a shell: as it stands when nothing in it means anything to a shell,
/// else in single quotes.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,=@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A path as one word of a shell.
pub fn path(path: &Path) -> String {
    word(&path.display().to_string())
}

/// The command that starts the server, whatever its unit is called.
pub const START: &str =
    "systemctl start mariadb || systemctl start mysql || systemctl start mysqld";

/// The command that restarts the server, whatever its unit is called.
pub const RESTART: &str =
    "systemctl restart mariadb || systemctl restart mysql || systemctl restart mysqld";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gives_back_every_word_as_it_was() {
        for text in ["/etc/mysql/ca.pem", "", "a b", "it's", "$(reboot)", "a\nb", "-n", "`x`", "ü"]
        {
            let script = format!("printf %s {}", word(text));
            let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            // `--`-less printf would take -n for a format; it is the argument here, not the format
            assert_eq!(String::from_utf8(out.stdout).unwrap(), text);
        }
    }
}
