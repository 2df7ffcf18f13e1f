//! The records that pages correct, and the corrections that they have forms for.

use crate::pages::frame::Section;

/// A record that a page shows, and that its forms correct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pages) enum Subject {
    /// Animal with this id.
    Animal(u64),
    /// Batch with this id.
    Batch(u64),
    /// Change that holds a payload.
    Payload(u64),
}

impl Subject {
    /// Returns the path of its page, below the site.
    pub(super) fn path(self) -> String {
        match self {
            Self::Animal(id) => format!("/animals/{id}"),
            Self::Batch(id) => format!("/batches/by-id/{id}"),
            Self::Payload(sequence) => format!("/payloads/{sequence}"),
        }
    }

    /// Returns its name within a sentence.
    pub(super) fn name(self) -> String {
        match self {
            Self::Animal(id) => format!("animal {id}"),
            Self::Batch(id) => format!("the batch with id {id}"),
            Self::Payload(sequence) => format!("payload {sequence}"),
        }
    }

    /// Returns the section of its page.
    pub(super) fn section(self) -> Section {
        match self {
            Self::Animal(_) => Section::Animals,
            Self::Batch(_) => Section::Batches,
            Self::Payload(_) => Section::Reads,
        }
    }

    /// Returns the actions that are possible for it.
    pub(in crate::pages) fn actions(self) -> &'static [Action] {
        match self {
            Self::Animal(_) => &[
                Action::Weigh,
                Action::Reweigh,
                Action::Retag,
                Action::MovePen,
                Action::MoveBatch,
                Action::Died,
                Action::Merge,
            ],
            Self::Batch(_) => &[Action::EditBatch, Action::CloseBatch],
            Self::Payload(_) => &[Action::Void, Action::Accept],
        }
    }
}

/// A correction that has a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pages) enum Action {
    Weigh,
    Reweigh,
    Retag,
    MovePen,
    MoveBatch,
    Died,
    Merge,
    EditBatch,
    CloseBatch,
    Void,
    Accept,
}

impl Action {
    /// Returns the name in the form.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Weigh => "weigh",
            Self::Reweigh => "reweigh",
            Self::Retag => "retag",
            Self::MovePen => "move_pen",
            Self::MoveBatch => "move_batch",
            Self::Died => "died",
            Self::Merge => "merge",
            Self::EditBatch => "edit_batch",
            Self::CloseBatch => "close_batch",
            Self::Void => "void",
            Self::Accept => "accept",
        }
    }

    /// Returns the text of the button.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Weigh => "Record a weight",
            Self::Reweigh => "Correct a weight",
            Self::Retag => "Change a tag",
            Self::MovePen => "Move to a pen",
            Self::MoveBatch => "Move to a batch",
            Self::Died => "Record its death",
            Self::Merge => "Merge another animal",
            Self::EditBatch => "Write notes",
            Self::CloseBatch => "Close the batch",
            Self::Void => "Void the event",
            Self::Accept => "Accept as an event",
        }
    }

    /// Returns the effect of the correction, if the label does not say it all.
    pub(super) fn effect(self) -> &'static str {
        match self {
            Self::Reweigh => "The new weight takes the time of the one that it replaces.",
            Self::Retag => "The old tag stays in the history.",
            Self::MoveBatch => "A number that no open batch has opens a new one.",
            Self::Died => "A dead animal is in no batch.",
            Self::Merge => {
                "For two animals that are one. The other's tags, batches and history become part of this one."
            }
            Self::CloseBatch => "New reads of its number no longer join it.",
            Self::Void => "Its animals become as if the event had not happened.",
            Self::Accept => "Its event keeps the time at which it was received.",
            Self::Weigh | Self::MovePen | Self::EditBatch => "",
        }
    }
}
