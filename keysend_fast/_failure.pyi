from collections.abc import Iterator, Sequence
from typing import Self, final

from keysend_fast._types import Rows

@final
class Column:
    def __new__(cls, n: int) -> Self: ...

@final
class ReturnBatch:
    @property
    def status(self) -> memoryview: ...
    @property
    def erring_hops(self) -> memoryview: ...
    def __len__(self) -> int: ...
    def __getitem__(self, i: int, /) -> tuple[int, int, int | None, bytes, tuple[int, ...] | None, int | None]: ...
    def __iter__(
        self,
    ) -> Iterator[tuple[int, int, int | None, bytes, tuple[int, ...] | None, int | None]]: ...  # by __getitem__

@final
class ReturnPackets:
    @property
    def packets(self) -> memoryview | list[bytes]: ...
    @property
    def attribution_data(self) -> memoryview | None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, i: int, /) -> tuple[bytes, bytes | None]: ...
    def __iter__(self) -> Iterator[tuple[bytes, bytes | None]]: ...  # by __getitem__

def decode_returns(
    packets: Rows | ReturnPackets,
    secrets: object,
    attribution_data: Rows | None = None,
    *,
    threads: int | None = None,
    implementation: str | None = None,
) -> ReturnBatch: ...
def step_returns(
    shared_secrets: Rows,
    messages: Rows | None = None,
    packets: Rows | ReturnPackets | None = None,
    attribution_data: Rows | None = None,
    hold_times: int | Sequence[int] | None = None,
    *,
    size: int = 256,
    threads: int | None = None,
    implementation: str | None = None,
) -> ReturnPackets: ...
