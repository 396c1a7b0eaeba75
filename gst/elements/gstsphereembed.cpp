// SPDX-License-Identifier: MIT
/**
 * SECTION:element-sphereembed
 * @title: sphereembed
 *
 * Turns the aligned crops of a buffer's faces into embeddings. It does not look at the frame. A
 * face that spheretrack tracks is embedded when it is new, when its picture has become clearly
 * better, and each reembed-interval frames; otherwise it takes its track's embedding.
 *
 * |[
 * gst-launch-1.0 filesrc location=people.mp4 ! decodebin ! spheredetect ! spherealign !
 * sphereembed model=fr_feature ! fakesink
 * ]|
 */
#include "core/face/embedder.h"
#include "gst/base/enums.h"
#include "gst/base/face_convert.h"
#include "gst/base/live.h"
#include "gst/base/model_properties.h"
#include "gst/base/preload.h"
#include "gst/base/spherefilter.h"
#include "gst/base/tracks_object.h"
#include "gst/elements/elements.h"
#include "gst/elements/load_gauge.h"
#include "gst/elements/template_query.h"
#include "gst/elements/tracked_embedding.h"

#define GST_CAT_DEFAULT gst_sphere_debug

using namespace sphere;
using sphere::gst::ModelProperties;

enum {
    PROP_MODEL = 1,
    PROP_FLIP = PROP_MODEL + ModelProperties::kCount,
    PROP_BATCH_SIZE,
    PROP_BATCH_TIMEOUT,
    PROP_REEMBED_INTERVAL,
};

namespace {

constexpr guint kDefaultReembedInterval = 60;

std::optional<FlipMode> flip_mode(GstSphereFlip flip) {
    switch (flip) {
    case GST_SPHERE_FLIP_NONE:
        return FlipMode::None;
    case GST_SPHERE_FLIP_CONCAT:
        return FlipMode::Concat;
    case GST_SPHERE_FLIP_SUM:
        return FlipMode::Sum;
    case GST_SPHERE_FLIP_DEFAULT:
        break;
    }
    return std::nullopt;
}

struct EmbedderSettings {
    std::string model;
    std::optional<FlipMode> flip;
    EngineOptions engine;
    bool operator==(const EmbedderSettings &) const = default;
};

Result<std::shared_ptr<Embedder>> load_embedder(const EmbedderSettings &settings) {
    return Embedder::make(ModelStore::from_environment(), settings.model, settings.flip,
                          settings.engine);
}

struct EmbedState {
    ModelProperties model;
    sphere::gst::Preload<EmbedderSettings, Embedder> preload{&load_embedder};
    std::mutex mutex; ///< guards what follows up to the blank line
    GstSphereFlip flip = GST_SPHERE_FLIP_DEFAULT;
    guint batch_size = 0;
    guint batch_timeout_ms = 0;
    guint reembed_interval = kDefaultReembedInterval;
    std::shared_ptr<Embedder> embedder; ///< set between start and stop; queries read it

    // Streaming thread, kept for their allocations.
    std::vector<std::shared_ptr<const Image>> crops;
    std::vector<const Image *> pointers;
    std::vector<guint> face_indices;
    guint64 frame_number = 0;
    sphere::gst::EmbedPolicy policy;
    sphere::gst::LoadGauge load;
    std::optional<bool> live; ///< asked once a stream
    bool behind = false;      ///< this frame came too late for work that can wait
    sphere::gst::OncePerSecond log_fault;
    bool warned_of_template = false;
};

} // namespace

typedef struct {
    GstSphereFilter parent;
    EmbedState *state;
} GstSphereEmbed;
typedef struct {
    GstSphereFilterClass parent_class;
} GstSphereEmbedClass;

GType gst_sphere_embed_get_type(void);
G_DEFINE_TYPE(GstSphereEmbed, gst_sphere_embed, GST_TYPE_SPHERE_FILTER)
GST_ELEMENT_REGISTER_DEFINE(sphereembed, "sphereembed", GST_RANK_NONE,
                            gst_sphere_embed_get_type())
