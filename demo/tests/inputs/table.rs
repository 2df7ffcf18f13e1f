//! A table of cases: each is sent, its status and what it leaves behind are checked, its answer is compared.

use super::router_barn::Barn;
use super::router_barn::golden::Golden;
use super::router_barn::told::{assert_is_refusal, body_of, headers_of};
use axum::body::Body;
use axum::http::Request;
use herd::decide::Rules;
use serde_json::{Value, json};

/// Longer lists are told by their ends.
const SHOWN_RESULTS: usize = 20;

pub(crate) struct Table {
    pub(crate) barn: Barn,
    golden: Golden,
}

impl Table {
    pub(crate) fn new(name: &str) -> Self {
        Self::with_rules(name, Rules::default())
    }

    pub(crate) fn with_rules(name: &str, rules: Rules) -> Self {
        Self { barn: Barn::new(rules), golden: Golden::new(name) }
    }

    /// The answer has this status, and nothing is as it was not before.
    pub(crate) async fn leaves_nothing(&mut self, case: &str, status: u16, request: Request<Body>) {
        let before = self.barn.traces();
        self.answered(case, status, request).await;
        assert_eq!(self.barn.traces(), before, "`{case}` left something behind");
    }

    /// The answer has this status, and so many changes were appended.
    pub(crate) async fn appends(&mut self, case: &str, status: u16, changes: u64, request: Request<Body>) -> Value {
        let before = self.barn.head().sequence.0;
        let answer = self.answered(case, status, request).await;
        assert_eq!(self.barn.head().sequence.0 - before, changes, "`{case}`: {answer}");
        answer
    }

    async fn answered(&mut self, case: &str, status: u16, request: Request<Body>) -> Value {
        let response = self.barn.answer(request).await;
        let body = body_of(&response);
        assert_eq!(response.status().as_u16(), status, "`{case}`: {body}");
        if status >= 400 {
            assert_is_refusal(case, &body);
        }
        let (headers, shown) = (headers_of(&response), shortened(body.clone()));
        self.golden.note(case, json!({"status": status, "headers": headers, "body": shown}));
        body
    }

    /// All cases were sent: compares them.
    pub(crate) fn compare(self) {
        self.golden.compare();
    }
}

fn shortened(mut body: Value) -> Value {
    if let Some(results) = body.get_mut("results").and_then(Value::as_array_mut)
        && results.len() > SHOWN_RESULTS
    {
        let (count, last) = (results.len(), results.pop());
        results.truncate(1);
        results.push(format!("... {} more ...", count - 2).into());
        results.extend(last);
    }
    body
}
