//! Rules about names and comments.

use super::{Example, file};

pub(crate) fn examples() -> Vec<Example> {
    vec![
        Example {
            rule: "doc-openings",
            bad: vec![
                file(
                    "herd/src/lib.rs",
                    "//! How bytes are kept.\n\n/// What it was told.\nstruct A {\n    /// A field.\n    b: u8,\n\
                     \x20   /// So many\n    /// wait.\n    c: u8,\n}\n",
                ),
                file(
                    "herd/tests/a.rs",
                    "proptest! {\n    /// Whether it holds.\n    fn a() {}\n}\n/** Whoever calls. */\nfn b() {}\n",
                ),
            ],
            found: &[
                "herd/src/lib.rs:1",
                "herd/src/lib.rs:3",
                "herd/src/lib.rs:7",
                "herd/tests/a.rs:2",
                "herd/tests/a.rs:5",
            ],
            good: vec![file(
                "herd/src/lib.rs",
                "//! However bytes are kept.\n\n/// A request.\n/// What follows is text.\nstruct A;\n\
                     // What a comment says is free.\nconst B: &str = \"\n/// What a text says is free.\n\";\n",
            )],
        },
        Example {
            rule: "type-names",
            bad: vec![
                file(
                    "herd/src/lib.rs",
                    "struct Request;\nenum Told {}\nfn a() {\n    struct EventTold;\n}\ntrait Which {}\n",
                ),
                file("herd/src/tests.rs", "type Asked = u8;\n"),
            ],
            found: &["herd/src/lib.rs:2", "herd/src/lib.rs:4", "herd/src/lib.rs:6", "herd/src/tests.rs:1"],
            good: vec![file(
                "herd/src/lib.rs",
                "enum Reply {\n    Told,\n}\nstruct Received;\nstruct HeldRow;\nfn told() {}\n",
            )],
        },
        Example {
            rule: "empty-names",
            bad: vec![file("herd/src/lib.rs", "mod utils;\nfn handle_packet() {}\nstruct SyncManager;\n")],
            found: &["herd/src/lib.rs:1", "herd/src/lib.rs:2", "herd/src/lib.rs:3"],
            good: vec![file("herd/src/lib.rs", "mod utility_poles;\nfn handover() {}\nstruct Processor;\n")],
        },
        Example {
            rule: "error-names",
            bad: vec![file(
                "herd/src/lib.rs",
                "#[derive(Debug, thiserror::Error)]\n#[error(\"a\")]\nstruct Breach;\n\
                     struct Fault;\nimpl std::error::Error for Fault {}\n",
            )],
            found: &["herd/src/lib.rs:3", "herd/src/lib.rs:5"],
            good: vec![file(
                "herd/src/lib.rs",
                "#[derive(Debug, thiserror::Error)]\nstruct BreachError;\nenum Rejection {}\n\
                     impl embedded_hal::spi::Error for Fault {}\n",
            )],
        },
    ]
}
