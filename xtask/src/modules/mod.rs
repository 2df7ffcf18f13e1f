//! The modules of a crate, and which of them use each other.
//!
//! A crate's modules form a tree. A module uses another one if a `use` or a path in its code names an item of it. A
//! name that a module only re-exports counts as an item of the module that defines it. So a parent that declares and
//! re-exports its children stands in nobody's way.
//!
//! Two modules are compared where their paths part: below their closest common ancestor, each counts as one part
//! together with everything inside it. A use between a module and its own ancestor is left out, because a child is a
//! part of its parent. A circle is a set of sibling parts that all reach each other.
//!
//! Comparing files instead would miss a circle between two folders that runs through four files. Counting ancestors
//! would report every child that uses a type of its parent.
//!
//! Names are resolved without the compiler. Macros that other macros define, items that macros make, and names that
//! come through a glob import of another crate are not seen.
//!
//! | module | holds |
//! |---|---|
//! | `collect` | items, imports and uses of each module |
//! | `names` | paths as they stand in the code |
//! | `resolve` | from a path to the module that defines its item |
//! | `circles` | uses between sibling parts, and their circles |

mod circles;
mod collect;
mod names;
mod resolve;

pub use circles::{Circle, Link, circles};
pub use collect::CrateModules;
pub use names::{ModulePath, Name};
