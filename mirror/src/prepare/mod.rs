//! `herdlinx-mirror prepare`: the settings file of a barn's card, with a one-time code by which the barn pairs with this
//! office.
//!
//! # Decisions
//!
//! - **The file is opened first and written last.** So a file that cannot be written costs no code, and a code that the
//!   office did not remember is on no card. Root becomes the owner of the office's files in between; the open file stays
//!   writable.
//! - **A file that exists is not overwritten without a flag.** It may be that of another barn, whose code would be lost.
//! - **The Wi-Fi password comes from a file or standard input**, because all users can read the arguments of a command.
//! - **The text is read back before it is written**, by the parser of the barn. So a mistake in a flag is found here, and
//!   not in the barn.

mod card_flags;
mod new_file;

pub use card_flags::{CardFlags, CardFlagsError};
pub use new_file::{NewFile, NewFileError};

use crate::link::{Address, AddressError};
use crate::sites::SiteName;
use herd::pairing::PairingCode;
use herd::randomness::{Randomness, RandomnessError};
use service::card::{CARD_FILE, CardSecret, site_host_name};
use service::lifecycle::Exit;
use std::path::PathBuf;

/// Port of a barn with default settings.
const BARN_PORT: u16 = 5001;

/// The barn and its card, as flags.
#[derive(Clone, Debug, clap::Args)]
pub struct PrepareFlags {
    /// Name of the barn
    #[arg(long)]
    pub site: SiteName,
    /// Address at which this office looks for the barn; may be repeated [default: herdlinx-SITE.local:5001]
    #[arg(long = "address", value_name = "HOST:PORT")]
    addresses: Vec<Address>,
    /// File to write, for the boot partition of the card
    #[arg(long, value_name = "FILE", default_value = CARD_FILE)]
    pub out: PathBuf,
    /// Overwrite the file if it exists
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    card: CardFlags,
}

/// A prepared barn, before its file is written.
#[derive(Debug)]
pub struct Preparation {
    /// The one-time code.
    pub code: PairingCode,
    /// Addresses at which the office looks for the barn.
    pub addresses: Vec<Address>,
    /// Content of the file.
    pub text: String,
}

/// Reason why a barn cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A flag is wrong.
    #[error(transparent)]
    Flags(#[from] CardFlagsError),
    /// The default address cannot be dialed.
    #[error("{0}; give the address of the barn with --address")]
    Address(#[from] AddressError),
    /// The code could not be generated.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] NewFileError),
}

impl From<&PrepareError> for Exit {
    fn from(error: &PrepareError) -> Self {
        match error {
            PrepareError::Flags(_) | PrepareError::Address(_) => Self::Usage,
            PrepareError::Randomness(_) | PrepareError::File(_) => Self::Failure,
        }
    }
}

impl PrepareFlags {
    /// Generates the code, and the file that carries it.
    pub fn prepare(&self, randomness: &mut dyn Randomness) -> Result<Preparation, PrepareError> {
        let code = PairingCode::generate(randomness)?;
        let addresses = match self.addresses.as_slice() {
            [] => vec![default_address(&self.site)?],
            given => given.to_vec(),
        };
        let mut file = self.card.card_file(&self.site)?;
        file.pairing_code = Some(CardSecret::Given(code.to_string()));
        let text = card_flags::checked_text(&file)?;
        Ok(Preparation { code, addresses, text })
    }
}

fn default_address(site: &SiteName) -> Result<Address, AddressError> {
    format!("{}.local:{BARN_PORT}", site_host_name(site.as_str())).parse()
}

#[cfg(test)]
mod tests;
