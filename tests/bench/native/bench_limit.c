/* SPDX-License-Identifier: MIT
 * Every loss of the catalogue beside bare kernels that move the same bytes, on one thread, and beside itself in the
 * first cache, where only arithmetic binds: bench_limit [elements] [turns] [part of a loss's name] [only this dtype]
 * Inputs come from what a loss says of them; nothing here names a loss. */
#include "common.h"
#include "stream.h"

enum { MOST_INPUTS = 8, ROW = 1024, PATTERN = 1 << 14, NEAR = 4 * ROW, NEAR_CALLS = 64, SLOW = 1 << 20 };

typedef struct dtype {
    const char *name;
    int32_t code;
    size_t size;
} dtype_t;

static const dtype_t DTYPES[] = {
    {"f32", LOSSFN_F32, 4}, {"f64", LOSSFN_F64, 8}, {"bf16", LOSSFN_BF16, 2}, {"f16", LOSSFN_F16, 2}};

/* A call of a loss, and the streams that it cannot do without. Labels, eight bytes per row, are not counted. */
typedef struct problem {
    lossfn_t *loss;
    const dtype_t *dtype;
    int64_t n, shape[2];
    int ndim;
    lossfn_args_t args;
    lossfn_tensor_t inputs[MOST_INPUTS], grads[MOST_INPUTS], hess;
    double value;
    streams_t streams;
    lossfn_exec_t exec;
    int has_hess, gradients; /* of streams.out; the Hessian's comes after them */
    void *memory[2 * MOST_INPUTS + 2];
    int blocks, inside; /* inside: numbers that any loss takes */
    uint64_t random;
} problem_t;

static void *block(problem_t *p, size_t bytes) { return p->memory[p->blocks++] = allocate(bytes); }

/* A number as it may stand on this scale. A prediction of probability lies inside (0, 1), a target is an outcome. */
static float on_scale(int32_t scale, int is_target, int is_row, float uniform) {
    switch (scale) {
    case LOSSFN_SCALE_PROBABILITY:
        if (is_row) return (0.5F + uniform) / ROW; /* rows add up to about 1, which is enough for timing */
        return is_target ? (float)(uniform > 0.5F) : 0.01F + 0.98F * uniform;
    case LOSSFN_SCALE_LABEL:
        return (float)(int)(uniform * ROW);
    case LOSSFN_SCALE_LOG_PROBABILITY:
        return -5 * uniform - 0.01F;
    case LOSSFN_SCALE_MARGIN_LABEL:
        return uniform > 0.5F ? 1.0F : -1.0F;
    case LOSSFN_SCALE_POSITIVE:
        return 0.5F + uniform;
    case LOSSFN_SCALE_COUNT:
        return (float)(int)(5 * uniform);
    default:
        return 6 * uniform - 3;
    }
}

/* The same for a loss that is defined on a part of its scales: not negative, an outcome or a share as it may be, and
 * later inputs greater than earlier ones. */
static float inside(int32_t scale, int input, int is_row, float uniform) {
    if (scale == LOSSFN_SCALE_PROBABILITY) return is_row ? (float)(uniform > 0.5F) : 0.01F + 0.98F * uniform;
    if (scale == LOSSFN_SCALE_POSITIVE) return (float)input + 0.5F + uniform;
    return fabsf(on_scale(scale, 0, is_row, uniform));
}

/* To half precision; what is not normal there becomes 0. */
static uint16_t to_f16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits & 0x7FFFFFFF) < 113U << 23) return 0;
    return (uint16_t)((bits >> 16 & 0x8000) | ((bits & 0x7FFFFFFF) + 0x1000 - (112U << 23)) >> 13);
}

static void put(void *to, const dtype_t *dtype, float x) {
    uint32_t bits;
    uint16_t half;
    double wide = x;
    memcpy(&bits, &x, 4);
    half = dtype->code == LOSSFN_F16 ? to_f16(x) : (uint16_t)(bits >> 16);
    memcpy(to, dtype->size == 8 ? (void *)&wide : dtype->size == 4 ? (void *)&x : (void *)&half, dtype->size);
}

