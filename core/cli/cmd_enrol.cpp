// SPDX-License-Identifier: MIT
// spherectl enrol: puts people into a gallery.
#include "core/cli/command.h"
#include "core/cli/files.h"
#include "core/cli/gallery_session.h"
#include "core/cli/output.h"
#include "core/gallery/gallery_check.h"
#include "core/image/codec.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <set>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kThumbnailQuality = 90;
constexpr std::size_t kFacesPerTransaction = 64; ///< what an interruption can lose at most

// Below these, and kLowQualityScore, a face still enrols, with a warning.
constexpr float kSmallEyeDistancePx = 20;
constexpr float kLowSharpness = 0.3F;
constexpr float kProfileDeg = 35;
constexpr float kDark = 0.15F;
constexpr float kBright = 0.85F;

std::vector<OptionSpec> options() {
    std::vector<OptionSpec> specs = image_options(ThresholdMeans::Score);
    specs.push_back(kGalleryOption);
    specs.push_back({"id", "NAME", "who is in the pictures; without it, a folder is enrolled"});
    specs.push_back(kFlipOption);
    specs.push_back({"keep-thumbnails", "", "keep the aligned faces in the gallery, as JPEG"});
    return specs;
}

struct Task {
    std::string person;
    std::string path;
};

/// Tasks of a folder with a sub-folder a person. What is passed over is told of.
Result<void> add_folder(const std::string &folder, std::vector<Task> &tasks) {
    auto people = list_folder(folder);
    if (!people)
        return std::move(people).error();
    if (people->folders.empty())
        return fail(Errc::InvalidArgument, folder,
                    ": has no sub-folders; put the pictures of each person into a sub-folder "
                    "with the person's name, or give --id NAME and the pictures");
    if (!people->pictures.empty())
        print_warning(folder + ": " + std::to_string(people->pictures.size()) +
                      " pictures beside the sub-folders are passed over: they are nobody's");
    for (const std::string &person : people->folders) {
        auto content = list_folder(person);
        if (!content)
            return std::move(content).error();
        if (content->pictures.empty())
            print_warning(person + ": has no pictures");
        const std::size_t passed_over = content->others.size() + content->folders.size();
        if (passed_over > 0)
            print_warning(person + ": " + std::to_string(passed_over) +
                          " entries that are not pictures are passed over");
        for (const std::string &picture : content->pictures)
            tasks.push_back({base_name(person), picture});
    }
    return {};
}

Result<std::vector<Task>> read_tasks(const Arguments &arguments) {
    const auto &paths = arguments.positionals();
    std::vector<Task> tasks;
    if (arguments.has("id")) {
        auto id = arguments.required("id", "give the person's name");
        if (!id)
            return std::move(id).error();
        for (const std::string &path : paths)
            tasks.push_back({*id, path});
    } else {
        for (const std::string &path : paths) {
            if (!is_directory(path))
                return fail(Errc::InvalidArgument, path,
                            ": is not a folder with a sub-folder a person; to enrol pictures "
                            "say who is in them with --id NAME");
            SPHERE_TRY(add_folder(path, tasks));
        }
    }
    if (paths.empty())
        return fail(Errc::InvalidArgument, "enrol: nothing to enrol; give --id NAME IMAGE…, or "
                                           "a folder with a sub-folder a person");
    if (tasks.empty())
        return fail(Errc::NotFound, paths[0],
                    ": no pictures in its sub-folders; nothing was "
                    "enrolled");
    return tasks;
}

std::string low_quality(const Quality &quality) {
    if (!(quality.score < kLowQualityScore))
        return {};
    std::string why;
    const auto add = [&why](const char *text) {
        why += (why.empty() ? "" : ", ") + std::string(text);
    };
    if (quality.eye_distance_px > 0 && quality.eye_distance_px < kSmallEyeDistancePx)
        add("small");
    if (quality.sharpness < kLowSharpness)
        add("blurred");
    if (std::abs(quality.yaw_deg) > kProfileDeg || std::abs(quality.pitch_deg) > kProfileDeg)
        add("turned away");
    if (quality.brightness < kDark)
        add("dark");
    if (quality.brightness > kBright)
        add("too bright");
    return "low quality " + fixed(quality.score, 2) + (why.empty() ? "" : " (" + why + ")");
}

/// Writes faces to the gallery, some at a time, and keeps the account.
class Enroller {
  public:
    Enroller(const FaceSession &session, std::string location, bool keep_thumbnails,
             std::optional<EnrolmentAdvisor> advisor)
        : session_(session), location_(std::move(location)), keep_thumbnails_(keep_thumbnails),
          advisor_(std::move(advisor)) {}

