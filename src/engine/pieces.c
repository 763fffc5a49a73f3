/* SPDX-License-Identifier: MIT
 * Parts of a plan, and the order in which its elements are walked. */
#include <string.h>
#include "engine/plan.h"

enum { MAX_LAID = 2 * LOSSFN_MAX_INPUTS + 7 };

/* How a tensor lies, and its view. */
typedef struct {
    const lossfn__layout_t *layout;
    lossfn__view_t *view;
} laid_t;

/* All tensors that a plan walks. */
static int all_laid(laid_t *all, lossfn__plan_t *plan) {
    int n = 0;
    for (int32_t j = 0; j < plan->n_inputs; j++) {
        if (!plan->is_constant[j]) all[n++] = (laid_t){&plan->input_layouts[j], &plan->inputs[j]};
        if (plan->has_grad[j]) all[n++] = (laid_t){&plan->grad_layouts[j], &plan->grads[j]};
    }
    if (plan->has_weight) all[n++] = (laid_t){&plan->weight_layout, &plan->weight};
    if (plan->has_mask) all[n++] = (laid_t){&plan->mask_layout, &plan->mask};
    if (plan->has_upstream) all[n++] = (laid_t){&plan->upstream_layout, &plan->upstream};
    if (plan->has_values) all[n++] = (laid_t){&plan->values_layout, &plan->values};
    if (plan->has_hess) all[n++] = (laid_t){&plan->hess_layout, &plan->hess};
    if (plan->has_hvp) all[n++] = (laid_t){&plan->hvp_vector_layout, &plan->hvp_vector};
    if (plan->has_hvp) all[n++] = (laid_t){&plan->hvp_layout, &plan->hvp};
    return n;
}

/* ---- The order of the walk --------------------------------------------------------------------------------------- */

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

/* Whether all tensors step farther along axis b than along a, those aside that repeat along one. */
static int is_farther(const laid_t *all, int n, int32_t b, int32_t a) {
    int farther = 0;
    for (int i = 0; i < n; i++) {
        const int64_t one = magnitude(all[i].layout->strides[a]), other = magnitude(all[i].layout->strides[b]);
        if (one == 0 || other == 0) continue;
        if (other <= one) return 0;
        farther = 1;
    }
    return farther;
}

/* An axis along which some tensor's elements lie side by side, while along the last they do not; or -1. */
static int32_t turned_axis(const laid_t *all, int n, const lossfn__order_t *order) {
    for (int i = 0; i < n; i++) {
        const int64_t *strides = all[i].layout->strides;
        const int64_t last = strides[order->axis[order->n - 1]];
        for (int32_t d = 0; last != 0 && last != 1 && d < order->n - 1; d++)
            if (strides[order->axis[d]] == 1) return d;
    }
    return -1;
}

static void move_axis(lossfn__order_t *order, int32_t from, int32_t to) {
    const int32_t axis = order->axis[from];
    for (; from < to; from++) order->axis[from] = order->axis[from + 1];
    for (; from > to; from--) order->axis[from] = order->axis[from - 1];
    order->axis[to] = axis;
}

/* Tiles: about TILE elements, whole rows if these are short, and a few lines of either tensor. */
static void choose_tiles(lossfn__order_t *order, const int64_t *shape) {
    enum { TILE = 2048, WIDTH = 64, WHOLE = 128, LEAST = 16 };
    const int64_t cols = shape[order->axis[order->n - 1]], rows = shape[order->axis[order->n - 2]];
    order->tile_cols = cols <= WHOLE ? cols : WIDTH;
    order->tile_rows = TILE / order->tile_cols / LEAST * LEAST;
    if (order->tile_rows > rows) order->tile_rows = rows;
}

void lossfn__plan_order(lossfn__plan_t *plan) {
    laid_t all[MAX_LAID];
    lossfn__order_t order = {.n = 0};
    int turned = 0;
    plan->order.n = 0;
    /* Row by row there is an order already; where an output lies on an input, it may destroy what tells which fault is
     * the first. */
    if (plan->unit != LOSSFN_UNIT_ELEMENT || plan->reduction == LOSSFN__PER_ROW ||
        plan->reduction == LOSSFN__MEAN_ROWS || plan->is_aliased || plan->units == 0)
        return;
    const int n = all_laid(all, plan);
    for (int i = 0; i < n; i++) turned |= all[i].view->ndim > 1;
    if (!turned) return;
    turned = 0;
    for (int32_t d = 0; d < plan->ndim; d++) {
        if (plan->shape[d] == 1) continue;
        int32_t at = order.n;
        while (at > 0 && is_farther(all, n, d, order.axis[at - 1])) at--;
        turned |= at < order.n;
        order.axis[order.n++] = d;
        move_axis(&order, order.n - 1, at);
    }
    if (order.n < 2) return;
    const int32_t across = turned_axis(all, n, &order);
    if (across >= 0 && order.n <= 6) {
        move_axis(&order, across, order.n - 2);
        choose_tiles(&order, plan->shape);
        turned = 1;
    }
    if (turned) plan->order = order;
}

/* An axis of a piece: part of one of the plan's, by steps. */
typedef struct {
    int32_t axis;
    int64_t first, step, count;
} stretch_t;

