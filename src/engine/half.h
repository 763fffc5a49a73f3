/* SPDX-License-Identifier: MIT
 * The dtypes that C does not have, by integer arithmetic: the same on every machine. */
#ifndef LOSSFN_ENGINE_HALF_H
#define LOSSFN_ENGINE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 0x3ffu, bits;
    float f;
    if (exponent == 0) { /* zero or subnormal: mantissa * 2^-24, exactly */
        f = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &f, 4);
        bits |= sign;
    } else {
        bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | mantissa << 13;
    }
    memcpy(&f, &bits, 4);
    return f;
}

static inline float bfloat_to_float(uint16_t b) {
    uint32_t bits = (uint32_t)b << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

/* To nearest even from the bits of a double, so that a half is rounded once whatever the compute dtype.
 * precision: stored mantissa bits; bias and the largest exponent field are the format's. */
static inline uint16_t double_to_16(double x, int precision, int exponent_bits) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    uint16_t sign = (uint16_t)(bits >> 48 & 0x8000u);
    int bias = (1 << (exponent_bits - 1)) - 1, top = (1 << exponent_bits) - 1;
    int exponent = (int)(bits >> 52 & 0x7ff);
    uint64_t mantissa = bits & 0xfffffffffffffull;
    if (exponent == 0x7ff) return (uint16_t)(sign | top << precision | (mantissa ? 1 << (precision - 1) : 0));
    if (exponent == 0) return sign; /* below half of the smallest subnormal of either format */
    int field = exponent - 1023 + bias, shift = 52 - precision;
    mantissa |= 1ull << 52;
    if (field <= 0) {
        shift += 1 - field;
        field = 0;
        if (shift > 54) return sign;
    }
    uint64_t kept = mantissa >> shift, rest = mantissa & ((1ull << shift) - 1), half = 1ull << (shift - 1);
    kept += rest > half || (rest == half && (kept & 1));
    /* The implicit bit adds 1 to the field of a normal number; a carry out of the mantissa does the same. */
    uint64_t result = (field ? (uint64_t)(field - 1) << precision : 0) + kept;
    if (result >= (uint64_t)top << precision) result = (uint64_t)top << precision;
    return (uint16_t)(sign | result);
}

/* X(dtype, type) */
#define LOSSFN__INTEGER_TYPES(X)                                                                                       \
    X(LOSSFN_I8, int8_t)                                                                                               \
    X(LOSSFN_I16, int16_t)                                                                                             \
    X(LOSSFN_I32, int32_t)                                                                                             \
    X(LOSSFN_I64, int64_t)                                                                                             \
    X(LOSSFN_U8, uint8_t)                                                                                              \
    X(LOSSFN_U16, uint16_t)                                                                                            \
    X(LOSSFN_U32, uint32_t)                                                                                            \
    X(LOSSFN_U64, uint64_t)

#endif
