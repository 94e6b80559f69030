"""Random expressions on random records find what a plain evaluation in Python says they do."""

import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skybutler import Timespan
from skybutler.registry import queries
from skybutler.registry.queries import tree
from skybutler.registry.queries.tree import (
    And,
    Arithmetic,
    Between,
    Call,
    Compare,
    In,
    IsNull,
    Like,
    Literal,
    Name,
    Negative,
    Not,
    Or,
    Pair,
    Range,
    Time,
)
from skybutler.registry.queries.unparse import unparse
from skybutler.registry.registry import Registry

RECORDS = 60
BANDS = {"G": "g", "R": "r", "R%": "r"}
WORDS = ["", "a", "A", "ab", "a*", "a%b", "é", "Z", "a_b"]


def maybe(rng, value):
    return None if rng.random() < 0.2 else value


@pytest.fixture(scope="module")
def rows():
    rng = random.Random(5)
    found = []
    for i in range(RECORDS):
        begin = rng.randrange(-20, 20)
        found.append({
            "exposure": i, "seq_num": maybe(rng, rng.randrange(-6, 7)),
            "exposure_time": maybe(rng, rng.randrange(-40, 40) / 4),
            "target_name": maybe(rng, rng.choice(WORDS)), "can_see_sky": maybe(rng, rng.random() < 0.5),
            "physical_filter": maybe(rng, rng.choice(list(BANDS))),
            "timespan": maybe(rng, Timespan(begin, begin + rng.randrange(0, 9))),
        })  # fmt: skip
        found[-1]["band"] = BANDS.get(found[-1]["physical_filter"])
    return found


@pytest.fixture(scope="module")
def registry(backend, tmp_path_factory, rows):
    registry = Registry.create(tmp_path_factory.mktemp("random") / "registry.sqlite3")
    insert = registry.dimension_records.insert
    insert("instrument", [{"name": "Cam"}])
    insert("day_obs", [{"instrument": "Cam", "id": 1}])
    insert("group", [{"instrument": "Cam", "name": "g"}])
    insert("physical_filter", [{"instrument": "Cam", "name": n, "band": b} for n, b in BANDS.items()])
    fixed = {"instrument": "Cam", "day_obs": 1, "group": "g"}
    insert(
        "exposure",
        [{**fixed, "obs_id": f"e{row['exposure']}", **{k: v for k, v in row.items() if k != "band"}} for row in rows],
    )
    yield registry
    registry.close()


# Expressions, by the kind of their value

integers = st.integers(-9, 9).map(Literal)
floats = st.integers(-30, 30).map(lambda n: Literal(n / 4))
strings = st.sampled_from(WORDS).map(Literal)
booleans = st.booleans().map(Literal)
times = st.integers(-22, 30).map(Time)
integer_columns = st.sampled_from([Name("exposure"), Name("seq_num"), Name("exposure.seq_num")])
number_columns = st.one_of(integer_columns, st.just(Name("exposure_time")))
string_columns = st.sampled_from([Name("target_name"), Name("physical_filter"), Name("band")])
time_columns = st.sampled_from([Name("exposure.timespan.begin"), Name("exposure.timespan.end")])
order = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
flag = st.booleans()

whole = st.recursive(
    st.one_of(integers, integer_columns),
    lambda inner: st.one_of(
        st.builds(Arithmetic, st.sampled_from("+-*%"), inner, inner), st.builds(Negative, integer_columns | inner)
    ),
    max_leaves=4,
)
numbers = st.recursive(
    st.one_of(integers, floats, number_columns),
    lambda inner: st.one_of(
        st.builds(Arithmetic, st.sampled_from("+-*/"), inner, inner), st.builds(Negative, number_columns)
    ),
    max_leaves=4,
)
texts = st.one_of(strings, string_columns)
instants = st.one_of(times, time_columns)
spans = st.builds(Pair, times | st.just(tree.Null()), times | st.just(tree.Null()))
ranges = st.tuples(st.integers(-9, 9), st.integers(0, 20), st.integers(1, 4)).map(
    lambda r: Range(r[0], r[0] + r[1], r[2])
)
patterns = st.text(st.sampled_from("aAb*?%_\\Z"), max_size=4).map(Literal)


def items(values):
    return st.lists(values, min_size=1, max_size=4).map(tuple)


