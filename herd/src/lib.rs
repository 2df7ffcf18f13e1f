//! Data model and storage: the meaning of the bytes that readers send, and the files that keep them.
//!
//! A barn records RFID reads from cattle chutes, and an office keeps a live copy of them. Both programs use this crate.
//! It parses payloads, decides about them, stores the decisions and answers queries. It opens no sockets and drives no
//! radios.
//!
//! # The log is the truth, the tables are its shadow
//!
//! The barn decides once about each payload: whose animal it is, which batch it belongs to, or why it is rejected. It
//! writes the raw bytes and the decision to a log as one [`Change`](change::Change). Changes are numbered without gaps,
//! chained by a digest, and never altered.
//!
//! A pure function, the [fold](mod@fold), turns the log into tables of animals and batches. It parses nothing and
//! rejects nothing; all judgment is already in the change. The office receives the same log and runs the same fold, so
//! its tables are equal by construction. Two [digests](digest) prove it. Damaged tables are deleted and rebuilt from
//! the log.
//!
//! # Modules, in reading order
//!
//! From the bytes of a reader to the tables:
//!
//! - [`payload`]: the grammar. Bytes become an event, or a rejection with its reason.
//! - [`change`]: the decisions that the log holds, and their frozen encoding.
//! - [`decide`]: the decision about a payload or a correction. Only the barn runs it.
//! - [`mod@fold`]: the effect of a change on the tables. Barn and office run it.
//! - [`tables`]: the tables, with their keys and rows.
//! - [`text`]: the short texts that all of these hold.
//!
//! Files and replication:
//!
//! - [`position`]: a place in a log, which identifies the log as well.
//! - [`digest`]: the digests of log and tables.
//! - [`store`]: the files, with one writer and many readers.
//! - [`wire`]: the messages between a source and its followers.
//! - [`backup`]: the log as one file, and the way back.
//! - [`recover`]: a damaged log, from the rows that are whole.
//! - [`pairing`]: the line of text that connects an office to a barn.
//!
//! Queries and corrections:
//!
//! - [`query`]: lists, histories and totals for pages and the API.
//! - [`catalog`]: an index in memory, for what an office asks and the tables do not say.
//! - [`correction`]: corrections as people write them.
//!
//! Traits that a simulated world implements itself:
//!
//! - [`clock`] and [`randomness`]. The disk of a store is another one: [`store::Disk`].
//!
//! # Example
//!
//! A barn records a read, and a replica applies the barn's log:
//!
//! ```
//! use herd::change::Origin;
//! use herd::clock::RawReading;
//! use herd::decide::Rules;
//! use herd::position::StoreId;
//! use herd::store::{Incoming, MemoryDisk, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let start = RawReading { received_at_us: 1_768_471_200_000_000, synchronized: true, since_boot_ms: 0 };
//! let mut barn = Store::open_source(&MemoryDisk::default(), Rules::default(), start.in_boot(1), || StoreId([7; 16]))?;
//!
//! // A reader at the chute saw an animal with two ear tags in batch LOT7.
//! let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
//! let raw = b"hxb:LOT7:124000224161433:30143B7C84D5".to_vec();
//! barn.append(&[Incoming { raw, origin, at: start }])?;
//!
//! let found = barn.reader().snapshot()?.batch_by_number("LOT7")?.ok_or("LOT7 exists")?;
//! assert_eq!(found.batch.cattle_count, 1);
//!
//! // The replica asks for the changes after its own position and applies them.
//! let mut office = Store::open_replica(&MemoryDisk::default(), barn.reader().store())?;
//! let run = barn.reader().run_after(office.head().position, 100, 64 * 1024)?;
//! office.apply(run)?;
//! // The tables follow the log. In a quiet minute they are in step with it.
//! office.settle()?;
//!
//! // Equal digests prove that both hold the same log and the same tables.
//! assert_eq!(office.head().position.digest, barn.head().position.digest);
//! assert_eq!(office.head().fold_digest, barn.head().fold_digest);
//! # Ok(())
//! # }
//! ```

pub mod backup;
pub mod catalog;
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
pub mod recover;
pub mod store;
pub mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod wire;
