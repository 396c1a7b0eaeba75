// SPDX-License-Identifier: MIT
// Properties of a bin that are its children's: without prefix where the name is unique, else as
// CHILD-NAME.
#pragma once

#include <gst/gst.h>

#include <string>
#include <vector>

namespace sphere::gst {

/// A child of the bin: its name, the factory that makes it.
struct ProxiedChild {
    const char *name;
    const char *factory;
};

/// A default of the bin's own.
struct ProxiedDefault {
    const char *child;
    const char *property;
    guint value;
};

/// Where a property of the bin leads.
struct ProxiedProperty {
    std::string name;  ///< of the bin
    std::string child; ///< name
    std::string property;
};

/// Installs the children's own properties on `klass`, numbered from `first`, and returns them
/// in that order. Properties of a type that cannot be cloned are left to GstChildProxy.
std::vector<ProxiedProperty>
install_proxied_properties(GObjectClass *klass, guint first,
                           const std::vector<ProxiedChild> &children,
                           const std::vector<ProxiedDefault> &defaults);

} // namespace sphere::gst
