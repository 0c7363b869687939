"""Formulas as the comments of the headers write them, sqrt(sigma_s^2 - rho^2)/alpha, as TeX.

Nothing is rearranged: what cannot be read with certainty stays as it was written, and `to_tex` returns None
for text that is no formula.
"""
import re

GREEK = set("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau phi chi psi "
            "omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split())
FUNCTIONS = set("exp log sin cos tan min max cosh sinh tanh arctan arccos arg det dim".split())
UPRIGHT = set("SNR KL Var Cov tr erf Beta floor ceil round softmax sigmoid logit clip sign mean diag median atan atan2 "
              "asinh acos log1p expm1 const softplus ELBO FID MMD".split())
WORDS = {"eps": r"\epsilon", "inf": r"\infty", "infinity": r"\infty", "integral": r"\int ", "sum": r"\sum ",
         "prod": r"\prod ", "product": r"\prod ", "grad": r"\nabla ", "partial": r"\partial ", "if": r"\text{ if }",
         "else": r"\text{ else }", "and": r"\text{ and }", "or": r"\text{ or }", "in": r"\in ", "with": r"\text{ with }",
         "for": r"\text{ for }", "of": r"\text{ of }", "at": r"\text{ at }", "where": r"\text{ where }", "div": r"\operatorname{div}",
         "proportional": r"\propto "}
CONNECTING = set("if else and or in with for of at where".split())
OPERATORS = {"<=": r"\le ", ">=": r"\ge ", "!=": r"\ne ", "==": "=", "->": r"\to ", "<-": r"\leftarrow ", "~": r"\sim ",
             "...": r"\dots ", "*": r"\cdot ", "<": "<", ">": ">", "=": "=", "+": "+", "-": "-", ",": r",\ ", ";": r";\ ",
             ":": ":", "|": "|", "/": "/", "o": r"\circ ", "<<": r"\ll ", ">>": r"\gg ", "+-": r"\pm ", "%": r"\%",
             "±": r"\pm ", "×": r"\times ", "≥": r"\ge ", "≤": r"\le ", "!": "!"}
TOKEN = re.compile(r"""(?P<space>\s+)|(?P<number>\d+(?:\.\d+)?(?:e-?\d+(?![\w(]))?)|(?P<word>log1p|[A-Za-z]+\d*)"""
                   r"""|(?P<op>\.\.\.|<=|>=|!=|==|->|<-|<<|>>|\+-|[-+*/<>=~|,;:±×≥≤!%])|(?P<open>[(\[{])|(?P<close>[)\]}])"""
                   r"""|(?P<sub>_)|(?P<sup>\^)|(?P<prime>'+)|(?P<bad>.)""")
CLOSING = {"(": ")", "[": "]", "{": "}"}


class NoFormula(Exception):
    pass


def name(word):
    if word in UPRIGHT:
        return r"\operatorname{" + word + "}"
    match = re.fullmatch(r"([A-Za-z]+?)(\d*)", word)
    letters, digits = match.groups()
    tail = f"_{{{digits}}}" if digits else ""
    if letters in WORDS and not digits:
        return WORDS[letters]
    if letters in GREEK:
        return "\\" + letters + tail + " "
    if letters in FUNCTIONS:
        return "\\" + letters + tail + " "
    if letters in UPRIGHT:
        return r"\operatorname{" + letters + "}" + tail
    if len(letters) == 1:
        return letters + tail
    if len(letters) == 2 and letters[0] == "d":
        return r"\mathrm{d}" + letters[1] + tail
    if letters[0] == "d" and letters[1:] in GREEK:
        return r"\mathrm{d}\\"[:-1] + letters[1:] + tail + " "
    if letters.endswith("bar") and (letters[:-3] in GREEK or len(letters) == 4):
        return r"\bar{" + name(letters[:-3]) + "}" + tail
    raise NoFormula(word)


def subscript(word):
    """A word after _: a name or a plain label, S_tmin or x_hidden."""
    try:
        return name(word)
    except NoFormula:
        return r"\mathrm{" + word + "}"


class Reader:
    """Recursive descent. With `lenient`, unknown words become upright labels; without `tall`, a/b stays on its line."""

    def __init__(self, text, lenient=False, tall=True):
        self.lenient, self.tall = lenient, tall
        self.tokens = [(m.lastgroup, m.group()) for m in TOKEN.finditer(text)]
        self.at = 0

    def peek(self, ahead=0):
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else ("end", "")

    def take(self):
        token = self.peek()
        self.at += 1
        return token

    def group(self):
        """What is between brackets; the opening one was taken."""
        opened = self.tokens[self.at - 1][1]
        inner = self.sequence()
        kind, value = self.take()
        if kind != "close":
            raise NoFormula("bracket")
        return opened, inner, value

    def script(self):
        """What follows _ or ^."""
        kind, value = self.take()
        if kind == "open":
            return self.group()[1]
        if kind == "op" and value in "-+*":
            return value + self.script()
        if kind in ("word", "number"):
            primes = self.take()[1] if self.peek()[0] == "prime" else ""
            return (subscript(value) if kind == "word" else value) + primes
        raise NoFormula("script")

    def atom(self):
        """(TeX, whether it is a bracketed group, TeX without its brackets)."""
        start = self.at
        kind, value = self.take()
        inner = None
        if kind == "number":
            mantissa, _, exponent = value.partition("e")
            tex = f"{mantissa}\\cdot 10^{{{exponent}}}" if exponent else value
            if mantissa == "1" and exponent:
                tex = f"10^{{{exponent}}}"
        elif kind == "word":
            if value == "sqrt" and self.peek()[1] == "(":
                self.take()
                tex = r"\sqrt{" + self.group()[1] + "}"
            elif value == "sqrt" and self.peek()[0] == "space" and self.peek(1)[0] in ("word", "number"):
                self.take()
                tex = r"\sqrt{" + self.atom()[0] + "}"
            else:
                try:
                    tex = name(value)
                except NoFormula:
                    if not self.lenient:
                        raise
                    tex = r"\mathrm{" + value + "}" + (r"\ " if self.peek()[0] == "space" and self.peek(1)[0] == "word" else "")
                if value in ("E", "N", "U") and self.peek()[1] in ("[", "("):
                    tex = {"E": r"\mathbb{E}", "N": r"\mathcal{N}", "U": r"\mathcal{U}"}[value]
        elif kind == "open":
            opened, inner, closed = self.group()
            left = {"{": r"\{"}.get(opened, opened)
            right = {"}": r"\}"}.get(closed, closed)
            tex = f"\\left{left}{inner}\\right{right}"
            if CLOSING[opened] != closed or opened != "(":
                inner = None
        else:
            raise NoFormula(value)
        word = self.tokens[start][0] == "word"
        bare = called = subscripted = superscripted = False
        while True:
            kind, value = self.peek()
            after = self.peek(1)[0]
            if kind == "prime":
                tex += self.take()[1]
            elif kind == "sub" and self.peek(1)[1] in ("hat", "bar", "tilde"):
                self.take()
                tex = "\\" + self.take()[1] + "{" + tex.strip() + "}"
            elif kind == "sub" and not subscripted and not re.search(r"_\{\d+\}\s*$", tex):
                self.take()
                tex = tex.rstrip() + "_{" + self.script() + "}"
                subscripted = True
            elif kind == "sup" and (after in ("space", "end", "close") or self.peek(1)[1] in list(",|;:=")):
                self.take()
                tex = r"\hat{" + tex.strip() + "}"  # x0^, an estimate
            elif kind == "sup" and not superscripted:
                self.take()
                tex = tex.rstrip() + "^{" + self.script() + "}"
                superscripted = True
            elif (kind, value) == ("op", "*") and word and not superscripted and after in ("open", "space", "end", "close"):
                self.take()
                tex = tex.rstrip() + "^{*}"  # f*(T), a conjugate
                superscripted = True
            elif kind == "open" and value != "{" and word and not called:  # f(x) is one factor
                self.take()
                opened, argument, closed = self.group()
                tex = tex.rstrip() + f"\\mathopen{{}}\\left{opened}{argument}\\right{closed}"
                called, subscripted, superscripted = True, True, False
            elif kind in ("sub", "sup"):
                raise NoFormula("scripts")
            else:
                break
            bare = True
        return tex, None if bare else inner

    def sequence(self):
        out = []
        while self.peek()[0] not in ("end", "close"):
            kind, value = self.peek()
            if kind == "space":
                self.take()
                out.append("~" if len(value) > 2 else " ")
            elif kind == "op":
                self.take()
                out.append(OPERATORS[value])
                if value == "|" and self.peek()[0] in ("sup", "sub"):  # |x|^2
                    while self.peek()[0] in ("sup", "sub"):
                        out.append({"sup": "^{", "sub": "_{"}[self.take()[0]] + self.script() + "}")
            elif kind == "bad":
                raise NoFormula(value)
            else:
                tex, inner = self.atom()
                if self.peek() == ("op", "/") and self.peek(1)[0] in ("word", "number", "open"):
                    mark = self.at
                    self.take()
                    below, below_inner = self.atom()
                    divided = "".join(out).rstrip().endswith("/")  # a/b/c
                    if divided or not self.tall or self.peek()[0] == "open" or self.peek() == ("op", "/"):  # a/f(x), a/b/c: as written
                        self.at = mark
                    else:
                        tex = r"\frac{%s}{%s}" % (inner or tex, below_inner or below)
                out.append(tex)
        return "".join(out)


def to_tex(text, lenient=False, tall=True):
    """TeX of a formula; None where the text is none."""
    text = re.sub(r"(?<!\.)\.$|[,;]+$", "", text.strip())
    if re.search(r"\b(19|20)\d\d\b|\bet al\b|[A-Za-z]{3,},? [A-Za-z]{4,} [A-Za-z]{3,}", text):
        return None
    words = re.findall(r"[A-Za-z]{2,}", re.sub(r"_[A-Za-z]+", "", text))
    if not re.search(r"[=<>+*/^~(\[|_]|\d", text) and not any(w in GREEK for w in words):
        return text if re.fullmatch(r"[A-Za-z]'?", text) else None
    if sum(w in CONNECTING for w in words) * 2 > len(words) + 1:
        return None
    try:
        unknown = [w for w in words if w not in GREEK | FUNCTIONS | UPRIGHT | CONNECTING | set(WORDS) | {"sqrt"} and len(w) > 2]
        text = text.replace("proportional to", "proportional")
        reader = Reader(text, lenient and len(unknown) * 6 <= len(re.findall(r"\w+|[-=+*/]", text)), tall)
        tex = reader.sequence()
        return tex.strip() if reader.peek()[0] == "end" else None
    except (NoFormula, IndexError):
        return None


# What is typeset in prose without an operator beside it: sigma_s, x_t, x0.
SYMBOL = r"(?:" + "|".join(GREEK) + r")(?:_bar)?(?:_\w)?'?|[xzpuvcyh]_\w|x0'?"


def inline(text):
    """Splits prose into (is formula, text): runs of words that only formulas have, with an operator in them."""
    pieces, run = [], []
    cut = re.split(r"(\s+)", text)

    def mathematical(word):
        if word != "...":
            word = re.sub(r"[()\[\]{}]", "", word).strip(",.;:")
        return bool(re.fullmatch(r"[-=<>+*/~|]|<=|>=|->|<-|\.\.\.", word)) or \
            re.match(r"(?:log|exp|sqrt|sum|sin|cos)(?![a-z])", word) and to_tex(word + " 1") is not None or \
            (bool(word) and not re.match(r"\d+x\d+$", word) and not re.fullmatch(r"[A-Za-z]{2,}", word) and to_tex(word) is not None) or word in GREEK

    def flush():
        nonlocal run
        while run and (run[-1].isspace() or re.fullmatch(r"[-=<>+*/~|]|a|A|I", run[-1])):
            tail.insert(0, run.pop())
        lead = []
        while run and (run[0].isspace() or run[0] in ("a", "A", "I", "-")):
            lead.append(run.pop(0))
        body = "".join(run)
        ending = re.search(r"(?<!\.)[.,;:]*$", body).group()
        body = body[:len(body) - len(ending)]
        balanced = all(body.count(o) == body.count(c) for o, c in CLOSING.items())
        alone = re.fullmatch(SYMBOL, body)
        good = alone or balanced and re.search(r"[=<>^]|[A-Za-z0-9)] [-+*] |\w/\w", body) and re.search(r"[A-Za-z]", body) \
            and not re.search(r"\d{4}|[A-Za-z]{3,}/[A-Za-z]{3,}", body) and to_tex(body) is not None
        if "".join(lead):
            pieces.append((False, "".join(lead)))
        if body:
            pieces.append((bool(good), body))
        pieces.append((False, ending + "".join(tail)))
        run = []

    for word in cut:
        tail = []
        if word and (word.isspace() and run or mathematical(word)):
            run.append(word)
            if re.search(r"(?<!\.\.)[.;:]$", word):
                flush()
        else:
            if run:
                flush()
            pieces.append((False, word))
    tail = []
    if run:
        flush()
    return pieces
