// SPDX-License-Identifier: MIT
#include "core/engine/batching_engine.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>

namespace sphere {
namespace {

/// What one caller brings; it waits until the batch is done, so that its tensors stay.
struct Caller {
    const Tensor *input;
    std::vector<Tensor> *outputs;
    Result<void> result{};
};

struct Batch {
    std::vector<Caller *> callers;
    std::int64_t pictures = 0;
    bool closed = false; ///< nobody joins any more
    bool done = false;
};

bool fit_together(const Tensor &a, const Tensor &b) {
    return a.shape.size() == b.shape.size() && !a.shape.empty() &&
           std::equal(a.shape.begin() + 1, a.shape.end(), b.shape.begin() + 1);
}

class BatchingEngine final : public Engine,
                             public std::enable_shared_from_this<BatchingEngine> {
  public:
    BatchingEngine(std::shared_ptr<Engine> engine, int max_batch,
                   std::chrono::milliseconds timeout)
        : engine_(std::move(engine)),
          max_batch_(
              std::clamp(max_batch > 0 ? max_batch : engine_->preferred_batch(), 1, kMaxBatch)),
          timeout_(timeout) {}

    Result<void> run(const Tensor &input, std::vector<Tensor> &outputs) override {
        // Nobody to wait for: the one who calls is the one who holds.
        if (input.shape.empty() || weak_from_this().use_count() <= 1)
            return engine_->run(input, outputs);
        Caller self{&input, &outputs};
        std::unique_lock lock(mutex_);
        const std::int64_t pictures = input.shape[0];
        if (open_ && fit_together(*open_->callers.front()->input, input) &&
            open_->pictures + pictures <= max_batch_) {
            const std::shared_ptr<Batch> batch = open_;
            batch->callers.push_back(&self);
            batch->pictures += pictures;
            if (batch->pictures >= max_batch_)
                close(*batch);
            changed_.wait(lock, [&] { return batch->done; });
            return self.result;
        }
        if (open_)
            close(*open_);
        const auto batch = std::make_shared<Batch>();
        batch->callers.push_back(&self);
        batch->pictures = pictures;
        open_ = batch;
        if (pictures < max_batch_)
            changed_.wait_for(lock, timeout_, [&] { return batch->closed; });
        if (!batch->closed)
            close(*batch);
        lock.unlock();
        run_batch(*batch);
        lock.lock();
        batch->done = true;
        changed_.notify_all();
        return self.result;
    }

    const char *name() const override { return engine_->name(); }
    int preferred_batch() const override { return max_batch_; }

  private:
    void close(Batch &batch) {
        batch.closed = true;
        if (open_.get() == &batch)
            open_.reset();
        changed_.notify_all();
    }

    void run_batch(Batch &batch) const {
        if (batch.callers.size() > 1 && run_together(batch))
            return;
        for (Caller *caller : batch.callers)
            caller->result = engine_->run(*caller->input, *caller->outputs);
    }

    /// False where it did not work: nothing of it is kept then.
    bool run_together(const Batch &batch) const try {
        Tensor input;
        input.shape = batch.callers.front()->input->shape;
        input.shape[0] = batch.pictures;
        input.data.reserve(static_cast<std::size_t>(input.elements()));
        for (const Caller *caller : batch.callers)
            input.data.insert(input.data.end(), caller->input->data.begin(),
                              caller->input->data.end());
        std::vector<Tensor> outputs;
        if (!engine_->run(input, outputs))
            return false;
        for (const Tensor &output : outputs)
            if (output.shape.empty() || output.shape[0] != batch.pictures)
                return false;
        std::size_t from = 0;
        for (Caller *caller : batch.callers) {
            const auto pictures = static_cast<std::size_t>(caller->input->shape[0]);
            caller->outputs->resize(outputs.size());
            for (std::size_t i = 0; i < outputs.size(); ++i) {
                const std::size_t each =
                    outputs[i].data.size() / static_cast<std::size_t>(batch.pictures);
                std::vector<std::int64_t> shape = outputs[i].shape;
                shape[0] = caller->input->shape[0];
                (*caller->outputs)[i].reset(std::move(shape));
                std::copy_n(outputs[i].data.begin() + static_cast<std::ptrdiff_t>(from * each),
                            pictures * each, (*caller->outputs)[i].data.begin());
            }
            from += pictures;
        }
        return true;
    } catch (const std::exception &) { // no memory for so large a batch
        return false;
    }

    const std::shared_ptr<Engine> engine_;
    const int max_batch_;
    const std::chrono::milliseconds timeout_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::shared_ptr<Batch> open_; ///< the one that may still be joined
};

} // namespace

std::shared_ptr<Engine> make_batching_engine(std::shared_ptr<Engine> engine, int max_batch,
                                             std::chrono::milliseconds timeout) {
    return std::make_shared<BatchingEngine>(std::move(engine), max_batch, timeout);
}

} // namespace sphere
