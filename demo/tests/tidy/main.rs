//! The rules of the house as tests. Each says what is absent, and why; ARCHITECTURE.md, "What is absent", argues.
//!
//! They read the sources as text. Comments and texts in quotes are blanked first, so that a rule speaks of code alone,
//! and the modules of tests are left out where a rule is about what ships.

mod code;
mod sources;

use sources::{Source, dependencies, every_file, read, root, shipped, sources};
use std::path::Path;

/// The crates of the workspace, and those of ours that each may depend on.
const ARROWS: [(&str, &[&str]); 6] = [
    ("radio", &[]),
    ("herd", &[]),
    ("service", &["herd"]),
    ("daemon", &["herd", "radio", "service"]),
    ("mirror", &["herd", "service"]),
    ("demo", &["daemon", "herd", "mirror", "radio", "service"]),
];
/// A file beyond this is two things.
const LONGEST_FILE_LINES: usize = 450;
/// Directories of the repository that README.md and ARCHITECTURE.md speak of.
const HOUSE: [&str; 10] = ["radio", "herd", "service", "daemon", "mirror", "demo", "systemd", "image", ".ci", ".cargo"];

#[test]
fn only_the_store_names_redb() {
    let strays = naming("redb", |path| path.starts_with("herd/src/store/"));
    must_be_empty(
        "the database can be replaced, and tested with failing disks, only while one module names it",
        strays,
    );
}

#[test]
fn one_file_names_each_crate_of_the_hardware() {
    let files = |name: &'static str| {
        let lines = naming_crate(name);
        let mut files: Vec<String> = lines.iter().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect();
        files.dedup();
        files
    };
    let crates = ["rppal", "linux_embedded_hal", "gpiocdev", "sx127x_lora", "tokio_serial"];
    let shared = crates.into_iter().map(|name| (name, files(name))).filter(|(_, files)| files.len() > 1);
    let strays = shared.map(|(name, files)| format!("{name}: {}", files.join(", ")));
    let reason = "each of them is old, retired or wrong somewhere: the file that names it knows how, and is all that \
                  has to be written anew when it goes";
    must_be_empty(reason, strays);
}

#[test]
fn bytes_are_made_and_read_only_where_their_form_is_frozen() {
    // Changes, rows of tables, files, the wire, the pairing line: each has a version and golden bytes.
    let places = ["herd/src/change/", "herd/src/fold/staged.rs", "herd/src/store/", "herd/src/wire/"];
    let known = |path: &str| places.iter().any(|place| path.starts_with(place)) || path == "herd/src/pairing.rs";
    let reason = "postcard does not describe itself: an encoding made in passing would freeze without a version";
    must_be_empty(reason, naming("postcard", known));
}

#[test]
fn arrows_between_crates_point_one_way() {
    let mut strays = Vec::new();
    for (name, allowed) in ARROWS {
        for (section, dependency) in dependencies(name) {
            let ours = ARROWS.iter().any(|(ours, _)| *ours == dependency);
            if ours && !allowed.contains(&dependency.as_str()) {
                strays.push(format!("{name}/Cargo.toml: {dependency} in [{section}]"));
            }
            if ["redb", "postcard"].contains(&dependency.as_str()) && name != "herd" && section == "dependencies" {
                strays.push(format!("{name}/Cargo.toml: {dependency} in [{section}], which is the business of `herd`"));
            }
        }
    }
    must_be_empty(
        "a radio that knew cattle, or a replica that knew the barn, could not be tested or moved alone",
        strays,
    );
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let takes = |name: &str| read(&format!("{name}/Cargo.toml")).contains("[lints]\nworkspace = true");
    let strays = ARROWS.iter().filter(|(name, _)| !takes(name)).map(|(name, _)| format!("{name}/Cargo.toml"));
    must_be_empty("one list of lints holds everywhere, or it holds nowhere", strays);
}

#[test]
fn no_file_is_two_things() {
    let lines = every_file().into_iter().map(|file| (file.text.lines().count(), file.path));
    let strays = lines.filter(|(lines, _)| *lines > LONGEST_FILE_LINES).map(|(n, path)| format!("{path}: {n} lines"));
    must_be_empty("a file that nobody reads to its end holds a second thing: split it by meaning", strays);
}

#[test]
fn names_say_what_a_thing_is() {
    let sources = sources();
    let strays = sources.iter().flat_map(|source| source.lines_where(&source.code(), says_nothing));
    must_be_empty(
        "handle, process, do, manager, helper, util, common and misc fit everything and tell nothing",
        strays,
    );
}

