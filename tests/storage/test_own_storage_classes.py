"""Types of one's own are kept by a storage class and a formatter: from a package, the configuration, or code."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from pydantic import BaseModel

from skybutler.butler import Butler
from skybutler.cli.main import command_line
from skybutler.imaging import Box2I, Defects, Extent2I, Mask, Point2I
from skybutler.model import storage_class as known_classes
from skybutler.model.errors import FileFormatError, StorageClassError
from skybutler.model.storage_class import StorageClass, described_storage_class, register_storage_class, storage_class
from skybutler.storage.formatters import formatter_for

PLUGIN = """
from skybutler.model.storage_class import StorageClass
from skybutler.storage.formatters import Formatter


class Spectrum:
    def __init__(self, flux):
        self.flux = flux


class SpectrumFormatter(Formatter):
    name = "spectrum"
    suffix = ".spectrum"

    def write(self, obj, sink, storage_class, provenance):
        sink.write(repr(obj.flux).encode())

    def read(self, path, storage_class, component, parameters):
        values = path.read_text().strip("[]").split(",")
        flux = [float(value) for value in values]
        return len(flux) if component == "size" else Spectrum(flux)


SPECTRUM = StorageClass(
    "Spectrum", "myspectra.Spectrum", {"size": "Integer"}, formatter="myspectra.SpectrumFormatter"
)
"""


class Weather(BaseModel):
    seeing: float
    words: list[str] = []


@pytest.fixture(autouse=True)
def own_classes(monkeypatch) -> None:
    """Let what a test makes known be known to it alone."""
    monkeypatch.setattr(known_classes, "_KNOWN", dict(known_classes._KNOWN))


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch) -> Path:
    """A folder from which a package that offers a storage class is imported."""
    folder = tmp_path / "site"
    (folder / "myspectra-1.dist-info").mkdir(parents=True)
    (folder / "myspectra.py").write_text(PLUGIN)
    (folder / "myspectra-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: myspectra\nVersion: 1\n")
    points = "[skybutler.storage_classes]\nSpectrum = myspectra:SPECTRUM\nBroken = myspectra:NOWHERE\n"
    (folder / "myspectra-1.dist-info/entry_points.txt").write_text(points)
    return folder


def run(plugin: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(plugin)!r})\n{code}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_package_offers_a_storage_class_and_its_formatter(plugin, tmp_path):
    run(
        plugin,
        f"""
from skybutler import Butler
from myspectra import Spectrum
with Butler.create({str(tmp_path / "repo")!r}) as butler:
    butler.insert_dimension_records("instrument", [{{"name": "Cam"}}])
    butler.register_dataset_type("spectrum", ["instrument"], "Spectrum")
    butler.put("spectrum", Spectrum([1.5, 2.5]), instrument="Cam")
""",
    )
    said = run(
        plugin,
        f"""
from skybutler import Butler
with Butler({str(tmp_path / "repo")!r}) as butler:
    ref, = butler.query_datasets("spectrum")
    print(butler.get(ref).flux, butler.get("spectrum.size", instrument="Cam"), butler.get_uri(ref))
from skybutler.storage.formatters import formatter
print(formatter("spectrum").suffix)
try:
    butler.register_dataset_type("broken", [], "Broken")
except Exception as error:
    print(type(error).__name__, error)
