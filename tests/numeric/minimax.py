"""Minimax polynomials of src/simd and src/losses: prints the coefficients, lowest degree first, and the error in bits.

Remez exchange on the weighted error; then, from the lowest degree, each coefficient is rounded to the dtype and the
others are fitted again, by least squares. The weight turns the polynomial's error into the function's relative error.
Needs mpmath. Run: python3 minimax.py"""

from mpmath import (
    atanh,
    cos,
    cosh,
    exp,
    expm1,
    floor,
    frexp,
    ldexp,
    log,
    log1p,
    lu_solve,
    matrix,
    mp,
    mpf,
    pi,
    sqrt,
    tanh,
)

mp.prec = 400


def rounded(x, bits):
    m, e = frexp(x)
    return ldexp(floor(ldexp(m, bits) + mpf(1) / 2), e - bits)


def remez(f, w, lo, hi, powers):
    """Coefficients of sum c_j x^powers[j] that make max |w (f - p)| least."""
    n = len(powers)
    xs = [(lo + hi) / 2 - (hi - lo) / 2 * cos(pi * (2 * i + 1) / (2 * n + 2)) for i in range(n + 1)]
    grid = [(lo + hi) / 2 - (hi - lo) / 2 * cos(pi * i / (24 * n)) for i in range(24 * n + 1)]
    for _ in range(12):
        a = matrix([[x**p for p in powers] + [(-1) ** i / w(x)] for i, x in enumerate(xs)])
        c = lu_solve(a, matrix([f(x) for x in xs]))[:n]
        errors = [(w(x) * (f(x) - sum(cj * x**p for cj, p in zip(c, powers))), x) for x in grid]
        peaks = []  # one extremum for each run of equal signs
        for e, x in errors:
            if peaks and (peaks[-1][0] > 0) == (e > 0):
                peaks[-1] = max(peaks[-1], (e, x), key=lambda q: abs(q[0]))
            else:
                peaks.append((e, x))
        while len(peaks) > n + 1:
            peaks.pop(0 if abs(peaks[0][0]) < abs(peaks[-1][0]) else -1)
        if len(peaks) < n + 1:
            break
        xs = [x for _, x in peaks]
    return c, max(abs(e) for e, _ in errors)


def least_squares(f, w, lo, hi, powers):
    xs = [(lo + hi) / 2 - (hi - lo) / 2 * cos(pi * (2 * i + 1) / 200) for i in range(100)]
    return lu_solve(matrix([[w(x) * x**p for p in powers] for x in xs]), matrix([w(x) * f(x) for x in xs]))


def fit(name, f, w, lo, hi, degree, bits):
    eps = mpf(2) ** -60
    lo, hi = mpf(lo) + eps, mpf(hi) + eps  # never at 0, where f is 0/0
    c, _best = remez(f, w, lo, hi, list(range(degree + 1)))
    done = [rounded(c[0], bits)]
    while len(done) <= degree:

        def rest(x):
            return f(x) - sum(a * x**i for i, a in enumerate(done))

        done.append(rounded(least_squares(rest, w, lo, hi, list(range(len(done), degree + 1)))[0], bits))
    xs = [lo + (hi - lo) * i / 1000 for i in range(1001)]
    worst = max(abs(w(x) * (f(x) - sum(a * x**i for i, a in enumerate(done)))) for x in xs)
    print(f"{name}, {bits} bits, degree {degree}: relative error 2^{float(log(worst, 2)):.1f}")
    for a in done:
        print("   ", float.hex(float(a)))


def exp_tail(r):
    return (expm1(r) - r - r**2 / 2) / r**3


def log_tail(f):
    return (log1p(f) - f + f**2 / 2) / f**3


def exp_head(r):
    return (expm1(r) - r) / r**2


def log_unit(t):  # around the middle of [0, 1]
    return (log1p(t + mpf(0.5)) - t - mpf(0.5)) / (t + mpf(0.5)) ** 2


def atanh_tail(z):  # z = s^2 > 0
    s = abs(z) ** (mpf(1) / 2)
    return (2 * atanh(s) / s - 2) / z


def atanh_tail2(z):
    return (atanh_tail(z) - mpf(2) / 3) / z


def atan_tail(z):
    return (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z


def sin_tail(z):
    return (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z


def lncosh_tail(z):  # z = a^2
    return (log(cosh(sqrt(z))) - z / 2) / z**2


def tanh_tail(z):
    return (tanh(sqrt(z)) / sqrt(z) - 1) / z


def cos_tail(z):
    return (cos(mp.sqrt(z)) - 1 + z / 2) / z**2


if __name__ == "__main__":
    half = mpf("0.3467")
    for bits, degree in (24, 4), (53, 9):
        fit("expm1(r) = r + r^2/2 + r^3 p(r)", exp_tail, lambda r: r**3 / expm1(r), -half, half, degree, bits)
    fit("log1p(f) = f - f^2/2 + f^3 p(f)", log_tail, lambda f: f**3 / log1p(f), -0.25, 0.5, 8, 24)
    fit("2 atanh(s) = 2 s + s^3 p(s^2)", atanh_tail, lambda z: z / (2 + 2 * z / 3), 0, 0.04, 7, 53)
    for bits, degree in (24, 4), (53, 9):
        fit("exp(r) = 1 + r + r^2 p(r)", exp_head, lambda r: r**2 / exp(r), -half, half, degree, bits)
    weight = lambda t: (t + mpf(0.5)) ** 2 / log1p(t + mpf(0.5))  # noqa: E731
    fit("log1p(e) = e + e^2 p(e - 1/2)", log_unit, weight, -0.5, 0.5, 8, 24)
    fit("2 atanh(s) = 2 s + s^3 p(s^2), s <= 1/3", atanh_tail, lambda z: z / (2 + 2 * z / 3), 0, mpf(1) / 9, 10, 53)
    for bits, degree in (24, 3), (53, 7):
        fit("2 atanh(s) = 2 s + 2/3 s^3 + s^5 p(s^2)", atanh_tail2, lambda z: z**2 / 2, 0, 0.04, degree, bits)
    for bits, degree in (24, 6), (53, 13):
        weight = lambda z: z**2 / log(cosh(sqrt(z)))  # noqa: E731
        fit("ln cosh(a) = a^2/2 + a^4 p(a^2), a <= 1", lncosh_tail, weight, 0, 1, degree, bits)
    for bits, degree in (24, 6), (53, 14):
        weight = lambda z: z * sqrt(z) / tanh(sqrt(z))  # noqa: E731
        fit("tanh(a) = a + a^3 p(a^2), a <= 1", tanh_tail, weight, 0, 1, degree, bits)
    for bits, degree in (24, 5), (53, 11):
        fit("atan(t) = t + t^3 p(t^2), t <= tan(pi/8)", atan_tail, lambda z: z, 0, mpf("0.1716"), degree, bits)
    for bits, degree in (24, 3), (53, 5):
        fit("sin(x) = x + x^3 p(x^2), x <= pi/4", sin_tail, lambda z: z, 0, mpf("0.617"), degree, bits)
    for bits, degree in (24, 2), (53, 5):
        fit("cos(x) = 1 - x^2/2 + x^4 p(x^2)", cos_tail, lambda z: z**2, 0, mpf("0.617"), degree, bits)