#[test]
fn no_code_is_unsafe() {
    must_be_empty(
        "no place here has needed unsafe code; the first one is to be listed with its reason",
        naming("unsafe", |_| false),
    );
}

#[test]
fn errors_lose_their_type_only_at_the_edge() {
    // What fails in a bench is shown to whoever ran it, and nobody decides on it.
    let edge = |path: &str| {
        is_main(path) || path.ends_with("/cli.rs") || path.contains("/cli/") || path.starts_with("demo/src/bench/")
    };
    must_be_empty(
        "an untyped error cannot be decided on, only shown: it belongs where people are",
        naming("anyhow", edge),
    );
}

#[test]
fn only_main_ends_the_process() {
    let ends = |line: &str| line.contains("process::exit") || line.contains("process::abort");
    let inside = shipped().into_iter().filter(|source| !is_main(&source.path));
    let strays = inside.flat_map(|source| source.lines_where(&source.shipped_code(), ends));
    must_be_empty("whoever exits in the middle skips the ordered stop that loses nothing", strays);
}

#[test]
fn one_file_reads_the_wall_clock() {
    let clock = |path: &str| path == "herd/src/clock.rs";
    let strays = ["SystemTime", "now_utc", "now_local"].iter().flat_map(|word| naming(word, clock));
    must_be_empty(
        "the clock is a seam, so that a seed replays exactly and a barn without a clock is no special case",
        strays,
    );
}

#[test]
fn the_fold_judges_nothing() {
    // staged.rs keeps rows of one commit in a hash map and sorts them before anyone sees their order.
    let fold = |source: &Source| source.path.starts_with("herd/src/fold/") && !source.path.ends_with("/staged.rs");
    let words =
        ["parse", "decide", "Rules", "Clock", "Instant", "HashMap", "HashSet", "f32", "f64", "settings", "randomness"];
    let strays = within(fold, &words);
    must_be_empty("a replica equals its source only while the fold depends on the tables and the Change alone", strays);
}

#[test]
fn no_time_decides_what_to_sync() {
    let places = ["service/src/sync/", "herd/src/store/apply.rs", "herd/src/digest.rs", "herd/src/position.rs"];
    let sync = |source: &Source| places.iter().any(|place| source.path.starts_with(place));
    let strays = within(sync, &["ClockReading", "Clock", "received_at_us", "since_boot_ms"]);
    must_be_empty("clocks jump and differ: what to send follows from sequence and digest", strays);
}

#[test]
fn verification_of_the_peer_cannot_be_switched_off() {
    let switches =
        ["danger_accept_invalid_certs", "danger_accept_invalid_hostnames", "tls_danger_accept_invalid_certs"];
    let strays = switches.iter().flat_map(|word| naming(word, |_| false));
    must_be_empty("a barn is paired by its key or trusted by a CA; there is no third way", strays);
}

#[test]
fn the_pages_name_only_paths_that_exist() {
    let mut strays = Vec::new();
    for page in ["README.md", "ARCHITECTURE.md"] {
        let text = read(page);
        let named: Vec<&str> = paths_named(&text).collect();
        assert!(named.len() >= 5, "{page} names hardly any path: has its form changed so that this rule sees none?");
        strays.extend(named.iter().filter(|path| !root().join(path).exists()).map(|path| format!("{page}: {path}")));
    }
    must_be_empty("a page that leads nowhere is worse than none", strays);
}

#[test]
fn rules_see_code_and_neither_comments_nor_texts() {
    let text = "a // redb\n/* redb /* redb */ */ b \"redb \\\" redb\" r#\"redb \" redb\"# '\"' c 'x redb::d";
    let source = Source { path: "herd/src/x.rs".to_owned(), text: text.to_owned() };
    let code = source.code();
    let seen: Vec<&str> = code.split_whitespace().collect();
    assert_eq!(seen, ["a", "b", "r#", "c", "'x", "redb::d"]);
    assert_eq!(source.lines_where(&code, |line| has_word(line, "redb")), ["herd/src/x.rs:2"]);
}

#[test]
fn a_crate_is_told_from_what_is_called_like_it() {
    for named in ["use rppal::spi;", "    rppal::gpio::Gpio::new()", "use ::rppal::hal;", "use rppal;", "(rppal::x)"] {
        assert!(begins_path(named, "rppal"), "{named}");
    }
    for other in ["mod rppal;", "use self::rppal::Rppal;", "settings.rppal()", "pub fn rppal(&self)", "my_rppal::x"] {
        assert!(!begins_path(other, "rppal"), "{other}");
    }
}