""".replace("formatter(\"spectrum\")", "formatter('spectrum')"),
    ).splitlines()  # fmt: skip
    assert said[0].startswith("[1.5, 2.5] 2 file://")
    assert said[0].endswith(".spectrum")
    assert said[1] == ".spectrum"
    assert said[2].startswith("StorageClassError storage class 'Broken' of myspectra:NOWHERE cannot be loaded")


def test_a_repository_describes_storage_classes(tmp_path):
    with Butler.create(tmp_path / "repo") as butler:
        butler.insert_dimension_records("instrument", [{"name": "Cam"}])
    file = tmp_path / "repo/skybutler.yaml"
    said = yaml.safe_load(file.read_text())
    said["storage_classes"] = {"ObservingNotes": {"type": "dict", "formatter": "yaml"}}
    file.write_text(yaml.safe_dump(said))
    with Butler(tmp_path / "repo") as butler:
        butler.register_dataset_type("notes", ["instrument"], "ObservingNotes")
        ref = butler.put("notes", {"seeing": np.float64(0.8), "list": (1, 2)}, instrument="Cam")
        assert butler.get(ref) == {"seeing": 0.8, "list": [1, 2]}
        assert Path(butler.get_uri(ref)[7:]).read_text() == "seeing: 0.8\nlist:\n- 1\n- 2\n"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("dict", "by a mapping with a type"),
        ({"formatter": "yaml"}, "by a mapping with a type"),
        ({"type": "dict", "formater": "yaml"}, "'formater'.*Did you mean 'formatter'"),
    ],
)
def test_a_description_that_makes_no_sense_is_told(said, message):
    with pytest.raises(StorageClassError, match=message):
        described_storage_class("Odd", said, "skybutler.yaml")


def test_a_formatter_that_is_none_is_told():
    with pytest.raises(StorageClassError, match=r"needs the formatter nowhere\.Formatter"):
        formatter_for(StorageClass("Odd", "builtins.dict", formatter="nowhere.Formatter"))
    with pytest.raises(StorageClassError, match=r"json\.JSONEncoder is no Formatter"):
        formatter_for(StorageClass("Odd", "builtins.dict", formatter="json.JSONEncoder"))


def kept(tmp_path: Path, obj, name: str, read_as: str | None = None):
    kind = storage_class(name)
    chosen = formatter_for(kind)
    chosen.check(obj, kind)
    path = tmp_path / f"x{chosen.suffix}"
    with path.open("wb") as sink:
        chosen.write(obj, sink, kind, {"dataset_type": "x", "data_id": {"visit": 1}, "run": "r", "id": "0"})
    return chosen.read(path, storage_class(read_as or name), None, {})


def test_any_pydantic_model_comes_back_where_its_module_is_imported(tmp_path, monkeypatch):
    model = Weather(seeing=0.8, words=["clear"])
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or type(sys)(__name__))
    monkeypatch.setattr(sys.modules[__name__], "Weather", Weather, raising=False)
    assert kept(tmp_path, model, "Model") == model
    assert kept(tmp_path, model, "Model", "Dict")["seeing"] == 0.8
    (tmp_path / "x.json").write_text('{"__model__": "os.system", "seeing": 1}')
    json = formatter_for(storage_class("Model"))
    with pytest.raises(StorageClassError, match=r"'os\.system'.*read it as storage class Dict"):
        json.read(tmp_path / "x.json", storage_class("Model"), None, {})
    (tmp_path / "x.json").write_text(f'{{"__model__": "{__name__}.Weather", "seeing": "bad"}}')
    with pytest.raises(FileFormatError, match="does not hold"):
        json.read(tmp_path / "x.json", storage_class("Model"), None, {})


def test_defects_are_boxes_in_a_text_file(tmp_path):
    defects = Defects([Box2I(Point2I(3, 4), Extent2I(5, 6)), Box2I(Point2I(-1, 0), Extent2I(1, 2))], {"detector": 7})
    assert kept(tmp_path, defects, "Defects") == defects
    assert kept(tmp_path, Defects(), "Defects") == Defects()
    table = kept(tmp_path, defects, "Defects", "AstropyTable")
    assert table["x0"].tolist() == [3, -1]
    assert str(table["x0"].unit) == "pix"
    mask = Mask(np.zeros((20, 10), np.int32))
    defects.mark(mask)
    assert (mask.array != 0).sum() == 30
    (tmp_path / "x.ecsv").write_text("x0 y0\n1 2\n")
    with pytest.raises(FileFormatError, match="no list of defects"):
        formatter_for(storage_class("Defects")).read(tmp_path / "x.ecsv", storage_class("Defects"), None, {})


def test_drawings_are_svg_and_figures_png(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2])
    drawing = kept(tmp_path, figure, "Drawing")
    assert drawing._repr_svg_().count("<svg") == 1
    assert "dataset_type" in drawing
    assert isinstance(kept(tmp_path, figure, "Figure"), Figure)
    (tmp_path / "x.svg").write_text("no drawing")
    with pytest.raises(FileFormatError, match="no SVG"):
        formatter_for(storage_class("Drawing")).read(tmp_path / "x.svg", storage_class("Drawing"), None, {})


def test_a_type_of_an_unknown_storage_class_hides_no_other(tmp_path: Path) -> None:
    """What cannot be read here is listed, checked, exported and removed; it comes back once its class is known."""
    kind = StorageClass("Lamp", "builtins.dict", {"on": "Integer"}, formatter="yaml")
    register_storage_class(kind)
    folder = tmp_path / "repo"
    Butler.create(folder).close()
    with Butler(folder, run="u/lamp") as butler:
        butler.register_dataset_type("lamp", [], "Lamp")
        butler.register_dataset_type("other", [], "Dict")
        butler.put("lamp", {"on": 1})
        butler.put("other", {"a": 1})
    del known_classes._KNOWN["Lamp"]
    with Butler(folder, collections="u/lamp", run="u/lamp") as butler:
        assert butler.get("other") == {"a": 1}
        (ref,) = butler.query_datasets("lamp")
        assert "'Lamp'" in repr(ref.dataset_type)
        assert pickle.loads(pickle.dumps(ref)).dataset_type == ref.dataset_type
        assert not butler.verify().findings
        for attempt in (
            lambda: butler.get("lamp"),
            lambda: butler.get("lamp.on"),
            lambda: butler.put("lamp", {}, run="u/more"),
        ):
            with pytest.raises(StorageClassError, match=r"no storage class 'Lamp'.*skybutler\.register_storage_class"):
                attempt()
        result = CliRunner().invoke(
            command_line, ["export", str(folder), str(tmp_path / "out"), "lamp", "-c", "u/lamp"], standalone_mode=False
        )
        assert result.exception is None, result.exception
        register_storage_class(kind)
        assert butler.get("lamp") == {"on": 1}
    del known_classes._KNOWN["Lamp"]
    for words in (["show", "repo"], ["fsck", "repo"], ["du", "repo"], ["query-datasets", "repo", "lamp"]):
        result = CliRunner().invoke(command_line, [words[0], str(folder), *words[2:]])
        assert result.exit_code == 0, result.output
    with Butler(folder, writeable=True) as butler:
        butler.remove_datasets([ref])
        assert not list(butler.query_datasets("lamp", collections="u/lamp"))
