# shellcheck shell=bash
# The keys that sign updates of a card. Sourced after debian.sh.
#
#     public_keys FILE            prints the keys of a file with public keys; fails if anything else is in it
#     public_key_of KEY.pem       prints the public key of a private one
#     check_slot_key SLOT KEY     fails if barns with this slot would refuse the next update that the private key signs

# public_keys FILE: prints one key per line. What the program skips is left out: comments and empty lines. A message never
# has a line of the file, because it may be a private key.
public_keys() {
    local lines wrong
    [ -f "$1" ] || fail "there is no key file $1"
    lines=$(sed 's/^[[:space:]]*//; s/[[:space:]]*$//' "$1")
    wrong=$({ grep -nvE '^(#.*|[0-9A-Fa-f]{64})?$' <<<"$lines" || true; } | sed -n '1s/:.*//p')
    [ -z "$wrong" ] ||
        fail "$1 has no public key in line $wrong: a key is 64 hexadecimal digits. Give the file that cargo xtask update-key wrote as --public"
    grep -E '^[^#]' <<<"$lines" | tr A-F a-f || fail "$1 has no key"
}

# public_key_of KEY.pem: OpenSSL refuses the form that cargo xtask update-key writes, which has the public key at its end.
# So it gets the older form, made of the 32 secret bytes. Both forms have them at byte 16.
public_key_of() {
    local der algorithm=300506032b657004220420
    need openssl=openssl xxd=xxd
    [ -f "$1" ] || fail "there is no key file $1"
    der=$(sed '/^-----BEGIN PRIVATE KEY/,/^-----END/!d; /^-----/d' "$1" | base64 -d 2>/dev/null | xxd -p -c 256) || der=
    [[ $der =~ ^30..02010[01]${algorithm}[0-9a-f]{64} ]] ||
        fail "$1 is not an Ed25519 private key in PKCS#8 PEM form; cargo xtask update-key makes one"
    printf '302e020100%s%s' "$algorithm" "${der:32:64}" | xxd -r -p |
        openssl pkey -inform DER -pubout -outform DER | tail -c 32 | xxd -p -c 64
}

# check_slot_key SLOT KEY: reads the keys that image/card has put beside the slot. There may be several, so that a key can
# be replaced: the update that brings the next one also has the one that signs it.
check_slot_key() {
    local keys key
    [ -s "$1.pub" ] ||
        fail "the slot $1 has no update key, so a barn with this update would take no further one; build it with image/card --update-key FILE"
    keys=$(public_keys "$1.pub")
    key=$(public_key_of "$2")
    grep -qxF "$key" <<<"$keys" ||
        fail "the slot $1 lacks the public key of $2, so a barn with this update would refuse the next one; build it with image/card --update-key FILE, where the file has $key"
}
