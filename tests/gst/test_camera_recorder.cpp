// SPDX-License-Identifier: MIT
// Recordings around events: the frames before, segments, the records beside them, bounds.
#include "pipelines/camera/recorder.h"
#include "pipelines/camera/recording_folder.h"
#include "tests/gst/match_support.h"

#include <filesystem>
#include <fstream>
#include <gst/app/gstappsink.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

using namespace sphere::camera;
namespace fs = std::filesystem;

namespace {

/// Pulls what a pipeline with an appsink "out" makes.
std::vector<SamplePtr> samples_of(const std::string &description) {
    std::vector<SamplePtr> samples;
    const GstPtr<GstElement> pipeline(gst_parse_launch(description.c_str(), nullptr));
    if (!pipeline)
        return samples;
    const GstPtr<GstElement> out(gst_bin_get_by_name(GST_BIN(pipeline.get()), "out"));
    gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
    while (GstSample *sample =
               gst_app_sink_try_pull_sample(GST_APP_SINK(out.get()), 30 * GST_SECOND))
        samples.emplace_back(sample);
    gst_element_set_state(pipeline.get(), GST_STATE_NULL);
    return samples;
}

/// Eight seconds, a key frame each second.
const std::vector<SamplePtr> &stream() {
    static const std::vector<SamplePtr> samples = samples_of(
        "videotestsrc num-buffers=200 pattern=ball ! video/x-raw,width=160,height=120,"
        "framerate=25/1 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! "
        "h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au ! "
        "appsink name=out sync=false");
    return samples;
}

std::uint64_t pts(const SamplePtr &sample) {
    return GST_BUFFER_PTS(gst_sample_get_buffer(sample.get()));
}

std::vector<std::string> files_in(const std::string &folder, const std::string &extension) {
    std::vector<std::string> files;
    if (fs::exists(folder))
        for (const auto &entry : fs::directory_iterator(folder))
            if (entry.path().extension() == extension)
                files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

/// Times in ms of the frames in a file. (test_camera.py plays such files.)
std::vector<std::int64_t> times_in(const std::string &file) {
    std::vector<std::int64_t> times;
    for (const SamplePtr &sample :
         samples_of("filesrc location=" + file +
                    " ! qtdemux ! h264parse ! appsink name=out sync=false"))
        times.push_back(static_cast<std::int64_t>(pts(sample) / GST_MSECOND));
    return times;
}

class CameraRecorderTest : public testing::Test {
  protected:
    void SetUp() override {
        if (stream().size() != 200)
            GTEST_SKIP() << "no H.264 encoder (gstreamer1.0-plugins-ugly has x264enc)";
        config_.directory = directory_ / "rec";
        config_.pre_roll_ms = 2000;
        config_.post_roll_ms = 1000;
        config_.min_free_bytes = 0;
        event_.event = "appeared";
    }
    /// Frames [from, to), with a record each.
    void play(Recorder &recorder, std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) {
            recorder.add_encoded(stream()[i].get());
            sphere::FrameRecord record;
            record.stream = "door";
            record.pts_ns = pts(stream()[i]);
            recorder.add_record(record);
        }
    }
    void event_at(Recorder &recorder, std::size_t frame) {
        event_.pts_ns = pts(stream()[frame]);
        recorder.see_event(event_);
    }

    sphere_test::TempDir directory_;
    RecordingConfig config_;
    CameraEvent event_;
};

} // namespace

