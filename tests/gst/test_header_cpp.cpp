// SPDX-License-Identifier: MIT
// The same program in C++: what C programs do with the header, C++ programs can do too.
#include "test_header_c.c" // NOLINT(bugprone-suspicious-include)
