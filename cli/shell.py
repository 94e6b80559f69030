"""The command that gives a Python prompt on a repository."""

from __future__ import annotations

from typing import Any

import click

from .options import collections_option, split_names

__all__ = ["shell"]


@click.command("shell")
@click.argument("repo")
@collections_option
@click.option("--run", metavar="NAME", help="The RUN that is put into.  [default: user]")
@click.option("--read-only", is_flag=True, help="Refuse every change.")
def shell(repo: str, collections: tuple[str, ...], run: str | None, read_only: bool) -> None:
    """Open a Python prompt on REPO: `butler` is there, IPython is used where it is installed.

    \b
      skybutler shell demo
      >>> butler.get("calexp", visit=1017, detector=0).wcs
    """
    from ..butler import Butler

    searched = split_names(collections) or None
    with Butler(repo, collections=searched, run=run, writeable=False if read_only else None) as butler:
        _interact({"butler": butler, "Butler": Butler}, f"{butler!r}\nis `butler`; leave with Ctrl-D")


def _interact(names: dict[str, Any], banner: str) -> None:
    """Run a prompt with some names, until the user leaves."""
    try:
        from IPython.terminal.embed import InteractiveShellEmbed
    except ImportError:
        import code

        try:
            import readline
            import rlcompleter
        except ImportError:  # no line editing on this platform
            pass
        else:
            readline.set_completer(rlcompleter.Completer(names).complete)
            readline.parse_and_bind("tab: complete")
        code.interact(banner, local=names, exitmsg="")
    else:
        InteractiveShellEmbed(banner1=banner, user_ns=names)()
