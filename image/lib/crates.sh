# shellcheck shell=bash
# What a program is linked with, for the packages: their licenses want to be passed on with it. Sourced, not run.

# crates CRATE TRIPLE: a line for each crate that it is linked with (name, version, license), then the license texts
# that these came with, each once, below the names of the crates that have it.
crates() {
    linked_with "$@"
    linked_with "$@" | sed 's/^\([^ ]*\) v\([^,]*\),.*/\1-\2/' | license_files | once_each |
        while read -r file names; do
            printf '\n==== %s\n\n' "$names"
            cat "$file"
        done
}

# linked_with CRATE TRIPLE: crates of the registry, not ours.
linked_with() {
    cargo tree --locked -p "$1" --edges normal --target "$2" --prefix none --format '{p}, {l}' |
        grep -v ' (/' | sed 's/ (\*)//; s/ (proc-macro)//' | LC_ALL=C sort -u
}

# license_files: for each NAME-VERSION on stdin, the hash and path of each file that speaks of its license.
license_files() {
    local crate
    while read -r crate; do
        find "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$crate" -maxdepth 1 -type f \
            \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'notice*' -o -iname 'unlicense*' \) -print0 |
            LC_ALL=C sort -z | xargs -0r sha256sum
    done
}

# once_each: for each hash the first path, then the crates that have it, in the order of the first.
once_each() {
    awk '{ crate = $2; sub("/[^/]*$", "", crate); sub(".*/", "", crate) }
        !($1 in path) { path[$1] = $2; order[++count] = $1 }
        index(" " names[$1] " ", " " crate " ") == 0 { names[$1] = names[$1] " " crate }
        END { for (at = 1; at <= count; at++) print path[order[at]] names[order[at]] }'
}
