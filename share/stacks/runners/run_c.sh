#!/bin/sh
# Builds and runs the test programs of a C project and reports them as one TAP file.
#
#   run_c.sh make|meson OUT [COVERAGE_OUT] [-- ID...]
#   run_c.sh make|meson --program
#
# The second form builds what is no test (the library and the program), with COVERAGE=1 in
# the environment so that lines are counted, and fails with the compiler's words.
#
# Each tests/test_*.c is a program of its own.  One that does not build is an error of
# its path, with the compiler's words; the others still run.  What the programs report is
# renumbered into one plan, written first, so that a run that breaks off shows.
# Diagnostics come from a second, serial build of what failed: the same order every time.

tool=$1 out=$2
shift 2
coverage=${COVERAGE:-}
if [ $# -gt 0 ] && [ "$1" != -- ]; then
    coverage=$1
    shift
fi
[ "$1" = -- ] && shift
export LC_ALL=C
jobs=$(nproc 2>/dev/null || echo 2)
[ "$jobs" -le 4 ] || jobs=4
parts=$(mktemp -d) || exit 2

# build TARGET...: the tool's keep-going build.
build() {
    case $tool in
    make) make -k -s "-j$jobs" ${coverage:+COVERAGE=1} "$@" ;;
    meson) ninja -C build -k 0 "-j$jobs" "$@" ;;
    esac
}

# Where the tool puts the program of a test file.
program_of() {
    case $tool in
    make) echo "build/${1%.c}" ;;
    meson) echo "build/$(basename "${1%.c}")" ;;
    esac
}

target_of() {
    case $tool in
    make) echo "build/${1%.c}" ;;
    meson) basename "${1%.c}" ;;
    esac
}

# What stands between the build tool's own lines.
diagnostics() {
    grep -v -e '^make' -e '^ninja: ' -e '^FAILED: ' -e '^\[[0-9]*/[0-9]*\] ' -e '^cc ' -e '^gcc ' \
            -e '^collect2: ' -e '^compilation terminated\.$' -e '^cc1: ' | head -c 12000
}