simple = st.one_of(
    st.builds(Compare, order, numbers, numbers),
    st.builds(Compare, order, whole, numbers),
    st.builds(Compare, order, texts, texts),
    st.builds(Compare, order, instants, instants),
    st.builds(Compare, st.sampled_from(["=", "!="]), st.just(Name("can_see_sky")), booleans),
    st.builds(In, st.just(Name("can_see_sky")), items(booleans), flag),
    st.builds(In, instants, items(times | time_columns), flag),
    st.builds(In, whole, items(whole | ranges), flag),
    st.builds(Between, instants, instants, instants, flag),
    st.builds(IsNull, numbers, flag),
    st.builds(Between, numbers, numbers, numbers, flag),
    st.builds(Between, texts, texts, texts, flag),
    st.builds(In, whole, items(integers | ranges | integer_columns), flag),
    st.builds(In, numbers, items(integers | floats), flag),
    st.builds(In, texts, items(strings), flag),
    st.builds(Like, texts, patterns, flag),
    st.builds(Call, st.just("GLOB"), st.tuples(texts, patterns)),
    st.builds(IsNull, number_columns | string_columns | time_columns | st.just(Name("exposure.timespan")), flag),
    st.builds(Compare, st.just("OVERLAPS"), st.just(Name("exposure.timespan")), spans | times),
    st.just(Name("can_see_sky")),
)
conditions = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(IsNull, inner, flag),
        st.builds(Compare, st.sampled_from(["=", "!="]), inner, inner | booleans),
        st.builds(And, st.lists(inner, min_size=2, max_size=4).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=4).map(tuple)),
    ),
    max_leaves=8,
)


# What they mean, in plain Python; None is NULL


def negated(truth, flag=True):
    return truth if truth is None or not flag else not truth


def every(truths):
    truths = list(truths)
    return False if False in truths else None if None in truths else True


def some(truths):
    return negated(every(negated(truth) for truth in truths))


def compare(operator, a, b):
    if a is None or b is None:
        return None
    return {"=": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]


def calculate(operator, a, b):
    if a is None or b is None or (operator in "/%" and b == 0):
        return None
    match operator:
        case "/":
            return a / b
        case "%":
            return (abs(a) % abs(b)) * (1 if a >= 0 else -1)
    return {"+": a + b, "-": a - b, "*": a * b}[operator]


def matches(text, pattern, any_run, one):
    if text is None:
        return None
    parts, characters = [], iter(pattern)
    for character in characters:
        if character == "\\":
            parts.append(re.escape(next(characters, "\\")))
        else:
            parts.append({any_run: ".*", one: "."}.get(character, re.escape(character)))
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def value(node, row):
    match node:
        case Literal():
            return node.value
        case Time():
            return node.nanoseconds
        case Name(text="exposure.timespan.begin" | "exposure.timespan.end"):
            span = row["timespan"]
            return None if span is None else span.begin_ns if node.text.endswith("begin") else span.end_ns
        case Name():
            return row[node.text.rpartition(".")[2]]
        case Negative():
            inner = value(node.operand, row)
            return None if inner is None else -inner
        case Arithmetic():
            return calculate(node.operator, value(node.left, row), value(node.right, row))
        case Pair():
            ends = (None if isinstance(end, tree.Null) else end.nanoseconds for end in (node.begin, node.end))
            return Timespan(*ends)
    return truth(node, row)


def truth(node, row):
    match node:
        case And():
            return every(truth(term, row) for term in node.terms)
        case Or():
            return some(truth(term, row) for term in node.terms)
        case Not():
            return negated(truth(node.operand, row))
        case IsNull():
            return (value(node.operand, row) is None) != node.negated
        case Compare(operator="OVERLAPS"):
            span = value(node.left, row)
            return None if span is None else span.overlaps(value(node.right, row))
        case Compare():
            return compare(node.operator, value(node.left, row), value(node.right, row))
        case Between():
            operand = value(node.operand, row)
            bounds = [compare(">=", operand, value(node.low, row)), compare("<=", operand, value(node.high, row))]
            return negated(every(bounds), node.negated)
        case In():
            operand = value(node.operand, row)
            hits = []
            for item in node.items:
                if isinstance(item, Range):
                    inside = None if operand is None else operand in range(item.start, item.stop + 1, item.step)
                    hits.append(inside)
                else:
                    hits.append(compare("=", operand, value(item, row)))
            return negated(some(hits), node.negated)
        case Like():
            return negated(matches(value(node.operand, row), node.pattern.value, "%", "_"), node.negated)
        case Call():
            return matches(value(node.arguments[0], row), node.arguments[1].value, "*", "?")
    return value(node, row)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(condition=conditions)
def test_a_query_finds_what_its_expression_says(registry, rows, condition):
    text = unparse(condition)
    query = queries.query_dimension_records(registry, "exposure", where=text)
    wanted = [row["exposure"] for row in rows if truth(condition, row) is True]
    assert sorted(record.id for record in query) == wanted
    assert query.count() == len(wanted)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    terms=st.lists(
        st.tuples(st.integers(0, RECORDS), st.sampled_from(["g", "r"])).map(
            lambda pair: And(
                (Compare("=", Name("exposure"), Literal(pair[0])), Compare("=", Literal(pair[1]), Name("band")))
            )
        ),
        min_size=16,
        max_size=40,
    ),
    inverted=st.booleans(),
)
def test_long_alternatives_find_what_each_of_them_would(registry, rows, terms, inverted):
    condition = Not(Or(tuple(terms))) if inverted else Or(tuple(terms))
    query = queries.query_dimension_records(registry, "exposure", where=unparse(condition))
    assert sorted(record.id for record in query) == [row["exposure"] for row in rows if truth(condition, row) is True]
