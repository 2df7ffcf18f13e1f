//! Root works on the files of a state directory as their owner, and does not run the service on them.
//!
//! A service has a user of its own, and could not open at its next start what root creates as root. Nor may a symbolic
//! link that this user planted lead root anywhere. So a command of root's becomes the owner first, and `run` as root
//! on another user's files is refused.

use crate::lifecycle::Exit;
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::fs::metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Reason why root could not become the owner of the files.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The owner is unknown.
    #[error("cannot read the owner of {}: {source}", path.display())]
    Unknown {
        /// The directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The service would run as root, and what it creates would belong to root.
    #[error(
        "{} belongs to user {uid}, whose service cannot open what root creates there: start the service \
         (systemctl start), or run this as that user (sudo -u '#{uid}'), or set a `state_dir` that belongs to root",
        path.display()
    )]
    RunByRoot {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// The operating system refused.
    #[error("cannot become user {uid}, the owner of {}: {errno}; run the command as that user", path.display())]
    Refused {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Error of the operating system.
        errno: Errno,
    },
}

impl From<&OwnerError> for Exit {
    fn from(error: &OwnerError) -> Self {
        match error {
            OwnerError::RunByRoot { .. } => Self::Usage,
            OwnerError::Unknown { .. } | OwnerError::Refused { .. } => Self::Failure,
        }
    }
}

/// Makes this thread the owner of `directory`, without further groups, if the caller is root and the owner is not.
///
/// There is no way back, and other threads stay root: call it before there are any.
pub fn become_owner_of(directory: &Path) -> Result<(), OwnerError> {
    let Some((uid, gid)) = other_owner(directory)? else { return Ok(()) };
    // The user comes last: other users cannot change groups.
    set_thread_groups(&[])
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid))
        .map_err(|errno| OwnerError::Refused { path: directory.into(), uid: uid.as_raw(), errno })
}

/// Refuses to run as root on the files of another user.
///
/// Becoming that user would not do: the process needs its groups for devices, and the limits of its unit.
pub fn refuse_root_on(directory: &Path) -> Result<(), OwnerError> {
    match other_owner(directory)? {
        None => Ok(()),
        Some((uid, _)) => Err(OwnerError::RunByRoot { path: directory.into(), uid: uid.as_raw() }),
    }
}

/// Returns the owner of the directory, if the caller is root and the owner is not.
fn other_owner(directory: &Path) -> Result<Option<(Uid, Gid)>, OwnerError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let found = match metadata(directory) {
        Ok(found) => found,
        // Its creator will own it; a service manager hands it to the service's user at the first start.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OwnerError::Unknown { path: directory.into(), source }),
    };
    let (uid, gid) = (Uid::from_raw(found.uid()), Gid::from_raw(found.gid()));
    Ok((!uid.is_root()).then_some((uid, gid)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown};

    /// A user that no system has.
    const STRANGER: u32 = 54_321;

    /// Creates a file as root in a directory of `owner`, and returns the owner of the file.
    fn owner_of_a_new_file_in_a_directory_of(owner: u32) -> u32 {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        let directory = place.path().join("state");
        fs::create_dir(&directory).unwrap();
        chown(&directory, Some(owner), Some(owner)).unwrap();
        // The thread is the user, so the change ends with it.
        let made = std::thread::spawn(move || {
            become_owner_of(&directory).unwrap();
            let file = directory.join("made");
            fs::write(&file, b"").unwrap();
            metadata(&file).unwrap().uid()
        });
        made.join().unwrap()
    }

    #[test]
    fn root_creates_files_as_the_owner_of_the_directory() {
        if !geteuid().is_root() {
            println!("SKIPPED: only root can become another user");
            return;
        }
        assert_eq!(owner_of_a_new_file_in_a_directory_of(STRANGER), STRANGER);
        assert_eq!(owner_of_a_new_file_in_a_directory_of(0), 0);
    }

    #[test]
    fn root_does_not_run_on_the_files_of_another_user() {
        if !geteuid().is_root() {
            println!("SKIPPED: only root can give a directory away");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        refuse_root_on(place.path()).unwrap();
        chown(place.path(), Some(STRANGER), Some(STRANGER)).unwrap();
        let refused = refuse_root_on(place.path()).unwrap_err();
        assert!(matches!(refused, OwnerError::RunByRoot { uid: STRANGER, .. }));
    }

    /// Catches a service that runs as root because nobody could look whose files they are.
    #[test]
    fn a_directory_whose_owner_cannot_be_read_is_refused() {
        if !geteuid().is_root() {
            println!("SKIPPED: only root asks for the owner");
            return;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = refuse_root_on(&file.path().join("below")).unwrap_err();
        assert!(matches!(refused, OwnerError::Unknown { .. }), "{refused}");
    }

    #[test]
    fn a_missing_directory_has_no_owner() {
        let place = tempfile::tempdir().unwrap();
        refuse_root_on(&place.path().join("none")).unwrap();
        become_owner_of(&place.path().join("none")).unwrap();
        assert!(place.path().read_dir().is_ok_and(|mut entries| entries.next().is_none()));
    }
}
