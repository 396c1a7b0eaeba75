// SPDX-License-Identifier: MIT
// Aligned crops to embeddings.
#pragma once

#include "core/base/result.h"
#include "core/engine/engine.h"
#include "core/face/aligner.h"
#include "core/face/face.h"
#include "core/model/store.h"

#include <memory>
#include <mutex>
#include <optional>
#include <span>

namespace sphere {

struct EmbedTiming {
    double inference_ms = 0;
};

/// Thread-safe: embed() may be called from any thread.
class Embedder {
  public:
    /// `flip` empty = the descriptor's default. Errors: as ModelStore::resolve, acquire_engine
    /// and find_template.
    static Result<std::shared_ptr<Embedder>> make(const ModelStore &store,
                                                  const std::string &model,
                                                  std::optional<FlipMode> flip,
                                                  const EngineOptions &options);

    const ModelDescriptor &descriptor() const { return model_.descriptor; }
    const AlignTemplate &align_template() const { return template_; }
    const std::shared_ptr<const EmbeddingStamp> &stamp() const { return stamp_; }
    const Engine &engine() const { return *engine_; }

    /// Embeddings of `crops` (each of the template's size), in their order; `batch_size` crops
    /// at most go through the network together (0 = as the engine prefers). A result that is
    /// not finite is an error of that crop alone. Errors of the whole: InvalidArgument (crop
    /// size), Engine.
    Result<std::vector<Embedding>> embed(std::span<const Image *const> crops,
                                         int batch_size = 0, EmbedTiming *timing = nullptr);

    /// As embed(), for pictures that are looked at once: where `flip` is none, the mean of each
    /// crop's embedding and of its mirror image's. That is an embedding of the same stamp with
    /// less of the picture's pose and light in it. With another flip the same as embed().
    Result<std::vector<Embedding>> embed_mirrored(std::span<const Image *const> crops);

  private:
    /// What becomes of a crop's own numbers and its mirror image's.
    enum class Mirror : std::uint8_t { Unused, Concat, Sum, Mean };
    static std::vector<float> combine(Mirror use, const float *crop, const float *mirror,
                                      std::size_t dims);
    Mirror mirror_of_flip() const;
    Result<std::vector<Embedding>> run(std::span<const Image *const> crops, Mirror use,
                                       int batch_size, EmbedTiming *timing);

    Embedder() = default;
    ResolvedModel model_;
    AlignTemplate template_;
    FlipMode flip_ = FlipMode::None;
    std::shared_ptr<const EmbeddingStamp> stamp_;
    std::shared_ptr<Engine> engine_;
    std::mutex mutex_; ///< guards the scratch tensors
    Tensor input_;
    std::vector<Tensor> outputs_;
};

} // namespace sphere
