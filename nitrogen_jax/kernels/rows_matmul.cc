// y = x @ w + bias in float32 for few rows of x, where the time goes into reading w.
//
// A general matrix product rearranges w at every call, which costs as much as the product itself
// when x has only a few rows. Here w arrives in the order in which it is used:
//
//   w     (panels, inputs, kPanel)   columns in panels of kPanel, the last one padded with zeros
//   bias  (panels, kPanel)           padded likewise
//
// Each thread takes one panel at a time and goes through it in pieces that stay in its innermost
// caches while all rows are multiplied with them; meanwhile the next piece is fetched.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

// A tile of kRows x kVectors vectors, one vector of w for each column and one broadcast of x must
// fit into the vector registers: 32 with AVX-512 and on aarch64, 16 else.
#if defined(__AVX512F__)
constexpr int kLanes = 16, kVectors = 2, kRows = 9;
#elif defined(__AVX__)
constexpr int kLanes = 8, kVectors = 2, kRows = 6;
#elif defined(__aarch64__)
constexpr int kLanes = 4, kVectors = 3, kRows = 9;
#else
constexpr int kLanes = 4, kVectors = 2, kRows = 6;
#endif
constexpr int kPanel = kLanes * kVectors;
constexpr int64_t kMaxRows = 64;
constexpr int64_t kPiece = 128;  // inputs of one piece of a panel: at most 16 KiB of w

typedef float Vector __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

inline Vector& at(float* p) { return *reinterpret_cast<Vector*>(p); }
inline const Vector& at(const float* p) { return *reinterpret_cast<const Vector*>(p); }

// tile (rows, kPanel) += x (count, rows) transposed @ w (count, kPanel); fetches from `next` on.
template <int rows>
void multiply(const float* x, const float* w, int64_t count, float* tile, const char* next,
              int64_t stride) {
  Vector sum[rows][kVectors];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = at(tile + r * kPanel + v * kLanes);
  for (int64_t k = 0; k < count; ++k) {
    __builtin_prefetch(next + k * stride, 0, 2);
    Vector column[kVectors];
    for (int v = 0; v < kVectors; ++v) column[v] = at(w + k * kPanel + v * kLanes);
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < kVectors; ++v) sum[r][v] += x[k * rows + r] * column[v];
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < kVectors; ++v) at(tile + r * kPanel + v * kLanes) = sum[r][v];
}

using Multiply = void (*)(const float*, const float*, int64_t, float*, const char*, int64_t);

template <int rows>
Multiply multiply_for(int wanted) {
  if constexpr (rows == 1) {
    return multiply<1>;
  } else {
    return wanted == rows ? multiply<rows> : multiply_for<rows - 1>(wanted);
  }
}

// One product. Panels are handed out by `claimed`; the product is done when `finished` is `panels`.
// NOTE: helpers may start after the product is done, or never. They own a share of this struct, and
// touch what it points to only after they were given a panel, which the caller then waits for. So
// no thread ever waits for one that has not started, and a full thread pool cannot lock up.
struct Product {
  int64_t rows, inputs, outputs, panels, blocks;
  const float *x, *w, *bias;  // x: blocks of rows, each (inputs, rows of the block)
  float* y;
  std::atomic<int64_t> claimed{0}, finished{0};

  int64_t first_row(int64_t block) const { return rows * block / blocks; }

  void panel(int64_t index, int64_t after) const {
    alignas(64) float tile[kMaxRows * kPanel];
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(tile + r * kPanel, bias + index * kPanel, sizeof(float) * kPanel);
    const float* from = w + index * inputs * kPanel;
    for (int64_t k = 0; k < inputs; k += kPiece) {
      const int64_t count = std::min(kPiece, inputs - k);
      const float* next = k + kPiece < inputs ? from + (k + kPiece) * kPanel
                                              : w + after * inputs * kPanel;
      const int64_t share = sizeof(float) * kPanel * kPiece / blocks;
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t first = first_row(b), many = first_row(b + 1) - first;
        multiply_for<kRows>(many)(x + first * inputs + k * many, from + k * kPanel, count,
                                  tile + first * kPanel,
                                  reinterpret_cast<const char*>(next) + b * share,
                                  sizeof(float) * kPanel / blocks);
      }
    }
    const int64_t column = index * kPanel, width = std::min<int64_t>(kPanel, outputs - column);
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(y + r * outputs + column, tile + r * kPanel, sizeof(float) * width);
  }

  void work() {
    // The next panel is claimed before this one is done, so that it can be fetched meanwhile.
    for (int64_t index = claimed++; index < panels;) {
      const int64_t after = claimed++;
      panel(index, after < panels ? after : index);
      finished.fetch_add(1, std::memory_order_release);
      index = after;
    }
  }
};

// x (rows, inputs) -> for every block of rows (inputs, rows of the block).
void transpose(const float* x, const Product& p, float* out) {
  for (int64_t b = 0; b < p.blocks; ++b) {
    const int64_t first = p.first_row(b), many = p.first_row(b + 1) - first;
    // One cache line of every row at a time: rows often lie a power of two apart, and the same
    // column of all of them does not fit into the cache's set.
    for (int64_t from = 0; from < p.inputs; from += 16)
      for (int64_t r = 0; r < many; ++r)
        for (int64_t k = from; k < std::min(from + 16, p.inputs); ++k)
          out[first * p.inputs + k * many + r] = x[(first + r) * p.inputs + k];
  }
}

ffi::Error RowsMatmul(ffi::ThreadPool pool, ffi::Buffer<ffi::F32> x, ffi::Buffer<ffi::F32> w,
                      ffi::Buffer<ffi::F32> bias, ffi::ResultBuffer<ffi::F32> y) {
  const auto in = x.dimensions(), packed = w.dimensions(), out = y->dimensions();
  if (in.size() != 2 || packed.size() != 3 || out.size() != 2 || in[0] != out[0] ||
      in[1] != packed[1] || packed[2] != kPanel || in[0] > kMaxRows ||
      packed[0] != (out[1] + kPanel - 1) / kPanel ||
      bias.element_count() != static_cast<size_t>(packed[0] * kPanel)) {
    return ffi::Error::InvalidArgument("rows_matmul: shapes do not fit together");
  }
  auto p = std::make_shared<Product>();
  p->rows = in[0], p->inputs = in[1], p->outputs = out[1], p->panels = packed[0];
  p->blocks = (p->rows + kRows - 1) / kRows;
  thread_local std::vector<float> scratch;
  if (scratch.size() < x.element_count()) scratch.resize(x.element_count());
  transpose(x.typed_data(), *p, scratch.data());
  p->x = scratch.data(), p->w = w.typed_data(), p->bias = bias.typed_data();
  p->y = y->typed_data();
  // Two panels for each thread at least, since a thread claims one ahead.
  const int64_t threads = std::min<int64_t>(pool.num_threads(), p->panels / 2);
  for (int64_t t = 1; t < threads; ++t) pool.Schedule([p] { p->work(); });
  p->work();
  while (p->finished.load(std::memory_order_acquire) < p->panels) std::this_thread::yield();
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(nitrogen_rows_matmul, RowsMatmul,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Ret<ffi::Buffer<ffi::F32>>());

// How many columns of w make a panel on this processor.
extern "C" int nitrogen_panel() { return kPanel; }
