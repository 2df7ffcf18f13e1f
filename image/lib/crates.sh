# shellcheck shell=bash
# Lists the crates that a program is linked with, for the packages: their licenses require that the license texts are
# passed on. Sourced, not run.

# crates CRATE TRIPLE: prints a line for each linked crate (name, version, license). After that, prints each distinct
# license text once, below the names of the crates that contain it.
crates() {
    linked_crates "$@"
    linked_crates "$@" | sed 's/^\([^ ]*\) v\([^,]*\),.*/\1-\2/' | license_files | group_by_hash |
        while read -r file names; do
            printf '\n==== %s\n\n' "$names"
            cat "$file"
        done
}

# linked_crates CRATE TRIPLE: prints the linked crates that come from the registry, without those of this workspace.
linked_crates() {
    cargo tree --locked -p "$1" --edges normal --target "$2" --prefix none --format '{p}, {l}' |
        grep -v ' (/' | sed 's/ (\*)//; s/ (proc-macro)//' | LC_ALL=C sort -u
}

# license_files: for each NAME-VERSION on stdin, prints the hash and path of each license file.
license_files() {
    local crate
    while read -r crate; do
        find "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$crate" -maxdepth 1 -type f \
            \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'notice*' -o -iname 'unlicense*' \) -print0 |
            LC_ALL=C sort -z | xargs -0r sha256sum
    done
}

# group_by_hash: for each distinct hash, prints its first path and the crates that have it, in order of appearance.
group_by_hash() {
    awk '{ crate = $2; sub("/[^/]*$", "", crate); sub(".*/", "", crate) }
        !($1 in path) { path[$1] = $2; order[++count] = $1 }
        index(" " names[$1] " ", " " crate " ") == 0 { names[$1] = names[$1] " " crate }
        END { for (at = 1; at <= count; at++) print path[order[at]] names[order[at]] }'
}
