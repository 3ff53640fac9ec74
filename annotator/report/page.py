"""The report as a single HTML page, without network access or scripts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from annotator.items.refs import (
    format_done,
    format_duration,
    format_interval,
    format_percent,
    plural,
)
from annotator.project.class_tree import ClassTree
from annotator.report.elements import (
    ChartCurve,
    Content,
    Markup,
    html_element,
    join_markup,
    line_chart,
    share_bar,
)
from annotator.report.estimate import check_lines, time_lines
from annotator.report.slices import RULE, describe_worst
from annotator.session.price_list import USUAL_SECONDS

Thumbnail = Callable[[str], Markup]
_STYLE = Path(__file__).with_name("style.css")
_MOST_CLASSES = 25
"""The largest number of classes in the confusion table; those with most labels are kept."""
_MOST_SLICES = 30
"""The largest number of slices in their table; those with the largest errors are kept."""


def render_page(
    found: Mapping[str, Any], thumbnail: Thumbnail, maps: Sequence[Markup] = ()
) -> bytes:
    """Return the page in UTF-8. `found` comes from `collect_figures`, `maps` are figures."""
    name = Path(found["provenance"]["project"]).name
    body = html_element(
        "main", _head(name, found), _estimate(found), _slices(found), _prices(found),
        _progress(found), _classes(found), _confusion(found), _map(maps), _proposals(found),
        _gallery("Likely mislabelled", "Labels that a model fitted without them contradicts most.",
                 found["suspicious"], thumbnail),
        _gallery("Most doubtful", "Open items whose two likeliest classes are closest.",
                 found["doubtful"], thumbnail),
        _gallery("Hardest", "Items on which the model was most confidently wrong before the label.",
                 found["hardest"], thumbnail),
        _agreement(found), _provenance(found),
    )  # fmt: skip
    head = join_markup(
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width">'),
        Markup("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
               "img-src data:; style-src 'unsafe-inline'\">"),
        html_element("title", f"{name}: annotator report"),
        Markup(f"<style>{_STYLE.read_text('utf-8')}</style>"),
    )  # fmt: skip
    document = html_element(
        "html", html_element("head", head), html_element("body", body), lang="en"
    )
    return b"<!doctype html>\n" + document.text.encode()


def _section(title: str, *content: Content) -> Markup:
    return html_element("section", html_element("h2", title), *content)


def _note(text: str) -> Markup:
    return html_element("p", text, class_="note")


def _percent(value: float) -> str:
    return format_percent(value).replace(" ", "\u00a0")


def _interval(found: Mapping[str, Any]) -> str:
    return format_interval(found["low"], found["high"]).replace(" ", "\u00a0")


def _head(name: str, found: Mapping[str, Any]) -> Markup:
    counts = found["status"]
    done = format_done(counts["answered"], counts["items"]).replace(" ", "\u00a0")
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(found["made_at"]))
    tiles = [
        (f"{counts['answered']:,}", f"of {counts['items']:,} answered ({done})"),
        *((f"{counts[word]:,}", word) for word in ("labelled", "skipped", "flagged")),
    ]  # fmt: skip
    if found["estimate"]:
        e = found["estimate"]
        where = "error on these items" if found["query"] else "pool error"
        words = f"estimated {where}, 90 % interval: {_interval(e)}"
        tiles.insert(0, (_percent(e["error"]), words))
    steps = [
        html_element("li", html_element("code", step["command"]), " ", step["why"])
        for step in found["next"]
    ]
    return join_markup(
        html_element("h1", name),
        _note(f"annotator report of {day}"),
        _note(f"only items that match {found['query']}") if found["query"] else None,
        html_element(
            "div",
            *(html_element("p", html_element("b", big), small) for big, small in tiles),
            class_="tiles",
        ),
        *(html_element("p", words, class_="warn") for words in found["missing"]),
        html_element("h2", "Next steps"),
        html_element("ol", *steps),
    )


def _estimate(found: Mapping[str, Any]) -> Markup:
    points, shown = found["history"], found["difficulty"]
    curves = []
    if points:
        columns = {k: [p[k] for p in points] for k in ("labels", "error", "low", "high")}
        curves.append(ChartCurve("estimated error of the model on the whole pool, 90 % interval",
                            columns["labels"], columns["error"], "one",
                            columns["low"], columns["high"]))  # fmt: skip
    if shown["labels"]:
        words = "difficulty of what was shown (last 50 labels): not the error on the pool"
        curves.append(ChartCurve(words, shown["labels"], shown["error"], "two"))
    if not curves:
        words = "The estimate starts after about 25 labels of items that annotator picked."
        notes = [_note(line) for line in check_lines(found["status"]["check"])]
        return _section("Error", _note(words + _imported(found)), *notes)
    advice = html_element("p", found["advice"]["reason"]) if found["advice"] else None
    chart = line_chart("Error over labels", "labels", curves, percent=True)
    status = found["status"]
    left = [_note(line) for line in check_lines(status["check"])]
    left += [_note(line) for line in time_lines(status["minutes_left"])]
    return _section("Error", chart, advice, *left)


def _slices(found: Mapping[str, Any]) -> Markup | None:
    slices = found["slices"]
    if not slices or not slices["found"]:
        return None
    shown = slices["found"][:_MOST_SLICES]
    rows = [
        [html_element("b", one["kind"]), one["name"],
         f"{_percent(one['error'])} ({_interval(one)})",
         share_bar(one["low"], one["error"], one["high"]), _percent(one["expected"]),
         f"{one['labels']:,}", f"{one['items']:,}" if one["items"] else "–",
         html_element("code", one["query"])]
        for one in shown
    ]  # fmt: skip
    head = ["", "slice", "error, 90 %", "", "expected", "labels", "items", "query"]
    left = len(slices["found"]) - len(shown)
    words = [describe_worst(slices).capitalize() + ".", RULE]
    if slices["too_few_labels"]:
        words.append(f"{plural(slices['too_few_labels'], 'slice')} with too few labels left out.")
    if left:
        words.append(f"{plural(left, 'slice')} with a smaller error left out.")
    return _section("Error by slice", _note(" ".join(words)), _table(head, rows))


def _prices(found: Mapping[str, Any]) -> Markup | None:
    prices = found["prices"]
    if not prices or not prices["offers"]:
        return None
    seconds = prices["seconds_per_label"] or USUAL_SECONDS
    promises = (("the whole set, if people label the rest (--of set)", "set_offers"),
                ("the labels of the model (--of accepted)", "offers"))  # fmt: skip
    rows = []
    for name, key in promises:
        for offer in prices[key]:
            numbers = [f"{offer[part]:,}" for part in ("left", "audited", "spared")]
            time = format_duration(offer["left"] * seconds)
            costs = [*numbers, time] if offer["spared"] else ["not worth it", "", "", ""]
            rows.append([name, f"{100 * offer['max_error']:g} %", *costs])
    head = ["promise on", "error", "labels for you", "of them audited", "spared", "time"]
    note = "What annotator finish would cost and spare. A certificate promises at most this error."
    return _section("Finish", _note(note), _table(head, rows))


def _imported(found: Mapping[str, Any]) -> str:
    count = found["provenance"]["picked_by"].get("import", 0)
    if not count:
        return ""
    return f" {plural(count, 'label')} {'was' if count == 1 else 'were'} imported."


def _progress(found: Mapping[str, Any]) -> Markup:
    progress = found["progress"]
    if not progress["minutes"]:
        return _section("Progress", _note("No annotator has labelled here yet." + _imported(found)))
    pace = progress["per_minute"]
    if pace is None:  # only one answer, or one page
        count = plural(progress["answers"][-1], "answer")
        return _section("Progress and pace", _note(f"{count} so far; too few to measure the pace."))
    words = f"{plural(round(pace), 'answer')} a minute of work"
    curve = ChartCurve("answers", progress["minutes"], progress["answers"], "one")
    chart = line_chart("Answers over time", "minutes of work", [curve], percent=False)
    return _section("Progress and pace", html_element("p", words), chart)


def _table(head: Sequence[str], rows: Sequence[Sequence[Content]], **attributes: object) -> Markup:
    top = html_element("tr", *(html_element("th", name, scope="col") for name in head))
    lines = [html_element("tr", *(html_element("td", cell) for cell in row)) for row in rows]
    table = html_element(
        "table", html_element("thead", top), html_element("tbody", *lines), **attributes
    )
    return html_element("div", table, class_="wide")


def _classes(found: Mapping[str, Any]) -> Markup:
    shares, rows = found["shares"], []
    counts, indents = _tree_counts(found["status"])
    for name, count in counts.items():
        share = shares.get(name)
        words = f"{_percent(share['value'])} ({_interval(share)})" if share else "–"
        bar = share_bar(share["low"], share["value"], share["high"]) if share else None
        rows.append([indents.get(name, "") + name, f"{count:,}", words, bar])
    head = ["class", "labels", "share of the pool, 90 %", ""]
    return _section("Classes", _table(head, rows))


def _tree_counts(status: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, str]]:
    """Return the labels of each class, and the indents of classes below others.

    In a hierarchy a class follows its parent, and an inner one counts all below it.
    """
    counts, hierarchy = status["classes"], status.get("hierarchy")
    if hierarchy is None:
        return counts, {}
    tree = ClassTree({name: hierarchy["parents"].get(name) for name in counts})
    sums = counts | hierarchy["labels"]
    indents = {name: "\u2003" * (tree.level(name) - 1) for name in tree.order}
    return {name: sums[name] for name in tree.order}, indents


def _confusion(found: Mapping[str, Any]) -> Markup | None:
    confusion = found["confusion"]
    if confusion is None:
        return None
    names, counts = confusion["classes"], confusion["counts"]
    order = sorted(range(len(names)), key=lambda i: -sum(counts[i]))[:_MOST_CLASSES]
    rows = [[names[i], *(_cell(counts, i, j) for j in order)] for i in order]
    more = len(names) - len(order)
    note = f"Rows: labels. Columns: predictions of a model fitted without that label{_left(more)}."
    return _section("Confusion", _note(note),
                    _table(["", *(names[j] for j in order)], rows, class_="confusion"))  # fmt: skip


def _left(more: int) -> str:
    return f"; {plural(more, 'class', 'classes')} with fewer labels left out" if more > 0 else ""


def _cell(counts: Sequence[Sequence[int]], i: int, j: int) -> Markup | None:
    if not counts[i][j]:
        return None
    share = counts[i][j] / sum(counts[i])
    kind = "right" if i == j else "wrong"
    return html_element("span", f"{counts[i][j]:,}", class_=kind, style=f"--share:{share:.2f}")


def _map(maps: Sequence[Markup]) -> Markup | None:
    if not maps:
        return None
    words = "Each dot stands for the items at its place; items near each other look alike. Key M "
    words += "on the labelling screen opens a region of it as pages."
    return _section("Map", _note(words), *maps)


def _proposals(found: Mapping[str, Any]) -> Markup | None:
    if not found["proposals"]:
        return None
    rows = [
        [group["model"], group["name"] or "all", f"≥ {e['threshold']:.2f}", f"{e['items']:,}",
         f"{e['labelled']:,}", _percent(e["precision"]),
         _interval(e)]
        for group in found["proposals"] for e in group["estimates"]
    ]  # fmt: skip
    head = ["model", "class", "score", "boxes", "labels", "precision", "95 %"]
    return _section("Precision of proposals", _table(head, rows))


def _gallery(
    title: str, words: str, examples: Sequence[Mapping[str, Any]], thumbnail: Thumbnail
) -> Markup | None:
    if not examples:
        return None
    cards = [
        html_element(
            "figure",
            thumbnail(example["ref"]),
            html_element(
                "figcaption",
                html_element("code", example["ref"]),
                html_element("span", example["why"]),
            ),
        )
        for example in examples
    ]
    return _section(title, _note(words), html_element("div", *cards, class_="gallery"))


def _agreement(found: Mapping[str, Any]) -> Markup | None:
    agreed = found["agreement"]
    rows = [
        [pair["one"], pair["other"] if pair["one"] != pair["other"] else "again",
         f"{pair['items']:,}", _percent(pair["observed"]),
         f"{pair['kappa']:.2f}" if pair["kappa"] is not None else "–"]
        for pair in [*agreed["pairs"], *agreed["repeats"]]
    ]  # fmt: skip
    if not rows:
        return None
    alpha = agreed["alpha"]
    words = (
        f"Krippendorff's α {alpha:.2f} on {plural(agreed['items'], 'item')}"
        if alpha is not None
        else ""
    )
    table = _table(["annotator", "with", "items", "equal", "Cohen's κ"], rows)
    return _section("Agreement between annotators", html_element("p", words), table)


def _provenance(found: Mapping[str, Any]) -> Markup:
    rows: list[list[Content]] = []
    for name, value in found["provenance"].items():
        if name in ("first", "last"):
            value = value and time.strftime("%Y-%m-%d %H:%M", time.localtime(value))
        if isinstance(value, dict):
            value = ", ".join(f"{key} {count:,}" for key, count in value.items())
        rows.append([name.replace("_", " "), str(value) if value not in (None, "") else "–"])
    features = found["status"]["features"] or {}
    rows.append(["features", ", ".join(f"{k} {v}" for k, v in features.items()) or "–"])
    return _section("Provenance", _table(["", ""], rows, class_="plain"))
