#!/usr/bin/env bash
# The test suite over a build of its own, in build/asan: AddressSanitizer and UndefinedBehaviorSanitizer in every native module,
# and every bound of the field arithmetic checked (KSF_VERIFY). Arguments go to pytest; --short stands for the tests that reach
# most of the C in a few minutes. The interpreter is not instrumented: the sanitizers' run time is preloaded, objects come from
# malloc, and what the interpreter leaks at exit is not reported.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$PWD/.venv/bin/python
tree=build/asan
tests=("$@")
if [ "${1:-}" = --short ]; then
    tests=(tests/test_onion.py tests/test_peel.py tests/test_tlv.py tests/test_failure.py tests/test_hop_tables.py tests/test_kernels.py
        tests/test_single.py tests/test_accept.py "${@:2}")
fi
runtime=$(cc -print-file-name=libasan.so)
[ -e "$runtime" ] || { echo "make asan needs gcc's libasan" >&2; exit 1; }

mkdir -p "$tree"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp -u --parents -t "$tree"
cd "$tree"
KSF_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1 -O1 -DKSF_VERIFY" \
    "$python" setup.py -q build_ext --inplace
export PYTHONPATH=$PWD PYTHONMALLOC=malloc LD_PRELOAD=$runtime ASAN_OPTIONS=detect_leaks=0
"$python" -c 'import keysend_fast, pathlib, sys; sys.exit(pathlib.Path.cwd() not in pathlib.Path(keysend_fast.__file__).parents)' ||
    { echo "the instrumented build is not what would be tested" >&2; exit 1; }
"$python" -m pytest -q -m "not interop and not long and not build" -p no:cacheprovider "${tests[@]}"
