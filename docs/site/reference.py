"""The reference: Doxygen finds the declarations, their comments are read as they stand in the headers."""
import pathlib
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

from ascii_formula import inline, to_tex

SETTINGS = """
RECURSIVE = YES
GENERATE_HTML = NO
GENERATE_LATEX = NO
GENERATE_XML = YES
XML_PROGRAMLISTING = NO
EXTRACT_ALL = YES
PREDEFINED = TWEEDIE_COMPILED
QUIET = YES
WARNINGS = NO
WARN_IF_UNDOCUMENTED = NO
WARN_IF_DOC_ERROR = NO
"""


@dataclass
class Entry:
    """A public name: of a namespace, or a member of the class above it."""
    name: str
    kind: str  # function, class, variable, typedef, enum, concept
    scope: str
    lines: list  # of its header, from the first of the declaration on
    start: int
    line: int
    comment: list = field(default_factory=list)
    members: list = field(default_factory=list)

    @property
    def anchor(self):
        return re.sub(r"\W+", "-", self.name).strip("-") if re.search(r"\w", self.name) else "operator"


@dataclass
class Header:
    path: str  # tweedie/sampler/ddim.hpp
    purpose: list
    entries: list = field(default_factory=list)

    @property
    def page(self):
        return "reference/" + self.path.removeprefix("tweedie/").removesuffix(".hpp").replace("/", "-") + ".html"

    @property
    def folder(self):
        return self.path.removeprefix("tweedie/").rpartition("/")[0]


def opening(lines, line):
    """The line on which the brace closed at the start of `line` was opened."""
    depth = 0
    while line > 0:
        text = re.sub(r"//.*", "", lines[line])
        depth += text.count("}") - text.count("{")
        if depth <= 0:
            break
        line -= 1
    return line


def comment_above(lines, line):
    """The first line (from 0) of the declaration around `line`, and the comment in front of it. A declaration right
    below another one shares its comment."""
    start = line
    while start > 0:
        before = lines[start - 1]
        if before.strip() == "}":  # of requirements
            head = opening(lines, start - 1)
            while head > 0 and lines[head].startswith("   "):
                head -= 1
            if not lines[head].lstrip().startswith("requires"):
                break
            start = head
        elif re.match(r"\s*(template\b|requires\b|\[\[)", before) or \
                before.strip() and not re.search(r"[;{}:]\s*(//.*)?$|^\s*(//|#)", before):
            start -= 1
        else:
            break
    above, depth = start, 0
    while above > 0:
        text = lines[above - 1].strip()
        if text.startswith("//") and depth <= 0:
            break
        code = re.sub(r"//.*", "", text)
        depth += code.count("}") - code.count("{")
        if not text and depth <= 0 or depth < 0 or re.match(r"(public|namespace|#)", text):
            return start, []
        above -= 1
    top = above
    while top > 0 and lines[top - 1].strip().startswith("//"):
        top -= 1
    return start, [re.sub(r"^\s*//[/!]? ?", "", text) for text in lines[top:above]]


def declaration(entry):
    """Its text as clang-format lays it out, without the body."""
    text = "\n".join(entry.lines[entry.start:entry.start + 40])
    depth, end = 0, len(text)
    quoted = False
    for i, c in enumerate(text):
        if c == '"' and text[i - 1] != "\\":
            quoted = not quoted
        if quoted:
            continue
        if entry.kind in ("function", "class") and depth == 0 and (
                c == "{" or text[i:i + 3] == " : " and ")" in text[:i] or text[i:i + 3] == "\n  " and text[i:].lstrip().startswith(": ")):
            end = i
            break
        if entry.kind == "variable" and depth == 0 and text[i:i + 3] in (" = ", " =\n") and \
                (re.match(r" =\s+\[", text[i:]) or text.find(";", i) - i > 160):
            end = i
            break
        depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(c, 0)
        if c == ";" and depth == 0:
            trailing = re.match(r"[ \t]*//[^\n]*", text[i + 1:])
            end = i + 1 + (trailing.end() if trailing and entry.kind == "variable" else 0)
            break
    out = text[:end].rstrip()
    out = re.sub("^" + re.match(r" *", out).group(), "", out, flags=re.MULTILINE)
    if match := re.search(r"^(TWEEDIE_INLINE|inline) ", out, re.MULTILINE):  # and align what follows
        out = out[:match.start()] + re.sub("\n" + " " * len(match.group()), "\n", out[match.end():])
    return out.replace("///<", "//")


