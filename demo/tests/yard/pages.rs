//! The office's pages, as JSON for programs and as HTML for people.

use demo::processes::Client;
use serde_json::Value;

/// Stands for the status if the office cannot be reached.
const NO_ANSWER: u16 = 0;
const JSON: &str = "application/json";
const HTML: &str = "text/html";

/// Returns a page as JSON, or the status if it is not 200.
pub(crate) async fn json(pages: &Client, path: &str) -> Result<Value, u16> {
    let answer = pages.get(path, JSON).await.map_err(|_| NO_ANSWER)?;
    if answer.status != 200 {
        return Err(answer.status);
    }
    Ok(answer.json().unwrap())
}

/// Returns a page as HTML, or the status if it is not 200.
pub(crate) async fn html(pages: &Client, path: &str) -> Result<String, u16> {
    let answer = pages.get(path, HTML).await.map_err(|_| NO_ANSWER)?;
    if answer.status != 200 {
        return Err(answer.status);
    }
    Ok(answer.text())
}

/// The office's animals, which can be looked up by tag or lid.
pub(crate) struct Animals<'a> {
    pages: &'a Client,
    listed: Vec<Value>,
}

impl<'a> Animals<'a> {
    pub(crate) async fn fetch(pages: &'a Client) -> Self {
        let mut list = json(pages, "/animals?limit=1000").await.unwrap();
        assert_eq!(list["next"], Value::Null, "one page holds them all");
        let Value::Array(listed) = list["data"].take() else { panic!("{list}") };
        Self { pages, listed }
    }

    pub(crate) fn count(&self) -> usize {
        self.listed.len()
    }

    /// Returns the page of the one animal with this LF tag.
    pub(crate) async fn with_lf(&self, text: &str) -> Value {
        self.one(text, |animal| animal["lf"]["text"] == text).await
    }

    /// Returns the page of the one animal with this lid.
    pub(crate) async fn with_lid(&self, lid: &str) -> Value {
        let bears = |animal: &Value| animal["lids"].as_array().unwrap().iter().any(|named| named["lid"] == lid);
        self.one(lid, bears).await
    }

    async fn one(&self, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut found = self.listed.iter().filter(|animal| is(animal));
        let (Some(animal), None) = (found.next(), found.next()) else {
            panic!("not exactly one animal is called {name}")
        };
        json(self.pages, &format!("/animals/{}", animal["id"])).await.unwrap()
    }
}

/// Returns the texts of a list of tags.
pub(crate) fn texts(tags: &Value) -> Vec<&str> {
    tags.as_array().unwrap().iter().map(|tag| tag["text"].as_str().unwrap()).collect()
}
