"""The content of the files, read back as TensorBoard, TensorFlow and the page read it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eventwriter._proto.projector_pb2 import EmbeddingInfo
from eventwriter.projector import formats
from eventwriter.projector.config import Listing
from eventwriter.projector.formats import (
    display_name,
    encode_matrix,
    reads_as_text,
    to_float32,
)
from eventwriter.projector.metadata import _BLANK, _ESCAPES, _plain_labels, metadata_tsv
from tests.helpers.projector import listed

WHERE = "add_embedding('embed')"


# ---- matrices

# What a float's bytes may look like to a reader of text: letters, digits, line ends, nothing.
textual_bytes = st.sampled_from(b"\n\r\t 01a.\x00\x40\x3f\x80\xbf\xc3\xff")


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    size = 4 * rows * columns
    content = draw(
        st.one_of(
            st.binary(min_size=size, max_size=size),
            st.lists(textual_bytes, min_size=size, max_size=size).map(bytes),
        )
    )
    matrix = np.frombuffer(content, "<f4").reshape(rows, columns).copy()
    matrix[~np.isfinite(matrix)] = 0
    return matrix


def as_tensorflow_reads(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Read like the plugin does where TensorFlow is installed: it decodes one line at a time."""
    try:
        rows = [line.decode().rstrip("\n") for line in content.splitlines(keepends=True)]
        cells = [[float(cell) for cell in row.split("\t")] for row in rows if row]
        return np.array(cells, np.float32)
    except UnicodeDecodeError:
        return np.frombuffer(content, "<f4").reshape(shape)


@given(matrices())
@example(np.zeros((3, 2), np.float32))
@example(np.full((3, 2), -0.0, np.float32))
@example(np.full((2, 2), 2.0, np.float32))
@example(np.full((2, 2), 1.0, np.float32))
@example(np.array([[1e-45, -3.4028235e38, 0.1]], np.float32))
@example(np.arange(0x417F7F00, 0x417F7F80, dtype="<u4").view("<f4").reshape(1, -1))  # neighbours
@example(np.frombuffer(b"1234\n56\xff", "<f4").reshape(2, 1).copy())
@example(np.frombuffer(b"\n\n\n\n\xff234", "<f4").reshape(2, 1).copy())
@example(np.frombuffer(b"\xc3\r\n1", "<f4").reshape(1, 1).copy())
def test_every_matrix_comes_back_bit_for_bit(matrix: np.ndarray) -> None:
    """Whatever the bytes look like, both ways to read a matrix give the same floats."""
    _, pieces = encode_matrix(matrix)
    content = b"".join(pieces)
    assert matrix.tobytes() == as_tensorflow_reads(content, matrix.shape).tobytes()
    if reads_as_text(matrix.reshape(-1).view(np.uint8)):
        content.decode()
    else:
        with pytest.raises(UnicodeDecodeError):
            content.decode()


@pytest.mark.parametrize("valid_bytes", [4095, 4096, 4097, 8191, 8192, 8193, 20000])
def test_text_is_told_from_floats_beyond_the_first_kilobytes(valid_bytes: int) -> None:
    """The check of a matrix looks beyond its first kilobytes where these are text."""
    raw = np.full(30000, ord("1"), np.uint8)
    assert reads_as_text(raw)
    raw[valid_bytes] = 0xFF
    assert not reads_as_text(raw)
    raw[valid_bytes - 1] = ord("\n")  # the line before is text: a reader may stop there
    assert reads_as_text(raw)
    raw[:2] = (0xC3, 0xA9)
    assert reads_as_text(raw)
    raw[1] = ord("\r")
    assert not reads_as_text(raw)


def test_a_character_across_the_look_is_no_error() -> None:
    """A character of two bytes across the end of the first kilobytes is still text."""
    raw = np.full(8192, ord("1"), np.uint8)
    raw[4095:4097] = (0xC3, 0xA9)
    assert reads_as_text(raw)


