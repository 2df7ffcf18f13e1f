//! Rules about words that may stand in some places only.

use super::{Example, file};

pub(crate) fn examples() -> Vec<Example> {
    [only_in_one_place(), inputs()].into_iter().flatten().collect()
}

/// Returns examples of words that one place may use.
fn only_in_one_place() -> Vec<Example> {
    vec![
        Example {
            rule: "redb-in-store",
            bad: vec![file("herd/src/query/mod.rs", "use crate::store;\nuse redb::Database;\n")],
            found: &["herd/src/query/mod.rs:2"],
            good: vec![
                file("herd/src/store/mod.rs", "use redb::Database;\n"),
                file("herd/src/query/mod.rs", "// redb\n#[cfg(test)]\nmod tests {\n    use redb::Database;\n}\n"),
                file("herd/src/query/tests.rs", "use redb::Database;\n"),
            ],
        },
        Example {
            rule: "hardware-in-one-file",
            bad: vec![
                file("radio/src/board/pi.rs", "use rppal::spi;\nuse rppal::gpio;\n"),
                file("radio/src/lib.rs", "use std::io;\nuse rppal::spi;\n"),
            ],
            found: &["radio/src/board/pi.rs:1", "radio/src/lib.rs:2"],
            good: vec![
                file("radio/src/board/pi.rs", "use rppal::spi;\nuse rppal::gpio;\n"),
                file("radio/src/lib.rs", "mod rppal;\nuse self::rppal::Rppal;\n"),
            ],
        },
        Example {
            rule: "frozen-encodings",
            bad: vec![file("service/src/control.rs", "fn a() {\n    postcard::to_stdvec(&1);\n}\n")],
            found: &["service/src/control.rs:2"],
            good: vec![
                file("herd/src/wire/mod.rs", "use postcard::to_stdvec;\n"),
                file("service/src/control.rs", "fn a() -> &str {\n    \"postcard\"\n}\n"),
            ],
        },
        Example {
            rule: "typed-errors",
            bad: vec![file("mirror/src/link.rs", "fn dial() -> anyhow::Result<()> {}\n")],
            found: &["mirror/src/link.rs:1"],
            good: vec![
                file("mirror/src/cli/mod.rs", "use anyhow::Context;\n"),
                file("mirror/src/main.rs", "use anyhow::Context;\n"),
                file("mirror/src/link.rs", "fn dial() -> Result<(), LinkError> {}\n"),
            ],
        },
        Example {
            rule: "exit-in-main",
            bad: vec![file("daemon/src/run.rs", "fn a() {\n    std::process::exit(1);\n}\n")],
            found: &["daemon/src/run.rs:2"],
            good: vec![
                file("daemon/src/main.rs", "fn main() {\n    std::process::exit(1);\n}\n"),
                file("daemon/src/run.rs", "fn a() {\n    process_exits();\n}\n"),
            ],
        },
        Example {
            rule: "one-wall-clock",
            bad: vec![file("herd/src/decide.rs", "use std::time::SystemTime;\n")],
            found: &["herd/src/decide.rs:1"],
            good: vec![
                file("herd/src/clock.rs", "use std::time::SystemTime;\n"),
                file("herd/src/decide.rs", "use std::time::Duration;\n"),
            ],
        },
        Example {
            rule: "no-unsafe",
            bad: vec![file("radio/src/lib.rs", "fn a() {\n    unsafe { b() }\n}\n")],
            found: &["radio/src/lib.rs:2"],
            good: vec![
                file("radio/src/lib.rs", "#![forbid(unsafe_code)]\n// unsafe\n"),
                file("service/src/process/free_memory.rs", "fn a() {\n    unsafe { b() }\n}\n"),
            ],
        },
        Example {
            rule: "peer-verification",
            bad: vec![file("mirror/src/link.rs", "fn a() {\n    b.danger_accept_invalid_certs(true);\n}\n")],
            found: &["mirror/src/link.rs:2"],
            good: vec![file("mirror/src/link.rs", "fn a() {\n    b.add_root_certificate(c);\n}\n")],
        },
    ]
}

/// Returns examples of parts that may depend on little.
fn inputs() -> Vec<Example> {
    vec![
        Example {
            rule: "pure-fold",
            bad: vec![file(
                "herd/src/fold/tags.rs",
                "use std::collections::BTreeMap;\nuse std::collections::HashMap;\n",
            )],
            found: &["herd/src/fold/tags.rs:2"],
            good: vec![
                file("herd/src/fold/tags.rs", "use std::collections::BTreeMap;\n"),
                file("herd/src/fold/staged/mod.rs", "use std::collections::HashMap;\n"),
            ],
        },
        Example {
            rule: "sync-without-time",
            bad: vec![file("service/src/sync/serve.rs", "fn a(at: u64) {\n    change.received_at_us > at;\n}\n")],
            found: &["service/src/sync/serve.rs:2"],
            good: vec![
                file("service/src/sync/serve.rs", "fn a(at: u64) {\n    change.sequence > at;\n}\n"),
                file("service/src/show.rs", "fn a() {\n    change.received_at_us\n}\n"),
            ],
        },
    ]
}
