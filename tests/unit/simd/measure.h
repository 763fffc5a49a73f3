/* Measures functions of simd against references: MPFR for f64, the C library's double for f32. A program includes this,
 * makes a table of functions and calls measured(). With no argument it asserts the bounds; `sweep` asserts them for f32
 * on evenly spread bit patterns, with LOSSFN_TEST_LONG=1 on all 2^32, and leaves a record of what was found; `bits`
 * prints digests of what the functions give, which test_same_bits compares between instruction sets. They are of the
 * patterns of the sweep, too: with the same bits, a sweep of one instruction set is one of all. */
#ifndef LOSSFN_TESTS_MEASURE_H
#define LOSSFN_TESTS_MEASURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <float.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>
#include <mpfr.h>
#include "simd/math.h"

enum { BLOCK = 4096 };

#ifdef LOSSFN_REAL_F32
typedef uint32_t bits_t;
enum { DIGITS = 24, LEAST_EXPONENT = -149 };
#else
typedef uint64_t bits_t;
enum { DIGITS = 53, LEAST_EXPONENT = -1074 };
#endif

static REAL from_bits(bits_t b) {
    REAL x;
    memcpy(&x, &b, sizeof x);
    return x;
}
static bits_t to_bits(REAL x) {
    bits_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

#define APPLY(name, expression)                                                                                        \
    static void apply_##name(const REAL *in, const REAL *in2, REAL *out) {                                             \
        for (int i = 0; i < BLOCK; i += LANES) {                                                                       \
            V x = v_load(in + i), y = v_load(in2 + i);                                                                 \
            (void)y;                                                                                                   \
            v_store(out + i, expression);                                                                              \
        }                                                                                                              \
    }
/* References, to 160 bits. */
typedef void reference(mpfr_t r, const mpfr_t x, const mpfr_t y);
#define ONE_ARGUMENT(name)                                                                                             \
    static void mp_##name(mpfr_t r, const mpfr_t x, const mpfr_t y) {                                                  \
        (void)y;                                                                                                       \
        mpfr_##name(r, x, MPFR_RNDN);                                                                                  \
    }
#define C_ARGUMENT(name)                                                                                               \
    static double c_##name(double x, double y) { return (void)y, name(x); }

