// SPDX-License-Identifier: MIT
/**
 * SECTION:element-spheredetect
 * @title: spheredetect
 *
 * Finds faces and attaches a #GstSphereFaceMeta with boxes, scores and, where the model gives
 * them, five landmarks. Pixels are read where they are and never changed. With from-meta=face
 * it takes the faces that another element found, from its region-of-interest or analytics
 * metas.
 *
 * |[
 * gst-launch-1.0 filesrc location=people.mp4 ! decodebin ! spheredetect ! fakesink
 * ]|
 */
#include "core/face/areas.h"
#include "core/face/detector.h"
#include "core/face/face_completer.h"
#include "gst/base/face_convert.h"
#include "gst/base/frame.h"
#include "gst/base/live.h"
#include "gst/base/model_properties.h"
#include "gst/base/preload.h"
#include "gst/base/spherefilter.h"
#include "gst/base/timestamps.h"
#include "gst/elements/elements.h"
#include "gst/elements/inference_pacer.h"

#include <chrono>
#include <cstdio>
#include <optional>

#define GST_CAT_DEFAULT gst_sphere_debug

using namespace sphere;
using sphere::gst::ModelProperties;

enum {
    PROP_MODEL = 1,
    PROP_LANDMARK_MODEL = PROP_MODEL + ModelProperties::kCount,
    PROP_THRESHOLD,
    PROP_NMS_THRESHOLD,
    PROP_MIN_FACE_SIZE,
    PROP_MAX_FACES,
    PROP_INPUT_SIZE,
    PROP_INFERENCE_INTERVAL,
    PROP_REGION,
    PROP_TILE,
    PROP_FROM_META,
};

namespace {

constexpr int kLargestInputPx = 4096;

struct DetectorSettings {
    std::string model, landmark_model;
    EngineOptions engine;
    bool operator==(const DetectorSettings &) const = default;
};

Result<std::shared_ptr<Detector>> load_detector(const DetectorSettings &settings) {
    return make_detector(ModelStore::from_environment(), settings.model,
                         settings.landmark_model, settings.engine);
}

struct DetectState {
    ModelProperties model;
    sphere::gst::Preload<DetectorSettings, Detector> preload{&load_detector};
    std::mutex mutex; ///< guards what follows up to the blank line
    std::string landmark_model;
    std::string from_meta; ///< type of others' regions; empty = a model of ours detects
    DetectOptions options;
    std::string input_size = "auto";
    guint interval = 1;
    std::string region, tile = "none"; ///< as they were set
    std::shared_ptr<const Regions> regions = std::make_shared<Regions>();
    TileSize tile_size;
    sphere::gst::InferencePacer pacer;

    std::shared_ptr<Detector> detector;       ///< streaming thread
    std::shared_ptr<FaceCompleter> completer; ///< streaming thread; in place of the detector
    std::string others_type;                  ///< streaming thread: from_meta when it started
    std::optional<bool> live;                 ///< streaming thread; empty = not asked yet
    sphere::gst::OncePerSecond log_fault;
};

// "auto" or WxH.
bool parse_input_size(const std::string &text, DetectOptions &options) {
    int width = 0, height = 0;
    if (text != "auto" && !text.empty()) {
        int used = 0;
        if (std::sscanf(text.c_str(), "%dx%d%n", &width, &height, &used) != 2 ||
            static_cast<std::size_t>(used) != text.size() || width < 1 || height < 1 ||
            width > kLargestInputPx || height > kLargestInputPx)
            return false;
    }
    options.input_width_px = width;
    options.input_height_px = height;
    return true;
}

} // namespace

typedef struct {
    GstSphereFilter parent;
    DetectState *state;
} GstSphereDetect;
typedef struct {
    GstSphereFilterClass parent_class;
} GstSphereDetectClass;

GType gst_sphere_detect_get_type(void);
G_DEFINE_TYPE(GstSphereDetect, gst_sphere_detect, GST_TYPE_SPHERE_FILTER)
GST_ELEMENT_REGISTER_DEFINE(spheredetect, "spheredetect", GST_RANK_NONE,
                            gst_sphere_detect_get_type())
#define STATE(obj) (reinterpret_cast<GstSphereDetect *>(obj)->state)

static DetectorSettings detector_settings(DetectState &state) {
    DetectorSettings settings{state.model.model(), {}, state.model.engine_options()};
    const std::lock_guard lock(state.mutex);
    settings.landmark_model = state.landmark_model;
    return settings;
}

