"""The jobs of the bench in polars, as its users would write them for speed: lazy, by the streaming
engine, results as CSV without header.

    python3 polars_jobs.py JOB FILE
"""

import sys

import polars as pl
from polars import col

ROWS = {"ms": pl.Int64, "key": pl.String, "value": pl.Int64}
PAGES = {"page": pl.String, "clicks": pl.Int64, "stay": pl.Float64, "liked": pl.Int64}


def read(path, schema, separator=","):
    return pl.scan_csv(path, has_header=False, schema=schema, separator=separator)


def windows(rows):
    start = (col("ms") // 10_000 * 10_000).alias("start")
    totals = rows.group_by(start, "key").agg(pl.len(), col("value").sum())
    return totals.select("start", (col("start") + 10_000).alias("end"), "key", "len", "value")


def tumble(path):
    return windows(read(path, ROWS))


def json(path):
    return windows(pl.scan_ndjson(path, schema=ROWS))


def hop(path):
    """Panes of a second; totals over the last 60 on the grid of all seconds and keys."""
    second = (col("ms") // 1000).alias("second")
    panes = read(path, ROWS).group_by(second, "key").agg(pl.len(), col("value").sum())
    panes = panes.collect(engine="streaming")
    seconds = pl.int_range(panes["second"].min(), panes["second"].max() + 60, eager=True)
    grid = pl.DataFrame({"second": seconds}).join(panes.select("key").unique(), how="cross")
    grid = grid.join(panes, on=["second", "key"], how="left").fill_null(0).sort("key", "second")
    last = [col(name).cast(pl.Int64).rolling_sum(60, min_samples=1).over("key")
            for name in ("len", "value")]
    totals = grid.lazy().with_columns(last).filter(col("len") > 0)
    start, end = (col("second") - 59) * 1000, (col("second") + 1) * 1000
    return totals.select(start.alias("start"), end.alias("end"), "key", "len", "value")


def session(path):
    rows = read(path, ROWS).collect(engine="streaming").lazy()
    new = (col("ms") - col("ms").shift(1) > 300).fill_null(True)
    number = new.cum_sum().over("key").alias("number")
    start, end = col("ms").min().alias("start"), (col("ms").max() + 300).alias("end")
    totals = rows.with_columns(number).group_by("key", "number").agg(
        start, end, pl.len(), col("value").sum())
    return totals.select("start", "end", "key", "len", "value")


def expr(path):
    pages = read(path, PAGES, "|").filter(2 * col("clicks") + col("liked") > col("stay"))
    total = (col("clicks") * (col("liked") + 1) + 1).sum()
    return pages.group_by("page").agg(pl.len(), total)


def heat(path):
    heat = 0.8 * col("clicks") + 0.8 * col("stay") + col("liked")
    totals = read(path, PAGES, "|").group_by("page").agg(heat.sum().alias("heat"))
    return totals.sort("heat", descending=True).head(10)


def tally(path):
    lines = read(path, {"line": pl.String}, "\t")
    return lines.group_by("line").len().sort("len", descending=True).head(10)


def top(path):
    return read(path, {"number": pl.Int64}).top_k(10, by="number").sort("number", descending=True)


def main(job, path):
    result = globals()[job](path).collect(engine="streaming")
    result.write_csv(sys.stdout.buffer, include_header=False)


main(*sys.argv[1:])
