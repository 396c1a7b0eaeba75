// SPDX-License-Identifier: MIT
// spherectl gallery re-embed: another model, from the thumbnails that were kept.
#include "core/cli/gallery_actions.h"
#include "core/cli/gallery_session.h"
#include "core/cli/output.h"

#include <nlohmann/json.hpp>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Embedded {
    Reembed change;
    std::size_t without_thumbnail = 0;
};

Result<Embedded> embed_all(const std::vector<FaceRecord> &faces,
                           const std::string &template_name, const FaceSession &session,
                           PeopleAdmin &admin) {
    Embedded result;
    result.change.stamp = session.stamp();
    Progress progress("re-embed", faces.size());
    for (std::size_t i = 0; i < faces.size(); ++i) {
        progress.update(i);
        if (!faces[i].has_thumbnail) {
            ++result.without_thumbnail;
            continue;
        }
        auto jpeg = admin.thumbnail(faces[i].face_id);
        if (!jpeg)
            return std::move(jpeg).error();
        auto values = session.embed_thumbnail(
            "the thumbnail of face " + std::to_string(faces[i].face_id), *jpeg,
            faces[i].thumbnail_template.empty() ? template_name : faces[i].thumbnail_template);
        if (!values)
            return std::move(values).error();
        result.change.faces.emplace_back(faces[i].face_id, std::move(*values));
    }
    return result;
}

Result<int> say(const GalleryContext &context, const FaceSession &session,
                const Embedded &embedded) {
    const std::size_t count = embedded.change.faces.size();
    if (context.json())
        print_line(Json{{"gallery", context.shown()},
                        {"model", session.stamp().model},
                        {"faces", count},
                        {"lost", embedded.without_thumbnail},
                        {"dry_run", context.dry_run}}
                       .dump(-1, ' ', false, Json::error_handler_t::replace));
    else
        print_line((context.dry_run ? "would have re-embedded " : "re-embedded ") +
                   std::to_string(count) + (count == 1 ? " face" : " faces") + " by " +
                   session.stamp().model + "; " + std::to_string(embedded.without_thumbnail) +
                   " without a thumbnail");
    return kExitDone;
}

Result<int> run_reembed(const GalleryContext &context) {
    SPHERE_TRY(check_words(context, kReembedAction, 0, 0));
    auto model = context.arguments().required("model", "name the new model");
    if (!model)
        return std::move(model).error();
    auto options = read_session_options(context.arguments(), ThresholdMeans::Distance);
    if (!options)
        return std::move(options).error();
    auto gallery = open_gallery(context.location);
    if (!gallery)
        return std::move(gallery).error();
    auto snapshot = gallery->store->load();
    if (!snapshot)
        return std::move(snapshot).error();
    auto faces = gallery->admin->list_faces("");
    if (!faces)
        return std::move(faces).error();
    if (!snapshot->stamp || faces->empty())
        return fail(Errc::NotFound, context.shown(), ": nobody is enrolled");
    auto session = FaceSession::open(for_gallery(*options));
    if (!session)
        return std::move(session).error();
    auto embedded =
        embed_all(*faces, snapshot->stamp->template_name, *session, *gallery->admin);
    if (!embedded)
        return std::move(embedded).error();
    if (embedded->without_thumbnail > 0 && !context.arguments().has("partial"))
        return fail(Errc::NotFound, context.shown(), ": ", embedded->without_thumbnail, " of ",
                    faces->size(),
                    " faces have no thumbnail and would be found no more; nothing was changed. "
                    "Enrol their photographs again into a new gallery, or accept it with "
                    "--partial");
    if (!context.dry_run) {
        auto done = gallery->admin->apply({embedded->change});
        if (!done)
            return std::move(done).error();
    }
    return say(context, *session, *embedded);
}

} // namespace

const GalleryAction kReembedAction = {"re-embed", "--model=MODEL [--partial]", &run_reembed};

} // namespace sphere::cli
