//! Rules about crates and their dependencies.

use super::{Example, file};

pub(crate) fn examples() -> Vec<Example> {
    vec![
        Example {
            rule: "crate-arrows",
            bad: vec![
                file("radio/Cargo.toml", "[dependencies]\nbytes = \"1\"\nherd = { workspace = true }\n"),
                file(
                    "mirror/Cargo.toml",
                    "[dependencies]\nredb = \"4\"\n\n[dev-dependencies.daemon]\nworkspace = true\n",
                ),
                file("extra/Cargo.toml", "[package]\nname = \"extra\"\n"),
            ],
            found: &["extra/Cargo.toml", "mirror/Cargo.toml:2", "mirror/Cargo.toml:4", "radio/Cargo.toml:3"],
            good: vec![
                file("daemon/Cargo.toml", "[dependencies]\nradio = { workspace = true }\nservice.workspace = true\n"),
                file("service/Cargo.toml", "[dependencies]\nherd = { workspace = true }\n"),
                file("herd/Cargo.toml", "[dependencies]\nredb = \"4\"\n"),
            ],
        },
        Example {
            rule: "herd-dependencies",
            bad: vec![
                file(
                    "Cargo.toml",
                    "[workspace]\nmembers = [\"herd\", \"bytes\", \"clap\", \"hyper\"]\nresolver = \"3\"\n",
                ),
                file(
                    "herd/Cargo.toml",
                    package("herdlinx-herd", "bytes = { path = \"../bytes\" }\nclap = { path = \"../clap\" }\n"),
                ),
                file("herd/src/lib.rs", ""),
                file("bytes/Cargo.toml", package("bytes", "hyper = { path = \"../hyper\" }\n")),
                file("bytes/src/lib.rs", ""),
                file("clap/Cargo.toml", package("clap", "")),
                file("clap/src/lib.rs", ""),
                file("hyper/Cargo.toml", package("hyper", "")),
                file("hyper/src/lib.rs", ""),
            ],
            found: &["herd/Cargo.toml:7", "herd/Cargo.toml"],
            good: vec![
                file("Cargo.toml", "[workspace]\nmembers = [\"herd\", \"clap\"]\nresolver = \"3\"\n"),
                file(
                    "herd/Cargo.toml",
                    package("herdlinx-herd", "\n[dev-dependencies]\nclap = { path = \"../clap\" }\n"),
                ),
                file("herd/src/lib.rs", ""),
                file("clap/Cargo.toml", package("clap", "")),
                file("clap/src/lib.rs", ""),
            ],
        },
        Example {
            rule: "workspace-lints",
            bad: vec![file("herd/Cargo.toml", "[package]\nname = \"herd\"\n")],
            found: &["herd/Cargo.toml"],
            good: vec![file("herd/Cargo.toml", "[package]\nname = \"herd\"\n\n[lints]\nworkspace = true\n")],
        },
    ]
}

/// Returns a manifest whose dependencies start on line 6.
fn package(name: &str, dependencies: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n{dependencies}")
}
