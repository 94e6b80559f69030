"""The seed's data ID arguments; numbers of LSST's own parser, its silent cases made errors."""

import pytest

from skybutler.model.errors import DataIdError
from skybutler.tasks import parse_id_arguments, where_of


@pytest.mark.parametrize(
    ("words", "visits"),
    [
        ("1^2^3", [1, 2, 3]),
        ("1..5", [1, 2, 3, 4, 5]),
        ("1..5:2", [1, 3, 5]),
        ("0^2..4^7..9", [0, 2, 3, 4, 7, 8, 9]),
        ("01..03", [1, 2, 3]),
        ("01", ["01"]),
        ("1,1^2,2", ["1,1", "2,2"]),
        ("abc", ["abc"]),
        ("-3..-1", [-3, -2, -1]),
    ],
)
def test_values(words, visits):
    assert parse_id_arguments([f"visit={words}"]) == [{"visit": visit} for visit in visits]


def test_product_has_the_first_key_slowest():
    assert parse_id_arguments(["visit=1^2", "detector=0..1"]) == [
        {"visit": 1, "detector": 0},
        {"visit": 1, "detector": 1},
        {"visit": 2, "detector": 0},
        {"visit": 2, "detector": 1},
    ]


def test_no_words_mean_everything():
    assert parse_id_arguments([]) == [{}]
    assert where_of([{}]) == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["visit=1", "visit=2"], "comes twice"),
        (["visit=5..3"], "empty range; write visit=3..5"),
        (["visit=1..3:0"], "step of a range must be at least 1"),
        (["visit"], "write key=value"),
        (["visit="], "write key=value"),
        (["=3"], "write key=value"),
        (["visit=1^^2"], "empty value"),
    ],
)
def test_errors(words, message):
    with pytest.raises(DataIdError, match=message):
        parse_id_arguments(words)


def test_where():
    assert where_of(parse_id_arguments(["visit=1^2", "filter=g'"])) == "(visit IN (1, 2) AND filter = 'g''')"
    several = [*parse_id_arguments(["visit=1", "detector=0"]), *parse_id_arguments(["visit=7", "detector=1"])]
    assert where_of(several) == "(visit = 1 AND detector = 0) OR (visit = 7 AND detector = 1)"
    assert where_of([*several, {"exposure": 3}]).endswith("OR (exposure = 3)")
