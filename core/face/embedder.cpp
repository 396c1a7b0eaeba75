// SPDX-License-Identifier: MIT
// Crops through a recogniser, with their mirror images where asked.
#include "core/face/embedder.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace sphere {
namespace {

// A mirrored picture in place of a second crop: each row of the tensor is reversed.
void mirror_rows(const float *from, float *to, std::size_t rows, std::size_t width) {
    for (std::size_t y = 0; y < rows; ++y)
        std::reverse_copy(from + y * width, from + (y + 1) * width, to + y * width);
}

bool all_finite(const std::vector<float> &values) {
    return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

} // namespace

Result<std::shared_ptr<Embedder>> Embedder::make(const ModelStore &store,
                                                 const std::string &model,
                                                 std::optional<FlipMode> flip,
                                                 const EngineOptions &options) {
    auto resolved = store.resolve(model, ModelTask::Embed);
    if (!resolved)
        return std::move(resolved).error();
    auto tmpl = find_template(resolved->descriptor.template_name);
    if (!tmpl)
        return fail(Errc::Corrupt, resolved->descriptor.path, ": ", tmpl.error().message);
    if (tmpl->width != resolved->descriptor.input.width ||
        tmpl->height != resolved->descriptor.input.height)
        return fail(Errc::Corrupt, resolved->descriptor.path, ": template ", tmpl->name,
                    " is not of the input's size ", resolved->descriptor.input.width, "x",
                    resolved->descriptor.input.height, ".");
    auto engine = acquire_engine(*resolved, options);
    if (!engine)
        return std::move(engine).error();

    const std::shared_ptr<Embedder> embedder(new Embedder);
    embedder->model_ = std::move(*resolved);
    embedder->template_ = std::move(*tmpl);
    embedder->engine_ = std::move(*engine);
    const ModelDescriptor &descriptor = embedder->model_.descriptor;
    embedder->flip_ = flip.value_or(descriptor.flip);
    EmbeddingStamp stamp;
    stamp.model = descriptor.name;
    stamp.sha256 = embedder->model_.sha256;
    stamp.preprocessing = descriptor.preprocessing;
    stamp.template_name = descriptor.template_name;
    stamp.flip = flip_mode_name(embedder->flip_);
    stamp.dims = embedder->flip_ == FlipMode::Concat ? 2 * descriptor.dims : descriptor.dims;
    embedder->stamp_ = std::make_shared<const EmbeddingStamp>(std::move(stamp));
    return embedder;
}

std::vector<float> Embedder::combine(Mirror use, const float *crop, const float *mirror,
                                     std::size_t dims) {
    std::vector<float> values(crop, crop + dims);
    if (use == Mirror::Concat)
        values.insert(values.end(), mirror, mirror + dims);
    else if (use == Mirror::Sum || use == Mirror::Mean)
        for (std::size_t i = 0; i < dims; ++i)
            values[i] = (values[i] + mirror[i]) * (use == Mirror::Mean ? 0.5F : 1.0F);
    return values;
}

Embedder::Mirror Embedder::mirror_of_flip() const {
    if (flip_ == FlipMode::Concat)
        return Mirror::Concat;
    return flip_ == FlipMode::Sum ? Mirror::Sum : Mirror::Unused;
}

Result<std::vector<Embedding>> Embedder::embed(std::span<const Image *const> crops,
                                               int batch_size, EmbedTiming *timing) {
    return run(crops, mirror_of_flip(), batch_size, timing);
}

Result<std::vector<Embedding>> Embedder::embed_mirrored(std::span<const Image *const> crops) {
    return run(crops, flip_ == FlipMode::None ? Mirror::Mean : mirror_of_flip(), 0, nullptr);
}

Result<std::vector<Embedding>> Embedder::run(std::span<const Image *const> crops, Mirror use,
                                             int batch_size, EmbedTiming *timing) {
    for (const Image *crop : crops)
        if (crop->width != template_.width || crop->height != template_.height)
            return fail(Errc::InvalidArgument, "A crop of ", crop->width, "x", crop->height,
                        " does not fit template ", template_.name, ".");
    const std::size_t views = use == Mirror::Unused ? 1 : 2; // pictures a crop
    // A file may bake batch 1; there are engines that do not mind.
    const bool singly = model_.descriptor.batch == 1 && engine_->preferred_batch() == 1;
    const int most = singly           ? 1
                     : batch_size > 0 ? std::min(batch_size, kMaxBatch)
                                      : engine_->preferred_batch();
    std::vector<float> raw; // views x dims numbers a crop
    const auto dims = static_cast<std::size_t>(model_.descriptor.dims);
    raw.reserve(crops.size() * views * dims);

    const std::lock_guard lock(mutex_);
    const std::size_t total = crops.size() * views;
    const int channels = model_.descriptor.input.norm.order == ChannelOrder::Gray ? 1 : 3;
    const int height = template_.height, width = template_.width;
    const std::size_t plane =
        static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
    const std::size_t picture = plane * channels;
    for (std::size_t done = 0; done < total;) {
        const std::size_t batch = std::min<std::size_t>(std::max(most, 1), total - done);
        input_.reset({static_cast<std::int64_t>(batch), channels, height, width});
        for (std::size_t i = 0; i < batch; ++i) {
            const std::size_t view = done + i;
            float *to = input_.data.data() + i * picture;
            const bool mirrored = view % views == 1;
            // The mirror follows its crop; alone at a batch's start it is made of the crop
            // anew.
            if (!mirrored || i == 0)
                normalize_to_tensor(*crops[view / views], model_.descriptor.input.norm,
                                    {to, static_cast<std::ptrdiff_t>(plane), width});
            if (mirrored) {
                if (i == 0)
                    for (std::size_t row = 0; row < static_cast<std::size_t>(height) *
                                                        static_cast<std::size_t>(channels);
                         ++row)
                        std::reverse(to + row * width, to + (row + 1) * width);
                else
                    mirror_rows(to - picture, to, static_cast<std::size_t>(height) * channels,
                                static_cast<std::size_t>(width));
            }
        }
        const auto begin = std::chrono::steady_clock::now();
        SPHERE_TRY(engine_->run(input_, outputs_));
        if (timing != nullptr)
            timing->inference_ms += std::chrono::duration<double, std::milli>(
                                        std::chrono::steady_clock::now() - begin)
                                        .count();
        if (outputs_.empty() || outputs_[0].data.size() != batch * dims)
            return fail(Errc::Mismatch, "Model ", model_.descriptor.name, " gave ",
                        outputs_.empty() ? 0 : outputs_[0].data.size(), " numbers for ", batch,
                        " faces of ", dims, ": set batch to 1 in its descriptor.");
        raw.insert(raw.end(), outputs_[0].data.begin(), outputs_[0].data.end());
        done += batch;
    }
    std::vector<Embedding> embeddings(crops.size());
    for (std::size_t i = 0; i < crops.size(); ++i) {
        const float *crop = raw.data() + i * views * dims;
        embeddings[i].stamp = stamp_;
        embeddings[i].monochrome = is_monochrome(*crops[i]);
        embeddings[i].values = combine(use, crop, crop + (views - 1) * dims, dims);
        if (!all_finite(embeddings[i].values))
            embeddings[i].values.clear();
    }
    return embeddings;
}

} // namespace sphere
