//! What keeps a server from files that its permissions would let it read: systemd's unit, and its
//! AppArmor profile.
//!
//! Neither shows in `ls -l`, and neither leaves more in the server's error log than "Unable to get
//! private key". Both are read from their texts, as the next start will take them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Origin, files};

mod apparmor;
mod unit;

pub use apparmor::Profile;
pub use unit::Unit;

/// What was found of both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Confinement {
    pub unit: Option<Unit>,
    /// `None` where AppArmor is switched off, or has no profile for the server.
    pub apparmor: Option<Profile>,
}

/// A folder that the unit keeps out of the server's sight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden {
    pub folder: PathBuf,
    /// `ProtectHome=true`
    pub setting: String,
    pub origin: Origin,
}

impl Confinement {
    /// Reads the texts below `root`, which is `/` but for tests.
    pub fn read(root: &Path) -> Self {
        Self { unit: unit::read(root), apparmor: apparmor::read(root) }
    }
}

/// A text file of the system; nothing when it is not there, or too large to be one.
fn text(path: &Path) -> Option<String> {
    files::bytes(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
