// SPDX-License-Identifier: MIT
// Result<T>: a value or an Error. The only way in which the core reports a failure.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace sphere {

/// What went wrong, by what the caller can do about it.
enum class Errc : std::uint8_t {
    InvalidArgument, ///< the caller's value is out of range or of the wrong form: correct it
    NotFound,        ///< a file, model, person or face that was named does not exist
    Permission,      ///< it exists and may not be read or written
    Corrupt, ///< it was read and is not what it should be (truncated, bad checksum, bad syntax)
    Unsupported, ///< this build or this format version cannot do it; the message says what can
    Mismatch,    ///< two valid things do not fit (a gallery and a model, a crop and a network)
    Busy,        ///< locked by somebody else for longer than the time-out: try again
    NoSpace,     ///< the disk is full; nothing was lost
    Io,          ///< any other failure to read or write
    Engine,      ///< the inference library failed while it loaded or ran a network
    Internal,    ///< a bug of ours
};

/// The name of `code` as it stands above; never null.
const char *errc_name(Errc code) noexcept;

/// A failure. `message` says what, where (file, option, property), and what to do about it.
struct Error {
    Errc code = Errc::Internal;
    std::string message;
};

/// Makes an Error from pieces: `fail(Errc::NotFound, "no model named ", name)`.
template <typename... Parts> [[nodiscard]] Error fail(Errc code, const Parts &...parts) {
    std::string message;
    const auto append = [&message](const auto &part) {
        if constexpr (std::is_arithmetic_v<std::decay_t<decltype(part)>>)
            message += std::to_string(part);
        else
            message += part;
    };
    (append(parts), ...);
    return Error{code, std::move(message)};
}

/// Either a T or an Error. Move-only if T is. Access to the absent half is a bug (asserted).
template <typename T> class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }

    T &value() & { return get(*this); }
    const T &value() const & { return get(*this); }
    T &&value() && { return std::move(get(*this)); }
    T &operator*() & { return value(); }
    const T &operator*() const & { return value(); }
    T *operator->() { return &value(); }
    const T *operator->() const { return &value(); }

    const Error &error() const & {
        assert(!ok());
        return *std::get_if<1>(&state_);
    }
    Error &&error() && {
        assert(!ok());
        return std::move(*std::get_if<1>(&state_));
    }

  private:
    template <typename Self> static auto &get(Self &self) {
        assert(self.ok());
        return *std::get_if<0>(&self.state_);
    }
    std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <> class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : state_(std::move(error)) {}
    bool ok() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }
    const Error &error() const & {
        assert(!ok());
        return *std::get_if<1>(&state_);
    }
    Error &&error() && {
        assert(!ok());
        return std::move(*std::get_if<1>(&state_));
    }

  private:
    std::variant<std::monostate, Error> state_;
};

/// Returns the error of `expr` (a Result) from the calling function, if there is one.
#define SPHERE_TRY(expr)                                                                       \
    do {                                                                                       \
        if (auto sphere_try_result_ = (expr); !sphere_try_result_.ok())                        \
            return std::move(sphere_try_result_).error();                                      \
    } while (false)

} // namespace sphere
