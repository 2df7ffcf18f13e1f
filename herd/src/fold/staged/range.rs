//! Ranges of rows, and rows in layers.

/// A range of rows.
#[derive(Clone, Copy, Debug)]
pub struct KeyRange<'a> {
    /// The lowest key.
    pub from: &'a [u8],
    /// The first key above the range; `None` for no upper end.
    pub to: Option<&'a [u8]>,
    /// True for the order from the highest key down.
    pub backwards: bool,
    /// Maximum number of rows.
    pub limit: usize,
}

impl KeyRange<'_> {
    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        key >= self.from && self.to.is_none_or(|to| key < to)
    }
}

/// The value of a row in a layer above others, or `None` if the row is removed there.
pub(crate) type LayerValue<T> = Option<T>;