static void gst_sphere_detect_prepare(GstSphereFilter *filter) {
    DetectState &state = *STATE(filter);
    {
        const std::lock_guard lock(state.mutex);
        if (!state.from_meta.empty())
            return;
    }
    state.preload.begin(detector_settings(state));
}

static void gst_sphere_detect_dismiss(GstSphereFilter *filter) {
    STATE(filter)->preload.drop();
}

static Result<void> gst_sphere_detect_open(GstSphereFilter *filter) {
    DetectState &state = *STATE(filter);
    const DetectorSettings settings = detector_settings(state);
    {
        const std::lock_guard lock(state.mutex);
        state.others_type = state.from_meta;
        if (!parse_input_size(state.input_size, state.options))
            return fail(Errc::InvalidArgument, "input-size=", state.input_size,
                        " is neither \"auto\" nor WIDTHxHEIGHT, such as 640x384.");
        auto regions = Regions::parse(state.region);
        if (!regions)
            return std::move(regions).error();
        state.regions = std::make_shared<Regions>(std::move(*regions));
        auto tile = parse_tile(state.tile);
        if (!tile)
            return std::move(tile).error();
        state.tile_size = *tile;
        // With tiles the shape would change with each look, which engine opencv pays for
        // dearly.
        state.options.trim_input = state.tile_size.width_px == 0;
        state.pacer.restart();
    }
    state.live.reset();
    if (!state.others_type.empty()) {
        auto completer = FaceCompleter::make(ModelStore::from_environment(),
                                             settings.landmark_model, settings.engine);
        if (!completer)
            return std::move(completer).error();
        state.completer = std::move(*completer);
        return {};
    }
    auto detector = state.preload.get(settings);
    if (!detector)
        return std::move(detector).error();
    state.detector = std::move(*detector);
    return {};
}

static void gst_sphere_detect_close(GstSphereFilter *filter) {
    STATE(filter)->detector.reset();
    STATE(filter)->completer.reset();
}

static void gst_sphere_detect_flush(GstSphereFilter *filter, GstEvent *event) {
    DetectState &state = *STATE(filter);
    if (GST_EVENT_TYPE(event) == GST_EVENT_EOS)
        return;
    state.live.reset();
    const std::lock_guard lock(state.mutex);
    state.pacer.restart();
}

static gboolean gst_sphere_detect_src_event(GstBaseTransform *base, GstEvent *event) {
    if (GST_EVENT_TYPE(event) == GST_EVENT_QOS) {
        GstClockTimeDiff jitter = 0;
        gst_event_parse_qos(event, nullptr, nullptr, &jitter, nullptr);
        DetectState &state = *STATE(base);
        const std::lock_guard lock(state.mutex);
        state.pacer.reported(jitter);
    }
    return GST_BASE_TRANSFORM_CLASS(gst_sphere_detect_parent_class)->src_event(base, event);
}

static GstFlowReturn gst_sphere_detect_process(GstSphereFilter *filter, GstBuffer *buffer) {
    using Decision = sphere::gst::InferencePacer::Decision;
    DetectState &state = *STATE(filter);
    DetectOptions options;
    std::shared_ptr<const Regions> regions;
    TileSize tile;
    guint interval = 1;
    {
        const std::lock_guard lock(state.mutex);
        options = state.options;
        regions = state.regions;
        tile = state.tile_size;
        interval = state.interval;
    }
    std::optional<std::int64_t> lateness;
    if (interval == 0) {
        if (!state.live)
            state.live = sphere::gst::source_is_live(GST_BASE_TRANSFORM(filter));
        if (*state.live)
            lateness = sphere::gst::lateness_of(GST_BASE_TRANSFORM(filter), buffer);
    }
    Decision decision = Decision::Look;
    {
        const std::lock_guard lock(state.mutex);
        state.pacer.configure(interval, state.live.value_or(false));
        decision = state.pacer.decide(sphere::gst::pts_of(buffer), lateness);
    }
    if (decision != Decision::Look) {
        filter->stats->add_skipped_for(decision == Decision::Load ? "skipped-load"
                                                                  : "skipped-interval");
        return GST_FLOW_OK;
    }
    const auto begin = std::chrono::steady_clock::now();
    auto frame = sphere::gst::MappedFrame::map(filter->info, buffer);
    if (!frame) {
        sphere::gst::post_error(GST_ELEMENT_CAST(filter), frame.error());
        return GST_FLOW_ERROR;
    }
    GstSphereFaceMeta *meta =
        gst_buffer_add_sphere_face_meta(buffer, static_cast<guint>(filter->info.width),
                                        static_cast<guint>(filter->info.height));
    DetectTiming timing;
    auto faces =
        state.completer
            ? state.completer->complete(
                  frame->view(), sphere::gst::faces_of_others(meta, buffer, state.others_type),
                  options, *regions, &timing)
            : detect_in_areas(*state.detector, frame->view(), options, *regions, tile, &timing);
    if (!faces) {
        sphere::gst::post_error(GST_ELEMENT_CAST(filter), faces.error());
        return GST_FLOW_ERROR;
    }
    filter->stats->add_inference(timing.inference_ms);
    filter->stats->add_faces(faces->size());
    {
        const std::lock_guard lock(state.mutex);
        state.pacer.detected(static_cast<guint64>(
            std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count()));
    }

    gst_sphere_face_meta_clear(meta);
    for (const Face &face : *faces) {
        GstSphereFace *meta_face = sphere::gst::new_meta_face(face);
        gst_sphere_face_meta_add_face(meta, meta_face);
        gst_sphere_face_free(meta_face);
    }
    gst_sphere_face_meta_sync(meta, buffer);
    return GST_FLOW_OK;
}

