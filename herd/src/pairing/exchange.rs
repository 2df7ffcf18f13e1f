//! The JSON bodies in which the [proofs](super::proof) of a one-time code travel: `POST /api/pair`.

use super::line::{MAX_ADDRESS_BYTES, MAX_ADDRESSES, MAX_SITE_CHARS};
use super::proof::{BarnFacts, Fingerprint, Fingerprints, Proof};
use super::{CodeKey, Pairing, PairingError};
use crate::position::StoreId;
use serde::{Deserialize, Serialize};

/// Version of the exchange. A barn refuses another one, and says so.
pub const EXCHANGE_VERSION: u32 = 1;
/// Maximum length of an office's name, which becomes the name of its key.
pub const MAX_OFFICE_NAME_CHARS: usize = 48;
/// Maximum size of a request: two hashes in hexadecimal, and a name.
pub const MAX_REQUEST_BYTES: usize = 1024;
/// Maximum size of an answer: [`MAX_ADDRESSES`] addresses of full length, and a little more.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// The request of an office that knows the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairRequest {
    /// [`EXCHANGE_VERSION`].
    pub version: u32,
    /// Public key of the office.
    pub office: Fingerprint,
    /// Name of the office.
    pub office_name: String,
    /// Proof that the office knows the code, and which key of the barn it sees.
    pub proof: Proof,
}

/// The answer of a barn that knows the code, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairAnswer {
    /// True, as in every answer that is not an error.
    pub success: bool,
    /// Name of the barn.
    pub site: String,
    /// Identity of the history that the barn writes.
    pub store: StoreId,
    /// Addresses of the barn as `host:port`, the most likely first.
    pub addresses: Vec<String>,
    /// Proof that the barn knows the code, and stands behind the other fields.
    pub proof: Proof,
}

/// Reason why an office does not believe an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairAnswerError {
    /// The peer does not know the code, or the answer was changed.
    #[error(
        "it did not prove the pairing code: it is another machine than the prepared barn, or its card has another code"
    )]
    NotProved,
    /// A part has an impossible value.
    #[error("its answer cannot be used ({0}): check `site` and the addresses at the barn")]
    Unusable(PairingError),
}

impl PairRequest {
    /// Creates the request to a barn whose key is `ends.barn`.
    pub fn new(key: &CodeKey, ends: &Fingerprints, office_name: &str) -> Self {
        let proof = key.office_proof(ends, office_name);
        Self { version: EXCHANGE_VERSION, office: ends.office, office_name: office_name.to_owned(), proof }
    }

    /// Returns whether the sender knows the code and sees the key `barn`.
    pub fn proves(&self, key: &CodeKey, barn: Fingerprint) -> bool {
        let ends = Fingerprints { barn, office: self.office };
        self.proof == key.office_proof(&ends, &self.office_name)
    }
}

impl PairAnswer {
    /// Creates the answer of a barn.
    pub fn new(key: &CodeKey, ends: &Fingerprints, facts: BarnFacts) -> Self {
        let proof = key.barn_proof(ends, &facts);
        let BarnFacts { site, store, addresses } = facts;
        Self { success: true, site, store, addresses, proof }
    }

    /// Checks the proof, and returns the pairing. `api_key` is the text of the key that both sides derive.
    pub fn verify(self, key: &CodeKey, ends: &Fingerprints, api_key: String) -> Result<Pairing, PairAnswerError> {
        let Self { site, store, addresses, proof, .. } = self;
        let facts = BarnFacts { site, store, addresses };
        if proof != key.barn_proof(ends, &facts) {
            return Err(PairAnswerError::NotProved);
        }
        let BarnFacts { site, store, addresses } = facts;
        let pairing = Pairing { site, addresses, spki_sha256: ends.barn.0, store, key: api_key };
        pairing.validate().map_err(PairAnswerError::Unusable)?;
        Ok(pairing)
    }
}

