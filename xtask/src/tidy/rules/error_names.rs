//! Names of errors.

use crate::syntax::error_types;
use crate::tidy::{Finding, Rule, TidyError};
use crate::tree::Tree;

pub(super) const RULE: Rule = Rule {
    name: "error-names",
    reason: "a signature must show that a value means failure, also to a reader who does not know the type",
    mend: "let the name end in `Error`; a reason that is stored as data is not an error, and needs no `impl Error`",
    find,
};

fn find(tree: &Tree) -> Result<Vec<Finding>, TidyError> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        let errors = error_types(source.syntax()?).into_iter().filter(|error| !error.name.ends_with("Error"));
        findings.extend(errors.map(|error| {
            Finding::at(
                source.path(),
                error.line,
                format!("`{}` is an error, and its name does not say so", error.name),
            )
        }));
    }
    Ok(findings)
}
