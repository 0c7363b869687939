// A few threads that share out ranges of elements.
//
// Nothing in the library starts threads by itself: whoever wants them makes `workers` and passes
// them on. Results do not depend on their number, since every kernel gives the same bits for any
// cut of its elements.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/fused_pass.hpp"

namespace tweedie {

// Threads that wait for work; the calling thread is one of them. One call at a time.
class workers {
 public:
  // What is started is joined where another thread cannot be.
  explicit workers(unsigned threads) : workers() {
    detail::require(threads > 0, "workers", "threads", threads, "at least 1, the caller's own");
    for (unsigned i = 1; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  }
  ~workers() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  workers(const workers&) = delete;
  workers& operator=(const workers&) = delete;

  std::size_t size() const { return threads_.size() + 1; }

  // Calls work(i) for i = 0 ... count - 1, each once, in any order, and waits. The first exception
  // is thrown again here; work not yet begun by then is dropped.
  template <class Work>
  void for_each(std::size_t count, Work&& work) {
    if (threads_.empty() || count < 2) {
      for (std::size_t i = 0; i < count; ++i) work(i);
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      call_ = [](void* to, std::size_t i) {
        (*static_cast<std::remove_reference_t<Work>*>(to))(i);
      };
      work_ = &work;
      count_ = count;
      next_ = 0;
      busy_ = threads_.size();
      failure_ = nullptr;
      ++generation_;
    }
    wake_.notify_all();
    take();
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  workers() = default;  // a destructor's work is done for what is constructed

  void serve() {
    std::uint64_t seen = 0;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stopping_ || generation_ != seen; });
        if (stopping_) return;
        seen = generation_;
      }
      take();
      {
        const std::lock_guard lock(mutex_);
        --busy_;
      }
      done_.notify_one();
    }
  }

  void take() {
#if defined(TWEEDIE_EXCEPTIONS)
    try {
      take_all();
    } catch (...) {
      next_ = count_;
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
#else
    take_all();
#endif
  }

  void take_all() {
    for (std::size_t i; (i = next_.fetch_add(1)) < count_;) call_(work_, i);
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  void (*call_)(void*, std::size_t) = nullptr;
  void* work_ = nullptr;
  std::size_t count_ = 0;
  std::atomic<std::size_t> next_ = 0;
  std::size_t busy_ = 0;
  std::uint64_t generation_ = 0;
  bool stopping_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

// Calls work(begin, end) for pieces of [0, size) of at least `grain` elements.
template <class Work>
void for_each_range(workers& threads, std::size_t size, std::size_t grain, Work&& work) {
  const std::size_t pieces = (size + grain - 1) / std::max<std::size_t>(grain, 1);
  threads.for_each(pieces,
                   [&](std::size_t i) { work(i * grain, (std::min)(size, (i + 1) * grain)); });
}

// One pass, shared out in pieces of 16384 elements.
template <class Pass>
void apply(const Pass& pass, workers& threads) {
  for_each_range(threads, pass.size(), 16 * detail::block_size,
                 [&](std::size_t begin, std::size_t end) {
                   apply(pass, element_range{begin, end});
                 });
}

}  // namespace tweedie
