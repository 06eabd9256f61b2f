//! What a file has besides owner and mode: its SELinux label, its access control list, and whatever
//! its users have put there.

use std::ffi::CString;
use std::io;
use std::path::Path;

use rustix::fs::{XattrFlags, getxattr, listxattr, setxattr};
use rustix::io::Errno;

/// No attribute is larger (`XATTR_SIZE_MAX`), nor a list of their names.
const LARGEST: usize = 64 << 10;

/// Gives one file what another has. A label that cannot be carried over is an error, since without
/// it the server may not read the file; a file system without attributes has none to lose.
pub(super) fn carry_over(from: &Path, to: &Path) -> io::Result<()> {
    let mut names = vec![0; LARGEST];
    let length = match listxattr(from, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut value = vec![0; LARGEST];
    for name in names[..length].split(|byte| *byte == 0).filter(|name| is_carried(name)) {
        let Ok(name) = CString::new(name) else { continue };
        let held = match getxattr(from, name.as_c_str(), &mut value[..]) {
            Ok(length) => &value[..length],
            Err(Errno::NODATA) => continue, // gone meanwhile
            Err(error) => return Err(error.into()),
        };
        match setxattr(to, name.as_c_str(), held, XattrFlags::empty()) {
            // it has the label already that files get there
            Err(_) if is_the_same(to, &name, held) => {}
            other => other?,
        }
    }
    Ok(())
}

fn is_the_same(file: &Path, name: &CString, held: &[u8]) -> bool {
    let mut value = vec![0; LARGEST];
    getxattr(file, name.as_c_str(), &mut value[..]).is_ok_and(|length| value[..length] == *held)
}

/// Those of the kernel's own book-keeping, such as a digest of the content, are made anew.
fn is_carried(name: &[u8]) -> bool {
    name == b"security.selinux" || name == b"system.posix_acl_access" || name.starts_with(b"user.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Meta, replace};

    #[test]
    fn a_file_that_is_replaced_keeps_its_attributes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my.cnf");
        std::fs::write(&file, "old").unwrap();
        let name = c"user.note";
        match setxattr(&file, name, b"mine", XattrFlags::empty()) {
            Err(Errno::NOTSUP) => return, // this file system has none
            other => other.unwrap(),
        }
        let label = c"security.selinux";
        // only where we may: a label without SELinux is a text like any other
        let labelled =
            setxattr(&file, label, b"system_u:object_r:mysqld_etc_t:s0\0", XattrFlags::empty())
                .is_ok();
        let backup = replace(&file, b"new", Meta::of(&file).unwrap()).unwrap().unwrap();
        let of = |file: &Path, name| {
            let mut value = [0; 100];
            getxattr(file, name, &mut value[..]).map(|length| value[..length].to_vec())
        };
        assert_eq!(of(&file, name).unwrap(), b"mine");
        assert_eq!(of(&backup, name).unwrap(), b"mine");
        if labelled {
            assert_eq!(of(&file, label).unwrap(), b"system_u:object_r:mysqld_etc_t:s0\0");
        }
    }
}
