//! The proofs of a one-time code, by which an office and a barn that have never met recognize each other.
//!
//! `B` and `O` are the SHA-256 of the barn's and the office's public TLS key, `K` is the [`CodeKey`]. The office connects
//! by TLS to whoever answers at the barn's address. The handshake proves that the peer holds the private key of `B`.
//!
//! ```text
//! office -> barn   O, office name,              MAC(K, "herdlinx pair 1 office" || B || O || name)
//! barn -> office   site, store id, addresses,   MAC(K, "herdlinx pair 1 barn" || B || O || store || site || addresses)
//! both derive      the office's API key:        MAC(K, "herdlinx pair 1 api key" || B || O)
//! ```
//! The MAC is keyed BLAKE3. A text is preceded by its length and a list by its count, each as u32 LE, so no two inputs
//! have equal bytes. The labels keep a proof from being sent back, or used as a key.
//!
//! # Decisions
//!
//! - **The barn checks the office's proof over its own `B`.** If somebody stands in between, the office sees another key
//!   than the barn has, and the proofs differ. Neither side then reveals anything that helps a third one.
//! - **The barn proves itself before the office trusts `B`.** An office that follows a stranger would show forged animals.
//! - **No secret travels.** The API key is derived on both sides. So a lost answer can be asked for again, and recording
//!   the exchange is worth nothing: a proof holds for one pair of keys only, and the code has 160 bits.
//! - **No nonce.** A proof that is replayed from another connection is right only for the same `B` and `O`, and then it
//!   asks for an answer that gives nothing away. An answer is only believed on a connection to the holder of `B`.
//! - **`O` is the name of the office, not a login**: it lets the same office repeat, and shows which one has paired. A
//!   client certificate was rejected: whoever has the code may pair anyway, and every server in front would have to pass
//!   it on.
//! - **Rejected: TLS with a pre-shared key**, which rustls does not offer. **Rejected: the code as the API key**: the
//!   first one who answers to the barn's name would get it. **Rejected: a PAKE**; see [`PairingCode`](super::PairingCode).

use super::code::CodeKey;
use crate::position::StoreId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

const OFFICE_LABEL: &[u8] = b"herdlinx pair 1 office";
const BARN_LABEL: &[u8] = b"herdlinx pair 1 barn";
const API_KEY_LABEL: &[u8] = b"herdlinx pair 1 api key";

/// SHA-256 of a public key in DER form (`SubjectPublicKeyInfo`). `Display` writes it in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// The public keys of both ends of a pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprints {
    /// Fingerprint of the barn.
    pub barn: Fingerprint,
    /// Fingerprint of the office.
    pub office: Fingerprint,
}

/// The facts that a barn tells an office which proved the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarnFacts {
    /// Name of the barn.
    pub site: String,
    /// Identity of the history that the barn writes.
    pub store: StoreId,
    /// Addresses of the barn as `host:port`, the most likely first.
    pub addresses: Vec<String>,
}

/// A proof that its sender knows a code. Comparing two takes the same time wherever they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof(blake3::Hash);

impl CodeKey {
    /// Returns the office's proof.
    pub fn office_proof(&self, ends: &Fingerprints, office_name: &str) -> Proof {
        let mut mac = self.mac(OFFICE_LABEL, ends);
        update_text(&mut mac, office_name);
        Proof(mac.finalize())
    }

    /// Returns the barn's proof.
    pub fn barn_proof(&self, ends: &Fingerprints, facts: &BarnFacts) -> Proof {
        let mut mac = self.mac(BARN_LABEL, ends);
        mac.update(&facts.store.0);
        update_text(&mut mac, &facts.site);
        update_length(&mut mac, facts.addresses.len());
        for address in &facts.addresses {
            update_text(&mut mac, address);
        }
        Proof(mac.finalize())
    }

    /// Returns the random part of the office's API key.
    pub fn api_key(&self, ends: &Fingerprints) -> [u8; 32] {
        *self.mac(API_KEY_LABEL, ends).finalize().as_bytes()
    }

    fn mac(&self, label: &[u8], ends: &Fingerprints) -> blake3::Hasher {
        let mut mac = blake3::Hasher::new_keyed(&self.0);
        mac.update(label).update(&ends.barn.0).update(&ends.office.0);
        mac
    }
}

fn update_text(mac: &mut blake3::Hasher, text: &str) {
    update_length(mac, text.len());
    mac.update(text.as_bytes());
}

