//! Golden answers: one file for each table, one line for each case.

use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

/// Environment variable: 1 rewrites the files instead of comparing with them.
const BLESS: &str = "HERDLINX_BLESS";

/// Answers of one table, by the names of its cases.
pub(crate) struct Golden {
    file: PathBuf,
    answers: Map<String, Value>,
}

impl Golden {
    pub(crate) fn new(table: &str) -> Self {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        Self { file: directory.join(format!("{table}.json")), answers: Map::new() }
    }

    pub(crate) fn add(&mut self, case: &str, answer: Value) {
        let twice = self.answers.insert(case.to_owned(), answer);
        assert!(twice.is_none(), "two cases are named `{case}`");
    }

    /// Compares all answers with the file, which must contain exactly these cases.
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
            assert_eq!(answer, &golden[case], "the answer to `{case}` differs from {file}");
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

/// Returns the answer to a case from a table's file.
pub(crate) fn golden_answer(table: &str, case: &str) -> Value {
    let Golden { file, .. } = Golden::new(table);
    let golden: Map<String, Value> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    golden.get(case).unwrap_or_else(|| panic!("{} has no `{case}`", file.display())).clone()
}

/// Keys whose values differ between processes: identities, digests and sequences.
pub(crate) const PROCESS_KEYS: [&str; 3] = ["store", "digest", "sequence"];

/// Returns the value with the values of the `volatile` keys replaced by dots.
pub(crate) fn mask(value: &Value, volatile: &[&str]) -> Value {
    match value {
        Value::Object(map) => {
            let masked = |key: &str, it| if volatile.contains(&key) { "...".into() } else { mask(it, volatile) };
            map.iter().map(|(key, it)| (key.clone(), masked(key, it))).collect()
        }
        Value::Array(all) => all.iter().map(|it| mask(it, volatile)).collect(),
        other => other.clone(),
    }
}
