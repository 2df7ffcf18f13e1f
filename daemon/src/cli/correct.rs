//! The command line of `herdlinxd correct`.

use clap::{Subcommand, ValueEnum};
use herd::change::TagKind;
use herd::correction::{CorrectionForm, Kilograms};

/// A correction as its flags; [`CorrectionForm`] is the same as JSON.
#[derive(Clone, Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub(super) enum CorrectCommand {
    /// Void an event: recompute its animal without it
    Void {
        /// Id of the payload
        #[arg(long)]
        payload: u64,
    },
    /// Merge two animals; on a conflict the first one's tag wins
    Merge {
        /// The animal to keep
        #[arg(long)]
        animal: u64,
        /// The animal to merge into it
        #[arg(long)]
        absorbed: u64,
    },
    /// Replace or remove a tag of an animal
    Retag {
        /// Id of the animal
        #[arg(long)]
        animal: u64,
        /// Kind of the tag
        #[arg(long, value_enum)]
        tag_kind: TagKindArg,
        /// The new tag [default: remove the tag]
        #[arg(long)]
        tag: Option<String>,
    },
    /// Move an animal to another pen
    MovePen {
        /// Id of the animal
        #[arg(long)]
        animal: u64,
        /// The pen
        #[arg(long)]
        pen: String,
    },
    /// Move an animal to another barn batch, creating the batch if none of that number is open
    MoveBatch {
        /// Id of the animal
        #[arg(long)]
        animal: u64,
        /// Number of the batch
        #[arg(long)]
        batch_number: String,
    },
    /// Record a weight
    Weigh {
        /// Id of the animal
        #[arg(long)]
        animal: u64,
        /// Weight in decimal kilograms, up to 2,000
        #[arg(long)]
        weight_kg: String,
        /// Change of the weighing that this one replaces, at its time
        #[arg(long, conflicts_with = "weighed_at")]
        replaces: Option<u64>,
        /// Time of the weighing, such as 2026-05-04T08:30:00Z [default: now]
        #[arg(long)]
        weighed_at: Option<String>,
    },
    /// Record the death of an animal
    Died {
        /// Id of the animal
        #[arg(long)]
        animal: u64,
    },
    /// Close a batch: new reads no longer join it
    CloseBatch {
        /// Id of the batch (not its number)
        #[arg(long)]
        batch: u64,
    },
    /// Replace or remove the notes of a batch
    EditBatch {
        /// Id of the batch (not its number)
        #[arg(long)]
        batch: u64,
        /// The new notes [default: remove the notes]
        #[arg(long)]
        notes: Option<String>,
    },
    /// Accept a rejected or voided payload as an event
    AcceptRejected {
        /// Id of the payload
        #[arg(long)]
        payload: u64,
        /// The animal of the event, if its lid and tags disagree or are missing
        #[arg(long)]
        animal: Option<u64>,
        /// The batch of the event, if its number is missing or wrong
        #[arg(long)]
        batch_number: Option<String>,
    },
    /// Start a new reader era after readers were replaced or reset
    NewReaderEra {
        /// The group, as named by `reader_group` in the settings
        #[arg(long = "group", alias = "reader_group")]
        reader_group: String,
        /// Id of the first payload of the era: payloads from it on are moved there [default: only new payloads]
        #[arg(long, value_name = "PAYLOAD")]
        from: Option<u64>,
    },
}

/// A [`TagKind`] as an argument.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TagKindArg {
    /// Low frequency, ISO 11784
    Lf,
    /// Ultra high frequency, an EPC
    Epc,
}

impl From<TagKindArg> for TagKind {
    fn from(kind: TagKindArg) -> Self {
        match kind {
            TagKindArg::Lf => Self::Lf,
            TagKindArg::Epc => Self::Epc,
        }
    }
}

impl From<CorrectCommand> for CorrectionForm {
    fn from(command: CorrectCommand) -> Self {
        use CorrectCommand as Args;
        match command {
            Args::Void { payload } => Self::Void { payload },
            Args::Merge { animal, absorbed } => Self::Merge { animal, absorbed },
            Args::Retag { animal, tag_kind, tag } => Self::Retag { animal, tag_kind: tag_kind.into(), tag },
            Args::MovePen { animal, pen } => Self::MovePen { animal, pen },
            Args::MoveBatch { animal, batch_number } => Self::MoveBatch { animal, batch_number },
            Args::Weigh { animal, weight_kg, replaces, weighed_at } => {
                Self::Weigh { animal, weight_kg: Kilograms(weight_kg), replaces, weighed_at }
            }
            Args::Died { animal } => Self::Died { animal },
            Args::CloseBatch { batch } => Self::CloseBatch { batch },
            Args::EditBatch { batch, notes } => Self::EditBatch { batch, notes },
            Args::AcceptRejected { payload, animal, batch_number } => {
                Self::AcceptRejected { payload, animal, batch_number }
            }
            Args::NewReaderEra { reader_group, from } => Self::NewReaderEra { reader_group, from },
        }
    }
}