fn update_length(mac: &mut blake3::Hasher, length: usize) {
    // The texts are far shorter: `exchange` limits them. Saturating keeps the function total.
    mac.update(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_hex(deserializer).map(Self)
    }
}

impl Serialize for Proof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for Proof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_hex(deserializer).map(|bytes| Self(bytes.into()))
    }
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(&text, &mut bytes).map_err(|_| D::Error::custom("expected 64 hexadecimal digits"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends() -> Fingerprints {
        Fingerprints { barn: Fingerprint([0xb0; 32]), office: Fingerprint([0x0f; 32]) }
    }

    fn facts() -> BarnFacts {
        let addresses = vec!["192.168.1.20:5001".into(), "herdlinx-north.local:5001".into()];
        BarnFacts { site: "north".into(), store: StoreId([7; 16]), addresses }
    }

    /// Catches a change of the proofs, after which an office could not pair with a barn of another version.
    #[test]
    fn proofs_and_api_key_are_frozen() {
        let key = CodeKey([0x4b; 32]);
        // Computed by a Python program with `blake3(message, key=key)` from the layout in the module's comment.
        let shown = |proof: Proof| hex::encode(proof.0.as_bytes());
        assert_eq!(
            shown(key.office_proof(&ends(), "front-desk")),
            "97819237c24c6322c698fc220f9f2346b3c97079be07cd94483002f81b153937"
        );
        assert_eq!(
            shown(key.barn_proof(&ends(), &facts())),
            "86dc012968936123e1ffedc82b30a1359a5851f25881bab59776d5efc3f30244"
        );
        assert_eq!(
            hex::encode(key.api_key(&ends())),
            "f63983ee4ebd08dad5d43a103037d3b0f5044c031bbcf5015d8656a03d5fa9cb"
        );
    }

    /// Catches a key that people cannot compare with the one that the barn prints.
    #[test]
    fn a_fingerprint_is_shown_as_in_json() {
        let fingerprint = Fingerprint(std::array::from_fn(|n| u8::try_from(n).unwrap()));
        assert_eq!(fingerprint.to_string(), "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        assert_eq!(serde_json::to_string(&fingerprint).unwrap(), format!("\"{fingerprint}\""));
    }

    proptest! {
        /// Catches a part of a message that the proof does not cover: somebody could change it on the way.
        #[test]
        fn a_proof_holds_for_one_message_only(
            codes in any::<[[u8; 32]; 2]>(), barns in any::<[[u8; 32]; 2]>(), offices in any::<[[u8; 32]; 2]>(),
            names in ["[a-b]{0,3}", "[a-b]{0,3}"], sites in ["[a-b]{0,3}", "[a-b]{0,3}"],
            lists in [prop::collection::vec("[a-b]{0,2}", 0..4), prop::collection::vec("[a-b]{0,2}", 0..4)],
            stores in any::<[[u8; 16]; 2]>(), altered in 0_u8..8,
        ) {
            let pick = |bit: u8| usize::from(altered == bit);
            let message = |second: bool| {
                let at = |bit| if second { pick(bit) } else { 0 };
                let ends = Fingerprints { barn: Fingerprint(barns[at(0)]), office: Fingerprint(offices[at(1)]) };
                let facts = BarnFacts {
                    site: sites[at(3)].clone(), store: StoreId(stores[at(4)]), addresses: lists[at(5)].clone(),
                };
                (CodeKey(codes[at(6)]), ends, names[at(2)].clone(), facts)
            };
            let (first, second) = (message(false), message(true));
            let office = |(key, ends, name, _): &(CodeKey, Fingerprints, String, BarnFacts)| key.office_proof(ends, name);
            let barn = |(key, ends, _, facts): &(CodeKey, Fingerprints, String, BarnFacts)| key.barn_proof(ends, facts);
            let is_same = |parts: bool, proofs: bool| parts == proofs;
            let same_ends = first.0 == second.0 && first.1 == second.1;
            prop_assert!(is_same(same_ends && first.2 == second.2, office(&first) == office(&second)));
            prop_assert!(is_same(same_ends && first.3 == second.3, barn(&first) == barn(&second)));
            prop_assert_eq!(same_ends, first.0.api_key(&first.1) == second.0.api_key(&second.1));
            prop_assert!(office(&first) != barn(&first), "a proof could be sent back");
        }
    }
}
