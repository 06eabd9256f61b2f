//! Carrying settings out: laid into a folder of the client's own, compiled if need be, and started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::known::{Client, How, brought};

/// Settings, ready to be started.
pub struct Ready {
    how: How,
    program: PathBuf,
    /// The client's own folder.
    place: PathBuf,
}

impl Ready {
    /// Lays the settings into this folder; they take the password from the environment.
    pub fn make(client: &Client, place: PathBuf, settings: &str) -> Self {
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("settings"), settings).unwrap();
        match client.how {
            How::Options | How::Script(_) => {}
            How::Go => {
                fs::write(place.join("open.go"), settings).unwrap();
                fs::copy(source("run.go"), place.join("run.go")).unwrap();
                let mut go = Command::new(brought("go/go"));
                ok(go.current_dir(&place).args(["build", "-o", "run", "run.go", "open.go"]));
            }
            How::Java => {
                fs::write(place.join("Database.java"), settings).unwrap();
                let mut javac = Command::new("javac");
                ok(javac
                    .current_dir(&place)
                    .args(["-d", ".", "Database.java"])
                    .arg(source("Run.java")));
            }
        }
        Self { how: client.how, program: brought(client.program), place }
    }

    /// The client with these settings, or others that lie in its folder under this name; `old`: TLS 1.0
    /// is allowed again.
    pub fn command(&self, settings: &str, password: &str, old: bool) -> Command {
        let settings = self.place.join(settings);
        let mut command = match self.how {
            How::Options => {
                let mut command = Command::new(&self.program);
                let statements = "SELECT CURRENT_USER(); SHOW SESSION STATUS LIKE 'Ssl_cipher'";
                command.arg(format!("--defaults-file={}", settings.display()));
                command.args(["--batch", "--skip-column-names", "-e", statements]);
                command
            }
            How::Script(script) => {
                let mut command = Command::new(&self.program);
                command.arg(source(script)).arg(settings);
                command
            }
            How::Go => Command::new(self.place.join("run")),
            How::Java => {
                let mut command = Command::new("java");
                // no time is spent on making it fast
                if old {
                    let properties = source("tls1.properties");
                    command.arg(format!("-Djava.security.properties={}", properties.display()));
                    command.arg("-Djdk.tls.client.protocols=TLSv1");
                }
                command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]);
                command
                    .arg(format!("{}:{}", self.place.display(), self.program.display()))
                    .arg("Run");
                command
            }
        };
        if old {
            command.env("OPENSSL_CONF", source("tls1.cnf"));
        }
        command.env("DB_PASSWORD", password).env("MYSQL_PWD", password);
        command
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

pub fn ok(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
