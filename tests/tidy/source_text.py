"""C++ source without its comments and literals, so that rules look at code alone."""
import re

_TOKEN = re.compile(
    r"""
      (?P<line>//[^\n]*(?:\\\n[^\n]*)*)
    | (?P<block>/\*.*?\*/)
    | (?P<raw>\bR"(?P<mark>[^\s()\\"]{0,16})\(.*?\)(?P=mark)")
    | (?P<include>^[ \t]*\#[ \t]*include[^\n]*)
    | (?P<text>"(?:\\.|[^"\\\n])*")
    | (?P<separated>(?<=[0-9a-fA-F])'(?=[0-9a-fA-F]))
    | (?P<char>'(?:\\.|[^'\\\n])+')
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


def _replacement(match):
    if match.group("include") or match.group("separated"):
        return match.group(0)
    newlines = "\n" * match.group(0).count("\n")
    if match.group("text") or match.group("raw"):
        return '""' + newlines
    if match.group("char"):
        return "' '"
    return " " + newlines


def code_only(text):
    """`text` with comments blanked and literals emptied; line numbers stay the same."""
    return _TOKEN.sub(_replacement, text)
