/* SPDX-License-Identifier: MIT
 *
 * lossfn for C++11 and newer: the C library with objects that clean up after themselves. Header only; link liblossfn.
 *
 *     #include <lossfn/lossfn.hpp>
 *     #include <cstdio>
 *     #include <vector>
 *
 *     int main() {
 *         std::vector<double> pred = {1, 2, 4}, target = {1, 2, 3}, grad(3);
 *         lossfn::loss huber("huber", lossfn::options().set("delta", 1.5));   // or "huber(delta=1.5)"
 *         double value = huber.value_and_grad(pred, target, grad);            // into grad
 *         auto all = huber.value_grad_hess(pred, target);                     // all.value, all.grad, all.hess
 *         std::printf("%g %g %g\n", value, grad[2], all.hess[2]);
 *
 *         std::vector<float> logits = {1, 2, 3, 3, 2, 1};                     // 2 rows of 3 classes
 *         std::vector<int> labels = {2, 0};
 *         lossfn::loss ce("cross_entropy(label_smoothing=0.1)");
 *         std::printf("%g\n", ce.value(lossfn::shaped(logits, {2, 3}), labels, lossfn::call().threads(2)));
 *
 *         try {
 *             huber.value(pred, labels);
 *         } catch (const lossfn::error &e) { std::puts(e.what()); }           // shapes do not fit, with the numbers
 *
 *         lossfn::status status;                                              // the same without exceptions
 *         huber.value(pred, labels, status);
 *         if (!status) std::puts(status.message().c_str());
 *     }
 *
 * Inputs are anything with data() and size() (std::vector, std::array, std::span), which has one axis, or a view: a
 * pointer with a shape. Nothing is copied: what an input, an output, a view or a call was made from must live until the
 * call has returned. Every function that can fail has two forms: one throws lossfn::error, the other takes a status
 * behind inputs and outputs and returns a default value if it fails. Built with -fno-exceptions only the second is
 * there. Failures to allocate in the C++ standard library (std::bad_alloc) are not turned into a status.
 *
 * What has no function here (components, Hessian-vector products, links, init_score, the caches' flag) is a call of the
 * C library on loss::get(), or loss::run with a request. */
#ifndef LOSSFN_LOSSFN_HPP
#define LOSSFN_LOSSFN_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "extend.h"

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define LOSSFN_HPP_THROWS 1 /* undefined at the end */
#include <exception>
#include <stdexcept>
#else
#define LOSSFN_HPP_THROWS 0
#endif

namespace lossfn {

/* ---- Status ----------------------------------------------------------------------------------------------------- */

/* The library's statuses as a std::error_category: lossfn::status::error_code(). */
class category_type : public std::error_category {
  public:
    const char *name() const noexcept override { return "lossfn"; }
    std::string message(int code) const override { return lossfn_status_text(code); }
};
inline const std::error_category &category() {
    static const category_type the_category;
    return the_category;
}

#if LOSSFN_HPP_THROWS
/* A failure of the library: code() is a lossfn_status, what() the message with its numbers. */
class error : public std::runtime_error {
  public:
    error(lossfn_status_t code, const std::string &message) : std::runtime_error(message), code_(code) {}
    lossfn_status_t code() const noexcept { return code_; }
    std::error_code error_code() const { return std::error_code(code_, category()); }

  private:
    lossfn_status_t code_;
};
#endif

namespace detail {
#if LOSSFN_HPP_THROWS
/* What a loss written in C++ has thrown in the call that runs on this thread. */
inline std::exception_ptr &thrown() {
    static thread_local std::exception_ptr pointer;
    return pointer;
}
#endif
} // namespace detail

/* How a call went. */
class status {
  public:
    status() = default;
    explicit operator bool() const noexcept { return code_ == LOSSFN_OK; }
    lossfn_status_t code() const noexcept { return code_; }
    const std::string &message() const noexcept { return message_; }
    std::error_code error_code() const { return std::error_code(code_, category()); }

    /* Takes over what a function of the C library returned, with its message; true for success. */
    bool set(lossfn_status_t code) {
        code_ = code;
        if (code == LOSSFN_OK)
            message_.clear();
        else
            message_ = lossfn_last_error();
#if LOSSFN_HPP_THROWS
        if (code == LOSSFN_ERROR_CALLBACK)
            thrown_ = detail::thrown();
        else
            thrown_ = nullptr;
        detail::thrown() = nullptr;
#endif
        return code == LOSSFN_OK;
    }
    bool set(lossfn_status_t code, const char *message) {
        code_ = code;
        message_ = message;
        return false;
    }
#if LOSSFN_HPP_THROWS
    /* Throws if this is a failure: what a loss written in C++ has thrown, as it was, or an error. */
    void check() const {
        if (code_ == LOSSFN_OK) return;
        if (thrown_) std::rethrow_exception(thrown_);
        throw error(code_, message_);
    }
#endif