#define STATE(obj) (reinterpret_cast<GstSphereEmbed *>(obj)->state)

static std::shared_ptr<Embedder> embedder_of(EmbedState &state) {
    const std::lock_guard lock(state.mutex);
    return state.embedder;
}

static EmbedderSettings embedder_settings(EmbedState &state) {
    EmbedderSettings settings{state.model.model(), {}, state.model.engine_options()};
    const std::lock_guard lock(state.mutex);
    settings.flip = flip_mode(state.flip);
    settings.engine.batch_size = static_cast<int>(state.batch_size);
    settings.engine.batch_timeout_ms = static_cast<int>(state.batch_timeout_ms);
    return settings;
}

static void gst_sphere_embed_prepare(GstSphereFilter *filter) {
    EmbedState &state = *STATE(filter);
    state.preload.begin(embedder_settings(state));
}

static void gst_sphere_embed_dismiss(GstSphereFilter *filter) {
    STATE(filter)->preload.drop();
}

static Result<void> gst_sphere_embed_open(GstSphereFilter *filter) {
    EmbedState &state = *STATE(filter);
    auto embedder = state.preload.get(embedder_settings(state));
    if (!embedder)
        return std::move(embedder).error();
    state.warned_of_template = false;
    state.frame_number = 0;
    state.load.restart();
    state.live.reset();
    const std::lock_guard lock(state.mutex);
    state.embedder = std::move(*embedder);
    return {};
}

static void gst_sphere_embed_close(GstSphereFilter *filter) {
    EmbedState &state = *STATE(filter);
    const std::lock_guard lock(state.mutex);
    state.embedder.reset();
}

static void mark_not_embedded(GstSphereFilter *filter, GstSphereFaceMeta *meta, guint i,
                              GstSphereFaceReason reason) {
    GstSphereFace *face = gst_sphere_face_meta_get_face(meta, i);
    gst_sphere_face_set_state(face, GST_SPHERE_FACE_STATE_UNDECIDED, reason);
    gst_sphere_face_meta_set_face(meta, i, face);
    gst_sphere_face_free(face);
    filter->stats->add_reason(static_cast<FaceReason>(reason));
}

// A crop of another template would give numbers that mean nothing.
static bool crop_fits(GstSphereFilter *filter, EmbedState &state, const AlignTemplate &wanted,
                      const GstSphereFace *face, const Image *crop) {
    const gchar *name = gst_sphere_face_get_crop_template(face);
    if (crop->width == wanted.width && crop->height == wanted.height &&
        (name == nullptr || wanted.name == name))
        return true;
    if (!std::exchange(state.warned_of_template, true))
        sphere::gst::post_warning(
            GST_ELEMENT_CAST(filter),
            fail(Errc::Mismatch, "Faces were aligned to template ",
                 name != nullptr ? name : "?", " and model ",
                 embedder_of(state)->descriptor().name, " needs ", wanted.name,
                 ": set template=auto or template=", wanted.name, " on spherealign."));
    return false;
}

static bool is_behind(GstSphereFilter *filter, EmbedState &state, GstBuffer *buffer) {
    auto *base = GST_BASE_TRANSFORM(filter);
    if (!state.live)
        state.live = sphere::gst::source_is_live(base);
    if (!*state.live)
        return false;
    const auto lateness = sphere::gst::lateness_of(base, buffer);
    return lateness && state.load.is_behind(*lateness);
}

