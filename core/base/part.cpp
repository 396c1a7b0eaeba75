// SPDX-License-Identifier: MIT
#include "core/base/part.h"

#include <dlfcn.h>
#include <unistd.h>

namespace sphere {
namespace {

// Where this code was loaded from, with a slash at its end; empty where the loader cannot say.
std::string own_folder() {
    static const char here = 0;
    Dl_info info{};
    if (::dladdr(&here, &info) == 0 || info.dli_fname == nullptr)
        return {};
    const std::string path = info.dli_fname;
    return path.substr(0, path.rfind('/') + 1); // npos + 1 is 0
}

} // namespace

Result<const void *> part_symbol(const std::string &name, const char *symbol) {
    const std::string file = "libspherecore-" + name + "-" SPHERE_VERSION ".so";
    std::string path = own_folder() + file;
    if (::access(path.c_str(), R_OK) != 0)
        path = file; // wherever the loader looks
    // The loader counts; that nobody closes it keeps it.
    void *const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    const void *const found = library != nullptr ? ::dlsym(library, symbol) : nullptr;
    if (found != nullptr)
        return found;
    const char *const why = ::dlerror();
    return fail(Errc::Unsupported, "a part of gst-sphere cannot be loaded (", file,
                " belongs beside libspherecore: install it again): ",
                why != nullptr ? why : "no reason given");
}

} // namespace sphere
