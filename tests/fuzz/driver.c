/* SPDX-License-Identifier: MIT
 * Runs a fuzz target without libFuzzer: every file of its corpus, then inputs made from a fixed seed, random ones and
 * mutants of the corpus.
 *
 *     fuzz_spec RUNS FOLDER_OR_FILE ... [bits]
 *
 * LOSSFN_TEST_BUDGET multiplies RUNS, LOSSFN_FUZZ_SEED chooses other inputs. With `bits`, last, it prints a digest of
 * what was computed after every sixteenth of the runs. An input that fails is printed in hexadecimal digits; `xxd -r
 * -p` makes a file of it, which this program and libFuzzer take. */
#define _DEFAULT_SOURCE /* opendir, sigaction */
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

enum { MOST = 1024 }; /* bytes of an input that is made */

typedef struct {
    uint8_t *data;
    size_t size;
} input_t;

static input_t *corpus;
static size_t corpus_count;
static const uint8_t *running;
static size_t running_size;

static void add(const char *path) {
    FILE *file = fopen(path, "rb");
    CHECK(file, "%s cannot be opened", path);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    corpus = realloc(corpus, (corpus_count + 1) * sizeof *corpus);
    corpus[corpus_count] = (input_t){exact_room(size), size};
    CHECK(fread(corpus[corpus_count++].data, 1, size, file) == size, "%s cannot be read", path);
    fclose(file);
}

static int is_visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

/* The files of a folder in the order of their names, or one file. */
static void add_all(const char *path) {
    struct dirent **entries;
    int n = scandir(path, &entries, is_visible, alphasort);
    if (n < 0) add(path);
    for (int i = 0; i < n; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        add(name);
        free(entries[i]);
    }
    if (n >= 0) free(entries);
}

/* Only what a signal handler may call. */
static void print_input(void) {
    static const char digits[] = "0123456789abcdef", begin[] = "the input that failed:\n";
    char line[64];
    ssize_t done = write(2, begin, sizeof begin - 1);
    for (size_t i = 0; i < running_size; i += 32) {
        size_t n = 0;
        for (size_t j = i; j < running_size && j < i + 32; j++) {
            line[n++] = digits[running[j] >> 4];
            line[n++] = digits[running[j] & 15];
        }
        done += write(2, line, n) + write(2, "\n", 1);
    }
    if (done < 0) _exit(1);
}

static void on_signal(int number) {
    print_input();
    signal(number, SIG_DFL);
    raise(number);
}

/* There when a sanitizer is linked in, which may end the program without a signal. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

/* From an exact allocation, so that a target that reads beyond its input is found as well. */
static void run(const uint8_t *data, size_t size) {
    uint8_t *copy = exact_copy(data, size);
    running = copy;
    running_size = size;
    LLVMFuzzerTestOneInput(copy, size);
    running_size = 0;
    free(copy);
}

static void mutate(uint8_t *data, size_t *size, uint64_t *state) {
    size_t at = *size ? next_random(state) % *size : 0, left = *size - at;
    size_t n = left ? 1 + next_random(state) % (left < 16 ? left : 16) : 0;
    switch (next_random(state) % 7) {
    case 0: /* a bit */
        if (*size) data[at] ^= (uint8_t)(1u << next_random(state) % 8);
        break;
    case 1: /* a byte */
    case 2:
        if (*size) data[at] = (uint8_t)next_random(state);
        break;
    case 3: /* a byte more */
        if (*size < MOST) {
            memmove(data + at + 1, data + at, left);
            data[at] = (uint8_t)next_random(state);
            ++*size;
        }
        break;
    case 4: /* a piece less */
        memmove(data + at, data + at + n, left - n);
        *size -= n;
        break;
    case 5: { /* a piece copied to another place */
        if (*size) memmove(data + next_random(state) % (*size - n + 1), data + at, n);
        break;
    }
    default: { /* a piece of another input */
        const input_t *other = &corpus[next_random(state) % corpus_count];
        size_t from = other->size ? next_random(state) % other->size : 0, m = other->size - from;
        if (m > MOST - at) m = MOST - at;
        if (m) memcpy(data + at, other->data + from, m);
        if (at + m > *size) *size = at + m;
    }
    }
}

static void make(uint8_t data[MOST], size_t *size, uint64_t *state) {
    if (corpus_count == 0 || next_random(state) % 2) {
        *size = next_random(state) % (next_random(state) % 4 ? 96 : MOST);
        for (size_t i = 0; i < *size; i++) data[i] = (uint8_t)next_random(state);
        return;
    }
    const input_t *input = &corpus[next_random(state) % corpus_count];
    *size = input->size < MOST ? input->size : MOST;
    if (*size) memcpy(data, input->data, *size);
    for (uint64_t n = 1 + next_random(state) % 5; n > 0; n--) mutate(data, size, state);
}

int main(int argc, char **argv) {
    static uint8_t data[MOST];
    const char *seed = getenv("LOSSFN_FUZZ_SEED"), *budget = getenv("LOSSFN_TEST_BUDGET");
    const int bits = argc > 1 && strcmp(argv[argc - 1], "bits") == 0;
    if (argc - bits < 2) return fprintf(stderr, "usage: %s RUNS FOLDER_OR_FILE ... [bits]\n", argv[0]), 2;
    const double factor = budget ? atof(budget) : 1;
    const uint64_t runs = (uint64_t)((double)strtoull(argv[1], NULL, 10) * (factor > 0 ? factor : 1));
    uint64_t state = seed ? strtoull(seed, NULL, 10) : 1;
    for (int i = 2; i < argc - bits; i++) add_all(argv[i]);
    signal(SIGABRT, on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(print_input);
    else
        signal(SIGSEGV, on_signal), signal(SIGBUS, on_signal), signal(SIGFPE, on_signal), signal(SIGILL, on_signal);
    for (size_t i = 0; i < corpus_count; i++) run(corpus[i].data, corpus[i].size);
    if (bits) printf("corpus %016llx\n", (unsigned long long)fuzz_digest);
    for (uint64_t i = 0; i < runs; i++) {
        size_t size;
        make(data, &size, &state);
        run(data, size);
        if (bits && (i + 1) % (runs / 16 + 1) == 0)
            printf("%llu %016llx\n", (unsigned long long)(i + 1), (unsigned long long)fuzz_digest);
    }
    const char *records = getenv("LOSSFN_RECORDS"), *name = strrchr(argv[0], '/');
    if (records && *records) { /* for docs/reliability.md */
        char path[4096];
        snprintf(path, sizeof path, "%s/fuzz", records);
        mkdir(path, 0777);
        snprintf(path, sizeof path, "%s/fuzz/%s.json", records, name ? name + 1 : argv[0]);
        FILE *file = fopen(path, "w");
        CHECK(file, "%s cannot be opened", path);
        fprintf(file, "{\"files\": %zu, \"made\": %llu}\n", corpus_count, (unsigned long long)runs);
        fclose(file);
    }
    printf("%zu files, %llu inputs made, digest %016llx\n", corpus_count, (unsigned long long)runs,
           (unsigned long long)fuzz_digest);
    for (size_t i = 0; i < corpus_count; i++) free(corpus[i].data);
    free(corpus);
    return 0;
}
