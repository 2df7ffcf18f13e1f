//! Golden answers: a file a table, a line a case.

use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

/// Set to 1 to write the files anew in place of comparing with them.
const BLESS: &str = "HERDLINX_BLESS";

/// The answers of one table, by the names of its cases.
pub(crate) struct Golden {
    file: PathBuf,
    answers: Map<String, Value>,
}

impl Golden {
    pub(crate) fn new(table: &str) -> Self {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        Self { file: directory.join(format!("{table}.json")), answers: Map::new() }
    }

    pub(crate) fn note(&mut self, case: &str, answer: Value) {
        let twice = self.answers.insert(case.to_owned(), answer);
        assert!(twice.is_none(), "two cases are named `{case}`");
    }

    /// Compares all answers with the file, which must hold these cases and no others.
    pub(crate) fn compare(self) {
        if env::var(BLESS).is_ok_and(|bless| bless == "1") {
            return fs::write(&self.file, self.text()).unwrap();
        }
        let file = self.file.display();
        let text = fs::read_to_string(&self.file).unwrap_or_else(|error| panic!("{file}: {error}; set {BLESS}=1"));
        let golden: Map<String, Value> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let names = |map: &Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&self.answers), names(&golden), "the cases differ from those in {file}; set {BLESS}=1");
        for (case, answer) in &self.answers {
            assert_eq!(answer, &golden[case], "`{case}` is answered otherwise than in {file}");
        }
    }

    fn text(&self) -> String {
        let mut text = "{".to_owned();
        for (index, (case, answer)) in self.answers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(text, "{comma}\n{}: {answer}", Value::from(case.as_str())).unwrap();
        }
        text + "\n}\n"
    }
}

/// The answer that stands in a table's file.
pub(crate) fn golden_answer(table: &str, case: &str) -> Value {
    let Golden { file, .. } = Golden::new(table);
    let golden: Map<String, Value> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    golden.get(case).unwrap_or_else(|| panic!("{} has no `{case}`", file.display())).clone()
}

/// What differs from one process to the next: identities, digests and where a log stands.
pub(crate) const OF_ONE_PROCESS: [&str; 3] = ["store", "digest", "sequence"];

/// The values of these keys put out of sight.
pub(crate) fn masked(value: &Value, volatile: &[&str]) -> Value {
    match value {
        Value::Object(map) => {
            let shown = |key: &str, it| if volatile.contains(&key) { "...".into() } else { masked(it, volatile) };
            map.iter().map(|(key, it)| (key.clone(), shown(key, it))).collect()
        }
        Value::Array(all) => all.iter().map(|it| masked(it, volatile)).collect(),
        other => other.clone(),
    }
}
