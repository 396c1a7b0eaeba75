// SPDX-License-Identifier: MIT
/**
 * SECTION:element-spheresidecar
 * @title: spheresidecar
 *
 * Puts recorded faces back on the frames of a recording: reads what spherepublish wrote beside
 * it and attaches a #GstSphereFaceMeta to each frame that has a record of its time.
 *
 * |[
 * gst-launch-1.0 filesrc location=people.mp4 ! decodebin ! spheresidecar
 * location=people.jsonl ! sphereoverlay ! videoconvert ! autovideosink
 * ]|
 */
#include "core/publish/record_file.h"
#include "gst/base/model_properties.h"
#include "gst/base/record_convert.h"
#include "gst/base/spherefilter.h"
#include "gst/base/timestamps.h"
#include "gst/elements/elements.h"

#define GST_CAT_DEFAULT gst_sphere_debug

using namespace sphere;

enum { PROP_0, PROP_LOCATION, PROP_FROM_START, PROP_OFFSET };

namespace {

struct SidecarState {
    std::mutex mutex; ///< guards what follows up to the blank line
    std::string location;
    bool from_start = true;
    gint64 offset_ms = 0;

    std::optional<RecordFile> records; ///< streaming thread, as all below
    guint64 matched = 0, missed = 0;   ///< frames since the element started
    sphere::gst::OncePerSecond log_fault;
};

} // namespace

typedef struct {
    GstSphereFilter parent;
    SidecarState *state;
} GstSphereSidecar;
typedef struct {
    GstSphereFilterClass parent_class;
} GstSphereSidecarClass;

GType gst_sphere_sidecar_get_type(void);
G_DEFINE_TYPE(GstSphereSidecar, gst_sphere_sidecar, GST_TYPE_SPHERE_FILTER)
GST_ELEMENT_REGISTER_DEFINE(spheresidecar, "spheresidecar", GST_RANK_NONE,
                            gst_sphere_sidecar_get_type())
#define STATE(obj) (reinterpret_cast<GstSphereSidecar *>(obj)->state)

static Result<void> gst_sphere_sidecar_open(GstSphereFilter *filter) {
    SidecarState &state = *STATE(filter);
    std::string location;
    {
        const std::lock_guard lock(state.mutex);
        location = state.location;
    }
    if (location.empty())
        return fail(Errc::InvalidArgument, "location is not set: give the file that "
                                           "spherepublish wrote beside the recording.");
    auto records = RecordFile::open(location);
    if (!records)
        return std::move(records).error();
    GST_INFO_OBJECT(filter, "%s: %zu records", location.c_str(), records->size());
    state.records = std::move(*records);
    state.matched = state.missed = 0;
    return {};
}

static void gst_sphere_sidecar_close(GstSphereFilter *filter) {
    STATE(filter)->records.reset();
}

static void gst_sphere_sidecar_flush(GstSphereFilter *filter, GstEvent *event) {
    const SidecarState &state = *STATE(filter);
    if (GST_EVENT_TYPE(event) != GST_EVENT_EOS || state.matched > 0 || state.missed == 0 ||
        !state.records)
        return;
    sphere::gst::post_warning(
        GST_ELEMENT_CAST(filter),
        fail(Errc::Mismatch, "None of the sidecar's ", state.records->size(),
             " records is of the time of a frame: is it of another recording? If its times "
             "are the frames' own, set from-start=false; else set offset."));
}

// The time at which the buffer's record should be; empty where the buffer has none, or it
// would be before all times.
static std::optional<guint64> time_of(GstSphereFilter *filter, const GstBuffer *buffer) {
    SidecarState &state = *STATE(filter);
    bool from_start = true;
    gint64 offset_ms = 0;
    {
        const std::lock_guard lock(state.mutex);
        from_start = state.from_start;
        offset_ms = state.offset_ms;
    }
    auto time = sphere::gst::pts_of(buffer);
    if (from_start) {
        time = sphere::gst::stream_time_of(&GST_BASE_TRANSFORM(filter)->segment, buffer);
        if (time)
            *time += state.records->first_time_ns();
    }
    const guint64 shift = static_cast<guint64>(ABS(offset_ms)) * GST_MSECOND;
    if (!time || (offset_ms < 0 && *time < shift))
        return std::nullopt;
    return offset_ms < 0 ? *time - shift : *time + shift;
}

