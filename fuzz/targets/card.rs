//! Fuzzes `herdlinx.toml`, the settings file on a card, as any editor may leave it.
//!
//! A text is encoded again to bytes that decode to it. Mistakes stand in the order of their lines, and each line is one of
//! the file. The places of secrets are parts of the text, in order. A file without mistakes has no secret left when those
//! are blanked, and it is read back as it was when it is written anew.
#![no_main]

use fuzz::seeds;
use service::card::{CardFile, CardMistake, CardReading, CardText, Encoding, MAX_CARD_FILE_BYTES};

libfuzzer_sys::fuzz_target!(init: seeds::write(seeds()), |bytes: &[u8]| check(bytes));

const FILES: [&str; 10] = [
    include_str!("../../service/src/card/tests/broken/blanked.toml"),
    include_str!("../../service/src/card/tests/broken/curly.toml"),
    include_str!("../../service/src/card/tests/broken/empty.toml"),
    include_str!("../../service/src/card/tests/broken/good.toml"),
    include_str!("../../service/src/card/tests/broken/key_length.toml"),
    include_str!("../../service/src/card/tests/broken/no_country.toml"),
    include_str!("../../service/src/card/tests/broken/swapped.toml"),
    include_str!("../../service/src/card/tests/broken/tabs.toml"),
    include_str!("../../service/src/card/tests/broken/typo.toml"),
    include_str!("../../service/src/card/tests/broken/unquoted.toml"),
];

fn seeds() -> Vec<Vec<u8>> {
    let template = CardFile::default().render();
    let encodings = [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Utf16Be];
    let encoded = encodings.map(|encoding| CardText { text: FILES[3].to_owned(), encoding }.encode());
    FILES.map(|file| file.as_bytes().to_vec()).into_iter().chain([template.into_bytes()]).chain(encoded).collect()
}

fn check(bytes: &[u8]) {
    let text = match CardText::decode(bytes) {
        Ok(text) => text,
        Err(mistake) => return check_mistake(&mistake, bytes),
    };
    let encoded = text.encode();
    if encoded.len() <= MAX_CARD_FILE_BYTES {
        assert_eq!(CardText::decode(&encoded).as_ref(), Ok(&text));
    }
    let reading = CardReading::of(&text);
    reading.mistakes.iter().for_each(|mistake| check_mistake(mistake, text.text.as_bytes()));
    assert!(reading.mistakes.is_sorted_by_key(|mistake| mistake.line));
    check_secrets(&text, &reading);
    if reading.mistakes.is_empty() {
        check_written(&reading.file);
    }
}

fn check_mistake(mistake: &CardMistake, file: &[u8]) {
    let lines = file.split(|byte| *byte == b'\n').count();
    assert!(mistake.line.is_none_or(|line| (1..=lines).contains(&line)), "{mistake} in {lines} lines");
    assert!(!mistake.to_string().is_empty());
}

fn check_secrets(text: &CardText, reading: &CardReading) {
    let mut end = 0;
    for range in &reading.secrets {
        assert!(end <= range.start && text.text.get(range.clone()).is_some(), "{range:?} is no part of the text");
        end = range.end;
    }
    if reading.mistakes.is_empty() {
        let blanked = CardReading::of(&text.with_blanks(&reading.secrets));
        assert!(blanked.secrets.is_empty() && blanked.mistakes.is_empty(), "{blanked:?}");
        assert_eq!(blanked.file.site, reading.file.site);
    }
}

/// Checks that a file is read back as it was written.
fn check_written(file: &CardFile) {
    let written = CardText { text: file.render(), encoding: Encoding::Utf8 };
    let again = CardReading::of(&written);
    assert!(again.mistakes.is_empty(), "{:?} in\n{}", again.mistakes, written.text);
    assert_eq!(&again.file, file);
}
