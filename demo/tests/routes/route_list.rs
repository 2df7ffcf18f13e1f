//! Lists the routes of a router, read from the router itself.
//!
//! `axum` has no such list, but its `Debug` output prints the tree in which it looks up paths, with the handlers of
//! each path. A list kept by hand beside the code would agree with itself and prove nothing. `axum` does not promise
//! the form of this output. Therefore any unexpected form is a panic, never a shorter list, and the unit tests below
//! pin the forms that are understood.
//!
//! The list does not show what a fallback answers, so the tests also call paths and methods that the tables lack.

use axum::Router;
use std::collections::{BTreeMap, BTreeSet};

/// Method of a route whose handler accepts every method.
pub(crate) const ANY: &str = "ANY";
/// Fields of a route in `axum`, one for each method.
const METHODS: [&str; 9] = ["get", "head", "delete", "options", "patch", "post", "put", "trace", "connect"];
/// Paths at which a router without nested fallbacks keeps its own fallback.
const ONE_FALLBACK: [&str; 2] = ["/", "/{*__private__axum_fallback}"];
const UNREADABLE: &str = "axum prints its routers in a form that this module cannot read";

/// A method and a pattern of paths. `GET` answers `HEAD` too.
pub(crate) type Route = (String, String);

/// Returns all routes of this router, including nested and merged ones.
pub(crate) fn routes_of(router: &Router) -> BTreeSet<Route> {
    let text = format!("{router:?}");
    let (own, fallbacks) = text.split_once(", fallback_router: ").expect(UNREADABLE);
    let fallbacks: BTreeSet<String> = tree_of(fallbacks).into_iter().map(|(_, path)| path).collect();
    let one = ONE_FALLBACK.map(str::to_owned).into();
    assert_eq!(fallbacks, one, "a nested router has a fallback of its own, and routes may hide behind it");
    tree_of(own)
}

/// Returns the routes of one tree of paths.
fn tree_of(text: &str) -> BTreeSet<Route> {
    let (endpoints, paths) = text.split_once(", node: Node { paths: {").expect(UNREADABLE);
    let (endpoints, mut paths) = (numbered(endpoints), numbered(paths));
    assert!(!endpoints.is_empty() && endpoints.keys().eq(paths.keys()), "{UNREADABLE}: {text}");
    let routes = endpoints.into_iter().flat_map(|(id, endpoint)| {
        let path = paths.remove(id).and_then(quoted).expect(UNREADABLE);
        methods_of(endpoint).into_iter().map(move |method| (method, path.to_owned()))
    });
    routes.collect()
}

/// Returns the text after each route number.
fn numbered(text: &str) -> BTreeMap<&str, &str> {
    text.split("RouteId(").skip(1).map(|part| part.split_once("): ").expect(UNREADABLE)).collect()
}

/// Returns the quoted text at the start, or `None` if there is none or it contains an escape.
fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.split_once('"').map(|(path, _)| path).filter(|path| !path.contains('\\'))
}

fn methods_of(endpoint: &str) -> Vec<String> {
    // A service that receives every call.
    if endpoint.starts_with("Route(Route)") {
        return vec![ANY.to_owned()];
    }
    assert!(endpoint.starts_with("MethodRouter(MethodRouter {"), "{UNREADABLE}: {endpoint}");
    let methods: Vec<_> = METHODS.iter().filter(|field| has(endpoint, field)).map(|it| it.to_uppercase()).collect();
    if !methods.is_empty() {
        return methods;
    }
    assert!(endpoint.contains("allow_header: Skip"), "{UNREADABLE}: {endpoint}");
    vec![ANY.to_owned()]
}

fn has(endpoint: &str, field: &str) -> bool {
    let value = endpoint.split_once(&format!(" {field}: ")).and_then(|(_, rest)| rest.split_once(','));
    match value.expect(UNREADABLE).0 {
        "None" => false,
        "Route" | "BoxedHandler" => true,
        other => panic!("{UNREADABLE}: {field}: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Extension;
    use axum::routing::{any, get, post, put};

    async fn nothing() {}

    #[test]
    fn nested_merged_layered_and_wildcard_routes_are_listed_with_their_methods() {
        let nested: Router =
            Router::new().route("/", get(nothing).post(nothing)).route("/{id}", get(nothing)).layer(Extension(1));
        let merged = Router::new().route("/merged", put(nothing)).route_layer(Extension(2)).with_state(3_u8);
        let router: Router = Router::new()
            .route("/twice", post(nothing).layer(Extension(4)))
            .route("/twice", get(nothing))
            .route("/any", any(nothing))
            .route_service("/service/{*rest}", get(nothing))
            .nest("/of/{site}", nested)
            .merge(merged)
            .fallback(nothing)
            .method_not_allowed_fallback(nothing)
            .layer(Extension(5));
        let expected = [
            (ANY, "/any"),
            (ANY, "/service/{*rest}"),
            ("GET", "/of/{site}"),
            ("GET", "/of/{site}/{id}"),
            ("GET", "/twice"),
            ("POST", "/of/{site}"),
            ("POST", "/twice"),
            ("PUT", "/merged"),
        ];
        let expected = expected.map(|(method, path)| (method.to_owned(), path.to_owned()));
        assert_eq!(routes_of(&router), BTreeSet::from(expected));
    }

    #[test]
    #[should_panic(expected = "routes may hide behind it")]
    fn a_fallback_of_a_nested_router_is_never_skipped() {
        let nested: Router = Router::new().route("/", get(nothing)).fallback(nothing);
        routes_of(&Router::new().route("/", get(nothing)).nest("/of", nested));
    }
}
