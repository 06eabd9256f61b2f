//! The settings of the drivers: data, under `assets/clients`, one file each.

use serde::Deserialize;

/// How one driver is told to verify the server and to show its own certificate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Driver {
    /// The name of its file: `pymysql`.
    #[serde(skip)]
    pub name: String,
    /// `PyMySQL (Python)`
    pub title: String,
    /// Of the settings, as editors name it: `python`, `ini`.
    pub language: String,
    /// Whether a test carries out the settings on real servers.
    #[serde(default = "yes")]
    pub tried: bool,
    /// What it does about TLS when nothing is said.
    pub by_default: String,
    /// [`Self::settings`] with nothing said about TLS.
    pub plain: String,
    /// A program, or a part of one, with `@HOST@`, `@PORT@`, `@ADDRESS@` (both, with brackets about
    /// an IPv6 address) and `@USER@` in it. Files are named as they lie in the pack, and the
    /// account's password comes from the environment variable `DB_PASSWORD`.
    pub settings: String,
    /// What to know beside; `@NAME@` is the name of the client.
    #[serde(default)]
    pub note: String,
}

/// All drivers, in the order in which they are listed.
pub fn all() -> Vec<Driver> {
    let read = |(name, text): &(&str, &str)| {
        // the files are part of the program, and a test reads each
        let driver: Driver = toml::from_str(text).ok()?;
        Some(Driver { name: (*name).to_owned(), ..driver })
    };
    FILES.iter().filter_map(read).collect()
}

fn yes() -> bool {
    true
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../assets/clients/", $name, ".toml")))),+]
    };
}

const FILES: &[(&str, &str)] = files![
    "mysql",
    "mariadb",
    "mysql-connector-j",
    "mariadb-connector-j",
    "mariadb-connector-j-2",
    "mysql-connector-python",
    "pymysql",
    "mysqlclient",
    "mysql2",
    "node-mariadb",
    "go",
    "php-mysqli",
    "php-pdo",
    "mysqlconnector-net",
    "rust-sqlx",
    "rust-mysql",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_listed_and_can_be_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/clients");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let mut listed: Vec<String> = all().into_iter().map(|driver| driver.name).collect();
        for names in [&mut there, &mut listed] {
            names.sort();
        }
        assert_eq!(listed, there);
        for (name, text) in FILES {
            if let Err(why) = toml::from_str::<Driver>(text) {
                panic!("{name}: {why}");
            }
        }
    }

    #[test]
    fn every_driver_is_told_whom_to_reach_and_names_files_of_the_pack_alone() {
        let known = ["ca.pem", "client-cert.pem", "client-key.pem", "client.p12"];
        let known = [&known[..], &["truststore.p12", "password.txt"]].concat();
        for Driver { name, settings, .. } in all() {
            for marker in ["@USER@", "DB_PASSWORD"] {
                let is_file = settings.starts_with("[client]"); // its program asks for the password
                assert!(settings.contains(marker) || is_file, "{name}: {marker}");
            }
            assert!(settings.contains("@HOST@") || settings.contains("@ADDRESS@"), "{name}");
            let word = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
            let files = settings
                .split(|c| !word(c))
                .filter(|part| [".pem", ".p12", ".txt"].iter().any(|end| part.ends_with(end)));
            for file in files {
                assert!(known.contains(&file), "{name} names {file}");
            }
        }
    }
}
