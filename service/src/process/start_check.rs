//! A check that a process could start with its settings, as the user and in the place where the check runs.
//!
//! It opens what a start opens, as far as that changes nothing: certificate and key, the state directory with its files,
//! and the port. The port is bound but not listened on, so no peer notices.
//!
//! Decision: a port that the running process of the same state directory holds is free, because a restart frees it. That
//! process is found by its control socket and not asked anything. During an upgrade it is another version, whose
//! responses this one may not understand. Its user is compared with that of the listener in `/proc/net/tcp`. One that starts has
//! no socket while it opens its files, which may take minutes; it is found by their locks.

use super::state_dir::StateDir;
use crate::control::listening_user;
use crate::door::certificate::{CertificateError, Identity};
use crate::lifecycle::Exit;
use crate::settings::TlsSettings;
use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::geteuid;
use std::fs;
use std::io::{self, Read as _, Write};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Kernel tables of TCP sockets, one for each version of IP.
const TCP_TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
/// Maximum size that is read of such a table: 50,000 sockets.
const MAX_TABLE_BYTES: u64 = 8 * 1024 * 1024;
/// State of a listening socket in these tables.
const LISTENING: &str = "0A";

/// Reason why the process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operator's certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The path of the state directory is something else.
    #[error("{} is not a directory; set `state_dir` to another path", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// A file, or the place for it, is on a file system that is read-only for this process.
    #[error(
        "{} is read-only for this process; if systemd runs it, add `ReadWritePaths=` with the directory to its unit \
         (systemctl edit), and restart it",
        path.display()
    )]
    ReadOnly {
        /// The path.
        path: PathBuf,
    },
    /// A file, or the place for it, is not accessible to this user.
    #[error(
        "user {uid} cannot read and write {}: {errno}; give it to that user: chown {uid} {}",
        path.display(),
        path.display()
    )]
    NoAccess {
        /// The path.
        path: PathBuf,
        /// This user.
        uid: u32,
        /// Error of the operating system.
        errno: Errno,
    },
    /// The port needs a capability that this process lacks.
    #[error(
        "user {uid} may not listen on {address}: ports below 1024 need the capability CAP_NET_BIND_SERVICE; the notes on \
         the units say how to give it (\"Another port\")"
    )]
    PrivilegedPort {
        /// The address of the settings.
        address: SocketAddr,
        /// This user.
        uid: u32,
    },
    /// Another program listens on the port.
    #[error("another program listens on {address}; `ss -ltnp` names it. Stop it, or set `listen` to another port")]
    TakenPort {
        /// The address of the settings.
        address: SocketAddr,
    },
    /// The address is not one of this machine.
    #[error("cannot listen on {address}: {errno}; set `listen` to an address of this machine, or to 0.0.0.0")]
    Address {
        /// The address of the settings.
        address: SocketAddr,
        /// Error of the operating system.
        errno: Errno,
    },
}

impl From<&StartError> for Exit {
    fn from(error: &StartError) -> Self {
        match error {
            StartError::Certificate(_) | StartError::NotADirectory { .. } => Self::Usage,
            StartError::ReadOnly { .. } | StartError::NoAccess { .. } => Self::Failure,
            StartError::PrivilegedPort { .. } | StartError::TakenPort { .. } | StartError::Address { .. } => {
                Self::CannotListen
            }
        }
    }
}

/// The settings that decide whether a process can start.
#[derive(Clone, Copy, Debug)]
pub struct StartCheck<'a> {
    /// The state directory.
    pub state_dir: &'a Path,
    /// Files and directories in the state directory that a start opens for writing, if they exist.
    pub files: &'a [&'a str],
    /// The log file, if there is one.
    pub log_file: Option<&'a Path>,
    /// The address of the server.
    pub listen: SocketAddr,
    /// The operator's certificate.
    pub tls: &'a TlsSettings,
}