// True where a tracked face needs no inference now: it takes its track's embedding, or waits.
static bool is_spared(GstSphereFilter *filter, const EmbedState &state,
                      const EmbeddingStamp &stamp, const sphere::gst::TrackStore &tracks,
                      GstSphereFaceMeta *meta, guint i) {
    using sphere::gst::TrackedAnswer;
    const sphere::gst::TrackedQuestion question{state.frame_number, state.policy, state.behind,
                                                state.pointers.empty()};
    const TrackedAnswer answer = sphere::gst::ask_track(tracks, stamp, question, meta, i);
    if (answer == TrackedAnswer::Embed)
        return false;
    filter->stats->add_skipped_for(answer == TrackedAnswer::Taken ? "skipped-tracked"
                                                                  : "skipped-load");
    if (answer == TrackedAnswer::Wait)
        mark_not_embedded(filter, meta, i, GST_SPHERE_FACE_REASON_NOT_EMBEDDED);
    return true;
}

static void keep_for_track(const EmbedState &state, sphere::gst::TrackStore &tracks,
                           const GstSphereFace *face, const Embedding &embedding) {
    if (const gint64 track = gst_sphere_face_get_track_id(face); track >= 0)
        tracks.set_embedding(track, embedding, sphere::gst::quality_of(face),
                             state.frame_number);
}

static void gather_crops(GstSphereFilter *filter, EmbedState &state, const Embedder &embedder,
                         GstSphereFaceMeta *meta) {
    state.crops.clear();
    state.pointers.clear();
    state.face_indices.clear();
    const guint n = gst_sphere_face_meta_get_n_faces(meta);
    const auto tracks = sphere::gst::tracks_of(meta);
    for (guint i = 0; i < n; ++i) {
        const GstSphereFace *face = gst_sphere_face_meta_peek_face(meta, i);
        if (gst_sphere_face_get_carried(face)) {
            filter->stats->add_skipped_for("skipped-carried");
            continue;
        }
        std::shared_ptr<const Image> crop = sphere::gst::crop_of(face);
        if (!crop) {
            if (gst_sphere_face_get_reason(face) == GST_SPHERE_FACE_REASON_NONE)
                mark_not_embedded(filter, meta, i, GST_SPHERE_FACE_REASON_NOT_EMBEDDED);
            filter->stats->add_skipped();
            continue;
        }
        if (!crop_fits(filter, state, embedder.align_template(), face, crop.get())) {
            mark_not_embedded(filter, meta, i, GST_SPHERE_FACE_REASON_NOT_EMBEDDED);
            filter->stats->add_skipped();
            continue;
        }
        if (tracks && is_spared(filter, state, *embedder.stamp(), *tracks, meta, i))
            continue;
        state.pointers.push_back(crop.get());
        state.crops.push_back(std::move(crop));
        state.face_indices.push_back(i);
    }
}

// A face that cannot be embedded never stops the stream.
static void embed_failed(GstSphereFilter *filter, EmbedState &state, GstSphereFaceMeta *meta,
                         const Error &error) {
    for (const guint i : state.face_indices)
        mark_not_embedded(filter, meta, i, GST_SPHERE_FACE_REASON_NOT_EMBEDDED);
    filter->stats->add_error();
    if (state.log_fault())
        GST_WARNING_OBJECT(filter, "%zu faces not embedded: %s", state.face_indices.size(),
                           error.message.c_str());
}

static void set_embeddings(const EmbedState &state, GstSphereFaceMeta *meta,
                           const std::vector<Embedding> &embeddings) {
    const auto tracks = sphere::gst::tracks_of(meta);
    for (std::size_t k = 0; k < embeddings.size(); ++k) {
        const guint i = state.face_indices[k];
        GstSphereFace *face = gst_sphere_face_meta_get_face(meta, i);
        sphere::gst::set_embedding(face, embeddings[k]);
        if (tracks)
            keep_for_track(state, *tracks, face, embeddings[k]);
        gst_sphere_face_meta_set_face(meta, i, face);
        gst_sphere_face_free(face);
    }
}

