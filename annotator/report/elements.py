"""The parts of the page as HTML and SVG: escaped elements, charts and thumbnails."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from annotator.errors import AnnotatorError
from annotator.images import ImageFolder, draw_box
from annotator.items.refs import Item, make_printable
from annotator.project.project import ProjectFolder


@dataclass(frozen=True, slots=True)
class Markup:
    """Finished markup; any other content of an element is escaped as text."""

    text: str


Content = Markup | str | int | float | None


def html_element(tag: str, *content: Content, **attributes: object) -> Markup:
    """Return `<tag …>content</tag>`; underscores in attribute names become dashes."""
    given = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    words = "".join(
        f' {name}="{escape_html(str(value))}"' for name, value in given.items() if value is not None
    )
    return Markup(f"<{tag}{words}>{join_markup(*content).text}</{tag}>")


def join_markup(*content: Content) -> Markup:
    """Return all of `content` as one piece of markup."""
    return Markup(
        "".join(part.text if isinstance(part, Markup) else _content_text(part) for part in content)
    )


def _content_text(value: str | int | float | None) -> str:
    return "" if value is None else escape_html(str(value))


def escape_html(text: str) -> str:
    """Return text as HTML, with its control and bidi characters made visible."""
    return html.escape(make_printable(text), quote=True)


WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 60, 12, 12, 42


@dataclass(frozen=True, slots=True)
class ChartCurve:
    """A series of points; `low` and `high` are the edges of its band."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    role: str
    """The colour, by its name in the style sheet: "one", "two"."""
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class ChartScale:
    """The scale of a chart, from values to pixels; both axes start at 0."""

    x: float
    """The largest x."""
    y: float
    """The largest y."""

    def to_pixels(self, x: float, y: float) -> tuple[float, float]:
        """Return the position of a point, cut off at the edges of the chart."""
        across = LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, x / self.x)
        up = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(1.0, y / self.y)
        return round(across, 1), round(up, 1)


def line_chart(
    title: str,
    x_name: str,
    curves: Sequence[ChartCurve],
    *,
    percent: bool,
    level: float | None = None,
) -> Markup:
    """Return a chart of curves over a common x, with bands, and a dashed line at `level`."""
    drawn = [curve for curve in curves if len(curve.x)]
    top = max([max(curve.y) for curve in drawn] + [1.6 * (level or 0), 1e-9])
    right = max([max(curve.x) for curve in drawn] + [1e-9])
    scale = ChartScale(right, _round_up(top, percent))
    parts = [_axes(scale, x_name, percent)]
    parts += [_draw_band(scale, curve) for curve in drawn if len(curve.low)]
    parts += [_draw_line(scale, curve) for curve in drawn]
    if level is not None:
        (x0, y), (x1, _) = scale.to_pixels(0, level), scale.to_pixels(scale.x, level)
        parts.append(html_element("line", x1=x0, x2=x1, y1=y, y2=y, class_="level"))
    picture = html_element(
        "svg", html_element("title", title), *parts,
        viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", class_="chart",
    )  # fmt: skip
    return html_element("figure", picture, _legend(drawn))


def _round_up(value: float, percent: bool) -> float:
    """Return a round number above `value`."""
    if percent and value > 0.5:
        return 1.0
    step = 10.0 ** np.floor(np.log10(value))
    return float(next(step * k for k in (1, 2, 5, 10) if step * k >= value * 0.999))


def _axes(scale: ChartScale, x_name: str, percent: bool) -> Markup:
    parts = []
    for part in range(5):
        value = scale.y * part / 4
        (x0, y), (x1, _) = scale.to_pixels(0, value), scale.to_pixels(scale.x, value)
        words = f"{100 * value:g}\u00a0%" if percent else f"{value:,.1f}".removesuffix(".0")
        parts.append(html_element("line", x1=x0, x2=x1, y1=y, y2=y, class_="grid"))
        parts.append(html_element("text", words, x=x0 - 6, y=y + 4, text_anchor="end"))
    for value in _ticks(scale.x):
        x, bottom = scale.to_pixels(value, 0)
        parts.append(html_element("text", f"{value:,g}", x=x, y=bottom + 16, text_anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(html_element("text", x_name, x=middle, y=HEIGHT - 4, text_anchor="middle"))
    return join_markup(*parts)


def _ticks(largest: float) -> list[float]:
    """Return about six round numbers from 0 to `largest`."""
    step = _round_up(largest / 6, percent=False)
    return [step * k for k in range(int(largest / step) + 1)]


def _draw_line(scale: ChartScale, curve: ChartCurve) -> Markup:
    points = [scale.to_pixels(x, y) for x, y in zip(curve.x, curve.y, strict=True)]
    if len(points) == 1:
        return html_element(
            "circle", cx=points[0][0], cy=points[0][1], r=3, class_=f"dot {curve.role}"
        )
    path = " ".join(f"{x},{y}" for x, y in points)
    return html_element("polyline", points=path, class_=f"line {curve.role}")


def _draw_band(scale: ChartScale, curve: ChartCurve) -> Markup:
    there = [scale.to_pixels(x, y) for x, y in zip(curve.x, curve.high, strict=True)]
    back = [scale.to_pixels(x, y) for x, y in zip(curve.x, curve.low, strict=True)]
    path = " ".join(f"{x},{y}" for x, y in [*there, *reversed(back)])
    return html_element("polygon", points=path, class_=f"band {curve.role}")


def _legend(curves: Sequence[ChartCurve]) -> Markup:
    marks = [
        html_element("span", html_element("i", class_=f"mark {curve.role}"), curve.name)
        for curve in curves
    ]  # fmt: skip
    return html_element("figcaption", *marks)


def share_bar(low: float, value: float, high: float) -> Markup:
    """Return a bar for a share from 0 to 1 and its interval, for a cell of a table."""
    return html_element(
        "svg",
        html_element("rect", x=0, y=3, width=100, height=6, class_="track"),
        html_element(
            "rect",
            x=round(100 * low, 1),
            y=3,
            width=round(100 * max(high - low, 0.005), 1),
            height=6,
            class_="band one",
        ),
        html_element(
            "rect", x=round(100 * value, 1) - 0.5, y=0, width=1.5, height=12, class_="value"
        ),
        viewBox="0 0 100 12",
        class_="bar",
        preserveAspectRatio="none",
        role="presentation",
    )


THUMBNAIL_SIZE = (160, 160)
_QUALITY = 82


class Thumbnails:
    """Thumbnails of a project's items, as `<img>` elements that hold their image data."""

    def __init__(self, project: ProjectFolder) -> None:
        self._folder = ImageFolder(project.images.resolve(), project.settings.max_pixels)
        self._context = project.settings.context

    def __call__(self, ref: str) -> Markup:
        """Return the item's image, or a message if it cannot be read."""
        try:
            crop = self._folder.crop(Item.parse(ref), THUMBNAIL_SIZE, self._context)
        except AnnotatorError as error:
            return html_element("span", str(error), class_="broken")
        file = io.BytesIO()
        draw_box(crop).convert("RGB").save(file, "JPEG", quality=_QUALITY)
        data = base64.b64encode(file.getvalue()).decode()
        return html_element("img", src=f"data:image/jpeg;base64,{data}", alt=ref, loading="lazy")
