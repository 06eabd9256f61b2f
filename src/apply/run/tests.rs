use super::*;
use crate::apply::Command;

fn plan(writes: Vec<Write>) -> Plan {
    Plan { title: "a test".into(), writes, ..Plan::default() }
}

#[test]
fn files_are_written_backed_up_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("sub/new"));
    std::fs::write(&old, "before").unwrap();
    let writes = vec![
        Write::text(&old, "after".into(), 0o644, "a text"),
        Write::text(&new, "new".into(), 0o600, "a text"),
    ];
    let applied = run(&plan(writes), None, &mut |_| {}).unwrap();
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "after");
    assert_eq!(std::fs::read_to_string(&new).unwrap(), "new");
    execute(&applied.undo.join("\n")).unwrap();
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "before");
    assert!(!new.exists() && !new.parent().unwrap().exists());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no backup is left over");
}

#[test]
fn what_somebody_changed_since_the_review_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (file, new) = (folder.path().join("my.cnf"), folder.path().join("new"));
    std::fs::write(&file, "before").unwrap();
    let plans =
        [&file, &new].map(|path| plan(vec![Write::text(path, "mine".into(), 0o644, "a text")]));
    std::fs::write(&file, "theirs").unwrap();
    std::fs::write(&new, "theirs").unwrap();
    for plan in plans {
        let (applied, error) = *run(&plan, None, &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("was changed by somebody else"), "{error}");
        assert_eq!(applied.done, Vec::<String>::new());
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "theirs");
}

#[test]
fn a_file_that_cannot_be_written_takes_those_before_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let (key, new) = (folder.path().join("key"), folder.path().join("new"));
    std::fs::write(&key, "old").unwrap();
    let writes = vec![
        Write::text(&key, "mine".into(), 0o600, "a key"),
        Write::text(&new, "mine".into(), 0o600, "a text"),
        // a folder of that name is in the way
        Write::text(folder.path(), "mine".into(), 0o600, "a certificate"),
    ];
    let (applied, _) = *run(&plan(writes), None, &mut |_| {}).unwrap_err();
    assert_eq!(std::fs::read_to_string(&key).unwrap(), "old");
    assert!(!new.exists());
    assert_eq!(applied.undo, Vec::<String>::new(), "nothing is left to be undone");
}

#[test]
fn a_key_loses_the_bits_for_others_that_the_old_one_had() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    std::fs::write(&path, "old").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let write = Write::key(&path, Secret::new("new"), 0o600, "a key");
    assert_eq!(write.mode, 0o640, "and the review shows it");
    run(&plan(vec![write]), None, &mut |_| {}).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn what_was_done_before_a_failure_comes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let mut plan = plan(vec![Write::text(&file, "x".into(), 0o644, "a text")]);
    plan.commands.push(Command { text: "echo no >&2; exit 3".into(), undo: String::new() });
    let (applied, error) = *run(&plan, None, &mut |_| {}).unwrap_err();
    assert_eq!(applied.undo, [format!("rm {}", file.display())]);
    assert!(error.to_string().contains("no (exit status: 3)"), "{error}");
}

#[test]
fn a_restart_that_nobody_can_make_is_left_to_a_person() {
    let plan = Plan { effect: Effect::Restart, ..Plan::default() };
    let applied = run(&plan, None, &mut |_| {}).unwrap();
    assert!(applied.left[0].contains("systemctl restart"), "{applied:?}");
}

#[test]
fn a_refused_restart_says_what_the_server_said() {
    struct Broken;
    impl Restart for Broken {
        fn restart(&self) -> Result<(), String> {
            Err("SSL error: \x1b[1mno\nAborting".into())
        }
    }
    let plan = Plan { effect: Effect::Restart, ..Plan::default() };
    let (_, error) = *run(&plan, Some(&Broken), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("\\x1B[1mno\nAborting"), "{error}");
}
