#!/usr/bin/env bash
# Builds sdist and wheel (the wheel from the sdist, so that the sdist is shown to be whole), then tries the wheel where a user
# would: an empty environment, no compiler on PATH, no source tree in sight.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
python=$(command -v "$python")
case $python in /*) ;; *) python=$PWD/$python ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/build"
"$work/build/bin/pip" install -q --disable-pip-version-check build
"$work/build/bin/python" -m build --outdir "$work/dist" . >"$work/build.log" 2>&1 || { tail -50 "$work/build.log" >&2; exit 1; }
sdist=("$work"/dist/*.tar.gz)
wheel=("$work"/dist/*.whl)
ls -l "$work/dist"

# What must and must not be in them
tar -tzf "${sdist[0]}" >"$work/sdist.txt"
"$python" -m zipfile -l "${wheel[0]}" >"$work/wheel.txt"
for name in csrc/include/ksf.h csrc/build_kernels.py keysend_fast/_batch.pyx keysend_fast/_ksf.pxd keysend_fast/_pool.h \
    keysend_fast/_batch.pyi keysend_fast/py.typed README.md LICENSE setup.py; do
    grep -q "/$name$" "$work/sdist.txt" || { echo "the sdist lacks $name" >&2; exit 1; }
done
for name in _kernels $(basename -s .pyx keysend_fast/*.pyx); do
    grep -q "keysend_fast/$name\..*so" "$work/wheel.txt" || { echo "the wheel lacks $name" >&2; exit 1; }
done
if grep -E 'keysend_fast/[^ ]*\.(c|h|pyx|pxd) |csrc/|tests/|benchmarks/' "$work/wheel.txt"; then
    echo "the wheel holds sources" >&2
    exit 1
fi

# A PATH without a compiler; CC that fails where it is asked for anyway
"$python" -m venv "$work/user"
mkdir "$work/bin"
for tool in env sh rm ls mkdir; do ln -s "$(command -v "$tool")" "$work/bin/$tool"; done
user=(env -i "HOME=$work" "PATH=$work/user/bin:$work/bin" CC=/bin/false CXX=/bin/false)
while IFS='=' read -r name value; do user+=("$name=$value"); done < <(env | grep '^PIP_' || true)
"${user[@]}" "$work/user/bin/pip" install -q --disable-pip-version-check --only-binary :all: "${wheel[0]}[cli]"
cd "$work"
"${user[@]}" "$work/user/bin/python" - <<'END'
import importlib.metadata, pathlib, sys
import keysend_fast
from keysend_fast import KeysendPayment, Route, accept_keysend, build_keysends, kernels, peel_onion, show_config
from keysend_fast.route import Hop

assert pathlib.Path(keysend_fast.__file__).is_relative_to(sys.prefix), keysend_fast.__file__
key = bytes(31) + b"\x07"
(node_id,) = kernels.base_mul_many([key]).values
for implementation in (None, "portable", "libsecp256k1"):
    payments = [KeysendPayment(Route([Hop(node_id, 1, 1000, 45)]), {70001: b"smoke"})] * 100
    onion = build_keysends(payments, block_height=900_000, implementation=implementation)[99]
    layer = peel_onion(onion.packet, key, onion.payment_hash, implementation=implementation)
    assert accept_keysend(layer.payload, onion.payment_hash).custom_records == {70001: b"smoke"}
config = show_config()
assert config["keysend_fast"] == importlib.metadata.version("keysend-fast")
print("wheel:", config["chosen"], config["compiler"])
END
"${user[@]}" "$work/user/bin/keysend-fast" demo --payments 2000 --json >"$work/demo.json"
"$python" -c 'import json, sys; d = json.load(open(sys.argv[1])); assert d["claimed"] == 2000, d; print("wheel: 2000 of 2000 claimed")' "$work/demo.json"
