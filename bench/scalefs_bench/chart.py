"""Figures: small panels with common legend, as data (what a figure says) and drawn (how it looks).

A line is told from another by its dashes and marks; colour, from a palette that the colour-blind can tell apart, only helps."""
import dataclasses

from . import axes
from .svg import Drawing, shorten, text_width

_COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D00")
_DASHES = ("", "7 3", "2 2", "9 3 2 3", "12 4", "5 2 1 2 1 2", "1 3")
_MARKS = ("circle", "square", "triangle", "diamond", "wedge", "bar")
IDEAL = {"color": "#555", "width": 1, "dash": "1 2"}


@dataclasses.dataclass
class Series:
    """`points`: (x, y, lowest y, highest y), by rising x. `style`: one number for one label in all figures; None: the ideal.
    `steps`: a line that rises at each point, with few marks."""
    label: str
    style: int | None
    points: list
    steps: bool = False


@dataclasses.dataclass
class Panel:
    """x and y: (label, scale, text): scale is linear, log2, log10 or nines; text one of axes.TEXTS. `marks`: where
    upright lines stand, of which x's label tells; `level`: y of a level line, or None."""
    title: str
    subtitle: str
    x: tuple
    y: tuple
    series: list
    marks: list = dataclasses.field(default_factory=list)
    level: float | None = None


@dataclasses.dataclass
class Figure:
    name: str
    title: str
    note: str
    panels: list

    def structure(self):
        """All that the figure says, as JSON's types."""
        return dataclasses.asdict(self)


