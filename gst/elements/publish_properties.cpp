// SPDX-License-Identifier: MIT
// spherepublish's properties.
#include "core/publish/location.h"
#include "gst/base/guard.h"
#include "gst/base/model_properties.h"
#include "gst/elements/publish_state.h"

enum {
    PROP_0,
    PROP_LOCATION,
    PROP_STREAM,
    PROP_EMBEDDINGS,
    PROP_MODE,
    PROP_PRESENCE_TIMEOUT,
    PROP_BEST_SHOT,
    PROP_LEAKY,
    PROP_MAX_QUEUED,
    PROP_TIMEOUT,
    PROP_DRAIN_TIMEOUT,
    PROP_SPILL_DIRECTORY,
    PROP_SPILL_MAX_BYTES,
    PROP_ROTATE_BYTES,
    PROP_ROTATE_INTERVAL,
    PROP_ROTATE_KEEP,
    PROP_CA_FILE,
    PROP_CERT_FILE,
    PROP_KEY_FILE,
    PROP_CREDENTIALS_FILE,
    PROP_QOS,
    PROP_CLIENT_ID,
    PROP_HOME_ASSISTANT,
    PROP_DISCOVERY_PREFIX,
};

GType gst_sphere_publish_mode_get_type(void) {
    static gsize once = 0;
    static const GEnumValue values[] = {
        {static_cast<gint>(sphere::gst::PublishMode::Frames), "A record a frame", "frames"},
        {static_cast<gint>(sphere::gst::PublishMode::Events),
         "A record when somebody appears, is identified, is renamed, or leaves", "events"},
        {0, nullptr, nullptr},
    };
    if (g_once_init_enter(&once))
        g_once_init_leave(&once, g_enum_register_static("GstSpherePublishMode", values));
    return once;
}

GType gst_sphere_publish_leaky_get_type(void) {
    using sphere::gst::PublishLeaky;
    static gsize once = 0;
    static const GEnumValue values[] = {
        {static_cast<gint>(PublishLeaky::Auto),
         "Files and stdout are written in the streaming thread; else as downstream", "auto"},
        {static_cast<gint>(PublishLeaky::No), "The stream waits", "no"},
        {static_cast<gint>(PublishLeaky::Upstream), "New records are dropped", "upstream"},
        {static_cast<gint>(PublishLeaky::Downstream), "Old records are dropped", "downstream"},
        {0, nullptr, nullptr},
    };
    if (g_once_init_enter(&once))
        g_once_init_leave(&once, g_enum_register_static("GstSpherePublishLeaky", values));
    return once;
}

namespace sphere::gst {
namespace {

constexpr auto kReady = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                 GST_PARAM_MUTABLE_READY);
constexpr auto kPlaying = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                   GST_PARAM_MUTABLE_PLAYING);

std::string *text_of(PublishOptions &options, guint id) {
    switch (id) {
    case PROP_CA_FILE:
        return &options.ca_file;
    case PROP_CERT_FILE:
        return &options.cert_file;
    case PROP_KEY_FILE:
        return &options.key_file;
    case PROP_CREDENTIALS_FILE:
        return &options.credentials_file;
    case PROP_CLIENT_ID:
        return &options.client_id;
    case PROP_DISCOVERY_PREFIX:
        return &options.discovery_prefix;
    default:
        return nullptr;
    }
}

/// Those of where records go. False: another property.
bool set_destination(PublishSettings &settings, guint id, const GValue *value) {
    if (std::string *text = text_of(settings.options, id)) {
        *text = string_from(value);
        return true;
    }
    switch (id) {
    case PROP_QOS:
        settings.options.qos = g_value_get_int(value);
        return true;
    case PROP_HOME_ASSISTANT:
        settings.options.home_assistant = g_value_get_boolean(value) != FALSE;
        return true;
    case PROP_LOCATION:
        settings.options.location = string_from(value);
        return true;
    case PROP_TIMEOUT:
        settings.options.timeout_ms = g_value_get_uint(value);
        return true;
    case PROP_ROTATE_BYTES:
        settings.options.rotate.bytes = g_value_get_uint64(value);
        return true;
    case PROP_ROTATE_INTERVAL:
        settings.options.rotate.interval_s = g_value_get_uint(value);
        return true;
    case PROP_ROTATE_KEEP:
        settings.options.rotate.keep = g_value_get_uint(value);
        return true;
    default:
        return false;
    }
}

bool get_destination(PublishSettings &settings, guint id, GValue *value) {
    if (const std::string *text = text_of(settings.options, id)) {
        g_value_set_string(value, text->c_str());
        return true;
    }
    switch (id) {
    case PROP_QOS:
        g_value_set_int(value, settings.options.qos);
        return true;
    case PROP_HOME_ASSISTANT:
        g_value_set_boolean(value, settings.options.home_assistant);
        return true;
    case PROP_LOCATION:
        // A password that somebody wrote there, against the rules, goes no further.
        g_value_set_string(value, shown_publish_location(settings.options.location).c_str());
        return true;
    case PROP_TIMEOUT:
        g_value_set_uint(value, settings.options.timeout_ms);
        return true;
    case PROP_ROTATE_BYTES:
        g_value_set_uint64(value, settings.options.rotate.bytes);
        return true;
    case PROP_ROTATE_INTERVAL:
        g_value_set_uint(value, static_cast<guint>(settings.options.rotate.interval_s));
        return true;
    case PROP_ROTATE_KEEP:
        g_value_set_uint(value, settings.options.rotate.keep);
        return true;
    default:
        return false;
    }
}

} // namespace

