// The closed forms of common losses on rows of logits: every term's value a row, and their gradient in its place.
//
// Built at first use by distill/losses/kernel.py, called through its one C function; knows nothing of torch. A row is
// read twice while it lies in the processor's cache: once for the sums of exponentials, once for values and gradient.
// Vectors are the compiler's own (vector_size), so that no instruction set is named and no reassociation is allowed:
// the same bits on every run, whatever the number of threads. Infinities and NaN keep their meaning: an excluded token
// (-inf) has probability 0 and adds nothing, anything undefined makes the row's value NaN. Probabilities below the
// smallest normal float are 0 here.
//
// Left out on purpose: other dtypes, soft caps, supports other than the whole vocabulary. Those run in torch.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif
constexpr int BLOCK = 64 * LANES;  // numbers summed in float32 before they are added in float64; lies in the first cache
constexpr float SMALLEST = 1.17549435e-38f;

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));

// What a group of terms at one temperature asks of a row; distill/losses/rows.py fills it.
struct Group {
    float student;   // what the student's logits are multiplied by: the head's scale over the temperature
    float teacher;   // the teacher's: 1 over the temperature
    float share;     // beta, of the teacher in the mixture
    int32_t asked;   // FORWARD | REVERSE | MIXTURE | GRADIENT
    float on[4];     // weights of the gradient: cross-entropy, KL(p|q), KL(q|p), JSD
};
enum : int { FORWARD = 1, REVERSE = 2, MIXTURE = 4, GRADIENT = 8 };
enum : int { OF_DATA, OF_FORWARD, OF_REVERSE, OF_MIXTURE, SUMS };

static inline Floats all(float x) { return x - Floats{}; }

// The last vector of a row is filled up with excluded tokens.
template <bool WHOLE>
static inline Floats load(const float* from, int64_t left) {
    Floats x = all(-INFINITY);
    if (WHOLE) std::memcpy(&x, from, sizeof x);
    else std::memcpy(&x, from, left * sizeof(float));
    return x;
}

// e^x for x <= 0 (and a rounding above it), relative error below 2e-7; 0 below the smallest normal number.
static inline Floats exponential(Floats x) {
    const Floats magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
    const Floats shifted = x * 1.44269504088896341f + magic;
    const Floats n = shifted - magic;
    const Floats r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    Floats y = all(1.9875691500e-4f);
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * (r * r) + (r + 1.0f);
    const Ints power = ((Ints)shifted - (Ints)magic + 127) << 23;
    return x < all(-87.33654f) ? Floats{} : y * (Floats)power;  // a NaN goes through
}

// log x for normal x, absolute error below 1e-7 near 1.
static inline Floats logarithm(Floats x) {
    const Ints bits = (Ints)x;
    const Ints exponent = (bits - 0x3f3504f3) >> 23;  // mantissa in [sqrt(1/2), sqrt(2))
    const Floats f = (Floats)(bits - (exponent << 23)) - 1.0f;
    const Floats e = __builtin_convertvector(exponent, Floats);
    const Floats square = f * f;
    Floats y = all(7.0376836292e-2f);
    y = y * f - 1.1514610310e-1f;
    y = y * f + 1.1676998740e-1f;
    y = y * f - 1.2420140846e-1f;
    y = y * f + 1.4249322787e-1f;
    y = y * f - 1.6668057665e-1f;
    y = y * f + 2.0000714765e-1f;
    y = y * f - 2.4999993993e-1f;
    y = y * f + 3.3333331174e-1f;
    y = y * f * square + e * -2.12194440e-4f - 0.5f * square;
    return (f + y) + e * 0.693359375f;
}

static inline double summed(Floats x) {
    double total = 0;
    for (int lane = 0; lane < LANES; ++lane) total += x[lane];
    return total;
}

static inline float largest(Floats x) {
    float most = x[0];
    for (int lane = 1; lane < LANES; ++lane) most = x[lane] > most ? x[lane] : most;
    return most;
}