// A text that is no region is refused when the element starts, where an error can be posted;
// while it runs, the regions before stay.
static void gst_sphere_detect_set_region(GObject *object, const std::string &text) {
    DetectState &state = *STATE(object);
    auto regions = Regions::parse(text);
    if (regions)
        state.regions = std::make_shared<Regions>(std::move(*regions));
    else
        GST_WARNING_OBJECT(object, "%s", regions.error().message.c_str());
    state.region = text;
}

static void gst_sphere_detect_set_property(GObject *object, guint id, const GValue *value,
                                           GParamSpec *pspec) {
    DetectState &state = *STATE(object);
    sphere::gst::guarded_void(object, [&] {
        if (state.model.set(id, PROP_MODEL, value))
            return;
        const std::lock_guard lock(state.mutex);
        switch (id) {
        case PROP_LANDMARK_MODEL:
            state.landmark_model = sphere::gst::string_from(value);
            break;
        case PROP_THRESHOLD:
            state.options.threshold = g_value_get_float(value);
            break;
        case PROP_NMS_THRESHOLD:
            state.options.nms_threshold = g_value_get_float(value);
            break;
        case PROP_MIN_FACE_SIZE:
            state.options.min_face_size_px = static_cast<float>(g_value_get_uint(value));
            break;
        case PROP_MAX_FACES:
            state.options.max_faces = static_cast<int>(g_value_get_uint(value));
            break;
        case PROP_INPUT_SIZE:
            state.input_size = sphere::gst::string_from(value);
            break;
        case PROP_INFERENCE_INTERVAL:
            state.interval = g_value_get_uint(value);
            break;
        case PROP_REGION:
            gst_sphere_detect_set_region(object, sphere::gst::string_from(value));
            break;
        case PROP_TILE:
            state.tile = sphere::gst::string_from(value);
            break;
        case PROP_FROM_META:
            state.from_meta = sphere::gst::string_from(value);
            break;
        default:
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
        }
    });
}

