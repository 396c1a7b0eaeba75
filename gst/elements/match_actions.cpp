// SPDX-License-Identifier: MIT
// spherematch's action signals: changes of the gallery that an application asks for.
#include "core/gallery/gallery_check.h"
#include "core/gallery/people_admin.h"
#include "gst/elements/match_state.h"

#include <algorithm>

#define GST_CAT_DEFAULT gst_sphere_debug

namespace sphere::gst {
namespace {

std::string text_of(const gchar *text) {
    return text != nullptr ? text : "";
}

Result<std::string> gallery_of(MatchState &state) {
    const std::lock_guard lock(state.mutex);
    if (state.settings.gallery.empty())
        return fail(Errc::InvalidArgument, "No gallery is set on spherematch.");
    return state.settings.gallery;
}

gboolean said(GstElement *element, const Result<void> &done) {
    if (!done)
        post_warning(element, done.error());
    return done.ok();
}

Result<void> apply(MatchState &state, const GalleryChange &change) {
    const auto gallery = gallery_of(state);
    if (!gallery)
        return gallery.error();
    auto admin = open_people_admin(*gallery);
    if (!admin)
        return std::move(admin).error();
    const auto applied = (*admin)->apply({change});
    return applied ? Result<void>{} : Result<void>(applied.error());
}

Result<FaceShot> shot_of(MatchState &state, gint64 track) {
    const std::lock_guard lock(state.shots_mutex);
    const auto found = state.shots.find(track < 0 ? -1 : track);
    if (found != state.shots.end())
        return found->second;
    if (track < 0)
        return fail(Errc::NotFound, "enrol: there is no face with an embedding in the stream");
    return fail(Errc::NotFound, "enrol: track ", track,
                " has no face with an embedding, or is long gone");
}

/// Whether somebody else is enrolled with this face: the user may have meant another track.
void warn_of_another(GstElement *element, MatchState &state, const std::string &name,
                     const FaceShot &shot) {
    std::shared_ptr<const Matcher> matcher;
    {
        const std::lock_guard lock(state.shots_mutex);
        matcher = state.matcher;
    }
    if (!matcher)
        return;
    const MatchResult match = matcher->match(shot.embedding);
    if (match.candidates.empty() || match.candidates.front().distance > match.threshold ||
        match.candidates.front().id == name)
        return;
    post_warning(element,
                 fail(Errc::InvalidArgument, "enrol: the face that was enrolled as ", name,
                      " looks like ", match.candidates.front().id, ", at distance ",
                      match.candidates.front().distance, ": one person under two names?"));
}

Result<void> enrol(GstElement *element, MatchState &state, const std::string &name,
                   gint64 track) {
    const auto shot = shot_of(state, track);
    if (!shot)
        return shot.error();
    const auto gallery = gallery_of(state);
    if (!gallery)
        return gallery.error();
    auto store = open_store(*gallery, OpenMode::Existing);
    if (!store)
        return std::move(store).error();
    Enrolment face;
    face.person_id = name;
    face.source = "stream";
    face.quality = shot->quality;
    face.embedding = shot->embedding.values;
    const auto enrolled = (*store)->enrol(*shot->embedding.stamp, {face});
    if (!enrolled)
        return enrolled.error();
    if (shot->quality && shot->quality->score < kLowQualityScore)
        post_warning(element, fail(Errc::InvalidArgument, "enrol: the picture of ", name,
                                   " has quality ", shot->quality->score, ", less than ",
                                   kLowQualityScore,
                                   ", and may give wrong matches: enrol a better one"));
    warn_of_another(element, state, name, *shot);
    return {};
}

} // namespace

gboolean enrol_shot(GstElement *element, MatchState &state, const gchar *name, gint64 track) {
    return guarded(element, gboolean{FALSE},
                   [&] { return said(element, enrol(element, state, text_of(name), track)); });
}

gboolean forget_person(GstElement *element, MatchState &state, const gchar *id) {
    return guarded(element, gboolean{FALSE},
                   [&] { return said(element, apply(state, RemovePerson{text_of(id)})); });
}

gboolean promote_stranger(GstElement *element, MatchState &state, const gchar *stranger,
                          const gchar *name) {
    return guarded(element, gboolean{FALSE}, [&] {
        return said(element, apply(state, PromoteStranger{text_of(stranger), text_of(name)}));
    });
}

} // namespace sphere::gst
