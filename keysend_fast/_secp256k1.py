"""The only importer of coincurve: hands its libsecp256k1 over to the core, and says which one it is.

The functions are called from C by their addresses, so the handshake checks what can be checked: the names and C types that
coincurve declares, sizeof(secp256k1_pubkey), and known answers (the core's self-test of the slot). The context is our own,
made once and randomized (secp256k1_context_randomize blinds its base point multiplications); it lives as long as the process.
"""

from __future__ import annotations

import os
from importlib import metadata
from typing import Any

from keysend_fast import _kernels
from keysend_fast.errors import MissingDependencyError

# libsecp256k1's include/secp256k1.h and secp256k1_ecdh.h, without qualifiers and argument names as cffi gives them
_CONTEXT = "struct secp256k1_context_struct *"
_PUBKEY = "struct secp256k1_pubkey *"
_BYTES = "unsigned char *"
_HASH = "int(*)(unsigned char *, unsigned char *, unsigned char *, void *)"
_FUNCTIONS = {
    "ec_pubkey_parse": f"int(*)({_CONTEXT}, {_PUBKEY}, {_BYTES}, size_t)",
    "ec_pubkey_serialize": f"int(*)({_CONTEXT}, {_BYTES}, size_t *, {_PUBKEY}, unsigned int)",
    "ec_pubkey_create": f"int(*)({_CONTEXT}, {_PUBKEY}, {_BYTES})",
    "ec_seckey_tweak_mul": f"int(*)({_CONTEXT}, {_BYTES}, {_BYTES})",
    "ecdh": f"int(*)({_CONTEXT}, {_BYTES}, {_PUBKEY}, {_BYTES}, {_HASH}, void *)",
}
_PUBKEY_BYTES = 64
_SCALAR_BYTES = 32
_CONTEXT_NONE = 1  # SECP256K1_CONTEXT_NONE
_CURE = "pip install --force-reinstall coincurve (pyln-client and pyln-proto install a fork into the same folder)"

_handed_over: list[Any] = []  # what must outlive every use: module and context


def distribution() -> str | None:
    """Name and version of the distribution that owns the installed ``coincurve`` folder, or None without one.

    Where both it and its fork say so, both are named: the folder is that of the one installed last.
    """
    names = sorted(set(metadata.packages_distributions().get("coincurve", [])))
    return " and ".join(f"{name} {metadata.version(name)}" for name in names) or None


def hand_over() -> None:
    """Give the core a libsecp256k1. Does nothing the second time.

    Raises MissingDependencyError, which names the cure, where coincurve is missing or is not what it should be.
    """
    if _handed_over:
        return
    try:
        from coincurve import _libsecp256k1 as module  # noqa: PLC0415 - heavy, and wanted by few
    except ImportError as e:
        raise MissingDependencyError(f"implementation libsecp256k1 needs coincurve ({e}): {_CURE}") from e
    ffi, lib = module.ffi, module.lib
    if ffi.sizeof("secp256k1_pubkey") != _PUBKEY_BYTES:
        raise MissingDependencyError(f"coincurve's secp256k1_pubkey is not {_PUBKEY_BYTES} bytes: {_CURE}")
    functions = _kernels.ffi.new("ksf_libsecp256k1 *")
    for name, declared in _FUNCTIONS.items():
        try:
            pointer = ffi.addressof(lib, f"secp256k1_{name}")
        except AttributeError:
            raise MissingDependencyError(f"coincurve has no secp256k1_{name}: {_CURE}") from None
        cname = ffi.typeof(pointer).cname
        if cname != declared:
            raise MissingDependencyError(f"coincurve declares secp256k1_{name} as {cname}, not {declared}: {_CURE}")
        setattr(functions, name, _kernels.ffi.cast("void *", int(ffi.cast("uintptr_t", pointer))))
    context = lib.secp256k1_context_create(_CONTEXT_NONE)
    if context == ffi.NULL or lib.secp256k1_context_randomize(context, os.urandom(32)) != 1:
        raise MissingDependencyError(f"coincurve's libsecp256k1 makes no context: {_CURE}")
    functions.context = _kernels.ffi.cast("void *", int(ffi.cast("uintptr_t", context)))
    api = _kernels.lib.ksf_get_api()
    if api.libsecp256k1_set(functions) != 0:
        raise MissingDependencyError(f"the core refused coincurve's libsecp256k1: {_CURE}")
    _handed_over.extend((module, context))


def seckey_tweak_mul(seckey: bytes, tweak: bytes) -> bytes:
    """seckey * tweak mod n by libsecp256k1, constant time. Both 32 bytes, big-endian, SECRET, in 1 .. n - 1.

    Returns 32 bytes. Raises ValueError for a scalar out of range, MissingDependencyError without a usable coincurve.
    """
    hand_over()
    module, context = _handed_over
    if len(seckey) != _SCALAR_BYTES or len(tweak) != _SCALAR_BYTES:
        raise ValueError(f"scalars have {_SCALAR_BYTES} bytes, not {len(seckey)} and {len(tweak)}")
    product = module.ffi.new("unsigned char[32]", bytes(seckey))
    try:
        if module.lib.secp256k1_ec_seckey_tweak_mul(context, product, bytes(tweak)) != 1:
            raise ValueError("a scalar is 0 or not below the group order")
        return bytes(module.ffi.buffer(product))
    finally:
        _kernels.lib.ksf_get_api().wipe(
            _kernels.ffi.cast("void *", int(module.ffi.cast("uintptr_t", product))), _SCALAR_BYTES
        )
