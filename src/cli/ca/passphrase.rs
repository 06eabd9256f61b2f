//! `mytls ca passphrase`

use clap::Args;

use super::{Done, StoreArgs, ask, can_ask, shown, stdin_secret};
use crate::ca::Store;
use crate::cli::Failure;
use crate::secret::Secret;

/// Put a passphrase on the CA's key, change it, or take it off
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mytls ca passphrase --ca-dir ~/db-ca\n  mytls ca passphrase --ca-dir ~/db-ca --none\n\n\
    With --passphrase-stdin the first line is the one that opens the key now (left out where it has\n\
    none), the next the new one. The root's key in root/ gets the same, if it lies there."
)]
pub struct PassphraseArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Take it off: whoever can read the file has the key
    #[arg(long)]
    none: bool,
}

pub fn run(args: &PassphraseArgs) -> Result<Done, Failure> {
    // without one to open, all of standard input is about the new one
    let (store, given) = match Store::open(&args.store.ca_dir) {
        Ok(store) => (store, args.store.passphrase_stdin),
        Err(crate::ca::CaError::KeyEncrypted { .. }) => {
            (args.store.open()?, args.store.passphrase_stdin)
        }
        Err(other) => return Err(other.into()),
    };
    let new = match (args.none, given) {
        (true, _) => None,
        (false, true) => Some(stdin_secret("new passphrase")?),
        (false, false) if can_ask() => Some(asked()?),
        (false, false) => {
            return Err(Failure::usage(
                "there is no terminal to ask for the new passphrase on: use --passphrase-stdin, or --none",
            ));
        }
    };
    let changed = store.set_passphrase(new.as_ref())?;
    let how = if new.is_some() { "is under the new passphrase" } else { "has no passphrase now" };
    let mut text = String::new();
    for file in &changed.written {
        text += &[&shown(file), " ", how, "\n"].concat();
    }
    if let Some(root) = &changed.left {
        text += &[&shown(root), " is under another passphrase and was left as it is\n"].concat();
    }
    if new.is_some() {
        text.push_str("without it the key is lost: nothing and nobody can replace it\n");
    }
    Ok(text.into())
}

/// Twice, since nobody sees what is typed.
fn asked() -> Result<Secret, Failure> {
    let first = ask("New passphrase for the CA's key: ")?;
    if first.is_empty() {
        return Err(Failure::usage("nothing was typed, and nothing changed; --none takes it off"));
    }
    if ask("The same again: ")? != first {
        return Err(Failure::usage("the two passphrases differ; nothing was changed"));
    }
    Ok(first)
}
