# shellcheck shell=bash disable=SC2154  # $cache: debian.sh
# How image/ compiles for a 64-bit Pi without Docker: the toolchain that `cross` would find in its container, out of
# Debian's packages. Sourced after debian.sh.
#
# The C side (compiler, linker, glibc 2.36) is Debian 12's own cross toolchain, the packages that cross.toml names. The
# Rust side is rustup's where it has the target, else Debian 12's rustc-web, which comes with a standard library for
# arm64; it is unpacked below $cache and never installed, as its /usr/bin/rustc would be a second one on the PATH.

arm64_target=aarch64-unknown-linux-gnu
# What a binary for Debian 12 may ask for.
newest_glibc=2.36

# arm64_toolchain: after it, `arm64_cargo` compiles for arm64. Says which compiler it took.
arm64_toolchain() {
    need cargo=cargo cc=gcc cc=libc6-dev
    need aarch64-linux-gnu-gcc={gcc-aarch64-linux-gnu,libc6-dev-arm64-cross}
    [ -e /usr/aarch64-linux-gnu/include/stdio.h ] || again install_packages libc6-dev-arm64-cross
    arm64_rustc=$(command -v rustc || true)
    arm64_rustdoc=$(command -v rustdoc || true)
    if ! rustc_has_target; then
        debian_rustc
    fi
    note "$("$arm64_rustc" --version) for $arm64_target, $(aarch64-linux-gnu-gcc --version | sed -n 1p)"
}

# Has the machine's rustc a standard library for the target? Of rustup's, only the installed ones have.
rustc_has_target() {
    [ -n "$arm64_rustc" ] || return 1
    local library
    library=$("$arm64_rustc" --print target-libdir --target "$arm64_target" 2>/dev/null) || return 1
    compgen -G "$library/libstd-*.rlib" >/dev/null
}

# Debian's rustc, unpacked, with its libraries beside it. The names of two of its packages have versions in them.
debian_rustc() {
    local tree=$cache/rustc-arm64 std llvm
    private_apt bookworm bookworm bookworm-security
    std=$(depends_on rustc-web libstd-rust-web-dev | grep '^libstd-rust-web-[0-9]')
    llvm=$(depends_on "$std" | grep '^libllvm')
    unpack_packages "$tree" rustc-web "$std" "$llvm" libstd-rust-web-dev{,:arm64} libedit2 libz3-4 libxml2 libicu72 \
        libbsd0 libmd0 libtinfo6
    arm64_rustc=$(wrapped "$tree" rustc)
    arm64_rustdoc=$(wrapped "$tree" rustdoc)
}

# wrapped TREE PROGRAM: a script that runs it with the libraries of its tree.
wrapped() {
    cat >"$1/$2" <<-END
	#!/bin/sh
	LD_LIBRARY_PATH="$1/usr/lib/x86_64-linux-gnu" exec "$1/usr/bin/$2" "\$@"
	END
    chmod +x "$1/$2"
    printf '%s\n' "$1/$2"
}

# depends_on PACKAGE...: the names of the packages that they depend on.
depends_on() {
    apt_private_cache depends --no-recommends --no-suggests "$@" | awk '$1 == "Depends:" { print $2 }'
}

# arm64_cargo COMMAND ARGUMENT...: cargo with that toolchain, in a target directory of its own, with the variables that
# cross.toml gives to the container.
arm64_target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}/arm64-without-docker")
arm64_cargo() {
    local command=$1
    shift
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
        CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
        AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar \
        RUSTC=$arm64_rustc RUSTDOC=$arm64_rustdoc CARGO_TARGET_DIR=$arm64_target_dir \
        cargo "$command" --locked --target "$arm64_target" "$@"
}

# glibc_of BINARY: the newest version of glibc that it asks for, such as 2.34.
glibc_of() {
    aarch64-linux-gnu-objdump -T "$1" | grep -oE 'GLIBC_[0-9.]+' | sed 's/^GLIBC_//' | sort -V | tail -n 1
}

# check_glibc BINARY: fails where Debian 12 could not start it.
check_glibc() {
    local asked
    asked=$(glibc_of "$1")
    [ -n "$asked" ] || fail "$1 asks for no glibc at all; is it an arm64 program?"
    [ "$(printf '%s\n' "$asked" "$newest_glibc" | sort -V | tail -n 1)" = "$newest_glibc" ] ||
        fail "$1 asks for glibc $asked, and Debian 12 has $newest_glibc; build it on Debian 12"
}
