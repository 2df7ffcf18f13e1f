//! Root works on the files of a state directory as the user whom they belong to, and runs nothing on them itself.
//!
//! A service has a user of its own. What root made in its directory as root, that service could not open at its next
//! start; and a link that this user laid there must not lead root anywhere.

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::fs::metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Why root could not become the owner of the files.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The directory could not be looked at.
    #[error("asking whom {} belongs to: {source}", path.display())]
    Unknown {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A process that stays would be root's, and what it makes too.
    #[error(
        "{} belongs to user {uid}, and what root writes there its service could not open: start the service \
         (systemctl start), or run this as that user (sudo -u '#{uid}'), or give a `state_dir` of root's",
        path.display()
    )]
    RunByRoot {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// The system said no.
    #[error("becoming user {uid}, whom {} belongs to: {errno}; run the command as that user", path.display())]
    Refused {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// What the system said.
        errno: Errno,
    },
}

/// Where root calls and `directory` belongs to another user, this thread is that user from now on, without further
/// groups. There is no way back, and other threads stay what they are: call it before there are any.
pub(super) fn become_owner_of(directory: &Path) -> Result<(), OwnerError> {
    let Some((uid, gid)) = other_owner(directory)? else { return Ok(()) };
    // The user comes last: it may not change groups.
    set_thread_groups(&[])
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid))
        .map_err(|errno| OwnerError::Refused { path: directory.into(), uid: uid.as_raw(), errno })
}

/// Refuses a process that would run as root on the files of another user: it would need that user's groups for its
/// devices, and have no limits of its unit's.
pub fn refuse_root_on(directory: &Path) -> Result<(), OwnerError> {
    match other_owner(directory)? {
        None => Ok(()),
        Some((uid, _)) => Err(OwnerError::RunByRoot { path: directory.into(), uid: uid.as_raw() }),
    }
}

/// Where root calls, whom the directory belongs to, if that is somebody else.
fn other_owner(directory: &Path) -> Result<Option<(Uid, Gid)>, OwnerError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let found = match metadata(directory) {
        Ok(found) => found,
        // Whoever makes it owns it. A service manager gives it to the service's user at the first start.
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

    /// Nobody in particular.
    const STRANGER: u32 = 54_321;

    /// A directory of that owner's, and who owns a file that root made in it.
    fn owner_of_a_new_file_in_a_directory_of(owner: u32) -> u32 {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        let directory = place.path().join("state");
        fs::create_dir(&directory).unwrap();
        chown(&directory, Some(owner), Some(owner)).unwrap();
        // The change of user ends with its thread.
        let made = std::thread::spawn(move || {
            become_owner_of(&directory).unwrap();
            let file = directory.join("made");
            fs::write(&file, b"").unwrap();
            metadata(&file).unwrap().uid()
        });
        made.join().unwrap()
    }

    #[test]
    fn what_root_makes_in_the_directory_of_another_user_is_that_users() {
        if !geteuid().is_root() {
            println!("SKIPPED: only root can be shown to become another user");
            return;
        }
        assert_eq!(owner_of_a_new_file_in_a_directory_of(STRANGER), STRANGER);
        assert_eq!(owner_of_a_new_file_in_a_directory_of(0), 0);
    }

    #[test]
    fn root_runs_nothing_on_the_files_of_another_user() {
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

    #[test]
    fn a_directory_that_is_not_there_is_nobodys() {
        let place = tempfile::tempdir().unwrap();
        refuse_root_on(&place.path().join("none")).unwrap();
        become_owner_of(&place.path().join("none")).unwrap();
        assert!(place.path().read_dir().is_ok_and(|mut entries| entries.next().is_none()));
    }
}
