//! `mysqld-auto.cnf`: what `SET PERSIST` wrote, which goes before every option file.
//!
//! Source: MySQL manual, "Persisted System Variables"; `sql/persisted_variable.cc` (versions 1
//! and 2 of the layout).

use std::path::Path;

use serde_json::Value;

use super::super::{ConfigValue, Origin, ServerConfig};
use super::dialect::Dialect;
use super::name;

/// Its name, in the data folder.
pub const FILE: &str = "mysqld-auto.cnf";
const LARGEST: u64 = 1 << 20;
/// No server has so many variables.
const MOST: usize = 2000;

/// Adds what is persisted to the options, where it wins. A file that is not there or cannot be
/// read changes nothing: no other server than MySQL has one.
pub fn read(data_folder: &Path, config: &mut ServerConfig) {
    let off = config.get("persisted_globals_load").map(str::to_ascii_lowercase);
    if off.is_some_and(|value| matches!(value.as_str(), "0" | "off" | "false")) {
        return;
    }
    let file = data_folder.join(FILE);
    let bytes = crate::bounded::read(&file, LARGEST).unwrap_or_default();
    let Ok(text) = String::from_utf8(bytes) else { return };
    let Ok(Value::Object(json)) = serde_json::from_str(&text) else { return };
    let groups = json.iter().filter(|(name, _)| name.starts_with("mysql_"));
    for (option, about) in groups.filter_map(|(_, group)| group.as_object()).flatten() {
        let Some(about) = about.as_object() else { continue };
        // version 1 keeps read-only variables one level deeper
        if option == "mysql_server_static_options" {
            about.iter().for_each(|(option, about)| add(&file, &text, option, about, config));
        } else {
            add(&file, &text, option, &Value::Object(about.clone()), config);
        }
    }
}

fn add(file: &Path, text: &str, option: &str, about: &Value, config: &mut ServerConfig) {
    if config.persisted.len() >= MOST {
        return;
    }
    let Some(value) = about.get("Value").and_then(Value::as_str) else { return };
    let (name, value) = name::canonical(option, Some(value.to_owned()), Dialect::of(None));
    let at = text.find(&format!("\"{option}\"")).unwrap_or(0);
    let line = text[..at].matches('\n').count() + 1;
    let origin = Origin { file: file.to_owned(), line };
    config.persisted.insert(name, ConfigValue { value, origin });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_win_over_the_option_file() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join(FILE), text).unwrap();
        for text in [
            r#"{"Version": 2, "mysql_dynamic_variables": {"ssl_key": {"Value": "/k", "Metadata": {}}}}"#,
            r#"{"Version":1,"mysql_server":{"ssl_key":{"Value":"/k"},"mysql_server_static_options":{"port":{"Value":"7"}}}}"#,
        ] {
            write(text);
            let mut config = ServerConfig::default();
            read(folder.path(), &mut config);
            assert_eq!(config.get("ssl_key"), Some("/k"), "{text}");
            assert_eq!(config.origin("ssl_key"), None, "nobody edits that file");
        }
        let mut config = ServerConfig::default();
        let off = ConfigValue {
            value: Some("OFF".into()),
            origin: Origin { file: "/etc/my.cnf".into(), line: 1 },
        };
        config.options.insert("persisted_globals_load".into(), off);
        read(folder.path(), &mut config);
        assert_eq!(config.get("ssl_key"), None, "the option file switched it off");
        write("{\"mysql_server\": [1]}");
        let mut config = ServerConfig::default();
        read(folder.path(), &mut config);
        read(Path::new("/no/such"), &mut config);
        assert_eq!(config, ServerConfig::default());
    }
}
