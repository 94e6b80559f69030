"""The command that brings a repository to a newer schema."""

from __future__ import annotations

import click

__all__ = ["migrate"]


@click.command("migrate")
@click.argument("repo")
@click.option("--to", metavar="VERSION", help="The schema that is wanted.  [default: the one that this version reads]")
@click.option("--dry-run", is_flag=True, help="Try it and print the SQL, and leave REPO as it is.")
def migrate(repo: str, to: str | None, dry_run: bool) -> None:
    """Bring the registry of REPO, which an older SkyButler wrote, to a newer schema.

    All is done in one transaction: it is migrated, or it stays as it was. Files of datasets are not touched.

    \b
      skybutler migrate demo --dry-run
      skybutler migrate demo
    """
    from ..butler.repository import migrate_repository
    from ..registry.schema import SCHEMA_VERSION

    found, statements = migrate_repository(repo, to, dry_run=dry_run)
    wanted = to or SCHEMA_VERSION
    if dry_run:
        for statement in statements:
            click.echo(f"{statement};")
    if found == wanted:
        click.echo(f"{repo} has schema {found} already; there is nothing to do.", err=dry_run)
    else:
        said = "would go" if dry_run else "went"
        click.echo(f"{repo} {said} from schema {found} to {wanted}.", err=dry_run)
