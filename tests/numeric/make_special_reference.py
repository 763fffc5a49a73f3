"""Writes tests/numeric/data/special_reference.h: values for tests/unit/simd/test_special.c.

    python make_special_reference.py [points] > data/special_reference.h

Every value comes from its definition, at 50 digits or more after cancellation; none of the formulas of
src/simd/special.h is used. A value is the nearest double and what it lacks, in units of its last place."""

import random
import sys

from mpmath import exp, expm1, inf, isinf, log, log1p, log10, loggamma, mp, mpf

POINTS = int(sys.argv[1]) if len(sys.argv) > 1 else 250
random.seed(1)
F64_MAX, F32_MAX = mpf(2) ** 1024 * (1 - mpf(2) ** -54), mpf(2) ** 128 * (1 - mpf(2) ** -25)


def real(x):
    x = float(x)
    return (
        "INFINITY"
        if x == float("inf")
        else "-INFINITY"
        if x == float("-inf")
        else "0"
        if x == 0
        else "%d" % x
        if x == int(x) and abs(x) < 1e5
        else shorten(x.hex())
    )


def shorten(text):
    head, power = text.split("p")
    return (head.rstrip("0") if "." in head else head).rstrip(".") + "p" + str(int(power))


def ref(x):
    x = mpf(x)
    if abs(x) >= F64_MAX:
        return "{%sINFINITY, 0}" % ("-" if x < 0 else "")
    near = float(x)
    if x == near:
        return f"{{{real(near)}, 0}}"
    place = mpf(2) ** max(mp.frexp(mpf(near))[1] - 53, -1074) if near else mpf(2) ** -1074
    return "{{{}, {}}}".format(
        real(near),
        (f"{float((x - near) / place):.3f}").replace("0.", ".").replace("-.000", "0").replace(".000", "0"),
    )


def to_f32(x):
    import struct

    return struct.unpack("f", struct.pack("f", x))[0]


def barron(r, alpha):
    """rho, W, curvature, d rho/d alpha"""
    mp.dps = 60
    r, alpha = mpf(r), mpf(alpha)
    s = r * r

    if s == 0:
        return 0, 1, 1, 0
    if (
        not isinf(alpha) and abs(alpha) > mpf(2) ** 400 and not isinf(s)
    ):  # rho, W and curvature as at infinity, to 2^-380
        return *barron(r, inf if alpha > 0 else -inf)[:3], at(s, alpha)[3]
    return at(s, alpha)


def at(s, alpha):

    if isinf(alpha):
        sign = 1 if alpha > 0 else -1
        t = sign * s / 2
        if isinf(s):
            return (inf, inf, inf, 0) if sign > 0 else (1, 0, 0, 0)
        if t > 5000:
            return inf, inf, inf, 0
        return sign * expm1(t), exp(t), exp(t) * (1 + sign * s), 0
    if isinf(s):
        rho = inf if alpha >= 0 else 1 - 2 / alpha
        w = inf if alpha > 2 else 1 if alpha == 2 else 0
        return rho, w, w, inf if alpha >= 0 else 2 / alpha**2
    if alpha == 2:
        return s / 2, 1, 1, inf
    digits = 80
    for x in (s, alpha, alpha - 2):
        digits += 4 * int(abs(log10(abs(x)))) if x else 0
    mp.dps = digits
    a = alpha - 2
    b = abs(a)
    q = s / b
    u = log1p(q)
    sign = 1 if a > 0 else -1
    if alpha == 0:
        return u, 1 / (1 + q), (1 + (alpha - 1) * q) / (1 + q) ** 2, u * u / 4 - u / 2 + s / (2 * (2 + s))
    t = alpha * u / 2
    if t > 5000:
        return inf, exp(a / 2 * u) if a / 2 * u < 5000 else inf, 0 if alpha == 1 else inf, inf
    e, w = expm1(t), exp(a / 2 * u)
    return (
        b / alpha * e,
        w,
        w * (1 + a * q / (1 + q)),
        2 * sign / alpha**2 * e + (e + 1) * (b * u / (2 * alpha) - sign * q / (1 + q) / 2),
    )


def partition(alpha):
    """ln Z and its derivative, which is minus the mean of d rho/d alpha; trapezoidal rule in v, x = exp(v - exp -v)"""
    mp.dps = 50
    if alpha == float("inf"):
        return partition(1e40)[0], 0
    alpha, h = mpf(alpha), mpf(1) / 80
    b, sign = abs(alpha - 2), 1 if alpha > 2 else -1
    z = mean = mpf(0)
    for k in range(-5 * 80, 300 * 80):
        v = k * h
        x = exp(v - exp(-v))
        s, weight = x * x, x * (1 + exp(-v))
        if b == 0:
            rho, d = s / 2, 0
        else:
            q = s / b
            with mp.workdps(50 + 2 * max(0, int(-log10(q))) + (2 * int(log10(b)) + 5 if b > 1 else 0)):
                u = log1p(q)
                if alpha == 0:
                    rho, d = u, u * u / 4 - u / 2 + s / (2 * (2 + s))
                else:
                    t = alpha * u / 2
                    if t > 1e4:
                        break
                    e = expm1(t)
                    rho = b / alpha * e
                    d = 2 * sign / alpha**2 * e + (e + 1) * (b * u / (2 * alpha) - sign * q / (1 + q) / 2)
        p = weight * exp(-rho)
        z += p
        mean += p * d
        if k > 0 and p * (1 + d) * x < mpf(10) ** -44 * (x if alpha == 0 else 1):
            break
    return log(2 * h * z), -mean / z if b else -inf