TEST_F(CameraRecorderTest, HoldsTheMomentsBeforeTheEvent) {
    {
        Recorder recorder(config_, "door");
        play(recorder, 0, 130);
        event_at(recorder, 120); // seen ten frames later
        play(recorder, 130, 200);
        CameraStatus status;
        recorder.describe(status);
        EXPECT_TRUE(status.recording_error.empty()) << status.recording_error;
    }
    const std::string folder = config_.directory + "/door";
    const auto videos = files_in(folder, ".mp4"), sidecars = files_in(folder, ".jsonl");
    ASSERT_EQ(videos.size(), 1U);
    ASSERT_EQ(sidecars.size(), 1U);
    // From the key frame before 4.8 s - 2 s (frame 50), to 4.8 s + 1 s (frame 145).
    const auto times = times_in(videos[0]);
    ASSERT_EQ(times.size(), 96U);
    EXPECT_EQ(times.front(), 0);
    EXPECT_EQ(times.back(), 95 * 40);
    std::ifstream lines(sidecars[0]);
    std::string line, first;
    int count = 0;
    for (; std::getline(lines, line); ++count)
        if (first.empty())
            first = line;
    EXPECT_EQ(count, 96);
    EXPECT_NE(first.find(R"("stream":"door")"), std::string::npos) << first;
    EXPECT_NE(first.find(R"("stream_time":0,)"), std::string::npos) << first;
    for (const std::string &file : {videos[0], sidecars[0]}) {
        struct stat info {};
        ASSERT_EQ(stat(file.c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777, 0600U) << file;
    }
}

TEST_F(CameraRecorderTest, OtherEventsDoNotRecord) {
    {
        Recorder recorder(config_, "door");
        play(recorder, 0, 50);
        event_.event = "left";
        event_at(recorder, 49);
        play(recorder, 50, 100);
    }
    EXPECT_FALSE(fs::exists(config_.directory));
}

TEST_F(CameraRecorderTest, SegmentsFollowWithoutAGap) {
    config_.max_segment_ms = 2000;
    config_.post_roll_ms = 60000;
    {
        Recorder recorder(config_, "door");
        play(recorder, 0, 10);
        event_at(recorder, 5);
        play(recorder, 10, 200);
    }
    const auto videos = files_in(config_.directory + "/door", ".mp4");
    ASSERT_EQ(videos.size(), 4U);
    std::size_t frames = 0;
    for (const std::string &video : videos)
        frames += times_in(video).size();
    EXPECT_EQ(frames, 200U);
}

TEST_F(CameraRecorderTest, AFullDiskIsSaidAndStopsNothing) {
    config_.min_free_bytes = 1ULL << 60;
    Recorder recorder(config_, "door");
    play(recorder, 0, 50);
    event_at(recorder, 49);
    play(recorder, 50, 100);
    CameraStatus status;
    recorder.describe(status);
    EXPECT_NE(status.recording_error.find("the disk is full"), std::string::npos)
        << status.recording_error;
    EXPECT_TRUE(status.recording_file.empty());
    EXPECT_TRUE(files_in(config_.directory + "/door", ".mp4").empty());
}

TEST_F(CameraRecorderTest, AFolderThatCannotBeMadeIsSaid) {
    std::ofstream(directory_ / "rec") << "a file";
    Recorder recorder(config_, "door");
    play(recorder, 0, 50);
    event_at(recorder, 49);
    CameraStatus status;
    recorder.describe(status);
    EXPECT_NE(status.recording_error.find("cannot go to"), std::string::npos)
        << status.recording_error;
}

TEST(RecordingFolder, TheOldestGoFirstAndNothingElse) {
    const sphere_test::TempDir directory;
    const std::string folder = directory / "door";
    ASSERT_TRUE(make_recording_folder(folder).ok());
    const auto write = [&](const std::string &name) {
        std::ofstream(folder + "/" + name) << std::string(1000, 'x');
    };
    for (const char *name :
         {"20260101T000000.000Z.mp4", "20260101T000000.000Z.jsonl", "20260102T000000.000Z.mp4",
          "20260103T000000.000Z.mp4", "notes.mp4", "20260101.mp4"})
        write(name);
    EXPECT_EQ(recorded_bytes(folder), 4000U);
    EXPECT_TRUE(make_recording_room(folder, 4000, 0, "").ok());
    EXPECT_EQ(recorded_bytes(folder), 4000U);
    const std::string open_file = folder + "/20260101T000000.000Z.mp4";
    EXPECT_TRUE(make_recording_room(folder, 3000, 0, open_file).ok());
    EXPECT_TRUE(fs::exists(open_file));
    EXPECT_FALSE(fs::exists(folder + "/20260102T000000.000Z.mp4"));
    EXPECT_TRUE(make_recording_room(folder, 1000, 0, "").ok());
    EXPECT_TRUE(fs::exists(folder + "/20260103T000000.000Z.mp4"));
    EXPECT_EQ(make_recording_room(folder, 1000, 1ULL << 62, "").error().code,
              sphere::Errc::NoSpace);
    EXPECT_TRUE(fs::exists(folder + "/notes.mp4"));
    EXPECT_TRUE(fs::exists(folder + "/20260101.mp4"));
    const std::string path = new_recording_path(folder, 1767225600250);
    EXPECT_EQ(path, folder + "/20260101T000000.250Z");
    std::ofstream(path + ".mp4") << "x";
    EXPECT_EQ(new_recording_path(folder, 1767225600250), path + "-2");
}