impl StartCheck<'_> {
    /// Returns the first reason why the process could not start.
    pub fn check(&self) -> Result<(), StartError> {
        if let Some(files) = self.tls.files() {
            Identity::load(files)?;
        }
        self.check_state_dir()?;
        self.check_port()
    }

    /// Prints where the process keeps its data and its log file. Scripts of the packages read these lines.
    pub fn print_places(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "State directory: {}", self.state_dir.display())?;
        self.log_file.map_or(Ok(()), |file| writeln!(out, "Log file: {}", file.display()))
    }

    /// Returns what does not prevent a start but should be known, each as a sentence.
    pub fn notes(&self) -> Vec<String> {
        self.log_file_note().into_iter().chain(self.root_note()).collect()
    }

    /// Returns a note on a log file that cannot be written: the process starts, and logs without it.
    fn log_file_note(&self) -> Option<String> {
        let file = self.log_file?;
        let place = if file.exists() { file } else { file.parent().unwrap_or(Path::new("/")) };
        let error = check_access(place, Access::WRITE_OK).err()?;
        Some(format!("the process would start without its `log_file`: {error}."))
    }

    /// Returns a note if root has checked the files of another user.
    fn root_note(&self) -> Option<String> {
        let owner = fs::metadata(self.state_dir).ok()?.uid();
        (geteuid().is_root() && owner != 0)
            .then(|| format!("root has checked this, but user {owner} runs the service and may open less."))
    }

    fn check_state_dir(&self) -> Result<(), StartError> {
        match fs::metadata(self.state_dir) {
            Ok(found) if !found.is_dir() => {
                return Err(StartError::NotADirectory { path: self.state_dir.into() });
            }
            Ok(_) => {}
            // The start creates it.
            Err(_) => {
                let exists = |place: &&Path| place.exists();
                let place = self.state_dir.ancestors().find(exists).unwrap_or(Path::new("/"));
                return check_access(place, Access::WRITE_OK | Access::EXEC_OK);
            }
        }
        check_access(self.state_dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?;
        let paths = self.files.iter().map(|name| self.state_dir.join(name));
        paths.filter(|path| path.exists()).try_for_each(|path| check_access(&path, Access::READ_OK | Access::WRITE_OK))
    }

    fn check_port(&self) -> Result<(), StartError> {
        let address = self.listen;
        match bind(address) {
            Ok(()) => Ok(()),
            Err(Errno::ADDRINUSE) if self.is_held_by_running_process() => Ok(()),
            Err(Errno::ADDRINUSE) => Err(StartError::TakenPort { address }),
            Err(Errno::ACCESS | Errno::PERM) => Err(StartError::PrivilegedPort { address, uid: geteuid().as_raw() }),
            Err(errno) => Err(StartError::Address { address, errno }),
        }
    }

    /// Returns true if the process of this state directory seems to listen on the port.
    fn is_held_by_running_process(&self) -> bool {
        let directory = StateDir::new(self.state_dir);
        let user = listening_user(&directory.socket()).or_else(|| directory.user_of_files().ok().flatten());
        let Some(user) = user else { return false };
        let tables = TCP_TABLES.iter().filter_map(|table| read_table(table).ok());
        tables.into_iter().any(|table| listeners(&table, self.listen.port()).any(|uid| uid == user))
    }
}

/// Checks access as this user, and on file systems as this process sees them.
fn check_access(path: &Path, wanted: Access) -> Result<(), StartError> {
    match access(path, wanted) {
        Ok(()) => Ok(()),
        Err(Errno::ROFS) => Err(StartError::ReadOnly { path: path.into() }),
        Err(errno) => Err(StartError::NoAccess { path: path.into(), uid: geteuid().as_raw(), errno }),
    }
}

/// Binds the address for a moment, without listening.
fn bind(address: SocketAddr) -> Result<(), Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // As the server does: connections of a process that has just ended do not count.
    set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)
}

fn read_table(path: &str) -> io::Result<String> {
    let mut table = String::new();
    fs::File::open(path)?.take(MAX_TABLE_BYTES).read_to_string(&mut table)?;
    Ok(table)
}

