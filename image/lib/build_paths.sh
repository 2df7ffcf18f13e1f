# shellcheck shell=bash
# Keeps the paths of the machine that builds out of the programs: panics name the source file that they come from.
# Sourced, not run.

# path_names: prints each directory whose path would appear in a program, and the name that appears instead. rustc applies
# the last one that matches, so the more special ones come last.
path_names() {
    local registry
    printf '%s\n' "${CARGO_HOME:-$HOME/.cargo}=cargo"
    for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do printf '%s\n' "${registry%/}=crates"; done
    printf '%s\n' "$(rustc --print sysroot)=rust" "$PWD=herdlinx"
}

# without_build_paths: prints flags for rustc, as CARGO_ENCODED_RUSTFLAGS has them.
without_build_paths() { path_names | sed 's/^/--remap-path-prefix=/' | paste -s -d $'\037'; }

# build_paths PROGRAM: prints the paths of this machine that the program contains.
build_paths() { path_names | sed 's/=[^=]*$//' | grep -oaFf - "$1" | sort -u; }