void set_publish_property(GObject *object, PublishState &state, guint id, const GValue *value,
                          GParamSpec *pspec) {
    guarded_void(object, [&] {
        const std::lock_guard lock(state.mutex);
        PublishSettings &settings = state.settings;
        if (set_destination(settings, id, value))
            return;
        switch (id) {
        case PROP_STREAM:
            settings.options.stream = string_from(value);
            break;
        case PROP_EMBEDDINGS:
            settings.options.embeddings = g_value_get_boolean(value) != FALSE;
            break;
        case PROP_MODE:
            settings.mode = static_cast<PublishMode>(g_value_get_enum(value));
            break;
        case PROP_PRESENCE_TIMEOUT:
            settings.presence_timeout_ms = g_value_get_uint(value);
            break;
        case PROP_BEST_SHOT:
            settings.best_shot = g_value_get_boolean(value) != FALSE;
            break;
        case PROP_LEAKY:
            settings.leaky = static_cast<PublishLeaky>(g_value_get_enum(value));
            break;
        case PROP_MAX_QUEUED:
            settings.max_queued = g_value_get_uint(value);
            break;
        case PROP_DRAIN_TIMEOUT:
            settings.drain_timeout_ms = g_value_get_uint(value);
            break;
        case PROP_SPILL_DIRECTORY:
            settings.spill_directory = string_from(value);
            break;
        case PROP_SPILL_MAX_BYTES:
            settings.spill_max_bytes = g_value_get_uint64(value);
            break;
        default:
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        }
    });
}

void get_publish_property(GObject *object, PublishState &state, guint id, GValue *value,
                          GParamSpec *pspec) {
    guarded_void(object, [&] {
        const std::lock_guard lock(state.mutex);
        PublishSettings &settings = state.settings;
        if (get_destination(settings, id, value))
            return;
        switch (id) {
        case PROP_STREAM:
            g_value_set_string(value, settings.options.stream.c_str());
            break;
        case PROP_EMBEDDINGS:
            g_value_set_boolean(value, settings.options.embeddings);
            break;
        case PROP_MODE:
            g_value_set_enum(value, static_cast<gint>(settings.mode));
            break;
        case PROP_PRESENCE_TIMEOUT:
            g_value_set_uint(value, settings.presence_timeout_ms);
            break;
        case PROP_BEST_SHOT:
            g_value_set_boolean(value, settings.best_shot);
            break;
        case PROP_LEAKY:
            g_value_set_enum(value, static_cast<gint>(settings.leaky));
            break;
        case PROP_MAX_QUEUED:
            g_value_set_uint(value, settings.max_queued);
            break;
        case PROP_DRAIN_TIMEOUT:
            g_value_set_uint(value, settings.drain_timeout_ms);
            break;
        case PROP_SPILL_DIRECTORY:
            g_value_set_string(value, settings.spill_directory.c_str());
            break;
        case PROP_SPILL_MAX_BYTES:
            g_value_set_uint64(value, settings.spill_max_bytes);
            break;
        default:
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        }
    });
}

static void install_destination_properties(GObjectClass *klass) {
    const auto install = [klass](guint id, GParamSpec *spec) {
        g_object_class_install_property(klass, id, spec);
    };
    const PublishSettings defaults;
    install(PROP_LOCATION, g_param_spec_string(
                               "location", "Location",
                               "Where records go: a file's path (replaced if it exists), - for "
                               "standard output, unix:PATH, mqtt://HOST/TOPIC, "
                               "mqtts://HOST/TOPIC, kafka://HOST[,HOST]/TOPIC, "
                               "https://HOST/PATH. No user name and no password: "
                               "credentials-file is for those",
                               "-", kReady));
    install(PROP_TIMEOUT,
            g_param_spec_uint("timeout", "Time-out",
                              "Wait for a connection and for an answer at most, in ms", 1,
                              G_MAXUINT, defaults.options.timeout_ms, kReady));
    install(PROP_ROTATE_BYTES,
            g_param_spec_uint64("rotate-bytes", "Rotate at bytes",
                                "A file: begins a new one before it is larger than this (0 = "
                                "never). FILE becomes FILE.1",
                                0, G_MAXUINT64, 0, kReady));
    install(PROP_ROTATE_INTERVAL,
            g_param_spec_uint("rotate-interval", "Rotate after seconds",
                              "A file: begins a new one when it is this old, in s (0 = never)",
                              0, G_MAXUINT, 0, kReady));
    install(PROP_ROTATE_KEEP,
            g_param_spec_uint("rotate-keep", "Rotated files kept",
                              "How many old files stay beside the one that is written", 0, 9999,
                              defaults.options.rotate.keep, kReady));
}

