"""Apache Parquet: the columns of JSONL, typed; `bbox` is a list of four doubles. Needs pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from annotator.errors import ExtraMissing, RefError
from annotator.formats import flat
from annotator.formats.format import Format
from annotator.formats.reading import ImportContext, ImportedItem
from annotator.formats.source import ExportSource
from annotator.items.refs import make_printable
from annotator.items.table_columns import find_row_names

_ROWS = 1 << 14


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ExtraMissing(
            "Parquet needs pyarrow. Install it: `pip install 'annotator-tui[parquet]'`."
        ) from None
    return pyarrow


def write(source: ExportSource, place: Path) -> None:
    """Write a table with a row for each item. Raises `ExtraMissing` without pyarrow."""
    pa = _pyarrow()
    row = flat.RowSchema(source)
    types = {
        flat.REAL: pa.float64(), flat.INTEGER: pa.int64(), flat.BOOLEAN: pa.bool_(),
        flat.TEXT: pa.string(), flat.BOX: pa.list_(pa.float64()),
    }  # fmt: skip
    schema = pa.schema([(name, types[kind]) for name, kind in row.kinds.items()])
    with pa.parquet.ParquetWriter(place, schema) as writer:
        records = source.records()
        while batch := [row.cells(record) for record in islice(records, _ROWS)]:
            source.written += len(batch)
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield the item of each row.

    Raises `RefError` for a file that is not Parquet, or without a column of paths.
    """
    reading.free_paths = True
    with _open_table(reading.path) as table:
        columns = _choose_columns(reading, table.schema_arrow)
        other_labels = not {*flat.LABEL_COLUMNS} & {*columns}
        for row, cells in enumerate(_iter_cells(table, columns)):
            yield from flat.parse_row(reading, f"row {row}", cells, other_labels)


def iter_parquet(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the cells of each row by column. Raises `RefError` for a file that is not Parquet."""
    with _open_table(file) as table:
        yield from _iter_cells(table, None)


def _iter_cells(table: Any, columns: list[str] | None) -> Iterator[dict[str, Any]]:
    for batch in table.iter_batches(batch_size=_ROWS, columns=columns):
        yield from batch.to_pylist()


@contextmanager
def _open_table(file: Path) -> Iterator[Any]:
    pa = _pyarrow()
    try:
        with pa.parquet.ParquetFile(file) as table:
            yield table
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _describe_damage(file, error) from error


def _describe_damage(file: Path, error: Exception) -> RefError:
    reason = make_printable(str(error).splitlines()[0][:200]) if str(error) else "damaged"
    return RefError(f"{make_printable(str(file))} cannot be read as Parquet: {reason}")


def _choose_columns(reading: ImportContext, schema: Any) -> list[str]:
    """Return the columns that can be read; the others are counted as ignored.

    Raises `RefError` if no column holds paths, or if one that is needed holds something else.
    """
    names = schema.names
    needed = {*flat.PATH_COLUMNS, *flat.LABEL_COLUMNS, "ref", "bbox"}
    path = find_row_names(tuple(names)).path
    inside = path is not None and not _is_simple(schema.field(path).type)
    if not {*flat.PATH_COLUMNS, "ref"} & set(names) and (path is None or inside):
        remedy = " The images are inside the file: write them to a folder first." if inside else ""
        raise RefError(
            f"{reading.name}: no column is named {', '.join(flat.PATH_COLUMNS)} or ref. The "
            f"columns are {make_printable(', '.join(names)) or '(none)'}.{remedy}"
        )
    kept = []
    for field in schema:
        shown = make_printable(field.name[:40])
        if _is_simple(field.type) or (field.name == "bbox" and _is_list(field.type)):
            kept.append(field.name)
        elif field.name in needed:
            raise RefError(
                f"{reading.name}, column {shown}: holds {make_printable(str(field.type))[:80]}. "
                "Write one text or number a row there (bbox: a list of four numbers)."
            )
        else:
            kind = make_printable(str(field.type))[:40]
            reading.count_ignored(f"column {shown!r} that holds {kind}")
    return kept


def _is_simple(kind: Any) -> bool:
    """Return True for one text, number, truth value or time a row."""
    import pyarrow.types as kinds

    return not kinds.is_nested(kind) and not (
        kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_fixed_size_binary(kind)
    )


def _is_list(kind: Any) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind))


FORMAT = Format(
    "parquet", write, read,
    supported_options=frozenset({"split", "probabilities", "provenance", "predictions"}),
    preserved=frozenset({"boxes", "whole", "order", "columns", "unlabelled", "skips", "paths"}),
)  # fmt: skip
