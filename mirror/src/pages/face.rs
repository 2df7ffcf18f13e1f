//! Which face of a page was asked for.

use axum::http::{HeaderMap, header};

/// For people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    Html,
    Json,
}

impl Face {
    /// By `Accept`: the type that it names with the higher quality, the first of equals. Nothing named is JSON, which
    /// is what programs that name nothing expect; browsers name `text/html`.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut chosen = (0, Self::Json);
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let face = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "text/html" => Self::Html,
                "application/json" => Self::Json,
                _ => continue,
            };
            let thousandths = parts.find_map(|part| part.strip_prefix("q=")).map_or(1_000, thousandths);
            if thousandths > chosen.0 {
                chosen = (thousandths, face);
            }
        }
        chosen.1
    }
}

/// A quality from `0` to `1` with at most three decimals (RFC 9110, 12.4.2); 0 for anything else.
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

    fn face(accept: &str) -> Face {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Face::of(&headers)
    }

    #[test]
    fn browsers_get_html_and_programs_json() {
        assert_eq!(face("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Face::Html);
        assert_eq!(face("application/json"), Face::Json);
        assert_eq!(face("*/*"), Face::Json);
        assert_eq!(Face::of(&HeaderMap::new()), Face::Json);
    }

    #[test]
    fn the_higher_quality_wins_and_the_first_of_equals() {
        assert_eq!(face("text/html;q=0.5, application/json;q=0.75"), Face::Json);
        assert_eq!(face("application/json;q=0.75, text/html;q=0.9"), Face::Html);
        assert_eq!(face("application/json, text/html"), Face::Json);
        assert_eq!(face("text/html;q=0"), Face::Json);
        assert_eq!(face("text/html;q=high"), Face::Json);
    }
}
