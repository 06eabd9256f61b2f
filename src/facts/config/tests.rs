use super::*;

fn config(text: &str) -> ServerConfig {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.cnf");
    std::fs::write(&file, text).unwrap();
    read(Some(&file), None).unwrap()
}

#[test]
fn spellings_quotes_and_comments_are_read_as_the_server_reads_them() {
    let config = config(
        "[client]\nssl-ca=/not/ours\n[mysqld]\n# comment\n; another\n\
         ssl-ca = '/a b/ca#1.pem' # the CA\nSSL_CERT=\"/c\\\\d.pem\"\nloose-ssl_key=/k.pem\nskip-ssl\n",
    );
    assert_eq!(config.get("ssl_ca"), Some("/a b/ca#1.pem"));
    assert_eq!(config.get("ssl_cert"), Some("/c\\d.pem"));
    assert_eq!(config.get("ssl_key"), Some("/k.pem"));
    assert_eq!(config.get("ssl"), Some("0"));
    assert_eq!(config.origin("ssl_ca").unwrap().line, 6);
}

#[test]
fn the_last_value_wins_across_groups_and_included_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("conf.d")).unwrap();
    std::fs::write(
        path("my.cnf"),
        format!(
            "[server]\nssl_key=/one\n!includedir {}\n[mariadb]\nssl_ca=/last\n",
            path("conf.d").display()
        ),
    )
    .unwrap();
    std::fs::write(path("conf.d/b.cnf"), "[mysqld]\nssl_key=/three\n").unwrap();
    std::fs::write(path("conf.d/a.cnf"), "[mysqld]\nssl_key=/two\nssl_ca=/first\n").unwrap();
    std::fs::write(path("conf.d/c.txt"), "[mysqld]\nssl_key=/never\n").unwrap();
    let config = read(Some(&path("my.cnf")), None).unwrap();
    assert_eq!(config.get("ssl_key"), Some("/three"));
    assert_eq!(config.get("ssl_ca"), Some("/last"));
    assert_eq!(config.origin("ssl_key").unwrap().file, path("conf.d/b.cnf"));
    assert_eq!(config.files.len(), 3);
}

#[test]
fn a_file_that_includes_itself_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.cnf");
    std::fs::write(&file, format!("!include {}\n[mysqld]\nport=1\n", file.display())).unwrap();
    assert_eq!(read(Some(&file), None).unwrap().get("port"), Some("1"));
}

#[test]
fn a_folder_a_missing_file_and_a_device_are_refused_in_words() {
    assert!(read(Some(Path::new("/")), None).unwrap_err().contains("is a folder"));
    assert!(read(Some(Path::new("/no/such.cnf")), None).unwrap_err().contains("/no/such.cnf"));
    assert!(read(Some(Path::new("/dev/zero")), None).unwrap_err().contains("no option file"));
}

#[test]
fn groups_are_those_of_the_flavor_and_version() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.cnf");
    let text = "[MYSQLD]\nport=1\n[mariadb-10.11]\nssl_ca=/a\n[mysqld-9.7]\nssl_ca=/m\n\
                [mysql]\nssl_key=/k\n[client]\nssl_cert=/c\n";
    std::fs::write(&file, text).unwrap();
    let of = |flavor, version| read(Some(&file), Some((flavor, version))).unwrap();
    let mariadb = of(Flavor::MariaDb, Version(10, 11, 19));
    assert_eq!((mariadb.get("ssl_ca"), mariadb.get("port")), (Some("/a"), Some("1")));
    assert_eq!(of(Flavor::MySql, Version(9, 7, 4)).get("ssl_ca"), Some("/m"));
    let older = of(Flavor::MySql, Version(8, 0, 36));
    assert_eq!(older.get("ssl_ca"), None);
    let lost: Vec<_> = older.lost.iter().filter_map(|lost| lost.group.as_deref()).collect();
    assert_eq!(lost, ["mariadb-10.11", "mysqld-9.7", "mysql"]);
}

#[test]
fn what_keeps_a_server_from_starting_is_told_with_its_line() {
    let broken = |text: &str| config(text).defects.remove(0);
    assert!(matches!(broken("x=1\n"), ConfigDefect::NoGroup { at } if at.line == 1));
    assert!(matches!(broken("\u{feff}[mysqld]\n"), ConfigDefect::NoGroup { .. }));
    assert!(matches!(broken("[mysqld\n"), ConfigDefect::Broken { .. }));
    assert!(matches!(broken("!includedir /no/such\n"), ConfigDefect::NoFolder { .. }));
    assert!(matches!(broken("!include /no/such\n"), ConfigDefect::NotThere { .. }));
}

#[test]
fn a_file_that_everybody_may_write_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.cnf");
    std::fs::write(&file, "[mysqld]\nport=1\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let config = read(Some(&file), None).unwrap();
    assert_eq!(config.get("port"), None);
    assert!(matches!(config.defects[0], ConfigDefect::WorldWritable { .. }));
}

#[test]
fn a_folder_that_includes_itself_ends() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("!includedir {}\n[mysqld]\nport=1\n", folder.path().display());
    for name in ["a.cnf", "b.cnf", "c.cnf", "d.cnf"] {
        std::fs::write(folder.path().join(name), &text).unwrap();
    }
    let config = read(Some(&folder.path().join("a.cnf")), None).unwrap();
    assert_eq!((config.get("port"), config.files.len()), (Some("1"), MOST_FILES));
}

#[test]
fn a_named_file_that_is_empty_or_a_clients_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    for text in ["", "[client]\nssl-ca=/ca.pem\n"] {
        let file = folder.path().join("my.cnf");
        std::fs::write(&file, text).unwrap();
        assert!(
            read(Some(&file), None).unwrap_err().contains("says nothing to the server"),
            "{text}"
        );
    }
}