  private:
    lossfn_status_t code_ = LOSSFN_OK;
    std::string message_;
#if LOSSFN_HPP_THROWS
    std::exception_ptr thrown_;
#endif
};

/* ---- Arrays ----------------------------------------------------------------------------------------------------- */

/* 16-bit floats, as bits. */
struct float16 {
    std::uint16_t bits;
};
struct bfloat16 {
    std::uint16_t bits;
};

namespace detail {
template <class T, class = void> struct dtype {}; /* no member: not an element type */
template <std::int32_t number> struct dtype_constant { static constexpr std::int32_t value = number; };
template <> struct dtype<double> : dtype_constant<LOSSFN_F64> {};
template <> struct dtype<float> : dtype_constant<LOSSFN_F32> {};
template <> struct dtype<float16> : dtype_constant<LOSSFN_F16> {};
template <> struct dtype<bfloat16> : dtype_constant<LOSSFN_BF16> {};
template <> struct dtype<bool> : dtype_constant<LOSSFN_BOOL> { static_assert(sizeof(bool) == 1, "bool has one byte"); };
template <class T>
struct dtype<T, typename std::enable_if<std::is_integral<T>::value && !std::is_same<T, bool>::value>::type>
    : dtype_constant<static_cast<std::int32_t>(std::is_signed<T>::value ? LOSSFN_I8 : LOSSFN_U8) + (sizeof(T) == 1   ? 0
                                                                                                    : sizeof(T) == 2 ? 1
                                                                                                    : sizeof(T) == 4
                                                                                                        ? 2
                                                                                                        : 3)> {};

/* The element type behind data(), const if it is. */
template <class C> using data_of = typename std::remove_pointer<decltype(std::declval<C &>().data())>::type;
template <class C> using size_of = decltype(static_cast<std::size_t>(std::declval<C &>().size()));
template <class T> using plain = typename std::remove_cv<typename std::remove_reference<T>::type>::type;
} // namespace detail

/* Extents of up to 8 axes; shape() is that of a scalar. */
class shape {
  public:
    shape(std::initializer_list<std::int64_t> extents) {
        for (std::int64_t extent : extents) {
            if (ndim_ < LOSSFN_MAX_DIMS) extents_[ndim_] = extent;
            ndim_++;
        }
    }
    shape() = default;
    std::int32_t ndim() const noexcept { return ndim_; }
    const std::int64_t *data() const noexcept { return extents_; }

  private:
    std::int32_t ndim_ = 0;
    std::int64_t extents_[LOSSFN_MAX_DIMS] = {};
};

namespace detail {
/* A tensor, or why it could not be made: reported by the call that it is given to. */
class tensor {
  public:
    const lossfn_tensor_t *get() const noexcept { return &tensor_; }
    std::int64_t size() const noexcept {
        std::int64_t n = 1;
        for (std::int32_t d = 0; d < tensor_.ndim; d++) n *= tensor_.shape[d];
        return n;
    }
    bool valid(status &s) const { return code_ == LOSSFN_OK || s.set(code_, message_.c_str()); }

  protected:
    tensor() = default;
    void init(void *data, std::int32_t dtype, const shape &extents, const std::int64_t *strides, bool constant) {
        status s;
        const std::uint32_t flags = constant ? static_cast<std::uint32_t>(LOSSFN_TENSOR_READONLY) : 0;
        if (strides)
            s.set(lossfn_tensor_init_strided(&tensor_, data, dtype, extents.ndim(), extents.data(), strides, flags));
        else if (constant)
            s.set(lossfn_tensor_init_const(&tensor_, data, dtype, extents.ndim(), extents.data()));
        else
            s.set(lossfn_tensor_init(&tensor_, data, dtype, extents.ndim(), extents.data()));
        code_ = s.code();
        message_ = s.message();
    }
    /* A shape laid over a container must have as many elements. */
    void fit(std::size_t elements) {
        if (code_ != LOSSFN_OK || size() == static_cast<std::int64_t>(elements)) return;
        fail(LOSSFN_ERROR_SHAPE,
             "a shape of " + std::to_string(size()) + " elements is laid over " + std::to_string(elements));
    }
    void fail(lossfn_status_t code, const std::string &message) {
        code_ = code;
        message_ = message;
    }

