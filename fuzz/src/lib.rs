//! Parts that the fuzz targets share. Each target is a file of `targets/`, and says in its header what it asserts.
//!
//! | module | holds |
//! |---|---|
//! | [`script`] | the bytes of the fuzzer as a script of numbers and pieces, for targets that build their input |
//! | [`seeds`] | the first inputs of a corpus, made of what the repository holds |
//! | [`formats`] | rows of the log and records of the journal, encoded as their documentation says |
//! | [`source`] | the log of a barn |
//! | [`settings`] | settings files: how a target loads one, and what every error must name |

pub mod formats;
pub mod script;
pub mod seeds;
pub mod settings;
pub mod source;
