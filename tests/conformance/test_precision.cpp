// SPDX-License-Identifier: MIT
// What bf16 and int8 cost in accuracy: pairs of Labelled Faces in the Wild, decided by each.
#include "core/engine/calibration.h"
#include "core/face/aligner.h"
#include "core/face/detector.h"
#include "core/image/codec.h"

#include "tests/support/linked_model.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_pictures.h"
#include "tests/support/tiny_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>

namespace sphere {
namespace {

using testing_support::data_folder;
namespace fs = std::filesystem;
using Embeddings = std::vector<std::vector<float>>;

constexpr int kCalibrationCrops = 128;

struct Pair {
    std::size_t a, b; ///< indices of pictures
    bool same;
};

/// LFW's pairs and the pictures in them, aligned once for all recognisers of 112x112.
struct Faces {
    std::vector<std::string> pictures;
    std::vector<Pair> pairs;
    std::vector<Image> crops; ///< width 0 where no face was found

    static const Faces &get() {
        static const Faces faces;
        return faces;
    }

  private:
    Faces() {
        std::ifstream file(data_folder() / "data/lfw-dev/pairs-dev.txt");
        std::string line;
        std::getline(file, line); // folds and pairs a fold
        while (std::getline(file, line))
            add(line);
        align();
    }
    std::size_t picture(const std::string &person, const std::string &number) {
        char name[160];
        std::snprintf(name, sizeof name, "%s/%s_%04d.jpg", person.c_str(), person.c_str(),
                      std::atoi(number.c_str()));
        const auto found = std::find(pictures.begin(), pictures.end(), name);
        if (found != pictures.end())
            return static_cast<std::size_t>(found - pictures.begin());
        pictures.emplace_back(name);
        return pictures.size() - 1;
    }
    void add(const std::string &line) {
        std::istringstream in(line);
        std::vector<std::string> words;
        for (std::string word; in >> word;)
            words.push_back(word);
        if (words.size() == 3)
            pairs.push_back({picture(words[0], words[1]), picture(words[0], words[2]), true});
        else if (words.size() == 4)
            pairs.push_back({picture(words[0], words[1]), picture(words[2], words[3]), false});
    }
    void align() {
        EngineOptions options;
        options.precision = Precision::Fp32;
        const auto detector =
            make_detector(ModelStore::from_environment(), "yunet-320", "", options);
        const auto tmpl = find_template("arcface-112x112");
        crops.resize(pictures.size());
        for (std::size_t i = 0; detector && tmpl && i < pictures.size(); ++i) {
            const auto image = read_image(data_folder() / "data/lfw-dev" / pictures[i]);
            auto faces = image ? (*detector)->detect(image->view(), {}) : image.error();
            if (!faces || faces->empty())
                continue;
            const auto off_centre = [&](const Face &face) {
                return std::hypot(face.box.x + face.box.w / 2 - image->width / 2.0F,
                                  face.box.y + face.box.h / 2 - image->height / 2.0F);
            };
            Face &face = *std::min_element(
                faces->begin(), faces->end(),
                [&](const Face &a, const Face &b) { return off_centre(a) < off_centre(b); });
            align_face(image->view(), *tmpl, AlignOptions{}, face);
            if (face.crop)
                crops[i] = *face.crop;
        }
    }
};

Tensor to_input(const ModelDescriptor &model, const Image &crop) {
    Tensor input;
    input.reset({1, 3, crop.height, crop.width});
    normalize_to_tensor(
        crop, model.input.norm,
        {input.data.data(), static_cast<std::ptrdiff_t>(crop.width) * crop.height, crop.width});
    return input;
}

double cosine(const std::vector<float> &a, const std::vector<float> &b) {
    double dot = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        dot += static_cast<double>(a[i]) * b[i];
        aa += static_cast<double>(a[i]) * a[i];
        bb += static_cast<double>(b[i]) * b[i];
    }
    return dot / std::sqrt(aa * bb);
}

class PrecisionAccuracy : public testing::TestWithParam<const char *> {
  protected:
    void SetUp() override {
        if (testing_support::fake_engine_only())
            GTEST_SKIP() << "SPHERE_FAKE_ENGINE_ONLY is set";
        if (!fs::exists(data_folder() / "data/lfw-dev/pairs-dev.txt"))
            GTEST_SKIP() << "no LFW pairs under " << data_folder();
        const auto model = testing_support::linked_model(GetParam(), directory_.path());
        if (!model)
            GTEST_SKIP() << "model " << GetParam() << " is not installed";
        model_ = *model;
        ASSERT_GT(Faces::get().pairs.size(), 1000U);
    }

