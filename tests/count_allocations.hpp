// Counts what operator new is asked for, and refuses what a test wants refused. Replaces the operators: for
// one source of an executable.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> allocations = 0;
/// The allocation that throws std::bad_alloc, counted as `allocations` is; none if 0.
std::atomic<std::size_t> failing_allocation = 0;

void* counted(void* (*allocate)(std::size_t size, std::size_t alignment), std::size_t size,
              std::size_t alignment) {
  if (++allocations == failing_allocation) throw std::bad_alloc();
  if (void* p = allocate(size, alignment)) return p;
  throw std::bad_alloc();
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
  return counted([](std::size_t n, std::size_t) { return std::malloc(n); }, size, 0);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

// Who asks so can go on without.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }

#if !defined(_WIN32)  // has no memory that is both aligned and freed by free
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(
      [](std::size_t n, std::size_t line) {
        return std::aligned_alloc(line, (n + line - 1) / line * line);
      },
      size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}
#endif

/// Calls `call` with its first allocation failing, then its second, and so on until it returns. Where it throws
/// std::bad_alloc, `check` is called. Returns how often it threw.
template <class Call, class Check>
[[maybe_unused]] std::size_t fail_each_allocation(const Call& call, const Check& check) {
  for (std::size_t n = 1;; ++n) {
    failing_allocation = allocations + n;
    try {
      call();
      failing_allocation = 0;
      return n - 1;
    } catch (const std::bad_alloc&) {
      failing_allocation = 0;
    }
    check();
  }
}
