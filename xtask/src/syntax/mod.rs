//! Parts of Rust sources that several chores look for.
//!
//! | module | holds |
//! |---|---|
//! | `attributes` | attributes of an item, and which of them mark tests |
//! | `docs` | doc comments |
//! | `shipped` | sources of a crate that ship |
//! | `types` | declared types, and those that are errors |

mod attributes;
mod docs;
mod shipped;
mod types;

pub use attributes::{attributes_of, is_test, is_test_only};
pub use docs::{DocComment, doc_comments};
pub use shipped::shipped_sources;
pub use types::{DeclaredType, declared_types, error_types};
