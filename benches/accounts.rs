//! How long the wizard takes from a key to the drawn frame where the server has 100,000 accounts,
//! while one looks for one of them; beside it, a bare substring scan through the same text.
//!
//! The whole of the wizard takes part but the terminal: the key goes in, the state changes, the
//! frame is drawn into memory (80x24). Nothing is asked of a server. Then accounts of real ones are changed.

use std::time::Instant;

use mytls::tui::screen;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use walker::Walker;

#[path = "accounts/apply.rs"]
mod apply;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/common/fake.rs"]
mod fake;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/common/walker.rs"]
mod walker;

const ACCOUNTS: usize = 100_000;
/// Typed letter by letter and taken back again, each of them so many times.
const SOUGHT: [&str; 6] = ["tenant4711", "x509", "10.1.", "99", "nobody like it", "tenant0 ssl"];
const ROUNDS: usize = 10;

fn main() {
    let fake = fake::Fake::new(|does| {
        does.key_matches = true;
        does.more_accounts = ACCOUNTS - 4;
    });
    let started = Instant::now();
    let mut w = Walker::new(fake, Some(fake::target()));
    let ready = started.elapsed();
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("memory has room");
    w.walk("5/");

    let (mut keys, mut floor, mut drawn) = (Vec::new(), Vec::new(), Vec::new());
    let lines: Vec<String> = (0..ACCOUNTS)
        .map(|at| format!("tenant{at:05}@10.1.% x509 mysql_native_password"))
        .collect();
    let text = lines.join("\n");
    let mut key = |w: &mut Walker<fake::Fake>, key: &str| {
        let started = Instant::now();
        w.walk(key);
        terminal.draw(|frame| screen::draw(&w.state, frame)).expect("memory has room");
        started.elapsed().as_secs_f64() * 1e3
    };
    for _ in 0..ROUNDS {
        for sought in SOUGHT {
            for (at, letter) in sought.char_indices() {
                keys.push(key(&mut w, &format!("'{letter}'")));
                let so_far = &sought[..=at];
                let started = Instant::now();
                std::hint::black_box(lines.iter().filter(|line| line.contains(so_far)).count());
                floor.push(started.elapsed().as_secs_f64() * 1e3);
                let started = Instant::now();
                std::hint::black_box(memchr::memmem::find_iter(text.as_bytes(), so_far).count());
                drawn.push(started.elapsed().as_secs_f64() * 1e3);
            }
            for _ in sought.chars() {
                keys.push(key(&mut w, "<backspace>"));
            }
        }
    }
    let mut moves = Vec::new();
    w.walk("<esc>");
    for at in 0..400 {
        moves.push(key(&mut w, ["<down>", "<c-f>", "<end>", "<home>", "<space>"][at % 5]));
    }
    let sorts: Vec<f64> = (0..9).map(|_| key(&mut w, "s")).collect();

    println!();
    println!("the wizard's list of {ACCOUNTS} accounts, from the key to the drawn frame");
    row("a letter typed or taken back", keys);
    row("  floor: a substring scan of each line", floor);
    row("  floor: one scan of the whole text (memmem)", drawn);
    row("up, down, a page, to the ends, a mark", moves);
    row("sorted otherwise", sorts);
    println!("  from the facts to the first frame: {:.0} ms", ready.as_secs_f64() * 1e3);
    apply::measure();
}

fn row(what: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    println!("  {what:<48} p50 {:>7.3} ms  p99 {:>7.3} ms  ({} keys)", at(50), at(99), times.len());
}