def style_of(number):
    if number is None:
        return {**IDEAL, "mark": None, "filled": False}
    return {"color": _COLORS[number % len(_COLORS)], "width": 1.6, "dash": _DASHES[number % len(_DASHES)],
            "mark": _MARKS[number % len(_MARKS)], "filled": number // len(_MARKS) % 2 == 0}


# Pixels.
_WIDTH, _EDGE, _LEGEND_LINE, _SAMPLE = 990, 12, 18, 36
_CELL_WIDTH, _CELL_HEIGHT = 322, 252
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 48, 40


def _wrap(text, size, width):
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and text_width(longer, size) > width:
            lines.append(line)
            longer = word
        line = longer
    return lines + [line] if line else lines


def _two_lines(text, size, width):
    lines = _wrap(text, size, width)
    return [shorten(line, size, width) for line in lines[:1] + ([" ".join(lines[1:])] if lines[1:] else [])]


def _legend(figure):
    """(label, style) of the lines of all panels, the ideal last."""
    found = {}
    for panel in figure.panels:
        for series in panel.series:
            found.setdefault(series.label, series.style)
    return sorted(found.items(), key=lambda one: (one[1] is None, one[1] or 0))


def _legend_rows(entries, width):
    rows, left = [[]], 0
    for label, style in entries:
        label = shorten(label, 11, width - _SAMPLE - 24)
        needed = _SAMPLE + 6 + text_width(label, 11) + 18
        if rows[-1] and left + needed > width:
            rows.append([])
            left = 0
        rows[-1].append((left, label, style))
        left += needed
    return rows


def draw(figure):
    """The Drawing of a figure, which has a panel at least."""
    columns = min(3, len(figure.panels))
    width = max(_CELL_WIDTH * 2, columns * _CELL_WIDTH) + 2 * _EDGE
    inside = width - 2 * _EDGE
    notes = _wrap(figure.note, 11, inside)
    legend = _legend_rows(_legend(figure), inside)
    head = _EDGE + 20 + 15 * len(notes) + 8 + _LEGEND_LINE * len(legend) + 6
    rows = -(-len(figure.panels) // columns)
    drawing = Drawing(width, head + rows * _CELL_HEIGHT + _EDGE, figure.name)
    drawing.text(_EDGE, _EDGE + 12, shorten(figure.title, 15, inside), size=15, bold=True)
    for number, line in enumerate(notes):
        drawing.text(_EDGE, _EDGE + 32 + 15 * number, line)
    for number, row in enumerate(legend):
        y = _EDGE + 20 + 15 * len(notes) + 16 + _LEGEND_LINE * number
        for left, label, style in row:
            _sample(drawing, _EDGE + left, y - 4, style)
            drawing.text(_EDGE + left + _SAMPLE + 6, y, label)
    for number, panel in enumerate(figure.panels):
        row, column = divmod(number, columns)
        _draw_panel(drawing, panel, _EDGE + column * _CELL_WIDTH, head + row * _CELL_HEIGHT)
    return drawing


def _sample(drawing, x, y, number):
    style = style_of(number)
    drawing.line(x, y, x + _SAMPLE, y, style["color"], style["width"], style["dash"])
    if style["mark"]:
        drawing.mark(x + _SAMPLE / 2, y, style["mark"], style["color"], style["filled"])


def _values(panel):
    """The y of what was measured, with its bands."""
    return [y for series in panel.series if series.style is not None for point in series.points for y in point[1:]]


def x_scale(panel):
    values = sorted({point[0] for series in panel.series for point in series.points} | set(panel.marks))
    kind = panel.x[1]
    if kind == "log10":
        return axes.Log(*axes.round_out(max(values[0], 1), max(values[-1], 2)))
    measured = sorted({point[0] for series in panel.series for point in series.points})
    if len(measured) > 9 and kind == "log2":
        measured = [x for x in measured if x & (x - 1) == 0] or measured
    while len(measured) > 9:
        measured = measured[:1] + measured[2::2]
    if kind == "log2":
        return axes.Log(values[0] / 1.15, values[-1] * 1.15, 2, measured)
    # Room before the first, as if so much of a thread were there; from 0 where there is one number alone.
    edge = 0.12 * (values[-1] - values[0])
    return axes.Linear(values[0] - edge if edge else 0, values[-1] + (edge / 2 or values[-1]), measured)


def y_scale(panel):
    values = _values(panel)
    kind = panel.y[1]
    if kind == "nines":
        return axes.Nines()
    if panel.level is not None:
        values = values + [panel.level]
    if kind == "log10":
        above = [v for v in values if v > 0]
        return axes.Log(*axes.round_out(min(above) * 0.9, max(above) * 1.1)) if above else axes.Log(1, 10)
    top = max(values) or 1
    ideal = [point[1] for series in panel.series if series.style is None for point in series.points]
    # An ideal that is far off shows by its slope alone.
    top = max([top] + [v for v in ideal if v <= 1.6 * top])
    return axes.Linear(0, top * 1.08)


def _draw_panel(drawing, panel, left, top):
    x0, x1 = left + _LEFT, left + _CELL_WIDTH - _RIGHT
    y0, y1 = top + _CELL_HEIGHT - _BOTTOM, top + _TOP
    xs, ys = x_scale(panel), y_scale(panel)

    def at(x, y):
        return x0 + xs.place(x) * (x1 - x0), y0 - ys.place(y) * (y0 - y1)

    drawing.text(x0, top + 14, shorten(panel.title, 12, x1 - x0), size=12, bold=True)
    for number, line in enumerate(_two_lines(panel.subtitle, 10, x1 - x0)):
        drawing.text(x0, top + 28 + 12 * number, line, size=10)
    _draw_axes(drawing, panel, xs, ys, (x0, y0, x1, y1))
    clip = drawing.clip(x0, y1 - 1, x1 + 1, y0 + 1)
    for x in panel.marks:
        place = x0 + xs.place(x) * (x1 - x0)
        drawing.line(place, y0, place, y1, "#888", 1, "6 2 1 2")
    if panel.level is not None:
        drawing.line(x0, at(1, panel.level)[1], x1, at(1, panel.level)[1], "#555", 1, "1 2")
    for series in panel.series:
        _draw_band(drawing, series, at, clip)
    for series in panel.series:
        _draw_series(drawing, series, at, clip)


def _draw_axes(drawing, panel, xs, ys, frame):
    x0, y0, x1, y1 = frame
    x_text, y_text = axes.TEXTS[panel.x[2]], axes.TEXTS[panel.y[2]]
    for tick in ys.ticks():
        y = y0 - ys.place(tick) * (y0 - y1)
        drawing.line(x0, y, x1, y, "#ddd", 0.8)
        drawing.line(x0 - 4, y, x0, y)
        drawing.text(x0 - 7, y + 3.5, y_text(tick), size=10, anchor="end")
    last = x0 - 100
    for tick in xs.ticks():
        x = x0 + xs.place(tick) * (x1 - x0)
        drawing.line(x, y0, x, y0 + 4)
        half = text_width(x_text(tick), 10) / 2
        # Ticks that stand close together are not all named.
        if x - half > last + 4 and x + half < x1 + _RIGHT:
            drawing.text(x, y0 + 15, x_text(tick), size=10, anchor="middle")
            last = x + half
    drawing.path([(x0, y1), (x0, y0), (x1, y0)])
    drawing.text((x0 + x1) / 2, y0 + 31, shorten(panel.x[0], 10, x1 - x0), size=10, anchor="middle")
    drawing.text(x0 - _LEFT + 14, (y0 + y1) / 2, shorten(panel.y[0], 10, y0 - y1), size=10, anchor="middle", upwards=True)


def _draw_band(drawing, series, at, clip):
    if series.style is None or all(low == high for _, _, low, high in series.points):
        return
    upper = [at(x, high) for x, _, _, high in series.points]
    lower = [at(x, low) for x, _, low, _ in series.points]
    color = style_of(series.style)["color"]
    if len(series.points) > 1:
        drawing.area(upper + lower[::-1], color, 0.13, clip)
    for (x, above), (_, below) in zip(upper, lower):
        drawing.path([(x, above), (x, below)], color, 0.8, clip=clip)


def _apart(line):
    """Without points that the eye cannot tell from the one before."""
    kept = line[:1]
    for x, y in line[1:-1]:
        if abs(x - kept[-1][0]) + abs(y - kept[-1][1]) >= 0.7:
            kept.append((x, y))
    return kept + line[1:][-1:]


def _draw_series(drawing, series, at, clip):
    style = style_of(series.style)
    places = [at(point[0], point[1]) for point in series.points]
    line = places
    if series.steps:
        line = [places[0]]
        for before, after in zip(places, places[1:]):
            line += [(after[0], before[1]), after]
    drawing.path(_apart(line), style["color"], style["width"], style["dash"], clip)
    if not style["mark"]:
        return
    marked = places
    if series.steps:
        every = max(1, len(places) // 5)
        marked = places[(every // 2 + (series.style or 0)) % every::every]
    for x, y in marked:
        drawing.mark(x, y, style["mark"], style["color"], style["filled"])
