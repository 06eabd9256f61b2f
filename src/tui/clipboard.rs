//! Copying, also over ssh and inside tmux: the terminal itself is asked to do it.
//!
//! Inside tmux a plain OSC 52 is ignored by default (`set-clipboard external`) and a wrapped one
//! too (`allow-passthrough off`); `tmux load-buffer -w` reaches both tmux's buffer and the outer
//! terminal. Nobody can know whether a terminal obeyed, so the answer says what was done, not that
//! it arrived.

use std::io::Write;
use std::process::{Command, Stdio};

use ratatui::crossterm::clipboard::CopyToClipboard;
use ratatui::crossterm::execute;

/// Terminals drop longer sequences; the limit is xterm's, over the encoded text.
const OSC_52_LIMIT: usize = 74_994;

/// Where the text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Tmux,
    Terminal,
}

impl Way {
    /// As the environment says.
    pub fn here() -> Self {
        let inside = std::env::var_os("TMUX").is_some_and(|value| !value.is_empty());
        if inside { Self::Tmux } else { Self::Terminal }
    }
}

/// Copies, and says how. Blocks until tmux has taken it; the terminal is written to through `out`.
/// A private key is never copied: a clipboard is read by every program on the desk.
pub fn copy(text: &str, way: Way, out: &mut impl Write) -> Result<String, String> {
    if text.contains("PRIVATE KEY-----") {
        return Err("a private key never goes on a clipboard".to_owned());
    }
    match way {
        Way::Tmux => {
            // -w came with tmux 3.2; without it the text is at least in tmux's own buffer
            let with_w = load_buffer(&["load-buffer", "-w", "-"], text);
            let done = with_w.or_else(|_| load_buffer(&["load-buffer", "-"], text));
            done.map(|()| "copied to the tmux buffer (prefix ] pastes)".to_owned())
        }
        Way::Terminal => {
            if text.len().div_ceil(3) * 4 > OSC_52_LIMIT {
                return Err("it is too long for a terminal's clipboard".to_owned());
            }
            execute!(out, CopyToClipboard::to_clipboard_from(text))
                .map_err(|error| error.to_string())?;
            Ok("sent to the terminal's clipboard (OSC 52)".to_owned())
        }
    }
}

fn load_buffer(arguments: &[&str], text: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("tmux: {error}");
    let mut tmux = Command::new("tmux")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    // dropped at the end of the statement: tmux reads until then
    let written = tmux.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(text.as_bytes()));
    let status = tmux.wait().map_err(failed)?;
    written.map_err(failed)?;
    if status.success() { Ok(()) } else { Err(format!("tmux load-buffer: {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_never_copied() {
        let key = "-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----\n";
        let mut out = Vec::new();
        for way in [Way::Terminal, Way::Tmux] {
            assert!(copy(key, way, &mut out).unwrap_err().contains("private key"));
        }
        assert!(out.is_empty());
    }

    #[test]
    fn the_terminal_is_asked_by_osc_52() {
        let mut out = Vec::new();
        let said = copy("SELECT 1;", Way::Terminal, &mut out).unwrap();
        assert!(said.contains("OSC 52"), "{said}");
        assert_eq!(out, b"\x1b]52;c;U0VMRUNUIDE7\x1b\\");
        assert!(copy(&"x".repeat(80_000), Way::Terminal, &mut out).is_err());
    }
}
