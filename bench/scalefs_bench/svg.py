"""A drawing in SVG: lines, areas, marks and text. It knows about how large each text is, so that whoever places texts can
leave them room, and a test can see that none covers another."""
from xml.sax.saxutils import escape

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
_NARROW, _WIDE = set("iljtfrI.,:;|'!()[]/ -"), set("mMWw%@")


def text_width(text, size):
    """In pixels, rather too much than too little."""
    widths = (0.36 if c in _NARROW else 0.95 if c in _WIDE else 0.75 if c.isupper() else 0.6 for c in text)
    return size * sum(widths)


def shorten(text, size, width):
    """The text, or as much of its beginning as fits with an ellipsis."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _number(value):
    return f"{value:.2f}".rstrip("0").rstrip(".")


# Outlines around (0, 0), of radius about 1.
_MARKS = {
    "square": "-.9,-.9 .9,-.9 .9,.9 -.9,.9",
    "triangle": "0,-1.15 1.05,.8 -1.05,.8",
    "diamond": "0,-1.25 1.1,0 0,1.25 -1.1,0",
    "wedge": "0,1.15 1.05,-.8 -1.05,-.8",
    "bar": "-1.2,-.45 1.2,-.45 1.2,.45 -1.2,.45",
}


class Drawing:
    """Pixels, y downwards. `boxes`: (left, top, right, bottom, text) of each text, about."""

    def __init__(self, width, height, name):
        self.width, self.height, self.name = width, height, name
        self.boxes = []
        self._parts = []
        self._clips = 0

    def line(self, x1, y1, x2, y2, color="#000", width=1, dash=""):
        self.path([(x1, y1), (x2, y2)], color, width, dash)

    def path(self, points, color="#000", width=1, dash="", clip=None):
        text = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        self._parts.append(f'<polyline points="{text}" fill="none" stroke="{color}" stroke-width="{width}"' +
                           (f' stroke-dasharray="{dash}"' if dash else "") + self._clipped(clip) + "/>")

    def area(self, points, color, opacity, clip=None):
        text = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        self._parts.append(f'<polygon points="{text}" fill="{color}" fill-opacity="{opacity}" stroke="none"'
                           f'{self._clipped(clip)}/>')

    def mark(self, x, y, kind, color, filled, radius=3.5):
        style = f'fill="{color if filled else "#fff"}" stroke="{color}" stroke-width="1.2"'
        place = f"{_number(x)} {_number(y)}"
        if kind == "circle":
            self._parts.append(f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{radius}" {style}/>')
        else:
            self._parts.append(f'<polygon points="{_MARKS[kind]}" transform="translate({place}) scale({radius})" '
                               f'{style.replace("1.2", _number(1.2 / radius))}/>')

    def text(self, x, y, text, size=11, anchor="start", bold=False, upwards=False, halo=False):
        """y: the baseline. upwards: turned to be read from below, around (x, y)."""
        width = text_width(text, size) * (1.06 if bold else 1)
        begin = -width * {"start": 0, "middle": 0.5, "end": 1}[anchor]
        if upwards:
            self.boxes.append((x - 0.75 * size, y - begin - width, x + 0.2 * size, y - begin, text))
        else:
            self.boxes.append((x + begin, y - 0.75 * size, x + begin + width, y + 0.2 * size, text))
        turn = f' transform="rotate(-90 {_number(x)} {_number(y)})"' if upwards else ""
        edge = ' stroke="#fff" stroke-width="3" paint-order="stroke"' if halo else ""
        self._parts.append(f'<text x="{_number(x)}" y="{_number(y)}" font-size="{size}" text-anchor="{anchor}"' +
                           (' font-weight="bold"' if bold else "") + f"{turn}{edge}>{escape(text)}</text>")

    def clip(self, left, top, right, bottom):
        """What path and area take as `clip`: nothing is drawn outside."""
        self._clips += 1
        name = f"{self.name}-clip{self._clips}"
        self._parts.append(f'<clipPath id="{name}"><rect x="{_number(left)}" y="{_number(top)}" '
                           f'width="{_number(right - left)}" height="{_number(bottom - top)}"/></clipPath>')
        return name

    @staticmethod
    def _clipped(clip):
        return f' clip-path="url(#{clip})"' if clip else ""

    def source(self, title):
        """The file's text. title: for those who do not see the picture."""
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_number(self.width)} {_number(self.height)}" '
                f'width="{_number(self.width)}" height="{_number(self.height)}" font-family="{FONT}" role="img">\n'
                f"<title>{escape(title)}</title>\n"
                f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(self._parts) + "\n</svg>\n")
