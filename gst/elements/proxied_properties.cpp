// SPDX-License-Identifier: MIT
#include "gst/elements/proxied_properties.h"

#include "gst/base/spherefilter.h"

#include <cstring>
#include <map>
#include <optional>

namespace sphere::gst {
namespace {

struct Source {
    const ProxiedChild *child;
    GParamSpec *spec;
};

// The flags of `spec` that hold for a property without static strings.
GParamFlags flags_of(const GParamSpec *spec) {
    constexpr guint kStatic = G_PARAM_STATIC_NAME | G_PARAM_STATIC_NICK | G_PARAM_STATIC_BLURB;
    return static_cast<GParamFlags>(spec->flags & ~kStatic);
}

GParamSpec *clone_number(const char *name, GParamSpec *spec, std::optional<guint> value) {
    const char *nick = g_param_spec_get_nick(spec), *blurb = g_param_spec_get_blurb(spec);
    const GParamFlags flags = flags_of(spec);
    if (const auto *from = G_IS_PARAM_SPEC_UINT(spec) ? G_PARAM_SPEC_UINT(spec) : nullptr)
        return g_param_spec_uint(name, nick, blurb, from->minimum, from->maximum,
                                 value.value_or(from->default_value), flags);
    if (const auto *from = G_IS_PARAM_SPEC_INT(spec) ? G_PARAM_SPEC_INT(spec) : nullptr)
        return g_param_spec_int(name, nick, blurb, from->minimum, from->maximum,
                                from->default_value, flags);
    if (const auto *from = G_IS_PARAM_SPEC_UINT64(spec) ? G_PARAM_SPEC_UINT64(spec) : nullptr)
        return g_param_spec_uint64(name, nick, blurb, from->minimum, from->maximum,
                                   from->default_value, flags);
    if (const auto *from = G_IS_PARAM_SPEC_FLOAT(spec) ? G_PARAM_SPEC_FLOAT(spec) : nullptr)
        return g_param_spec_float(name, nick, blurb, from->minimum, from->maximum,
                                  from->default_value, flags);
    if (const auto *from = G_IS_PARAM_SPEC_DOUBLE(spec) ? G_PARAM_SPEC_DOUBLE(spec) : nullptr)
        return g_param_spec_double(name, nick, blurb, from->minimum, from->maximum,
                                   from->default_value, flags);
    return nullptr;
}

// Null where the type is none of those.
GParamSpec *clone(const char *name, GParamSpec *spec, std::optional<guint> value) {
    const char *nick = g_param_spec_get_nick(spec), *blurb = g_param_spec_get_blurb(spec);
    const GParamFlags flags = flags_of(spec);
    if (GParamSpec *number = clone_number(name, spec, value))
        return number;
    if (G_IS_PARAM_SPEC_BOOLEAN(spec))
        return g_param_spec_boolean(name, nick, blurb,
                                    G_PARAM_SPEC_BOOLEAN(spec)->default_value, flags);
    if (G_IS_PARAM_SPEC_STRING(spec))
        return g_param_spec_string(name, nick, blurb, G_PARAM_SPEC_STRING(spec)->default_value,
                                   flags);
    if (G_IS_PARAM_SPEC_ENUM(spec))
        return g_param_spec_enum(name, nick, blurb, spec->value_type,
                                 G_PARAM_SPEC_ENUM(spec)->default_value, flags);
    if (G_IS_PARAM_SPEC_BOXED(spec))
        return g_param_spec_boxed(name, nick, blurb, spec->value_type, flags);
    return nullptr;
}

// What the child's own class and the common base of ours have; nothing of GStreamer's (name,
// parent, qos).
std::vector<Source> properties_of(const ProxiedChild &child) {
    std::vector<Source> sources;
    GstElementFactory *factory = gst_element_factory_find(child.factory);
    if (factory == nullptr)
        return sources;
    auto *loaded = GST_ELEMENT_FACTORY(gst_plugin_feature_load(GST_PLUGIN_FEATURE(factory)));
    gst_object_unref(factory);
    if (loaded == nullptr)
        return sources;
    auto *klass =
        G_OBJECT_CLASS(g_type_class_ref(gst_element_factory_get_element_type(loaded)));
    guint n = 0;
    GParamSpec **specs = g_object_class_list_properties(klass, &n);
    for (guint i = 0; i < n; ++i)
        if (g_type_is_a(specs[i]->owner_type, GST_TYPE_SPHERE_FILTER))
            sources.push_back({&child, specs[i]});
    g_free(specs);
    g_type_class_unref(klass); // static types: the class and its properties stay
    gst_object_unref(loaded);
    return sources;
}

} // namespace

std::vector<ProxiedProperty>
install_proxied_properties(GObjectClass *klass, guint first,
                           const std::vector<ProxiedChild> &children,
                           const std::vector<ProxiedDefault> &defaults) {
    std::vector<Source> sources;
    std::map<std::string, int> uses;
    for (const ProxiedChild &child : children)
        for (const Source &source : properties_of(child)) {
            sources.push_back(source);
            ++uses[source.spec->name];
        }
    std::vector<ProxiedProperty> proxied;
    for (const Source &source : sources) {
        const std::string property = source.spec->name, child = source.child->name;
        std::string name = property;
        if (uses[property] > 1)
            name.insert(0, child + '-');
        std::optional<guint> value;
        for (const ProxiedDefault &own : defaults)
            if (child == own.child && property == own.property)
                value = own.value;
        if (GParamSpec *spec = clone(name.c_str(), source.spec, value)) {
            g_object_class_install_property(klass, first + static_cast<guint>(proxied.size()),
                                            spec);
            proxied.push_back({name, child, property});
        }
    }
    return proxied;
}

} // namespace sphere::gst
