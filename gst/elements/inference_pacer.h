// SPDX-License-Identifier: MIT
// Which frames a detector looks at: each Nth, or as many as a live stream leaves time for.
#pragma once

#include <cstdint>
#include <optional>

namespace sphere::gst {

/// Not thread-safe: its owner guards it. Times are nanoseconds.
class InferencePacer {
  public:
    enum class Decision : std::uint8_t {
        Look,     ///< detect in this frame
        Interval, ///< passed over by the fixed interval
        Load,     ///< passed over to keep up
    };

    /// `interval` as the property: each Nth frame; 0 = adapt where `live`, each frame
    /// elsewhere.
    void configure(std::uint32_t interval, bool live) {
        interval_ = interval;
        live_ = live;
    }
    bool adapts() const { return interval_ == 0 && live_; }
    /// Forgets the stream, not what a detection costs.
    void restart();

    /// To be called once a frame. `pts` and `lateness` (how long after its time the frame came,
    /// by the pipeline's clock; negative = early) where they are known.
    Decision decide(std::optional<std::uint64_t> pts, std::optional<std::int64_t> lateness);
    /// What the detection took that decide() asked for.
    void detected(std::uint64_t elapsed);
    /// A sink's report (GST_EVENT_QOS): its jitter, positive where frames come too late.
    void reported(std::int64_t jitter);

    /// Of the stream's time, the share that detection may take. The rest is for the decoder and
    /// what comes after.
    static constexpr double kShare = 0.5;
    /// A stream is looked at once in this time, whatever the load.
    static constexpr std::uint64_t kLongestWait = 1'000'000'000;
    /// Lateness beyond this is a sign of load, not of a clock's noise.
    static constexpr std::int64_t kLate = 20'000'000;

  private:
    std::uint32_t interval_ = 1;
    bool live_ = false;
    std::uint64_t frame_ = 0;
    std::optional<std::uint64_t> last_looked_; ///< pts
    std::optional<std::int64_t> last_lateness_;
    double cost_ = 0;     ///< mean of what detections took
    double pressure_ = 1; ///< [1, 16]: grows while the stream is late, shrinks while it is not
};

} // namespace sphere::gst
