//! The control protocol of `herdlinx-mirror`: requests of the command line, and responses of the running mirror or the
//! files.

use crate::give_back::{GiveBackCursor, GiveBackProgress};
use crate::link::Address;
use crate::people::command::{UserRequest, UserResponse};
use crate::sites::{PreparedSummary, SiteName, SiteSummary};
use serde::{Deserialize, Serialize};
use service::backup::{BackupRequest, BackupResponse};
use service::control::Request;
use service::door::key_command::{KeyRequest, KeyResponse};
use service::show::{ShowRequest, ShowResponse};
use service::verify::VerifyState;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A request to the mirror.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OfficeRequest {
    /// State of the process and of its sites. Only the running process knows.
    Status,
    /// Pairs with a barn.
    Add {
        /// The pairing line of the barn, which holds a key.
        line: String,
        /// Name of the site; the barn's own by default.
        name: Option<SiteName>,
        /// File of certificates to trust instead of the pinned key, as an absolute path.
        authority: Option<PathBuf>,
        /// Addresses of the barn; those of the line if empty.
        addresses: Vec<Address>,
    },
    /// Creates a key for another office that follows the copy of a site here, and returns the pairing line with it.
    Pair {
        /// Name of the site.
        site: String,
        /// Name of the key.
        name: Option<String>,
    },
    /// Remembers a barn whose card is being prepared, and looks for it.
    Prepare {
        /// Name of the barn.
        site: SiteName,
        /// Its one-time code.
        code: String,
        /// Addresses at which it is looked for.
        addresses: Vec<Address>,
    },
    /// Forgets a prepared barn that has not paired, else a site.
    Remove {
        /// Name of the site.
        site: String,
    },
    /// Copies a site again from the start.
    Resync {
        /// Name of the site.
        site: String,
    },
    /// Discards the copy that a resync has started.
    CancelResync {
        /// Name of the site.
        site: String,
    },
    /// Verifies the copy of a site.
    Verify {
        /// Name of the site.
        site: String,
        /// Start a verification unless one is running, else only return the state.
        start: bool,
    },
    /// Reads the copy of a site for a backup.
    Backup {
        /// Name of the site.
        site: String,
        /// Read the kept copy that holds what nobody else does, instead of the served one.
        #[serde(default)]
        only_here: bool,
        /// The part to read.
        part: BackupRequest,
    },
    /// Gives back to the barn what only this office holds, a page at a time.
    GiveBack {
        /// Name of the site.
        site: String,
        /// Name of the person who gives back.
        author: String,
        /// Reason for it.
        reason: String,
        /// Place to go on from; `None` at the beginning.
        cursor: Option<GiveBackCursor>,
    },
    /// Shows what the copy of a site holds.
    Show {
        /// Name of the site; the only one by default.
        site: Option<String>,
        /// The list or change to show.
        request: ShowRequest,
    },
    /// Manages API keys.
    Key(KeyRequest),
    /// Manages users.
    User(UserRequest),
}

/// The response to an [`OfficeRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfficeResponse {
    /// To [`OfficeRequest::Status`].
    Status(OfficeStatus),
    /// To [`OfficeRequest::Add`].
    Paired(PairedResponse),
    /// To [`OfficeRequest::Pair`]: the pairing line, which holds a key.
    PairingLine(String),
    /// To [`OfficeRequest::Prepare`].
    Prepared,
    /// To [`OfficeRequest::Remove`], if the barn had not paired.
    Canceled,
    /// To [`OfficeRequest::Remove`].
    Removed {
        /// Directory that the copies were moved to, if there were any.
        moved_to: Option<PathBuf>,
    },
    /// To [`OfficeRequest::Resync`].
    CopyStarted {
        /// Directory of the new copy.
        copy: String,
    },
    /// To [`OfficeRequest::CancelResync`].
    CopyCanceled {
        /// Directory that the copy was in.
        copy: String,
    },
    /// To [`OfficeRequest::Verify`].
    Verify(VerifyState),
    /// To [`OfficeRequest::Backup`].
    Backup(BackupResponse),
    /// To [`OfficeRequest::GiveBack`].
    GivenBack(GiveBackProgress),
    /// To [`OfficeRequest::Show`].
    Shown(ShowResponse),
    /// To [`OfficeRequest::Key`].
    Key(KeyResponse),
    /// To [`OfficeRequest::User`].
    User(UserResponse),
}

impl Request for OfficeRequest {
    type Response = OfficeResponse;
}

/// State of a running mirror. `herdlinx-mirror status` prints it as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OfficeStatus {
    /// Process id.
    pub pid: u32,
    /// Address of the HTTPS server.
    pub listen: SocketAddr,
    /// The sites, ordered by name.
    pub sites: Vec<SiteSummary>,
    /// Barns that were prepared and have not paired, ordered by name.
    pub prepared: Vec<PreparedSummary>,
}

/// A site that was paired, or whose pairing was renewed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PairedResponse {
    /// Name of the site.
    pub site: SiteName,
    /// True unless the site was paired before.
    pub is_new: bool,
    /// Parts of an earlier pairing that changed.
    pub changed: Vec<String>,
    /// Addresses of the barn, most likely first.
    pub addresses: Vec<Address>,
    /// Proof of identity that the barn has to give, in words.
    pub trust: String,
    /// Addresses of the line that cannot be used, with the reason.
    pub unusable: Vec<String>,
}
