#!/usr/bin/env bash
# Installs what is missing of the Debian packages that parley needs, and says so. Quiet and quick when nothing is.
#   tools/deps.sh build   to build and run the server
#   tools/deps.sh test    also to test, check and measure it
set -euo pipefail

build=(gcc cmake ninja-build pkg-config libuv1-dev libcurl4-openssl-dev libssl-dev libboost-context-dev
    libcjson-dev libjwt-dev libcrypt-dev libsqlite3-dev libmongoc-dev zlib1g-dev libc6-dev ca-certificates
    libavformat-dev libavcodec-dev libswresample-dev libavutil-dev
    flite1-dev libpocketsphinx-dev libsphinxbase-dev pocketsphinx-en-us libspeexdsp-dev)
test=(libcmocka-dev curl openssl clang clang-format clang-tidy libclang-rt-dev libhttp-parser-dev
    python3 universal-ctags valgrind lcov wrk ccache chromium)

case "${1:-build}" in
build) wanted=("${build[@]}") ;;
test) wanted=("${build[@]}" "${test[@]}") ;;
*)
    echo "usage: tools/deps.sh [build|test]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "deps: not a Debian system; these packages, under whatever name, must be there: ${wanted[*]}" >&2
    exit 0
fi

# Node 18 or newer from anywhere will do; Debian's is taken when there is none.
node_is_good() {
    command -v node >/dev/null && command -v npm >/dev/null &&
        [ "$(node -p 'process.versions.node.split(".")[0] >= 18')" = true ]
}
if [ "${1:-build}" = test ] && ! node_is_good; then
    wanted+=(nodejs npm)
fi

installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null || true)
missing=()
for package in "${wanted[@]}"; do
    grep -qx "$package installed" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "deps: missing, and neither root nor sudo to install them: ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "deps: installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    </dev/null >/dev/null