    /// The face of one picture. An error of the picture goes to `failures`, one of the gallery
    /// ends it all.
    Result<void> add(const Task &task) {
        auto photo = session_.embed_one(task.path, Pick::Largest);
        if (!photo) {
            note_failure(failures_, task.path, std::move(photo).error());
            return {};
        }
        const Face &face = photo->faces[0];
        std::string warning = face.quality ? low_quality(*face.quality) : std::string();
        if (!warning.empty())
            print_warning(task.path + ": " + warning +
                          "; a sharper, larger, frontal picture would be recognised better");
        auto known = advise(task, face.embedding->values, warning);
        if (!known)
            return std::move(known).error();
        if (*known)
            return {};
        if (!store_)
            SPHERE_TRY(open());
        Enrolment enrolment{task.person, task.path, face.quality, face.embedding->values, {}};
        if (keep_thumbnails_) {
            auto jpeg = encode_jpeg(*face.crop, kThumbnailQuality);
            if (!jpeg)
                return std::move(jpeg).error();
            enrolment.thumbnail_jpeg = std::move(*jpeg);
        }
        pending_.push_back(std::move(enrolment));
        pending_rows_.push_back(
            {{"path", task.path},
             {"id", task.person},
             {"box", box_numbers(face.box)},
             {"quality", face.quality ? Json(tidy(face.quality->score)) : Json()},
             {"warning", warning.empty() ? Json() : Json(warning)}});
        return pending_.size() < kFacesPerTransaction ? Result<void>() : commit();
    }

    Result<void> commit() {
        if (pending_.empty())
            return {};
        auto ids = store_->enrol(session_.stamp(), pending_);
        if (!ids)
            return std::move(ids).error();
        for (std::size_t i = 0; i < pending_.size(); ++i) {
            Json row = pending_rows_[i];
            row["face"] = (*ids)[i];
            rows_.push_back(row);
            people_.insert(pending_[i].person_id);
        }
        pending_.clear();
        pending_rows_.clear();
        return {};
    }

    /// Tells of folders with mixed people, once all faces are there.
    void tell_misfits() {
        if (!advisor_)
            return;
        for (const EnrolmentAdvisor::Misfit &misfit : advisor_->misfits()) {
            misfits_.push_back({{"path", misfit.source},
                                {"id", misfit.person_id},
                                {"distance", tidy(misfit.distance)}});
            print_warning(misfit.source + ": is not like most pictures of " + misfit.person_id +
                          " (nearest " + fixed(misfit.distance, 4) +
                          "): is it somebody else? spherectl gallery check looks at all");
        }
    }

    const Json &skipped() const { return skipped_; }
    const Json &misfits() const { return misfits_; }
    const Json &rows() const { return rows_; }
    std::size_t people() const { return people_.size(); }
    const std::vector<Failure> &failures() const { return failures_; }

  private:
    /// True: the person has this very picture, it is not enrolled again. Adds to `warning` who
    /// else the face looks like.
    Result<bool> advise(const Task &task, const std::vector<float> &embedding,
                        std::string &warning) {
        if (!advisor_)
            return false;
        auto advice = advisor_->consider(task.person, embedding);
        if (!advice)
            return std::move(advice).error();
        if (advice->same_picture) {
            print_warning(task.path + ": " + task.person + " has this picture already" +
                          (advice->source.empty() ? "" : " (" + advice->source + ")") +
                          "; it is not enrolled again");
            skipped_.push_back({{"path", task.path}, {"id", task.person}});
            return true;
        }
        if (!advice->looks_like.empty()) {
            const std::string text = "looks like " + advice->looks_like +
                                     ", who is enrolled (distance " +
                                     fixed(advice->distance, 4) + ")";
            warning += (warning.empty() ? "" : "; ") + text;
            print_warning(task.path + ": " + text + ": is one of the names wrong?");
        }
        SPHERE_TRY(advisor_->add(task.person, task.path, embedding));
        return false;
    }

    /// Only when there is a face to write: a bad command leaves no empty gallery behind.
    Result<void> open() {
        auto store = open_store(location_, OpenMode::CreateIfMissing);
        if (!store)
            return std::move(store).error();
        store_ = std::move(*store);
        return {};
    }

    const FaceSession &session_;
    std::string location_;
    bool keep_thumbnails_;
    std::optional<EnrolmentAdvisor> advisor_; ///< empty: the model has no threshold
    Json skipped_ = Json::array();
    Json misfits_ = Json::array();
    std::unique_ptr<Store> store_;
    std::vector<Enrolment> pending_;
    std::vector<Json> pending_rows_;
    Json rows_ = Json::array();
    std::set<std::string> people_;
    std::vector<Failure> failures_;
};

