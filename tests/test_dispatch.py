"""Choosing implementations: by argument, by environment, by CPU; names that are unknown; self-tests that fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from keysend_fast import _native, build_onion, kernels, peel_onion, show_config
from tests.implementations import names, runnable
from tests.nodes import privkey, request_of

ROOT = Path(__file__).resolve().parent.parent
SLOTS = ("ecmult", "sha256", "chacha20")


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter: what is chosen first stays chosen."""
    kept = {k: v for k, v in os.environ.items() if k != "KEYSEND_FAST_IMPL"}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=kept | environment, cwd=ROOT, capture_output=True, text=True, check=False)


# ---------------------------------------------------------------- by argument


def test_each_choice_is_what_runs(implementation: str) -> None:
    for spec in (implementation, f"ecmult={implementation}", f"{implementation},sha256=portable,chacha20=portable"):
        assert _native.chosen_implementations(spec)["ecmult"] == implementation
        assert show_config(spec)["chosen"]["ecmult"] == implementation


def test_slots_are_chosen_apart(symmetric: str) -> None:
    expected = dict(part.split("=") for part in symmetric.split(","))
    chosen = _native.chosen_implementations(symmetric)
    assert {slot: chosen[slot] for slot in expected} == expected
    reverse = ",".join(reversed(symmetric.split(",")))
    assert _native.chosen_implementations(reverse) == chosen


def test_the_default_is_the_best_that_runs() -> None:
    """Best first per slot: SHA-256's is measured, the others' stands in the registry."""
    chosen = _native.chosen_implementations("")
    assert chosen["ecmult"] == runnable("ecmult")[0]
    assert chosen["chacha20"] == runnable("chacha20")[0]
    assert chosen["sha256"] in runnable("sha256")
    assert names("ecmult")[-1] == "libsecp256k1"  # the fallback
    assert names("sha256")[-1] == names("chacha20")[-1] == "portable"


def test_every_listed_implementation_passed_its_self_test(implementation: str, symmetric: str) -> None:
    _native.chosen_implementations(implementation)
    wanted = {("ecmult", implementation), *(tuple(part.split("=")) for part in symmetric.split(","))}
    for row in _native.list_implementations():
        if (row["slot"], row["name"]) in wanted:
            assert row["self_test"] == "passed"


