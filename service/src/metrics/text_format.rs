//! The text format 0.0.4 of Prometheus, made from OpenMetrics.
//!
//! Older scrapers and many scripts know only this format. The encoder has OpenMetrics alone, and the two differ in their
//! comments: a counter is named with its `_total`, facts are a gauge, and there are no units and no end.

use std::fmt::Write as _;

/// Content type of the format.
pub(super) const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns whether a request asks for this format, and not for OpenMetrics.
pub(super) fn is_wanted(accept: &str) -> bool {
    accept.contains("text/plain") && !accept.contains("openmetrics")
}

/// Converts a page of OpenMetrics.
pub(super) fn to_text_format(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    // Writing to a `String` does not fail. The help of a family comes before its type, which decides about the name in both.
    let mut help = None;
    for line in page.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), words) => help = Some((name, words.unwrap_or_default())),
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", kind),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    _ => ("", kind),
                };
                if let Some((_, help)) = help.take().filter(|(of, _)| *of == name) {
                    let _ = writeln!(text, "# HELP {name}{suffix} {}", help.replace("\\\"", "\""));
                }
                let _ = writeln!(text, "# TYPE {name}{suffix} {kind}");
            }
            (Some("#"), ..) => {}
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches comments that a scraper of the old format refuses or takes for another family.
    #[test]
    fn comments_are_converted_and_samples_stay() {
        let page = concat!(
            "# HELP herdlinx_sync_changes Changes sent.\n# TYPE herdlinx_sync_changes counter\n",
            "# UNIT herdlinx_sync_changes changes\nherdlinx_sync_changes_total{site=\"a b\"} 3\n",
            "# HELP herdlinx_build The program.\n# TYPE herdlinx_build info\nherdlinx_build_info{program=\"x\"} 1\n",
            "# HELP herdlinx_lag Lag.\n# TYPE herdlinx_lag gauge\nherdlinx_lag 0\n",
            "# TYPE herdlinx_bare unknown\nherdlinx_bare 7\n# EOF\n",
        );
        let expected = concat!(
            "# HELP herdlinx_sync_changes_total Changes sent.\n# TYPE herdlinx_sync_changes_total counter\n",
            "herdlinx_sync_changes_total{site=\"a b\"} 3\n",
            "# HELP herdlinx_build_info The program.\n# TYPE herdlinx_build_info gauge\n",
            "herdlinx_build_info{program=\"x\"} 1\n",
            "# HELP herdlinx_lag Lag.\n# TYPE herdlinx_lag gauge\nherdlinx_lag 0\n",
            "# TYPE herdlinx_bare untyped\nherdlinx_bare 7\n",
        );
        assert_eq!(to_text_format(page), expected);
    }

    /// Catches a scraper that gets another format than the one it names.
    #[test]
    fn whoever_names_openmetrics_gets_it() {
        assert!(is_wanted("text/plain;version=0.0.4;q=1,*/*;q=0.1"));
        assert!(!is_wanted("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"));
        assert!(!is_wanted("*/*"));
    }
}