/* Pieces of a short pattern in random order, which is made quickly and has nothing that repeats. */
static char *make_input(problem_t *p, const lossfn_input_info_t *input) {
    static char pattern[PATTERN * 8];
    size_t size = p->dtype->size;
    char *data = block(p, (size_t)p->n * size);
    int is_target = strcmp(input->name, "target") == 0;
    for (int i = 0; i < PATTERN; i++) {
        float uniform = (float)(random_bits(&p->random) >> 8) * 0x1p-24F;
        float x = on_scale(input->scale, is_target, p->ndim == 2, uniform);
        if (p->inside) x = inside(input->scale, p->args.n_inputs, p->ndim == 2, uniform);
        put(pattern + (size_t)i * size, p->dtype, x);
    }
    for (int64_t i = 0; i < p->n; i += 4)
        memcpy(data + (size_t)i * size, pattern + random_bits(&p->random) % (PATTERN / 4) * 4 * size, 4 * size);
    return data;
}

static const int64_t *make_labels(problem_t *p) {
    int64_t *labels = block(p, (size_t)p->shape[0] * sizeof *labels);
    for (int64_t i = 0; i < p->shape[0]; i++) labels[i] = random_bits(&p->random) % ROW;
    return labels;
}

static void add_input(problem_t *p, const lossfn_input_info_t *input) {
    int i = p->args.n_inputs++;
    if (input->scale == LOSSFN_SCALE_LABEL)
        require(lossfn_tensor_init_const(&p->inputs[i], make_labels(p), LOSSFN_I64, 1, p->shape));
    else {
        char *data = make_input(p, input);
        if (!input->per_row) p->streams.in[p->streams.reads++] = data;
        require(lossfn_tensor_init_const(&p->inputs[i], data, p->dtype->code, input->per_row ? 1 : p->ndim, p->shape));
    }
    p->args.inputs[i] = &p->inputs[i];
    if (input->differentiable && strcmp(input->name, "target") != 0) {
        char *data = block(p, p->streams.bytes);
        p->streams.out[p->gradients++] = data;
        require(lossfn_tensor_init(&p->grads[i], data, p->dtype->code, p->ndim, p->shape));
    }
}

enum { VALUE, VALUE_GRAD, VALUE_GRAD_HESS, WANTS };

static void ask_for(problem_t *p, int want) {
    p->streams.writes = (want >= VALUE_GRAD ? p->gradients : 0) + (want == VALUE_GRAD_HESS);
    for (int i = 0; i < p->args.n_inputs; i++)
        p->args.grads[i] = want >= VALUE_GRAD && p->grads[i].data ? &p->grads[i] : NULL;
    p->args.hess = want == VALUE_GRAD_HESS ? &p->hess : NULL;
}

static void set_up(problem_t *p, const char *name, const dtype_t *dtype, int64_t n, int is_inside) {
    lossfn_info_t info = {.struct_size = sizeof info};
    memset(p, 0, sizeof *p);
    p->inside = is_inside;
    p->random = 88172645463325252U;
    p->dtype = dtype;
    p->n = n;
    p->streams.bytes = (size_t)n * dtype->size;
    require(lossfn_create(&p->loss, name));
    require(lossfn_describe(name, &info));
    p->ndim = info.unit == LOSSFN_UNIT_ROW ? 2 : 1;
    p->shape[0] = p->ndim == 2 ? n / ROW : n;
    p->shape[1] = ROW;
    lossfn_args_init(&p->args);
    p->args.value = &p->value;
    for (int i = 0; i < info.n_inputs && i < MOST_INPUTS; i++) {
        lossfn_input_info_t input = {.struct_size = sizeof input};
        require(lossfn_describe_input(name, i, &input));
        if (!input.learnable) add_input(p, &input);
    }
    p->has_hess = info.hess_kinds != 0;
    p->streams.out[p->gradients] = block(p, p->streams.bytes);
    require(lossfn_tensor_init(&p->hess, p->streams.out[p->gradients], dtype->code, p->ndim, p->shape));
    ask_for(p, p->has_hess ? VALUE_GRAD_HESS : VALUE_GRAD);
    lossfn_exec_init(&p->exec);
    p->exec.scratch_size = lossfn_scratch_size(p->loss, &p->args);
    p->exec.scratch = block(p, (size_t)p->exec.scratch_size);
    p->args.exec = &p->exec;
}