  private:
    lossfn_tensor_t tensor_ = {};
    lossfn_status_t code_ = LOSSFN_OK;
    std::string message_;
};
} // namespace detail

/* Elements that belong to somebody else, with a shape and perhaps strides (in elements). view<const T> is read-only. */
template <class T> class view : public detail::tensor {
  public:
    view(T *data, const shape &extents) : data_(data) { make(extents, nullptr); }
    view(T *data, const shape &extents, const shape &strides) : data_(data) {
        make(extents, strides.data());
        if (strides.ndim() != extents.ndim()) fail(LOSSFN_ERROR_SHAPE, "a view needs one stride for each axis");
    }
    template <class C, class = detail::size_of<C>,
              class = typename std::enable_if<std::is_convertible<detail::data_of<C> *, T *>::value>::type>
    view(C &&container, const shape &extents) : data_(container.data()) {
        make(extents, nullptr);
        fit(container.size());
    }
    T *data() const noexcept { return data_; }

  private:
    T *data_;
    void make(const shape &extents, const std::int64_t *strides) {
        using element = typename std::remove_cv<T>::type;
        init(const_cast<element *>(data_), detail::dtype<element>::value, extents, strides, std::is_const<T>::value);
    }
};

/* shaped(vector, {rows, columns}), shaped(pointer, {rows, columns}): a view of it. */
template <class T> view<T> shaped(T *data, const shape &extents) { return view<T>(data, extents); }
template <class C> view<detail::data_of<C>> shaped(C &&container, const shape &extents) {
    return view<detail::data_of<C>>(std::forward<C>(container), extents);
}

/* What a loss reads: made by itself from a view, from anything with data() and size(), or from a number (a scalar). */
class input : public detail::tensor {
  public:
    template <class T> input(const view<T> &v) : detail::tensor(v) {}
    template <class C, class = detail::size_of<const C>,
              class = decltype(detail::dtype<detail::plain<detail::data_of<const C>>>::value),
              class = typename std::enable_if<!std::is_base_of<detail::tensor, C>::value>::type>
    input(const C &container) {
        using element = detail::plain<detail::data_of<const C>>;
        init(const_cast<element *>(container.data()), detail::dtype<element>::value,
             {static_cast<std::int64_t>(container.size())}, nullptr, true);
    }
};

/* What a loss writes: made by itself from a view, or from anything with data() and size() whose elements may change. */
class output : public detail::tensor {
  public:
    template <class T, class = typename std::enable_if<!std::is_const<T>::value>::type>
    output(const view<T> &v) : detail::tensor(v) {}
    template <class C, class = detail::size_of<C>, class = decltype(detail::dtype<detail::data_of<C>>::value),
              class = typename std::enable_if<!std::is_base_of<detail::tensor, detail::plain<C>>::value &&
                                              !std::is_const<detail::data_of<C>>::value>::type>
    output(C &&container) {
        init(container.data(), detail::dtype<detail::data_of<C>>::value, {static_cast<std::int64_t>(container.size())},
             nullptr, false);
    }
};

/* ---- Parameters and options ------------------------------------------------------------------------------------- */

/* Parameters of a loss by name: options().set("delta", 1.5).set("class_weight", {1, 2, 0.5}).set("reduction", "sum").
 * What is wrong with one is reported when the loss is made. */
class options {
  public:
    options() {
        lossfn_options_t *made = nullptr;
        status_.set(lossfn_options_create(&made));
        handle_.reset(made);
    }
    options &set(const char *key, double value) { return note(lossfn_options_set_double(get(), key, value)); }
    options &set(const char *key, bool value) { return note(lossfn_options_set_bool(get(), key, value)); }
    options &set(const char *key, const char *value) { return note(lossfn_options_set_string(get(), key, value)); }
    options &set(const char *key, const std::string &value) { return set(key, value.c_str()); }
    template <class T>
    typename std::enable_if<std::is_integral<T>::value && !std::is_same<T, bool>::value, options &>::type
    set(const char *key, T value) {
        return note(lossfn_options_set_int(get(), key, static_cast<std::int64_t>(value)));
    }
    options &set(const char *key, std::initializer_list<double> values) {
        return note(lossfn_options_set_doubles(get(), key, values.begin(), static_cast<std::int64_t>(values.size())));
    }
    options &set(const char *key, const std::vector<double> &values) {
        return note(lossfn_options_set_doubles(get(), key, values.data(), static_cast<std::int64_t>(values.size())));
    }
    /* What it is by default; for loss::replace. */
    options &set_default(const char *key) { return note(lossfn_options_set_default(get(), key)); }
    lossfn_options_t *get() const noexcept { return handle_.get(); }
    const status &state() const noexcept { return status_; }

  private:
    struct destroy {
        void operator()(lossfn_options_t *handle) const { lossfn_options_destroy(handle); }
    };
    std::unique_ptr<lossfn_options_t, destroy> handle_;
    status status_;
    options &note(lossfn_status_t code) {
        status s;
        if (!s.set(code) && status_) status_ = s; /* the first failure stays */
        return *this;
    }
};

/* What a single call may be given beside its inputs: call().weight(w).mask(m).denominator(n).threads(0). */
class call {
  public:
    call &weight(const input &value) { return keep(weight_, value); }
    call &mask(const input &value) { return keep(mask_, value); }
    call &upstream(const input &value) { return keep(upstream_, value); }
    call &denominator(double value) {
        denominator_ = value;
        has_denominator_ = true;
        return *this;
    }
    /* 1: the calling thread (the default); 0: the library's choice; n: at most n. */
    call &threads(std::int32_t value) {
        threads_ = value;
        return *this;
    }
    call &hess_kind(lossfn_hess_kind value) {
        hess_kind_ = value;
        return *this;
    }
    /* Where to put LOSSFN_NOTE_ bits of the call, and the first index outside the domain (or -1). */
    call &notes(std::uint32_t &bits, std::int64_t *index = nullptr) {
        notes_ = &bits;
        index_ = index;
        return *this;
    }

  private:
    friend class request;
    std::vector<input> weight_, mask_, upstream_; /* none or one */
    double denominator_ = 0;
    bool has_denominator_ = false;
    std::int32_t threads_ = 1;
    std::int32_t hess_kind_ = LOSSFN_HESS_EXACT;
    std::uint32_t *notes_ = nullptr;
    std::int64_t *index_ = nullptr;

