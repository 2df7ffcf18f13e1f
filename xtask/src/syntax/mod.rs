//! Parts of Rust sources that several chores look for.
//!
//! | module | holds |
//! |---|---|
//! | `attributes` | attributes of an item, and which of them mark tests |
//! | `docs` | doc comments |
//! | `types` | declared types, and those that are errors |

mod attributes;
mod docs;
mod types;

pub use attributes::{attributes_of, is_test, is_test_only};
pub use docs::{DocComment, doc_comments};
pub use types::{DeclaredType, declared_types, error_types};