static GstFlowReturn gst_sphere_sidecar_process(GstSphereFilter *filter, GstBuffer *buffer) {
    SidecarState &state = *STATE(filter);
    const auto time = time_of(filter, buffer);
    auto record =
        time ? state.records->find(*time, sphere::gst::record_tolerance(filter->info, buffer))
             : Result<std::optional<FrameRecord>>(std::nullopt);
    if (!record) { // the picture is worth showing without its faces
        filter->stats->add_error();
        if (state.log_fault())
            GST_WARNING_OBJECT(filter, "%s", record.error().message.c_str());
        return GST_FLOW_OK;
    }
    if (!*record) {
        ++state.missed;
        filter->stats->add_skipped_for("skipped-no-record");
        return GST_FLOW_OK;
    }
    ++state.matched;
    sphere::gst::attach_records(buffer, filter->info, {&**record, 1});
    filter->stats->add_faces((*record)->faces.size());
    return GST_FLOW_OK;
}

static void gst_sphere_sidecar_set_property(GObject *object, guint id, const GValue *value,
                                            GParamSpec *pspec) {
    SidecarState &state = *STATE(object);
    sphere::gst::guarded_void(object, [&] {
        const std::lock_guard lock(state.mutex);
        switch (id) {
        case PROP_LOCATION:
            state.location = sphere::gst::string_from(value);
            break;
        case PROP_FROM_START:
            state.from_start = g_value_get_boolean(value) != FALSE;
            break;
        case PROP_OFFSET:
            state.offset_ms = g_value_get_int64(value);
            break;
        default:
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        }
    });
}

static void gst_sphere_sidecar_get_property(GObject *object, guint id, GValue *value,
                                            GParamSpec *pspec) {
    SidecarState &state = *STATE(object);
    const std::lock_guard lock(state.mutex);
    switch (id) {
    case PROP_LOCATION:
        g_value_set_string(value, state.location.c_str());
        break;
    case PROP_FROM_START:
        g_value_set_boolean(value, state.from_start);
        break;
    case PROP_OFFSET:
        g_value_set_int64(value, state.offset_ms);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
}

static void gst_sphere_sidecar_finalize(GObject *object) {
    delete STATE(object);
    G_OBJECT_CLASS(gst_sphere_sidecar_parent_class)->finalize(object);
}

static void gst_sphere_sidecar_class_init(GstSphereSidecarClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *element_class = GST_ELEMENT_CLASS(klass);
    auto *filter_class = GST_SPHERE_FILTER_CLASS(klass);
    object_class->set_property = gst_sphere_sidecar_set_property;
    object_class->get_property = gst_sphere_sidecar_get_property;
    object_class->finalize = gst_sphere_sidecar_finalize;
    filter_class->open = gst_sphere_sidecar_open;
    filter_class->close = gst_sphere_sidecar_close;
    filter_class->process = gst_sphere_sidecar_process;
    filter_class->flush = gst_sphere_sidecar_flush;

    constexpr auto ready = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                    GST_PARAM_MUTABLE_READY);
    constexpr auto playing = static_cast<GParamFlags>(
        G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
    g_object_class_install_property(
        object_class, PROP_LOCATION,
        g_param_spec_string("location", "Location",
                            "The file of records that spherepublish wrote", "", ready));
    g_object_class_install_property(
        object_class, PROP_FROM_START,
        g_param_spec_boolean("from-start", "From the start",
                             "Times count from the first record and from the recording's "
                             "start (false = records have the frames' own timestamps)",
                             TRUE, playing));
    g_object_class_install_property(
        object_class, PROP_OFFSET,
        g_param_spec_int64("offset", "Offset",
                           "Added to a frame's time before its record is looked up, in ms",
                           -1'000'000'000, 1'000'000'000, 0, playing));
    gst_element_class_set_static_metadata(
        element_class, "Face record reader", "Filter/Metadata/Video",
        "Puts recorded faces back on the frames of a recording", "the gst-sphere authors");
    gst_sphere_filter_class_add_pads(element_class, TRUE);
}

static void gst_sphere_sidecar_init(GstSphereSidecar *self) {
    self->state = new SidecarState;
}