def entries_of(compound, include, sources, scope):
    for member in compound.iter("memberdef"):
        location = member.find("location")
        kind = {"friend": "function"}.get(member.get("kind"), member.get("kind"))
        name = member.findtext("name")
        if member.get("prot") == "private" or location is None or name.startswith("~") or kind not in (
                "function", "variable", "typedef", "enum"):
            continue
        if member.get("kind") == "friend" and "operator" not in name:
            continue
        path, line = location.get("file"), int(location.get("line")) - 1
        if kind == "function" and location.get("declfile"):
            path, line = location.get("declfile"), int(location.get("declline")) - 1
        relative = pathlib.Path(path)
        relative = (relative.relative_to(include) if relative.is_absolute() else relative).as_posix()
        lines = sources[relative]
        start, comment = comment_above(lines, line)
        yield relative, Entry(name, kind, scope, lines, start, line, comment)


def read(root, work):
    """All headers with their public names, in their order."""
    include = root / "include"
    sources = {p.relative_to(include).as_posix(): p.read_text(encoding="utf-8").split("\n")
               for p in sorted((include / "tweedie").rglob("*.hpp"))}
    settings = SETTINGS + f'INPUT = "{include}/tweedie"\nSTRIP_FROM_PATH = "{include}"\nOUTPUT_DIRECTORY = "{work}"\n'
    subprocess.run(["doxygen", "-"], input=settings, text=True, check=True, capture_output=True)

    headers = {}
    for path, lines in sources.items():
        purpose = []
        for text in lines:
            if not text.startswith("//"):
                break
            purpose.append(re.sub(r"^// ?", "", text))
        headers[path] = Header(path, purpose)

    seen = set()
    for file in sorted((work / "xml").glob("*.xml")):
        for compound in ElementTree.parse(file).getroot().iter("compounddef"):
            kind, name = compound.get("kind"), compound.findtext("compoundname")
            if re.search(r"\bdetail\b", name) or not name.startswith("tweedie") or compound.get("prot") == "private":
                continue
            if kind == "namespace":
                for path, entry in entries_of(compound, include, sources, name):
                    headers[path].entries.append(entry)
            elif kind in ("struct", "class", "union", "concept"):
                location = compound.find("location")
                path, line = location.get("file"), int(location.get("line")) - 1
                path = pathlib.Path(path)
                path = (path.relative_to(include) if path.is_absolute() else path).as_posix()
                if (path, line) in seen or "<" in name:
                    continue
                seen.add((path, line))
                start, comment = comment_above(sources[path], line)
                scope, _, short = name.rpartition("::")
                entry = Entry(short, "concept" if kind == "concept" else "class", scope, sources[path], start, line, comment)
                if kind != "concept":
                    entry.members = sorted((e for _, e in entries_of(compound, include, sources, name)), key=lambda e: e.line)
                headers[path].entries.append(entry)
    for header in headers.values():
        classes = {e.name for e in header.entries if e.kind == "class"}
        header.entries = sorted((e for e in header.entries if e.kind != "function" or e.name not in classes),
                                key=lambda e: e.line)  # functions of a class's name are deduction guides
        nested = [e for e in header.entries if e.kind == "class"]
        for e in list(header.entries):  # classes within classes stay with their class
            for outer in nested:
                if e is not outer and e.scope == outer.scope + "::" + outer.name:
                    outer.members.append(e)
                    header.entries.remove(e)
                    break
    return [h for h in headers.values()]


