// SPDX-License-Identifier: MIT
// spherematch's properties.
#include "gst/base/enums.h"
#include "gst/base/model_properties.h"
#include "gst/elements/match_state.h"

namespace sphere::gst {
namespace {

enum {
    PROP_0,
    PROP_GALLERY,
    PROP_INDEX,
    PROP_METRIC,
    PROP_THRESHOLD,
    PROP_MONOCHROME_THRESHOLD,
    PROP_MARGIN,
    PROP_TOP_K,
    PROP_UNKNOWN_LABEL,
    PROP_VOTE_WINDOW,
    PROP_PRESENCE_TIMEOUT,
    PROP_RELOAD,
    PROP_SELF_CHECK,
    PROP_COLLECT_UNKNOWN,
    PROP_STREAM,
    PROP_UNKNOWN_RETENTION,
    PROP_UNKNOWN_CAP,
    PROP_UNKNOWN_MIN_QUALITY,
    PROP_UNKNOWN_VISIT_GAP,
    PROP_UNKNOWN_THUMBNAILS,
};

constexpr auto kReady = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                 GST_PARAM_MUTABLE_READY);
constexpr auto kPlaying = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                   GST_PARAM_MUTABLE_PLAYING);

gint enum_value(GType type, const std::string &nick) {
    auto *enum_class = static_cast<GEnumClass *>(g_type_class_ref(type));
    const GEnumValue *entry = g_enum_get_value_by_nick(enum_class, nick.c_str());
    const gint value = entry != nullptr ? entry->value : 0;
    g_type_class_unref(enum_class);
    return value;
}

void install_stranger_properties(GObjectClass *klass) {
    const StrangerLimits limits;
    const auto install = [klass](guint id, GParamSpec *spec) {
        g_object_class_install_property(klass, id, spec);
    };
    install(PROP_COLLECT_UNKNOWN,
            g_param_spec_boolean("collect-unknown", "Collect unknown people",
                                 "Keep the embeddings of people who are not known in the "
                                 "gallery, under ids that stay (unknown-12)",
                                 FALSE, kReady));
    install(PROP_STREAM, g_param_spec_string("stream", "Stream",
                                             "The camera that unknown people visit (unset: "
                                             "the element's name)",
                                             nullptr, kReady));
    install(PROP_UNKNOWN_RETENTION,
            g_param_spec_uint64("unknown-retention", "Retention of unknown people",
                                "Unknown people are removed when not seen for this long, in "
                                "ms (0 = never); set, also while none are collected",
                                0, G_MAXINT64 / 2, static_cast<guint64>(limits.retention_ms),
                                kPlaying));
    install(PROP_UNKNOWN_CAP,
            g_param_spec_uint("unknown-cap", "Most unknown people",
                              "Of more unknown people the longest unseen are removed", 1,
                              100000, static_cast<guint>(limits.most), kPlaying));
    install(PROP_UNKNOWN_MIN_QUALITY,
            g_param_spec_float("unknown-min-quality", "Quality of unknown people",
                               "Quality from which a picture makes an unknown person (0.5 "
                               "where spherealign did not assess it)",
                               0, 1, limits.min_quality, kPlaying));
    install(PROP_UNKNOWN_VISIT_GAP,
            g_param_spec_uint("unknown-visit-gap", "Gap between visits",
                              "Who was not seen for longer comes for another visit, in ms", 1,
                              G_MAXINT, static_cast<guint>(limits.same_visit_ms), kPlaying));
    install(PROP_UNKNOWN_THUMBNAILS,
            g_param_spec_boolean("unknown-thumbnails", "Thumbnails of unknown people",
                                 "Keep the aligned pictures of unknown people as well",
                                 limits.thumbnails, kPlaying));
}

} // namespace