/// Returns the users of the sockets that listen on `port`, from one of the kernel's tables.
fn listeners(table: &str, port: u16) -> impl Iterator<Item = u32> {
    table.lines().skip(1).filter_map(move |line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (local, state, uid) = (fields.get(1)?, fields.get(3)?, fields.get(7)?);
        let found = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        (found == port && *state == LISTENING).then(|| uid.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::LOCAL_FILE;
    use herd::store::LOG_FILE;
    use std::net::{Ipv4Addr, TcpListener};
    use std::os::unix::net::UnixListener;

    const NO_TLS: TlsSettings = TlsSettings { certificate: None, key: None };

    fn check_of(state_dir: &Path, port: u16) -> StartCheck<'_> {
        let listen = (Ipv4Addr::LOCALHOST, port).into();
        StartCheck { state_dir, files: &["log.redb"], log_file: None, listen, tls: &NO_TLS }
    }

    /// Catches a check that writes: it would create files that belong to whoever runs it.
    #[test]
    fn a_free_port_and_a_directory_to_be_created_pass_and_nothing_is_created() {
        let place = tempfile::tempdir().unwrap();
        let state_dir = place.path().join("deep/state");
        check_of(&state_dir, 0).check().unwrap();
        assert_eq!(place.path().read_dir().unwrap().count(), 0);
    }

    /// Catches a check that fails during every upgrade or every long start, and one that takes a foreign program for our own.
    #[test]
    fn a_taken_port_passes_only_if_the_process_of_the_state_directory_holds_it() {
        let place = tempfile::tempdir().unwrap();
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let check = check_of(place.path(), held.local_addr().unwrap().port());
        assert!(matches!(check.check(), Err(StartError::TakenPort { .. })));
        let control = UnixListener::bind(StateDir::new(place.path()).socket()).unwrap();
        check.check().unwrap();
        drop(control);
        let local = fs::File::create(place.path().join(LOCAL_FILE)).unwrap();
        assert!(matches!(check.check(), Err(StartError::TakenPort { .. })), "nobody has its files open");
        local.lock().unwrap();
        check.check().unwrap();
        drop(local);
        // A process leaves `local.redb` closed if it is damaged.
        let log = fs::File::create(place.path().join(LOG_FILE)).unwrap();
        log.lock().unwrap();
        check.check().unwrap();
    }

    /// Catches a check that passes although the server cannot bind.
    #[test]
    fn an_address_of_another_machine_is_refused_with_the_code_of_listening() {
        let place = tempfile::tempdir().unwrap();
        // From the block for documentation (RFC 5737).
        let check = StartCheck { listen: ([192, 0, 2, 1], 0).into(), ..check_of(place.path(), 0) };
        let refused = check.check().unwrap_err();
        assert!(matches!(refused, StartError::Address { .. }), "{refused}");
        assert_eq!(Exit::from(&refused), Exit::CannotListen);
    }

    /// Catches a script of the packages that finds no data, and a log file that is missing without a word.
    #[test]
    fn the_places_are_printed_and_a_log_file_that_cannot_be_written_is_noted() {
        let place = tempfile::tempdir().unwrap();
        let (good, bad) = (place.path().join("log"), place.path().join("none/log"));
        let with_log = |log_file| StartCheck { log_file, ..check_of(place.path(), 0) };
        let printed = |check: &StartCheck<'_>| {
            let mut out = Vec::new();
            check.print_places(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let state = format!("State directory: {}\n", place.path().display());
        assert_eq!(printed(&with_log(None)), state);
        assert_eq!(printed(&with_log(Some(&good))), format!("{state}Log file: {}\n", good.display()));
        assert_eq!((with_log(None).notes(), with_log(Some(&good)).notes()), (vec![], vec![]));
        fs::write(&good, "").unwrap();
        assert_eq!(with_log(Some(&good)).notes(), [""; 0]);
        let [note] = with_log(Some(&bad)).notes().try_into().unwrap();
        assert!(
            note.starts_with("the process would start without its `log_file`: ") && note.contains("none"),
            "{note}"
        );
    }

    /// Catches a check by root that passes where the service fails, and a warning of that where there is no such difference.
    #[test]
    fn only_root_is_told_that_it_checked_the_files_of_another_user() {
        let place = tempfile::tempdir().unwrap();
        let notes = || check_of(place.path(), 0).notes().join("\n");
        assert_eq!(notes(), "");
        if !geteuid().is_root() {
            println!("SKIPPED: only root can give a directory away");
            return;
        }
        std::os::unix::fs::chown(place.path(), Some(4_711), None).unwrap();
        assert!(notes().contains("user 4711 runs the service"), "{}", notes());
    }

    /// Catches a check that says nothing of a certificate that the server cannot use.
    #[test]
    fn the_operators_certificate_is_loaded() {
        let place = tempfile::tempdir().unwrap();
        let missing = |name: &str| Some(place.path().join(name));
        let tls = TlsSettings { certificate: missing("barn.crt"), key: missing("barn.key") };
        let refused = StartCheck { tls: &tls, ..check_of(place.path(), 0) }.check().unwrap_err();
        assert!(matches!(refused, StartError::Certificate(_)) && Exit::from(&refused) == Exit::Usage, "{refused}");
    }

    #[test]
    fn a_file_in_the_place_of_the_state_directory_is_refused() {
        let place = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(check_of(place.path(), 0).check(), Err(StartError::NotADirectory { .. })));
    }

    /// Catches a parser that takes a connection for a listener, or another port for this one.
    #[test]
    fn only_listeners_on_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 00000000:1389 00000000:0000 0A 00000000:00000000 00:00000000 00000000   995        0 1 1 0 100 0 0 10 0\n   \
            1: 0100007F:1389 0100007F:D431 01 00000000:00000000 00:00000000 00000000   995        0 2 1 0 20 4 30 10 -1\n   \
            2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0\n";
        assert_eq!(listeners(table, 5001).collect::<Vec<_>>(), [995]);
        assert_eq!(listeners(table, 22).collect::<Vec<_>>(), [0]);
        assert_eq!(listeners(table, 443).count(), 0);
        assert_eq!(listeners("", 443).count(), 0);
    }
}