def barron_points(f32):
    big, small = (38, -37) if f32 else (300, -300)
    alphas = [0, 1e-30, 1e-9, 1e-3, 0.5, 1, 1.5, 1.999, 2, 2.001, 3, 4, 100, 1e4, 1e9, 1e30, float("inf")]
    alphas += [2 - 2**-24, 2 + 2**-22] if f32 else [2 - 2**-52, 2 - 1e-10, 2 + 2**-51, 1e-300, 1e300]
    rs = [0, 1e-8, 0.01, 1, 3, 1e5, 10.0**big, float("inf")] + ([1e-30] if f32 else [1e-150, 1e-30, 1e160])
    out = [(r, s * a) for a in alphas for r in rs for s in (1, -1) if a or s > 0]
    while len(out) < POINTS + len(alphas) * 2 * len(rs):
        kind = random.randrange(6)
        sign = random.choice((1, -1))
        if kind == 0:
            alpha = sign * 10 ** random.uniform(-12, 12)
        elif kind == 1:
            alpha = 2 + sign * 10 ** random.uniform(-7 if f32 else -15, 0)
        elif kind < 5:
            alpha = random.uniform(-4, 6)
        else:
            alpha = sign * 10 ** random.uniform(0, 3)
        b, pick = abs(alpha - 2), random.randrange(4)
        if b == 0:
            continue
        if pick == 0:
            r = 10 ** random.uniform(small / 2, big)
        elif pick == 1:
            r = b**0.5 * 10 ** random.uniform(-4, 4)
        elif pick == 2:
            r = random.uniform(0, 40)
        else:  # exp t over its whole range, if r can be had
            u = random.uniform(0, 80 if f32 else 700) * 2 / abs(alpha)
            r = (b * (float(exp(mpf(u)) - 1) if u < 600 else 10.0**250)) ** 0.5
        if f32 and r > 3e38:
            continue
        out.append((r, alpha))
    fix = to_f32 if f32 else float
    return [(fix(r), fix(a)) for r, a in out]


def lgamma_points(f32):
    out = [0, 1, 2, 3, 4, 5, 10, 100, 0.5, 1.5, 1e-30, 1e-10, 1e10, 1e30, float("inf"), 1 + 2**-20, 1 - 2**-20]
    out += [1e38, 4.0850034e36] if f32 else [1e-310, 1e300, 2.55e305, 2.556e305, 2.557e305, 1 + 2**-52, 1 - 2**-53]
    while len(out) < POINTS:
        kind = random.randrange(5)
        if kind == 0:
            y = 10 ** random.uniform(-30, 36) if f32 else 10 ** random.uniform(-300, 305)
        elif kind == 1:
            y = 1 + random.choice((1, -1)) * 10 ** random.uniform(-7 if f32 else -15, 0)
        elif kind == 2:
            y = random.uniform(0, 3)
        elif kind == 3:
            y = random.uniform(0, 30)
        else:
            y = float(random.randrange(2, 100000))
        out.append(y)
    return [(to_f32 if f32 else float)(y) for y in out]


def partition_points(f32):
    out = [0, 1, 2, 4, 100, 1e9, float("inf"), 0.5, 3, 1.75, 2.25, 1e-30, 1e-5, 1e30]
    out += [2 - 2**-23, 2 + 2**-22] if f32 else [2 - 2**-52, 2 + 2**-51]
    while len(out) < POINTS // 4:
        kind = random.randrange(4)
        if kind == 0:
            a = random.uniform(0, 2)
        elif kind == 1:
            a = 2 + random.choice((1, -1)) * 10 ** random.uniform(-7 if f32 else -15, 0)
        elif kind == 2:
            a = random.uniform(2, 10)
        else:
            a = 10 ** random.uniform(-6, 9)
        out.append(a)
    return [(to_f32 if f32 else float)(a) for a in out]


def lgamma(y):
    mp.dps = 60 + (2 * int(abs(log10(mpf(y)))) if 0 < y < float("inf") else 0)
    if isinf(mpf(y)):
        return inf
    return 0 if y in (0, 1) else loggamma(1 + mpf(y))


def table(name, fields, rows):
    print("static const struct {{\n    double {};\n    reference {};\n}} {}[] = {{".format(*fields, name))
    for values, refs in rows:
        text = ", ".join(ref(x) for x in refs)
        print("    {{{}, {}}},".format(", ".join(real(x) for x in values), f"{{{text}}}" if len(refs) > 1 else text))
    print("};")


print("/* Generated by tests/numeric/make_special_reference.py; do not edit. */\n/* clang-format off */")
print("#ifdef LOSSFN_REAL_F64")
for f32 in (False, True):
    if f32:
        print("#else")
    table("lgamma_reference", ("y", "value"), [((y,), (lgamma(y),)) for y in lgamma_points(f32)])
    table("barron_reference", ("r, alpha", "value[4]"), [((r, a), barron(r, a)) for r, a in barron_points(f32)])
    table("partition_reference", ("alpha", "value[2]"), [((a,), partition(a)) for a in partition_points(f32)])
print("#endif\n/* clang-format on */")
