#!/bin/sh
# Makes an unpacked environment work where it lies now: puts its path into the files that hold a placeholder.
# Needs a Python 3 (the environment's own, or any other), or else GNU sed.
set -eu

usage() {
    cat <<'END'
usage: conda-unpack [-h] [--version] [-v] [--prefix PREFIX]

Puts the path of this environment into its files, once it has been unpacked.

  -h, --help         show this and exit
  --version          show the version and exit
  -v, --verbose      name every file that is rewritten
  --prefix PREFIX    the path to put in, where the environment will be moved to afterwards
END
}

fail() {
    printf 'conda-unpack: %s\n' "$1" >&2
    exit 1
}

here=$(cd "$(dirname -- "$0")/.." && pwd)
data=$here/share/conda-store
prefix=$here
verbose=
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --version) echo "conda-unpack @VERSION@"; exit 0 ;;
        -v | --verbose) verbose=1 ;;
        --prefix) [ $# -gt 1 ] || fail "--prefix needs a path"; prefix=$2; shift ;;
        *) usage >&2; fail "unknown argument $1" ;;
    esac
    shift
done
case $prefix in
    /*) ;;
    *) fail "the prefix $prefix is no absolute path" ;;
esac
[ -f "$data/conda-unpack.files" ] || fail "the list of files $data/conda-unpack.files is missing"

for python in "$here/bin/python3" "$here/bin/python" python3 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1; then
        exec "$python" -sE "$data/conda-unpack.py" "$here" "$prefix" "$verbose"
    fi
done

# no Python anywhere: sed does it; for binaries it has to know `-z` and NUL bytes, as GNU's does
LC_ALL=C
export LC_ALL
carriage=$(printf '\r')
case $prefix in
    *"
"* | *"$carriage"*) fail "the prefix holds a line break" ;;
esac
replacement=$(printf '%s' "$prefix" | sed 's/[\\&|]/\\&/g')
handles_binaries=
if [ "$(printf 'ab\000b\000' | sed -z 's/b\(.*\)/\1\x00/' 2>/dev/null | od -An -c | tr -d ' \n')" = 'a\0\0\0\0' ]; then
    handles_binaries=1
fi

rewrite() { # file, arguments of sed
    file=$1
    shift
    cp -p "$file" "$file.unpacking"
    sed "$@" "$file" >"$file.unpacking"
    touch -r "$file" "$file.unpacking"
    mv -f "$file.unpacking" "$file"
    [ -z "$verbose" ] || printf '%s\n' "${file#"$here"/}"
}

# everything is checked before anything is changed
while IFS= read -r line; do
    kind=${line%% *}
    text=${line#? }
    case $kind in
        P) room=$((${#text} - ${#prefix})); ;;
        B)
            [ -n "$handles_binaries" ] ||
                fail "the binary file $text can only be rewritten with Python 3 or GNU sed, and neither is here"
            [ "$room" -ge 0 ] ||
                fail "the path $prefix is too long for the binary file $text by $((-room)) characters"
            ;;
    esac
done <"$data/conda-unpack.files"

while IFS= read -r line; do
    kind=${line%% *}
    text=${line#? }
    if [ "$kind" = P ]; then
        placeholder=$(printf '%s' "$text" | sed 's/[][\\.*^$|]/\\&/g')
        padding=
        room=$((${#text} - ${#prefix}))
        while [ "$room" -gt 0 ]; do
            padding="$padding\\x00"
            room=$((room - 1))
        done
        continue
    fi
    file=$here/$(printf '%b' "$text")
    [ -f "$file" ] || continue
    case $kind in
        T) rewrite "$file" -e "s|$placeholder|$replacement|g" ;;
        S)
            rewrite "$file" -e "s|$placeholder|$replacement|g" \
                -e "1s|^\(#![[:blank:]]*\)/usr/bin/env -S |\1$replacement/bin/|" \
                -e "1s|^\(#![[:blank:]]*\)/usr/bin/env |\1$replacement/bin/|"
            ;;
        B) rewrite "$file" -z -e ':again' -e "s|$placeholder\\(.*\\)|$replacement\\1$padding|" -e 't again' ;;
    esac
done <"$data/conda-unpack.files"
