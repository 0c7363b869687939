"""formulas.py <source folder>: formulas of comments and the TeX that they become. No value may change: a fraction takes
what the slash takes, and what cannot be read with certainty is no formula."""
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1] + "/docs/site")
from ascii_formula import inline, to_tex  # noqa: E402

TEX = {
    "a/b": r"\frac{a}{b}",
    "a b/c d": r"a \frac{b}{c} d",
    "a / b c": r"a / b c",
    "a/b/c": "a/b/c",
    "a / b/c": "a / b/c",
    "a/f(x)": r"\frac{a}{f\mathopen{}\left(x\right)}",
    "log(2)/2": r"\frac{\log\mathopen{}\left(2\right)}{2}",
    "(a + b)/(2 c)": r"\frac{a + b}{2 c}",
    "(a + b)^2/c": r"\frac{\left(a + b\right)^{2}}{c}",
    "sigma_s^2": r"\sigma_{s}^{2}",
    "alpha_bar_t": r"\bar{\alpha}_{t}",
    "x0' = x0 + 1e-4": r"x_{0}' = x_{0} + 10^{-4}",
    "C_k^-1 x": "C_{k}^{-1} x",
    "|x - x0|^2": "|x - x_{0}|^{2}",
    "x0^, y": r"\hat{x_{0}},\  y",
    "f*(T)": r"f^{*}\mathopen{}\left(T\right)",
    "a * b": r"a \cdot  b",
    "sqrt(1 - b)": r"\sqrt{1 - b}",
    "E[x0 | x]": r"\mathbb{E}\mathopen{}\left[x_{0} | x\right]",
    "log1p(x)": r"\operatorname{log1p}\mathopen{}\left(x\right)",
    "dx/dt = v": r"\frac{\mathrm{d}x}{\mathrm{d}t} = v",
}
NONE = ["Ho et al. 2020, section 3.2", "posterior variance", "(a + b", "a row (of the table)", "x_"]
PROSE = {
    "it returns D, at alpha = 0 nothing is divided by alpha.": ["alpha = 0", "alpha"],
    "a step from x_t to x_s, steps + 1 values": ["x_t", "x_s"],
    "p_d/(p_d + p_G), finite": ["p_d/(p_d + p_G)"],
    "the mean a of 2x2 blocks, and I": [],
}

wrong = [f"{text}: {to_tex(text)}, expected {tex}" for text, tex in TEX.items() if to_tex(text) != tex]
wrong += [f"{text}: {to_tex(text)}, expected none" for text in NONE if to_tex(text)]
wrong += [f"{text}: {found}, expected {formulas}" for text, formulas in PROSE.items()
          if (found := [part for is_formula, part in inline(text) if is_formula]) != formulas]
wrong += [f"{text}: pieces differ from the text" for text in PROSE if "".join(part for _, part in inline(text)) != text]
sys.exit("\n".join(wrong) or 0)
