#!/bin/sh
# Installs the environment @NAME@ out of the archive that follows this script.
# Nothing else is needed than a shell, tar and gzip.
set -eu

name=@QUOTED_NAME@
platform='@PLATFORM@'
header_size=@HEADER_SIZE@
payload_size=@PAYLOAD_SIZE@
payload_sha256='@PAYLOAD_SHA256@'

usage() {
    cat <<END
usage: sh $0 [-b] [-f] [-p PREFIX] [-h]

Installs the environment $name ($platform).

  -b           ask nothing
  -f           install even into a directory that is not empty
  -p PREFIX    where to install, default: $default_prefix
  -h           show this and exit
END
}

fail() {
    printf '%s\n' "error: $1" >&2
    exit 1
}

payload() {
    tail -c "+$((header_size + 1))" "$installer"
}

sha256_of_payload() {
    if command -v sha256sum >/dev/null 2>&1; then
        payload | sha256sum
    elif command -v shasum >/dev/null 2>&1; then
        payload | shasum -a 256
    elif command -v openssl >/dev/null 2>&1; then
        payload | openssl dgst -sha256 -r
    fi
}

check_payload() {
    actual=$(wc -c <"$installer" | tr -d ' ')
    [ "$actual" -eq "$((header_size + payload_size))" ] ||
        fail "this file has $actual bytes instead of $((header_size + payload_size)): download it again"
    digest=$(sha256_of_payload | cut -d ' ' -f 1)
    if [ -n "$digest" ]; then
        [ "$digest" = "$payload_sha256" ] || fail "this file is damaged (wrong SHA-256): download it again"
    else
        payload | gzip -t || fail "this file is damaged: download it again"
    fi
}

check_machine() {
    system=$(uname -s 2>/dev/null) || return 0
    case $platform-$system in
        linux-*-Linux | osx-*-Darwin) ;;
        *) fail "this environment is for $platform, and this machine runs $system" ;;
    esac
    machine=$(uname -m)
    case $platform-$machine in
        *-64-x86_64 | *-64-amd64 | *-aarch64-aarch64 | *-aarch64-arm64 | *-arm64-arm64 | *-ppc64le-ppc64le) ;;
        *) fail "this environment is for $platform, and this machine is $machine" ;;
    esac
}

ask() {
    printf 'The environment %s will be installed into\n\n    %s\n\n' "$name" "$prefix"
    printf 'Press Enter to confirm, or name another directory (Ctrl-C to leave): '
    answer=
    read -r answer || fail "there is nobody to answer: use -b"
    case $answer in
        '') ;;
        '~/'*) prefix=${HOME:-}/${answer#'~/'} ;;
        *) prefix=$answer ;;
    esac
}

is_empty() {
    [ -z "$(ls -A "$1")" ]
}

case $0 in
    /*) installer=$0 ;;
    *) installer=$PWD/$0 ;;
esac
[ -f "$installer" ] || fail "this has to be run as a file: sh installer.sh"
default_prefix=${HOME:-$PWD}/$name
prefix=$default_prefix
is_batch=
is_forced=
while getopts bfp:h option; do
    case $option in
        b) is_batch=1 ;;
        f) is_forced=1 ;;
        p) prefix=$OPTARG ;;
        h) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || { usage >&2; exit 2; }

check_machine
check_payload
[ -n "$is_batch" ] || ask

[ -n "$prefix" ] || fail "the prefix is empty"
mkdir -p "$(dirname -- "$prefix")" || fail "the directory of $prefix cannot be made"
parent=$(cd "$(dirname -- "$prefix")" && pwd)
prefix=${parent%/}/$(basename -- "$prefix")
if [ -e "$prefix" ] && [ ! -d "$prefix" ]; then
    fail "$prefix is a file"
fi
is_new=1
if [ -d "$prefix" ] && ! is_empty "$prefix"; then
    [ -n "$is_forced" ] || fail "$prefix is not empty: name another prefix with -p, or use -f"
    is_new=
fi

# into a directory beside it first, so that there is no half environment
target=$prefix
if [ -n "$is_new" ]; then
    target=$parent/.installing-$$
    mkdir "$target"
    trap 'rm -rf "$target"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
fi

printf 'Unpacking into %s\n' "$prefix"
payload | gzip -dc | tar -xf - -C "$target" || fail "unpacking failed: is there room enough?"
"$target/bin/conda-unpack" --prefix "$prefix" || fail "the prefix could not be put into the files"
if [ -n "$is_new" ]; then
    [ ! -d "$prefix" ] || rmdir "$prefix"
    mv "$target" "$prefix"
    trap - EXIT INT TERM HUP
fi

printf 'Installed. To activate it:\n\n    . "%s/bin/activate"\n\n' "$prefix"
exit 0
