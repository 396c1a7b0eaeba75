// SPDX-License-Identifier: MIT
// libFuzzer: any bytes as a model descriptor. Parsing must end in a value that keeps the
// format's promises, or in an Error of one printable line.
#include "core/model/descriptor.h"

#include <cmath>
#include <cstdlib>

namespace {

void require(bool condition) {
    if (!condition)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(data), size);
    const auto model = sphere::parse_descriptor(text, "x.json");
    if (!model) {
        require(model.error().message.size() < 8192);
        for (const char c : model.error().message)
            require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
        return 0;
    }
    require(!model->name.empty() && model->name.find('/') == std::string::npos);
    for (const auto &file : model->files) {
        require(file.name.find('/') == std::string::npos &&
                file.name.find("..") == std::string::npos);
        require(file.sha256.empty() || file.sha256.size() == 64);
        for (const auto &source : file.sources)
            require(source.npm.empty() || source.npm.front() != '-');
    }
    for (const float scale : model->input.norm.scale)
        require(std::isfinite(scale) && scale != 0);
    require(model->score_threshold >= 0 && model->score_threshold <= 1);
    if (model->task == sphere::ModelTask::Embed)
        require(model->dims > 0 && !model->preprocessing.empty());
    return 0;
}