struct function {
    const char *name;
    void (*apply)(const REAL *x, const REAL *y, REAL *out);
    reference *exact;
    double (*c)(double, double); /* for f32 */
    double bound;                /* ulp, as the header states */
    int pairs;                   /* of two arguments */
    int slow;                    /* `c` takes so long that a sweep tries fewer patterns */
};
#define PAIRS(name, ref, f32, f64)                                                                                     \
    { #name, apply_##name, mp_##ref, c_##ref, sizeof(REAL) == 4 ? f32 : f64, 1, 0 }
#define ROW(name, ref, f32, f64)                                                                                       \
    { #name, apply_##name, mp_##ref, c_##ref, sizeof(REAL) == 4 ? f32 : f64, 0, 0 }
#define SLOW_ROW(name, ref, f32, f64)                                                                                  \
    { #name, apply_##name, mp_##ref, c_##ref, sizeof(REAL) == 4 ? f32 : f64, 0, 1 }
static const struct function *tested;
static int tested_count;
enum { MOST_TESTED = 32 };

/* ---- errors ---- */

static int ulp_exponent(double exact) { /* the ulp of REAL at a finite value is 2 to this power */
    uint64_t b;
    memcpy(&b, &exact, sizeof b);
    const int e = (int)(b >> 52 & 2047) - 1022 - DIGITS;
    return e > LEAST_EXPONENT ? e : LEAST_EXPONENT;
}
static double two_to(int power) { /* normal */
    const uint64_t b = (uint64_t)(power + 1023) << 52;
    double x;
    memcpy(&x, &b, sizeof x);
    return x;
}

/* The error of y in ulp of the exact value; infinite if one is NaN, inf or zero of a sign and the other is not.
 * Beyond the largest REAL, inf is right if rounding the exact value gives it. */
static double error_f32(const struct function *f, REAL x, REAL x2, REAL y) {
    double exact = f->c((double)x, (double)x2);
    if (exact != exact) return y != y ? 0 : INFINITY;
    if (y != y || !signbit(y) != !signbit(exact)) return INFINITY;
    if (isinf(y)) return isinf(exact) || fabs(exact) > (double)FLT_MAX ? 0 : INFINITY;
    if (fabs(exact) > 2 * (double)FLT_MAX) return INFINITY;
    return fabs((double)y - exact) * two_to(-ulp_exponent(exact));
}
static double error_mpfr(const struct function *f, REAL x, REAL x2, REAL y, mpfr_t t[4]) {
    mpfr_set_d(t[0], (double)x, MPFR_RNDN);
    mpfr_set_d(t[1], (double)x2, MPFR_RNDN);
    f->exact(t[2], t[0], t[1]);
    if (mpfr_nan_p(t[2])) return y != y ? 0 : INFINITY;
    if (y != y || !signbit(y) != !mpfr_signbit(t[2])) return INFINITY;
    double nearest = mpfr_get_d(t[2], MPFR_RNDZ);
    const double greatest = sizeof(REAL) == 4 ? (double)FLT_MAX : DBL_MAX;
    if (isinf(y)) return mpfr_inf_p(t[2]) || fabs(nearest) >= greatest ? 0 : INFINITY;
    if (isinf(nearest)) return INFINITY;
    mpfr_set_d(t[3], (double)y, MPFR_RNDN);
    mpfr_sub(t[3], t[3], t[2], MPFR_RNDN);
    mpfr_mul_2si(t[3], t[3], -ulp_exponent(nearest), MPFR_RNDN);
    return fabs(mpfr_get_d(t[3], MPFR_RNDN));
}

static double error_of(const struct function *f, REAL x, REAL x2, REAL y, mpfr_t t[4]) {
    return sizeof(REAL) == 4 ? error_f32(f, x, x2, y) : error_mpfr(f, x, x2, y, t);
}

/* ---- arguments ---- */

static uint64_t state;
static uint64_t next(void) { /* splitmix64 */
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static double uniform(void) { return (double)(next() >> 11) * 0x1p-53; }
static double small(int powers) {
    int power = (int)(next() % (uint64_t)powers);
    return ldexp(0.5 + uniform() / 2, -power);
}

static const double specials[] = {0,    1,     0.5,   0.75,   1.5,    2,      10,      17,     20,      40,  88,
                                  88.7, 88.73, 89,    103.9,  104,    709.7,  709.79,  710,    745,     746, 1e30,
                                  1e-5, 1e-8,  1e-40, 1e-310, 4e-324, 1e-300, 0x1p-60, 3e-120, INFINITY};
/* Where sweeps of all f32 found most of atan, log1p_unit, expm1_less and exp */
static const double hardest[] = {0x1.af4aaap-2, 0x1.f7797ap-1, 0x1.977e84p-1, 0x1.da5b7ap+5};

/* One argument: any bit pattern, near 1 and the branches, moderate, and the values above with their neighbours.
 */
static REAL argument(uint64_t i) {
    double sign = next() & 1 ? -1 : 1;
    switch (i % 10) {
    case 0:
        return from_bits((bits_t)next());
    case 1:
        return (REAL)(sign * (1 + (uniform() - 0.5) * small(30)));
    case 2:
        return (REAL)(sign * small(40));
    case 3:
        return (REAL)(sign * uniform() * 4);
    case 4:
        return (REAL)(sign * uniform() * (sizeof(REAL) == 4 ? 105 : 750));
    case 5:
        return (REAL)(sign * uniform() * 40);
    case 6:
        return (REAL)(sign * uniform());
    case 7: /* near multiples of pi/2 */
        return (REAL)(sign * (double)(next() >> next() % 64) * 0x1.921fb54442d18p0);
    case 8:
        return (REAL)(sign * hardest[next() % (sizeof hardest / sizeof hardest[0])]);
    default: {
        REAL x = (REAL)(sign * specials[next() % (sizeof specials / sizeof specials[0])]);
        return from_bits(to_bits(x) + (bits_t)(next() % 5) - 2);
    }
    }
}

/* Second arguments of pow: so that x^y is mostly finite. No libm here, so that every machine has the same
 * arguments. */
static REAL exponent(REAL x, uint64_t i) {
    int k;
    double m = frexp(fabs((double)x), &k), range = sizeof(REAL) == 4 ? 110 : 760;
    double log_x = k == 0 ? m - 1 : k == 1 ? 2 * m - 1 : k * 0.7;
    if (i % 3 == 0 || !isfinite(x) || log_x == 0) return argument(next());
    return (REAL)((2 * uniform() - 1) * range / log_x);
}

static void fill(REAL *x, REAL *y, uint64_t block) {
    state = block;
    for (int i = 0; i < BLOCK; i++) x[i] = argument((uint64_t)i), y[i] = exponent(x[i], (uint64_t)i / 8);
}

/* ---- tests ---- */

static int is_long(void) {
    const char *text = getenv("LOSSFN_TEST_LONG");
    return text && *text && *text != '0';
}

static REAL args[BLOCK], args2[BLOCK], results[BLOCK];

struct worst {
    double error;
    REAL x, y, got;
};
static void keep_worst(struct worst *w, double error, int i) {
    if (error > w->error) *w = (struct worst){error, args[i], args2[i], results[i]};
}
static void judge(const struct worst worst[MOST_TESTED]) {
    int failures = 0;
    for (int k = 0; k < tested_count; k++) {
        const struct worst *w = &worst[k];
        int bad = !(w->error <= tested[k].bound);
        printf("%-18s %.4f ulp at %a (%a): %a%s\n", tested[k].name, w->error, (double)w->x, (double)w->y,
               (double)w->got, bad ? "  TOO LARGE" : "");
        failures += bad;
    }
    assert_int_equal(failures, 0);
}

static void bounds_hold(void **unused) {
    (void)unused;
    mpfr_t t[4];
    for (int i = 0; i < 4; i++) mpfr_init2(t[i], 160);
    uint64_t blocks = is_long() ? 500 : 6;
    struct worst worst[MOST_TESTED] = {0};
    for (uint64_t b = 0; b < blocks; b++) {
        fill(args, args2, b);
        for (int k = 0; k < tested_count; k++) {
            tested[k].apply(args, args2, results);
            for (int i = 0; i < BLOCK; i++)
                keep_worst(&worst[k], error_of(&tested[k], args[i], args2[i], results[i], t), i);
        }
    }
    judge(worst);
    for (int i = 0; i < 4; i++) mpfr_clear(t[i]);
}

#ifdef LOSSFN_REAL_F32

/* The C library's results are good enough to measure with: f32's ulp is 2^29 of theirs. */
static void references_agree(void **unused) {
    (void)unused;
    mpfr_t t[3];
    for (int i = 0; i < 3; i++) mpfr_init2(t[i], 160);
    fill(args, args2, 0);
    for (int k = 0; k < tested_count; k++) {
        double worst = 0, at = 0;
        for (int i = 0; i < BLOCK; i++) {
            const double c = tested[k].c((double)args[i], (double)args2[i]);
            mpfr_set_d(t[0], (double)args[i], MPFR_RNDN);
            mpfr_set_d(t[1], (double)args2[i], MPFR_RNDN);
            tested[k].exact(t[2], t[0], t[1]);
            assert_int_equal(mpfr_nan_p(t[2]) != 0, c != c);
            if (c != c || !(fabs(c) < (double)FLT_MAX)) continue;
            mpfr_sub_d(t[2], t[2], c, MPFR_RNDN);
            const double off = fabs(mpfr_get_d(t[2], MPFR_RNDN)) * two_to(-ulp_exponent(c));
            if (!(off <= worst)) worst = off, at = (double)args[i];
        }
        if (!(worst < 1e-4)) printf("%s: the reference is %g ulp off at %a\n", tested[k].name, worst, at);
        assert_true(worst < 1e-4);
    }
    for (int i = 0; i < 3; i++) mpfr_clear(t[i]);
}

/* ---- a sweep of bit patterns ---- */

struct swept {
    struct worst worst;
    uint64_t tried, digest;
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_CHECKED = 1 }; /* many times slower */
#else
enum { IS_CHECKED = 0 };
#endif
static int is_exhaustive(void) { return is_long() && !IS_CHECKED; }

/* Odd, or the last bits of every argument would be zero. */
static uint64_t stride_of(const struct function *f) {
    if (is_exhaustive()) return f->slow ? 7 : 1;
    return (f->slow ? 4999 : 499) * (IS_CHECKED ? 15 : 1);
}

/* A sum, so that the order is of no account. */
static uint64_t digest_of_block(void) {
    uint64_t sum = 0;
    for (int i = 0; i < BLOCK; i++) {
        uint64_t h = (uint64_t)to_bits(args[i]) << 32 | (results[i] != results[i] ? ~(bits_t)0 : to_bits(results[i]));
        h *= 0x9e3779b97f4a7c15u;
        sum += (h ^ h >> 32) * 0xbf58476d1ce4e5b9u;
    }
    return sum;
}

static void sweep_share(const struct function *f, uint64_t stride, int measures, int share, int shares,
                        struct swept *out) {
    const uint64_t all = (uint64_t)1 << 32;
    for (uint64_t block = (uint64_t)share; block * BLOCK * stride < all; block += (uint64_t)shares) {
        const uint64_t first = block * BLOCK * stride;
        for (int i = 0; i < BLOCK; i++) args[i] = from_bits((bits_t)(first + (uint64_t)i * stride));
        state = block;
        for (int i = 0; i < BLOCK && f->pairs; i++) args2[i] = exponent(args[i], (uint64_t)i);
        f->apply(args, args2, results);
        out->digest += digest_of_block();
        for (int i = 0; i < BLOCK && first + (uint64_t)i * stride < all; i++) {
            out->tried++;
            if (measures) keep_worst(&out->worst, error_f32(f, args[i], args2[i], results[i]), i);
        }
    }
}

/* In as many processes as there are processors, if it is exhaustive. */
static struct swept sweep(const struct function *f, int measures) {
    enum { MOST_SHARES = 64 };
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const int shares = !is_exhaustive() || processors < 1 ? 1
                       : processors < MOST_SHARES         ? (int)processors
                                                          : MOST_SHARES;
    const uint64_t stride = stride_of(f);
    struct swept *of = mmap(NULL, MOST_SHARES * sizeof *of, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t workers[MOST_SHARES];
    assert_true(of != MAP_FAILED);
    fflush(stdout);
    for (int s = 1; s < shares; s++) {
        workers[s] = fork();
        assert_true(workers[s] >= 0);
        if (workers[s] == 0) sweep_share(f, stride, measures, s, shares, &of[s]), _exit(0);
    }
    sweep_share(f, stride, measures, 0, shares, &of[0]);
    struct swept all = of[0];
    for (int s = 1; s < shares; s++) {
        int status;
        assert_true(waitpid(workers[s], &status, 0) == workers[s] && status == 0);
        if (of[s].worst.error > all.worst.error) all.worst = of[s].worst;
        all.tried += of[s].tried;
        all.digest += of[s].digest;
    }
    munmap(of, MOST_SHARES * sizeof *of);
    return all;
}

/* For docs/reliability.md */
static void record_sweep(const char *group, const struct swept *of) {
    const char *records = getenv("LOSSFN_RECORDS");
    char path[4096];
    if (!group || !records || !*records) return;
    snprintf(path, sizeof path, "%s/sweep", records);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/sweep/%s.json", records, group);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int k = 0; k < tested_count; k++)
        fprintf(file, "%s\"%s\": {\"tried\": %llu, \"error\": %.4f, \"at\": \"%a\", \"bound\": %g}", k ? ",\n" : "{",
                tested[k].name, (unsigned long long)of[k].tried, of[k].worst.error, (double)of[k].worst.x,
                tested[k].bound);
    fprintf(file, "}\n");
    fclose(file);
}

static const char *swept_group;

static void bounds_hold_in_a_sweep(void **unused) {
    (void)unused;
    struct swept of[MOST_TESTED];
    struct worst worst[MOST_TESTED];
    for (int k = 0; k < tested_count; k++) {
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        of[k] = sweep(&tested[k], 1);
        worst[k] = of[k].worst;
        clock_gettime(CLOCK_MONOTONIC, &end);
        printf("%-18s %llu patterns in %.1f s, digest %016llx\n", tested[k].name, (unsigned long long)of[k].tried,
               (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec),
               (unsigned long long)of[k].digest);
        fflush(stdout);
    }
    judge(worst);
    record_sweep(swept_group, of);
}
#define MEASURING_TESTS cmocka_unit_test(bounds_hold), cmocka_unit_test(references_agree)
#else
#define MEASURING_TESTS cmocka_unit_test(bounds_hold)
#endif

static void print_bits(void) {
    for (int k = 0; k < tested_count; k++) {
        uint64_t hash = 0xcbf29ce484222325u;
        for (uint64_t b = 0; b < 64; b++) {
            fill(args, args2, 1000 + b);
            tested[k].apply(args, args2, results);
            for (int i = 0; i < BLOCK; i++)
                hash = (hash ^ (results[i] != results[i] ? ~(uint64_t)0 : to_bits(results[i]))) * 0x100000001b3u;
        }
        printf("%s %016llx\n", tested[k].name, (unsigned long long)hash);
#ifdef LOSSFN_REAL_F32
        printf("%s of the sweep %016llx\n", tested[k].name, (unsigned long long)sweep(&tested[k], 0).digest);
#endif
    }
}

/* Whether the program's arguments are `bits`, `sweep` or `sweep FUNCTION`: those are done, with the exit code in *code.
 */
static int measured(int argc, char **argv, const char *group, const struct function *table, int count, int *code) {
    tested = table, tested_count = count;
    *code = 0;
    if (argc < 2) return 0;
    if (strcmp(argv[1], "bits") == 0) return print_bits(), 1;
#ifdef LOSSFN_REAL_F32
    if (strcmp(argv[1], "sweep") == 0) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(bounds_hold_in_a_sweep)};
        swept_group = group;
        if (argc > 2) { /* one function; a look, not a record */
            swept_group = NULL;
            while (tested_count > 0 && strcmp(tested->name, argv[2]) != 0) tested++, tested_count--;
            tested_count = tested_count > 0;
        }
        return *code = cmocka_run_group_tests_name("sweep", tests, NULL, NULL), 1;
    }
#endif
    (void)group;
    return 0;
}

#endif
