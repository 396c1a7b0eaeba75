// SPDX-License-Identifier: MIT
// The pixel path next to the OpenCV calls that do the same, one thread: Google Benchmark. The
// level of ours is the machine's or SPHERE_CPU's.
#include "core/base/cpu.h"
#include "core/image/kernels.h"
#include "core/image/resize.h"
#include "core/image/warp.h"

#include <benchmark/benchmark.h>
#include <opencv2/core.hpp>
#include <opencv2/core/utility.hpp>
#include <opencv2/imgproc.hpp>

#include <cstdio>
#include <random>
#include <vector>

namespace {

using namespace sphere;

constexpr int kWidth = 1920, kHeight = 1080;

/// A 1080p frame of noise with its planes in one block, as a decoder leaves it.
struct NoiseFrame {
    std::vector<std::uint8_t> bytes;
    ImageView view;
    explicit NoiseFrame(PixelFormat format) {
        bytes.resize(static_cast<std::size_t>(kWidth) * kHeight * 3);
        std::mt19937 random(1);
        for (std::uint8_t &b : bytes)
            b = static_cast<std::uint8_t>(random());
        view.format = format;
        view.width = kWidth;
        view.height = kHeight;
        std::uint8_t *data = bytes.data();
        const std::ptrdiff_t luma = static_cast<std::ptrdiff_t>(kWidth) * kHeight;
        if (format == PixelFormat::I420) {
            view.planes[0] = {data, kWidth};
            view.planes[1] = {data + luma, kWidth / 2};
            view.planes[2] = {data + luma + luma / 4, kWidth / 2};
        } else if (format == PixelFormat::NV12) {
            view.planes[0] = {data, kWidth};
            view.planes[1] = {data + luma, kWidth};
        } else {
            view.planes[0] = {data, kWidth * 3};
        }
    }
};

/// What a program without this library does: converts the frame, resizes it, subtracts and
/// scales.
struct OpencvResize {
    cv::Mat bgr, small, floats;
    std::vector<cv::Mat> planes;
    void run(NoiseFrame &frame, int width, int height) {
        if (frame.view.format == PixelFormat::BGR) {
            bgr = cv::Mat(kHeight, kWidth, CV_8UC3, frame.bytes.data());
        } else {
            const cv::Mat yuv(kHeight * 3 / 2, kWidth, CV_8UC1, frame.bytes.data());
            cv::cvtColor(yuv, bgr,
                         frame.view.format == PixelFormat::I420 ? cv::COLOR_YUV2BGR_I420
                                                                : cv::COLOR_YUV2BGR_NV12);
        }
        cv::resize(bgr, small, cv::Size(width, height), 0, 0, cv::INTER_LINEAR);
        small.convertTo(floats, CV_32FC3, 1 / 128.0, -127.5 / 128);
        cv::split(floats, planes);
    }
};

void ours_resize(benchmark::State &state, PixelFormat format) {
    NoiseFrame frame(format);
    const int width = static_cast<int>(state.range(0)),
              height = static_cast<int>(state.range(1));
    std::vector<float> out(static_cast<std::size_t>(width) * height * 3);
    const Normalization norm{
        ChannelOrder::BGR, {127.5F, 127.5F, 127.5F}, {1 / 128.F, 1 / 128.F, 1 / 128.F}};
    const TensorPlane plane{out.data(), static_cast<std::ptrdiff_t>(width) * height, width};
    for (auto _ : state) {
        auto done =
            resize_to_tensor(frame.view, {0, 0, kWidth, kHeight}, width, height, norm, plane);
        benchmark::DoNotOptimize(done);
        benchmark::ClobberMemory();
    }
}

void opencv_resize(benchmark::State &state, PixelFormat format) {
    NoiseFrame frame(format);
    OpencvResize peer;
    for (auto _ : state) {
        peer.run(frame, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
        benchmark::DoNotOptimize(peer.planes);
    }
}

/// A face of `size` px to the 112x112 template, slightly turned.
Affine to_crop(double size) {
    const double scale = 70 / size, angle = 0.1;
    const double a = scale * std::cos(angle), b = scale * std::sin(angle);
    Affine map;
    map.m = {a, -b, 56 - a * 900 + b * 500, b, a, 56 - b * 900 - a * 500};
    return map;
}

void ours_warp(benchmark::State &state, PixelFormat format) {
    NoiseFrame frame(format);
    const Affine map = to_crop(static_cast<double>(state.range(0)));
    for (auto _ : state) {
        auto crop = warp_affine(frame.view, map, 112, 112);
        benchmark::DoNotOptimize(crop);
    }
}

// The frame is converted once a frame, not once a face: that is counted for one face here.
void opencv_warp(benchmark::State &state, PixelFormat format, bool convert) {
    NoiseFrame frame(format);
    const Affine map = to_crop(static_cast<double>(state.range(0)));
    const cv::Mat matrix =
        (cv::Mat_<double>(2, 3) << map.m[0], map.m[1], map.m[2], map.m[3], map.m[4], map.m[5]);
    cv::Mat bgr, crop;
    const cv::Mat yuv(kHeight * 3 / 2, kWidth, CV_8UC1, frame.bytes.data());
    cv::cvtColor(yuv, bgr, cv::COLOR_YUV2BGR_I420);
    for (auto _ : state) {
        if (convert)
            cv::cvtColor(yuv, bgr, cv::COLOR_YUV2BGR_I420);
        cv::warpAffine(bgr, crop, matrix, cv::Size(112, 112));
        benchmark::DoNotOptimize(crop.data);
    }
}

void register_all() {
    const struct {
        PixelFormat format;
        const char *name;
    } formats[] = {
        {PixelFormat::I420, "I420"}, {PixelFormat::NV12, "NV12"}, {PixelFormat::BGR, "BGR"}};
    for (const auto &[format, name] : formats) {
        const std::string text = name;
        for (const auto &[w, h] :
             {std::pair{640, 360}, std::pair{320, 180}, std::pair{500, 281}}) {
            benchmark::RegisterBenchmark(("resize/" + text + "/ours").c_str(), ours_resize,
                                         format)
                ->Args({w, h});
            benchmark::RegisterBenchmark(("resize/" + text + "/opencv").c_str(), opencv_resize,
                                         format)
                ->Args({w, h});
        }
    }
    for (const int size : {50, 100, 200}) {
        benchmark::RegisterBenchmark("warp/I420/ours", ours_warp, PixelFormat::I420)->Arg(size);
        benchmark::RegisterBenchmark("warp/BGR/ours", ours_warp, PixelFormat::BGR)->Arg(size);
        benchmark::RegisterBenchmark("warp/BGR/opencv", opencv_warp, PixelFormat::BGR, false)
            ->Arg(size);
        benchmark::RegisterBenchmark("warp/I420/opencv", opencv_warp, PixelFormat::I420, true)
            ->Arg(size);
    }
}

} // namespace

int main(int argc, char **argv) {
    cv::setNumThreads(1);
    std::printf("ours: %s kernels; peer: OpenCV %s, %d thread\n",
                cpu_level_name(kernels::kernels_in_use().level), cv::getVersionString().c_str(),
                cv::getNumThreads());
    register_all();
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
