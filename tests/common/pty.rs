//! A program in a terminal: what it draws, what it is typed, and what it leaves behind.

use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Longer than anything a test waits for takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// A program that has drawn a frame writes nothing for longer than this; within one it does not
/// pause that long.
const QUIET: Duration = Duration::from_millis(60);

pub struct Pty {
    pub child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    to: Box<dyn Write + Send>,
    from: Receiver<Vec<u8>>,
    parser: vt100::Parser<Clipboard>,
}

/// What the program put on the terminal's clipboard, as it was sent (base64).
#[derive(Default)]
struct Clipboard(Vec<String>);

impl vt100::Callbacks for Clipboard {
    fn copy_to_clipboard(&mut self, _: &mut vt100::Screen, _: &[u8], data: &[u8]) {
        self.0.push(String::from_utf8_lossy(data).into_owned());
    }
}

impl Pty {
    /// Starts the program in a terminal of its own, with UTF-8 and outside of any tmux.
    pub fn start(mut command: CommandBuilder, columns: u16, rows: u16) -> Self {
        let size = PtySize { rows, cols: columns, ..PtySize::default() };
        let pty = native_pty_system().openpty(size).unwrap();
        command.env("LANG", "C.UTF-8");
        command.env("TERM", "xterm-256color");
        for unwanted in ["TMUX", "NO_COLOR", "LC_ALL", "LC_CTYPE"] {
            command.env_remove(unwanted);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        // while it is held, the end of the program is not seen
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().unwrap();
        let (give, from) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if give.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let at_least_one = |n: u16| NonZeroU16::new(n).unwrap();
        let (rows, columns) = (at_least_one(rows), at_least_one(columns));
        let parser = vt100::Parser::new_with_callbacks(rows, columns, 0, Clipboard::default());
        let to = pty.master.take_writer().unwrap();
        Self { child, master: pty.master, to, from, parser }
    }

    /// Types; `\r` is Enter, `\x1b` Escape.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        self.to.write_all(keys.as_bytes()).unwrap();
        self.to.flush().unwrap();
        self
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> &mut Self {
        let end = Instant::now() + PATIENCE;
        while !wanted(&self.screen()) {
            let left = end.saturating_duration_since(Instant::now());
            match self.from.recv_timeout(left) {
                Ok(bytes) => self.parser.process(&bytes),
                Err(why) => panic!("{what}: {why}; the screen is:\n{}", self.screen()),
            }
        }
        self
    }

    #[track_caller]
    pub fn sees(&mut self, text: &str) -> &mut Self {
        self.until(&format!("no {text:?}"), |screen| screen.contains(text))
    }

    /// Waits until a frame is drawn to its end: nothing has come for a while, and the last row,
    /// which is drawn last, is this one (blanks in a row counted as one).
    #[track_caller]
    pub fn settles(&mut self, last_row: &str) -> &mut Self {
        let end = Instant::now() + PATIENCE;
        loop {
            let before = self.screen();
            match self.from.recv_timeout(QUIET) {
                Ok(bytes) => self.parser.process(&bytes),
                Err(RecvTimeoutError::Timeout) if self.last_row() == last_row => return self,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("it has ended:\n{before}"),
            }
            let screen = self.screen();
            assert!(Instant::now() < end, "the last row is not {last_row:?} on:\n{screen}");
        }
    }

    fn last_row(&self) -> String {
        let screen = self.parser.screen();
        let (rows, columns) = screen.size();
        let row = screen.rows(0, columns.get()).nth(usize::from(rows.get()) - 1);
        one_blank_each(&row.unwrap_or_default())
    }

    /// Reads all there is until the program has ended; its exit status.
    #[track_caller]
    pub fn ends(&mut self) -> u32 {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.from.recv_timeout(Duration::from_millis(20)) {
                Ok(bytes) => self.parser.process(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if self.child.try_wait().unwrap().is_some() => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            assert!(Instant::now() < end, "it does not end; the screen is:\n{}", self.screen());
        }
        self.child.wait().unwrap().exit_code()
    }

    pub fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    pub fn vt100(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// What was put on the clipboard last, in base64.
    pub fn clipboard(&self) -> Option<&str> {
        self.parser.callbacks().0.last().map(String::as_str)
    }

    pub fn resize(&mut self, columns: u16, rows: u16) -> &mut Self {
        self.master.resize(PtySize { rows, cols: columns, ..PtySize::default() }).unwrap();
        let at_least_one = |n: u16| NonZeroU16::new(n).unwrap();
        self.parser.screen_mut().set_size(at_least_one(rows), at_least_one(columns));
        self
    }

    /// Sends a signal to the program alone.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = self.child.process_id().unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Whether the terminal is as a shell wants it: lines and echo on, no alternate screen, no
    /// bracketed paste, the cursor shown.
    pub fn is_restored(&self) -> Result<(), String> {
        const ICANON: u32 = 0o2;
        const ECHO: u32 = 0o10;
        let termios = self.master.get_termios().ok_or("no termios")?;
        let cooked = termios.local_flags.bits() & (ICANON | ECHO) == ICANON | ECHO;
        let screen = self.parser.screen();
        let all = [
            (cooked, "lines and echo are off"),
            (!screen.alternate_screen(), "the alternate screen is on"),
            (!screen.bracketed_paste(), "bracketed paste is on"),
            (!screen.hide_cursor(), "the cursor is hidden"),
        ];
        let wrong: Vec<&str> =
            all.iter().filter(|(holds, _)| !holds).map(|(_, what)| *what).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join(", ")) }
    }
}

/// A row's words, with one blank between them.
pub fn one_blank_each(row: &str) -> String {
    row.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
