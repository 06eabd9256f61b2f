//! How far a rotation has come, in `rotation/state.json` of the new CA's folder: written as a whole
//! or not at all, so that a stop at any moment leaves the one before or the one after.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Step;
use crate::ca::store::{Lock, io_fault};
use crate::ca::{CaError, Store};
use crate::disk::{self, Meta};

const FILE: &str = "state.json";

/// How far a rotation has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub schema: u32,
    /// The folder of the old CA; absolute.
    pub from: PathBuf,
    /// Seconds since 1970, UTC.
    pub begun: i64,
    /// The options that name the server, as they were given last; no password is among them.
    #[serde(default)]
    pub server: Vec<String>,
    pub done: Vec<Done>,
    /// What was begun; still there when mytls was stopped in the midst of it.
    #[serde(default)]
    pub under_way: Option<Step>,
    /// When files were changed that this server reads only when it starts; seconds since 1970, UTC.
    #[serde(default)]
    pub restart_due: Option<i64>,
    /// The accounts that named the old issuer, as they were: what to lead them back to.
    #[serde(default)]
    pub accounts: Vec<Bound>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub step: Step,
    /// Seconds since 1970, UTC.
    pub at: i64,
}

/// An account and what it `REQUIRE`s; an empty string is not asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    pub user: String,
    pub host: String,
    pub subject: String,
    pub issuer: String,
    pub cipher: String,
}

/// A rotation that nobody else goes on with meanwhile.
pub struct Held {
    to: PathBuf,
    _lock: Lock,
}

impl State {
    const SCHEMA: u32 = 1;

    pub fn new(from: &Path, now: i64) -> Self {
        Self {
            schema: Self::SCHEMA,
            from: from.to_owned(),
            begun: now,
            server: Vec::new(),
            done: Vec::new(),
            under_way: None,
            restart_due: None,
            accounts: Vec::new(),
        }
    }

    /// Reads that of a new CA's folder; `None` when no rotation was begun there.
    pub fn read(to: &Path) -> Result<Option<Self>, CaError> {
        let path = to.join(super::FOLDER).join(FILE);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| io_fault(&path, error))?,
        };
        let bad = |why: String| CaError::Rotation { path: path.clone(), why };
        let state: Self = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        if state.schema != Self::SCHEMA {
            return Err(bad(format!("it is of a later mytls (schema {})", state.schema)));
        }
        Ok(Some(state))
    }

    pub fn is_done(&self, step: Step) -> bool {
        self.done.iter().any(|done| done.step == step)
    }

    /// Enters a step as done; one that was done before, anew.
    pub fn enter(&mut self, step: Step, now: i64) {
        self.done.retain(|done| done.step != step);
        self.done.push(Done { step, at: now });
        if self.under_way == Some(step) {
            self.under_way = None;
        }
    }

    /// Whether the old CA need not be trusted any more.
    pub(crate) fn drops_old(&self) -> bool {
        self.is_done(Step::ServerDropsOld) || self.under_way == Some(Step::ServerDropsOld)
    }

    /// Remembers what an account `REQUIRE`d that names the old issuer now.
    pub fn remember(&mut self, account: Bound) {
        let same = |known: &&mut Bound| known.user == account.user && known.host == account.host;
        match self.accounts.iter_mut().find(same) {
            Some(known) => *known = account,
            None => self.accounts.push(account),
        }
    }
}

impl Held {
    /// Takes a rotation in hand: that of this new CA's folder. Its folder is made if it is missing.
    pub fn take(to: &Path, waiting: fn(&Path)) -> Result<Self, CaError> {
        let folder = to.join(super::FOLDER);
        if !Store::exists(to) {
            return Err(CaError::NoStore { dir: to.to_owned() });
        }
        disk::create_private_dir(&folder)?;
        let lock = Lock::take(&folder, Lock::PATIENCE, waiting)?;
        Ok(Self { to: to.to_owned(), _lock: lock })
    }

    pub fn write(&self, state: &State) -> Result<(), CaError> {
        let path = self.to.join(super::FOLDER).join(FILE);
        // plain strings and numbers: there is nothing in it that could not be written
        let text = serde_json::to_string_pretty(state).unwrap_or_default() + "\n";
        Ok(disk::overwrite(&path, text.as_bytes(), Meta::mode(0o600))?)
    }

    /// Lays the file with both CAs, the old first.
    pub fn write_both(&self, old: &str, new: &str) -> Result<(), CaError> {
        let text = format!("{}\n{new}", old.trim_end());
        Ok(disk::overwrite(&super::both_file(&self.to), text.as_bytes(), Meta::mode(0o644))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::AuthoritySpec;

    #[test]
    fn what_is_written_comes_back_and_what_was_required_first_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("new");
        assert!(Held::take(&to, |_| ()).is_err(), "there is no CA");
        Store::create(&to, &AuthoritySpec::named(&"New CA".parse().unwrap())).unwrap();
        assert_eq!(State::read(&to).unwrap(), None);
        let held = Held::take(&to, |_| ()).unwrap();
        let mut state = State::new(Path::new("/old"), 7);
        state.under_way = Some(Step::ServerTrustsBoth);
        held.write(&state).unwrap();
        state.enter(Step::ServerTrustsBoth, 8);
        state.enter(Step::ServerTrustsBoth, 9);
        assert_eq!((state.done.len(), state.under_way), (1, None));
        held.write(&state).unwrap();
        assert_eq!(State::read(&to).unwrap(), Some(state));
        std::fs::write(to.join("rotation/state.json"), "{\"schema\":").unwrap();
        assert!(State::read(&to).unwrap_err().to_string().contains("state.json"));
    }
}
