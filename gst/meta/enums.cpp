// SPDX-License-Identifier: MIT
// The GTypes of states and reasons; their nicks are the names in records and on the bus.
#include <gst/sphere/gstspheremeta.h>

static const GEnumValue kStates[] = {
    {GST_SPHERE_FACE_STATE_UNDECIDED, "GST_SPHERE_FACE_STATE_UNDECIDED", "undecided"},
    {GST_SPHERE_FACE_STATE_KNOWN, "GST_SPHERE_FACE_STATE_KNOWN", "known"},
    {GST_SPHERE_FACE_STATE_UNKNOWN, "GST_SPHERE_FACE_STATE_UNKNOWN", "unknown"},
    {GST_SPHERE_FACE_STATE_AMBIGUOUS, "GST_SPHERE_FACE_STATE_AMBIGUOUS", "ambiguous"},
    {GST_SPHERE_FACE_STATE_UNUSABLE, "GST_SPHERE_FACE_STATE_UNUSABLE", "unusable"},
    {0, nullptr, nullptr},
};

static const GEnumValue kReasons[] = {
    {GST_SPHERE_FACE_REASON_NONE, "GST_SPHERE_FACE_REASON_NONE", "none"},
    {GST_SPHERE_FACE_REASON_TOO_SMALL, "GST_SPHERE_FACE_REASON_TOO_SMALL", "too-small"},
    {GST_SPHERE_FACE_REASON_BLURRED, "GST_SPHERE_FACE_REASON_BLURRED", "blurred"},
    {GST_SPHERE_FACE_REASON_PROFILE, "GST_SPHERE_FACE_REASON_PROFILE", "profile"},
    {GST_SPHERE_FACE_REASON_TRUNCATED, "GST_SPHERE_FACE_REASON_TRUNCATED", "truncated"},
    {GST_SPHERE_FACE_REASON_NO_LANDMARKS, "GST_SPHERE_FACE_REASON_NO_LANDMARKS",
     "no-landmarks"},
    {GST_SPHERE_FACE_REASON_LOW_QUALITY, "GST_SPHERE_FACE_REASON_LOW_QUALITY", "low-quality"},
    {GST_SPHERE_FACE_REASON_NOT_EMBEDDED, "GST_SPHERE_FACE_REASON_NOT_EMBEDDED",
     "not-embedded"},
    {GST_SPHERE_FACE_REASON_BELOW_THRESHOLD, "GST_SPHERE_FACE_REASON_BELOW_THRESHOLD",
     "below-threshold"},
    {GST_SPHERE_FACE_REASON_AMBIGUOUS, "GST_SPHERE_FACE_REASON_AMBIGUOUS", "ambiguous"},
    {GST_SPHERE_FACE_REASON_EMPTY_GALLERY, "GST_SPHERE_FACE_REASON_EMPTY_GALLERY",
     "empty-gallery"},
    {GST_SPHERE_FACE_REASON_WRONG_MODEL, "GST_SPHERE_FACE_REASON_WRONG_MODEL", "wrong-model"},
    {GST_SPHERE_FACE_REASON_IGNORED, "GST_SPHERE_FACE_REASON_IGNORED", "ignored"},
    {0, nullptr, nullptr},
};

GType gst_sphere_face_state_get_type(void) {
    static gsize once = 0;
    if (g_once_init_enter(&once))
        g_once_init_leave(&once, g_enum_register_static("GstSphereFaceState", kStates));
    return once;
}

GType gst_sphere_face_reason_get_type(void) {
    static gsize once = 0;
    if (g_once_init_enter(&once))
        g_once_init_leave(&once, g_enum_register_static("GstSphereFaceReason", kReasons));
    return once;
}

/**
 * gst_sphere_face_state_to_string:
 * @state: a state
 *
 * Returns: its name in records and on the bus, such as "known"; "" for undecided
 */
const gchar *gst_sphere_face_state_to_string(GstSphereFaceState state) {
    if (state <= GST_SPHERE_FACE_STATE_UNDECIDED || state > GST_SPHERE_FACE_STATE_UNUSABLE)
        return "";
    return kStates[state].value_nick;
}

/**
 * gst_sphere_face_reason_to_string:
 * @reason: a reason
 *
 * Returns: its name in records, such as "too-small"; "" for none
 */
const gchar *gst_sphere_face_reason_to_string(GstSphereFaceReason reason) {
    if (reason <= GST_SPHERE_FACE_REASON_NONE || reason > GST_SPHERE_FACE_REASON_IGNORED)
        return "";
    return kReasons[reason].value_nick;
}
