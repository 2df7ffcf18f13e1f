# shellcheck shell=bash
# Lists the crates that a program is linked with, for the packages: their licenses require that the license texts are
# passed on. Sourced, not run.

# crates CRATE TRIPLE: prints a line for each linked crate (name, version, license) and where the sources of those under
# the MPL-2.0 are, as that license requires. After that, prints each distinct license text once, below the names of the
# crates that contain it. A crate that contains none gets the text of the MIT license, if it is under that.
crates() {
    local list texts
    list=$(linked_crates "$@")
    texts=$(printf '%s\n' "$list" | sed 's/^\([^ ]*\) v\([^,]*\),.*/\1-\2/' | license_files | group_by_hash)
    printf '%s\n' "$list"
    mpl_sources <<<"$list"
    while read -r file names; do
        printf '\n==== %s\n\n' "$names"
        cat "$file"
    done <<<"$texts"
    crates_without_text "$texts" <<<"$list"
    printf '\n==== the standard library of Rust\n\n'
    mit_text "the Rust Project contributors"
}

# mpl_sources: for each crate on stdin that is under the MPL-2.0, prints where its source is.
mpl_sources() {
    local name version license
    while read -r name version license; do
        version=${version#v}
        [[ $license == *MPL-2.0* ]] || continue
        printf '\n%s %s is under the MPL-2.0 and linked unchanged. Its source: %s, and the package registry of Rust.\n' \
            "$name" "${version%,}" "$(manifest_value repository "$name-${version%,}")"
    done
}

# crates_without_text TEXTS: for each crate on stdin that the texts do not name, prints the MIT license.
crates_without_text() {
    local name version license crate
    while read -r name version license; do
        version=${version#v} crate=$name-${version%,}
        [[ " ${1//$'\n'/ } " != *" $crate "* ]] || continue
        [[ $license == *MIT* ]] || fail "$crate is under $license and contains no license text; add one to image/lib/crates.sh"
        printf '\n==== %s\n\n' "$crate"
        mit_text "$(manifest_value authors "$crate")"
    done
}

# manifest_value KEY CRATE: prints the value of a key in the crate's manifest, without quotes and brackets.
manifest_value() {
    sed -n "/^$1 = \[\$/,/^]/{s/^ *\"\(.*\)\",\$/\1/p}; s/^$1 = \[\{0,1\}\"\([^\"]*\)\".*/\1/p" \
        "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$2"/Cargo.toml | paste -s -d ',' | sed 's/,/, /g'
}

# mit_text AUTHORS: prints the MIT license.
mit_text() {
    cat <<-END
	Copyright (c) ${1:-the authors}

	$(sed -n '/^Permission is hereby/,$p' LICENSE-MIT)
	END
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
