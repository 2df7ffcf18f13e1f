//! What the bytes mean and how they are kept.
pub mod change;
pub mod clock;
pub mod control;
pub mod decide;
pub mod digest;
pub mod door;
pub mod fold;
pub mod lifecycle;
pub mod pairing;
pub mod payload;
pub mod position;
pub mod randomness;
pub mod settings;
pub mod store;
pub mod sync;
pub mod tables;
pub mod wire;
