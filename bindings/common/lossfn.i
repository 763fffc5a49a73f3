/* SPDX-License-Identifier: MIT
 * What the SWIG interfaces of all languages share. A language's own .i does, in this order:
 *
 *     %module ...
 *     its typemaps (status -> error, handles out, lossfn_args_t ...)
 *     %include "lossfn.i"                (swig -I<here> -I<include>)
 *
 * Names lose their prefix: lossfn_create is `create`, LOSSFN_F32 is `F32`, struct lossfn_info is `info`. */

%runtime %{ /* ahead of what a language adds, which calls these */
#include <stdlib.h>
#include <lossfn/extend.h>

/* How many numbers lossfn_init_score gives: one, or one for each class of a loss over rows. */
static int64_t score_count(const lossfn_t *loss, const lossfn_tensor_t *pred) {
    double axis = -1;
    if (!pred || lossfn_unit(loss) != LOSSFN_UNIT_ROW) return 1;
    lossfn_get_double(loss, "axis", &axis);
    if (axis < 0) axis += pred->ndim;
    return axis >= 0 && axis < pred->ndim ? pred->shape[(int)axis] : 1;
}
%}

%include <stdint.i>

%rename("%(regex:/^(?:lossfn|LOSSFN)_(.*)/\\1/)s") "";

/* Each language fills lossfn_args_t and lossfn_vtable_t itself, in one place; what takes structs apart, function
 * pointers, raw addresses or the caller's memory has no use there. */
%ignore LOSSFN_API;
%ignore LOSSFN_STATUS_TABLE;
%ignore lossfn_tensor;
%ignore lossfn_tensor_init;
%ignore lossfn_tensor_init_const;
%ignore lossfn_tensor_init_strided;
%ignore lossfn_args;
%ignore lossfn_args_init;
%ignore lossfn_exec;
%ignore lossfn_exec_init;
%ignore lossfn_scratch_size;
%ignore lossfn_values_shape;
%ignore lossfn_create_msg;
%ignore lossfn_retain;
%ignore lossfn_destroy;
%ignore lossfn_options_destroy;
%ignore lossfn_accumulator_destroy;
%ignore lossfn_forward;
%ignore lossfn_backward;
%ignore lossfn_forward_backward;
%ignore lossfn_run_f32;
%ignore lossfn_run_f64;
%ignore lossfn_rho;
%ignore lossfn_rho_batch;
%ignore lossfn_rho_compose;
%ignore lossfn_irls_weight;
%ignore lossfn_link_apply;
%ignore lossfn_link_invert;
%ignore lossfn_init_score;
%ignore lossfn_allocator;
%ignore lossfn_set_allocator;
%ignore lossfn_block;
%ignore lossfn_vtable;
%ignore lossfn_vtable_init;
%ignore lossfn_call_fail;
%ignore lossfn_register;
%ignore lossfn_create_custom;

/* Handles: opaque to the language, destroyed with the object that owns them. */
%nodefaultctor lossfn_loss;
%nodefaultctor lossfn_options;
%nodefaultctor lossfn_accumulator;
struct lossfn_loss {};
struct lossfn_options {};
struct lossfn_accumulator {};
%extend lossfn_loss {
    ~lossfn_loss() { lossfn_destroy($self); }
}
%extend lossfn_options {
    ~lossfn_options() { lossfn_options_destroy($self); }
}
%extend lossfn_accumulator {
    ~lossfn_accumulator() { lossfn_accumulator_destroy($self); }
}

/* Structs that the library fills: made with their size set, read-only but for that. */
%define LOSSFN_RESULT_STRUCT(tag)
%extend tag {
    tag() {
        struct tag *made = calloc(1, sizeof *made);
        if (made) made->struct_size = sizeof *made;
        return made;
    }
    ~tag() { free($self); }
}
%enddef
LOSSFN_RESULT_STRUCT(lossfn_info)
LOSSFN_RESULT_STRUCT(lossfn_input_info)
LOSSFN_RESULT_STRUCT(lossfn_param_info)
LOSSFN_RESULT_STRUCT(lossfn_recommendation)
LOSSFN_RESULT_STRUCT(lossfn_gradient_report)

%immutable;
%include <lossfn/version.h>
%include <lossfn/lossfn.h>
%include <lossfn/extend.h>
%mutable;