def test_rows_of_the_registry_are_sound() -> None:
    rows = _native.list_implementations()
    assert len({(row["slot"], row["name"]) for row in rows}) == len(rows)
    assert {row["slot"] for row in rows} == set(SLOTS)
    for row in rows:
        assert row["lanes"] >= 1
        assert row["description"]
        smallest, default, largest = row["windows"]
        assert 0 <= smallest <= default <= largest <= 8
        if row["slot"] == "ecmult":
            assert row["block"] >= 1 and row["peel_block"] >= 1
    assert json.loads(json.dumps(show_config()))["implementations"] == json.loads(json.dumps(rows))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mmx", "there is no ecmult implementation 'mmx'"),
        ("ecmult=mmx", "there is no ecmult implementation 'mmx'"),
        ("sha256=md5", "there is no sha256 implementation 'md5'"),
        ("chacha20=rc4", "there is no chacha20 implementation 'rc4'"),
        ("portabl", "there is no"),
        ("portablee", "there is no"),
        ("PORTABLE", "there is no"),
        ("cipher=portable", "is not a name or slot=name"),
        ("sha256=", "is not a name"),
        ("=portable", "is not a name"),
        ("portable,libsecp256k1", "each once"),
        ("ecmult=portable,portable", "each once"),
        ("sha256=portable,sha256=portable", "each once"),
        ("portable,,sha256=portable", "is not a name"),
        ("libsecp256k1,sha256=md5", "there is no sha256"),
        ("x" * 1000, "there is no|is not a name"),
        ("sha256=" + "x" * 1000, "there is no"),
        ("é", "there is no"),
    ],
)
def test_unknown_names_raise(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _native.chosen_implementations(spec)
    with pytest.raises(ValueError, match=message):
        build_onion(*request_of([1], [b"ab"]), implementation=spec)
    with pytest.raises(ValueError, match=message):
        peel_onion(bytes(1366), privkey(1), b"", implementation=spec)
    with pytest.raises(ValueError, match=message):
        kernels.base_mul_many([privkey(1)], implementation=spec)
    with pytest.raises(ValueError, match=message):
        show_config(spec)


def test_a_trailing_comma_is_harmless() -> None:
    assert _native.chosen_implementations("sha256=portable,")["sha256"] == "portable"


@pytest.mark.parametrize("spec", [5, b"portable", ["portable"]])
def test_specs_of_the_wrong_kind_raise(spec: object) -> None:
    with pytest.raises(TypeError):
        _native.chosen_implementations(spec)


# ---------------------------------------------------------------- by environment

SHOW = "import json, keysend_fast as k; c = k.show_config(); print(json.dumps([c['chosen'], c['KEYSEND_FAST_IMPL']]))"


def test_the_environment_chooses(implementation: str) -> None:
    spec = f"{implementation},sha256=portable"
    result = python(SHOW, KEYSEND_FAST_IMPL=spec)
    assert result.returncode == 0, result.stderr
    chosen, variable = json.loads(result.stdout)
    assert (chosen["ecmult"], chosen["sha256"], variable) == (implementation, "portable", spec)


def test_an_argument_beats_the_environment() -> None:
    code = (
        "from keysend_fast import _native\n"
        "print(_native.chosen_implementations()['ecmult'], _native.chosen_implementations('libsecp256k1')['ecmult'],"
        " _native.chosen_implementations('')['ecmult'])"
    )
    result = python(code, KEYSEND_FAST_IMPL="portable")
    assert result.stdout.split() == ["portable", "libsecp256k1", runnable("ecmult")[0]], result.stderr


def test_a_wrong_environment_is_told_at_first_use_only() -> None:
    """Importing works, so that `show_config` of another implementation and the documentation can be reached."""
    result = python("import keysend_fast; print('imported'); keysend_fast.show_config()", KEYSEND_FAST_IMPL="mmx")
    assert result.returncode == 1
    assert result.stdout == "imported\n"
    assert "ValueError: there is no ecmult implementation 'mmx'" in result.stderr


@pytest.mark.parametrize("spec", ["", "libsecp256k1", "ecmult=libsecp256k1,sha256=portable", "portable"])
def test_each_is_found_in_a_fresh_process(spec: str) -> None:
    """libsecp256k1 is handed over when it is asked for, not before."""
    code = (
        "import sys\nfrom keysend_fast import build_onion\n"
        "assert 'coincurve' not in sys.modules\n"
        f"o = build_onion([bytes.fromhex('{request_of([1], [b'ab']).public_keys[0].hex()}')], [b'ab'], b'A' * 32, b'', "
        f"implementation={spec!r})\n"
        "print(o.packet_hex, 'coincurve' in sys.modules)"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr
    packet, loaded = result.stdout.split()
    assert (
        packet == build_onion(*request_of([1], [b"ab"], associated_data=b"")._replace(session_key=b"A" * 32)).packet_hex
    )
    assert (loaded == "True") == ("libsecp256k1" in spec)


# ---------------------------------------------------------------- self-tests that fail

# Renamed in dispatch.c only: the registry lists the planted ones under the places of the real ones.
PLANTS = {
    "ksf_ecmult_avx512ifma": "planted_ecmult",
    "ksf_ecmult_avx2": "unreachable_ecmult",
    "ksf_sha256_shani": "planted_sha256",
    "ksf_chacha20_avx512": "planted_chacha20",
}
LINKED = ["cpu.c", "selftest.c", "secp256k1/ecmult_portable.c", "secp256k1/ecmult_libsecp.c"]
LINKED += [f"sha256/{name}.c" for name in ("sha256", "sha256_portable", "sha256_avx2", "sha256_avx512", "sha256_shani")]
LINKED += [f"chacha20/{name}.c" for name in ("chacha20", "chacha20_portable", "chacha20_avx2")]


@pytest.fixture(scope="module")
def dispatch_check(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C program of the same name, with the planted implementations."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or os.uname().machine != "x86_64":
        pytest.skip("needs a C compiler on x86-64")
    folder = tmp_path_factory.mktemp("dispatch_check")
    common = [compiler, "-std=gnu11", "-O1", "-pthread", "-Wall", "-Werror", f"-I{ROOT / 'csrc/include'}"]
    renamed = [f"-D{name}={plant}" for name, plant in PLANTS.items()]
    objects = folder / "dispatch.o"
    subprocess.run([*common, *renamed, "-c", ROOT / "csrc/dispatch.c", "-o", objects], check=True)
    sources = [ROOT / "tests/c/dispatch_check.c", *(ROOT / "csrc" / name for name in LINKED)]
    subprocess.run([*common, *sources, objects, "-o", folder / "dispatch_check"], check=True)
    return folder / "dispatch_check"


def run(program: Path, mistake: str) -> tuple[list[tuple[str, int, str, dict[str, str]]], dict[str, str]]:
    """(spec, fell back, error, chosen) of each choice, in order; and the state of each row after them."""
    result = subprocess.run([program, mistake], capture_output=True, text=True, check=True)
    choices, states = [], {}
    for line in result.stdout.splitlines():
        fields = line.split("|")
        if fields[0] == "row":
            states[f"{fields[1]}={fields[2]}"] = ("not run", "passed", "failed", "absent")[int(fields[4])]
        else:
            chosen = dict(part.split("=") for part in fields[3].split())
            choices.append((fields[0], int(fields[1]), fields[2], chosen))
    return choices, states


def test_the_planted_ones_are_chosen_while_they_are_right(dispatch_check: Path) -> None:
    choices, states = run(dispatch_check, "none")
    assert choices[0][1:3] == (0, "")
    assert (choices[0][3]["ecmult"], choices[0][3]["chacha20"]) == ("planted", "planted")
    assert choices[1][3]["ecmult"] == choices[2][3]["sha256"] == choices[3][3]["chacha20"] == "planted"
    assert choices[4][3] == dict.fromkeys(SLOTS, "portable")
    assert states["ecmult=planted"] == states["sha256=planted"] == states["chacha20=planted"] == "passed"
    assert choices[5][2:] == (
        "ecmult implementation 'unreachable' needs instructions that this CPU or operating system lacks",
        {},
    )


MISTAKES = {
    "load_keys invalid": "ecmult",
    "load_keys point": "ecmult",
    "table_build": "ecmult",
    "key_chain secret": "ecmult",
    "key_chain ephemeral": "ecmult",
    "key_chain status": "ecmult",
    "key_chain with tables": "ecmult",
    "point_mul": "ecmult",
    "base_mul": "ecmult",
    "peel_shared": "ecmult",
    "peel_next": "ecmult",
    "sha256": "sha256",
    "sha256 last lane": "sha256",
    "sha256 long": "sha256",
    "chacha20": "chacha20",
    "chacha20 long": "chacha20",
    "chacha20 counter": "chacha20",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_and_told(dispatch_check: Path, mistake: str) -> None:
    """By default the next best runs and the caller is told; by name there is no falling back."""
    slot = MISTAKES[mistake]
    choices, states = run(dispatch_check, mistake)
    told = f"{slot} implementation 'planted' failed its self-test"
    spec, fell_back, error, chosen = choices[0]
    assert (spec, fell_back) == ("", 1)
    assert error.startswith(told)
    assert chosen[slot] != "planted"
    assert chosen[slot] == "portable" or slot != "ecmult"
    by_name = choices[1 + SLOTS.index(slot)]
    assert by_name[2:] == (told, {})
    assert states[f"{slot}=planted"] == "failed"
    assert choices[4][3] == dict.fromkeys(SLOTS, "portable")  # the others are untouched
    assert choices[6][3] == chosen


def test_one_that_cannot_start_is_passed_over(dispatch_check: Path) -> None:
    choices, states = run(dispatch_check, "init")
    assert choices[0][3]["ecmult"] == "portable"
    assert choices[1][2:] == ("ecmult implementation 'planted' is not available in this process", {})
    assert states["ecmult=planted"] == "not run"


def test_no_implementation_of_this_build_fails() -> None:
    """A fallback is a RuntimeWarning: there is none here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for slot in SLOTS:
            for name in runnable(slot):
                _native.chosen_implementations(f"{slot}={name}")
        _native.chosen_implementations("")
    result = python(SHOW)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.build
def test_falling_back_warns(tmp_path: Path) -> None:
    """A build whose vector ChaCha20s fail their self-test: the onion is right, and the caller is warned once."""
    for name in ("csrc", "keysend_fast", "setup.py", "pyproject.toml", "README.md", "tests"):
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("*.so", "_kernels.c", "__pycache__")
            shutil.copytree(source, tmp_path / name, ignore=ignored)
        elif source.exists():
            shutil.copy(source, tmp_path / name)
    selftest = tmp_path / "csrc/selftest.c"
    head = "int ksf_selftest_chacha20(const ksf_chacha20_impl *impl) {\n"
    text = selftest.read_text(encoding="utf-8")
    assert head in text
    broken = text.replace(head, head + "    if (impl != &ksf_chacha20_portable) return 0;\n")
    selftest.write_text(broken, encoding="utf-8")
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    code = (
        "import warnings\n"
        "from keysend_fast import _native, build_onion\n"
        "from tests.nodes import reference_build, request_of\n"
        "r = request_of([1, 2], [b'ab', b'cd'])\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    for _ in range(3):\n"
        "        assert build_onion(*r).packet == reference_build(r).packet\n"
        "print([(w.category.__name__, str(w.message)) for w in seen], _native.chosen_implementations()['chacha20'])\n"
        "_native.chosen_implementations('chacha20=avx2')\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "('RuntimeWarning', \"keysend_fast: chacha20 implementation '" in result.stdout, result.stderr
    assert result.stdout.count("RuntimeWarning") == 1
    assert result.stdout.endswith(" portable\n")
    assert "ValueError: chacha20 implementation 'avx2' failed its self-test" in result.stderr