void set_match_property(GObject *object, MatchState &state, guint id, const GValue *value,
                        GParamSpec *pspec) {
    guarded_void(object, [&] {
        const std::lock_guard lock(state.mutex);
        MatchSettings &settings = state.settings;
        switch (id) {
        case PROP_GALLERY:
            settings.gallery = string_from(value);
            return;
        case PROP_INDEX:
            settings.index = enum_nick(gst_sphere_index_get_type(), g_value_get_enum(value));
            return;
        case PROP_METRIC:
            settings.metric = enum_nick(gst_sphere_metric_get_type(), g_value_get_enum(value));
            break;
        case PROP_THRESHOLD:
            settings.threshold = g_value_get_float(value);
            break;
        case PROP_MONOCHROME_THRESHOLD:
            settings.monochrome_threshold = g_value_get_float(value);
            break;
        case PROP_MARGIN:
            settings.margin = g_value_get_float(value);
            break;
        case PROP_TOP_K:
            settings.top_k = static_cast<int>(g_value_get_uint(value));
            break;
        case PROP_UNKNOWN_LABEL:
            state.unknown_label = string_from(value);
            return;
        case PROP_VOTE_WINDOW:
            state.vote_window = g_value_get_uint(value);
            return;
        case PROP_PRESENCE_TIMEOUT:
            state.presence_timeout_ms = g_value_get_uint(value);
            return;
        case PROP_RELOAD:
            settings.reload = g_value_get_boolean(value) != FALSE;
            return;
        case PROP_SELF_CHECK:
            state.self_check = g_value_get_boolean(value) != FALSE;
            return;
        case PROP_COLLECT_UNKNOWN:
            state.collect_unknown = g_value_get_boolean(value) != FALSE;
            return;
        case PROP_STREAM:
            state.stream = string_from(value);
            return;
        case PROP_UNKNOWN_RETENTION:
            state.stranger_limits.retention_ms =
                static_cast<std::int64_t>(g_value_get_uint64(value));
            state.retention_set = true;
            break;
        case PROP_UNKNOWN_CAP:
            state.stranger_limits.most = static_cast<int>(g_value_get_uint(value));
            break;
        case PROP_UNKNOWN_MIN_QUALITY:
            state.stranger_limits.min_quality = g_value_get_float(value);
            break;
        case PROP_UNKNOWN_VISIT_GAP:
            state.stranger_limits.same_visit_ms = g_value_get_uint(value);
            break;
        case PROP_UNKNOWN_THUMBNAILS:
            state.stranger_limits.thumbnails = g_value_get_boolean(value) != FALSE;
            break;
        default:
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
            return;
        }
        state.settings_changed = true;
    });
}

