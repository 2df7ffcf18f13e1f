//! Users at browsers.

use demo::processes::Office;
use mirror::link::{Trust, client_config};
use reqwest::header::{ACCEPT, COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

pub(crate) const PASSWORD: &str = "the gate is green";

/// Returns a browser on a machine with this address, which follows no redirects.
pub(crate) fn browser(office: &Office, address: Ipv4Addr) -> Client {
    let tls = client_config(&Trust::Pin(office.spki_sha256().unwrap())).unwrap();
    let builder = Client::builder().use_preconfigured_tls(tls).no_proxy().redirect(Policy::none());
    builder.local_address(IpAddr::from(address)).build().unwrap()
}

/// A user at a browser.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) browser: Client,
    /// Scheme, host and port of the office.
    pub(crate) base: String,
    pub(crate) cookie: String,
    pub(crate) form_token: String,
}

impl User {
    /// Returns somebody on this machine who is not logged in.
    pub(crate) fn nobody(office: &Office) -> Self {
        Self {
            browser: browser(office, Ipv4Addr::LOCALHOST),
            base: format!("https://{}", office.address()),
            cookie: String::new(),
            form_token: String::new(),
        }
    }

    /// Adds a user, who chooses a password by the link.
    pub(crate) async fn add(office: &Office, name: &str, role: &str) -> Self {
        let printed = office.run(&["user", "add", name, "--role", role]).unwrap();
        let code = printed.lines().last().unwrap().split_once("/welcome?code=").unwrap().1.to_owned();
        let nobody = Self::nobody(office);
        let fields = [("code", code.as_str()), ("password", PASSWORD), ("again", PASSWORD)];
        nobody.logged_in(&nobody.send("/welcome", &fields).await).await
    }

    /// Returns the user whose session an answer has begun.
    pub(crate) async fn logged_in(&self, response: &Response) -> Self {
        let cookie = cookie_of(response).unwrap();
        let user = Self { cookie, ..self.clone() };
        let page = user.get("/").await.text().await.unwrap();
        let form_token = page.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        Self { form_token: form_token.to_owned(), ..user }
    }

    pub(crate) fn request(&self, path: &str) -> RequestBuilder {
        self.request_as(path, "text/html")
    }

    /// Begins a request for a page in a media type.
    pub(crate) fn request_as(&self, path: &str, accept: &str) -> RequestBuilder {
        self.browser.get(format!("{}{path}", self.base)).header(ACCEPT, accept).header(COOKIE, &self.cookie)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(path).send().await.unwrap()
    }

    /// Begins a form without what a browser says of its page.
    pub(crate) fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let fields: BTreeMap<_, _> = fields.iter().copied().collect();
        let request = self.browser.post(format!("{}{path}", self.base)).header(ACCEPT, "text/html");
        request.header(COOKIE, &self.cookie).form(&fields)
    }

    /// Sends a form as a page of the office does.
    pub(crate) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.form(path, fields).header("Sec-Fetch-Site", "same-origin").send().await.unwrap()
    }

    /// Returns whether a page is shown; panics if the answer is neither that nor the way to the log-in.
    pub(crate) async fn is_let_in(&self) -> bool {
        match self.get("/animals").await.status().as_u16() {
            200 => true,
            303 | 401 => false,
            other => panic!("status {other}"),
        }
    }
}

/// Returns the cookie that an answer sets.
pub(crate) fn cookie_of(response: &Response) -> Option<String> {
    let set = response.headers().get(SET_COOKIE)?.to_str().unwrap();
    Some(set.split_once(';').unwrap().0.to_owned())
}
