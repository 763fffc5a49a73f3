// SPDX-License-Identifier: MIT
// lossfn.hpp, compiled for each C++ standard, with and without exceptions. Ends with "N passed, N failed".
#include <lossfn/lossfn.hpp>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>
#if __cplusplus >= 202002L && __has_include(<span>)
#include <span>
#endif

static int passed, failed;
static void expect(bool condition, const char *text, int line) {
    if (condition) {
        passed++;
        return;
    }
    failed++;
    std::printf("FAILED line %d: %s\n", line, text);
}
#define EXPECT(condition) expect(condition, #condition, __LINE__)

using lossfn::call;
using lossfn::loss;
using lossfn::options;
using lossfn::shaped;
using lossfn::status;

static const std::vector<double> pred = {1, 2, 4}, target = {1, 2, 3};

static bool has(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

static void without_exceptions() {
    status s;
    loss huber("huber(delta=1.5)", s);
    EXPECT(s && huber);
    std::vector<double> grad(3), hess(3);
    EXPECT(huber.value(pred, target, s) == 0.5 / 3 && s);
    EXPECT(huber.value_and_grad(pred, target, grad, s) == 0.5 / 3 && grad[2] == 1.0 / 3);
    EXPECT(huber.value_grad_hess(pred, target, grad, hess, s) == 0.5 / 3 && hess[0] == 1.0 / 3);
    lossfn::evaluation<double> e = huber.value_grad_hess(pred, target, s, call().threads(2));
    EXPECT(s && e.grad == grad && e.hess == hess);
    huber.value(pred, grad, s, call().weight(std::vector<double>{1, 2}));
    EXPECT(!s && s.code() == LOSSFN_ERROR_SHAPE && s.error_code() == std::error_code(-6, lossfn::category()));
    EXPECT(has(s.message(), "weight"));
    EXPECT(huber.value(pred, target, s) == 0.5 / 3 && s && s.message().empty());

    loss none("no_such_loss", s);
    EXPECT(!s && !none && s.code() == LOSSFN_ERROR_NOT_FOUND);
    EXPECT(none.value(pred, target, s) == 0 && s.code() == LOSSFN_ERROR_ARGUMENT);
    EXPECT(none.spec().empty() && none.name().empty());
    loss wrong("huber", options().set("delta", -1), s);
    EXPECT(!s && s.code() == LOSSFN_ERROR_PARAMETER);

    /* shapes */
    const std::vector<float> logits = {1, 2, 3, 3, 2, 1};
    const std::vector<int> labels = {2, 0};
    loss ce("cross_entropy", s);
    EXPECT(std::fabs(ce.value(shaped(logits, {2, 3}), labels, s) - 0.4076059644443803) < 1e-7 && s);
    std::vector<float> g(6);
    ce.value_and_grad(shaped(logits, {2, 3}), labels, g, s);
    EXPECT(s && g[2] < 0);
    ce.value_and_grad(shaped(logits, {2, 3}), labels, shaped(g, {2, 3}), s);
    EXPECT(bool(s));
    ce.value(shaped(logits, {3, 3}), labels, s);
    EXPECT(!s && has(s.message(), "a shape of 9 elements is laid over 6"));
    ce.value(shaped(logits, {1, 1, 1, 1, 1, 1, 1, 2, 3}), labels, s);
    EXPECT(!s);
    ce.value(shaped(logits, {2, -3}), labels, s);
    EXPECT(!s);
    const float columns[6] = {1, 3, 2, 2, 3, 1};
    EXPECT(ce.value(lossfn::view<const float>(columns, {2, 3}, {1, 2}), labels, s) ==
           ce.value(shaped(logits, {2, 3}), labels, s));
    ce.value(lossfn::view<const float>(columns, {2, 3}, {1}), labels, s);
    EXPECT(!s && has(s.message(), "one stride for each axis"));

    /* several inputs, one input, notes, options of the call */
    const std::vector<double> mean = {1, 2}, y = {1, 1}, var = {1, 4};
    std::vector<double> by_mean(2), by_var(2);
    loss nll("gaussian_nll", s);
    lossfn::output out_mean(by_mean), out_var(by_var);
    const double v = nll.value_and_grad({mean, y, var}, {&out_mean, nullptr, &out_var}, s);
    EXPECT(s && v == nll.value({mean, y, var}, s) && by_var[0] != 0);
    loss entropy("entropy(base=2)", s);
    EXPECT(entropy.value(std::vector<double>{0.5, 0.5}, s) == 1);
    loss mse("mse", s);
    const std::vector<bool>::size_type three = 3;
    std::vector<unsigned char> mask(three, 0);
    std::uint32_t notes = 0;
    std::int64_t index = 0;
    EXPECT(std::isnan(mse.value(pred, target, s, call().mask(mask).notes(notes, &index))));
    EXPECT(notes == LOSSFN_NOTE_EMPTY && index == -1);
    EXPECT(mse.value(pred, target, s, call().denominator(2)) == 0.5);
    std::vector<double> values(3);
    mse.values(pred, target, values, s);
    EXPECT(s && values[2] == 1);
    loss unreduced("mse(reduction=none)", s);
    EXPECT(unreduced.value_and_grad(pred, target, s).grad[2] == 2 && s);
    EXPECT(mse.parameter("no_such_key", s) == 0 && !s);
    EXPECT(huber.parameter("delta", s) == 1.5 && s);

    /* vocabulary */
    EXPECT(lossfn::names().size() > 15);
    EXPECT(std::strcmp(lossfn::describe("huber", s).name, "huber") == 0);
    EXPECT(std::strcmp(lossfn::recommend("regression", s)[0].spec, "mse") == 0 && s);
    EXPECT(lossfn::recommend("nonsense", s).empty() && !s);
    EXPECT(mse.check(pred, target, s).empty() && s);
    EXPECT(mse.check_gradient(pred, target, s).agrees == 1);
    const std::array<double, 3> rho = loss("half_squared_error", s).rho(4);
    EXPECT(rho[1] == 1);
    EXPECT(loss("half_squared_error", s).rho(huber, 4)[0] == huber.rho(4)[0]);
    EXPECT(huber.irls_weight({0, -3}, s)[1] == 0.5 && s);
    EXPECT(loss("bce_with_logits", s).irls_weight({1}, s).empty() && !s);

    /* rows that are too long for the stack, on any number of threads */
    const std::vector<double> scores(5000, 0.5);
    for (int threads = 0; threads < 3; threads++) {
        const int label[1] = {7};
        const double margin =
            loss("multi_margin", s).value(shaped(scores, {1, 5000}), shaped(label, {1}), s, call().threads(threads));
        EXPECT(s && std::fabs(margin - 4999.0 / 5000) < 1e-12);
    }

    /* copies and moves */
    loss copy = huber;
    EXPECT(copy == huber && copy.get() == huber.get() && copy != mse);
    loss moved = std::move(copy);
    EXPECT(!copy && moved.name() == "huber" && moved.spec() == "huber(delta=1.5)");
    copy = moved;
    loss &same = copy;
    copy = same;
    moved = loss();
    EXPECT(copy.value(pred, target, s) == 0.5 / 3);
    loss built("cross_entropy",
               options()
                   .set("class_weight", {1, 2, 0.5})
                   .set("label_smoothing", 0.1)
                   .set("ignore_index", -100)
                   .set("reduction", "sum")
                   .set("label_base", 1u),
               s);
    EXPECT(s && has(built.spec(), "label_smoothing=0.1"));
    loss other = built.replace(options().set("label_smoothing", 0.25).set_default("class_weight"), s);
    EXPECT(s && has(other.spec(), "label_smoothing=0.25, reduction=sum") && has(built.spec(), "label_smoothing=0.1"));
    other = built.replace(options().set("delta", 1), s);
    EXPECT(!s && !other && s.code() == LOSSFN_ERROR_NOT_FOUND);

    /* accumulators */
    lossfn::accumulator a(mse, s), b(mse, s);
    a.update(std::vector<double>{1, 2}, std::vector<double>{1, 2}, s);
    b.update({std::vector<double>{4}, std::vector<double>{3}}, s);
    lossfn::accumulator c = lossfn::accumulator::from_bytes(b.to_bytes(s), s);
    a.merge(c, s);
    EXPECT(s && a.value(s) == mse.value(pred, target, s));
    EXPECT(a.parts(0, s).first == 1 && a.parts(0, s).second == 3);
    a.merge(lossfn::accumulator(huber, s), s);
    EXPECT(!s);
    a.reset();
    EXPECT(std::isnan(a.value(s)) && s);
    lossfn::accumulator::from_bytes("nonsense", s);
    EXPECT(!s);

    /* losses written here */
    struct quartic {
        lossfn::point operator()(double p, double t) const {
            const double r = p - t;
            return {r * r * r * r, 4 * r * r * r, 12 * r * r};
        }
    };
    lossfn::register_loss("test.quartic", quartic(), s);
    EXPECT(bool(s));
    lossfn::register_loss("test.quartic", quartic(), s);
    EXPECT(s.code() == LOSSFN_ERROR_EXISTS);
    loss q("test.quartic(reduction=sum)", s);
    EXPECT(q.value(std::vector<double>{2, 1}, std::vector<double>{0, 0}, s) == 17);
    EXPECT(q.check_gradient(pred, target, s).agrees == 1);
    lossfn::unregister_loss("test.quartic", s);
    EXPECT(bool(s));
    auto sum_of_rows = [](const lossfn_block_t &block) {
        const double *p = static_cast<const double *>(block.inputs[0]);
        double *value = static_cast<double *>(block.values);
        for (std::int64_t i = 0; i < block.count; i++) {
            value[i] = 0;
            for (std::int64_t k = 0; k < block.cols; k++) value[i] += p[i * block.cols + k];
        }
    };
    loss rows = lossfn::custom(sum_of_rows, options().set("reduction", "sum"), s, lossfn::unit::row);
    EXPECT(rows.value(shaped(pred, {1, 3}), shaped(target, {1, 3}), s) == 7);
#if __cplusplus >= 202002L && __has_include(<span>)
    std::span<const double> sp(pred), st(target);
    std::span<double> sg(grad);
    EXPECT(huber.value_and_grad(sp, st, sg, s) == 0.5 / 3 && s);
    EXPECT(huber.value_and_grad(sp, st, s).grad == grad);
    EXPECT(huber.value(shaped(sp, {3, 1}), shaped(st, {3, 1}), s) == 0.5 / 3);
#endif
}

#if defined(__cpp_exceptions)
static int alive;
static const bool nothing_thrown = false;
struct thrower {
    thrower() { alive++; }
    thrower(const thrower &) { alive++; }
    ~thrower() { alive--; }
    lossfn::point operator()(double, double) const { throw std::string("mine"); }
};

static void with_exceptions() {
    loss huber("huber", options().set("delta", 1.5));
    std::vector<double> grad(3), hess(3);
    EXPECT(huber(pred, target) == 0.5 / 3);
    EXPECT(huber.replace(options().set("reduction", "sum"))(pred, target) == 0.5);
    EXPECT(huber.value_and_grad(pred, target, grad) == 0.5 / 3);
    EXPECT(huber.value_grad_hess(pred, target, grad, hess) == 0.5 / 3);
    auto e = huber.value_grad_hess(pred, target);
    EXPECT(e.grad == grad && e.hess == hess && huber.value_and_grad(pred, target).hess.empty());
    EXPECT(huber.value_and_grad(std::vector<float>{1, 2}, std::vector<int>{1, 3}).grad[1] == -0.5f);
    try {
        huber.value(pred, std::vector<double>{1, 2});
        EXPECT(nothing_thrown);
    } catch (const std::runtime_error &problem) {
        const lossfn::error *own = dynamic_cast<const lossfn::error *>(&problem);
        EXPECT(own && own->code() == LOSSFN_ERROR_SHAPE && has(own->what(), "2") && own->error_code());
    }
    try {
        loss("hubber");
        EXPECT(nothing_thrown);
    } catch (const lossfn::error &problem) { EXPECT(has(problem.what(), "'huber'")); }
    EXPECT(loss("huber").irls_weight({0, -4})[1] == 0.25);
    try {
        loss("bce_with_logits").irls_weight({1});
        EXPECT(nothing_thrown);
    } catch (const lossfn::error &problem) { EXPECT(problem.code() == LOSSFN_ERROR_UNSUPPORTED); }
    try {
        const std::vector<double> fixed(3);
        lossfn::input read(fixed);
        huber.parameter("delt");
        EXPECT(nothing_thrown);
    } catch (const lossfn::error &problem) { EXPECT(problem.code() == LOSSFN_ERROR_NOT_FOUND); }

    {
        loss raises = lossfn::custom(thrower());
        try {
            raises.value(pred, target);
            EXPECT(nothing_thrown);
        } catch (const std::string &text) { EXPECT(text == "mine"); }
        status s;
        raises.value(pred, target, s);
        EXPECT(s.code() == LOSSFN_ERROR_CALLBACK);
        EXPECT(huber.value(pred, target, s) == 0.5 / 3 && s);
        try {
            lossfn::accumulator(raises).update(pred, target);
            EXPECT(nothing_thrown);
        } catch (const std::string &text) { EXPECT(text == "mine"); }
    }
    EXPECT(alive == 0);
    try {
        lossfn::register_loss("nodot", thrower());
        EXPECT(nothing_thrown);
    } catch (const lossfn::error &problem) { EXPECT(problem.code() == LOSSFN_ERROR_ARGUMENT); }
    EXPECT(alive == 0);
    auto inner = lossfn::custom([](double, double) -> lossfn::point { throw std::logic_error("inner"); });
    auto outer = lossfn::custom([&inner](double p, double t) -> lossfn::point {
        return {inner.value(std::vector<double>{p}, std::vector<double>{t}), 0, 0};
    });
    try {
        outer.value(pred, target);
        EXPECT(nothing_thrown);
    } catch (const std::logic_error &problem) { EXPECT(has(problem.what(), "inner")); }
    lossfn::accumulator a(huber);
    a.update(pred, target);
    EXPECT(a.value() == 0.5 / 3 && a.sum() == 0.5 && a.denominator() == 3);
    EXPECT(lossfn::accumulator::from_bytes(a.to_bytes()).value() == a.value());
    EXPECT(std::strcmp(lossfn::describe("mse").name, "mse") == 0 && !lossfn::recommend("binary").empty());
}
#endif

#if defined(LOSSFN_HPP_THROWS)
#error "lossfn.hpp leaves a macro behind"
#endif

int main() {
    without_exceptions();
#if defined(__cpp_exceptions)
    with_exceptions();
#endif
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
