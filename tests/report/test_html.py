"""Pages hold everything themselves, and nothing that was not meant as HTML."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.report import html

VOID = {"meta", "img"}


class Tree(HTMLParser):
    """The elements and the text of a page; complains about tags that do not match."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


PNG = b"\x89PNG\r\n\x1a\n" + bytes(9)


def test_a_page():
    text = html.page(
        "A title",
        [
            ("", ["right below"]),
            html.Section("One", ["some words", html.picture(PNG, "a dot", "what it is")]),
            ("Two", [html.table("t", ("name", "n>"), [("a", 1), ("b", 2.5)])]),
        ],
    )
    tree = Tree(text)
    assert text.startswith("<!DOCTYPE html>")
    assert [tag for tag, _ in tree.elements if tag in ("h1", "h2")] == ["h1", "h2", "h2"]
    assert "right below" in tree.text
    assert [cell.get("class") for cell in tree.of("td")] == [None, "number"] * 2
    assert [t for t in tree.text if t in ("name", "n", "a", "1", "b", "2.5")] == [
        *("name", "n", "a", "1", "b", "2.5")
    ]
    assert {"charset": "utf-8"} in tree.of("meta")


@given(st.text(), st.text(), st.text())
def test_text_stays_text(title, heading, cell):
    table = html.table(title, (heading,), [(cell,)])
    tree = Tree(html.page(title, [(heading, [cell, table, html.picture(PNG, cell, title)])]))
    names = [name for name, _ in tree.elements]
    optional = ["caption"] * bool(title), ["figcaption"] * bool(title), ["h2"] * bool(heading)
    assert names == [
        *("html", "head", "meta", "meta", "meta", "title", "style", "body", "h1", "section"),
        *optional[2],
        *("p", "div", "table", *optional[0], "thead", "tr", "th", "tbody", "tr", "td"),
        *("figure", "img", *optional[1]),
    ]
    assert tree.of("img")[0]["alt"] == html.clean(cell)
    assert all(character.isprintable() or character in "\n\t" for character in html.clean(cell))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("<script>", "&lt;script&gt;"),
        ("\"'&", "&quot;&#x27;&amp;"),
        ("\x1b[31m\0", "\\x1b[31m\\x00"),
        ("\ud800", "\\ud800"),
        ("ゼルダ é", "ゼルダ é"),
        (3.5, "3.5"),
        (html.Html("<b>"), "<b>"),
    ],
)
def test_escape(text, right):
    assert html.escape(text) == right
    assert isinstance(html.escape(text), html.Html)
    html.escape(text).encode()


@pytest.mark.parametrize(
    ("data", "kind"),
    [(PNG, "png"), (b"\xff\xd8\xff\xe0", "jpeg"), ("<svg>é</svg>", "svg+xml")],
)
def test_pictures_are_within_the_page(data, kind):
    (image,) = Tree(html.picture(data, "words")).of("img")
    head, _, packed = image["src"].partition(",")
    assert head == f"data:image/{kind};base64"
    assert base64.b64decode(packed) == (data.encode() if isinstance(data, str) else data)


def test_nothing_from_outside():
    picture = html.picture("<svg/>", "p")
    text = html.page("t", [("s", [html.side_by_side([picture, picture]), "http://example.org"])])
    tree = Tree(text)
    for _, attributes in tree.elements:
        for name in ("src", "href", "srcset", "data", "action"):
            assert attributes.get(name, "data:").startswith("data:")
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in tree.elements}
    assert not re.search(r"url\(|@import", html.STYLE)
    (policy,) = [m["content"] for m in tree.of("meta") if "http-equiv" in m]
    assert policy.startswith("default-src 'none'")


def test_a_fold():
    text = html.page(
        "t", [("s", [html.fold("3 <rows>", ["words", html.table("", ("a",), [(1,)])])])]
    )
    tree = Tree(text)
    tags = [tag for tag, _ in tree.elements]
    assert tags.index("details") < tags.index("summary") < tags.index("table")
    assert {"3 <rows>", "words"} <= set(tree.text)


def test_light_and_dark():
    assert "color-scheme: light dark" in html.STYLE
    dark = html.STYLE[html.STYLE.index("prefers-color-scheme: dark") :].partition("}")[0]
    light = html.STYLE[: html.STYLE.index("@media")]
    names = re.findall(r"--\w+", light)
    assert len(names) == 5
    assert sorted(re.findall(r"--\w+", dark)) == sorted(names)
    used = set(re.findall(r"var\((--\w+)\)", html.STYLE))
    assert used == set(names)


def test_rows_of_another_length():
    with pytest.raises(ValueError, match="zip"):
        html.table("", ("a", "b"), [("only one",)])


def test_a_script_is_the_only_one_that_may_run():
    script = "document.title = '<&>';"
    text = html.page("t", [("", ["a"])], style="p { color: red; }\n", script=script)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = Tree(text).of("meta")[1]["content"]
    assert policy == f"{html.POLICY}; script-src 'sha256-{digest}'"
    assert f"<script>{script}</script>" in text
    assert "p { color: red; }\n</style>" in text
    without = html.page("t", [("", ["a"])])
    assert "script" not in without
    assert Tree(without).of("meta")[1]["content"] == html.POLICY
