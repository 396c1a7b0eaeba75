// SPDX-License-Identifier: MIT
// oneDNN 2.x and 3.x build primitives by different calls; only this file knows how.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sphere::onednn::compat {

using Md = dnnl::memory::desc;
using DnnlDims = dnnl::memory::dims;
inline constexpr auto kForward = dnnl::prop_kind::forward_inference;

/// Whether the library makes use of these instructions: the CPU may have them, and
/// ONEDNN_MAX_CPU_ISA hold them back. Each instruction set's number has the bits of those that
/// it includes.
inline bool uses(dnnl::cpu_isa wanted) {
    const auto bits = static_cast<unsigned>(wanted);
    return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}

/// Whether the library multiplies bytes and bf16 by tiles, several times as fast as by vectors.
inline bool uses_tiles() {
    return uses(dnnl::cpu_isa::avx512_core_amx);
}

inline void append_eltwise(dnnl::post_ops &ops, dnnl::algorithm kind, float a, float b) {
#if DNNL_VERSION_MAJOR >= 3
    ops.append_eltwise(kind, a, b);
#else
    ops.append_eltwise(1.0F, kind, a, b);
#endif
}

#if DNNL_VERSION_MAJOR >= 3
inline DnnlDims dims_of(const Md &md) {
    return md.get_dims();
}
inline dnnl::memory::data_type type_of(const Md &md) {
    return md.get_data_type();
}
#else
inline DnnlDims dims_of(const Md &md) {
    return md.dims();
}
inline dnnl::memory::data_type type_of(const Md &md) {
    return md.data_type();
}
#endif

/// Factors by output channel for what an int8 primitive has summed up.
inline void set_channel_scales(dnnl::primitive_attr &attr, const std::vector<float> &scales) {
#if DNNL_VERSION_MAJOR >= 3
    (void)scales; // given at run time: add_scale_arguments()
    attr.set_scales_mask(DNNL_ARG_WEIGHTS, 1 << 0);
#else
    attr.set_output_scales(1 << 1, scales);
#endif
}

inline void add_scale_arguments(std::unordered_map<int, dnnl::memory> &args,
                                const dnnl::engine &engine, const std::vector<float> &scales) {
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::memory memory(Md({static_cast<std::int64_t>(scales.size())},
                                 dnnl::memory::data_type::f32, dnnl::memory::format_tag::x),
                              engine);
    std::copy(scales.begin(), scales.end(), static_cast<float *>(memory.get_data_handle()));
    args.emplace(DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, memory);
#else
    (void)args;
    (void)engine;
    (void)scales;
#endif
}

/// The bias to give an int8 primitive so that its result is scale * (sum - zeros) + bias:
/// version 2 adds it before the factor, version 3 after.
inline float int8_bias(float bias, float scale, float zeros) {
#if DNNL_VERSION_MAJOR >= 3
    return bias - scale * zeros;
#else
    return bias / scale - zeros;
#endif
}

struct Window {
    DnnlDims kernel, strides, dilations, begin, end;
};

inline auto convolution(const dnnl::engine &engine, dnnl::algorithm kind, const Md &src,
                        const Md &weights, const Md &bias, const Md &dst, const Window &w,
                        const dnnl::primitive_attr &attr) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl::convolution_forward::primitive_desc(engine, kForward, kind, src, weights, bias,
                                                     dst, w.strides, w.dilations, w.begin,
                                                     w.end, attr);
#else
    return dnnl::convolution_forward::primitive_desc(
        {kForward, kind, src, weights, bias, dst, w.strides, w.dilations, w.begin, w.end}, attr,
        engine);
#endif
}

