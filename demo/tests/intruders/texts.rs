//! Scripts in every field that a packet carries, read back from every page and file.

use super::yard_with;
use crate::user::User;
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap};
use std::collections::{BTreeSet, VecDeque};

/// Payloads whose every text is a script, a way out of an attribute, or a formula.
const PAYLOADS: [&str; 8] = [
    "event:hxbind000001|funder:\"><script>alert(1)</script>|lot:<script>alert(2)</script>|pen:'><script>alert(3)</script>|\
     lid:<script>alert(4)</script>|sex:\" onload=alert(5)|tag_color:<script>alert(6)</script>|\
     visual_id:</title><script>alert(7)</script>",
    "event:hxbpai000001|lf:<script>alert(8)</script>|epc:\"><script>alert(9)</script>|lid:<script>alert(4)</script>|\
     weight:<script>alert(10)</script>",
    "event:hxbind000002|lot:=HYPERLINK(\"x\")|pen:=HYPERLINK(\"y\")|lid:=HYPERLINK(\"z\")|visual_id:=HYPERLINK(\"v\")|\
     funder:+HYPERLINK|sex:@HYPERLINK",
    "event:hxeexp000003|batch:<script>alert(11)</script>|lid:<script>alert(4)</script>",
    "hxb:<script>alert(12)</script>:<script>alert(13)</script>:<script>alert(14)</script>",
    "<script>alert(15)</script>",
    "event:<script>alert(16)</script>|lid:1",
    "event:hxbchi000004|<script>alert(17)</script>:1|lid:<script>alert(4)</script>",
];
/// Maximum number of pages that are opened. All pages of this herd are fewer.
const MAX_PAGES: usize = 400;
/// Files and pages that no page links to, or that open otherwise than by a link.
const OTHERS: [&str; 9] = [
    "/",
    "/users",
    "/log",
    "/search?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "/search?q=%22%3E%3Cscript%3Ealert(1)",
    "/animals?pen=%22%3E%3Cscript%3Ealert(1)",
    "/payloads?reader=%22%3E%3Cscript%3Ealert(1)",
    "/batches/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "/nothing/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
];

/// Returns the paths of this office that a page links to.
fn links(page: &str) -> impl Iterator<Item = String> {
    let quoted = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let local = quoted.filter(|path| path.starts_with('/') && !path.starts_with("//"));
    local.map(|path| path.replace("&#38;", "&").replace("&amp;", "&").split('#').next().unwrap().to_owned())
}

/// Returns whether a link leads to the same list with another filter or order. There are more of these than anybody can open.
fn is_same_list(path: &str, next: &str) -> bool {
    let list = |path: &str| path.split_once('?').map(|(list, _)| list.to_owned());
    list(path).is_some() && list(path) == list(next)
}

fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> String {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// Checks an answer by what it says that it is.
fn check(path: &str, headers: &HeaderMap, body: &str) {
    let media_type = header(headers, CONTENT_TYPE);
    assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
    match media_type.split(';').next().unwrap() {
        "text/html" => {
            let policy = header(headers, CONTENT_SECURITY_POLICY);
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
            for markup in ["<script>", "\" onload", "</title><script"] {
                assert!(!body.contains(markup), "{path}: {markup}: {body}");
            }
        }
        "text/csv" => {
            assert!(header(headers, CONTENT_DISPOSITION).starts_with("attachment"), "{path}");
            for start in [",", "\n", ",\"", "\n\""] {
                for sign in ["=HYPERLINK", "+HYPERLINK", "@HYPERLINK"] {
                    assert!(!body.contains(&format!("{start}{sign}")), "{path}: {body}");
                }
            }
        }
        "application/json" | "text/plain" | "text/css" | "text/javascript" => {}
        other => panic!("{path} is of the type {other:?}"),
    }
}

#[allow(clippy::print_stderr, reason = "the count is a result")]
#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_a_packet_is_markup_script_or_formula_on_any_page_or_file() {
    let yard = yard_with(&PAYLOADS).await;
    let owner = User::add(&yard.office, "Olga", "owner").await;
    let mut waiting: VecDeque<String> = OTHERS.map(str::to_owned).into();
    let mut seen: BTreeSet<String> = waiting.iter().cloned().collect();
    let (mut files, mut opened) = (0, 0);
    while let Some(path) = waiting.pop_front() {
        opened += 1;
        assert!(opened <= MAX_PAGES, "pages without end: {path}");
        let page = owner.get(&path).await;
        let headers = page.headers().clone();
        let body = page.text().await.unwrap();
        check(&path, &headers, &body);
        let is_page = header(&headers, CONTENT_TYPE).starts_with("text/html");
        files += u32::from(!is_page);
        if is_page {
            let new = links(&body).filter(|next| !is_same_list(&path, next));
            waiting.extend(new.filter(|next| seen.insert(next.clone())));
        }
        let view = owner.request_as(&path, "application/json").send().await.unwrap();
        let headers = view.headers().clone();
        check(&path, &headers, &view.text().await.unwrap());
    }
    eprintln!("{opened} addresses, {files} of them files");
    for part in ["/animals/2", "/lots/", "/pens", "/payloads/2", "/payloads.csv", "/animals.csv", "/batches/by-id/"] {
        assert!(seen.iter().any(|path| path.starts_with(part)), "no page links to {part}: {seen:?}");
    }
}