class Comments:
    """Comments as HTML. `formula(tex, display)` gives the place of a formula, `code(text)` highlighted C++,
    `link(name)` the address of a public name or None."""

    def __init__(self, formula, code, link, escape):
        self.formula, self.code, self.link, self.escape = formula, code, link, escape

    def prose(self, text):
        out = []
        for i, piece in enumerate(re.split(r"`([^`]*)`", text)):
            if i % 2:
                address = self.link(re.sub(r"\W.*", "", piece.removeprefix("tweedie::")))
                html = f"<code>{self.escape(piece)}</code>"
                out.append(f'<a href="{address}">{html}</a>' if address else html)
                continue
            for is_formula, part in inline(piece):
                tex = to_tex(part, tall=False) if is_formula else None
                out.append(self.formula(tex, False) if tex else self.escape(part))
        return "".join(out)

    def block(self, lines):
        """Indented lines: code, or rows of formulas and words."""
        text = "\n".join(lines)
        indent = min(len(l) - len(l.lstrip()) for l in lines)
        if re.search(r";\s*(//.*)?$|\{$|^\s*\}", text, re.MULTILINE) or "::" in text:
            return self.code("\n".join(l[indent:] for l in lines))
        rows, height = [], 0
        for line in lines:  # a formula goes on where its bracket is open or an operator stands at the break
            if rows and (rows[-1].count("(") > rows[-1].count(")") or re.search(r"[-+*/=]$", rows[-1]) or
                         re.match(r"\s*[-+*/=] ", line)):
                rows[-1] += " " + line.strip()
            else:
                rows.append(line)
        if len(rows) == 1 or all(to_tex(r, True) for r in rows):
            tex = [to_tex(r, True) for r in rows]
            if all(tex):
                return '<div class="formulas">' + "".join(self.formula(t, True) for t in tex) + "</div>"
        cells = [re.split(r"\s{2,}", r[indent:].rstrip()) for r in rows]
        width = max(len(c) for c in cells)
        out = []
        for row in cells:
            html = []
            for i, cell in enumerate(row):
                plain = i == 0 and len(cell) > 2 and (  # a name
                    not re.search(r"[-=<>+*/^_|(]", cell) or re.fullmatch(r"[a-z]\w*_[a-z]\w+", cell))
                tex = to_tex(cell, i > 0) if re.search(r"[A-Za-z0-9]", cell) and not plain else None
                span = f' colspan="{width - i}"' if i == len(row) - 1 and i < width - 1 else ""
                content = self.formula("\\displaystyle " + tex, False) if tex else self.prose(cell)
                html.append(f"<td{span}>{content}</td>")
            out.append("<tr>" + "".join(html) + "</tr>")
        return '<div class="scroll"><table class="rows">' + "".join(out) + "</table></div>"

    def html(self, lines):
        out, paragraph, block, thrown = [], [], [], []

        def flush():
            if paragraph:
                out.append(f"<p>{self.prose(' '.join(paragraph))}</p>")
                paragraph.clear()
            if block:
                out.append(self.block(block[:]))
                block.clear()
            if thrown:
                text = " ".join(thrown)
                error, _, when = text.partition(" ")
                out.append(f'<p class="throws"><b>Throws</b> <code>{self.escape(error)}</code> {self.prose(when)}</p>')
                thrown.clear()

        for line in lines:
            text = line.strip()
            if re.match(r"[\\@](throws?|exception)\b", text):
                flush()
                thrown.append(re.sub(r"^\S+\s*", "", text))
            elif match := re.match(r"[\\@](t?param)\s+(\S+)\s*(.*)", text):
                flush()
                paragraph.append(f"`{match[2]}`: {match[3]}")
            elif re.match(r"[\\@](returns?|return)\b", text):
                flush()
                paragraph.append("Returns " + re.sub(r"^\S+\s*", "", text))
            elif not text:
                flush()
            elif thrown and line.startswith(" "):
                thrown.append(text)
            elif re.match(r" {2,}", line):
                if not block:
                    flush()
                block.append(line)
            else:
                if block or thrown:
                    flush()
                paragraph.append(text)
        flush()
        return "\n".join(out)
