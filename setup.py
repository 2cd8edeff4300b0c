"""What pyproject.toml cannot say: the cffi module (the one compile of csrc/) and the Cython modules beside it."""

import os
import shlex
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

MODULES = sorted(path.stem for path in Path("keysend_fast").glob("*.pyx"))
EXTRA = shlex.split(os.environ.get("KSF_CFLAGS", ""))  # sanitizers only, as in csrc/build_kernels.py
FLAGS = ["-O3", "-std=gnu11", "-fvisibility=hidden", "-pthread", "-g0", *EXTRA]

extensions = [
    Extension(
        f"keysend_fast.{name}",
        [f"keysend_fast/{name}.pyx"],
        include_dirs=["csrc/include", "keysend_fast"],
        depends=["csrc/include/ksf.h", "keysend_fast/_pool.h", "keysend_fast/_arena.h"],
        extra_compile_args=FLAGS,
        extra_link_args=["-pthread", *EXTRA],
    )
    for name in MODULES
]

setup(
    cffi_modules=["csrc/build_kernels.py:ffibuilder"],
    ext_modules=cythonize(extensions, build_dir="build/cython"),
)
