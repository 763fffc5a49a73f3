/* SPDX-License-Identifier: MIT
 * Tensors that lie the other way round than the walk goes. Part of stage.h, which includes it. */
#ifndef LOSSFN_ENGINE_TRANSPOSE_H
#define LOSSFN_ENGINE_TRANSPOSE_H

/* How many whole rows of the last two axes, up to n elements, begin at a place; 0 inside of a row. */
static inline int64_t rows_from(const place_t *p, const lossfn__view_t *view, int64_t n) {
    const int32_t last = view->ndim - 1;
    const int64_t rows = view->shape[last - 1] - p->index[last - 1], some = n / view->shape[last];
    if (p->index[last] != 0) return 0;
    return some < rows ? some : rows;
}

enum { TURNED_ROWS = 64 };

/* Rows of `cols` elements, made from columns `apart` elements apart, each side by side. */
static void turn_in(REAL *to, const lossfn__view_t *view, const char *from, int64_t rows, int64_t cols) {
    const int64_t apart = view->strides[view->ndim - 1] * view->item;
    for (int64_t first = 0; first < cols; first += LANES) {
        REAL columns[LANES][TURNED_ROWS];
        const int64_t width = cols - first < LANES ? cols - first : LANES;
        for (int64_t c = 0; c < width; c++) load_run(columns[c], from + (first + c) * apart, view->dtype, 1, rows);
        for (int64_t row = 0; row < rows; row += LANES) {
            REAL *at = to + row * cols + first, tile[LANES][LANES];
            if (width == LANES && row + LANES <= rows) {
                v_turn(at, cols, columns[0] + row, TURNED_ROWS, LANES);
                continue;
            }
            v_turn(tile[0], LANES, columns[0] + row, TURNED_ROWS, width);
            /* rows of one vector or less may spill into the next row */
            for (int64_t l = 0; l < LANES && row + l < rows; l++)
                store_some(at + l * cols, 0, cols <= LANES ? (rows - row - l) * cols : width, v_load(tile[l]));
        }
    }
}

static void turn_out(const lossfn__view_t *view, char *to, const REAL *from, int64_t rows, int64_t cols) {
    const int64_t apart = view->strides[view->ndim - 1] * view->item;
    for (int64_t first = 0; first < cols; first += LANES) {
        REAL columns[LANES][TURNED_ROWS];
        const int64_t width = cols - first < LANES ? cols - first : LANES;
        for (int64_t row = 0; row < rows; row += LANES) {
            const REAL *at = from + row * cols + first;
            REAL tile[LANES][LANES];
            if (width == LANES && row + LANES <= rows) {
                v_turn(columns[0] + row, TURNED_ROWS, at, cols, LANES);
                continue;
            }
            for (int64_t l = 0; l < LANES; l++)
                v_store(tile[l], row + l < rows ? load_some(at + l * cols, 0, width, 0) : v_set(0));
            v_turn(columns[0] + row, TURNED_ROWS, tile[0], LANES, LANES);
        }
        for (int64_t c = 0; c < width; c++) store_run(to + (first + c) * apart, view->dtype, 1, columns[c], rows);
    }
}

/* Walks the elements [begin, begin + n) of a turned view by rectangles of whole rows, or parts of a row. */
#define FOR_RECTANGLES(view, begin, n, p, done, rows, count)                                                           \
    for (int64_t done = 0, count, rows; done < (n) && rectangle_at(view, (begin) + done, (n)-done, &p, &rows, &count); \
         done += count)

static inline int rectangle_at(const lossfn__view_t *view, int64_t i, int64_t left, place_t *p, int64_t *rows,
                               int64_t *count) {
    find_place(p, view, i);
    *rows = rows_from(p, view, left);
    if (*rows > TURNED_ROWS) *rows = TURNED_ROWS;
    *count = *rows ? *rows * view->shape[view->ndim - 1] : p->left < left ? p->left : left;
    return 1;
}

static void gather_turned(REAL *to, const lossfn__view_t *view, int64_t begin, int64_t n) {
    const int64_t cols = view->shape[view->ndim - 1], step = view->strides[view->ndim - 1];
    place_t p;
    FOR_RECTANGLES(view, begin, n, p, done, rows, count) {
        const char *from = view->data + p.offset * view->item;
        if (rows)
            turn_in(to + done, view, from, rows, cols);
        else
            load_run(to + done, from, view->dtype, step, count);
    }
}

static void scatter_turned(const lossfn__view_t *view, int64_t begin, const REAL *from, int64_t n) {
    const int64_t cols = view->shape[view->ndim - 1], step = view->strides[view->ndim - 1];
    place_t p;
    FOR_RECTANGLES(view, begin, n, p, done, rows, count) {
        char *to = view->data + p.offset * view->item;
        if (rows)
            turn_out(view, to, from + done, rows, cols);
        else
            store_run(to, view->dtype, step, from + done, count);
    }
}

#endif
