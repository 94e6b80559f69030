"""The expression language: what is read, how it binds, and what a mistake is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skybutler import InvalidQueryError
from skybutler.registry.queries import patterns, tree
from skybutler.registry.queries.expression import parse
from skybutler.registry.queries.times import parse_time
from skybutler.registry.queries.tree import And, Arithmetic, Between, Compare, In, Literal, Name, Not, Or, Range
from skybutler.registry.queries.unparse import unparse


def equals(name: str, value: object) -> Compare:
    return Compare("=", Name(name), Literal(value))


class TestGrammar:
    @pytest.mark.parametrize("text", ["", "  ", "\n\t"])
    def test_a_blank_expression_is_none(self, text):
        assert parse(text) is None

    def test_not_binds_tighter_than_and_and_and_tighter_than_or(self):
        assert parse("NOT a = 1 AND b = 2 OR c = 3") == Or((And((Not(equals("a", 1)), equals("b", 2))), equals("c", 3)))

    def test_lists_of_terms_are_flat(self):
        assert parse("a = 1 AND b = 2 AND c = 3") == And((equals("a", 1), equals("b", 2), equals("c", 3)))

    def test_arithmetic_binds_as_it_does_everywhere(self):
        x, y, z = Name("x"), Name("y"), Name("z")
        assert parse("x + y * z = 1").left == Arithmetic("+", x, Arithmetic("*", y, z))
        assert parse("x - y - z = 1").left == Arithmetic("-", Arithmetic("-", x, y), z)

    def test_between_takes_its_own_and(self):
        assert parse("a BETWEEN 1 AND 3 AND b = 2") == And(
            (Between(Name("a"), Literal(1), Literal(3), False), equals("b", 2))
        )

    @pytest.mark.parametrize("text", ["a and b", "a AND b", "a And b"])
    def test_keywords_have_no_case(self, text):
        assert parse(text) == And((Name("a"), Name("b")))

    @pytest.mark.parametrize(
        "name", ["order_id", "android", "inside", "notes", "is_good", "like_this", "betweens", "_x9"]
    )
    def test_names_may_begin_as_keywords_do(self, name):
        assert parse(f"{name} = 1") == equals(name, 1)

    def test_keywords_may_be_the_last_part_of_a_name(self):
        assert parse("visit.in = 1") == equals("visit.in", 1)

    @pytest.mark.parametrize(
        ("text", "value"),
        [("1", 1), ("1.", 1.0), ("1.1", 1.1), ("1e10", 1e10), (".2E5", 0.2e5), ("-3", -3), ("+3", 3), ("- 2.5", -2.5)],
    )
    def test_numbers(self, text, value):
        literal = parse(f"x = {text}").right
        assert literal == Literal(value)
        assert type(literal.value) is type(value)

    @pytest.mark.parametrize(("text", "value"), [("''", ""), ("'it''s'", "it's"), ("'a\\b'", "a\\b"), ("'\"'", '"')])
    def test_strings(self, text, value):
        assert parse(f"x = {text}") == equals("x", value)

    @pytest.mark.parametrize("spelling", [("==", "="), ("<>", "!=")])
    def test_other_spellings_of_comparisons(self, spelling):
        assert parse(f"x {spelling[0]} 1") == Compare(spelling[1], Name("x"), Literal(1))

    @pytest.mark.parametrize(
        ("text", "item"),
        [
            ("1..3", Range(1, 3)),
            ("1..10:2", Range(1, 10, 2)),
            ("-10 .. 10 : 2", Range(-10, 10, 2)),
            ("-5..-1", Range(-5, -1)),
        ],
    )
    def test_ranges(self, text, item):
        assert parse(f"x IN ({text})") == In(Name("x"), (item,), False)

    def test_a_list_may_mix_values_ranges_binds_and_columns(self):
        assert parse("x NOT IN (1, 3..4, :y, visit.z)") == In(
            Name("x"), (Literal(1), Range(3, 4), tree.Bind("y"), Name("visit.z")), True
        )

    def test_equal_but_for_blanks_is_equal(self):
        assert parse("a=1 AND b=2") == parse("a = 1\n  AND b = 2")

    def test_a_thousand_alternatives_are_one_flat_list(self):
        assert len(parse(" OR ".join(f"visit = {i}" for i in range(1000))).terms) == 1000

    def test_deep_parentheses_are_read(self):
        assert parse("(" * 5000 + "a = 1" + ")" * 5000) == equals("a", 1)


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "column", "message"),
        [
            ("detector = 1 AND", 16, "it ends where a value is missing"),
            ("(detector = 1", 13, "a '\\)' is missing"),
            ("detector IN ()", 13, "IN wants at least one value"),
            ('full_name = "Aa"', 12, "single quotes"),
            ("full_name = 'Aa", 12, "no closing quote"),
            ("1 < detector < 3", 13, "do not chain"),
            ("a.b.c.d = 1", 5, "at most three parts"),
            ("a = 1 && b = 2", 6, "joined by AND"),
            ("a = 1 || b = 2", 6, "joined by OR"),
            ("a = 1)", 5, "No parenthesis is open"),
            ("a = 1 b = 2", 6, "is missing before it"),
            ("x IN (3..1)", 6, "runs backwards"),
            ("x IN (1..3:0)", 6, "stride"),
            ("x = 99999999999999999999", 4, "64 bits"),
            ("x > T'yesterday'", 4, "Cannot read the time"),
            ("x = :1", 4, "bind name"),
            ("x = 1..3", 4, "in a list"),
            ("a = (1, 2, 3)", 9, "commas"),
        ],
    )
    def test_the_caret_stands_under_the_place(self, text, column, message):
        with pytest.raises(InvalidQueryError, match=message) as caught:
            parse(text)
        _, shown, caret = str(caught.value).splitlines()
        assert shown == f"  where: {text}"
        assert caret.index("^") - len("  where: ") == column

    def test_a_long_expression_is_cut_around_the_place(self):
        text = " OR ".join(f"visit = {i}" for i in range(200)) + " OR visit = 'x" + " OR visit = 1" * 100
        with pytest.raises(InvalidQueryError) as caught:
            parse(text)
        _, shown, caret = str(caught.value).splitlines()
        assert len(shown) < 130
        assert shown[caret.index("^")] == "'"

    def test_of_many_lines_the_one_in_question_is_shown(self):
        with pytest.raises(InvalidQueryError) as caught:
            parse("a = 1\nAND b = = 2\nAND c = 3")
        _, shown, caret = str(caught.value).splitlines()
        assert shown == "  where (line 2): AND b = = 2"
        assert caret.index("^") == shown.index("= 2")


class TestTimes:
    NOON = 1577880000 * 10**9  # 2020-01-01T12:00:00 TAI

    @pytest.mark.parametrize(
        "text",
        [
            "2020-01-01T12:00:00/tai",
            "2020-01-01 12:00:00/tai",
            "isot/2020-01-01T12:00:00/tai",
            "58849.5",
            "mjd/58849.5",
            "mjd/58849.5/tai",
            "2020-01-01T11:59:23",
            "2020-01-01T11:59:23+00:00",
            "2020:001:11:59:23",
            "+02020-01-01T11:59:23",
            "unix/1577879963",
        ],
    )
    def test_formats_and_scales_name_the_same_instant(self, text):
        assert parse_time(text) == self.NOON

    def test_a_date_alone_is_its_midnight_in_utc(self):
        assert parse_time("2020-01-01") == self.NOON - 43_200 * 10**9 + 37 * 10**9

    def test_nanoseconds_survive(self):
        assert parse_time("2020-01-01T12:00:00.123456789/tai") == self.NOON + 123456789

    @pytest.mark.parametrize("text", ["", "x", "2020-13-01", "2020-13-01/tai", "foo/1", "mjd/1/martian", "a/b/c/d"])
    def test_what_is_no_time_is_refused(self, text):
        with pytest.raises(ValueError):
            parse_time(text)


class TestPatterns:
    @pytest.mark.parametrize(
        ("glob", "sqlite", "like"),
        [
            ("A*", "A*", "A%"),
            ("A?b", "A?b", "A_b"),
            ("A[ab]", "A[[]ab]", "A[ab]"),
            (r"a\*", "a[*]", "a*"),
            ("50%_", "50%_", r"50\%\_"),
            ("**", "*", "%"),
            ("a\\", "a\\", "a\\\\"),
        ],
    )
    def test_glob_means_the_same_to_both_databases(self, glob, sqlite, like):
        assert patterns.to_glob(patterns.read_glob(glob)) == sqlite
        assert patterns.to_like(patterns.read_glob(glob)) == like

    def test_like_has_its_own_wildcards(self):
        assert patterns.to_glob(patterns.read_like(r"A%_\%*")) == "A*?%[*]"


names = st.sampled_from(["detector", "visit.exposure_time", "visit.timespan.begin", "band"])
literals = st.one_of(
    st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False), st.booleans(),
    st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), max_size=8),
).map(Literal)  # fmt: skip
words = st.one_of(literals, names.map(Name), st.sampled_from(["a", "b_1"]).map(tree.Bind), st.just(tree.Null()))
ranges = st.tuples(st.integers(-99, 99), st.integers(0, 99), st.integers(1, 9)).map(
    lambda t: Range(t[0], t[0] + t[1], t[2])
)


def larger(inner):
    flag = st.booleans()
    return st.one_of(
        st.builds(Compare, st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "OVERLAPS"]), inner, inner),
        st.builds(Arithmetic, st.sampled_from("+-*/%"), inner, inner),
        st.builds(Not, inner),
        st.builds(tree.Negative, names.map(Name)),
        st.builds(tree.IsNull, inner, flag),
        st.builds(Between, inner, inner, inner, flag),
        st.builds(tree.Like, inner, inner, flag),
        st.builds(In, inner, st.lists(inner | ranges, min_size=1, max_size=3).map(tuple), flag),
        st.builds(tree.Pair, inner, inner),
        st.builds(tree.Call, st.sampled_from(["GLOB", "POINT"]), st.lists(inner, max_size=3).map(tuple)),
        st.builds(And, st.lists(inner, min_size=2, max_size=4).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=4).map(tuple)),
    )


@given(st.recursive(words, larger, max_leaves=12))
def test_text_of_a_tree_gives_the_tree_again(node):
    assert parse(unparse(node)) == node


def is_read_or_shown(text: str) -> bool:
    try:
        parse(text)
    except InvalidQueryError as error:
        return str(error).endswith("^")
    return True


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_an_invalid_query(text):
    assert is_read_or_shown(text)


WORDS = ["visit", "=", "1", "AND", "OR", "NOT", "(", ")", ",", "IN", "1..3", "'a'", ":x", "NULL", "BETWEEN", "LIKE",
         "T'2020-01-01/tai'", "+", "-", "<", "IS", "OVERLAPS", "GLOB"]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_row_of_words_is_an_expression_or_an_invalid_query(words):
    assert is_read_or_shown(" ".join(words))


@pytest.mark.parametrize("word", ["in", "NOT", "like", "overlaps", "between", "is", "or"])
def test_keywords_are_no_names(word):
    with pytest.raises(InvalidQueryError):
        parse(f"{word} = 1")
