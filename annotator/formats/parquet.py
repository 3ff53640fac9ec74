"""Apache Parquet: the columns of JSONL, typed; `bbox` is a list of four doubles. Needs pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from annotator.errors import ExtraMissing, RefError
from annotator.formats import flat
from annotator.formats.format import Format
from annotator.formats.reading import ImportContext, ImportedItem
from annotator.formats.source import ExportSource
from annotator.items.refs import make_printable

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

    Raises `RefError` for a file that is not Parquet, or with columns that refs.csv cannot hold.
    """
    pa = _pyarrow()
    reading.free_paths = True
    name = make_printable(str(reading.path))
    try:
        with pa.parquet.ParquetFile(reading.path) as file:
            _check(file.schema_arrow, name)
            line = 0
            for batch in file.iter_batches(batch_size=_ROWS):
                for cells in batch.to_pylist():
                    yield from flat.parse_row(reading, f"row {line}", cells)
                    line += 1
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = make_printable(str(error).splitlines()[0][:200]) if str(error) else "damaged"
        raise RefError(f"{name} cannot be read as Parquet: {reason}") from error


def _check(schema: Any, name: str) -> None:
    import pyarrow.types as kinds

    names = schema.names
    if not {*flat.PATH_COLUMNS, "ref"} & set(names):
        raise RefError(
            f"{name}: no column is named {', '.join(flat.PATH_COLUMNS)} or ref. The columns are "
            f"{make_printable(', '.join(names)) or '(none)'}."
        )
    for field in schema:
        simple = (
            kinds.is_string(field.type) or kinds.is_large_string(field.type)
            or kinds.is_integer(field.type) or kinds.is_floating(field.type)
            or kinds.is_boolean(field.type) or kinds.is_null(field.type)
            or kinds.is_dictionary(field.type)
        )  # fmt: skip
        box = field.name == "bbox" and (
            kinds.is_list(field.type) or kinds.is_large_list(field.type)
            or kinds.is_fixed_size_list(field.type)
        )  # fmt: skip
        if not simple and not box:
            raise RefError(
                f"{name}, column {make_printable(field.name)}: holds "
                f"{make_printable(str(field.type))[:80]}, which refs.csv cannot hold. Leave the "
                "column out."
            )


FORMAT = Format(
    "parquet", write, read,
    supported_options=frozenset({"split", "probabilities", "provenance", "predictions"}),
    preserved=frozenset({"boxes", "whole", "order", "columns", "unlabelled", "skips", "paths"}),
)  # fmt: skip