    call &keep(std::vector<input> &place, const input &value) {
        place.assign(1, value);
        return *this;
    }
};

/* A lossfn_args_t made from inputs and call options; for loss::run, with the outputs set by hand. Refers to what it was
 * made from. */
class request {
  public:
    request(std::initializer_list<const input *> inputs, const call &how, status &s) : how_(how) {
        lossfn_args_init(&args);
        valid_ = s.set(LOSSFN_OK);
        for (const input *in : inputs) add(*in, s);
        take(s);
    }
    request(std::initializer_list<input> inputs, const call &how, status &s) : how_(how) {
        lossfn_args_init(&args);
        valid_ = s.set(LOSSFN_OK);
        for (const input &in : inputs) add(in, s);
        take(s);
    }
    request(const request &) = delete;
    request &operator=(const request &) = delete;

    const lossfn_tensor_t *out(const output &o, status &s) {
        valid_ = valid_ && o.valid(s);
        return o.get();
    }
    bool valid() const noexcept { return valid_; }
    /* Hands the notes on to whoever asked for them. */
    void finish() const {
        if (how_.notes_) *how_.notes_ = args.notes;
        if (how_.index_) *how_.index_ = args.note_index;
    }

    /* Makes the scratch that some losses need for long rows. */
    void reserve(const lossfn_t *handle) {
        const std::int64_t needed = lossfn_scratch_size(handle, &args);
        if (needed == 0 || (args.exec && args.exec->scratch)) return;
        scratch_.resize(static_cast<std::size_t>(needed));
        if (args.exec)
            exec_ = *args.exec;
        else
            lossfn_exec_init(&exec_);
        exec_.scratch = scratch_.data();
        exec_.scratch_size = needed;
        args.exec = &exec_;
    }

    lossfn_args_t args;

  private:
    const call &how_;
    lossfn_exec_t exec_;
    std::vector<unsigned char> scratch_;
    bool valid_ = true;