const _: () = assert!(MAX_ADDRESSES * (MAX_ADDRESS_BYTES + 3) + 4 * MAX_SITE_CHARS + 512 < MAX_ANSWER_BYTES);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENDS: Fingerprints = Fingerprints { barn: Fingerprint([0xb0; 32]), office: Fingerprint([0x0f; 32]) };

    fn key() -> CodeKey {
        CodeKey([0x4b; 32])
    }

    fn answer() -> PairAnswer {
        let addresses = vec!["192.168.1.20:5001".into(), "herdlinx-north.local:5001".into()];
        PairAnswer::new(&key(), &ENDS, BarnFacts { site: "north".into(), store: StoreId([7; 16]), addresses })
    }

    /// Catches a renamed field, or another form of a hash.
    #[test]
    fn the_bodies_are_frozen() {
        let request = serde_json::to_string(&PairRequest::new(&key(), &ENDS, "front-desk")).unwrap();
        assert_eq!(
            request,
            r#"{"version":1,"office":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","office_name":"front-desk","proof":"97819237c24c6322c698fc220f9f2346b3c97079be07cd94483002f81b153937"}"#
        );
        let answer = serde_json::to_string(&answer()).unwrap();
        assert_eq!(
            answer,
            r#"{"success":true,"site":"north","store":"07070707070707070707070707070707","addresses":["192.168.1.20:5001","herdlinx-north.local:5001"],"proof":"86dc012968936123e1ffedc82b30a1359a5851f25881bab59776d5efc3f30244"}"#
        );
    }

    /// Catches an office that trusts a stranger, and a barn that lets one in.
    #[test]
    fn only_the_right_code_and_the_right_keys_are_believed() {
        let verify = |key: &CodeKey, ends: &Fingerprints| answer().verify(key, ends, "hxb_k".into());
        let pairing = verify(&key(), &ENDS).unwrap();
        assert_eq!((pairing.site.as_str(), pairing.spki_sha256), ("north", ENDS.barn.0));
        let other = Fingerprint([9; 32]);
        assert_eq!(verify(&CodeKey([1; 32]), &ENDS), Err(PairAnswerError::NotProved));
        assert_eq!(verify(&key(), &Fingerprints { barn: other, ..ENDS }), Err(PairAnswerError::NotProved));
        assert_eq!(verify(&key(), &Fingerprints { office: other, ..ENDS }), Err(PairAnswerError::NotProved));
        let request = PairRequest::new(&key(), &ENDS, "desk");
        assert!(request.proves(&key(), ENDS.barn));
        assert!(!request.proves(&key(), other) && !request.proves(&CodeKey([1; 32]), ENDS.barn));
        assert!(!PairRequest { office: other, ..request.clone() }.proves(&key(), ENDS.barn));
        assert!(!PairRequest { office_name: "desk2".into(), ..request }.proves(&key(), ENDS.barn));
    }

    /// Catches an answer that is proved but cannot be used, such as one without an address.
    #[test]
    fn a_proved_answer_with_an_impossible_part_is_refused() {
        let facts = BarnFacts { site: "north".into(), store: StoreId([7; 16]), addresses: Vec::new() };
        let answer = PairAnswer::new(&key(), &ENDS, facts);
        let refused = answer.verify(&key(), &ENDS, "hxb_k".into());
        assert!(matches!(refused, Err(PairAnswerError::Unusable(_))), "{refused:?}");
    }

    proptest! {
        /// Catches a panic on a body that somebody made up.
        #[test]
        fn any_body_is_parsed_or_refused_without_a_panic(text in ".{0,200}", hash in "[0-9a-fA-F]{60,68}") {
            let _ = serde_json::from_str::<PairRequest>(&text);
            let request = format!(r#"{{"version":1,"office":"{hash}","office_name":"x","proof":"{hash}"}}"#);
            prop_assert_eq!(serde_json::from_str::<PairRequest>(&request).is_ok(), hash.len() == 64);
        }
    }
}