    // Crops of other people than LFW's.
    std::vector<Tensor> calibration_inputs() const {
        const std::string folder = data_folder() / "train";
        std::ifstream index(folder + "/index.tsv");
        std::string line;
        std::getline(index, line);
        std::vector<Tensor> inputs;
        while (inputs.size() < kCalibrationCrops && std::getline(index, line)) {
            std::istringstream in(line);
            std::string shard, dataset, identity;
            std::size_t offset = 0, bytes = 0;
            double coverage = 0;
            in >> shard >> offset >> bytes >> dataset >> identity >> coverage;
            if (coverage < 0.98)
                continue;
            std::ifstream file(folder + "/crops-" + shard + ".bin", std::ios::binary);
            file.seekg(static_cast<std::streamoff>(offset));
            std::string crop(bytes, '\0');
            file.read(crop.data(), static_cast<std::streamsize>(bytes));
            directory_.write("crop.webp", crop);
            if (const auto image = read_image(directory_.path() + "/crop.webp"))
                inputs.push_back(to_input(model_.descriptor, *image));
        }
        return inputs;
    }

    Embeddings embed(Precision precision) const {
        EngineOptions options;
        options.engine = "onednn";
        options.precision = precision;
        options.threads = 1;
        const auto engine = make_engine(model_, options);
        EXPECT_TRUE(engine.ok()) << (engine.ok() ? "" : engine.error().message);
        Embeddings embeddings(Faces::get().crops.size());
        std::vector<Tensor> out;
        for (std::size_t i = 0; engine && i < embeddings.size(); ++i) {
            const Image &crop = Faces::get().crops[i];
            if (crop.width == 0)
                continue;
            const auto ran = (*engine)->run(to_input(model_.descriptor, crop), out);
            EXPECT_TRUE(ran.ok()) << (ran.ok() ? "" : ran.error().message);
            embeddings[i] = out[0].data;
        }
        return embeddings;
    }

    struct Decided {
        std::size_t right = 0; ///< pairs, at the best single threshold
        std::vector<char> at_threshold;
    };
    Decided decide(const Embeddings &embeddings) const {
        std::vector<std::pair<double, bool>> distances;
        Decided result;
        const double threshold = model_.descriptor.metrics.at("cosine").threshold;
        for (const Pair &pair : Faces::get().pairs) {
            const auto &a = embeddings[pair.a], &b = embeddings[pair.b];
            if (a.empty() || b.empty())
                continue;
            const double distance = 1 - cosine(a, b);
            distances.emplace_back(distance, pair.same);
            result.at_threshold.push_back(distance <= threshold);
        }
        std::sort(distances.begin(), distances.end());
        std::size_t right = static_cast<std::size_t>(std::count_if(
            distances.begin(), distances.end(), [](const auto &d) { return !d.second; }));
        result.right = right; // all taken for different
        for (const auto &[distance, same] : distances) {
            right += same ? 1 : static_cast<std::size_t>(-1);
            result.right = std::max(result.right, right);
        }
        return result;
    }

    void compare(const char *title, const Embeddings &reference, const Embeddings &other,
                 std::size_t pairs) const {
        const Decided want = decide(reference), got = decide(other);
        double sum = 0, least = 1;
        int n = 0;
        for (std::size_t i = 0; i < reference.size(); ++i)
            if (!reference[i].empty()) {
                const double c = cosine(reference[i], other[i]);
                sum += c;
                least = std::min(least, c);
                ++n;
            }
        std::size_t equal = 0;
        for (std::size_t i = 0; i < want.at_threshold.size(); ++i)
            equal += want.at_threshold[i] == got.at_threshold[i] ? 1 : 0;
        std::printf("%s %s: %zu of %zu pairs right (fp32: %zu), %zu decisions as in fp32, mean "
                    "cosine %.5f, least %.5f\n",
                    GetParam(), title, got.right, want.at_threshold.size(), want.right, equal,
                    sum / n, least);
        EXPECT_GT(n, 1400);
        EXPECT_GE(got.right + pairs, want.right);
        EXPECT_GE(sum / n, 0.99);
        EXPECT_GE(static_cast<double>(equal),
                  0.995 * static_cast<double>(want.at_threshold.size()));
    }

    testing_support::TemporaryDirectory directory_;
    ResolvedModel model_;
};

TEST_P(PrecisionAccuracy, Int8AndBf16DecideAsFp32) {
    const Embeddings fp32 = embed(Precision::Fp32);
    compare("bf16", fp32, embed(Precision::Bf16), 1);
    const auto inputs = calibration_inputs();
    ASSERT_EQ(inputs.size(), static_cast<std::size_t>(kCalibrationCrops));
    const auto calibration = calibrate_int8(model_, inputs);
    if (!calibration && calibration.error().code == Errc::Unsupported)
        GTEST_SKIP() << calibration.error().message;
    ASSERT_TRUE(calibration.ok()) << calibration.error().message;
    ASSERT_TRUE(save_calibration(model_, *calibration).ok());
    compare("int8", fp32, embed(Precision::Int8), 2);
}

INSTANTIATE_TEST_SUITE_P(Recognisers, PrecisionAccuracy,
                         testing::Values("fr_feature", "mfn_honghu"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
} // namespace sphere