    void add(const input &in, status &s) {
        if (args.n_inputs == LOSSFN_MAX_INPUTS) {
            valid_ = s.set(LOSSFN_ERROR_ARGUMENT, "more than 8 inputs");
            return;
        }
        valid_ = valid_ && in.valid(s);
        args.inputs[args.n_inputs++] = in.get();
    }
    const lossfn_tensor_t *option(const std::vector<input> &place, status &s) {
        if (place.empty()) return nullptr;
        valid_ = valid_ && place[0].valid(s);
        return place[0].get();
    }
    void take(status &s) {
        args.weight = option(how_.weight_, s);
        args.mask = option(how_.mask_, s);
        args.upstream = option(how_.upstream_, s);
        if (how_.has_denominator_) args.denominator = &how_.denominator_;
        args.hess_kind = how_.hess_kind_;
        if (how_.threads_ != 1) {
            lossfn_exec_init(&exec_);
            exec_.threads = how_.threads_;
            args.exec = &exec_;
        }
    }
};

/* ---- Losses ----------------------------------------------------------------------------------------------------- */

/* Value, gradient and Hessian in vectors of their own; what was not asked for is empty. */
template <class T> struct evaluation {
    double value;
    std::vector<T> grad;
    std::vector<T> hess;
};

namespace detail {
/* The element type of the gradient by a prediction of this type: its own if it is floating, else double. */
template <class P>
using gradient_of = typename std::conditional<(dtype<plain<data_of<const P>>>::value <= +LOSSFN_BF16),
                                              plain<data_of<const P>>, double>::type;

inline std::string text(std::int64_t (*read)(const lossfn_t *, char *, std::int64_t), const lossfn_t *handle) {
    std::string s(static_cast<std::size_t>(read(handle, nullptr, 0)) + 1, '\0');
    read(handle, &s[0], static_cast<std::int64_t>(s.size()));
    s.pop_back();
    return s;
}
} // namespace detail

/* A loss: immutable, cheap to copy, usable from any number of threads. Inputs come in the order that the loss declares:
 * most take pred and target; braces hold any number of them: nll.value({mu, y, var}). */
class loss {
  public:
    loss() = default; /* no loss; every use of it fails */
    loss(const char *spec, status &s) { s.set(lossfn_create(&handle_, spec)); }
    loss(const std::string &spec, status &s) : loss(spec.c_str(), s) {}
    loss(const std::string &spec, const options &parameters, status &s) {
        s = parameters.state();
        if (s) s.set(lossfn_create_options(&handle_, spec.c_str(), parameters.get()));
    }
    loss(const loss &other) noexcept : handle_(other.handle_ ? lossfn_retain(other.handle_) : nullptr) {}
    loss(loss &&other) noexcept : handle_(other.handle_) { other.handle_ = nullptr; }
    loss &operator=(loss other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~loss() { lossfn_destroy(handle_); }

    /* Takes over a handle of the C library. */
    static loss adopt(lossfn_t *handle) noexcept {
        loss made;
        made.handle_ = handle;
        return made;
    }
    lossfn_t *get() const noexcept { return handle_; }
    explicit operator bool() const noexcept { return handle_ != nullptr; }

    /* A loss like this one, with these parameters in place of its own. */
    loss replace(const options &parameters, status &s) const {
        loss made;
        s = parameters.state();
        if (s) s.set(lossfn_replace(&made.handle_, handle_, parameters.get()));
        return made;
    }
    std::string spec() const { return handle_ ? detail::text(lossfn_spec, handle_) : std::string(); }
    std::string name() const { return handle_ ? lossfn_name(handle_) : ""; }
    friend bool operator==(const loss &a, const loss &b) { return a.handle_ == b.handle_ || a.spec() == b.spec(); }
    friend bool operator!=(const loss &a, const loss &b) { return !(a == b); }
    /* A parameter or common option that is a number. */
    double parameter(const char *key, status &s) const {
        double value = 0;
        s.set(lossfn_get_double(handle_, key, &value));
        return value;
    }
    /* rho, rho', rho'' of the squared residual; NaN if the loss has none. */
    std::array<double, 3> rho(double squared) const {
        std::array<double, 3> out;
        lossfn_rho(handle_, squared, out.data());
        return out;
    }
    /* The same of this loss of an inner one. */
    std::array<double, 3> rho(const loss &inner, double squared) const {
        std::array<double, 3> out;
        lossfn_rho_compose(handle_, inner.handle_, squared, out.data());
        return out;
    }
    /* loss'(r)/r for every residual, the weights of iteratively reweighted least squares; empty on failure. */
    std::vector<double> irls_weight(const std::vector<double> &residual, status &s) const {
        std::vector<double> out(residual.size());
        std::int64_t n = static_cast<std::int64_t>(residual.size());
        if (!s.set(lossfn_irls_weight(handle_, n, residual.data(), out.data()))) out.clear();
        return out;
    }

    /* Whatever the request asks for. */
    bool run(request &r, status &s) const {
        if (!r.valid()) return false;
        r.reserve(handle_);
        bool done = s.set(lossfn_run(handle_, &r.args));
        if (done) r.finish();
        return done;
    }

    /* The reduced value. */
    double value(const input &pred, const input &target, status &s, const call &how = call()) const {
        request r({&pred, &target}, how, s);
        return value_of(r, s);
    }
    double value(const input &pred, status &s, const call &how = call()) const {
        request r({&pred}, how, s);
        return value_of(r, s);
    }
    double value(std::initializer_list<input> inputs, status &s, const call &how = call()) const {
        request r(inputs, how, s);
        return value_of(r, s);
    }

    /* One value per unit, or per row with per_row, for reduction none and beside any other. */
    void values(const input &pred, const input &target, const output &values, status &s,
                const call &how = call()) const {
        request r({&pred, &target}, how, s);
        r.args.values = r.out(values, s);
        run(r, s);
    }

    /* The value, and its gradient by pred. The output takes the shape of pred if it has one axis and as many elements.
     */
    double value_and_grad(const input &pred, const input &target, const output &grad, status &s,
                          const call &how = call()) const {
        return evaluate({&pred, &target}, &grad, nullptr, s, how);
    }
    /* The value, its gradient by pred, and the diagonal of the second derivative. */
    double value_grad_hess(const input &pred, const input &target, const output &grad, const output &hess, status &s,
                           const call &how = call()) const {
        return evaluate({&pred, &target}, &grad, &hess, s, how);
    }
    /* The value of a loss of several inputs, and the gradient by each whose output is not null. */
    double value_and_grad(std::initializer_list<input> inputs, std::initializer_list<const output *> grads, status &s,
                          const call &how = call()) const {
        request r(inputs, how, s);
        std::size_t i = 0;
        if (grads.size() > LOSSFN_MAX_INPUTS) {
            s.set(LOSSFN_ERROR_ARGUMENT, "more than 8 gradients");
            return 0;
        }
        for (const output *grad : grads) {
            if (grad) r.args.grads[i] = r.out(*grad, s);
            i++;
        }
        return value_of(r, s);
    }

    /* The same with vectors of their own. */
    template <class P, class T = detail::gradient_of<P>>
    evaluation<T> value_and_grad(const P &pred, const input &target, status &s, const call &how = call()) const {
        const input in(pred);
        evaluation<T> e = {0, std::vector<T>(static_cast<std::size_t>(in.size())), {}};
        output grad(e.grad);
        e.value = evaluate({&in, &target}, &grad, nullptr, s, how);
        return e;
    }
    template <class P, class T = detail::gradient_of<P>>
    evaluation<T> value_grad_hess(const P &pred, const input &target, status &s, const call &how = call()) const {
        const input in(pred);
        const std::size_t n = static_cast<std::size_t>(in.size());
        evaluation<T> e = {0, std::vector<T>(n), std::vector<T>(n)};
        output grad(e.grad), hess(e.hess);
        e.value = evaluate({&in, &target}, &grad, &hess, s, how);
        return e;
    }

    /* What looks wrong with these arguments, one finding per line; "" if nothing does. Reads all data. */
    std::string check(const input &pred, const input &target, status &s, const call &how = call()) const {
        request r({&pred, &target}, how, s);
        std::int64_t length = 0;
        std::string found;
        if (!r.valid() || !s.set(lossfn_check(handle_, &r.args, nullptr, 0, &length))) return found;
        found.resize(static_cast<std::size_t>(length) + 1);
        s.set(lossfn_check(handle_, &r.args, &found[0], length + 1, &length));
        found.resize(static_cast<std::size_t>(length));
        return found;
    }
    /* Compares gradients and Hessian with differences. */
    lossfn_gradient_report_t check_gradient(const input &pred, const input &target, status &s,
                                            const call &how = call()) const {
        request r({&pred, &target}, how, s);
        lossfn_gradient_report_t report = {};
        report.struct_size = sizeof report;
        if (r.valid()) s.set(lossfn_check_gradient(handle_, &r.args, &report));
        return report;
    }

#if LOSSFN_HPP_THROWS
    explicit loss(const char *spec) {
        status s;
        s.set(lossfn_create(&handle_, spec));
        s.check();
    }
    explicit loss(const std::string &spec) : loss(spec.c_str()) {}
    loss(const std::string &spec, const options &parameters) {
        status s = parameters.state();
        if (s) s.set(lossfn_create_options(&handle_, spec.c_str(), parameters.get()));
        s.check();
    }
    loss replace(const options &parameters) const {
        status s;
        loss made = replace(parameters, s);
        s.check();
        return made;
    }
    double parameter(const char *key) const {
        status s;
        double value = parameter(key, s);
        s.check();
        return value;
    }
    std::vector<double> irls_weight(const std::vector<double> &residual) const {
        status s;
        std::vector<double> out = irls_weight(residual, s);
        s.check();
        return out;
    }
    void run(request &r) const {
        status s;
        run(r, s);
        s.check();
    }
    double value(const input &pred, const input &target, const call &how = call()) const {
        status s;
        double v = value(pred, target, s, how);
        s.check();
        return v;
    }
    double value(const input &pred, const call &how = call()) const {
        status s;
        double v = value(pred, s, how);
        s.check();
        return v;
    }
    double value(std::initializer_list<input> inputs, const call &how = call()) const {
        status s;
        double v = value(inputs, s, how);
        s.check();
        return v;
    }
    double operator()(const input &pred, const input &target, const call &how = call()) const {
        return value(pred, target, how);
    }
    void values(const input &pred, const input &target, const output &v, const call &how = call()) const {
        status s;
        values(pred, target, v, s, how);
        s.check();
    }
    double value_and_grad(const input &pred, const input &target, const output &grad, const call &how = call()) const {
        status s;
        double v = value_and_grad(pred, target, grad, s, how);
        s.check();
        return v;
    }
    double value_grad_hess(const input &pred, const input &target, const output &grad, const output &hess,
                           const call &how = call()) const {
        status s;
        double v = value_grad_hess(pred, target, grad, hess, s, how);
        s.check();
        return v;
    }
    double value_and_grad(std::initializer_list<input> inputs, std::initializer_list<const output *> grads,
                          const call &how = call()) const {
        status s;
        double v = value_and_grad(inputs, grads, s, how);
        s.check();
        return v;
    }
    template <class P, class T = detail::gradient_of<P>>
    evaluation<T> value_and_grad(const P &pred, const input &target, const call &how = call()) const {
        status s;
        evaluation<T> e = value_and_grad(pred, target, s, how);
        s.check();
        return e;
    }
    template <class P, class T = detail::gradient_of<P>>
    evaluation<T> value_grad_hess(const P &pred, const input &target, const call &how = call()) const {
        status s;
        evaluation<T> e = value_grad_hess(pred, target, s, how);
        s.check();
        return e;
    }
    std::string check(const input &pred, const input &target, const call &how = call()) const {
        status s;
        std::string found = check(pred, target, s, how);
        s.check();
        return found;
    }
    lossfn_gradient_report_t check_gradient(const input &pred, const input &target, const call &how = call()) const {
        status s;
        lossfn_gradient_report_t report = check_gradient(pred, target, s, how);
        s.check();
        return report;
    }
#endif

  private:
    lossfn_t *handle_ = nullptr;

    /* With reduction none and per_row there is no value; then only what else is asked for is computed. */
    bool reduced() const {
        char text[16];
        std::int64_t length = 0;
        if (lossfn_get_text(handle_, "reduction", text, sizeof text, &length) != LOSSFN_OK) return true;
        const std::string reduction(text);
        return reduction != "none" && reduction != "per_row";
    }
    double value_of(request &r, status &s) const {
        double v = 0;
        r.args.value = &v;
        run(r, s);
        return v;
    }
    double evaluate(std::initializer_list<const input *> inputs, const output *grad, const output *hess, status &s,
                    const call &how) const {
        request r(inputs, how, s);
        lossfn_tensor_t g, h;
        double v = 0;
        if (grad) r.args.grads[0] = like(r, **inputs.begin(), *grad, g, s);
        if (hess) r.args.hess = like(r, **inputs.begin(), *hess, h, s);
        if (reduced()) r.args.value = &v;
        run(r, s);
        return v;
    }
    /* An output of one axis stands for the elements of pred, whatever pred's shape. */
    static const lossfn_tensor_t *like(request &r, const input &pred, const output &o, lossfn_tensor_t &t, status &s) {
        t = *r.out(o, s);
        if (t.ndim == 1 && !(t.flags & LOSSFN_TENSOR_STRIDED) && o.size() == pred.size()) {
            t.ndim = pred.get()->ndim;
            for (std::int32_t d = 0; d < t.ndim; d++) t.shape[d] = pred.get()->shape[d];
        }
        return &t;
    }
};

/* ---- Accumulators ----------------------------------------------------------------------------------------------- */

/* A loss over batches: over any split of the data, merged in any order, its value has the bits of one call over all of
 * it. For one thread at a time; moves, but does not copy. */
class accumulator {
  public:
    accumulator(const loss &of, status &s) {
        lossfn_accumulator_t *made = nullptr;
        s.set(lossfn_accumulator_create(&made, of.get()));
        handle_.reset(made);
    }
    /* What to_bytes() gave, on any machine and in any language. */
    static accumulator from_bytes(const std::string &bytes, status &s) {
        lossfn_accumulator_t *made = nullptr;
        s.set(lossfn_accumulator_read(&made, bytes.data(), static_cast<std::int64_t>(bytes.size())));
        return accumulator(made);
    }
    lossfn_accumulator_t *get() const noexcept { return handle_.get(); }

