"""Write ``docs/cli.md`` from what the commands say of themselves: ``python docs/make_cli_reference.py``."""

from collections.abc import Iterator
from pathlib import Path

import click

from skybutler.cli.command_line_task import command_line_parser
from skybutler.cli.main import command_line

PAGE = Path(__file__).with_name("cli.md")
_WIDTH = 100
_BEGIN = """\
# The command line

<!-- Made from --help by docs/make_cli_reference.py; a test holds it to be current. -->

Exit codes: 0 all well, 1 an error, 2 wrong usage, 130 interrupted. An error is a message on standard error; with
`SKYBUTLER_TRACEBACK=1` in the environment also where it comes from. Tables are for reading: on a terminal they fit its
width, in a pipe each row is one whole line; `--format json` and `--format csv` are for programs. `python -m skybutler`
is the same as `skybutler`.
"""


def reference() -> str:
    """Return the page."""
    sections = [_BEGIN, *(_section(f"skybutler {name}", text) for name, text in command_helps())]
    return "\n".join([*sections, _section("runIsr.py", task_help())])


def command_helps() -> Iterator[tuple[str, str]]:
    """Yield the name of each command and what its ``--help`` prints."""
    yield from _helps_of(
        command_line, click.Context(command_line, info_name="skybutler", **command_line.context_settings)
    )


def _helps_of(group: click.Group, above: click.Context, words: str = "") -> Iterator[tuple[str, str]]:
    for name in group.list_commands(above):
        if command := group.get_command(above, name):
            with click.Context(command, above, name, terminal_width=_WIDTH) as context:
                yield f"{words}{name}", command.get_help(context)
                if isinstance(command, click.Group):
                    yield from _helps_of(command, context, f"{words}{name} ")


def task_help() -> str:
    """Return what ``runIsr.py --help`` says, in a form that does not vary with Python's version."""
    parser = command_line_parser("runIsr.py", "isr")
    lines = [str(parser.description), "", str(parser.epilog), ""]
    for action in parser._actions:
        names = ", ".join(action.option_strings) or action.dest.upper()
        value = action.metavar if isinstance(action.metavar, str) else "|".join(action.choices or ())
        lines += [f"  {names} {value}".rstrip(), f"      {action.help}"]
    return "\n".join(lines)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{text}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