/// Winograd's convolution: in tiles of 4x4, or of 2x2 if `small_tiles`, where the library has
/// both. (Its next_impl() reads the description anew, which must therefore still be there.)
inline auto winograd(const dnnl::engine &engine, const Md &src, const Md &weights,
                     const Md &bias, const Md &dst, const Window &w,
                     const dnnl::primitive_attr &attr, bool small_tiles) {
    using Forward = dnnl::convolution_forward;
    const auto kind = dnnl::algorithm::convolution_winograd;
#if DNNL_VERSION_MAJOR >= 3
    const auto make = [&] {
        return Forward::primitive_desc(engine, kForward, kind, src, weights, bias, dst,
                                       w.strides, w.dilations, w.begin, w.end, attr);
    };
#else
    const Forward::desc desc(kForward, kind, src, weights, bias, dst, w.strides, w.dilations,
                             w.begin, w.end);
    const auto make = [&] { return Forward::primitive_desc(desc, attr, engine); };
#endif
    Forward::primitive_desc pd = make();
    do {
        const std::string_view name = pd.impl_info_str();
        if (small_tiles == (name.find("2x3") != std::string_view::npos))
            return pd;
    } while (pd.next_impl());
    return make();
}

inline auto inner_product(const dnnl::engine &engine, const Md &src, const Md &weights,
                          const Md &bias, const Md &dst, const dnnl::primitive_attr &attr) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl::inner_product_forward::primitive_desc(engine, kForward, src, weights, bias,
                                                       dst, attr);
#else
    return dnnl::inner_product_forward::primitive_desc({kForward, src, weights, bias, dst},
                                                       attr, engine);
#endif
}

inline auto pooling(const dnnl::engine &engine, dnnl::algorithm kind, const Md &src,
                    const Md &dst, const Window &w, const dnnl::primitive_attr &attr) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl::pooling_forward::primitive_desc(engine, kForward, kind, src, dst, w.strides,
                                                 w.kernel, DnnlDims(w.kernel.size(), 0),
                                                 w.begin, w.end, attr);
#else
    return dnnl::pooling_forward::primitive_desc(
        {kForward, kind, src, dst, w.strides, w.kernel, w.begin, w.end}, attr, engine);
#endif
}

inline auto eltwise(const dnnl::engine &engine, dnnl::algorithm kind, const Md &md, float a,
                    float b, const dnnl::primitive_attr &attr) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl::eltwise_forward::primitive_desc(engine, kForward, kind, md, md, a, b, attr);
#else
    return dnnl::eltwise_forward::primitive_desc({kForward, kind, md, a, b}, attr, engine);
#endif
}

inline auto prelu(const dnnl::engine &engine, const Md &md, const Md &slopes,
                  const dnnl::primitive_attr &attr) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl::prelu_forward::primitive_desc(engine, kForward, md, slopes, md, attr);
#else
    return dnnl::prelu_forward::primitive_desc({kForward, md, slopes}, attr, engine);
#endif
}

inline auto binary(const dnnl::engine &engine, dnnl::algorithm kind, const Md &a, const Md &b,
                   const Md &dst, const dnnl::primitive_attr &attr) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl::binary::primitive_desc(engine, kind, a, b, dst, attr);
#else
    return dnnl::binary::primitive_desc({kind, a, b, dst}, attr, engine);
#endif
}

inline auto softmax(const dnnl::engine &engine, const Md &md, int axis,
                    const dnnl::primitive_attr &attr) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl::softmax_forward::primitive_desc(
        engine, kForward, dnnl::algorithm::softmax_accurate, md, md, axis, attr);
#else
    return dnnl::softmax_forward::primitive_desc({kForward, md, axis}, attr, engine);
#endif
}

inline auto resampling(const dnnl::engine &engine, dnnl::algorithm kind, const Md &src,
                       const Md &dst, const dnnl::primitive_attr &attr) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl::resampling_forward::primitive_desc(engine, kForward, kind, src, dst, attr);
#else
    return dnnl::resampling_forward::primitive_desc({kForward, kind, src, dst}, attr, engine);
#endif
}

inline auto concat(const dnnl::engine &engine, int axis, const std::vector<Md> &parts,
                   const dnnl::primitive_attr &attr) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl::concat::primitive_desc(engine, axis, parts, attr);
#else
    return dnnl::concat::primitive_desc(axis, parts, engine, attr);
#endif
}

} // namespace sphere::onednn::compat
