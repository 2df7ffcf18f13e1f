//! Encoding into a vector.

use postcard::ser_flavors::Flavor;
use serde::Serialize;

/// Appends what is encoded. [`postcard::to_extend`] appends byte by byte, which took longer than all the rest of it.
struct Appended(Vec<u8>);

impl Flavor for Appended {
    type Output = Vec<u8>;

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // Most numbers take one byte, which is pushed without a call.
        match bytes {
            [byte] => self.0.push(*byte),
            bytes => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// Appends an encoded value to `to`.
///
/// # Panics
/// Never for bodies of changes and rows of tables: each of their types has a postcard form.
pub(crate) fn encode<T: Serialize>(value: &T, to: Vec<u8>) -> Vec<u8> {
    postcard::serialize_with_flavor(value, Appended(to))
        .expect("postcard into a vector fails only for sequences of unknown length, and there are none here")
}
