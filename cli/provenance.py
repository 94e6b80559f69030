"""The command that shows what a file tells of the dataset that it is."""

from __future__ import annotations

import click

from .output import format_option, print_rows

__all__ = ["provenance"]


@click.command("provenance")
@click.argument("file", type=click.Path())
@click.option("--inputs", is_flag=True, help="List the datasets that it was made of, instead of the file's own.")
@format_option
def provenance(file: str, inputs: bool, output: str) -> None:
    """Show which dataset a FITS or Parquet FILE is, and of how many it was made, as the file itself tells.

    \b
      skybutler provenance calexp_SimCam_1004_0-5f3a9c01b2d4.fits
      skybutler provenance calexp_SimCam_1004_0-5f3a9c01b2d4.fits --inputs
    """
    from ..storage.provenance import provenance as told_by

    said = told_by(file)
    if said is None:
        raise click.ClickException(f"{file} does not tell which dataset it is: no butler wrote it, or not so.")
    if inputs:
        rows = [[one.dataset_type, one.run, str(one.id)] for one in said.inputs]
        print_rows(["dataset type", "run", "id"], rows, output)
        return
    print_rows(
        ["what", "value"],
        [
            ["dataset type", said.dataset_type], *said.data_id.items(), ["run", said.run], ["id", str(said.id)],
            ["quantum", "" if said.quantum is None else str(said.quantum)],
            ["inputs", "not told" if said.input_count is None else said.input_count],
        ],
        output,
    )  # fmt: skip
