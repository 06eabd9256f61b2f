//! What the server itself wrote about a refused certificate.

use crate::printable::printable;

/// The newest line that says which name did not fit: `X509 subject mismatch: should be '…' but is
/// '…'`. MySQL 8.0 and later write `X.509`, and only with `log_error_verbosity=3`; MariaDB and
/// older MySQL `X509` (`acl_check_ssl`). Lines are in the order in which they were written.
pub fn reason_in_log(lines: &[String]) -> Option<String> {
    lines.iter().rev().find_map(|line| reason(line))
}

fn reason(line: &str) -> Option<String> {
    const FORMS: [&str; 2] = ["X.509 ", "X509 "];
    const FIELDS: [&str; 3] = ["subject", "issuer", "ciphers"];
    let start = FORMS.iter().find_map(|form| {
        line.match_indices(form).map(|(at, _)| at).find(|at| {
            let field = &line[at + form.len()..];
            FIELDS.iter().any(|name| {
                let rest = field.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with(" mismatch: should be '"))
            })
        })
    })?;
    let text = line[start..].trim_end();
    text.contains("' but is '").then(|| printable(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_log(lines: &[&str]) -> Option<String> {
        reason_in_log(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_newest_mismatch_of_either_spelling_is_found() {
        let maria = "2026-01-05 10:00:00 7 [Note] X509 subject mismatch: should be '/CN=app' but is '/CN=web'";
        let mysql = "2026-01-05T10:00:01.0Z 8 [Note] [MY-010290] [Server] X.509 issuer mismatch: should be '/CN=A' but is '/CN=B'";
        let denied = "2026-01-05 10:00:02 9 [Warning] Access denied for user 'app'@'h'";
        assert_eq!(
            in_log(&[mysql, maria, denied]).as_deref(),
            Some("X509 subject mismatch: should be '/CN=app' but is '/CN=web'")
        );
        assert_eq!(
            in_log(&[maria, mysql]).as_deref(),
            Some("X.509 issuer mismatch: should be '/CN=A' but is '/CN=B'")
        );
        assert_eq!(in_log(&[denied]), None);
    }

    #[test]
    fn a_line_that_only_looks_like_it_is_passed_over_and_escapes_are_tamed() {
        assert_eq!(in_log(&["X509 subject mismatch", "X509 X.509 subject"]), None);
        let nasty = "X509 subject mismatch: should be '/CN=a' but is '/CN=\x1b[2Jb'";
        assert!(in_log(&[nasty]).unwrap().ends_with("'/CN=\\x1B[2Jb'"));
    }
}
