// SPDX-License-Identifier: MIT
// A look at JSON before it is parsed.
#include "core/gallery/json_text.h"

namespace sphere {

bool has_bounded_depth(std::string_view json) {
    constexpr int kMaxDepth = 64;
    int depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
        const char c = json[i];
        if (in_string) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > kMaxDepth)
                return false;
        } else if (c == '}' || c == ']') {
            --depth;
        }
    }
    return true;
}

} // namespace sphere
