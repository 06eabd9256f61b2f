use super::*;
use crate::rules::testing;

/// Facts of a server with this option file.
fn facts(file: &Path) -> Facts {
    let mut facts = testing::healthy();
    facts.target.server_config = Some(file.to_owned());
    facts.config = match crate::facts::config::read(Some(file), None) {
        Ok(config) => Source::Read(config),
        Err(why) => Source::unread(crate::facts::UnreadKind::Failed, why, "name another"),
    };
    facts
}

fn options(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new(files: &[(&str, &str)]) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        for (name, text) in files {
            let path = lab.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = text.replace("{folder}", &lab.folder.path().display().to_string());
            std::fs::write(path, text).unwrap();
        }
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn edit(&self, wanted: &[(&str, &str)]) -> Result<Edit, NotEdited> {
        edit(&facts(&self.path("my.cnf")), &options(wanted), false)
    }
}

#[test]
fn each_option_is_changed_where_it_counts_and_new_ones_come_last() {
    let lab = Lab::new(&[
        (
            "my.cnf",
            "[mysqld]\nport = 1\nssl_ca=/old\n!includedir {folder}/a\n!includedir {folder}/z\n",
        ),
        ("a/one.cnf", "[mysqld]\n\tssl-key = /old # mine\n"),
        ("z/two.cnf", "[mysqld]\r\nssl_cert=/same\r\n"),
    ]);
    let edit = lab
        .edit(&[("ssl_ca", "/ca"), ("ssl_key", "/key"), ("ssl_cert", "/same"), ("ssl_crl", "/crl")])
        .unwrap();
    let changed: Vec<&str> = edit.changed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(changed, ["ssl_ca", "ssl_key", "ssl_crl"]);
    let of = |name: &str| {
        let path = lab.path(name);
        edit.files.iter().find(|file| file.path == path).map(|file| file.new.as_str())
    };
    assert!(of("my.cnf").unwrap().starts_with("[mysqld]\nport = 1\nssl_ca=/ca\n!includedir"));
    assert_eq!(of("a/one.cnf"), Some("[mysqld]\n\tssl-key = /key # mine\n"));
    assert_eq!(of("z/zz-mytls.cnf"), Some("[mysqld]\nssl_crl = /crl\n"));
    assert_eq!(of("z/two.cnf"), None);
    assert!(edit.diff().contains("--- /dev/null\n+++ "), "{}", edit.diff());
    // the reader agrees, before anything is written
    let (config, arguments) =
        crate::facts::config::read_with(Some(&lab.path("my.cnf")), None, &edit.overlay()).unwrap();
    for (name, value) in &edit.wanted {
        assert_eq!(config.get(name), Some(value.as_str()), "{name}");
    }
    assert!(arguments.contains(&"--ssl_crl=/crl".to_owned()), "{arguments:?}");
    assert!(!lab.path("z/zz-mytls.cnf").exists());
}

#[test]
fn the_snippet_holds_every_option_whether_it_is_so_already_or_not() {
    let lab = Lab::new(&[("my.cnf", "[mysqld]\nssl_ca=/ca\n")]);
    let edit = lab.edit(&[("ssl_ca", "/ca"), ("ssl_key", "/a #b")]).unwrap();
    assert_eq!(edit.snippet(), "[mysqld]\nssl_ca = /ca\nssl_key = \"/a #b\"\n");
    assert!(lab.edit(&[("ssl_ca", "/ca")]).unwrap().is_empty());
}

#[test]
fn files_that_cannot_be_edited_are_refused_with_what_to_do() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let said = |lab: &Lab| lab.edit(&[("ssl_ca", "/ca")]).unwrap_err().to_string();
    for (text, words) in [
        ("[mysqld]\nport=1\n[mysqld\n", ":3: this is no line"),
        ("port=1\n", ":1: an option stands before the first group"),
        ("[mysqld]\nport=1\n!includedir /no/such\n", "there is no folder /no/such"),
        ("[mysqld]\nport=1\n!include {folder}/my.cnf\n", "includes itself"),
        ("", "says nothing to the server"),
        ("[client]\nport=1\n", "no option stands under [mysqld]"),
    ] {
        let lab = Lab::new(&[("my.cnf", text)]);
        assert!(said(&lab).contains(words), "{text}: {}", said(&lab));
        let before = text.replace("{folder}", &lab.folder.path().display().to_string());
        assert_eq!(std::fs::read_to_string(lab.path("my.cnf")).unwrap(), before);
    }
    let lab = Lab::new(&[("my.cnf", "[mysqld]\nport=1\n")]);
    std::fs::set_permissions(lab.path("my.cnf"), std::fs::Permissions::from_mode(0o444)).unwrap();
    assert!(said(&lab).contains("marked read-only (0444)"), "{}", said(&lab));
    let lab =
        Lab::new(&[("my.cnf", "[mysqld]\nport=1\n!includedir {folder}/d\n"), ("d/a.cnf", "")]);
    symlink("nowhere", lab.path("d/zz-mytls.cnf")).unwrap();
    assert!(said(&lab).contains("leads nowhere"), "{}", said(&lab));
}

#[test]
fn a_line_that_turns_tls_off_is_to_go_first() {
    let lab = Lab::new(&[("my.cnf", "[mysqld]\nport=1\nskip-ssl\n")]);
    let said = lab.edit(&[("ssl_ca", "/ca")]).unwrap_err().to_string();
    assert!(said.contains("my.cnf:3 turns TLS off"), "{said}");
    assert!(lab.edit(&[("tls_version", "TLSv1.3")]).is_ok());
}

#[test]
fn what_was_persisted_is_persisted_again_and_no_file_is_written_for_it() {
    let lab = Lab::new(&[("my.cnf", "[mysqld]\nssl_ca=/old\n")]);
    let mut facts = facts(&lab.path("my.cnf"));
    let Source::Read(config) = &mut facts.config else { panic!() };
    config.persisted = config.options.clone();
    let wanted = options(&[("ssl_ca", "/new")]);
    // MariaDB has no such thing
    assert_eq!(edit(&facts, &wanted, false).unwrap_err(), NotEdited::NoPersist);
    let Source::Read(server) = &mut facts.server else { panic!() };
    (server.flavor, server.version) = (Flavor::MySql, Version(9, 7, 4));
    let edit = edit(&facts, &wanted, false).unwrap();
    assert_eq!((edit.files.len(), edit.persisted.len()), (0, 1));
    assert!(edit.notes[0].contains("SET PERSIST"));
    let both = options(&[("ssl_ca", "/new"), ("mysqlx_ssl_ca", "/x")]);
    let said = super::edit(&facts, &both, false).unwrap_err().to_string();
    assert!(said.contains("one after the other") && said.contains("mysqlx_ssl_ca"), "{said}");
    let fixed = options(&[("mysqlx_ssl_ca", "/x")]);
    assert!(matches!(super::edit(&facts, &fixed, true), Err(NotEdited::NotPersistable(_))));
}