    void update(const input &pred, const input &target, status &s, const call &how = call()) {
        update({pred, target}, s, how);
    }
    void update(std::initializer_list<input> inputs, status &s, const call &how = call()) {
        request r(inputs, how, s);
        if (r.valid() && s.set(lossfn_accumulator_update(get(), &r.args))) r.finish();
    }
    void merge(const accumulator &other, status &s) { s.set(lossfn_accumulator_merge(get(), other.get())); }
    double value(status &s) const {
        double v = 0;
        s.set(lossfn_accumulator_value(get(), &v, nullptr));
        return v;
    }
    /* Sum and denominator of a term of a sum of losses, from 0. */
    std::pair<double, double> parts(std::int32_t term, status &s) const {
        std::pair<double, double> p(0, 0);
        s.set(lossfn_accumulator_parts(get(), term, &p.first, &p.second));
        return p;
    }
    void reset() { lossfn_accumulator_reset(get()); }
    std::string to_bytes(status &s) const {
        std::int64_t length = 0;
        std::string bytes;
        if (!s.set(lossfn_accumulator_write(get(), nullptr, 0, &length))) return bytes;
        bytes.resize(static_cast<std::size_t>(length));
        s.set(lossfn_accumulator_write(get(), &bytes[0], length, &length));
        return bytes;
    }

#if LOSSFN_HPP_THROWS
    explicit accumulator(const loss &of) {
        status s;
        *this = accumulator(of, s);
        s.check();
    }
    static accumulator from_bytes(const std::string &bytes) {
        status s;
        accumulator made = from_bytes(bytes, s);
        s.check();
        return made;
    }
    void update(const input &pred, const input &target, const call &how = call()) { update({pred, target}, how); }
    void update(std::initializer_list<input> inputs, const call &how = call()) {
        status s;
        update(inputs, s, how);
        s.check();
    }
    void merge(const accumulator &other) {
        status s;
        merge(other, s);
        s.check();
    }
    double value() const {
        status s;
        double v = value(s);
        s.check();
        return v;
    }
    std::pair<double, double> parts(std::int32_t term = 0) const {
        status s;
        std::pair<double, double> p = parts(term, s);
        s.check();
        return p;
    }
    double sum() const { return parts().first; }
    double denominator() const { return parts().second; }
    std::string to_bytes() const {
        status s;
        std::string bytes = to_bytes(s);
        s.check();
        return bytes;
    }
#endif

