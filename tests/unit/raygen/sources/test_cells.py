"""CSV and TSV files: every cell stays the text that it is."""

from __future__ import annotations

import io
from typing import Any

import pytest

from raygen.sources.cells import parse_csv
from raygen.sources.rows import SourceError


def cells(name: str, content: str | bytes, header: tuple[str, ...] | None = None) -> Any:
    data = content.encode() if isinstance(content, str) else content
    return list(parse_csv(name, io.BytesIO(data), header).rows)


def test_a_cell_stays_its_text() -> None:
    (row,) = cells("q.csv", "post,hot,price,day\n1294030472427835393,true,3.50,2024-01-02\n")
    assert row == {
        "post": "1294030472427835393",
        "hot": "true",
        "price": "3.50",
        "day": "2024-01-02",
    }


def test_a_quotation_mark_in_a_tsv_is_a_character() -> None:
    text = 'id\ttext\n1\t"Wonderful,\n2\tan ok film\n3\tsaid everyone"\n4\t"Fine"\n'
    assert [row["text"] for row in cells("q.tsv", text)] == [
        '"Wonderful,',
        "an ok film",
        'said everyone"',
        '"Fine"',
    ]


@pytest.mark.parametrize(
    "text",
    [
        'id\ttext\n1\t"He said ""hi"""\n2\tplain\n',
        '"id"\t"text"\n"1"\t"He said ""hi"""\n"2"\t"plain"\n',
        'id\ttext\n1\t"He said ""hi"""\n2\t"pl\nain"\n',
    ],
)
def test_a_tsv_that_is_written_as_csv_throughout(text: str) -> None:
    first, second = cells("q.tsv", text)
    assert (first["text"], second["text"].replace("\n", "")) == ('He said "hi"', "plain")


def test_semicolons_and_tabs_separate_where_the_first_line_has_more_of_them() -> None:
    expected = [{"question": "A, b?", "answer": "1,5"}]
    assert cells("q.csv", "question;answer\nA, b?;1,5\n") == expected
    assert cells("q.csv", "question\tanswer\nA, b?\t1,5\n") == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_mark_of_the_byte_order(encoding: str) -> None:
    assert cells("q.csv", "a,b\nä,1\n".encode(encoding)) == [{"a": "ä", "b": "1"}]


def test_a_file_without_a_header() -> None:
    rows = cells("q.csv", '"Q, 1?",x,y,A\nQ2?,x,y,B\n', ("question", "one", "two", "answer"))
    assert [row["answer"] for row in rows] == ["A", "B"]
    with pytest.raises(SourceError, match=r"expected 2 cells, as in source\.header"):
        cells("q.csv", "a,b,c\n", ("one", "two"))