static void install_server_properties(GObjectClass *klass) {
    const auto install_text = [klass](guint id, const char *name, const char *nick,
                                      const char *blurb, const char *initial) {
        g_object_class_install_property(
            klass, id, g_param_spec_string(name, nick, blurb, initial, kReady));
    };
    const PublishOptions defaults;
    install_text(PROP_CA_FILE, "ca-file", "CA file",
                 "TLS: who may vouch for the server, PEM (empty = the system's)", "");
    install_text(PROP_CERT_FILE, "cert-file", "Certificate file",
                 "TLS: our own certificate, PEM, where the server asks for one", "");
    install_text(PROP_KEY_FILE, "key-file", "Key file",
                 "TLS: the key of cert-file, PEM, without a pass phrase", "");
    install_text(PROP_CREDENTIALS_FILE, "credentials-file", "Credentials file",
                 "A file of mode 0600 with lines username=, password=, token= (webhooks), "
                 "query= (webhooks) (empty = the environment's SPHERE_PUBLISH_USERNAME, "
                 "SPHERE_PUBLISH_PASSWORD, SPHERE_PUBLISH_TOKEN)",
                 "");
    install_text(PROP_CLIENT_ID, "client-id", "Client id",
                 "MQTT and Kafka: our name at the broker (empty = MQTT: a new one each time)",
                 "");
    install_text(PROP_DISCOVERY_PREFIX, "discovery-prefix", "Discovery prefix",
                 "MQTT: the topic that Home Assistant looks for devices under",
                 defaults.discovery_prefix.c_str());
    g_object_class_install_property(
        klass, PROP_QOS,
        g_param_spec_int("qos", "Quality of service",
                         "MQTT: 0 at most once, 1 at least once, 2 exactly once", 0, 2,
                         defaults.qos, kReady));
    g_object_class_install_property(
        klass, PROP_HOME_ASSISTANT,
        g_param_spec_boolean("home-assistant", "Home Assistant",
                             "MQTT: announce the stream to Home Assistant (MQTT discovery)",
                             FALSE, kReady));
}

void install_publish_properties(GObjectClass *klass) {
    const auto install = [klass](guint id, GParamSpec *spec) {
        g_object_class_install_property(klass, id, spec);
    };
    const PublishSettings defaults;
    install_destination_properties(klass);
    install_server_properties(klass);
    install(PROP_STREAM, g_param_spec_string("stream", "Stream",
                                             "Name of the stream in the records", "", kReady));
    install(PROP_EMBEDDINGS,
            g_param_spec_boolean("embeddings", "Embeddings",
                                 "Put embeddings (biometric data) into the records of frames",
                                 FALSE, kReady));
    install(PROP_MODE, g_param_spec_enum("mode", "Mode", "What a record is of",
                                         gst_sphere_publish_mode_get_type(), 0, kReady));
    install(PROP_PRESENCE_TIMEOUT,
            g_param_spec_uint("presence-timeout", "Presence time-out",
                              "Events: a person or track has left when not seen for this long, "
                              "in ms; set spherematch's to the same",
                              0, G_MAXUINT, defaults.presence_timeout_ms, kPlaying));
    install(PROP_BEST_SHOT,
            g_param_spec_boolean("best-shot", "Best shot",
                                 "Events: put the best picture of the face so far (biometric "
                                 "data) into the record, a JPEG in Base64",
                                 FALSE, kPlaying));
    install(PROP_LEAKY,
            g_param_spec_enum("leaky", "Leaky", "What happens where max-queued records wait",
                              gst_sphere_publish_leaky_get_type(), 0, kReady));
    install(PROP_MAX_QUEUED,
            g_param_spec_uint("max-queued", "Most queued",
                              "Records that wait in memory for the destination at most", 1,
                              1000000, defaults.max_queued, kReady));
    install(PROP_DRAIN_TIMEOUT,
            g_param_spec_uint("drain-timeout", "Drain time-out",
                              "At the end, wait for records to be delivered at most, in ms; "
                              "then they are spilled",
                              0, G_MAXUINT, defaults.drain_timeout_ms, kReady));
    install(PROP_SPILL_DIRECTORY,
            g_param_spec_string("spill-directory", "Spill directory",
                                "Where records wait while the destination is away, in files of "
                                "mode 0600 (empty = XDG_STATE_HOME/sphere/spill)",
                                "", kReady));
    install(PROP_SPILL_MAX_BYTES,
            g_param_spec_uint64("spill-max-bytes", "Most bytes spilled",
                                "Bytes of records that wait on disk at most (0 = nothing is "
                                "written to disk)",
                                0, G_MAXUINT64, defaults.spill_max_bytes, kReady));
    gst_type_mark_as_plugin_api(gst_sphere_publish_mode_get_type(),
                                static_cast<GstPluginAPIFlags>(0));
    gst_type_mark_as_plugin_api(gst_sphere_publish_leaky_get_type(),
                                static_cast<GstPluginAPIFlags>(0));
}

} // namespace sphere::gst
