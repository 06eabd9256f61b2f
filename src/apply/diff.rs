//! What changes between two versions of an option file, line by line.

use std::fmt::Write as _;

use super::{DiffKind, DiffLine};

/// How many unchanged lines stand around a change.
const AROUND: usize = 1;

/// The changed lines with a little around them; empty when nothing changes. Option files are
/// changed in place or added to at the end, so lines are compared from both ends inwards.
pub fn lines(old: &str, new: &str) -> Vec<DiffLine> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut out = Vec::new();
    let mut push = |number: usize, kind, text: &str| {
        let text = crate::printable::printable(text).into_owned();
        out.push(DiffLine { number: number + 1, kind, text });
    };
    let mut last_shown = None;
    for at in 0..old.len().max(new.len()) {
        let (before, after) = (old.get(at), new.get(at));
        if before == after {
            continue;
        }
        let from = at.saturating_sub(AROUND).max(last_shown.map_or(0, |last: usize| last + 1));
        for kept in from..at {
            if let Some(text) = new.get(kept) {
                push(kept, DiffKind::Kept, text);
            }
        }
        if let Some(before) = before {
            push(at, DiffKind::Removed, before);
        }
        if let Some(after) = after {
            push(at, DiffKind::Added, after);
        }
        last_shown = Some(at);
    }
    out
}

/// The change in the form of `diff -u`, which `patch` takes; empty when nothing changes. A new
/// file is compared with `/dev/null`.
pub fn unified(path: &std::path::Path, old: Option<&str>, new: &str) -> String {
    const AROUND: usize = 3;
    let before: Vec<&str> = old.unwrap_or_default().split_inclusive('\n').collect();
    let after: Vec<&str> = new.split_inclusive('\n').collect();
    // Lines are changed where they stand or added at the end, so the two are alike line by line.
    let differs = |at: &usize| before.get(*at) != after.get(*at);
    let changed: Vec<usize> = (0..before.len().max(after.len())).filter(differs).collect();
    if changed.is_empty() {
        return String::new();
    }
    let shown = crate::printable::shown(path);
    let from = if old.is_some() { shown.as_str() } else { "/dev/null" };
    let mut out = format!("--- {from}\n+++ {shown}\n");
    let mut rest = changed.as_slice();
    while let Some(first) = rest.first() {
        // changes whose surroundings meet stand together
        let near = |pair: &[usize]| pair[1] - pair[0] <= 2 * AROUND + 1;
        let count = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
        let (hunk, more) = rest.split_at(count);
        rest = more;
        let from = first.saturating_sub(AROUND);
        let to = hunk[count - 1] + 1 + AROUND;
        let part = |lines: &[&str]| {
            let end = to.min(lines.len());
            let length = end.saturating_sub(from);
            // an empty part is named by the line before it
            (if length == 0 { from.min(lines.len()) } else { from + 1 }, length)
        };
        let ((old_at, old_length), (new_at, new_length)) = (part(&before), part(&after));
        // writing to a String cannot fail
        let _ = writeln!(out, "@@ -{old_at},{old_length} +{new_at},{new_length} @@");
        let mut at = from;
        while at < to {
            let run = hunk.iter().filter(|line| **line >= at);
            let run = run.zip(at..).take_while(|(line, at)| **line == *at).count();
            if run == 0 {
                before.get(at).into_iter().for_each(|line| push(&mut out, ' ', line));
                at += 1;
                continue;
            }
            for (sign, lines) in [('-', &before), ('+', &after)] {
                let end = (at + run).min(lines.len());
                lines[at.min(end)..end].iter().for_each(|line| push(&mut out, sign, line));
            }
            at += run;
        }
    }
    out
}

fn push(out: &mut String, sign: char, line: &str) {
    let text = line.trim_end_matches(['\r', '\n']);
    out.push(sign);
    // a tab is what indents, and `patch` wants it as it is
    let parts: Vec<_> = text.split('\t').map(crate::printable::printable).collect();
    out.push_str(&parts.join("\t"));
    out.push_str(&line[text.len()..]);
    if !line.ends_with('\n') {
        out.push_str("\n\\ No newline at end of file\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_makes_of_the_old_text_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let many = (0..40).fold(String::new(), |text, n| text + &format!("line {n}\n"));
        let far = many.replace("line 2\n", "LINE 2\n").replace("line 30\n", "LINE 30\n");
        for (old, new) in [
            ("a\nb\nc\n", "a\nB\nc\n"),
            ("\ta\n\tb\t= 1 # é\n", "\ta\n\tb\t= 2 # é\n"),
            ("a\r\nb\r\n", "a\r\nB\r\n\r\n[mysqld]\r\nx = 1\r\n"),
            ("a\nb", "a\nb\n\n[mysqld]\nx = 1\n"),
            ("", "[mysqld]\nx = 1\n"),
            (many.as_str(), far.as_str()),
            (many.as_str(), &format!("{far}\n[mysqld]\nx = 1\n")),
            ("a\nb\nc\nd\n", "A\nB\nc\nD\nE\n"),
        ] {
            let file = folder.path().join("my.cnf");
            std::fs::write(&file, old).unwrap();
            let diff = unified(&file, Some(old), new);
            std::fs::write(folder.path().join("x.diff"), &diff).unwrap();
            let patch = std::process::Command::new("patch")
                .args(["--binary", "-p0", "-i", "x.diff", "my.cnf"])
                .current_dir(folder.path())
                .output();
            let Ok(patch) = patch else { return }; // it is not on every host
            let said = String::from_utf8_lossy(&patch.stdout).into_owned();
            assert!(patch.status.success() && !said.contains("fuzz"), "{said}\n{diff}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), new, "{diff}");
        }
        assert_eq!(unified(std::path::Path::new("/x"), Some("a\n"), "a\n"), "");
    }

    fn drawn(old: &str, new: &str) -> Vec<String> {
        let sign = |kind| match kind {
            DiffKind::Kept => ' ',
            DiffKind::Removed => '-',
            DiffKind::Added => '+',
        };
        lines(old, new).iter().map(|l| format!("{} {}{}", l.number, sign(l.kind), l.text)).collect()
    }

    #[test]
    fn a_changed_line_and_added_ones_are_shown_with_what_stands_before() {
        let old = "[mysqld]\nport = 1\nssl_key = a\nuser = x\n";
        let new = "[mysqld]\nport = 1\nssl_key = b\nuser = x\n\n[mysqld]\nssl_ca = c\n";
        assert_eq!(
            drawn(old, new),
            [
                "2  port = 1",
                "3 -ssl_key = a",
                "3 +ssl_key = b",
                "4  user = x",
                "5 +",
                "6 +[mysqld]",
                "7 +ssl_ca = c"
            ]
        );
        assert_eq!(drawn(old, old), Vec::<String>::new());
    }
}