// Calls step(vector, place, how many of its numbers belong to the row).
template <typename Step>
static inline void walk(int64_t from, int64_t to, Step step) {
    int64_t i = from;
    for (; i + LANES <= to; i += LANES) step(std::true_type{}, i, (int64_t)LANES);
    if (i < to) step(std::false_type{}, i, to - i);
}

// log-sum-exp of factor * z: its largest entry, and the sum of exponentials relative to that.
struct Normaliser {
    float most = -INFINITY;
    double sum = 0;

    void add(const float* z, int64_t from, int64_t to, float factor) {
        Floats peak = all(-INFINITY), total{};
        walk(from, to, [&](auto whole, int64_t i, int64_t left) {
            const Floats x = load<whole.value>(z + i, left) * factor;
            peak = x > peak ? x : peak;
        });
        const float here = largest(peak);
        if (here > most) {
            if (sum != 0) sum *= std::exp((double)most - here);
            most = here;
        }
        const float shift = offset();
        walk(from, to, [&](auto whole, int64_t i, int64_t left) {
            total += exponential(load<whole.value>(z + i, left) * factor - shift);
        });
        sum += summed(total);
    }
    // where all are excluded so far, -inf - (-inf) would be NaN before the first that is not
    float offset() const { return most == -INFINITY ? 0.0f : most; }
};

// One group on one row. `out` may be `z` itself: a vector is read before it is written, and never again.
template <int ASKED>
static void evaluate(const float* z, const float* t, int64_t V, int64_t target, const Group& g, float* out, bool first,
                     float* room, double* sums) {
    constexpr bool TEACHER = (ASKED & (FORWARD | REVERSE | MIXTURE)) != 0, GRADED = (ASKED & GRADIENT) != 0;
    constexpr bool SLOPED = GRADED && (ASKED & (REVERSE | MIXTURE)) != 0;
    Normaliser of_q, of_p;
    for (int64_t i = 0; i < V; i += BLOCK) {
        const int64_t end = i + BLOCK < V ? i + BLOCK : V;
        of_q.add(z, i, end, g.student);
        if (TEACHER) of_p.add(t, i, end, g.teacher);
    }
    const float shift_q = of_q.offset(), shift_p = of_p.offset();
    const double log_q = std::log(of_q.sum), log_p = TEACHER ? std::log(of_p.sum) : 0;
    const float over_q = (float)(1 / of_q.sum), over_p = TEACHER ? (float)(1 / of_p.sum) : 0.0f;
    const float rest_q = (float)log_q, rest_p = (float)log_p, gap = (float)(log_q - log_p);
    const float at_target = z[target];
    sums[OF_DATA] = shift_q + log_q - (double)at_target * g.student;
    if (!TEACHER && !GRADED) return;

    const float share = g.share, other = 1 - share;
    const float direct = g.on[OF_DATA] + g.on[OF_FORWARD], pull = g.on[OF_FORWARD];
    const float reverse = g.on[OF_REVERSE], mixed = g.on[OF_MIXTURE] * other;
    double forward_sum = 0, reverse_sum = 0, p_sum = 0, q_sum = 0;  // the last two: KL of each side to the mixture
    for (int64_t block = 0; block < V; block += BLOCK) {
        Floats forward_part{}, reverse_part{}, p_part{}, q_part{};
        walk(block, block + BLOCK < V ? block + BLOCK : V, [&](auto whole, int64_t i, int64_t left) {
            const Floats none{};
            const Floats x = load<whole.value>(z + i, left) * g.student - shift_q;
            const Floats q = exponential(x) * over_q;
            Floats slope = none, y = none, p = none;
            if (TEACHER) {
                y = load<whole.value>(t + i, left) * g.teacher - shift_p;
                p = exponential(y) * over_p;
            }
            if (ASKED & FORWARD) forward_part += p == none ? none : p * ((y - x) + gap);
            if (ASKED & REVERSE) {
                const Floats ratio = q == none ? none : (x - y) - gap;  // log q/p
                reverse_part += q * ratio;
                slope += reverse * ratio;
            }
            if (ASKED & MIXTURE) {
                Floats m = share * p + other * q;
                m = logarithm(m < all(SMALLEST) ? all(SMALLEST) : m);
                const Floats ratio = q == none ? none : (x - rest_q) - m;
                p_part += p == none ? none : p * ((y - rest_p) - m);
                q_part += q * ratio;
                slope += mixed * ratio;
            }
            if (GRADED) {
                Floats made = SLOPED ? q * (slope + direct) : q * direct;
                if (ASKED & FORWARD) made -= pull * p;
                if (SLOPED) std::memcpy(room + i, &q, whole.value ? sizeof q : left * sizeof(float));
                if (!first) made += load<whole.value>(out + i, left);
                std::memcpy(out + i, &made, whole.value ? sizeof made : left * sizeof(float));
            }
        });
        forward_sum += summed(forward_part);
        reverse_sum += summed(reverse_part);
        p_sum += summed(p_part);
        q_sum += summed(q_part);
    }
    sums[OF_FORWARD] = forward_sum;
    sums[OF_REVERSE] = reverse_sum;
    sums[OF_MIXTURE] = share * p_sum + other * q_sum;
    if (SLOPED) {
        const float mean = (float)(reverse * reverse_sum + mixed * q_sum);
        for (int64_t i = 0; i < V; ++i) out[i] -= mean * room[i];
    }
    if (GRADED) out[target] -= g.on[OF_DATA];
}

