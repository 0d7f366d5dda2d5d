"""`haulout list`."""

from __future__ import annotations


def test_newest_first_a_page_at_a_time(mine):
    ids = [mine("remember", f"number {n}").out.strip() for n in range(5)]
    first = mine("list", "--limit", "3")
    assert [row[0] for row in first.rows] == ids[:1:-1]
    assert f"--after {ids[2]}" in first.err
    rest = mine("list", "--limit", "3", "--after", ids[2])
    assert [row[0] for row in rest.rows] == ids[1::-1]
    assert rest.err == ""


def test_a_long_text_is_one_line_in_a_pipe_and_cut_on_a_terminal(mine):
    mine("remember", "-", stdin="first\nsecond " + "word " * 200)
    assert mine("list").rows[0][5].startswith("first second word")
    lines = mine("list", terminal=True).out.splitlines()
    assert len(lines) == 2
    assert "…" in lines[1]


def test_json_is_the_page(mine, walnuts):
    page = mine("list", "--filter", '{"speaker": "Ana"}', "--json").json
    assert ([one["id"] for one in page["memories"]], page["next"]) == ([walnuts], None)
    assert mine("list", "--tag", "none", "--json").json["memories"] == []


def test_an_empty_vault_says_so(mine):
    run = mine("list")
    assert (run.code, run.out, run.err) == (0, "", "Nothing is there.\n")