  private:
    struct destroy {
        void operator()(lossfn_accumulator_t *handle) const { lossfn_accumulator_destroy(handle); }
    };
    std::unique_ptr<lossfn_accumulator_t, destroy> handle_;
    explicit accumulator(lossfn_accumulator_t *made) : handle_(made) {}
};

/* ---- Losses written in C++ -------------------------------------------------------------------------------------- */

/* What a loss is at one element. */
struct point {
    double value, grad, hess;
};

namespace detail {
/* A function of (pred, target) that returns a point, applied to the elements of a block. */
template <class F> auto run_function(const F &f, const lossfn_block_t &b, int) -> decltype(point(f(0.0, 0.0)), void()) {
    const double *pred = static_cast<const double *>(b.inputs[0]), *target = static_cast<const double *>(b.inputs[1]);
    double *value = static_cast<double *>(b.values), *grad = static_cast<double *>(b.grads[0]),
           *hess = static_cast<double *>(b.hess);
    for (std::int64_t i = 0; i < b.count; i++) {
        const point p = f(pred[i], target[i]);
        if (value) value[i] = p.value;
        if (grad) grad[i] = p.grad;
        if (hess) hess[i] = p.hess;
    }
}
/* Or a function of whole blocks. */
template <class F> auto run_function(const F &f, const lossfn_block_t &b, long) -> decltype(f(b), void()) { f(b); }

/* No exception may pass through the library: it waits in thrown() and is thrown again behind it. */
template <class F> lossfn_status_t trampoline(const lossfn_block_t *block) {
#if LOSSFN_HPP_THROWS
    thrown() = nullptr;
    try {
        run_function(*static_cast<const F *>(block->user_data), *block, 0);
        return LOSSFN_OK;
    } catch (const std::exception &e) {
        thrown() = std::current_exception();
        return lossfn_call_fail(block->call, LOSSFN_ERROR_CALLBACK, e.what());
    } catch (...) {
        thrown() = std::current_exception();
        return lossfn_call_fail(block->call, LOSSFN_ERROR_CALLBACK, "a loss written in C++ threw something");
    }
#else
    run_function(*static_cast<const F *>(block->user_data), *block, 0);
    return LOSSFN_OK;
#endif
}
template <class F> void destroy_function(void *function) { delete static_cast<F *>(function); }

template <class F> lossfn_vtable_t vtable_for(bool rows) {
    lossfn_vtable_t table;
    lossfn_vtable_init(&table);
    table.flags = LOSSFN_VTABLE_GRAD | LOSSFN_VTABLE_HESS;
    (rows ? table.rowwise : table.elementwise) = trampoline<F>;
    return table;
}
} // namespace detail

enum class unit { element, row };

/* Makes a function known under a name with a dot, for every part of the library and every language in the process:
 *
 *     lossfn::register_loss("acme.quartic", [](double pred, double target) {
 *         double r = pred - target;
 *         return lossfn::point{r * r * r * r, 4 * r * r * r, 12 * r * r};
 *     });
 *
 * or a function of a const lossfn_block_t & (see extend.h) of doubles, which with unit::row gets rows of classes. It
 * runs on the calling thread; what it throws arrives at the caller of the loss as it was. It lives until the name is
 * unregistered and the last handle is gone. */
template <class F> void register_loss(const std::string &name, F function, status &s, unit of = unit::element) {
    const lossfn_vtable_t table = detail::vtable_for<F>(of == unit::row);
    s.set(lossfn_register(name.c_str(), &table, new F(std::move(function)), detail::destroy_function<F>));
}
inline void unregister_loss(const std::string &name, status &s) { s.set(lossfn_unregister(name.c_str())); }

/* The same without a name. */
template <class F> loss custom(F function, const options &parameters, status &s, unit of = unit::element) {
    const lossfn_vtable_t table = detail::vtable_for<F>(of == unit::row);
    lossfn_t *made = nullptr;
    s = parameters.state();
    if (s)
        s.set(lossfn_create_custom(&made, &table, new F(std::move(function)), detail::destroy_function<F>,
                                   parameters.get()));
    return loss::adopt(made);
}

#if LOSSFN_HPP_THROWS
template <class F> void register_loss(const std::string &name, F function, unit of = unit::element) {
    status s;
    register_loss(name, std::move(function), s, of);
    s.check();
}
inline void unregister_loss(const std::string &name) {
    status s;
    unregister_loss(name, s);
    s.check();
}
template <class F> loss custom(F function, const options &parameters = options(), unit of = unit::element) {
    status s;
    loss made = custom(std::move(function), parameters, s, of);
    s.check();
    return made;
}
#endif

/* ---- What there is ---------------------------------------------------------------------------------------------- */

inline std::vector<std::string> names() {
    std::vector<std::string> list;
    for (std::int32_t i = 0; i < lossfn_count(); i++)
        if (const char *name = lossfn_name_at(i)) list.push_back(name);
    return list;
}

inline lossfn_info_t describe(const std::string &name, status &s) {
    lossfn_info_t info = {};
    info.struct_size = sizeof info;
    s.set(lossfn_describe(name.c_str(), &info));
    return info;
}

/* The losses for a task, best first; flags are LOSSFN_DATA_. */
inline std::vector<lossfn_recommendation_t> recommend(const std::string &task, status &s, std::uint32_t flags = 0) {
    std::vector<lossfn_recommendation_t> list;
    for (;;) {
        lossfn_recommendation_t r = {};
        r.struct_size = sizeof r;
        const bool there = s.set(lossfn_recommend(task.c_str(), flags, static_cast<std::int32_t>(list.size()), &r));
        if (!there) {
            if (!list.empty() && s.code() == LOSSFN_ERROR_NOT_FOUND) s.set(LOSSFN_OK); /* past the last one */
            return list;
        }
        list.push_back(r);
    }
}

#if LOSSFN_HPP_THROWS
inline lossfn_info_t describe(const std::string &name) {
    status s;
    lossfn_info_t info = describe(name, s);
    s.check();
    return info;
}
inline std::vector<lossfn_recommendation_t> recommend(const std::string &task, std::uint32_t flags = 0) {
    status s;
    std::vector<lossfn_recommendation_t> list = recommend(task, s, flags);
    s.check();
    return list;
}
#endif

} // namespace lossfn

#undef LOSSFN_HPP_THROWS
#endif