def test_a_large_matrix_is_raw_if_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large matrix of zeros, or of whole numbers and zeros, is no text: one zero becomes -0.

    Catches: text, which TensorBoard takes minutes to parse when it reads the configuration.
    """
    monkeypatch.setattr(formats, "_MOST_TEXT_CELLS", 5)
    for matrix in (np.zeros((3, 2)), [[2, 2], [0, 2], [2, 0]]):
        given = np.array(matrix, "<f4")
        extension, pieces = encode_matrix(given)
        content = b"".join(pieces)
        assert extension == ".bytes"
        with pytest.raises(UnicodeDecodeError):
            content.decode()
        np.testing.assert_array_equal(given, as_tensorflow_reads(content, given.shape))
        np.testing.assert_array_equal(np.array(matrix, "<f4").tobytes(), given.tobytes())
    line_first = np.frombuffer(b"1234\n567" + bytes(16), "<f4").reshape(3, 2)
    for given in (np.full((3, 2), 2, "<f4"), line_first):
        extension, pieces = encode_matrix(given)
        assert extension == ".tsv"
        assert given.tobytes() == as_tensorflow_reads(b"".join(pieces), given.shape).tobytes()


def test_a_large_matrix_takes_no_memory_to_write() -> None:
    """Neither the look at a matrix, nor its text, nor the search for NaN copies it."""
    zeros, twos = np.zeros((1 << 12, 1 << 10), "<f4"), np.full((2, 1 << 15), 2, "<f4")
    tracemalloc.start()
    try:
        for matrix in (zeros, twos):
            before = tracemalloc.get_traced_memory()[0]
            for _ in encode_matrix(matrix)[1]:
                pass
            assert tracemalloc.get_traced_memory()[1] - before < 4 << 20
        tracemalloc.reset_peak()
        copy, _ = to_float32(zeros, WHERE)
        assert tracemalloc.get_traced_memory()[1] - before < copy.nbytes + (1 << 20)
    finally:
        tracemalloc.stop()


def test_a_wide_row_is_printed_in_parts() -> None:
    """A row of more cells than are printed at once is one line all the same."""
    for cells in (4095, 4096, 4097, 8192, 8193):
        matrix = np.full((2, cells), 2, "<f4")
        _, pieces = encode_matrix(matrix)
        assert matrix.tobytes() == as_tensorflow_reads(b"".join(pieces), matrix.shape).tobytes()


@given(
    hnp.arrays(
        st.sampled_from([np.bool_, np.int8, np.uint64, np.float16, np.float32, np.float64]).map(
            np.dtype
        ),
        st.tuples(st.integers(1, 4), st.integers(1, 4)),
    )
)
def test_any_dtype_becomes_float32(mat: np.ndarray) -> None:
    """Every cell becomes NumPy's float32. Cells that are then not finite become 0, counted."""
    with np.errstate(over="ignore", under="ignore"):
        expected = mat.astype(np.float32)
    matrix, nonfinite = to_float32(mat, WHERE)
    assert nonfinite == np.count_nonzero(~np.isfinite(expected))
    expected[~np.isfinite(expected)] = 0
    assert np.dtype("<f4") == matrix.dtype
    np.testing.assert_array_equal(expected, matrix)


def test_bfloat16_strided_and_nested() -> None:
    """Dtypes of ml_dtypes, views in any order and lists of lists are taken cell by cell."""
    import ml_dtypes

    expected = np.arange(6, dtype=np.float32).reshape(2, 3)
    for mat in (
        expected.astype(ml_dtypes.bfloat16),
        np.asfortranarray(expected),
        expected.astype(">f8"),
        np.repeat(expected, 2, axis=1)[:, ::2],
        expected.tolist(),
    ):
        np.testing.assert_array_equal(expected, to_float32(mat, WHERE)[0])


# ---- metadata

# JavaScript's trim(): ECMAScript's WhiteSpace and LineTerminator.
JS_BLANK = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)


def as_the_page_parses(tsv: bytes) -> tuple[list[str], list[list[str]]]:
    """Return the columns and rows that TensorBoard's page makes of metadata."""
    text = tsv.decode()
    assert text.endswith("\n")
    lines = [line for line in text.split("\n") if line.strip(JS_BLANK)]
    columns = lines.pop(0).split("\t") if "\t" in lines[0] else ["label"]
    return columns, [line.split("\t") for line in lines]


labels = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=5), st.text("\t\n\r a" + JS_BLANK, max_size=3)
)


@given(st.lists(labels, min_size=1, max_size=8))
@example([""])
@example(["\t", "\n", "\r", " ", "\u3000", "\ufeff"])
def test_a_column_of_labels_keeps_its_rows(metadata: list[str]) -> None:
    """Whatever labels hold, the page finds one for each point. Plain labels stay as they are."""
    columns, rows = as_the_page_parses(metadata_tsv(metadata, None, len(metadata), WHERE))
    assert columns == ["label"]
    assert [1] * len(metadata) == [len(row) for row in rows]
    for label, (shown,) in zip(metadata, rows, strict=True):
        if label.strip(JS_BLANK) and not set("\t\n\r") & set(label):
            assert label == shown


@given(st.lists(st.lists(labels, min_size=3, max_size=3), min_size=1, max_size=5))
@example([["", "", ""], ["", "", ""]])
def test_several_columns_keep_their_rows_and_cells(metadata: list[list[str]]) -> None:
    """There is a header line, then a line for each point, with a cell for each column."""
    tsv = metadata_tsv(metadata, ["word", "count", "kind"], len(metadata), WHERE)
    columns, rows = as_the_page_parses(tsv)
    assert columns == ["word", "count", "kind"]
    assert [3] * len(metadata) == [len(row) for row in rows]