static void tear_down(problem_t *p) {
    while (p->blocks) free(p->memory[--p->blocks]);
    lossfn_destroy(p->loss);
}

static void call(void *context) {
    problem_t *p = context;
    require(lossfn_run(p->loss, &p->args));
}

static void call_near(void *context) {
    for (int i = 0; i < NEAR_CALLS; i++) call(context);
}

static void measure(problem_t *p, problem_t *near, int want, int turns) {
    static const char *const names[] = {"value", "value_grad", "value_grad_hess"};
    contestant_t who[] = {{"lossfn", call, p},
                          {"in_cache", call_near, near},
                          {"stream", stream_kernel(0), &p->streams},
                          {"stream_nt", stream_kernel(1), &p->streams}};
    ask_for(p, want), ask_for(near, want);
    printf("{\"program\": \"limit\", \"loss\": \"%s\", \"dtype\": \"%s\", \"want\": \"%s\", \"elements\": %lld, "
           "\"reads\": %d, \"writes\": %d, \"elements_in_cache\": %d, ",
           lossfn_name(p->loss), p->dtype->name, names[want], (long long)p->n, p->streams.reads, p->streams.writes,
           NEAR * NEAR_CALLS);
    take_turns(who, who[3].call && p->streams.writes ? 4 : 3, turns, 1);
    printf("}\n");
    fflush(stdout);
}

/* What lies outside the domain is NaN, and takes longer. */
static int is_outside(problem_t *near) {
    call(near);
    return (near->args.notes & LOSSFN_NOTE_DOMAIN) != 0;
}

/* More than 10 ns per element: no memory binds it, and fewer elements do. */
static int takes_long(problem_t *near) {
    const double start = (call(near), now());
    call(near);
    return now() - start > NEAR * 10e-9;
}

int main(int argc, char **argv) {
    static problem_t p, near;
    int64_t n = argument(argc, argv, 1, 1 << 24), turns = argument(argc, argv, 2, 7);
    const char *only = argc > 3 ? argv[3] : "", *dtype = argc > 4 ? argv[4] : "";
    if (turns > MOST_TURNS) turns = MOST_TURNS;
    for (int32_t i = 0; i < lossfn_count(); i++)
        for (size_t d = 0; d < sizeof DTYPES / sizeof *DTYPES; d++) {
            if (!strstr(lossfn_name_at(i), only) || (*dtype && strcmp(DTYPES[d].name, dtype) != 0)) continue;
            set_up(&near, lossfn_name_at(i), &DTYPES[d], NEAR, 0);
            if (is_outside(&near)) {
                tear_down(&near);
                set_up(&near, lossfn_name_at(i), &DTYPES[d], NEAR, 1);
            }
            if (is_outside(&near)) fprintf(stderr, "%s is timed outside its domain\n", lossfn_name_at(i));
            set_up(&p, lossfn_name_at(i), &DTYPES[d], takes_long(&near) && n > SLOW ? SLOW : n / ROW * ROW,
                   near.inside);
            for (int want = VALUE; want < WANTS - !p.has_hess; want++) measure(&p, &near, want, (int)turns);
            tear_down(&p), tear_down(&near);
        }
    return 0;
}
