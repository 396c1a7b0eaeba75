// SPDX-License-Identifier: MIT
// What a thread is set to while a network runs in it, and set back to afterwards.
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

// The library's own OpenMP runtime, if it is built on one: the number of threads is a property
// of the thread that runs a primitive.
extern "C" {
__attribute__((weak)) void omp_set_num_threads(int);
__attribute__((weak)) int omp_get_max_threads();
}

namespace sphere::onednn {

/// Makes threads of the library that wait for each other sleep soon. Once a process; does
/// nothing with another OpenMP than GNU's.
void calm_openmp();

class ThreadCount {
  public:
    explicit ThreadCount(int threads) {
        if (threads <= 0 || omp_set_num_threads == nullptr || omp_get_max_threads == nullptr)
            return;
        before_ = omp_get_max_threads();
        omp_set_num_threads(threads);
    }
    ~ThreadCount() {
        if (before_ > 0)
            omp_set_num_threads(before_);
    }
    ThreadCount(const ThreadCount &) = delete;
    ThreadCount &operator=(const ThreadCount &) = delete;

  private:
    int before_ = 0;
};

// Denormal numbers count as zero while a network runs; threads that it starts inherit this.
class FlushDenormals {
  public:
#if defined(__SSE2__)
    FlushDenormals() {
        _mm_setcsr(before_ | 0x8040);
    } // flush to zero, denormals are zero
    ~FlushDenormals() {
        _mm_setcsr(before_);
    }
#else
    FlushDenormals() = default;
#endif
    FlushDenormals(const FlushDenormals &) = delete;
    FlushDenormals &operator=(const FlushDenormals &) = delete;

  private:
#if defined(__SSE2__)
    unsigned before_ = _mm_getcsr();
#endif
};

} // namespace sphere::onednn