static void gst_sphere_detect_get_property(GObject *object, guint id, GValue *value,
                                           GParamSpec *pspec) {
    DetectState &state = *STATE(object);
    if (state.model.get(id, PROP_MODEL, value))
        return;
    const std::lock_guard lock(state.mutex);
    switch (id) {
    case PROP_LANDMARK_MODEL:
        g_value_set_string(value, state.landmark_model.c_str());
        break;
    case PROP_THRESHOLD:
        g_value_set_float(value, state.options.threshold);
        break;
    case PROP_NMS_THRESHOLD:
        g_value_set_float(value, state.options.nms_threshold);
        break;
    case PROP_MIN_FACE_SIZE:
        g_value_set_uint(value, static_cast<guint>(state.options.min_face_size_px));
        break;
    case PROP_MAX_FACES:
        g_value_set_uint(value, static_cast<guint>(state.options.max_faces));
        break;
    case PROP_INPUT_SIZE:
        g_value_set_string(value, state.input_size.c_str());
        break;
    case PROP_INFERENCE_INTERVAL:
        g_value_set_uint(value, state.interval);
        break;
    case PROP_REGION:
        g_value_set_string(value, state.region.c_str());
        break;
    case PROP_TILE:
        g_value_set_string(value, state.tile.c_str());
        break;
    case PROP_FROM_META:
        g_value_set_string(value, state.from_meta.c_str());
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
}

static void gst_sphere_detect_finalize(GObject *object) {
    delete STATE(object);
    G_OBJECT_CLASS(gst_sphere_detect_parent_class)->finalize(object);
}

static void gst_sphere_detect_install_properties(GObjectClass *klass) {
    constexpr auto ready = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                    GST_PARAM_MUTABLE_READY);
    constexpr auto playing = static_cast<GParamFlags>(
        G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
    ModelProperties::install(
        klass, PROP_MODEL,
        "Detector: a name of `spherectl models list` or a descriptor's path "
        "(auto = first installed of yunet-640, yunet-320, ultralight)");
    g_object_class_install_property(
        klass, PROP_LANDMARK_MODEL,
        g_param_spec_string(
            "landmark-model", "Landmark model",
            "Landmarks by this model, also in place of a detector's own (empty = the "
            "descriptor's; none = boxes only from a detector without)",
            "", ready));
    g_object_class_install_property(
        klass, PROP_THRESHOLD,
        g_param_spec_float("threshold", "Threshold",
                           "Least score of a face (-1 = the model's own)", -1, 1, -1, playing));
    g_object_class_install_property(
        klass, PROP_NMS_THRESHOLD,
        g_param_spec_float("nms-threshold", "NMS threshold",
                           "Overlap (IoU) above which the weaker of two boxes goes (-1 = the "
                           "model's own)",
                           -1, 1, -1, playing));
    g_object_class_install_property(
        klass, PROP_MIN_FACE_SIZE,
        g_param_spec_uint("min-face-size", "Least face size",
                          "Shorter side of the smallest face kept, in pixels of the frame", 0,
                          65535, 0, playing));
    g_object_class_install_property(klass, PROP_MAX_FACES,
                                    g_param_spec_uint("max-faces", "Most faces",
                                                      "Faces kept, best scores first (0 = all)",
                                                      0, 65535, 0, playing));
    g_object_class_install_property(
        klass, PROP_INPUT_SIZE,
        g_param_spec_string("input-size", "Input size",
                            "Size of the network's input: \"auto\" (the model's own, less what "
                            "the frame does not fill) or WIDTHxHEIGHT in multiples of 32 "
                            "where the model allows it",
                            "auto", ready));
    g_object_class_install_property(
        klass, PROP_INFERENCE_INTERVAL,
        g_param_spec_uint("inference-interval", "Inference interval",
                          "Detect in each Nth frame; the others pass without faces (0 = as "
                          "many as a live source leaves time for, all of others)",
                          0, 65535, 1, playing));
    g_object_class_install_property(
        klass, PROP_REGION,
        g_param_spec_string("region", "Region",
                            "Where faces are looked for: X,Y,W,H or a polygon \"X,Y X,Y X,Y\", "
                            "several separated by ';', in pixels or % of the frame (empty = "
                            "everywhere)",
                            "", playing));
    g_object_class_install_property(
        klass, PROP_TILE,
        g_param_spec_string("tile", "Tile",
                            "Look at tiles of WIDTHxHEIGHT pixels as well as at the whole, for "
                            "small faces in large frames (none = only at the whole)",
                            "none", ready));
    g_object_class_install_property(
        klass, PROP_FROM_META,
        g_param_spec_string("from-meta", "From metadata",
                            "Take the faces that an element in front found, from its "
                            "region-of-interest or analytics metadata of this type (\"face\"), "
                            "in place of a model (empty = off)",
                            "", ready));
}

static void gst_sphere_detect_class_init(GstSphereDetectClass *klass) {
    auto *object_class = G_OBJECT_CLASS(klass);
    auto *element_class = GST_ELEMENT_CLASS(klass);
    auto *filter_class = GST_SPHERE_FILTER_CLASS(klass);
    object_class->set_property = gst_sphere_detect_set_property;
    object_class->get_property = gst_sphere_detect_get_property;
    object_class->finalize = gst_sphere_detect_finalize;
    filter_class->prepare = gst_sphere_detect_prepare;
    filter_class->dismiss = gst_sphere_detect_dismiss;
    filter_class->open = gst_sphere_detect_open;
    filter_class->close = gst_sphere_detect_close;
    filter_class->process = gst_sphere_detect_process;
    filter_class->flush = gst_sphere_detect_flush;
    GST_BASE_TRANSFORM_CLASS(klass)->src_event = gst_sphere_detect_src_event;
    gst_sphere_detect_install_properties(object_class);
    gst_element_class_set_static_metadata(
        element_class, "Face detector", "Filter/Analyzer/Video",
        "Finds faces: boxes, scores, five landmarks", "the gst-sphere authors");
    gst_sphere_filter_class_add_pads(element_class, FALSE);
}

static void gst_sphere_detect_init(GstSphereDetect *self) {
    self->state = new DetectState;
}
