//! Texts as parts of a path or a query.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters to encode in a path segment: all but the unreserved ones of RFC 3986.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the prefix of a site's paths.
pub(super) fn site_prefix(site: &str) -> String {
    format!("/sites/{}", path_segment(site))
}

/// Percent-encodes a name as a segment of a path.
pub(super) fn path_segment(name: &str) -> String {
    utf8_percent_encode(name, PATH_SEGMENT).to_string()
}

/// Percent-encodes a text as a value of a query.
pub(super) fn query_value(text: &str) -> String {
    path_segment(text)
}
