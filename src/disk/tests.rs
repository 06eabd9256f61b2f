use super::*;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_new_file_has_its_mode_whatever_the_umask_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    write_new(&path, b"one", Meta::mode(0o666)).unwrap();
    assert_eq!(Meta::of(&path).unwrap().mode, 0o666);
    let again = write_new(&path, b"two", Meta::mode(0o600)).unwrap_err();
    assert!(matches!(again, DiskError::Exists { .. }), "{again}");
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert_eq!(names(folder.path()), ["key.pem"], "no temporary file is left");
}

#[test]
fn what_is_replaced_is_kept_with_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.cnf");
    assert_eq!(replace(&path, b"one", Meta::mode(0o640)).unwrap(), None);
    let backup = replace(&path, b"two", Meta::mode(0o600)).unwrap().unwrap();
    let second = replace(&path, b"three", Meta::mode(0o600)).unwrap().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"three");
    assert_eq!(fs::read(&second).unwrap(), b"two");
    assert_eq!(fs::read(&backup).unwrap(), b"one");
    assert_eq!(Meta::of(&backup).unwrap().mode, 0o640);
    let name = backup.file_name().unwrap().to_str().unwrap();
    let stamp = name.strip_prefix("my.cnf.bak-").unwrap();
    assert_eq!((stamp.len(), &stamp[8..9], &stamp[15..]), (16, "T", "Z"), "{name}");
}

#[test]
fn a_backup_goes_back_to_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.bak-of-mine");
    replace(&path, b"one", Meta::mode(0o640)).unwrap();
    let backup = replace(&path, b"two", Meta::mode(0o600)).unwrap().unwrap();
    assert_eq!(restore(&backup).unwrap(), path);
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert_eq!(names(folder.path()), ["a.bak-of-mine"]);
    assert!(restore(&folder.path().join("other")).is_err());
}

#[test]
fn replacing_by_the_same_leaves_no_backup() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    replace(&path, b"same", Meta::mode(0o644)).unwrap();
    assert_eq!(replace(&path, b"same", Meta::mode(0o644)).unwrap(), None);
    assert_eq!(names(folder.path()), ["ca.pem"]);
    assert!(replace(&path, b"same", Meta::mode(0o600)).unwrap().is_some(), "the mode changed");
    assert_eq!(Meta::of(&path).unwrap().mode, 0o600);
}

#[test]
fn a_link_stays_and_its_target_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (link, file) = (folder.path().join("link"), folder.path().join("live/cert.pem"));
    fs::create_dir(folder.path().join("live")).unwrap();
    fs::write(&file, b"old").unwrap();
    std::os::unix::fs::symlink("live/cert.pem", &link).unwrap();
    let backup = replace(&link, b"new", Meta::mode(0o644)).unwrap().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert!(backup.starts_with(folder.path().join("live")));

    std::os::unix::fs::symlink("circle", folder.path().join("circle")).unwrap();
    assert!(replace(&folder.path().join("circle"), b"x", Meta::mode(0o600)).is_err());
}

#[test]
fn errors_name_the_path_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = replace(folder.path(), b"", Meta::mode(0o600)).unwrap_err().to_string();
    assert!(error.ends_with("is a directory; name a file in it"), "{error}");
    let nowhere = folder.path().join("no/such/file");
    let error = replace(&nowhere, b"", Meta::mode(0o600)).unwrap_err().to_string();
    assert!(error.contains("/no/such does not exist; create it first"), "{error}");
    let error = Meta::named(0o600, "no-such-user-here", "root").unwrap_err().to_string();
    assert!(error.contains("no user named no-such-user-here"), "{error}");
}

#[test]
fn private_folders_are_private_and_full_ones_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (new, full) = (folder.path().join("a/b"), folder.path().join("full"));
    create_private_dir(&new).unwrap();
    assert_eq!(Meta::of(&new).unwrap().mode, 0o700);
    fs::create_dir(&full).unwrap();
    fs::set_permissions(&full, Permissions::from_mode(0o755)).unwrap();
    fs::write(full.join("x"), b"").unwrap();
    create_private_dir(&full).unwrap();
    assert_eq!(Meta::of(&full).unwrap().mode, 0o755);
}

#[test]
fn a_write_that_ends_half_way_leaves_the_old_file_and_nothing_else() {
    // This test runs itself again where no file may grow past a few kilobytes: the write
    // fails in its middle, as on a full disk.
    const FOLDER: &str = "MYTLS_TEST_SMALL_FILES_IN";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let path = Path::new(&folder).join("my.cnf");
        let error = replace(&path, &vec![b'x'; 1 << 20], Meta::mode(0o600)).unwrap_err();
        assert!(error.to_string().contains("my.cnf"), "{error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("my.cnf"), b"old").unwrap();
    let test = std::env::current_exe().unwrap();
    let run = std::process::Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 8; exec "$0" --exact disk::tests::a_write_that_ends_half_way_leaves_the_old_file_and_nothing_else"#])
        .arg(test)
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    assert!(String::from_utf8_lossy(&run.stdout).contains("1 passed"));
    assert_eq!(names(folder.path()), ["my.cnf"]);
    assert_eq!(fs::read(folder.path().join("my.cnf")).unwrap(), b"old");
}
