"""The ``skybutler`` command: its subcommands, each imported only when it runs, and how errors reach the user."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from keyword import iskeyword
from typing import NoReturn

import click

from ..model.errors import SkyButlerError

__all__ = ["command_line", "main", "report_errors"]

_SECTIONS = {
    "Make a repository, and fill it": {
        "create": ("repository", "Make an empty repository."),
        "ingest-raws": ("repository", "Take raw frames into a repository."),
        "import": ("exchange", "Take in an export, LSST's too, or a zip bundle."),
        "transfer": ("exchange", "Take datasets of another repository."),
        "run": ("run", "Run a pipeline over what a query finds."),
        "annotate": ("annotate", "Note something of datasets, to find them by."),
    },
    "Look at what is there": {
        "show": ("repository", "Show what a repository holds, or one dataset."),
        "query-datasets": ("query", "List datasets for which an expression holds."),
        "query-data-ids": ("query", "List data IDs for which an expression holds."),
        "query-records": ("query", "List dimension records (visits, detectors, …)."),
        "dimensions": ("repository", "Show what data IDs may say, and the columns of records."),
        "sql": ("query", "Run an SQL query on the registry, read-only."),
        "plot": ("plot", "Draw a dataset into a picture file."),
        "provenance": ("provenance", "Show which dataset a file is, and what it was made of."),
        "shell": ("shell", "Open a Python prompt on a repository."),
    },
    "Order it in collections": {
        "collections": ("repository", "List collections and what they chain."),
        "chain": ("collections", "Say what a CHAINED collection searches."),
        "tag": ("collections", "Put datasets into a TAGGED collection."),
        "untag": ("collections", "Take datasets out of a TAGGED collection."),
        "certify": ("calibrations", "Say for which time calibrations are valid."),
        "decertify": ("calibrations", "Say for which time calibrations are valid no more."),
        "describe-collection": ("collections", "Show or say what a collection is for."),
        "remove-collections": ("collections", "Remove collections by names or globs."),
    },
    "Take data out": {
        "export": ("exchange", "Write datasets into a folder for another repository."),
        "retrieve": ("exchange", "Copy the files of datasets into a folder or a zip."),
        "remove": ("trash", "Remove datasets or RUNs, into the trash."),
        "trash": ("trash", "Show, restore or empty what was removed."),
    },
    "Keep it sound": {
        "fsck": ("fsck", "Look whether registry and files agree."),
        "du": ("trash", "Tell what takes up how much room."),
        "migrate": ("migrate", "Bring an older repository up to date."),
    },
}
_COMMANDS = {name: command for section in _SECTIONS.values() for name, command in section.items()}


class _LazyGroup(click.Group):
    """A group that knows its commands by name and help, and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f".{_COMMANDS[cmd_name][0]}", __package__)
        function = cmd_name.replace("-", "_")
        command: click.Command = getattr(module, f"{function}_" if iskeyword(function) else function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _COMMANDS))
        for section, commands in _SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from ..model.errors import closest

            ctx.fail(f"no command {args[0]!r}.{closest(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="`skybutler COMMAND --help` tells about a command, with examples.",
)
@click.version_option(package_name="skybutler")
def command_line() -> None:
    """Ask for astronomical data by what they are, not where they lie.

    A repository is a folder: a registry that knows which datasets exist, and the files that keep them.

    \b
      skybutler create demo
      skybutler ingest-raws demo frames/ --instrument arcsat
      skybutler run demo -p calibration_frames -o calib
      skybutler run demo -p process -o u/me/first
      skybutler query-datasets demo src --where "band = 'g'"
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 all well, 1 an error, 2 wrong usage, 130 interrupted."""
    atexit.register(gc.freeze)  # looking through all that was imported for garbage at exit takes 70 ms
    report_errors(lambda: command_line.main(arguments, prog_name="skybutler", standalone_mode=False), "skybutler")


def report_errors(action: Callable[[], object], program: str) -> NoReturn:
    """Run an action and exit; what went wrong is a message on standard error, not a traceback.

    Parameters
    ----------
    action
        What to do; an int that it returns is the exit code.
    program
        Name of the command, for its messages.

    Notes
    -----
    With ``SKYBUTLER_TRACEBACK`` set in the environment, errors do show where they come from.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # where a terminal lacks a letter, it gets another, not an error
            stream.reconfigure(errors="replace")
    try:
        code = action()
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"{program}: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone, as after `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (SkyButlerError, OSError) as error:
        if os.environ.get("SKYBUTLER_TRACEBACK"):
            raise
        click.echo(f"{program}: {_told(error)}", err=True)
        sys.exit(1)


def _told(error: Exception) -> str:
    """Return the message of an error; one of the operating system is told without its number."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, SkyButlerError):
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)
