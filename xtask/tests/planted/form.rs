//! Rules about files, tests, pages and modules.

use super::{Example, File, file};

pub(crate) fn examples() -> Vec<Example> {
    [files(), pages(), vec![module_circles()]].into_iter().flatten().collect()
}

fn files() -> Vec<Example> {
    vec![
        Example {
            rule: "file-length",
            bad: vec![
                file("herd/src/lib.rs", "// A line.\n".repeat(451)),
                file("image/build", "# A line.\n".repeat(451)),
            ],
            found: &["herd/src/lib.rs", "image/build"],
            good: vec![
                file("herd/src/lib.rs", "// A line.\n".repeat(450)),
                file("image/build", "# A line.\n".repeat(450)),
            ],
        },
        Example {
            rule: "test-placement",
            bad: vec![
                file("herd/src/a.rs", "#[cfg(test)]\n#[path = \"a_tests.rs\"]\nmod tests;\n"),
                file("herd/src/a_tests.rs", "#[test]\nfn one() {}\n"),
                file("herd/src/b.rs", "mod c;\n"),
                file("herd/tests/e/main.rs", "#[path = \"../../src/b.rs\"]\nmod yard;\n"),
                file("herd/src/b/c.rs", "#[cfg(test)]\nmod checks {\n    #[tokio::test]\n    async fn one() {}\n}\n"),
                file("herd/src/d.rs", "fn a() {}\nproptest! {\n    #[test]\n    fn one() {}\n}\n"),
            ],
            found: &[
                "herd/src/a.rs:2",
                "herd/src/a_tests.rs",
                "herd/src/b.rs",
                "herd/src/b/c.rs:4",
                "herd/src/d.rs:2",
                "herd/tests/e/main.rs:1",
            ],
            good: vec![
                file("herd/src/a/mod.rs", "#[cfg(test)]\nmod tests;\n"),
                file("herd/src/a/tests.rs", "#[test]\nfn one() {}\n"),
                file("herd/src/b.rs", "#[cfg(test)]\nmod tests {\n    #[test]\n    fn one() {}\n}\n"),
                file("herd/src/c/tests/mod.rs", "proptest! {\n    #[test]\n    fn one() {}\n}\n"),
                file("herd/tests/e/main.rs", "#[path = \"../yard/mod.rs\"]\nmod yard;\n"),
                file("herd/tests/d.rs", "#[test]\nfn one() {}\n"),
            ],
        },
    ]
}

fn pages() -> Vec<Example> {
    vec![
        Example {
            rule: "page-length",
            bad: vec![file("README.md", "word ".repeat(1201)), file("ARCHITECTURE.md", "word ".repeat(2501))],
            found: &["README.md", "ARCHITECTURE.md"],
            good: vec![file("README.md", "word ".repeat(1200)), file("ARCHITECTURE.md", "word ".repeat(2500))],
        },
        Example {
            rule: "page-paths",
            bad: vec![
                file("README.md", format!("{LINKS}See `docs/lost.md`\nand [this](herd/src/lost.rs).\n")),
                file("docs/radios.md", "`herd/src/lib.rs`, `AND/OR`\n\n`herd/src/lost.rs`\n"),
                file("ARCHITECTURE.md", "`herd/src/lib.rs`\n"),
                file("herd/src/lib.rs", ""),
            ],
            found: &["ARCHITECTURE.md", "README.md:2", "README.md:3", "docs/radios.md:3"],
            good: vec![
                file("README.md", format!("{LINKS}```\nherd/lost.rs `herd/lost.rs`\n```\n")),
                file("docs/radios.md", "[the front page](../README.md#install)\n"),
                file("herd/src/lib.rs", ""),
            ],
        },
    ]
}

/// One line that names as many paths as a map must name.
const LINKS: &str = "`herd/` `herd/src` `herd/src/lib.rs` `README.md` [docs](docs/radios.md)\n";

/// Returns two circles: one between folders through four files, and one between files through a re-export and a macro
/// call.
fn module_circles() -> Example {
    let bad = vec![
        file("herd/Cargo.toml", ""),
        file("herd/src/door/mod.rs", "mod auth;\nmod serve;\n"),
        file("herd/src/door/auth.rs", "use crate::metrics::Counter;\n"),
        file("herd/src/door/serve.rs", "pub struct Server;\n"),
        file("herd/src/lib.rs", "mod door;\nmod metrics;\nmod query;\n"),
        file("herd/src/metrics/mod.rs", "mod counter;\nmod page;\npub use counter::Counter;\n"),
        file("herd/src/metrics/counter.rs", "pub struct Counter;\n"),
        file("herd/src/metrics/page.rs", "fn a(server: &crate::door::serve::Server) {}\n"),
        file("herd/src/query/mod.rs", "mod row;\nmod text;\nuse text::Text;\n"),
        file("herd/src/query/row.rs", "pub const A: u8 = 1;\nuse super::Text;\n"),
        file("herd/src/query/text.rs", "pub struct Text;\nfn a() {\n    println!(\"{}\", super::row::A);\n}\n"),
    ];
    Example {
        rule: "module-circles",
        bad,
        found: &["herd/src/door/auth.rs:1", "herd/src/query/row.rs:2"],
        good: trees(),
    }
}

/// Returns modules without a circle: a parent and its children use each other, and tests use what they like.
fn trees() -> Vec<File> {
    vec![
        file("herd/Cargo.toml", ""),
        file("herd/src/door/mod.rs", "mod auth;\npub use auth::Key;\npub struct Door(Key);\n"),
        file("herd/src/door/auth.rs", "use super::Door;\nuse crate::metrics::Counter;\npub struct Key;\n"),
        file("herd/src/lib.rs", "mod door;\nmod metrics;\n"),
        file("herd/src/main.rs", "use crate::door::Door;\n"),
        file(
            "herd/src/metrics/mod.rs",
            "pub struct Counter;\n#[cfg(test)]\nmod tests {\n    use crate::door::Door;\n}\n\
             #[cfg(test)]\nuse crate::door::Key;\n",
        ),
    ]
}