#[test]
fn rules_about_what_ships_leave_tests_out() {
    let text = "use a;\n#[cfg(test)]\nmod tests {\n    use redb;\n}\n";
    let source = Source { path: "herd/src/x.rs".to_owned(), text: text.to_owned() };
    assert!(has_word(&source.code(), "redb"));
    assert!(!has_word(&source.shipped_code(), "redb"));
}

#[test]
fn empty_names_are_seen_and_full_ones_pass() {
    for bad in ["pub fn handle_packet() {", "async fn do_it(", "mod util;", "pub struct SyncManager {", "mod common {"]
    {
        assert!(says_nothing(bad), "{bad}");
    }
    for good in
        ["fn handover()", "fn domain()", "mod recorder;", "struct Processor", "let helper = 1;", "fn processed()"]
    {
        assert!(!says_nothing(good), "{good}");
    }
}

/// Whether a file is where a program begins.
fn is_main(path: &str) -> bool {
    path.ends_with("/main.rs") || path.contains("/src/bin/")
}

/// Where `word` stands in code that ships, outside the places that may say it.
fn naming(word: &str, may: impl Fn(&str) -> bool) -> Vec<String> {
    within(|source| !may(&source.path), &[word])
}

/// Where a crate is named in code that ships: where its name begins a path. A module or a function of ours may be
/// called like it.
fn naming_crate(name: &str) -> Vec<String> {
    let names = |line: &str| begins_path(line, name);
    shipped().iter().flat_map(|source| source.lines_where(&source.shipped_code(), names)).collect()
}

fn begins_path(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let whole = !before.ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
        let path = after.starts_with("::") || (before.ends_with("use ") && after.starts_with([';', ' ']));
        // `::name` at the begin of a path is the crate, whatever is called like it here.
        (whole || before.ends_with(" ::") || before == "::") && path
    })
}

/// Where one of `words` stands in code that ships, within the places asked about.
fn within(place: impl Fn(&Source) -> bool, words: &[&str]) -> Vec<String> {
    let places: Vec<Source> = shipped().into_iter().filter(|source| place(source)).collect();
    assert!(!places.is_empty(), "no file is left to look at: has it moved?");
    let found = |line: &str| words.iter().any(|word| has_word(line, word));
    places.iter().flat_map(|source| source.lines_where(&source.shipped_code(), found)).collect()
}

fn must_be_empty(reason: &str, strays: impl IntoIterator<Item = String>) {
    let strays: Vec<String> = strays.into_iter().collect();
    assert!(
        strays.is_empty(),
        "{reason}.\nARCHITECTURE.md, \"What is absent\", says more. Found:\n  {}",
        strays.join("\n  ")
    );
}

/// Whether a line of code gives something a name that tells nothing.
fn says_nothing(line: &str) -> bool {
    let words: Vec<&str> = words_of(line).collect();
    words.windows(2).any(|pair| match pair[0] {
        "fn" => ["handle_", "process_", "do_"].iter().any(|verb| pair[1].starts_with(verb)) || is_drawer(pair[1]),
        "mod" | "struct" | "enum" | "trait" => is_drawer(pair[1]),
        _ => false,
    })
}

/// Whether a name is a drawer for all sorts: one of its words is `manager`, `helper`, `util`, `common` or `misc`.
fn is_drawer(name: &str) -> bool {
    let drawers = ["manager", "helper", "helpers", "util", "utils", "common", "misc"];
    let snake = name.split('_').any(|word| drawers.contains(&word));
    let camel = ["Manager", "Helper", "Util", "Common", "Misc"];
    snake || camel.iter().any(|word| name.ends_with(word) || name.starts_with(word))
}

fn has_word(code: &str, word: &str) -> bool {
    words_of(code).any(|found| found == word)
}

fn words_of(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The paths of this repository that a page names, in backquotes or as the target of a link.
fn paths_named(page: &str) -> impl Iterator<Item = &str> {
    let prose = page.split("```").step_by(2);
    let quoted = prose.clone().flat_map(|text| text.split('`').skip(1).step_by(2));
    let linked = prose.flat_map(|text| text.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
    quoted.chain(linked).filter(|text| is_path(text))
}

fn is_path(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c));
    let in_house = text.split_once('/').is_some_and(|(first, _)| HOUSE.contains(&first));
    plain && (in_house || Path::new(text).extension().is_some_and(|end| end == "md") || text.starts_with("LICENSE-"))
}
