//! What the bytes mean and how they are kept.
pub mod change;
pub mod clock;
pub mod correction;
pub mod decide;
pub mod digest;
pub mod fold;
pub mod pairing;
pub mod payload;
pub mod position;
pub mod query;
pub mod randomness;
pub mod store;
pub mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod wire;
