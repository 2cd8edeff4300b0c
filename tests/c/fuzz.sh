#!/usr/bin/env bash
# Runs every tests/c/fuzz_*.c under libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer: 120 s each, 10 with --short,
# or FUZZ_SECONDS. A program names the core's files that it needs in lines "fuzz.sh sources:"; seeds are the streams of the
# BOLTs' vectors and what earlier runs found worth keeping, tests/c/corpus/<name>. What a run finds stays in build/fuzz/<name>;
# `<name> -merge=1 tests/c/corpus/<name> build/fuzz/<name>/corpus` keeps what is new.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${FUZZ_SECONDS:-120}
[ "${1:-}" = --short ] && seconds=${FUZZ_SECONDS:-10}
CLANG=${CLANG:-$(command -v clang || command -v clang-14)} || { echo "make fuzz needs clang" >&2; exit 1; }

seeds=build/fuzz/seeds
mkdir -p "$seeds"
python3 - "$seeds" <<'PY'
import json, pathlib, re, sys

out = pathlib.Path(sys.argv[1])
for path in sorted(pathlib.Path("tests/vectors").glob("bolt0*.json")):
    for i, text in enumerate(re.findall(r'"((?:[0-9a-f]{2})+)"', path.read_text(encoding="utf-8"))):
        (out / f"{path.stem}-{i}").write_bytes(bytes.fromhex(text))
PY

ran=0
for program in tests/c/fuzz_*.c; do
    name=$(basename "$program" .c)
    read -ra sources <<<"$(sed -n 's/^.*fuzz\.sh sources: *//p' "$program" | tr '\n' ' ')"
    [ ${#sources[@]} -gt 0 ] || { echo "$program names no sources" >&2; exit 1; }
    work=build/fuzz/$name
    mkdir -p "$work/corpus"
    kept=()
    [ -d "tests/c/corpus/$name" ] && kept=("tests/c/corpus/$name")
    "$CLANG" -std=gnu11 -g -O1 -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
        "$program" "${sources[@]}" -o "$work/$name" -pthread
    echo "$name: $seconds s"
    if ! "$work/$name" -max_total_time="$seconds" -max_len=1400 -timeout=10 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$work/" "$work/corpus" "$seeds" "${kept[@]}" >"$work/log" 2>&1; then
        tail -60 "$work/log" >&2
        echo "$name found something: $work" >&2
        exit 1
    fi
    sed -n 's/^stat::number_of_executed_units: */  runs: /p' "$work/log"
    ran=$((ran + 1))
done
echo "$ran fuzzed, nothing found"
