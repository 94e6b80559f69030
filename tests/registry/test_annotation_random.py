"""Random conditions on random header values find what a plain evaluation in Python says they do."""

import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skybutler.model.datasets import DatasetRef, DatasetType
from skybutler.registry import queries
from skybutler.registry.queries.tree import And, Arithmetic, Between, Compare, In, IsNull, Like, Literal, Name, Not, Or
from skybutler.registry.queries.unparse import unparse
from skybutler.registry.registry import Registry

DATASETS = 60
WORDS = ["", "a", "A", "ab", "é", "Z", "3"]
KEYS = ["A", "B", "C"]


@pytest.fixture(scope="module")
def rows():
    rng = random.Random(7)

    def value():
        return rng.choice([
            None, rng.randrange(-4, 5), rng.randrange(-16, 17) / 4, rng.choice(WORDS), rng.random() < 0.5,
        ])  # fmt: skip

    return [{key: value() for key in KEYS} | {"detector": n} for n in range(DATASETS)]


@pytest.fixture(scope="module")
def registry(backend, tmp_path_factory, rows):
    registry = Registry.create(backend.registry(tmp_path_factory.mktemp("random")))
    registry.dimension_records.insert("instrument", [{"name": "Cam"}])
    records = [{"instrument": "Cam", "id": row["detector"], "full_name": f"D{row['detector']}"} for row in rows]
    registry.dimension_records.insert("detector", records)
    kind = DatasetType("note", ["detector"], "Dict", universe=registry.universe)
    registry.register_dataset_type(kind)
    registry.collections.register("run")
    refs = [DatasetRef(kind, {"instrument": "Cam", "detector": row["detector"]}, "run") for row in rows]
    headers = {ref.id: {key: row[key] for key in KEYS} for ref, row in zip(refs, rows, strict=True)}
    registry.datasets.insert([(ref, None) for ref in refs], headers=headers)
    yield registry
    registry.close()


# Conditions

keys = st.sampled_from([Name(f"note.header.{key}") for key in KEYS] + [Name("header.a"), Name('header."B"')])
order = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
flag = st.booleans()
constants = st.integers(-4, 4).map(Literal) | st.integers(-16, 16).map(lambda n: Literal(n / 4))
strings = st.sampled_from(WORDS).map(Literal)
numbers = st.recursive(
    constants | st.just(Name("detector")),
    lambda inner: st.builds(Arithmetic, st.sampled_from("+-*"), keys | inner, inner),
    max_leaves=3,
)
patterns = st.text(st.sampled_from("aAb%_3"), max_size=3).map(Literal)


def items(values):
    return st.lists(values, min_size=1, max_size=4).map(tuple)


simple = st.one_of(
    st.builds(Compare, order, keys, numbers),
    st.builds(Compare, order, strings, keys),
    st.builds(Compare, order, keys, keys),
    st.builds(Compare, st.sampled_from(["=", "!="]), keys, st.booleans().map(Literal)),
    st.builds(Between, keys, numbers, keys | numbers, flag),
    st.builds(Between, keys, strings, strings, flag),
    st.builds(In, keys, items(constants), flag),
    st.builds(In, keys, items(strings), flag),
    st.builds(In, keys, items(keys), flag),
    st.builds(Like, keys, patterns, flag),
    st.builds(IsNull, keys, flag),
    keys,
)
conditions = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


# What they mean, in plain Python; None is NULL


def every(truths):
    truths = list(truths)
    return False if False in truths else None if None in truths else True


def negated(truth, flag=True):
    return truth if truth is None or not flag else not truth


def raw(node, row):
    """Return what a key holds, whatever its kind."""
    return row[node.text.rpartition(".")[2].strip('"').upper()]


def is_key(node):
    return isinstance(node, Name) and node.text != "detector"


def as_number(node, row):
    match node:
        case Literal():
            return node.value
        case Name(text="detector"):
            return row["detector"]
        case Name():
            held = raw(node, row)
            return None if isinstance(held, str) else held
    left, right = as_number(node.left, row), as_number(node.right, row)
    if left is None or right is None:
        return None
    return {"+": left + right, "-": left - right, "*": left * right}[node.operator]


def as_string(node, row):
    held = node.value if isinstance(node, Literal) else raw(node, row)
    return held if isinstance(held, str) else None


def as_boolean(node, row):
    held = node.value if isinstance(node, Literal) else raw(node, row)
    return held if isinstance(held, bool) else None


def readings(nodes, row):
    """Return the values of some nodes as what they are compared as, one list a way to read them."""
    given = [node for node in nodes if not is_key(node)]
    if not given:
        ways = [as_number, as_string]
    elif isinstance(given[0], Literal) and isinstance(given[0].value, bool):
        ways = [as_boolean]
    else:
        ways = [as_string if isinstance(given[0], Literal) and isinstance(given[0].value, str) else as_number]
    return [[way(node, row) for node in nodes] for way in ways]


def compare(operator, a, b):
    if a is None or b is None:
        return None
    if operator in ("=", "!="):
        return (a == b) == (operator == "=")
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]


def first(truths):
    return next((truth for truth in truths if truth is not None), None)


def truth(node, row):
    match node:
        case And():
            return every(truth(term, row) for term in node.terms)
        case Or():
            return negated(every(negated(truth(term, row)) for term in node.terms))
        case Not():
            return negated(truth(node.operand, row))
        case IsNull():
            return (raw(node.operand, row) is None) != node.negated
        case Compare():
            return first(compare(node.operator, *pair) for pair in readings([node.left, node.right], row))
        case Between():
            found = readings([node.operand, node.low, node.high], row)
            return negated(first(every([compare(">=", x, a), compare("<=", x, b)]) for x, a, b in found), node.negated)
        case In():
            hits = [first(compare("=", *pair) for pair in readings([node.operand, item], row)) for item in node.items]
            return negated(negated(every(negated(hit) for hit in hits)), node.negated)
        case Like():
            text = as_string(node.operand, row)
            pattern = node.pattern.value.replace("%", ".*").replace("_", ".")
            return negated(None if text is None else re.fullmatch(pattern, text) is not None, node.negated)
    return as_boolean(node, row)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(condition=conditions)
def test_a_query_finds_what_its_condition_says(registry, rows, condition):
    query = queries.query_datasets(registry, "note", "run", where=unparse(condition))
    wanted = [row["detector"] for row in rows if truth(condition, row) is True]
    assert sorted(ref.data_id["detector"] for ref in query) == wanted
    assert query.count() == len(wanted)