static GstFlowReturn gst_sphere_embed_process(GstSphereFilter *filter, GstBuffer *buffer) {
    EmbedState &state = *STATE(filter);
    ++state.frame_number;
    GstSphereFaceMeta *meta = gst_buffer_get_sphere_face_meta(buffer);
    if (meta == nullptr || gst_sphere_face_meta_get_n_faces(meta) == 0)
        return GST_FLOW_OK;
    guint batch_size = 0;
    std::shared_ptr<Embedder> embedder;
    {
        const std::lock_guard lock(state.mutex);
        batch_size = state.batch_size;
        state.policy.interval = state.reembed_interval;
        embedder = state.embedder;
    }
    state.behind = is_behind(filter, state, buffer);
    gather_crops(filter, state, *embedder, meta);
    if (!state.pointers.empty()) {
        EmbedTiming timing;
        const auto embeddings =
            embedder->embed(state.pointers, static_cast<int>(batch_size), &timing);
        filter->stats->add_inference(timing.inference_ms);
        if (!embeddings)
            embed_failed(filter, state, meta, embeddings.error());
        else
            set_embeddings(state, meta, *embeddings);
        filter->stats->add_faces(state.pointers.size());
    }
    gst_sphere_face_meta_sync(meta, buffer);
    state.crops.clear();
    return GST_FLOW_OK;
}

// A frame may wait that long for the faces of other streams.
static void gst_sphere_embed_add_latency(EmbedState &state, GstQuery *query) {
    gboolean live = FALSE;
    GstClockTime least = 0, most = GST_CLOCK_TIME_NONE;
    gst_query_parse_latency(query, &live, &least, &most);
    const std::lock_guard lock(state.mutex);
    const GstClockTime wait = state.batch_timeout_ms * GST_MSECOND;
    gst_query_set_latency(query, live, least + wait,
                          GST_CLOCK_TIME_IS_VALID(most) ? most + wait : most);
}

static gboolean gst_sphere_embed_query(GstBaseTransform *base, GstPadDirection direction,
                                       GstQuery *query) {
    if (direction == GST_PAD_SINK && GST_QUERY_TYPE(query) == GST_QUERY_CUSTOM &&
        gst_structure_has_name(gst_query_get_structure(query), GST_SPHERE_TEMPLATE_QUERY)) {
        if (const auto embedder = embedder_of(*STATE(base))) {
            const AlignTemplate &wanted = embedder->align_template();
            gst_structure_set(gst_query_writable_structure(query), "template", G_TYPE_STRING,
                              wanted.name.c_str(), "width", G_TYPE_INT, wanted.width, "height",
                              G_TYPE_INT, wanted.height, nullptr);
            return TRUE;
        }
    }
    const gboolean answered =
        GST_BASE_TRANSFORM_CLASS(gst_sphere_embed_parent_class)->query(base, direction, query);
    if (answered != FALSE && direction == GST_PAD_SRC &&
        GST_QUERY_TYPE(query) == GST_QUERY_LATENCY)
        gst_sphere_embed_add_latency(*STATE(base), query);
    return answered;
}

static void gst_sphere_embed_set_property(GObject *object, guint id, const GValue *value,
                                          GParamSpec *pspec) {
    EmbedState &state = *STATE(object);
    sphere::gst::guarded_void(object, [&] {
        if (state.model.set(id, PROP_MODEL, value))
            return;
        const std::lock_guard lock(state.mutex);
        switch (id) {
        case PROP_FLIP:
            state.flip = static_cast<GstSphereFlip>(g_value_get_enum(value));
            break;
        case PROP_BATCH_SIZE:
            state.batch_size = g_value_get_uint(value);
            break;
        case PROP_BATCH_TIMEOUT:
            state.batch_timeout_ms = g_value_get_uint(value);
            break;
        case PROP_REEMBED_INTERVAL:
            state.reembed_interval = g_value_get_uint(value);
            break;
        default:
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        }
    });
}

