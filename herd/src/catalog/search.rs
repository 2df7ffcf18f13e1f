//! Search for animals, lots and pens by what people have in their hands.
//!
//! # Decisions
//!
//! - **Every meaning of a text is found.** `1433` may be the end of a tag, a visual tag, a lid and a lot. A search that took
//!   the first of them would hide the others.
//! - **Tags that are past or were never confirmed are found as well,** and said to be so: an auditor asks for the tag that was
//!   cut out.
//! - **A tail has at least four signs.** Three digits of a tag are those of a hundred head.

use super::index::Index;
use super::labels::natural_key;
use super::packed_text::{PackedText, Tail};
use super::{Catalog, CatalogAnimal, HeadFigures, LotFigures};
use crate::change::{TagKind, TagState};
use crate::fold::Rows;
use crate::payload::{Tag, compared_label};
use crate::query::QueryError;
use crate::store::Snapshot;
use crate::tables::{LidOwner, reader_key};
use crate::text::Text;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Maximum number of animals that a search returns.
pub const MAX_FOUND: usize = 50;
/// Minimum number of signs at the end of a tag.
const MIN_TAIL_CHARS: usize = 4;
/// Number of reader eras of a group in which a lid is searched, the latest ones.
const MAX_ERAS: u32 = 64;
/// Maximum number of reader groups in which a lid is searched.
const MAX_GROUPS: usize = 256;

/// Relation of a text to an animal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// The id.
    Id,
    /// A tag.
    Tag {
        /// LF or UHF.
        kind: TagKind,
        /// The relation of the tag to the animal.
        state: TagState,
        /// The tag itself.
        tag: Text,
        /// `true` if the text is the whole tag, in any spelling; `false` if it is its end.
        is_whole: bool,
    },
    /// The visual tag.
    VisualTag,
    /// A lid.
    Lid {
        /// Readers that gave it.
        reader_group: Text,
        /// Their era.
        reader_era: u32,
    },
}

/// An animal that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAnimal {
    /// The animal.
    pub animal: CatalogAnimal,
    /// Relations of the text to it: at least one.
    pub matches: Vec<Match>,
}

/// Meanings of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchResults {
    /// The animals, last seen first: at most [`MAX_FOUND`].
    pub animals: Vec<FoundAnimal>,
    /// Number of animals that were found.
    pub animals_found: usize,
    /// The barn lot of this number.
    pub lot: Option<(Text, HeadFigures)>,
    /// The export lot of this number.
    pub export_lot: Option<(Text, HeadFigures)>,
    /// The pen of this name.
    pub pen: Option<(Text, HeadFigures)>,
}

impl SearchResults {
    /// Returns the number of meanings.
    #[must_use]
    pub fn len(&self) -> usize {
        let labels = [self.lot.is_some(), self.export_lot.is_some(), self.pen.is_some()];
        self.animals_found + labels.into_iter().map(usize::from).sum::<usize>()
    }

    /// Returns whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Animals by place, each with its matches.
type Hits = BTreeMap<usize, Vec<Match>>;

impl Catalog {
    /// Returns everything that a text means.
    pub fn search(&self, snapshot: &Snapshot, text: &str) -> Result<SearchResults, QueryError> {
        let text = text.trim();
        let mut found = Hits::new();
        if text.is_empty() {
            return Ok(SearchResults::default());
        }
        self.find_id(text, &mut found);
        self.find_tags(text, &mut found);
        self.find_tails(text, &mut found);
        self.find_visual_tags(text, &mut found);
        self.find_lids(snapshot, text, &mut found)?;
        let named = |found: Option<LotFigures>| found.and_then(|found| Some((found.name?, found.figures)));
        Ok(SearchResults {
            animals_found: found.len(),
            animals: self.newest(found),
            lot: named(self.lot(text)),
            export_lot: named(self.export_lot(text)),
            pen: named(self.pen(text)),
        })
    }

    fn newest(&self, found: Hits) -> Vec<FoundAnimal> {
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|(place, _)| Reverse((self.columns.seen[*place], *place)));
        found.truncate(MAX_FOUND);
        found.into_iter().map(|(place, matches)| FoundAnimal { animal: self.animal_at(place), matches }).collect()
    }

    fn find_id(&self, text: &str, found: &mut Hits) {
        let id = text.parse().ok().map(|id| self.merges.successor(id));
        if let Some(place) = id.and_then(|id| self.listed(id)) {
            found.entry(place).or_default().push(Match::Id);
        }
    }

    fn find_tags(&self, text: &str, found: &mut Hits) {
        for kind in [TagKind::Lf, TagKind::Epc] {
            let Ok(Some(tag)) = Tag::read(kind, text) else { continue };
            let Some(wanted) = PackedText::known(tag.key(), &self.long_texts) else { continue };
            self.add_tags(kind, tag.key(), true, &|tag| tag == wanted, found);
        }
    }

    fn find_tails(&self, text: &str, found: &mut Hits) {
        let signs: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '.' | '_')).collect();
        if signs.len() < MIN_TAIL_CHARS || !signs.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return;
        }
        let tail = Tail::new(signs.to_ascii_uppercase());
        for kind in [TagKind::Lf, TagKind::Epc] {
            self.add_tags(kind, tail.signs(), false, &|tag| tag.has_tail(&tail, &self.long_texts), found);
        }
    }

    /// Adds the animals with a tag of a kind that ends with these signs and passes, worn or not.
    fn add_tags(
        &self,
        kind: TagKind,
        signs: &str,
        is_whole: bool,
        passes: &dyn Fn(PackedText) -> bool,
        found: &mut Hits,
    ) {
        let mut add = |place: usize, state: TagState, tag: PackedText| {
            let matches = found.entry(place).or_default();
            let tag = tag.text(&self.long_texts).unwrap_or_default();
            matches.push(Match::Tag { kind, state, tag, is_whole });
        };
        let (worn, index) = match kind {
            TagKind::Lf => (&self.columns.lf, Index::LfTail),
            TagKind::Epc => (&self.columns.epc, Index::EpcTail),
        };
        for &place in &*self.tailed(index, signs) {
            let tag = worn[place as usize];
            if passes(tag) {
                add(place as usize, TagState::Current, tag);
            }
        }
        for (id, others) in &self.other_tags {
            for other in others.iter().filter(|other| other.kind == kind && passes(other.tag)) {
                if let Some(place) = self.listed(*id) {
                    add(place, other.state, other.tag);
                }
            }
        }
    }

    fn find_visual_tags(&self, text: &str, found: &mut Hits) {
        let wanted = compared_label(text);
        let key = natural_key(text);
        for &place in &*self.keyed(Index::Visual, key..=key) {
            let place = place as usize;
            if self.columns.visual[place].is_label(&wanted, &self.long_texts) {
                found.entry(place).or_default().push(Match::VisualTag);
            }
        }
    }

    fn find_lids(&self, snapshot: &Snapshot, text: &str, found: &mut Hits) -> Result<(), QueryError> {
        for (reader_group, latest) in self.readers.iter().take(MAX_GROUPS) {
            for reader_era in latest.saturating_sub(MAX_ERAS).max(1)..=*latest {
                let owner = snapshot.read::<LidOwner>(&reader_key(reader_group, reader_era, text))?;
                if let Some(place) = owner.and_then(|owner| self.listed(self.merges.successor(owner.0.0))) {
                    let lid = Match::Lid { reader_group: reader_group.clone(), reader_era };
                    found.entry(place).or_default().push(lid);
                }
            }
        }
        Ok(())
    }
}
