/* SPDX-License-Identifier: MIT
 *
 * Robust linear regression: regression DATA.csv SPEC, as in `regression engel.csv "huber(delta=0.5)"`.
 *
 * DATA.csv has a line of names, then numbers; the last column is the target. Columns are standardised, 200 steps of
 * gradient descent fit the rest, and what is printed is in the units of the file. docs/examples/lua and
 * docs/examples/python hold the same program; all three print the same digits. */
#include <lossfn/lossfn.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 200, MAX_COLUMNS = 256 };
static const double rate = 0.1;

static void die(const char *what, const char *why) {
    fprintf(stderr, "regression: %s: %s\n", what, why);
    exit(1);
}

static void *allocate(size_t size) {
    void *memory = malloc(size ? size : 1);
    if (!memory) die("memory", "there is none left");
    return memory;
}

typedef struct {
    char names[MAX_COLUMNS][64];
    int columns;
    int64_t rows;
    double *cells; /* row by row */
} table_t;

static table_t read_table(const char *path) {
    static char line[65536];
    table_t t = {{""}, 0, 0, NULL};
    int64_t room = 0;
    FILE *file = fopen(path, "r");
    if (!file || !fgets(line, sizeof line, file)) die(path, "can't be read");
    for (char *name = strtok(line, ",\r\n"); name && t.columns < MAX_COLUMNS; name = strtok(NULL, ",\r\n"))
        snprintf(t.names[t.columns++], sizeof t.names[0], "%s", name);
    while (fgets(line, sizeof line, file)) {
        if (t.rows == room) {
            room = room ? 2 * room : 256;
            t.cells = realloc(t.cells, sizeof(double) * (size_t)(room * t.columns));
            if (!t.cells) die("memory", "there is none left");
        }
        char *at = line;
        for (int c = 0; c < t.columns; c++, at++) {
            char *number = at;
            t.cells[t.rows * t.columns + c] = strtod(number, &at);
            if (at == number) die(path, "a row has too few numbers");
        }
        t.rows++;
    }
    fclose(file);
    if (t.columns < 2 || t.rows == 0) die(path, "needs two columns and a row of numbers");
    return t;
}

/* Takes the mean from every column and divides it by its standard deviation. */
static void standardise(table_t *t, double *mean, double *deviation) {
    for (int c = 0; c < t->columns; c++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < t->rows; i++) sum += t->cells[i * t->columns + c];
        mean[c] = sum / (double)t->rows;
        for (int64_t i = 0; i < t->rows; i++) {
            double d = t->cells[i * t->columns + c] - mean[c];
            squares += d * d;
        }
        deviation[c] = sqrt(squares / (double)t->rows);
        if (deviation[c] == 0) deviation[c] = 1;
        for (int64_t i = 0; i < t->rows; i++)
            t->cells[i * t->columns + c] = (t->cells[i * t->columns + c] - mean[c]) / deviation[c];
    }
}

static void predict(const table_t *t, const double *w, double *pred) {
    for (int64_t i = 0; i < t->rows; i++) {
        double sum = w[0];
        for (int c = 0; c < t->columns - 1; c++) sum += w[c + 1] * t->cells[i * t->columns + c];
        pred[i] = sum;
    }
}

int main(int argc, char **argv) {
    if (argc != 3) die("usage", "regression DATA.csv SPEC");
    table_t t = read_table(argv[1]);
    int features = t.columns - 1;
    double mean[MAX_COLUMNS], deviation[MAX_COLUMNS], w[MAX_COLUMNS] = {0}, value;
    standardise(&t, mean, deviation);

    lossfn_t *loss;
    if (lossfn_create(&loss, argv[2]) != LOSSFN_OK) die(argv[2], lossfn_last_error());

    /* The prediction and its gradient are arrays of ours; the target is the table's last column, where it lies. */
    double *pred = allocate(sizeof(double) * (size_t)t.rows), *grad = allocate(sizeof(double) * (size_t)t.rows);
    int64_t stride = t.columns;
    lossfn_tensor_t pred_tensor, target_tensor, grad_tensor;
    lossfn_tensor_init_const(&pred_tensor, pred, LOSSFN_F64, 1, &t.rows);
    lossfn_tensor_init_strided(&target_tensor, t.cells + features, LOSSFN_F64, 1, &t.rows, &stride,
                               LOSSFN_TENSOR_READONLY);
    lossfn_tensor_init(&grad_tensor, grad, LOSSFN_F64, 1, &t.rows);

    for (int step = 0; step < STEPS; step++) {
        predict(&t, w, pred);
        if (lossfn_forward_backward(loss, &pred_tensor, &target_tensor, NULL, &value, &grad_tensor, NULL) != LOSSFN_OK)
            die(argv[2], lossfn_last_error());
        double sum = 0;
        for (int64_t i = 0; i < t.rows; i++) sum += grad[i];
        w[0] -= rate * sum;
        for (int c = 0; c < features; c++) {
            sum = 0;
            for (int64_t i = 0; i < t.rows; i++) sum += grad[i] * t.cells[i * t.columns + c];
            w[c + 1] -= rate * sum;
        }
    }
    predict(&t, w, pred);
    if (lossfn_forward(loss, &pred_tensor, &target_tensor, NULL, &value, NULL) != LOSSFN_OK)
        die(argv[2], lossfn_last_error());

    double intercept = w[0];
    for (int c = 0; c < features; c++) intercept -= w[c + 1] * mean[c] / deviation[c];
    printf("intercept %.17g\n", mean[features] + intercept * deviation[features]);
    for (int c = 0; c < features; c++) printf("%s %.17g\n", t.names[c], w[c + 1] * deviation[features] / deviation[c]);
    printf("loss %.17g\n", value);

    lossfn_destroy(loss);
    free(pred);
    free(grad);
    free(t.cells);
    return 0;
}