/// What is in the gallery if there is one; no gallery yet is no error.
Result<GallerySnapshot> content_of(const std::string &location) {
    auto store = open_store(location, OpenMode::Existing);
    if (!store) {
        if (store.error().code == Errc::NotFound)
            return GallerySnapshot();
        return std::move(store).error();
    }
    return (*store)->load();
}

/// By the model's own metric and threshold; none where it has none.
Result<std::optional<EnrolmentAdvisor>> make_advisor(const GallerySnapshot &snapshot,
                                                     const FaceSession &session) {
    const auto metric = parse_metric(session.model().default_metric);
    const auto own = session.model().metrics.find(session.model().default_metric);
    if (!metric || own == session.model().metrics.end())
        return std::optional<EnrolmentAdvisor>();
    auto advisor = EnrolmentAdvisor::make(snapshot, session.stamp().dims, *metric,
                                          static_cast<float>(own->second.identifying()));
    if (!advisor)
        return std::move(advisor).error();
    return std::optional(std::move(*advisor));
}

void print_summary(const Context &context, const Enroller &enroller,
                   const std::string &location, const FaceSession &session,
                   std::size_t pictures) {
    const std::size_t faces = enroller.rows().size();
    if (context.json) {
        print_line(Json{{"gallery", location},
                        {"model", session.stamp().model},
                        {"detector", session.detector_name()},
                        {"images", pictures},
                        {"faces", faces},
                        {"people", enroller.people()},
                        {"enrolled", enroller.rows()},
                        {"skipped", enroller.skipped()},
                        {"misfits", enroller.misfits()},
                        {"failed", failure_rows(enroller.failures())}}
                       .dump(-1, ' ', false, Json::error_handler_t::replace));
        return;
    }
    print_line("enrolled " + std::to_string(faces) + (faces == 1 ? " face" : " faces") +
               " of " + std::to_string(enroller.people()) +
               (enroller.people() == 1 ? " person" : " people") + " from " +
               std::to_string(pictures) + (pictures == 1 ? " picture" : " pictures") +
               " into " + location + " (" + session.stamp().model + ", " +
               session.detector_name() + ")" +
               (enroller.failures().empty()
                    ? ""
                    : "; " + std::to_string(enroller.failures().size()) + " failed"));
}

Result<int> run(const Context &context) {
    const Arguments &arguments = context.arguments;
    auto location = gallery_location(arguments);
    if (!location)
        return std::move(location).error();
    auto session_options = read_session_options(arguments, ThresholdMeans::Score);
    if (!session_options)
        return std::move(session_options).error();
    auto tasks = read_tasks(arguments);
    if (!tasks)
        return std::move(tasks).error();
    auto content = content_of(*location);
    if (!content)
        return std::move(content).error();
    auto session = FaceSession::open(
        follow_stamp(for_gallery(*session_options), arguments, content->stamp));
    if (!session)
        return std::move(session).error();
    SPHERE_TRY(check_stamp(*location, content->stamp, *session));
    auto advisor = make_advisor(*content, *session);
    if (!advisor)
        return std::move(advisor).error();

    Enroller enroller(*session, *location, arguments.has("keep-thumbnails"),
                      std::move(*advisor));
    {
        Progress progress("enrol", tasks->size());
        for (std::size_t i = 0; i < tasks->size(); ++i) {
            progress.update(i);
            SPHERE_TRY(enroller.add((*tasks)[i]));
        }
        SPHERE_TRY(enroller.commit());
    }
    enroller.tell_misfits();
    print_summary(context, enroller, *location, *session, tasks->size());
    return exit_code_with(enroller.failures(), kExitDone);
}

} // namespace

const Command kEnrolCommand = {
    "enrol",
    "put people into a gallery",
    "--gallery=PATH (--id=NAME IMAGE… | FOLDER) [OPTION…]",
    "Takes the largest face of each picture. A FOLDER has a sub-folder a person, named as the\n"
    "person. The gallery is made if it is not there; into one that is there, faces are added\n"
    "with its own model. A picture that a person has already is not enrolled again. Pictures "
    "without a face are named, the others are done, and the exit\n"
    "code is 2. Pictures themselves are not kept.",
    "spherectl enrol --gallery people.db --id anna anna1.jpg anna2.jpg",
    &options,
    &run,
};

} // namespace sphere::cli
