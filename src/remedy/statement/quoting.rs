//! Text in quotes, and what the session has to be told so that it is read as it stands.

use crate::facts::AccountName;

/// A string literal whose backslashes stand as they are, which takes [`Session`]. Single quotes,
/// since double ones are identifiers under ANSI_QUOTES.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `'app'@'10.0.%'`; of backslashes as [`quote`].
pub fn account(name: &AccountName) -> String {
    format!("{}@{}", quote(&name.user), quote(&name.host))
}

/// What statements need of the session that they are sent in, whatever its settings are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    /// NO_BACKSLASH_ESCAPES. Single backslashes under it are the one spelling that is stored as it
    /// stands, whatever the session's mode was, and that replicas and dumps get right.
    backslashes: bool,
    /// The text is UTF-8, whichever character set the client program was started with.
    utf8: bool,
    /// Whether GRANT makes an account that is not there.
    pub(super) grant_creates: Option<bool>,
}

impl Session {
    /// Takes note of a text that stands in the statements.
    pub(super) fn carries(&mut self, text: &str) {
        self.backslashes |= text.contains('\\');
        self.utf8 |= !text.is_ascii();
    }

    /// What is sent first and last, so that in between all is as it has to be, and afterwards as it
    /// was.
    pub(super) fn bracket(self) -> Option<(String, String)> {
        let mut mode = "@@SESSION.sql_mode".to_owned();
        if self.backslashes {
            mode = format!("CONCAT({mode}, ',NO_BACKSLASH_ESCAPES')");
        }
        match self.grant_creates {
            Some(false) => mode = format!("CONCAT({mode}, ',NO_AUTO_CREATE_USER')"),
            Some(true) => mode = format!("REPLACE({mode}, 'NO_AUTO_CREATE_USER', '')"),
            None => {}
        }
        let (mut keep, mut set, mut back) = (Vec::new(), Vec::new(), Vec::new());
        if self.backslashes || self.grant_creates.is_some() {
            keep.push("@mytls_sql_mode = @@SESSION.sql_mode");
            set.push(format!("SESSION sql_mode = {mode}"));
            back.push("SESSION sql_mode = @mytls_sql_mode");
        }
        if self.utf8 {
            keep.push("@mytls_charset = @@SESSION.character_set_client");
            set.push("SESSION character_set_client = utf8mb4".to_owned());
            back.push("SESSION character_set_client = @mytls_charset");
        }
        if keep.is_empty() {
            return None;
        }
        let before = format!("SET {}, {}", keep.join(", "), set.join(", "));
        Some((before, format!("SET {}", back.join(", "))))
    }
}

/// What keeps the statements between out of MySQL's binary log.
pub(super) const UNLOGGED: (&str, &str) = (
    "SET @mytls_log_bin = @@SESSION.sql_log_bin, SESSION sql_log_bin = 0",
    "SET SESSION sql_log_bin = @mytls_log_bin",
);
