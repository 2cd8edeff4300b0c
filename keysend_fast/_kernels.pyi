from typing import Any

ffi: Any  # _cffi_backend.FFI with the types of the marked part of ksf.h
lib: Any  # ksf_get_api, ksf_compiler, ksf_cpu_bits and the integer constants