# A header that is not there stops the compiler at its first line.  With empty ones in the
# place of those that are missing it says what else is wrong, or absent.
look_behind_headers() {
    file=$1
    stubs=$parts/stubs
    mkdir -p "$stubs"
    cp "$parts/said" "$parts/more"
    for _ in 1 2 3 4 5 6; do
        header=$(sed -n 's/^.*: fatal error: \([A-Za-z0-9_./-]*\): No such file.*$/\1/p' "$parts/more" | head -n 1)
        case $header in '' | /* | *..*) break ;; esac
        mkdir -p "$stubs/$(dirname "$header")"
        : > "$stubs/$header"
        ${CC:-cc} -std=gnu17 -fsyntax-only -Werror=implicit-function-declaration -Isrc -Iinclude -Itests \
            -I"$stubs" "$file" > "$parts/more.raw" 2>&1
        diagnostics < "$parts/more.raw" > "$parts/more"
        cat "$parts/more" >> "$parts/said"
    done
    rm -rf "$stubs"
}

# The tests of a file that are asked for; nothing: all.
names_in() {
    file=$1
    shift
    for id; do
        case $id in "$file"::*) echo "${id#"$file"::}" ;; esac
    done
}

is_asked() {
    file=$1
    shift
    [ $# -eq 0 ] && return 0
    for id; do
        case $id in "$file" | "$file"::*) return 0 ;; esac
    done
    return 1
}

# The targets of meson that have no source below tests/, a line each.
meson_programs() {
    python3 -c '
import json, os
root = os.getcwd()
for target in json.load(open("build/meson-info/intro-targets.json")):
    sources = [s for part in target["target_sources"] for s in part.get("sources", [])]
    if target["build_by_default"] and not any(os.path.relpath(s, root).startswith("tests/") for s in sources):
        for name in target["filename"]:
            print(os.path.relpath(name, os.path.join(root, "build")))
'
}

# What the tool builds by itself: make's default goal, and all of meson that is no test.
build_program() {
    case $tool in
    make) build ;;
    meson)
        programs=$(meson_programs)
        # shellcheck disable=SC2086 # a list of paths, a line each
        [ -z "$programs" ] || (IFS='
'; set -f; build $programs)
        ;;
    esac
}

if [ "$tool" = meson ] && [ ! -f build/build.ninja ]; then
    if ! meson setup ${coverage:+-Db_coverage=true} build > "$parts/setup" 2>&1; then
        cat "$parts/setup"
        [ "$out" = --program ] && exit 1
        printf 'TAP version 14\nBail out! meson setup failed\n' > "$out"
        exit 1
    fi
fi

# A header that redefines what tap.h defines could make every check hold.
meddles() {
    [ -f tests/tap.h ] || return 1
    find . -name '*.h' ! -path ./tests/tap.h ! -path './build/*' -exec \
        grep -HnE '^[[:space:]]*#[[:space:]]*(define|undef)[[:space:]]+(CHECK(_(INT|UINT|DOUBLE|STR|MEM|NULL|NOT_NULL))?|TEST|FAIL|SKIP|tap_[a-z_]+)([^A-Za-z0-9_]|$)' {} + |
        LC_ALL=C sort | head -n 1 | sed 's/^\.\///' | grep .
}

if [ "$out" != --program ]; then
    if meddled=$(meddles); then
        printf 'the code changes the test framework: %s\n' "$meddled" > "$(dirname "$out")/trouble"
    fi
fi

if [ "$out" = --program ]; then
    status=0
    if ! build_program > "$parts/all" 2>&1; then
        jobs=1
        build_program > "$parts/all" 2>&1
        status=$?
        diagnostics < "$parts/all"
    fi
    rm -rf "$parts"
    exit "$status"
fi

files=$(find tests -name 'test_*.c' 2>/dev/null | LC_ALL=C sort)
[ "$tool" = make ] && { build library > "$parts/library" 2>&1; }
targets=
for file in $files; do
    is_asked "$file" "$@" && targets="$targets $(target_of "$file")"
done
# shellcheck disable=SC2086 # a list of words
build $targets > "$parts/all" 2>&1
jobs=1

# With the library broken, every test would repeat its diagnostics: they are told once.
if [ "$tool" = make ] && ! build library > "$parts/library" 2>&1; then
    diagnostics < "$parts/library" > "$parts/library.said"
    cat "$parts/library.said"
fi

number=0
: > "$parts/points"
for file in $files; do
    is_asked "$file" "$@" || continue
    number=$((number + 1))
    program=$(program_of "$file")
    rm -f "$parts/tap"
    if [ ! -x "$program" ]; then
        build "$(target_of "$file")" > "$parts/build" 2>&1
    fi
    if [ ! -x "$program" ]; then
        if [ -s "$parts/library.said" ]; then
            cp "$parts/library.said" "$parts/said"
        else
            diagnostics < "$parts/build" > "$parts/said"
            look_behind_headers "$file"
            cat "$parts/said"
        fi
        {
            printf 'not ok - %s\n  ---\n  severity: error\n  ...\n' "$file"
            sed 's/^/# /' "$parts/said"
        } >> "$parts/points"
        continue
    fi
    # shellcheck disable=SC2046 # names of C functions
    TAP_OUT="$parts/tap" "./$program" $(names_in "$file" "$@")
    status=$?
    planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$parts/tap" 2>/dev/null | head -n 1)
    seen=$(grep -c -e '^ok ' -e '^not ok ' "$parts/tap" 2>/dev/null)
    if [ -z "$planned" ] || [ "$planned" != "$seen" ]; then
        printf 'not ok - %s\n  ---\n  severity: error\n  ...\n# the program ended early, with status %s\n' \
            "$file" "$status" >> "$parts/points"
    fi
    [ -f "$parts/tap" ] && grep -v -e '^TAP version' -e '^1\.\.' "$parts/tap" >> "$parts/points"
done

{
    echo 'TAP version 14'
    echo "1..$(grep -c -e '^ok ' -e '^not ok ' "$parts/points")"
    cat "$parts/points"
} > "$out"

if [ -n "$coverage" ]; then
    find build -name '*.gcda' | LC_ALL=C sort | while read -r data; do
        gcov --json-format --stdout "$data" 2>/dev/null
    done > "$coverage"
fi
rm -rf "$parts"
if grep -q '^not ok' "$out"; then exit 1; fi
exit 0
