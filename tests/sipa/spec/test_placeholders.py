"""Names in commands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipa.spec.placeholders import arguments, fill, names


def test_names() -> None:
    assert names("run {a} {b_2}x{a} {{no}} {{{c}}}") == {"a", "b_2", "c"}


@pytest.mark.parametrize(
    "template", ["{", "}", "{}", "{0}", "{A}", "{a.b}", "{a[0]}", "{a!r}", "{a:3}", "{ a }", "{{}", "{a}}", '{"a": 1}']
)
def test_what_is_no_name(template: str) -> None:
    with pytest.raises(ValueError, match=r"write \{\{ (and|or) \}\} for"):
        names(template)


def test_values_as_toml_writes_them() -> None:
    assert fill("{a} {b} {c} {d} {{e}}", {"a": True, "b": 32, "c": 0.5, "d": "x y"}) == "true 32 0.5 x y {e}"


def test_a_value_is_one_argument() -> None:
    template = "sh -c 'echo {a}  {b}' --x={a} {a}"
    assert arguments(template, {"a": "x y '", "b": 1}) == ["sh", "-c", "echo x y '  1", "--x=x y '", "x y '"]


@given(st.text(), st.text(alphabet="ab{}'\"\\ \n", max_size=12))
def test_a_template_with_names_in_order_can_be_filled_in(value: str, template: str) -> None:
    try:
        known = names(template)
        arguments(template, dict.fromkeys(known, ""))
    except ValueError:
        return
    filled = arguments(template, dict.fromkeys(known, value))
    assert len(filled) == len(arguments(template, dict.fromkeys(known, "")))
