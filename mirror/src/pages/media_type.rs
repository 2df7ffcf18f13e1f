//! Media type of a response, chosen by the `Accept` header.

use axum::http::{HeaderMap, header};

/// HTML for people, or JSON for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    Html,
    Json,
}

impl MediaType {
    /// Returns the type that `Accept` names with the higher quality, or the first one if they are equal.
    ///
    /// The default is JSON: browsers name `text/html`, and programs that name nothing expect JSON.
    pub(super) fn negotiate(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut best = (0, Self::Json);
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media_type = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "text/html" => Self::Html,
                "application/json" => Self::Json,
                _ => continue,
            };
            let thousandths = parts.find_map(|part| part.strip_prefix("q=")).map_or(1_000, thousandths);
            if thousandths > best.0 {
                best = (thousandths, media_type);
            }
        }
        best.1
    }
}

/// Returns a quality value in thousandths: `0` to `1` with at most three decimals (RFC 9110, 12.4.2), else 0.
fn thousandths(quality: &str) -> u32 {
    let (whole, decimals) = quality.split_once('.').unwrap_or((quality, ""));
    let digits = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let fraction = format!("{decimals:0<3}").parse().unwrap_or(0);
    match whole {
        "0" if digits => fraction,
        "1" if digits => 1_000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiate(accept: &str) -> MediaType {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        MediaType::negotiate(&headers)
    }

    #[test]
    fn browsers_get_html_and_programs_get_json() {
        assert_eq!(negotiate("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), MediaType::Html);
        assert_eq!(negotiate("application/json"), MediaType::Json);
        assert_eq!(negotiate("*/*"), MediaType::Json);
        assert_eq!(MediaType::negotiate(&HeaderMap::new()), MediaType::Json);
    }

    #[test]
    fn the_higher_quality_wins_then_the_first_of_equals() {
        assert_eq!(negotiate("text/html;q=0.5, application/json;q=0.75"), MediaType::Json);
        assert_eq!(negotiate("application/json;q=0.75, text/html;q=0.9"), MediaType::Html);
        assert_eq!(negotiate("application/json, text/html"), MediaType::Json);
        assert_eq!(negotiate("text/html;q=0"), MediaType::Json);
        assert_eq!(negotiate("text/html;q=high"), MediaType::Json);
    }
}
