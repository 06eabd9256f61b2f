//! What changes between two versions of an option file, line by line.

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

#[cfg(test)]
mod tests {
    use super::*;

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
