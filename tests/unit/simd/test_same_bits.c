/* The same bits on every instruction set: runs the programs named on the command line with the argument `bits`
 * and compares what they print. Give it the test_math programs of one dtype.
 *
 *     cc -std=c11 -O2 tests/unit/simd/test_same_bits.c -o test_same_bits
 *     ./test_same_bits ./test_math_f32_baseline ./test_math_f32_avx2 ./test_math_f32_avx512 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>

enum { CAPACITY = 1 << 14 };

static int run(const char *program, char text[CAPACITY]) {
    char command[4096];
    int length = snprintf(command, sizeof command, "%s bits", program);
    FILE *pipe = length < (int)sizeof command ? popen(command, "r") : NULL;
    if (!pipe) return -1;
    size_t n = fread(text, 1, CAPACITY - 1, pipe);
    text[n] = 0;
    return pclose(pipe) == 0 && n > 0 ? 0 : -1;
}

int main(int argc, char **argv) {
    static char first[CAPACITY], other[CAPACITY];
    if (argc < 3 || run(argv[1], first)) return fprintf(stderr, "two programs that run are needed\n"), 2;
    int different = 0;
    for (int i = 2; i < argc; i++) {
        if (run(argv[i], other)) return fprintf(stderr, "%s does not run\n", argv[i]), 2;
        if (strcmp(first, other) == 0) continue;
        different = 1;
        printf("%s:\n%s\n%s:\n%s\n", argv[1], first, argv[i], other);
    }
    return different;
}
