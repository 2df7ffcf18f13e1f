//! A table of cases: each request is sent, its status and its effect are checked, and its answer is compared.

use super::router_barn::Barn;
use super::router_barn::golden::Golden;
use super::router_barn::response::{assert_refusal, body_of, headers_of};
use axum::body::Body;
use axum::http::Request;
use herd::decide::Rules;
use serde_json::{Value, json};

/// Longest list of results that stands in a golden file whole; of longer ones, only both ends do.
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

    /// Checks that the answer has this status and that the request changed nothing.
    pub(crate) async fn expect_unchanged(&mut self, case: &str, status: u16, request: Request<Body>) {
        let before = self.barn.state();
        self.send_and_note(case, status, request).await;
        assert_eq!(self.barn.state(), before, "`{case}` changed something");
    }

    /// Checks that the answer has this status and that this many changes were appended. Returns the body.
    pub(crate) async fn expect_changes(
        &mut self,
        case: &str,
        status: u16,
        changes: u64,
        request: Request<Body>,
    ) -> Value {
        let before = self.barn.head().sequence.0;
        let answer = self.send_and_note(case, status, request).await;
        assert_eq!(self.barn.head().sequence.0 - before, changes, "`{case}`: {answer}");
        answer
    }

    async fn send_and_note(&mut self, case: &str, status: u16, request: Request<Body>) -> Value {
        let response = self.barn.send(request).await;
        let body = body_of(&response);
        assert_eq!(response.status().as_u16(), status, "`{case}`: {body}");
        if status >= 400 {
            assert_refusal(case, &body);
        }
        let (headers, shown) = (headers_of(&response), shortened(body.clone()));
        self.golden.add(case, json!({"status": status, "headers": headers, "body": shown}));
        body
    }

    /// Compares the answers of all cases with the golden file.
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