static void take_stretches(lossfn__plan_t *piece, const stretch_t *stretches, int32_t n) {
    laid_t all[MAX_LAID];
    int64_t shape[8];
    const int tensors = all_laid(all, piece);
    piece->units = 1;
    for (int32_t d = 0; d < n; d++) {
        shape[d] = stretches[d].count;
        piece->units *= shape[d];
    }
    for (int i = 0; i < tensors; i++) {
        lossfn__layout_t part = {all[i].layout->data, all[i].layout->dtype, {0}};
        const int64_t item = lossfn_dtype_size(part.dtype);
        for (int32_t d = 0; d < n; d++) {
            const int64_t stride = all[i].layout->strides[stretches[d].axis];
            part.strides[d] = stride * stretches[d].step;
            part.data += stride * stretches[d].first * item;
        }
        lossfn__make_view(all[i].view, &part, n, shape, -1);
    }
}

/* Cuts an axis into whole tiles, or takes what they leave: how it goes from tile to tile, and within. */
static void cut(stretch_t *outer, stretch_t *inner, int32_t axis, int64_t count, int64_t tile, int rest) {
    const int64_t whole = count / tile * tile;
    *outer = (stretch_t){axis, 0, tile, rest ? 1 : whole / tile};
    *inner = (stretch_t){axis, rest ? whole : 0, 1, rest ? count - whole : tile};
}

int lossfn__plan_piece(lossfn__plan_t *piece, const lossfn__plan_t *plan, int index) {
    const lossfn__order_t *order = &plan->order;
    stretch_t stretches[8];
    int32_t n = 0;
    if (index > (order->tile_cols ? 3 : 0)) return 0;
    memcpy(piece, plan, sizeof *piece);
    piece->order.n = 0;
    for (int32_t d = 0; d < order->n; d++)
        stretches[n++] = (stretch_t){order->axis[d], 0, 1, plan->shape[order->axis[d]]};
    if (order->tile_cols) {
        stretch_t *const last = &stretches[n - 2]; /* rows and columns become: right, down, rows, columns */
        const stretch_t rows = last[0], cols = last[1];
        cut(&last[1], &last[2], rows.axis, rows.count, order->tile_rows, index & 1);
        cut(&last[0], &last[3], cols.axis, cols.count, order->tile_cols, index >> 1);
        piece->tile = last[2].count * last[3].count;
        n += 2;
    }
    take_stretches(piece, stretches, n);
    return 1;
}

/* ---- Parts ------------------------------------------------------------------------------------------------------- */

int64_t lossfn__plan_distinct(lossfn__plan_t *distinct, const lossfn__plan_t *plan) {
    int64_t shape[8], units = 1, repeats = 1;
    if (plan->unit != LOSSFN_UNIT_ELEMENT || plan->counts_rows || plan->loss->nan_policy != LOSSFN__NAN_PROPAGATE)
        return 1;
    for (int32_t k = 0; k < plan->n_parts; k++)
        if (plan->parts[k].margin_labels) return 1;
    for (int32_t d = 0; d < plan->ndim; d++) {
        const int once = (!plan->has_weight || plan->weight_layout.strides[d] == 0) &&
                         (!plan->has_mask || plan->mask_layout.strides[d] == 0);
        shape[d] = once ? 1 : plan->shape[d];
        units *= shape[d];
        if (once) repeats *= plan->shape[d];
    }
    if (repeats <= 1) return 1;
    memcpy(distinct, plan, sizeof *distinct);
    distinct->units = units;
    distinct->span = 1;
    if (plan->has_weight) lossfn__make_view(&distinct->weight, &plan->weight_layout, plan->ndim, shape, -1);
    if (plan->has_mask) lossfn__make_view(&distinct->mask, &plan->mask_layout, plan->ndim, shape, -1);
    return repeats;
}

int32_t lossfn__plan_slice(lossfn__plan_t *slice, const lossfn__plan_t *plan, int32_t j, int64_t index) {
    const lossfn_tensor_t *grad = plan->collected[j];
    stretch_t stretches[8], columns = {0, 0, 1, 1};
    int32_t n = 0, found = 0;
    memcpy(slice, plan, sizeof *slice);
    slice->has_values = slice->has_hess = slice->has_hvp = 0;
    memset(slice->has_grad, 0, sizeof slice->has_grad);
    for (int32_t d = plan->ndim - 1; d >= 0; d--) {
        stretch_t s = {d, 0, 1, plan->shape[d]};
        if (grad->ndim > 0 && grad->shape[d] > 1) {
            s.first = index % s.count;
            index /= s.count;
            s.count = found || s.count - s.first == 1 ? 1 : s.count - s.first;
            if (s.count > LOSSFN__MAX_SUMS) s.count = LOSSFN__MAX_SUMS;
        }
        if (grad->ndim > 0 && grad->shape[d] > 1 && !found) {
            found = 1;
            columns = s;
        } else {
            stretches[n++] = s;
        }
    }
    for (int32_t i = 0; i < n / 2; i++) { /* by growing axes */
        const stretch_t s = stretches[i];
        stretches[i] = stretches[n - 1 - i];
        stretches[n - 1 - i] = s;
    }
    if (found) stretches[n++] = columns;
    take_stretches(slice, stretches, n);
    slice->span = 1;
    slice->order.n = 0;
    slice->reduction = LOSSFN__NONE;
    slice->has_grad[j] = 1;
    slice->want = LOSSFN__WANT_ALL;
    slice->need_sum = slice->need_total = 0;
    slice->collect = j;
    slice->n_sums = (int32_t)columns.count;
    slice->tile = columns.count;
    return slice->n_sums;
}