void get_match_property(GObject *object, MatchState &state, guint id, GValue *value,
                        GParamSpec *pspec) {
    const std::lock_guard lock(state.mutex);
    const MatchSettings &settings = state.settings;
    switch (id) {
    case PROP_GALLERY:
        // Whoever lists properties, a pipeline's drawing for one, is not to have a password.
        if (!settings.gallery.empty())
            g_value_set_string(value, shown_gallery(settings.gallery).c_str());
        break;
    case PROP_INDEX:
        g_value_set_enum(value, enum_value(gst_sphere_index_get_type(), settings.index));
        break;
    case PROP_METRIC:
        g_value_set_enum(value, enum_value(gst_sphere_metric_get_type(), settings.metric));
        break;
    case PROP_THRESHOLD:
        g_value_set_float(value, settings.threshold);
        break;
    case PROP_MONOCHROME_THRESHOLD:
        g_value_set_float(value, settings.monochrome_threshold);
        break;
    case PROP_MARGIN:
        g_value_set_float(value, settings.margin);
        break;
    case PROP_TOP_K:
        g_value_set_uint(value, static_cast<guint>(settings.top_k));
        break;
    case PROP_UNKNOWN_LABEL:
        g_value_set_string(value, state.unknown_label.c_str());
        break;
    case PROP_VOTE_WINDOW:
        g_value_set_uint(value, state.vote_window);
        break;
    case PROP_PRESENCE_TIMEOUT:
        g_value_set_uint(value, state.presence_timeout_ms);
        break;
    case PROP_RELOAD:
        g_value_set_boolean(value, settings.reload);
        break;
    case PROP_SELF_CHECK:
        g_value_set_boolean(value, state.self_check);
        break;
    case PROP_COLLECT_UNKNOWN:
        g_value_set_boolean(value, state.collect_unknown);
        break;
    case PROP_STREAM:
        g_value_set_string(value, state.stream.empty() ? nullptr : state.stream.c_str());
        break;
    case PROP_UNKNOWN_RETENTION:
        g_value_set_uint64(value, static_cast<guint64>(state.stranger_limits.retention_ms));
        break;
    case PROP_UNKNOWN_CAP:
        g_value_set_uint(value, static_cast<guint>(state.stranger_limits.most));
        break;
    case PROP_UNKNOWN_MIN_QUALITY:
        g_value_set_float(value, state.stranger_limits.min_quality);
        break;
    case PROP_UNKNOWN_VISIT_GAP:
        g_value_set_uint(value, static_cast<guint>(state.stranger_limits.same_visit_ms));
        break;
    case PROP_UNKNOWN_THUMBNAILS:
        g_value_set_boolean(value, state.stranger_limits.thumbnails);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
}

void install_match_properties(GObjectClass *klass) {
    const auto install = [klass](guint id, GParamSpec *spec) {
        g_object_class_install_property(klass, id, spec);
    };
    install(PROP_GALLERY,
            g_param_spec_string("gallery", "Gallery",
                                "Enrolled people: sqlite:PATH or a bare path, relative to the "
                                "working directory, or postgresql://HOST/DATABASE (made by "
                                "spherectl enrol); a password in it reads back as ***",
                                nullptr, kReady));
    install(PROP_INDEX,
            g_param_spec_enum("index", "Index", "How the gallery is searched",
                              gst_sphere_index_get_type(), GST_SPHERE_INDEX_AUTO, kReady));
    install(PROP_METRIC,
            g_param_spec_enum("metric", "Metric", "Distance between embeddings",
                              gst_sphere_metric_get_type(), GST_SPHERE_METRIC_AUTO, kPlaying));
    install(PROP_THRESHOLD,
            g_param_spec_float("threshold", "Threshold",
                               "A person is known at this distance or nearer (-1 = the model's "
                               "own)",
                               -1, G_MAXFLOAT, -1, kPlaying));
    install(
        PROP_MONOCHROME_THRESHOLD,
        g_param_spec_float("monochrome-threshold", "Monochrome threshold",
                           "The threshold of faces without colours, as cameras give them at "
                           "night (-1 = the same)",
                           -1, G_MAXFLOAT, -1, kPlaying));
    install(
        PROP_MARGIN,
        g_param_spec_float("margin", "Margin",
                           "A face is ambiguous when the second person is no farther behind "
                           "the first than this (-1 = 0.05 for cosine, off for euclidean; 0 = "
                           "off)",
                           -1, G_MAXFLOAT, -1, kPlaying));
    install(PROP_TOP_K, g_param_spec_uint("top-k", "Candidates",
                                          "People reported for each face, nearest first", 1,
                                          1000, 1, kPlaying));
    install(PROP_UNKNOWN_LABEL,
            g_param_spec_string("unknown-label", "Unknown label",
                                "What is shown for faces that are not known", "unknown",
                                kPlaying));
    install(PROP_VOTE_WINDOW,
            g_param_spec_uint("vote-window", "Vote window",
                              "Frames back from which a tracked face's embeddings vote on who "
                              "it is (0 = each face by itself)",
                              0, 100000, kDefaultVoteWindow, kPlaying));
    install(PROP_PRESENCE_TIMEOUT,
            g_param_spec_uint("presence-timeout", "Presence time-out",
                              "A person or track has left when not seen for this long, in ms",
                              0, G_MAXUINT, 2000, kPlaying));
    install(PROP_RELOAD, g_param_spec_boolean("reload", "Reload",
                                              "Follow changes of the gallery while running, "
                                              "within about a second",
                                              TRUE, kPlaying));
    install(PROP_SELF_CHECK,
            g_param_spec_boolean("self-check", "Self-check",
                                 "When the gallery was loaded or changed, tell whether the "
                                 "threshold is safe for it (up to 20000 faces)",
                                 TRUE, kPlaying));
    install_stranger_properties(klass);
}

} // namespace sphere::gst
