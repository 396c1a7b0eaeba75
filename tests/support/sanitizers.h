// SPDX-License-Identifier: MIT
// Which sanitizer a test was built for, by GCC's names or clang's: 1 or 0.
#pragma once

#if defined(__has_feature)
#define SPHERE_HAS_SANITIZER(name) __has_feature(name)
#else
#define SPHERE_HAS_SANITIZER(name) 0
#endif

#if defined(__SANITIZE_THREAD__) || SPHERE_HAS_SANITIZER(thread_sanitizer)
#define SPHERE_TSAN 1
#else
#define SPHERE_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__) || SPHERE_HAS_SANITIZER(address_sanitizer)
#define SPHERE_ASAN 1
#else
#define SPHERE_ASAN 0
#endif
