"""``python -m skybutler`` is the ``skybutler`` command."""

from .cli.main import main

main()
