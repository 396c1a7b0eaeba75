// SPDX-License-Identifier: MIT
// What this CPU is good at, measured, because its flags do not say.
#pragma once

namespace sphere::onednn {

bool cpu_has_bf16();

/// Whether a convolution in bf16 beats the best one in fp32 (Winograd's included). Some CPUs
/// issue the bf16 dot product at a quarter of the rate of others, and without AMX it is then
/// slower than fp32. Measured once a process, in a few milliseconds.
bool bf16_is_faster();

} // namespace sphere::onednn
