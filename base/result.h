// Result<T>: a value or an errno. The only error channel between rooms: no exception crosses a
// folder. A subset of std::expected's interface, so that it can become an alias once the compilers
// have that at C++20.
#pragma once

#include <cerrno>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace scalefs {

// A positive errno value (ENOENT, EIO, ...). EUCLEAN stands for "the image is damaged here".
class Errno {
 public:
  constexpr explicit Errno(int code) : code_(code) {}
  constexpr int code() const { return code_; }
  friend constexpr bool operator==(Errno, Errno) = default;

 private:
  int code_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : ok_(true) { new (&storage_.value) T(std::move(value)); }
  Result(Errno error) : ok_(false) { storage_.error = error.code(); }
  // The value is what `make` returns, built where it stays: for large ones on hot paths.
  template <class Make>
  Result(std::in_place_t, Make&& make) : ok_(true) {
    new (&storage_.value) T(make());
  }
  Result(Result&& other) noexcept : ok_(other.ok_) {
    if (ok_) {
      new (&storage_.value) T(std::move(other.storage_.value));
    } else {
      storage_.error = other.storage_.error;
    }
  }
  Result(const Result& other) : ok_(other.ok_) {
    if (ok_) {
      new (&storage_.value) T(other.storage_.value);
    } else {
      storage_.error = other.storage_.error;
    }
  }
  Result& operator=(Result&& other) noexcept {
    if (this != &other) {
      this->~Result();
      new (this) Result(std::move(other));
    }
    return *this;
  }
  Result& operator=(const Result& other) {
    if (this != &other) {
      Result copy(other);
      *this = std::move(copy);
    }
    return *this;
  }
  ~Result() {
    if (ok_) storage_.value.~T();
  }

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  Errno error() const {
    SCALEFS_CHECK(!ok_);
    return Errno(storage_.error);
  }
  // 0 when ok, the errno otherwise.
  int code() const { return ok_ ? 0 : storage_.error; }

  T& value() & {
    SCALEFS_CHECK(ok_);
    return storage_.value;
  }
  const T& value() const& {
    SCALEFS_CHECK(ok_);
    return storage_.value;
  }
  T&& value() && {
    SCALEFS_CHECK(ok_);
    return std::move(storage_.value);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  union Storage {
    Storage() : error(0) {}
    ~Storage() {}
    T value;
    int error;
  } storage_;
  bool ok_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  constexpr Result() = default;
  constexpr Result(Errno error) : error_(error.code()) {}
  constexpr bool ok() const { return error_ == 0; }
  constexpr explicit operator bool() const { return ok(); }
  Errno error() const {
    SCALEFS_CHECK(error_ != 0);
    return Errno(error_);
  }
  constexpr int code() const { return error_; }

 private:
  int error_ = 0;
};

using Status = Result<void>;

}  // namespace scalefs

#define SCALEFS_CONCAT_INNER(a, b) a##b
#define SCALEFS_CONCAT(a, b) SCALEFS_CONCAT_INNER(a, b)

// SCALEFS_TRY(auto x, expr): declares x from the value of expr, or returns its error.
#define SCALEFS_TRY(declaration, expression)                     \
  auto SCALEFS_CONCAT(scalefs_try_, __LINE__) = (expression);    \
  if (!SCALEFS_CONCAT(scalefs_try_, __LINE__).ok()) [[unlikely]] \
    return SCALEFS_CONCAT(scalefs_try_, __LINE__).error();       \
  declaration = std::move(SCALEFS_CONCAT(scalefs_try_, __LINE__)).value()

// SCALEFS_TRY_VOID(expr): returns the error of expr, if it has one.
#define SCALEFS_TRY_VOID(expression)           \
  do {                                         \
    auto scalefs_try_status = (expression);    \
    if (!scalefs_try_status.ok()) [[unlikely]] \
      return scalefs_try_status.error();       \
  } while (0)
