"""The group that holds every command. A command is imported when it is asked for, so that each needs its own extras only."""

from __future__ import annotations

from importlib import import_module, metadata

import click

from keysend_fast.errors import MissingDependencyError

__all__ = ["cli"]

# name of the command and of its module in this package: extras that it needs
_EXTRAS = {"demo": "cli", "info": "cli", "stream": "cli,feed,graph"}


def _unavailable(name: str, missing: str | None) -> click.Command:
    """Stands for a command whose libraries are not installed: --help says so, a call fails with the cure."""
    cure = f"pip install 'keysend-fast[{_EXTRAS[name]}]'"

    @click.command(name, help=f"Not installed: {cure}", context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def refuse(arguments: tuple[str, ...]) -> None:
        raise MissingDependencyError(f"{name} needs {missing}: {cure}")

    return refuse


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_EXTRAS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _EXTRAS:
            return None
        try:
            command = getattr(import_module(f"keysend_fast.cli.{cmd_name}"), cmd_name)
        except ModuleNotFoundError as e:
            if e.name is None or e.name.startswith("keysend_fast"):
                raise
            return _unavailable(cmd_name, e.name)
        if not isinstance(command, click.Command):
            raise TypeError(f"keysend_fast.cli.{cmd_name}.{cmd_name} is not a command")
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done; 1 something was refused or failed; 2 usage; 3 a library or CPU feature is missing; "
    "130 interrupted.",
)
@click.version_option(metadata.version("keysend-fast"), package_name="keysend-fast")
def cli() -> None:
    """Lightning keysend onions in batches, natively accelerated."""
