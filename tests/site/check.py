"""check.py <source folder> <output folder>

Builds the site and reads what was written: every link and picture of every page leads to a file and an anchor of the
site, nothing is fetched from elsewhere, formulas are typeset, and the names of public_names.txt are in the search.
"""
import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse

source, output = map(pathlib.Path, sys.argv[1:])
shutil.rmtree(output, ignore_errors=True)
subprocess.run([sys.executable, str(source / "tools/site"), str(output)], check=True)


class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.names, self.links, self.fetched = set(), [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if "id" in given:
            self.names.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        for key in ("src", "href") if tag != "a" else ():
            if key in given and not given[key].startswith("data:"):
                self.fetched.append(given[key])


pages = {}
for path in output.rglob("*.html"):
    pages[path] = Reader()
    pages[path].feed(path.read_text(encoding="utf-8"))

wrong = []
for path, page in pages.items():
    for link in page.links + page.fetched:
        if re.match(r"[a-z]+:|//", link):
            if link in page.fetched:
                wrong.append(f"{path}: fetches {link}")
            continue
        file, _, name = urllib.parse.unquote(link).partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.is_file():
            wrong.append(f"{path}: {link} is no file")
        elif name and target in pages and name not in pages[target].names:
            wrong.append(f"{path}: {link} has no such place")
for style in output.rglob("*.css"):
    text = re.sub(r"/\*.*?\*/", "", style.read_text(encoding="utf-8"), flags=re.DOTALL)
    for address in re.findall(r"url\(([^)]*woff2)\)", text):
        if not (style.parent / address.strip("\"'")).is_file():
            wrong.append(f"{style}: {address} is no file")

formula = (output / "concepts.html").read_text(encoding="utf-8")
if 'class="katex-display"' not in formula or "$$" in re.sub(r"<annotation.*?</annotation>", "", formula):
    wrong.append("concepts.html: formulas are not typeset")

index = json.loads((output / "search.js").read_text(encoding="utf-8").removeprefix("window.searchIndex = ").rstrip(";\n"))
found = {entry[0] for entry in index}
for line in (source / "tests/package/public_names.txt").read_text(encoding="utf-8").splitlines():
    scope, _, text = line.partition(": ")
    match = re.search(r"(?:^|> )(?:class|struct|concept|enum class|enum) ([a-z]\w*)", text) or \
        re.match(r"(?!template|auto|\w+\()[\w:<>, ]* ([a-z]\w*)\(", text) if scope == "tweedie" else None
    if match and match[1] not in found:
        wrong.append(f"the search does not find {match[1]}")
sys.exit("\n".join(wrong) or 0)
