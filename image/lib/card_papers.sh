# shellcheck shell=bash disable=SC2154  # $base_url, $version, $deb: image/card
# The files beside a card's image: the manifest for Raspberry Pi Imager, and the list of everything inside. Sourced
# after debian.sh, crates.sh and card_packages.sh.

# manifest CARD IMAGE: prints a content repository of Raspberry Pi Imager with this one image. Imager offers its own
# settings (host name, Wi-Fi, SSH key) only for images with a manifest.
manifest() {
    jq -n --arg version "$version" --arg url "${base_url:+${base_url%/}/}${2##*/}" \
        --arg date "$(date --utc --date "@$(locked_epoch)" +%F)" --arg icon "$(manifest_icon)" \
        --argjson extract_size "$(stat -c %s "$1")" --arg extract_sha256 "$(sha256sum <"$1" | cut -c1-64)" \
        --argjson download_size "$(stat -c %s "$2")" --arg download_sha256 "$(sha256sum <"$2" | cut -c1-64)" '
        { os_list: [ {
            name: "HerdLinx barn \($version)",
            description: "Records RFID reads from LoRa, for the Raspberry Pi 3B, 3B+, 4B, Zero 2 W and Compute Module 4",
            icon: $icon, url: $url, release_date: $date, init_format: "cloudinit",
            extract_size: $extract_size, extract_sha256: $extract_sha256,
            image_download_size: $download_size, image_download_sha256: $download_sha256,
            devices: [ "pi3-64bit", "pi4-64bit" ] } ] }'
}

# manifest_icon: prints the picture in Imager's list, a plain ear tag, as a URL that contains it.
manifest_icon() {
    printf 'data:image/svg+xml;base64,'
    base64 -w0 <<-END
	<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><path fill="#c60" d="M12 4h16l6 18v14H6V22z"/><circle cx="20" cy="11" r="3" fill="#fff"/></svg>
	END
}

# sbom: prints a CycloneDX list of Debian's packages, with the recorded hashes, and of the crates that herdlinxd is
# linked with. The installed packages are the recorded ones: check_installed has compared them.
sbom() {
    local ours
    ours=$(sha256sum <"$deb" | cut -c1-64)
    { debian_components && crate_components; } | jq -s --arg version "$version" --arg hash "$ours" \
        --arg time "$(date --utc --date "@$(locked_epoch)" +%FT%TZ)" '
        { bomFormat: "CycloneDX", specVersion: "1.5", version: 1,
          metadata: { timestamp: $time,
            component: { type: "operating-system", name: "herdlinx-card", version: $version, "bom-ref": "card" } },
          components: ([{ type: "application", name: "herdlinx", version: $version, "bom-ref": "herdlinx",
            hashes: [{ alg: "SHA-256", content: $hash }] }] + .) }'
}

debian_components() {
    locked_packages | jq -R 'split(" ") | {
        type: "library", name: .[0], version: .[1], "bom-ref": "deb:\(.[0])",
        purl: "pkg:deb/debian/\(.[0])@\(.[1] | @uri)?arch=arm64&distro=trixie",
        hashes: [{ alg: "SHA-256", content: .[2] }] }'
}

crate_components() {
    linked_crates herdlinx-daemon aarch64-unknown-linux-gnu |
        sed -n 's/^\([^ ]*\) v\([^,]*\), \(.*\)$/\1\t\2\t\3/p' | jq -R 'split("\t") | {
        type: "library", name: .[0], version: .[1], "bom-ref": "crate:\(.[0])@\(.[1])",
        purl: "pkg:cargo/\(.[0])@\(.[1] | @uri)", licenses: [{ expression: (.[2] | gsub("/"; " OR ")) }] }'
}
