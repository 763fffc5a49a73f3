# SPDX-License-Identifier: MIT
"""statsmodels.robust.norms: rho and psi of the residual."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Difference, Inputs, Row, one, residual

HEADING, PACKAGE = "statsmodels", "statsmodels"
DTYPE = "float64"
EPSILON = 16 * 2.0**-52
PRECISION = "robust norms, rho and psi, in double precision; a few operations, each within an ulp or two"

norms: Any = None


def load() -> None:
    global norms
    import statsmodels.robust.norms

    norms = statsmodels.robust.norms


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    """Residuals are target less prediction there, which matters to what is not symmetric."""
    r = inputs["target"] - inputs["pred"]
    norm = row.function()
    return {"value": norm.rho(r), "pred": -norm.psi(r)}


def far(threshold: float) -> Any:
    return lambda i: np.abs(residual(i)) > threshold


def times_zero(threshold: float, *of: str) -> Difference:
    return Difference(
        "overflows", "what lies outside a piece is multiplied by 0: NaN once it is infinite", far(threshold), of
    )


PIECES = times_zero(1e153)
QUARTIC = times_zero(1e77)
LOGARITHM = Difference("overflows", "squares the residual: the value is infinite, the gradient 0 or NaN", far(1e153))
INFINITE = times_zero(1.7e308)
NAN = Difference("limits", "a NaN is taken for a large residual", lambda i: np.isnan(residual(i)))
KINK = Difference(
    "kink convention", "the gradient at |r| = c is r, 0 here", lambda i: np.abs(residual(i)) == 2, ("pred",)
)
TERMS = {"value": one, "pred": lambda i: np.abs(residual(i))}  # 1 less something; the logarithm of 1 and something


def fifteen(i: Inputs) -> Any:
    return 15.0  # c^2 (nu + 1) / 2


def quartic(i: Inputs) -> Any:
    return np.abs(residual(i))  # times 1 less (r/c)^k


HAMPEL = {"value": lambda i: 5.0, "pred": lambda i: np.abs(residual(i))}  # c less the residual


def ramsay(i: Inputs) -> Any:
    """exp has the relative error of its argument times that."""
    r = np.abs(residual(i))
    return 0.3 * r * r * np.exp(-0.3 * r)


ROWS = [
    Row("LeastSquares()", "half_squared_error", "reals", lambda: norms.LeastSquares()),
    Row("HuberT()", "huber(delta=1.345)", "reals", lambda: norms.HuberT(), (PIECES,)),
    Row("HuberT(t=0.5)", "huber(delta=0.5)", "reals", lambda: norms.HuberT(t=0.5), (PIECES,)),
    Row(
        "TukeyBiweight()",
        "tukey",
        "reals",
        lambda: norms.TukeyBiweight(),
        (QUARTIC,),
        terms={"value": fifteen, "pred": quartic},
    ),
    Row("TukeyBiweight(c=2)", "tukey(c=2)", "reals", lambda: norms.TukeyBiweight(c=2), (QUARTIC,), terms=TERMS),
    Row("TukeyQuartic()", "tukey_quartic", "reals", lambda: norms.TukeyQuartic(), (QUARTIC,), terms={"pred": quartic}),
    Row(
        "TukeyQuartic(k=2)",
        "tukey_quartic(k=2)",
        "reals",
        lambda: norms.TukeyQuartic(k=2),
        (QUARTIC,),
        terms={"pred": quartic},
    ),
    Row("StudentT()", "student_t_rho", "reals", lambda: norms.StudentT(), (LOGARITHM,), terms={"value": fifteen}),
    Row(
        "StudentT(df=1, c=2)",
        "student_t_rho(nu=1, c=2)",
        "reals",
        lambda: norms.StudentT(df=1, c=2),
        (LOGARITHM,),
        terms={"value": fifteen},
    ),
    Row("StudentT(df=1)", "cauchy", "reals", lambda: norms.StudentT(df=1), (LOGARITHM,), terms={"value": fifteen}),
    Row(
        "RamsayE()", "ramsay_e", "reals", lambda: norms.RamsayE(), (INFINITE,), terms={"value": fifteen, "pred": ramsay}
    ),
    Row("AndrewWave()", "andrews_wave", "reals", lambda: norms.AndrewWave(), (INFINITE,), terms=TERMS),
    Row("TrimmedMean()", "saturated", "reals", lambda: norms.TrimmedMean(), (KINK, PIECES)),
    Row("Hampel()", "hampel", "reals", lambda: norms.Hampel(), (NAN,), terms=HAMPEL),
    Row(
        "Hampel(a=1, b=2, c=3)",
        "hampel(a=1, b=2, c=3)",
        "reals",
        lambda: norms.Hampel(a=1, b=2, c=3),
        (NAN,),
        terms=HAMPEL,
    ),
    Row(
        "MQuantileNorm(0.25, HuberT())",
        "m_quantile(tau=0.25)",
        "reals",
        lambda: norms.MQuantileNorm(0.25, norms.HuberT()),
        (PIECES,),
    ),
]
