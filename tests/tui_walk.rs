//! The wizard under hands that know no mercy: the palette, and a hundred thousand keys at random.

mod common;

use common::fake::{Fake, authority, target};
use common::walker::Walker;
use mytls::tui::state::Place;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

fn wizard() -> Walker<Fake> {
    let fake = Fake::new(|does| {
        does.key_matches = true;
        does.authority = Some(authority());
    });
    Walker::new(fake, Some(target()))
}

#[test]
fn the_palette_does_what_the_key_does() {
    let mut w = wizard();
    w.walk("2:").sees("What can be done here").sees("go to Accounts");
    // letters are letters here, and what does not fit is gone
    w.walk("'go to acc'").sees("go to Accounts").does_not_see("go to Encryption");
    w.walk("<enter>").sees("Who has to show a certificate");
    assert_eq!(w.state.place, Place::Step(mytls::rules::Step::Accounts));
    w.walk("2<end>:'explain'<enter>").sees("What it checks").walk("<esc>");
    // one of several is chosen with the arrows, and other words start at the top again
    w.walk(":'go to'<down><down>").sees("▶ 3").walk("' rep'").sees("▶ 6").walk("<enter>");
    assert_eq!(w.state.place, Place::Step(mytls::rules::Step::Report));
    w.walk(":'no such thing'").sees("Nothing here has these words").walk("<enter>").sees("Nothing");
    w.walk("<esc>").does_not_see("Nothing here");
}

#[test]
fn the_palette_says_why_not_and_writes_nothing() {
    let mut w = wizard();
    w.walk("1:'open the line'").sees("(not now: nothing to mend here)");
    w.walk("<enter>").sees("One thing to do");
    w.walk("<esc>5<down><enter>a").sees("w do it");
    let before = w.state.done.len();
    w.walk(":'do it'<enter>").sees("press w in front of the review");
    assert_eq!(w.state.done.len(), before, "Enter says yes to nothing");
    w.walk("<esc>w");
    assert_eq!(w.state.done.len(), before + 1);
}

#[test]
fn the_palette_at_three_sizes() {
    let mut w = wizard();
    w.walk("5<down>:'certificate'");
    for (columns, rows) in [(80, 24), (120, 40), (60, 16)] {
        w.resize(columns, rows);
        insta::assert_snapshot!(format!("palette_{columns}x{rows}"), w.screen());
    }
    for columns in 0..=130 {
        for rows in [0, 1, 11, 12, 13, 50] {
            w.resize(columns, rows).screen();
        }
    }
}

#[test]
fn fifty_thousand_keys_at_random_break_nothing() {
    keys_at_random(0x9E37_79B9_7F4A_7C15);
}

#[test]
fn nor_do_fifty_thousand_others() {
    keys_at_random(0x2545_F491_4F6C_DD1D);
}

/// No panic, no screen that cannot be drawn, and no state out of which Esc does not lead.
fn keys_at_random(mut random: u64) {
    const KEYS: u32 = 50_000;
    // a report that is written on the way goes where it does no harm
    std::env::set_current_dir(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut w = wizard();
    let mut next = |below: u64| {
        // xorshift: the same keys on every run
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let codes = [
        KeyCode::Enter,
        KeyCode::Enter,
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::Backspace,
        KeyCode::Delete,
        KeyCode::F(1),
    ];
    let letters: Vec<char> =
        " awawgw55abcdefghijklmnopqrstuvwxyz0123456789/:?@%.üあ".chars().collect();
    let sizes = [(80, 24), (120, 40), (60, 16), (40, 12), (39, 11), (1, 1), (130, 50)];
    for pressed in 0..KEYS {
        let (code, held) = match next(20) {
            0..9 => (codes[pick(next(codes.len() as u64))], KeyModifiers::NONE),
            9..19 => (KeyCode::Char(letters[pick(next(letters.len() as u64))]), KeyModifiers::NONE),
            _ => {
                let letter = ['l', 'u', 'w', 'a', 'f', 'b', 'z'][pick(next(7))];
                (KeyCode::Char(letter), KeyModifiers::CONTROL)
            }
        };
        w.take(mytls::tui::state::Msg::Key(KeyEvent::new(code, held)));
        if pressed % 200 == 0 {
            w.screen();
        }
        if pressed % 500 == 0 {
            let (columns, rows) = sizes[pick(next(sizes.len() as u64))];
            w.resize(columns, rows).screen();
        }
        if pressed % 1000 == 999 {
            w.resize(80, 24);
            w.walk(&"<esc>".repeat(40));
            let screen = w.screen();
            assert!(w.state.layers.is_empty(), "Esc does not lead out of\n{screen}");
            assert!(matches!(w.state.place, Place::Step(_)), "nor out of\n{screen}");
        }
    }
    assert!(w.state.done.len() > 1, "it went through reviews on its way: {}", w.state.done.len());
}

fn pick(number: u64) -> usize {
    usize::try_from(number).unwrap()
}
