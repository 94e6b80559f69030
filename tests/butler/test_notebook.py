"""What a notebook shows of a butler and of its collections."""

from skybutler import Butler


def test_a_butler_shows_collections_and_dataset_types(tmp_path):
    with Butler.create(tmp_path / "repo") as butler:
        butler.collections.register("u/<me>", "RUN", doc="what I try")
        butler.register_dataset_type("note", [], "Dict")
        html = butler._repr_html_()
        assert html.startswith(f"<div><code>{repr(butler).replace(chr(39), '&#x27;')}</code>")
        assert '<td style="text-align:left">u/&lt;me&gt;</td><td style="text-align:left">RUN</td>' in html
        assert "what I try" in html
        assert '<td style="text-align:left">note</td>' in html
        assert "u/&lt;me&gt;" in butler.collections._repr_html_()


def test_the_first_of_many_collections_are_shown(tmp_path):
    with Butler.create(tmp_path / "repo") as butler:
        for number in range(60):
            butler.collections.register(f"run/{number:02d}", "RUN")
        html = butler.collections._repr_html_()
        assert "run/05" in html
        assert "run/59" not in html
        assert "more rows" in html
