// SPDX-License-Identifier: MIT
// What a descriptor must satisfy beyond its JSON types. Private to core/model.
#pragma once

#include "core/base/result.h"
#include "core/model/descriptor.h"

#include <string>
#include <string_view>

namespace sphere {

/// True for names that are safe as a file name's stem: letters, digits, '.', '_', '-', not
/// starting with '.' or '-', 1 to 64 bytes.
bool is_model_name(std::string_view name);

/// True for one path component without a directory: no '/', no '..', no control characters, not
/// starting with '.' or '-', 1 to 128 bytes.
bool is_plain_file_name(std::string_view name);

/// Checks names, sources and the rules of the model's task. The message has no path; it names
/// the key. Errors: Corrupt, Unsupported (a framework or decoder of a later version).
Result<void> check_descriptor(const ModelDescriptor &model);

/// An id made of everything that `input` says about a pixel: equal exactly when the arithmetic
/// is.
std::string preprocessing_id(const ModelInput &input);

} // namespace sphere
