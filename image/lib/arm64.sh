# shellcheck shell=bash disable=SC2154  # $cache: debian.sh
# Compiles for a 64-bit Raspberry Pi without Docker, with the same Debian packages that `cross` installs in its
# container. Sourced after debian.sh.
#
# The C toolchain (compiler, linker, glibc 2.36) is Debian 12's own cross toolchain: the packages that cross.toml names.
# The Rust toolchain is rustup's if it has the target. Otherwise it is Debian 12's rustc-web, which has a standard
# library for arm64. That one is unpacked below $cache and never installed, because its /usr/bin/rustc would be a second
# rustc on the PATH.

# shellcheck source=image/lib/build_paths.sh
. image/lib/build_paths.sh

arm64_target=aarch64-unknown-linux-gnu
# glibc of Debian 12: the newest version that a binary may require.
newest_glibc=2.36

# arm64_toolchain: prepares the toolchain for `arm64_cargo`, and prints which compilers it found.
arm64_toolchain() {
    need cargo=cargo cc=gcc cc=libc6-dev
    need aarch64-linux-gnu-gcc={gcc-aarch64-linux-gnu,libc6-dev-arm64-cross}
    [ -e /usr/aarch64-linux-gnu/include/stdio.h ] || retry_once install_packages libc6-dev-arm64-cross
    arm64_rustc=$(command -v rustc || true)
    arm64_rustdoc=$(command -v rustdoc || true)
    if ! rustc_has_target; then
        unpack_debian_rustc
    fi
    note "$("$arm64_rustc" --version) for $arm64_target, $(aarch64-linux-gnu-gcc --version | sed -n 1p)"
}

# rustc_has_target: succeeds if the machine's rustc has a standard library for the target. rustup prints a path for
# every target, but the library is there only if the target is installed.
rustc_has_target() {
    [ -n "$arm64_rustc" ] || return 1
    local library
    library=$("$arm64_rustc" --print target-libdir --target "$arm64_target" 2>/dev/null) || return 1
    compgen -G "$library/libstd-*.rlib" >/dev/null
}

# unpack_debian_rustc: unpacks Debian's rustc with its libraries. Two of the packages have a version in their name.
unpack_debian_rustc() {
    local tree=$cache/rustc-arm64 std llvm
    use_private_apt bookworm bookworm-security
    std=$(depends_on rustc-web libstd-rust-web-dev | grep '^libstd-rust-web-[0-9]')
    llvm=$(depends_on "$std" | grep '^libllvm')
    unpack_packages "$tree" rustc-web "$std" "$llvm" libstd-rust-web-dev{,:arm64} libedit2 libz3-4 libxml2 libicu72 \
        libbsd0 libmd0 libtinfo6
    arm64_rustc=$(write_wrapper "$tree" rustc)
    arm64_rustdoc=$(write_wrapper "$tree" rustdoc)
}

# write_wrapper TREE PROGRAM: writes a script that runs the program with the libraries in TREE, and prints its path.
write_wrapper() {
    cat >"$1/$2" <<-END
	#!/bin/sh
	LD_LIBRARY_PATH="$1/usr/lib/x86_64-linux-gnu" exec "$1/usr/bin/$2" "\$@"
	END
    chmod +x "$1/$2"
    printf '%s\n' "$1/$2"
}

# depends_on PACKAGE...: prints the names of the packages that they depend on.
depends_on() {
    private_apt_cache depends --no-recommends --no-suggests "$@" | awk '$1 == "Depends:" { print $2 }'
}

# arm64_cargo COMMAND ARGUMENT...: runs cargo with that toolchain, in a separate target directory, with the environment
# variables that cross.toml sets in the container. The programs do not contain the paths of this machine.
arm64_target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}/arm64-without-docker")
arm64_cargo() {
    local command=$1
    shift
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
        CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
        AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar \
        CARGO_ENCODED_RUSTFLAGS=$(without_build_paths) \
        RUSTC=$arm64_rustc RUSTDOC=$arm64_rustdoc CARGO_TARGET_DIR=$arm64_target_dir \
        cargo "$command" --locked --target "$arm64_target" "$@"
}

# required_glibc BINARY: prints the newest version of glibc that the binary requires, such as 2.34.
required_glibc() {
    aarch64-linux-gnu-objdump -T "$1" | grep -oE 'GLIBC_[0-9.]+' | sed 's/^GLIBC_//' | sort -V | tail -n 1
}

# check_glibc BINARY: fails if the binary could not start on Debian 12.
check_glibc() {
    local required
    required=$(required_glibc "$1")
    [ -n "$required" ] || fail "$1 requires no glibc at all; is it an arm64 program?"
    [ "$(printf '%s\n' "$required" "$newest_glibc" | sort -V | tail -n 1)" = "$newest_glibc" ] ||
        fail "$1 requires glibc $required, but Debian 12 has $newest_glibc; build it on Debian 12"
}
