// SPDX-License-Identifier: MIT
// Checks on changes to galleries.
#include "core/gallery/change_check.h"

#include "core/gallery/enrolment_check.h"
#include "core/gallery/json_text.h"
#include "core/gallery/limits.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>
#include <pwd.h>
#include <unistd.h>

namespace sphere {
namespace {

constexpr std::size_t kMaxCameraBytes = 1024;

struct Checker {
    Result<void> operator()(const SetPerson &change) const {
        if (change.label && (change.label->empty() || change.label->size() > kMaxTextBytes ||
                             !is_plain_text(*change.label)))
            return fail(Errc::InvalidArgument, "the label of ", change.id,
                        " must be plain UTF-8 text of 1 to ", kMaxTextBytes, " bytes");
        if (change.threshold && !(std::isfinite(*change.threshold) && *change.threshold >= 0))
            return fail(Errc::InvalidArgument, "the threshold of ", change.id,
                        " is not a distance: it must be 0 or more");
        if (!change.attributes)
            return {};
        if (change.attributes->size() > kMaxAttributesBytes)
            return fail(Errc::InvalidArgument, "the attributes of ", change.id, " have ",
                        change.attributes->size(), " bytes; up to ", kMaxAttributesBytes,
                        " are possible");
        if (!has_bounded_depth(*change.attributes) ||
            !nlohmann::json::parse(*change.attributes, nullptr, false).is_object())
            return fail(Errc::InvalidArgument, "the attributes of ", change.id,
                        " are not a JSON object, as {\"team\": \"night shift\"}");
        return {};
    }
    Result<void> operator()(const RenamePerson &change) const {
        return check_person_id(change.to);
    }
    Result<void> operator()(const RemovePerson &) const { return {}; }
    Result<void> operator()(const RemoveFaces &) const { return {}; }
    Result<void> operator()(const MoveFaces &change) const {
        return check_person_id(change.to);
    }
    Result<void> operator()(const QuarantineFaces &) const { return {}; }
    Result<void> operator()(const AddNegative &change) const {
        // The rules are those of enrolment; a face to ignore has no person.
        Enrolment face;
        face.person_id = change.person_id.empty() ? "ignored" : change.person_id;
        face.source = change.source;
        face.embedding = change.embedding;
        return check_enrolments(change.stamp, {face});
    }
    Result<void> operator()(const RemoveNegative &) const { return {}; }
    Result<void> operator()(const Reembed &change) const {
        Enrolment face;
        face.person_id = "face";
        SPHERE_TRY(check_enrolments(change.stamp, {}));
        for (const auto &[id, embedding] : change.faces) {
            face.source = "face " + std::to_string(id);
            face.embedding = embedding;
            SPHERE_TRY(check_enrolments(change.stamp, {face}));
        }
        return {};
    }
    Result<void> operator()(const RecordSight &change) const {
        if (!change.stranger_id.empty() && !stranger_number(change.stranger_id))
            return fail(Errc::InvalidArgument, change.stranger_id,
                        " is not a stranger's id, as unknown-12");
        if (change.stranger_id.empty() && !change.face)
            return fail(Errc::InvalidArgument, "a new stranger needs a face");
        if (change.camera.size() > kMaxCameraBytes || !is_plain_text(change.camera))
            return fail(Errc::InvalidArgument, "a camera's name is too long or not plain text");
        if (!change.face)
            return {};
        if (!change.stamp)
            return fail(Errc::InvalidArgument, "a stranger's face needs a stamp");
        Enrolment face = *change.face;
        face.person_id = "unknown";
        return check_enrolments(*change.stamp, {face});
    }
    Result<void> operator()(const PromoteStranger &change) const {
        if (!stranger_number(change.stranger_id))
            return fail(Errc::InvalidArgument, change.stranger_id,
                        " is not a stranger's id, as unknown-12");
        return check_person_id(change.to);
    }
    Result<void> operator()(const ExpireStrangers &change) const {
        if (change.most < 0)
            return fail(Errc::InvalidArgument, "fewer than no strangers cannot be kept");
        return {};
    }
};

} // namespace

Result<void> check_change(const GalleryChange &change) {
    return std::visit(Checker{}, change);
}

std::string audit_action(const GalleryChange &change) {
    static constexpr const char *kActions[] = {
        "set",      "rename",          "remove",  "remove faces", "move faces", "quarantine",
        "negative", "remove negative", "reembed", "sight",        "promote",    "expire",
    };
    static_assert(std::size(kActions) == std::variant_size_v<GalleryChange>);
    if (const auto *quarantine = std::get_if<QuarantineFaces>(&change);
        quarantine && !quarantine->on)
        return "release";
    return kActions[change.index()];
}

std::string audit_user() {
    char buffer[4096];
    struct passwd entry {};
    struct passwd *found = nullptr;
    const uid_t uid = geteuid();
    if (getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 && found &&
        is_plain_text(found->pw_name))
        return found->pw_name;
    return "uid " + std::to_string(uid);
}

std::int64_t unix_time_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

} // namespace sphere
