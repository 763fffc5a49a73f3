"""Polynomials for the tables under src/simd: Chebyshev interpolation with mpmath, written as C."""

import re

from mpmath import cos, mpf, pi


def interpolate(f, lo, hi, n):
    """Chebyshev coefficients of f on [lo, hi] from n nodes."""
    theta = [pi * (j + mpf(1) / 2) / n for j in range(n)]
    y = [f((lo + hi) / 2 + (hi - lo) / 2 * cos(t)) for t in theta]
    return [(2 if k else 1) / mpf(n) * sum(yj * cos(k * t) for yj, t in zip(y, theta)) for k in range(n)]


def monomial(c):
    """Coefficients of z^0, z^1, ... of sum c_k T_k(z)."""
    out = [mpf(0)] * len(c)
    before, now = [mpf(1)], [mpf(0), mpf(1)]
    for k, ck in enumerate(c):
        t = before if k == 0 else now
        if k > 1:
            t = [mpf(0)] + [2 * x for x in now]
            for i, x in enumerate(before):
                t[i] -= x
            before, now = now, t
        for i, x in enumerate(t):
            out[i] += ck * x
    return out


def literal(x):
    return re.sub(r"\.?0*p", "p", float(x).hex())


def rows(name, columns):
    """A C table: row k holds coefficient k of every piece."""
    text = "static const double %s[%d][%d] = {\n" % (name, len(columns[0]), len(columns))
    for row in zip(*columns):
        words = [literal(x) + "," for x in row]
        text += "    {"
        width = 5
        for i, w in enumerate(words):
            w = w if i < len(words) - 1 else w[:-1] + "},"
            if i and width + 1 + len(w) > 100:
                text += "\n     "
                width = 5
            elif i:
                text += " "
                width += 1
            text += w
            width += len(w)
        text += "\n"
    return text + "};\n"
