#!/usr/bin/env bash
# Constant-time checks (make ct): valgrind watches what it can execute, clang's MemorySanitizer the rest.
#
#     tests/c/ct.sh [short|full]
#
# short: one compiler and level a tool. full: gcc and clang at several levels under valgrind, all implementations in both tools.
# A tool that is missing is an error: nothing may look checked that was not. Planted leaks come first and must be reported.
set -euo pipefail
cd "$(dirname "$0")"
mode=${1:-short}
[[ $mode == short || $mode == full ]] || { echo "usage: ct.sh [short|full]" >&2; exit 2; }
clang=$(command -v clang || command -v clang-14 || true)
command -v valgrind >/dev/null || { echo "ct.sh: needs valgrind" >&2; exit 2; }
[[ -n $clang ]] || { echo "ct.sh: needs clang" >&2; exit 2; }
out=../../build/ct
mkdir -p "$out"
found=99
export MSAN_OPTIONS=exitcode=$found VALGRIND_LIB=${VALGRIND_LIB-}
[[ -n $VALGRIND_LIB ]] || unset VALGRIND_LIB

csrc=../../csrc
sources=(ct_check.c "$csrc"/cpu.c "$csrc"/sphinx/*.c "$csrc"/tlv/*.c "$csrc"/sha256/*.c "$csrc"/chacha20/*.c)
for file in "$csrc"/secp256k1/ecmult_*.c; do [[ $file == *libsecp* ]] || sources+=("$file"); done
# DWARF 4: valgrind 3.19 gives up on clang 14's version 5.
flags=(-std=gnu11 -gdwarf-4 -Wall -Wextra -Wno-missing-field-initializers -pthread)

failed=0 checked=0
watch() { # <label> <command...>: exit status of the command, with its output only where it says something
    local label=$1 status=0
    shift
    "$@" >"$out/log" 2>&1 || status=$?
    case $status in
    0) checked=$((checked + 1)) && echo "  $label: $(tail -n 1 "$out/log")" ;;
    77) echo "  $label: not applicable on this machine" ;;
    *) failed=1 && echo "  $label: FAILED" && head -n 60 "$out/log" ;;
    esac
}
planted() { # <command...>: both planted leaks must be found
    local leak status
    for leak in planted-branch planted-address; do
        status=0
        "$@" "$leak" >"$out/log" 2>&1 || status=$?
        [[ $status == "$found" ]] || { echo "  $leak was not reported (exit status $status): this check sees nothing" && cat "$out/log" && exit 1; }
    done
    echo "  planted leaks are reported"
}

memcheck=(valgrind -q --error-exitcode=$found --track-origins=no)
builds=("gcc -O2")
[[ $mode == full ]] && builds=("gcc -O1" "gcc -O2" "gcc -O3" "$clang -O1" "$clang -O2" "$clang -O3")
for build in "${builds[@]}"; do
    echo "valgrind, $build"
    # shellcheck disable=SC2086
    $build "${flags[@]}" -DKSF_VALGRIND "${sources[@]}" -o "$out/ct_valgrind"
    planted "${memcheck[@]}" "$out/ct_valgrind"
    watch portable "${memcheck[@]}" "$out/ct_valgrind" portable portable portable
    watch avx2 "${memcheck[@]}" "$out/ct_valgrind" avx2 avx2 avx2
done

levels=(-O1)
[[ $mode == full ]] && levels=(-O1 -O2 -O3)
for level in "${levels[@]}"; do
    echo "MemorySanitizer, $clang $level"
    "$clang" $level "${flags[@]}" -fsanitize=memory -fno-sanitize-recover=memory "${sources[@]}" -o "$out/ct_msan"
    planted "$out/ct_msan"
    watch avx512ifma "$out/ct_msan" avx512ifma avx512 avx512
    watch "avx512ifma, SHA-NI" "$out/ct_msan" avx512ifma shani avx512
    [[ $mode == short ]] && continue
    watch avx2 "$out/ct_msan" avx2 avx2 avx2
    watch portable "$out/ct_msan" portable portable portable
done
[[ $failed == 0 && $checked -gt 0 ]] || exit 1
echo "constant time: $checked runs, nothing found"