static void gst_sphere_embed_get_property(GObject *object, guint id, GValue *value,
                                          GParamSpec *pspec) {
    EmbedState &state = *STATE(object);
    if (state.model.get(id, PROP_MODEL, value))
        return;
    const std::lock_guard lock(state.mutex);
    switch (id) {
    case PROP_FLIP:
        g_value_set_enum(value, state.flip);
        break;
    case PROP_BATCH_SIZE:
        g_value_set_uint(value, state.batch_size);
        break;
    case PROP_BATCH_TIMEOUT:
        g_value_set_uint(value, state.batch_timeout_ms);
        break;
    case PROP_REEMBED_INTERVAL:
        g_value_set_uint(value, state.reembed_interval);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
}

static void gst_sphere_embed_finalize(GObject *object) {
    delete STATE(object);
    G_OBJECT_CLASS(gst_sphere_embed_parent_class)->finalize(object);
}

static void gst_sphere_embed_class_init(GstSphereEmbedClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *element_class = GST_ELEMENT_CLASS(klass);
    auto *filter_class = GST_SPHERE_FILTER_CLASS(klass);
    object_class->set_property = gst_sphere_embed_set_property;
    object_class->get_property = gst_sphere_embed_get_property;
    object_class->finalize = gst_sphere_embed_finalize;
    GST_BASE_TRANSFORM_CLASS(klass)->query = gst_sphere_embed_query;
    filter_class->prepare = gst_sphere_embed_prepare;
    filter_class->dismiss = gst_sphere_embed_dismiss;
    filter_class->open = gst_sphere_embed_open;
    filter_class->close = gst_sphere_embed_close;
    filter_class->process = gst_sphere_embed_process;

    constexpr auto base = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS);
    ModelProperties::install(
        object_class, PROP_MODEL,
        "Recogniser: a name of `spherectl models list` or a descriptor's path "
        "(auto = first installed of sphereface20-sphere, fr_feature)");
    g_object_class_install_property(
        object_class, PROP_FLIP,
        g_param_spec_enum("flip", "Flip", "What is made of a crop and its mirror image",
                          gst_sphere_flip_get_type(), GST_SPHERE_FLIP_DEFAULT,
                          static_cast<GParamFlags>(base | GST_PARAM_MUTABLE_READY)));
    g_object_class_install_property(
        object_class, PROP_BATCH_SIZE,
        g_param_spec_uint(
            "batch-size", "Batch size",
            "Crops that go through the network together (0 = as the engine prefers)", 0, 1024,
            0, static_cast<GParamFlags>(base | GST_PARAM_MUTABLE_PLAYING)));
    g_object_class_install_property(
        object_class, PROP_BATCH_TIMEOUT,
        g_param_spec_uint("batch-timeout", "Batch timeout",
                          "How long the faces of a frame wait for those of other streams with "
                          "the same model, to go through the network together, in ms (0 = not "
                          "at all)",
                          0, 1000, 0,
                          static_cast<GParamFlags>(base | GST_PARAM_MUTABLE_READY)));
    g_object_class_install_property(
        object_class, PROP_REEMBED_INTERVAL,
        g_param_spec_uint("reembed-interval", "Re-embedding interval",
                          "Frames after which a tracked face is embedded once more; in between "
                          "when it is new, "
                          "clearly better, or not known yet (0 = those alone)",
                          0, 1000000, kDefaultReembedInterval,
                          static_cast<GParamFlags>(base | GST_PARAM_MUTABLE_PLAYING)));
    gst_type_mark_as_plugin_api(gst_sphere_flip_get_type(), static_cast<GstPluginAPIFlags>(0));
    gst_element_class_set_static_metadata(
        element_class, "Face embedder", "Filter/Analyzer/Video",
        "Aligned faces to embeddings, in batches", "the gst-sphere authors");
    gst_sphere_filter_class_add_pads(element_class, TRUE);
}

static void gst_sphere_embed_init(GstSphereEmbed *self) {
    self->state = new EmbedState;
}