typedef void (*Evaluate)(const float*, const float*, int64_t, int64_t, const Group&, float*, bool, float*, double*);
template <int... ASKED>
static Evaluate chosen(int asked, std::integer_sequence<int, ASKED...>) {
    static const Evaluate known[] = {evaluate<ASKED>...};
    return known[asked];
}

// Rows [from, to); see distill_rows.
static void several(float* logits, const float* teacher, const int64_t* targets, int64_t from, int64_t to, int64_t V,
                    const Group* groups, int count, double* sums) {
    std::vector<float> room(V), gradient(count > 1 ? V : 0);
    for (int64_t row = from; row < to; ++row) {
        float* z = logits + row * V;
        float* out = count > 1 ? gradient.data() : z;  // later groups still read the logits
        bool first = true;
        for (int k = 0; k < count; ++k) {
            const Group& g = groups[k];
            chosen(g.asked, std::make_integer_sequence<int, 16>{})(
                z, teacher ? teacher + row * V : nullptr, V, targets[row], g, out, first, room.data(),
                sums + (row * count + k) * SUMS);
            if (g.asked & GRADIENT) first = false;
        }
        if (count > 1 && !first) std::memcpy(z, out, V * sizeof(float));
    }
}

// Values and gradient of `count` groups on `rows` rows of V logits.
//   logits   rows x V; the summed gradient afterwards, if any group has one
//   teacher  rows x V, or null where no group speaks of it
//   targets  rows
//   sums     rows x count x 4: -log q(target), KL(p|q), KL(q|p), JSD; 0 on entry, those not asked stay 0
extern "C" void distill_rows(float* logits, const float* teacher, const int64_t* targets, int64_t rows, int64_t V,
                             const Group* groups, int32_t count, double* sums, int32_t threads) {
    std::vector<std::thread> others;
    const int64_t each = (rows + threads - 1) / threads;
    for (int64_t from = each; from < rows; from += each) {
        const int64_t to = from + each < rows ? from + each : rows;
        try {
            others.emplace_back(several, logits, teacher, targets, from, to, V, groups, count, sums);
        } catch (const std::system_error&) {  // no more threads to be had
            several(logits, teacher, targets, from, to, V, groups, count, sums);
        }
    }
    several(logits, teacher, targets, 0, each < rows ? each : rows, V, groups, count, sums);
    for (std::thread& other : others) other.join();
}