@pytest.mark.parametrize(
    ("metadata", "header", "expected"),
    [
        (["a", "b"], None, "a\nb\n"),
        ([1, None], None, "1\nNone\n"),
        (("a\tb", ""), None, "a\\tb\n''\n"),
        ([" ", "c\r\nd"], None, "' '\nc\\r\\nd\n"),
        (np.array(["a", "b"]), None, "a\nb\n"),
        (np.array([3, 4]), None, "3\n4\n"),
        (iter("ab"), None, "a\nb\n"),
        ([["a", 1], ("b", "")], ["x", "y"], "x\ty\na\t1\nb\t\n"),
        (np.array([["a", "b"], ["c", "d"]]), ["x", "y"], "x\ty\na\tb\nc\td\n"),
        ([["", ""], ["a", "b"]], ["", "y\n"], "\ty\\n\n''\t\na\tb\n"),
        ([["a"], ["b"]], ["x"], "a\nb\n"),
        (["a", "b"], ["x"], "a\nb\n"),
        (["a", "b"], [], "a\nb\n"),
    ],
)  # fmt: skip
def test_metadata_table(metadata: object, header: object, expected: str) -> None:
    """Each form of metadata becomes exactly these lines. One column has no header."""
    assert expected == metadata_tsv(metadata, header, 2, WHERE).decode()


# ---- names

tags = st.one_of(
    st.text(min_size=1, max_size=6), st.text("a_&# +%:0(2)~\n", min_size=1, max_size=8)
)
steps = st.one_of(st.none(), st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))


@given(st.lists(st.tuples(tags, steps), min_size=2, max_size=2, unique=True))
@example([("a&b", None), ("a_b", None)])
@example([("a&b", 1), ("a#b", 1)])
@example([("a", 120), ("a:00120", None)])
@example([("a", -5), ("a:-0005", None)])
@example([("a", None), ("a:0", None)])
@example([("a", None), ("a (2)", None)])
@example([(" a", None), ("_a", None)])
def test_distinct_embeddings_have_distinct_names(pairs: list[tuple[str, int | None]]) -> None:
    """Two pairs of tag and step never share a name, and none looks like a repeated other."""
    one, other = (display_name(*pair) for pair in pairs)
    assert one != other
    listing = Listing()
    for name in (one, other):
        listing = listing.extended(EmbeddingInfo(tensor_name=name))
    assert [one, other] == listed(listing)


@given(tags, steps)
@example("a:0", None)
@example("lr + 10% & #2", 3)
def test_names_fit_into_an_address(tag: str, step: int | None) -> None:
    """Names hold nothing that breaks an address, and no ":0", which TensorBoard cuts off."""
    name = display_name(tag, step)
    assert not set("&#+%\t\n\r\x00\x7f") & set(name)
    assert name.strip() == name
    assert not name.endswith(":0")


@pytest.mark.parametrize(
    ("tag", "step", "expected"),
    [
        ("embed", None, "embed"),
        ("embed", 120, "embed:00120"),
        ("embed", 0, "embed:00000"),
        ("embed", -7, "embed:-0007"),
        ("layer/1/größe", 1234567, "layer/1/größe:1234567"),
    ],
)
def test_ordinary_names_stay_readable(tag: str, step: int | None, expected: str) -> None:
    """The step comes after the tag, padded with zeros, so that the page sorts names by it."""
    assert expected == display_name(tag, step)


@given(st.lists(st.text(max_size=4) | st.sampled_from(["", " ", "\t", "a\nb", "\u2003", "\r"])))
def test_plain_labels_equal_those_taken_with_care(labels: list[str]) -> None:
    """The fast path for labels gives the lines of the slow path, or leaves them to it."""
    assume(labels)
    one_by_one = [label.translate(_ESCAPES) for label in labels]
    text = _plain_labels(labels)
    plain = one_by_one == labels and all(line.strip(_BLANK) for line in labels)

    assert ("\n".join(labels) + "\n" if plain else None) == text


@pytest.mark.parametrize("count", [4095, 4096, 4097, 8192, 8193])
def test_many_plain_labels(count: int) -> None:
    """Labels are taken in parts, and a label that needs care is found in each part."""
    labels = [f"w{number}" for number in range(count)]

    assert "".join(f"{label}\n" for label in labels) == _plain_labels(labels)
    for place in (0, 4095, count - 1):
        assert _plain_labels([*labels[:place], "a\tb", *labels[place:]]) is None


def test_labels_that_are_plain() -> None:
    """Ordinary words take the fast path, and labels that need escapes do not."""
    assert "a\nb c\n\u00e9\n" == _plain_labels(["a", "b c", "\u00e9"])
    for label in ("", " ", "\t", "a\tb", "a\nb", "\r", "\u2003", "\ud800", 1, None):
        assert _plain_labels(["a", label, "b"]) is None
